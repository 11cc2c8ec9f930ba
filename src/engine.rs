//! Owns the loop: steps in order, scope, retries, failing, cancel. Tells events; remembers through a ledger.
//! Deliberately knows nothing of terminals, files of a run, or which ledger it has.

mod ask;
mod assertion;
mod attempt;
mod capture;
mod composite;
mod dry;
mod each;
mod place;
mod render;
mod retry;
mod scope;
mod steps;
mod tell;
mod tries;
mod unknown;
mod vars;

use crate::action::{Cancel, Hands};
use crate::event::{
    Failure, FailureKind, MeasuredInterval, RunEvent, RunFinished, RunOutcome, RunStarted, StepKey, StepOutcome,
};
use crate::ledger::{Ledger, Moment, Stop};
use crate::plan::permissions::{Allowed, Grant};
use crate::plan::{Plan, Step, StepId, Work, duration};
use crate::value::{Names, Value};
use place::{Halt, Place};
use scope::{RunFacts, Scope};
use serde_json::Value as Json;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::watch;

/// Who is told what happens; in order, one at a time.
pub trait Sink {
    fn tell(&self, event: &RunEvent);
}

/// What the operator wants of this run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub dry_run: bool,
    pub tags: Vec<String>,
    /// The last step to run.
    pub until: Option<String>,
    /// Factor on waits and retry delays: 1, or a world's pace.
    pub pace: f64,
    pub actor: String,
    pub world: Option<String>,
    /// What the operator permits for this run besides.
    pub allowed: Allowed,
    /// Inputs whose value is the operator's: a file among them may be read. What the playbook itself names is no wish of
    /// the operator's, and for that it has `permissions.read`.
    pub given: Vec<String>,
}

/// How a run is told to stop: first politely, then at once.
#[derive(Clone)]
pub struct Signals {
    /// No further step is begun; `finally` runs.
    pub interrupt: watch::Receiver<bool>,
    /// The step in flight is ended.
    pub hurry: watch::Receiver<bool>,
    /// `finally` is ended too.
    pub abort: watch::Receiver<bool>,
}

pub struct Engine<'a> {
    ledger: &'a dyn Ledger,
    hands: Hands,
    sink: &'a dyn Sink,
    options: Options,
    signals: Signals,
    tally: Tally,
}

/// What is counted and noted for the summary.
#[derive(Default)]
struct Tally {
    /// Whether a program was started.
    programs: Cell<bool>,
    passed: Cell<usize>,
    failed: Cell<usize>,
    skipped: Cell<usize>,
    changes: RefCell<Vec<String>>,
    /// By key, until it passes.
    perhaps_changed: RefCell<Vec<(StepKey, String)>>,
    failures: RefCell<Vec<(StepKey, Failure)>>,
    by_hand: RefCell<Option<String>>,
    warnings: RefCell<Vec<String>>,
    marks: RefCell<HashMap<StepId, (SystemTime, Option<SystemTime>)>>,
    winding_up: Cell<usize>,
    once_sent: Cell<usize>,
    /// What was done in this process, rather than remembered.
    done: Cell<usize>,
    unborn: RefCell<Vec<String>>,
    /// A dry run has come past a step that it did not do.
    unmade: Cell<bool>,
}

