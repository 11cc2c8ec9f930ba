//! The reference of the language: each example is judged, each key occurs.

use crate::blocks::{Block, yaml_blocks};
use crate::keys;
use crate::support::Folder;
use runbook::playbook::{playbook_schema, read_yaml};
use serde_json::{Map, Value as Json};
use std::collections::BTreeSet;

const DOCUMENT: &str = "docs/language.md";

/// What a fragment may read and do that says nothing of it itself.
const AROUND: [(&str, &str); 3] = [
    (
        "inputs",
        "inputs:
  service: {type: string, default: api}
  mode: {type: string, default: full}
  urls: {type: list, default: [\"https://api.example.com\"]}
  patience: {type: duration, default: 5m}
  token: {type: secret, env: TOKEN}
  new_value: {type: secret, env: NEW_VALUE}
",
    ),
    ("vars", "vars: {api: \"https://api.example.com\"}\n"),
    (
        "permissions",
        "permissions:
  net: [\"https://*.example.com/**\"]
  run: [bash, curl, gh, git, heroku, logger, make]
  env: [\"*\"]
  read: [\"**\"]
",
    ),
];

/// A fragment does not use all that is put around it, and dates grow old.
const LET_PASS: [&str; 4] = ["unused-input", "unused-var", "unused-permission", "stale-sop"];

/// The file that a block is, or is wrapped into.
fn file(block: &Block) -> (String, String) {
    let words = block.words();
    if words[0] == "playbook" {
        let name = block.text.lines().find_map(|line| line.strip_prefix("name: ")).expect("a playbook has a name");
        let name = name.split_whitespace().next().unwrap();
        let path = words.get(1).map_or_else(|| format!("{name}.yaml"), |path| path.to_string());
        return (path, block.text.clone());
    }
    let name = format!("line-{}", block.line);
    let mut text = format!("runbook: 1\nname: {name}\n");
    let says = |key: &str| words[0] == "header" && block.text.lines().any(|line| line.starts_with(&format!("{key}:")));
    for (_, around) in AROUND.iter().filter(|(key, _)| !says(key)) {
        text.push_str(around);
    }
    match words[0] {
        "steps" => text.push_str("steps:\n"),
        _ if !says("steps") => text.push_str("steps:\n- assert: [\"true\"]\n"),
        _ => {}
    }
    text.push_str(&block.text);
    (format!("{name}.yaml"), text)
}

fn folder() -> (Folder, Vec<(Block, String)>) {
    let folder = Folder::new();
    folder.file("playbooks/item.schema.json", "{\"type\": \"object\"}");
    let blocks = yaml_blocks(DOCUMENT, &["playbook", "header", "steps"]).into_iter().map(|block| {
        let (name, text) = file(&block);
        folder.file(&format!("playbooks/{name}"), &text);
        (block, name)
    });
    let blocks = blocks.collect();
    (folder, blocks)
}

#[test]
fn every_example_of_the_language_is_fine() {
    let (folder, blocks) = folder();
    let ran = folder.program().args(["check", "playbooks", "--output", "json"]).ran();
    let judged: Json = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{}", ran.shown()));
    assert_eq!(judged["files"].as_array().unwrap().len(), blocks.len());
    let mut wrong = Vec::new();
    for told in judged["diagnostics"].as_array().unwrap() {
        let (code, at) = (told["code"].as_str().unwrap(), &told["labels"][0]);
        let (block, name) =
            blocks.iter().find(|(_, name)| at["file"].as_str().unwrap().ends_with(&format!("/{name}"))).unwrap();
        if block.words()[0] == "playbook" || !LET_PASS.contains(&code) {
            wrong.push(format!("{}: {name}:{}: {code}: {}", block.place(), at["line"], told["message"]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_key_of_the_language_occurs_in_an_example() {
    let (folder, blocks) = folder();
    let schema = playbook_schema();
    let mut found = BTreeSet::new();
    for (block, name) in &blocks {
        // Without what the test puts around it.
        let text = match block.words()[0] {
            "steps" => format!("steps:\n{}", block.text),
            _ => block.text.clone(),
        };
        let bare = folder.file(&format!("bare/{name}"), &text);
        let (document, _) = read_yaml::<Map<String, Json>>(&bare).unwrap();
        found.extend(keys::found(&schema, &Json::Object(document)));
    }
    let missing: Vec<_> = keys::all(&schema).difference(&found).cloned().collect();
    assert!(missing.is_empty(), "{DOCUMENT} has no example of: {}", missing.join(", "));
}

#[test]
fn every_exit_code_filter_test_and_function_is_named() {
    let text = crate::blocks::text(DOCUMENT);
    for code in ["0", "1", "2", "3", "4", "5", "70", "130"] {
        assert!(text.contains(&format!("\n| {code} | ")), "exit code {code}");
    }
    // Each word between quotes in the lists of the source.
    let source = crate::blocks::text("src/template/filters.rs");
    for list in ["FILTERS", "TESTS", "FUNCTIONS"] {
        let (_, list) = source.split_once(&format!("pub const {list}: ")).unwrap();
        let words: Vec<&str> = list.split("];").next().unwrap().split('"').skip(1).step_by(2).collect();
        assert!(!words.is_empty());
        for word in words {
            assert!(text.contains(&format!("`{word}`")), "`{word}` is not named");
        }
    }
}
