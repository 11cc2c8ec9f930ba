//! Owns one attempt of one step: render, perform, judge, capture.
//! Deliberately knows nothing of retries, of the order of steps, or of who is told.

use super::assertion::{Answer, judge};
use super::capture::{detail, take};
use super::place::Place as Here;
use super::render::{self, RenderError};
use super::scope::{Scope, With};
use crate::action::{ActionError, Cancel, Leave, Sent, exec, http};
use crate::event::{FailedAssertion, Failure, FailureKind};
use crate::ledger::{Attempted, Missed, Passed};
use crate::plan::{Claim, Field, Http, Paginate, Setting, Step, Subject, Work};
use crate::playbook::document::Effect;
use crate::secret::{Origin, Taint};
use crate::value::{Names, Value, shape_of};
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest excerpt of an answer that a failure shows, in characters.
const LONGEST_EXCERPT: usize = 2_000;

/// What may be the matter with a program that was not let do something.
const CONFINED: &str = "it was confined: of files it has what `permissions.read` and `permissions.write` name (a folder as \
    `folder/**`), and it connects to the ports of `permissions.net`; where it needs more, name it there";

/// Performs a step's action once and judges what came of it.
pub async fn attempt(step: &Step, scope: &Scope<'_>, here: &Here<'_>, cancel: &Cancel) -> Attempted {
    let clock = Instant::now();
    let performed = match &step.work {
        Work::Http(http) => exchange(http, veil(step), scope, here, cancel).await,
        Work::Exec(exec) => match render::program(exec, scope, &here.hands().births, here.folder()) {
            Err(error) => Err(Trouble::Render(error)),
            Ok(ready) => {
                let leave = Leave { grant: &here.grant, cancel, veil: Taint::default() };
                here.facts().learn_sent(ready.command.values());
                let performed = exec::perform(here.hands(), &ready.command, &leave).await;
                if !matches!(performed, Err(ActionError::Refused { .. })) {
                    here.engine.note_program();
                }
                performed.map_err(Trouble::Action)
            }
        },
        Work::Set(settings) => return set(step, settings, scope, here),
        _ => Ok(scope.all()),
    };
    let took = clock.elapsed();
    match performed {
        Err(trouble) => missed(step, trouble, here),
        Ok(output) => judged(step, here.facts().recognise(output), took, scope, here),
    }
}

enum Trouble {
    Render(RenderError),
    Action(ActionError),
    /// A page that did not answer as the step's assertions demand; judged like any other output.
    Paging(String),
}

async fn exchange(
    written: &Http,
    veil: Taint,
    scope: &Scope<'_>,
    here: &Here<'_>,
    cancel: &Cancel,
) -> Result<Value, Trouble> {
    let leave = Leave { grant: &here.grant, cancel, veil };
    let request = render::http(written, scope, &here.hands().births, here.folder()).map_err(Trouble::Render)?;
    here.facts().learn_sent(request.values());
    match &written.paginate {
        None => http::perform(here.hands(), &request, &leave).await.map_err(Trouble::Action),
        Some(paginate) => pages(paginate, request, scope, here, &leave).await,
    }
}

