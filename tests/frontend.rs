//! Playbooks through the front end: good ones are read whole, and every mistake is told at its place.

use runbook::diagnostic::draw;
use runbook::playbook::load;
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
    let steps = loaded.document.steps.as_ref().unwrap();
    assert_eq!(steps.len(), 2);
    assert_eq!(steps[0].http.as_ref().unwrap().json, Some(serde_json::json!({"a": null, "b": [1, 2.5, "yes", "é"]})));
    assert_eq!(loaded.document.inputs.as_ref().unwrap()["token_id"].default, Some(serde_json::Value::Null));
    let place = loaded.root().key("steps").index(0).key("http").key("json").key("b").index(3);
    assert_eq!(place.shown().rsplit_once('/').unwrap().1, "base.yaml:18:40");
}

#[test]
fn lays_variants_over_their_base() {
    let variant = "runbook: 1\nname: v\nextends: ../base.yaml\ntitle: V\nset: {token_id: a, big: 2}\n";
    let outer = "runbook: 1\nname: w\nextends: v.yaml\ndeprecated: use v\nset: {token_id: b}\n";
    let dir = folder(&[("base.yaml", BASE), ("x/v.yaml", variant), ("x/w.yaml", outer)]);
    let loaded = load(&dir.path().join("x/w.yaml")).unwrap();
    assert_eq!(loaded.document.name, "w");
    assert_eq!(loaded.document.title.as_deref(), Some("V"));
    assert_eq!(loaded.document.deprecated.as_deref(), Some("use v"));
    assert_eq!(loaded.source.path, std::path::absolute(dir.path().join("base.yaml")).unwrap());
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
