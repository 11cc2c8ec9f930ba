//! Owns `runbook run`: from arguments to an exit code.

use super::config::{Config, Flags};
use super::inputs::{Unresolved, resolve};
use super::person::{Operator, Terminal};
use super::{Exit, OutputKind, RunArguments};
use crate::action::{Hands, http};
use crate::diagnostic::{Severity, one_line};
use crate::engine::{Engine, Options, Sink};
use crate::event::{RunEvent, RunOutcome};
use crate::ledger::Transient;
use crate::plan::Plan;
use crate::report::{Human, Json, Out, Reporter};
use crate::secret::Masker;
use crate::value::Value;
use crate::world::World;
use std::cell::RefCell;
use std::io::IsTerminal;
use std::rc::Rc;

pub fn run(arguments: RunArguments, flags: &Flags, masker: &Masker) -> Exit {
    let config = match Config::load(flags) {
        Ok(config) => config,
        Err(found) => {
            super::tell_mistakes(&found);
            return Exit::Mistakes;
        }
    };
    let checked = match crate::plan::check::check(&arguments.playbook) {
        Ok(checked) => checked,
        Err(found) => {
            super::tell_mistakes(&found);
            return Exit::Mistakes;
        }
    };
    let plan = checked.plan;
    for warning in checked.warnings.iter().filter(|warning| warning.severity == Severity::Warning) {
        super::tell(&one_line(warning));
    }
    if let Some(text) = &plan.deprecated {
        super::tell(&format!("warning: `{}` is deprecated: {}", plan.name, text.trim()));
    }
    if let Some(fault) = unknown_ids(&plan, &arguments) {
        super::tell(&format!("error: {fault}"));
        return Exit::Mistakes;
    }
    let world = match arguments.world.as_deref().map(World::open).transpose() {
        Ok(world) => world.map(Rc::new),
        Err(error) => return super::tell_world_error(&error),
    };
    let inputs = match resolve(&plan, &arguments, world.as_deref(), masker) {
        Ok(inputs) => inputs,
        Err(Unresolved::Interrupted) => return Exit::Interrupted,
        Err(Unresolved::Faults(faults)) => {
            let list: Vec<String> = faults.iter().map(|fault| format!("error: {fault}")).collect();
            super::tell(&masker.mask(&list.join("\n")));
            return Exit::Mistakes;
        }
    };
    if let Err(exit) = attest(&plan, &arguments, world.as_deref()) {
        return exit;
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            super::tell(&format!("error: no runtime can be had: {error}"));
            return Exit::OurFault;
        }
    };
    let outcome = runtime.block_on(perform(&plan, &arguments, &config, inputs, world.clone(), masker));
    // A thread that still waits for a line from the terminal must not keep the process.
    runtime.shutdown_background();
    Terminal::restore();
    if let (Some(path), Some(world)) = (&arguments.world_state, &world)
        && let Err(message) = write_state(world, path)
    {
        super::tell(&format!("error: {message}"));
        return Exit::OurFault;
    }
    match outcome {
        RunOutcome::Passed => Exit::Passed,
        RunOutcome::Failed => Exit::Failed,
        RunOutcome::Waiting => Exit::Waiting,
        RunOutcome::Unknown => Exit::Unknown,
        RunOutcome::Refused => Exit::Refused,
        RunOutcome::Interrupted => Exit::Interrupted,
    }
}

