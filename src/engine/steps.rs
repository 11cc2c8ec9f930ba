//! Owns the loop over steps: conditions, iterations, retries, modules, what runs after a failure.
//! Deliberately knows nothing of how an action is performed (`attempt`) or who is told (`Sink`).

use super::ask;
use super::attempt::{attempt, evaluate, failure, title};
use super::ledger::{Attempted, Missed, Passed, Policy, Recorded, Stop};
use super::retry;
use super::scope::{RunFacts, Scope};
use super::{Engine, render};
use crate::action::{Cancel, Hands};
use crate::event::{Failure, FailureKind, RunEvent, Section, StepFinished, StepKey, StepOutcome, StepStarted};
use crate::plan::permissions::Grant;
use crate::plan::{OnUnknown, Plan, Step, Work, inputs};
use crate::playbook::document::{Effect, InputType};
use crate::secret::Origin;
use crate::value::{Names, Value};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Where we are in a run: which file, whose permissions count, how deep.
#[derive(Clone)]
pub struct Place<'a> {
    pub engine: &'a Engine<'a>,
    pub facts: &'a RunFacts,
    pub plan: &'a Plan,
    pub grant: Grant,
    pub key: StepKey,
    pub depth: usize,
    /// Steps of the file that was asked for, whose ids `intervals` and `--until` name.
    pub outermost: bool,
    /// What tells actions to stop at once.
    pub cancel: Cancel,
    /// A step around this one carries a wanted tag, so that all within it is wanted.
    pub tagged: bool,
}

impl<'a> Place<'a> {
    pub fn folder(&self) -> &Path {
        self.plan.source.folder()
    }

    pub fn hands(&self) -> &'a Hands {
        &self.engine.hands
    }

    pub fn facts(&self) -> &'a RunFacts {
        self.facts
    }

    fn within(&self, key: StepKey) -> Place<'a> {
        Place { key, depth: self.depth + 1, ..self.clone() }
    }
}

/// Why a list of steps ended before its last.
#[derive(Clone, Debug)]
pub enum Halt {
    /// A step failed; what it was is told already.
    Failed(StepKey, Failure),
    /// A `once` step's outcome is unknown and nobody said what to do.
    Unknown(Failure),
    /// A person is needed and there is none.
    Waiting(StepKey, Failure),
    Interrupted,
    /// The last wanted step (`--until`) was reached.
    Reached,
    /// The ledger cannot go on; nothing more may be decided.
    Lost(String),
}

type Walk<'b> = Pin<Box<dyn Future<Output = Result<(), Halt>> + 'b>>;

/// Runs steps in order; the first that fails ends the list.
pub fn run_steps<'b>(steps: &'b [Step], scope: &'b Scope<'b>, here: &'b Place<'b>) -> Walk<'b> {
    Box::pin(async move {
        for step in steps {
            if here.engine.interrupted() && !here.engine.winding_up() {
                return Err(Halt::Interrupted);
            }
            run_step(step, scope, here).await?;
            if here.outermost && here.engine.options.until.as_deref() == Some(&*step.id.0) {
                return Err(Halt::Reached);
            }
        }
        Ok(())
    })
}

async fn run_step(step: &Step, scope: &Scope<'_>, here: &Place<'_>) -> Result<(), Halt> {
    if !wanted(step, here) {
        let key = here.key.step(&step.id);
        skip(step, key, scope, here, "not tagged as wanted".into());
        return Ok(());
    }
    let key = here.key.step(&step.id);
    let tagged = here.tagged || has_wanted_tag(step, here);
    match &step.each {
        None => run_once(step, scope, &Place { key, tagged, ..here.clone() }).await,
        Some(_) => run_each(step, scope, &Place { key, tagged, ..here.clone() }).await,
    }
}

/// With `--tags`, a step is wanted when it, a step around it or a step within it carries one of them.
fn wanted(step: &Step, here: &Place<'_>) -> bool {
    if here.engine.options.tags.is_empty() || here.tagged || !here.outermost || here.engine.winding_up() {
        return true;
    }
    fn within(step: &Step, tags: &[String]) -> bool {
        step.tags.iter().any(|tag| tags.contains(tag))
            || match &step.work {
                Work::Group(steps) | Work::Parallel { steps, .. } => steps.iter().any(|step| within(step, tags)),
                _ => false,
            }
    }
    within(step, &here.engine.options.tags)
}

