//! Playbooks through the front end: good ones are read whole, and every mistake is told at its place.

use proptest::prelude::*;
use runbook::diagnostic::{draw, one_line};
use runbook::playbook::{Loaded, load, part, read_yaml};
use runbook::source::{Place, Route};
use std::path::Path;
use tempfile::TempDir;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    dir
}

const BASE: &str = r#"
runbook: 1
name: base
title: Base
inputs:
  token_id: {type: string, default: null}
  big: {type: integer, min: 1, max: 3}
vars:
  cf: https://api.example.test
permissions:
  net: ["GET https://api.example.test/**"]
steps:
  - id: look
    effect: read
    http:
      url: "{{ cf }}/x"
      headers: {Accept: application/json}
      json: {a: null, b: [1, 2.5, yes, "é"]}
    expect:
      - status == 200
      - jq: .a
    capture:
      a: .a
  - exec: [ls, "-l"]
"#;

#[test]
fn reads_a_playbook() {
    let dir = folder(&[("base.yaml", BASE)]);
    let loaded = load(&dir.path().join("base.yaml")).unwrap();
    assert_eq!(loaded.steps.len(), 2);
    let step = Loaded::step(&loaded.steps[0], &loaded.root()).unwrap();
    assert_eq!(step.http.as_ref().unwrap().json, Some(serde_json::json!({"a": null, "b": [1, 2.5, "yes", "é"]})));
    assert_eq!(loaded.document.inputs.as_ref().unwrap()["token_id"].default, Some(serde_json::Value::Null));
    let place = loaded.root().key("steps").index(0).key("http").key("json").key("b").index(3);
    assert_eq!(place.shown().rsplit_once('/').unwrap().1, "base.yaml:18:40");
}

