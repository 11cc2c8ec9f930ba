//! Owns the shape of a playbook file: what may be written where. The JSON Schema is made from these types.
//! Deliberately judges nothing but shape; what it means is `plan`'s affair.
//!
//! A step is a struct with one optional field an action, since tagged and untagged enums lose the place of a mistake.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;

/// Named values in the order they were written.
pub type Named<T> = indexmap::IndexMap<String, T>;

/// A duration such as `30s`, `5m`, `1h 30m` or `180d`.
pub type DurationText = String;

/// A playbook, or a variant of one (`extends`).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Playbook {
    /// Number of the format this file is written in.
    pub runbook: u32,
    /// Kebab-case name; equals the file's stem.
    pub name: String,
    pub title: Option<String>,
    /// Markdown; goes into `runbook doc`.
    pub description: Option<String>,
    /// Shown as a warning at every use.
    pub deprecated: Option<String>,
    /// What an SOP's header says.
    pub sop: Option<Sop>,
    /// The playbook that this one is a variant of, relative to this file.
    pub extends: Option<String>,
    /// Inputs that a variant fixes.
    pub set: Option<Named<Json>>,
    pub inputs: Option<Named<Input>>,
    /// Constants and derived values, evaluated once, in order: a template, any YAML, or `{jq: …}`.
    pub vars: Option<Named<Json>>,
    pub permissions: Option<Permissions>,
    /// No second run with the same rendered lock.
    pub lock: Option<String>,
    /// Named spans between steps; measured and shown.
    pub intervals: Option<Named<Interval>>,
    pub defaults: Option<Defaults>,
    pub steps: Option<Vec<Step>>,
    /// Steps that run when any step of `steps` failed.
    pub on_failure: Option<Vec<Step>>,
    /// Steps that run always, last.
    pub finally: Option<Vec<Step>>,
    /// Markdown; printed when a run fails after its first change.
    pub rollback: Option<String>,
    /// What a caller (`use`) and `--output json` get; never a secret.
    pub outputs: Option<Named<Json>>,
}

/// What an SOP's header says; shown by plan, doc and reports.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sop {
    pub mode: Option<String>,
    /// Date of the last validation, `YYYY-MM-DD`.
    pub last_validated: Option<String>,
    pub validation: Option<String>,
    pub average_duration: Option<DurationText>,
    /// The operator attests it before the run.
    pub required_role: Option<String>,
    /// When `last_validated` is older than this, `check` and `run` warn.
    pub stale_after: Option<DurationText>,
    pub references: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum InputType {
    #[default]
    String,
    Secret,
    Integer,
    Number,
    Boolean,
    Duration,
    List,
    Object,
    /// The path of an existing file.
    File,
}

/// A value that the operator supplies before the run.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    #[serde(rename = "type", default)]
    pub kind: InputType,
    pub description: Option<String>,
    /// The only values it may have.
    pub one_of: Option<Vec<Json>>,
    /// A regular expression that the whole text, or a part of it, must match.
    pub pattern: Option<String>,
    /// Used when nobody gives a value; `null` makes the input optional.
    #[serde(default, deserialize_with = "some_even_null")]
    #[schemars(with = "Option<Json>")]
    pub default: Option<Json>,
    /// Environment variable it is taken from.
    pub env: Option<String>,
    /// What a person is asked on a terminal.
    pub prompt: Option<String>,
    /// Smallest number, or shortest length of a text or list.
    pub min: Option<f64>,
    /// Largest number, or longest length of a text or list.
    pub max: Option<f64>,
    /// What the items of a list are.
    pub items: Option<Items>,
    /// A program, by argv, whose standard output is the secret.
    pub command: Option<Vec<String>>,
    /// A file whose content is the secret (one newline at its end is dropped).
    pub file: Option<String>,
    /// Where a secret may flow: hosts, and `run:PROGRAM`.
    pub to: Option<Vec<String>>,
}

/// What the items of a list input are.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Items {
    #[serde(rename = "type", default)]
    pub kind: InputType,
    pub one_of: Option<Vec<Json>>,
    pub pattern: Option<String>,
}

/// All that the run may touch; anything else is refused.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Permissions {
    /// `[METHODS ]scheme://host[:port][/path glob][ private]`.
    pub net: Option<Vec<String>>,
    /// Program names, or absolute paths.
    pub run: Option<Vec<String>>,
    /// Environment variables that children may be given.
    pub env: Option<Vec<String>>,
    /// Path globs of files that may be read, relative to the playbook's folder.
    pub read: Option<Vec<String>>,
    /// Path globs of files that may be written.
    pub write: Option<Vec<String>>,
}

