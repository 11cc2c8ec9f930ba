//! Owns what happened: the facts that the engine tells journal and reporters, in order.
//! Deliberately knows neither; no event is serialisable (only its plain words are): each form that leaves the process is
//! its reporter's own.
//! Every text in an event is masked before it is emitted.

use crate::plan::StepId;
use crate::source::Place;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, SystemTime};

/// Names a place in a run: steps and loop iterations from the outside in, e.g. `infisical[2]/store/write`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepKey(String);

impl StepKey {
    pub fn step(&self, id: &StepId) -> StepKey {
        if self.0.is_empty() { StepKey(id.to_string()) } else { StepKey(format!("{}/{id}", self.0)) }
    }

    pub fn iteration(&self, index: usize) -> StepKey {
        StepKey(format!("{}[{index}]", self.0))
    }

    /// 1-based.
    pub fn attempt(&self, attempt: u32) -> StepKey {
        StepKey(format!("{}#{attempt}", self.0))
    }

    /// What stands within an attempt of a step made of steps; the first goes without saying.
    pub fn within_attempt(&self, attempt: u32) -> StepKey {
        if attempt == 1 { self.clone() } else { self.attempt(attempt) }
    }

    /// What is done once in every round of a run (`on_failure`, `finally`); the first goes without saying.
    pub fn in_round(&self, round: u32) -> StepKey {
        match round {
            1 => self.clone(),
            _ => self.aside(&format!("round-{round}")),
        }
    }

    /// What stands in a step beside its own steps; in round brackets, since no step can be called so.
    pub fn aside(&self, name: &str) -> StepKey {
        if self.0.is_empty() { StepKey(format!("({name})")) } else { StepKey(format!("{}/({name})", self.0)) }
    }

    /// Whether `other` is this step, or a step, iteration or attempt within it.
    pub fn encloses(&self, other: &StepKey) -> bool {
        other.0.strip_prefix(&self.0).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '[', '#']))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for StepKey {
    fn from(text: String) -> StepKey {
        StepKey(text)
    }
}

impl fmt::Display for StepKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which list of the playbook a step stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Section {
    Steps,
    OnFailure,
    Finally,
}

#[derive(Clone, Debug)]
pub enum RunEvent {
    /// First.
    RunStarted(RunStarted),
    SectionStarted(Section),
    StepStarted(StepStarted),
    /// An attempt failed and another follows.
    AttemptFailed {
        key: StepKey,
        attempt: u32,
        attempts: u32,
        reason: String,
        retry_in: Duration,
    },
    StepFinished(StepFinished),
    StepSkipped {
        key: StepKey,
        title: String,
        depth: usize,
        reason: String,
        at: SystemTime,
    },
    /// A person is asked; progress displays must make room.
    Asking {
        key: StepKey,
    },
    Decided {
        key: StepKey,
        title: String,
        by: String,
        what: String,
    },
    Warning {
        message: String,
    },
    /// Something about the run's record rather than its steps; the engine tells none.
    Noted(Note),
    /// Last.
    RunFinished(RunFinished),
}

