//! Owns what makes a file a playbook beyond its shape (format, name), and laying a variant over what it extends.

use super::document::{Named, Playbook, Step};
use super::schema::{self, VARIANT_KEYS};
use super::{Texts, read, shape, spans};
use crate::diagnostic::Diagnostic;
use crate::source::{Part, Place, Route, Source};
use serde::Deserialize;
use serde_json::Value as Json;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The only format there is.
const FORMAT: i64 = 1;
/// How long a chain of variants may be.
const CHAIN: usize = 8;

/// A playbook as written, with its variants laid over it.
#[derive(Debug)]
pub struct Loaded {
    /// The file that the steps are in (the innermost base).
    pub source: Arc<Source>,
    /// The base's document; `title`, `description`, `deprecated`, `sop` and `name` are the outermost variant's where it says them
    /// (`deprecated` never comes from a base that is not itself deprecated; a deprecated base's text is kept when the variant says none).
    ///
    /// Its `steps` are not in it but in `steps` below.
    pub document: Playbook,
    /// The steps as JSON, for `step` to read one by one: as documents, many take ten times their text.
    pub steps: Vec<Json>,
    /// Inputs that variants fix, outermost wins.
    pub fixed: Named<(Json, Place)>,
    /// The file that was asked for, outermost.
    pub entry: Arc<Source>,
}

impl Loaded {
    /// Reads one of `steps`; their shape was judged when the file was loaded.
    pub fn step(json: &Json, place: &Place) -> Result<Step, Diagnostic> {
        Step::deserialize(json).map_err(|error| Diagnostic::error("wrong-shape", error.to_string(), place))
    }

    pub fn root(&self) -> Place {
        root(&self.source)
    }
}

fn root(source: &Arc<Source>) -> Place {
    Place { source: source.clone(), route: Route::root() }
}

/// Reads a playbook and all that it extends, from disk. Every mistake of form is told at once.
pub fn load(path: &Path) -> Result<Loaded, Vec<Diagnostic>> {
    load_for(path, None, &Texts::disk(), None)
}

/// As [`load`], with files looked up in `texts`; `asked` is the place that names the file (`use: …`), and is pointed
/// at where there is none. What it extends lies in the tree ([`Texts::tree`]) of the playbook that was `begun` with, or else in its own.
pub fn load_for(
    path: &Path,
    asked: Option<&Place>,
    texts: &Texts,
    begun: Option<&Path>,
) -> Result<Loaded, Vec<Diagnostic>> {
    let mut mistakes = Vec::new();
    let mut chain: Vec<(Json, Arc<Source>)> = Vec::new();
    let mut seen: Vec<PathBuf> = Vec::new();
    let mut asked: Option<Place> = asked.cloned();
    let mut next = path.to_path_buf();
    loop {
        let (json, source) = match read::open(&next, asked.as_ref(), texts).and_then(one) {
            Ok((json, source, more)) => {
                mistakes.extend(more);
                (json, source)
            }
            Err(more) => {
                mistakes.extend(more);
                return Err(mistakes);
            }
        };
        let place = root(&source);
        seen.push(texts.canonical(&source.path).unwrap_or_else(|_| source.path.clone()));
        let base = json["extends"].as_str().map(|base| source.folder().join(base));
        let place = place.key("extends");
        chain.push((json, source));
        let Some(base) = base else { break };
        if texts.canonical(&base).is_ok_and(|base| seen.contains(&base)) {
            let message = "this playbook extends itself, directly or through others";
            let told = Diagnostic::error("extends-cycle", message, &place).note(circle(&chain));
            mistakes.push(told.help("the innermost playbook of a chain has `steps`, and no `extends`"));
            return Err(mistakes);
        }
        if chain.len() > CHAIN {
            let message = format!("more than {CHAIN} variants upon each other");
            mistakes.push(Diagnostic::error("extends-cycle", message, &place));
            return Err(mistakes);
        }
        // What is broken is shown with its lines: those of other files are nobody's business here.
        if let Ok(found) = texts.canonical(&base) {
            let tree = texts.tree(begun.unwrap_or(path));
            if !found.starts_with(&tree) {
                mistakes.push(outside("the playbook that this one extends", &tree, &place));
                return Err(mistakes);
            }
        }
        (next, asked) = (base, Some(place));
    }
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let mut steps = Vec::new();
    if let Some((json, source)) = chain.last_mut() {
        if let Some(told) = read::too_many_steps(json, source) {
            return Err(vec![told]);
        }
        if let Some(Json::Array(list)) = json.as_object_mut().and_then(|map| map.remove("steps")) {
            steps = list;
        }
    }
    // Its shape was judged above.
    let chain = chain.into_iter().map(|(json, source)| match serde_json::from_value::<Playbook>(json) {
        Ok(document) => Ok((document, source)),
        Err(error) => Err(vec![Diagnostic::error("wrong-shape", error.to_string(), &root(&source))]),
    });
    let chain: Vec<_> = chain.collect::<Result<_, Vec<Diagnostic>>>()?;
    Ok(lay(chain, steps))
}

