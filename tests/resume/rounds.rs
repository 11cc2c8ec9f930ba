//! Runs that ended and are gone on with: failed, waiting, interrupted, in doubt. What has passed is not done again, what
//! failed is, and what may have happened takes a word.

use crate::stage::{Bench, Call, Stage, asked, hides};
use crate::support::{Answer, until};
use serde_json::json;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const VALUE: &str = "s3cr3t-value-shown-once";

/// A server that refuses some requests until it is mended.
struct Patient {
    stage: Stage,
    mended: Arc<AtomicBool>,
}

impl Patient {
    fn new(sick: impl Fn(&Call) -> Option<Answer> + Send + Sync + 'static) -> Patient {
        let mended = Arc::new(AtomicBool::new(false));
        let own = mended.clone();
        let stage = Stage::new(move |call| {
            let sick = if own.load(Ordering::SeqCst) { None } else { sick(call) };
            sick.unwrap_or_else(|| match call.path.as_str() {
                "/roll" => Answer::json(200, json!({"value": VALUE, "n": call.before + 1})),
                _ => Answer::json(200, json!({"n": call.before + 1, "sent": call.body})),
            })
        });
        Patient { stage, mended }
    }

    fn mend(&self) {
        self.mended.store(true, Ordering::SeqCst);
    }
}

fn refuses(path: &'static str) -> impl Fn(&Call) -> Option<Answer> {
    move |call| (call.path == path).then(|| Answer::json(500, json!({})))
}

#[test]
fn what_failed_is_tried_again_and_what_passed_is_not_done_again() {
    let patient = Patient::new(refuses("/look"));
    let rest = r#"
intervals: {all: {from: charge, to: last}, rest: {from: look, to: last}}
outputs: {id: "{{ id }}"}
steps:
  - {id: charge, http: {method: POST, url: "{{ api }}/charge"}, capture: {id: .n}}
  - id: module
    use: modules/mine.yaml
    with: {api: "{{ api }}"}
  - {id: look, http: {url: "{{ api }}/look"}, on_failure: [{id: own, http: {method: POST, url: "{{ api }}/own"}}]}
  - {id: last, http: {method: POST, url: "{{ api }}/last", json: {id: "{{ id }}"}}}
on_failure:
  - {id: report, http: {method: POST, url: "{{ api }}/report"}}
finally:
  - {id: close, http: {method: POST, url: "{{ api }}/close"}}
"#;
    let bench = Bench::new(&patient.stage, "a", rest);
    let module = "steps: [{id: say, http: {method: POST, url: \"{{ api }}/say\"}}]\nfinally: [{id: shut, http: {method: POST, url: \"{{ api }}/shut\"}}]\n";
    bench.folder.file("modules/mine.yaml", &crate::stage::playbook(&patient.stage, "mine", module));
    bench.run(&[]).exits(1);
    let first = ["POST /charge", "POST /say", "POST /shut", "GET /look", "POST /own", "POST /report", "POST /close"];
    assert_eq!(bench.whats(), first);
    // It fails again: whatever follows upon a failure does so once more.
    bench.resume(&[]).exits(1);
    assert_eq!(bench.whats()[first.len()..], ["GET /look", "POST /own", "POST /report", "POST /close"]);
    let so_far = bench.whats().len();
    patient.mend();
    let ran = bench.resume(&[]).exits(0);
    assert_eq!(bench.whats()[so_far..], ["GET /look", "POST /last", "POST /close"]);
    let finished = ran.finished();
    assert_eq!(finished["outputs"], json!({"id": 1}));
    let took = |name: &str| {
        let all = finished["intervals"].as_array().unwrap();
        all.iter().find(|interval| interval["name"] == name).unwrap()["took_ms"].as_u64()
    };
    assert!(took("all").unwrap() >= took("rest").unwrap(), "{finished}");
    // A run that has passed is over.
    let so_far = bench.whats();
    bench.resume(&[]).exits(0).shows("has passed: there is nothing to go on with");
    assert_eq!(bench.whats(), so_far);
}

