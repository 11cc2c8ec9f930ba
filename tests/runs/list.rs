//! What runs there were: the index is a cache and nothing more.

use crate::support::{Folder, until};
use crate::{ROTATE, failed, short};
use runbook::event::RunOutcome;
use runbook::journal::chain::Chain;
use runbook::journal::folder::State;
use runbook::journal::index::{Row, Runs};
use runbook::journal::record::{Playbook, Process, Record, RunFinished, RunStarted};
use std::path::Path;
use std::time::{Duration, SystemTime};

#[test]
fn a_line_a_run_the_latest_first() {
    let folder = failed();
    folder.file("ready", "");
    folder.run(&[]).exits(5).shows("may hold the only copy of `new_token`").hides(crate::TOKEN);
    let other = ROTATE.replace("name: test", "name: other").replace("rotate:", "other:");
    folder.file("other.yaml", &other);
    folder.does(&["run", "other.yaml"]).exits(0);
    let ids = folder.ids();
    let listed = folder.does(&["list"]).exits(0);
    let lines: Vec<&str> = listed.stdout.lines().collect();
    // The one that was refused its lock never began.
    assert_eq!(lines.len(), 4, "{}", listed.stdout);
    for (at, id, words) in [(1, &ids[1], ["passed", "other", "tester"]), (2, &ids[0], ["failed", "test", "tester"])] {
        assert!(lines[at].starts_with(short(id)), "{}", listed.stdout);
        assert!(words.iter().all(|word| lines[at].contains(word)), "{}", listed.stdout);
    }
    assert!(lines[1].ends_with("tester  lock other:pages"), "{}", listed.stdout);
    assert_eq!(lines[3].trim(), "lock rotate:pages · holds new_token", "{}", listed.stdout);
    // What is longer than a screen is wide stands on a line of its own.
    let long = ROTATE.replace("rotate:", "the-lock-of-a-very-long-name:");
    folder.file("test.yaml", &long);
    folder.run(&[]).exits(0);
    let listed = folder.does(&["list"]).exits(0);
    assert_eq!(listed.stdout.lines().nth(2).unwrap().trim(), "lock the-lock-of-a-very-long-name:pages");
    assert!(listed.stdout.lines().all(|line| line.chars().count() <= 80), "{}", listed.stdout);
    let only = folder.json(&["list", "--playbook", "test"]);
    assert_eq!(only["format"], 1);
    let runs = only["runs"].as_array().unwrap();
    assert_eq!(runs.iter().map(|run| run["run"].as_str().unwrap()).collect::<Vec<_>>(), [&folder.ids()[2], &ids[0]]);
    assert_eq!(runs[1]["holds"][0], "new_token");
}

#[test]
fn what_the_run_noted_itself_is_what_its_journal_tells() {
    let folder = failed();
    let state = State::at(&folder.state());
    let rows = |state: &State| {
        let mut runs = Runs::of(state).unwrap();
        let rows: Vec<Row> = runs.ids().to_vec().iter().filter_map(|id| runs.row(id)).collect();
        (rows, runs.read)
    };
    let check = |what: &str| {
        let (noted, read) = rows(&state);
        assert_eq!(read, 0, "{what}: the index was of no use");
        std::fs::remove_file(folder.state().join("index.jsonl")).unwrap();
        let (told, read) = rows(&state);
        assert_eq!(read, told.len());
        assert_eq!(noted, told, "{what}");
    };
    check("failed");
    folder.does(&["reveal", "last", "new_token", "--to-file", "out", "--yes"]).exits(0);
    check("revealed");
    folder.does(&["resume", "last"]).exits(1);
    check("failed again");
    folder.file("ready", "");
    folder.does(&["resume", "last"]).exits(0);
    check("passed");
    std::fs::remove_file(folder.path().join("ready")).unwrap();
    folder.run(&[]).exits(1);
    folder.does(&["discard", "last", "--yes"]).exits(0);
    folder.does(&["list"]).exits(0).shows("given up");
    check("given up");
}

#[test]
fn a_run_that_was_gone_on_with_is_not_told_from_an_old_line() {
    let folder = failed();
    let before = std::fs::read(folder.state().join("index.jsonl")).unwrap();
    folder.file("ready", "");
    folder.does(&["resume", "last"]).exits(0);
    // As if the second line had not been written.
    std::fs::write(folder.state().join("index.jsonl"), before).unwrap();
    let listed = folder.json(&["list"]);
    assert_eq!(listed["runs"][0]["outcome"], "passed");
    assert_eq!(listed["runs"][0]["holds"].as_array().unwrap().len(), 0);
}

#[test]
fn a_key_that_is_gone_holds_nothing() {
    let folder = failed();
    let id = folder.ids().remove(0);
    std::fs::remove_file(folder.state().join("runs").join(&id).join("key")).unwrap();
    assert_eq!(folder.json(&["list"])["runs"][0]["holds"].as_array().unwrap().len(), 0);
}

