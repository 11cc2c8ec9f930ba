//! Owns what a journal's records come to: rounds, attempts, decisions, times; and that their order is a possible one.
//! Deliberately opens nothing that is sealed.

use super::chain::Damage;
use super::form;
use super::record::{
    AttemptFinished, AttemptOutcome, Capture, DecisionRecord, Playbook, Record, RunFinished, RunStarted, StepOutcome,
    Word,
};
use crate::event::FailureKind;
use crate::ledger::{Moment, Policy};
use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime};

/// No run makes more attempts. Where one more would overflow, a record that says so was forged.
const MOST_ATTEMPTS: u32 = u32::MAX / 2;

/// What is known of a run.
#[derive(Debug)]
pub struct History {
    pub run: RunStarted,
    pub begun: SystemTime,
    /// The playbook it goes on with: as it was at first, or as a resume took it.
    pub playbook: Playbook,
    /// 1-based.
    pub round: u32,
    /// How the round ended, if it has.
    pub ended: Option<(SystemTime, RunFinished)>,
    /// When something was last recorded.
    pub last: SystemTime,
    pub custody: Custody,
    attempts: HashMap<String, Past>,
    decisions: HashMap<String, (u32, SystemTime, DecisionRecord)>,
    /// Attempts of each step: (round, number).
    steps: HashMap<String, Vec<(u32, u32)>>,
    /// Attempts of each step made of steps, as the keys of what stands in it tell.
    composites: HashMap<String, Vec<(u32, u32)>>,
    times: HashMap<String, (SystemTime, Option<SystemTime>)>,
    /// When attempts failed that others followed.
    failed: HashMap<String, SystemTime>,
    finished: HashMap<String, Finished>,
    /// The round was interrupted: it goes on no more.
    interrupted: bool,
    told: HashSet<String>,
    /// The files that it ran, in the order in which they came up first: absolute, without symbolic links.
    pub programs: Vec<String>,
}

/// An attempt as it is recorded.
#[derive(Debug)]
pub struct Past {
    pub round: u32,
    pub policy: Policy,
    pub finished: Option<AttemptFinished>,
}

/// How a step finished last.
#[derive(Debug)]
struct Finished {
    round: u32,
    outcome: StepOutcome,
    let_pass: bool,
    /// Its time was over, or that of what it did.
    late: bool,
}

impl Finished {
    /// Nothing of it is done again in a later round.
    fn is_settled(&self) -> bool {
        self.outcome == StepOutcome::Passed || self.let_pass
    }
}

/// What the run holds.
#[derive(Debug, Default)]
pub struct Custody {
    /// It has had a key.
    pub proven: bool,
    /// What is sealed: captured by a step that is no `read`, or given by a person. The last of a name counts.
    pub born: Vec<Born>,
    /// Its key was destroyed.
    pub ended: bool,
}

/// A secret that the journal holds.
#[derive(Clone, Debug)]
pub struct Born {
    pub name: String,
    pub step: String,
    pub attempt: u32,
    pub sealed: String,
    pub at: SystemTime,
}

impl History {
    /// The history of a new run.
    pub fn new(run: RunStarted, begun: SystemTime) -> History {
        History {
            playbook: run.playbook.clone(),
            run,
            begun,
            round: 1,
            ended: None,
            last: begun,
            custody: Custody::default(),
            attempts: HashMap::new(),
            decisions: HashMap::new(),
            steps: HashMap::new(),
            composites: HashMap::new(),
            times: HashMap::new(),
            failed: HashMap::new(),
            interrupted: false,
            finished: HashMap::new(),
            told: HashSet::new(),
            programs: Vec::new(),
        }
    }

    fn runs(&mut self, program: Option<&String>) {
        if let Some(program) = program.filter(|program| !self.programs.contains(program)) {
            self.programs.push(program.clone());
        }
    }

    /// # Errors
    /// The first record that cannot stand where it does.
    pub fn of(records: &[(SystemTime, Record)]) -> Result<History, Damage> {
        let mut records = records.iter();
        let Some((begun, Record::RunStarted(run))) = records.next() else {
            return Err(Damage { record: 1, what: "a journal begins with `run-started`".into() });
        };
        let mut history = History::new(run.clone(), *begun);
        for (index, (at, record)) in records.enumerate() {
            history.add(*at, record).map_err(|what| Damage { record: index as u64 + 2, what })?;
        }
        Ok(history)
    }