fn has_wanted_tag(step: &Step, here: &Place<'_>) -> bool {
    step.tags.iter().any(|tag| here.engine.options.tags.contains(tag))
}

async fn run_each(step: &Step, scope: &Scope<'_>, here: &Place<'_>) -> Result<(), Halt> {
    let Some(each) = &step.each else { return Ok(()) };
    let started = Instant::now();
    let heading = here.facts.mask(&title(step, scope));
    let list = match evaluate(&each.over, scope) {
        Ok(list) => list,
        Err(message) => {
            if let Some(reason) = here.engine.excuse(&message) {
                here.engine.unborn(step);
                skip(step, here.key.clone(), scope, here, reason);
                return Ok(());
            }
            let message = format!("the list to loop over cannot be had: {message}");
            return report_failure(step, heading, failure(FailureKind::Evaluation, message, step, here), started, here);
        }
    };
    let Some(count) = list.expose().as_array().map(Vec::len) else {
        let message = format!("`for_each` wants a list, and this is {}", crate::value::shape_of(list.expose()));
        return report_failure(step, heading, failure(FailureKind::Evaluation, message, step, here), started, here);
    };
    if count == 0 {
        skip(step, here.key.clone(), scope, here, "there is nothing to loop over".into());
        gather(step, Vec::new(), scope, here);
        return Ok(());
    }
    begin(&here.key, &heading, step, here, true);
    let mut iterations = Vec::new();
    let mut ended = Ok(());
    for (index, item) in list.items().into_iter().enumerate() {
        if here.engine.interrupted() && !here.engine.winding_up() {
            ended = Err(Halt::Interrupted);
            break;
        }
        let inner = Scope::iteration(scope);
        inner.define(&each.name, item);
        ended = run_once(step, &inner, &here.within(here.key.iteration(index))).await;
        let mut own = inner.own();
        own.remove(&each.name);
        iterations.push(own);
        if ended.is_err() {
            break;
        }
    }
    gather(step, iterations, scope, here);
    let outcome = match &ended {
        Ok(()) => StepOutcome::Passed,
        Err(halt) => outcome_of(halt),
    };
    let detail = Some(format!("{count} {}", if count == 1 { "iteration" } else { "iterations" }));
    finish(&here.key, heading, outcome, 1, started.elapsed(), detail, Vec::new(), here, true);
    ended
}

/// After a loop each name that was captured in it is the list of its values; null where an iteration had none.
fn gather(step: &Step, iterations: Vec<BTreeMap<String, Value>>, scope: &Scope<'_>, here: &Place<'_>) {
    let mut names: Vec<String> = names_in(step);
    for own in &iterations {
        names.extend(own.keys().cloned());
    }
    names.sort();
    names.dedup();
    for name in names.into_iter().filter(|name| !here.engine.is_unborn(name)) {
        let values = iterations.iter().map(|own| own.get(&name).cloned().unwrap_or_else(Value::null));
        scope.define(&name, Value::list(values));
    }
}

/// Every name that a step and the steps within it capture.
pub fn names_in(step: &Step) -> Vec<String> {
    let mut names: Vec<String> = step.capture.iter().map(|capture| capture.name.clone()).collect();
    match &step.work {
        Work::Set(settings) => names.extend(settings.iter().map(|(name, _)| name.clone())),
        Work::Group(steps) | Work::Parallel { steps, .. } => {
            steps.iter().for_each(|step| names.extend(names_in(step)));
        }
        _ => {}
    }
    names
}

fn skip(step: &Step, key: StepKey, scope: &Scope<'_>, here: &Place<'_>, reason: String) {
    here.engine.count_skipped();
    let title = here.facts.mask(&title(step, scope));
    here.engine.emit(RunEvent::StepSkipped { key, title, depth: here.depth, reason });
}

