//! Tests of locks: whose they are, whom they are refused to, and what is made of files that say nothing.

use super::*;
use std::os::unix::fs::{PermissionsExt, symlink};

const NAME: &str = "deploy/raxx: production";

struct State(tempfile::TempDir);

impl State {
    fn new() -> State {
        State(tempfile::tempdir().unwrap())
    }

    fn locks(&self) -> Locks {
        Locks::at(self.0.path())
    }

    fn file(&self) -> PathBuf {
        self.locks().path(NAME)
    }

    fn acquire(&self, run: &str, take_over: bool, holds: Holds) -> Result<Held, Refused> {
        let holds = |_: &str| holds.clone();
        self.locks().acquire(NAME, &Claim { run, actor: "ana", take_over, holds: &holds })
    }

    /// As a run that is killed leaves it.
    fn broken_off(run: &str) -> State {
        let state = State::new();
        drop(state.acquire(run, false, Holds::Gone).unwrap());
        state
    }

    fn ended(run: &str, outcome: RunOutcome, custody: bool) -> State {
        let state = State::new();
        state.acquire(run, false, Holds::Gone).unwrap().release(Ended { outcome, custody }).unwrap();
        state
    }
}

#[track_caller]
fn told(got: Result<Held, Refused>) -> String {
    got.expect_err("the lock was had").to_string()
}

#[test]
fn a_live_run_is_named_to_whom_it_refuses() {
    let state = State::new();
    let held = state.acquire("run-1", false, Holds::Gone).unwrap();
    assert!(held.taken_over().is_none());
    for take_over in [false, true] {
        let told = told(state.acquire("run-2", take_over, Holds::Nothing));
        for part in [NAME, "run-1", "ana", &Host::here().name, &std::process::id().to_string(), &held.holder().since] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }
    assert!(told(state.acquire("run-1", true, Holds::Nothing)).contains("is held by run run-1"));
    // Another name is another lock.
    let holds = |_: &str| Holds::Unfinished;
    state.locks().acquire("other", &Claim { run: "run-2", actor: "ana", take_over: false, holds: &holds }).unwrap();
    held.release(Ended { outcome: RunOutcome::Passed, custody: false }).unwrap();
    state.acquire("run-2", false, Holds::Unfinished).unwrap();
}

#[test]
fn files_are_private_and_written_in_place() {
    use std::os::unix::fs::MetadataExt;
    let state = State::new();
    let held = state.acquire("a-run-with-a-rather-long-name", false, Holds::Gone).unwrap();
    let before = std::fs::metadata(state.file()).unwrap();
    assert_eq!(before.permissions().mode() & 0o7777, 0o600);
    assert_eq!(std::fs::metadata(state.file().parent().unwrap()).unwrap().permissions().mode() & 0o7777, 0o700);
    held.release(Ended { outcome: RunOutcome::Failed, custody: true }).unwrap();
    state.acquire("b", true, Holds::Nothing).unwrap();
    assert_eq!(std::fs::metadata(state.file()).unwrap().ino(), before.ino());
    let text = std::fs::read_to_string(state.file()).unwrap();
    assert!(text.ends_with("}\n") && text.lines().count() == 1, "{text}");
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&json["lock"], &json["run"], &json["ended"]), (&NAME.into(), &"b".into(), &serde_json::Value::Null));
}

#[test]
fn a_run_that_broke_off_keeps_its_lock_from_all_but_its_own_resume() {
    let state = State::broken_off("run-1");
    let refused = told(state.acquire("run-2", false, Holds::Unfinished));
    for way in ["run run-1, of ana", "broke off", "runbook resume run-1", "runbook discard run-1", "--take-over"] {
        assert!(refused.contains(way), "{way}: {refused}");
    }
    // A refusal changes nothing.
    assert_eq!(state.locks().look(NAME).unwrap().unwrap().holder.unwrap().run, "run-1");
    drop(state.acquire("run-1", false, Holds::Unfinished).unwrap());
    let taken = state.acquire("run-2", true, Holds::Unfinished).unwrap();
    assert_eq!(taken.taken_over().unwrap().holder.as_ref().unwrap().run, "run-1");
    assert_eq!(taken.holder().run, "run-2");
}

