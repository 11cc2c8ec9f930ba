//! Owns the tries of one step: its timeout, its retries, and what comes of the last one.
//! Deliberately knows nothing of what else is in the list.

use super::attempt::{attempt, failure};
use super::composite::{composite, run_all, run_module};
use super::place::{Halt, Place};
use super::scope::Scope;
use super::steps::run_steps;
use super::unknown::{self, Doubt};
use super::{ask, render, retry};
use crate::action::Cancel;
use crate::event::{Failure, FailureKind, RunEvent};
use crate::ledger::{Attempted, Call, Missed, Moment, Passed, Policy, Recall, Recorded, Stop};
use crate::plan::{Step, Work};
use crate::playbook::document::Effect;
use crate::value::Value;
use std::future::Future;
use std::pin::Pin;
use std::time::SystemTime;
use tokio::sync::watch;

/// The step's work under its `timeout`, which covers all its attempts.
pub async fn with_timeout(step: &Step, scope: &Scope<'_>, here: &Place<'_>) -> (Result<Passed, Halt>, u32) {
    let Some(limit) = step.timeout else { return work(step, scope, here).await };
    // Its own signal, so that an action ends its processes in good order rather than being dropped.
    // Where the record says that it was over, it stays over: nothing more is tried.
    let over = here.engine.ledger.timed_out(&here.key);
    let (stop, stopped) = watch::channel(over);
    let inner = Place { cancel: Cancel(stopped), ..here.clone() };
    let work = work(step, scope, &inner);
    tokio::pin!(work);
    let timed_out = over
        || tokio::select! {
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
        let first = here.engine.ledger.first_attempt(&here.key, here.round);
        tries(step, scope, here, Again { attempt: first, reruns: 0 }).await
    })
}

