//! Owns the view of a plan: permissions first, then secrets, then the steps in order, modules expanded.
//! Deliberately draws nothing: texts stand here as they were written, and whoever shows them makes them safe.

mod steps;
mod told;

use crate::diagnostic::Severity;
use crate::plan::check::Checked;
use crate::plan::permissions::Allowed;
use crate::plan::{Input, Plan, Setting};
use crate::playbook::document::InputType;
use crate::source::Place;
use crate::template::Template;
use crate::value::text_of;
use serde::Serialize;
use serde_json::Value as Json;
use steps::{Steps, born};
use told::{Told, rules};

/// Number of the view's form; it changes when a key is renamed or taken away.
pub const FORMAT: u32 = 1;

/// What a playbook may do and would do.
#[derive(Debug, Serialize)]
pub struct View {
    pub format: u32,
    pub playbook: String,
    pub file: String,
    /// The playbook's own, then those of each module, in the order in which they come up.
    pub permissions: Vec<Granted>,
    /// What the operator permits besides for this run, to the playbook and to every module.
    pub allowed: Vec<Rule>,
    pub secrets: Vec<SecretView>,
    /// Public ones.
    pub inputs: Vec<InputView>,
    pub title: Option<String>,
    pub deprecated: Option<String>,
    pub required_role: Option<String>,
    pub lock: Option<String>,
    /// `name = template`.
    pub vars: Vec<String>,
    pub sections: Vec<SectionView>,
    pub outputs: Vec<String>,
    pub warnings: Vec<Warning>,
    /// What the plan is made of: 64 hexadecimal digits, the same in the record of a run.
    pub digest: String,
}

/// What one file may do.
#[derive(Debug, Serialize)]
pub struct Granted {
    pub playbook: String,
    pub file: String,
    /// Where it is used first; `None`: the playbook itself.
    pub used_at: Option<String>,
    pub rules: Vec<Rule>,
}