/// What tells of a file that no playbook of this tree may be made of.
pub fn outside(what: &str, tree: &Path, place: &Place) -> Diagnostic {
    Diagnostic::error("file-outside", format!("{what} lies outside of the playbooks' folder"), place)
        .help(format!("put it below {}", tree.display()))
}

/// One file of the chain, with what is wrong with its form.
fn one(source: Arc<Source>) -> Result<(Json, Arc<Source>, Vec<Diagnostic>), Vec<Diagnostic>> {
    let hushed = |mistakes: Vec<Diagnostic>| match says_to_be_one(&source) || mistakes[0].code == "empty-file" {
        true => mistakes,
        false => vec![no_playbook(&source)],
    };
    let json = read::json(&source).map_err(hushed)?;
    let mut mistakes = shape::walk(&json, &schema::schema_of::<Playbook>(), &root(&source));
    form(&json, &source, &mut mistakes);
    if !mistakes.is_empty() && !says_to_be_one(&source) {
        return Err(vec![no_playbook(&source)]);
    }
    Ok((json, source, mistakes))
}

/// Whether anything in a text points to a playbook.
fn says_to_be_one(source: &Source) -> bool {
    ["runbook", "steps", "extends", "permissions"].iter().any(|word| source.text.contains(word))
}

/// Mistakes are drawn with the lines that they are in, and a file that is not meant as a playbook may be one of inputs,
/// with secrets in it: of that nothing is shown.
fn no_playbook(source: &Source) -> Diagnostic {
    let nothing = Place { source: Source::new(&source.path, String::new(), spans::index), route: Route::root() };
    let message = format!("`{}` is no playbook: it says neither `runbook: 1` nor `steps`", source.name);
    let help = "a playbook begins with `runbook: 1`; a file of inputs is given with `--inputs`. What is in this one is not shown";
    Diagnostic::error("no-playbook", message, &nothing).help(help)
}

/// Which file extends which, around to the last one's base.
fn circle(chain: &[(Json, Arc<Source>)]) -> String {
    let links = chain.iter().map(|(json, source)| {
        let base = json["extends"].as_str().unwrap_or_default();
        format!("`{}` extends `{base}`", source.path.file_name().unwrap_or_default().display())
    });
    links.collect::<Vec<_>>().join("\n")
}

/// Lays each variant over its base, the outermost last.
fn lay(mut chain: Vec<(Playbook, Arc<Source>)>, steps: Vec<Json>) -> Loaded {
    let entry = chain[0].1.clone();
    let (mut document, source) = chain.pop().expect("the entry at least");
    let mut fixed = Named::new();
    for input in document.inputs.iter_mut().flatten().map(|(_, input)| input) {
        if input.required == Some(false) {
            input.default.get_or_insert(Json::Null); // So that nobody else has to know this way of writing it.
        }
    }
    for (variant, at) in chain.into_iter().rev() {
        document.name = variant.name;
        document.title = variant.title.or(document.title);
        document.description = variant.description.or(document.description);
        document.deprecated = variant.deprecated.or(document.deprecated);
        document.sop = variant.sop.or(document.sop);
        for (name, value) in variant.set.unwrap_or_default() {
            let place = root(&at).key("set").key(&name);
            fixed.insert(name, (value, place));
        }
    }
    Loaded { source, document, steps, fixed, entry }
}

