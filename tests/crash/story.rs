//! Owns one rotation from its first process to its last: a world that outlives them, processes that are killed, what
//! each of them showed, asked of the world and left in its journal, and the operator who goes on with it.

use crate::rehearsal::{Token, raxx, shipped};
use crate::search::Evidence;
use crate::support::Folder;
use runbook::world::World;
use serde_json::Value as Json;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A rotation to be told: which token, and in what kind of world.
pub struct Plot {
    pub name: &'static str,
    pub token: &'static Token,
    pub settings: &'static [&'static str],
    /// Changes the world before the first process.
    pub stage: fn(&mut Json),
    /// What the operator mends in the world when the run has failed.
    pub mend: Option<fn(&mut Json)>,
}

impl Plot {
    pub fn by_dashboard(&self) -> bool {
        self.settings.contains(&"mode=dashboard")
    }
}

pub fn as_it_is(_: &mut Json) {}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By SIGKILL.
    Killed,
    Exit(i32),
}

/// One process of the story.
pub struct Played {
    pub arguments: String,
    pub ended: Ended,
    pub output: String,
    pub errors: String,
    /// What it asked of the world, oldest first.
    pub calls: Vec<Json>,
    /// The world's state after it.
    pub state: Json,
    pub journal: Journal,
    /// Whether the run's wrapped key was there after it.
    pub custody: bool,
    pub took: Duration,
}

/// When a process is to die.
#[derive(Clone, Copy, Debug)]
pub enum Death<'a> {
    None,
    /// At a write to its journal, `WRITE:PART`.
    At(&'a str),
    /// So long after it was started.
    After(Duration),
}

pub struct Story<'a> {
    pub plot: &'a Plot,
    pub world: World,
    pub before: Json,
    pub played: Vec<Played>,
    /// What the operator was asked about steps in doubt, and said.
    pub questions: Vec<String>,
    folder: Folder,
    mended: bool,
    /// After how many processes the operator last decided, and what.
    decided: Option<(usize, Vec<String>)>,
    evidence: &'a Evidence,
}

/// More resumes than this are a story without an end.
pub const MOST_RESUMES: usize = 5;
/// A process that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(120);

impl<'a> Story<'a> {
    pub fn new(plot: &'a Plot, evidence: &'a Evidence) -> Story<'a> {
        let folder = Folder::new();
        let file = folder.file("world.yaml", &raxx());
        let world = World::start(Path::new(env!("CARGO_BIN_EXE_runbook")), &file)
            .unwrap_or_else(|error| panic!("the world does not start: {error:?}"));
        let mut before = world.state().unwrap();
        (plot.stage)(&mut before);
        world.set_state(&before).unwrap();
        // The operator has the old value in a file: what a world says it is changes with the roll.
        let current = serde_json::json!({"current_token": plot.token.value(&before)});
        folder.file("inputs.yaml", &current.to_string());
        for name in ["state", "config", "home", "tmp", "out"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let (played, questions) = (Vec::new(), Vec::new());
        Story { plot, world, before, played, questions, folder, mended: false, decided: None, evidence }
    }

    /// All that a run may write to; what is full of secrets by itself, the world's file and the operator's, is beside it.
    pub fn places(&self) -> Vec<PathBuf> {
        ["state", "config", "home", "tmp", "out"].map(|name| self.folder.path().join(name)).into()
    }