#[test]
fn what_is_let_pass_stays_so_through_many_rounds_and_kills() {
    let slow = Patient::new(|call| match call.path.as_str() {
        "/slow" => Some(Answer::Hang),
        "/look" => Some(Answer::json(500, json!({}))),
        _ => None,
    });
    let rest = r#"
steps:
  - {id: breaks, continue_on_failure: true, http: {url: "{{ api }}/breaks"}, expect: [{jq: '.n < 0'}]}
  - id: within
    continue_on_failure: true
    group:
      - {id: poll, http: {url: "{{ api }}/poll"}, expect: [{jq: '.n < 0'}], retry: {attempts: 2, delay: 1ms}}
  - {id: slow, continue_on_failure: true, timeout: 100ms, http: {url: "{{ api }}/slow"}}
  - {id: look, http: {url: "{{ api }}/look"}}
"#;
    let bench = Bench::new(&slow.stage, "a", rest);
    bench.run(&[]).exits(1);
    let once = ["GET /breaks", "GET /poll", "GET /poll", "GET /slow", "GET /look"];
    assert_eq!(bench.whats(), once);
    for round in 2..4 {
        // Cut short in each round, too.
        bench.resuming(&[]).env("RUNBOOK_FAULT", "2:after").ran().exits(-1);
        bench.resume(&[]).exits(1);
        assert_eq!(bench.whats()[..4], once[..4]);
        assert!(bench.whats()[4..].iter().all(|what| what == "GET /look"), "round {round}: {:?}", bench.whats());
    }
    slow.mend();
    bench.resume(&[]).exits(0);
    assert!(bench.whats()[4..].iter().all(|what| what == "GET /look"), "{:?}", bench.whats());
}

#[test]
fn a_once_step_that_failed_is_sent_again_upon_a_word_only_and_a_word_is_good_for_one_question() {
    let patient = Patient::new(refuses("/charge"));
    let rest = r#"
steps:
  - {id: charge, http: {method: POST, url: "{{ api }}/charge"}}
  - {id: last, http: {method: POST, url: "{{ api }}/last"}}
"#;
    let bench = Bench::new(&patient.stage, "a", rest);
    bench.run(&[]).exits(1);
    let ran = bench.resume(&[]).exits(4);
    let run = bench.run_id();
    for word in ["--redo charge", "--done charge", "--abandon"] {
        assert!(ran.shown().contains(&format!("`runbook resume {run} {word}`")), "{}", ran.shown());
    }
    assert_eq!((asked(&ran), bench.whats()), ("charge".into(), vec!["POST /charge".to_string()]));
    // Fails again: that is another question.
    bench.resume(&["--redo", "charge"]).exits(1);
    assert_eq!(bench.count("POST /charge"), 2);
    bench.resume(&[]).exits(4);
    assert_eq!(bench.count("POST /charge"), 2);
    bench.resume(&["--abandon"]).exits(1);
    assert_eq!(bench.count("POST /charge"), 2);
    // Who has ended it may think otherwise.
    bench.resume(&[]).exits(4);
    patient.mend();
    bench.resume(&["--redo", "chargee"]).exits(2).shows("did you mean `charge`?");
    bench.resume(&["--redo", "charge"]).exits(0);
    assert_eq!(bench.whats(), ["POST /charge", "POST /charge", "POST /charge", "POST /last"]);
}

#[test]
fn one_word_is_not_taken_for_a_second_loss() {
    // Both times the answer is lost.
    let stage = Stage::new(|call| match (call.path.as_str(), call.before) {
        ("/charge", 0 | 1) => Answer::Drop,
        _ => Answer::json(200, json!({})),
    });
    let bench = Bench::new(&stage, "a", "steps: [{id: charge, http: {method: POST, url: \"{{ api }}/charge\"}}]\n");
    bench.run(&[]).exits(4);
    bench.resume(&["--redo", "charge"]).exits(4);
    assert_eq!(bench.count("POST /charge"), 2);
    bench.resume(&["--done", "charge"]).exits(0);
    assert_eq!(bench.count("POST /charge"), 2);
}

#[test]
fn a_secret_that_was_captured_although_the_step_failed_is_gone_on_with() {
    let rest = r#"
steps:
  - {id: roll, http: {method: POST, url: "{{ api }}/roll"}, capture: {value: {jq: .value, secret: true}}, expect: [{jq: '.n > 1'}]}
  - {id: store, http: {method: PUT, url: "{{ api }}/store", json: {value: "{{ value }}"}}}
"#;
    let patient = Patient::new(|_| None);
    let bench = Bench::new(&patient.stage, "a", rest);
    let ran = bench.run(&[]).exits(1).hides(VALUE);
    assert_eq!(ran.finished()["custody"], json!(["value"]), "{}", ran.shown());
    assert!(bench.run_folder().join("key").exists());
    hides(bench.folder.path(), VALUE);
    bench.resume(&[]).exits(4).hides(VALUE);
    bench.resume(&["--done", "roll"]).exits(0).hides(VALUE);
    assert_eq!(bench.whats(), ["POST /roll", "PUT /store"]);
    assert_eq!(bench.calls()[1].body, json!({"value": VALUE}));
    hides(bench.folder.path(), VALUE);
    assert!(!bench.run_folder().join("key").exists());
    assert_eq!(bench.records().last().unwrap()["type"], "custody-ended");
}

