//! Secrets that a run holds: handed out, or destroyed.

use crate::support::{AtTerminal, Folder, until};
use crate::{ROTATE, TOKEN, failed, short};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

fn types(folder: &Folder) -> Vec<String> {
    let records = folder.records(&folder.ids()[0]);
    records.iter().map(|record| record["type"].as_str().unwrap().to_string()).collect()
}

#[test]
fn a_secret_goes_into_a_private_file_and_the_record_says_so() {
    let folder = failed();
    let told = folder.does(&["-vvv", "reveal", "last", "new_token", "--to-file", "out", "--yes"]).exits(0);
    told.shows("of step `make`").hides(TOKEN);
    assert_eq!(folder.read("out"), TOKEN);
    let path = folder.path().join("out");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let record = folder.records(&folder.ids()[0]).pop().unwrap();
    assert_eq!(
        (&record["type"], &record["secret"], &record["by"]),
        (&"revealed".into(), &"new_token".into(), &"tester".into())
    );
    assert_eq!(std::path::Path::new(record["to"].as_str().unwrap()).file_name(), path.file_name());
    folder.does(&["status", "last"]).exits(0).shows("new_token by tester to /");
    // None is written over, and what is not handed out is not said to be.
    folder.file("there", "mine");
    folder.does(&["reveal", "last", "new_token", "--to-file", "there", "--yes"]).exits(1).shows("none is written over");
    assert_eq!(folder.read("there"), "mine");
    assert_eq!(types(&folder).iter().filter(|kind| *kind == "revealed").count(), 1);
}

#[test]
fn without_a_terminal_nothing_leaves_on_standard_output() {
    let folder = failed();
    folder.does(&["reveal", "last", "new_token"]).exits(2).shows("--to-file FILE").hides(TOKEN);
    folder.does(&["reveal", "last", "new_token", "--yes"]).exits(2).shows("--to-file").hides(TOKEN);
    folder.does(&["reveal", "last", "new_token", "--to-file", "out"]).exits(3).shows("nobody is there to ask");
    assert!(!folder.path().join("out").exists());
    assert!(!types(&folder).contains(&"revealed".to_string()));
}

#[test]
fn an_unknown_name_is_told_what_there_is() {
    let folder = failed();
    folder.does(&["reveal", "last", "token_id", "--to-file", "out", "--yes"]).exits(2).shows("it holds `new_token`");
}

#[test]
fn the_latest_of_a_name_is_handed_out() {
    let twice = ROTATE
        .replace("    effect: once\n", "    for_each: [77aa, 88bb]\n    as: number\n    effect: once\n")
        .replace("77aa\\", "'$0'\\")
        .replace("t-77\\\"}'\"]", "t-77\\\"}'\", \"{{ number }}\"]");
    let folder = Folder::with(&twice);
    folder.run(&[]).exits(1);
    folder.does(&["reveal", "last", "new_token", "--to-file", "out", "--yes"]).exits(0).shows("of step `make[1]`");
    assert_eq!(folder.read("out"), "s3cr3t-t0ken-88bb");
}

#[test]
fn a_secret_input_is_handed_out_too() {
    let playbook = "runbook: 1\nname: test\ninputs: {old: {type: secret, env: OLD}}\npermissions: {run: [sh], env: [OLD]}\n\
                    steps:\n  - id: use\n    exec: {argv: [sh, -c, 'exit 1'], stdin: '{{ old }}'}\n    effect: read\n";
    let folder = Folder::with(playbook);
    folder.program().args(["run", "test.yaml"]).env("OLD", "0ld-t0ken-11cc").ran().exits(1);
    folder.does(&["reveal", "last", "old", "--to-file", "out", "--yes"]).exits(0).shows("an input of the run");
    assert_eq!(folder.read("out"), "0ld-t0ken-11cc");
}

#[test]
fn what_cannot_be_opened_is_not_revealed() {
    let folder = failed();
    std::fs::rename(folder.path().join(".config"), folder.path().join("elsewhere")).unwrap();
    let reveal = ["reveal", "last", "new_token", "--to-file", "out", "--yes"];
    folder.does(&reveal).exits(1).shows("is not there").hides(TOKEN);
    assert!(!folder.path().join("out").exists());
    std::fs::rename(folder.path().join("elsewhere"), folder.path().join(".config")).unwrap();
    let key = folder.state().join("runs").join(&folder.ids()[0]).join("key");
    std::fs::remove_file(key).unwrap();
    folder.does(&reveal).exits(1).shows("is gone: what is sealed can be opened by nobody");
    assert!(!types(&folder).contains(&"revealed".to_string()));
}

