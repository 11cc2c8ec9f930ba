//! Owns where inputs come from: `--set`, `--inputs`, a world, environment, command, file, default, prompt; in this order.
//! Deliberately judges nothing itself (`plan::inputs` does); all faults are told at once, and none shows a secret.

use super::RunArguments;
use super::person::Terminal;
use crate::plan::inputs::{from_text, judge};
use crate::plan::{Input, Plan};
use crate::playbook::document::InputType;
use crate::secret::{Masker, Origin};
use crate::value::Value;
use crate::world::World;
use serde_json::{Map, Value as Json};
use std::collections::HashMap;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::sync::Arc;

/// Why there are no inputs.
pub enum Unresolved {
    /// What is wrong with them, one line each.
    Faults(Vec<String>),
    /// The person who was asked is gone.
    Interrupted,
}

/// Every input's value, or every fault.
pub fn resolve(
    plan: &Plan,
    arguments: &RunArguments,
    world: Option<&World>,
    masker: &Masker,
) -> Result<Vec<(String, Value)>, Unresolved> {
    let mut faults = Vec::new();
    let given = given(plan, arguments, masker, &mut faults);
    let mut known: Map<String, Json> = Map::new();
    for input in &plan.inputs {
        let json = input.fixed.as_ref().or_else(|| given.values.get(&input.name));
        if let Some(json) = json.filter(|_| input.kind != InputType::Secret) {
            known.insert(input.name.clone(), json.clone());
        }
    }
    let mut found: HashMap<&str, Json> = HashMap::new();
    let mut missing: Vec<&Input> = Vec::new();
    for input in &plan.inputs {
        match value_of(input, &given.values, world, &known, masker) {
            Ok(Some(json)) => {
                if input.kind != InputType::Secret {
                    known.insert(input.name.clone(), json.clone());
                }
                found.insert(&input.name, json);
            }
            Ok(None) => missing.push(input),
            Err(fault) => faults.push(told(input, &fault)),
        }
    }
    // Nobody types what will be refused for another reason.
    match Terminal::open() {
        Some(_) if !faults.is_empty() => {}
        Some(terminal) => {
            for input in missing {
                match asked(input, &terminal, masker) {
                    Ok(json) => {
                        found.insert(&input.name, json);
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => return Err(Unresolved::Interrupted),
                    Err(error) => faults.push(told(input, &format!("it cannot be asked for: {error}"))),
                }
            }
        }
        None => {
            let missing = missing.into_iter().filter(|input| !given.is_spoiled(&input.name));
            faults.extend(missing.map(|input| told(input, &format!("nobody gives it: {}", ways(input)))));
        }
    }
    if !faults.is_empty() {
        return Err(Unresolved::Faults(faults));
    }
    let values = plan.inputs.iter().filter_map(|input| {
        let json = found.remove(input.name.as_str())?;
        let value = if input.kind == InputType::Secret && !json.is_null() {
            Value::secret(json, Arc::new(Origin { name: input.name.clone(), to: input.to.clone() }))
        } else {
            Value::plain(json)
        };
        value.teach(masker);
        Some((input.name.clone(), value))
    });
    Ok(values.collect())
}

/// What the operator gave by flags.
struct Given {
    values: Map<String, Json>,
    /// Inputs that were given, but not so that they could be used; that is told already.
    spoiled: Vec<String>,
    /// A file could not be read: nobody knows what stood in it.
    lost_file: bool,
}

impl Given {
    fn is_spoiled(&self, name: &str) -> bool {
        self.lost_file || self.spoiled.iter().any(|known| known == name)
    }
}

fn told(input: &Input, fault: &str) -> String {
    format!("input `{}`: {fault}{}", input.name, described(input))
}

/// A message about an inputs file without what it quotes of it: that may be a secret. Names of inputs stay, and signs.
fn without_values(message: &str, plan: &Plan, path: &Path) -> String {
    let known = |text: &str| {
        text.chars().count() < crate::secret::SHORTEST_SECRET
            || plan.inputs.iter().any(|input| input.name == text)
            || path.ends_with(text)
    };
    let parts = message.split('`').enumerate();
    let parts = parts.map(|(index, part)| if index % 2 == 0 || known(part) { part } else { "…" });
    parts.collect::<Vec<_>>().join("`")
}

fn described(input: &Input) -> String {
    match &input.description {
        Some(text) => format!("\n    ({})", text.trim().lines().next().unwrap_or_default()),
        None => String::new(),
    }
}

/// What the operator gave by `--set` and `--inputs`, judged by name only.
fn given(plan: &Plan, arguments: &RunArguments, masker: &Masker, faults: &mut Vec<String>) -> Given {
    let mut given = Map::new();
    let mut spoiled = Vec::new();
    let mut lost_file = false;
    for path in &arguments.inputs {
        match crate::playbook::read_yaml::<Map<String, Json>>(path) {
            Ok((map, _)) => given.extend(map),
            Err(found) => {
                lost_file = true;
                faults.extend(found.into_iter().map(|mut diagnostic| {
                    diagnostic.message = without_values(&diagnostic.message, plan, path);
                    crate::diagnostic::one_line(&diagnostic)
                }));
            }
        }
    }
    let mut texts: Vec<(String, String)> = Vec::new();
    for text in &arguments.set {
        match text.split_once('=') {
            Some((name, value)) => texts.push((name.trim().to_string(), value.to_string())),
            None => {
                // Whatever is no input's name may be a secret that was put wrongly.
                let name: String = text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                let shown = if plan.inputs.iter().any(|input| input.name == name) { name.as_str() } else { "" };
                faults.push(format!("`--set {shown}…` has no `=`: write `--set NAME=VALUE`"));
                spoiled.push(name);
            }
        }
    }
    for (name, text) in texts {
        match plan.inputs.iter().find(|input| input.name == name) {
            Some(input) if input.kind == InputType::Secret => {
                masker.learn(&text);
                let way = match &input.env {
                    Some(env) => format!("put it into the environment variable `{env}`"),
                    None => "give it by an --inputs file or at the prompt".into(),
                };
                spoiled.push(name.clone());
                faults.push(format!(
                    "input `{name}` is a secret, and a command line can be read by every process of the machine: {way}"
                ));
            }
            // So that no optional input becomes the text "null".
            Some(input) if text == "null" && is_optional(input) => {
                given.insert(name, Json::Null);
            }
            Some(input) => match from_text(input, &text) {
                Ok(json) => {
                    given.insert(name, json);
                }
                Err(fault) => {
                    given.remove(&name);
                    faults.push(told(input, &fault));
                    spoiled.push(name);
                }
            },
            // Told below, with the names that there are.
            None => {
                given.insert(name, Json::String(text));
            }
        }
    }
    let unknown: Vec<String> =
        given.keys().filter(|name| !plan.inputs.iter().any(|input| input.name == **name)).cloned().collect();
    for name in unknown {
        given.remove(&name);
        let names: Vec<&str> = plan.inputs.iter().map(|input| input.name.as_str()).collect();
        let hint = match crate::diagnostic::nearest(&name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it has: {}", names.join(", ")),
        };
        faults.push(format!("`{name}` is no input of `{}`; {hint}", plan.name));
    }
    for input in plan.inputs.iter().filter(|input| input.fixed.is_some()) {
        if given.remove(&input.name).is_some() {
            faults.push(format!("input `{}` is fixed by the variant `{}`: it cannot be given", input.name, plan.name));
        }
    }
    Given { values: given, spoiled, lost_file }
}

fn is_optional(input: &Input) -> bool {
    input.default.as_ref().is_some_and(Json::is_null)
}

/// From wherever it comes without asking a person; `None` where it comes from nowhere.
fn value_of(
    input: &Input,
    given: &Map<String, Json>,
    world: Option<&World>,
    known: &Map<String, Json>,
    masker: &Masker,
) -> Result<Option<Json>, String> {
    let optional = is_optional(input);
    let judged = |json: &Json| {
        if json.is_null() && optional {
            return Ok(Some(Json::Null));
        }
        if input.kind == InputType::Secret
            && let Json::String(text) = json
        {
            masker.learn(text);
        }
        judge(input, json).map(Some)
    };
    if let Some(json) = &input.fixed {
        return Ok(Some(json.clone()));
    }
    if let Some(json) = given.get(&input.name) {
        return judged(json);
    }
    if let Some(world) = world {
        let stand_in = world.input(&input.name, &Json::Object(known.clone())).map_err(|error| error.to_string())?;
        if let Some(json) = stand_in.filter(|json| !json.is_null() || optional) {
            return judged(&json);
        }
    }
    if let Some(name) = &input.env
        && let Some(text) = std::env::var_os(name)
    {
        let text = text.to_str().ok_or_else(|| format!("the environment variable `{name}` is not UTF-8"))?.to_string();
        if !(text.is_empty() && optional) {
            learn(input, &text, masker);
            return from_text(input, &text)
                .map(Some)
                .map_err(|fault| format!("from the environment variable `{name}`: {fault}"));
        }
    }
    if let Some(argv) = &input.command {
        let text = output_of(argv)?;
        masker.learn(&text);
        return from_text(input, &text).map(Some).map_err(|fault| format!("from the command `{}`: {fault}", argv[0]));
    }
    if let Some(file) = &input.file {
        let path = input.place.source.folder().join(file);
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let text = without_newline(text);
                masker.learn(&text);
                return from_text(input, &text).map(Some).map_err(|fault| format!("from the file `{file}`: {fault}"));
            }
            Err(error) if error.kind() == ErrorKind::NotFound && input.default.is_some() => {}
            Err(error) => return Err(format!("the file `{file}` cannot be read: {error}")),
        }
    }
    if let Some(default) = &input.default {
        return Ok(Some(default.clone()));
    }
    Ok(None)
}

