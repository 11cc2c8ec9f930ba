//! Owns the inputs of a run that is resumed: public ones as they were recorded, secrets from where they came.
//! Deliberately knows nothing of how a run is recorded.

use super::given::{Gathered, Given, gather};
use super::provenance::From;
use super::sources::{from_command, from_env, from_file, from_world, is_optional, judged, read_inputs_file};
use super::{Asker, Found, Missing, Resolved, Unresolved, ask_for, asked, settled, told, ways};
use crate::cli::person::Terminal;
use crate::plan::permissions::Grant;
use crate::plan::{Input, Plan};
use crate::playbook::document::InputType;
use crate::secret::Masker;
use crate::value::{Value, text_of};
use crate::world::World;
use serde_json::{Map, Value as Json};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// What a run's record says of one input.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub name: String,
    pub from: From,
    /// What `Resolved::public` gave; `None` for a secret. A missing optional secret is public, and null.
    pub public: Option<Json>,
    /// The secret that the run was begun with, unsealed.
    pub kept: Option<Value>,
}

/// The inputs of a run again, or every fault.
///
/// Public inputs are what was recorded; giving another is a fault. Secrets come from where they came, since a person may
/// have renewed them there, unless an inputs file of `given` has them. Where a source is gone, or gives what the run
/// itself has put there (what it captured, by `captured`), the secret is the one that the run was begun with.
pub fn resolve_again(
    plan: &Plan,
    recorded: &[Recorded],
    captured: &Masker,
    given: &Given<'_>,
    world: Option<&World>,
    masker: &Masker,
) -> Result<Vec<Resolved>, Unresolved> {
    match Terminal::open() {
        Some(terminal) => again(
            plan,
            recorded,
            captured,
            given,
            world,
            masker,
            Some(&|input: &Input| asked(input, &terminal, masker)),
        ),
        None => again(plan, recorded, captured, given, world, masker, None),
    }
}

fn again(
    plan: &Plan,
    recorded: &[Recorded],
    captured: &Masker,
    given: &Given<'_>,
    world: Option<&World>,
    masker: &Masker,
    asker: Option<Asker<'_>>,
) -> Result<Vec<Resolved>, Unresolved> {
    let mut faults = Vec::new();
    let gathered = gather(plan, *given, masker, &mut faults);
    let mut found = Found::new();
    let mut secrets: Vec<(&Input, &Recorded)> = Vec::new();
    let mut known = Map::new();
    for input in &plan.inputs {
        let Some(record) = recorded.iter().find(|record| record.name == input.name) else {
            faults.push(told(input, "the record of the run says nothing of it; start a new run"));
            continue;
        };
        match public(input, record) {
            Some(json) => {
                faults.extend(differs(input, &json, &gathered, masker));
                known.insert(input.name.clone(), json.clone());
                found.insert(&input.name, (json, record.from.clone()));
            }
            None if input.kind == InputType::Secret => secrets.push((input, record)),
            None => faults.push(told(input, "the record of the run has no value of it; start a new run")),
        }
    }
    let mut sources = Sources { plan, leave: given.leave(plan), captured, world, known, masker, files: HashMap::new() };
    let mut missing = Vec::new();
    for (input, record) in secrets {
        if let Some((json, from)) = gathered.values.get(&input.name) {
            match judged(input, json, masker) {
                Ok(Json::Null) => {
                    let fault = "this run was begun with a value of it, and cannot go on without";
                    faults.push(told(input, fault));
                }
                Ok(json) => drop(found.insert(&input.name, (json, from.clone()))),
                Err(fault) => faults.push(told(input, &fault)),
            }
            continue;
        }
        match sources.secret(input, record) {
            Ok(value) => drop(found.insert(&input.name, value)),
            Err(why) => {
                let why = format!("this run had it from {}, and cannot have it from there again: {why}", record.from);
                let fault = format!("{why}. Mend that, or bring it from your own environment: {}", ways(input));
                missing.push(Missing { input, fault, why: Some(told(input, &why)) });
            }
        }
    }
    ask_for(missing, asker, &gathered, masker, &mut faults, &mut found)?;
    settled(plan, found, faults, masker)
}

/// The recorded value of what is no secret, or is a secret that nobody gave.
fn public(input: &Input, record: &Recorded) -> Option<Json> {
    let absent = || {
        let is_null = is_optional(input) && (input.kind != InputType::Secret || record.from == From::Default);
        is_null.then_some(Json::Null)
    };
    match &record.public {
        // No record may turn a secret into what is shown.
        Some(json) if input.kind == InputType::Secret && !json.is_null() => None,
        Some(json) => Some(json.clone()),
        None => absent(),
    }
}

