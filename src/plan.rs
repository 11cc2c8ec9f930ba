//! Owns the plan: a checked playbook, with templates and queries compiled; `check` makes it from what was written.
//! Deliberately knows nothing of running: no clock, no network, no process.

pub mod check;
pub mod duration;
pub mod inputs;
mod made_of;
pub mod permissions;
pub mod same;
pub mod schema;

use crate::playbook::document::{Effect, InputType};
use crate::query::{JsonPath, Query};
use crate::secret::Target;
use crate::source::{Place, Source};
use crate::template::{Expression, Template};
use permissions::Permissions;
use serde_json::Value as Json;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How a plan is walked; part of every plan's digest. Raised when the same plan would be walked differently: another
/// order, other keys, an effect more or less. A run that was begun under another number cannot be gone on with.
pub const INTERPRETER: u32 = 1;

/// Headers that follow from the request, and with which a server could be led to see another one than was judged.
const OUR_HEADERS: [&str; 8] =
    ["host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "proxy-connection"];

/// Headers by which servers take another method or path than those that were judged.
const MISLEADING_HEADERS: [&str; 5] =
    ["x-http-method-override", "x-http-method", "x-method-override", "x-original-url", "x-rewrite-url"];

/// Why no playbook may give this header, if so.
pub fn refused_header(name: &str) -> Option<String> {
    // Servers that hand headers on as variables (CGI, WSGI) tell `_` from `-` no more.
    let same = |other: &str| name.replace('_', "-").eq_ignore_ascii_case(other);
    if OUR_HEADERS.iter().any(|ours| name.eq_ignore_ascii_case(ours)) {
        return Some(format!("the header `{name}` follows from the request and cannot be given"));
    }
    MISLEADING_HEADERS.iter().any(|other| same(other)).then(|| {
        format!("the header `{name}` makes servers do another request than the one that is judged by `permissions.net`")
    })
}

/// A playbook's or module's step; unique within its file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepId(pub Arc<str>);

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A checked playbook.
#[derive(Debug)]
pub struct Plan {
    pub source: Arc<Source>,
    pub name: String,
    pub title: Option<String>,
    pub deprecated: Option<String>,
    pub required_role: Option<String>,
    pub inputs: Vec<Input>,
    pub vars: Vec<(String, Setting)>,
    pub permissions: Arc<Permissions>,
    pub lock: Option<Template>,
    pub intervals: Vec<Interval>,
    pub steps: Vec<Step>,
    pub on_failure: Vec<Step>,
    pub finally: Vec<Step>,
    pub rollback: Option<String>,
    pub outputs: Vec<(String, Setting)>,
    /// Whether any step's whole output is read through `steps[…]` by an expression that cannot be told beforehand.
    pub reads_any_output: bool,
}

#[derive(Debug)]
pub struct Input {
    pub name: String,
    pub place: Place,
    pub kind: InputType,
    pub description: Option<String>,
    pub one_of: Option<Vec<Json>>,
    pub pattern: Option<regex::Regex>,
    /// Fixed by a variant; nobody can give another.
    pub fixed: Option<Json>,
    /// Where that variant says so.
    pub fixed_at: Option<Place>,
    pub default: Option<Json>,
    pub env: Option<String>,
    pub prompt: Option<String>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub items: Option<Items>,
    pub command: Option<Vec<String>>,
    pub file: Option<String>,
    pub to: Option<Vec<Target>>,
}

#[derive(Debug)]
pub struct Items {
    pub kind: InputType,
    pub one_of: Option<Vec<Json>>,
    pub pattern: Option<regex::Regex>,
}

/// What a new variable is made from.
#[derive(Debug)]
pub enum Setting {
    Template(Template),
    Query(Query),
}

#[derive(Debug)]
pub struct Interval {
    pub name: String,
    pub from: StepId,
    pub to: StepId,
    pub budget: Option<Duration>,
}

#[derive(Debug)]
pub struct Step {
    pub id: StepId,
    pub name: Option<Template>,
    pub place: Place,
    pub when: Option<Expression>,
    pub each: Option<Loop>,
    pub effect: Effect,
    pub work: Work,
    pub expect: Vec<Assertion>,
    pub capture: Vec<Capture>,
    pub retry: Option<Retry>,
    pub timeout: Option<Duration>,
    pub no_log: bool,
    pub continue_on_failure: bool,
    pub on_failure: Vec<Step>,
    pub on_unknown: OnUnknown,
    pub tags: Vec<String>,
    pub by_hand: Option<String>,
    /// Whether a later step reads its whole output through `steps["id"]`.
    pub keeps_output: bool,
}

/// What a step does.
#[derive(Debug)]
pub enum Work {
    Http(Box<Http>),
    Exec(Box<Exec>),
    Assert,
    Set(Vec<(String, Setting)>),
    Confirm { message: Template, phrase: Option<Template> },
    Manual { instructions: Template, ask: Vec<Ask> },
    Wait(Template),
    Use { plan: Arc<Plan>, with: Vec<(String, Template)> },
    Group(Vec<Step>),
    Parallel { max: Option<u32>, steps: Vec<Step> },
}

impl Work {
    /// The word that stands for it in YAML.
    pub fn word(&self) -> &'static str {
        match self {
            Work::Http(_) => "http",
            Work::Exec(exec) if exec.script.is_some() => "shell",
            Work::Exec(_) => "exec",
            Work::Assert => "assert",
            Work::Set(_) => "set",
            Work::Confirm { .. } => "confirm",
            Work::Manual { .. } => "manual",
            Work::Wait(_) => "wait",
            Work::Use { .. } => "use",
            Work::Group(_) => "group",
            Work::Parallel { .. } => "parallel",
        }
    }
}