    pub fn state_folder(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// The folder of the run, once its journal holds a whole record: before that there is nothing to resume.
    fn run_folder(&self) -> Option<PathBuf> {
        let runs = std::fs::read_dir(self.state_folder().join("runs")).ok()?;
        let mut folders: Vec<PathBuf> = runs.flatten().map(|entry| entry.path()).collect();
        folders.retain(|folder| !Journal::read(folder).records.is_empty());
        folders.sort();
        folders.pop()
    }

    /// The first process, or the next: `run`, or `resume` once there is something to resume, with more arguments.
    pub fn play(&mut self, more: &[String], death: Death) -> Ended {
        let world = self.world.address().to_owned();
        let mut arguments = vec!["--output".to_owned(), "json".to_owned(), "--world".to_owned(), world];
        match self.run_folder() {
            Some(folder) => {
                let run = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
                arguments.splice(0..0, ["resume".to_owned(), run]);
            }
            None => {
                let playbook = shipped(&format!("{}.yaml", self.plot.token.playbook)).display().to_string();
                arguments.splice(0..0, ["run".to_owned(), playbook]);
                arguments.extend(["--inputs".into(), self.folder.path().join("inputs.yaml").display().to_string()]);
                arguments.extend(self.plot.settings.iter().flat_map(|text| ["--set".to_owned(), (*text).to_owned()]));
                // The lock of a process that died before its first record was whole.
                if !self.played.is_empty() {
                    arguments.push("--take-over".to_owned());
                }
            }
        }
        arguments.extend(more.iter().cloned());
        self.start(arguments, death)
    }

    fn start(&mut self, arguments: Vec<String>, death: Death) -> Ended {
        let path = |name: &str| self.folder.path().join(name);
        let number = self.played.len() + 1;
        let (out, err) = (path(&format!("out/{number}.out")), path(&format!("out/{number}.err")));
        let mut command = Command::new(env!("CARGO_BIN_EXE_runbook"));
        command
            .args(&arguments)
            .current_dir(path("home"))
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap_or_default())
            .env("USER", "tester")
            .env("HOME", path("home"))
            .env("XDG_CONFIG_HOME", path("config"))
            .env("RUNBOOK_STATE_DIR", path("state"))
            .env("TMPDIR", path("tmp"))
            .stdin(Stdio::null())
            .stdout(File::create(&out).unwrap())
            .stderr(File::create(&err).unwrap());
        if let Death::At(fault) = death {
            command.env("RUNBOOK_FAULT", fault);
        }
        let since = Instant::now();
        let mut child = command.spawn().unwrap();
        let limit = if let Death::After(limit) = death { limit } else { PATIENCE };
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if since.elapsed() >= limit {
                child.kill().unwrap();
                break child.wait().unwrap();
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        let took = since.elapsed();
        let read = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
        let (output, errors) = (read(&out), read(&err));
        assert!(
            matches!(death, Death::After(_)) || took < PATIENCE,
            "{} hangs:\n{}",
            arguments.join(" "),
            tail(&output)
        );
        let ended = ended(status);
        let known = self.played.iter().map(|played| played.calls.len()).sum();
        let calls: Vec<Json> = self.world.calls().unwrap().as_array().unwrap().iter().skip(known).cloned().collect();
        let run = self.run_folder();
        self.played.push(Played {
            arguments: arguments.join(" "),
            ended,
            output,
            errors,
            calls,
            state: self.world.state().unwrap(),
            journal: run.as_deref().map(Journal::read).unwrap_or_default(),
            custody: run.is_some_and(|run| run.join("key").exists()),
            took,
        });
        // Before the next one may have covered it up.
        self.evidence.search(self);
        ended
    }

    /// Goes on until the run has passed, as the operator would. What is in the way of it, if anything.
    pub fn finish(&mut self) -> Result<(), String> {
        for _ in 0..MOST_RESUMES {
            match self.next_move()? {
                Move::Over => return Ok(()),
                Move::On(more) => {
                    self.play(&more, Death::None);
                }
            }
        }
        match self.next_move()? {
            Move::Over => Ok(()),
            Move::On(_) => Err(format!("not over after {MOST_RESUMES} resumes: {}", self.last_words())),
        }
    }

    /// What the operator does after the last process; asked again, the same.
    pub fn next_move(&mut self) -> Result<Move, String> {
        if let Some((after, arguments)) = &self.decided
            && *after == self.played.len()
        {
            return Ok(Move::On(arguments.clone()));
        }
        let made = self.decide()?;
        if let Move::On(arguments) = &made {
            self.decided = Some((self.played.len(), arguments.clone()));
        }
        Ok(made)
    }

    fn decide(&mut self) -> Result<Move, String> {
        let last = self.played.last().expect("something was played");
        match last.ended {
            Ended::Exit(0) => Ok(Move::Over),
            Ended::Killed => Ok(Move::On(Vec::new())),
            Ended::Exit(1) => {
                let Some(mend) = self.plot.mend.filter(|_| !self.mended) else {
                    return Err(format!("the run failed: {}", self.last_words()));
                };
                if !last.custody {
                    return Err("the run failed, and its key is gone: what it holds is lost".into());
                }
                self.mended = true;
                let mut state = self.world.state().unwrap();
                mend(&mut state);
                self.world.set_state(&state).unwrap();
                Ok(Move::On(Vec::new()))
            }
            Ended::Exit(4) => {
                let Some(step) = last.in_doubt() else {
                    return Err(format!("it asks, and nothing says about which step: {}", self.last_words()));
                };
                // The operator looks whether it took effect. What was rolled and is lost has to be rolled again all the same.
                let happened = self.took_effect(&step) && step != "roll/roll-by-api";
                let answer = if happened { "--done" } else { "--redo" };
                self.questions.push(format!("{step}: {answer}"));
                Ok(Move::On(vec![answer.into(), step]))
            }
            Ended::Exit(code) => Err(format!("exit code {code}: {}", self.last_words())),
        }
    }

    fn took_effect(&self, step: &str) -> bool {
        let sent = crate::promises::changes(self.plot, &self.before, &self.played);
        sent.iter().any(|change| change.step == step && change.took_effect)
    }

    pub fn kills(&self) -> usize {
        self.played.iter().filter(|played| played.ended == Ended::Killed).count()
    }

    pub fn last_words(&self) -> String {
        let last = self.played.last().expect("something was played");
        format!("`runbook {}`\n{}\n{}", last.arguments, tail(&last.output), tail(&last.errors))
    }

    pub fn told(&self) -> String {
        let lines = self.played.iter().map(|played| {
            let Played { arguments, ended, calls, took, .. } = played;
            format!("  runbook {arguments}: {ended:?} after {took:?}, {} calls", calls.len())
        });
        let questions = self.questions.iter().map(|question| format!("  asked about {question}"));
        lines.chain(questions).collect::<Vec<_>>().join("\n")
    }
}

pub enum Move {
    /// The run has passed.
    Over,
    /// Resume, with these arguments.
    On(Vec<String>),
}

impl Played {
    /// The step that it said nobody knows the outcome of.
    fn in_doubt(&self) -> Option<String> {
        let events = self.output.lines().filter_map(|line| serde_json::from_str::<Json>(line).ok());
        let doubts = events.filter(|event| event["event"] == "step-finished" && event["outcome"] == "unknown");
        // What it stands in is in doubt with it, and told after it.
        doubts.map(|event| event["step"].as_str().unwrap_or_default().to_owned()).next()
    }
}

pub fn ended(status: ExitStatus) -> Ended {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ended::Exit(code),
        (None, Some(9)) => Ended::Killed,
        (None, signal) => panic!("a process ended by signal {signal:?}"),
    }
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}

