//! Owns the loop over steps: order, conditions, what runs when one failed.
//! Deliberately knows nothing of how a step is tried (`tries`), performed (`attempt`) or told (`tell`).

use super::attempt::{failure, title};
use super::each::run_each;
use super::place::{Halt, Place, outcome_of};
use super::scope::Scope;
use super::tell::{Detail, begin, finish, masked, report_failure, skip};
use super::tries::{sends, with_timeout};
use crate::event::{FailureKind, StepOutcome};
use crate::ledger::Moment;
use crate::plan::{Step, Work};
use crate::playbook::document::Effect;
use std::future::Future;
use std::pin::Pin;

type Walk<'b> = Pin<Box<dyn Future<Output = Result<(), Halt>> + 'b>>;

/// Runs steps in order; the first that fails ends the list.
pub fn run_steps<'b>(steps: &'b [Step], scope: &'b Scope<'b>, here: &'b Place<'b>) -> Walk<'b> {
    Box::pin(async move {
        for step in steps {
            if here.engine.interrupted() && !here.engine.winding_up() {
                return Err(Halt::Interrupted);
            }
            run_step(step, scope, here).await?;
            if here.outermost && here.engine.options.until.as_deref() == Some(&*step.id.0) {
                return Err(Halt::Reached);
            }
        }
        Ok(())
    })
}

pub async fn run_step(step: &Step, scope: &Scope<'_>, here: &Place<'_>) -> Result<(), Halt> {
    if !wanted(step, here) {
        let key = here.key.step(&step.id);
        skip(step, key, scope, here, "not tagged as wanted".into());
        return Ok(());
    }
    let key = here.key.step(&step.id);
    let tagged = here.tagged || has_wanted_tag(step, here);
    match &step.each {
        None => run_once(step, scope, &Place { key, tagged, ..here.clone() }).await,
        Some(_) => run_each(step, scope, &Place { key, tagged, ..here.clone() }).await,
    }
}

/// With `--tags`, a step is wanted when it, a step around it or a step within it carries one of them.
fn wanted(step: &Step, here: &Place<'_>) -> bool {
    if here.engine.options.tags.is_empty() || here.tagged || !here.outermost || here.engine.winding_up() {
        return true;
    }
    fn within(step: &Step, tags: &[String]) -> bool {
        step.tags.iter().any(|tag| tags.contains(tag))
            || match &step.work {
                Work::Group(steps) | Work::Parallel { steps, .. } => steps.iter().any(|step| within(step, tags)),
                _ => false,
            }
    }
    within(step, &here.engine.options.tags)
}

fn has_wanted_tag(step: &Step, here: &Place<'_>) -> bool {
    step.tags.iter().any(|tag| here.engine.options.tags.contains(tag))
}

/// A step once: its condition, its action with retries, what runs when it failed.
pub async fn run_once(step: &Step, scope: &Scope<'_>, here: &Place<'_>) -> Result<(), Halt> {
    scope.step_begins(crate::plan::duration::show_time(here.engine.ledger.time(&here.key, Moment::Begin)));
    if let Some(when) = &step.when {
        match when.holds(scope) {
            Ok(true) => {}
            Ok(false) => {
                skip(step, here.key.clone(), scope, here, format!("when: {}", when.text()));
                return Ok(());
            }
            Err(error) => {
                if let Some(reason) = here.engine.excuse(&error.to_string()) {
                    here.engine.unborn(step);
                    skip(step, here.key.clone(), scope, here, reason);
                    return Ok(());
                }
                let heading = here.facts.mask(&title(step, scope));
                let message = format!("`when` cannot be evaluated: {error}");
                let failure = failure(FailureKind::Evaluation, message, step, here);
                return report_failure(step, heading, failure, here);
            }
        }
    }
    let heading = here.facts.mask(&title(step, scope));
    let composite = matches!(step.work, Work::Use { .. } | Work::Group(_) | Work::Parallel { .. });
    let begun = begin(heading.clone(), step, here, composite);
    // What was settled in an earlier round is walked through as it was then, with all that stands in it.
    let round = here.engine.ledger.settled_in(&here.key).unwrap_or(here.round);
    let here = &Place { round, ..here.clone() };
    let (ended, attempts) = with_timeout(step, scope, here).await;
    match ended {
        Ok(passed) => {
            for (name, value) in &passed.captures {
                // What is only remembered was not captured here.
                if step.capture.iter().any(|capture| capture.name == *name && capture.secret.is_some()) {
                    here.hands().births.learn(value);
                }
                scope.define(name, value.clone());
            }
            if let Some(output) = passed.output.filter(|_| step.keeps_output || here.plan.reads_any_output) {
                scope.keep_output(&step.id.0, output);
            }
            let rendered_only = here.engine.options.dry_run && sends(step) && step.effect != Effect::Read;
            if sends(step) && step.effect != Effect::Read && !rendered_only {
                here.engine.note_change(&heading, &here.key);
            }
            let shown = if step.no_log || !captures_shown(step) {
                Vec::new()
            } else {
                passed.captures.iter().map(|(name, value)| (name.clone(), masked(value.shown(), here))).collect()
            };
            let outcome = if rendered_only { StepOutcome::Rendered } else { StepOutcome::Passed };
            finish(
                &begun,
                outcome,
                Detail { attempts, text: passed.detail, captures: shown, let_pass: false },
                step,
                here,
            );
            Ok(())
        }
        Err(halt) => {
            let outcome = outcome_of(&halt);
            let let_pass = is_let_pass(step, &halt);
            finish(&begun, outcome, Detail { attempts, let_pass, ..Detail::default() }, step, here);
            after_failure(step, scope, here, halt).await
        }
    }
}

fn is_let_pass(step: &Step, halt: &Halt) -> bool {
    step.continue_on_failure && matches!(halt, Halt::Failed(..))
}

fn captures_shown(step: &Step) -> bool {
    !matches!(step.work, Work::Use { .. } | Work::Group(_) | Work::Parallel { .. })
}

async fn after_failure(step: &Step, scope: &Scope<'_>, here: &Place<'_>, halt: Halt) -> Result<(), Halt> {
    let (Halt::Failed(_, failure) | Halt::Unknown(failure)) = &halt else { return Err(halt) };
    here.engine.note_failure(&here.key, failure, step);
    if here.facts.failure.borrow().is_none() {
        *here.facts.failure.borrow_mut() = Some((step.id.to_string(), failure.message.clone()));
    }
    if !step.on_failure.is_empty() {
        let inner = here.within(here.key.aside("on_failure").in_round(here.round));
        match run_steps(&step.on_failure, scope, &inner).await {
            Err(Halt::Lost(reason)) => return Err(Halt::Lost(reason)),
            // Somebody around may let the failure pass, and then nothing else would ask.
            Err(asks @ (Halt::Unknown(_) | Halt::Waiting(..))) => return Err(asks),
            _ => {}
        }
    }
    if is_let_pass(step, &halt) {
        here.engine.forgive(&here.key);
        *here.facts.failure.borrow_mut() = None;
        return Ok(());
    }
    Err(halt)
}
