//! Owns `runbook list`: a line a run, the latest first.

use super::Exit;
use super::config::Config;
use super::runs::{FORMAT, Form, column, count, locks, minute, out, refuse};
use crate::event::RunOutcome;
use crate::journal::folder::{State, short};
use crate::journal::index::{Row, Runs, Standing};
use crate::journal::lock;
use crate::report::{Out, one_line};
use crate::secret::Masker;
use clap::Args;
use serde::Serialize;
use serde_json::Value as Json;

#[derive(Args)]
pub struct ListArguments {
    /// All of them, and not only the latest 50
    #[arg(long)]
    all: bool,
    /// Only runs of this playbook
    #[arg(long, value_name = "NAME")]
    playbook: Option<String>,
    /// human, or json (always all)
    #[arg(long, value_enum, default_value = "human")]
    output: Form,
}

/// How many are shown to people who do not ask for all.
const LATEST: usize = 50;

/// Columns of a screen.
const WIDTH: usize = 80;

/// Columns of a playbook's name and of an actor's, at most.
const WIDEST: usize = 30;
const WIDEST_ACTOR: usize = 14;

pub fn list(arguments: &ListArguments, config: &Config, masker: &Masker) -> Exit {
    listed(arguments, config, masker).unwrap_or_else(|exit| exit)
}

fn listed(arguments: &ListArguments, config: &Config, masker: &Masker) -> Result<Exit, Exit> {
    let state = State::at(&config.state.value);
    let mut runs = Runs::of(&state).map_err(|error| refuse(Exit::Failed, &error.to_string(), masker))?;
    let most = if arguments.all || arguments.output == Form::Json { usize::MAX } else { LATEST };
    let mut rows = Vec::new();
    let mut more = 0;
    for (at, id) in runs.ids().to_vec().iter().enumerate() {
        if rows.len() == most && arguments.playbook.is_none() {
            more = runs.ids().len() - at;
            break;
        }
        let Some(row) = runs.row(id) else { continue };
        if arguments.playbook.as_ref().is_some_and(|name| *name != row.playbook) {
            continue;
        }
        if rows.len() == most { more += 1 } else { rows.push(row) }
    }
    runs.keep();
    name_locks(&mut rows, &locks(config, masker)?);
    let mut out = out(masker);
    match arguments.output {
        Form::Json => {
            let listing = Listing { format: FORMAT, runs: rows.iter().map(form).collect() };
            out.json(&serde_json::to_string(&listing).unwrap_or_default());
        }
        Form::Human => tell(&rows, more, arguments, &mut out),
    }
    Ok(Exit::Passed)
}

/// A run that has not ended does not say which lock it took; the lock does.
pub fn name_locks(rows: &mut [Row], locks: &[lock::Seen]) {
    for row in rows.iter_mut().filter(|row| matches!(row.standing, Standing::Open | Standing::Live)) {
        let held = locks.iter().filter_map(|seen| seen.holder.as_ref()).find(|holder| holder.run == row.run);
        row.lock = held.map(|holder| holder.lock.clone());
    }
}

/// A run as programs are told of it.
#[derive(Serialize)]
struct Told<'a> {
    run: &'a str,
    begun: &'a str,
    playbook: &'a str,
    outcome: &'static str,
    actor: &'a str,
    round: u32,
    world: Option<&'a str>,
    lock: Option<&'a str>,
    holds: &'a [String],
    given_up: bool,
}

#[derive(Serialize)]
struct Listing<'a> {
    format: u32,
    runs: Vec<Told<'a>>,
}

/// The same, to be added to.
pub fn json(row: &Row) -> Json {
    serde_json::to_value(form(row)).unwrap_or_default()
}

fn form(row: &Row) -> Told<'_> {
    Told {
        run: &row.run,
        begun: &row.begun,
        playbook: &row.playbook,
        outcome: row.standing.word(),
        actor: &row.actor,
        round: row.round,
        world: row.world.as_deref(),
        lock: row.lock.as_deref(),
        holds: &row.holds,
        given_up: row.given_up,
    }
}

fn tell(rows: &[Row], more: usize, arguments: &ListArguments, out: &mut Out) {
    if rows.is_empty() {
        match &arguments.playbook {
            Some(name) => out.line(&one_line(&format!("there is no run of `{name}`"))),
            None => out.line("there is no run yet"),
        }
        return;
    }
    let width = |text: fn(&Row) -> &str, most: usize, heading: &str| {
        let widest = rows.iter().map(|row| text(row).chars().count()).max().unwrap_or_default();
        widest.max(heading.len()).min(most)
    };
    let name = width(|row| &row.playbook, WIDEST, "playbook");
    let actor = width(|row| &row.actor, WIDEST_ACTOR, "by");
    let heading = format!("{:8}  {:16}  {:11}  {:name$}  {:actor$}", "run", "begun (UTC)", "outcome", "playbook", "by");
    out.line(&out.paint("2", heading.trim_end()));
    for row in rows {
        let outcome = out.paint(colour(row.standing), &column(row.standing.word(), 11));
        let (playbook, by) = (column(&row.playbook, name), column(&row.actor, actor));
        let line = format!("{}  {}  {outcome}  {playbook}  {by}", short(&row.run), minute(&row.begun));
        // Eight digits, a minute, an outcome, and two between each.
        let width = 8 + 16 + 11 + name + actor + 8;
        let rest = one_line(&aside(row));
        let beside = width + 2 + rest.chars().count() <= WIDTH;
        match rest.is_empty() {
            true => out.line(line.trim_end()),
            false if beside => out.line(&format!("{line}  {}", out.paint("2", &rest))),
            false => {
                out.line(line.trim_end());
                out.line(&format!("{}{}", " ".repeat(10), out.paint("2", &rest)));
            }
        }
    }
    if more > 0 {
        out.line(&format!(
            "and {}: `runbook list --all`",
            count(more, "older run").replace("1 older run", "one older run")
        ));
    }
}

/// What only some runs have.
fn aside(row: &Row) -> String {
    let mut parts = Vec::new();
    if row.world.is_some() {
        parts.push("rehearsal".to_string());
    }
    if row.round > 1 {
        parts.push(format!("round {}", row.round));
    }
    if row.given_up {
        parts.push("given up".to_string());
    }
    parts.extend(row.lock.iter().map(|lock| format!("lock {lock}")));
    if !row.holds.is_empty() {
        parts.push(format!("holds {}", row.holds.join(", ")));
    }
    parts.join(" · ")
}

pub fn colour(standing: Standing) -> &'static str {
    match standing {
        Standing::Ended(RunOutcome::Passed) => "32",
        Standing::Ended(RunOutcome::Failed | RunOutcome::Refused) | Standing::Damaged => "31",
        Standing::Live => "34",
        _ => "33",
    }
}
