//! Owns `runbook resume`: from a run's folder to an exit code.

use super::begin::{self, Again};
use super::config::Config;
use super::inputs::{Given, resolve_again};
use super::launch::{Launch, attest, can_confine, unknown_step};
use super::person::Words;
use super::{Exit, ResumeArguments};
use crate::digest::sha256_hex;
use crate::event::RunOutcome;
use crate::journal::custody::Vault;
use crate::journal::folder::{RunFolder, State};
use crate::journal::history::History;
use crate::journal::host::{Host, lives};
use crate::journal::look;
use crate::journal::record::{Playbook, Record};
use crate::journal::writer::{Journal, OpenError};
use crate::plan::check::{Checked, check_allowing};
use crate::plan::permissions::Allowed;
use crate::playbook::{Recording, Texts};
use crate::secret::Masker;
use crate::world::World;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

pub fn resume(arguments: &ResumeArguments, config: &Config, masker: &Masker) -> Exit {
    resumed(arguments, config, masker).unwrap_or_else(|exit| exit)
}

fn refuse(exit: Exit, text: &str) -> Exit {
    super::tell(&crate::report::neutral(&format!("error: {text}")));
    exit
}

fn resumed(arguments: &ResumeArguments, config: &Config, masker: &Masker) -> Result<Exit, Exit> {
    let state = State::at(&config.state.value);
    let folder = state.find(&arguments.run).map_err(|error| refuse(Exit::Mistakes, &error.to_string()))?;
    let (journal, history) = open(&folder, masker)?;
    let run = history.run.run.clone();
    if let Some((_, ended)) = &history.ended
        && ended.outcome == RunOutcome::Passed
    {
        let ended = Vault::destroy(&folder.path).map(|there| {
            // Or it is gone, and whoever destroyed it was cut short before saying so.
            if there || (history.custody.proven && !history.custody.ended) {
                let by = config.actor.value.clone();
                journal.note(SystemTime::now(), &Record::CustodyEnded { by, why: "passed".into() });
                let _ = journal.sync();
            }
        });
        ended.map_err(|error| refuse(Exit::Failed, &format!("the run's key cannot be destroyed: {error}")))?;
        super::tell(&format!("the run {run} has passed: there is nothing to go on with"));
        return Ok(Exit::Passed);
    }
    let world = world(arguments, &history)?;
    let allowed = arguments.operator.allow.parse(&history.run.allowed)?;
    let checked = playbook(arguments, &history, &folder, &allowed)?;
    let plan = checked.plan.clone();
    can_confine(&plan, config.confine.value)?;
    let words = Words::new(arguments.redo.clone(), arguments.done.clone(), arguments.abandon);
    let named = arguments.redo.iter().map(|id| ("--redo", id)).chain(arguments.done.iter().map(|id| ("--done", id)));
    let approved = arguments.operator.approve.iter().map(|id| ("--approve", id));
    if let Some(fault) = unknown_step(&plan, named.chain(approved)) {
        return Err(refuse(Exit::Mistakes, &fault));
    }
    let vault = Vault::new(&folder.path, &run, Some(Rc::new(super::keys::keeper(config, masker))));
    if history.custody.ended {
        let text = format!(
            "custody of what the run {run} held was ended: what it captured can be opened by nobody, so nothing can go on \
             with it\nhelp: see `runbook show {run}` for what was done, and begin a new run"
        );
        return Err(refuse(Exit::Refused, &text));
    }
    let recorded =
        begin::recorded_inputs(&history, &vault, masker).map_err(|error| refuse(Exit::Failed, &masker.mask(&error)))?;
    let captured =
        begin::captured(&history, &vault, masker).map_err(|error| refuse(Exit::Failed, &masker.mask(&error)))?;
    let given = Given { set: &arguments.set, files: &arguments.inputs, allowed: &allowed };
    let inputs = resolve_again(&plan, &recorded, &captured, &given, world.as_deref(), masker)
        .map_err(|unresolved| unresolved.tell(masker))?;
    attest(&plan, &arguments.operator, world.as_deref())?;
    let actor = config.actor.value.clone();
    let again = Again {
        checked: &checked,
        actor: &actor,
        world: world.as_ref().map(|world| world.address().to_string()),
        inputs: &inputs,
        recorded: &recorded,
        current: arguments.with_current_playbook,
        take_over: arguments.operator.take_over,
        allowed: &allowed.texts,
    };
    let (tags, until) = (history.run.tags.clone(), history.run.until.clone());
    let begun = begin::go_on(&again, &state, &folder, journal, history, vault, masker)
        .map_err(|error| refuse(Exit::Failed, &masker.mask(&format!("the run cannot be gone on with: {error}"))))?;
    let launch = Launch {
        plan: &plan,
        inputs,
        operator: &arguments.operator,
        output: arguments.operator.output.unwrap_or(config.output.value),
        actor,
        words,
        dry_run: false,
        tags,
        until,
        world: world.clone(),
        masker,
        life: Some(begun.journal.life()),
        allowed: allowed.clone(),
        confine: config.confine.value,
    };
    let exit = launch.go(Some(Box::new(|person| begun.with(person, masker))), run);
    Ok(super::run::keep_world_state(arguments.world_state.as_deref(), world.as_deref(), exit))
}

/// What a killed run had started has two seconds to end; for so long the run is not gone on with.
const LOOKS: u32 = 60;
const LOOK: Duration = Duration::from_millis(50);

