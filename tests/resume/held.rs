//! Locks through the front door: who is refused, what they are told, and how they go on.

use crate::stage::{Bench, Stage};
use crate::support::{Answer, until};
use serde_json::json;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const REST: &str = r#"
lock: deploy
steps:
  - {id: first, http: {method: POST, url: "{{ api }}/first"}}
  - {id: slow, http: {url: "{{ api }}/slow"}}
  - {id: last, http: {method: POST, url: "{{ api }}/last"}}
"#;

/// Holds every request for `/slow` while told so.
fn holding() -> (Stage, Arc<AtomicBool>) {
    let held = Arc::new(AtomicBool::new(true));
    let own = held.clone();
    let stage = Stage::new(move |call| {
        if call.path == "/slow" {
            until("it may go on", || !own.load(Ordering::SeqCst));
        }
        Answer::json(200, json!({}))
    });
    (stage, held)
}

fn start(bench: &Bench<'_>) -> Child {
    bench.starting(&[]).0.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn a_live_holder_is_named_and_a_dead_one_is_gone_on_with_or_taken_over() {
    let (stage, held) = holding();
    let bench = Bench::new(&stage, "a", REST);
    let mut child = start(&bench);
    until("it is under way", || bench.count("GET /slow") == 1);
    let first = bench.run_id();
    let refused = bench.run(&[]).exits(5);
    for told in ["the lock `deploy` is held by run", &first, "of tester on", "since 20", &child.id().to_string()] {
        assert!(refused.shown().contains(told), "`{told}`: {}", refused.shown());
    }
    bench.run(&["--take-over"]).exits(5).shows("is held by run");
    assert_eq!(bench.count("POST /first"), 1);
    child.kill().unwrap();
    child.wait().unwrap();
    held.store(false, Ordering::SeqCst);
    let refused = bench.run(&[]).exits(5).shows("broke off").shows("--take-over");
    assert!(refused.shown().contains(&format!("runbook resume {first}")), "{}", refused.shown());
    assert_eq!(bench.count("POST /first"), 1);
    // Its own resume goes, and then the lock is free.
    bench.folder.program().args(["resume", &first]).ran().exits(0);
    assert_eq!((bench.count("POST /first"), bench.count("POST /last")), (1, 1));
    bench.run(&[]).exits(0);
    assert_eq!(bench.count("POST /first"), 2);
}

#[test]
fn a_lock_that_was_taken_over_is_refused_to_the_run_that_had_it() {
    let (stage, held) = holding();
    let bench = Bench::new(&stage, "a", REST);
    bench.starting(&[]).env("RUNBOOK_FAULT", "3:after").ran().exits(-1);
    let first = bench.run_id();
    let mut program = bench.starting(&["--take-over"]);
    let mut other = program.0.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("it is under way", || bench.count("GET /slow") == 1);
    let second = bench.run_id();
    assert_ne!(first, second);
    assert!(bench.journal().contains(&format!("taken over from run {first}")), "{}", bench.journal());
    let resume = || bench.folder.program().args(["resume", &first, "--redo", "first"]).ran();
    resume().exits(5).shows("is held by run").shows(&second);
    held.store(false, Ordering::SeqCst);
    assert_eq!(other.wait().unwrap().code(), Some(0));
    let ran = resume();
    assert_eq!(ran.code, 0, "{}", ran.shown());
}

#[test]
fn whoever_failed_with_a_secret_is_remembered_with_the_lock() {
    let mended = Arc::new(AtomicBool::new(false));
    let own = mended.clone();
    let stage = Stage::new(move |call| match call.path.as_str() {
        "/roll" => Answer::json(200, json!({"value": "s3cr3t-value-shown-once"})),
        "/store" if !own.load(Ordering::SeqCst) => Answer::json(500, json!({})),
        _ => Answer::json(200, json!({})),
    });
    let rest = r#"
lock: deploy
steps:
  - {id: roll, http: {method: POST, url: "{{ api }}/roll"}, capture: {value: {jq: .value, secret: true}}}
  - {id: store, http: {method: PUT, url: "{{ api }}/store", json: {value: "{{ value }}"}}}
"#;
    let bench = Bench::new(&stage, "a", rest);
    bench.run(&[]).exits(1);
    let first = bench.run_id();
    let refused = bench.run(&[]).exits(5).shows("ended failed and may hold the only copy of `value`");
    assert!(refused.shown().contains(&format!("runbook resume {first}")), "{}", refused.shown());
    assert_eq!(bench.count("POST /roll"), 1);
    mended.store(true, Ordering::SeqCst);
    bench.folder.program().args(["resume", &first]).ran().exits(0);
    bench.run(&[]).exits(0);
    assert_eq!(bench.count("POST /roll"), 2);
}

#[test]
fn who_failed_without_holding_anything_leaves_the_lock_free() {
    let stage = Stage::new(|call| Answer::json(if call.before == 0 { 500 } else { 200 }, json!({})));
    let bench = Bench::new(&stage, "a", "lock: deploy\nsteps: [{id: look, http: {url: \"{{ api }}/look\"}}]\n");
    bench.run(&[]).exits(1);
    bench.run(&[]).exits(0);
}

#[test]
fn of_two_runs_in_the_same_instant_one_goes() {
    let (stage, held) = holding();
    let bench = Bench::new(&stage, "a", REST);
    let mut all = [start(&bench), start(&bench)];
    let mut codes = [None, None];
    let mut look = |wanted: usize| {
        until("they end", || {
            for (child, code) in all.iter_mut().zip(codes.iter_mut()) {
                *code = code.or(child.try_wait().unwrap().map(|status| status.code().unwrap()));
            }
            codes.iter().flatten().count() == wanted
        });
        codes
    };
    let refused = look(1);
    assert!(refused.contains(&Some(5)), "{refused:?}");
    held.store(false, Ordering::SeqCst);
    let both = look(2);
    assert!(both.contains(&Some(0)), "{both:?}");
    assert_eq!((bench.count("POST /first"), bench.count("POST /last")), (1, 1));
}
