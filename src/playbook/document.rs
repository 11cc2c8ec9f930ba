//! Owns the shape of a playbook file: what may be written where. The JSON Schema is made from these types.
//! Deliberately judges nothing but shape; what it means is `plan`'s affair.
//!
//! What is written over a field is what an author reads in an editor. Keys of which a short and a long form exist stay
//! JSON here; `forms` has their shapes, `read::part` reads the long form.

mod action;
mod step;

pub use action::*;
pub use step::*;

use super::forms;
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
    /// Number of the format this file is written in: 1.
    pub runbook: u32,
    /// Name in kebab-case; equals the file's name without `.yaml`.
    #[schemars(with = "forms::Kebab")]
    pub name: String,
    /// One line for people.
    pub title: Option<String>,
    /// Markdown, for people.
    pub description: Option<String>,
    /// Why not to use this playbook any more, and what instead; shown as a warning at every use.
    pub deprecated: Option<String>,
    /// What an SOP's header says.
    pub sop: Option<Sop>,
    /// The playbook that this one is a variant of: a path relative to this file.
    #[schemars(extend("examples" = ["cloudflare-user-token.yaml"]))]
    pub extends: Option<String>,
    /// Inputs of the base that this variant fixes; literal values.
    pub set: Option<Named<Json>>,
    /// Values that the operator supplies before the run.
    pub inputs: Option<Named<Input>>,
    /// Constants and derived values, evaluated once, in order: a template, any YAML, or `{jq: …}`.
    pub vars: Option<Named<Json>>,
    /// All that the run may touch; anything else is refused.
    pub permissions: Option<Permissions>,
    /// A template: a name for what the run works on; shown when it begins.
    #[schemars(extend("examples" = ["cloudflare-token/{{ secret_name }}"]))]
    pub lock: Option<String>,
    /// Named spans between steps; measured and shown.
    pub intervals: Option<Named<Interval>>,
    /// What steps have where they say nothing else.
    pub defaults: Option<Defaults>,
    /// The steps, in order.
    #[schemars(length(min = 1))]
    pub steps: Option<Vec<Step>>,
    /// Steps that run when any step of `steps` failed.
    pub on_failure: Option<Vec<Step>>,
    /// Steps that run always, last.
    pub finally: Option<Vec<Step>>,
    /// Markdown; printed when a run fails after its first change.
    pub rollback: Option<String>,
    /// What a caller (`use`) and `--output json` get: templates or `{jq: …}`; never a secret.
    pub outputs: Option<Named<Json>>,
}

/// What an SOP's header says.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sop {
    /// How much of it a program does, such as `programmatic` or `manual`.
    pub mode: Option<String>,
    /// Date of the last validation, `YYYY-MM-DD`.
    #[schemars(extend("pattern" = r"^\d{4}-\d{2}-\d{2}$", "examples" = ["2026-05-01"]))]
    pub last_validated: Option<String>,
    /// How it was validated, such as `read-only-docs` or `full-run`.
    pub validation: Option<String>,
    /// How long a run takes.
    #[schemars(with = "Option<forms::Duration>")]
    pub average_duration: Option<DurationText>,
    /// The role that the operator attests to have before the run.
    pub required_role: Option<String>,
    /// When `last_validated` is older than this, `check` and `run` warn.
    #[schemars(with = "Option<forms::Duration>")]
    pub stale_after: Option<DurationText>,
    /// Paths and URLs of what to read besides.
    pub references: Option<Vec<String>>,
}

/// What an input or a person's answer may be.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum InputType {
    /// Text.
    #[default]
    String,
    /// Text that is never shown, and goes only where it may.
    Secret,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// Text such as `5m`.
    Duration,
    /// A list; `items` says of what.
    List,
    /// A map.
    Object,
    /// The path of an existing file; naming it grants reading it.
    File,
}

