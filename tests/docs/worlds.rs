//! The reference of worlds: each example is one that can be played, each key occurs.

use crate::blocks::yaml_blocks;
use crate::keys;
use crate::support::Folder;
use runbook::playbook::read_yaml;
use runbook::world;
use serde_json::{Map, Value as Json};
use std::collections::BTreeSet;

const DOCUMENT: &str = "docs/worlds.md";

#[test]
fn every_example_of_a_world_is_fine_and_every_key_occurs() {
    let folder = Folder::new();
    let schema = world::world_schema();
    let mut found = BTreeSet::new();
    for block in yaml_blocks(DOCUMENT, &["world", "playbook"]) {
        if block.words()[0] != "world" {
            continue;
        }
        let file = folder.file(&format!("line-{}.yaml", block.line), &block.text);
        if let Err(told) = world::check(&file) {
            panic!("{}:\n{}", block.place(), runbook::diagnostic::draw(&told, false));
        }
        let (document, _) = read_yaml::<Map<String, Json>>(&file).unwrap();
        found.extend(keys::found(&schema, &Json::Object(document)));
    }
    let missing: Vec<_> = keys::all(&schema).difference(&found).cloned().collect();
    assert!(missing.is_empty(), "{DOCUMENT} has no example of: {}", missing.join(", "));
}

/// What a fake is given and may answer is not in the schema; each of it is named.
#[test]
fn what_fakes_are_given_and_answer_is_named() {
    let text = crate::blocks::text(DOCUMENT);
    let words = "request params state fresh now calls method host path query headers body json status text delay close \
        truncate argv env stdin files exit_code stdout stderr step ask instructions inputs answers sealed_open";
    for word in words.split_whitespace() {
        assert!(text.contains(&format!("`{word}`")) || text.contains(&format!("`{word}(")), "`{word}` is not named");
    }
}