/// What the shape cannot say: the format's number, the name, what a variant and a base must and may not have.
fn form(json: &Json, source: &Arc<Source>, mistakes: &mut Vec<Diagnostic>) {
    let Some(fields) = json.as_object() else { return };
    let root = root(source);
    if let Some(format) = json["runbook"].as_i64().filter(|format| *format != FORMAT) {
        let message = format!("format {format} is not known; this program reads format {FORMAT}");
        mistakes.push(Diagnostic::error("format-number", message, &root.key("runbook")).help("write `runbook: 1`"));
    }
    if let Some(written) = json["name"].as_str() {
        name(written, source, mistakes);
    }
    if fields.contains_key("extends") {
        variant(fields, &root, mistakes);
        return;
    }
    let told = match fields.get("steps") {
        None if mistakes.iter().any(|told| told.labels[0].text == "did you mean `steps`?") => return,
        None => Diagnostic::error("missing-key", "the key `steps` is missing in the file", &root)
            .help("a playbook has `steps`, or `extends` another one"),
        Some(Json::Array(steps)) if steps.is_empty() => {
            Diagnostic::error("empty-steps", "a playbook needs at least one step", &root.key("steps")).at(Part::Key)
        }
        _ if fields.contains_key("set") => {
            let message = "`set` fixes inputs of the playbook that `extends` names; there is none";
            Diagnostic::error("variant-key", message, &root.key("set")).at(Part::Key).help("constants go into `vars`")
        }
        _ => return,
    };
    mistakes.push(told);
}

fn name(name: &str, source: &Arc<Source>, mistakes: &mut Vec<Diagnostic>) {
    let place = root(source).key("name");
    if !is_kebab(name) {
        let help = match kebab(name) {
            better if better.is_empty() => "write it in lower case with hyphens, such as `rotate-token`".to_string(),
            better => format!("did you mean `{better}`?"),
        };
        let message = format!("the name `{name}` is not in kebab-case: lower-case letters, digits and single hyphens");
        mistakes.push(Diagnostic::error("bad-name", message, &place).help(help));
        return;
    }
    let stem = source.path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    if stem != name {
        let message = format!("the name `{name}` is not the file's: `{stem}`");
        let help = match is_kebab(&stem) {
            true => format!("write `name: {stem}`, or call the file `{name}.yaml`"),
            false => format!("call the file `{name}.yaml`"),
        };
        mistakes.push(Diagnostic::error("name-stem", message, &place).help(help));
    }
}

/// Lower-case letters and digits in words between single hyphens, a letter first.
pub fn is_kebab(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .split('-')
            .all(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()))
}

/// The nearest kebab-case name; empty where nothing is left.
pub fn kebab(text: &str) -> String {
    let mut name = String::new();
    let mut last_lower = false;
    for c in text.chars() {
        if c.is_ascii_uppercase() && last_lower {
            name.push('-');
        }
        last_lower = c.is_ascii_lowercase();
        match c.is_ascii_alphanumeric() {
            true => name.push(c.to_ascii_lowercase()),
            false if !name.is_empty() && !name.ends_with('-') => name.push('-'),
            false => {}
        }
    }
    name.trim_start_matches(|c: char| !c.is_ascii_lowercase()).trim_end_matches('-').to_string()
}

/// A variant fixes inputs and says what it is; anything else would have to be reviewed like a playbook.
fn variant(fields: &serde_json::Map<String, Json>, root: &Place, mistakes: &mut Vec<Diagnostic>) {
    let known = schema::schema_of::<Playbook>();
    // Keys that nothing may have are told of as such.
    let others = fields.keys().filter(|key| !known["properties"][key.as_str()].is_null());
    for key in others.filter(|key| !VARIANT_KEYS.contains(&key.as_str())) {
        let help = match key.as_str() {
            "inputs" | "vars" => "values of the base's inputs go under `set`".to_string(),
            _ => format!("a variant may have {}; the rest is its base's", VARIANT_KEYS.join(", ")),
        };
        let message = format!("a variant (a playbook that `extends` another) may not have `{key}`");
        mistakes.push(Diagnostic::error("variant-key", message, &root.key(key)).at(Part::Key).help(help));
    }
}
