//! Owns where inputs come from: `--set`, `--inputs`, a world, environment, command, file, default, prompt; in this order.
//! Deliberately judges nothing itself (`plan::inputs` does); all faults are told at once, and none shows a secret.

mod again;
mod command;
mod given;
mod provenance;
mod sources;

pub use again::{Recorded, resolve_again};
pub use given::Given;
pub use provenance::From;

use super::Exit;
use super::person::Terminal;
use crate::plan::inputs::from_text;
use crate::plan::permissions::Grant;
use crate::plan::{Input, Plan};
use crate::playbook::document::InputType;
use crate::secret::{Masker, Origin};
use crate::value::Value;
use crate::world::World;
use given::{Gathered, gather};
use serde_json::{Map, Value as Json};
use sources::{from_command, from_env, from_file, from_world, judged, learn};
use std::collections::HashMap;
use std::io::ErrorKind;
use std::sync::Arc;

/// One input's value, and where it came from.
#[derive(Clone, Debug)]
pub struct Resolved {
    pub name: String,
    /// Secret where the input is one, and is given.
    pub value: Value,
    pub from: From,
}

impl Resolved {
    /// What a record of the run may show: `None` for a secret. An optional secret that nobody gave is public, and null.
    pub fn public(&self) -> Option<&Json> {
        (!self.value.is_secret()).then(|| self.value.expose())
    }
}

/// Why there are no inputs.
#[derive(Debug)]
pub enum Unresolved {
    /// What is wrong with them, one line each.
    Faults(Vec<String>),
    /// The person who was asked pressed Ctrl-C.
    Interrupted,
}

impl Unresolved {
    /// Tells the faults, masked, and how the program ends with them.
    pub fn tell(self, masker: &Masker) -> Exit {
        match self {
            Unresolved::Interrupted => Exit::Interrupted,
            Unresolved::Faults(faults) => {
                let list: Vec<String> = faults.iter().map(|fault| format!("error: {fault}")).collect();
                super::tell(&masker.mask(&crate::report::neutral(&list.join("\n"))));
                Exit::Mistakes
            }
        }
    }
}

/// Values as they are found, by the inputs' names.
type Found<'p> = HashMap<&'p str, (Json, From)>;

/// Asks a person for one input, until the answer is one.
type Asker<'a> = &'a dyn Fn(&Input) -> std::io::Result<Json>;

/// An input that only a person can give.
struct Missing<'p> {
    input: &'p Input,
    /// What is told where nobody can be asked.
    fault: String,
    /// What is told before the question.
    why: Option<String>,
}

/// The public inputs that the operator gives, judged; nobody is asked for what is missing, and no source is looked at.
pub fn public_given(plan: &Plan, given: Given<'_>, masker: &Masker) -> Result<Vec<(String, Json)>, Unresolved> {
    let mut faults = Vec::new();
    let gathered = gather(plan, given, masker, &mut faults);
    let mut public = Vec::new();
    for input in &plan.inputs {
        let Some((json, _)) = gathered.values.get(&input.name) else { continue };
        match judged(input, json, masker) {
            Ok(json) if input.kind != InputType::Secret => public.push((input.name.clone(), json)),
            Ok(_) => {}
            Err(fault) => faults.push(told(input, &fault)),
        }
    }
    if faults.is_empty() { Ok(public) } else { Err(Unresolved::Faults(faults)) }
}

/// Every input's value, or every fault.
pub fn resolve(
    plan: &Plan,
    given: &Given<'_>,
    world: Option<&World>,
    masker: &Masker,
) -> Result<Vec<Resolved>, Unresolved> {
    let mut faults = Vec::new();
    let gathered = gather(plan, *given, masker, &mut faults);
    let mut known: Map<String, Json> = Map::new();
    for input in plan.inputs.iter().filter(|input| input.kind != InputType::Secret) {
        let given = gathered.values.get(&input.name).map(|(json, _)| json);
        if let Some(json) = input.fixed.as_ref().or(given) {
            known.insert(input.name.clone(), json.clone());
        }
    }
    let mut found = Found::new();
    let mut missing = Vec::new();
    let leave = given.leave(plan);
    for input in &plan.inputs {
        match value_of(&leave, input, &gathered, world, &known, masker) {
            Ok(Some((json, from))) => {
                if input.kind != InputType::Secret {
                    known.insert(input.name.clone(), json.clone());
                }
                found.insert(&input.name, (json, from));
            }
            Ok(None) => {
                missing.push(Missing { input, fault: format!("nobody gives it: {}", ways(input)), why: None });
            }
            Err(fault) => faults.push(told(input, &fault)),
        }
    }
    match Terminal::open() {
        Some(terminal) => {
            let asker = |input: &Input| asked(input, &terminal, masker);
            ask_for(missing, Some(&asker), &gathered, masker, &mut faults, &mut found)?;
        }
        None => ask_for(missing, None, &gathered, masker, &mut faults, &mut found)?,
    }
    settled(plan, found, faults, masker)
}

