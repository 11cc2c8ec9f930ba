//! One broken playbook for each code, and what is said of it (`tests/mistakes/CODE.yaml` and `.txt`).
//!
//! `RUNBOOK_UPDATE=1` writes the texts anew; read each by eye: what was found, what was wanted, where, what to do.

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use support::{Folder, Ran};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mistakes")
}

/// A copy of the cases, so that no path of this machine is in what is said.
fn copied() -> Folder {
    fn copy(from: &Path, to: &Folder, name: &str) {
        for entry in std::fs::read_dir(from).unwrap().flatten() {
            let name = format!("{name}/{}", entry.file_name().to_string_lossy());
            match entry.file_type().unwrap().is_dir() {
                true => copy(&entry.path(), to, &name),
                false => drop(to.file(&name, &std::fs::read_to_string(entry.path()).unwrap())),
            }
        }
    }
    let folder = Folder::new();
    copy(&root(), &folder, "playbooks");
    folder.file("Cargo.toml", "");
    folder
}

fn checked(folder: &Folder, file: &str) -> Ran {
    let mut program = folder.program().args(["check", file]);
    program.0.current_dir(folder.path().join("playbooks"));
    program.ran()
}

/// Without what differs from day to day and from place to place.
fn steady(text: &str, folder: &Folder) -> String {
    let real = folder.path().canonicalize().unwrap();
    let text =
        text.replace(&format!("{}/", real.display()), "/…/").replace(&format!("{}/", folder.path().display()), "/…/");
    match (text.find("last validated "), text.find(" days ago")) {
        (Some(start), Some(end)) => format!("{}last validated N{}", &text[..start], &text[end..]),
        _ => text,
    }
}

#[test]
fn each_mistake_is_told_as_expected() {
    let folder = copied();
    let update = std::env::var_os("RUNBOOK_UPDATE").is_some();
    let mut cases: Vec<String> = std::fs::read_dir(root())
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".yaml").map(String::from))
        .collect();
    cases.sort();
    let mut wrong = Vec::new();
    for case in cases {
        let ran = checked(&folder, &format!("{case}.yaml"));
        let told = steady(&ran.stderr, &folder);
        let is_error = told.contains("error[");
        if ran.code != if is_error { 2 } else { 0 } || !told.contains(&format!("[{case}]")) {
            wrong.push(format!("{case} does not show its code, or exits with {}:\n{told}", ran.code));
        }
        let path = root().join(format!("{case}.txt"));
        if update {
            std::fs::write(&path, &told).unwrap();
        } else if std::fs::read_to_string(&path).unwrap_or_default() != told {
            wrong.push(format!("{case}:\n{told}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What cannot lie in a repository as a file.
fn made(code: &str) -> Ran {
    let folder = Folder::new();
    let path = folder.path().join("playbooks/test.yaml");
    let head = "runbook: 1\nname: test\n";
    folder.file("playbooks/test.yaml", head);
    match code {
        "not-utf8" => std::fs::write(&path, b"runbook: 1\nname: \xff\n").unwrap(),
        "file-too-large" => std::fs::write(&path, "#".repeat(9 << 20)).unwrap(),
        "file-unreadable" => {
            std::fs::remove_file(&path).unwrap();
            std::os::unix::fs::symlink("test.yaml", &path).unwrap();
        }
        "too-many-steps" => {
            std::fs::write(&path, format!("{head}steps:\n{}", "  - wait: 1s\n".repeat(20_001))).unwrap();
        }
        "yaml-depth" => {
            std::fs::write(&path, format!("{head}vars: {{a: {}{}}}\n", "[".repeat(70), "]".repeat(70))).unwrap();
        }
        "use-depth" => {
            for depth in 0..20 {
                let name = if depth == 0 { "test".to_string() } else { format!("m{depth}") };
                let text = format!("runbook: 1\nname: {name}\nsteps:\n  - id: go\n    use: m{}.yaml\n", depth + 1);
                folder.file(&format!("playbooks/{name}.yaml"), &text);
            }
            folder.file("playbooks/m20.yaml", "runbook: 1\nname: m20\nsteps:\n  - wait: 1s\n");
        }
        other => panic!("nothing is made for {other}"),
    }
    checked(&folder, "test.yaml")
}

const MADE: [&str; 6] = ["not-utf8", "file-too-large", "file-unreadable", "too-many-steps", "yaml-depth", "use-depth"];

#[test]
fn what_cannot_lie_in_a_repository_is_told_too() {
    for code in MADE {
        made(code).exits(2).shows(&format!("error[{code}]"));
    }
}

#[test]
fn every_code_has_a_case() {
    let mut in_source = BTreeSet::new();
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for layer in ["playbook", "plan"] {
        codes_below(&src.join(layer), &mut in_source);
        codes_of(&std::fs::read_to_string(src.join(format!("{layer}.rs"))).unwrap(), &mut in_source);
    }
    assert!(in_source.len() > 70, "{in_source:?}");
    let mut shown: BTreeSet<String> = MADE.iter().map(ToString::to_string).collect();
    // Told only where the schema lets something pass that the type does not take, which would be a fault of ours.
    shown.insert("wrong-shape".into());
    // Told of two playbooks, the one that a run was begun with and today's: tests/same.rs shows it.
    shown.insert("changed-since".into());
    let mut texts = std::fs::read_to_string(root().with_extension("md")).unwrap();
    for entry in std::fs::read_dir(root()).unwrap().flatten() {
        if entry.path().extension().is_some_and(|end| end == "txt") {
            texts += &std::fs::read_to_string(entry.path()).unwrap();
        }
    }
    for severity in ["error[", "warning["] {
        shown.extend(texts.split(severity).skip(1).filter_map(|rest| Some(rest.split_once(']')?.0.to_string())));
    }
    let missing: Vec<_> = in_source.difference(&shown).collect();
    assert!(missing.is_empty(), "no case shows {missing:?}");
}

fn codes_below(folder: &Path, codes: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            codes_below(&path, codes);
        } else if path.extension().is_some_and(|end| end == "rs") {
            codes_of(&std::fs::read_to_string(&path).unwrap(), codes);
        }
    }
}

/// Kebab-case texts that stand where a code does: first in a call, or before a comma in a tuple.
fn codes_of(text: &str, codes: &mut BTreeSet<String>) {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    for (at, _) in text.match_indices('"') {
        let Some((word, rest)) = text[at + 1..].split_once('"') else { continue };
        let is_code = word.contains('-')
            && !word.starts_with('-')
            && !word.ends_with('-')
            && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            && word.starts_with(|c: char| c.is_ascii_lowercase());
        let before = text[..at].trim_end();
        let is_first = before.ends_with('(') || before.ends_with("= ") || before.ends_with("=>");
        let of_diagnostic = ["error(", "warning(", "refuse(", "mistake(", "tell(", "told(", "at(", "new(", "stop("]
            .iter()
            .any(|call| before.ends_with(call));
        if is_code && is_first && of_diagnostic && rest.trim_start().starts_with(',') {
            codes.insert(word.to_string());
        }
    }
}
