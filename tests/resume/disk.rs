//! Disks that are full, folders that cannot be written, clocks that are set back: a run stops before what it could not
//! remember, and goes on when that is mended.

use crate::stage::{Bench, Stage};
use crate::support::{Answer, Program, Ran, until};
use runbook::journal::chain::Reading;
use runbook::journal::record::Record;
use runbook::journal::writer::Journal;
use runbook::secret::Masker;
use serde_json::json;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

/// The program with files that can be no longer than this, in bytes: from there on it is as if the disk were full.
fn limited(mut program: Program, longest: u64) -> Ran {
    let limit = libc::rlimit { rlim_cur: longest, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: a plain system call between fork and exec.
    unsafe {
        program.0.pre_exec(move || match libc::setrlimit(libc::RLIMIT_FSIZE, &limit) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
    program.ran()
}

#[test]
fn a_full_disk_stops_a_run_before_what_could_not_be_remembered() {
    let stage = Stage::new(|call| match call.path.as_str() {
        "/roll" => Answer::json(200, json!({"value": "s3cr3t-value-shown-once"})),
        _ => Answer::json(200, json!({"n": call.before + 1})),
    });
    let rest = r#"
steps:
  - {id: look, http: {url: "{{ api }}/look"}}
  - {id: one, http: {method: POST, url: "{{ api }}/one"}}
  - {id: two, http: {method: POST, url: "{{ api }}/two"}, on_unknown: ask}
  - {id: roll, http: {method: POST, url: "{{ api }}/roll"}, capture: {value: {jq: .value, secret: true}}}
  - {id: store, http: {method: PUT, url: "{{ api }}/store", json: {value: "{{ value }}"}}}
finally: [{id: close, http: {method: PUT, url: "{{ api }}/close"}}]
"#;
    let whole = Bench::new(&stage, "whole", rest);
    whole.run(&[]).exits(0);
    let length = whole.journal().len() as u64;
    let (mut stopped, mut unbegun) = (0, 0);
    for longest in (0..length + 400).step_by(400) {
        let bench = Bench::new(&stage, &format!("at-{longest}"), rest);
        let ran = limited(bench.starting(&[]), longest);
        let runs = bench.state().join("runs");
        if ran.code == 0 {
            assert_eq!(bench.whats().len(), 6);
            continue;
        }
        assert_eq!(ran.code, 1, "{longest}: {}", ran.shown());
        if std::fs::read_dir(&runs).map(|runs| runs.count()).unwrap_or(0) == 0 {
            unbegun += 1;
            assert!(ran.shown().contains("cannot be remembered, so it was not begun"), "{longest}: {}", ran.shown());
            assert!(bench.calls().is_empty(), "{longest}");
            continue;
        }
        stopped += 1;
        assert!(ran.shown().contains("File too large"), "{longest}: {}", ran.shown());
        assert!(ran.shown().contains(&format!("runbook resume {}", bench.run_id())), "{longest}: {}", ran.shown());
        for call in bench.calls().iter().filter(|call| call.method != "GET") {
            let step = &call.path[1..];
            let intent = bench.records_of("attempt-started").iter().any(|record| record["step"] == step);
            assert!(intent, "{longest}: {} was sent and not announced\n{}", call.what(), bench.told());
        }
        let mut ran = bench.resume(&[]);
        while ran.code == 4 {
            let key = crate::stage::asked(&ran);
            let seen = bench.count(&format!("POST /{key}")) > 0;
            // The value that is shown once is lost with the answer, and can only be had by another.
            let word = if seen && key != "roll" { "--done" } else { "--redo" };
            ran = bench.resume(&[word, &key]);
        }
        assert_eq!(ran.code, 0, "{longest}: {}", ran.shown());
        assert_eq!((bench.count("POST /one"), bench.count("POST /two")), (1, 1), "{longest}");
        assert!(bench.count("POST /roll") <= 2, "{longest}");
    }
    assert!(stopped > 9 && unbegun > 1, "{stopped} {unbegun}");
}

/// The program as somebody who may not do everything, given what may be read and written.
fn as_nobody(mut program: Program, folder: &Path) -> Program {
    const NOBODY: u32 = 65_534;
    // SAFETY: plain system calls.
    if unsafe { libc::geteuid() } == 0 {
        give(folder, NOBODY);
        program.0.uid(NOBODY).gid(NOBODY);
    }
    program
}

fn give(path: &Path, to: u32) {
    chown(path, Some(to), Some(to)).unwrap();
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        give(&entry.path(), to);
    }
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

const POST: &str = "steps: [{id: one, http: {method: POST, url: \"{{ api }}/one\"}}, {id: two, http: {method: POST, url: \"{{ api }}/two\"}}]\n";

#[test]
fn where_nothing_can_be_written_nothing_is_begun() {
    let stage = Stage::plain();
    let bench = Bench::new(&stage, "a", POST);
    std::fs::create_dir_all(bench.state()).unwrap();
    let program = as_nobody(bench.starting(&[]), bench.folder.path());
    mode(&bench.state(), 0o500);
    let ran = program.ran().exits(1).shows("the run cannot be remembered, so it was not begun").shows("--state-dir");
    assert!(ran.shown().contains(&bench.state().display().to_string()), "{}", ran.shown());
    assert!(bench.calls().is_empty());
    mode(&bench.state(), 0o700);
}

#[test]
fn a_run_whose_folder_became_read_only_says_what_it_could_not_do() {
    let stage = Stage::new(|_| Answer::json(200, json!({"value": "s3cr3t-value-shown-once"})));
    let rest = r#"
steps:
  - {id: roll, http: {method: POST, url: "{{ api }}/roll"}, capture: {value: {jq: .value, secret: true}}}
  - {id: store, http: {method: PUT, url: "{{ api }}/store", json: {value: "{{ value }}"}}}
"#;
    let bench = Bench::new(&stage, "a", rest);
    as_nobody(bench.starting(&[]), bench.folder.path()).env("RUNBOOK_FAULT", "3:after").ran().exits(-1);
    let folder = bench.run_folder();
    let journal = folder.join("journal.jsonl");
    // The journal itself: nothing is sent.
    mode(&journal, 0o400);
    let resume = |words: &[&str]| as_nobody(bench.resuming(words), bench.folder.path()).ran();
    resume(&["--redo", "roll"]).exits(1).shows("Permission denied");
    let sent = bench.whats();
    mode(&journal, 0o600);
    // The folder around it: the run passes, and says that its key is still there.
    mode(&folder, 0o500);
    let ran = resume(&["--redo", "roll"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    assert_eq!(bench.whats()[sent.len()..].last().unwrap(), "PUT /store");
    assert!(ran.shown().contains("what it captured can still be opened"), "{}", ran.shown());
    assert!(folder.join("key").exists());
    resume(&[]).exits(1).shows("key").shows("cannot be destroyed");
    mode(&folder, 0o700);
    resume(&[]).exits(0).shows("there is nothing to go on with");
    assert!(!folder.join("key").exists());
}

/// Writes the journal once more, each of its times another one.
fn retimed(bench: &Bench<'_>, time: impl Fn(SystemTime) -> SystemTime) {
    let path = bench.run_folder().join("journal.jsonl");
    let bytes = std::fs::read(&path).unwrap();
    let Reading { records, .. } = runbook::journal::chain::read(&bytes).unwrap();
    std::fs::remove_file(&path).unwrap();
    let journal = Journal::create(&path, &Masker::default(), None).unwrap();
    for (at, mut record) in records {
        if let Record::AttemptFinished(finished) = &mut record {
            let started = runbook::plan::duration::parse_moment(&finished.started).unwrap();
            finished.started = runbook::plan::duration::show_moment(time(started));
        }
        journal.note(time(at), &record);
    }
    journal.sync().unwrap();
}

const HOUR: Duration = Duration::from_secs(3600);

/// The run is killed while it waits.
fn killed_while_it_waits(bench: &Bench<'_>, waits: impl Fn() -> bool) {
    let mut child = bench.starting(&[]).0.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("it waits", waits);
    child.kill().unwrap();
    child.wait().unwrap();
}

const WAITS: &str = r#"
intervals: {all: {from: first, to: last}}
steps:
  - {id: first, http: {method: POST, url: "{{ api }}/first"}}
  - {id: pause, wait: 1h}
  - {id: last, http: {method: POST, url: "{{ api }}/last"}}
"#;

#[test]
fn a_wait_is_counted_from_its_beginning_and_is_not_waited_again() {
    let stage = Stage::plain();
    let bench = Bench::new(&stage, "a", WAITS);
    killed_while_it_waits(&bench, || bench.count("POST /first") == 1 && bench.journal().contains("\"step\":\"pause\""));
    retimed(&bench, |at| at - HOUR);
    bench.resuming(&[]).env("RUNBOOK_FAULT", "2:after").ran().exits(-1);
    let ran = bench.resume_in_time();
    let ran = if ran.code == 4 { bench.resume(&["--redo", "last"]) } else { ran };
    assert_eq!((ran.code, bench.count("POST /first"), bench.count("POST /last")), (0, 1, 1), "{}", ran.shown());
    let took = ran.finished()["intervals"][0]["took_ms"].as_u64().unwrap();
    assert!(took >= HOUR.as_millis() as u64, "{took}");
}

#[test]
fn the_pauses_of_a_group_that_is_tried_again_are_not_made_again() {
    let stage = Stage::plain();
    let rest = r#"
steps:
  - id: both
    retry: {attempts: 3, delay: 1h}
    group:
      - {id: look, http: {url: "{{ api }}/look"}, expect: [{jq: '.n >= 2'}]}
  - {id: alone, http: {url: "{{ api }}/alone"}, expect: [{jq: '.n >= 2'}], retry: {attempts: 3, delay: 1h}}
  - {id: last, http: {method: POST, url: "{{ api }}/last"}}
"#;
    let bench = Bench::new(&stage, "a", rest);
    killed_while_it_waits(&bench, || bench.count("GET /look") == 1 && bench.journal().contains("\"attempt-failed\""));
    retimed(&bench, |at| at - HOUR);
    // It goes on at once, and waits at the second.
    let mut child = bench.resuming(&[]).0.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("it waits", || bench.records_of("attempt-failed").len() == 2);
    child.kill().unwrap();
    child.wait().unwrap();
    retimed(&bench, |at| at - HOUR);
    let ran = bench.resume_in_time();
    assert_eq!(
        (ran.code, bench.count("GET /look"), bench.count("GET /alone"), bench.count("POST /last")),
        (0, 2, 2, 1)
    );
}

#[test]
fn a_clock_that_was_set_back_prolongs_no_wait_and_makes_no_time_negative() {
    let stage = Stage::plain();
    let bench = Bench::new(&stage, "a", &WAITS.replace("1h", "10ms"));
    // Killed when `last` was about to be sent.
    bench.starting(&[]).env("RUNBOOK_FAULT", "5:before").ran().exits(-1);
    assert!(bench.journal().contains("\"step\":\"pause\"") && bench.count("POST /last") == 0, "{}", bench.told());
    retimed(&bench, |at| at + HOUR);
    let ran = bench.resume_in_time();
    assert_eq!((ran.code, bench.count("POST /first"), bench.count("POST /last")), (0, 1, 1), "{}", ran.shown());
    for interval in ran.finished()["intervals"].as_array().unwrap() {
        // Negative would be no number without a sign.
        assert!(interval["took_ms"].is_null() || interval["took_ms"].is_u64(), "{interval}");
    }
    let reading = runbook::journal::chain::read(bench.journal().as_bytes()).unwrap();
    assert_eq!(reading.torn, 0);
}