    fn add(&mut self, at: SystemTime, record: &Record) -> Result<(), String> {
        self.last = at;
        if self.ended.is_some()
            && !matches!(record, Record::RunResumed(_) | Record::Revealed { .. } | Record::CustodyEnded { .. })
        {
            return Err("something happened after the run had ended".into());
        }
        let attempt = match record {
            Record::AttemptStarted(started) => started.attempt,
            Record::AttemptFinished(finished) => finished.attempt,
            Record::AttemptFailed { attempt, .. } => *attempt,
            Record::Decision(decision) => decision.attempt,
            _ => 1,
        };
        if attempt > MOST_ATTEMPTS {
            return Err(format!("it is of attempt {attempt}, and no run makes so many"));
        }
        match record {
            Record::RunStarted(_) => return Err("a second `run-started`".into()),
            Record::RunResumed(resumed) => {
                let wanted = if self.is_over() { self.round + 1 } else { self.round };
                if resumed.round != wanted {
                    return Err(format!("it resumes in round {}, and the next is {wanted}", resumed.round));
                }
                if resumed.round > self.round {
                    self.next_round();
                }
                for input in &resumed.inputs {
                    if let Some(known) = self.run.inputs.iter_mut().find(|known| known.name == input.name) {
                        *known = input.clone();
                    }
                }
                if let Some(playbook) = &resumed.playbook {
                    self.playbook = playbook.clone();
                }
                self.run.allowed.extend(resumed.allowed.iter().cloned());
            }
            Record::AttemptStarted(started) => {
                self.runs(started.program.as_ref());
                let key = form::key(&started.step, started.attempt);
                self.know(&started.step, started.attempt);
                let past = Past { round: self.round, policy: started.policy, finished: None };
                match self.attempts.get(&key) {
                    Some(known) if known.finished.is_some() => return Err(format!("`{key}` is started a second time")),
                    Some(known) if known.policy == Policy::Once => {
                        return Err(format!("`{key}` is `once` and is started a second time"));
                    }
                    _ => {}
                }
                self.attempts.insert(key, past);
            }
            Record::AttemptFinished(finished) => {
                self.runs(finished.program.as_ref());
                self.finish(at, finished)?;
            }
            Record::Decision(decision) => {
                let key = form::key(&decision.step, decision.attempt);
                // A word on an unknown outcome is about an attempt that is known already.
                if matches!(decision.what, Word::Approved | Word::Declined | Word::Done) {
                    self.know(&decision.step, decision.attempt);
                }
                self.hold(at, &decision.step, decision.attempt, &decision.answers);
                self.decisions.insert(key, (self.round, at, decision.clone()));
            }
            Record::StepStarted(step) => {
                self.know_composites(&step.step);
                self.times.insert(step.step.clone(), (at, None));
            }
            Record::StepFinished(step) => {
                let Some(times) = self.times.get_mut(&step.step) else {
                    return Err(format!("`{}` is finished and was not started", step.step));
                };
                times.1 = Some(at);
                let kind = step.failure.as_ref().map(|failure| failure.kind);
                let finished = Finished {
                    round: self.round,
                    outcome: step.outcome,
                    let_pass: step.let_pass,
                    late: kind == Some(FailureKind::Timeout)
                        || (step.outcome == StepOutcome::Unknown && kind == Some(FailureKind::Interrupted)),
                };
                self.finished.insert(step.step.clone(), finished);
            }
            Record::RunFinished(finished) => self.ended = Some((at, finished.clone())),
            Record::CustodyEnded { .. } => self.custody.ended = true,
            Record::CustodyProven { .. } => (self.custody.proven, self.custody.ended) = (true, false),
            Record::AttemptFailed { step, attempt, .. } => {
                self.failed.insert(form::key(step, *attempt), at);
            }
            Record::Interrupted {} => self.interrupted = true,
            Record::SectionStarted { .. }
            | Record::StepSkipped { .. }
            | Record::Warning { .. }
            | Record::Revealed { .. } => {}
        }
        if let Some(name) = self.name_of(record) {
            self.told.insert(name);
        }
        Ok(())
    }

