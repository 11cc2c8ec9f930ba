//! Owns dry runs: what is no `read` is rendered and not sent, and what would only be born then is said to be so.

use super::place::Place;
use super::render::{self, RenderError};
use super::scope::Scope;
use crate::action::{ActionError, Leave, exec, http};
use crate::event::FailureKind;
use crate::ledger::{Attempted, Missed, Passed};
use crate::plan::{Step, Work};
use crate::value::text_of;

/// Why a step would not be sent.
enum Trouble {
    Render(RenderError),
    Action(ActionError),
}

/// Renders a step that a dry run does not send, and judges it as if it were: what may not be reached, and what may not
/// be told there, is refused here too.
pub fn rehearse(step: &Step, scope: &Scope<'_>, here: &Place<'_>) -> Attempted {
    let rendered = match &step.work {
        Work::Http(http) => render::http(http, scope, &here.hands().births, here.folder())
            .map_err(Trouble::Render)
            .and_then(|request| {
                let leave = Leave { grant: &here.grant, cancel: &here.cancel, veil: super::attempt::veil(step) };
                http::judge(here.hands(), &request, &leave).map_err(Trouble::Action)?;
                Ok(format!("would send {} {}", request.method, text_of(&request.url.shown())))
            }),
        Work::Exec(exec) => render::program(exec, scope, &here.hands().births, here.folder())
            .map_err(Trouble::Render)
            .and_then(|ready| {
                exec::judge(here.hands(), &ready.command, &here.grant).map_err(Trouble::Action)?;
                Ok(match &exec.script {
                    Some(_) => "would run its script".to_string(),
                    None => {
                        let argv: Vec<String> = ready.command.argv.iter().map(|word| text_of(&word.shown())).collect();
                        format!("would run {}", argv.join(" "))
                    }
                })
            }),
        _ => Ok("would do it".into()),
    };
    here.engine.unborn(step);
    match rendered {
        Ok(_) if step.no_log => {
            Attempted::Passed(Passed { detail: Some("would be sent (not shown: no_log)".into()), ..Passed::default() })
        }
        Ok(detail) => Attempted::Passed(Passed { detail: Some(here.facts.mask(&detail)), ..Passed::default() }),
        Err(trouble) => {
            let (kind, message, help) = match trouble {
                Trouble::Render(error) => (error.kind(), error.to_string(), None),
                Trouble::Action(ActionError::Refused { message, help }) => (FailureKind::Refused, message, help),
                Trouble::Action(error) => (FailureKind::Action, error.to_string(), None),
            };
            let mut failure = super::attempt::failure(kind, message, step, here);
            failure.help.extend(help);
            Attempted::Failed(Missed::unsent(failure))
        }
    }
}

/// In a dry run, a step that does not hold or cannot be evaluated has not failed where it comes after one that was not done.
pub fn excuse(attempted: Attempted, step: &Step, here: &Place<'_>) -> Attempted {
    match attempted {
        Attempted::Failed(missed)
            if matches!(missed.failure.kind, FailureKind::Evaluation | FailureKind::Assertions) =>
        {
            match here.engine.excuse(&missed.failure.message) {
                Some(detail) => {
                    here.engine.unborn(step);
                    Attempted::Passed(Passed { detail: Some(detail), ..Passed::default() })
                }
                None => Attempted::Failed(missed),
            }
        }
        other => other,
    }
}
