//! Watching a run that another process runs.

use crate::ROTATE;
use crate::support::{Folder, until};
use std::io::Read;
use std::process::{Child, Stdio};

/// Waits for `ready` rather than failing.
fn patient() -> String {
    ROTATE.replace("test -f ready", "until test -f ready; do sleep 0.02; done")
}

struct Following {
    child: Child,
    path: std::path::PathBuf,
}

impl Following {
    fn of(folder: &Folder) -> Following {
        let path = folder.path().join("followed");
        let mut program = folder.program().args(["show", "last", "--follow"]);
        program.0.stdout(std::fs::File::create(&path).unwrap()).stderr(Stdio::null());
        Following { child: program.0.spawn().unwrap(), path }
    }

    fn sees(&self, text: &str) {
        until(text, || std::fs::read_to_string(&self.path).unwrap().contains(text));
    }

    fn ends(mut self) -> String {
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        std::fs::read_to_string(&self.path).unwrap()
    }
}

/// A test that fails leaves nobody behind.
impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(folder: &Folder) -> Child {
    let mut run = folder.program().args(["run", "test.yaml"]);
    run.0.stdout(Stdio::null()).stderr(Stdio::null());
    let run = run.0.spawn().unwrap();
    until("the run is under way", || {
        let text = folder.ids().first().and_then(|id| std::fs::read_to_string(folder.journal(id)).ok());
        text.is_some_and(|text| text.contains("\"step-finished\",\"step\":\"make\""))
    });
    run
}

#[test]
fn shows_what_is_there_and_what_comes() {
    let folder = Folder::with(&patient());
    let mut run = start(&folder);
    let following = Following::of(&folder);
    following.sees("✔ Make it");
    folder.does(&["show", "last"]).exits(0).shows("· under way: process").hides("passed in");
    folder.file("ready", "");
    assert_eq!(run.wait().unwrap().code(), Some(0));
    let shown = following.ends();
    assert!(shown.contains("✔ Store it") && shown.contains("passed in"), "{shown}");
    assert!(shown.contains("custody ended"), "what follows the run's end was not waited for:\n{shown}");
    assert!(!shown.contains("broken off"), "{shown}");
}

#[test]
fn goes_on_through_a_torn_end_and_a_resume() {
    let folder = Folder::with(&patient());
    // The process kills itself in the middle of a write, which leaves half a record.
    let died =
        |write: u32| folder.program().args(["run", "test.yaml"]).env("RUNBOOK_FAULT", &format!("{write}:half")).ran();
    folder.file("ready", "");
    assert_eq!(died(4).code, -1);
    let id = folder.ids().remove(0);
    assert!(!std::fs::read_to_string(folder.journal(&id)).unwrap().ends_with('\n'), "nothing is torn");
    folder.does(&["verify", "last"]).exits(0).shows("last record torn");
    let following = Following::of(&folder);
    following.sees("· broken off, nobody is at it");
    // Whose effect was in flight is for a person to say; here it has not happened.
    let resumed = folder.does(&["resume", "last", "--redo", "make"]).exits(0);
    let shown = following.ends();
    assert!(shown.contains("· resumed by tester, round 1"), "{shown}");
    assert!(shown.contains("passed in"), "{shown}\n{}", resumed.shown());
    assert!(!shown.contains("damaged"), "{shown}");
}

#[test]
fn ends_when_nobody_reads() {
    let folder = Folder::with(&patient());
    let mut run = start(&folder);
    let mut program = folder.program().args(["show", "last", "--follow"]);
    program.0.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = program.0.spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut byte = [0];
    stdout.read_exact(&mut byte).unwrap();
    drop(stdout);
    // The run writes nothing meanwhile: it is the closed pipe that ends it.
    let mut ended = None;
    until("it ends", || {
        ended = child.try_wait().unwrap();
        ended.is_some()
    });
    let mut told = String::new();
    child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert_eq!((ended.unwrap().code(), told.as_str()), (Some(0), ""));
    folder.file("ready", "");
    assert_eq!(run.wait().unwrap().code(), Some(0));
}

#[test]
fn a_run_that_has_ended_is_shown_and_that_is_it() {
    let folder = crate::failed();
    folder.does(&["show", "last", "--follow"]).exits(0).shows("failed in").shows("runbook resume");
}
