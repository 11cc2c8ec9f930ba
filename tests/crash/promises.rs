//! Owns the judgement of a rotation, however often its processes were killed: by what the world saw and is at the end,
//! and by what each process had in its journal when it ended.
//!
//! A change is one thing that a step does to the world. Between two of the same change there must be a process that ended
//! with the step begun and its outcome not recorded, and only the last thing that a process asked of the world may stand
//! so; what was recorded is never done again. A `once` step that finds out
//! by looking (`on_unknown` with steps) is not even then done twice.

use crate::rehearsal::{FOLDER, Token, places_of};
use crate::story::{Ended, Played, Plot, Stands, Story};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// One change as the world saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// In which process of the story, from 0.
    pub process: usize,
    /// Number of the call; 0 for what a person does.
    pub n: u64,
    /// What, for people; the same text is the same change.
    pub what: String,
    /// The key of the step that does it, without attempt.
    pub step: String,
    pub once: Once,
    /// Whether the world took it.
    pub took_effect: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Once {
    /// `effect: idempotent`, or a person's work: done again when in flight.
    No,
    /// `on_unknown: rerun`.
    Rerun,
    /// `on_unknown` looks.
    Looks,
}

/// Every broken promise, as a sentence.
pub fn violations(story: &Story) -> Vec<String> {
    let mut broken = Vec::new();
    let changes = changes(story.plot, &story.before, &story.played);
    let after = &story.played.last().expect("something was played").state;
    ends_well(story.plot, &story.before, after, &mut broken);
    nothing_twice(story, &changes, &mut broken);
    everything_done(story.plot, &changes, &mut broken);
    audited(after, story, &mut broken);
    custody(story, &mut broken);
    broken
}

/// The value is live, everywhere it belongs and nowhere else; the old one is dead; nothing leaked or was touched besides.
fn ends_well(plot: &Plot, before: &Json, after: &Json, broken: &mut Vec<String>) {
    let token = plot.token;
    let (old, new) = (token.value(before), token.value(after));
    if old == new {
        broken.push(format!("{} was not rolled", token.name));
    }
    let (is, wanted) = (places_of(after, &new), token.places());
    broken.extend(wanted.iter().filter(|at| !is.contains(at)).map(|at| format!("the live value is not at {at}")));
    broken.extend(is.iter().filter(|at| !wanted.contains(at)).map(|at| format!("the live value is at {at} too")));
    let retired = after["tokens"][token.index]["retired"].as_array().unwrap();
    for dead in retired {
        let value = dead["value"].as_str().unwrap();
        broken.extend(places_of(after, value).iter().map(|at| format!("a dead value is at {at}")));
    }
    if !retired.iter().any(|dead| dead["value"] == json!(old) && dead["accepted_for"] == 0) {
        broken.push("the old value is not dead".into());
    }
    for index in (0..before["tokens"].as_array().unwrap().len()).filter(|index| *index != token.index) {
        if before["tokens"][index]["value"] != after["tokens"][index]["value"] {
            broken.push(format!("token {} was rolled too", before["tokens"][index]["name"]));
        }
    }
    let rolls = after["cloudflare"]["rolls"].as_array().unwrap();
    let by = if plot.by_dashboard() { "dashboard" } else { "api" };
    for roll in rolls {
        if roll["name"] != token.name || roll["by"] != by {
            broken.push(format!("rolled otherwise than asked: {roll}"));
        }
    }
    for leak in after["leaks"].as_array().unwrap() {
        broken.push(format!("the world saw a secret where it does not belong: {leak}"));
    }
}

