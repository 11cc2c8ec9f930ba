//! Owns a run's records as the events that they once were, so that the same reporters show them.
//! Deliberately reads nothing: who has the records and the playbook's texts hands them in.

use super::form::{Sources, failure_again};
use super::record::{self, Record, Word};
use crate::event::{
    MeasuredInterval, Note, RunEvent, RunFinished, RunOutcome, RunStarted, StepFinished, StepKey, StepOutcome,
    StepStarted,
};
use crate::plan::StepId;
use serde_json::Value as Json;
use std::collections::HashMap;
use std::time::{Duration, SystemTime};

/// What a record does not say of its playbook, as far as that can still be read.
#[derive(Default)]
pub struct Face {
    pub title: Option<String>,
    /// Steps on the outermost level.
    pub steps: usize,
    pub sources: Sources,
}

/// How deep steps are shown at most; the language allows fewer levels, a forged record says what it likes.
const DEEPEST: usize = 64;

/// A run told again.
pub struct Replay {
    pub face: Face,
    run: String,
    lock: Option<String>,
    titles: HashMap<String, String>,
}

impl Replay {
    /// `lock`: the one it took, where that is known by now.
    pub fn new(face: Face, lock: Option<String>) -> Replay {
        Replay { face, run: String::new(), lock, titles: HashMap::new() }
    }

    /// The event that a record was; `None` for what nobody was told. `went_on`: more was recorded after a run's end than
    /// what follows it by itself, so that what it says of going on is no longer so.
    pub fn event(&mut self, at: SystemTime, record: &Record, went_on: bool) -> Option<RunEvent> {
        let noted =
            |what, by: Option<&String>, text: String| Some(RunEvent::Noted(Note { what, by: by.cloned(), text }));
        Some(match record {
            Record::RunStarted(run) => {
                self.run.clone_from(&run.run);
                RunEvent::RunStarted(self.started(run))
            }
            Record::RunResumed(resumed) => {
                let text = format!("resumed by {}, round {}", resumed.actor, resumed.round);
                let with = if resumed.playbook.is_some() { ", with the playbook as it was by then" } else { "" };
                let more = match resumed.allowed.as_slice() {
                    [] => String::new(),
                    allowed => format!("; from here on also permitted: {}", allowed.join(", ")),
                };
                return noted("resumed", Some(&resumed.actor), text + with + &more);
            }
            Record::CustodyProven { keeper } => {
                let text = format!("custody proven: what is captured can be kept (key wrapped by {keeper})");
                return noted("custody-proven", None, text);
            }
            Record::Revealed { secret, by, to } => {
                return noted("revealed", Some(by), format!("`{secret}` revealed by {by} to {to}"));
            }
            Record::CustodyEnded { by, why } => {
                let text = match why.as_str() {
                    "passed" => "custody ended: the run's key is destroyed".into(),
                    _ => format!("custody ended by {by}: the run's key is destroyed, and what it held with it"),
                };
                return noted("custody-ended", Some(by), text);
            }
            Record::SectionStarted { section } => RunEvent::SectionStarted(*section),
            Record::StepStarted(step) => {
                self.titles.insert(step.step.clone(), step.title.clone());
                RunEvent::StepStarted(StepStarted {
                    key: key(&step.step),
                    title: step.title.clone(),
                    action: step.action.clone().into(),
                    depth: step.depth.min(DEEPEST),
                    composite: step.composite,
                    at,
                })
            }
            Record::Interrupted {} => return noted("interrupted", None, "interrupted".into()),
            Record::AttemptStarted(_) | Record::AttemptFinished(_) => return None,
            Record::AttemptFailed { step, attempt, attempts, reason, retry_in_ms } => RunEvent::AttemptFailed {
                key: key(step),
                attempt: *attempt,
                attempts: attempts.unwrap_or(u32::MAX),
                reason: reason.clone(),
                retry_in: Duration::from_millis(*retry_in_ms),
            },
            Record::StepFinished(step) => RunEvent::StepFinished(self.finished(at, step)),
            Record::StepSkipped { step, title, depth, reason } => RunEvent::StepSkipped {
                key: key(step),
                title: title.clone(),
                depth: (*depth).min(DEEPEST),
                reason: reason.clone(),
                at,
            },
            Record::Decision(decision) => RunEvent::Decided {
                key: key(&decision.step),
                title: self.titles.get(&decision.step).unwrap_or(&decision.step).clone(),
                by: decision.by.clone(),
                what: word(decision.what).into(),
            },
            Record::Warning { message } => RunEvent::Warning { message: message.clone() },
            Record::RunFinished(finished) => RunEvent::RunFinished(self.ended(finished, went_on)),
        })
    }

