//! Owns where a run is: which file, whose permissions count, how deep; and why a list of steps ended early.

use super::Engine;
use super::scope::RunFacts;
use crate::action::{Cancel, Hands};
use crate::event::{Failure, FailureKind, StepKey, StepOutcome};
use crate::plan::Plan;
use crate::plan::permissions::Grant;
use std::path::Path;

/// Where we are in a run: which file, whose permissions count, how deep.
#[derive(Clone)]
pub struct Place<'a> {
    pub engine: &'a Engine<'a>,
    pub facts: &'a RunFacts,
    pub plan: &'a Plan,
    pub grant: Grant,
    pub key: StepKey,
    pub depth: usize,
    /// Steps of the file that was asked for, whose ids `intervals` and `--until` name.
    pub outermost: bool,
    /// What tells actions to stop at once.
    pub cancel: Cancel,
    /// The round as of which steps are begun: the run's own, or an earlier one that is only walked through again.
    pub round: u32,
    /// A step around this one carries a wanted tag, so that all within it is wanted.
    pub tagged: bool,
}

impl<'a> Place<'a> {
    pub fn folder(&self) -> &Path {
        self.plan.source.folder()
    }

    pub fn hands(&self) -> &'a Hands {
        &self.engine.hands
    }

    pub fn facts(&self) -> &'a RunFacts {
        self.facts
    }

    pub fn within(&self, key: StepKey) -> Place<'a> {
        Place { key, depth: self.depth + 1, ..self.clone() }
    }
}

/// Why a list of steps ended before its last.
#[derive(Clone, Debug)]
pub enum Halt {
    /// A step failed; what it was is told already.
    Failed(StepKey, Failure),
    /// A `once` step's outcome is unknown and nobody said what to do.
    Unknown(Failure),
    /// A person is needed and there is none.
    Waiting(StepKey, Failure),
    Interrupted,
    /// The last wanted step (`--until`) was reached.
    Reached,
    /// The ledger cannot go on; nothing more may be decided.
    Lost(String),
}

pub fn outcome_of(halt: &Halt) -> StepOutcome {
    match halt {
        Halt::Failed(_, failure) | Halt::Waiting(_, failure) => StepOutcome::Failed(failure.clone()),
        Halt::Unknown(failure) => StepOutcome::Unknown(failure.clone()),
        Halt::Reached => StepOutcome::Passed,
        Halt::Interrupted => StepOutcome::Failed(plain(FailureKind::Interrupted, "interrupted".into())),
        Halt::Lost(reason) => StepOutcome::Failed(plain(FailureKind::Action, reason.clone())),
    }
}

pub fn plain(kind: FailureKind, message: String) -> Failure {
    Failure { kind, message, assertions: Vec::new(), place: None, excerpt: None, help: Vec::new() }
}
