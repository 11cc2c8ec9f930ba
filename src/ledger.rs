//! Owns the seam between the engine and what remembers a run; and the ledger that remembers nothing.
//! Deliberately says nothing of how it is remembered: a journal on this machine, a simulation, a durable service.
//!
//! The engine is an interpreter over `&dyn Ledger` with no `if` about which one it has. Resuming is running it again:
//! what is recorded comes back at once. So time, chance and people's answers reach the engine only through here.

use crate::event::{Failure, StepKey};
use crate::plan::{self, StepId};
use crate::value::Value;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

/// Which attempt is asked for, and how it is to be remembered.
#[derive(Clone, Debug)]
pub struct Call {
    /// The step, without its attempt.
    pub key: StepKey,
    /// 1-based.
    pub attempt: u32,
    pub policy: Policy,
    /// It waits for the outside: whoever watches wants to see that it is under way.
    pub outside: bool,
    /// What it answers holds a secret that may be shown once: custody is proven before it starts.
    pub custody: bool,
    /// Nothing of it may be legible in a record (`no_log`).
    pub private: bool,
    /// The file that it runs: absolute, without symbolic links.
    pub program: Option<String>,
}

/// Whether an effect may be started again when its outcome was not recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// It changes nothing, so its record may ride along with the next that is made durable.
    Read,
    /// Doing it twice is doing it once. The intent is durable before the effect starts.
    Idempotent,
    /// As above, and an intent without an outcome is in doubt, never a second call.
    Once,
}

/// A moment of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    Begin,
    End,
}

/// One attempt, not yet started. Started at most once, by the ledger.
pub type Effect<'a> = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = Attempted> + 'a>> + 'a>;

/// What one attempt came to.
#[derive(Clone, Debug)]
pub enum Attempted {
    Passed(Passed),
    Failed(Missed),
    /// It was sent, and nobody knows whether it took effect.
    Unknown(Missed),
}

#[derive(Clone, Debug, Default)]
pub struct Passed {
    pub captures: Vec<(String, Value)>,
    /// Only where a later step reads it.
    pub output: Option<Value>,
    /// One line for people: `200 OK`.
    pub detail: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Missed {
    pub failure: Failure,
    /// What was captured although the step failed: a secret that is shown once must not be lost with it.
    pub captures: Vec<(String, Value)>,
    /// HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// What the answer's `Retry-After` demands.
    pub retry_after: Option<Duration>,
    /// Surely nothing happened: refused connection, 429, 503 with Retry-After.
    pub surely_not: bool,
}

impl Missed {
    /// Nothing was sent, so nothing is lost.
    pub fn unsent(failure: Failure) -> Missed {
        Missed { failure, captures: Vec::new(), status: None, retry_after: None, surely_not: true }
    }

    /// It was sent, and nobody knows what came of it.
    pub fn in_doubt(failure: Failure) -> Missed {
        Missed { surely_not: false, ..Missed::unsent(failure) }
    }
}

/// An attempt's outcome as the ledger keeps it.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub attempted: Attempted,
    pub started: SystemTime,
    pub took: Duration,
    pub recall: Recall,
}

/// Whether something was done now or came from the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recall {
    /// It was done now.
    Fresh,
    /// It was recorded in this round of the run.
    In(u32),
}

/// A person's answer, and whether it was given now.
#[derive(Clone, Debug)]
pub struct Decided {
    pub decision: Decision,
    pub recall: Recall,
}

/// What a person is asked.
#[derive(Debug)]
pub enum Ask<'a> {
    Confirm {
        step: &'a StepId,
        message: &'a str,
        phrase: Option<&'a str>,
        next: &'a [String],
    },
    Manual {
        step: &'a StepId,
        instructions: &'a str,
        fields: &'a [plan::Ask],
    },
    /// A `once` step may or may not have happened.
    Unknown {
        step: &'a StepId,
        key: &'a StepKey,
        failure: &'a Failure,
        /// What it would have captured and nobody has, should it have happened.
        lost: &'a [String],
    },
}

/// What a person, or another system in their place, said.
#[derive(Clone, Debug)]
pub enum Decision {
    Approved {
        by: String,
        at: SystemTime,
        reason: Option<String>,
    },
    Declined {
        by: String,
        reason: Option<String>,
    },
    Done {
        by: String,
        at: SystemTime,
        answers: Vec<(String, Value)>,
    },
    /// The step is to be done again.
    Redo {
        by: String,
    },
    /// The step has happened.
    Happened {
        by: String,
    },
    /// The run is to end here.
    Abandon {
        by: String,
    },
    /// Nobody is there to ask; the text says what would answer it.
    Nobody {
        help: String,
    },
}

