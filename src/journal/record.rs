//! Owns what a journal says: its records, one JSON object a line, under a format number.
//! Deliberately knows nothing of how lines are chained or made durable.

use crate::event::{Confinement, FailureKind, RunOutcome, Section};
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
    /// A list of the playbook begins.
    SectionStarted {
        /// Which one.
        section: Section,
    },
    /// A step begins.
    StepStarted(StepStarted),
    /// Durable before the attempt starts. Attempts of `read` steps have none.
    AttemptStarted(AttemptStarted),
    /// What one attempt came to.
    AttemptFinished(AttemptFinished),
    /// The attempt failed and another follows.
    AttemptFailed {
        /// Its key: steps, iterations and attempts from the outside in, e.g. `infisical[2]/write`.
        step: String,
        /// Which attempt, from 1.
        attempt: u32,
        /// Absent where there is no limit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        attempts: Option<u32>,
        /// Why it failed, in one line.
        reason: String,
        /// How long is waited before the next, in milliseconds.
        retry_in_ms: u64,
    },
    /// What came of a step, after all its attempts.
    StepFinished(StepFinished),
    /// A step was not done.
    StepSkipped {
        /// Its key: steps, iterations and attempts from the outside in, e.g. `infisical[2]/write`.
        step: String,
        /// Its name for people, rendered.
        title: String,
        /// 0 on the outermost level.
        depth: usize,
        /// Why, for people.
        reason: String,
    },
    /// What a person, or another system in their place, said.
    Decision(DecisionRecord),
    /// Something that the operator should know; the run goes on.
    Warning {
        /// One line.
        message: String,
    },
    /// The run was interrupted: what follows is its end, and the next resume begins another round.
    Interrupted {},
    /// The round has ended, and how. Only a resume, a reveal or the end of custody follows.
    RunFinished(RunFinished),
    /// One secret was handed to a person.
    Revealed {
        /// Its name.
        secret: String,
        /// Who had it handed out.
        by: String,
        /// `the terminal` or the file.
        to: String,
    },
    /// The run's key was destroyed: what is sealed in this journal can be opened by nobody.
    CustodyEnded {
        /// Who ended it.
        by: String,
        /// `passed` or `discarded`.
        why: String,
    },
}

/// What is run, by whom, with what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunStarted {
    /// Number of the format of all that follows.
    pub format: u32,
    /// Version of the program that wrote it.
    pub program: String,
    /// The run's id, a UUID of version 7; its folder is called so.
    pub run: String,
    pub playbook: Playbook,
    /// Who began it.
    pub actor: String,
    pub process: Process,
    /// Where the fakes listen, when the run is a rehearsal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub world: Option<String>,
    /// All inputs, in the order in which they are declared.
    pub inputs: Vec<Input>,
    /// Only steps with one of these tags are run; none: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The step after which the run stops.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// What the operator permits besides, e.g. `net:GET https://example.com/**`; paths are absolute.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<String>,
}

/// The playbook that a run runs: copies of its files, in the run's folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Playbook {
    /// Its name.
    pub name: String,
    /// Absolute path of the file that was asked for.
    pub path: String,
    /// Lower hex SHA-256 of the plan: its files, and how they are walked.
    pub digest: String,
    /// All files that the plan was made of, the entry first.
    pub files: Vec<PlaybookFile>,
    /// Paths as they were asked for, and the path of the file that was found there.
    pub found: Vec<(String, String)>,
}

/// A file of the playbook, and where its copy is.
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
    /// The machine's name.
    pub host: String,
    /// The process's number on it.
    pub pid: u32,
}

/// An input: where it came from, and its value, sealed where it is secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// Where it came from, e.g. `{"from": "env", "name": "CF_CURRENT_TOKEN"}`.
    pub source: Json,
    /// Its value, as it was given or came from its source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Kept>,
}

/// Who goes on, in which round, with what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunResumed {
    /// The round it goes on in, from 1.
    pub round: u32,
    /// Who resumed it.
    pub actor: String,
    /// Version of the program that writes from here on.
    pub program: String,
    pub process: Process,
    /// Where the fakes listen from here on, when the run is a rehearsal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub world: Option<String>,
    /// Secret inputs that are others than before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<Input>,
    /// Where it goes on with the playbook as it is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub playbook: Option<Playbook>,
    /// What the operator permits from here on, besides what was permitted before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<String>,
}

/// Which step, and how it is shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepStarted {
    /// Its key: steps, iterations and attempts from the outside in, e.g. `infisical[2]/write`.
    pub step: String,
    /// Its name for people, rendered.
    pub title: String,
    /// The action's word in YAML.
    pub action: String,
    /// 0 on the outermost level.
    pub depth: usize,
    /// Whether steps of its own follow before it finishes.
    pub composite: bool,
}

