//! Owns the ledger of this machine: what was recorded comes back; what is done is recorded, durable where it matters.
//! Deliberately knows nothing of how a step is done, or who answers.

use super::custody::{Proof, Vault};
use super::folder::RunFolder;
use super::form::{self, Said, Sealer, Sources};
use super::history::History;
use super::index::{self, Index, Row, Standing};
use super::lock::{Claim, Ended, Held, Holds, Locks};
use super::record::{self, AttemptStarted, Capture, Kept, Record};
use super::writer::Journal;
use crate::digest::sha256_hex;
use crate::event::{RunEvent, RunOutcome, StepKey};
use crate::ledger::{
    Ask, Call, Decided, Decision, Effect, Ledger, Moment, Person, Policy, Recall, Recorded, Stop, perform,
};
use crate::secret::Masker;
use crate::value::Value;
use async_trait::async_trait;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::{Duration, SystemTime};

/// A run on this machine, remembered in its folder.
pub struct Local<P> {
    pub journal: Journal,
    pub history: History,
    pub vault: Vault,
    pub folder: RunFolder,
    pub index: Index,
    pub locks: Locks,
    pub masker: Masker,
    pub sources: Sources,
    pub person: P,
    /// Takes a lock over from a run that is gone.
    pub take_over: bool,
    /// Whether the process goes on with a run that there was.
    pub resuming: bool,
    /// What another run holds, by its id.
    pub holds: Box<dyn Fn(&str) -> Holds>,
    pub live: Live,
}

/// What came up in this process.
#[derive(Default)]
pub struct Live {
    held: RefCell<Option<Held>>,
    lock: RefCell<Option<String>>,
    custody: RefCell<Vec<String>>,
    lost: RefCell<Option<String>>,
    /// The lock was not to be had, so that nothing was begun.
    refused: Cell<bool>,
    /// When steps began that are not recorded yet: whoever asks twice is told the same.
    begun: RefCell<HashMap<String, SystemTime>>,
    interrupted: Cell<bool>,
    /// Why the run's key is still there although the run has passed.
    kept: RefCell<Option<String>>,
}