/// What is wrong with giving this public input again, if anything is.
fn differs(input: &Input, recorded: &Json, gathered: &Gathered, masker: &Masker) -> Option<String> {
    let (json, _) = gathered.values.get(&input.name)?;
    match judged(input, json, masker) {
        Err(fault) => Some(told(input, &fault)),
        Ok(json) if json == *recorded => None,
        Ok(_) if recorded.is_null() => Some(told(input, "this run was begun without it; start a new run")),
        Ok(_) => {
            let begun = text_of(recorded);
            let shown = match begun.char_indices().nth(80) {
                Some((end, _)) => format!("{}…", &begun[..end]),
                None => begun,
            };
            Some(told(input, &format!("this run was begun with `{shown}`; start a new run")))
        }
    }
}

/// Where secrets come from again.
struct Sources<'a> {
    plan: &'a Plan,
    leave: Grant,
    /// What the run has captured.
    captured: &'a Masker,
    world: Option<&'a World>,
    /// Public inputs.
    known: Map<String, Json>,
    masker: &'a Masker,
    /// Inputs files, read once each.
    files: HashMap<PathBuf, Result<Map<String, Json>, String>>,
}

impl Sources<'_> {
    /// The secret and where it came from, or why its old source does not give it.
    fn secret(&mut self, input: &Input, record: &Recorded) -> Result<(Json, From), String> {
        let kept = record.kept.as_ref().map(|kept| (kept.expose().clone(), record.from.clone()));
        let gone = match self.again(input, record) {
            // A rotated token is in the vault by now, and the old one is wanted.
            Ok(json) if self.captured.contains_secret(text_of(&json).as_bytes()) && kept.is_some() => String::new(),
            Ok(json) => return Ok((json, record.from.clone())),
            Err(why) => why,
        };
        if gone.is_empty()
            && let Some(kept) = kept
        {
            return Ok(kept);
        }
        let elsewhere = match &input.env {
            // The ways that are told must be ways.
            Some(name) if record.from != (From::Env { name: name.clone() }) => {
                match from_env(input, name, self.masker) {
                    Ok(Some(json)) => Ok((json, From::Env { name: name.clone() })),
                    Ok(None) => Err(gone),
                    Err(fault) => Err(format!("{gone}; {fault}")),
                }
            }
            _ => Err(gone),
        };
        elsewhere.or_else(|why| kept.ok_or(why))
    }

    fn again(&mut self, input: &Input, record: &Recorded) -> Result<Json, String> {
        let nothing = || "it gives none".to_string();
        let json = match &record.from {
            From::Typed => record.kept.as_ref().ok_or("it was not kept")?.expose().clone(),
            From::Env { name } => from_env(input, name, self.masker)?.ok_or("it is not set")?,
            From::Command { .. } => {
                let argv = input.command.as_ref().ok_or_else(nothing)?;
                from_command(&self.leave, input, argv, self.masker)?
            }
            From::File { path } => from_file(&self.leave, input, path, &path.display().to_string(), self.masker)?
                .ok_or("it is not there")?,
            From::InputsFile { path } => {
                let json = self.file(path)?.get(&input.name).cloned().ok_or("it does not name it any more")?;
                judged(input, &json, self.masker)?
            }
            From::World => {
                let world = self.world.ok_or("none is given: `--world`")?;
                from_world(input, world, &self.known, self.masker)?.ok_or_else(nothing)?
            }
            From::Fixed | From::Set | From::Default => return Err(nothing()),
        };
        // A run that had a secret may not go on as if it had none.
        if json.is_null() { Err(nothing()) } else { Ok(json) }
    }

    fn file(&mut self, path: &Path) -> Result<&Map<String, Json>, String> {
        let plan = self.plan;
        let read = || {
            // `--inputs <(…)`, or standard input: what stood there was read once, and now something else would be.
            if path.starts_with("/dev") || path.starts_with("/proc") {
                return Err("it was a pipe".to_string());
            }
            read_inputs_file(path, plan).map_err(|found| found.join("; "))
        };
        self.files.entry(path.to_path_buf()).or_insert_with(read).as_ref().map_err(Clone::clone)
    }
}

#[cfg(test)]
mod tests;
