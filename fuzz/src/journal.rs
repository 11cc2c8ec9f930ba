//! Any bytes as a journal: as they are, or with each line's number, chain and CRC put right, so that what lies behind them is
//! reached.
//! Oracle: no panic; either damage is told with the number of a record that is there, or the records are in an order in
//! which a run can have written them (judged anew here); what is read can be cut anywhere, written again, followed while it
//! grows, verified and told again.

use runbook::journal::chain::{Chain, Reading, read};
use runbook::journal::folder::RunFolder;
use runbook::journal::form;
use runbook::journal::history::History;
use runbook::journal::look::{Unseen, look};
use runbook::journal::record::Record;
use runbook::journal::replay::{Face, Replay};
use runbook::journal::tail::{Cut, Tail};
use runbook::journal::verify::verify;
use runbook::ledger::{Moment, Policy};
use serde_json::{Map, Value as Json};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::time::SystemTime;

type Records = [(SystemTime, Record)];

/// The first byte says what is done to the rest.
pub fn run(bytes: &[u8]) {
    let Some((mode, rest)) = bytes.split_first() else { return };
    let bytes = if mode % 4 == 0 { rest.to_vec() } else { put_right(rest) };
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
    let cut = bytes.len() * usize::from(*mode) / 256;
    let reading = match read(&bytes) {
        Ok(reading) => reading,
        Err(damage) => {
            assert!((1..=lines).contains(&damage.record) && !damage.what.is_empty(), "{damage:?} of {lines}");
            return on_disk(&bytes, cut, Err(damage.record));
        }
    };
    assert_eq!((reading.records.len() as u64, reading.chain.length()), (lines, lines));
    assert_eq!(reading.length + reading.torn, bytes.len());
    let before = read(&bytes[..cut]).expect("the beginning of a good journal is one");
    assert!(before.records[..] == reading.records[..before.records.len()], "cut off, it says something else");
    written_again(&reading);
    let history = History::of(&reading.records);
    match &history {
        Ok(history) => {
            assert!(!reading.records.is_empty());
            possible(&reading.records);
            asked(history, &reading.records);
        }
        Err(damage) => assert!((1..=lines.max(1)).contains(&damage.record) && !damage.what.is_empty(), "{damage:?}"),
    }
    told_again(&reading.records);
    on_disk(&bytes, cut, history.map(|_| lines).map_err(|damage| damage.record));
}

/// Each line that is an object is numbered, chained and summed anew.
fn put_right(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut number, mut before) = (1, "0".repeat(64));
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let Ok(Json::Object(mut object)) = serde_json::from_slice(line) else {
            out.extend_from_slice(line);
            continue;
        };
        let mut whole = Map::new();
        whole.insert("n".into(), number.into());
        whole.insert("prev".into(), before.into());
        for key in ["n", "prev", "crc"] {
            object.shift_remove(key);
        }
        whole.append(&mut object);
        let text = Json::Object(whole).to_string();
        let body = text.strip_suffix('}').unwrap_or_default();
        let line = format!("{body},\"crc\":\"{:08x}\"}}", crc32fast::hash(body.as_bytes()));
        (number, before) = (number + 1, runbook::digest::sha256_hex(line.as_bytes()));
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
    }
    out
}

/// What was read, written by the writer's own hand, is read as the same.
fn written_again(reading: &Reading) {
    let mut chain = Chain::default();
    let lines = reading.records.iter().map(|(at, record)| chain.link(*at, record, str::to_string));
    let again = read(&lines.collect::<Vec<_>>().concat()).expect("what is written can be read");
    let said = |reading: &Reading| reading.records.iter().map(|(_, record)| record.clone()).collect::<Vec<_>>();
    assert_eq!(said(&again), said(reading), "written again, it says something else");
}

/// Whether a run can have written them: by counting, whatever the history says.
fn possible(records: &Records) {
    let mut started: HashMap<(&str, u32), Policy> = HashMap::new();
    let mut finished: HashSet<(&str, u32)> = HashSet::new();
    let mut ended = false;
    for (index, (_, record)) in records.iter().enumerate() {
        assert_eq!(index == 0, matches!(record, Record::RunStarted(_)), "a run is started once, and at first");
        match record {
            Record::RunResumed(_) => ended = false,
            Record::Revealed { .. } | Record::CustodyEnded { .. } => {}
            _ => assert!(!ended, "{record:?} after the end"),
        }
        match record {
            Record::RunFinished(_) => ended = true,
            Record::AttemptStarted(attempt) => {
                let key = (attempt.step.as_str(), attempt.attempt);
                assert!(!finished.contains(&key), "{key:?} is started after it was finished");
                let known = started.insert(key, attempt.policy);
                assert!(known != Some(Policy::Once), "{key:?} is `once` and started twice");
            }
            Record::AttemptFinished(attempt) => {
                let key = (attempt.step.as_str(), attempt.attempt);
                assert!(finished.insert(key), "{key:?} is finished twice");
                assert!(attempt.policy == Policy::Read || started.contains_key(&key), "{key:?} was not started");
            }
            _ => {}
        }
    }
}