#[test]
fn what_is_asked_is_about_the_run_that_had_it() {
    let state = State::broken_off("run-1");
    let asked = std::cell::RefCell::new(Vec::new());
    let holds = |run: &str| {
        asked.borrow_mut().push(run.to_string());
        Holds::Gone
    };
    let claim = Claim { run: "run-2", actor: "ana", take_over: false, holds: &holds };
    let held = state.locks().acquire(NAME, &claim).unwrap();
    assert_eq!(*asked.borrow(), ["run-1"]);
    assert!(held.taken_over().is_none());
}

#[test]
fn a_run_that_holds_nothing_any_more_leaves_its_lock_free() {
    for holds in [Holds::Nothing, Holds::Gone] {
        State::broken_off("run-1").acquire("run-2", false, holds).unwrap();
    }
    // Nobody has to look at the journal of one that said so itself.
    for outcome in [RunOutcome::Passed, RunOutcome::Failed, RunOutcome::Refused] {
        State::ended("run-1", outcome, false).acquire("run-2", false, Holds::Unfinished).unwrap();
    }
    for outcome in [RunOutcome::Waiting, RunOutcome::Unknown, RunOutcome::Interrupted] {
        let state = State::ended("run-1", outcome, false);
        let refused = told(state.acquire("run-2", false, Holds::Unfinished));
        assert!(refused.contains(&format!("ended {}", outcome.word())), "{refused}");
        state.acquire("run-2", false, Holds::Nothing).unwrap();
    }
}

#[test]
fn a_run_that_failed_with_custody_is_recalled_with_what_it_holds_and_the_ways_on() {
    let state = State::ended("run-1", RunOutcome::Failed, true);
    let names = || Holds::Custody { names: vec!["new_token".into(), "zone_key".into()] };
    let refused = told(state.acquire("run-2", false, names()));
    for part in ["run run-1, of ana", "ended failed", "`new_token`, `zone_key`"] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    for way in ["`runbook resume run-1`", "`runbook discard run-1`", "`--take-over`"] {
        assert!(refused.contains(way), "{way}: {refused}");
    }
    drop(state.acquire("run-2", true, names()).unwrap());
    let state = State::ended("run-1", RunOutcome::Failed, true);
    drop(state.acquire("run-1", false, names()).unwrap());
    let state = State::ended("run-1", RunOutcome::Failed, true);
    state.acquire("run-2", false, Holds::Nothing).unwrap();
}

#[test]
fn what_a_file_cannot_say_is_a_run_nobody_can_name() {
    for content in [
        &b"{"[..],
        b"\0\0\0\0",
        b"\xff\xfe",
        b"\n",
        b"null",
        b"[1]",
        b"{\"lock\":\"deploy/raxx: production\",\"run\":\"run-1\",\"pid\":1",
        // Of another lock.
        br#"{"lock":"other","run":"run-1","pid":1,"host":"h","actor":"a","since":"s","ended":"passed","custody":false}"#,
        br#"{"lock":"deploy/raxx: production","run":"run-1","pid":-1,"host":"h","actor":"a","since":"s"}"#,
        &[b'x'; 100_000],
    ] {
        let state = State::broken_off("run-1");
        std::fs::write(state.file(), content).unwrap();
        let refused = told(state.acquire("run-1", false, Holds::Nothing));
        assert!(refused.contains("nobody can name") && refused.contains("`--take-over`"), "{refused}");
        assert!(refused.contains(&state.file().display().to_string()), "{refused}");
        assert_eq!(std::fs::read(state.file()).unwrap(), content, "a refusal changes nothing");
        assert_eq!(state.locks().look(NAME).unwrap().unwrap().holder, None);
        let taken = state.acquire("run-2", true, Holds::Nothing).unwrap();
        assert_eq!(taken.taken_over(), Some(&Taken { holder: None }));
        assert_eq!(state.locks().look(NAME).unwrap().unwrap().holder.unwrap().run, "run-2");
    }
}

