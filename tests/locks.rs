//! Locks among processes: who gets one of many who want it at once, and what is left of one who is killed.

use runbook::journal::lock::{Claim, Holds, Locks};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

const VARIABLE: &str = "RUNBOOK_TEST_LOCK";

/// Not a test but the process of one: waits to be told, takes the lock, says so, holds it until its input ends.
#[test]
fn a_process_that_takes_the_lock() {
    let Some(given) = std::env::var(VARIABLE).ok() else { return };
    let (state, run) = given.split_once('|').unwrap();
    let mut input = std::io::stdin();
    input.read_exact(&mut [0]).unwrap();
    let claim = Claim { run, actor: "ana", take_over: false, holds: &|_| Holds::Unfinished };
    let got = Locks::at(Path::new(state)).acquire("deploy", &claim);
    match &got {
        Ok(_) => println!("\n@held"),
        Err(refused) => println!("\n@refused: {}", refused.to_string().replace('\n', " ")),
    }
    let _ = input.read_to_end(&mut Vec::new());
}

struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<std::process::ChildStdout>,
}

impl Process {
    fn start(state: &Path, run: &str) -> Process {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_process_that_takes_the_lock", "--nocapture"])
            .env(VARIABLE, format!("{}|{run}", state.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Process { child, input, output }
    }

    fn go(&mut self) {
        self.input.write_all(b"!").unwrap();
    }

    fn says(&mut self) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "it said nothing");
            if let Some(said) = line.strip_prefix('@') {
                return said.trim().to_string();
            }
        }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A test that fails leaves no process behind.
impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn of_many_who_want_it_in_the_same_instant_one_gets_it_and_the_others_learn_who() {
    for _ in 0..5 {
        let state = tempfile::tempdir().unwrap();
        let mut all: Vec<Process> =
            (0..6).map(|number| Process::start(state.path(), &format!("run-{number}"))).collect();
        all.iter_mut().for_each(Process::go);
        let said: Vec<String> = all.iter_mut().map(Process::says).collect();
        let holders: Vec<usize> = (0..6).filter(|number| said[*number] == "held").collect();
        let [holder] = holders.as_slice() else { panic!("{said:?}") };
        let pid = all[*holder].child.id();
        for refused in said.iter().filter(|said| *said != "held") {
            assert!(refused.contains(&format!("held by run run-{holder}, of ana")), "{refused}");
            assert!(refused.contains(&format!("(process {pid})")), "{refused}");
        }
    }
}

#[test]
fn what_is_killed_holds_its_lock_no_longer_and_is_not_forgotten() {
    let state = tempfile::tempdir().unwrap();
    let locks = Locks::at(state.path());
    let claim = |run, take_over| Claim { run, actor: "bo", take_over, holds: &|_| Holds::Unfinished };
    let mut holder = Process::start(state.path(), "run-1");
    holder.go();
    assert_eq!(holder.says(), "held");
    assert!(locks.look("deploy").unwrap().unwrap().is_live);
    let refused = locks.acquire("deploy", &claim("run-2", true)).unwrap_err().to_string();
    assert!(refused.contains("held by run run-1") && refused.contains(&holder.child.id().to_string()), "{refused}");
    holder.kill();
    let seen = locks.look("deploy").unwrap().unwrap();
    assert_eq!((seen.is_live, seen.holder.unwrap().ended), (false, None));
    let refused = locks.acquire("deploy", &claim("run-2", false)).unwrap_err().to_string();
    assert!(refused.contains("run run-1, of ana") && refused.contains("broke off"), "{refused}");
    drop(locks.acquire("deploy", &claim("run-1", false)).unwrap());
    let taken = locks.acquire("deploy", &claim("run-2", true)).unwrap();
    assert_eq!(taken.taken_over().unwrap().holder.as_ref().unwrap().run, "run-1");
}