async fn perform(
    plan: &Plan,
    arguments: &RunArguments,
    config: &Config,
    inputs: Vec<(String, Value)>,
    world: Option<Rc<World>>,
    masker: &Masker,
) -> RunOutcome {
    let actor = config.actor.value.clone();
    let public = inputs.iter().filter(|(_, value)| !value.is_secret());
    let operator = Operator {
        actor: actor.clone(),
        approve: arguments.approve.clone(),
        approve_all: arguments.approve_all,
        world: world.clone(),
        inputs: serde_json::Value::Object(public.map(|(name, value)| (name.clone(), value.expose().clone())).collect()),
        terminal: Terminal::open(),
        masker: masker.clone(),
    };
    let ledger = Transient::new(uuid::Uuid::now_v7().to_string(), operator);
    let hands = Hands {
        clients: http::Clients::default(),
        masker: masker.clone(),
        stand_ins: world.as_ref().map(|world| world.stand_ins()),
    };
    let options = Options {
        dry_run: arguments.dry_run,
        tags: arguments.tags.clone(),
        until: arguments.until.clone(),
        pace: world.as_ref().map_or(1.0, |world| world.pace()),
        actor,
        world: world.as_ref().map(|world| world.address().to_string()),
    };
    let sink = Audience(RefCell::new(reporter(arguments.output.unwrap_or(config.output.value), masker)));
    let engine = Engine::new(&ledger, hands, &sink, options, super::signals::listen());
    engine.run(plan, inputs).await.outcome
}

struct Audience(RefCell<Box<dyn Reporter>>);

impl Sink for Audience {
    fn tell(&self, event: &RunEvent) {
        self.0.borrow_mut().tell(event);
    }
}

fn reporter(kind: OutputKind, masker: &Masker) -> Box<dyn Reporter> {
    let stdout = std::io::stdout();
    let terminal = stdout.is_terminal() && std::io::stderr().is_terminal();
    let colour = kind == OutputKind::Human && super::colour_on_stdout();
    let out = Out::new(Box::new(stdout), masker, colour);
    match kind {
        OutputKind::Json => Box::new(Json::new(out)),
        OutputKind::Plain => Box::new(Human::new(out, masker.clone(), false)),
        OutputKind::Human => Box::new(Human::new(out, masker.clone(), terminal)),
    }
}

/// `--until` and `--approve` name steps; one that does not exist is a typo that would go unnoticed.
fn unknown_ids(plan: &Plan, arguments: &RunArguments) -> Option<String> {
    let ids = plan.step_ids();
    for (flag, id) in
        arguments.until.iter().map(|id| ("--until", id)).chain(arguments.approve.iter().map(|id| ("--approve", id)))
    {
        if !ids.iter().any(|known| known == id) {
            let hint = crate::diagnostic::nearest(id, ids.iter().map(String::as_str));
            let hint = hint.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            return Some(format!("`{flag} {id}`: there is no step `{id}` in `{}`{hint}", plan.name));
        }
    }
    None
}

/// The role that the SOP requires, attested by the operator.
fn attest(plan: &Plan, arguments: &RunArguments, world: Option<&World>) -> Result<(), Exit> {
    let Some(role) = &plan.required_role else { return Ok(()) };
    if arguments.dry_run
        || arguments.approve_all
        || world.is_some_and(World::approves_all)
        || arguments.role.as_ref() == Some(role)
    {
        return Ok(());
    }
    if let Some(held) = &arguments.role {
        super::tell(&format!("error: this SOP requires the role `{role}`, and you hold `{held}`"));
        return Err(Exit::Refused);
    }
    if let Some(terminal) = Terminal::open() {
        let answer = terminal.ask(&format!("this SOP requires the role `{role}`. Do you hold it? [y/N]"), false);
        if answer.is_ok_and(|answer| matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")) {
            return Ok(());
        }
    }
    super::tell(&format!("error: this SOP requires the role `{role}`\nhelp: attest that you hold it: `--role {role}`"));
    Err(Exit::Refused)
}

/// The state of a world holds its secrets; the file is private like everything else we write.
fn write_state(world: &World, path: &std::path::Path) -> Result<(), String> {
    let state = world.state().map_err(|error| format!("the world's state cannot be had: {error}"))?;
    let text = serde_json::to_string_pretty(&state).unwrap_or_default();
    std::fs::write(path, text + "\n")
        .map_err(|error| format!("the world's state cannot be written to {}: {error}", path.display()))
}