    fn finish(&mut self, at: SystemTime, finished: &AttemptFinished) -> Result<(), String> {
        let key = form::key(&finished.step, finished.attempt);
        match self.attempts.get(&key) {
            Some(Past { finished: Some(_), .. }) => return Err(format!("`{key}` is finished a second time")),
            None if finished.policy != Policy::Read => return Err(format!("`{key}` is finished and was not started")),
            _ => {}
        }
        self.know(&finished.step, finished.attempt);
        if finished.policy != Policy::Read {
            self.hold(at, &finished.step, finished.attempt, &finished.captures);
        }
        let past = Past { round: self.round, policy: finished.policy, finished: Some(finished.clone()) };
        self.attempts.insert(key, past);
        Ok(())
    }

    fn hold(&mut self, at: SystemTime, step: &str, attempt: u32, captures: &[Capture]) {
        for capture in captures {
            if let Some(sealed) = &capture.value.sealed {
                self.custody.born.push(Born {
                    name: capture.name.clone(),
                    step: step.into(),
                    attempt,
                    sealed: sealed.clone(),
                    at,
                });
            }
        }
    }

    fn know(&mut self, step: &str, attempt: u32) {
        let known = self.steps.entry(step.into()).or_default();
        if known.last() != Some(&(self.round, attempt)) {
            known.push((self.round, attempt));
        }
        self.know_composites(step);
    }

    fn know_composites(&mut self, key: &str) {
        for (at, _) in key.match_indices('/') {
            let around = &key[..at];
            let Some((step, number)) = around.rsplit_once('#') else { continue };
            if let Some(number) = number.parse::<u32>().ok().filter(|number| *number <= MOST_ATTEMPTS) {
                let known = self.composites.entry(step.into()).or_default();
                if known.last() != Some(&(self.round, number)) {
                    known.push((self.round, number));
                }
            }
        }
    }

    /// Nothing more is done in this round.
    fn is_over(&self) -> bool {
        self.ended.is_some() || self.interrupted
    }

    /// What is settled stays; the rest is begun anew.
    fn next_round(&mut self) {
        self.round += 1;
        self.ended = None;
        self.interrupted = false;
        let mut times = std::mem::take(&mut self.times);
        times.retain(|key, _| self.is_settled(key));
        self.times = times;
    }

    /// Whether the step, or one that it stands in, was settled.
    fn is_settled(&self, step: &str) -> bool {
        let settled = |key: &str| self.finished.get(key).is_some_and(Finished::is_settled);
        settled(step) || step.match_indices(['/', '#', '[']).any(|(at, _)| settled(&step[..at]))
    }

    /// Begins the next round where the last has ended. The number of the round that is now.
    pub fn resume(&mut self) -> u32 {
        if self.is_over() {
            self.next_round();
        }
        self.round
    }

    pub fn attempt(&self, key: &str) -> Option<&Past> {
        self.attempts.get(key)
    }

    /// A decision that holds as of `round`: one that ended an earlier one does not.
    pub fn decision(&self, key: &str, as_of: u32) -> Option<(u32, SystemTime, &DecisionRecord)> {
        let (round, at, decision) = self.decisions.get(key)?;
        let spent = *round < as_of && matches!(decision.what, Word::Declined | Word::Abandon);
        (!spent).then_some((*round, *at, decision))
    }

    /// The attempt with which `round` begins a step: where earlier rounds left off.
    ///
    /// What passed is recalled, and so is what may have happened. What failed without a trace, or can be done again, is
    /// tried anew.
    pub fn first_attempt(&self, step: &str, round: u32) -> u32 {
        let before = |known: &Vec<(u32, u32)>| known.iter().filter(|(own, _)| *own < round).map(|(_, n)| *n).max();
        if let Some(last) = self.steps.get(step).and_then(before) {
            let key = form::key(step, last);
            let again = match self.attempts.get(&key) {
                Some(Past { finished: Some(finished), policy, .. }) => {
                    let sent = *policy == Policy::Once && !finished.surely_not;
                    finished.outcome == AttemptOutcome::Failed && !sent
                }
                Some(_) => false,
                // A person's word, and what became of the step that it was given for.
                None => match self.decisions.get(&key) {
                    Some((_, _, decision)) if decision.what == Word::Declined => true,
                    _ => {
                        let finished = self.finished.get(step);
                        finished.is_some_and(|own| own.round < round && own.outcome != StepOutcome::Passed)
                    }
                },
            };
            return if again { last + 1 } else { last };
        }
        self.composites.get(step).and_then(before).unwrap_or(1)
    }

