//! Owns loops: a step for each item of a list, and what its captures are afterwards.

use super::attempt::{evaluate, failure, title};
use super::place::{Halt, Place, outcome_of, plain};
use super::scope::Scope;
use super::steps::run_once;
use super::tell::{Detail, begin, finish, report_failure, skip};
use crate::event::{FailureKind, StepOutcome};
use crate::ledger::{Attempted, Call, Missed, Passed, Policy, Recorded, Stop};
use crate::plan::{Loop, Step, Work};
use crate::value::Value;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

pub async fn run_each(step: &Step, scope: &Scope<'_>, here: &Place<'_>) -> Result<(), Halt> {
    let Some(each) = &step.each else { return Ok(()) };
    let heading = here.facts.mask(&title(step, scope));
    let list = match list(each, scope, here).await? {
        Ok(list) => list,
        Err(message) => {
            if let Some(reason) = here.engine.excuse(&message) {
                here.engine.unborn(step);
                skip(step, here.key.clone(), scope, here, reason);
                return Ok(());
            }
            let message = format!("the list to loop over cannot be had: {message}");
            return report_failure(step, heading, failure(FailureKind::Evaluation, message, step, here), here);
        }
    };
    let Some(count) = list.expose().as_array().map(Vec::len) else {
        let message = format!("`for_each` wants a list, and this is {}", crate::value::shape_of(list.expose()));
        return report_failure(step, heading, failure(FailureKind::Evaluation, message, step, here), here);
    };
    if count == 0 {
        skip(step, here.key.clone(), scope, here, "there is nothing to loop over".into());
        gather(step, Vec::new(), scope, here);
        return Ok(());
    }
    let begun = begin(heading, step, here, true);
    let mut iterations = Vec::new();
    let mut ended = Ok(());
    for (index, item) in list.items().into_iter().enumerate() {
        if here.engine.interrupted() && !here.engine.winding_up() {
            ended = Err(Halt::Interrupted);
            break;
        }
        let inner = Scope::iteration(scope);
        inner.define(&each.name, item);
        let came_of_it = run_once(step, &inner, &here.within(here.key.iteration(index))).await;
        let mut own = inner.own();
        own.remove(&each.name);
        iterations.push(own);
        // What may run at once does not wait for the others' success, as in `parallel`.
        let goes_on = each.max_parallel > 1
            && matches!(came_of_it, Ok(()) | Err(Halt::Failed(..) | Halt::Unknown(..) | Halt::Waiting(..)));
        if ended.is_ok() || !goes_on {
            ended = came_of_it;
        }
        if ended.is_err() && !goes_on {
            break;
        }
    }
    gather(step, iterations, scope, here);
    let outcome = match &ended {
        Ok(()) => StepOutcome::Passed,
        Err(halt) => outcome_of(halt),
    };
    let text = Some(format!("{count} {}", if count == 1 { "iteration" } else { "iterations" }));
    finish(&begun, outcome, Detail { attempts: 1, text, ..Detail::default() }, step, here);
    ended
}

/// The list that is looped over: as it was when the loop was begun first, since its items are known by their numbers.
async fn list(each: &Loop, scope: &Scope<'_>, here: &Place<'_>) -> Result<Result<Value, String>, Halt> {
    const LIST: &str = "list";
    if here.engine.options.dry_run {
        return Ok(evaluate(&each.over, scope));
    }
    let key = here.key.aside(LIST);
    let attempt = here.engine.ledger.first_attempt(&key, here.round);
    let call =
        Call { key, attempt, policy: Policy::Read, outside: false, custody: false, private: false, program: None };
    let effect = Box::new(|| -> Pin<Box<dyn Future<Output = Attempted> + '_>> {
        Box::pin(async {
            match evaluate(&each.over, scope) {
                Ok(list) => Attempted::Passed(Passed { captures: vec![(LIST.into(), list)], ..Passed::default() }),
                Err(message) => {
                    Attempted::Failed(Missed::unsent(plain(FailureKind::Evaluation, here.facts.mask(&message))))
                }
            }
        })
    });
    match here.engine.ledger.effect(&call, effect).await {
        Ok(Recorded { attempted: Attempted::Passed(passed), .. }) => {
            Ok(passed.captures.into_iter().next().map(|(_, list)| list).ok_or_else(|| "it is not recorded".to_string()))
        }
        Ok(Recorded { attempted: Attempted::Failed(missed) | Attempted::Unknown(missed), .. }) => {
            Ok(Err(missed.failure.message))
        }
        Err(Stop::Lost(reason)) => Err(Halt::Lost(reason)),
        Err(stop) => Ok(Err(stop.to_string())),
    }
}

/// After a loop each name that was captured in it is the list of its values; null where an iteration had none.
fn gather(step: &Step, iterations: Vec<BTreeMap<String, Value>>, scope: &Scope<'_>, here: &Place<'_>) {
    let mut names: Vec<String> = names_in(step);
    for own in &iterations {
        names.extend(own.keys().cloned());
    }
    names.sort();
    names.dedup();
    for name in names.into_iter().filter(|name| !here.engine.is_unborn(name)) {
        let values = iterations.iter().map(|own| own.get(&name).cloned().unwrap_or_else(Value::null));
        scope.define(&name, Value::list(values));
    }
}

/// Every name that a step and the steps within it capture.
pub fn names_in(step: &Step) -> Vec<String> {
    let mut names: Vec<String> = step.capture.iter().map(|capture| capture.name.clone()).collect();
    match &step.work {
        Work::Set(settings) => names.extend(settings.iter().map(|(name, _)| name.clone())),
        Work::Group(steps) | Work::Parallel { steps, .. } => {
            steps.iter().for_each(|step| names.extend(names_in(step)));
        }
        _ => {}
    }
    names
}