/// Why a ledger gives no answer. But for `Unproven` and `Locked` the engine unwinds, decides nothing and records nothing more.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    #[error("the outcome of `{0}` is unknown")]
    InDoubt(StepKey),
    /// Custody of what the step would answer cannot be had; nothing was sent.
    #[error("{0}")]
    Unproven(String),
    /// Another run has the lock.
    #[error("{0}")]
    Locked(String),
    #[error("the run can no longer be remembered: {0}")]
    Lost(String),
}

/// What remembers a run.
///
/// A run has *rounds*: the first ends when the run does; a resume of a run that ended begins the next, in which whatever
/// did not pass is done again. A resume of a run that was cut short goes on in the same round, as if nothing had been.
#[async_trait(?Send)]
pub trait Ledger {
    /// The recorded outcome of the attempt, or runs `effect`, records its outcome durably, then returns it.
    async fn effect(&self, call: &Call, effect: Effect<'_>) -> Result<Recorded, Stop>;
    /// A decision by a person or another system; survives restarts. `key` names the attempt. What ended an earlier round
    /// than `round` is asked again.
    async fn decision(&self, key: &StepKey, ask: &Ask<'_>, round: u32) -> Result<Decided, Stop>;
    /// Waits for `delay`, counted from the step's beginning, however often the run was cut short since.
    async fn wait(&self, key: &StepKey, delay: Duration) -> Result<(), Stop>;
    /// When the step began or ended; now, where that is not recorded.
    fn time(&self, key: &StepKey, moment: Moment) -> SystemTime;
    /// A number from 0 to 1, the same again when the run is replayed.
    fn chance(&self, key: &StepKey) -> f64;
    /// 1-based.
    fn round(&self) -> u32 {
        1
    }
    /// The attempt of a step (or of a step made of steps) with which `round` begins: 1, or where earlier rounds left off.
    fn first_attempt(&self, _key: &StepKey, _round: u32) -> u32 {
        1
    }
    /// The earlier round in which the step was settled: it passed, or its failure was let pass.
    fn settled_in(&self, _key: &StepKey) -> Option<u32> {
        None
    }
    /// Whether it is recorded that the step's `timeout` ended it, and this is to stay so.
    fn timed_out(&self, _key: &StepKey) -> bool {
        false
    }
    /// The run is interrupted: what follows is its end, and a resume begins the next round even if it is cut short there.
    fn interrupted(&self) {}
    /// Whether what came of the step is recorded.
    fn has_finished(&self, _key: &StepKey) -> bool {
        false
    }
    /// Takes the lock under a name, for as long as the run lives.
    async fn lock(&self, _name: &str) -> Result<(), Stop> {
        Ok(())
    }
    /// Names of secrets that this run holds the only copy of, as far as it knows.
    fn holds(&self) -> Vec<String> {
        Vec::new()
    }
    /// Whether the run can be gone on with when this process is gone.
    fn is_lasting(&self) -> bool {
        false
    }
    fn run_id(&self) -> &str;
}

/// Who answers what a person is asked.
#[async_trait(?Send)]
pub trait Person {
    async fn answer(&self, ask: &Ask<'_>) -> Decision;
}

/// Performs an effect now.
pub async fn perform(effect: Effect<'_>) -> Recorded {
    let started = SystemTime::now();
    let clock = std::time::Instant::now();
    let attempted = effect().await;
    Recorded { attempted, started, took: clock.elapsed(), recall: Recall::Fresh }
}

/// A ledger that remembers nothing beyond its process: the run is lost with it.
pub struct Transient<P> {
    run_id: String,
    person: P,
}

impl<P: Person> Transient<P> {
    pub fn new(run_id: String, person: P) -> Transient<P> {
        Transient { run_id, person }
    }
}

#[async_trait(?Send)]
impl<P: Person> Ledger for Transient<P> {
    async fn effect(&self, _call: &Call, effect: Effect<'_>) -> Result<Recorded, Stop> {
        Ok(perform(effect).await)
    }

    async fn decision(&self, _key: &StepKey, ask: &Ask<'_>, _round: u32) -> Result<Decided, Stop> {
        Ok(Decided { decision: self.person.answer(ask).await, recall: Recall::Fresh })
    }

    async fn wait(&self, _key: &StepKey, delay: Duration) -> Result<(), Stop> {
        tokio::time::sleep(delay).await;
        Ok(())
    }

    fn time(&self, _key: &StepKey, _moment: Moment) -> SystemTime {
        SystemTime::now()
    }

    fn chance(&self, _key: &StepKey) -> f64 {
        // Version 4 identifiers are random; 32 of their bits are plenty for jitter.
        f64::from(uuid::Uuid::new_v4().as_fields().0) / f64::from(u32::MAX)
    }

    fn run_id(&self) -> &str {
        &self.run_id
    }
}
