//! Owns telling a step's events, masked and counted.

use super::attempt::title;
use super::place::{Halt, Place};
use super::scope::Scope;
use crate::event::{Failure, RunEvent, StepFinished, StepKey, StepOutcome, StepStarted};
use crate::plan::Step;
use serde_json::Value as Json;
use std::time::{Duration, Instant};

pub fn skip(step: &Step, key: StepKey, scope: &Scope<'_>, here: &Place<'_>, reason: String) {
    here.engine.count_skipped();
    let title = here.facts.mask(&title(step, scope));
    here.engine.emit(RunEvent::StepSkipped { key, title, depth: here.depth, reason });
}

pub fn begin(key: &StepKey, heading: &str, step: &Step, here: &Place<'_>, composite: bool) {
    here.engine.emit(RunEvent::StepStarted(StepStarted {
        key: key.clone(),
        title: here.facts.mask(heading),
        action: step.work.word(),
        depth: here.depth,
        composite,
    }));
}

#[allow(clippy::too_many_arguments)]
pub fn finish(
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

pub fn report_failure(
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

pub fn masked(json: Json, here: &Place<'_>) -> Json {
    match json {
        Json::String(text) => Json::String(here.facts.mask(&text)),
        Json::Array(items) => Json::Array(items.into_iter().map(|item| masked(item, here)).collect()),
        Json::Object(map) => {
            Json::Object(map.into_iter().map(|(key, value)| (here.facts.mask(&key), masked(value, here))).collect())
        }
        other => other,
    }
}