impl<'a> Engine<'a> {
    pub fn new(
        ledger: &'a dyn Ledger,
        hands: Hands,
        sink: &'a dyn Sink,
        options: Options,
        signals: Signals,
    ) -> Engine<'a> {
        Engine { ledger, hands, sink, options, signals, tally: Tally::default() }
    }

    /// Runs a plan with its inputs, from the first step to `finally`. Tells the first and the last event, too.
    pub async fn run(&self, plan: &Plan, inputs: Vec<(String, Value)>) -> RunFinished {
        let clock = Instant::now();
        let begun = self.ledger.time(&StepKey::default(), Moment::Begin);
        let facts = RunFacts::new(
            self.ledger.run_id().into(),
            duration::show_time(begun),
            self.options.actor.clone(),
            self.hands.masker.clone(),
            self.hands.births.clone(),
        );
        let mut grant = self.grant(plan);
        let scope = Scope::file(&facts);
        for (name, value) in &inputs {
            let declared = plan.inputs.iter().find(|input| input.name == *name);
            // A path that the playbook itself names, by a default or a variable, needs `permissions.read` like any other.
            if declared.is_some_and(|input| input.kind == crate::playbook::document::InputType::File)
                && self.options.given.contains(name)
                && let Json::String(path) = value.expose()
            {
                grant = grant.with_readable(Path::new(path));
            }
            self.hands.births.learn(value);
            scope.define(name, value.clone());
        }
        let place = Place {
            engine: self,
            facts: &facts,
            plan,
            grant,
            key: StepKey::default(),
            depth: 0,
            outermost: true,
            cancel: Cancel(self.signals.hurry.clone()),
            round: self.ledger.round(),
            tagged: false,
        };
        let prepared = self.prepare(plan, &scope, &place).await;
        self.emit(RunEvent::RunStarted(RunStarted {
            run_id: facts.id.clone(),
            playbook: plan.name.clone(),
            title: plan.title.clone(),
            actor: facts.actor.clone(),
            world: self.options.world.clone(),
            dry_run: self.options.dry_run,
            steps: plan.steps.len(),
            inputs: inputs.iter().map(|(name, value)| (name.clone(), value.shown())).collect(),
            lock: prepared.as_ref().ok().and_then(Clone::clone),
            round: place.round,
            allowed: self.options.allowed.texts.iter().map(|text| facts.mask(text)).collect(),
        }));
        let ended = match prepared {
            Ok(_) => composite::run_sections(plan, &scope, &place).await,
            Err(halt) => {
                if let Halt::Failed(key, failure) = &halt {
                    self.tally.failures.borrow_mut().push((key.clone(), failure.clone()));
                }
                Err(halt)
            }
        };
        let mut outcome = self.outcome(&ended);
        let mut outputs = Vec::new();
        if outcome == RunOutcome::Passed && !self.options.dry_run && !matches!(ended, Err(Halt::Reached)) {
            match self.outputs(plan, &scope) {
                Ok(found) => outputs = found,
                Err(failure) => {
                    let refused = failure.kind == FailureKind::Refused;
                    outcome = if refused { RunOutcome::Refused } else { RunOutcome::Failed };
                    self.tally.failures.borrow_mut().push((StepKey::default(), failure));
                }
            }
        }
        let finished = self.summary(plan, outcome, outputs, clock.elapsed());
        self.emit(RunEvent::RunFinished(finished.clone()));
        finished
    }

    /// What a file may do by itself, with what the operator permits besides.
    fn grant(&self, plan: &Plan) -> Grant {
        Grant(vec![self.options.allowed.widen(&plan.permissions)])
    }

    /// Evaluates vars and the lock, in order, and takes the lock.
    async fn prepare(&self, plan: &Plan, scope: &Scope<'_>, place: &Place<'_>) -> Result<Option<String>, Halt> {
        vars::set_vars(&plan.vars, scope, place).await?;
        let Some(template) = &plan.lock else { return Ok(None) };
        let failed = |kind: FailureKind, message: &str| {
            let message = self.hands.masker.mask(message).into_owned();
            Halt::Failed(StepKey::default(), place::plain(kind, message))
        };
        let lock = render::public_text(template, scope, &self.hands.births, "the lock")
            .map_err(|error| failed(error.kind(), &format!("`lock` cannot be evaluated: {error}")))?;
        if !self.options.dry_run {
            self.ledger.lock(&lock).await.map_err(|stop| match stop {
                Stop::Lost(reason) => Halt::Lost(reason),
                other => failed(FailureKind::Refused, &other.to_string()),
            })?;
        }
        Ok(Some(lock))
    }

    fn outputs(&self, plan: &Plan, scope: &Scope<'_>) -> Result<Vec<(String, Json)>, Failure> {
        let mut outputs = Vec::new();
        for (name, setting) in &plan.outputs {
            let fault = match attempt::evaluate(setting, scope) {
                Ok(value) if !self.hands.births.makes_secret(&value) => {
                    outputs.push((name.clone(), value.expose().clone()));
                    continue;
                }
                Ok(_) => (FailureKind::Refused, format!("output `{name}` would hold a secret")),
                Err(error) => (FailureKind::Evaluation, format!("output `{name}` cannot be rendered: {error}")),
            };
            return Err(Failure {
                kind: fault.0,
                message: self.hands.masker.mask(&fault.1).into_owned(),
                assertions: Vec::new(),
                place: None,
                excerpt: None,
                help: Vec::new(),
            });
        }
        Ok(outputs)
    }

    fn outcome(&self, ended: &Result<(), Halt>) -> RunOutcome {
        match ended {
            Ok(()) | Err(Halt::Reached) => RunOutcome::Passed,
            Err(Halt::Failed(_, failure)) if failure.kind == FailureKind::Refused => RunOutcome::Refused,
            Err(Halt::Failed(..)) => RunOutcome::Failed,
            Err(Halt::Unknown(..)) => RunOutcome::Unknown,
            Err(Halt::Waiting(key, failure)) => {
                self.tally.failures.borrow_mut().push((key.clone(), failure.clone()));
                RunOutcome::Waiting
            }
            Err(Halt::Interrupted) => RunOutcome::Interrupted,
            Err(Halt::Lost(reason)) => {
                self.warn(format!("the run cannot be remembered any more: {reason}"));
                RunOutcome::Failed
            }
        }
    }

    fn summary(&self, plan: &Plan, outcome: RunOutcome, outputs: Vec<(String, Json)>, took: Duration) -> RunFinished {
        let marks = self.tally.marks.borrow();
        // What a dry run takes says nothing of what the real one will.
        let intervals: Vec<MeasuredInterval> = plan
            .intervals
            .iter()
            .filter(|_| !self.options.dry_run)
            .map(|interval| {
                let start = marks.get(&interval.from).map(|(start, _)| *start);
                let end = marks.get(&interval.to).and_then(|(_, end)| *end);
                let took = start.zip(end).and_then(|(start, end)| end.duration_since(start).ok());
                MeasuredInterval {
                    name: interval.name.clone(),
                    from: interval.from.clone(),
                    to: interval.to.clone(),
                    took,
                    budget: interval.budget,
                }
            })
            .collect();
        for interval in &intervals {
            if let (Some(took), Some(budget)) = (interval.took, interval.budget)
                && took > budget
            {
                self.warn(format!(
                    "interval `{}` took {}, more than its budget of {}",
                    interval.name,
                    duration::show(took),
                    duration::show(budget)
                ));
            }
        }
        let passed = outcome == RunOutcome::Passed;
        let perhaps_changed: Vec<String> =
            self.tally.perhaps_changed.take().into_iter().map(|(_, title)| title).collect();
        let changed = !self.tally.changes.borrow().is_empty() || !perhaps_changed.is_empty();
        RunFinished {
            outcome,
            duration: took,
            passed: self.tally.passed.get(),
            failed: self.tally.failed.get(),
            skipped: self.tally.skipped.get(),
            changes: self.tally.changes.take(),
            perhaps_changed,
            failures: self.tally.failures.take(),
            intervals,
            by_hand: if passed { None } else { self.tally.by_hand.take() },
            rollback: if passed || !changed { None } else { plan.rollback.clone() },
            outputs,
            warnings: self.tally.warnings.take(),
            custody: if passed { Vec::new() } else { self.ledger.holds() },
            resume: (!passed && self.ledger.is_lasting()).then(|| self.ledger.run_id().to_string()),
            confined: self.tally.programs.get().then(|| self.hands.confinement.clone()),
        }
    }

    fn emit(&self, event: RunEvent) {
        self.sink.tell(&event);
    }

    fn warn(&self, message: String) {
        let message = self.hands.masker.mask(&message).into_owned();
        self.tally.warnings.borrow_mut().push(message.clone());
        self.emit(RunEvent::Warning { message });
    }

    fn interrupted(&self) -> bool {
        *self.signals.interrupt.borrow()
    }

    /// Resolves when the run is to stop; never while `finally` runs.
    async fn interruption(&self) {
        let signal = if self.winding_up() { &self.signals.abort } else { &self.signals.interrupt };
        Cancel(signal.clone()).cancelled().await;
    }

    fn winding_up(&self) -> bool {
        self.tally.winding_up.get() > 0
    }

    /// Until it is dropped, an interruption does not keep steps from being begun.
    fn wind_up(&self) -> WindingUp<'_> {
        self.tally.winding_up.set(self.tally.winding_up.get() + 1);
        WindingUp(&self.tally.winding_up)
    }

    fn calm_cancel(&self) -> Cancel {
        Cancel(self.signals.abort.clone())
    }

    /// Waits, at the run's pace, unless it is interrupted.
    async fn pause(&self, key: &StepKey, delay: Duration, cancel: &Cancel) -> Result<(), Halt> {
        // Longer than any run lasts; beyond some centuries the clock's own arithmetic would overflow.
        const LONGEST: Duration = Duration::from_secs(10 * 365 * 86_400);
        let delay = delay.min(LONGEST).mul_f64(self.options.pace.clamp(0.0, 1000.0));
        // A wait that is over already does not win over a step that is.
        if cancel.is_cancelled() {
            return Err(Halt::Interrupted);
        }
        tokio::select! {
            waited = self.ledger.wait(key, delay) => waited.map_err(|stop| Halt::Lost(stop.to_string())),
            () = self.interruption() => Err(Halt::Interrupted),
            () = cancel.cancelled() => Err(Halt::Interrupted),
        }
    }

    fn count(&self, outcome: &StepOutcome, composite: bool) {
        if composite {
            return;
        }
        let counter = match outcome {
            StepOutcome::Passed | StepOutcome::Rendered => &self.tally.passed,
            StepOutcome::Failed(_) | StepOutcome::Unknown(_) => &self.tally.failed,
        };
        counter.set(counter.get() + 1);
    }

    fn count_skipped(&self) {
        self.tally.skipped.set(self.tally.skipped.get() + 1);
    }

    fn note_change(&self, title: &str, key: &StepKey) {
        self.tally.perhaps_changed.borrow_mut().retain(|(known, _)| known != key);
        let text = self.titled(title, key);
        self.tally.changes.borrow_mut().push(text);
    }

    /// It was sent and did not pass: what it did nevertheless is not known.
    fn note_perhaps(&self, title: &str, key: &StepKey) {
        let mut perhaps = self.tally.perhaps_changed.borrow_mut();
        if !perhaps.iter().any(|(known, _)| known == key) {
            perhaps.push((key.clone(), self.titled(title, key)));
        }
    }

    fn titled(&self, title: &str, key: &StepKey) -> String {
        let text = if title == key.as_str() { title.to_string() } else { format!("{title} ({key})") };
        self.hands.masker.mask(&text).into_owned()
    }

    fn note_failure(&self, key: &StepKey, failure: &Failure, step: &Step) {
        let mut failures = self.tally.failures.borrow_mut();
        // The innermost failure says most; those around it only pass it on.
        if !failures.iter().any(|(known, _)| key.encloses(known)) {
            failures.push((key.clone(), failure.clone()));
        }
        if let Some(text) = &step.by_hand {
            self.tally.by_hand.borrow_mut().get_or_insert_with(|| text.clone());
        }
    }

    /// The step's failure was let pass: it is counted, but is not why the run fails.
    fn forgive(&self, key: &StepKey) {
        self.tally.failures.borrow_mut().retain(|(known, _)| !key.encloses(known));
        self.tally.by_hand.take();
        self.warn(format!("`{key}` failed, and `continue_on_failure` lets the run go on"));
    }

    /// Failures within a step that is tried again are not why the run fails.
    fn forget_failures(&self, key: &StepKey) {
        let before = self.tally.failures.borrow().len();
        self.tally.failures.borrow_mut().retain(|(known, _)| !key.encloses(known));
        let forgotten = before - self.tally.failures.borrow().len();
        self.tally.failed.set(self.tally.failed.get().saturating_sub(forgotten));
    }

    /// How many `once` steps were sent so far, whatever came of them.
    fn once_sent(&self) -> usize {
        self.tally.once_sent.get()
    }

    fn note_once_sent(&self) {
        self.tally.once_sent.set(self.tally.once_sent.get() + 1);
    }

    fn no_failures(&self) -> bool {
        self.tally.failures.borrow().is_empty()
    }

    fn note_program(&self) {
        self.tally.programs.set(true);
    }

    /// How much was done in this process.
    fn done(&self) -> usize {
        self.tally.done.get()
    }

    fn note_done(&self) {
        self.tally.done.set(self.tally.done.get() + 1);
    }

    fn mark_start(&self, step: &StepId, at: SystemTime) {
        self.tally.marks.borrow_mut().entry(step.clone()).or_insert((at, None));
    }

    fn mark_end(&self, step: &StepId, at: SystemTime) {
        if let Some((_, end)) = self.tally.marks.borrow_mut().get_mut(step) {
            *end = Some(at);
        }
    }

    /// A dry run does not do this step: from here on, what it would have captured is not there.
    fn unborn(&self, step: &Step) {
        self.tally.unmade.set(true);
        self.tally.unborn.borrow_mut().extend(each::names_in(step));
    }

    fn is_unborn(&self, name: &str) -> bool {
        self.tally.unborn.borrow().iter().any(|unborn| unborn == name)
    }

    /// Why, in a dry run, what does not hold or cannot be evaluated is no failure: it comes after what was not done.
    fn excuse(&self, message: &str) -> Option<String> {
        if !self.options.dry_run || !self.tally.unmade.get() {
            return None;
        }
        let unborn = self.tally.unborn.borrow();
        let name =
            unborn.iter().find(|name| ["`", ".", "["].iter().any(|end| message.contains(&format!("`{name}{end}"))));
        Some(match name {
            Some(name) => format!("needs `{name}`, which is only born in a real run"),
            None => "cannot be told: what comes before it was not done".into(),
        })
    }

    /// Titles of the next steps of a file, for a person who is to approve them.
    fn steps_after(&self, plan: &Plan, step: &Step) -> Vec<String> {
        const MOST_SHOWN: usize = 12;
        let after = plan.steps.iter().skip_while(|other| other.id != step.id).skip(1);
        after
            .take(MOST_SHOWN)
            .map(|step| {
                let effect = match (&step.work, step.effect) {
                    (Work::Http(_) | Work::Exec(_), effect) => format!(" [{effect:?}]").to_lowercase(),
                    _ => String::new(),
                };
                let name = step.name.as_ref().and_then(|name| name.as_literal()).and_then(Json::as_str);
                format!("{}{effect}", name.unwrap_or(&step.id.0))
            })
            .collect()
    }
}

struct WindingUp<'a>(&'a Cell<usize>);

impl Drop for WindingUp<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Names for std::collections::BTreeMap<String, Value> {
    fn lookup(&self, name: &str) -> Option<Value> {
        self.get(name).cloned()
    }
}