    fn started(&self, run: &record::RunStarted) -> RunStarted {
        let shown = |input: &record::Input| {
            let stars = || Json::from(crate::value::STARS);
            (input.name.clone(), input.value.as_ref().map_or_else(stars, |value| value.json.clone()))
        };
        RunStarted {
            run_id: run.run.clone(),
            playbook: run.playbook.name.clone(),
            title: self.face.title.clone(),
            actor: run.actor.clone(),
            world: run.world.clone(),
            dry_run: false,
            steps: self.face.steps,
            inputs: run.inputs.iter().map(shown).collect(),
            lock: self.lock.clone(),
            round: 1,
            allowed: run.allowed.clone(),
        }
    }

    fn finished(&self, at: SystemTime, step: &record::StepFinished) -> StepFinished {
        let why = || {
            let nothing = || record::Failure {
                kind: crate::event::FailureKind::Action,
                message: "it failed".into(),
                place: None,
                assertions: Vec::new(),
                excerpt: None,
                help: Vec::new(),
            };
            failure_again(&step.failure.clone().unwrap_or_else(nothing), &self.face.sources)
        };
        StepFinished {
            key: key(&step.step),
            title: step.title.clone(),
            depth: step.depth.min(DEEPEST),
            composite: step.composite,
            outcome: match step.outcome {
                record::StepOutcome::Passed => StepOutcome::Passed,
                record::StepOutcome::Failed => StepOutcome::Failed(why()),
                record::StepOutcome::Unknown => StepOutcome::Unknown(why()),
            },
            attempts: step.attempts,
            duration: Duration::from_micros(step.took_us),
            detail: step.detail.clone(),
            captures: step.captures.clone(),
            let_pass: step.let_pass,
            at,
            before: false,
        }
    }

    fn ended(&self, finished: &record::RunFinished, went_on: bool) -> RunFinished {
        let passed = finished.outcome == RunOutcome::Passed;
        let failures = finished.failures.iter();
        RunFinished {
            outcome: finished.outcome,
            duration: Duration::from_micros(finished.took_us),
            passed: finished.passed,
            failed: finished.failed,
            skipped: finished.skipped,
            changes: finished.changes.clone(),
            perhaps_changed: finished.perhaps_changed.clone(),
            failures: failures.map(|(step, why)| (key(step), failure_again(why, &self.face.sources))).collect(),
            intervals: finished.intervals.iter().map(interval).collect(),
            by_hand: finished.by_hand.clone(),
            rollback: finished.rollback.clone(),
            outputs: finished.outputs.clone(),
            warnings: finished.warnings.clone(),
            custody: finished.custody.clone(),
            confined: finished.confined.clone(),
            resume: (!passed && !went_on).then(|| self.run.clone()),
        }
    }
}

fn key(text: &str) -> StepKey {
    StepKey::from(text.to_string())
}

fn word(word: Word) -> &'static str {
    match word {
        Word::Approved => "approved",
        Word::Declined => "declined",
        Word::Done => "done",
        Word::Redo => "to be done again, said",
        Word::Happened => "has happened, said",
        Word::Abandon => "to end here, said",
    }
}

fn interval(interval: &record::Interval) -> MeasuredInterval {
    MeasuredInterval {
        name: interval.name.clone(),
        from: StepId(interval.from.as_str().into()),
        to: StepId(interval.to.as_str().into()),
        took: interval.took_us.map(Duration::from_micros),
        budget: interval.budget_us.map(Duration::from_micros),
    }
}