#[test]
fn who_waits_for_a_person_is_gone_on_with_when_there_is_one() {
    let stage = Stage::plain();
    let rest = r#"
steps:
  - {id: first, http: {method: POST, url: "{{ api }}/first"}}
  - {id: agree, confirm: Shall we?}
  - {id: second, http: {method: POST, url: "{{ api }}/second"}}
finally: [{id: close, http: {method: PUT, url: "{{ api }}/close"}}]
"#;
    let bench = Bench::new(&stage, "a", rest);
    bench.run(&[]).exits(3);
    bench.resume(&[]).exits(3);
    bench.resume(&["--approve", "agree"]).exits(0);
    let close = "PUT /close";
    assert_eq!(bench.whats(), ["POST /first", close, close, "POST /second", close]);
}

fn interrupt(pid: u32) {
    // SAFETY: a plain system call on a child that is not waited for yet.
    unsafe { libc::kill(pid as i32, libc::SIGINT) };
}

#[test]
fn who_is_interrupted_goes_on_and_what_was_in_flight_is_asked_about() {
    for (method, wanted) in [("GET", 0), ("POST", 4)] {
        let stage = Stage::new(|call| match (call.path.as_str(), call.before) {
            ("/slow", 0) => Answer::Hang,
            _ => Answer::json(200, json!({})),
        });
        let rest = r#"
steps:
  - {id: first, http: {method: POST, url: "{{ api }}/first"}}
  - {id: slow, http: {method: METHOD, url: "{{ api }}/slow", timeout: 20s}}
  - {id: last, http: {method: POST, url: "{{ api }}/last"}}
finally: [{id: close, http: {method: POST, url: "{{ api }}/close"}}]
"#;
        let bench = Bench::new(&stage, "a", &rest.replace("METHOD", method));
        let said = bench.folder.file("said", "");
        let mut program = bench.starting(&[]);
        let mut child = program.0.stdout(Stdio::null()).stderr(std::fs::File::create(&said).unwrap()).spawn().unwrap();
        let slow = format!("{method} /slow");
        until("it is under way", || bench.count(&slow) == 1);
        bench.resume(&[]).exits(5).shows("is under way").shows(&format!("process {}", child.id()));
        interrupt(child.id());
        until("it has heard", || bench.folder.read("said").contains("once more ends at once"));
        interrupt(child.id());
        assert_eq!(child.wait().unwrap().code(), Some(130));
        let before = bench.whats();
        assert!(before.starts_with(&["POST /first".into(), slow.clone()]), "{before:?}");
        let ran = bench.resume(&[]).exits(wanted);
        if wanted == 4 {
            assert_eq!(asked(&ran), "slow");
            assert_eq!(bench.count("POST /last"), 0);
            bench.resume(&["--redo", "slow"]).exits(0);
        }
        assert_eq!((bench.count("POST /first"), bench.count(&slow), bench.count("POST /last")), (1, 2, 1));
    }
}

#[test]
fn who_is_killed_while_an_interruption_winds_up_goes_on_in_another_round() {
    let stage = Stage::new(|call| match (call.path.as_str(), call.before) {
        ("/slow", 0) => Answer::json(500, json!({})),
        // The first of `finally` is killed in flight.
        ("/close", 0) => Answer::Hang,
        _ => Answer::json(200, json!({})),
    });
    let rest = r#"
steps:
  - {id: slow, http: {url: "{{ api }}/slow"}, retry: {attempts: 3, delay: 1h}}
  - {id: last, http: {method: POST, url: "{{ api }}/last"}}
finally:
  - {id: open, http: {method: PUT, url: "{{ api }}/open"}}
  - {id: close, http: {method: PUT, url: "{{ api }}/close", timeout: 20s}}
"#;
    let bench = Bench::new(&stage, "a", rest);
    let mut program = bench.starting(&[]);
    let mut child = program.0.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("it is under way", || bench.count("GET /slow") == 1);
    interrupt(child.id());
    until("it winds up", || bench.count("PUT /close") == 1);
    child.kill().unwrap();
    child.wait().unwrap();
    bench.resume_in_time().exits(0);
    // What comes after the end of the first round has an end of its own.
    assert_eq!(bench.whats()[3..], ["GET /slow", "POST /last", "PUT /open", "PUT /close"], "{}", bench.told());
}

