//! The commands on runs: list, status, show, verify, reveal, discard; and the journal's format, which is kept readable.

#[path = "runs/follow.rs"]
mod follow;
#[path = "runs/golden.rs"]
mod golden;
#[path = "runs/list.rs"]
mod list;
#[path = "runs/reveal.rs"]
mod reveal;
#[path = "runs/schema.rs"]
mod schema;
#[path = "runs/show.rs"]
mod show;
#[path = "runs/status.rs"]
mod status;
mod support;
#[path = "runs/verify.rs"]
mod verify;

use serde_json::Value as Json;
use std::path::PathBuf;
use support::{Folder, Ran};

const TOKEN: &str = "s3cr3t-t0ken-77aa";

/// Makes a token, which is shown once; then fails, unless the file `ready` is there.
const ROTATE: &str = r#"
runbook: 1
name: test
title: Make a new token
inputs:
  service: {default: pages}
lock: "rotate:{{ service }}"
permissions:
  run: [sh]
  write: [stored]
steps:
  - id: make
    name: Make it
    exec: [sh, -c, "echo '{\"token\": \"s3cr3t-t0ken-77aa\", \"id\": \"t-77\"}'"]
    effect: once
    capture:
      token_id: .id
      new_token: {jq: .token, secret: true}
  - id: ready
    name: See that its place is ready
    exec: [sh, -c, "test -f ready"]
    effect: read
    retry: {attempts: 2, delay: 1ms}
  - id: store
    name: Store it
    exec: {argv: [sh, -c, "cat > stored"], stdin: "{{ new_token }}"}
    effect: idempotent
"#;

/// A folder in which `rotate` has failed.
fn failed() -> Folder {
    let folder = Folder::with(ROTATE);
    folder.run(&[]).exits(1);
    folder
}

impl Folder {
    fn state(&self) -> PathBuf {
        self.path().join(".local/state/runbook")
    }

    fn does(&self, arguments: &[&str]) -> Ran {
        self.program().args(arguments).ran()
    }

    fn json(&self, arguments: &[&str]) -> Json {
        let ran = self.program().args(arguments).args(["--output", "json"]).ran().exits(0);
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {}", ran.shown()))
    }

    /// Ids of all runs, the oldest first.
    fn ids(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.state().join("runs")).into_iter().flatten();
        let mut ids: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        ids.sort();
        ids
    }

    fn journal(&self, id: &str) -> PathBuf {
        self.state().join("runs").join(id).join("journal.jsonl")
    }

    /// Types of a run's records, in order.
    fn records(&self, id: &str) -> Vec<Json> {
        let text = std::fs::read_to_string(self.journal(id)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The last eight digits, as people write a run's id.
fn short(id: &str) -> &str {
    &id[id.len() - 8..]
}
