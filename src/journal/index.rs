//! Owns one line for each run, so that thousands of them are listed without reading their journals.
//! Deliberately no record: only a cache. A line counts as long as the journal is as long and as old as when the line was
//! written; whatever else is missing, torn or foreign is made good by reading the journal itself.
//!
//! So nothing needs to be taken back when a run is gone on with: its journal grows, and the line is void by that.

use super::custody::Vault;
use super::folder::{NoRun, RunFolder, State};
use super::look::{Unseen, look};
use super::writer::is_live;
use crate::event::RunOutcome;
use crate::plan::duration::show_moment;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Number of the lines' format; those of another are ignored.
const FORMAT: u32 = 1;

/// Void lines that are left alone, however few others there are.
const VOID: usize = 2_000;

/// A run in one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    pub run: String,
    /// RFC 3339, UTC, to the microsecond.
    pub begun: String,
    /// Empty where the journal cannot be read.
    pub playbook: String,
    /// Who began it.
    pub actor: String,
    /// 1-based.
    pub round: u32,
    /// Where the fakes listened, when it was a rehearsal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub world: Option<String>,
    pub standing: Standing,
    /// Somebody has discarded it: it is not gone on with, and what it held is destroyed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub given_up: bool,
    /// The lock it took; known once a round has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<String>,
    /// Names of secrets that it holds and somebody could still open.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<String>,
}

/// Where a run stands, as its journal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    Ended(RunOutcome),
    /// It has not ended.
    Open,
    /// Its journal is damaged or cannot be read.
    Damaged,
    /// It has not ended, and a process is at it. Never in the index.
    Live,
}

impl Standing {
    /// Its word, as lists show it.
    pub fn word(self) -> &'static str {
        match self {
            Standing::Ended(outcome) => outcome.word(),
            Standing::Open => "broken off",
            Standing::Damaged => "damaged",
            Standing::Live => "under way",
        }
    }
}

/// A journal as the file system tells it: any record more makes another of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    bytes: u64,
    /// Since the epoch, in nanoseconds, of its last change.
    changed: i64,
}

impl Stamp {
    fn of(path: &Path) -> Option<Stamp> {
        let metadata = std::fs::metadata(path).ok()?;
        let changed = metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec());
        Some(Stamp { bytes: metadata.len(), changed })
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct Entry {
    index: u32,
    journal: Stamp,
    #[serde(flatten)]
    row: Row,
}

/// The index of a state folder.
#[derive(Clone, Debug)]
pub struct Index(PathBuf);

impl Index {
    pub fn of(state: &State) -> Index {
        Index(state.path().join("index.jsonl"))
    }

    /// Notes a run whose journal has just been written for now. What goes wrong is no matter: the journal is read then.
    pub fn note(&self, folder: &RunFolder, row: Row) {
        if let Some(journal) = Stamp::of(&folder.journal()) {
            self.append(&[Entry { index: FORMAT, journal, row }]);
        }
    }

    /// Notes a run as its journal tells it.
    pub fn note_again(&self, folder: &RunFolder) {
        if let Some(entry) = read(folder).0 {
            self.append(&[entry]);
        }
    }

    /// In one write, so that two who append at once do not mix their lines.
    fn append(&self, entries: &[Entry]) {
        let lines = text(entries.iter());
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.0);
        let _ = file.and_then(|mut file| file.write_all(lines.as_bytes()));
    }

    /// The last entry of each run, and how many lines there are.
    fn read(&self) -> (HashMap<String, Entry>, usize) {
        let bytes = std::fs::read(&self.0).unwrap_or_default();
        let mut entries = HashMap::new();
        let mut lines = 0;
        for line in bytes.split(|byte| *byte == b'\n') {
            lines += 1;
            if let Ok(entry) = serde_json::from_slice::<Entry>(line)
                && entry.index == FORMAT
            {
                entries.insert(entry.row.run.clone(), entry);
            }
        }
        (entries, lines)
    }

    /// Puts these lines in place of all others. One that is appended meanwhile is lost, and its journal read instead.
    fn replace<'e>(&self, entries: impl Iterator<Item = &'e Entry>) {
        if let (Some(folder), Some(name)) = (self.0.parent(), self.0.file_name().and_then(|name| name.to_str())) {
            let _ = super::custody::write_durably(folder, name, text(entries).as_bytes());
        }
    }
}

fn text<'e>(entries: impl Iterator<Item = &'e Entry>) -> String {
    let mut lines = String::new();
    for entry in entries {
        lines.push_str(&serde_json::to_string(entry).unwrap_or_default());
        lines.push('\n');
    }
    lines
}

