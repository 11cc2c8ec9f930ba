//! Owns the tries of one step: its timeout, its retries, and what comes of the last one.
//! Deliberately knows nothing of what else is in the list.

use super::attempt::{attempt, failure};
use super::composite::{composite, run_all, run_module};
use super::place::{Halt, Place, plain};
use super::scope::Scope;
use super::steps::run_steps;
use super::unknown::resolve_unknown;
use super::{ask, render, retry};
use crate::action::Cancel;
use crate::event::{FailureKind, RunEvent, StepKey};
use crate::ledger::{Attempted, Missed, Passed, Policy, Recorded, Stop};
use crate::plan::{Step, Work};
use crate::playbook::document::Effect;
use crate::value::Value;
use std::future::Future;
use std::pin::Pin;
use std::time::Instant;
use tokio::sync::watch;

/// The step's work under its `timeout`, which covers all its attempts.
pub async fn with_timeout(step: &Step, scope: &Scope<'_>, here: &Place<'_>) -> (Result<Passed, Halt>, u32) {
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

/// How it ended, and after how many attempts.
type Tried<'b> = Pin<Box<dyn Future<Output = (Result<Passed, Halt>, u32)> + 'b>>;

fn work<'b>(step: &'b Step, scope: &'b Scope<'b>, here: &'b Place<'b>) -> Tried<'b> {
    Box::pin(async move {
        let Some(retry) = &step.retry else { return (try_once(step, scope, here, 1).await, 1) };
        let started = Instant::now();
        let mut attempt = 1;
        loop {
            let sent_before = here.engine.once_sent();
            let outcome = try_step(step, scope, here, attempt).await;
            let attempted = match outcome {
                Ok(attempted) => attempted,
                Err(halt) => return (Err(halt), attempt),
            };
            let key = here.key.attempt(attempt);
            let chance = here.engine.ledger.chance(&key);
            let delay = retry::next(retry, step.effect, &attempted, attempt, started.elapsed(), chance);
            // What stands in a group would be done a second time with it.
            let once_within = !sends(step) && here.engine.once_sent() > sent_before;
            if once_within && delay.is_some() {
                here.engine.warn(format!("`{}` is not tried again: a `once` step within it was sent", here.key));
            }
            let delay = delay.filter(|_| !once_within);
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

pub async fn try_once(step: &Step, scope: &Scope<'_>, here: &Place<'_>, attempt: u32) -> Result<Passed, Halt> {
    let attempted = try_step(step, scope, here, attempt).await?;
    conclude(step, scope, here, attempted, attempt).await
}

async fn try_step(step: &Step, scope: &Scope<'_>, here: &Place<'_>, number: u32) -> Result<Attempted, Halt> {
    Ok(super::dry::excuse(perform(step, scope, here, number).await?, step, here))
}

pub fn not_done(step: &Step, here: &Place<'_>, message: String) -> Attempted {
    let failure = failure(FailureKind::Evaluation, message, step, here);
    let missed = Missed { failure, secrets: Vec::new(), status: None, retry_after: None, surely_not: true };
    Attempted::Failed(missed)
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

/// Whether the step does something to the outside.
pub fn sends(step: &Step) -> bool {
    matches!(step.work, Work::Http(_) | Work::Exec(_))
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
                Err(error) => {
                    let kind = error.kind();
                    return Ok(match not_done(step, here, error.to_string()) {
                        Attempted::Failed(mut missed) => {
                            missed.failure.kind = kind;
                            Attempted::Failed(missed)
                        }
                        other => other,
                    });
                }
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
                Ok(Recorded { attempted, .. }) => {
                    let surely_not = matches!(&attempted, Attempted::Failed(missed) if missed.surely_not);
                    if policy == Policy::Once && !surely_not {
                        here.engine.note_once_sent();
                    }
                    Ok(attempted)
                }
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
