//! Owns `runbook verify`: whether the records of runs are those that were written.

use super::Exit;
use super::config::Config;
use super::runs::{FORMAT, Form, count, find, out, refuse};
use crate::journal::folder::{RunFolder, State, short};
use crate::journal::verify::{Verdict, verify as judge};
use crate::journal::writer::is_live;
use crate::report::{Out, neutral};
use crate::secret::Masker;
use clap::Args;
use serde_json::{Value as Json, json};

#[derive(Args)]
pub struct VerifyArguments {
    /// The runs: an id, the beginning or end of one, `last`, or a folder
    #[arg(required_unless_present = "all", value_name = "RUN")]
    runs: Vec<String>,
    /// Every run there is
    #[arg(long, conflicts_with = "runs")]
    all: bool,
    #[arg(long, value_enum, default_value = "human")]
    output: Form,
}

pub fn verify(arguments: &VerifyArguments, config: &Config, masker: &Masker) -> Exit {
    verified(arguments, config, masker).unwrap_or_else(|exit| exit)
}

fn verified(arguments: &VerifyArguments, config: &Config, masker: &Masker) -> Result<Exit, Exit> {
    let folders: Vec<RunFolder> = match arguments.all {
        true => {
            let state = State::at(&config.state.value);
            let ids = state.ids().map_err(|error| refuse(Exit::Failed, &error.to_string(), masker))?;
            ids.into_iter().map(|id| RunFolder { path: state.runs().join(&id), id }).collect()
        }
        false => arguments.runs.iter().map(|run| find(run, config, masker)).collect::<Result<_, _>>()?,
    };
    let mut out = out(masker);
    let mut damaged = 0;
    let mut forms = Vec::new();
    for folder in &folders {
        let live = is_live(&folder.journal());
        let verdict = judge(folder);
        damaged += usize::from(!verdict.faults.is_empty());
        match arguments.output {
            Form::Json => forms.push(form(folder, &verdict, live)),
            Form::Human => tell(folder, &verdict, live, &mut out),
        }
    }
    if arguments.output == Form::Json {
        out.json(&json!({"format": FORMAT, "runs": forms}).to_string());
    } else if folders.len() != 1 {
        let all = count(folders.len(), "run");
        out.line(&if damaged == 0 { format!("{all}, all whole") } else { format!("{all}, {damaged} damaged") });
    }
    Ok(if damaged == 0 { Exit::Passed } else { Exit::Failed })
}

fn form(folder: &RunFolder, verdict: &Verdict, live: bool) -> Json {
    let faults = verdict.faults.iter();
    json!({
        "run": folder.id, "whole": verdict.faults.is_empty(), "under_way": live, "records": verdict.records,
        "torn_bytes": verdict.torn, "playbook_copies": verdict.copies,
        "faults": faults.map(|fault| json!({"record": fault.record, "what": fault.what, "means": fault.means})).collect::<Vec<_>>(),
    })
}

fn tell(folder: &RunFolder, verdict: &Verdict, live: bool, out: &mut Out) {
    let id = short(&folder.id).to_string();
    let torn = match (verdict.torn, live) {
        (0, _) => String::new(),
        (_, true) => ", its last record is being written".into(),
        (bytes, false) => format!(", last record torn ({})", count(bytes, "byte")),
    };
    let records = count(usize::try_from(verdict.records).unwrap_or(usize::MAX), "record");
    if verdict.faults.is_empty() {
        let copies = if verdict.copies > 0 { ", playbook copies unchanged" } else { "" };
        out.line(&format!("{} {id}  {records}, chain whole{copies}{torn}", out.paint("32", "✔")));
        return;
    }
    out.line(&format!("{} {id}  {records} as they were written{torn}", out.paint("1;31", "✖")));
    for fault in &verdict.faults {
        let at = fault.record.map(|record| format!("record {record}: ")).unwrap_or_default();
        out.line(&neutral(&format!("  {at}{}\n    {}", fault.what, fault.means)));
    }
}
