//! Owns `runbook status`: what needs attention; or one run in detail.

mod one;

use super::Exit;
use super::config::Config;
use super::list::{json as row_json, name_locks};
use super::runs::{FORMAT, Form, count, find, locks, minute, out, refuse};
use crate::event::RunOutcome;
use crate::journal::custody::Vault;
use crate::journal::folder::{State, short};
use crate::journal::index::{Row, Runs, Standing};
use crate::journal::lock;
use crate::report::{Out, one_line};
use crate::secret::Masker;
use clap::Args;
use serde_json::{Value as Json, json};

#[derive(Args)]
pub struct StatusArguments {
    /// One run in detail: its id, the beginning or end of it, `last`, or its folder
    run: Option<String>,
    #[arg(long, value_enum, default_value = "human")]
    output: Form,
}

/// Why a run needs attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// It does not: a process is at it.
    None,
    /// Somebody has to go on with it, or give it up.
    GoOn,
    /// A person has to answer first.
    Answer,
    /// It has passed, and its key is still there.
    EndCustody,
    /// Its journal is damaged.
    Look,
}

pub fn status(arguments: &StatusArguments, config: &Config, masker: &Masker) -> Exit {
    let told = match &arguments.run {
        Some(run) => find(run, config, masker)
            .and_then(|folder| one::detail(&folder, arguments.output == Form::Json, config, masker)),
        None => overview(arguments, config, masker),
    };
    told.map_or_else(|exit| exit, |()| Exit::Passed)
}

fn overview(arguments: &StatusArguments, config: &Config, masker: &Masker) -> Result<(), Exit> {
    let state = State::at(&config.state.value);
    let mut runs = Runs::of(&state).map_err(|error| refuse(Exit::Failed, &error.to_string(), masker))?;
    let all = runs.ids().to_vec();
    let mut found = Vec::new();
    for id in &all {
        let Some(row) = runs.row(id) else { continue };
        if let Some(need) = need(&row, || Vault::is_there(&runs.folder(id).path)) {
            found.push((row, need));
        }
    }
    runs.keep();
    let locks = locks(config, masker)?;
    let (mut rows, needs): (Vec<Row>, Vec<Need>) = found.into_iter().unzip();
    name_locks(&mut rows, &locks);
    let mut out = out(masker);
    if arguments.output == Form::Json {
        let runs: Vec<Json> = rows.iter().zip(&needs).map(|(row, need)| with_next(row, *need)).collect();
        let locks: Vec<Json> = locks.iter().map(lock_form).collect();
        out.json(&json!({"format": FORMAT, "runs": runs, "locks": locks}).to_string());
        return Ok(());
    }
    if rows.is_empty() && locks.is_empty() {
        let quiet = if all.is_empty() { "there is no run yet".into() } else { count(all.len(), "run") };
        out.line(&format!("nothing needs attention: {quiet}"));
    }
    for (row, need) in rows.iter().zip(&needs) {
        tell(row, *need, &mut out);
    }
    if !locks.is_empty() {
        out.line(&out.paint("1", "locks"));
        locks.iter().for_each(|seen| out.line(&format!("  {}", one_line(&lock_line(seen)))));
    }
    Ok(())
}

fn need(row: &Row, key: impl FnOnce() -> bool) -> Option<Need> {
    match row.standing {
        _ if row.given_up => None,
        Standing::Live => Some(Need::None),
        Standing::Open => Some(Need::GoOn),
        Standing::Damaged => Some(Need::Look),
        Standing::Ended(RunOutcome::Passed) => key().then_some(Need::EndCustody),
        Standing::Ended(RunOutcome::Waiting | RunOutcome::Unknown) => Some(Need::Answer),
        Standing::Ended(_) => (!row.holds.is_empty()).then_some(Need::GoOn),
    }
}

/// What can be done, each with the command that does it.
fn next(row: &Row, need: Need) -> Vec<(String, String)> {
    let run = short(&row.run);
    let way = |command: String, does: &str| (command, does.to_string());
    match need {
        Need::None => vec![way(format!("runbook show {run} --follow"), "watches it")],
        Need::EndCustody => vec![way(format!("runbook discard {run}"), "destroys its key, which is still there")],
        Need::Look => vec![way(format!("runbook verify {run}"), "says what is wrong with its journal")],
        Need::GoOn | Need::Answer => {
            let answers = if need == Need::Answer { "asks what it waits for, and goes on" } else { "goes on" };
            let mut ways = vec![way(format!("runbook resume {run}"), answers)];
            let reveal = |name: &String| way(format!("runbook reveal {run} {name}"), "hands it to you");
            ways.extend(row.holds.iter().map(reveal));
            let does = if row.holds.is_empty() { "gives it up" } else { "gives it up, and destroys what it holds" };
            ways.push(way(format!("runbook discard {run}"), does));
            ways
        }
    }
}

fn with_next(row: &Row, need: Need) -> Json {
    let mut form = row_json(row);
    form["next"] =
        next(row, need).into_iter().map(|(command, does)| json!({"command": command, "does": does})).collect();
    form
}

fn tell(row: &Row, need: Need, out: &mut Out) {
    let word = out.paint(super::list::colour(row.standing), row.standing.word());
    let of = if row.playbook.is_empty() { String::new() } else { format!("{} by {}, ", row.playbook, row.actor) };
    out.line(&format!("{}  {word}  {}", short(&row.run), one_line(&format!("{of}begun {}", minute(&row.begun)))));
    let facts = [
        row.lock.as_ref().map(|lock| format!("lock {lock}")),
        (!row.holds.is_empty()).then(|| format!("holds {}", row.holds.join(", "))),
        row.world.as_ref().map(|_| "a rehearsal".to_string()),
    ];
    let facts: Vec<String> = facts.into_iter().flatten().collect();
    if !facts.is_empty() {
        out.line(&format!("  {}", one_line(&facts.join(" · "))));
    }
    let ways = next(row, need);
    let width = ways.iter().map(|(command, _)| command.chars().count()).max().unwrap_or_default();
    for (command, does) in ways {
        out.line(&one_line(&format!("  {command:width$}  {does}")));
    }
}

fn lock_form(seen: &lock::Seen) -> Json {
    let holder = seen.holder.as_ref();
    json!({
        "lock": holder.map(|holder| &holder.lock), "held": seen.is_live, "run": holder.map(|holder| &holder.run),
        "actor": holder.map(|holder| &holder.actor), "host": holder.map(|holder| &holder.host),
        "pid": holder.map(|holder| holder.pid), "since": holder.map(|holder| &holder.since),
        "ended": holder.and_then(|holder| holder.ended.as_ref()), "file": seen.file,
    })
}

fn lock_line(seen: &lock::Seen) -> String {
    let Some(holder) = &seen.holder else {
        let held = if seen.is_live { "held" } else { "left" };
        return format!("{} is {held} by nobody knows whom: it cannot be read", seen.file.display());
    };
    let who = format!("run {} by {}, since {}", short(&holder.run), holder.actor, minute(&holder.since));
    match (seen.is_live, holder.ended.as_deref()) {
        (true, _) => format!("{}: held by {who}, process {} on {}", holder.lock, holder.pid, holder.host),
        (false, Some(ended)) => format!("{}: kept for {who}, which ended {ended}", holder.lock),
        (false, None) => format!("{}: left by {who}, which broke off", holder.lock),
    }
}
