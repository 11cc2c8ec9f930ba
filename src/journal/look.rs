//! Owns looking at a run's journal without writing to it.

use super::chain::{Damage, Reading, read};
use super::custody::Vault;
use super::folder::{RunFolder, State};
use super::history::History;
use super::lock::Holds;
use super::record::{Process, Record};
use super::writer::is_live;
use crate::event::RunOutcome;
use std::io;
use std::time::SystemTime;

/// A run as its folder tells it.
#[derive(Debug)]
pub struct Seen {
    pub records: Vec<(SystemTime, Record)>,
    pub history: History,
    /// Bytes of a last record that was torn.
    pub torn: usize,
    /// A process is at it.
    pub live: bool,
    /// The run's key is there.
    pub key: bool,
}

/// Why a run cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum Unseen {
    #[error("the journal {} cannot be read: {}", .0.journal().display(), .1)]
    Io(RunFolder, io::Error),
    /// It was begun and nothing was written yet.
    #[error("the journal {} says nothing", .0.journal().display())]
    Empty(RunFolder),
    #[error("the journal {} is damaged: {}", .0.journal().display(), .1)]
    Damaged(RunFolder, Damage),
}

/// Reads a run.
pub fn look(folder: &RunFolder) -> Result<Seen, Unseen> {
    let path = folder.journal();
    let live = is_live(&path);
    let bytes = std::fs::read(&path).map_err(|error| Unseen::Io(folder.clone(), error))?;
    let damaged = |damage| Unseen::Damaged(folder.clone(), damage);
    let Reading { records, torn, .. } = read(&bytes).map_err(damaged)?;
    if records.is_empty() {
        return Err(Unseen::Empty(folder.clone()));
    }
    let history = History::of(&records).map_err(damaged)?;
    Ok(Seen { history, records, torn, live, key: Vault::is_there(&folder.path) })
}

impl Seen {
    /// Names of secrets that the run holds and somebody could still open.
    pub fn holds(&self) -> Vec<String> {
        let over = self.history.ended.as_ref().is_some_and(|(_, ended)| ended.outcome == RunOutcome::Passed);
        if over || !self.key { Vec::new() } else { self.history.holds() }
    }

    /// The process that wrote last.
    pub fn process(&self) -> &Process {
        process(&self.records).unwrap_or(&self.history.run.process)
    }
}

/// The process that wrote last.
pub fn process(records: &[(SystemTime, Record)]) -> Option<&Process> {
    records.iter().rev().find_map(|(_, record)| match record {
        Record::RunStarted(run) => Some(&run.process),
        Record::RunResumed(resumed) => Some(&resumed.process),
        _ => None,
    })
}

/// What a run holds of a lock that it once had.
pub fn holds(state: &State, run: &str) -> Holds {
    let folder = RunFolder { id: run.to_string(), path: state.runs().join(run) };
    match look(&folder) {
        Err(Unseen::Io(_, error)) if error.kind() == io::ErrorKind::NotFound => Holds::Gone,
        Err(Unseen::Empty(_)) => Holds::Nothing,
        // Nobody knows what it holds; a person has to look.
        Err(_) => Holds::Unfinished,
        // Somebody has given it up.
        Ok(seen) if seen.history.custody.ended => Holds::Nothing,
        // Whoever begins anew must not do a second time what nobody knows the outcome of.
        Ok(seen) if seen.history.ended.as_ref().is_none_or(|(_, ended)| ended.outcome == RunOutcome::Unknown) => {
            Holds::Unfinished
        }
        Ok(seen) => match seen.holds() {
            names if names.is_empty() => Holds::Nothing,
            names => Holds::Custody { names },
        },
    }
}
