//! Owns reading our YAML files: from a path through the gate to a type, with every mistake of form at its place.
//! Deliberately knows no key but by the types; variants are laid over their bases in `extend`.

use super::texts::Unread;
use super::{Texts, gate, schema, shape, spans, syntax};
use crate::diagnostic::{Diagnostic, nearest};
use crate::source::{Part, Place, Route, Source};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How many steps a file may have.
const STEPS: usize = 20_000;

/// Reads any YAML file of ours (a world, an inputs file) through the strict gate.
pub fn read_yaml<T: DeserializeOwned + JsonSchema>(path: &Path) -> Result<(T, Arc<Source>), Vec<Diagnostic>> {
    let source = open(path, None, &Texts::disk())?;
    let root = Place { source: source.clone(), route: Route::root() };
    let document = part(&json(&source)?, &root)?;
    Ok((document, source))
}

/// Reads a part of a document that has a short and a long form (kept as JSON) as its long form's type.
pub fn part<T: DeserializeOwned + JsonSchema>(json: &Json, place: &Place) -> Result<T, Vec<Diagnostic>> {
    let mistakes = shape::walk(json, &schema::schema_of::<T>(), place);
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    T::deserialize(json).map_err(|error| vec![Diagnostic::error("wrong-shape", error.to_string(), place)])
}

/// The file's text, if it is one that the gate may look at. `asked` is where another file names it.
pub fn open(path: &Path, asked: Option<&Place>, texts: &Texts) -> Result<Arc<Source>, Vec<Diagnostic>> {
    let path = tidy(path, texts);
    let empty = Source::new(&path, String::new(), spans::index);
    let at = asked.cloned().unwrap_or(Place { source: empty.clone(), route: Route::root() });
    let refuse = |code, message: String| Diagnostic::error(code, message, &at);
    let name = &empty.name;
    let read = if asked.is_some() { texts.read_named(&path) } else { texts.read(&path) };
    let mut bytes = read.map_err(|why| {
        vec![match why {
            Unread::Failed(error) => unreadable(&path, name, &error, &at, texts),
            Unread::Folder => {
                suggest(refuse("file-not-found", format!("`{name}` is a folder, not a file")), &path, "", texts)
            }
            Unread::TooLarge => refuse("file-too-large", format!("`{name}` is larger than {} MiB", gate::SIZE >> 20))
                .help("split the playbook: `use:` runs another one as a step"),
        }]
    })?;
    if bytes.starts_with(b"\xef\xbb\xbf") {
        bytes.drain(..3); // A byte order mark says nothing, and would shift every column of the first line.
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Source::new(&path, text, spans::index)),
        Err(error) => {
            let good = error.utf8_error().valid_up_to();
            let line = error.as_bytes()[..good].iter().filter(|byte| **byte == b'\n').count() + 1;
            let told = refuse(
                "not-utf8",
                format!("`{name}` is not UTF-8: line {line} has the byte 0x{:02x}", error.as_bytes()[good]),
            );
            Err(vec![told.help("save the file as UTF-8")])
        }
    }
}

fn unreadable(path: &Path, name: &str, error: &std::io::Error, at: &Place, texts: &Texts) -> Diagnostic {
    match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => {
            let told = Diagnostic::error("file-not-found", format!("there is no file `{name}`"), at);
            let wanted = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            suggest(told, path.parent().unwrap_or(Path::new(".")), &wanted, texts)
        }
        _ => Diagnostic::error("file-unreadable", format!("`{name}` cannot be read: {error}"), at),
    }
}

