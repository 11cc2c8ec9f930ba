//! Owns `runbook show`: a run as its reporter showed it, told again from its records; and, with `--follow`, as it goes on.

use super::Exit;
use super::config::Config;
use super::resume::kept_texts;
use super::runs::{Form, find, out, refuse};
use crate::event::{Note, RunEvent};
use crate::journal::folder::RunFolder;
use crate::journal::look::process;
use crate::journal::record::{Playbook, Record};
use crate::journal::replay::{Face, Replay};
use crate::journal::tail::{Cut, Tail};
use crate::journal::writer::is_live;
use crate::plan::check::check_allowing;
use crate::plan::permissions::Allowed;
use crate::report::{Human, Json, Reporter};
use crate::secret::Masker;
use crate::source::Source;
use clap::Args;
use std::path::Path;
use std::time::{Duration, SystemTime};

#[derive(Args)]
pub struct ShowArguments {
    /// The run: its id, the beginning or end of it, `last`, or its folder
    run: String,
    /// Goes on showing what comes, until the run has ended
    #[arg(long)]
    follow: bool,
    /// human, or json (an event a line)
    #[arg(long, value_enum, default_value = "human")]
    output: Form,
}

/// How often a run under way is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// After so many looks without anything new it is looked whether anybody is still at it.
const QUIET: u32 = 5;

pub fn show(arguments: &ShowArguments, config: &Config, masker: &Masker) -> Exit {
    let folder = match find(&arguments.run, config, masker) {
        Ok(folder) => folder,
        Err(exit) => return exit,
    };
    let out = out(masker);
    let reporter: Box<dyn Reporter> = match arguments.output {
        Form::Json => Box::new(Json::new(out)),
        Form::Human => Box::new(Human::new(out, masker.clone(), false)),
    };
    let tail = Tail::of(&folder.journal());
    let mut watch = Watch { folder, tail, reporter, replay: None, records: Vec::new(), ended: false };
    match watch.watch(arguments.follow) {
        None => Exit::Passed,
        Some(cut) => {
            let text = format!(
                "the journal {}: {cut}\nhelp: `runbook verify {}` says more",
                watch.folder.journal().display(),
                watch.folder.id
            );
            refuse(Exit::Failed, &text, masker)
        }
    }
}

struct Watch {
    folder: RunFolder,
    tail: Tail,
    reporter: Box<dyn Reporter>,
    /// There once the first record was read.
    replay: Option<Replay>,
    records: Vec<(SystemTime, Record)>,
    ended: bool,
}

