//! Owns the view of a plan: permissions first, then secrets, then the steps in order, modules expanded.
//! Deliberately draws nothing: texts stand here as they were written, and whoever shows them makes them safe.

use super::secrets::{Known, Names, finders};
use crate::diagnostic::Severity;
use crate::plan::check::Checked;
use crate::plan::permissions::{Allowed, NetRule, Permissions};
use crate::plan::{Auth, Body, CaptureFrom, Exec, Http, Input, PartSource, Plan, Setting, Step, Work};
use crate::playbook::document::{Effect, InputType};
use crate::secret::Target;
use crate::source::Place;
use crate::template::Template;
use crate::value::text_of;
use serde::Serialize;
use serde_json::Value as Json;

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
    pub env: Vec<String>,
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

/// What is told of each file once, however often it is used.
#[derive(Default)]
struct Told {
    permissions: Vec<Granted>,
    secrets: Vec<SecretView>,
    warnings: Vec<Warning>,
}

impl Told {
    fn warn(&mut self, code: &str, message: String, place: String) {
        self.warnings.push(Warning { code: code.into(), message, place });
    }

    fn file(&mut self, plan: &Plan, used_at: Option<&Place>) {
        self.permissions.push(Granted {
            playbook: plan.name.clone(),
            file: plan.source.name.clone(),
            used_at: used_at.map(line_of),
            rules: rules(&plan.permissions),
        });
        for input in plan.inputs.iter().filter(|input| input.kind == InputType::Secret) {
            let from = if used_at.is_some() { "given by its caller".to_string() } else { ways(input) };
            self.secret(&input.name, plan, &input.place, format!("input, {from}"), input.to.as_deref());
        }
    }

    fn secret(&mut self, name: &str, plan: &Plan, place: &Place, from: String, to: Option<&[Target]>) {
        if to.is_none() {
            let message = format!("the secret `{name}` says not where it may go (`to:`): wherever permissions allow");
            self.warn("secret-without-to", message, line_of(place));
        }
        self.secrets.push(SecretView {
            name: name.into(),
            playbook: plan.name.clone(),
            place: line_of(place),
            from,
            to: to.map(|to| to.iter().map(ToString::to_string).collect()),
        });
    }

    fn step(&mut self, plan: &Plan, step: &Step) {
        if let Work::Exec(exec) = &step.work
            && let Some(reason) = &exec.allow_secret_argv
        {
            let message =
                format!("`{}` takes a secret as an argument, where all on the machine can read it: {reason}", step.id);
            self.warn("allow-secret-argv", message, line_of(&step.place));
        }
        if let Work::Manual { ask, .. } = &step.work {
            for field in ask.iter().filter(|field| field.is_secret()) {
                // What is captured from it says where it may go.
                let to = step.capture.iter().find_map(|capture| capture.secret.as_ref()?.to.as_deref());
                let from = format!("typed by a person at the step `{}`", step.id);
                self.secret(&field.name, plan, &step.place, from, to);
            }
        }
        for capture in &step.capture {
            let Some(mark) = &capture.secret else { continue };
            let what = match &capture.from {
                CaptureFrom::Header(_) => "a header of the answer",
                CaptureFrom::Regex { .. } | CaptureFrom::Text(_) => "the text",
                CaptureFrom::Jq(_) | CaptureFrom::JsonPath(_) => "the answer",
            };
            let from = format!("captured from {what} of the step `{}`", step.id);
            self.secret(&capture.name, plan, &capture.place, from, mark.to.as_deref());
        }
    }
}

/// The names of a file before its first step. `given`: what a caller's step gives a module.
fn born(plan: &Plan, given: Option<&[(String, Names)]>) -> Known {
    let mut known = Known::default();
    for input in &plan.inputs {
        let from_caller = given.and_then(|given| given.iter().find(|(name, _)| *name == input.name));
        let mut made_of = from_caller.map(|(_, names)| names.clone()).unwrap_or_default();
        if input.kind == InputType::Secret && made_of.is_empty() {
            made_of.insert(input.name.clone());
        }
        known.define(&input.name, made_of);
    }
    for (name, setting) in &plan.vars {
        let made_of = known.in_setting(setting);
        known.define(name, made_of);
    }
    known
}