#[test]
fn lays_variants_over_their_base() {
    let variant = "runbook: 1\nname: v\nextends: ../base.yaml\ntitle: V\nset: {token_id: a, big: 2}\n";
    let outer = "runbook: 1\nname: w\nextends: v.yaml\ndeprecated: use v\nset: {token_id: b}\n";
    let dir = folder(&[("playbooks/base.yaml", BASE), ("playbooks/x/v.yaml", variant), ("playbooks/x/w.yaml", outer)]);
    let loaded = load(&dir.path().join("playbooks/x/w.yaml")).unwrap();
    assert_eq!(loaded.document.name, "w");
    assert_eq!(loaded.document.title.as_deref(), Some("V"));
    assert_eq!(loaded.document.deprecated.as_deref(), Some("use v"));
    assert_eq!(loaded.source.path, std::path::absolute(dir.path().join("playbooks/base.yaml")).unwrap());
    assert_eq!(loaded.entry.path.file_name().unwrap(), Path::new("w.yaml"));
    let fixed: Vec<_> = loaded
        .fixed
        .iter()
        .map(|(name, (value, place))| format!("{name}={value}@{}", place.shown().rsplit_once('/').unwrap().1))
        .collect();
    assert_eq!(fixed, [r#"token_id="b"@w.yaml:5:17"#, "big=2@v.yaml:5:25"]);
}

/// One case of `mistakes.md`: files, the first of which is loaded, and what is drawn.
struct Case {
    before: String,
    files: Vec<(String, String)>,
    expected: String,
}

fn cases(text: &str) -> (Vec<Case>, String) {
    let mut cases = Vec::new();
    let (mut before, mut files) = (String::new(), Vec::new());
    let mut lines = text.split_inclusive('\n');
    while let Some(line) = lines.next() {
        let block =
            |lines: &mut dyn Iterator<Item = &str>| lines.take_while(|line| *line != "```\n").collect::<String>();
        if let Some(name) = line.strip_prefix("```yaml ") {
            let text = block(&mut lines);
            before += &format!("{line}{text}```\n");
            files.push((name.trim().to_string(), text));
        } else if line == "```text\n" {
            cases.push(Case {
                before: std::mem::take(&mut before),
                files: std::mem::take(&mut files),
                expected: block(&mut lines),
            });
        } else {
            before += line;
        }
    }
    (cases, before)
}

/// What is drawn for a playbook in `dir/playbooks`, with names relative to that folder.
fn drawn(dir: &TempDir, name: &str) -> String {
    let root = std::path::absolute(dir.path()).unwrap();
    let told = load(&root.join("playbooks").join(name)).expect_err("it is broken");
    let all = draw(&told, false);
    all.replace(&format!("{}/playbooks/", root.display()), "").replace(&format!("{}/", root.display()), "../")
}

#[test]
fn every_mistake_is_told_at_its_place() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mistakes.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (cases, rest) = cases(&text);
    let mut now = String::new();
    for case in &cases {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in &case.files {
            let path = dir.path().join("playbooks").join(name);
            std::fs::create_dir_all(dir.path().join("playbooks")).unwrap();
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let drawn = drawn(&dir, &case.files[0].0);
        if std::env::var_os("RUNBOOK_UPDATE").is_none() {
            assert_eq!(drawn, case.expected, "{}", case.before);
        }
        now += &format!("{}```text\n{drawn}```\n", case.before);
    }
    if std::env::var_os("RUNBOOK_UPDATE").is_some() {
        std::fs::write(&path, now + &rest).unwrap();
    }
    assert!(cases.len() > 30);
}

/// What is drawn for a file of these bytes, with names relative to its folder.
fn told(name: &str, bytes: &[u8]) -> String {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("playbooks")).unwrap();
    std::fs::write(dir.path().join("playbooks").join(name), bytes).unwrap();
    drawn(&dir, name)
}

#[test]
fn files_that_are_no_text_or_too_large_are_refused() {
    assert_eq!(
        told("a.yaml", b"runbook: 1\nname: caf\xe9\n"),
        "error[not-utf8]: `a.yaml` is not UTF-8: line 2 has the byte 0xe9\n--> a.yaml\n = help: save the file as UTF-8\n"
    );
    assert_eq!(
        told("a.yaml", &vec![b'#'; 8 * 1024 * 1024 + 1]),
        "error[file-too-large]: `a.yaml` is larger than 8 MiB\n--> a.yaml\n = help: split the playbook: `use:` runs another one as a step\n"
    );
    assert!(told("a.yaml", &vec![0; 1000]).starts_with("error[yaml-character]: the character U+0000 may not stand"));
}

#[test]
fn a_byte_order_mark_shifts_nothing() {
    let told = told("a.yaml", b"\xef\xbb\xbfrunbook: 2\nname: a\nsteps: [{wait: 1s}]\n");
    assert!(
        told.starts_with(
            "error[format-number]: format 2 is not known; this program reads format 1\n --> a.yaml:1:10\n"
        ),
        "{told}"
    );
}

#[test]
fn files_that_are_not_there_are_looked_for_nearby() {
    let dir = folder(&[("playbooks/rotate-token.yaml", ""), ("playbooks/other.yaml", ""), ("empty/x.txt", "")]);
    assert_eq!(
        drawn(&dir, "rotate-tokn.yaml"),
        "error[file-not-found]: there is no file `rotate-tokn.yaml`\n--> rotate-tokn.yaml\n = help: did you mean `rotate-token.yaml`?\n"
    );
    assert_eq!(
        drawn(&dir, "rotate-token"),
        "error[file-not-found]: there is no file `rotate-token`\n--> rotate-token\n = help: did you mean `rotate-token.yaml`?\n"
    );
    assert_eq!(
        drawn(&dir, "zzzzzzzzz"),
        "error[file-not-found]: there is no file `zzzzzzzzz`\n--> zzzzzzzzz\n = help: in that folder: `other.yaml`, `rotate-token.yaml`\n"
    );
    assert_eq!(drawn(&dir, "../empty/x"), "error[file-not-found]: there is no file `../empty/x`\n--> ../empty/x\n");
    let missing = drawn(&dir, "no/such/x.yaml");
    assert!(
        missing.starts_with(
            "error[file-not-found]: there is no file `no/such/x.yaml`\n--> no/such/x.yaml\n = help: there is no folder "
        ),
        "{missing}"
    );
    assert_eq!(
        drawn(&dir, "../playbooks"),
        "error[file-not-found]: `../playbooks` is a folder, not a file\n--> ../playbooks\n = help: in that folder: `other.yaml`, `rotate-token.yaml`\n"
    );
}

#[test]
fn deep_files_are_refused_quickly() {
    let started = std::time::Instant::now();
    let base = "runbook: 1\nname: a\nsteps: [{wait: 1s}]\n";
    let deep =
        |open: &str, close: &str| format!("{base}vars: {{a: {}{}}}\n", open.repeat(60_000), close.repeat(60_000));
    for (open, close) in [("[", "]"), ("{a: ", "}"), ("[", "")] {
        let told = told("a.yaml", deep(open, close).as_bytes());
        let expected = "error[yaml-depth]: nested deeper than 64 levels\n --> a.yaml:4:";
        assert!(told.starts_with(expected), "{told}");
    }
    let indented: String = (0..2000).map(|depth| format!("{}- \n", " ".repeat(depth))).collect();
    assert!(
        told("a.yaml", format!("{base}vars:\n  a:\n{}", indented.replace("- \n", "  -\n")).as_bytes())
            .contains("[yaml-depth]")
    );
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}

#[test]
fn files_of_too_many_steps_or_values_are_refused() {
    let base = "runbook: 1\nname: a\nsteps: [{wait: 1s}]\n";
    let steps = format!("runbook: 1\nname: a\nsteps:\n{}", "- {wait: 1s}\n".repeat(20_001));
    assert!(
        told("a.yaml", steps.as_bytes())
            .starts_with("error[too-many-steps]: 20001 steps; a playbook may have 20000\n --> a.yaml:3:1\n")
    );
    let values = format!("{base}vars: {{a: [{}]}}\n", "1,".repeat(500_001));
    assert!(told("a.yaml", values.as_bytes()).starts_with("error[file-too-large]: more than 500000 keys and values\n"));
}

#[test]
fn nothing_takes_quadratic_time() {
    let started = std::time::Instant::now();
    let base = "runbook: 2\nname: a\nsteps: [{wait: 1s}]\n";
    // Long single things, and things of which there are many.
    let many = 100_000;
    for text in [
        format!("title: {}", "x ".repeat(many)),
        format!("title: \"{}\"", "\\n".repeat(many)),
        format!("title: \"{}", "x\n".repeat(many)),
        format!("title: {}", "{{ x }} ".repeat(many)),
        format!("title: |\n{}", "  x\n".repeat(many)),
        "\n".repeat(many),
        "a: {{ x }} b\n".repeat(many / 10),
        "a: *x\n".repeat(many / 10),
        "a: 1\n".repeat(many / 10),
        "? ".repeat(many),
        "- ".repeat(many),
        "#".repeat(many),
        "\t".repeat(many),
        "'".repeat(many),
        format!("é: {}", "é".repeat(many)),
        (0..50_000).map(|key| format!("key{key}: 1\n")).collect(),
    ] {
        told("a.yaml", format!("{base}{text}\n").as_bytes());
    }
    // Unoptimised, on a slow machine; anything quadratic takes minutes.
    assert!(started.elapsed().as_secs() < 100, "{:?}", started.elapsed());
}

#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Small {
    name: String,
    count: Option<u32>,
}