impl<P> Local<P> {
    fn sealer(&self) -> Result<Sealer<'_>, String> {
        let key = match self.vault.had() {
            Some(key) => key,
            None => {
                self.prove()?;
                self.vault.key()?
            }
        };
        Ok(Sealer { key, run: &self.history.run.run, masker: &self.masker })
    }

    /// Sees that what is captured from here on can be kept.
    pub fn prove(&self) -> Result<(), String> {
        if let Proof::Now { keeper } = self.vault.prove()? {
            self.journal.note(SystemTime::now(), &Record::CustodyProven { keeper });
        }
        Ok(())
    }

    fn keep(&self, step: &str, name: &str, value: &Value, private: bool) -> Result<Kept, String> {
        if private || form::is_private(value, &self.masker) {
            return self.sealer()?.close(step, name, value);
        }
        Ok(form::open_value(value))
    }

    fn keep_all(&self, step: &str, values: &[(String, Value)], private: bool) -> Result<Vec<Capture>, String> {
        values.iter().map(|(name, value)| Ok(form::capture(name, self.keep(step, name, value, private)?))).collect()
    }

    fn open(&self, step: &str, name: &str, kept: &Kept) -> Result<Value, String> {
        match &kept.sealed {
            None => Ok(Value::plain(kept.json.clone())),
            Some(sealed) => {
                let key = self.vault.key()?;
                let sealer = Sealer { key, run: &self.history.run.run, masker: &self.masker };
                sealer.open(step, name, sealed)
            }
        }
    }

    fn open_all(&self, step: &str, captures: &[Capture]) -> Result<Vec<(String, Value)>, String> {
        captures
            .iter()
            .map(|capture| Ok((capture.name.clone(), self.open(step, &capture.name, &capture.value)?)))
            .collect()
    }

    fn lose(&self, reason: String) -> Stop {
        self.live.lost.borrow_mut().get_or_insert_with(|| reason.clone());
        Stop::Lost(reason)
    }

    /// Why the run can no longer be remembered, if so.
    pub fn lost(&self) -> Option<String> {
        self.live.lost.borrow().clone()
    }

    /// Why the run's key is still there although the run has passed, if so.
    pub fn kept(&self) -> Option<String> {
        self.live.kept.borrow().clone()
    }

    fn held(&self) -> Vec<String> {
        let mut names = self.history.holds();
        for name in self.live.custody.borrow().iter() {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    /// As whoever reads the record will tell it: what is sealed is held.
    fn hold(&self, captures: &[Capture]) {
        let mut custody = self.live.custody.borrow_mut();
        for capture in captures.iter().filter(|capture| capture.value.sealed.is_some()) {
            if !custody.contains(&capture.name) {
                custody.push(capture.name.clone());
            }
        }
    }

    /// Records what an attempt came to, sealed where it is secret.
    fn record(&self, call: &Call, done: &Recorded) -> Result<(), String> {
        let key = form::key(call.key.as_str(), call.attempt);
        let mut finished = form::attempt(&done.attempted, done.started, done.took);
        finished.step = call.key.to_string();
        finished.attempt = call.attempt;
        finished.policy = call.policy;
        finished.program.clone_from(&call.program);
        let (captures, output) = form::values(&done.attempted);
        finished.captures = self.keep_all(&key, captures, call.private)?;
        finished.output = output.map(|output| self.keep(&key, OUTPUT, output, call.private)).transpose()?;
        if call.policy != Policy::Read {
            self.hold(&finished.captures);
        }
        let sealed = finished.captures.iter().any(|capture| capture.value.sealed.is_some());
        self.journal.note(SystemTime::now(), &Record::AttemptFinished(finished));
        if call.policy == Policy::Read && !sealed { self.journal.write() } else { self.journal.sync() }
    }

    /// Writes an event; what went wrong is kept for whoever asks next.
    pub fn tell(&self, event: &RunEvent) {
        if matches!(event, RunEvent::StepFinished(step) if step.before) {
            return;
        }
        let Some(mut record) = form::event(event) else { return };
        if self.resuming && self.history.has_told(&record) {
            return;
        }
        if let Record::RunFinished(finished) = &mut record {
            finished.lock = self.live.lock.borrow().clone();
        }
        self.journal.note(form::moment(event), &record);
        if let RunEvent::RunFinished(finished) = event
            && self.lost().is_none()
        {
            if let Err(reason) = self.journal.sync() {
                self.lose(reason);
                return;
            }
            self.end(finished.outcome);
        }
    }

    /// The run has ended and its record is durable: what it held is let go, or remembered.
    fn end(&self, outcome: RunOutcome) {
        if self.live.refused.get() {
            // Nothing was done: there is nothing to go on with, and nothing to be asked for a second time.
            self.folder.discard();
            return;
        }
        let passed = outcome == RunOutcome::Passed;
        if passed && let Err(reason) = self.end_custody("passed") {
            *self.live.kept.borrow_mut() = Some(reason);
        }
        self.journal.give_back();
        if let Some(held) = self.live.held.borrow_mut().take() {
            let _ = held.release(Ended { outcome, custody: !passed && !self.held().is_empty() });
        }
        let row = Row {
            standing: Standing::Ended(outcome),
            lock: self.live.lock.borrow().clone(),
            holds: if passed { Vec::new() } else { self.held() },
            ..index::first(&self.history)
        };
        self.index.note(&self.folder, row);
    }

    /// Destroys the run's key, and says so.
    pub fn end_custody(&self, why: &str) -> Result<(), String> {
        let folder = self.vault.folder();
        let there = Vault::destroy(folder)
            .map_err(|error| format!("the run's key in {} cannot be destroyed: {error}", folder.display()))?;
        if there {
            let by = self.history.run.actor.clone();
            self.journal.note(SystemTime::now(), &Record::CustodyEnded { by, why: why.into() });
            self.journal.sync()?;
        }
        Ok(())
    }
}

/// Under which name a whole output is sealed; no variable can be called so.
const OUTPUT: &str = "(output)";

#[async_trait(?Send)]
impl<P: Person> Ledger for Local<P> {
    async fn effect(&self, call: &Call, effect: Effect<'_>) -> Result<Recorded, Stop> {
        let key = form::key(call.key.as_str(), call.attempt);
        if let Some(past) = self.history.attempt(&key) {
            match &past.finished {
                Some(finished) => {
                    let captures = self.open_all(&key, &finished.captures).map_err(Stop::Unproven)?;
                    let output = finished.output.as_ref().map(|output| self.open(&key, OUTPUT, output));
                    let output = output.transpose().map_err(Stop::Unproven)?;
                    let attempted = form::attempt_again(finished, captures, output, &self.sources);
                    let (started, took) = (form::began(finished), Duration::from_micros(finished.took_us));
                    return Ok(Recorded { attempted, started, took, recall: Recall::In(past.round) });
                }
                None if past.policy == Policy::Once => return Err(Stop::InDoubt(call.key.attempt(call.attempt))),
                None => {}
            }
        }
        if let Some(reason) = self.lost() {
            return Err(Stop::Lost(reason));
        }
        if call.custody {
            self.prove().map_err(Stop::Unproven)?;
        }
        if call.policy != Policy::Read {
            let intent = AttemptStarted {
                step: call.key.to_string(),
                attempt: call.attempt,
                policy: call.policy,
                program: call.program.clone(),
            };
            self.journal.note(SystemTime::now(), &Record::AttemptStarted(intent));
            self.journal.make_room().and_then(|()| self.journal.sync()).map_err(|reason| self.lose(reason))?;
        } else if call.outside {
            self.journal.write().map_err(|reason| self.lose(reason))?;
        }
        let done = perform(effect).await;
        // Nothing may come between the answer and its record.
        self.record(call, &done).map_err(|reason| self.lose(reason))?;
        Ok(done)
    }

    async fn decision(&self, key: &StepKey, ask: &Ask<'_>, round: u32) -> Result<Decided, Stop> {
        let text = key.to_string();
        if let Some((round, at, record)) = self.history.decision(&text, round) {
            let answers = self.open_all(&text, &record.answers).map_err(Stop::Unproven)?;
            let decision = form::decision_again(record, at, answers);
            return Ok(Decided { decision, recall: Recall::In(round) });
        }
        if let Some(reason) = self.lost() {
            return Err(Stop::Lost(reason));
        }
        if matches!(ask, Ask::Manual { fields, .. } if fields.iter().any(crate::plan::Ask::is_secret)) {
            self.prove().map_err(Stop::Unproven)?;
        }
        // Whoever thinks long, or stops the run meanwhile, finds all that was done before on the disk.
        self.journal.make_room().and_then(|()| self.journal.sync()).map_err(|reason| self.lose(reason))?;
        let decision = self.person.answer(ask).await;
        self.decide(&text, &decision).map_err(|reason| self.lose(reason))?;
        Ok(Decided { decision, recall: Recall::Fresh })
    }

    async fn wait(&self, key: &StepKey, delay: Duration) -> Result<(), Stop> {
        if self.history.has_finished(key.as_str()) {
            return Ok(());
        }
        let past = self.history.time(key.as_str(), Moment::End).or(self.history.time(key.as_str(), Moment::Begin));
        // A clock that was set back must not make it longer than it was to be.
        let left = match past.map(|since| SystemTime::now().duration_since(since)) {
            Some(Ok(gone)) => delay.saturating_sub(gone),
            _ => delay,
        };
        if !left.is_zero() {
            self.journal.write().map_err(|reason| self.lose(reason))?;
            tokio::time::sleep(left).await;
        }
        Ok(())
    }

    fn time(&self, key: &StepKey, moment: Moment) -> SystemTime {
        if key.as_str().is_empty() && moment == Moment::Begin {
            return self.history.begun;
        }
        match (self.history.time(key.as_str(), moment), moment) {
            (Some(time), _) => time,
            (None, Moment::Begin) => {
                *self.live.begun.borrow_mut().entry(key.to_string()).or_insert_with(SystemTime::now)
            }
            (None, Moment::End) => SystemTime::now(),
        }
    }

    fn chance(&self, key: &StepKey) -> f64 {
        let digest = sha256_hex(format!("{} {key}", self.history.run.run).as_bytes());
        f64::from(u32::from_str_radix(&digest[..8], 16).unwrap_or_default()) / f64::from(u32::MAX)
    }

    fn round(&self) -> u32 {
        self.history.round
    }

    fn first_attempt(&self, key: &StepKey, round: u32) -> u32 {
        self.history.first_attempt(key.as_str(), round)
    }

    fn settled_in(&self, key: &StepKey) -> Option<u32> {
        self.history.settled_in(key.as_str())
    }

    fn timed_out(&self, key: &StepKey) -> bool {
        self.history.timed_out(key.as_str())
    }

    fn interrupted(&self) {
        if !self.live.interrupted.replace(true) {
            self.journal.note(SystemTime::now(), &Record::Interrupted {});
        }
    }

    fn has_finished(&self, key: &StepKey) -> bool {
        self.history.has_finished(key.as_str())
    }

    async fn lock(&self, name: &str) -> Result<(), Stop> {
        let claim = Claim {
            run: &self.history.run.run,
            actor: &self.history.run.actor,
            take_over: self.take_over,
            holds: &*self.holds,
        };
        let held = self.locks.acquire(name, &claim).map_err(|refused| {
            self.live.refused.set(!self.resuming);
            Stop::Locked(refused.to_string())
        })?;
        if let Some(taken) = held.taken_over() {
            let from =
                taken.holder.as_ref().map_or("nobody knows whom".to_string(), |holder| format!("run {}", holder.run));
            let message = format!("the lock `{name}` was taken over from {from}");
            self.journal.note(SystemTime::now(), &Record::Warning { message });
        }
        *self.live.held.borrow_mut() = Some(held);
        *self.live.lock.borrow_mut() = Some(name.to_string());
        Ok(())
    }

    fn holds(&self) -> Vec<String> {
        self.held()
    }

    fn is_lasting(&self) -> bool {
        !self.live.refused.get()
    }

    fn run_id(&self) -> &str {
        &self.history.run.run
    }
}

impl<P> Local<P> {
    fn decide(&self, key: &str, decision: &Decision) -> Result<(), String> {
        let Some(Said { what, by, reason, answers }) = form::said(decision) else { return Ok(()) };
        let (step, attempt) = key.rsplit_once('#').unwrap_or((key, "1"));
        let record = record::DecisionRecord {
            step: step.into(),
            attempt: attempt.parse().unwrap_or(1),
            what,
            by: by.into(),
            reason: reason.map(str::to_string),
            answers: self.keep_all(key, answers, false)?,
            plan: self.history.playbook.digest.clone(),
        };
        self.hold(&record.answers);
        self.journal.note(SystemTime::now(), &Record::Decision(record));
        self.journal.sync()
    }
}
