//! Owns a file's `vars`: evaluated once a run, in order; what is public of them is remembered.

use super::attempt::evaluate;
use super::place::{Halt, Place, plain};
use super::scope::Scope;
use crate::event::FailureKind;
use crate::ledger::{Attempted, Call, Missed, Passed, Policy, Stop};
use crate::plan::Setting;
use crate::value::Value;
use std::future::Future;
use std::pin::Pin;

/// Defines the vars. One that cannot be evaluated is `Halt::Failed`, with the reason.
pub async fn set_vars(vars: &[(String, Setting)], scope: &Scope<'_>, here: &Place<'_>) -> Result<(), Halt> {
    if vars.is_empty() {
        return Ok(());
    }
    let key = here.key.aside("vars");
    let ledger = here.engine.ledger;
    let attempt = ledger.first_attempt(&key, here.round);
    let call = Call {
        key: key.clone(),
        attempt,
        policy: Policy::Read,
        outside: false,
        custody: false,
        private: false,
        program: None,
    };
    let effect = Box::new(|| -> Pin<Box<dyn Future<Output = Attempted> + '_>> {
        Box::pin(async {
            let mut public = Vec::new();
            for (name, setting) in vars {
                match define(name, setting, scope, here) {
                    // A secret one is made again from its inputs, which come again from where they came.
                    Ok(value) if value.is_secret() => {}
                    Ok(value) => public.push((name.clone(), value)),
                    Err(message) => {
                        return Attempted::Failed(Missed::unsent(plain(FailureKind::Evaluation, message)));
                    }
                }
            }
            Attempted::Passed(Passed { captures: public, ..Passed::default() })
        })
    });
    let failed = |message: String| Halt::Failed(key.clone(), plain(FailureKind::Evaluation, message));
    match ledger.effect(&call, effect).await {
        Ok(recorded) => match recorded.attempted {
            Attempted::Passed(passed) => {
                for (name, value) in passed.captures {
                    scope.define(&name, value);
                }
                for (name, setting) in vars.iter().filter(|(name, _)| !scope.defines(name)).collect::<Vec<_>>() {
                    define(name, setting, scope, here).map_err(failed)?;
                }
                Ok(())
            }
            Attempted::Failed(missed) | Attempted::Unknown(missed) => Err(Halt::Failed(key.clone(), missed.failure)),
        },
        Err(stop) => Err(match stop {
            Stop::Lost(reason) => Halt::Lost(reason),
            other => failed(other.to_string()),
        }),
    }
}

fn define(name: &str, setting: &Setting, scope: &Scope<'_>, here: &Place<'_>) -> Result<Value, String> {
    let value = evaluate(setting, scope)
        .map_err(|message| here.facts.mask(&format!("var `{name}` cannot be evaluated: {message}")))?;
    scope.define(name, value.clone());
    Ok(value)
}