#[test]
fn what_is_left_of_a_longer_line_does_not_matter_and_nothing_is_nobody() {
    let state = State::ended("run-1", RunOutcome::Passed, false);
    let text = std::fs::read_to_string(state.file()).unwrap();
    std::fs::write(state.file(), format!("{text}ase\",\"custody\":true}}\n")).unwrap();
    state.acquire("run-2", false, Holds::Unfinished).unwrap();
    std::fs::write(state.file(), "").unwrap();
    assert_eq!(state.locks().look(NAME).unwrap(), None);
    state.acquire("run-3", false, Holds::Unfinished).unwrap();
}

#[test]
fn what_the_file_system_refuses_is_said() {
    let state = State::new();
    std::fs::write(state.0.path().join("locks"), "").unwrap();
    assert!(told(state.acquire("run-1", true, Holds::Nothing)).contains("cannot be had"));
    let state = State::new();
    std::fs::create_dir(state.0.path().join("locks")).unwrap();
    symlink("/etc/hostname", state.file()).unwrap();
    assert!(told(state.acquire("run-1", true, Holds::Nothing)).contains("cannot be had"));
}

#[test]
fn looking_takes_nothing_and_shows_all() {
    let state = State::new();
    assert_eq!((state.locks().look(NAME).unwrap(), state.locks().all().unwrap()), (None, vec![]));
    assert!(!state.file().parent().unwrap().exists());
    let held = state.acquire("run-1", false, Holds::Gone).unwrap();
    let seen = state.locks().look(NAME).unwrap().unwrap();
    assert_eq!((seen.holder.as_ref(), seen.is_live), (Some(held.holder()), true));
    let claim = Claim { run: "run-2", actor: "bo", take_over: false, holds: &|_| Holds::Gone };
    drop(state.locks().acquire("a first one", &claim).unwrap());
    std::fs::write(state.file().parent().unwrap().join("notes.txt"), "not ours").unwrap();
    std::fs::write(state.locks().path("damaged"), "{").unwrap();
    let all = state.locks().all().unwrap();
    let shown: Vec<_> =
        all.iter().map(|seen| (seen.holder.as_ref().map(|holder| holder.run.as_str()), seen.is_live)).collect();
    assert_eq!(shown, [(None, false), (Some("run-2"), false), (Some("run-1"), true)]);
    held.release(Ended { outcome: RunOutcome::Failed, custody: true }).unwrap();
    let seen = state.locks().look(NAME).unwrap().unwrap();
    let holder = seen.holder.unwrap();
    assert_eq!((holder.ended.as_deref(), holder.custody, seen.is_live), (Some("failed"), true, false));
}

/// Whoever has just got the lock has not written its name yet: the one before, which is gone, is not taken for it.
#[test]
fn a_holder_that_has_not_said_its_name_yet_is_not_taken_for_the_one_before() {
    let state = State::ended("run-1", RunOutcome::Failed, true);
    let locks = state.locks();
    std::thread::scope(|scope| {
        let (inside, is_inside) = std::sync::mpsc::channel();
        let (go, may_go) = std::sync::mpsc::channel();
        let taking = scope.spawn(move || {
            let holds = |_: &str| {
                inside.send(()).unwrap();
                may_go.recv().unwrap();
                Holds::Nothing
            };
            locks.acquire(NAME, &Claim { run: "run-2", actor: "bo", take_over: false, holds: &holds }).unwrap()
        });
        is_inside.recv().unwrap();
        let refused = told(state.acquire("run-3", true, Holds::Nothing));
        assert!(refused.contains("is being taken by another process"), "{refused}");
        go.send(()).unwrap();
        let held = taking.join().unwrap();
        let refused = told(state.acquire("run-3", true, Holds::Nothing));
        assert!(refused.contains("run run-2, of bo"), "{refused}");
        drop(held);
    });
}