/// Adds the file of `folder` whose name is nearest to `wanted`, or which YAML files there are.
fn suggest(told: Diagnostic, folder: &Path, wanted: &str, texts: &Texts) -> Diagnostic {
    let Some(mut names) = texts.names(folder) else {
        return match texts.is_there(folder) {
            true => told,
            false => told.help(format!("there is no folder `{}` either", folder.display())),
        };
    };
    names.retain(|name| name.ends_with(".yaml") || name.ends_with(".yml"));
    names.sort();
    let stem = |name: &'_ str| name.rsplit_once('.').map_or(name.to_string(), |(stem, _)| stem.to_string());
    let stems: Vec<String> = names.iter().map(|name| stem(name)).collect();
    let near = nearest(&stem(wanted), stems.iter().map(String::as_str));
    match near.and_then(|near| names.iter().find(|name| stem(name) == near)) {
        Some(near) => told.help(format!("did you mean `{near}`?")),
        None if names.is_empty() => told,
        None => {
            let more = if names.len() > 10 { " …" } else { "" };
            let some: Vec<_> = names.iter().take(10).map(|name| format!("`{name}`")).collect();
            told.help(format!("in that folder: {}{more}", some.join(", ")))
        }
    }
}

/// An absolute path; without `..` where that leads to the same file.
fn tidy(path: &Path, texts: &Texts) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    if !absolute.components().any(|part| part.as_os_str() == "..") {
        return absolute;
    }
    let mut short = PathBuf::new();
    for part in absolute.components() {
        match part.as_os_str() == ".." {
            true => drop(short.pop()),
            false => short.push(part),
        }
    }
    match (texts.canonical(&absolute), texts.canonical(&short)) {
        (Ok(one), Ok(other)) if one == other => short,
        (Err(_), Err(_)) => short,
        _ => absolute,
    }
}

/// Reads a source as JSON, through the gate.
///
/// serde never reads the YAML as a type of ours: there `serde_yaml` takes `30` for a text, and `null` for the text "null".
pub fn json(source: &Arc<Source>) -> Result<Json, Vec<Diagnostic>> {
    if gate::check(source)?.empty {
        let root = Place { source: source.clone(), route: Route::root() };
        return Err(vec![Diagnostic::error("empty-file", format!("`{}` says nothing", source.name), &root)]);
    }
    // What only libyaml refuses; the two parsers differ in a few corners.
    serde_yaml::from_str(&source.text).map_err(|error| vec![libyaml(source, &error)])
}

/// What libyaml says of a text that saphyr could read.
fn libyaml(source: &Arc<Source>, error: &serde_yaml::Error) -> Diagnostic {
    let (message, at) = words(source, error);
    syntax::explain(source, &source.text, at, &message, &[]).told
}

/// What serde_yaml says without its places, and the place as a byte.
fn words(source: &Arc<Source>, error: &serde_yaml::Error) -> (String, usize) {
    let mut message = error.to_string();
    while let Some((before, after)) = message.split_once(" at line ") {
        let after = after.trim_start_matches(|c: char| c.is_ascii_digit());
        let after = after.strip_prefix(" column ").unwrap_or(after).trim_start_matches(|c: char| c.is_ascii_digit());
        message = format!("{before}{after}");
    }
    let Some(location) = error.location() else { return (message, 0) };
    let starts = std::iter::once(0).chain(source.text.match_indices('\n').map(|(at, _)| at + 1));
    let line = starts.clone().nth(location.line().saturating_sub(1)).unwrap_or(source.text.len());
    let column: usize = source.text[line..].chars().take(location.column().saturating_sub(1)).map(char::len_utf8).sum();
    (message, line + column)
}

/// Refuses a playbook of more steps than anyone can have meant.
pub fn too_many_steps(document: &Json, source: &Arc<Source>) -> Option<Diagnostic> {
    let count: usize = ["steps", "on_failure", "finally"].map(|key| steps_in(&document[key])).iter().sum();
    (count > STEPS).then(|| {
        let place = Place { source: source.clone(), route: Route::root().key("steps") };
        Diagnostic::error("too-many-steps", format!("{count} steps; a playbook may have {STEPS}"), &place)
            .at(Part::Key)
            .help("split it: `use:` runs another playbook as a step, `for_each` runs one step many times")
    })
}

fn steps_in(list: &Json) -> usize {
    let nested = |step: &Json| {
        ["group", "parallel", "on_failure", "on_unknown"]
            .map(|key| step.get(key).map_or(0, |list| steps_in(list.get("steps").unwrap_or(list))))
            .iter()
            .sum::<usize>()
    };
    list.as_array().into_iter().flatten().map(|step| 1 + nested(step)).sum()
}