/// All pages as one output: the last page's, with the joined items as `json`.
async fn pages(
    paginate: &Paginate,
    mut request: http::Request,
    scope: &Scope<'_>,
    here: &Here<'_>,
    leave: &Leave<'_>,
) -> Result<Value, Trouble> {
    let mut joined: Vec<Value> = Vec::new();
    for page in (paginate.start..).take(paginate.max_pages as usize) {
        request.query.retain(|(name, _)| *name != paginate.query);
        request.query.push((paginate.query.clone(), Value::plain(json!(page))));
        let output =
            here.facts().recognise(http::perform(here.hands(), &request, leave).await.map_err(Trouble::Action)?);
        let status = output.expose().get("status").and_then(Json::as_u64).unwrap_or_default();
        let body = output.get("json").unwrap_or_else(Value::null);
        if !(200..300).contains(&status) || body.is_null() {
            // The step's own assertions say what is wrong with such an answer.
            return Ok(output);
        }
        let names = With { names: scope, own: vec![("page", Value::plain(json!(page)))] };
        let failed = |error: crate::query::RunError| Trouble::Paging(format!("page {page}: {error}"));
        let found = paginate.items.run(&body, &names).map_err(failed)?;
        let items = found.into_iter().next().unwrap_or_else(Value::null);
        let Some(count) = items.expose().as_array().map(Vec::len) else {
            return Err(Trouble::Paging(format!("page {page}: `items` gave {}, not a list", shape_of(items.expose()))));
        };
        joined.extend(items.items());
        let last = match &paginate.until {
            None => count == 0,
            Some(until) => {
                let own = vec![
                    ("page", Value::plain(json!(page))),
                    ("count", Value::plain(json!(count))),
                    ("items", Value::plain(json!(joined.len()))),
                ];
                let names = With { names: scope, own };
                let found = until.run(&body, &names).map_err(failed)?;
                found.first().is_some_and(|value| !matches!(value.expose(), Json::Null | Json::Bool(false)))
            }
        };
        if last {
            let mut parts: Vec<(String, Value)> = Vec::new();
            for key in output.expose().as_object().into_iter().flat_map(|map| map.keys()) {
                if key != "json" {
                    parts.extend(output.get(key).map(|value| (key.clone(), value)));
                }
            }
            parts.push(("json".into(), Value::list(joined)));
            return Ok(Value::object(parts));
        }
    }
    Err(Trouble::Paging(format!("after {} pages `until` still does not hold", paginate.max_pages)))
}

fn set(step: &Step, settings: &[(String, Setting)], scope: &Scope<'_>, here: &Here<'_>) -> Attempted {
    let clock = Instant::now();
    let mut captures = Vec::new();
    for (name, setting) in settings {
        // Later settings of the same step read the earlier ones.
        match evaluate(setting, scope) {
            Ok(value) => {
                scope.define(name, value.clone());
                captures.push((name.clone(), value));
            }
            Err(message) => {
                let message = format!("`{name}` cannot be set: {message}");
                return failed(failure(FailureKind::Evaluation, message, step, here));
            }
        }
    }
    let output = Value::object(captures.clone());
    match judged(step, output.clone(), clock.elapsed(), scope, here) {
        Attempted::Passed(mut passed) => {
            captures.append(&mut passed.captures);
            Attempted::Passed(Passed { output: Some(output), captures, detail: None })
        }
        other => other,
    }
}

/// The value that a setting gives here.
pub fn evaluate(setting: &Setting, scope: &Scope<'_>) -> Result<Value, String> {
    match setting {
        Setting::Template(template) => template.render(scope).map_err(|error| error.to_string()),
        Setting::Query(query) => {
            let found = query.run(&scope.all(), scope).map_err(|error| error.to_string())?;
            found.into_iter().next().ok_or_else(|| "the query gives nothing".to_string())
        }
    }
}