/// A named span from the start of one step to the end of another.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    pub from: String,
    pub to: String,
    /// When it took longer, the summary warns.
    pub budget: Option<DurationText>,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    pub http: Option<HttpDefaults>,
    pub exec: Option<ExecDefaults>,
    pub retry: Option<Retry>,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpDefaults {
    pub timeout: Option<DurationText>,
    pub connect_timeout: Option<DurationText>,
    pub headers: Option<Named<Json>>,
    pub max_body: Option<Json>,
    pub proxy: Option<String>,
    pub tls: Option<Tls>,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecDefaults {
    pub timeout: Option<DurationText>,
    pub env: Option<Named<Json>>,
}

/// Whether a step may be done again.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Changes nothing.
    Read,
    /// Doing it twice is doing it once.
    Idempotent,
    /// Doing it twice does harm.
    Once,
}

/// One step: exactly one action, and what goes with it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Kebab-case, unique in its file; made from `name` when absent.
    pub id: Option<String>,
    pub name: Option<String>,
    /// Markdown.
    pub description: Option<String>,
    /// A Tera expression, without braces.
    pub when: Option<Json>,
    /// A list, a template that gives one, or `{jq: …}`.
    pub for_each: Option<Json>,
    /// Name of the loop's variable.
    #[serde(rename = "as")]
    pub as_name: Option<String>,
    pub max_parallel: Option<u32>,
    pub effect: Option<Effect>,
    // -- actions
    pub http: Option<Http>,
    /// A program by argv (a list, or a map with `argv`).
    #[schemars(with = "Option<ExecShape>")]
    pub exec: Option<Json>,
    /// A script for `bash -euo pipefail` (a text, or a map with `script`); no templates inside.
    #[schemars(with = "Option<ShellShape>")]
    pub shell: Option<Json>,
    /// Assertions over the variables.
    pub assert: Option<Vec<Json>>,
    /// New variables: a template, any YAML, or `{jq: …}`.
    pub set: Option<Named<Json>>,
    #[schemars(with = "Option<ConfirmShape>")]
    pub confirm: Option<Json>,
    #[schemars(with = "Option<ManualShape>")]
    pub manual: Option<Json>,
    /// A duration.
    pub wait: Option<DurationText>,
    #[serde(rename = "use")]
    pub use_: Option<String>,
    pub group: Option<Vec<Step>>,
    #[schemars(with = "Option<ParallelShape>")]
    pub parallel: Option<Json>,
    // -- what goes with it
    /// Inputs of the playbook that `use` names.
    pub with: Option<Named<Json>>,
    pub expect: Option<Vec<Json>>,
    pub capture: Option<Named<Json>>,
    pub retry: Option<Retry>,
    pub timeout: Option<DurationText>,
    /// Neither request nor output is kept or shown anywhere.
    pub no_log: Option<bool>,
    pub continue_on_failure: Option<bool>,
    pub on_failure: Option<Vec<Step>>,
    /// What to do when nobody knows whether a `once` step happened: `ask`, `rerun`, `skip`, `fail`, or `read` steps ending in a capture `happened`.
    #[schemars(with = "Option<OnUnknownShape>")]
    pub on_unknown: Option<Json>,
    pub tags: Option<Vec<String>>,
    /// Markdown: how a person does this step without the program.
    pub by_hand: Option<String>,
}

/// One HTTP exchange.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Http {
    pub method: Option<String>,
    pub url: String,
    pub query: Option<Named<Json>>,
    pub headers: Option<Named<Json>>,
    pub auth: Option<Auth>,
    pub json: Option<Json>,
    pub form: Option<Named<Json>>,
    pub multipart: Option<Named<Json>>,
    pub text: Option<String>,
    /// Path of a file whose content is the body.
    pub file: Option<String>,
    pub timeout: Option<DurationText>,
    pub connect_timeout: Option<DurationText>,
    /// How many redirects are followed: 10 for GET and HEAD, else 0.
    pub redirects: Option<u32>,
    pub tls: Option<Tls>,
    pub proxy: Option<String>,
    /// `true` for the run's cookie jar, or the name of a jar.
    pub cookies: Option<Json>,
    /// Largest body that is read: bytes, or text such as `10MiB`.
    pub max_body: Option<Json>,
    pub paginate: Option<Paginate>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    pub bearer: Option<String>,
    pub basic: Option<Basic>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    pub user: String,
    pub password: String,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// PEM file of the only authorities to trust.
    pub ca: Option<String>,
    /// PEM file.
    pub client_cert: Option<String>,
    /// PEM file.
    pub client_key: Option<String>,
    /// `1.2` or `1.3`.
    pub min_version: Option<Json>,
}

