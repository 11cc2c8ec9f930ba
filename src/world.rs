//! Owns worlds: fakes for everything outside, playing on loopback as a process of their own.
//! Deliberately knows nothing of playbooks beyond their inputs' names.
//!
//! A world file says which hosts and programs there are and, in jq, what they answer; all of them share one state. `runbook
//! world FILE` plays it; a run reaches its hosts over TCP and finds its programs on PATH, so timeouts, broken answers, argv,
//! standard input and exit codes are the real thing. Nothing in it is guarded but by being on loopback: any user of this
//! machine may read and change it while it is up. So: rehearsals only, nothing real in it.
//!
//! What its shape (`document`) does not say by itself:
//! - `null` for `state`, `headers`, `text`, `delay`, `close` or `truncate` in a fake's answer is as if it were absent.
//! - State changes before `delay` begins: a caller that gives up has changed it all the same, as it is outside.
//! - A fake that fails answers 599 and says why, there, on the world's standard error and in its calls; a program exits 70.
//! - A program's fake may `delay` too. A program may be named by an absolute path; a run then finds it under that name.
//! - A request whose host the world does not name is answered 421; a run never sends one.
//! - `files: {relative/name: text}` puts files into the world's folder. In them, and in the `env` of a real program,
//!   `{{ world.folder }}`, `{{ world.socket }}` and `{{ world.address }}` are filled in. The socket is a unix socket with the
//!   same hosts: a `gh` with `http_unix_socket` in its config talks through it to the world's `api.github.com`.

mod calls;
mod client;
mod control;
mod document;
mod fill;
mod folder;
mod fresh;
mod hosts;
mod play;
mod player;
mod process;
mod programs;
mod reply;
mod route;
mod scene;

mod serve;
mod server;
mod stage;

pub use document::world_schema;
pub use player::play_program;
pub use serve::{Serving, serve};

use crate::action::StandIns;
use crate::diagnostic::Diagnostic;
use control::Info;
use process::Process;
use scene::Scene;
use serde_json::{Value as Json, json};
use std::path::Path;
use std::time::Duration;

/// A running world, as the run sees it. Ends the world's process when dropped, if it started it.
pub struct World {
    info: Info,
    process: Option<Process>,
}

/// Why a world could not be had.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    #[error("the world file has mistakes")]
    Mistakes(Vec<Diagnostic>),
    #[error("{0}")]
    Failed(String),
}

/// How long a world may take over one question: jq has ten seconds, and others may be before us.
const PATIENCE: Duration = Duration::from_secs(120);

impl World {
    /// Starts `FILE` as a process of its own, or joins one that is up at `http://127.0.0.1:PORT`.
    pub fn open(what: &str) -> Result<World, WorldError> {
        if what.contains("://") {
            return World::join(what);
        }
        let runbook = process::runbook()
            .map_err(|error| WorldError::Failed(format!("this program cannot find itself: {error}")))?;
        World::start(&runbook, Path::new(what))
    }

    /// Starts `FILE` as a process of the program at `runbook`.
    pub fn start(runbook: &Path, file: &Path) -> Result<World, WorldError> {
        // Mistakes are found here, where they can be drawn; the process reads the file again.
        check(file).map_err(WorldError::Mistakes)?;
        let (process, address) = Process::start(runbook, file)?;
        let mut world = World::join(&address)?;
        world.process = Some(process);
        Ok(world)
    }

    /// Joins the world that is up at `http://127.0.0.1:PORT`.
    pub fn join(address: &str) -> Result<World, WorldError> {
        let info = ask(address, "GET", "/info", None)?;
        let info: Info = serde_json::from_value(info)
            .map_err(|_| WorldError::Failed(format!("there is no world of this version at {address}")))?;
        Ok(World { info, process: None })
    }

    pub fn address(&self) -> &str {
        &self.info.address
    }

    pub fn stand_ins(&self) -> StandIns {
        let hosts = self.info.hosts.iter().filter_map(|(host, forward)| {
            let base = forward.as_deref().unwrap_or(&self.info.address);
            Some((host.clone(), url::Url::parse(base).ok()?))
        });
        StandIns {
            hosts: hosts.collect(),
            programs: self.info.programs.clone(),
            players: self.info.players.clone(),
            belongings: self.info.belongings.clone(),
            address: url::Url::parse(&self.info.address).ok(),
        }
    }

    /// Stand-in for an input; `known` are the public inputs given so far.
    pub fn input(&self, name: &str, known: &Json) -> Result<Option<Json>, WorldError> {
        let mut said = self.ask("POST", "/input", Some(&json!({"name": name, "inputs": known})))?;
        Ok(said.get_mut("value").map(Json::take))
    }

    /// Whether a confirm or manual step (without required answers) answers itself.
    pub fn approves(&self, step: &str) -> bool {
        self.info.approve_all || self.info.approve.iter().any(|approved| approved == step)
    }

    /// Whether it attests roles: `approve: all`.
    pub fn approves_all(&self) -> bool {
        self.info.approve_all
    }

    /// What the person does at a manual step; `None`: the world does not say.
    pub fn answer(
        &self,
        step: &str,
        instructions: &str,
        fields: &[String],
        inputs: &Json,
    ) -> Result<Option<Json>, WorldError> {
        let asked = json!({"step": step, "instructions": instructions, "ask": fields, "inputs": inputs});
        let mut said = self.ask("POST", "/answer", Some(&asked))?;
        Ok(said.get_mut("answers").map(Json::take))
    }

    /// Factor on waits and retry delays.
    pub fn pace(&self) -> f64 {
        self.info.pace
    }

    pub fn state(&self) -> Result<Json, WorldError> {
        self.ask("GET", "/state", None)
    }

    /// Replaces the state, for tests.
    pub fn set_state(&self, state: &Json) -> Result<(), WorldError> {
        self.ask("PUT", "/state", Some(state)).map(drop)
    }

    pub fn calls(&self) -> Result<Json, WorldError> {
        self.ask("GET", "/calls", None)
    }

    fn ask(&self, method: &str, path: &str, body: Option<&Json>) -> Result<Json, WorldError> {
        ask(&self.info.address, method, path, body)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process
            && !process.end()
            && let Some(folder) = self.info.folder.parent()
        {
            // It had to be killed, so it could not tidy up.
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// Every mistake in a world file, found without playing it.
pub fn check(file: &Path) -> Result<(), Vec<Diagnostic>> {
    Scene::read(file).map(drop)
}

fn ask(address: &str, method: &str, path: &str, body: Option<&Json>) -> Result<Json, WorldError> {
    client::ask(address, method, path, body, Some(PATIENCE)).map_err(|error| WorldError::Failed(error.to_string()))
}
