//! Owns the shape of a step, and of what goes with any action: retries, assertions, captures.
//! Deliberately a struct with one optional field an action: tagged and untagged enums lose the place of a mistake.

use super::{DurationText, Http, Named, some_even_null};
use crate::playbook::forms;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;

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
    #[schemars(with = "Option<forms::Kebab>")]
    pub id: Option<String>,
    /// One line for people.
    pub name: Option<String>,
    /// Markdown: why, and what to know.
    pub description: Option<String>,
    /// A Tera expression, without braces; the step is skipped where it does not hold.
    #[schemars(with = "Option<forms::When>")]
    pub when: Option<Json>,
    /// Runs the step for each item: a list, a template that gives one, or `{jq: …}`.
    #[schemars(with = "Option<forms::ForEach>")]
    pub for_each: Option<Json>,
    /// Name of the loop's variable; `item` where nothing is said.
    #[serde(rename = "as")]
    pub as_name: Option<String>,
    /// How many items run at once; 1 where nothing is said.
    #[schemars(range(min = 1))]
    pub max_parallel: Option<u32>,
    /// Whether the step may be done again.
    pub effect: Option<Effect>,

    // Actions: exactly one of them.
    /// One HTTP exchange.
    pub http: Option<Box<Http>>,
    /// A program by argv (a list, or a map with `argv`); no shell.
    #[schemars(with = "Option<forms::ExecForm>")]
    pub exec: Option<Json>,
    /// A script for `bash -euo pipefail` (a text, or a map with `script`); no templates inside.
    #[schemars(with = "Option<forms::ShellForm>")]
    pub shell: Option<Json>,
    /// Assertions over the variables.
    #[schemars(with = "Option<Vec<forms::AssertEntry>>")]
    pub assert: Option<Vec<Json>>,
    /// New variables: a template, any YAML, or `{jq: …}`.
    pub set: Option<Named<Json>>,
    /// Asks a person to approve (a text, or a map with `message`).
    #[schemars(with = "Option<forms::ConfirmForm>")]
    pub confirm: Option<Json>,
    /// Shows instructions and waits for "done" (Markdown, or a map with `instructions`).
    #[schemars(with = "Option<forms::ManualForm>")]
    pub manual: Option<Json>,
    /// Sleeps for a duration.
    #[schemars(with = "Option<forms::Duration>")]
    pub wait: Option<DurationText>,
    /// Runs another playbook with the inputs under `with`: a path relative to this file.
    #[serde(rename = "use")]
    pub use_: Option<String>,
    /// Steps as one: retried, looped and guarded together.
    pub group: Option<Vec<Step>>,
    /// Steps that run at once (a list, or a map with `steps`).
    #[schemars(with = "Option<forms::ParallelForm>")]
    pub parallel: Option<Json>,

    // What goes with it.
    /// Inputs of the playbook that `use` names.
    pub with: Option<Named<Json>>,
    /// What must hold of the output; all of it is judged.
    #[schemars(with = "Option<Vec<forms::ExpectEntry>>")]
    pub expect: Option<Vec<Json>>,
    /// What is kept of the output: `name: jq`, or `name` with a map.
    #[schemars(with = "Option<Named<forms::CaptureEntry>>")]
    pub capture: Option<Named<Json>>,
    /// How often, and when, the step is tried again.
    pub retry: Option<Retry>,
    /// How long the step may take.
    #[schemars(with = "Option<forms::Duration>")]
    pub timeout: Option<DurationText>,
    /// Neither request nor output is kept or shown anywhere.
    pub no_log: Option<bool>,
    /// The failure is shown and counted; the run goes on and can still pass.
    pub continue_on_failure: Option<bool>,
    /// Steps that run when this step failed, after its retries.
    pub on_failure: Option<Vec<Step>>,
    /// What to do when nobody knows whether a `once` step happened: `ask`, `rerun`, `skip`, `fail`, or `read` steps ending in a capture `happened`.
    #[schemars(with = "Option<forms::OnUnknownForm>")]
    pub on_unknown: Option<Json>,
    /// Words to pick steps by.
    pub tags: Option<Vec<String>>,
    /// Markdown: how a person does this step without the program.
    pub by_hand: Option<String>,
}

