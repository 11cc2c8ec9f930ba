//! Owns `runbook check`: which files are playbooks, and how their mistakes are told.

use super::{CheckArguments, CheckOutput, Exit};
use crate::diagnostic::{Diagnostic, Severity};
use crate::plan::check::check_allowing;
use crate::playbook::Texts;
use crate::source::Part;
use serde_json::json;
use std::path::{Path, PathBuf};

pub fn check(arguments: &CheckArguments) -> Exit {
    let mut found: Vec<Diagnostic> = Vec::new();
    let mut files = Vec::new();
    for path in &arguments.paths {
        if path.is_dir() {
            playbooks_below(path, &mut files);
        } else {
            files.push(path.clone());
        }
    }
    let allowed = match arguments.allow.parse(&[]) {
        Ok(allowed) => allowed,
        Err(exit) => return exit,
    };
    files.sort();
    if files.is_empty() {
        super::tell("error: there is no playbook here (a YAML file that says `runbook: 1`)");
        return Exit::Mistakes;
    }
    for file in &files {
        match check_allowing(file, &Texts::disk(), &allowed) {
            Ok(checked) => found.extend(checked.warnings),
            Err(mistakes) => found.extend(mistakes),
        }
    }
    // A module that several playbooks use is judged with each of them; its mistakes are told once.
    let mut seen = std::collections::HashSet::new();
    found.retain(|diagnostic| seen.insert(crate::diagnostic::one_line(diagnostic)));
    let broken = found.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
    match arguments.output {
        CheckOutput::Human => {
            if !found.is_empty() {
                super::tell_mistakes(&found);
            }
            if !broken {
                let count = files.len();
                super::print_line(&format!(
                    "{count} {} fine",
                    if count == 1 { "playbook is" } else { "playbooks are" }
                ));
            }
        }
        CheckOutput::Json => {
            let list: Vec<_> = found.iter().map(form).collect();
            super::print_line(&json!({"format": 1, "files": files, "diagnostics": list}).to_string());
        }
    }
    if broken { Exit::Mistakes } else { Exit::Passed }
}

fn form(diagnostic: &Diagnostic) -> serde_json::Value {
    json!({
        "code": diagnostic.code,
        "severity": match diagnostic.severity { Severity::Error => "error", Severity::Warning => "warning" },
        "message": diagnostic.message,
        "labels": diagnostic.labels.iter().map(|label| {
            let span = label.place.span(&label.part);
            let (line, column) = label.place.source.line_column(span.start);
            let (end_line, end_column) = label.place.source.line_column(span.end);
            json!({
                "file": label.place.source.name, "line": line, "column": column, "end_line": end_line,
                "end_column": end_column, "text": label.text, "key": label.part == Part::Key,
            })
        }).collect::<Vec<_>>(),
        "notes": diagnostic.notes,
        "help": diagnostic.help,
    })
}

/// YAML files below a folder that say `runbook:` on a line of their own; worlds and scenarios do not.
fn playbooks_below(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && !hidden {
            playbooks_below(&path, files);
        } else if kind.is_file() && matches!(path.extension().and_then(|end| end.to_str()), Some("yaml" | "yml")) {
            let says_so =
                std::fs::read_to_string(&path).is_ok_and(|text| text.lines().any(|line| line.starts_with("runbook:")));
            if says_so {
                files.push(path);
            }
        }
    }
}
