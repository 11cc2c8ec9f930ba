//! Owns the seam between the engine and what remembers a run.
//! Deliberately says nothing of how it is remembered: a journal on this machine, a simulation, a durable service.
//!
//! The engine is an interpreter over `&dyn Ledger` with no `if` about which one it has. Resuming is running it again:
//! what is recorded comes back at once. So time, chance and people's answers reach the engine only through here.

use crate::event::{Failure, StepKey};
use crate::plan::{self, StepId};
use crate::value::Value;
use async_trait::async_trait;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

/// Whether an effect may be started again when its outcome was not recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    Repeatable,
    /// The intent is durable before the effect starts; an intent without an outcome is in doubt, never a second call.
    Once,
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
    /// Secrets that were answered although the step failed: they must not be lost with it.
    pub secrets: Vec<(String, Value)>,
    /// HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// What the answer's `Retry-After` demands.
    pub retry_after: Option<Duration>,
    /// Surely nothing happened: refused connection, 429, 503 with Retry-After.
    pub surely_not: bool,
}

/// An attempt's outcome as the ledger keeps it.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub attempted: Attempted,
    pub started: SystemTime,
    pub took: Duration,
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
        failure: &'a Failure,
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

/// Why a ledger gives no answer. The engine unwinds, decides nothing and records nothing more.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    #[error("interrupted")]
    Interrupted,
    #[error("the outcome of `{0}` is unknown")]
    InDoubt(StepKey),
    #[error("the run can no longer be remembered: {0}")]
    Lost(String),
}

#[async_trait(?Send)]
pub trait Ledger {
    /// The recorded outcome of `key`, or runs `effect`, records its outcome durably, then returns it.
    async fn effect(&self, key: &StepKey, policy: Policy, effect: Effect<'_>) -> Result<Recorded, Stop>;
    /// A decision by a person or another system; survives restarts.
    async fn decision(&self, key: &StepKey, ask: &Ask<'_>) -> Result<Decision, Stop>;
    async fn wait_until(&self, key: &StepKey, at: SystemTime) -> Result<(), Stop>;
    /// The time now, the same again when the run is replayed.
    fn now(&self, key: &StepKey) -> SystemTime;
    /// A number from 0 to 1, the same again when the run is replayed.
    fn chance(&self, key: &StepKey) -> f64;
    fn run_id(&self) -> &str;
}

/// Who answers what a person is asked.
#[async_trait(?Send)]
pub trait Person {
    async fn answer(&self, ask: &Ask<'_>) -> Decision;
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
    async fn effect(&self, _key: &StepKey, _policy: Policy, effect: Effect<'_>) -> Result<Recorded, Stop> {
        let started = SystemTime::now();
        let clock = std::time::Instant::now();
        let attempted = effect().await;
        Ok(Recorded { attempted, started, took: clock.elapsed() })
    }

    async fn decision(&self, _key: &StepKey, ask: &Ask<'_>) -> Result<Decision, Stop> {
        Ok(self.person.answer(ask).await)
    }

    async fn wait_until(&self, _key: &StepKey, at: SystemTime) -> Result<(), Stop> {
        tokio::time::sleep(at.duration_since(SystemTime::now()).unwrap_or_default()).await;
        Ok(())
    }

    fn now(&self, _key: &StepKey) -> SystemTime {
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