#[test]
fn a_live_run_keeps_what_it_holds() {
    let slow = ROTATE.replace("test -f ready", "until test -f ready; do sleep 0.02; done");
    let folder = Folder::with(&slow);
    let mut run = folder.program().args(["run", "test.yaml"]);
    run.0.stdout(Stdio::null()).stderr(Stdio::null());
    let mut run = run.0.spawn().unwrap();
    until("the token is there", || {
        folder
            .ids()
            .first()
            .is_some_and(|id| std::fs::read_to_string(folder.journal(id)).is_ok_and(|text| text.contains("t-77")))
    });
    folder.does(&["reveal", "last", "new_token", "--to-file", "out", "--yes"]).exits(5).shows("is under way");
    folder.does(&["discard", "last", "--yes"]).exits(5).shows("is under way");
    folder.file("ready", "");
    assert_eq!(run.wait().unwrap().code(), Some(0));
    assert_eq!(folder.read("stored"), TOKEN);
}

#[test]
fn a_run_that_is_given_up_frees_its_lock_and_is_not_gone_on_with() {
    let folder = failed();
    let id = folder.ids().remove(0);
    folder.does(&["discard", "last"]).exits(3).shows("`new_token`: nobody could read it any more").shows("--yes");
    folder.file("ready", "");
    folder.run(&[]).exits(5).shows("may hold the only copy of `new_token`");
    folder.does(&["discard", &id, "--yes"]).exits(0).shows("`rotate:pages` is free");
    assert!(!folder.state().join("runs").join(&id).join("key").exists());
    assert_eq!(types(&folder).last().unwrap(), "custody-ended");
    let again = folder.does(&["resume", &id]).exits(5);
    again.shows("custody of what the run").shows("begin a new run");
    folder.does(&["reveal", &id, "new_token", "--to-file", "out", "--yes"]).exits(5).shows("its key is destroyed");
    folder.does(&["discard", &id, "--yes"]).exits(0).shows("nothing to discard: that was done already");
    folder.does(&["verify", "--all"]).exits(0);
    // The lock is free without anybody taking it over.
    folder.run(&[]).exits(0);
    folder.does(&["discard", "last", "--yes"]).exits(0).shows("nothing to discard: it has passed");
}

#[test]
fn a_run_that_broke_off_can_be_given_up() {
    let folder = Folder::with(ROTATE);
    let died = folder.program().args(["run", "test.yaml"]).env("RUNBOOK_FAULT", "4:half").ran();
    assert_eq!(died.code, -1);
    folder.file("ready", "");
    folder.run(&[]).exits(5);
    let id = folder.ids().remove(0);
    folder.does(&["discard", &id, "--yes"]).exits(0).shows("`rotate:pages` is free");
    folder.does(&["resume", &id]).exits(5).shows("begin a new run");
    folder.does(&["verify", &id]).exits(0).shows("chain whole");
    folder.run(&[]).exits(0);
}

#[test]
fn at_a_terminal_it_asks_for_the_name_first() {
    let folder = failed();
    let id = folder.ids().remove(0);
    let screen = at_terminal(&folder, &["reveal", "last", "new_token"], "reveal it: ", "yes\n", 1);
    assert!(screen.contains("that is not its name") && !screen.contains(TOKEN), "{screen}");
    assert!(!types(&folder).contains(&"revealed".to_string()));
    let screen = at_terminal(&folder, &["reveal", "last", "new_token"], "reveal it: ", "new_token\n", 0);
    assert!(screen.contains(&format!("{TOKEN}\r\n")), "{screen}");
    let record = folder.records(&id).pop().unwrap();
    assert_eq!((&record["type"], &record["to"]), (&"revealed".into(), &"the terminal".into()));
    let screen = at_terminal(&folder, &["discard", "last"], "discard it: ", "y\n", 1);
    assert!(screen.contains("nothing was discarded"), "{screen}");
    at_terminal(&folder, &["discard", "last"], "discard it: ", &format!("{}\n", short(&id)), 0);
    assert_eq!(types(&folder).last().unwrap(), "custody-ended");
}

/// Runs the program at a pseudo terminal, answers one question, and gives all that the screen showed.
fn at_terminal(folder: &Folder, arguments: &[&str], question: &str, answer: &str, code: i32) -> String {
    let mut terminal = AtTerminal::start_program(folder.program().args(arguments));
    terminal.answers(question, answer.trim_end());
    let (ended, screen) = terminal.ends();
    assert_eq!(ended, code, "{screen}");
    screen
}