/// Pages until `until` holds; `json` is then the joined items.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Paginate {
    /// Query parameter that holds the page's number.
    pub query: String,
    pub start: Option<i64>,
    /// jq: the list of items of a page.
    pub items: String,
    /// jq over a page: true on the last one. Also reads `$page`, `$count` (items of this page), `$items` (so far).
    pub until: Option<String>,
    pub max_pages: Option<u32>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exec {
    pub argv: Vec<Json>,
    pub env: Option<Named<Json>>,
    pub stdin: Option<Json>,
    /// `{name: content}`: a private temporary file, its path is `{{ files.name }}`.
    pub files: Option<Named<Json>>,
    pub cwd: Option<String>,
    pub timeout: Option<DurationText>,
    pub max_output: Option<Json>,
    /// Why a secret has to be in argv, where every process of the machine can read it.
    pub allow_secret_argv: Option<String>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shell {
    pub script: String,
    pub env: Option<Named<Json>>,
    pub stdin: Option<Json>,
    /// `{name: content}`: a private temporary file, its path is in the environment as `FILES_NAME`.
    pub files: Option<Named<Json>>,
    pub cwd: Option<String>,
    pub timeout: Option<DurationText>,
    pub max_output: Option<Json>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Confirm {
    pub message: String,
    /// What has to be typed.
    pub phrase: Option<String>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manual {
    /// Markdown.
    pub instructions: String,
    pub ask: Option<Named<AskField>>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AskField {
    #[serde(rename = "type", default)]
    pub kind: InputType,
    pub prompt: Option<String>,
    pub pattern: Option<String>,
    pub one_of: Option<Vec<Json>>,
    #[serde(default, deserialize_with = "some_even_null")]
    #[schemars(with = "Option<Json>")]
    pub default: Option<Json>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parallel {
    pub max: Option<u32>,
    pub steps: Vec<Step>,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    pub attempts: Option<u32>,
    pub delay: Option<DurationText>,
    pub backoff: Option<Backoff>,
    pub max_delay: Option<DurationText>,
    /// `true` (half of the delay at random) or a fraction from 0 to 1.
    pub jitter: Option<Json>,
    /// Whichever of attempts and time ends first.
    pub max_time: Option<DurationText>,
    /// `transport`, `timeout`, `assertions`, `4xx`, `5xx` or a status.
    pub on: Option<Vec<Json>>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Backoff {
    #[default]
    Constant,
    Exponential,
}

/// An assertion: one query, predicates, a message.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Assertion {
    pub jq: Option<String>,
    pub jsonpath: Option<String>,
    pub header: Option<String>,
    /// `true`, or the text it must equal.
    pub body: Option<Json>,
    pub stdout: Option<Json>,
    pub stderr: Option<Json>,
    /// JSON Schema file that the output's `json` must be valid under.
    pub schema: Option<String>,
    #[serde(default, deserialize_with = "some_even_null")]
    #[schemars(with = "Option<Json>")]
    pub equals: Option<Json>,
    #[serde(default, deserialize_with = "some_even_null")]
    #[schemars(with = "Option<Json>")]
    pub not_equals: Option<Json>,
    pub contains: Option<Json>,
    pub matches: Option<String>,
    #[serde(rename = "in")]
    pub in_: Option<Json>,
    pub exists: Option<bool>,
    pub is_empty: Option<bool>,
    pub count: Option<Json>,
    pub lt: Option<Json>,
    pub le: Option<Json>,
    pub gt: Option<Json>,
    pub ge: Option<Json>,
    pub not: Option<bool>,
    pub message: Option<String>,
}

/// A capture in its long form.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Capture {
    pub jq: Option<String>,
    pub jsonpath: Option<String>,
    pub header: Option<String>,
    pub regex: Option<String>,
    /// `body`, `stdout` or `stderr`.
    pub from: Option<String>,
    pub trim: Option<bool>,
    /// `true`, or `{to: […]}`.
    pub secret: Option<Json>,
    #[serde(default, deserialize_with = "some_even_null")]
    #[schemars(with = "Option<Json>")]
    pub default: Option<Json>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretCapture {
    pub to: Option<Vec<String>>,
}

// Shapes of keys that have a short and a long form; they exist for the schema only.

#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code)]
enum ExecShape {
    Argv(Vec<Json>),
    Long(Exec),
}

#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code)]
enum ShellShape {
    Script(String),
    Long(Shell),
}

#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code)]
enum ConfirmShape {
    Message(String),
    Long(Confirm),
}

#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code)]
enum ManualShape {
    Instructions(String),
    Long(Manual),
}

#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code)]
enum ParallelShape {
    Steps(Vec<Step>),
    Long(Parallel),
}

#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code)]
enum OnUnknownShape {
    Word(OnUnknownWord),
    Steps(Vec<Step>),
}

#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(dead_code)]
enum OnUnknownWord {
    Ask,
    Rerun,
    Skip,
    Fail,
}

/// Tells a key that says `null` from one that is not there.
fn some_even_null<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(deserializer).map(Some)
}
