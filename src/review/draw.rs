//! Owns how a view of a plan looks to a person: permissions first and whole, then secrets, then the steps in order.
//! Every text of the playbook goes through `text`: what it is made of can neither steer the terminal nor pass for ours.

use super::plan::{Granted, Rule, StepView, View};
use super::text::{line, short};
use crate::value::text_of;
use std::fmt::Write;

/// Characters of a name, a message or a value that are shown; of what is permitted or run all is.
const SHORT: usize = 160;

pub fn draw(view: &View) -> String {
    let mut page = Page::default();
    page.line(0, &format!("plan of {} ({})", line(&view.playbook), line(&view.file)));
    page.heading("permissions");
    view.permissions.iter().for_each(|granted| permissions(&mut page, granted));
    if !view.allowed.is_empty() {
        page.line(1, "for this run also permitted, to all of them (--allow)");
        rules(&mut page, &view.allowed);
    }
    if !view.secrets.is_empty() {
        page.heading("secrets");
    }
    for secret in &view.secrets {
        let place = line(&secret.place);
        page.line(1, &format!("{} ({place}): {}", line(&secret.name), line(&secret.from)));
        let to = match &secret.to {
            Some(to) => to.iter().map(|target| line(target)).collect::<Vec<_>>().join(", "),
            None => "wherever permissions allow".into(),
        };
        page.line(2, &format!("may go to: {}", if to.is_empty() { "nowhere" } else { &to }));
    }
    if !view.inputs.is_empty() {
        page.heading("inputs");
    }
    for input in &view.inputs {
        let value =
            input.value.as_ref().map(|value| format!(" = {}", short(&text_of(value), SHORT))).unwrap_or_default();
        let env = input.env.as_ref().filter(|_| input.from != "given" && input.from != "fixed");
        let env = env.map(|name| format!(", environment variable {}", line(name))).unwrap_or_default();
        page.line(1, &format!("{} ({}, {}{env}){value}", line(&input.name), input.kind, input.from));
    }
    about(&mut page, view);
    for section in &view.sections {
        page.heading(section.name);
        section.steps.iter().for_each(|step| self::step(&mut page, step, 1));
    }
    if !view.outputs.is_empty() {
        page.heading("outputs");
        page.line(1, &view.outputs.iter().map(|name| line(name)).collect::<Vec<_>>().join(", "));
    }
    if !view.warnings.is_empty() {
        page.heading("warnings");
    }
    for warning in &view.warnings {
        page.line(1, &format!("{} ({})", line(&warning.message), line(&warning.place)));
    }
    page.heading("digest");
    page.line(1, &view.digest);
    page.0
}

fn permissions(page: &mut Page, granted: &Granted) {
    let used = granted.used_at.as_ref().map(|place| format!(", used at {}", line(place))).unwrap_or_default();
    page.line(1, &format!("{} ({}){used}", line(&granted.playbook), line(&granted.file)));
    if granted.rules.is_empty() {
        page.line(2, "nothing");
    }
    rules(page, &granted.rules);
}

fn rules(page: &mut Page, rules: &[Rule]) {
    for rule in rules {
        let note = rule.note.as_ref().map(|note| format!("  ({})", line(note))).unwrap_or_default();
        page.line(2, &format!("{:5} {}{note}", rule.kind, line(&rule.text)));
    }
}

/// What stands around the steps.
fn about(page: &mut Page, view: &View) {
    let facts = [
        ("title", &view.title),
        ("deprecated", &view.deprecated),
        ("required role", &view.required_role),
        ("lock", &view.lock),
    ];
    if facts.iter().any(|(_, text)| text.is_some()) {
        page.heading("about");
    }
    for (name, text) in facts {
        if let Some(text) = text {
            page.line(1, &format!("{name}: {}", short(text, SHORT)));
        }
    }
    if !view.vars.is_empty() {
        page.heading("vars");
        view.vars.iter().for_each(|text| page.line(1, &line(text)));
    }
}

