//! Owns running one program: argv without a shell, a minimal environment, its whole process group ended on time.
//! Deliberately knows nothing of retries and assertions.

#[cfg(target_os = "linux")]
mod calls;
mod child;
mod confine;
mod guard;
mod kernel;
mod made;
mod places;
mod program;
mod start;
mod system;
#[cfg(test)]
mod tests;

pub use confine::Confine;
pub use program::{file_of, program_of};
pub(crate) use start::as_born;

use super::{ActionError, Hands, Leave, Output, Sent};
use crate::plan::permissions::{Grant, Refusal};
use crate::value::Value;
use program::Surroundings;
use serde_json::{Value as Json, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A rendered program.
pub struct Command {
    /// The program first; secret arguments are refused unless `secret_argv` is set.
    pub argv: Vec<Value>,
    pub secret_argv: bool,
    /// Names must be permitted.
    pub env: Vec<(String, Value)>,
    pub stdin: Option<Value>,
    /// Added to the environment without asking for permission (`FILES_…` of a script).
    pub own_env: Vec<(String, String)>,
    /// The values whose taint flows to the program by other ways (private files).
    pub also_given: Vec<Value>,
    /// The folder of its private files.
    pub files: Option<PathBuf>,
    /// Absolute.
    pub cwd: PathBuf,
    pub timeout: Option<Duration>,
    /// Bytes of each stream.
    pub max_output: u64,
}

impl Command {
    /// All that the program is given.
    pub fn values(&self) -> impl Iterator<Item = &Value> {
        let named = self.env.iter().map(|(_, value)| value);
        self.argv.iter().chain(named).chain(&self.stdin).chain(&self.also_given)
    }
}

/// Runs it. Output: `{exit_code, signal, stdout, stderr, json, duration_ms}`; `exit_code` is null after a signal, and
/// `signal` is its name, such as `SIGKILL`. `json` is standard output where that is JSON.
pub async fn perform(hands: &Hands, command: &Command, leave: &Leave<'_>) -> Result<Output, ActionError> {
    let started = Instant::now();
    let name = judge(hands, command, leave.grant)?;
    if *leave.cancel.0.borrow() {
        return Err(ActionError::Interrupted { sent: Sent::No });
    }
    let surroundings = Surroundings::of(&name, hands.stand_ins.as_ref())?;
    let cage = confine::cage(&hands.confinement, leave.grant, command, &surroundings, hands.stand_ins.as_ref())?;
    let door = cage.as_ref().map(confine::Cage::door);
    let ended = child::run(command, &surroundings, door, hands.life, leave.cancel).await?;
    let stdout = String::from_utf8_lossy(&ended.stdout);
    Ok(Value::plain(json!({
        "exit_code": ended.exit_code,
        "signal": ended.signal,
        "json": super::json::read(&stdout),
        "stdout": stdout,
        "stderr": String::from_utf8_lossy(&ended.stderr),
        "duration_ms": u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    })))
}

/// Whether a program that was not let do something would answer so.
pub fn smells_of_refusal(output: &Json) -> bool {
    let said = |stream: &str| output[stream].as_str().unwrap_or_default();
    let word = ["ermission denied", "EACCES", "EPERM", "peration not permitted"].iter();
    let is_said = word.into_iter().any(|word| said("stderr").contains(word) || said("stdout").contains(word));
    output["exit_code"] != 0 && (is_said || matches!(output["exit_code"].as_i64(), Some(126 | 127)))
}

/// Whether it may run with what it is given. Gives the program's name.
///
/// # Errors
/// What is not permitted, or would take a secret where it may not go.
pub fn judge(hands: &Hands, command: &Command, grant: &Grant) -> Result<String, ActionError> {
    let Some(argv0) = command.argv.first() else { return Err(unsent("`argv` is empty: the program comes first")) };
    if argv0.is_secret() {
        return Err(ActionError::Refused { message: "the program's name is secret".into(), help: None });
    }
    let name = argv0.expose_text();
    grant.run(&name).map_err(refused)?;
    if !command.secret_argv && command.argv.iter().any(Value::is_secret) {
        return Err(ActionError::Refused {
            message: format!("an argument of `{name}` is secret, and arguments are seen by all on this machine"),
            help: Some(
                "give it by `env`, `stdin` or `files`; if the program takes it in no other way: `allow_secret_argv: \"REASON\"`"
                    .into(),
            ),
        });
    }
    for (variable, _) in &command.env {
        if variable.is_empty() || variable.contains(['=', '\0']) {
            return Err(unsent(format!("{variable:?} is no name of an environment variable")));
        }
        grant.env(variable).map_err(refused)?;
    }
    let env = command.env.iter().map(|(_, value)| value);
    for value in command.argv.iter().chain(env).chain(&command.stdin).chain(&command.also_given) {
        if let Some(origin) = hands.births.taint_of(value).refuses_program(&name) {
            return Err(ActionError::Refused {
                message: format!("the secret `{}` may not go to the program `{name}`", origin.name),
                help: Some(format!("add `run:{name}` to the `to:` of `{}`, if it is meant to go there", origin.name)),
            });
        }
    }
    Ok(name)
}

fn refused(refusal: Refusal) -> ActionError {
    ActionError::Refused { message: refusal.message, help: Some(refusal.help) }
}

/// A mistake that was found before anything was started.
fn unsent(message: impl Into<String>) -> ActionError {
    ActionError::Failed { message: message.into(), sent: Sent::No }
}
