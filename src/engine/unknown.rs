//! Owns what becomes of a `once` step of which nobody knows whether it took effect: `on_unknown` decides, or a person.

use super::ask;
use super::place::{Halt, Place};
use super::scope::Scope;
use super::steps::run_steps;
use super::tries::{Again, try_again};
use crate::event::{Failure, RunEvent};
use crate::ledger::{Missed, Passed};
use crate::plan::{OnUnknown, Step};
use crate::value::Names;
use serde_json::Value as Json;
use std::time::Duration;

/// How often `on_unknown` may have a step done again before a person is asked.
const MOST_RERUNS: u32 = 3;

/// What is in doubt about a step that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// Its answer was lost.
    Unanswered,
    /// It failed in an earlier round; what it did nevertheless is not certain.
    Failed,
}

/// A `once` step was sent, and whether it took effect is not known.
pub async fn resolve(
    step: &Step,
    scope: &Scope<'_>,
    here: &Place<'_>,
    missed: Missed,
    doubt: Doubt,
    again: Again,
) -> Result<Passed, Halt> {
    let captures = missed.captures;
    let mut failure = missed.failure;
    failure.message = match doubt {
        Doubt::Unanswered => format!("nobody knows whether it took effect: {}", failure.message),
        Doubt::Failed => format!("it was sent before, and failed; did it take effect? ({})", failure.message),
    };
    if here.engine.interrupted() && !here.engine.winding_up() {
        // Whoever interrupts a run wants nothing sent again; that the outcome is unknown is told with the rest.
        here.engine.note_failure(&here.key, &failure, step);
        return Err(Halt::Interrupted);
    }
    if here.cancel.is_cancelled() {
        // The step's own time is over: there is none left to do it again or to find out.
        return Err(Halt::Unknown(failure));
    }
    let happened = |detail: String| Passed { captures: captures.clone(), output: None, detail: Some(detail) };
    let rerun = |failure: Failure| async move {
        here.engine.emit(RunEvent::AttemptFailed {
            key: here.key.clone(),
            attempt: again.attempt,
            attempts: u32::MAX,
            reason: failure.message,
            retry_in: Duration::ZERO,
        });
        Box::pin(try_again(step, scope, here, Again { attempt: again.attempt + 1, reruns: again.reruns + 1 })).await
    };
    let had = |name: &str| captures.iter().any(|(known, _)| known == name);
    let lost: Vec<String> =
        step.capture.iter().filter(|capture| !had(&capture.name)).map(|capture| capture.name.clone()).collect();
    let ask = |failure: Failure| ask::unknown(step, here, failure, again.attempt, &lost, rerun, happened);
    match &step.on_unknown {
        OnUnknown::Rerun if again.reruns < MOST_RERUNS => rerun(failure).await,
        OnUnknown::Ask | OnUnknown::Rerun => ask(failure).await,
        // What is known to have failed does not pass because it is looked at a second time.
        OnUnknown::Skip | OnUnknown::Fail if doubt == Doubt::Failed => ask(failure).await,
        OnUnknown::Skip => {
            here.engine.warn(format!("`{}` may or may not have taken effect; `on_unknown: skip` goes on", here.key));
            Ok(happened("outcome unknown, skipped".into()))
        }
        OnUnknown::Fail => Err(Halt::Failed(here.key.clone(), failure)),
        OnUnknown::Find(steps) => {
            let inner = Scope::iteration(scope);
            let key = here.key.attempt(again.attempt).in_round(here.round);
            match run_steps(steps, &inner, &here.within(key)).await {
                Ok(()) => {}
                Err(Halt::Failed(_, found)) => {
                    failure.message = format!("{}; finding out failed: {}", failure.message, found.message);
                    return ask(failure).await;
                }
                Err(halt) => return Err(halt),
            }
            match inner.lookup("happened").map(|value| value.expose().clone()) {
                Some(Json::Bool(true)) => {
                    if step.capture.iter().any(|capture| capture.secret.is_some() && lost.contains(&capture.name)) {
                        failure.message =
                            format!("it took effect, and the secret it answered is lost: {}", failure.message);
                        return Err(Halt::Failed(here.key.clone(), failure));
                    }
                    let answer = if lost.is_empty() { "had happened" } else { "had happened; its answer is lost" };
                    Ok(happened(answer.into()))
                }
                Some(Json::Bool(false)) if again.reruns < MOST_RERUNS => rerun(failure).await,
                Some(Json::Bool(false)) => ask(failure).await,
                _ => {
                    failure.message = format!("`happened` is neither true nor false; {}", failure.message);
                    ask(failure).await
                }
            }
        }
    }
}
