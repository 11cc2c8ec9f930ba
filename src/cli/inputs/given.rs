//! Owns what the operator gives by `--set` and `--inputs`: reading it, and judging it by name.
//! Deliberately judges the values of inputs files only by their shape; whoever takes one judges it.

use super::provenance::From;
use super::sources::{is_optional, read_inputs_file};
use super::told;
use crate::plan::inputs::from_text;
use crate::plan::permissions::{Allowed, Grant};
use crate::plan::{Input, Plan};
use crate::playbook::document::InputType;
use crate::secret::Masker;
use indexmap::IndexMap;
use serde_json::Value as Json;
use std::path::PathBuf;

/// What the operator gives by flags.
#[derive(Clone, Copy)]
pub struct Given<'a> {
    /// `NAME=VALUE`.
    pub set: &'a [String],
    /// Inputs files; the last wins, and `set` over all.
    pub files: &'a [PathBuf],
    /// What is permitted for this run besides.
    pub allowed: &'a Allowed,
}

impl Given<'_> {
    /// What the playbook may do to have its inputs.
    pub fn leave(&self, plan: &Plan) -> Grant {
        Grant(vec![self.allowed.widen(&plan.permissions)])
    }
}

/// The same, read.
pub struct Gathered {
    pub values: IndexMap<String, (Json, From)>,
    /// Inputs that were given, but not so that they could be used; that is told already.
    spoiled: Vec<String>,
    /// A file could not be read: nobody knows what stood in it.
    lost_file: bool,
}

impl Gathered {
    pub fn is_spoiled(&self, name: &str) -> bool {
        self.lost_file || self.spoiled.iter().any(|known| known == name)
    }
}

/// Reads what is given; what is wrong with it goes to `faults`.
pub fn gather(plan: &Plan, given: Given<'_>, masker: &Masker, faults: &mut Vec<String>) -> Gathered {
    let mut gathered = Gathered { values: IndexMap::new(), spoiled: Vec::new(), lost_file: false };
    for path in given.files {
        match read_inputs_file(path, plan) {
            Ok(map) => {
                let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                let from = From::InputsFile { path };
                gathered.values.extend(map.into_iter().map(|(name, json)| (name, (json, from.clone()))));
            }
            Err(found) => {
                gathered.lost_file = true;
                faults.extend(found);
            }
        }
    }
    gather_set(plan, given.set, masker, &mut gathered, faults);
    let unknown = gathered.values.keys().filter(|name| !plan.inputs.iter().any(|input| input.name == **name));
    for name in unknown.cloned().collect::<Vec<_>>() {
        gathered.values.shift_remove(&name);
        let names: Vec<&str> = plan.inputs.iter().map(|input| input.name.as_str()).collect();
        let hint = match crate::diagnostic::nearest(&name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it has: {}", names.join(", ")),
        };
        faults.push(format!("`{name}` is no input of `{}`; {hint}", plan.name));
    }
    for input in plan.inputs.iter().filter(|input| input.fixed.is_some()) {
        if gathered.values.shift_remove(&input.name).is_some() {
            faults.push(format!("input `{}` is fixed by the variant `{}`: it cannot be given", input.name, plan.name));
        }
    }
    gathered
}

fn gather_set(plan: &Plan, set: &[String], masker: &Masker, gathered: &mut Gathered, faults: &mut Vec<String>) {
    let mut texts: Vec<(String, String)> = Vec::new();
    for text in set {
        match text.split_once('=') {
            Some((name, value)) => texts.push((name.trim().to_string(), value.to_string())),
            None => {
                // Whatever is no input's name may be a secret that was put wrongly.
                let name: String = text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                let shown = if plan.inputs.iter().any(|input| input.name == name) { name.as_str() } else { "" };
                faults.push(format!("`--set {shown}…` has no `=`: write `--set NAME=VALUE`"));
                gathered.spoiled.push(name);
            }
        }
    }
    for (name, text) in texts {
        match plan.inputs.iter().find(|input| input.name == name) {
            Some(input) if input.kind == InputType::Secret => {
                masker.learn(&text);
                faults.push(seen_by_all(input));
                gathered.spoiled.push(name);
            }
            // So that no optional input becomes the text "null".
            Some(input) if text == "null" && is_optional(input) => {
                gathered.values.insert(name, (Json::Null, From::Set));
            }
            Some(input) => match from_text(input, &text) {
                Ok(json) => {
                    gathered.values.insert(name, (json, From::Set));
                }
                Err(fault) => {
                    gathered.values.shift_remove(&name);
                    faults.push(told(input, &fault));
                    gathered.spoiled.push(name);
                }
            },
            // Told afterwards, with the names that there are.
            None => {
                gathered.values.insert(name, (Json::String(text), From::Set));
            }
        }
    }
}

fn seen_by_all(input: &Input) -> String {
    let way = match &input.env {
        Some(env) => format!("put it into the environment variable `{env}`"),
        None => "give it by an --inputs file or at the prompt".into(),
    };
    format!("input `{}` is a secret, and a command line can be read by every process of the machine: {way}", input.name)
}