/// All runs of a state folder, each looked at when it is asked for.
pub struct Runs {
    state: State,
    index: Index,
    ids: Vec<String>,
    known: HashMap<String, Entry>,
    lines: usize,
    new: Vec<Entry>,
    /// How many journals had to be read.
    pub read: usize,
}

impl Runs {
    /// # Errors
    /// The state folder cannot be read.
    pub fn of(state: &State) -> Result<Runs, NoRun> {
        let ids = state.ids()?;
        let index = Index::of(state);
        let (known, lines) = index.read();
        Ok(Runs { state: state.clone(), index, ids, known, lines, new: Vec::new(), read: 0 })
    }

    /// Ids of all runs, the latest first.
    pub fn ids(&self) -> &[String] {
        &self.ids
    }

    pub fn folder(&self, id: &str) -> RunFolder {
        RunFolder { id: id.to_string(), path: self.state.runs().join(id) }
    }

    /// `None` where nothing was recorded: the run was cut short before it began.
    pub fn row(&mut self, id: &str) -> Option<Row> {
        let folder = self.folder(id);
        let journal = folder.journal();
        let known = self.known.get(id).filter(|entry| Stamp::of(&journal).is_some_and(|now| now == entry.journal));
        let mut row = match known {
            Some(entry) => entry.row.clone(),
            None => {
                self.read += 1;
                let (entry, row) = read(&folder);
                self.new.extend(entry);
                row?
            }
        };
        if !row.holds.is_empty() && !Vault::is_there(&folder.path) {
            row.holds.clear();
        }
        if row.standing == Standing::Open && is_live(&journal) {
            row.standing = Standing::Live;
        }
        Some(row)
    }

    /// Keeps what was read for the next who asks.
    pub fn keep(self) {
        let valid = self.known.keys().filter(|id| self.ids.binary_search_by(|own| (**id).cmp(own)).is_ok()).count();
        if self.lines > VOID + 2 * valid {
            let ids = self.ids.iter().filter_map(|id| self.known.get(id));
            self.index.replace(ids.chain(&self.new));
        } else if !self.new.is_empty() {
            self.index.append(&self.new);
        }
    }
}

/// Reads a run's journal: what can be kept of it, and its row.
fn read(folder: &RunFolder) -> (Option<Entry>, Option<Row>) {
    let before = Stamp::of(&folder.journal());
    match look(folder) {
        Err(Unseen::Empty(_)) => (None, None),
        Err(Unseen::Io(_, error)) if error.kind() == std::io::ErrorKind::NotFound => (None, None),
        Err(_) => (None, Some(damaged(folder))),
        Ok(seen) => {
            let standing = match &seen.history.ended {
                Some((_, ended)) => Standing::Ended(ended.outcome),
                None => Standing::Open,
            };
            let lock = seen.history.ended.as_ref().and_then(|(_, ended)| ended.lock.clone());
            let given_up = seen.history.custody.ended && standing != Standing::Ended(RunOutcome::Passed);
            let row = Row { lock, holds: seen.holds(), standing, given_up, ..first(&seen.history) };
            // What is torn goes when the run is gone on with: then the journal's length would tell nothing.
            let entry = before
                .filter(|journal| seen.torn == 0 && !seen.live && Stamp::of(&folder.journal()) == Some(*journal))
                .map(|journal| Entry { index: FORMAT, journal, row: row.clone() });
            (entry, Some(row))
        }
    }
}

/// The row of a run of which only the beginning is known.
pub fn first(history: &super::history::History) -> Row {
    Row {
        run: history.run.run.clone(),
        begun: show_moment(history.begun),
        playbook: history.playbook.name.clone(),
        actor: history.run.actor.clone(),
        round: history.round,
        world: history.run.world.clone(),
        standing: Standing::Open,
        given_up: false,
        lock: None,
        holds: Vec::new(),
    }
}

fn damaged(folder: &RunFolder) -> Row {
    // Version 7 begins with the time.
    let begun = uuid::Uuid::try_parse(&folder.id).ok().and_then(|id| id.get_timestamp()).map(|at| at.to_unix());
    let begun = begun.map(|(seconds, nanos)| std::time::Duration::new(seconds, nanos));
    let begun = begun.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since));
    Row {
        run: folder.id.clone(),
        begun: show_moment(begun.unwrap_or(SystemTime::UNIX_EPOCH)),
        playbook: String::new(),
        actor: String::new(),
        round: 1,
        world: None,
        standing: Standing::Damaged,
        given_up: false,
        lock: None,
        holds: Vec::new(),
    }
}
