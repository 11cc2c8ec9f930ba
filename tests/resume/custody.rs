//! Who can open what a run captured: a colleague with a copy of its folder and the key, and nobody when it has passed.

use crate::stage::{Bench, Stage, files, hides};
use crate::support::{Answer, Folder};
use serde_json::json;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const VALUE: &str = "s3cr3t-value-shown-once";
const OLD: &str = "s3cr3t-old-value-of-before";

const REST: &str = r#"
  old: {type: secret, env: OLD_VALUE}
steps:
  - {id: roll, http: {method: POST, url: "{{ api }}/roll", auth: {bearer: "{{ old }}"}}, capture: {value: {jq: .value, secret: true}}}
  - {id: store, http: {method: PUT, url: "{{ api }}/store", json: {value: "{{ value }}", old: "{{ old }}"}}}
"#;

fn sick() -> (Stage, Arc<AtomicBool>) {
    let mended = Arc::new(AtomicBool::new(false));
    let own = mended.clone();
    let stage = Stage::new(move |call| match call.path.as_str() {
        "/roll" => Answer::json(200, json!({"value": VALUE})),
        "/store" if !own.load(Ordering::SeqCst) => Answer::json(500, json!({})),
        _ => Answer::json(200, json!({})),
    });
    (stage, mended)
}

fn copy(from: &Path, to: &Path) {
    for path in files(from) {
        let target = to.join(path.strip_prefix(from).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(&path, &target).unwrap();
    }
}

/// On another machine: only the run's folder, and what unwraps its key. The variables of the first are not there.
#[track_caller]
fn finished_elsewhere(bench: &Bench<'_>, theirs: &Folder, mended: &AtomicBool) {
    bench.run(&[]).exits(1);
    let run = bench.run_folder();
    let state = theirs.path().join("elsewhere");
    copy(&run, &state.join("runs").join(bench.run_id()));
    hides(&state, VALUE);
    hides(&state, OLD);
    mended.store(true, Ordering::SeqCst);
    let resume = || {
        let state = state.to_str().unwrap();
        theirs.program().args(["resume", "last", "--output", "json", "--state-dir", state]).ran()
    };
    resume().exits(0).hides(VALUE).hides(OLD);
    assert_eq!(bench.whats(), ["POST /roll", "PUT /store", "PUT /store"]);
    assert_eq!(bench.calls()[2].body, json!({"value": VALUE, "old": OLD}));
    let keys = |folder: &Path| files(folder).iter().filter(|path| path.ends_with("key")).count();
    assert_eq!(keys(&state), 0);
    hides(theirs.path(), VALUE);
    hides(theirs.path(), OLD);
    let journal = std::fs::read_to_string(state.join("runs").join(bench.run_id()).join("journal.jsonl")).unwrap();
    assert!(journal.contains("\"custody-ended\""), "{journal}");
    resume().exits(0).shows("there is nothing to go on with");
    // What they had a copy of knows nothing of it: its key is still there.
    assert!(run.join("key").exists());
}

#[test]
fn a_colleague_with_the_key_file_finishes_the_run() {
    let (stage, mended) = sick();
    let bench = Bench::new(&stage, "a", REST).env("OLD_VALUE", OLD);
    let theirs = Folder::new();
    bench.program_of(&["config", "--try-key"]).ran().exits(0);
    copy(&bench.folder.path().join(".config"), &theirs.path().join(".config"));
    finished_elsewhere(&bench, &theirs, &mended);
}

#[test]
fn a_colleague_who_is_a_recipient_finishes_the_run() {
    if Command::new("age").arg("--version").output().is_err() {
        eprintln!("skipped: `age` is not installed (apt-get install age)");
        return;
    }
    let (stage, mended) = sick();
    let bench = Bench::new(&stage, "a", REST).env("OLD_VALUE", OLD);
    let theirs = Folder::new();
    let identity = |folder: &Folder| {
        let path = folder.path().join("identity.txt");
        assert!(Command::new("age-keygen").arg("-o").arg(&path).output().unwrap().status.success());
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap().to_string()
    };
    let recipients = [identity(&bench.folder), identity(&theirs)];
    let wrap = format!("[age, -r, {}, -r, {}]", recipients[0], recipients[1]);
    let config = format!("key_command: {{wrap: {wrap}, unwrap: [age, -d, -i, ~/identity.txt]}}\n");
    bench.folder.file(".config/runbook/config.yaml", &config);
    theirs.file(".config/runbook/config.yaml", &config);
    finished_elsewhere(&bench, &theirs, &mended);
}

#[test]
fn who_has_no_key_is_told_so_and_sends_nothing() {
    let (stage, _) = sick();
    let bench = Bench::new(&stage, "a", REST).env("OLD_VALUE", OLD);
    bench.run(&[]).exits(1);
    let theirs = Folder::new();
    let state = theirs.path().join("elsewhere");
    copy(&bench.run_folder(), &state.join("runs").join(bench.run_id()));
    let before = bench.whats();
    let ran = theirs.program().args(["resume", "last", "--state-dir", state.to_str().unwrap()]).ran().exits(1);
    assert!(ran.shown().contains("key"), "{}", ran.shown());
    assert_eq!(bench.whats(), before);
    assert!(state.join("runs").join(bench.run_id()).join("key").exists());
}

#[test]
fn a_failed_run_keeps_its_key_and_a_passed_one_none() {
    let (stage, mended) = sick();
    let bench = Bench::new(&stage, "a", REST).env("OLD_VALUE", OLD);
    let ran = bench.run(&[]).exits(1).hides(VALUE).hides(OLD);
    assert_eq!(ran.finished()["custody"], json!(["value"]));
    assert!(bench.run_folder().join("key").exists());
    hides(bench.folder.path(), VALUE);
    hides(bench.folder.path(), OLD);
    mended.store(true, Ordering::SeqCst);
    bench.resume(&[]).exits(0).hides(VALUE).hides(OLD);
    assert!(!bench.run_folder().join("key").exists());
    assert_eq!(bench.records().last().unwrap()["type"], "custody-ended");
    hides(bench.folder.path(), VALUE);
    hides(bench.folder.path(), OLD);
}
