//! Owns judging a run's folder: that its journal is the one that was written, and its playbook the one that was run.
//! Deliberately writes nothing, opens nothing that is sealed, and takes no lock that anybody could run into.

use super::chain::read;
use super::folder::RunFolder;
use super::history::History;
use super::record::{Playbook, PlaybookFile, Record};
use crate::digest::sha256_hex;
use std::collections::BTreeMap;

/// What was found.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Records that are as they were written.
    pub records: u64,
    /// Bytes of a last record that was torn: no damage.
    pub torn: usize,
    /// Copies of the playbook's files.
    pub copies: usize,
    /// What is wrong; empty where all is well.
    pub faults: Vec<Fault>,
}

/// One thing that is wrong, and what it means.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    /// The first record that is concerned, from 1; `None` where it is no record.
    pub record: Option<u64>,
    pub what: String,
    pub means: String,
}

/// Looks at all of it.
pub fn verify(folder: &RunFolder) -> Verdict {
    let mut verdict = Verdict::default();
    let bytes = match std::fs::read(folder.journal()) {
        Ok(bytes) => bytes,
        Err(error) => {
            let what = format!("{} cannot be read: {error}", folder.journal().display());
            return verdict.and(None, what, "nothing can be told of the run");
        }
    };
    let reading = match read(&bytes) {
        Ok(reading) => reading,
        Err(damage) => {
            verdict.records = damage.record - 1;
            let means = "what comes before it is as it was written; of what follows nothing can be relied on, \
                         so the run is not gone on with";
            return verdict.and(Some(damage.record), damage.what, means);
        }
    };
    verdict.records = reading.records.len() as u64;
    verdict.torn = reading.torn;
    if reading.records.is_empty() {
        return verdict;
    }
    if let Err(damage) = History::of(&reading.records) {
        let means = "every record is as it was written, but no run can have written them in this order: \
                     two programs wrote the journal, or it was put together by hand";
        verdict = verdict.and(Some(damage.record), damage.what, means);
    }
    let files = playbooks(&reading.records).into_iter().flat_map(|playbook| &playbook.files);
    let copies: BTreeMap<&str, &PlaybookFile> = files.map(|file| (file.copy.as_str(), file)).collect();
    verdict.copies = copies.len();
    copies.values().fold(verdict, |verdict, file| copy(folder, file, verdict))
}

/// The playbook that the run was begun with, and those that it was gone on with.
fn playbooks(records: &[(std::time::SystemTime, Record)]) -> Vec<&Playbook> {
    let playbooks = records.iter().filter_map(|(_, record)| match record {
        Record::RunStarted(run) => Some(&run.playbook),
        Record::RunResumed(resumed) => resumed.playbook.as_ref(),
        _ => None,
    });
    playbooks.collect()
}

fn copy(folder: &RunFolder, file: &PlaybookFile, verdict: Verdict) -> Verdict {
    let path = folder.playbook().join(&file.copy);
    let means = format!("it was {} when it was run; without it the run is not gone on with", file.path);
    match folder.kept(file) {
        Err(error) => {
            verdict.and(None, format!("the playbook's copy {} cannot be read: {error}", path.display()), means)
        }
        Ok(bytes) if sha256_hex(&bytes) != file.sha256 => {
            let what = format!("the playbook's copy {} was changed: its SHA-256 is another", path.display());
            verdict.and(None, what, means)
        }
        Ok(_) => verdict,
    }
}

impl Verdict {
    fn and(mut self, record: Option<u64>, what: impl Into<String>, means: impl Into<String>) -> Verdict {
        self.faults.push(Fault { record, what: what.into(), means: means.into() });
        self
    }
}
