//! Owns one run in detail: what is known of it, what it holds, and how it can be gone on with.

use super::super::Exit;
use super::super::config::Config;
use super::super::runs::{FORMAT, column, locks, minute, out, see};
use super::{need, next};
use crate::event::RunOutcome;
use crate::journal::folder::RunFolder;
use crate::journal::history::History;
use crate::journal::index::{Row, Standing};
use crate::journal::look::Seen;
use crate::journal::record::Record;
use crate::plan::duration::show_moment;
use crate::report::neutral;
use crate::secret::Masker;
use crate::value::text_of;
use serde_json::{Value as Json, json};

pub fn detail(folder: &RunFolder, as_json: bool, config: &Config, masker: &Masker) -> Result<(), Exit> {
    let seen = see(folder, masker)?;
    let mut row = row(&seen);
    super::name_locks(std::slice::from_mut(&mut row), &locks(config, masker)?);
    let need = need(&row, || seen.key);
    let mut out = out(masker);
    if as_json {
        out.json(&json!({"format": FORMAT, "run": form(folder, &seen, &row, need)}).to_string());
        return Ok(());
    }
    for (name, text) in facts(folder, &seen, &row) {
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        out.line(neutral(&format!("{}{first}", column(name, 13))).trim_end());
        lines.for_each(|line| out.line(&neutral(&format!("{}{line}", " ".repeat(13)))));
    }
    if let Some(need) = need {
        let ways = next(&row, need);
        let width = ways.iter().map(|(command, _)| command.chars().count()).max().unwrap_or_default();
        out.line("what to do");
        ways.iter().for_each(|(command, does)| out.line(&neutral(&format!("  {command:width$}  {does}"))));
    }
    Ok(())
}

fn row(seen: &Seen) -> Row {
    let standing = match &seen.history.ended {
        Some((_, ended)) => Standing::Ended(ended.outcome),
        None if seen.live => Standing::Live,
        None => Standing::Open,
    };
    let lock = seen.history.ended.as_ref().and_then(|(_, ended)| ended.lock.clone());
    let given_up = seen.history.custody.ended && standing != Standing::Ended(RunOutcome::Passed);
    Row { standing, given_up, lock, holds: seen.holds(), ..crate::journal::index::first(&seen.history) }
}

fn facts(folder: &RunFolder, seen: &Seen, row: &Row) -> Vec<(&'static str, String)> {
    let history = &seen.history;
    let mut facts = vec![
        ("run", row.run.clone()),
        ("playbook", format!("{}\n{}", row.playbook, history.playbook.path)),
        ("begun", format!("{} by {}", minute(&row.begun), row.actor)),
        ("outcome", outcome(history, row)),
        ("last record", minute(&show_moment(history.last))),
        ("process", format!("{} on {}", seen.process().pid, seen.process().host)),
    ];
    facts.extend(row.world.as_ref().map(|world| ("rehearsal", format!("in the world at {world}"))));
    facts.extend(row.lock.as_ref().map(|lock| ("lock", lock.clone())));
    if !history.run.allowed.is_empty() {
        facts.push((
            "permitted",
            format!("besides, for this run: {}", history.run.allowed.join("\nbesides, for this run: ")),
        ));
    }
    if !history.programs.is_empty() {
        facts.push(("programs", history.programs.join("\n")));
    }
    let inputs: Vec<String> = inputs(history).iter().map(|(name, shown)| format!("{name}: {shown}")).collect();
    if !inputs.is_empty() {
        facts.push(("inputs", inputs.join("\n")));
    }
    let held: Vec<String> =
        held(seen, row).iter().map(|(name, step, at)| format!("{name}, of step {step}, {}", minute(at))).collect();
    if !held.is_empty() {
        facts.push(("holds", held.join("\n")));
    }
    if history.custody.ended && !history.custody.born.is_empty() {
        facts.push(("holds", "nothing any more: its key is destroyed".into()));
    } else if !seen.key && !history.custody.born.is_empty() {
        facts.push(("holds", "nothing: its key is gone, so nobody can open what it captured".into()));
    }
    let revealed: Vec<String> =
        revealed(seen).map(|(secret, by, to, at)| format!("{secret} by {by} to {to}, {}", minute(&at))).collect();
    if !revealed.is_empty() {
        facts.push(("revealed", revealed.join("\n")));
    }
    if seen.torn > 0 && !seen.live {
        facts.push((
            "torn",
            format!("{} bytes of a last record; they are cut off when the run is gone on with", seen.torn),
        ));
    }
    facts.push(("folder", folder.path.display().to_string()));
    facts
}