/// The steps in order, modules expanded.
struct Steps {
    /// How many more there may be.
    left: usize,
}

impl Steps {
    fn sections(&mut self, plan: &Plan, known: &mut Known) -> Vec<SectionView> {
        let lists = [("steps", &plan.steps), ("on_failure", &plan.on_failure), ("finally", &plan.finally)];
        let there = lists.into_iter().filter(|(_, steps)| !steps.is_empty());
        there.map(|(name, steps)| SectionView { name, steps: self.steps(steps, known) }).collect()
    }

    fn steps(&mut self, steps: &[Step], known: &mut Known) -> Vec<StepView> {
        let mut views = Vec::new();
        for step in steps {
            if self.left == 0 {
                break;
            }
            self.left -= 1;
            views.push(self.step(step, known));
        }
        views
    }

    fn step(&mut self, step: &Step, known: &mut Known) -> StepView {
        let mut view = StepView {
            id: step.id.to_string(),
            name: step.name.as_ref().map(written),
            place: line_of(&step.place),
            action: step.work.word().into(),
            when: step.when.as_ref().map(|when| when.text().to_string()),
            retry_attempts: step.retry.as_ref().map(|retry| retry.attempts),
            continue_on_failure: step.continue_on_failure,
            ..StepView::default()
        };
        if let Some(each) = &step.each {
            view.for_each = Some(format!("{} in {}", each.name, setting(&each.over)));
            let made_of = known.in_setting(&each.over);
            known.define(&each.name, made_of);
        }
        let mut into = Names::new();
        match &step.work {
            Work::Http(http) => {
                view.effect = Some(effect(step.effect).into());
                self::http(http, &mut view);
                exchange(http).into_iter().for_each(|template| into.extend(known.in_template(template)));
            }
            Work::Exec(exec) => {
                view.effect = Some(effect(step.effect).into());
                program(exec, &mut view);
                given_to(exec).into_iter().for_each(|template| into.extend(known.in_template(template)));
            }
            Work::Set(settings) => {
                for (name, value) in settings {
                    view.sets.push(format!("{name} = {}", setting(value)));
                    let made_of = known.in_setting(value);
                    into.extend(made_of.iter().cloned());
                    known.define(name, made_of);
                }
            }
            Work::Confirm { message, phrase } => {
                view.asks = Some(written(message));
                view.phrase = phrase.as_ref().map(written);
            }
            Work::Manual { instructions, ask } => {
                view.asks = Some(written(instructions));
                for field in ask {
                    let mut made_of = Names::new();
                    if field.is_secret() {
                        made_of.insert(field.name.clone());
                        view.captures_secrets.push(field.name.clone());
                    }
                    // Only whoever reads the step's whole output reads it.
                    known.keep_output(&step.id.0, made_of);
                }
            }
            Work::Wait(template) => view.wait = Some(written(template)),
            Work::Use { plan: module, with } => {
                view.module = Some(module.name.clone());
                view.module_file = Some(module.source.name.clone());
                let given: Vec<(String, Names)> =
                    with.iter().map(|(name, template)| (name.clone(), known.in_template(template))).collect();
                into.extend(given.iter().flat_map(|(_, names)| names.iter().cloned()));
                view.with = with.iter().map(|(name, template)| format!("{name} = {}", written(template))).collect();
                view.vars = vars(module);
                let mut inner = born(module, Some(&given));
                for section in self.sections(module, &mut inner) {
                    match section.name {
                        "on_failure" => view.on_failure.extend(section.steps),
                        _ => view.steps.extend(section.steps),
                    }
                }
            }
            Work::Group(steps) | Work::Parallel { steps, .. } => view.steps = self.steps(steps, known),
            Work::Assert => {}
        }
        view.secrets = into.into_iter().collect();
        captures(step, known, &mut view);
        view.on_failure.extend(self.steps(&step.on_failure, known));
        view.on_unknown = self.steps(finders(&step.on_unknown), known);
        view
    }
}