/// A step once: its condition, its action with retries, what runs when it failed.
async fn run_once(step: &Step, scope: &Scope<'_>, here: &Place<'_>) -> Result<(), Halt> {
    let started = Instant::now();
    scope.step_begins(crate::plan::duration::show_time(here.engine.ledger.now(&here.key)));
    if let Some(when) = &step.when {
        match when.holds(scope) {
            Ok(true) => {}
            Ok(false) => {
                skip(step, here.key.clone(), scope, here, format!("when: {}", when.text()));
                return Ok(());
            }
            Err(error) => {
                if let Some(reason) = here.engine.excuse(&error.to_string()) {
                    here.engine.unborn(step);
                    skip(step, here.key.clone(), scope, here, reason);
                    return Ok(());
                }
                let heading = here.facts.mask(&title(step, scope));
                let message = format!("`when` cannot be evaluated: {error}");
                let failure = failure(FailureKind::Evaluation, message, step, here);
                return report_failure(step, heading, failure, started, here);
            }
        }
    }
    let heading = here.facts.mask(&title(step, scope));
    let composite = matches!(step.work, Work::Use { .. } | Work::Group(_) | Work::Parallel { .. });
    begin(&here.key, &heading, step, here, composite);
    if here.outermost {
        here.engine.mark_start(&step.id);
    }
    let (ended, attempts) = with_timeout(step, scope, here).await;
    let took = started.elapsed();
    match ended {
        Ok(passed) => {
            for (name, value) in &passed.captures {
                scope.define(name, value.clone());
            }
            if let Some(output) = passed.output.filter(|_| step.keeps_output || here.plan.reads_any_output) {
                scope.keep_output(&step.id.0, output);
            }
            let rendered_only = here.engine.options.dry_run && sends(step) && step.effect != Effect::Read;
            if sends(step) && step.effect != Effect::Read && !rendered_only {
                here.engine.note_change(&heading, &here.key);
            }
            let shown = if step.no_log || !captures_shown(step) {
                Vec::new()
            } else {
                passed.captures.iter().map(|(name, value)| (name.clone(), masked(value.shown(), here))).collect()
            };
            let outcome = if rendered_only { StepOutcome::Rendered } else { StepOutcome::Passed };
            finish(&here.key, heading, outcome, attempts, took, passed.detail, shown, here, composite);
            if here.outermost {
                here.engine.mark_end(&step.id);
            }
            Ok(())
        }
        Err(halt) => {
            let outcome = outcome_of(&halt);
            finish(&here.key, heading, outcome, attempts, took, None, Vec::new(), here, composite);
            after_failure(step, scope, here, halt).await
        }
    }
}

fn captures_shown(step: &Step) -> bool {
    !matches!(step.work, Work::Use { .. } | Work::Group(_) | Work::Parallel { .. })
}

fn masked(json: Json, here: &Place<'_>) -> Json {
    match json {
        Json::String(text) => Json::String(here.facts.mask(&text)),
        Json::Array(items) => Json::Array(items.into_iter().map(|item| masked(item, here)).collect()),
        Json::Object(map) => {
            Json::Object(map.into_iter().map(|(key, value)| (here.facts.mask(&key), masked(value, here))).collect())
        }
        other => other,
    }
}

async fn after_failure(step: &Step, scope: &Scope<'_>, here: &Place<'_>, halt: Halt) -> Result<(), Halt> {
    let (Halt::Failed(_, failure) | Halt::Unknown(failure)) = &halt else { return Err(halt) };
    here.engine.note_failure(&here.key, failure, step);
    if here.facts.failure.borrow().is_none() {
        *here.facts.failure.borrow_mut() = Some((step.id.to_string(), failure.message.clone()));
    }
    if !step.on_failure.is_empty() {
        let inner = here.within(here.key.clone());
        if let Err(Halt::Lost(reason)) = run_steps(&step.on_failure, scope, &inner).await {
            return Err(Halt::Lost(reason));
        }
    }
    if step.continue_on_failure && matches!(halt, Halt::Failed(..)) {
        here.engine.forgive(&here.key);
        *here.facts.failure.borrow_mut() = None;
        return Ok(());
    }
    Err(halt)
}

fn report_failure(
    step: &Step,
    heading: String,
    failure: Failure,
    started: Instant,
    here: &Place<'_>,
) -> Result<(), Halt> {
    begin(&here.key, &heading, step, here, false);
    let outcome = StepOutcome::Failed(failure.clone());
    finish(&here.key, heading, outcome, 1, started.elapsed(), None, Vec::new(), here, false);
    here.engine.note_failure(&here.key, &failure, step);
    if here.facts.failure.borrow().is_none() {
        *here.facts.failure.borrow_mut() = Some((step.id.to_string(), failure.message.clone()));
    }
    if step.continue_on_failure {
        here.engine.forgive(&here.key);
        return Ok(());
    }
    Err(Halt::Failed(here.key.clone(), failure))
}

