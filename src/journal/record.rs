//! Owns what a journal says: its records, one JSON object a line, under a format number.
//! Deliberately knows nothing of how lines are chained or made durable.

use crate::event::{FailureKind, RunOutcome, Section};
use crate::ledger::Policy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// Number of the journal's format; raised when a reader of the one before would misread a record.
pub const FORMAT: u32 = 1;

/// One line: its number, the SHA-256 of the line before it, when it was written, what it says, its CRC.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    /// From 1, without gaps.
    pub n: u64,
    /// Lower hex SHA-256 of the line before, without its line break; 64 zeros in the first.
    pub prev: String,
    /// RFC 3339, UTC, to the microsecond. The order is that of the lines: a clock may be set back.
    pub at: String,
    #[serde(flatten)]
    pub record: Record,
    /// Lower hex CRC-32 (IEEE) of the line's bytes before `,"crc"`.
    pub crc: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Record {
    /// The first.
    RunStarted(RunStarted),
    /// Somebody goes on with the run: in the same round where it was cut short, in the next where it had ended.
    RunResumed(RunResumed),
    /// A probe was sealed, made durable, read back and opened: what the run captures from here on is not lost.
    CustodyProven {
        /// `file`, `passphrase` or `command`.
        keeper: String,
    },
    SectionStarted {
        section: Section,
    },
    StepStarted(StepStarted),
    /// Durable before the attempt starts. Attempts of `read` steps have none.
    AttemptStarted(AttemptStarted),
    /// What one attempt came to.
    AttemptFinished(AttemptFinished),
    /// The attempt failed and another follows.
    AttemptFailed {
        step: String,
        attempt: u32,
        /// Absent where there is no limit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        attempts: Option<u32>,
        reason: String,
        retry_in_ms: u64,
    },
    StepFinished(StepFinished),
    StepSkipped {
        step: String,
        title: String,
        depth: usize,
        reason: String,
    },
    /// What a person, or another system in their place, said.
    Decision(DecisionRecord),
    Warning {
        message: String,
    },
    /// The run was interrupted: what follows is its end, and the next resume begins another round.
    Interrupted {},
    RunFinished(RunFinished),
    /// One secret was handed to a person.
    Revealed {
        secret: String,
        by: String,
        /// `the terminal` or the file.
        to: String,
    },
    /// The run's key was destroyed: what is sealed in this journal can be opened by nobody.
    CustodyEnded {
        by: String,
        /// `passed` or `discarded`.
        why: String,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunStarted {
    pub format: u32,
    /// Version of the program that wrote it.
    pub program: String,
    pub run: String,
    pub playbook: Playbook,
    pub actor: String,
    pub process: Process,
    /// Where the fakes listen, when the run is a rehearsal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub world: Option<String>,
    pub inputs: Vec<Input>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// The playbook that a run runs: copies of its files, in the run's folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Playbook {
    pub name: String,
    /// Absolute path of the file that was asked for.
    pub path: String,
    /// Lower hex SHA-256 of the plan: its files, and how they are walked.
    pub digest: String,
    pub files: Vec<PlaybookFile>,
    /// Paths as they were asked for, and the path of the file that was found there.
    pub found: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlaybookFile {
    /// Absolute path where it was read, without symbolic links.
    pub path: String,
    /// Name of the copy in the run's folder `playbook/`.
    pub copy: String,
    /// Lower hex.
    pub sha256: String,
}

/// The process that writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Process {
    pub host: String,
    pub pid: u32,
}

/// An input: where it came from, and its value, sealed where it is secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Input {
    pub name: String,
    /// Where it came from, e.g. `{"from": "env", "name": "CF_CURRENT_TOKEN"}`.
    pub source: Json,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Kept>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunResumed {
    pub round: u32,
    pub actor: String,
    pub program: String,
    pub process: Process,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub world: Option<String>,
    /// Secret inputs that are others than before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<Input>,
    /// Where it goes on with the playbook as it is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub playbook: Option<Playbook>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepStarted {
    pub step: String,
    pub title: String,
    /// The action's word in YAML.
    pub action: String,
    pub depth: usize,
    pub composite: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptStarted {
    pub step: String,
    pub attempt: u32,
    pub policy: Policy,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptFinished {
    pub step: String,
    pub attempt: u32,
    pub policy: Policy,
    pub outcome: AttemptOutcome,
    /// RFC 3339, UTC, to the microsecond.
    pub started: String,
    pub took_us: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub captures: Vec<Capture>,
    /// Only where a later step reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Kept>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// HTTP status of a failed attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// It failed so that surely nothing happened.
    #[serde(default, skip_serializing_if = "is_false")]
    pub surely_not: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AttemptOutcome {
    Passed,
    Failed,
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Capture {
    pub name: String,
    #[serde(flatten)]
    pub value: Kept,
}

/// A value as a journal keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Kept {
    /// The value; with three stars where something secret is.
    pub json: Json,
    /// The whole value sealed under the run's key, base64, where any of it is secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepFinished {
    pub step: String,
    pub title: String,
    pub depth: usize,
    pub composite: bool,
    pub outcome: StepOutcome,
    pub attempts: u32,
    pub took_us: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Public captures; secret ones as stars.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub captures: Vec<(String, Json)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// It failed, and the playbook lets the run go on.
    #[serde(default, skip_serializing_if = "is_false")]
    pub let_pass: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StepOutcome {
    Passed,
    Failed,
    Unknown,
}

/// Why something failed, masked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    pub kind: FailureKind,
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assertions: Vec<Assertion>,
    /// At most 4 KiB of what was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub help: Vec<String>,
}

/// A place in one of the playbook's files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    /// Absolute path.
    pub file: String,
    /// JSON Pointer (RFC 6901) into its YAML.
    pub route: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Assertion {
    pub place: Place,
    pub text: String,
    pub expected: String,
    pub actual: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DecisionRecord {
    pub step: String,
    pub attempt: u32,
    pub what: Word,
    pub by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Capture>,
    /// Digest of the plan that it was said of.
    pub plan: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    Approved,
    Declined,
    Done,
    /// Do it again.
    Redo,
    /// It has happened.
    Happened,
    Abandon,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunFinished {
    pub outcome: RunOutcome,
    pub took_us: u64,
    pub passed: usize,
    pub failed: usize,
    pub skipped: usize,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<(String, Failure)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub intervals: Vec<Interval>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_hand: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<(String, Json)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub custody: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Interval {
    pub name: String,
    pub from: String,
    pub to: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_us: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_us: Option<u64>,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// The JSON Schema of one line.
pub fn journal_schema() -> Json {
    let generator = schemars::generate::SchemaSettings::draft2020_12().into_generator();
    let mut schema = serde_json::to_value(generator.into_root_schema_for::<Line>()).unwrap_or_default();
    schema["$id"] = Json::from(format!("urn:runbook:journal:{FORMAT}"));
    schema["title"] = Json::from(format!("Line of a journal of `runbook`, format {FORMAT}"));
    schema
}
