//! Owns running one program: argv without a shell, a minimal environment, its whole process group ended on time.
//! Deliberately knows nothing of retries and assertions.

use super::{ActionError, Hands, Leave, Output};
use crate::value::Value;
use std::path::PathBuf;
use std::time::Duration;

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
    /// Absolute.
    pub cwd: PathBuf,
    pub timeout: Option<Duration>,
    /// Bytes of each stream.
    pub max_output: u64,
}

/// Runs it. Output: `{exit_code, signal, stdout, stderr, json, duration_ms}`; `exit_code` is null after a signal.
pub async fn perform(_hands: &Hands, _command: &Command, _leave: &Leave<'_>) -> Result<Output, ActionError> {
    todo!()
}
