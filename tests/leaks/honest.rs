//! The shipped rotation in all the ways that it can go: nothing is found.

use crate::evidence::{Channel, Evidence};
use crate::forms::{forms, seed};
use crate::rehearsal::{ACCESS, DEPLOY, READ, Token, shipped};
use crate::stage::{ROLLED, Shown, Stage};
use crate::support::{AtTerminal, Ran, until};
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::Mutex;

/// The way to answer a call that is to fail: all promised forms of the secrets that the run knows are said back.
type SayBack = fn(&Stage, bool) -> Json;

/// What all stories have shown, and how many are told.
static TOLD: Mutex<(usize, Option<Evidence>)> = Mutex::new((0, None));

macro_rules! stories {
    ($($test:ident: $story:expr;)*) => {
        const STORIES: usize = [$(stringify!($test)),*].len();

        $(#[test]
        fn $test() {
            println!("RUNBOOK_LEAK_SEED={}", seed());
            tell($story);
        })*
    };
}

stories! {
    a_rotation_leaks_nothing: passing(1, &DEPLOY, Shown::PlainAndLogs, &[]);
    a_rotation_by_programs_leaks_nothing:
        passing(2, &DEPLOY, Shown::JsonAndLogs, &["--set", "infisical_via=cli", "--set", "heroku_via=cli"]);
    a_rotation_at_a_terminal_leaks_nothing: passing(3, &READ, Shown::Terminal, &["--set", "mode=dashboard"]);
    a_rotation_for_people_leaks_nothing: passing(4, &ACCESS, Shown::Human, &[]);
    errors_that_say_all_secrets_back_leak_nothing: failing(5, &DEPLOY, errors, [Shown::Json, Shown::PlainAndLogs]);
    wrong_answers_that_say_all_secrets_back_leak_nothing:
        failing(6, &ACCESS, wrong_answers, [Shown::JsonAndLogs, Shown::Human]);
    a_rotation_that_is_cut_short_leaks_nothing: cut_short();
    what_is_beside_the_rotation_leaks_nothing: beside_the_rotation();
}

/// The table of all, once the last story is told: every channel was searched, and nothing found.
fn tell(evidence: Evidence) {
    let mut told = TOLD.lock().unwrap();
    told.0 += 1;
    told.1.get_or_insert_default().merge(evidence);
    if let (STORIES, Some(all)) = &*told {
        println!("{}", all.table());
        for channel in Channel::ALL {
            assert!(all.searched.contains_key(&channel), "nothing of {} was searched", channel.name());
        }
    }
}

/// It is rehearsed dry, and passes.
fn passing(number: u64, token: &Token, shown: Shown, more: &[&str]) -> Evidence {
    let mut stage = Stage::new(number, token);
    stage.heroku_by_argument = more.contains(&"heroku_via=cli");
    let dry = stage.run(token.playbook, shown, &[more, &["--dry-run"]].concat());
    assert_eq!(dry.code, 0, "{}", dry.shown());
    let ran = stage.run(token.playbook, shown, more);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    stage.serves(token);
    stage.collect();
    stage.ask();
    stage.leaks_nothing()
}

/// Every call fails until it is mended; then the run is gone on with, up to the next. So each step fails once, the first
/// one at the very beginning, each consumer, the last one at the end.
fn failing(number: u64, token: &Token, say_back: SayBack, shown: [Shown; 2]) -> Evidence {
    let mut stage = Stage::new(number, token);
    let fails = json!({"mended": [], "met": [], "before": say_back(&stage, false), "after": say_back(&stage, true)});
    stage.patch(|state| state["fails"] = fails);
    let mut ran = stage.run(token.playbook, shown[0], &[]);
    let mut failed = BTreeSet::new();
    for round in 1.. {
        for event in ran.stdout.lines().filter_map(|line| serde_json::from_str::<Json>(line).ok()) {
            if event["event"] == "step-finished" && !event["failure"].is_null() {
                failed.insert(event["step"].as_str().unwrap().to_owned());
            }
        }
        if ran.code == 0 {
            break;
        }
        assert!(round < 60 && [1, 4].contains(&ran.code), "{} in round {round}: {}", ran.code, ran.shown());
        stage.patch(|state| {
            let met = state["fails"]["met"].take();
            state["fails"]["mended"].as_array_mut().unwrap().extend(met.as_array().unwrap().iter().cloned());
            state["fails"]["met"] = json!([]);
        });
        let doubts = doubts(&ran);
        let answers: Vec<&str> = doubts.iter().flat_map(|step| ["--redo", step]).collect();
        ran = stage.resume(shown[round % 2], &answers);
    }
    assert!(failed.len() > 20, "{failed:?}");
    stage.serves(token);
    stage.collect();
    stage.ask();
    stage.leaks_nothing()
}