/// Attempts until one is the last; then what comes of it.
fn tries<'b>(step: &'b Step, scope: &'b Scope<'b>, here: &'b Place<'b>, from: Again) -> Tried<'b> {
    Box::pin(async move {
        let ledger = here.engine.ledger;
        let first = from.attempt;
        let begun = ledger.time(&here.key, Moment::Begin);
        let mut attempt = first;
        loop {
            let again = Again { attempt, reruns: from.reruns };
            let sent_before = here.engine.once_sent();
            let tried = match try_step(step, scope, here, attempt).await {
                Ok(tried) => tried,
                Err(halt) => return (Err(halt), attempt),
            };
            let Some(retry) = &step.retry else { return (conclude(step, scope, here, tried, again).await, attempt) };
            let key = here.key.attempt(attempt);
            let since = tried.ended.duration_since(begun).unwrap_or_default();
            let delay =
                retry::next(retry, step.effect, &tried.attempted, attempt - first + 1, since, ledger.chance(&key));
            // What stands in a group would be done a second time with it.
            let once_within = !sends(step) && here.engine.once_sent() > sent_before;
            if once_within && delay.is_some() {
                here.engine.warn(format!("`{}` is not tried again: a `once` step within it was sent", here.key));
            }
            let delay = delay.filter(|_| !once_within && !tried.is_doubted(step, here));
            let (Some(delay), Attempted::Failed(missed)) = (delay, &tried.attempted) else {
                return (conclude(step, scope, here, tried, again).await, attempt);
            };
            let reason = if step.no_log { "the attempt failed".to_string() } else { missed.failure.message.clone() };
            here.engine.emit(RunEvent::AttemptFailed {
                key: here.key.clone(),
                attempt,
                attempts: retry.attempts.saturating_add(first - 1),
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

/// An attempt that follows upon a word, a person's or `on_unknown`'s.
#[derive(Clone, Copy, Debug)]
pub struct Again {
    /// Its number.
    pub attempt: u32,
    /// How often the step was done again already because nobody knew.
    pub reruns: u32,
}

pub async fn try_again(step: &Step, scope: &Scope<'_>, here: &Place<'_>, again: Again) -> Result<Passed, Halt> {
    tries(step, scope, here, again).await.0
}

/// One attempt, and what the record says of it.
struct Attempt {
    attempted: Attempted,
    ended: SystemTime,
    recall: Recall,
}

impl Attempt {
    /// A `once` step that was sent in an earlier round and failed: what it did nevertheless is not certain, and doing
    /// it again takes a word.
    fn is_doubted(&self, step: &Step, here: &Place<'_>) -> bool {
        let missed = matches!(&self.attempted, Attempted::Failed(missed) if !missed.surely_not);
        let earlier = matches!(self.recall, Recall::In(round) if round < here.round);
        missed && earlier && step.effect == Effect::Once && sends(step)
    }
}

async fn try_step(step: &Step, scope: &Scope<'_>, here: &Place<'_>, number: u32) -> Result<Attempt, Halt> {
    let tried = perform(step, scope, here, number).await?;
    Ok(Attempt { attempted: super::dry::excuse(tried.attempted, step, here), ..tried })
}

pub fn not_done(step: &Step, here: &Place<'_>, message: String) -> Attempted {
    Attempted::Failed(Missed::unsent(failure(FailureKind::Evaluation, message, step, here)))
}

/// What comes of the last attempt.
async fn conclude(
    step: &Step,
    scope: &Scope<'_>,
    here: &Place<'_>,
    tried: Attempt,
    again: Again,
) -> Result<Passed, Halt> {
    let doubted = tried.is_doubted(step, here);
    match tried.attempted {
        Attempted::Passed(passed) => Ok(passed),
        Attempted::Failed(missed) if doubted => unknown::resolve(step, scope, here, missed, Doubt::Failed, again).await,
        Attempted::Failed(missed) => Err(match missed.failure.kind {
            FailureKind::Interrupted => Halt::Interrupted,
            FailureKind::NeedsPerson => Halt::Waiting(here.key.clone(), missed.failure),
            _ => Halt::Failed(here.key.clone(), missed.failure),
        }),
        Attempted::Unknown(missed) => unknown::resolve(step, scope, here, missed, Doubt::Unanswered, again).await,
    }
}

/// Whether the step does something to the outside.
pub fn sends(step: &Step) -> bool {
    matches!(step.work, Work::Http(_) | Work::Exec(_))
}

/// One attempt of whatever the step does. A composite's failing step counts as its own failed attempt.
async fn perform(step: &Step, scope: &Scope<'_>, here: &Place<'_>, number: u32) -> Result<Attempt, Halt> {
    let inside = Place { key: here.key.within_attempt(number), ..here.clone() };
    let attempted = match &step.work {
        Work::Group(steps) => {
            let place = inside.within(inside.key.clone());
            composite(step, run_steps(steps, scope, &place).await, scope, here)?
        }
        Work::Parallel { steps, .. } => {
            let place = inside.within(inside.key.clone());
            composite(step, run_all(steps, scope, &place).await, scope, here)?
        }
        Work::Use { plan, with } => {
            let mut given = Vec::new();
            let mut fault = None;
            for (name, template) in with {
                match template.render(scope) {
                    Ok(value) => given.push((name.clone(), value)),
                    Err(error) => {
                        fault = Some(format!("`{name}` cannot be rendered: {error}"));
                        break;
                    }
                }
            }
            match fault {
                Some(fault) => not_done(step, here, fault),
                None => run_module(step, plan, given, scope, &inside).await?,
            }
        }
        Work::Confirm { .. } | Work::Manual { .. } => ask::put(step, scope, here, number).await?,
        Work::Wait(template) => match render::duration_of(template, scope, &here.hands().births) {
            Ok(delay) => {
                here.engine.pause(&here.key, delay, &here.cancel).await?;
                let output = Value::plain(serde_json::json!({"duration_ms": delay.as_millis() as u64}));
                super::attempt::judged(step, output, delay, scope, here)
            }
            Err(error) => Attempted::Failed(Missed::unsent(failure(error.kind(), error.to_string(), step, here))),
        },
        Work::Http(_) | Work::Exec(_) | Work::Assert | Work::Set(_) => {
            return act(step, scope, here, number).await;
        }
    };
    let ended = here.engine.ledger.time(&here.key.attempt(number), Moment::End);
    Ok(Attempt { attempted, ended, recall: Recall::Fresh })
}

/// One attempt of an action, through the ledger.
async fn act(step: &Step, scope: &Scope<'_>, here: &Place<'_>, number: u32) -> Result<Attempt, Halt> {
    let engine = here.engine;
    let now = |attempted| Attempt { attempted, ended: SystemTime::now(), recall: Recall::Fresh };
    if engine.options.dry_run && sends(step) && step.effect != Effect::Read {
        return Ok(now(super::dry::rehearse(step, scope, here)));
    }
    let call = Call {
        key: here.key.clone(),
        attempt: number,
        policy: match step.effect {
            Effect::Once if sends(step) => Policy::Once,
            Effect::Idempotent if sends(step) => Policy::Idempotent,
            _ => Policy::Read,
        },
        outside: sends(step),
        custody: step.effect != Effect::Read && step.capture.iter().any(|capture| capture.secret.is_some()),
        private: step.no_log,
        program: program_of(step, scope, here),
    };
    let effect = Box::new(|| -> Pin<Box<dyn Future<Output = Attempted> + '_>> {
        Box::pin(attempt(step, scope, here, &here.cancel))
    });
    match engine.ledger.effect(&call, effect).await {
        Ok(Recorded { attempted, started, took, recall }) => {
            if recall == Recall::Fresh {
                engine.note_done();
            }
            let surely_not = matches!(&attempted, Attempted::Failed(missed) if missed.surely_not);
            if call.policy == Policy::Once && !surely_not {
                engine.note_once_sent();
            }
            if call.policy != Policy::Read && !surely_not && !matches!(attempted, Attempted::Passed(_)) {
                engine.note_perhaps(&here.facts.mask(&super::attempt::title(step, scope)), &here.key);
            }
            Ok(Attempt { attempted, ended: started + took, recall })
        }
        Err(Stop::InDoubt(_)) => {
            engine.note_once_sent();
            engine.note_perhaps(&here.facts.mask(&super::attempt::title(step, scope)), &here.key);
            let message = "the run was cut short while it was under way".to_string();
            Ok(now(Attempted::Unknown(Missed::in_doubt(failure(FailureKind::Action, message, step, here)))))
        }
        Err(stop) => Ok(now(Attempted::Failed(Missed::unsent(stopped(stop, step, here)?)))),
    }
}

/// Which file a step runs, for the record: what a bare name stands for depends on PATH, and that on who runs it.
fn program_of(step: &Step, scope: &Scope<'_>, here: &Place<'_>) -> Option<String> {
    let Work::Exec(exec) = &step.work else { return None };
    let name = match (&exec.script, exec.argv.first()) {
        (Some(_), _) => "bash".to_string(),
        (None, Some(argv0)) => {
            argv0.render_text(scope).ok().filter(|name| !name.is_secret())?.expose_text().to_string()
        }
        (None, None) => return None,
    };
    let file = crate::action::exec::file_of(&name, here.hands().stand_ins.as_ref())?;
    Some(file.display().to_string())
}

/// The failure of a step that the ledger would not have; the end of the run where it can no longer be remembered.
pub fn stopped(stop: Stop, step: &Step, here: &Place<'_>) -> Result<Failure, Halt> {
    match stop {
        Stop::Lost(reason) => Err(Halt::Lost(reason)),
        Stop::InDoubt(key) => Err(Halt::Lost(format!("nobody knows what became of `{key}`"))),
        Stop::Unproven(reason) => Ok(failure(FailureKind::Action, reason, step, here)),
        Stop::Locked(reason) => Ok(failure(FailureKind::Refused, reason, step, here)),
    }
}