fn outcome(history: &History, row: &Row) -> String {
    let round = if row.round > 1 { format!(", round {}", row.round) } else { String::new() };
    let at = history.ended.as_ref().map(|(at, _)| format!(", {}", minute(&show_moment(*at)))).unwrap_or_default();
    let given_up = if row.given_up { ", given up" } else { "" };
    let mut lines = vec![format!("{}{round}{at}{given_up}", row.standing.word())];
    let failures = history.ended.iter().flat_map(|(_, ended)| &ended.failures);
    lines.extend(
        failures.map(|(step, why)| format!("{}: {}", if step.is_empty() { "the run" } else { step }, why.message)),
    );
    lines.join("\n")
}

/// Public inputs with their values; of secret ones where they came from.
fn inputs(history: &History) -> Vec<(String, String)> {
    let shown = |input: &crate::journal::record::Input| match &input.value {
        Some(value) if value.sealed.is_none() => text_of(&value.json),
        _ => {
            let source = &input.source;
            let word = |key: &str| source.get(key).map(text_of);
            let parts: Vec<String> = ["from", "name", "path"].iter().filter_map(|key| word(key)).collect();
            format!("*** ({})", if parts.is_empty() { text_of(source) } else { parts.join(" ") })
        }
    };
    history.run.inputs.iter().map(|input| (input.name.clone(), shown(input))).collect()
}

/// The latest of each name that is held: (name, step, when).
fn held(seen: &Seen, row: &Row) -> Vec<(String, String, String)> {
    let born = &seen.history.custody.born;
    let latest = |name: &String| born.iter().rev().find(|born| born.name == *name);
    let told = row.holds.iter().filter_map(latest);
    told.map(|born| (born.name.clone(), born.step.clone(), show_moment(born.at))).collect()
}

fn revealed(seen: &Seen) -> impl Iterator<Item = (&String, &String, &String, String)> {
    seen.records.iter().filter_map(|(at, record)| match record {
        Record::Revealed { secret, by, to } => Some((secret, by, to, show_moment(*at))),
        _ => None,
    })
}

fn form(folder: &RunFolder, seen: &Seen, row: &Row, need: Option<super::Need>) -> Json {
    let history = &seen.history;
    let mut form = super::row_json(row);
    let failures = history.ended.iter().flat_map(|(_, ended)| &ended.failures);
    let next = need.map(|need| next(row, need)).unwrap_or_default();
    let more = json!({
        "path": history.playbook.path, "digest": history.playbook.digest, "folder": folder.path,
        "ended": history.ended.as_ref().map(|(at, _)| show_moment(*at)), "last": show_moment(history.last),
        "process": {"pid": seen.process().pid, "host": seen.process().host}, "key": seen.key, "torn_bytes": seen.torn,
        "inputs": inputs(history).into_iter().map(|(name, shown)| (name, Json::from(shown))).collect::<serde_json::Map<_, _>>(),
        "failures": failures.map(|(step, why)| json!({"step": step, "message": why.message})).collect::<Vec<_>>(),
        "secrets": held(seen, row).iter().map(|(name, step, at)| json!({"name": name, "step": step, "at": at})).collect::<Vec<_>>(),
        "allowed": history.run.allowed, "programs": history.programs,
        "revealed": revealed(seen).map(|(secret, by, to, at)| json!({"name": secret, "by": by, "to": to, "at": at})).collect::<Vec<_>>(),
        "next": next.iter().map(|(command, does)| json!({"command": command, "does": does})).collect::<Vec<_>>(),
    });
    if let (Some(form), Json::Object(more)) = (form.as_object_mut(), more) {
        form.extend(more);
    }
    form
}
