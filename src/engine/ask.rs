//! Owns asking a person through the ledger: confirm, manual, and what became of a step with an unknown outcome.

use super::attempt::{failure, judged};
use super::place::{Halt, Place};
use super::render::{RenderError, public_text};
use super::scope::Scope;
use super::tries::stopped;
use crate::event::{Failure, FailureKind, RunEvent};
use crate::ledger::{Ask, Attempted, Decision, Missed, Passed, Recall};
use crate::plan::{Step, Work};
use crate::value::Value;
use serde_json::{Value as Json, json};
use std::future::Future;
use std::time::Duration;

/// Puts a `confirm` or `manual` step to a person.
pub async fn put(step: &Step, scope: &Scope<'_>, here: &Place<'_>, attempt: u32) -> Result<Attempted, Halt> {
    let rendered = match &step.work {
        Work::Confirm { message, phrase } => {
            let phrase = match phrase {
                None => Ok(None),
                Some(template) => public_text(template, scope, &here.hands().births, "the phrase").map(Some),
            };
            message
                .render_shown(scope)
                .map_err(RenderError::from)
                .and_then(|message| Ok((message, phrase?)))
                .map_err(|error| (error.kind(), error.to_string()))
        }
        Work::Manual { instructions, .. } => {
            let text = instructions.render_shown(scope).map(|text| (text, None));
            text.map_err(|error| (FailureKind::Evaluation, error.to_string()))
        }
        _ => Err((FailureKind::Evaluation, "this step asks nobody".into())),
    };
    let (text, phrase) = match rendered {
        Ok((text, phrase)) => (here.facts.mask(&text), phrase),
        Err((kind, message)) => return Ok(missed(step, here, kind, message, None)),
    };
    if here.engine.options.dry_run {
        let output = Value::plain(json!({"by": "nobody (dry run)", "at": scope_now(scope), "answers": {}}));
        // An approval changes nothing; what a person would do, or would have said, is missing from here on.
        if !matches!(step.work, Work::Confirm { .. }) || !step.capture.is_empty() {
            here.engine.unborn(step);
        }
        return Ok(Attempted::Passed(Passed {
            output: Some(output),
            captures: Vec::new(),
            detail: Some("would ask".into()),
        }));
    }
    let next = here.engine.steps_after(here.plan, step);
    let ask = match &step.work {
        Work::Manual { ask, .. } => Ask::Manual { step: &step.id, instructions: &text, fields: ask },
        _ => Ask::Confirm { step: &step.id, message: &text, phrase: phrase.as_deref(), next: &next },
    };
    let key = here.key.attempt(attempt);
    here.engine.emit(RunEvent::Asking { key: here.key.clone() });
    let decided = tokio::select! {
        decided = here.engine.ledger.decision(&key, &ask, here.round) => decided,
        () = here.engine.interruption() => return Err(Halt::Interrupted),
    };
    let decision = match decided {
        Ok(decided) => {
            if decided.recall == Recall::Fresh {
                here.engine.note_done();
            }
            decided.decision
        }
        Err(stop) => return Ok(Attempted::Failed(Missed::unsent(stopped(stop, step, here)?))),
    };
    let title = here.facts.mask(&super::attempt::title(step, scope));
    let decided = |by: &str, what: &str| {
        let event = RunEvent::Decided { key: here.key.clone(), title: title.clone(), by: by.into(), what: what.into() };
        here.engine.emit(event);
    };
    Ok(match decision {
        Decision::Approved { by, at, reason } => {
            decided(&by, "approved");
            let at = crate::plan::duration::show_time(at);
            let output = Value::plain(json!({"by": by, "at": at, "reason": reason}));
            detailed(judged(step, output, Duration::ZERO, scope, here), format!("approved by {by}"))
        }
        Decision::Done { by, at, answers } => {
            decided(&by, "done");
            answers.iter().for_each(|(name, answer)| here.facts.learn(name, answer));
            let output = Value::object([
                ("by".to_string(), Value::plain(Json::String(by.clone()))),
                ("at".to_string(), Value::plain(Json::String(crate::plan::duration::show_time(at)))),
                ("answers".to_string(), Value::object(answers)),
            ]);
            here.hands().births.learn(&output);
            let output = here.facts.recognise(output);
            detailed(judged(step, output, Duration::ZERO, scope, here), format!("done by {by}"))
        }
        Decision::Declined { by, reason } => {
            decided(&by, "declined");
            let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
            missed(step, here, FailureKind::Declined, format!("{by} said no{reason}"), None)
        }
        Decision::Nobody { help } => {
            let message = "a person is needed here, and nobody is there to ask".to_string();
            missed(step, here, FailureKind::NeedsPerson, message, Some(help))
        }
        Decision::Redo { by } | Decision::Happened { by } | Decision::Abandon { by } => {
            missed(step, here, FailureKind::Declined, format!("{by} gave no answer to this question"), None)
        }
    })
}

/// Asks whether a `once` step took effect.
pub async fn unknown<R: Future<Output = Result<Passed, Halt>>>(
    step: &Step,
    here: &Place<'_>,
    mut failure: Failure,
    attempt: u32,
    lost: &[String],
    rerun: impl FnOnce(Failure) -> R,
    happened: impl FnOnce(String) -> Passed,
) -> Result<Passed, Halt> {
    let key = here.key.attempt(attempt);
    let ask = Ask::Unknown { step: &step.id, key: &here.key, failure: &failure, lost };
    here.engine.emit(RunEvent::Asking { key: here.key.clone() });
    let decided = tokio::select! {
        decided = here.engine.ledger.decision(&key, &ask, here.round) => decided,
        () = here.engine.interruption() => return Err(Halt::Unknown(failure)),
    };
    let decision = match decided {
        Ok(decided) => decided.decision,
        Err(stop) => return Err(Halt::Failed(here.key.clone(), stopped(stop, step, here)?)),
    };
    match decision {
        Decision::Redo { .. } => rerun(failure).await,
        Decision::Happened { by } => Ok(happened(format!("had happened, says {by}"))),
        Decision::Abandon { .. } => Err(Halt::Failed(here.key.clone(), failure)),
        Decision::Nobody { help } => {
            failure.help.push(help);
            Err(Halt::Unknown(failure))
        }
        _ => Err(Halt::Unknown(failure)),
    }
}

fn detailed(attempted: Attempted, detail: String) -> Attempted {
    match attempted {
        Attempted::Passed(passed) => Attempted::Passed(Passed { detail: Some(detail), ..passed }),
        other => other,
    }
}

fn missed(step: &Step, here: &Place<'_>, kind: FailureKind, message: String, help: Option<String>) -> Attempted {
    let mut failure = failure(kind, message, step, here);
    failure.help.extend(help);
    Attempted::Failed(Missed::unsent(failure))
}

fn scope_now(scope: &Scope<'_>) -> Json {
    use crate::value::Names;
    scope.lookup("run").and_then(|run| run.get("now")).map_or(Json::Null, |now| now.expose().clone())
}
