//! Owns what `run` and `resume` share: who answers, where it is remembered, who is told, and the exit code.

use super::inputs::Resolved;
use super::person::{Operator, Terminal, Words};
use super::{Exit, OperatorArguments, OutputKind};
use crate::action::exec::Confine;
use crate::action::{Hands, http};
use crate::engine::{Engine, Options, Sink};
use crate::event::{RunEvent, RunFinished, RunOutcome};
use crate::journal::local::Local;
use crate::ledger::{Ledger, Transient};
use crate::plan::Plan;
use crate::plan::permissions::Allowed;
use crate::report::{Human, Json, Out, Reporter};
use crate::secret::Masker;
use crate::world::World;
use std::cell::RefCell;
use std::io::IsTerminal;
use std::os::fd::RawFd;
use std::rc::Rc;

/// A run that is about to begin, or to go on.
pub struct Launch<'a> {
    pub plan: &'a Plan,
    pub inputs: Vec<Resolved>,
    pub operator: &'a OperatorArguments,
    pub output: OutputKind,
    pub actor: String,
    pub words: Words,
    pub dry_run: bool,
    pub tags: Vec<String>,
    pub until: Option<String>,
    pub world: Option<Rc<World>>,
    pub masker: &'a Masker,
    /// What shows that the run is live.
    pub life: Option<RawFd>,
    pub allowed: Allowed,
    pub confine: Confine,
}

/// Makes the ledger of a run, given who answers in it.
pub type Remember<'a> = Box<dyn FnOnce(Operator) -> Local<Operator> + 'a>;

impl Launch<'_> {
    /// Runs it to its end. Without `remember`, nothing of it outlives this process.
    pub fn go(self, remember: Option<Remember<'_>>, run: String) -> Exit {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                super::tell(&format!("error: no runtime can be had: {error}"));
                return Exit::OurFault;
            }
        };
        let exit = runtime.block_on(self.perform(remember, run));
        // A thread that still waits for a line from the terminal must not keep the process.
        runtime.shutdown_background();
        Terminal::restore();
        exit
    }

    async fn perform(self, remember: Option<Remember<'_>>, run: String) -> Exit {
        let given = self.inputs.iter().filter(|input| input.from.is_named_for_the_run());
        let given = given.map(|input| input.name.clone()).collect();
        let inputs: Vec<_> = self.inputs.into_iter().map(|input| (input.name, input.value)).collect();
        let public = inputs.iter().filter(|(_, value)| !value.is_secret());
        let operator = Operator {
            actor: self.actor.clone(),
            approve: self.operator.approve.clone(),
            approve_all: self.operator.approve_all,
            world: self.world.clone(),
            inputs: public.map(|(name, value)| (name.clone(), value.expose().clone())).collect(),
            terminal: Terminal::open(),
            masker: self.masker.clone(),
            words: self.words,
            run: remember.as_ref().map(|_| run.clone()),
        };
        let hands = Hands {
            clients: http::Clients::default(),
            masker: self.masker.clone(),
            births: crate::action::Births::default(),
            stand_ins: self.world.as_ref().map(|world| world.stand_ins()),
            life: self.life,
            confinement: self.confine.here(),
        };
        let options = Options {
            dry_run: self.dry_run,
            tags: self.tags,
            until: self.until,
            pace: self.world.as_ref().map_or(1.0, |world| world.pace()),
            actor: self.actor,
            world: self.world.as_ref().map(|world| world.address().to_string()),
            allowed: self.allowed,
            given,
        };
        let reporter = RefCell::new(reporter(self.output, self.masker));
        let signals = super::signals::listen();
        match remember {
            None => {
                let ledger = Transient::new(run, operator);
                let audience = Audience { reporter, first: None };
                exit(&Engine::new(&ledger, hands, &audience, options, signals).run(self.plan, inputs).await)
            }
            Some(remember) => {
                let ledger = remember(operator);
                let audience = Audience { reporter, first: Some(&ledger) };
                let finished = Engine::new(&ledger, hands, &audience, options, signals).run(self.plan, inputs).await;
                if let Some(reason) = ledger.kept() {
                    let text = format!(
                        "warning: the run has passed, and what it captured can still be opened: {reason}\n\
                         help: when that is mended, have the key destroyed: `runbook resume {}`",
                        ledger.run_id()
                    );
                    super::tell(&self.masker.mask(&text));
                }
                match ledger.lost() {
                    None => exit(&finished),
                    Some(reason) => {
                        let text = format!(
                            "error: {reason}\nhelp: the run ended there, before anything that could not be remembered; \
                             when that is mended, go on: `runbook resume {}`",
                            ledger.run_id()
                        );
                        super::tell(&self.masker.mask(&text));
                        Exit::Failed
                    }
                }
            }
        }
    }
}

