//! Owns steps made of steps: a file's sections, modules, groups, what is done at once.

use super::attempt::{evaluate, failure};
use super::place::{Halt, Place};
use super::scope::Scope;
use super::steps::{run_step, run_steps};
use super::tries::not_done;
use super::vars::set_vars;
use crate::event::{Failure, FailureKind, RunEvent, Section, StepKey};
use crate::ledger::{Attempted, Missed};
use crate::plan::{Plan, Step, inputs};
use crate::playbook::document::InputType;
use crate::secret::Origin;
use crate::value::Value;
use serde_json::Value as Json;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A file's `steps`, its `on_failure` when they failed, its `finally` always.
pub async fn run_sections(plan: &Plan, scope: &Scope<'_>, here: &Place<'_>) -> Result<(), Halt> {
    let tell = |section: Section, steps: &[Step]| {
        if here.outermost && !steps.is_empty() {
            here.engine.emit(RunEvent::SectionStarted(section));
        }
    };
    let mut ended = run_steps(&plan.steps, scope, here).await;
    if let Err(Halt::Lost(_)) = &ended {
        return ended;
    }
    if matches!(ended, Err(Halt::Failed(..) | Halt::Unknown(..))) && !plan.on_failure.is_empty() {
        tell(Section::OnFailure, &plan.on_failure);
        let place = Place { key: here.key.in_round(here.round), ..here.clone() };
        match run_steps(&plan.on_failure, scope, &place).await {
            Err(Halt::Lost(reason)) => return Err(Halt::Lost(reason)),
            // The file that was asked for fails in any case; a module's failure may be let pass.
            Err(asks @ (Halt::Unknown(_) | Halt::Waiting(..))) if !here.outermost => ended = Err(asks),
            _ => {}
        }
    }
    if matches!(ended, Err(Halt::Interrupted)) {
        here.engine.ledger.interrupted();
    }
    if !plan.finally.is_empty() {
        tell(Section::Finally, &plan.finally);
        let calm = here.engine.wind_up();
        let key = here.key.in_round(here.round);
        let place = Place { key, cancel: here.engine.calm_cancel(), ..here.clone() };
        let last = run_steps(&plan.finally, scope, &place).await;
        drop(calm);
        match (&ended, last) {
            (_, Err(Halt::Lost(reason))) => return Err(Halt::Lost(reason)),
            (Ok(()), Err(halt)) => ended = Err(halt),
            _ => {}
        }
    }
    ended
}

pub async fn run_module(
    step: &Step,
    plan: &Arc<Plan>,
    given: Vec<(String, Value)>,
    scope: &Scope<'_>,
    here: &Place<'_>,
) -> Result<Attempted, Halt> {
    // Of the module alone: what it is given to read it may read where its callers may.
    let mut own = here.engine.grant(plan);
    let inner = Scope::file(here.facts);
    for input in &plan.inputs {
        let value = match given.iter().find(|(name, _)| *name == input.name) {
            Some((_, value)) => value.clone(),
            None => Value::plain(input.fixed.clone().or_else(|| input.default.clone()).unwrap_or(Json::Null)),
        };
        let optional = input.default.as_ref().is_some_and(Json::is_null);
        if !(value.is_null() && optional)
            && let Err(fault) = inputs::judge(input, value.expose())
        {
            let fault =
                if value.is_secret() { "it does not have the shape that the module wants".to_string() } else { fault };
            return Ok(not_done(step, here, format!("input `{}` of `{}`: {fault}", input.name, plan.name)));
        }
        let value = if input.kind == InputType::Secret {
            let origin = Arc::new(Origin { name: input.name.clone(), to: input.to.clone() });
            value.tainted(&crate::secret::Taint::of(origin))
        } else {
            value
        };
        // What its callers may read they may have it read.
        if input.kind == InputType::File
            && given.iter().any(|(name, _)| *name == input.name)
            && let Json::String(path) = value.expose()
            && here.grant.read(Path::new(path)).is_ok()
        {
            own = own.with_readable(Path::new(path));
        }
        inner.define(&input.name, value);
    }
    let mut grant = here.grant.clone();
    grant.0.append(&mut own.0);
    let place = Place { plan, grant, outermost: false, ..here.within(here.key.clone()) };
    match set_vars(&plan.vars, &inner, &place).await {
        Ok(()) => {}
        Err(Halt::Failed(_, failure)) => {
            return Ok(not_done(step, here, format!("in `{}`: {}", plan.name, failure.message)));
        }
        Err(halt) => return Err(halt),
    }
    match run_sections(plan, &inner, &place).await {
        Ok(()) => {}
        Err(Halt::Failed(key, failure)) => return Ok(inner_failed(step, here, &key, failure)),
        Err(halt) => return Err(halt),
    }
    let mut outputs = Vec::new();
    for (name, setting) in &plan.outputs {
        match evaluate(setting, &inner) {
            Ok(value) if here.hands().births.makes_secret(&value) => {
                let message = format!("output `{name}` of `{}` would hold a secret", plan.name);
                let failure = failure(FailureKind::Refused, message, step, here);
                return Ok(Attempted::Failed(Missed::unsent(failure)));
            }
            Ok(value) => outputs.push((name.clone(), value)),
            Err(error) => return Ok(not_done(step, here, format!("output `{name}` of `{}`: {error}", plan.name))),
        }
    }
    Ok(super::attempt::judged(step, Value::object(outputs), Duration::ZERO, scope, here))
}

/// All of them, whatever becomes of the others; fails when one failed, after the rest have ended.
pub async fn run_all(steps: &[Step], scope: &Scope<'_>, here: &Place<'_>) -> Result<(), Halt> {
    let mut first = Ok(());
    for step in steps {
        if here.engine.interrupted() && !here.engine.winding_up() {
            return Err(Halt::Interrupted);
        }
        match run_step(step, scope, here).await {
            Ok(()) => {}
            Err(halt @ (Halt::Failed(..) | Halt::Unknown(..) | Halt::Waiting(..))) => {
                if first.is_ok() {
                    first = Err(halt);
                }
            }
            Err(halt) => return Err(halt),
        }
    }
    first
}

pub fn composite(step: &Step, ended: Result<(), Halt>, scope: &Scope<'_>, here: &Place<'_>) -> Result<Attempted, Halt> {
    match ended {
        Ok(()) => {
            let output = Value::plain(Json::Object(serde_json::Map::new()));
            Ok(super::attempt::judged(step, output, Duration::ZERO, scope, here))
        }
        Err(Halt::Failed(key, inner)) => Ok(inner_failed(step, here, &key, inner)),
        Err(halt) => Err(halt),
    }
}

fn inner_failed(step: &Step, here: &Place<'_>, key: &StepKey, inner: Failure) -> Attempted {
    let kind = match inner.kind {
        // A refusal stays one, however deep, for the exit code.
        FailureKind::Refused | FailureKind::Declined => inner.kind,
        _ => FailureKind::Inner,
    };
    let mut own = failure(kind, format!("`{key}` failed: {}", inner.message), step, here);
    own.place = inner.place.or(own.place);
    // A failing step within is a failed assertion of the group to its `retry`.
    Attempted::Failed(Missed::unsent(own))
}