fn begin(key: &StepKey, heading: &str, step: &Step, here: &Place<'_>, composite: bool) {
    here.engine.emit(RunEvent::StepStarted(StepStarted {
        key: key.clone(),
        title: here.facts.mask(heading),
        action: step.work.word(),
        depth: here.depth,
        composite,
    }));
}

#[allow(clippy::too_many_arguments)]
fn finish(
    key: &StepKey,
    title: String,
    outcome: StepOutcome,
    attempts: u32,
    duration: Duration,
    detail: Option<String>,
    captures: Vec<(String, Json)>,
    here: &Place<'_>,
    composite: bool,
) {
    here.engine.count(&outcome, composite);
    let title = here.facts.mask(&title);
    here.engine.emit(RunEvent::StepFinished(StepFinished {
        key: key.clone(),
        title,
        depth: here.depth,
        composite,
        outcome,
        attempts,
        duration,
        detail,
        captures,
    }));
}

fn outcome_of(halt: &Halt) -> StepOutcome {
    match halt {
        Halt::Failed(_, failure) | Halt::Waiting(_, failure) => StepOutcome::Failed(failure.clone()),
        Halt::Unknown(failure) => StepOutcome::Unknown(failure.clone()),
        Halt::Reached => StepOutcome::Passed,
        Halt::Interrupted => StepOutcome::Failed(plain(FailureKind::Interrupted, "interrupted".into())),
        Halt::Lost(reason) => StepOutcome::Failed(plain(FailureKind::Action, reason.clone())),
    }
}

fn plain(kind: FailureKind, message: String) -> Failure {
    Failure { kind, message, assertions: Vec::new(), place: None, excerpt: None, help: Vec::new() }
}

/// Whether the step does something to the outside.
pub fn sends(step: &Step) -> bool {
    matches!(step.work, Work::Http(_) | Work::Exec(_))
}

/// The step's work under its `timeout`, which covers all its attempts.
async fn with_timeout(step: &Step, scope: &Scope<'_>, here: &Place<'_>) -> (Result<Passed, Halt>, u32) {
    let Some(limit) = step.timeout else { return work(step, scope, here).await };
    // Its own signal, so that an action ends its processes in good order rather than being dropped.
    let (stop, stopped) = watch::channel(false);
    let inner = Place { cancel: Cancel(stopped), ..here.clone() };
    let work = work(step, scope, &inner);
    tokio::pin!(work);
    let timed_out = tokio::select! {
        ended = &mut work => return ended,
        () = tokio::time::sleep(limit) => true,
        () = here.cancel.cancelled() => false,
    };
    let _ = stop.send(true);
    let (ended, attempts) = work.await;
    match ended {
        Err(Halt::Interrupted | Halt::Failed(..)) if timed_out => {
            let message = format!("not done within its timeout of {}", crate::plan::duration::show(limit));
            let failure = failure(FailureKind::Timeout, message, step, here);
            (Err(Halt::Failed(here.key.clone(), failure)), attempts)
        }
        ended => (ended, attempts),
    }
}

fn work<'b>(
    step: &'b Step,
    scope: &'b Scope<'b>,
    here: &'b Place<'b>,
) -> Pin<Box<dyn Future<Output = (Result<Passed, Halt>, u32)> + 'b>> {
    Box::pin(async move {
        let Some(retry) = &step.retry else { return (try_once(step, scope, here, 1).await, 1) };
        let started = Instant::now();
        let mut attempt = 1;
        loop {
            let outcome = try_step(step, scope, here, attempt).await;
            let attempted = match outcome {
                Ok(attempted) => attempted,
                Err(halt) => return (Err(halt), attempt),
            };
            let key = here.key.attempt(attempt);
            let chance = here.engine.ledger.chance(&key);
            let delay = retry::next(retry, step.effect, &attempted, attempt, started.elapsed(), chance);
            let (Some(delay), Attempted::Failed(missed)) = (delay, &attempted) else {
                return (conclude(step, scope, here, attempted, attempt).await, attempt);
            };
            let reason = if step.no_log { "the attempt failed".to_string() } else { missed.failure.message.clone() };
            here.engine.emit(RunEvent::AttemptFailed {
                key: here.key.clone(),
                attempt,
                attempts: retry.attempts,
                reason,
                retry_in: delay,
            });
            if let Err(halt) = here.engine.pause(&key, delay, &here.cancel).await {
                return (Err(halt), attempt);
            }
            here.engine.forget_failures(&here.key);
            if here.engine.no_failures() {
                here.facts.failure.borrow_mut().take();
            }
            attempt += 1;
        }
    })
}