#[test]
fn other_files_and_parts_go_through_the_same_gate_and_walk() {
    let dir = folder(&[
        ("good.yaml", "name: x\ncount: 3\n"),
        ("bad.yaml", "nam: 5\ncount: many\ncounts: 1\n"),
        ("twice.yaml", "name: x\nname: y\n"),
    ]);
    let (small, source) = read_yaml::<Small>(&dir.path().join("good.yaml")).unwrap();
    assert_eq!((small.name.as_str(), small.count), ("x", Some(3)));
    let codes = |told: Vec<runbook::diagnostic::Diagnostic>| {
        told.iter().map(one_line).map(|line| line.rsplit_once("yaml:").unwrap().1.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(
        codes(read_yaml::<Small>(&dir.path().join("bad.yaml")).unwrap_err()),
        [
            "1:1: error[unknown-key]: unknown key `nam` in the file",
            "2:8: error[wrong-type]: `count` must be a whole number, not the text `many`",
            "3:1: error[unknown-key]: unknown key `counts` in the file",
        ]
    );
    assert_eq!(
        codes(read_yaml::<Small>(&dir.path().join("twice.yaml")).unwrap_err()),
        ["2:1: error[duplicate-key]: the key `name` is written twice"]
    );
    let place = Place { source, route: Route::root().key("count") };
    assert!(part::<Small>(&serde_json::json!({"name": "x"}), &place).is_ok());
    assert_eq!(
        codes(part::<Small>(&serde_json::json!({"name": "x", "count": -1}), &place).unwrap_err()),
        ["2:8: error[out-of-range]: `count` must be at least 0, not -1"]
    );
}

fn all_is_told(text: &str) {
    let dir = folder(&[("playbooks/p.yaml", text)]);
    if let Err(told) = load(&dir.path().join("playbooks/p.yaml")) {
        assert!(!told.is_empty());
        assert!(!draw(&told, true).is_empty());
        assert!(told.iter().all(|told| one_line(told).contains(told.code)));
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        all_is_told(&text);
    }

    #[test]
    fn any_edit_of_a_playbook_is_read_or_refused(
        edits in prop::collection::vec((any::<prop::sample::Index>(), "[a-z:{}\\[\\]\"'#|>&*!%@` \n\t-]{0,3}|null|\\{\\{ x \\}\\}|é", 0usize..8), 1..6)
    ) {
        let mut text = BASE.replace("name: base", "name: p");
        for (at, new, cut) in edits {
            let start = (0..=at.index(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap();
            let end = text[start..].char_indices().nth(cut).map_or(text.len(), |(more, _)| start + more);
            text.replace_range(start..end, &new);
        }
        all_is_told(&text);
    }
}
