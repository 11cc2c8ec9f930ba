//! Owns worlds: fakes for everything outside, playing on loopback as a process of their own.
//! Deliberately knows nothing of playbooks beyond their inputs' names.

use crate::action::StandIns;
use crate::diagnostic::Diagnostic;
use serde_json::Value as Json;
use std::path::Path;

/// A running world, as the run sees it. Ends the world's process when dropped, if it started it.
pub struct World {}

/// Why a world could not be had.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    #[error("the world file has mistakes")]
    Mistakes(Vec<Diagnostic>),
    #[error("{0}")]
    Failed(String),
}

impl World {
    /// Starts `FILE` as a process of its own, or joins one that is up at `http://127.0.0.1:PORT`.
    pub fn open(_what: &str) -> Result<World, WorldError> {
        todo!()
    }
    pub fn address(&self) -> &str {
        todo!()
    }
    pub fn stand_ins(&self) -> StandIns {
        todo!()
    }
    /// Stand-in for an input; `known` are the public inputs given so far.
    pub fn input(&self, _name: &str, _known: &Json) -> Result<Option<Json>, WorldError> {
        todo!()
    }
    /// Whether a confirm or manual step (without required answers) answers itself.
    pub fn approves(&self, _step: &str) -> bool {
        todo!()
    }
    /// Whether it attests roles: `approve: all`.
    pub fn approves_all(&self) -> bool {
        todo!()
    }
    /// What the person does at a manual step; `None`: the world does not say.
    pub fn answer(
        &self,
        _step: &str,
        _instructions: &str,
        _fields: &[String],
        _inputs: &Json,
    ) -> Result<Option<Json>, WorldError> {
        todo!()
    }
    /// Factor on waits and retry delays.
    pub fn pace(&self) -> f64 {
        todo!()
    }
    pub fn state(&self) -> Result<Json, WorldError> {
        todo!()
    }
    pub fn calls(&self) -> Result<Json, WorldError> {
        todo!()
    }
}

/// `runbook world FILE`: plays until ended; prints where it listens.
pub fn serve(_file: &Path, _port: u16, _keep: bool) -> Result<(), WorldError> {
    todo!()
}

/// What a world's program runs (`runbook world-program`): asks the world, plays the answer. Gives the exit code.
pub fn play_program(_address: &str, _name: &str, _argv: Vec<String>) -> i32 {
    todo!()
}
pub fn world_schema() -> Json {
    todo!()
}