/// Everything that a resume asks a history.
fn asked(history: &History, records: &Records) {
    assert_eq!((Some(history.begun), Some(history.last)), (records.first().map(|r| r.0), records.last().map(|r| r.0)));
    let round = history.round;
    let resumes = records.iter().filter(|(_, record)| matches!(record, Record::RunResumed(_))).count();
    assert!(round >= 1 && round as usize <= resumes + 1, "round {round} after {resumes} resumes");
    assert!(history.passed().is_sorted());
    let held = history.holds();
    assert!(!history.custody.ended || held.is_empty());
    assert!(held.iter().all(|name| history.custody.born.iter().any(|born| born.name == *name)));
    for (_, record) in records {
        let (step, attempt) = match record {
            Record::AttemptStarted(attempt) => (&attempt.step, attempt.attempt),
            Record::AttemptFinished(attempt) => (&attempt.step, attempt.attempt),
            Record::AttemptFailed { step, attempt, .. } => (step, *attempt),
            Record::Decision(decision) => (&decision.step, decision.attempt),
            Record::StepStarted(step) => (&step.step, 1),
            Record::StepFinished(step) => (&step.step, step.attempts),
            _ => continue,
        };
        let key = form::key(step, attempt);
        if matches!(record, Record::AttemptStarted(_) | Record::AttemptFinished(_)) {
            assert!(history.attempt(&key).is_some_and(|past| past.round <= round), "{key} is forgotten");
        }
        for round in [1, round, round + 1] {
            history.first_attempt(step, round);
            history.decision(&key, round);
        }
        assert!(history.settled_in(step).is_none_or(|settled| settled < round));
        history.timed_out(step);
        for moment in [Moment::Begin, Moment::End] {
            history.time(step, moment);
            history.time(&key, moment);
        }
        history.has_finished(step);
        history.has_told(record);
    }
    let mut next = History::of(records).expect("as before");
    let resumed = next.resume();
    assert!(resumed == round || resumed == round + 1 && history.ended.is_some() || is_interrupted(records));
}

fn is_interrupted(records: &Records) -> bool {
    records.iter().any(|(_, record)| matches!(record, Record::Interrupted {}))
}

/// As `runbook show` does.
fn told_again(records: &Records) {
    let mut replay = Replay::new(Face::default(), None);
    for (at, record) in records {
        if let Some(event) = replay.event(*at, record, false) {
            let again = form::event(&event);
            let same = again.as_ref().is_none_or(|again| again == record || differs_in_form(record));
            assert!(same, "{record:?}\n{again:?}");
        }
    }
}

/// Records whose events say less, or more, than they do.
fn differs_in_form(record: &Record) -> bool {
    matches!(
        record,
        Record::RunFinished(_)
            | Record::StepFinished(_)
            | Record::StepStarted(_)
            | Record::StepSkipped { .. }
            | Record::AttemptFailed { .. }
    )
}

/// A run's folder, for as long as it is looked at.
struct Folder(RunFolder);

impl Folder {
    fn new() -> Folder {
        // In memory, where there is such a place: there is one for every execution.
        let shared = PathBuf::from("/dev/shm");
        let base = if shared.is_dir() { shared } else { std::env::temp_dir() };
        let path = base.join(format!("runbook-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder of its own");
        Folder(RunFolder { id: "01a20d6b-24e3-7251-b068-34b70e050952".into(), path })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0.path);
    }
}

/// `judged`: how many records there are, or the first that is damaged.
fn on_disk(bytes: &[u8], cut: usize, judged: Result<u64, u64>) {
    let Folder(folder) = &Folder::new();
    let path = folder.journal();
    std::fs::write(&path, &bytes[..cut]).expect("a file of its own");
    let mut tail = Tail::of(&path);
    let (mut followed, mut end) = tail.look();
    std::fs::write(&path, bytes).expect("a file of its own");
    if end.is_none() {
        let (more, then) = tail.look();
        followed.extend(more);
        end = then;
    }
    match (read(bytes), end) {
        (Ok(reading), None) => assert!(followed == reading.records, "followed, it says something else"),
        (Err(damage), Some(Cut::Damaged(found))) => {
            assert_eq!((&damage, followed.len() as u64 + 1), (&found, damage.record));
        }
        (read, end) => panic!("{read:?}, but followed {end:?}"),
    }
    let verdict = verify(folder);
    let found = verdict.faults.iter().find_map(|fault| fault.record);
    assert!(verdict.faults.iter().all(|fault| !fault.what.is_empty() && !fault.means.is_empty()));
    match (judged, look(folder)) {
        (Ok(records), Ok(seen)) => {
            assert_eq!((found, verdict.records, seen.records.len() as u64), (None, records, records));
            seen.holds();
            seen.process();
        }
        (Err(record), Err(Unseen::Damaged(_, damage))) => assert_eq!((found, damage.record), (Some(record), record)),
        (Err(1), Err(Unseen::Empty(_))) => assert_eq!((found, verdict.records), (None, 0)),
        (judged, seen) => panic!("{judged:?}, but looked at {seen:?}"),
    }
}