/// Judges an output: captures first, then assertions, then whether it is shown.
pub fn judged(step: &Step, output: Value, took: Duration, scope: &Scope<'_>, here: &Here<'_>) -> Attempted {
    let over_variables = matches!(step.work, Work::Assert | Work::Set(_));
    let json = match &step.work {
        Work::Http(_) | Work::Exec(_) => output.get("json").unwrap_or_else(Value::null),
        Work::Set(_) => scope.all(),
        _ => output.clone(),
    };
    let answer = Answer { output: &output, json, took, hidden: false };
    let (captures, not_captured) = take(&step.capture, &answer, scope);
    for (name, value) in &captures {
        here.facts().learn(name, value);
        if step.capture.iter().any(|capture| capture.name == *name && capture.secret.is_some()) {
            here.hands().births.learn(value);
        }
    }
    // Another capture may have taken the same text without saying that it is secret.
    let captures: Vec<(String, Value)> =
        captures.into_iter().map(|(name, value)| (name, here.facts().recognise(value))).collect();
    let veil = veil(step);
    let hidden = !veil.is_empty();
    let veiled = output.tainted(&veil);
    let answer = Answer { output: &veiled, json: answer.json.tainted(&veil), took, hidden };
    let mut assertions = judge(&step.expect, &answer, scope);
    if let Some(broken) = implied(step, &output) {
        assertions.insert(0, broken);
    }
    // Where an assertion failed, what could not be captured is its consequence rather than news.
    if assertions.is_empty() {
        assertions = not_captured;
    }
    let detail = if over_variables { None } else { detail(output.expose()) };
    if assertions.is_empty() {
        let output = keeps_output(step, here).then(|| veiled.clone());
        return Attempted::Passed(Passed { captures, output, detail });
    }
    let status = output.expose().get("status").and_then(Json::as_u64).and_then(|status| u16::try_from(status).ok());
    let retry_after = retry_after(output.expose());
    if step.no_log {
        assertions.iter_mut().for_each(|assertion| assertion.actual = "(not shown: no_log)".into());
    }
    let mut failure = failure(FailureKind::Assertions, summary(&assertions, detail.as_deref()), step, here);
    failure.place = Some(assertions[0].place.clone());
    let excerpt = if over_variables || step.no_log { None } else { excerpt(&output, hidden) };
    failure.excerpt = excerpt.map(|text| here.facts().mask(&text));
    if matches!(step.work, Work::Exec(_)) && here.hands().confinement.files && exec::smells_of_refusal(output.expose())
    {
        failure.help.push(CONFINED.into());
    }
    failure.assertions = assertions.into_iter().map(|assertion| mask_assertion(assertion, here)).collect();
    Attempted::Failed(Missed {
        failure,
        captures,
        status,
        retry_after,
        surely_not: !follows(step) && (status == Some(429) || (status == Some(503) && retry_after.is_some())),
    })
}

/// Without an assertion on status or exit code, 2xx or exit 0 is expected.
fn implied(step: &Step, output: &Value) -> Option<FailedAssertion> {
    let (field, key) = match &step.work {
        Work::Http(_) => (Field::Status, "status"),
        Work::Exec(_) => (Field::ExitCode, "exit_code"),
        _ => return None,
    };
    let said = step.expect.iter().any(|assertion| match &assertion.claim {
        Claim::Compare { field: own, .. } => *own == field,
        Claim::Query { subject: Subject::Jq(query), .. } => query.text().contains(&format!("$out.{key}")),
        _ => false,
    });
    if said {
        return None;
    }
    let actual = output.expose().get(key).and_then(Json::as_i64);
    let (holds, expected) = match field {
        Field::Status => (actual.is_some_and(|status| (200..300).contains(&status)), "a status of 2xx"),
        _ => (actual == Some(0), "exit code 0"),
    };
    if holds {
        return None;
    }
    Some(FailedAssertion {
        place: step.place.clone(),
        text: format!("{expected} (what a step expects that says nothing else)"),
        expected: expected.into(),
        actual: detail(output.expose()).unwrap_or_else(|| "nothing".into()),
        message: None,
    })
}

/// Whether some later step reads the whole output.
fn keeps_output(step: &Step, here: &Here<'_>) -> bool {
    step.keeps_output || here.plan.reads_any_output
}

/// What the whole output counts as: secret where a capture takes a secret from it or `no_log` says so, whether or not
/// the secret was found.
pub fn veil(step: &Step) -> Taint {
    let mut veil = Taint::default();
    for capture in &step.capture {
        if let Some(mark) = &capture.secret {
            veil.add(&Taint::of(Arc::new(Origin { name: capture.name.clone(), to: mark.to.clone() })));
        }
    }
    if step.no_log {
        veil.add(&Taint::of(Arc::new(Origin { name: format!("output of {}", step.id), to: None })));
    }
    veil
}

fn summary(assertions: &[FailedAssertion], detail: Option<&str>) -> String {
    let first = &assertions[0];
    let mut text = match &first.message {
        Some(message) => message.clone(),
        None => format!("{}: expected {}, got {}", first.text, first.expected, first.actual),
    };
    if assertions.len() > 1 {
        text.push_str(&format!(" (and {} more)", assertions.len() - 1));
    }
    match detail {
        Some(detail) if first.message.is_some() => format!("{text} [{detail}]"),
        _ => text,
    }
}