async fn try_once(step: &Step, scope: &Scope<'_>, here: &Place<'_>, attempt: u32) -> Result<Passed, Halt> {
    let attempted = try_step(step, scope, here, attempt).await?;
    conclude(step, scope, here, attempted, attempt).await
}

async fn try_step(step: &Step, scope: &Scope<'_>, here: &Place<'_>, number: u32) -> Result<Attempted, Halt> {
    Ok(super::dry::excuse(perform(step, scope, here, number).await?, step, here))
}

/// One attempt of whatever the step does. A composite's failing step counts as its own failed attempt.
async fn perform(step: &Step, scope: &Scope<'_>, here: &Place<'_>, number: u32) -> Result<Attempted, Halt> {
    let inner = |key: &StepKey| here.within(key.clone());
    match &step.work {
        Work::Group(steps) => {
            let place = inner(&here.key);
            composite(step, run_steps(steps, scope, &place).await, scope, here)
        }
        Work::Parallel { steps, .. } => {
            let place = inner(&here.key);
            composite(step, run_all(steps, scope, &place).await, scope, here)
        }
        Work::Use { plan, with } => {
            let mut given = Vec::new();
            for (name, template) in with {
                match template.render(scope) {
                    Ok(value) => given.push((name.clone(), value)),
                    Err(error) => {
                        return Ok(not_done(step, here, format!("`{name}` cannot be rendered: {error}")));
                    }
                }
            }
            run_module(step, plan, given, scope, here).await
        }
        Work::Confirm { .. } | Work::Manual { .. } => ask::put(step, scope, here).await,
        Work::Wait(template) => {
            let delay = match render::duration_of(template, scope) {
                Ok(delay) => delay,
                Err(error) => return Ok(not_done(step, here, error.to_string())),
            };
            here.engine.pause(&here.key, delay, &here.cancel).await?;
            let output = Value::plain(serde_json::json!({"duration_ms": delay.as_millis() as u64}));
            Ok(super::attempt::judged(step, output, delay, scope, here))
        }
        Work::Http(_) | Work::Exec(_) | Work::Assert | Work::Set(_) => {
            if here.engine.options.dry_run && sends(step) && step.effect != Effect::Read {
                return Ok(super::dry::rehearse(step, scope, here));
            }
            let key = here.key.attempt(number);
            let policy = if step.effect == Effect::Once && sends(step) { Policy::Once } else { Policy::Repeatable };
            let effect = Box::new(|| -> Pin<Box<dyn Future<Output = Attempted> + '_>> {
                Box::pin(attempt(step, scope, here, &here.cancel))
            });
            match here.engine.ledger.effect(&key, policy, effect).await {
                Ok(Recorded { attempted, .. }) => Ok(attempted),
                Err(Stop::Interrupted) => Err(Halt::Interrupted),
                Err(Stop::InDoubt(key)) => {
                    let failure = plain(FailureKind::Action, format!("nobody knows whether `{key}` took effect"));
                    Ok(Attempted::Unknown(Missed {
                        failure,
                        secrets: Vec::new(),
                        status: None,
                        retry_after: None,
                        surely_not: false,
                    }))
                }
                Err(Stop::Lost(reason)) => Err(Halt::Lost(reason)),
            }
        }
    }
}

fn not_done(step: &Step, here: &Place<'_>, message: String) -> Attempted {
    let failure = failure(FailureKind::Evaluation, message, step, here);
    let missed = Missed { failure, secrets: Vec::new(), status: None, retry_after: None, surely_not: true };
    Attempted::Failed(missed)
}

/// All of them, whatever becomes of the others; fails when one failed, after the rest have ended.
async fn run_all(steps: &[Step], scope: &Scope<'_>, here: &Place<'_>) -> Result<(), Halt> {
    let mut first = Ok(());
    for step in steps {
        if here.engine.interrupted() && !here.engine.winding_up() {
            return Err(Halt::Interrupted);
        }
        match run_step(step, scope, here).await {
            Ok(()) => {}
            Err(halt @ (Halt::Failed(..) | Halt::Unknown(..) | Halt::Waiting(..))) => {
                if first.is_ok() {
                    first = Err(halt);
                }
            }
            Err(halt) => return Err(halt),
        }
    }
    first
}

