//! Owns what becomes of a `once` step that was sent and whose answer was lost: `on_unknown` decides.

use super::ask;
use super::place::{Halt, Place};
use super::scope::Scope;
use super::steps::run_steps;
use super::tries::try_once;
use crate::event::{Failure, RunEvent};
use crate::ledger::{Missed, Passed};
use crate::plan::{OnUnknown, Step};
use crate::value::Names;
use serde_json::Value as Json;
use std::time::Duration;

/// A `once` step was sent and its answer was lost: `on_unknown` decides.
pub async fn resolve_unknown(
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
    if here.cancel.is_cancelled() {
        // The step's own time is over: there is none left to do it again or to find out.
        return Err(Halt::Unknown(failure));
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
            match run_steps(steps, &inner, &here.within(here.key.clone())).await {
                Ok(()) => {}
                Err(Halt::Failed(_, found)) => {
                    failure.message = format!("{}; finding out failed: {}", failure.message, found.message);
                    return Err(Halt::Unknown(failure));
                }
                Err(halt) => return Err(halt),
            }
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