fn http(http: &Http, view: &mut StepView) {
    view.method = Some(http.method.clone());
    view.url = Some(written(&http.url));
    view.redirects = http.redirects.filter(|most| *most > 0);
    view.proxy = http.proxy.as_ref().map(written);
    let tls = http.tls.iter().flat_map(|tls| [&tls.ca, &tls.client_cert, &tls.client_key]).flatten();
    view.reads.extend(tls.map(written));
    match &http.body {
        Body::File(path) => view.reads.push(written(path)),
        Body::Multipart(parts) => view.reads.extend(parts.iter().filter_map(|(_, part)| match part {
            PartSource::File { path, .. } => Some(written(path)),
            PartSource::Text(_) => None,
        })),
        _ => {}
    }
}

fn captures(step: &Step, known: &mut Known, view: &mut StepView) {
    for capture in &step.capture {
        let mut made_of = Names::new();
        if capture.secret.is_some() {
            made_of.insert(capture.name.clone());
            view.captures_secrets.push(capture.name.clone());
            known.keep_output(&step.id.0, made_of.clone());
        }
        known.define(&capture.name, made_of);
    }
}

fn rules(permissions: &Permissions) -> Vec<Rule> {
    let rule = |kind, text: String, note| Rule { kind, text, note };
    let mut rules: Vec<Rule> = permissions.net.iter().map(|net| rule("net", net.text.clone(), net_note(net))).collect();
    rules.extend(permissions.run.iter().map(|name| rule("run", name.clone(), None)));
    rules.extend(permissions.env.iter().map(|name| {
        let note =
            name.starts_with('*').then(|| "also PATH and LD_PRELOAD, by which a program runs another".to_string());
        rule("env", name.clone(), note)
    }));
    for (kind, globs) in [("read", &permissions.read), ("write", &permissions.write)] {
        rules.extend(globs.iter().map(|glob| rule(kind, glob.display().to_string(), None)));
    }
    rules
}

fn net_note(rule: &NetRule) -> Option<String> {
    let mut notes = Vec::new();
    if rule.is_metadata() {
        notes.push("where a cloud hands out the machine's credentials".to_string());
    }
    if rule.private() {
        notes.push("may lead to this machine and its private network".into());
    }
    if !rule.text.is_ascii() {
        notes.push(format!("the host is {}", rule.host()));
    }
    (!notes.is_empty()).then(|| notes.join("; "))
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

/// By which ways a secret input comes, in their order.
fn ways(input: &Input) -> String {
    let mut ways = Vec::new();
    ways.extend(input.env.as_ref().map(|name| format!("environment variable {name}")));
    ways.extend(input.command.as_ref().map(|argv| format!("command {}", argv.join(" "))));
    ways.extend(input.file.as_ref().map(|path| format!("file {path}")));
    ways.push(match &input.default {
        Some(_) => "or none".into(),
        None => "or asked for".into(),
    });
    ways.join(", ")
}

/// All that leaves with a request.
fn exchange(http: &Http) -> Vec<&Template> {
    let mut all = vec![&http.url];
    all.extend(http.query.iter().map(|(_, template)| template));
    all.extend(http.headers.iter().map(|(_, template)| template));
    match &http.auth {
        Some(Auth::Bearer(token)) => all.push(token),
        Some(Auth::Basic { user, password }) => all.extend([user, password]),
        None => {}
    }
    match &http.body {
        Body::None => {}
        Body::Json(template) | Body::Text(template) | Body::File(template) => all.push(template),
        Body::Form(fields) => all.extend(fields.iter().map(|(_, template)| template)),
        Body::Multipart(parts) => all.extend(parts.iter().map(|(_, part)| match part {
            PartSource::Text(template) | PartSource::File { path: template, .. } => template,
        })),
    }
    all.extend(&http.proxy);
    all
}

/// All that a program is given.
fn given_to(exec: &Exec) -> Vec<&Template> {
    let named = exec.env.iter().chain(&exec.files).map(|(_, template)| template);
    exec.argv.iter().chain(named).chain(&exec.stdin).chain(&exec.cwd).collect()
}

fn program(exec: &Exec, view: &mut StepView) {
    view.argv = exec.argv.iter().map(written).collect();
    view.script.clone_from(&exec.script);
    view.env = exec.env.iter().map(|(name, _)| name.clone()).collect();
    view.allow_secret_argv.clone_from(&exec.allow_secret_argv);
}

fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Read => "read",
        Effect::Idempotent => "idempotent",
        Effect::Once => "once",
    }
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
