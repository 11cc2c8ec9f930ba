//! Owns how events, values and outcomes are written in records, and made of them again.
//! Deliberately decides nothing: what is recorded when is the ledger's.

use super::record::{self, AttemptFinished, AttemptOutcome, Capture, Kept, Word};
use super::seal::RunKey;
use crate::event::{self, StepKey};
use crate::ledger::{Attempted, Decision, Missed, Passed};
use crate::plan::duration::{parse_moment, show_moment};
use crate::secret::{Masker, Origin, Taint, Target};
use crate::source::{Place, Route, Source};
use crate::value::Value;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use zeroize::Zeroizing;

/// Bytes of an answer's excerpt that are kept.
const LONGEST_EXCERPT: usize = 4 << 10;

/// What opens and closes values: the run's key, under the run's name.
pub struct Sealer<'a> {
    pub key: &'a RunKey,
    pub run: &'a str,
    pub masker: &'a Masker,
}

/// A value with its taint, as it is sealed.
#[derive(Serialize, Deserialize)]
struct Whole {
    json: Json,
    marks: Vec<(String, Vec<OriginForm>)>,
}

#[derive(Serialize, Deserialize)]
struct OriginForm {
    name: String,
    to: Option<Vec<String>>,
    /// Of the whole taint that it stands in.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    measured: bool,
}

/// Whether a value must not be legible in a record.
pub fn is_private(value: &Value, masker: &Masker) -> bool {
    value.is_secret() || masker.knows_any() && masker.contains_secret(value.expose().to_string().as_bytes())
}

pub fn open_value(value: &Value) -> Kept {
    Kept { json: value.expose().clone(), sealed: None }
}

impl Sealer<'_> {
    /// A value that nobody may read without the run's key. `step` and `name` say of which place it is.
    pub fn close(&self, step: &str, name: &str, value: &Value) -> Result<Kept, String> {
        let marks = value.marks().iter().map(|(pointer, taint)| {
            let origins = taint.origins().map(|origin| OriginForm {
                name: origin.name.clone(),
                to: origin.to.as_ref().map(|to| to.iter().map(ToString::to_string).collect()),
                measured: taint.is_measured(),
            });
            (pointer.clone(), origins.collect())
        });
        let whole = Whole { json: value.expose().clone(), marks: marks.collect() };
        let text = Zeroizing::new(serde_json::to_vec(&whole).unwrap_or_default());
        let json = match value.is_secret() {
            true => value.shown(),
            false => Json::String(crate::value::STARS.into()),
        };
        // A line goes through the masker; ciphertext that looked like a secret by chance would be spoilt by it.
        let sealed = loop {
            let sealed = self.key.seal(self.run, step, name, &text).map_err(|error| error.to_string())?;
            if !self.masker.contains_secret(sealed.as_bytes()) {
                break sealed;
            }
        };
        Ok(Kept { json, sealed: Some(sealed) })
    }

    pub fn open(&self, step: &str, name: &str, sealed: &str) -> Result<Value, String> {
        let text = self.key.open(self.run, step, name, sealed).map_err(|error| error.to_string())?;
        let whole: Whole = serde_json::from_slice(&text)
            .map_err(|_| format!("what `{name}` of `{step}` was sealed as cannot be read"))?;
        let mut marks = Vec::new();
        for (pointer, origins) in whole.marks {
            let mut taint = Taint::default();
            for origin in origins {
                let to = origin.to.map(|to| to.iter().filter_map(|text| Target::parse(text).ok()).collect());
                let own = Taint::of(Arc::new(Origin { name: origin.name, to }));
                taint.add(&if origin.measured { own.measured() } else { own });
            }
            marks.push((pointer, taint));
        }
        let value = Value::marked(whole.json, marks);
        value.teach_as(name, self.masker);
        Ok(value)
    }
}

/// The playbook's files as they were read, to tell places in them.
pub type Sources = HashMap<PathBuf, Arc<Source>>;

pub fn failure(failure: &event::Failure) -> record::Failure {
    record::Failure {
        kind: failure.kind,
        message: failure.message.clone(),
        place: failure.place.as_ref().map(place),
        assertions: failure
            .assertions
            .iter()
            .map(|assertion| record::Assertion {
                place: place(&assertion.place),
                text: assertion.text.clone(),
                expected: assertion.expected.clone(),
                actual: assertion.actual.clone(),
                message: assertion.message.clone(),
            })
            .collect(),
        excerpt: failure.excerpt.as_ref().map(|text| {
            let mut end = text.len().min(LONGEST_EXCERPT);
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text[..end].to_string()
        }),
        help: failure.help.clone(),
    }
}

