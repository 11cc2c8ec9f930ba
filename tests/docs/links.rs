//! Links lead somewhere, and what is said to be tested is.

use crate::blocks::{path, text};

const DOCUMENTS: [&str; 11] = [
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "docs/configuration.md",
    "docs/guide.md",
    "docs/language.md",
    "docs/runs.md",
    "docs/security.md",
    "docs/worlds.md",
    "playbooks/README.md",
    "playbooks/worlds/README.md",
];

/// As GitHub makes the name of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    kept.chars().filter(|c| c.is_alphanumeric() || "-_ ".contains(*c)).map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn anchors(document: &str) -> Vec<String> {
    text(document).lines().filter(|line| line.starts_with('#')).map(anchor).collect()
}

#[test]
fn links_lead_somewhere() {
    for document in DOCUMENTS {
        let text = text(document);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (file, heading) = link.split_once('#').map_or((link, None), |(file, heading)| (file, Some(heading)));
            let target = match file {
                "" => document.to_string(),
                file => {
                    let folder = path(document).parent().unwrap().to_path_buf();
                    let target = folder.join(file);
                    assert!(target.exists(), "{document}: `{link}` leads nowhere");
                    let root = path("").canonicalize().unwrap();
                    target.canonicalize().unwrap().strip_prefix(root).unwrap().display().to_string()
                }
            };
            if let Some(heading) = heading {
                assert!(anchors(&target).iter().any(|known| known == heading), "{document}: no heading for `{link}`");
            }
        }
    }
}

/// Every Rust file of the project, as one text.
fn sources(folder: &std::path::Path, all: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|end| end == "rs") {
            all.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_test_that_security_names_exists() {
    let mut all = String::new();
    sources(&path("src"), &mut all);
    sources(&path("tests"), &mut all);
    let text = text("docs/security.md");
    // In code spans, a name of four words or more is a test's.
    let names: Vec<&str> = text
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|name| name.matches('_').count() >= 3 && name.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
        .collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        // A function, or a row of a macro that makes them.
        let is_there = all.contains(&format!("fn {name}(")) || all.contains(&format!("\n    {name}:"));
        assert!(is_there, "docs/security.md names the test `{name}`, which is not there");
    }
}

/// A record that is not described is one that a tool writer has to guess.
#[test]
fn every_record_and_exit_code_is_described() {
    let runs = text("docs/runs.md");
    let schema = runbook::journal::record::journal_schema();
    let words = |shape: &serde_json::Value| shape["properties"]["type"]["const"].as_str().map(str::to_string);
    let types: Vec<String> = schema["oneOf"].as_array().unwrap().iter().filter_map(words).collect();
    assert!(types.len() > 10, "{types:?}");
    for word in types {
        assert!(runs.contains(&format!("| `{word}` | ")), "docs/runs.md has no row for `{word}`");
    }
    for code in ["0", "1", "2", "3", "4", "5", "70", "130"] {
        assert!(runs.contains(&format!("\n| {code} | ")), "docs/runs.md has no row for exit code {code}");
    }
}

#[test]
fn the_readme_knows_the_main_playbook() {
    let readme = text("README.md");
    let playbook = text("playbooks/cloudflare-user-token.yaml");
    let inputs = readme.lines().filter_map(|line| line.strip_prefix("       ")?.split_once(": ").map(|(name, _)| name));
    let inputs: Vec<&str> = inputs.filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_')).collect();
    assert!(inputs.len() > 1, "{inputs:?}");
    for input in inputs {
        assert!(playbook.contains(&format!("\n  {input}:")), "README.md names the input `{input}`");
    }
    let loud = |name: &&str| name.contains('_') && name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    for name in readme.split('`').skip(1).step_by(2).filter(loud) {
        assert!(playbook.contains(&format!("env: {name}")), "README.md names the variable `{name}`");
    }
    for command in ["--approve approve", "--role superadmin"] {
        let word = command.split(' ').nth(1).unwrap();
        assert!(readme.contains(command) && playbook.contains(word), "{command}");
    }
}