/// The steps that it said nobody knows the outcome of.
fn doubts(ran: &Ran) -> Vec<String> {
    let marks = ["--redo "];
    let words = marks.iter().flat_map(|mark| ran.stdout.split(mark).skip(1));
    let steps = words.filter_map(|rest| rest.split(['`', '"', ' ', '\n']).next()).map(ToOwned::to_owned);
    steps.collect::<BTreeSet<_>>().into_iter().collect()
}

/// 500, with text and headers.
fn errors(stage: &Stage, rolled: bool) -> Json {
    let parts = stage.said_back(rolled, 12).into_iter();
    let answers = parts.map(|said| {
        // What a header cannot hold is left out of it.
        let header: Vec<&str> = said.iter().filter(|text| text.is_ascii()).take(8).map(String::as_str).collect();
        json!({
            "status": 500,
            "headers": {"content-type": "text/html; charset=utf-8", "x-said": header.join(" "), "location": header[0]},
            "text": format!("<html>it broke over {}</html>", said.join("\nand over ")),
        })
    });
    answers.collect()
}

/// What is no answer to the question: JSON of another shape, JSON that breaks off, refusals, texts.
fn wrong_answers(stage: &Stage, rolled: bool) -> Json {
    let json = json!({"content-type": "application/json"});
    let answer = |(index, said): (usize, Vec<String>)| match index % 4 {
        0 => {
            let by: serde_json::Map<String, Json> =
                said.iter().map(|text| (text.clone(), json!({"of": text}))).collect();
            let shaped =
                json!({"success": false, "errors": said, "message": said.join(" "), "error": said[0], "by": by});
            json!({"status": 200, "headers": json, "text": shaped.to_string()})
        }
        1 => {
            let shaped = json!({"message": said.join("; "), "result": said});
            json!({"status": 400, "headers": json, "text": shaped.to_string()})
        }
        2 => {
            let broken = format!("{{\"success\": true, \"result\": [\"{}", said.join("\", \""));
            json!({"status": 200, "headers": json, "text": broken})
        }
        _ => json!({"status": 403, "headers": {"content-type": "text/plain"}, "text": said.join(" / ")}),
    };
    stage.said_back(rolled, 8).into_iter().enumerate().map(answer).collect()
}