fn step(page: &mut Page, step: &StepView, depth: usize) {
    let effect = step.effect.as_ref().map(|effect| format!(" [{effect}]")).unwrap_or_default();
    let does = match (&step.method, &step.url, &step.module) {
        (Some(method), Some(url), _) => format!(" {} {}", line(method), line(url)),
        (_, _, Some(module)) => {
            format!(" {} ({})", line(module), line(step.module_file.as_deref().unwrap_or_default()))
        }
        _ if !step.argv.is_empty() => {
            format!(" {}", step.argv.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "))
        }
        _ => step.wait.as_ref().map(|wait| format!(" {}", line(wait))).unwrap_or_default(),
    };
    page.line(depth, &format!("- {}: {}{effect}{does}", line(&step.id), step.action));
    let below = depth + 1;
    let mut fact = |name: &str, text: Option<String>| {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            page.line(below, &format!("{name}: {text}"));
        }
    };
    fact("name", step.name.as_ref().map(|text| short(text, SHORT)));
    fact("when", step.when.as_ref().map(|text| line(text)));
    fact("for each", step.for_each.as_ref().map(|text| line(text)));
    fact("asks", step.asks.as_ref().map(|text| short(text, SHORT)));
    fact("wants typed", step.phrase.as_ref().map(|text| line(text)));
    step.sets.iter().for_each(|text| fact("sets", Some(line(text))));
    step.with.iter().for_each(|text| fact("with", Some(line(text))));
    step.vars.iter().for_each(|text| fact("where", Some(line(text))));
    step.variables.iter().for_each(|text| fact("environment", Some(line(text))));
    fact("folder", step.cwd.as_ref().map(|text| line(text)));
    fact("files", Some(list(&step.reads)));
    fact("proxy", step.proxy.as_ref().map(|text| line(text)));
    fact("redirects", step.redirects.map(|most| format!("at most {most}, each within the permissions")));
    fact("secrets in", Some(list(&step.secrets)));
    fact("secrets out", Some(list(&step.captures_secrets)));
    fact(
        "attempts",
        step.retry_attempts.filter(|most| *most > 1).map(|most| match most {
            u32::MAX => "without end".into(),
            most => most.to_string(),
        }),
    );
    fact("secret arguments, since", step.allow_secret_argv.as_ref().map(|text| line(text)));
    fact("failure", step.continue_on_failure.then(|| "lets the run go on".into()));
    let given = step.files.iter().map(|text| ("private file", text));
    let texts = step.script.iter().map(|text| ("script", text));
    for (name, text) in texts.chain(step.stdin.iter().map(|text| ("standard input", text))).chain(given) {
        page.line(below, &format!("{name}:"));
        // Each line with a mark of ours, so that none passes for another part of the page.
        text.trim_end().split('\n').for_each(|text| page.line(below + 1, &format!("| {}", line(text))));
    }
    step.steps.iter().for_each(|step| self::step(page, step, below));
    for (name, steps) in [("on failure", &step.on_failure), ("whether it happened", &step.on_unknown)] {
        if !steps.is_empty() {
            page.line(below, &format!("{name}:"));
            steps.iter().for_each(|step| self::step(page, step, below + 1));
        }
    }
}

fn list(items: &[String]) -> String {
    items.iter().map(|item| line(item)).collect::<Vec<_>>().join(", ")
}

/// An argument so that its ends are seen.
fn quoted(word: &str) -> String {
    let word = line(word);
    match word.is_empty() || word.contains([' ', '"', '\'']) {
        true => format!("'{}'", word.replace('\'', "'\\''")),
        false => word,
    }
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn heading(&mut self, text: &str) {
        let _ = write!(self.0, "\n{text}\n");
    }

    fn line(&mut self, depth: usize, text: &str) {
        let _ = writeln!(self.0, "{}{}", "  ".repeat(depth), text.trim_end());
    }
}