fn place(place: &Place) -> record::Place {
    record::Place { file: place.source.path.display().to_string(), route: place.route.as_str().to_string() }
}

pub fn failure_again(failure: &record::Failure, sources: &Sources) -> event::Failure {
    let place = |place: &record::Place| {
        let source = sources.get(std::path::Path::new(&place.file))?.clone();
        Some(Place { source, route: Route::from(place.route.clone()) })
    };
    event::Failure {
        kind: failure.kind,
        message: failure.message.clone(),
        place: failure.place.as_ref().and_then(place),
        assertions: failure
            .assertions
            .iter()
            .filter_map(|assertion| {
                Some(event::FailedAssertion {
                    place: place(&assertion.place)?,
                    text: assertion.text.clone(),
                    expected: assertion.expected.clone(),
                    actual: assertion.actual.clone(),
                    message: assertion.message.clone(),
                })
            })
            .collect(),
        excerpt: failure.excerpt.clone(),
        help: failure.help.clone(),
    }
}

/// The record of an attempt, without its values, which the ledger seals where it must.
pub fn attempt(attempted: &Attempted, started: SystemTime, took: Duration) -> AttemptFinished {
    let mut finished = AttemptFinished {
        step: String::new(),
        attempt: 0,
        policy: crate::ledger::Policy::Read,
        program: None,
        outcome: AttemptOutcome::Passed,
        started: show_moment(started),
        took_us: micros(took),
        captures: Vec::new(),
        output: None,
        detail: None,
        failure: None,
        status: None,
        retry_after_ms: None,
        surely_not: false,
    };
    match attempted {
        Attempted::Passed(passed) => finished.detail = passed.detail.clone(),
        Attempted::Failed(missed) | Attempted::Unknown(missed) => {
            finished.outcome = match attempted {
                Attempted::Failed(_) => AttemptOutcome::Failed,
                _ => AttemptOutcome::Unknown,
            };
            finished.failure = Some(failure(&missed.failure));
            finished.status = missed.status;
            finished.retry_after_ms = missed.retry_after.map(|after| micros(after) / 1000);
            finished.surely_not = missed.surely_not;
        }
    }
    finished
}

/// The values of an attempt.
pub fn values(attempted: &Attempted) -> (&[(String, Value)], Option<&Value>) {
    match attempted {
        Attempted::Passed(passed) => (&passed.captures, passed.output.as_ref()),
        Attempted::Failed(missed) | Attempted::Unknown(missed) => (&missed.captures, None),
    }
}

/// What an attempt came to, with its values as they were opened.
pub fn attempt_again(
    finished: &AttemptFinished,
    captures: Vec<(String, Value)>,
    output: Option<Value>,
    sources: &Sources,
) -> Attempted {
    let missed = || Missed {
        failure: finished.failure.as_ref().map_or_else(
            || event::Failure {
                kind: event::FailureKind::Action,
                message: "it failed".into(),
                assertions: Vec::new(),
                place: None,
                excerpt: None,
                help: Vec::new(),
            },
            |failure| failure_again(failure, sources),
        ),
        captures: captures.clone(),
        status: finished.status,
        retry_after: finished.retry_after_ms.map(Duration::from_millis),
        surely_not: finished.surely_not,
    };
    match finished.outcome {
        AttemptOutcome::Passed => {
            Attempted::Passed(Passed { captures: captures.clone(), output, detail: finished.detail.clone() })
        }
        AttemptOutcome::Failed => Attempted::Failed(missed()),
        AttemptOutcome::Unknown => Attempted::Unknown(missed()),
    }
}

/// What somebody said.
pub struct Said<'a> {
    pub what: Word,
    pub by: &'a str,
    pub reason: Option<&'a str>,
    pub answers: &'a [(String, Value)],
}

/// The word of a decision; `None` where nobody said anything.
pub fn said(decision: &Decision) -> Option<Said<'_>> {
    let (what, by, reason, answers): (_, _, _, &[_]) = match decision {
        Decision::Approved { by, reason, .. } => (Word::Approved, by, reason.as_deref(), &[]),
        Decision::Declined { by, reason } => (Word::Declined, by, reason.as_deref(), &[]),
        Decision::Done { by, answers, .. } => (Word::Done, by, None, answers),
        Decision::Redo { by } => (Word::Redo, by, None, &[]),
        Decision::Happened { by } => (Word::Happened, by, None, &[]),
        Decision::Abandon { by } => (Word::Abandon, by, None, &[]),
        Decision::Nobody { .. } => return None,
    };
    Some(Said { what, by, reason, answers })
}

