//! Owns `runbook discard`: a run is given up, and what it holds is destroyed.

use super::Exit;
use super::config::Config;
use super::reveal::quoted;
use super::runs::{find, refuse, types};
use crate::event::RunOutcome;
use crate::journal::custody::Vault;
use crate::journal::folder::{RunFolder, State, short};
use crate::journal::history::History;
use crate::journal::index::Index;
use crate::journal::lock::{Claim, Ended, Holds, Locks};
use crate::journal::record::Record;
use crate::journal::writer::Journal;
use crate::secret::Masker;
use clap::Args;
use std::time::SystemTime;

#[derive(Args)]
pub struct DiscardArguments {
    /// The run: its id, the beginning or end of it, `last`, or its folder
    run: String,
    /// Does not ask
    #[arg(long)]
    yes: bool,
}

pub fn discard(arguments: &DiscardArguments, config: &Config, masker: &Masker) -> Exit {
    discarded(arguments, config, masker).unwrap_or_else(|exit| exit)
}

fn discarded(arguments: &DiscardArguments, config: &Config, masker: &Masker) -> Result<Exit, Exit> {
    let no = |exit, text: &str| refuse(exit, text, masker);
    let folder = find(&arguments.run, config, masker)?;
    let run = short(&folder.id);
    let (journal, history) = super::resume::open(&folder, masker)?;
    let passed = history.ended.as_ref().is_some_and(|(_, ended)| ended.outcome == RunOutcome::Passed);
    if (passed || history.custody.ended) && !Vault::is_there(&folder.path) {
        let why = if passed { "it has passed" } else { "that was done already" };
        super::tell(&format!("the run {run} holds nothing to discard: {why}"));
        return Ok(Exit::Passed);
    }
    if !passed && !arguments.yes {
        super::tell(&masker.mask(&crate::report::neutral(&loss(&history, run))));
        match types(run, &format!("type `{run}` to discard it")) {
            Some(true) => {}
            Some(false) => return Err(no(Exit::Failed, "that is not its id: nothing was discarded")),
            None => return Err(no(Exit::Waiting, "nobody is there to ask\nhelp: at a terminal, or with `--yes`")),
        }
    }
    end(&journal, &folder, passed, config).map_err(|error| no(Exit::Failed, &error))?;
    drop(journal);
    let state = State::at(&config.state.value);
    Index::of(&state).note_again(&folder);
    if passed {
        super::tell(&format!("the run {run} has passed; its key, which was still there, is destroyed"));
        return Ok(Exit::Passed);
    }
    let freed = free(&history, config, &state).map_err(|error| no(Exit::Failed, &error))?;
    let freed = if freed.is_empty() { String::new() } else { format!("; {} is free", quoted(&freed)) };
    super::tell(&masker.mask(&format!("the run {run} is given up, and what it held is destroyed{freed}")));
    Ok(Exit::Passed)
}

/// What would be lost.
fn loss(history: &History, run: &str) -> String {
    let holds = history.holds();
    let mut text = format!("the run {run} of `{}` would be given up:\n", history.playbook.name);
    for name in &holds {
        text.push_str(&format!(
            "  - `{name}`: nobody could read it any more; `runbook reveal {run} {name}` hands it out first\n"
        ));
    }
    if holds.is_empty() {
        text.push_str("  - it has captured no secret\n");
    }
    text.push_str("  - it could not be gone on with: what it has not done stays undone, and nothing it did is undone");
    text
}

/// Destroys the key, then says so: where that is cut short, it can be done again.
fn end(journal: &Journal, folder: &RunFolder, passed: bool, config: &Config) -> Result<(), String> {
    Vault::destroy(&folder.path).map_err(|error| format!("the run's key cannot be destroyed: {error}"))?;
    let why = if passed { "passed" } else { "discarded" };
    journal.note(SystemTime::now(), &Record::CustodyEnded { by: config.actor.value.clone(), why: why.into() });
    journal.sync()?;
    journal.give_back();
    Ok(())
}

/// Lets go of the locks that are still the run's.
fn free(history: &History, config: &Config, state: &State) -> Result<Vec<String>, String> {
    let locks = Locks::at(state.path());
    let failed = |what: &dyn std::fmt::Display| format!("the run is given up, but its lock cannot be freed: {what}");
    let mut freed = Vec::new();
    for seen in locks.all().map_err(|error| failed(&error))? {
        let Some(holder) = seen.holder.filter(|holder| holder.run == history.run.run && !holder.is_done()) else {
            continue;
        };
        let actor = config.actor.value.clone();
        let claim = Claim { run: &history.run.run, actor: &actor, take_over: false, holds: &|_| Holds::Nothing };
        let held = locks.acquire(&holder.lock, &claim).map_err(|error| failed(&error))?;
        held.release(Ended { outcome: RunOutcome::Failed, custody: false }).map_err(|error| failed(&error))?;
        freed.push(holder.lock);
    }
    Ok(freed)
}