#[test]
fn of_two_who_resume_at_once_one_does() {
    let (held, lets) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
    let (holds, own) = (held.clone(), lets.clone());
    let stage = Stage::new(move |call| {
        if call.path == "/slow" && own.load(Ordering::SeqCst) {
            until("it may go on", || !holds.load(Ordering::SeqCst));
        }
        Answer::json(200, json!({}))
    });
    let rest = r#"
steps:
  - {id: one, http: {url: "{{ api }}/slow"}}
  - {id: two, http: {method: POST, url: "{{ api }}/two"}}
"#;
    let bench = Bench::new(&stage, "a", rest);
    bench.starting(&[]).env("RUNBOOK_FAULT", "2:before").ran().exits(-1);
    lets.store(true, Ordering::SeqCst);
    let resume = |_| bench.resuming(&[]).0.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut all: Vec<_> = (0..3).map(resume).collect();
    let mut codes: Vec<Option<i32>> = vec![None; 3];
    let look = |all: &mut Vec<std::process::Child>, codes: &mut Vec<Option<i32>>| {
        for (child, code) in all.iter_mut().zip(codes.iter_mut()) {
            *code = code.or(child.try_wait().unwrap().map(|status| status.code().unwrap()));
        }
    };
    until("two are refused", || {
        look(&mut all, &mut codes);
        codes.iter().flatten().count() == 2
    });
    assert!(codes.iter().flatten().all(|code| *code == 5), "{codes:?}");
    held.store(false, Ordering::SeqCst);
    until("one ends", || {
        look(&mut all, &mut codes);
        codes.iter().flatten().count() == 3
    });
    assert_eq!(codes.iter().flatten().filter(|code| **code == 0).count(), 1, "{codes:?}");
    assert_eq!(bench.count("POST /two"), 1);
}

#[test]
fn what_follows_upon_a_failure_that_is_let_pass_is_asked_about_since_nothing_else_would() {
    let stage = Stage::plain();
    let rest = r#"
steps:
  - id: breaks
    continue_on_failure: true
    http: {url: "{{ api }}/breaks"}
    expect: [{jq: '.n < 0'}]
    on_failure: [{id: own, http: {method: POST, url: "{{ api }}/own"}}]
  - {id: last, http: {method: POST, url: "{{ api }}/last"}}
"#;
    let bench = Bench::new(&stage, "a", rest);
    // Killed when `own` was announced, and not sent yet.
    bench.starting(&[]).env("RUNBOOK_FAULT", "4:after").ran().exits(-1);
    assert_eq!(bench.whats(), ["GET /breaks"], "{}", bench.told());
    // As it is told, it can be pasted into a shell.
    let ran = bench.resume(&[]).exits(4).shows("--redo 'breaks/(on_failure)/own'`");
    assert_eq!(bench.whats(), ["GET /breaks"]);
    bench.resume(&["--redo", &asked(&ran)]).exits(0);
    assert_eq!(bench.whats(), ["GET /breaks", "POST /own", "POST /last"]);
}

#[test]
fn a_step_whose_time_was_over_stays_failed_when_it_is_walked_through_again() {
    let stage = Stage::new(|call| match call.path.as_str() {
        "/slow" if call.before == 0 => Answer::Hang,
        _ => Answer::json(200, json!({})),
    });
    let rest = r#"
steps:
  - {id: slow, timeout: 100ms, http: {url: "{{ api }}/slow"}, on_failure: [{id: own, http: {method: PUT, url: "{{ api }}/own"}}]}
on_failure:
  - {id: report, http: {method: PUT, url: "{{ api }}/report", json: {why: "{{ run.failure }}"}}}
"#;
    let bench = Bench::new(&stage, "a", rest);
    bench.starting(&[]).env("RUNBOOK_FAULT", "6:before").ran().exits(-1);
    assert_eq!(bench.whats(), ["GET /slow", "PUT /own"], "{}", bench.told());
    bench.resume(&[]).exits(1).shows("not done within its timeout");
    assert_eq!(bench.whats(), ["GET /slow", "PUT /own", "PUT /report"]);
    assert_eq!(bench.calls()[2].body, json!({"why": "not done within its timeout of 100 ms"}));
    // In another round it has its time again.
    bench.resume(&[]).exits(0);
    assert_eq!(bench.count("GET /slow"), 2);
}

#[test]
fn what_was_found_out_is_not_looked_up_again_in_another_round() {
    let patient = Patient::new(|call| match call.path.as_str() {
        "/charge" => Some(Answer::Drop),
        "/there" if call.before == 0 => Some(Answer::json(200, json!({"there": true}))),
        "/there" => Some(Answer::json(200, json!({"there": false}))),
        "/look" => Some(Answer::json(500, json!({}))),
        _ => None,
    });
    let rest = r#"
steps:
  - id: charge
    http: {method: POST, url: "{{ api }}/charge"}
    on_unknown: [{id: there, http: {url: "{{ api }}/there"}, capture: {happened: .there}}]
  - {id: look, http: {url: "{{ api }}/look"}}
"#;
    let bench = Bench::new(&patient.stage, "a", rest);
    bench.run(&[]).exits(1);
    bench.resume(&[]).exits(1);
    patient.mend();
    bench.resume(&[]).exits(0);
    assert_eq!((bench.count("POST /charge"), bench.count("GET /there"), bench.count("GET /look")), (1, 1, 3));
}