/// A field that a person is asked for.
#[derive(Clone, Debug)]
pub struct Ask {
    pub name: String,
    pub kind: InputType,
    pub prompt: Option<String>,
    pub pattern: Option<regex::Regex>,
    pub one_of: Option<Vec<Json>>,
    pub default: Option<Json>,
}

impl Ask {
    pub fn is_secret(&self) -> bool {
        self.kind == InputType::Secret
    }
}

#[derive(Debug)]
pub struct Loop {
    pub over: Setting,
    pub name: String,
    pub max_parallel: u32,
    pub place: Place,
}

/// An HTTP exchange before its templates are rendered.
#[derive(Debug)]
pub struct Http {
    pub method: String,
    pub url: Template,
    pub query: Vec<(String, Template)>,
    pub headers: Vec<(String, Template)>,
    pub auth: Option<Auth>,
    pub body: Body,
    pub timeout: Option<Template>,
    pub connect_timeout: Option<Template>,
    pub redirects: Option<u32>,
    pub tls: Option<Tls>,
    pub proxy: Option<Template>,
    /// Name of the cookie jar; `None`: no cookies.
    pub cookies: Option<String>,
    /// Bytes.
    pub max_body: u64,
    pub paginate: Option<Paginate>,
}

#[derive(Debug)]
pub enum Auth {
    Bearer(Template),
    Basic { user: Template, password: Template },
}

#[derive(Debug)]
pub enum Body {
    None,
    Json(Template),
    Form(Vec<(String, Template)>),
    Multipart(Vec<(String, PartSource)>),
    Text(Template),
    File(Template),
}

/// One part of a multipart body.
#[derive(Debug)]
pub enum PartSource {
    Text(Template),
    File { path: Template, filename: Option<Template>, content_type: Option<Template> },
}

#[derive(Debug)]
pub struct Tls {
    pub ca: Option<Template>,
    pub client_cert: Option<Template>,
    pub client_key: Option<Template>,
    /// `1.2` or `1.3`.
    pub min_version: Option<String>,
}

#[derive(Debug)]
pub struct Paginate {
    pub query: String,
    pub start: i64,
    pub items: Query,
    pub until: Option<Query>,
    pub max_pages: u32,
}

/// A program, or a script for bash, before its templates are rendered.
#[derive(Debug)]
pub struct Exec {
    /// Empty for a script.
    pub argv: Vec<Template>,
    pub script: Option<String>,
    pub env: Vec<(String, Template)>,
    pub stdin: Option<Template>,
    pub files: Vec<(String, Template)>,
    /// Whether it needs its private folder: it has files in it, or reads `files.dir`.
    pub needs_folder: bool,
    pub cwd: Option<Template>,
    pub timeout: Option<Template>,
    /// Bytes of each of standard output and standard error.
    pub max_output: u64,
    pub allow_secret_argv: Option<String>,
}

#[derive(Debug)]
pub struct Assertion {
    pub place: Place,
    /// As written, on one line.
    pub text: String,
    pub claim: Claim,
    pub message: Option<Template>,
}

#[derive(Debug)]
pub enum Claim {
    /// `status == 200`
    Compare { field: Field, operator: Operator, operand: Json },
    /// A Tera expression, in `assert`.
    Expression(Expression),
    /// A query, with predicates that its first result has to meet (none: it is neither null nor false).
    Query { subject: Subject, predicates: Vec<Predicate>, not: bool },
    /// The output's `json` is valid under this JSON Schema.
    Schema { file: String, validator: SchemaText },
}

/// A JSON Schema that was found to be one.
#[derive(Debug)]
pub struct SchemaText(pub Json);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Status,
    ExitCode,
    Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
}

/// What a query reads.
#[derive(Debug)]
pub enum Subject {
    Jq(Query),
    JsonPath(JsonPath),
    Header(String),
    Body,
    Stdout,
    Stderr,
}

#[derive(Debug)]
pub enum Predicate {
    Equals(Template),
    NotEquals(Template),
    Contains(Template),
    Matches(MatchPattern),
    In(Template),
    Exists(bool),
    IsEmpty(bool),
    Count(Template),
    Less(Template),
    LessOrEqual(Template),
    Greater(Template),
    GreaterOrEqual(Template),
}