    /// The earlier round in which the step was settled.
    pub fn settled_in(&self, step: &str) -> Option<u32> {
        let finished = self.finished.get(step)?;
        (finished.is_settled() && finished.round < self.round).then_some(finished.round)
    }

    /// Whether the step's own `timeout` ended it for good: it failed so, and none of its attempts did.
    pub fn timed_out(&self, step: &str) -> bool {
        let by_timeout = |known: &(u32, u32)| {
            let past = self.attempts.get(&form::key(step, known.1));
            let failure = past.and_then(|past| past.finished.as_ref()?.failure.as_ref());
            failure.is_some_and(|failure| failure.kind == FailureKind::Timeout)
        };
        let holds = |finished: &Finished| finished.round == self.round || self.is_settled(step);
        self.finished.get(step).is_some_and(|finished| finished.late && holds(finished))
            && !self.steps.get(step).is_some_and(|known| known.iter().any(by_timeout))
    }

    pub fn has_finished(&self, step: &str) -> bool {
        self.times.get(step).is_some_and(|(_, end)| end.is_some())
    }

    pub fn time(&self, key: &str, moment: Moment) -> Option<SystemTime> {
        if let (Moment::End, Some(Past { finished: Some(finished), .. })) = (moment, self.attempts.get(key)) {
            return Some(form::began(finished) + Duration::from_micros(finished.took_us));
        }
        if let (Moment::End, Some(at)) = (moment, self.failed.get(key)) {
            return Some(*at);
        }
        let (begun, end) = self.times.get(key)?;
        match moment {
            Moment::Begin => Some(*begun),
            Moment::End => *end,
        }
    }

    /// Steps and parts of them that have passed, for judging a playbook that was changed since.
    pub fn passed(&self) -> Vec<String> {
        let attempts = self.attempts.iter().filter(|(_, past)| {
            past.finished.as_ref().is_some_and(|finished| finished.outcome == AttemptOutcome::Passed)
                || past.finished.is_none()
        });
        let mut keys: Vec<String> = attempts.map(|(key, _)| key.clone()).collect();
        keys.extend(
            self.finished
                .iter()
                .filter(|(_, finished)| finished.outcome == StepOutcome::Passed)
                .map(|(key, _)| key.clone()),
        );
        keys.sort();
        keys.dedup();
        keys
    }

    /// Whether the record is one of an event that is recorded already.
    pub fn has_told(&self, record: &Record) -> bool {
        self.name_of(record).is_some_and(|name| self.told.contains(&name))
            || matches!(record, Record::StepStarted(step) if self.times.contains_key(&step.step))
    }

    fn name_of(&self, record: &Record) -> Option<String> {
        let round = self.round;
        Some(match record {
            Record::SectionStarted { section } => format!("section {round} {section:?}"),
            Record::AttemptFailed { step, attempt, .. } => format!("failed {step}#{attempt}"),
            Record::StepSkipped { step, .. } => format!("skipped {step}"),
            Record::Warning { message } => format!("warning {message}"),
            Record::StepFinished(step) if step.outcome == StepOutcome::Passed => format!("finished {}", step.step),
            Record::StepFinished(step) => format!("finished {round} {}", step.step),
            _ => return None,
        })
    }

    /// Names of what is held, each once.
    pub fn holds(&self) -> Vec<String> {
        if self.custody.ended {
            return Vec::new();
        }
        let mut names: Vec<String> = Vec::new();
        for born in &self.custody.born {
            if !names.contains(&born.name) {
                names.push(born.name.clone());
            }
        }
        names
    }
}
