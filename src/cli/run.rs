//! Owns `runbook run`: from arguments to an exit code.

use super::begin::{self, New};
use super::config::Config;
use super::inputs::{Given, resolve};
use super::launch::{Launch, Remember, attest, can_confine, unknown_step};
use super::person::Words;
use super::{Exit, RunArguments};
use crate::diagnostic::{Severity, one_line};
use crate::plan::check::check_allowing;
use crate::playbook::Texts;
use crate::secret::Masker;
use crate::world::World;
use std::path::Path;
use std::rc::Rc;

pub fn run(arguments: &RunArguments, config: &Config, masker: &Masker) -> Exit {
    begun(arguments, config, masker).unwrap_or_else(|exit| exit)
}

fn begun(arguments: &RunArguments, config: &Config, masker: &Masker) -> Result<Exit, Exit> {
    let allowed = arguments.operator.allow.parse(&[])?;
    let checked = check_allowing(&arguments.playbook, &Texts::disk(), &allowed).map_err(|found| {
        super::tell_mistakes(&found);
        Exit::Mistakes
    })?;
    let plan = checked.plan.clone();
    for warning in checked.warnings.iter().filter(|warning| warning.severity == Severity::Warning) {
        super::tell(&one_line(warning));
    }
    if let Some(text) = &plan.deprecated {
        super::tell(&crate::report::neutral(&format!("warning: `{}` is deprecated: {}", plan.name, text.trim())));
    }
    let until = arguments.until.iter().map(|id| ("--until", id));
    let named = until.chain(arguments.operator.approve.iter().map(|id| ("--approve", id)));
    if let Some(fault) = unknown_step(&plan, named) {
        super::tell(&crate::report::neutral(&format!("error: {fault}")));
        return Err(Exit::Mistakes);
    }
    if arguments.no_journal && !arguments.dry_run && !plan.only_reads() {
        super::tell(
            "error: `--no-journal` is for playbooks that only read, and this one does more\n\
             help: leave it out: what is not recorded can be neither gone on with nor kept from being done twice",
        );
        return Err(Exit::Mistakes);
    }
    can_confine(&plan, config.confine.value)?;
    let world = arguments.world.as_deref().map(World::open).transpose();
    let world = world.map_err(|error| super::tell_world_error(&error))?.map(Rc::new);
    let given = Given { set: &arguments.set, files: &arguments.inputs, allowed: &allowed };
    let inputs = resolve(&plan, &given, world.as_deref(), masker).map_err(|unresolved| unresolved.tell(masker))?;
    if !arguments.dry_run {
        attest(&plan, &arguments.operator, world.as_deref())?;
    }
    let actor = config.actor.value.clone();
    let new = New {
        checked: &checked,
        inputs: &inputs,
        actor: &actor,
        world: world.as_ref().map(|world| world.address().to_string()),
        tags: &arguments.tags,
        until: arguments.until.as_ref(),
        take_over: arguments.operator.take_over,
        allowed: &allowed.texts,
    };
    // A rehearsal without effects has nothing to remember.
    let journalled = !arguments.dry_run && !arguments.no_journal;
    let (run, life, remember): (String, _, Option<Remember<'_>>) = match journalled {
        false => (uuid::Uuid::now_v7().to_string(), None, None),
        true => {
            let begun = begin::begin(&new, config, masker).map_err(|error| {
                let text = format!(
                    "error: the run cannot be remembered, so it was not begun: {error}\nhelp: its record is kept below {}; \
                     `--state-dir` or RUNBOOK_STATE_DIR names another folder",
                    config.state.value.display()
                );
                super::tell(&masker.mask(&text));
                Exit::Failed
            })?;
            let (run, life) = (begun.history.run.run.clone(), begun.journal.life());
            (run, Some(life), Some(Box::new(|person| begun.with(person, masker))))
        }
    };
    let launch = Launch {
        plan: &plan,
        inputs,
        operator: &arguments.operator,
        output: arguments.operator.output.unwrap_or(config.output.value),
        actor: actor.clone(),
        words: Words::default(),
        dry_run: arguments.dry_run,
        tags: arguments.tags.clone(),
        until: arguments.until.clone(),
        world: world.clone(),
        masker,
        life,
        allowed: allowed.clone(),
        confine: config.confine.value,
    };
    let exit = launch.go(remember, run);
    Ok(keep_world_state(arguments.world_state.as_deref(), world.as_deref(), exit))
}

/// Writes the world's last state where it is wanted.
pub fn keep_world_state(path: Option<&Path>, world: Option<&World>, exit: Exit) -> Exit {
    let (Some(path), Some(world)) = (path, world) else { return exit };
    match write_state(world, path) {
        Ok(()) => exit,
        Err(message) => {
            super::tell(&crate::report::neutral(&format!("error: {message}")));
            Exit::OurFault
        }
    }
}

/// The state of a world holds its secrets; the file is private like everything else we write.
fn write_state(world: &World, path: &Path) -> Result<(), String> {
    let state = world.state().map_err(|error| format!("the world's state cannot be had: {error}"))?;
    let text = serde_json::to_string_pretty(&state).unwrap_or_default();
    std::fs::write(path, text + "\n")
        .map_err(|error| format!("the world's state cannot be written to {}: {error}", path.display()))
}
