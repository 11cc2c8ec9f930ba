//! Owns the events as JSON lines, for programs: one object an event, with a format number.

use super::{Out, Reporter};
use crate::event::{Failure, RunEvent, StepOutcome};
use crate::plan::duration::show_time;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

/// Number of the events' format; it changes when a key is renamed or taken away.
const FORMAT: u32 = 1;

pub struct Json {
    out: Out,
}

impl Json {
    pub fn new(out: Out) -> Json {
        Json { out }
    }
}

impl Reporter for Json {
    fn tell(&mut self, event: &RunEvent) {
        self.tell_at(event, SystemTime::now());
    }

    fn tell_at(&mut self, event: &RunEvent, at: SystemTime) {
        let mut line = form(event);
        if let Some(map) = line.as_object_mut() {
            map.insert("at".into(), Value::String(show_time(at)));
        }
        self.out.json(&line.to_string());
    }
}

fn form(event: &RunEvent) -> Value {
    match event {
        RunEvent::RunStarted(started) => json!({
            "event": "run-started", "format": FORMAT, "run": started.run_id, "playbook": started.playbook,
            "title": started.title, "actor": started.actor, "world": started.world, "dry_run": started.dry_run,
            "steps": started.steps, "lock": started.lock, "round": started.round, "allowed": started.allowed,
            "inputs": started.inputs.iter().cloned().collect::<serde_json::Map<_, _>>(),
        }),
        RunEvent::SectionStarted(section) => {
            json!({"event": "section-started", "section": format!("{section:?}").to_lowercase()})
        }
        RunEvent::StepStarted(step) => json!({
            "event": "step-started", "step": step.key.as_str(), "title": step.title, "action": step.action, "depth": step.depth,
        }),
        RunEvent::AttemptFailed { key, attempt, attempts, reason, retry_in } => json!({
            "event": "attempt-failed", "step": key.as_str(), "attempt": attempt,
            "attempts": (*attempts != u32::MAX).then_some(attempts), "reason": reason, "retry_in_ms": millis(*retry_in),
        }),
        RunEvent::StepFinished(step) => {
            let (outcome, failure) = match &step.outcome {
                StepOutcome::Passed => ("passed", Value::Null),
                StepOutcome::Rendered => ("rendered", Value::Null),
                StepOutcome::Failed(failure) => ("failed", failure_form(failure)),
                StepOutcome::Unknown(failure) => ("unknown", failure_form(failure)),
            };
            json!({
                "event": "step-finished", "step": step.key.as_str(), "title": step.title, "outcome": outcome,
                "attempts": step.attempts, "duration_ms": millis(step.duration), "detail": step.detail, "before": step.before,
                "captures": step.captures.iter().cloned().collect::<serde_json::Map<_, _>>(), "failure": failure,
            })
        }
        RunEvent::StepSkipped { key, title, reason, .. } => {
            json!({"event": "step-skipped", "step": key.as_str(), "title": title, "reason": reason})
        }
        RunEvent::Asking { key } => json!({"event": "asking", "step": key.as_str()}),
        RunEvent::Decided { key, by, what, .. } => {
            json!({"event": "decided", "step": key.as_str(), "by": by, "decision": what})
        }
        RunEvent::Warning { message } => json!({"event": "warning", "message": message}),
        RunEvent::Noted(note) => json!({"event": "noted", "what": note.what, "by": note.by, "text": note.text}),
        RunEvent::RunFinished(finished) => json!({
            "event": "run-finished",
            "outcome": finished.outcome.word(),
            "duration_ms": millis(finished.duration),
            "confined": finished.confined,
            "passed": finished.passed, "failed": finished.failed, "skipped": finished.skipped,
            "changes": finished.changes, "perhaps_changed": finished.perhaps_changed,
            "failures": finished.failures.iter().map(|(key, failure)| {
                let mut form = failure_form(failure);
                form["step"] = json!(key.as_str());
                form
            }).collect::<Vec<_>>(),
            "intervals": finished.intervals.iter().map(|interval| json!({
                "name": interval.name, "from": interval.from.to_string(), "to": interval.to.to_string(),
                "took_ms": interval.took.map(millis), "budget_ms": interval.budget.map(millis),
            })).collect::<Vec<_>>(),
            "outputs": finished.outputs.iter().cloned().collect::<serde_json::Map<_, _>>(),
            "warnings": finished.warnings, "custody": finished.custody, "resume": finished.resume,
        }),
    }
}

fn failure_form(failure: &Failure) -> Value {
    json!({
        "kind": format!("{:?}", failure.kind).to_lowercase(),
        "message": failure.message,
        "place": failure.place.as_ref().map(crate::source::Place::shown),
        "assertions": failure.assertions.iter().map(|assertion| json!({
            "assertion": assertion.text, "expected": assertion.expected, "actual": assertion.actual,
            "message": assertion.message, "place": assertion.place.shown(),
        })).collect::<Vec<_>>(),
        "help": failure.help,
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
