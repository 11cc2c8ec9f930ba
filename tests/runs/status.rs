//! What needs attention, and one run in detail.

use crate::support::Folder;
use crate::{ROTATE, TOKEN, failed, short};

#[test]
fn nothing_needs_attention_where_all_has_passed() {
    let folder = Folder::with(ROTATE);
    folder.does(&["status"]).exits(0).shows("nothing needs attention: there is no run yet");
    folder.file("ready", "");
    folder.run(&[]).exits(0);
    folder.does(&["status"]).exits(0).shows("nothing needs attention: 1 run");
    folder.does(&["status", "last"]).exits(0).shows("outcome      passed").hides("what to do");
    let told = folder.json(&["status"]);
    assert_eq!((told["runs"].as_array().unwrap().len(), told["locks"].as_array().unwrap().len()), (0, 0));
}

#[test]
fn a_run_that_holds_a_secret_says_how_to_go_on() {
    let folder = failed();
    let id = folder.ids().remove(0);
    let run = short(&id).to_string();
    let shown = folder
        .does(&["status"])
        .exits(0)
        .shows("lock rotate:pages · holds new_token")
        .shows(&format!("runbook resume {run} "))
        .shows(&format!("runbook reveal {run} new_token "))
        .shows(&format!("runbook discard {run} "))
        .shows(&format!("rotate:pages: kept for run {run} by tester"))
        .hides(TOKEN);
    assert!(shown.stdout.lines().all(|line| line.chars().count() <= 96), "{}", shown.stdout);
    folder.does(&["status", &run]).exits(0).shows("new_token, of step make").shows("service: pages").hides(TOKEN);
    let told = folder.json(&["status"]);
    assert_eq!(told["runs"][0]["next"].as_array().unwrap().len(), 3);
    assert_eq!((&told["locks"][0]["lock"], &told["locks"][0]["held"]), (&"rotate:pages".into(), &false.into()));
    let one = folder.json(&["status", &run]);
    assert_eq!(one["run"]["secrets"][0]["step"], "make");
    assert_eq!(one["run"]["failures"][0]["step"], "ready");
}

#[test]
fn a_run_that_passed_and_kept_its_key_is_told() {
    let folder = failed();
    let id = folder.ids().remove(0);
    let key = folder.state().join("runs").join(&id).join("key");
    let kept = std::fs::read(&key).unwrap();
    folder.file("ready", "");
    folder.does(&["resume", "last"]).exits(0);
    // As where the machine went between the run's last record and the end of its key.
    std::fs::write(&key, kept).unwrap();
    folder.does(&["status"]).exits(0).shows(&format!("runbook discard {}", short(&id))).shows("still there");
    folder.does(&["discard", "last"]).exits(0).shows("has passed; its key, which was still there, is destroyed");
    assert!(!key.exists());
    folder.does(&["status"]).exits(0).shows("nothing needs attention");
}

#[test]
fn a_run_that_waits_for_a_person_is_told_until_it_is_given_up() {
    let folder = Folder::with("runbook: 1\nname: test\nsteps: [{id: go, confirm: Go on?}]\n");
    folder.run(&[]).exits(3);
    folder.does(&["status"]).exits(0).shows("waiting").shows("asks what it waits for");
    folder.does(&["discard", "last", "--yes"]).exits(0);
    folder.does(&["status"]).exits(0).shows("nothing needs attention");
    folder.does(&["status", "last"]).exits(0).shows("waiting").shows("given up").hides("what to do");
}

#[test]
fn a_damaged_journal_is_told() {
    let folder = failed();
    let id = folder.ids().remove(0);
    std::fs::write(folder.journal(&id), "nothing of ours\n").unwrap();
    folder.does(&["status"]).exits(0).shows(&format!("runbook verify {}", short(&id)));
    folder.does(&["list"]).exits(0).shows("damaged");
    folder.does(&["status", "last"]).exits(1).shows("is damaged").shows("runbook verify");
}

#[test]
fn what_is_no_run_is_refused_with_help() {
    let folder = failed();
    for command in ["status", "show", "verify", "discard"] {
        folder.does(&[command, "no-such-run"]).exits(2).shows("there is no run `no-such-run`").shows("runbook list");
    }
    folder.does(&["reveal", "no-such-run", "x"]).exits(2);
}