pub fn decision_again(record: &record::DecisionRecord, at: SystemTime, answers: Vec<(String, Value)>) -> Decision {
    let by = record.by.clone();
    match record.what {
        Word::Approved => Decision::Approved { by, at, reason: record.reason.clone() },
        Word::Declined => Decision::Declined { by, reason: record.reason.clone() },
        Word::Done => Decision::Done { by, at, answers },
        Word::Redo => Decision::Redo { by },
        Word::Happened => Decision::Happened { by },
        Word::Abandon => Decision::Abandon { by },
    }
}

pub fn capture(name: &str, value: Kept) -> Capture {
    Capture { name: name.into(), value }
}

pub fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// When an attempt began, by its record.
pub fn began(finished: &AttemptFinished) -> SystemTime {
    parse_moment(&finished.started).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// An event as a record, where it is one.
pub fn event(event: &event::RunEvent) -> Option<record::Record> {
    use crate::event::RunEvent;
    use record::Record;
    Some(match event {
        RunEvent::SectionStarted(section) => Record::SectionStarted { section: *section },
        RunEvent::StepStarted(step) => Record::StepStarted(record::StepStarted {
            step: step.key.to_string(),
            title: step.title.clone(),
            action: step.action.to_string(),
            depth: step.depth,
            composite: step.composite,
        }),
        RunEvent::AttemptFailed { key, attempt, attempts, reason, retry_in } => Record::AttemptFailed {
            step: key.to_string(),
            attempt: *attempt,
            attempts: (*attempts != u32::MAX).then_some(*attempts),
            reason: reason.clone(),
            retry_in_ms: micros(*retry_in) / 1000,
        },
        RunEvent::StepFinished(step) => {
            let (outcome, why) = match &step.outcome {
                event::StepOutcome::Passed | event::StepOutcome::Rendered => (record::StepOutcome::Passed, None),
                event::StepOutcome::Failed(why) => (record::StepOutcome::Failed, Some(failure(why))),
                event::StepOutcome::Unknown(why) => (record::StepOutcome::Unknown, Some(failure(why))),
            };
            Record::StepFinished(record::StepFinished {
                step: step.key.to_string(),
                title: step.title.clone(),
                depth: step.depth,
                composite: step.composite,
                outcome,
                attempts: step.attempts,
                took_us: micros(step.duration),
                detail: step.detail.clone(),
                captures: step.captures.clone(),
                failure: why,
                let_pass: step.let_pass,
            })
        }
        RunEvent::StepSkipped { key, title, depth, reason, .. } => {
            Record::StepSkipped { step: key.to_string(), title: title.clone(), depth: *depth, reason: reason.clone() }
        }
        RunEvent::Warning { message } => Record::Warning { message: message.clone() },
        RunEvent::RunFinished(finished) => Record::RunFinished(record::RunFinished {
            outcome: finished.outcome,
            took_us: micros(finished.duration),
            passed: finished.passed,
            failed: finished.failed,
            skipped: finished.skipped,
            changes: finished.changes.clone(),
            perhaps_changed: finished.perhaps_changed.clone(),
            failures: finished.failures.iter().map(|(key, why)| (key.to_string(), failure(why))).collect(),
            intervals: finished
                .intervals
                .iter()
                .map(|interval| record::Interval {
                    name: interval.name.clone(),
                    from: interval.from.to_string(),
                    to: interval.to.to_string(),
                    took_us: interval.took.map(micros),
                    budget_us: interval.budget.map(micros),
                })
                .collect(),
            by_hand: finished.by_hand.clone(),
            rollback: finished.rollback.clone(),
            outputs: finished.outputs.clone(),
            warnings: finished.warnings.clone(),
            confined: finished.confined.clone(),
            custody: finished.custody.clone(),
            lock: None,
        }),
        // Each has a record of its own, by the ledger.
        RunEvent::RunStarted(_) | RunEvent::Asking { .. } | RunEvent::Decided { .. } | RunEvent::Noted(_) => {
            return None;
        }
    })
}

/// The moment that an event tells; now, where it tells none.
pub fn moment(event: &event::RunEvent) -> SystemTime {
    use crate::event::RunEvent;
    match event {
        RunEvent::StepStarted(step) => step.at,
        RunEvent::StepFinished(step) => step.at,
        RunEvent::StepSkipped { at, .. } => *at,
        _ => SystemTime::now(),
    }
}

/// The key of an attempt as text.
pub fn key(step: &str, attempt: u32) -> String {
    StepKey::from(step.to_string()).attempt(attempt).to_string()
}
