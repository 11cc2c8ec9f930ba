//! Owns what is told of each file of a plan once: its permissions, its secrets, what to think about.

use super::{Granted, Rule, SecretView, Warning, line_of};
use crate::plan::permissions::{NetRule, Permissions, name_covers};
use crate::plan::{CaptureFrom, Input, Plan, Step, Work};
use crate::playbook::document::InputType;
use crate::secret::Target;
use crate::source::Place;

/// What is told of each file once, however often it is used.
#[derive(Default)]
pub(super) struct Told {
    pub(super) permissions: Vec<Granted>,
    pub(super) secrets: Vec<SecretView>,
    pub(super) warnings: Vec<Warning>,
}

impl Told {
    pub(super) fn warn(&mut self, code: &str, message: String, place: String) {
        self.warnings.push(Warning { code: code.into(), message, place });
    }

    pub(super) fn file(&mut self, plan: &Plan, used_at: Option<&Place>) {
        self.permissions.push(Granted {
            playbook: plan.name.clone(),
            file: plan.source.name.clone(),
            used_at: used_at.map(line_of),
            rules: rules(&plan.permissions),
        });
        for input in plan.inputs.iter().filter(|input| input.kind == InputType::Secret) {
            let from = if used_at.is_some() { "given by its caller".to_string() } else { ways(input) };
            self.secret(&input.name, plan, &input.place, format!("input, {from}"), input.to.as_deref());
            if let (Some(argv), None) = (&input.command, used_at) {
                let message = format!(
                    "the command of the input `{}` runs before the first step, unconfined and in your whole environment: {}",
                    input.name,
                    argv.join(" ")
                );
                self.warn("command-unconfined", message, line_of(&input.place));
            }
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

    pub(super) fn step(&mut self, plan: &Plan, step: &Step) {
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

pub(super) fn rules(permissions: &Permissions) -> Vec<Rule> {
    let rule = |kind, text: String, note| Rule { kind, text, note };
    let mut rules: Vec<Rule> = permissions.net.iter().map(|net| rule("net", net.text.clone(), net_note(net))).collect();
    rules.extend(permissions.run.iter().map(|name| rule("run", name.clone(), None)));
    rules.extend(permissions.env.iter().map(|name| rule("env", name.clone(), env_note(name))));
    for (kind, globs) in [("read", &permissions.read), ("write", &permissions.write)] {
        rules.extend(globs.iter().map(|glob| rule(kind, glob.display().to_string(), None)));
    }
    rules
}

/// Variables by which programs are made to run others, or code that was brought along; there are more.
const LEADING: &[&str] = &[
    "PATH",
    "LD_PRELOAD",
    "LD_AUDIT",
    "LD_LIBRARY_PATH",
    "GCONV_PATH",
    "BASH_ENV",
    "ENV",
    "PYTHONPATH",
    "PERL5OPT",
    "PERL5LIB",
    "RUBYOPT",
    "NODE_OPTIONS",
    "JAVA_TOOL_OPTIONS",
    "GIT_SSH_COMMAND",
    "GIT_EXTERNAL_DIFF",
    "GIT_CONFIG_GLOBAL",
    "PAGER",
    "EDITOR",
    "HOME",
    "XDG_CONFIG_HOME",
];

fn env_note(rule: &str) -> Option<String> {
    let mut leading = LEADING.iter().copied().filter(|name| name_covers(rule, name));
    let first = leading.next()?;
    let names = match leading.next() {
        _ if first == rule => return Some("by which a program is made to run another".into()),
        Some(second) => format!("{first} and {second}"),
        None => first.to_string(),
    };
    Some(format!("also {names}, by which a program runs another"))
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