fn exit(finished: &RunFinished) -> Exit {
    match finished.outcome {
        RunOutcome::Passed => Exit::Passed,
        RunOutcome::Failed => Exit::Failed,
        RunOutcome::Waiting => Exit::Waiting,
        RunOutcome::Unknown => Exit::Unknown,
        RunOutcome::Refused => Exit::Refused,
        RunOutcome::Interrupted => Exit::Interrupted,
    }
}

/// The journal first, then whoever watches.
struct Audience<'a> {
    reporter: RefCell<Box<dyn Reporter>>,
    first: Option<&'a Local<Operator>>,
}

impl Sink for Audience<'_> {
    fn tell(&self, event: &RunEvent) {
        if let Some(journal) = self.first {
            journal.tell(event);
        }
        self.reporter.borrow_mut().tell(event);
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

/// The role that the SOP requires, attested by the operator.
pub fn attest(plan: &Plan, operator: &OperatorArguments, world: Option<&World>) -> Result<(), Exit> {
    let Some(role) = &plan.required_role else { return Ok(()) };
    if operator.approve_all || world.is_some_and(World::approves_all) || operator.role.as_ref() == Some(role) {
        return Ok(());
    }
    if let Some(held) = &operator.role {
        super::tell(&format!("error: this SOP requires the role `{role}`, and you hold `{held}`"));
        return Err(Exit::Refused);
    }
    if let Some(terminal) = Terminal::open() {
        let answer = terminal.ask_alone(&format!("this SOP requires the role `{role}`. Do you hold it? [y/N]"), false);
        if answer.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::Interrupted) {
            return Err(Exit::Interrupted);
        }
        if answer.is_ok_and(|answer| matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")) {
            return Ok(());
        }
    }
    super::tell(&format!("error: this SOP requires the role `{role}`\nhelp: attest that you hold it: `--role {role}`"));
    Err(Exit::Refused)
}

/// Whether programs can be confined as the operator demands, where the plan starts any.
pub fn can_confine(plan: &Plan, confine: Confine) -> Result<(), Exit> {
    match confine.lacks().filter(|_| plan.starts_programs()) {
        None => Ok(()),
        Some(why) => {
            super::tell(&format!(
                "error: this playbook starts programs, and `confine` demands that they be confined: {why}\n\
                 help: run it on a Linux with Landlock (6.7 or later), or without that demand: `--confine auto`"
            ));
            Err(Exit::Refused)
        }
    }
}

/// `--until`, `--approve` and their like name steps; one that does not exist is a typo that would go unnoticed.
pub fn unknown_step<'a>(plan: &Plan, named: impl Iterator<Item = (&'static str, &'a String)>) -> Option<String> {
    let ids = plan.step_ids();
    for (flag, id) in named {
        // A key names the step where its path ends: `infisical[1]/write`.
        let last = id.rsplit('/').next().unwrap_or_default();
        let step = last.split(['[', '#']).next().unwrap_or_default();
        if !ids.iter().any(|known| known == step) {
            let hint = crate::diagnostic::nearest(id, ids.iter().map(String::as_str));
            let hint = hint.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            return Some(format!("`{flag} {id}`: there is no step `{id}` in `{}`{hint}", plan.name));
        }
    }
    None
}