#[derive(Debug, Serialize)]
pub struct Rule {
    /// `net`, `run`, `env`, `read` or `write`.
    pub kind: &'static str,
    pub text: String,
    /// What is not seen at once.
    pub note: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct SecretView {
    pub name: String,
    pub playbook: String,
    pub place: String,
    /// Where its value comes from, for people.
    pub from: String,
    /// Where it may flow; `None`: wherever permissions allow.
    pub to: Option<Vec<String>>,
}

#[derive(Debug, Serialize)]
pub struct InputView {
    pub name: String,
    pub place: String,
    pub kind: String,
    /// What it is here: given, fixed by a variant, or its default.
    pub value: Option<Json>,
    /// `given`, `fixed`, `default` or `wanted`.
    pub from: &'static str,
    /// The environment variable that it is taken from where nobody gives it.
    pub env: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct SectionView {
    /// `steps`, `on_failure` or `finally`.
    pub name: &'static str,
    pub steps: Vec<StepView>,
}

#[derive(Debug, Default, Serialize)]
pub struct StepView {
    pub id: String,
    pub name: Option<String>,
    pub place: String,
    /// The action's word in YAML.
    pub action: String,
    /// `read`, `idempotent` or `once`; of what does something to the outside.
    pub effect: Option<String>,
    pub method: Option<String>,
    pub url: Option<String>,
    /// Hops that may be followed.
    pub redirects: Option<u32>,
    pub proxy: Option<String>,
    /// Files that are sent, or taken for TLS.
    pub reads: Vec<String>,
    pub argv: Vec<String>,
    pub script: Option<String>,
    /// Names of the variables that a program is given; with what, `variables` says.
    pub env: Vec<String>,
    /// `name = template`, of what a program is given besides its arguments: many a one runs what it is told there.
    pub variables: Vec<String>,
    pub files: Vec<String>,
    pub stdin: Option<String>,
    pub cwd: Option<String>,
    pub when: Option<String>,
    pub for_each: Option<String>,
    /// What a person is asked to approve, or to do.
    pub asks: Option<String>,
    /// What has to be typed to approve it.
    pub phrase: Option<String>,
    pub wait: Option<String>,
    pub sets: Vec<String>,
    /// What a module is given, and its own `vars`.
    pub with: Vec<String>,
    pub vars: Vec<String>,
    /// The playbook that is used, and its file.
    pub module: Option<String>,
    pub module_file: Option<String>,
    /// Secrets that go into it.
    pub secrets: Vec<String>,
    /// Secrets that come out of it.
    pub captures_secrets: Vec<String>,
    pub allow_secret_argv: Option<String>,
    pub retry_attempts: Option<u32>,
    pub continue_on_failure: bool,
    /// What is within it.
    pub steps: Vec<StepView>,
    pub on_failure: Vec<StepView>,
    /// What looks whether it has happened, where nobody knows.
    pub on_unknown: Vec<StepView>,
}

#[derive(Debug, Serialize)]
pub struct Warning {
    pub code: String,
    pub message: String,
    pub place: String,
}

/// Steps that a view has at most: files that use each other many times over are more than anybody reads. Permissions,
/// secrets and warnings are those of all files nevertheless.
const MOST_STEPS: usize = 20_000;

impl View {
    /// `given`: public inputs that are known already.
    pub fn of(checked: &Checked, allowed: &Allowed, given: &[(String, Json)]) -> View {
        let plan = &checked.plan;
        let mut told = Told::default();
        told.file(plan, None);
        let mut last: *const Plan = &raw const **plan;
        let mut files = vec![last];
        plan.each_step_by_file(&mut |file, used_at, step| {
            if !std::ptr::eq(last, file) {
                last = file;
                if !files.contains(&last) {
                    files.push(last);
                    told.file(file, used_at);
                }
            }
            told.step(file, step);
        });
        let mut steps = Steps { left: MOST_STEPS };
        let sections = steps.sections(plan, &mut born(plan, None));
        if steps.left == 0 {
            let message = format!("more than {MOST_STEPS} steps: those that come after are not shown");
            told.warn("cut", message, plan.source.name.clone());
        }
        for warning in checked.warnings.iter().filter(|warning| warning.severity == Severity::Warning) {
            let place = warning.labels.first().map(|label| label.place.shown()).unwrap_or_default();
            told.warn(warning.code, warning.message.clone(), place);
        }
        let public = plan.inputs.iter().filter(|input| input.kind != InputType::Secret);
        View {
            format: FORMAT,
            playbook: plan.name.clone(),
            file: asked_for(checked),
            permissions: told.permissions,
            allowed: rules(&allowed.permissions),
            secrets: told.secrets,
            inputs: public.map(|input| self::public(input, given)).collect(),
            title: plan.title.clone(),
            deprecated: plan.deprecated.clone(),
            required_role: plan.required_role.clone(),
            lock: plan.lock.as_ref().map(written),
            vars: vars(plan),
            sections,
            outputs: plan.outputs.iter().map(|(name, _)| name.clone()).collect(),
            warnings: told.warnings,
            digest: checked.digest.clone(),
        }
    }
}

fn public(input: &Input, given: &[(String, Json)]) -> InputView {
    let given = given.iter().find(|(name, _)| *name == input.name).map(|(_, json)| json);
    let (value, from) = match (given, &input.fixed, &input.default) {
        (Some(json), ..) => (Some(json.clone()), "given"),
        (None, Some(json), _) => (Some(json.clone()), "fixed"),
        (None, None, Some(json)) => (Some(json.clone()), "default"),
        (None, None, None) => (None, "wanted"),
    };
    let kind = format!("{:?}", input.kind).to_lowercase();
    let place = line_of(input.fixed_at.as_ref().filter(|_| from == "fixed").unwrap_or(&input.place));
    InputView { name: input.name.clone(), place, kind, value, from, env: input.env.clone() }
}

/// A template as it was written: a text itself, anything else as JSON.
fn written(template: &Template) -> String {
    text_of(&template.written())
}

fn setting(setting: &Setting) -> String {
    match setting {
        Setting::Template(template) => written(template),
        Setting::Query(query) => format!("jq: {}", query.text()),
    }
}

fn vars(plan: &Plan) -> Vec<String> {
    plan.vars.iter().map(|(name, value)| format!("{name} = {}", setting(value))).collect()
}

/// The file that was asked for: of a variant its own, whose permissions and steps stand in another.
fn asked_for(checked: &Checked) -> String {
    let path = &checked.recording.entry;
    let shown = std::env::current_dir().ok().and_then(|folder| Some(path.strip_prefix(folder).ok()?.to_path_buf()));
    shown.as_ref().unwrap_or(path).display().to_string()
}

/// `file:line`.
fn line_of(place: &Place) -> String {
    let shown = place.shown();
    shown.rsplit_once(':').map_or(shown.clone(), |(line, _)| line.to_string())
}