fn composite(step: &Step, ended: Result<(), Halt>, scope: &Scope<'_>, here: &Place<'_>) -> Result<Attempted, Halt> {
    match ended {
        Ok(()) => {
            let output = Value::plain(Json::Object(serde_json::Map::new()));
            Ok(super::attempt::judged(step, output, Duration::ZERO, scope, here))
        }
        Err(Halt::Failed(key, inner)) => Ok(inner_failed(step, here, &key, inner)),
        Err(halt) => Err(halt),
    }
}

fn inner_failed(step: &Step, here: &Place<'_>, key: &StepKey, inner: Failure) -> Attempted {
    let kind = match inner.kind {
        // A refusal stays one, however deep, for the exit code.
        FailureKind::Refused | FailureKind::Declined => inner.kind,
        _ => FailureKind::Inner,
    };
    let mut own = failure(kind, format!("`{key}` failed: {}", inner.message), step, here);
    own.place = inner.place.or(own.place);
    // A failing step within is a failed assertion of the group to its `retry`.
    Attempted::Failed(Missed { failure: own, secrets: Vec::new(), status: None, retry_after: None, surely_not: true })
}

async fn run_module(
    step: &Step,
    plan: &Arc<Plan>,
    given: Vec<(String, Value)>,
    scope: &Scope<'_>,
    here: &Place<'_>,
) -> Result<Attempted, Halt> {
    let mut grant = here.grant.clone();
    grant.0.push(plan.permissions.clone());
    let mut place = Place { plan, grant, outermost: false, ..here.within(here.key.clone()) };
    let inner = Scope::file(here.facts);
    for input in &plan.inputs {
        let value = match given.iter().find(|(name, _)| *name == input.name) {
            Some((_, value)) => value.clone(),
            None => Value::plain(input.fixed.clone().or_else(|| input.default.clone()).unwrap_or(Json::Null)),
        };
        let optional = input.default.as_ref().is_some_and(Json::is_null);
        if !(value.is_null() && optional)
            && let Err(fault) = inputs::judge(input, value.expose())
        {
            let fault =
                if value.is_secret() { "it does not have the shape that the module wants".to_string() } else { fault };
            return Ok(not_done(step, here, format!("input `{}` of `{}`: {fault}", input.name, plan.name)));
        }
        let value = if input.kind == InputType::Secret {
            let origin = Arc::new(Origin { name: input.name.clone(), to: input.to.clone() });
            value.tainted(&crate::secret::Taint::of(origin))
        } else {
            value
        };
        if input.kind == InputType::File
            && let Json::String(path) = value.expose()
        {
            place.grant = place.grant.with_readable(Path::new(path));
        }
        inner.define(&input.name, value);
    }
    for (name, setting) in &plan.vars {
        match evaluate(setting, &inner) {
            Ok(value) => inner.define(name, value),
            Err(message) => return Ok(not_done(step, here, format!("var `{name}` of `{}`: {message}", plan.name))),
        }
    }
    match run_sections(plan, &inner, &place).await {
        Ok(()) => {}
        Err(Halt::Failed(key, failure)) => return Ok(inner_failed(step, here, &key, failure)),
        Err(halt) => return Err(halt),
    }
    let mut outputs = Vec::new();
    for (name, setting) in &plan.outputs {
        match evaluate(setting, &inner) {
            Ok(value) if value.is_secret() => {
                let message = format!("output `{name}` of `{}` would hold a secret", plan.name);
                let failure = failure(FailureKind::Refused, message, step, here);
                return Ok(Attempted::Failed(Missed {
                    failure,
                    secrets: Vec::new(),
                    status: None,
                    retry_after: None,
                    surely_not: true,
                }));
            }
            Ok(value) => outputs.push((name.clone(), value)),
            Err(error) => return Ok(not_done(step, here, format!("output `{name}` of `{}`: {error}", plan.name))),
        }
    }
    Ok(super::attempt::judged(step, Value::object(outputs), Duration::ZERO, scope, here))
}