fn mask_assertion(mut assertion: FailedAssertion, here: &Here<'_>) -> FailedAssertion {
    for text in [&mut assertion.text, &mut assertion.expected, &mut assertion.actual] {
        *text = here.facts().mask(text);
    }
    assertion.message = assertion.message.map(|message| here.facts().mask(&message));
    assertion
}

/// What an answer said, for a person who has to find out why: masked by the caller.
fn excerpt(output: &Value, hidden: bool) -> Option<String> {
    if hidden {
        let json = output.expose().get("json").filter(|json| !json.is_null());
        return json
            .map(|json| format!("the answer is not shown, since it may hold a secret; its shape: {}", shape_of(json)));
    }
    let shown = output.shown();
    let mut parts = Vec::new();
    for key in ["body", "stdout", "stderr"] {
        let text = shown.get(key).and_then(Json::as_str).unwrap_or_default().trim();
        if !text.is_empty() {
            let cut: String = text.chars().take(LONGEST_EXCERPT).collect();
            let more = if cut.len() < text.len() { " …" } else { "" };
            parts.push(format!("{key}: {cut}{more}"));
        }
    }
    (!parts.is_empty()).then(|| parts.join("\n"))
}

fn retry_after(output: &Json) -> Option<Duration> {
    let text = output.get("headers")?.get("retry-after")?.as_str()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

fn missed(step: &Step, trouble: Trouble, here: &Here<'_>) -> Attempted {
    let mut surely_not = true;
    let (kind, message, help) = match trouble {
        Trouble::Render(error) => (error.kind(), error.to_string(), None),
        Trouble::Paging(message) => (FailureKind::Evaluation, message, None),
        Trouble::Action(error) => {
            let message = error.to_string();
            let (kind, sent, help) = match error {
                ActionError::Refused { help, .. } => (FailureKind::Refused, Sent::No, help),
                ActionError::Transport { sent, .. } => (FailureKind::Transport, sent, None),
                ActionError::Timeout { sent, .. } => (FailureKind::Timeout, sent, None),
                ActionError::Failed { sent, .. } => (FailureKind::Action, sent, None),
                ActionError::Interrupted { sent } => (FailureKind::Interrupted, sent, None),
            };
            // Where it led may be refused; what led there was sent.
            surely_not = sent == Sent::No && !(kind == FailureKind::Refused && follows(step));
            (kind, message, help)
        }
    };
    let mut failure = failure(kind, message, step, here);
    failure.help.extend(help);
    let missed = Missed { failure, captures: Vec::new(), status: None, retry_after: None, surely_not };
    let performs = matches!(step.work, Work::Http(_) | Work::Exec(_));
    if step.effect == Effect::Once && performs && !surely_not {
        Attempted::Unknown(missed)
    } else {
        Attempted::Failed(missed)
    }
}

/// Whether what is answered may come from where the first answer led to.
fn follows(step: &Step) -> bool {
    matches!(&step.work, Work::Http(http) if step.effect != Effect::Read && http.redirects.is_some_and(|most| most > 0))
}

fn failed(failure: Failure) -> Attempted {
    Attempted::Failed(Missed::unsent(failure))
}

/// A failure of a step, masked.
pub fn failure(kind: FailureKind, message: String, step: &Step, here: &Here<'_>) -> Failure {
    Failure {
        kind,
        message: here.facts().mask(&message),
        assertions: Vec::new(),
        place: Some(step.place.clone()),
        excerpt: None,
        help: Vec::new(),
    }
}

/// A step's name for people. Around a loop its item is not known, so only what stands before the first tag is told:
/// `Set on Heroku` of `Set on Heroku: {{ app }}`.
pub fn title(step: &Step, names: &dyn Names) -> String {
    let Some(name) = &step.name else { return step.id.to_string() };
    if let Ok(shown) = name.render_shown(names) {
        return shown;
    }
    match name.literal_prefix().unwrap_or_default().trim_end_matches([' ', ':', '(', ',', '-', '–']) {
        "" => step.id.to_string(),
        prefix => prefix.to_string(),
    }
}
