//! Owns fetching an input's value from each place that needs no person: world, environment, command, file, inputs file.
//! Deliberately knows no order among them, and nothing of runs that are resumed. No fault shows a secret.

use super::command;
use crate::plan::inputs::{from_text, judge};
use crate::plan::permissions::Grant;
use crate::plan::{Input, Plan};
use crate::playbook::document::InputType;
use crate::secret::{Masker, SHORTEST_SECRET};
use crate::world::World;
use serde_json::{Map, Value as Json};
use std::io::{ErrorKind, Read};
use std::path::Path;

/// Bytes of a secret that a file holds or a program prints: of what is longer not all would be masked.
pub const LARGEST: u64 = 1 << 20;

pub fn is_optional(input: &Input) -> bool {
    input.default.as_ref().is_some_and(Json::is_null)
}

/// What is told of a value that is no secret may show it.
pub fn learn(input: &Input, text: &str, masker: &Masker) {
    if input.kind == InputType::Secret {
        masker.learn(text);
    }
}

/// A value that has a type already, from an inputs file or a world.
pub fn judged(input: &Input, json: &Json, masker: &Masker) -> Result<Json, String> {
    if json.is_null() && is_optional(input) {
        return Ok(Json::Null);
    }
    if let Json::String(text) = json {
        learn(input, text, masker);
    }
    judge(input, json)
}

/// `None` where the world says nothing of it; `known` are public inputs.
pub fn from_world(
    input: &Input,
    world: &World,
    known: &Map<String, Json>,
    masker: &Masker,
) -> Result<Option<Json>, String> {
    let stand_in = world.input(&input.name, &Json::Object(known.clone())).map_err(|error| error.to_string())?;
    stand_in.filter(|json| !json.is_null() || is_optional(input)).map(|json| judged(input, &json, masker)).transpose()
}

/// `None` where the variable is not set, or empty and the input optional: CI systems set those for what is not there.
pub fn from_env(input: &Input, name: &str, masker: &Masker) -> Result<Option<Json>, String> {
    let Some(text) = std::env::var_os(name) else { return Ok(None) };
    let text = text.to_str().ok_or_else(|| format!("the environment variable `{name}` is not UTF-8"))?;
    if text.is_empty() && is_optional(input) {
        return Ok(None);
    }
    learn(input, text, masker);
    from_text(input, text).map(Some).map_err(|fault| format!("from the environment variable `{name}`: {fault}"))
}

/// The playbook names the program, so that it needs the playbook's leave to run one.
pub fn from_command(leave: &Grant, input: &Input, argv: &[String], masker: &Masker) -> Result<Json, String> {
    if let Some(program) = argv.first() {
        leave.run(program).map_err(|refusal| format!("{}\n    help: {}", refusal.message, refusal.help))?;
    }
    let text = command::output_of(argv, masker)?;
    masker.learn(&text);
    from_text(input, &text).map_err(|fault| format!("from the command `{}`: {fault}", argv[0]))
}

/// `None` where there is no such file; `shown` is how the playbook names it, which needs the playbook's leave to read it.
pub fn from_file(
    leave: &Grant,
    input: &Input,
    path: &Path,
    shown: &str,
    masker: &Masker,
) -> Result<Option<Json>, String> {
    let path = leave.read(path).map_err(|refusal| format!("{}\n    help: {}", refusal.message, refusal.help))?;
    match read_secret(&path) {
        Ok(text) if text.len() as u64 > LARGEST => {
            Err(format!("the file `{shown}` is larger than 1 MiB: no secret is"))
        }
        Ok(text) => {
            let text = without_newline(text);
            masker.learn(&text);
            from_text(input, &text).map(Some).map_err(|fault| format!("from the file `{shown}`: {fault}"))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("the file `{shown}` cannot be read: {error}")),
    }
}

/// At most one byte more than a secret may have.
fn read_secret(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    crate::action::open_regular(path)?.take(LARGEST + 1).read_to_string(&mut text)?;
    Ok(text)
}

/// The values of an inputs file, or what is wrong with it, without what stands in it.
pub fn read_inputs_file(path: &Path, plan: &Plan) -> Result<Map<String, Json>, Vec<String>> {
    match crate::playbook::read_yaml::<Map<String, Json>>(path) {
        Ok((map, _)) => Ok(map),
        Err(found) => Err(found
            .into_iter()
            .map(|mut diagnostic| {
                diagnostic.message = without_values(&diagnostic.message, plan, path);
                crate::diagnostic::one_line(&diagnostic)
            })
            .collect()),
    }
}

/// A message about an inputs file without what it quotes of it: that may be a secret. Names of inputs stay, and signs.
fn without_values(message: &str, plan: &Plan, path: &Path) -> String {
    let known = |text: &str| {
        text.chars().count() < SHORTEST_SECRET
            || plan.inputs.iter().any(|input| input.name == text)
            || path.ends_with(text)
    };
    let parts = message.split('`').enumerate();
    let parts = parts.map(|(index, part)| if index % 2 == 0 || known(part) { part } else { "…" });
    parts.collect::<Vec<_>>().join("`")
}

pub fn without_newline(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    text
}