/// A file's `steps`, its `on_failure` when they failed, its `finally` always.
pub async fn run_sections(plan: &Plan, scope: &Scope<'_>, here: &Place<'_>) -> Result<(), Halt> {
    let tell = |section: Section, steps: &[Step]| {
        if here.outermost && !steps.is_empty() {
            here.engine.emit(RunEvent::SectionStarted(section));
        }
    };
    let mut ended = run_steps(&plan.steps, scope, here).await;
    if let Err(Halt::Lost(_)) = &ended {
        return ended;
    }
    if matches!(ended, Err(Halt::Failed(..) | Halt::Unknown(..))) && !plan.on_failure.is_empty() {
        tell(Section::OnFailure, &plan.on_failure);
        if let Err(Halt::Lost(reason)) = run_steps(&plan.on_failure, scope, here).await {
            return Err(Halt::Lost(reason));
        }
    }
    if !plan.finally.is_empty() {
        tell(Section::Finally, &plan.finally);
        let calm = here.engine.wind_up();
        let place = Place { cancel: here.engine.calm_cancel(), ..here.clone() };
        let last = run_steps(&plan.finally, scope, &place).await;
        drop(calm);
        match (&ended, last) {
            (_, Err(Halt::Lost(reason))) => return Err(Halt::Lost(reason)),
            (Ok(()), Err(halt)) => ended = Err(halt),
            _ => {}
        }
    }
    ended
}

/// What comes of the last attempt.
async fn conclude(
    step: &Step,
    scope: &Scope<'_>,
    here: &Place<'_>,
    attempted: Attempted,
    attempts: u32,
) -> Result<Passed, Halt> {
    match attempted {
        Attempted::Passed(passed) => Ok(passed),
        Attempted::Failed(missed) => Err(match missed.failure.kind {
            FailureKind::Interrupted => Halt::Interrupted,
            FailureKind::NeedsPerson => Halt::Waiting(here.key.clone(), missed.failure),
            _ => Halt::Failed(here.key.clone(), missed.failure),
        }),
        Attempted::Unknown(missed) => resolve_unknown(step, scope, here, missed, attempts).await,
    }
}

/// A `once` step was sent and its answer was lost: `on_unknown` decides.
async fn resolve_unknown(
    step: &Step,
    scope: &Scope<'_>,
    here: &Place<'_>,
    missed: Missed,
    attempts: u32,
) -> Result<Passed, Halt> {
    const MOST_RERUNS: u32 = 3;
    let mut failure = missed.failure;
    failure.message = format!("nobody knows whether it took effect: {}", failure.message);
    if here.engine.interrupted() && !here.engine.winding_up() {
        // Whoever interrupts a run wants nothing sent again; that the outcome is unknown is told with the rest.
        here.engine.note_failure(&here.key, &failure, step);
        return Err(Halt::Interrupted);
    }
    let rerun = |failure: Failure| async move {
        if attempts >= MOST_RERUNS {
            return Err(Halt::Unknown(failure));
        }
        here.engine.emit(RunEvent::AttemptFailed {
            key: here.key.clone(),
            attempt: attempts,
            attempts: MOST_RERUNS,
            reason: failure.message,
            retry_in: Duration::ZERO,
        });
        Box::pin(try_once(step, scope, here, attempts + 1)).await
    };
    match &step.on_unknown {
        OnUnknown::Rerun => rerun(failure).await,
        OnUnknown::Skip => {
            here.engine.warn(format!("`{}` may or may not have taken effect; `on_unknown: skip` goes on", here.key));
            Ok(Passed { detail: Some("outcome unknown, skipped".into()), ..Passed::default() })
        }
        OnUnknown::Fail => Err(Halt::Failed(here.key.clone(), failure)),
        OnUnknown::Ask => ask::unknown(step, here, failure, rerun).await,
        OnUnknown::Find(steps) => {
            let inner = Scope::iteration(scope);
            run_steps(steps, &inner, &here.within(here.key.clone())).await?;
            match inner.lookup("happened").map(|value| value.expose().clone()) {
                Some(Json::Bool(true)) if step.capture.is_empty() => {
                    Ok(Passed { detail: Some("had happened".into()), ..Passed::default() })
                }
                Some(Json::Bool(true)) if step.capture.iter().all(|capture| capture.secret.is_none()) => {
                    Ok(Passed { detail: Some("had happened; its answer is lost".into()), ..Passed::default() })
                }
                Some(Json::Bool(true)) => {
                    failure.message =
                        format!("it took effect, and the secret it answered is lost: {}", failure.message);
                    Err(Halt::Failed(here.key.clone(), failure))
                }
                Some(Json::Bool(false)) => rerun(failure).await,
                _ => {
                    failure.message = format!("`happened` is neither true nor false; {}", failure.message);
                    Err(Halt::Unknown(failure))
                }
            }
        }
    }
}