/// How often, and when, a step is tried again.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// How many attempts there are in all.
    #[schemars(range(min = 1))]
    pub attempts: Option<u32>,
    /// How long to wait before the next attempt.
    #[schemars(with = "Option<forms::Duration>")]
    pub delay: Option<DurationText>,
    /// How the delay grows.
    pub backoff: Option<Backoff>,
    /// The delay grows no longer than this.
    #[schemars(with = "Option<forms::Duration>")]
    pub max_delay: Option<DurationText>,
    /// `true` (half of the delay at random) or a fraction from 0 to 1.
    #[schemars(with = "Option<forms::Jitter>")]
    pub jitter: Option<Json>,
    /// How long all attempts may take; whichever of attempts and time ends first.
    #[schemars(with = "Option<forms::Duration>")]
    pub max_time: Option<DurationText>,
    /// What is tried again: `transport`, `timeout`, `assertions`, `4xx`, `5xx` or a status.
    #[schemars(with = "Option<Vec<forms::RetryOn>>")]
    pub on: Option<Vec<Json>>,
}

/// How a delay grows.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Backoff {
    /// It stays as it is.
    #[default]
    Constant,
    /// It doubles each time.
    Exponential,
}

/// An assertion: one query, predicates that must all hold, a message.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1))]
pub struct Assertion {
    /// jq; without a predicate its first result must be neither `null` nor `false`.
    pub jq: Option<String>,
    /// JSONPath; the first node it finds.
    pub jsonpath: Option<String>,
    /// Name of a header.
    pub header: Option<String>,
    /// `true` with predicates, or the text it must equal.
    #[schemars(with = "Option<forms::Output>")]
    pub body: Option<Json>,
    /// `true` with predicates, or the text it must equal.
    #[schemars(with = "Option<forms::Output>")]
    pub stdout: Option<Json>,
    /// `true` with predicates, or the text it must equal.
    #[schemars(with = "Option<forms::Output>")]
    pub stderr: Option<Json>,
    /// The HTTP status, or a list of those it may be; like `status == 200`, with room for a message.
    #[schemars(with = "Option<forms::Numbers>")]
    pub status: Option<Json>,
    /// The exit code, or a list of those it may be.
    #[schemars(with = "Option<forms::Numbers>")]
    pub exit_code: Option<Json>,
    /// JSON Schema file that the output's `json` must be valid under.
    pub schema: Option<String>,
    /// The value it must be.
    #[serde(default, deserialize_with = "some_even_null")]
    #[schemars(with = "Option<Json>")]
    pub equals: Option<Json>,
    /// A value it must not be.
    #[serde(default, deserialize_with = "some_even_null")]
    #[schemars(with = "Option<Json>")]
    pub not_equals: Option<Json>,
    /// A text within the text, or an item of the list.
    pub contains: Option<Json>,
    /// A regular expression that the text must match.
    pub matches: Option<String>,
    /// The values it may be.
    #[serde(rename = "in")]
    #[schemars(with = "Option<forms::InForm>")]
    pub in_: Option<Json>,
    /// Whether there is a value.
    pub exists: Option<bool>,
    /// Whether the text, list or map has nothing in it.
    pub is_empty: Option<bool>,
    /// How many items, keys or characters it has.
    pub count: Option<Json>,
    /// It must be less than this.
    pub lt: Option<Json>,
    /// It must be at most this.
    pub le: Option<Json>,
    /// It must be more than this.
    pub gt: Option<Json>,
    /// It must be at least this.
    pub ge: Option<Json>,
    /// Turns the predicates round.
    pub not: Option<bool>,
    /// A template, shown when the assertion fails.
    pub message: Option<String>,
}

/// A capture in its long form.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Capture {
    /// jq; its first result.
    pub jq: Option<String>,
    /// JSONPath; the first node it finds.
    pub jsonpath: Option<String>,
    /// Name of a header.
    pub header: Option<String>,
    /// A regular expression; its first group, or all that it matches.
    pub regex: Option<String>,
    /// The text that `regex` looks at, or that is captured as a whole: `body`, `stdout` or `stderr`.
    #[schemars(with = "Option<forms::From>")]
    pub from: Option<String>,
    /// Takes white space off both ends.
    pub trim: Option<bool>,
    /// Whether it is a secret: `true`, or `{to: […]}` with where it may flow.
    #[schemars(with = "Option<forms::SecretForm>")]
    pub secret: Option<Json>,
    /// Used when there is nothing, or `null`; without it the step fails then.
    #[serde(default, deserialize_with = "some_even_null")]
    #[schemars(with = "Option<Json>")]
    pub default: Option<Json>,
}

/// Where a captured secret may flow.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretCapture {
    /// Hosts, and `run:PROGRAM`.
    pub to: Option<Vec<String>>,
}