impl Watch {
    /// Shows what is there, and what comes. Gives what is in the way of reading on.
    fn watch(&mut self, follow: bool) -> Option<Cut> {
        let mut cut = self.look();
        if !follow || cut.is_some() {
            if cut.is_none() && !self.ended {
                self.tell_unfinished();
            }
            return cut;
        }
        let (mut quiet, mut told) = (0, false);
        loop {
            if nobody_reads() {
                return None;
            }
            // What the last look found damaged may have been read in the instant in which a torn end was replaced.
            let again = cut.is_some();
            if again || self.tail.has_changed() {
                let before = self.records.len();
                cut = self.look();
                if again && cut.is_some() {
                    return cut;
                }
                if self.records.len() > before {
                    (quiet, told) = (0, false);
                    continue;
                }
            }
            quiet += 1;
            if quiet % QUIET == 0 && !is_live(&self.folder.journal()) && !self.tail.has_changed() {
                if self.ended {
                    return cut;
                }
                if !told {
                    self.tell_unfinished();
                    told = true;
                }
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Shows what was written since.
    fn look(&mut self) -> Option<Cut> {
        let (records, cut) = self.tail.look();
        let from = self.records.len();
        self.records.extend(records);
        for at in from..self.records.len() {
            self.tell(at);
        }
        cut
    }

    fn tell(&mut self, index: usize) {
        let (at, record) = &self.records[index];
        let rest = &self.records[index + 1..];
        let changes = |record: &Record| matches!(record, Record::RunResumed(_) | Record::CustodyEnded { .. });
        let went_on = rest.iter().any(|(_, record)| changes(record));
        match record {
            Record::RunStarted(run) => {
                let locks = rest.iter().rev().filter_map(|(_, record)| match record {
                    Record::RunFinished(finished) => finished.lock.clone(),
                    _ => None,
                });
                self.replay = Some(Replay::new(
                    face(&run.playbook, &self.folder, &self.allowed(index)),
                    locks.into_iter().next(),
                ));
            }
            Record::RunResumed(resumed) => {
                self.ended = false;
                let allowed = self.allowed(index);
                if let (Some(playbook), Some(replay)) = (&resumed.playbook, &mut self.replay) {
                    replay.face = face(playbook, &self.folder, &allowed);
                }
            }
            Record::RunFinished(_) => self.ended = true,
            // Who ends custody of a run that was cut short ends the run.
            Record::CustodyEnded { .. } => self.ended = true,
            _ => {}
        }
        let event = self.replay.as_mut().and_then(|replay| replay.event(*at, record, went_on));
        if let Some(event) = event {
            self.reporter.tell_at(&event, *at);
        }
    }

    /// What the operator had permitted by then; as far as it can be read.
    fn allowed(&self, index: usize) -> Allowed {
        let texts = self.records[..=index].iter().flat_map(|(_, record)| match record {
            Record::RunStarted(run) => run.allowed.clone(),
            Record::RunResumed(resumed) => resumed.allowed.clone(),
            _ => Vec::new(),
        });
        Allowed::parse(&texts.collect::<Vec<_>>(), Path::new("/")).unwrap_or_default()
    }

    /// The run has not ended: whether anybody is at it.
    fn tell_unfinished(&mut self) {
        let Some((last, _)) = self.records.last() else {
            let text = "nothing was recorded: the run was cut short before it began".to_string();
            let note = RunEvent::Noted(Note { what: "broken-off", by: None, text });
            self.reporter.tell_at(&note, SystemTime::now());
            return;
        };
        let at = *last;
        let who = process(&self.records).map(|process| format!("process {} on {}", process.pid, process.host));
        let who = who.unwrap_or_default();
        let (what, text) = match is_live(&self.folder.journal()) {
            true => ("under-way", format!("under way: {who}; last recorded")),
            false => {
                let id = &self.folder.id;
                ("broken-off", format!("broken off, nobody is at it: `runbook resume {id}` goes on; last recorded"))
            }
        };
        self.reporter.tell_at(&RunEvent::Noted(Note { what, by: None, text }), at);
    }
}

/// What the run's own copy of its playbook tells; where it can no longer be read, failures are told without excerpts.
fn face(playbook: &Playbook, folder: &RunFolder, allowed: &Allowed) -> Face {
    let mut face = Face::default();
    for file in &playbook.files {
        let path = Path::new(&file.path);
        face.sources.insert(path.to_path_buf(), Source::new(path, String::new(), |_| std::collections::HashMap::new()));
    }
    let kept = kept_texts(playbook, folder).ok();
    let checked = kept.and_then(|texts| check_allowing(Path::new(&playbook.path), &texts, allowed).ok());
    if let Some(checked) = checked {
        face.title.clone_from(&checked.plan.title);
        face.steps = checked.plan.steps.len();
        face.sources.extend(checked.plan.sources().into_iter().map(|source| (source.path.clone(), source)));
    }
    face
}

/// Whether what is written goes nowhere: the pipe's other end is closed.
fn nobody_reads() -> bool {
    let mut stdout = libc::pollfd { fd: libc::STDOUT_FILENO, events: 0, revents: 0 };
    // SAFETY: one descriptor, and room for its answer.
    let told = unsafe { libc::poll(&raw mut stdout, 1, 0) };
    told > 0 && stdout.revents & (libc::POLLERR | libc::POLLNVAL) != 0
}
