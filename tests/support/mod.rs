//! What tests of the program need: a folder of files, the program with a clean environment, a server that records.

// Each test binary uses a part of it.
#![allow(dead_code, unused_imports)]

mod server;
mod terminal;

pub use server::{Answer, Request, Server};
pub use terminal::AtTerminal;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A private folder with a playbook's files in it.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    /// A folder with one playbook, called `test.yaml`.
    pub fn with(playbook: &str) -> Folder {
        let folder = Folder::new();
        folder.file("test.yaml", playbook);
        folder
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).unwrap()
    }

    /// Runs `test.yaml` with more arguments.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.program().args(["run", "test.yaml"]).args(arguments).ran()
    }

    pub fn check(&self) -> Ran {
        self.program().args(["check", "test.yaml"]).ran()
    }

    /// The program, in this folder, with nothing of our environment but what it needs.
    pub fn program(&self) -> Program {
        let mut command = Command::new(env!("CARGO_BIN_EXE_runbook"));
        command
            .current_dir(self.path())
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap_or_default())
            .env("HOME", self.path())
            .env("USER", "tester")
            .stdin(Stdio::null());
        Program(command)
    }
}

/// Whether a process has ended; one that only waits to be reaped has.
pub fn has_ended(pid: &str) -> bool {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Err(_) => true,
        Ok(stat) => stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with(['Z', 'X'])),
    }
}

/// Waits until something holds, for up to half a minute: what is waited for was brought about already.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..3_000 {
        if holds() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("waited in vain: {what}");
}

pub struct Program(pub Command);

impl Program {
    pub fn args<A: AsRef<std::ffi::OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Program {
        self.0.args(arguments);
        self
    }

    pub fn arg(mut self, argument: impl AsRef<std::ffi::OsStr>) -> Program {
        self.0.arg(argument);
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Program {
        self.0.env(name, value);
        self
    }

    pub fn ran(mut self) -> Ran {
        Ran::from(self.0.output().unwrap())
    }
}

/// What a run of the program came to.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ran {
    /// Everything that was shown.
    pub fn shown(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    #[track_caller]
    pub fn exits(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "exit code {} instead of {code}\n{}", self.code, self.shown());
        self
    }

    #[track_caller]
    pub fn shows(self, text: &str) -> Ran {
        assert!(self.shown().contains(text), "does not show `{text}`:\n{}", self.shown());
        self
    }

    #[track_caller]
    pub fn hides(self, text: &str) -> Ran {
        assert!(!self.shown().contains(text), "shows `{text}`:\n{}", self.shown());
        self
    }

    /// The events of a run with `--output json`.
    pub fn events(&self) -> Vec<serde_json::Value> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
            .collect()
    }

    /// The last event, which sums the run up.
    pub fn finished(&self) -> serde_json::Value {
        self.events().pop().unwrap()
    }
}
