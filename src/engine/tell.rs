//! Owns telling a step's events, masked and counted.

use super::attempt::title;
use super::place::{Halt, Place};
use super::scope::Scope;
use crate::event::{Failure, RunEvent, StepFinished, StepKey, StepOutcome, StepStarted};
use crate::ledger::Moment;
use crate::plan::Step;
use serde_json::Value as Json;
use std::time::{Instant, SystemTime};

pub fn skip(step: &Step, key: StepKey, scope: &Scope<'_>, here: &Place<'_>, reason: String) {
    here.engine.count_skipped();
    let title = here.facts.mask(&title(step, scope));
    let at = here.engine.ledger.time(&key, Moment::Begin);
    here.engine.emit(RunEvent::StepSkipped { key, title, depth: here.depth, reason, at });
}

/// A step that was begun, until what came of it is told.
pub struct Begun {
    title: String,
    composite: bool,
    clock: Instant,
    at: SystemTime,
    /// How much had been done in this process by then.
    done: usize,
}

pub fn begin(title: String, step: &Step, here: &Place<'_>, composite: bool) -> Begun {
    let at = here.engine.ledger.time(&here.key, Moment::Begin);
    here.engine.emit(RunEvent::StepStarted(StepStarted {
        key: here.key.clone(),
        title: title.clone(),
        action: step.work.word().into(),
        depth: here.depth,
        composite,
        at,
    }));
    if here.outermost {
        here.engine.mark_start(&step.id, at);
    }
    Begun { title, composite, clock: Instant::now(), at, done: here.engine.done() }
}

/// What came of a step, beside its outcome.
#[derive(Default)]
pub struct Detail {
    pub attempts: u32,
    pub text: Option<String>,
    pub captures: Vec<(String, Json)>,
    /// It failed, and `continue_on_failure` lets the run go on.
    pub let_pass: bool,
}

pub fn finish(begun: &Begun, outcome: StepOutcome, detail: Detail, step: &Step, here: &Place<'_>) {
    let engine = here.engine;
    engine.count(&outcome, begun.composite);
    let before = engine.done() == begun.done && engine.ledger.has_finished(&here.key);
    let at = engine.ledger.time(&here.key, Moment::End);
    let duration = if before { at.duration_since(begun.at).unwrap_or_default() } else { begun.clock.elapsed() };
    if here.outermost && matches!(outcome, StepOutcome::Passed | StepOutcome::Rendered) {
        engine.mark_end(&step.id, at);
    }
    engine.emit(RunEvent::StepFinished(StepFinished {
        key: here.key.clone(),
        title: begun.title.clone(),
        depth: here.depth,
        composite: begun.composite,
        outcome,
        attempts: detail.attempts,
        duration,
        detail: detail.text,
        captures: detail.captures,
        let_pass: detail.let_pass,
        at,
        before,
    }));
}

pub fn report_failure(step: &Step, title: String, failure: Failure, here: &Place<'_>) -> Result<(), Halt> {
    let begun = begin(title, step, here, false);
    let outcome = StepOutcome::Failed(failure.clone());
    finish(
        &begun,
        outcome,
        Detail { attempts: 1, let_pass: step.continue_on_failure, ..Detail::default() },
        step,
        here,
    );
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
