//! Playbooks through the front end: good ones are read whole, and every mistake is told at its place.

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