fn nothing_twice(story: &Story, changes: &[Change], broken: &mut Vec<String>) {
    let mut by_what: BTreeMap<&str, Vec<&Change>> = BTreeMap::new();
    changes.iter().for_each(|change| by_what.entry(&change.what).or_default().push(change));
    for (what, all) in by_what {
        let step = &all[0].step;
        let stood = |process: usize| story.played[process].journal.stands(step);
        let took: Vec<_> = all.iter().filter(|change| change.took_effect).collect();
        let doubts = (0..story.played.len())
            .filter(|at| story.played[*at].ended != Ended::Exit(0) && stood(*at) == Stands::InDoubt)
            .count();
        let most = if all[0].once == Once::Looks { 1 } else { 1 + doubts };
        let tell = |why: &str| {
            let calls: Vec<String> = all.iter().map(|change| show(change)).collect();
            format!("{what} ({step}) {why}: {}\n{}", calls.join(", "), story.told())
        };
        if took.len() > most {
            broken.push(tell(&format!("took effect {} times, and was in doubt {doubts} times", took.len())));
        }
        if all[0].once == Once::Looks && all.len() > 1 {
            broken.push(tell("was sent again, although looking would have told"));
        }
        for change in &took {
            let at = change.process;
            if at > 0 && stood(at - 1) == Stands::Finished && took.iter().any(|former| former.process < at) {
                broken.push(tell("was done again, although it was recorded as done"));
            }
            let here = took.iter().filter(|other| other.process == at).count();
            // What was in flight when a process was killed may reach the world while the next one runs.
            let late = usize::from(at > 0 && stood(at - 1) == Stands::InDoubt);
            if here > 1 + late {
                broken.push(tell("was done twice by one process"));
            }
            // One step is done after the other: whoever asked something else of the world had the outcome recorded.
            let went_on = story.played[at].calls.iter().any(|call| call["n"].as_u64() > Some(change.n));
            if change.n > 0 && went_on && late == 0 && stood(at) == Stands::InDoubt {
                broken.push(tell("was not recorded as done when the run went on"));
            }
        }
    }
}

fn show(change: &Change) -> String {
    format!("process {}{}", change.process + 1, if change.took_effect { "" } else { " (refused)" })
}

fn everything_done(plot: &Plot, changes: &[Change], broken: &mut Vec<String>) {
    let mut wanted = vec![
        "audit entry secret.rotate.started".to_owned(),
        "audit entry secret.rotate.completed".to_owned(),
        "message to U0OPERATOR1".to_owned(),
        format!("roll of {}", plot.token.name),
    ];
    wanted.extend(plot.token.apps.iter().map(|app| format!("config of {app}")));
    for name in [plot.token.name, plot.token.legacy] {
        wanted.extend(plot.token.repository.map(|_| format!("GitHub secret {name}")));
    }
    for what in wanted {
        if !changes.iter().any(|change| change.what == what && change.took_effect) {
            broken.push(format!("never done: {what}"));
        }
    }
    let unknown = changes.iter().filter(|change| change.step.is_empty());
    broken.extend(unknown.map(|change| format!("a change that no step is known for: {}", change.what)));
}

/// One start, one end, failures only where it failed; all by one run.
fn audited(after: &Json, story: &Story, broken: &mut Vec<String>) {
    let audit = after["audit"].as_array().unwrap();
    let actions: Vec<_> = audit.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    if actions.first() != Some(&"secret.rotate.started") || actions.last() != Some(&"secret.rotate.completed") {
        broken.push(format!("the audit log is out of order: {actions:?}"));
    }
    let failures = actions.iter().filter(|action| action.ends_with(".failed")).count();
    // A run that ends with a question has not passed, and says so.
    let may_fail = story.plot.mend.is_some() || !story.questions.is_empty();
    if failures > if may_fail { story.played.len() } else { 0 } {
        broken.push(format!("the audit log has {failures} failures: {actions:?}\n{}", story.told()));
    }
    if story.plot.mend.is_some() && failures == 0 {
        broken.push("the run failed, and the audit log does not say so".into());
    }
    // A process that was killed before its first record was whole was another run, and changed nothing.
    if audit.iter().any(|entry| entry["context"]["run_id"] != audit[0]["context"]["run_id"]) {
        broken.push(format!("the audit log has entries of several runs: {audit:?}"));
    }
}

/// The run's key is there for as long as it is needed, and no longer.
fn custody(story: &Story, broken: &mut Vec<String>) {
    for (at, played) in story.played.iter().enumerate() {
        let rolled = !played.state["cloudflare"]["rolls"].as_array().unwrap().is_empty();
        match played.ended {
            Ended::Exit(0) if played.custody => broken.push("the run has passed, and its key is still there".into()),
            Ended::Exit(0) => {}
            // One that was killed when all was done may have thrown it away already.
            Ended::Killed if at + 1 < story.played.len() && all_served(story.plot.token, &played.state) => {}
            _ if rolled && !played.custody => {
                broken.push(format!("the run's key is gone after process {}\n{}", at + 1, story.told()));
            }
            _ => {}
        }
    }
}

fn all_served(token: &Token, state: &Json) -> bool {
    places_of(state, &token.value(state)) == token.places()
}

