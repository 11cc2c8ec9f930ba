//! Owns the shapes of keys that serde reads as plain JSON: short and long forms, words, durations.
//! Deliberately never deserialised: they exist for the schema, and so for editors and for the walk in `shape`.

#![allow(dead_code, clippy::large_enum_variant, reason = "nothing ever makes one of these")]

use super::document::{Assertion, Capture, Confirm, Exec, Manual, Parallel, SecretCapture, Shell, Step};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value as Json;
use std::borrow::Cow;

/// Declares a shape by its JSON Schema.
macro_rules! shape {
    ($(#[$doc:meta])* $name:ident, $called:literal, $schema:tt) => {
        $(#[$doc])*
        pub struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                $called.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

shape!(
    /// A duration; a template that gives one passes too.
    Duration, "Duration", {
        "description": "A duration: numbers with units, largest first.",
        "type": "string",
        "pattern": r"^\s*(\d+(\.\d+)?\s*[a-zµ]+\s*)+$|\{\{",
        "examples": ["500ms", "30s", "5m", "1h 30m", "180d"],
    }
);

shape!(
    /// The id of a step, the name of a playbook.
    Kebab, "Name", {
        "description": "A name in kebab-case.",
        "type": "string",
        "pattern": "^[a-z][a-z0-9]*(-[a-z0-9]+)*$",
        "examples": ["rotate-token"],
    }
);

shape!(
    /// One value that is no list and no map.
    Scalar, "Scalar", {
        "description": "One value; text may be a template.",
        "type": ["string", "number", "boolean"],
    }
);

shape!(
    /// A size of data.
    Size, "Size", {
        "description": "Bytes, or text such as `10MiB`.",
        "type": ["string", "integer"],
        "minimum": 0,
        "examples": ["10MiB", 65536],
    }
);

shape!(
    /// A status or exit code, or a list of those it may be.
    Numbers, "Numbers", {
        "description": "A number, or a list of those it may be.",
        "anyOf": [
            {"type": "integer"},
            {"type": "array", "items": {"type": "integer"}, "minItems": 1},
        ],
        "examples": [200, [200, 201]],
    }
);

shape!(
    /// A condition, or a constant.
    When, "Condition", {
        "description": "A Tera expression without braces.",
        "type": ["string", "boolean"],
        "examples": ["mode == \"programmatic\"", "github_repo is defined"],
    }
);

shape!(
    /// What a step loops over.
    ForEach, "ForEach", {
        "description": "A list, a template that gives one, or `{jq: …}`.",
        "anyOf": [
            {"type": "array"},
            {"type": "string"},
            {"type": "object", "properties": {"jq": {"type": "string"}}, "required": ["jq"], "additionalProperties": false},
        ],
    }
);

shape!(
    /// What is tried again.
    RetryOn, "RetryOn", {
        "description": "A kind of failure, or a status.",
        "anyOf": [
            {"type": "string", "enum": ["transport", "timeout", "assertions", "4xx", "5xx"]},
            {"type": "integer", "minimum": 100, "maximum": 599},
        ],
    }
);

shape!(
    /// How much of a delay is left to chance.
    Jitter, "Jitter", {
        "description": "`true` (half of the delay at random) or a fraction from 0 to 1.",
        "type": ["boolean", "number"],
        "minimum": 0,
        "maximum": 1,
    }
);

shape!(
    /// Which cookie jar.
    Cookies, "Cookies", {
        "description": "`true` for the run's cookie jar, or the name of a jar.",
        "type": ["boolean", "string"],
    }
);

shape!(
    /// The oldest TLS that is spoken.
    TlsVersion, "TlsVersion", {
        "description": "Oldest TLS version that is spoken.",
        "enum": ["1.2", "1.3", 1.2, 1.3],
    }
);

shape!(
    /// A part of an output, as an assertion names it.
    Output, "Output", {
        "description": "`true` to say something of it by predicates, or the text it must equal.",
        "type": ["boolean", "string"],
    }
);

shape!(
    /// Where text is taken from.
    From, "TextOutput", {
        "type": "string",
        "enum": ["body", "stdout", "stderr"],
    }
);

/// A program by argv: a list, or a map with `argv`.
#[derive(JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "ExecForm")]
pub enum ExecForm {
    Argv(Vec<Scalar>),
    Long(Exec),
}

/// A script for `bash -euo pipefail`: a text, or a map with `script`.
#[derive(JsonSchema)]
#[serde(untagged)]
pub enum ShellForm {
    Script(String),
    Long(Shell),
}

/// What a person is asked to approve: a text, or a map with `message`.
#[derive(JsonSchema)]
#[serde(untagged)]
pub enum ConfirmForm {
    Message(String),
    Long(Confirm),
}

/// What a person does: Markdown, or a map with `instructions`.
#[derive(JsonSchema)]
#[serde(untagged)]
pub enum ManualForm {
    Instructions(String),
    Long(Manual),
}

/// Steps that run at once: a list, or a map with `steps`.
#[derive(JsonSchema)]
#[serde(untagged)]
pub enum ParallelForm {
    Steps(Vec<Step>),
    Long(Parallel),
}

/// What to do when nobody knows whether a `once` step happened: a word, or `read` steps ending in a capture `happened`.
#[derive(JsonSchema)]
#[serde(untagged)]
pub enum OnUnknownForm {
    Word(OnUnknownWord),
    Steps(Vec<Step>),
}

#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnUnknownWord {
    /// A person decides.
    Ask,
    /// The step runs again.
    Rerun,
    /// The step counts as done.
    Skip,
    /// The run fails.
    Fail,
}

/// An assertion over an output: `status == 200`, `status in [200, 201]`, `exit_code == 0`, `duration < 2s`, or a map with a query.
#[derive(JsonSchema)]
#[serde(untagged)]
pub enum ExpectEntry {
    Comparison(
        #[schemars(regex(pattern = r"^\s*(status|exit_code|duration)\b"), extend("examples" = ["status == 200", "status in [200, 201]", "exit_code == 0", "duration < 2s"]))]
         String,
    ),
    Query(Assertion),
}

/// An assertion over the variables: a Tera expression, or a map with a query.
#[derive(JsonSchema)]
#[serde(untagged)]
pub enum AssertEntry {
    Expression(String),
    Query(Assertion),
}

/// What is kept of an output under a name: jq, or a map.
#[derive(JsonSchema)]
#[serde(untagged)]
pub enum CaptureEntry {
    Jq(String),
    Long(Capture),
}

/// Whether a capture is a secret: `true`, or where it may flow.
#[derive(JsonSchema)]
#[serde(untagged)]
pub enum SecretForm {
    Flag(bool),
    To(SecretCapture),
}

/// The values that are allowed, or a template that gives a list of them.
#[derive(JsonSchema)]
#[serde(untagged)]
pub enum InForm {
    List(Vec<Json>),
    Template(String),
}
