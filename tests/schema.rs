//! The playbook's schema for editors: the file is what the types say, it is a valid schema, and it judges as `load` does.

use runbook::playbook::{load, playbook_schema};
use serde_json::{Value as Json, json};
use std::path::Path;

#[test]
fn the_schema_files_are_what_the_types_say() {
    let schemas = [
        ("playbook", playbook_schema()),
        ("world", runbook::world::world_schema()),
        ("journal", runbook::journal::record::journal_schema()),
    ];
    for (name, schema) in schemas {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("schemas/{name}.schema.json"));
        let now = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if std::env::var_os("RUNBOOK_UPDATE").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &now).unwrap();
        }
        let then = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            then == now,
            "schemas/{name}.schema.json is out of date: run RUNBOOK_UPDATE=1 cargo test --test schema"
        );
    }
}

#[test]
fn the_schema_is_a_valid_one() {
    let schema = playbook_schema();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    jsonschema::meta::validate(&schema).unwrap();
    jsonschema::draft202012::new(&schema).unwrap();
}

#[test]
fn every_key_is_described() {
    let schema = playbook_schema();
    let definitions = schema["$defs"].as_object().unwrap().iter().map(|(name, one)| (name.as_str(), one));
    for (name, one) in definitions.chain([("Playbook", &schema)]) {
        assert!(one["description"].is_string() || !one["enum"].is_null(), "{name} has no description");
        for (key, what) in one["properties"].as_object().into_iter().flatten() {
            assert!(what["description"].is_string(), "{name}.{key} has no description");
        }
    }
}

#[test]
fn editors_read_short_messages() {
    let text = playbook_schema().to_string();
    assert!(!text.contains("\"null\""), "`anyOf [T, null]` makes editors say nothing of use");
    assert!(!text.contains("\"format\""), "number formats are no formats of JSON Schema");
}

/// A playbook with these steps.
fn with_steps(steps: Json) -> Json {
    json!({"runbook": 1, "name": "p", "steps": steps})
}

/// Whether the schema takes a playbook; `load` must say the same unless `also_checked` tells of more than shape.
fn takes(playbook: &Json, load_too: bool) -> bool {
    let taken = jsonschema::draft202012::new(&playbook_schema()).unwrap().is_valid(playbook);
    if load_too {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("base.yaml"), "runbook: 1\nname: base\nsteps: [{wait: 1s}]\n").unwrap();
        let path = dir.path().join(format!("{}.yaml", playbook["name"].as_str().unwrap_or("p")));
        std::fs::write(&path, playbook.to_string()).unwrap();
        assert_eq!(load(&path).is_ok(), taken, "load and schema differ on {playbook}");
    }
    taken
}

#[test]
fn takes_every_way_of_writing_a_step() {
    let good = [
        json!({"http": {"url": "https://x", "auth": {"bearer": "t"}, "json": null, "cookies": true, "max_body": "10MiB"}}),
        json!({"http": {"url": "x", "auth": {"basic": {"user": "a", "password": "b"}}, "cookies": "jar", "max_body": 10, "headers": {"A": 1}}}),
        json!({"http": {"url": "x", "paginate": {"query": "page", "items": ".result"}, "tls": {"min_version": "1.2"}}}),
        json!({"exec": ["ls", "-l", 5]}),
        json!({"exec": {"argv": ["ls"], "env": {"A": "b"}, "files": {"key": "{{ x }}"}, "timeout": "{{ t }}"}}),
        json!({"shell": "ls"}),
        json!({"shell": {"script": "ls", "stdin": "x", "timeout": "1h 30m"}}),
        json!({"assert": ["a == b", {"jq": ".a", "equals": null}]}),
        json!({"set": {"a": "{{ b }}", "c": {"jq": ".d"}, "e": [1], "f": null}}),
        json!({"confirm": "Go on?"}),
        json!({"confirm": {"message": "Go on?", "phrase": "yes"}}),
        json!({"manual": "Do it."}),
        json!({"manual": {"instructions": "Do it.", "ask": {"a": {"type": "secret", "prompt": "A"}}}}),
        json!({"wait": "5s"}),
        json!({"use": "m.yaml", "with": {"a": [1]}, "for_each": "{{ list }}", "as": "x", "max_parallel": 2}),
        json!({"group": [{"wait": "1s"}], "for_each": [1, 2]}),
        json!({"parallel": [{"wait": "1s"}], "for_each": {"jq": ".x"}}),
        json!({"parallel": {"max": 2, "steps": [{"wait": "1s"}]}}),
        json!({"wait": "1s", "id": "a-b2", "when": false, "effect": "once", "on_unknown": "ask", "no_log": true, "tags": ["a"]}),
        json!({"wait": "1s", "on_unknown": [{"http": {"url": "x"}, "capture": {"happened": ".x"}}], "on_failure": [{"wait": "1s"}]}),
        json!({"wait": "1s", "retry": {"attempts": 3, "delay": "1s", "backoff": "exponential", "jitter": 0.3, "on": ["transport", 429, "5xx"]}}),
        json!({"wait": "1s", "expect": ["status in [200, 201]", {"header": "a", "matches": "b"}, {"body": true, "contains": "x"}, {"schema": "s.json"}, {"status": [200, 201], "message": "m"}, {"exit_code": 0}, {"jq": ".a", "in": ["a"], "not": true, "message": "m"}]}),
        json!({"wait": "1s", "capture": {"a": ".b", "c": {"jq": ".d", "secret": true, "default": null}, "e": {"regex": "f", "from": "body", "secret": {"to": ["x"]}}, "g": {"from": "stdout", "trim": true}}}),
    ];
    for step in good {
        assert!(takes(&with_steps(json!([step])), true), "{step}");
    }
}

