//! Owns the view of a plan's steps in their order, modules expanded where they are used.

use super::super::secrets::{Known, Names, finders};
use super::{SectionView, StepView, line_of, setting, vars, written};
use crate::plan::{Auth, Body, Exec, Http, PartSource, Plan, Step, Work};
use crate::playbook::document::{Effect, InputType};
use crate::template::Template;

/// The names of a file before its first step. `given`: what a caller's step gives a module.
pub(super) fn born(plan: &Plan, given: Option<&[(String, Names)]>) -> Known {
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
pub(super) struct Steps {
    /// How many more there may be.
    pub(super) left: usize,
}

impl Steps {
    pub(super) fn sections(&mut self, plan: &Plan, known: &mut Known) -> Vec<SectionView> {
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
    let settings = |list: &[(String, Template)]| {
        list.iter().map(|(name, template)| format!("{name} = {}", written(template))).collect()
    };
    view.env = exec.env.iter().map(|(name, _)| name.clone()).collect();
    view.variables = settings(&exec.env);
    view.files = settings(&exec.files);
    view.stdin = exec.stdin.as_ref().map(written);
    view.cwd = exec.cwd.as_ref().map(written);
    view.allow_secret_argv.clone_from(&exec.allow_secret_argv);
}

fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Read => "read",
        Effect::Idempotent => "idempotent",
        Effect::Once => "once",
    }
}
