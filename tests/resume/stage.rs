//! What the tests of resuming share: a server on which each run has a part of its own, a run with its resumes, and the
//! search for secrets on disk.

use crate::support::{Answer, Folder, Program, Ran, Server, until};
use serde_json::Value as Json;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

/// A request as a run's own part of the server sees it.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: String,
    /// Without the part's name.
    pub path: String,
    pub body: Json,
    /// Requests of the same method and path that came before.
    pub before: usize,
}

impl Call {
    pub fn what(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

type Seen = Arc<Mutex<HashMap<String, Vec<Call>>>>;

/// A server with a part for each run: `http://address/PART/…`.
pub struct Stage {
    server: Server,
    seen: Seen,
}

impl Stage {
    pub fn new(answer: impl Fn(&Call) -> Answer + Send + Sync + 'static) -> Stage {
        let seen: Seen = Arc::default();
        let own = seen.clone();
        let server = Server::start(move |request, _| {
            let (part, path) = request.path[1..].split_once('/').unwrap_or_default();
            let mut seen = own.lock().unwrap();
            let calls = seen.entry(part.to_string()).or_default();
            let mut call =
                Call { method: request.method.clone(), path: format!("/{path}"), body: request.json(), before: 0 };
            call.before = calls.iter().filter(|known| known.what() == call.what()).count();
            calls.push(call.clone());
            drop(seen);
            answer(&call)
        });
        Stage { server, seen }
    }

    /// Answers everything with 200 and says back what it was sent, and how often.
    pub fn plain() -> Stage {
        Stage::new(|call| Answer::json(200, serde_json::json!({"n": call.before + 1, "sent": call.body})))
    }

    pub fn address(&self) -> String {
        self.server.address()
    }

    /// What came to a part, in order.
    pub fn calls(&self, part: &str) -> Vec<Call> {
        self.seen.lock().unwrap().get(part).cloned().unwrap_or_default()
    }
}

/// A folder with a playbook `test.yaml` (and others) that may talk to the stage's server, under its own part there.
pub struct Bench<'s> {
    pub folder: Folder,
    pub stage: &'s Stage,
    pub part: String,
    pub more: Vec<(String, String)>,
}

/// The head of a playbook of the bench; `{{ api }}` is where its part is.
pub fn playbook(stage: &Stage, name: &str, rest: &str) -> String {
    format!("runbook: 1\nname: {name}\npermissions:\n  net: [\"*\"]\ninputs:\n  api: {{type: string}}\n{rest}")
        .replace("net: [\"*\"]", &format!("net: [\"GET,POST,PUT http://{}/**\"]", stage.address()))
}

impl<'s> Bench<'s> {
    pub fn new(stage: &'s Stage, part: &str, rest: &str) -> Bench<'s> {
        let folder = Folder::new();
        folder.file("test.yaml", &playbook(stage, "test", rest));
        Bench { folder, stage, part: part.into(), more: Vec::new() }
    }

    /// Given to every process of the run.
    pub fn env(mut self, name: &str, value: &str) -> Bench<'s> {
        self.more.push((name.into(), value.into()));
        self
    }

    fn program(&self) -> Program {
        self.more.iter().fold(self.folder.program(), |program, (name, value)| program.env(name, value))
    }

    pub fn program_of(&self, arguments: &[&str]) -> Program {
        self.program().args(arguments)
    }

    pub fn starting(&self, more: &[&str]) -> Program {
        let api = format!("api=http://{}/{}", self.stage.address(), self.part);
        self.program().args(["run", "test.yaml", "--output", "json", "--set", &api]).args(more)
    }

    pub fn resuming(&self, more: &[&str]) -> Program {
        self.program().args(["resume", "last", "--output", "json"]).args(more)
    }

    pub fn run(&self, more: &[&str]) -> Ran {
        self.starting(more).ran()
    }

    pub fn resume(&self, more: &[&str]) -> Ran {
        self.resuming(more).ran()
    }