#[derive(Clone, Debug)]
pub struct RunStarted {
    pub run_id: String,
    pub playbook: String,
    pub title: Option<String>,
    pub actor: String,
    /// Where the fakes listen, when the run is a rehearsal.
    pub world: Option<String>,
    pub dry_run: bool,
    /// Steps on the outermost level.
    pub steps: usize,
    /// Public inputs, and where each secret came from.
    pub inputs: Vec<(String, Json)>,
    pub lock: Option<String>,
    /// 1-based.
    pub round: u32,
    /// Rules that the operator permits for this run besides.
    pub allowed: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Note {
    /// Kebab-case: `resumed`, `custody-proven`, `revealed`, `custody-ended`, `under-way`, `broken-off`.
    pub what: &'static str,
    pub by: Option<String>,
    /// One line.
    pub text: String,
}

#[derive(Clone, Debug)]
pub struct StepStarted {
    pub key: StepKey,
    pub title: String,
    /// The action's word in YAML.
    pub action: Cow<'static, str>,
    /// 0 on the outermost level.
    pub depth: usize,
    /// Whether steps of its own follow before it finishes.
    pub composite: bool,
    pub at: SystemTime,
}

#[derive(Clone, Debug)]
pub struct StepFinished {
    pub key: StepKey,
    pub title: String,
    pub depth: usize,
    pub composite: bool,
    pub outcome: StepOutcome,
    pub attempts: u32,
    pub duration: Duration,
    /// One line that says what came of it: `200 OK`, `exit 0`.
    pub detail: Option<String>,
    /// Public captures; secret ones with stars.
    pub captures: Vec<(String, Json)>,
    /// It failed, and the playbook lets the run go on.
    pub let_pass: bool,
    pub at: SystemTime,
    /// It was done before the run was cut short, or in an earlier round; nothing of it was done now.
    pub before: bool,
}

#[derive(Clone, Debug)]
pub enum StepOutcome {
    Passed,
    /// A dry run rendered it and sent nothing.
    Rendered,
    Failed(Failure),
    /// It was sent, and nobody knows whether it took effect.
    Unknown(Failure),
}

/// Why a step failed, ready to be shown.
#[derive(Clone, Debug)]
pub struct Failure {
    pub kind: FailureKind,
    /// One line.
    pub message: String,
    pub assertions: Vec<FailedAssertion>,
    /// Where in the playbook; `None` where the cause is outside of it.
    pub place: Option<Place>,
    /// Masked excerpt of what the step answered.
    pub excerpt: Option<String>,
    pub help: Vec<String>,
}

/// What kind of trouble a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// Assertions did not hold, or a capture gave nothing.
    Assertions,
    /// Resolving, connecting, TLS, reading …
    Transport,
    Timeout,
    /// Permission, flow of a secret, role.
    Refused,
    /// A template or query could not be evaluated.
    Evaluation,
    /// A person said no.
    Declined,
    /// A person is needed and there is none.
    NeedsPerson,
    Interrupted,
    /// The program could not be started, a file not be read …
    Action,
    /// A step inside it failed.
    Inner,
}

#[derive(Clone, Debug)]
pub struct FailedAssertion {
    pub place: Place,
    pub text: String,
    pub expected: String,
    pub actual: String,
    pub message: Option<String>,
}

#[derive(Clone, Debug)]
pub struct RunFinished {
    pub outcome: RunOutcome,
    pub duration: Duration,
    pub passed: usize,
    pub failed: usize,
    pub skipped: usize,
    /// What was changed, in order: finished steps that are no `read`.
    pub changes: Vec<String>,
    /// What may have changed something all the same: it is no `read`, was sent, and did not pass.
    pub perhaps_changed: Vec<String>,
    pub failures: Vec<(StepKey, Failure)>,
    pub intervals: Vec<MeasuredInterval>,
    pub by_hand: Option<String>,
    pub rollback: Option<String>,
    pub outputs: Vec<(String, Json)>,
    pub warnings: Vec<String>,
    /// Names of secrets that the run holds in custody, since it did not pass.
    pub custody: Vec<String>,
    /// The run's id, where it did not pass and can be gone on with.
    pub resume: Option<String>,
    /// What held the programs to their permissions; `None` where none was started.
    pub confined: Option<Confinement>,
}

/// What the system holds programs to, whatever they try.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Confinement {
    /// The files that they may read and write.
    pub files: bool,
    /// The TCP ports that they may connect to.
    pub ports: bool,
    /// What the kernel's Landlock can do: its ABI; 0 where there is none.
    pub abi: u32,
    /// Why they were held to nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
}

impl Confinement {
    pub fn none(why: &str) -> Confinement {
        Confinement { files: false, ports: false, abi: 0, why_not: Some(why.into()) }
    }

    /// One line, for people.
    pub fn words(&self) -> String {
        match (self.files, self.ports, &self.why_not) {
            (true, true, _) => "programs were confined by Landlock (files and TCP ports)".into(),
            (true, false, _) => {
                format!("programs were confined by Landlock (files only: this kernel has ABI {})", self.abi)
            }
            (false, _, Some(why)) => format!("programs were not confined: {why}"),
            (false, _, None) => "programs were not confined".into(),
        }
    }
}

#[derive(Clone, Debug)]
pub struct MeasuredInterval {
    pub name: String,
    pub from: StepId,
    pub to: StepId,
    /// `None`: an end was not reached.
    pub took: Option<Duration>,
    pub budget: Option<Duration>,
}

/// How a round of a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RunOutcome {
    Passed,
    Failed,
    /// A person is needed and there is none.
    Waiting,
    /// The outcome of a `once` step is unknown.
    Unknown,
    Refused,
    Interrupted,
}

impl RunOutcome {
    pub fn word(self) -> &'static str {
        match self {
            RunOutcome::Passed => "passed",
            RunOutcome::Failed => "failed",
            RunOutcome::Waiting => "waiting",
            RunOutcome::Unknown => "unknown",
            RunOutcome::Refused => "refused",
            RunOutcome::Interrupted => "interrupted",
        }
    }
}