/// What the processes changed in the world, in order.
pub fn changes(plot: &Plot, before: &Json, played: &[Played]) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut rolls = before["cloudflare"]["rolls"].as_array().unwrap().len();
    for (process, played) in played.iter().enumerate() {
        let calls = played.calls.iter().filter_map(|call| change(plot.token, call));
        changes.extend(calls.map(|change| Change { process, ..change }));
        // What the person at the dashboard does is no call.
        let all = played.state["cloudflare"]["rolls"].as_array().unwrap();
        for roll in all.iter().skip(rolls).filter(|roll| roll["by"] == "dashboard") {
            changes.push(Change {
                process,
                n: 0,
                what: format!("roll of {}", roll["name"].as_str().unwrap()),
                step: "roll/dashboard/roll-in-dashboard".into(),
                once: Once::No,
                took_effect: true,
            });
        }
        rolls = all.len();
    }
    changes
}

/// The change that a call is, if it is one.
fn change(token: &Token, call: &Json) -> Option<Change> {
    let text = |name: &str| call[name].as_str().unwrap_or_default();
    let yes = call["status"].as_u64().is_some_and(|status| (200..300).contains(&status));
    let of = |what: String, step: String, once: Once, took_effect: bool| {
        Some(Change { process: 0, n: call["n"].as_u64().unwrap_or(0), what, step, once, took_effect })
    };
    let place = |list: &[&str], name: &str| list.iter().position(|own| *own == name);
    let names = [token.name, token.legacy];
    if !text("program").is_empty() {
        let argv: Vec<&str> = call["argv"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
        let took = call["exit_code"] == 0;
        let after = |flag: &str| argv.iter().skip_while(|word| **word != flag).nth(1).copied().unwrap_or_default();
        return match (argv[0], argv.get(1..3)?) {
            ("gh", ["secret", "set"]) => {
                let index = place(&names, argv[3])?;
                let step = format!("distribute/set-on-github[{index}]/secret-set");
                of(format!("GitHub secret {}", argv[3]), step, Once::No, took)
            }
            ("infisical", ["secrets", "set"]) => {
                let index = place(token.projects, after("--projectId"))?;
                let step = format!("distribute/store-in-infisical-by-cli[{index}]/secrets-set");
                of(format!("secrets in {}", after("--projectId")), step, Once::No, took)
            }
            _ => of(argv.join(" "), String::new(), Once::No, took),
        };
    }
    let (method, path) = (text("method"), text("path"));
    if method == "GET" {
        return None;
    }
    match (method, text("host")) {
        ("PUT", "api.cloudflare.com") if path.ends_with("/value") => {
            of(format!("roll of {}", token.name), "roll/roll-by-api".into(), Once::Rerun, yes)
        }
        ("POST" | "PATCH", "app.infisical.com") => {
            let name = path.rsplit('/').next().unwrap_or_default();
            let project = call["json"]["projectId"].as_str().unwrap_or_default();
            let at = place(token.projects, project).zip(place(&names, name));
            let ours = call["json"]["secretPath"] == FOLDER && call["json"]["environment"] == "prod";
            let (Some((project_at, name_at)), true) = (at, ours) else {
                return of(format!("{method} {path} in {project}"), String::new(), Once::No, yes);
            };
            let each = format!("distribute/store-in-infisical[{}]", project_at * names.len() + name_at);
            match method {
                "POST" => of(format!("creation of {name} in {project}"), format!("{each}/create"), Once::Looks, yes),
                _ => of(format!("update of {name} in {project}"), format!("{each}/update"), Once::No, yes),
            }
        }
        ("PATCH", "api.heroku.com") if path.ends_with("/config-vars") => {
            let app = path.split('/').nth(2).unwrap_or_default();
            let step = place(token.apps, app).map(|index| format!("distribute/set-on-heroku[{index}]/config-set"));
            of(format!("config of {app}"), step.unwrap_or_default(), Once::No, yes)
        }
        ("POST", "slack.com") => {
            let to = call["json"]["channel"].as_str().unwrap_or_default();
            of(format!("message to {to}"), "tell-operators/post".into(), Once::Rerun, yes)
        }
        ("POST", "console.raxx.app") => {
            let action = call["json"]["action"].as_str().unwrap_or_default();
            let end = action.rsplit('.').next().unwrap_or_default();
            // A failed run that is resumed and fails again says so again.
            let what = match end {
                "failed" => format!("audit entry {action} number {}", call["n"]),
                _ => format!("audit entry {action}"),
            };
            of(what, format!("audit-{end}/callback"), Once::No, yes)
        }
        (method, host) => of(format!("{method} {host}{path}"), String::new(), Once::No, yes),
    }
}