#[test]
fn refuses_what_is_no_step() {
    let of_shape = [
        json!("wait"),
        json!({"wait": 5}),
        json!({"wait": null}),
        json!({"http": {"method": "GET"}}),
        json!({"http": {"url": "x", "ulr": "y"}}),
        json!({"http": {"url": "x", "max_body": true}}),
        json!({"exec": "ls"}),
        json!({"exec": {"cmd": ["ls"]}}),
        json!({"exec": [["ls"]]}),
        json!({"shell": ["ls"]}),
        json!({"assert": "a == b"}),
        json!({"assert": [{"jqq": ".a"}]}),
        json!({"confirm": {"phrase": "x"}}),
        json!({"manual": {"instructions": "x", "ask": {"a": {"type": "password"}}}}),
        json!({"parallel": {"max": 2}}),
        json!({"parallel": {"max": 0, "steps": []}}),
        json!({"wait": "1s", "on_unknown": "retry"}),
        json!({"wait": "1s", "on_unknown": [{"wait": 5}]}),
        json!({"wait": "1s", "effect": "readonly"}),
        json!({"wait": "1s", "retry": {"attempts": 0}}),
        json!({"wait": "1s", "retry": {"on": ["6xx"]}}),
        json!({"wait": "1s", "for_each": {"jsonpath": "$.x"}}),
        json!({"wait": "1s", "when": ["a"]}),
        json!({"wait": "1s", "expect": [5]}),
        json!({"wait": "1s", "expect": [{"duration": "2s"}]}),
        json!({"wait": "1s", "expect": [{"status": "200"}]}),
        json!({"wait": "1s", "capture": {"a": {"jq": ".b", "secret": "x"}}}),
        json!({"wait": "1s", "capture": {"a": 5}}),
    ];
    for step in of_shape {
        assert!(!takes(&with_steps(json!([step])), true), "{step}");
    }
    // What `check` says of a playbook that `load` reads: editors say it as well.
    let of_meaning = [
        json!({}),
        json!({"id": "a"}),
        json!({"wait": "1s", "shell": "ls"}),
        json!({"wait": "soon"}),
        json!({"wait": "1s", "id": "Not Kebab"}),
        json!({"wait": "1s", "with": {"a": 1}}),
        json!({"wait": "1s", "as": "x"}),
        json!({"http": {"url": "x", "json": {}, "text": "y"}}),
        json!({"http": {"url": "x", "auth": {}}}),
        json!({"exec": {"argv": []}}),
        json!({"wait": "1s", "expect": ["stat == 200"]}),
        json!({"wait": "1s", "expect": [{}]}),
        json!({"wait": "1s", "expect": [{"jq": ".a", "header": "b"}]}),
        json!({"wait": "1s", "capture": {"a": {"default": 1}}}),
        json!({"wait": "1s", "capture": {"a": {"jq": ".a", "header": "b"}}}),
    ];
    for step in of_meaning {
        assert!(!takes(&with_steps(json!([step])), false), "{step}");
    }
}

#[test]
fn judges_the_file_as_a_whole() {
    let steps = json!([{"wait": "1s"}]);
    for good in [
        json!({"runbook": 1, "name": "p", "steps": steps, "inputs": {"a": {}, "b": {"type": "secret", "default": null, "to": ["x"]}}}),
        json!({"runbook": 1, "name": "p", "steps": steps, "sop": {"last_validated": "2026-05-01", "stale_after": "180d", "references": ["a"]}}),
        json!({"runbook": 1, "name": "p", "steps": steps, "intervals": {"x": {"from": "a", "to": "b", "budget": "5m"}}, "defaults": {"retry": {"attempts": 2}}}),
        json!({"runbook": 1, "name": "p", "extends": "base.yaml", "set": {"a": [1]}, "title": "T", "deprecated": "no", "sop": {}}),
    ] {
        assert!(takes(&good, true), "{good}");
    }
    for bad in [
        json!({"runbook": 2, "name": "p", "steps": steps}),
        json!({"runbook": "1", "name": "p", "steps": steps}),
        json!({"runbook": 1, "name": "p"}),
        json!({"runbook": 1, "name": "p", "steps": []}),
        json!({"runbook": 1, "name": "P", "steps": steps}),
        json!({"runbook": 1, "name": "p", "steps": steps, "set": {}}),
        json!({"runbook": 1, "name": "p", "extends": "base.yaml", "steps": steps}),
        json!({"runbook": 1, "name": "p", "extends": "base.yaml", "vars": {}}),
        json!({"runbook": 1, "name": "p", "steps": steps, "tasks": []}),
        json!({"runbook": 1, "name": "p", "steps": steps, "inputs": {"a": {"type": "text"}}}),
        json!({"runbook": 1, "name": "p", "steps": steps, "permissions": {"net": "x"}}),
        json!({"runbook": 1, "name": "p", "steps": steps, "intervals": {"x": {"from": "a"}}}),
        json!([]),
    ] {
        assert!(!takes(&bad, true), "{bad}");
    }
}

#[test]
fn takes_every_shipped_playbook() {
    let schema = jsonschema::draft202012::new(&playbook_schema()).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("playbooks");
    let mut seen = 0;
    for folder in [root.clone(), root.join("modules")] {
        for path in std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()) {
            if path.extension().is_some_and(|end| end == "yaml") {
                let told = load(&path).err().unwrap_or_default();
                assert!(told.is_empty(), "{}", runbook::diagnostic::draw(&told, false));
                let json: Json = serde_yaml::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
                let errors: Vec<String> = schema.iter_errors(&json).map(|error| error.to_string()).collect();
                assert!(errors.is_empty(), "{}: {errors:?}", path.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 5, "{seen}");
}
