//! What is planted is found, in its channel and in its form: a search that is silent for want of eyes proves nothing.
//! Planted is a secret of the world that the playbook does not know as one, in every form at once, in the ways in which
//! such a thing would come to be there; collected and searched by what collects and searches the honest runs.

use crate::evidence::Channel::{self, *};
use crate::forms::{forms, seed};
use crate::rehearsal::{READ, shipped};
use crate::stage::{Shown, Stage};
use crate::support::Program;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;

/// Of this secret; the playbooks here are not given it.
const PLANTED: &str = "Slack token";

/// Every form that a text can have.
fn planted(stage: &Stage) -> Vec<(&'static str, String)> {
    let forms = forms(&stage.secrets[PLANTED]).into_iter();
    forms.filter(|form| form.name != "UTF-16").map(|form| (form.name, String::from_utf8(form.text).unwrap())).collect()
}

/// A run of a playbook, which is given what is planted as a list.
fn playbook(stage: &Stage, steps: &str) -> Program {
    let text = format!(
        r#"runbook: 1
name: planted
permissions:
  net: ["GET https://api.raxx.app/**"]
  run: [gh]
  env: [PLANTED]
inputs:
  planted: {{type: list, items: {{type: string}}, default: []}}
steps:
{steps}"#
    );
    let path = stage.folder.file("given/planted.yaml", &text);
    stage.program().arg("run").arg(path).args(["--world", stage.world.address()])
}

fn given(stage: &Stage, program: Program) -> Program {
    let texts: Vec<String> = planted(stage).into_iter().map(|(_, text)| text).collect();
    program.arg("--inputs").arg(stage.folder.file("given/planted.json.yaml", &json!({"planted": texts}).to_string()))
}

/// Lets a child of the run do something before it does its work.
fn by_a_child(stage: &mut Stage, script: &str) {
    let texts: Vec<String> = planted(stage).into_iter().map(|(_, text)| text).collect();
    stage.folder.file("given/text", &texts.join("\n"));
    stage.folder.file("given/child.sh", script);
    let run = playbook(stage, CHILD);
    stage.play(run, Shown::Plain);
    std::fs::remove_file(stage.path("given/child.sh")).unwrap();
}

const TITLE: &str = r#"  - id: told
    for_each: "{{ planted }}"
    as: text
    name: "<{{ text }}>"
    assert: [text]
"#;
const MESSAGE: &str = r#"  - id: told
    assert: [{jq: "false", message: "{% for text in planted %}<{{ text }}> {% endfor %}"}]
"#;
const SENT: &str = r#"  - id: sent
    for_each: "{{ planted }}"
    as: text
    http: {url: "https://api.raxx.app/planted", query: {q: "{{ text }}"}}
    expect: [status < 600]
"#;
const ARGUMENT: &str = r#"  - id: argument
    for_each: "{{ planted }}"
    as: text
    continue_on_failure: true
    exec: [gh, "<{{ text }}>"]
"#;
const ENVIRONMENT: &str = r#"  - id: environment
    for_each: "{{ planted }}"
    as: text
    continue_on_failure: true
    exec: {argv: [gh, version], env: {PLANTED: "<{{ text }}>"}}
"#;
const CHILD: &str = r#"  - id: child
    exec: [gh, version]
"#;
/// What is given to a run as a public input is in its record.
const GIVEN: &str = r#"  - id: given
    assert: [{jq: "($planted | length) >= 0"}]
"#;