/// A journal as it is on disk: its whole records, read with nothing of the program's own.
#[derive(Clone, Default)]
pub struct Journal {
    pub records: Vec<Json>,
}

/// How a step stands in a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    Untouched,
    /// Its intent is there, and no outcome.
    InDoubt,
    Finished,
}

impl Journal {
    pub fn read(run: &Path) -> Journal {
        let bytes = std::fs::read(run.join("journal.jsonl")).unwrap_or_default();
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let lines = bytes[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        Journal { records: lines.map(|line| serde_json::from_slice(line).unwrap_or(Json::Null)).collect() }
    }

    /// How the step stands whose key, without round and attempt, is `step`.
    pub fn stands(&self, step: &str) -> Stands {
        let mut stands = Stands::Untouched;
        for record in self.records.iter().filter(|record| is_of(record, step)) {
            let said = |name: &str| record[name].as_str().unwrap_or_default();
            match (said("type"), said("outcome")) {
                ("attempt-started", _) => stands = Stands::InDoubt,
                // A person is asked after it, and no attempt is written for that.
                ("step-started", _) if said("action") == "manual" => stands = Stands::InDoubt,
                ("attempt-finished" | "step-finished", "passed") => stands = Stands::Finished,
                ("attempt-finished", "failed") => stands = Stands::Untouched,
                ("decision", _) if said("what") == "redo" => stands = Stands::Untouched,
                ("decision", _) => stands = Stands::Finished,
                _ => {}
            }
        }
        stands
    }
}

fn is_of(record: &Json, step: &str) -> bool {
    let key = record["step"].as_str().unwrap_or_default();
    key.strip_prefix(step).is_some_and(|rest| rest.is_empty() || rest.starts_with(['#', '~', '@']))
}
