//! Owns the shapes of the actions' own keys.
//! Deliberately knows nothing of steps, but that some actions have them inside.

use super::{DurationText, InputType, Named, Step, some_even_null};
use crate::playbook::forms;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;

/// One HTTP exchange.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// GET where nothing is said.
    #[schemars(extend("examples" = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]))]
    pub method: Option<String>,
    /// A template; must be covered by `permissions.net`.
    pub url: String,
    /// Query parameters; a list gives one for each item.
    pub query: Option<Named<Json>>,
    /// Headers of the request.
    #[schemars(with = "Option<Named<forms::Scalar>>")]
    pub headers: Option<Named<Json>>,
    /// Credentials; they never follow a redirect to another host.
    pub auth: Option<Auth>,
    /// Body, as JSON. A string that is one single `{{ … }}` becomes the value, with its type.
    pub json: Option<Json>,
    /// Body, as an HTML form sends it.
    pub form: Option<Named<Json>>,
    /// Body, in parts.
    pub multipart: Option<Named<Json>>,
    /// Body, as it is.
    pub text: Option<String>,
    /// Path of a file whose content is the body.
    pub file: Option<String>,
    /// How long the exchange may take.
    #[schemars(with = "Option<forms::Duration>")]
    pub timeout: Option<DurationText>,
    /// How long connecting may take.
    #[schemars(with = "Option<forms::Duration>")]
    pub connect_timeout: Option<DurationText>,
    /// How many redirects are followed: 10 for GET and HEAD, else 0.
    pub redirects: Option<u32>,
    /// Whom to trust, and as whom to appear.
    pub tls: Option<Tls>,
    /// URL of a proxy.
    pub proxy: Option<String>,
    /// `true` for the run's cookie jar, or the name of a jar.
    #[schemars(with = "Option<forms::Cookies>")]
    pub cookies: Option<Json>,
    /// Largest body that is read: bytes, or text such as `10MiB`.
    #[schemars(with = "Option<forms::Size>")]
    pub max_body: Option<Json>,
    /// Asks for page after page; `json` is then the joined items.
    pub paginate: Option<Paginate>,
}

/// Credentials of a request: one of the two.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub struct Auth {
    /// A token, for `Authorization: Bearer`.
    pub bearer: Option<String>,
    /// A user and a password.
    pub basic: Option<Basic>,
}

/// A user and a password, for `Authorization: Basic`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// A template.
    pub user: String,
    /// A template.
    pub password: String,
}

/// Whom to trust, and as whom to appear.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// PEM file of the only authorities to trust.
    pub ca: Option<String>,
    /// PEM file of the client's certificate.
    pub client_cert: Option<String>,
    /// PEM file of the client's key.
    pub client_key: Option<String>,
    /// Oldest TLS version that is spoken: `1.2` or `1.3`.
    #[schemars(with = "Option<forms::TlsVersion>")]
    pub min_version: Option<Json>,
}

/// Pages until `until` holds; `json` is then the joined items.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Paginate {
    /// Query parameter that holds the page's number.
    pub query: String,
    /// Number of the first page; 1 where nothing is said.
    pub start: Option<i64>,
    /// jq: the list of items of a page.
    pub items: String,
    /// jq over a page: true on the last one. Also reads `$page`, `$count` (items of this page), `$items` (so far).
    pub until: Option<String>,
    /// More pages than this, and the step fails.
    pub max_pages: Option<u32>,
}

/// One program, by argv; no shell.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exec {
    /// The program and its arguments.
    #[schemars(with = "Vec<forms::Scalar>", length(min = 1))]
    pub argv: Vec<Json>,
    /// Environment, besides PATH, HOME, LANG, TZ and TMPDIR; names must be in `permissions.env`.
    #[schemars(with = "Option<Named<forms::Scalar>>")]
    pub env: Option<Named<Json>>,
    /// Text for its standard input.
    pub stdin: Option<Json>,
    /// `{name: content}`: a private temporary file, its path is `{{ files.name }}`.
    pub files: Option<Named<Json>>,
    /// Folder it runs in.
    pub cwd: Option<String>,
    /// How long it may run; then its whole process group is ended.
    #[schemars(with = "Option<forms::Duration>")]
    pub timeout: Option<DurationText>,
    /// Most output that is kept: bytes, or text such as `10MiB`.
    #[schemars(with = "Option<forms::Size>")]
    pub max_output: Option<Json>,
    /// Why a secret has to be in argv, where every process of the machine can read it.
    pub allow_secret_argv: Option<String>,
}

/// A script for `bash -euo pipefail`; `bash` must be in `permissions.run`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shell {
    /// The script. No templates inside: values reach it by `env`.
    pub script: String,
    /// Environment, besides PATH, HOME, LANG, TZ and TMPDIR; names must be in `permissions.env`.
    #[schemars(with = "Option<Named<forms::Scalar>>")]
    pub env: Option<Named<Json>>,
    /// Text for its standard input.
    pub stdin: Option<Json>,
    /// `{name: content}`: a private temporary file, its path is in the environment as `FILES_NAME`.
    pub files: Option<Named<Json>>,
    /// Folder it runs in.
    pub cwd: Option<String>,
    /// How long it may run; then its whole process group is ended.
    #[schemars(with = "Option<forms::Duration>")]
    pub timeout: Option<DurationText>,
    /// Most output that is kept: bytes, or text such as `10MiB`.
    #[schemars(with = "Option<forms::Size>")]
    pub max_output: Option<Json>,
}

/// What a person is asked to approve.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Confirm {
    /// The question, a template.
    pub message: String,
    /// What has to be typed to approve.
    pub phrase: Option<String>,
}

/// What a person does.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manual {
    /// Markdown, a template.
    pub instructions: String,
    /// Values that the person gives afterwards; read as `.answers.NAME`.
    pub ask: Option<Named<AskField>>,
}

/// One value that a person gives.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AskField {
    /// What it may be; `string` where nothing is said. A `secret` is typed unseen.
    #[serde(rename = "type", default)]
    pub kind: InputType,
    /// What the person is asked.
    pub prompt: Option<String>,
    /// A regular expression that the text must match.
    pub pattern: Option<String>,
    /// The only values it may have.
    pub one_of: Option<Vec<Json>>,
    /// Used when the person gives nothing.
    #[serde(default, deserialize_with = "some_even_null")]
    #[schemars(with = "Option<Json>")]
    pub default: Option<Json>,
}

/// Steps that run at once.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parallel {
    /// How many run at once; all where nothing is said.
    #[schemars(range(min = 1))]
    pub max: Option<u32>,
    /// The steps.
    pub steps: Vec<Step>,
}