/// A way to plant, the channel that it is for, and those that it goes through besides, by its nature.
type Plant = (Channel, &'static [Channel], fn(&mut Stage));

const PLANTS: [Plant; 23] = [
    (Terminal, &[Journal], |stage| play(stage, TITLE, Shown::Terminal)),
    (PlainOutput, &[Journal], |stage| play(stage, TITLE, Shown::Plain)),
    (HumanOutput, &[Journal], |stage| play(stage, TITLE, Shown::Human)),
    (JsonEvents, &[Journal], |stage| play(stage, TITLE, Shown::Json)),
    (ErrorMessages, &[JsonEvents, Reports, Journal], |stage| play(stage, MESSAGE, Shown::JsonAndLogs)),
    (Journal, &[], |stage| play(stage, GIVEN, Shown::Plain)),
    (WorldTrace, &[Journal], |stage| play(stage, SENT, Shown::PlainAndLogs)),
    (ChildArgv, &[WorldTrace, Journal], |stage| play(stage, ARGUMENT, Shown::Plain)),
    (ChildEnviron, &[WorldTrace, Journal], |stage| play(stage, ENVIRONMENT, Shown::Plain)),
    (StandardError, &[], |stage| with_a_command(stage, Shown::Plain)),
    (Logs, &[], |stage| with_a_command(stage, Shown::PlainAndLogs)),
    (Logs, &[], |stage| with_a_command(stage, Shown::JsonAndLogs)),
    (RunArgv, &[Journal], by_set),
    (Panic, &[], |stage| {
        let text: Vec<String> = planted(stage).into_iter().map(|(_, text)| text).collect();
        let run = playbook(stage, GIVEN).env("RUNBOOK_FAULT", &format!("2:panic={}", text.join("\n")));
        let ran = run.ran();
        assert_eq!(ran.code, 70, "{}", ran.shown());
        stage.search(Panic, ran.shown().as_bytes());
    }),
    (StateFolder, &[], |stage| {
        let texts: Vec<String> = planted(stage).into_iter().map(|(_, text)| format!("          {text}\n")).collect();
        play_bare(
            stage,
            &format!("  - id: noted\n    assert:\n      - jq: \"true\"\n        message: |\n{}", texts.concat()),
        );
    }),
    (StateFolder, &[], |stage| by_a_child(stage, "cat ../given/text > ../state/left")),
    (Home, &[], |stage| by_a_child(stage, "cat ../given/text > ../home/left")),
    (Home, &[], |stage| by_a_child(stage, "cat ../given/text > ../config/left")),
    (Temporary, &[], |stage| by_a_child(stage, "mkdir ../tmp/a && cat ../given/text > ../tmp/a/left")),
    (WorkingFolder, &[], |stage| by_a_child(stage, "cat ../given/text > ../work/left")),
    (Reports, &[Commands, PlainOutput, Journal], |stage| told_of_later(stage)),
    (Commands, &[Reports, PlainOutput, Journal], |stage| told_of_later(stage)),
    (Check, &[], |stage| {
        for (_, text) in planted(stage) {
            let playbook = json!({"runbook": 1, "name": "wrong", "steps": [{"id": "a", "assert": "true", (text): 1}]});
            let path = stage.folder.file("given/wrong.yaml", &playbook.to_string());
            let ran = stage.program().arg("check").arg(path).args(["--output", "json"]).ran();
            let found: Json = serde_json::from_str(&ran.stdout).unwrap();
            let messages = found["diagnostics"].as_array().unwrap().iter().map(|one| one["message"].as_str().unwrap());
            stage.search(Check, messages.collect::<Vec<_>>().join("\n").as_bytes());
        }
    }),
];

fn play(stage: &mut Stage, steps: &str, shown: Shown) {
    let run = given(stage, playbook(stage, steps));
    stage.play(run, shown);
}

fn play_bare(stage: &mut Stage, steps: &str) {
    let run = playbook(stage, steps);
    let ran = stage.play(run, Shown::Plain);
    assert_eq!(ran.code, 0, "{}", ran.shown());
}

/// Standard error of an input's command goes to where ours goes.
fn with_a_command(stage: &mut Stage, shown: Shown) {
    let texts: Vec<String> = planted(stage).into_iter().map(|(_, text)| text).collect();
    let text = stage.folder.file("given/text", &texts.join("\n"));
    let playbook = format!(
        "runbook: 1\nname: command\npermissions: {{run: [sh]}}\ninputs:\n  key: {{type: secret, command: [sh, -c, 'cat {} >&2; echo fine-enough']}}\nsteps:\n  - assert: [key]\n",
        text.display()
    );
    let path = stage.folder.file("given/command.yaml", &playbook);
    let run = stage.program().arg("run").arg(path);
    let ran = stage.play(run, shown);
    assert_eq!(ran.code, 0, "{}", ran.shown());
}

/// On the command line, where a child sees it.
fn by_set(stage: &mut Stage) {
    let texts = planted(stage);
    let names: Vec<String> = (0..texts.len()).map(|index| format!("text-{index}").replace('-', "_")).collect();
    let inputs: String = names.iter().map(|name| format!("  {name}: {{type: string}}\n")).collect();
    let used: Vec<String> = names.iter().map(|name| format!("{{jq: \"${name} != null\"}}")).collect();
    let text = format!(
        "runbook: 1\nname: set\npermissions: {{run: [gh]}}\ninputs:\n{inputs}steps:\n  - id: used\n    assert: [{}]\n{CHILD}",
        used.join(", ")
    );
    let path = stage.folder.file("given/set.yaml", &text);
    let mut run = stage.program().arg("run").arg(path).args(["--world", stage.world.address()]);
    for (name, (_, text)) in names.iter().zip(&texts) {
        run = run.args(["--set", &format!("{name}={text}")]);
    }
    let ran = stage.play(run, Shown::Plain);
    assert_eq!(ran.code, 0, "{}", ran.shown());
}

fn told_of_later(stage: &mut Stage) {
    play(stage, MESSAGE, Shown::Plain);
    stage.ask();
}

#[test]
fn a_leak_planted_in_any_channel_is_found_there_in_every_form() {
    println!("RUNBOOK_LEAK_SEED={}", seed());
    let aims: BTreeSet<Channel> = PLANTS.iter().map(|(channel, ..)| *channel).collect();
    assert_eq!(aims, Channel::ALL.into(), "each channel has its plant");
    let mut stage = Stage::new(20, &READ);
    let all: BTreeSet<&str> = planted(&stage).into_iter().map(|(name, _)| name).collect();
    println!("{} forms: {all:?}", all.len());
    for (channel, besides, plant) in PLANTS {
        for place in ["state", "home", "config", "tmp", "work"] {
            std::fs::remove_dir_all(stage.path(place)).unwrap();
            std::fs::create_dir(stage.path(place)).unwrap();
        }
        plant(&mut stage);
        stage.collect();
        let evidence = std::mem::take(&mut stage.evidence);
        let found = evidence.forms();
        let expected: BTreeSet<Channel> = besides.iter().copied().chain([channel]).collect();
        let channels: BTreeSet<Channel> = found.keys().copied().collect();
        assert_eq!(channels, expected, "planted in {}:\n{}", channel.name(), evidence.table());
        for (channel, forms) in found {
            assert_eq!(forms, all, "planted in {}:\n{}", channel.name(), evidence.table());
        }
        for find in evidence.found.values().flatten() {
            assert_eq!(find.secret, PLANTED, "planted in {}: {find:?}", channel.name());
        }
        println!("{:<28} {} forms, also in {besides:?}", channel.name(), all.len());
    }
}

/// The rotation itself, with playbooks that know of no secret: the same run, whose honest twin shows nothing, shows them
/// in its events, its record, its messages.
#[test]
fn the_rotation_leaks_where_nothing_is_declared_secret() {
    let mut stage = Stage::new(21, &READ);
    for entry in
        [shipped(""), shipped("modules")].iter().flat_map(|folder| std::fs::read_dir(folder).unwrap().flatten())
    {
        let path = entry.path();
        if path.extension().is_some_and(|end| end == "yaml") {
            let text = undeclared(&std::fs::read_to_string(&path).unwrap());
            let name = path.strip_prefix(shipped("")).unwrap().display().to_string();
            stage.folder.file(&format!("given/twin/{name}"), &text);
        }
    }
    let run = |stage: &Stage| {
        let program = stage.program().arg("run").arg(stage.path("given/twin/cf-pages-read.yaml"));
        let program = program.arg("--inputs").arg(stage.path("given/inputs.yaml"));
        program.args(["--world", stage.world.address(), "--take-over"])
    };
    let first = run(&stage);
    let ran = stage.play(first, Shown::JsonAndLogs);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    stage.collect();
    let found = std::mem::take(&mut stage.evidence);
    assert!(found.found.contains_key(&JsonEvents) && found.found.contains_key(&Journal), "{}", found.table());

    let fails = json!({"mended": [], "met": [], "before": [{"status": 400, "text": stage.secrets["rolling token"]}]});
    stage.patch(|state| {
        state["cloudflare"]["rolls"] = json!([]);
        state["fails"] = fails;
    });
    let second = run(&stage);
    let ran = stage.play(second, Shown::Human);
    assert_eq!(ran.code, 1, "{}", ran.shown());
    assert!(stage.evidence.found.contains_key(&HumanOutput), "{}", ran.shown());
}

/// A playbook without a word of secrets.
fn undeclared(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let told = line.trim_start();
        if told.starts_with("to: [") || told.starts_with("secret: {to:") || told.starts_with("no_log: true") {
            continue;
        }
        let line = line.replace("type: secret", "type: string");
        let line = match line.split_once(", to: [") {
            Some((before, rest)) => format!("{before}{}", rest.split_once(']').unwrap().1),
            None => line,
        };
        out.push_str(&line);
        out.push('\n');
    }
    out
}