/// A value that the operator supplies before the run.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// What it may be; `string` where nothing is said.
    #[serde(rename = "type", default)]
    pub kind: InputType,
    /// What it is, for people.
    pub description: Option<String>,
    /// The only values it may have.
    pub one_of: Option<Vec<Json>>,
    /// A regular expression that the text must match.
    #[schemars(extend("examples" = ["^[0-9a-f]{32}$"]))]
    pub pattern: Option<String>,
    /// Used when nobody gives a value; `null` makes the input optional.
    #[serde(default, deserialize_with = "some_even_null")]
    #[schemars(with = "Option<Json>")]
    pub default: Option<Json>,
    /// `false` makes the input optional, as `default: null` does.
    pub required: Option<bool>,
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
    #[schemars(extend("examples" = [["op", "read", "op://vault/item/field"]]))]
    pub command: Option<Vec<String>>,
    /// A file whose content is the secret (one newline at its end is dropped).
    pub file: Option<String>,
    /// Where a secret may flow: hosts, and `run:PROGRAM`.
    #[schemars(extend("examples" = [["api.cloudflare.com", "run:gh"]]))]
    pub to: Option<Vec<String>>,
}

/// What the items of a list input are.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Items {
    /// What an item may be; `string` where nothing is said.
    #[serde(rename = "type", default)]
    pub kind: InputType,
    /// The only values an item may have.
    pub one_of: Option<Vec<Json>>,
    /// A regular expression that every item must match.
    pub pattern: Option<String>,
}

/// All that the run may touch; anything else is refused.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Permissions {
    /// `[METHODS ]scheme://host[:port][/path glob][ private]`.
    #[schemars(extend("examples" = [["GET,PUT https://api.cloudflare.com/client/v4/user/tokens/**"]]))]
    pub net: Option<Vec<String>>,
    /// Programs that may be run: names, or absolute paths.
    pub run: Option<Vec<String>>,
    /// Environment variables that children may be given; globs allowed.
    pub env: Option<Vec<String>>,
    /// Path globs of files that may be read, relative to the playbook's folder.
    pub read: Option<Vec<String>>,
    /// Path globs of files that may be written, relative to the playbook's folder.
    pub write: Option<Vec<String>>,
}

/// A named span from the start of one step to the end of another.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// Id of the step with whose start it begins.
    pub from: String,
    /// Id of the step with whose end it ends.
    pub to: String,
    /// When it took longer, the summary warns.
    #[schemars(with = "Option<forms::Duration>")]
    pub budget: Option<DurationText>,
}

/// What steps have where they say nothing else.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    /// For `http` steps.
    pub http: Option<HttpDefaults>,
    /// For `exec` and `shell` steps.
    pub exec: Option<ExecDefaults>,
    /// For `http`, `exec` and `shell` steps.
    pub retry: Option<Retry>,
}

/// What `http` steps have where they say nothing else.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpDefaults {
    /// How long one exchange may take.
    #[schemars(with = "Option<forms::Duration>")]
    pub timeout: Option<DurationText>,
    /// How long connecting may take.
    #[schemars(with = "Option<forms::Duration>")]
    pub connect_timeout: Option<DurationText>,
    /// Headers that every request has.
    #[schemars(with = "Option<Named<forms::Scalar>>")]
    pub headers: Option<Named<Json>>,
    /// Largest body that is read.
    #[schemars(with = "Option<forms::Size>")]
    pub max_body: Option<Json>,
    /// URL of a proxy.
    pub proxy: Option<String>,
    /// Whom to trust, and as whom to appear.
    pub tls: Option<Tls>,
}

/// What `exec` and `shell` steps have where they say nothing else.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecDefaults {
    /// How long the program may run.
    #[schemars(with = "Option<forms::Duration>")]
    pub timeout: Option<DurationText>,
    /// Environment that every program is given.
    #[schemars(with = "Option<Named<forms::Scalar>>")]
    pub env: Option<Named<Json>>,
}

/// Tells a key that says `null` from one that is not there.
fn some_even_null<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(deserializer).map(Some)
}