/// Which attempt is about to be made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptStarted {
    /// Its key: steps, iterations and attempts from the outside in, e.g. `infisical[2]/write`.
    pub step: String,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// Whether it may be made again when its outcome is not recorded.
    pub policy: Policy,
    /// The file that it runs: absolute, without symbolic links.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
}

/// What one attempt came to, with what it captured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptFinished {
    /// Its key: steps, iterations and attempts from the outside in, e.g. `infisical[2]/write`.
    pub step: String,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// Whether it could have been made again.
    pub policy: Policy,
    /// The file that it ran: absolute, without symbolic links.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// RFC 3339, UTC, to the microsecond.
    pub started: String,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// What it captured, though it failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub captures: Vec<Capture>,
    /// Only where a later step reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Kept>,
    /// One line for people: `200 OK`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Why it did not pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// HTTP status of a failed attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What the answer's `Retry-After` demanded, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// It failed so that surely nothing happened.
    #[serde(default, skip_serializing_if = "is_false")]
    pub surely_not: bool,
}

/// How an attempt ended; `unknown`: it was sent, and nobody knows whether it took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AttemptOutcome {
    Passed,
    Failed,
    Unknown,
}

/// A value under a name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Capture {
    /// Name of the variable.
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

/// What came of a step, and how it is shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepFinished {
    /// Its key: steps, iterations and attempts from the outside in, e.g. `infisical[2]/write`.
    pub step: String,
    /// Its name for people, rendered.
    pub title: String,
    /// 0 on the outermost level.
    pub depth: usize,
    /// Whether it was made of steps.
    pub composite: bool,
    /// How it ended.
    pub outcome: StepOutcome,
    /// How many attempts were made.
    pub attempts: u32,
    /// How long it took in this process, in microseconds.
    pub took_us: u64,
    /// One line for people: `200 OK`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Public captures; secret ones as stars.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub captures: Vec<(String, Json)>,
    /// Why it did not pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// It failed, and the playbook lets the run go on.
    #[serde(default, skip_serializing_if = "is_false")]
    pub let_pass: bool,
}

/// How a step ended; `unknown`: it was sent, and nobody knows whether it took effect.
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
    /// What kind of trouble it was.
    pub kind: FailureKind,
    /// One line.
    pub message: String,
    /// Where in the playbook; absent where the cause is outside of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// What was expected and did not hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assertions: Vec<Assertion>,
    /// At most 4 KiB of what was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<String>,
    /// What to do next.
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

/// Something that was expected and did not hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Assertion {
    /// Where it is written.
    pub place: Place,
    /// The assertion, as it is written.
    pub text: String,
    /// What was expected, for people.
    pub expected: String,
    /// What was found, for people.
    pub actual: String,
    /// The author's words on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Of which step it was said, what, and by whom.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DecisionRecord {
    /// Its key: steps, iterations and attempts from the outside in, e.g. `infisical[2]/write`.
    pub step: String,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// What was said.
    pub what: Word,
    /// Who said it.
    pub by: String,
    /// Why, or by which flag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What was asked for, under its names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Capture>,
    /// Digest of the plan that it was said of.
    pub plan: String,
}

/// What can be said of a step.
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

/// How a round ended: its summary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunFinished {
    /// How it ended.
    pub outcome: RunOutcome,
    /// How long the process took for it, in microseconds.
    pub took_us: u64,
    /// How many steps passed.
    pub passed: usize,
    /// How many steps failed.
    pub failed: usize,
    /// How many steps were skipped.
    pub skipped: usize,
    /// Titles of what was done and is no `read`, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
    /// Titles of what is no `read`, was sent, and did not pass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub perhaps_changed: Vec<String>,
    /// Why it did not pass: key of the step (empty: the run itself), and its failure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<(String, Failure)>,
    /// The playbook's intervals, as they were measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub intervals: Vec<Interval>,
    /// How a person does what failed, by the playbook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_hand: Option<String>,
    /// The way back, by the playbook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<String>,
    /// The playbook's outputs: name and value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<(String, Json)>,
    /// What the operator was warned of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Names of secrets that the run holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub custody: Vec<String>,
    /// What held the programs to their permissions; absent where none was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confined: Option<Confinement>,
    /// Name of the lock that it had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<String>,
}

/// The time between two steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Interval {
    /// Its name.
    pub name: String,
    /// Id of the step with whose begin it begins.
    pub from: String,
    /// Id of the step with whose end it ends.
    pub to: String,
    /// How long it was, in microseconds; absent where an end was not reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_us: Option<u64>,
    /// How long it may be, in microseconds.
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