/// Asks for what is missing where somebody can be asked; else each of them is a fault.
fn ask_for<'p>(
    missing: Vec<Missing<'p>>,
    asker: Option<Asker<'_>>,
    gathered: &Gathered,
    masker: &Masker,
    faults: &mut Vec<String>,
    found: &mut Found<'p>,
) -> Result<(), Unresolved> {
    let Some(asker) = asker else {
        let missing = missing.into_iter().filter(|missing| !gathered.is_spoiled(&missing.input.name));
        faults.extend(missing.map(|missing| told(missing.input, &missing.fault)));
        return Ok(());
    };
    // Nobody types what will be refused for another reason.
    if !faults.is_empty() {
        return Ok(());
    }
    for Missing { input, why, .. } in missing {
        if let Some(why) = why {
            super::tell(&masker.mask(&crate::report::neutral(&why)));
        }
        match asker(input) {
            Ok(json) => {
                found.insert(&input.name, (json, From::Typed));
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => return Err(Unresolved::Interrupted),
            Err(error) => faults.push(told(input, &format!("it cannot be asked for: {error}"))),
        }
    }
    Ok(())
}

/// The values as a run takes them, in the plan's order, where nothing is wrong.
fn settled(
    plan: &Plan,
    mut found: Found<'_>,
    faults: Vec<String>,
    masker: &Masker,
) -> Result<Vec<Resolved>, Unresolved> {
    if !faults.is_empty() {
        return Err(Unresolved::Faults(faults));
    }
    let values = plan.inputs.iter().filter_map(|input| {
        let (json, from) = found.remove(input.name.as_str())?;
        let value = if input.kind == InputType::Secret && !json.is_null() {
            Value::secret(json, Arc::new(Origin { name: input.name.clone(), to: input.to.clone() }))
        } else {
            Value::plain(json)
        };
        value.teach_as(&input.name, masker);
        Some(Resolved { name: input.name.clone(), value, from })
    });
    Ok(values.collect())
}

fn told(input: &Input, fault: &str) -> String {
    format!("input `{}`: {fault}{}", input.name, described(input))
}

fn described(input: &Input) -> String {
    match &input.description {
        Some(text) => format!("\n    ({})", text.trim().lines().next().unwrap_or_default()),
        None => String::new(),
    }
}

/// From wherever it comes without asking a person; `None` where it comes from nowhere.
fn value_of(
    leave: &Grant,
    input: &Input,
    gathered: &Gathered,
    world: Option<&World>,
    known: &Map<String, Json>,
    masker: &Masker,
) -> Result<Option<(Json, From)>, String> {
    if let Some(json) = &input.fixed {
        return Ok(Some((json.clone(), From::Fixed)));
    }
    if let Some((json, from)) = gathered.values.get(&input.name) {
        return judged(input, json, masker).map(|json| Some((json, from.clone())));
    }
    if let Some(world) = world
        && let Some(json) = from_world(input, world, known, masker)?
    {
        return Ok(Some((json, From::World)));
    }
    if let Some(name) = &input.env
        && let Some(json) = from_env(input, name, masker)?
    {
        return Ok(Some((json, From::Env { name: name.clone() })));
    }
    if let Some(argv) = &input.command {
        let json = from_command(leave, input, argv, masker)?;
        return Ok(Some((json, From::Command { program: argv[0].clone() })));
    }
    if let Some(file) = &input.file {
        let path = input.place.source.folder().join(file);
        match from_file(leave, input, &path, file, masker)? {
            Some(json) => return Ok(Some((json, From::File { path }))),
            None if input.default.is_some() => {}
            None => return Err(format!("the file `{file}` cannot be read: there is no such file")),
        }
    }
    Ok(input.default.as_ref().map(|default| (default.clone(), From::Default)))
}

fn asked(input: &Input, terminal: &Terminal, masker: &Masker) -> std::io::Result<Json> {
    let question = input.prompt.clone().unwrap_or_else(|| input.name.clone());
    loop {
        let text = terminal.ask_alone(&question, input.kind == InputType::Secret)?;
        learn(input, &text, masker);
        match from_text(input, &text) {
            Ok(json) => return Ok(json),
            Err(fault) => super::tell(&masker.mask(&crate::report::neutral(&format!("{fault}; once more, please")))),
        }
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
    ways.push("the prompt at a terminal".into());
    format!("it can come from {}", ways.join(", "))
}