fn asked(input: &Input, terminal: &Terminal, masker: &Masker) -> std::io::Result<Json> {
    let question = input.prompt.clone().unwrap_or_else(|| input.name.clone());
    loop {
        let text = terminal.ask_alone(&question, input.kind == InputType::Secret)?;
        learn(input, &text, masker);
        match from_text(input, &text) {
            Ok(json) => return Ok(json),
            Err(fault) => super::tell(&masker.mask(&format!("{fault}; once more, please"))),
        }
    }
}

/// What is told of a value that is no secret may show it.
fn learn(input: &Input, text: &str, masker: &Masker) {
    if input.kind == InputType::Secret {
        masker.learn(text);
    }
}

fn ways(input: &Input) -> String {
    let mut ways = Vec::new();
    if input.kind != InputType::Secret {
        ways.push(format!("`--set {}=…`", input.name));
    }
    ways.push("an `--inputs` file".into());
    if let Some(env) = &input.env {
        ways.push(format!("the environment variable `{env}`"));
    }
    format!("it can come from {}", ways.join(", "))
}

fn output_of(argv: &[String]) -> Result<String, String> {
    let (program, rest) = argv.split_first().ok_or("its `command` is empty")?;
    let mut command = std::process::Command::new(program);
    command.args(rest).stdin(std::process::Stdio::null()).stderr(std::process::Stdio::inherit());
    // SAFETY: it makes only calls that are safe between fork and exec.
    unsafe { command.pre_exec(crate::action::exec::as_born) };
    let output = command.output().map_err(|error| format!("the command `{program}` cannot be run: {error}"))?;
    if !output.status.success() {
        return Err(format!("the command `{program}` ended with {}", output.status));
    }
    let text =
        String::from_utf8(output.stdout).map_err(|_| format!("the command `{program}` printed what is not UTF-8"))?;
    Ok(without_newline(text))
}

fn without_newline(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    text
}