/// Whether the process of a run is gone, and only what it had started is left.
fn is_killed(folder: &RunFolder) -> bool {
    look::look(folder).is_ok_and(|seen| {
        let process = seen.process();
        process.host == Host::here().name && !lives(process.pid)
    })
}

/// The run's journal, for this process alone.
pub fn open(folder: &RunFolder, masker: &Masker) -> Result<(Journal, History), Exit> {
    let mut opened = Journal::open(&folder.journal(), masker, begin::fault());
    for _ in 0..LOOKS {
        if !matches!(opened, Err(OpenError::Live)) || !is_killed(folder) {
            break;
        }
        std::thread::sleep(LOOK);
        opened = Journal::open(&folder.journal(), masker, begin::fault());
    }
    let (journal, reading) = opened.map_err(|error| match error {
        OpenError::Live => {
            let who = look::look(folder).map(|seen| {
                let process = seen.process();
                format!("by {}, process {} on {}", seen.history.run.actor, process.pid, process.host)
            });
            let who = who.unwrap_or_else(|_| "by another process".into());
            refuse(
                Exit::Refused,
                &format!(
                    "the run {} is under way {who}\nhelp: `runbook show {} --follow` watches it",
                    folder.id, folder.id
                ),
            )
        }
        error => refuse(Exit::Failed, &format!("{error}\nhelp: `runbook verify {}` says more", folder.id)),
    })?;
    let damaged = |text: String| refuse(Exit::Failed, &format!("{} is damaged: {text}", folder.journal().display()));
    if reading.records.is_empty() {
        let text = format!(
            "the run {} was cut short before its first record: nothing was done\nhelp: begin a new run",
            folder.id
        );
        return Err(refuse(Exit::Mistakes, &text));
    }
    let history = History::of(&reading.records).map_err(|damage| damaged(damage.to_string()))?;
    Ok((journal, history))
}

/// The world that the run goes on in: a rehearsal stays one, and what is real never becomes one.
fn world(arguments: &ResumeArguments, history: &History) -> Result<Option<Rc<World>>, Exit> {
    let before = &history.run.world;
    let what = match (before, &arguments.world) {
        (None, None) => return Ok(None),
        (None, Some(_)) => {
            let text = "this run is no rehearsal: what it has done is real, and a world would know nothing of it";
            return Err(refuse(Exit::Mistakes, &format!("{text}\nhelp: leave `--world` out")));
        }
        (Some(_), Some(given)) => given,
        (Some(before), None) => before,
    };
    match World::open(what) {
        Ok(world) => Ok(Some(Rc::new(world))),
        Err(error) if arguments.world.is_none() => {
            super::tell(&format!(
                "error: this run is a rehearsal in the world at {what}, which is gone ({error})\nhelp: say where it goes on: \
                 `--world URL`; keep a world up for several runs with `runbook world FILE`"
            ));
            Err(Exit::Mistakes)
        }
        Err(error) => Err(super::tell_world_error(&error)),
    }
}

/// The plan that the run goes on with: the one it was begun with, or that of today.
fn playbook(
    arguments: &ResumeArguments,
    history: &History,
    folder: &RunFolder,
    allowed: &Allowed,
) -> Result<Checked, Exit> {
    let mistakes = |found: Vec<crate::diagnostic::Diagnostic>| {
        super::tell_mistakes(&found);
        Exit::Mistakes
    };
    let path = PathBuf::from(&history.playbook.path);
    let texts = kept_texts(&history.playbook, folder).map_err(|error| refuse(Exit::Failed, &error))?;
    let kept = check_allowing(&path, &texts, allowed).map_err(mistakes)?;
    if kept.digest != history.playbook.digest {
        let text = format!(
            "this runbook ({}) would walk the playbook otherwise than the one that began the run ({})\n\
             help: go on with that version, or see `runbook show {}` for what is done and finish by hand",
            env!("CARGO_PKG_VERSION"),
            history.run.program,
            folder.id
        );
        return Err(refuse(Exit::Refused, &text));
    }
    if !arguments.with_current_playbook {
        return Ok(kept);
    }
    let current = check_allowing(&path, &Texts::disk(), allowed).map_err(mistakes)?;
    let changed = crate::plan::same::differences(&kept.plan, &current.plan, &history.passed());
    if changed.is_empty() {
        return Ok(current);
    }
    super::tell_mistakes(&changed);
    Err(refuse(
        Exit::Mistakes,
        &format!(
            "what this run has done already is written otherwise now\nhelp: go on with the run's own copy: `runbook resume {}`",
            folder.id
        ),
    ))
}

/// The copies of the playbook's files, each still what it was.
pub fn kept_texts(playbook: &Playbook, folder: &RunFolder) -> Result<Texts, String> {
    let mut recording = Recording { entry: PathBuf::from(&playbook.path), ..Recording::default() };
    for file in &playbook.files {
        let path = folder.playbook().join(&file.copy);
        let bytes =
            folder.kept(file).map_err(|error| format!("the copy {} cannot be read: {error}", path.display()))?;
        if sha256_hex(&bytes) != file.sha256 {
            return Err(format!("the copy {} was changed: its SHA-256 is not the recorded one", path.display()));
        }
        recording.files.push((PathBuf::from(&file.path), bytes));
    }
    recording.found = playbook.found.iter().map(|(asked, found)| (asked.into(), found.into())).collect();
    Ok(Texts::recorded(recording))
}