    /// A resume that is not to wait for long.
    pub fn resume_in_time(&self) -> Ran {
        let out = self.folder.file("out", "");
        let mut program = self.resuming(&[]);
        let mut child = program.0.stdout(std::fs::File::create(&out).unwrap()).stderr(Stdio::null()).spawn().unwrap();
        let over = || child.try_wait().unwrap().is_some();
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| until("it ends", over))).is_err() {
            child.kill().unwrap();
        }
        let code = child.wait().unwrap().code().unwrap_or(-1);
        Ran { code, stdout: self.folder.read("out"), stderr: String::new() }
    }

    pub fn calls(&self) -> Vec<Call> {
        self.stage.calls(&self.part)
    }

    /// How often a request such as `POST /a` came.
    pub fn count(&self, what: &str) -> usize {
        self.calls().iter().filter(|call| call.what() == what).count()
    }

    /// `POST /a`, … in order.
    pub fn whats(&self) -> Vec<String> {
        self.calls().iter().map(Call::what).collect()
    }

    pub fn state(&self) -> PathBuf {
        self.folder.path().join(".local/state/runbook")
    }

    /// The folder of the only run.
    pub fn run_folder(&self) -> PathBuf {
        let mut runs: Vec<PathBuf> =
            std::fs::read_dir(self.state().join("runs")).unwrap().map(|entry| entry.unwrap().path()).collect();
        runs.sort();
        runs.pop().unwrap()
    }

    pub fn run_id(&self) -> String {
        self.run_folder().file_name().unwrap().to_str().unwrap().to_string()
    }

    pub fn journal(&self) -> String {
        std::fs::read_to_string(self.run_folder().join("journal.jsonl")).unwrap()
    }

    pub fn records(&self) -> Vec<Json> {
        self.journal().lines().map(|line| serde_json::from_str(line).unwrap_or_default()).collect()
    }

    /// The journal, a few words a line.
    pub fn told(&self) -> String {
        let line = |record: Json| {
            let words = ["type", "step", "attempt", "round", "outcome", "what"];
            let words: Vec<String> = words.iter().filter_map(|word| record.get(word)).map(Json::to_string).collect();
            words.join(" ")
        };
        self.records().into_iter().map(line).collect::<Vec<_>>().join("\n")
    }

    pub fn records_of(&self, kind: &str) -> Vec<Json> {
        self.records().into_iter().filter(|record| record["type"] == kind).collect()
    }
}

/// The step that a run which ended with exit code 4 asks about.
#[track_caller]
pub fn asked(ran: &Ran) -> String {
    let shown = ran.shown();
    let Some((_, rest)) = shown.split_once("--redo ") else { panic!("asks nothing:\n{shown}") };
    rest.split(['`', '"', ' ', '\\', '\n']).next().unwrap().trim_matches('\'').to_string()
}

/// Every file below a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { files.extend(self::files(&path)) } else { files.push(path) }
    }
    files
}

/// No file below the folder has the secret in it, as it is or encoded.
#[track_caller]
pub fn hides(folder: &Path, secret: &str) {
    use base64::Engine;
    let plain = secret.as_bytes();
    let mut forms = vec![plain.to_vec(), plain.iter().rev().copied().collect()];
    forms.push(plain.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into_bytes());
    for offset in 0..3 {
        let encoded = base64::engine::general_purpose::STANDARD_NO_PAD.encode([&b"__"[..offset], plain].concat());
        // What is beside it decides on the letters at both ends.
        forms.push(encoded.as_bytes()[offset + usize::from(offset > 0)..encoded.len() - 2].to_vec());
    }
    for path in files(folder) {
        let bytes = std::fs::read(&path).unwrap();
        for form in &forms {
            let found = bytes.windows(form.len()).any(|window| window == form);
            assert!(!found, "{} holds `{}`", path.display(), String::from_utf8_lossy(form));
        }
    }
}