/// A regular expression: compiled beforehand, or a template that gives one.
#[derive(Debug)]
pub enum MatchPattern {
    Fixed(regex::Regex),
    Rendered(Template),
}

#[derive(Debug)]
pub struct Capture {
    pub name: String,
    pub place: Place,
    pub from: CaptureFrom,
    pub trim: bool,
    pub secret: Option<SecretMark>,
    pub default: Option<Json>,
}

#[derive(Debug)]
pub enum CaptureFrom {
    Jq(Query),
    JsonPath(JsonPath),
    Header(String),
    Regex { pattern: regex::Regex, from: Stream },
    Text(Stream),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Body,
    Stdout,
    Stderr,
}

/// A capture that is a secret, and where it may flow.
#[derive(Debug)]
pub struct SecretMark {
    pub to: Option<Vec<Target>>,
}

#[derive(Debug)]
pub enum OnUnknown {
    Ask,
    Rerun,
    Skip,
    Fail,
    Find(Vec<Step>),
}

#[derive(Clone, Debug)]
pub struct Retry {
    pub attempts: u32,
    pub delay: Duration,
    pub exponential: bool,
    pub max_delay: Option<Duration>,
    /// Fraction of the delay that is random, 0 to 1.
    pub jitter: f64,
    pub max_time: Option<Duration>,
    pub on: Vec<RetryOn>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RetryOn {
    Transport,
    Timeout,
    Assertions,
    Status(u16),
    StatusClass(u16),
}

impl Plan {
    /// Calls `look` on every step of this file and of the files it uses, whoever holds it; once on those of a file that is
    /// used in several places: a few files that use each other twice over would be more steps than anybody can count.
    pub fn each_step(&self, look: &mut dyn FnMut(&Step)) {
        self.each_step_by_file(&mut |_, _, step| look(step));
    }

    /// As [`Plan::each_step`], with the file that the step stands in, and where that is used first (`None`: it is this one).
    pub fn each_step_by_file<'p>(&'p self, look: &mut dyn FnMut(&'p Plan, Option<&'p Place>, &'p Step)) {
        type Look<'l, 'p> = &'l mut dyn FnMut(&'p Plan, Option<&'p Place>, &'p Step);
        type File<'p> = (&'p Plan, Option<&'p Place>);
        fn walk<'p>(file: File<'p>, steps: &'p [Step], seen: &mut HashSet<*const Plan>, look: Look<'_, 'p>) {
            for step in steps {
                look(file.0, file.1, step);
                match &step.work {
                    Work::Group(inner) | Work::Parallel { steps: inner, .. } => walk(file, inner, seen, look),
                    Work::Use { plan, .. } if seen.insert(Arc::as_ptr(plan)) => {
                        all((plan, Some(&step.place)), seen, look)
                    }
                    _ => {}
                }
                walk(file, &step.on_failure, seen, look);
                if let OnUnknown::Find(inner) = &step.on_unknown {
                    walk(file, inner, seen, look);
                }
            }
        }
        fn all<'p>(file: File<'p>, seen: &mut HashSet<*const Plan>, look: Look<'_, 'p>) {
            for list in [&file.0.steps, &file.0.on_failure, &file.0.finally] {
                walk(file, list, seen, look);
            }
        }
        all((self, None), &mut HashSet::new(), look);
    }

    /// Ids of all steps of this file and of the files it uses.
    pub fn step_ids(&self) -> Vec<String> {
        let mut ids = Vec::new();
        self.each_step(&mut |step| ids.push(step.id.to_string()));
        ids.sort();
        ids.dedup();
        ids
    }

    /// Whether any step captures a secret, or asks a person for one.
    pub fn captures_secrets(&self) -> bool {
        let mut any = false;
        self.each_step(&mut |step| {
            any |= step.capture.iter().any(|capture| capture.secret.is_some());
            any |= matches!(&step.work, Work::Manual { ask, .. } if ask.iter().any(Ask::is_secret));
        });
        any
    }

    /// Whether every step that does something to the outside only reads.
    pub fn only_reads(&self) -> bool {
        let mut all = true;
        self.each_step(&mut |step| {
            all &= match &step.work {
                Work::Http(_) | Work::Exec(_) => step.effect == Effect::Read,
                Work::Confirm { .. } | Work::Manual { .. } => false,
                _ => true,
            };
        });
        all
    }

    pub fn starts_programs(&self) -> bool {
        let mut any = false;
        self.each_step(&mut |step| any |= matches!(step.work, Work::Exec(_)));
        any
    }

    /// The texts of this file and of the files it uses.
    pub fn sources(&self) -> Vec<Arc<Source>> {
        let mut sources: Vec<Arc<Source>> = vec![self.source.clone()];
        self.each_step(&mut |step| {
            if !sources.iter().any(|known| Arc::ptr_eq(known, &step.place.source)) {
                sources.push(step.place.source.clone());
            }
        });
        sources
    }
}
