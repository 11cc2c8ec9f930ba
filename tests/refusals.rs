//! The folder of hostile playbooks, answers and programs, each with what must become of it (`tests/hostile/README.md`).
//!
//! Every case is a real process against a real server on loopback. `RUNBOOK_CASE=words` picks the cases with these words
//! in their path, and prints what they showed.

#[path = "refusals/attack.rs"]
mod attack;
#[path = "refusals/case.rs"]
mod case;
#[path = "refusals/judge.rs"]
mod judge;
#[path = "refusals/process.rs"]
mod process;
#[path = "refusals/server.rs"]
mod server;

use case::{Case, Kind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Does all cases of a kind, some at once, and tells of all that did not end as they must.
#[track_caller]
fn refused(kind: Kind) {
    let picked = std::env::var("RUNBOOK_CASE").ok();
    let cases: Vec<Case> = case::all(kind)
        .into_iter()
        .filter(|case| picked.as_ref().is_none_or(|words| case.path.contains(words.as_str())))
        .collect();
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|threads| {
        for _ in 0..std::thread::available_parallelism().map_or(2, |count| count.get().clamp(2, 4)) {
            threads.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = attack::of(case, picked.is_some());
                    if !found.is_empty() {
                        wrong.lock().unwrap().push(format!("\n### {}\n{}", case.path, found.join("\n")));
                    }
                }
            });
        }
    });
    let mut wrong = wrong.into_inner().unwrap();
    wrong.sort();
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn hostile_playbooks_are_refused() {
    refused(Kind::Playbook);
}

#[test]
fn hostile_answers_are_refused() {
    refused(Kind::Answer);
}

#[test]
fn hostile_programs_are_refused() {
    refused(Kind::Program);
}

#[test]
fn there_are_enough_cases_and_each_says_how_it_is_refused() {
    let all: Vec<Case> = [Kind::Playbook, Kind::Answer, Kind::Program].into_iter().flat_map(case::all).collect();
    assert!(all.len() >= 60, "only {}", all.len());
    for case in &all {
        assert!(!case.told.tries.is_empty() && !case.told.says.0.is_empty(), "{} says nothing specific", case.path);
    }
}

/// The judge is no judge who lets all pass.
#[test]
fn a_case_that_is_not_refused_as_it_says_is_told() {
    let case = |header: &str, text: &str| Case::read(Kind::Playbook, "made/up.yaml", &format!("{header}\n{text}"));
    let quiet = "runbook: 1\nname: up\nsteps: [{assert: [\"1 == 2\"]}]\n";
    for (header, text, told) in [
        ("# tries: x\n# exit: 0\n# says: assert", quiet, "exit code 1 instead of 0"),
        ("# tries: x\n# exit: 1\n# says: nobody says this", quiet, "does not say `nobody says this`"),
        ("# tries: x\n# exit: 1\n# says: assert\n# never: assert", quiet, "says `assert`"),
        ("# tries: x\n# exit: 1\n# says: assert\n# sent: GET /x", quiet, "sent []"),
        (
            "# tries: x\n# exit: 0\n# says: up",
            "runbook: 1\nname: up\npermissions: {run: [bash]}\nsteps: [{shell: echo x > ../outside/made}]\n",
            "outside/made",
        ),
        (
            "# tries: x\n# exit: 0\n# says: up",
            "runbook: 1\nname: up\npermissions: {net: [\"http://OTHER\"]}\nsteps: [{http: {url: \"http://OTHER/\"}}]\n",
            "the other server was reached",
        ),
    ] {
        let found = attack::of(&case(header, text), false).join("\n");
        assert!(found.contains(told), "{told:?} is not in {found:?}");
    }
}

#[test]
fn what_steers_a_terminal_is_found() {
    for text in ["\u{1b}[2J", "a\rb", "\u{9b}2J", "\u{202e}x", "\u{2066}x", "\0", "\u{8}", "\u{7f}", "\u{200f}"] {
        assert!(judge::steering(text.as_bytes()).is_some(), "{text:?}");
    }
    assert!(judge::steering(b"caf\xe9").is_some() && judge::steering("fine: äöü\n\t🚀".as_bytes()).is_none());
}