#[test]
fn a_run_under_way_and_one_that_broke_off() {
    let slow = ROTATE.replace("test -f ready", "until test -f ready; do sleep 0.05; done");
    let folder = Folder::with(&slow);
    let mut run = folder.program().args(["run", "test.yaml"]);
    run.0.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut run = run.0.spawn().unwrap();
    until("the step waits", || {
        folder
            .ids()
            .first()
            .is_some_and(|id| std::fs::read_to_string(folder.journal(id)).is_ok_and(|text| text.contains("t-77")))
    });
    let live = folder.json(&["list"]);
    assert_eq!((&live["runs"][0]["outcome"], &live["runs"][0]["lock"]), (&"under way".into(), &"rotate:pages".into()));
    run.kill().unwrap();
    run.wait().unwrap();
    // What the run had started holds its journal until it has ended, too.
    until("nobody is at it", || folder.json(&["list"])["runs"][0]["outcome"] != "under way");
    for _ in 0..2 {
        let gone = folder.json(&["list"]);
        assert_eq!(gone["runs"][0]["outcome"], "broken off");
        assert_eq!(
            (&gone["runs"][0]["lock"], &gone["runs"][0]["holds"][0]),
            (&"rotate:pages".into(), &"new_token".into())
        );
    }
    // Whatever still waits in the step that was killed with its run.
    folder.file("ready", "");
}

#[test]
fn without_runs_it_says_so() {
    let folder = Folder::new();
    folder.does(&["list"]).exits(0).shows("there is no run yet");
    folder.does(&["list", "--playbook", "x"]).exits(0).shows("there is no run of `x`");
    assert_eq!(folder.json(&["list"])["runs"].as_array().unwrap().len(), 0);
    assert!(!folder.state().exists(), "looking makes nothing");
}

#[test]
fn ten_thousand_runs_are_listed_without_reading_their_journals() {
    const MANY: usize = 10_000;
    let folder = Folder::new();
    let state = State::at(&folder.state());
    (0..MANY).for_each(|number| write_run(&state.runs(), number, "nightly"));
    let look = || {
        let mut runs = Runs::of(&state).unwrap();
        let rows: Vec<Row> = runs.ids().to_vec().iter().filter_map(|id| runs.row(id)).collect();
        let read = runs.read;
        runs.keep();
        (rows, read)
    };
    let (first, read) = look();
    assert_eq!((first.len(), read), (MANY, MANY));
    let (again, read) = look();
    assert!(first == again, "the index tells another story");
    assert_eq!(read, 0, "journals were read in spite of the index");
    // The program: the same with the index and without it.
    let index = folder.state().join("index.jsonl");
    let with = folder.json(&["list"]);
    std::fs::remove_file(&index).unwrap();
    assert!(folder.json(&["list"]) == with);
    let listed = folder.does(&["list"]).exits(0);
    assert_eq!(listed.stdout.lines().count(), 52);
    assert!(listed.stdout.ends_with("and 9950 older runs: `runbook list --all`\n"), "{}", listed.stdout);
    assert_eq!(folder.does(&["list", "--all"]).exits(0).stdout.lines().count(), MANY + 1);

    // Whatever is torn or foreign is made good, and only that is read.
    let text = std::fs::read_to_string(&index).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    let torn = lines[3][..40].to_string();
    lines[3] = &torn;
    lines[4] = "{\"index\":99,\"run\":\"x\"}";
    let foreign = lines[5].replace("\"index\":1", "\"index\":2");
    lines[5] = &foreign;
    std::fs::write(&index, lines.join("\n")).unwrap();
    let (rows, read) = look();
    assert!(rows == first);
    assert_eq!(read, 3);
    // A folder that is gone is not shown, one that was put there is.
    std::fs::remove_dir_all(state.runs().join(&first[7].run)).unwrap();
    write_run(&state.runs(), MANY, "copied");
    let (rows, read) = look();
    // What was appended to a line without its line break was lost together with it.
    assert!(read <= 3, "{read}");
    assert_eq!(rows.len(), MANY);
    assert_eq!(rows[0].playbook, "copied");
    assert!(!rows.iter().any(|row| row.run == first[7].run));
}

/// A small run that has passed, as its journal tells it.
fn write_run(runs: &Path, number: usize, name: &str) {
    let millis = 1_700_000_000_000 + number as u64 * 60_000;
    let run = format!("{:08x}-{:04x}-7000-8000-{number:012x}", millis >> 16, millis & 0xffff);
    let playbook = Playbook {
        name: name.into(),
        path: format!("/srv/{name}.yaml"),
        digest: "0".repeat(64),
        files: Vec::new(),
        found: Vec::new(),
    };
    let started = Record::RunStarted(RunStarted {
        format: 1,
        program: "0.1.0".into(),
        run: run.clone(),
        playbook,
        actor: "ops".into(),
        process: Process { host: "here".into(), pid: 1 },
        world: None,
        inputs: Vec::new(),
        tags: Vec::new(),
        until: None,
        allowed: Vec::new(),
    });
    let finished = Record::RunFinished(RunFinished {
        outcome: if number.is_multiple_of(7) { RunOutcome::Failed } else { RunOutcome::Passed },
        took_us: 1,
        passed: 1,
        failed: 0,
        skipped: 0,
        perhaps_changed: Vec::new(),
        changes: Vec::new(),
        failures: Vec::new(),
        intervals: Vec::new(),
        by_hand: None,
        rollback: None,
        outputs: Vec::new(),
        warnings: Vec::new(),
        confined: None,
        custody: Vec::new(),
        lock: None,
    });
    let mut chain = Chain::default();
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
    let mut bytes = chain.link(at, &started, str::to_string);
    bytes.extend(chain.link(at, &finished, str::to_string));
    std::fs::create_dir_all(runs.join(&run)).unwrap();
    std::fs::write(runs.join(&run).join("journal.jsonl"), bytes).unwrap();
}