/// Interrupted, killed at many places and resumed, and at last broken by a fault of our own.
fn cut_short() -> Evidence {
    let mut stage = Stage::new(7, &READ);
    let world = stage.world.address().to_owned();
    let program = |stage: &Stage| {
        let program = stage.program().arg("run").arg(shipped("cf-pages-read.yaml")).args(["--world", &world]);
        program.arg("--inputs").arg(stage.path("given/inputs.yaml"))
    };
    // Killed every few records, before, after and in the middle of one, until the value is there.
    let is_rolled = |stage: &Stage| stage.world.state().unwrap()["cloudflare"]["rolls"] != json!([]);
    let mut kills = 0;
    while !is_rolled(&stage) {
        let part = ["half", "before", "after"][kills % 3];
        let begun = if kills == 0 { program(&stage) } else { stage.program().args(["resume", "last"]) };
        let shown = [Shown::JsonAndLogs, Shown::Plain][kills % 2];
        let ran = stage.play(begun.env("RUNBOOK_FAULT", &format!("10:{part}")), shown);
        assert!(ran.code == -1 && kills < 40, "{}", ran.shown());
        stage.collect();
        kills += 1;
    }
    assert!(kills > 2);

    // A panic, with all that the run knows in its message.
    let known =
        ["current token", "rolling token", "Infisical token", "Slack token", "session", "callback token", ROLLED];
    let forms = known.iter().flat_map(|name| forms(&stage.secrets[*name]));
    let said: Vec<String> =
        forms.filter(|form| form.promised).map(|form| String::from_utf8(form.text).unwrap()).collect();
    let broken = stage.program().args(["resume", "last"]).env("RUNBOOK_FAULT", &format!("4:panic={}", said.join("\n")));
    let ran = broken.args(["--output", "plain"]).ran();
    assert!(ran.code == 70 && ran.stderr.contains("a fault of runbook's own"), "{} {}", ran.code, ran.shown());
    stage.search(Channel::Panic, ran.shown().as_bytes());

    // Interrupted while it polls for what never comes.
    stage.patch(|state| state["down"] = json!({"console.raxx.app": 503}));
    let mut polling = stage.program().args(["resume", "last", "-vvv"]);
    let child = polling.0.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let calls = |stage: &Stage| stage.world.calls().unwrap().as_array().unwrap().len();
    let before = calls(&stage);
    until("it polls", || calls(&stage) > before + 2);
    // SAFETY: a plain system call on a child that is not reaped yet.
    unsafe { libc::kill(i32::try_from(child.id()).unwrap(), libc::SIGINT) };
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert!([1, 130].contains(&ran.code), "{} {}", ran.code, ran.shown());
    stage.search_shown(&ran, Shown::PlainAndLogs);
    stage.collect();
    stage.ask();

    stage.patch(|state| state["down"] = json!({}));
    let ran = stage.resume(Shown::Terminal, &[]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    stage.serves(&READ);
    stage.collect();
    stage.ask();
    stage.leaks_nothing()
}

/// What the rotation does not do: leave no record, be typed into, be checked.
fn beside_the_rotation() -> Evidence {
    let mut stage = Stage::new(8, &READ);
    let playbook = stage.folder.file(
        "given/reads.yaml",
        r#"runbook: 1
name: reads
title: Reads only
permissions: {net: ["GET https://api.cloudflare.com/client/v4/user/tokens/verify"]}
inputs:
  current_token: {type: secret, prompt: The token}
steps:
  - id: verify
    name: "Try {{ current_token }}"
    http: {url: "https://api.cloudflare.com/client/v4/user/tokens/verify", auth: {bearer: "{{ current_token }}"}}
  - id: fails
    continue_on_failure: true
    assert: [{jq: $current_token, equals: "nothing of {{ current_token }}", message: "not {{ current_token }}"}]
  - id: fails-too
    set: {x: "{{ current_token | no_such }}"}
"#
        .replace(" | no_such", " | upper | trim")
        .as_str(),
    );
    let program = |stage: &Stage| stage.program().arg("run").arg(&playbook).args(["--world", stage.world.address()]);
    let inputs = stage.path("given/inputs.yaml");
    for shown in [Shown::PlainAndLogs, Shown::Json] {
        let ran = stage.play(program(&stage).arg("--no-journal").arg("--inputs").arg(&inputs), shown);
        assert_eq!(ran.code, 0, "{}", ran.shown());
    }
    // Typed.
    let mut world: Json = serde_json::from_str(&stage.folder.read("world.yaml")).unwrap();
    world["inputs"] = json!({});
    world["state"] = stage.world.state().unwrap();
    let typed = stage.folder.file("given/typed.yaml", &world.to_string());
    let typed = stage.program().arg("run").arg(&playbook).arg("--world").arg(typed);
    let mut terminal = AtTerminal::start_program(typed.args(["--output", "human"]));
    terminal.answers_unseen("The token: ", &stage.secrets["current token"].clone());
    let (code, screen) = terminal.ends();
    assert_eq!(code, 0, "{screen}");
    stage.search(Channel::Terminal, screen.as_bytes());

    // Taken for a playbook, and broken.
    let shipped = shipped("cf-pages-read.yaml").display().to_string();
    let given = inputs.display().to_string();
    let folder = stage.path("given").display().to_string();
    for arguments in [
        &["check", &shipped][..],
        &["check", &given],
        &["check", &given, "--output", "json"],
        &["check", &folder],
        &["run", &given],
        &["run", &shipped, "--inputs", &shipped, "--inputs", &given],
    ] {
        let ran = stage.program().args(arguments).ran();
        assert!([0, 2].contains(&ran.code), "{arguments:?} {}", ran.shown());
        stage.search(Channel::Check, ran.shown().as_bytes());
    }
    stage.collect();
    stage.leaks_nothing()
}
