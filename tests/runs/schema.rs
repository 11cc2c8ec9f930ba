//! The journal's schema: every line of a real run is as it says, and it says what everything is.

use crate::support::Folder;
use crate::{ROTATE, failed};
use runbook::journal::record::journal_schema;
use serde_json::Value as Json;

#[track_caller]
pub fn assert_valid(records: &[Json]) {
    let schema = jsonschema::draft202012::new(&journal_schema()).unwrap();
    for record in records {
        let errors: Vec<String> = schema.iter_errors(record).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}: {record}");
    }
}

#[test]
fn every_line_of_a_real_run_is_valid() {
    let folder = failed();
    folder.does(&["reveal", "last", "new_token", "--to-file", "out", "--yes"]).exits(0);
    folder.does(&["resume", "last"]).exits(1);
    folder.file("ready", "");
    folder.does(&["resume", "last", "--with-current-playbook"]).exits(0);
    let records = folder.records(&folder.ids()[0]);
    assert_valid(&records);
    for wanted in [
        "run-started",
        "custody-proven",
        "step-started",
        "attempt-started",
        "attempt-finished",
        "attempt-failed",
        "step-finished",
        "run-finished",
        "revealed",
        "run-resumed",
        "custody-ended",
    ] {
        assert!(records.iter().any(|record| record["type"] == wanted), "no {wanted} among {records:?}");
    }
    let asks = Folder::with(&format!(
        "{}on_failure:\n  - {{id: tell, exec: [sh, -c, 'exit 0'], effect: idempotent}}\n",
        ROTATE.replace(
            "steps:\n",
            "steps:\n  - {id: sure, confirm: Sure?}\n  - {id: never, when: false, confirm: Never?}\n"
        )
    ));
    asks.run(&["--approve", "sure"]).exits(1);
    let records = asks.records(&asks.ids()[0]);
    assert_valid(&records);
    for wanted in ["decision", "step-skipped", "section-started"] {
        assert!(records.iter().any(|record| record["type"] == wanted), "no {wanted} among {records:?}");
    }
}

#[test]
fn it_refuses_what_is_no_line() {
    let schema = jsonschema::draft202012::new(&journal_schema()).unwrap();
    let folder = failed();
    let line = folder.records(&folder.ids()[0]).remove(0);
    assert!(schema.is_valid(&line));
    for key in ["n", "prev", "at", "type", "run", "crc"] {
        let mut less = line.clone();
        less.as_object_mut().unwrap().remove(key);
        assert!(!schema.is_valid(&less), "a line without `{key}` is taken");
    }
}

#[test]
fn every_key_is_described() {
    let mut bare = Vec::new();
    look("", &journal_schema(), &mut bare);
    assert!(bare.is_empty(), "no description of {}", bare.join(", "));
}

/// Keys of objects that have no description, and definitions that have none.
fn look(path: &str, schema: &Json, bare: &mut Vec<String>) {
    let described = |one: &Json| one["description"].is_string() || one.get("const").is_some();
    for (key, one) in schema["properties"].as_object().into_iter().flatten() {
        // Where it stands alone, a definition's own description is shown.
        if !described(one) && one.get("$ref").is_none() {
            bare.push(format!("{path}.{key}"));
        }
    }
    for (name, one) in schema["$defs"].as_object().into_iter().flatten() {
        if !described(one) {
            bare.push(name.clone());
        }
        look(name, one, bare);
    }
    for kind in ["oneOf", "anyOf"] {
        for one in schema[kind].as_array().into_iter().flatten() {
            let name = one["properties"]["type"]["const"].as_str().or(one["const"].as_str()).unwrap_or(path);
            if one["properties"]["type"].is_object() && !described(one) {
                bare.push(format!("{path} {name}"));
            }
            look(name, one, bare);
        }
    }
}
