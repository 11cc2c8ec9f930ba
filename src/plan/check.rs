//! Owns judging what was written: makes a `Plan`, or tells all mistakes at once.
//! Deliberately touches no network and no program; the only files it reads are playbooks and schemas.

mod actions;
mod again;
mod claims;
mod exchanges;
mod header;
mod ids;
mod known;
mod modules;
mod names;
mod permitted;
mod programs;
mod samples;
mod secrets;
mod steps;

use super::permissions::{Allowed, Permissions};
use super::{Plan, StepId};
use crate::diagnostic::{Diagnostic, Severity, nearest};
use crate::playbook::{Loaded, Recording, Texts, load_for};
use crate::query::Query;
use crate::source::{Part, Place, Source};
use crate::template::{Expression, Template};
use names::Scope;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How deep playbooks may use each other.
const DEEPEST_USE: usize = 16;

/// Bytes of a playbook from which on reading it takes memory worth giving back.
const LARGE: usize = 256 << 10;

/// A plan, and what its author should think about.
#[derive(Debug)]
pub struct Checked {
    pub plan: Arc<Plan>,
    pub warnings: Vec<Diagnostic>,
    /// The files that the plan was made of, and how they were found: playbooks and schemas, the entry first.
    pub recording: Recording,
    /// What the plan was made of, in 64 hexadecimal digits ([`super::made_of::digest`]).
    pub digest: String,
}

/// Reads and judges a playbook on disk with all that it extends and uses.
///
/// # Errors
/// All mistakes of all its files, errors and warnings, in the order in which they stand.
pub fn check(path: &Path) -> Result<Checked, Vec<Diagnostic>> {
    check_texts(path, &Texts::disk())
}

/// As [`check`], with files looked up in `texts`, which is for this playbook alone and is emptied into
/// [`Checked::recording`]. In a recording, `path` is its `entry`.
///
/// # Errors
/// As [`check`].
pub fn check_texts(path: &Path, texts: &Texts) -> Result<Checked, Vec<Diagnostic>> {
    check_allowing(path, texts, &Allowed::default())
}

/// As [`check_texts`], where an operator permits something besides for one run.
///
/// The plan is the same, and so is its digest: what a playbook means does not depend on who runs it, and a run that is
/// given more leave when it is resumed goes on with the plan that it was begun with. The leave is the run's, and is
/// recorded with it.
///
/// # Errors
/// As [`check`].
pub fn check_allowing(path: &Path, texts: &Texts, allowed: &Allowed) -> Result<Checked, Vec<Diagnostic>> {
    let loaded = load_for(path, None, texts, None)?;
    let entry = loaded.entry.path.clone();
    let large = loaded.source.text.len() > LARGE;
    give_back(large);
    let allowed = Arc::new(allowed.permissions.clone());
    let mut shelf = Shelf { allowed, begun: loaded.entry.path.clone(), ..Shelf::default() };
    let (plan, found) = judge(loaded, &mut shelf, texts);
    give_back(large);
    if found.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
        Err(found)
    } else {
        let recording = texts.take_recording(&entry);
        let digest = super::made_of::digest(&recording);
        Ok(Checked { plan: Arc::new(plan), warnings: found, recording, digest })
    }
}

/// Gives freed memory back to the system: reading a large playbook takes several times what stays of it.
fn give_back(large: bool) {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    if large {
        // SAFETY: it only looks at the allocator's own free lists, under the allocator's own locks.
        unsafe { libc::malloc_trim(0) };
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let _ = large;
}

/// Modules that were judged already; each is judged, and its mistakes told, once.
#[derive(Default)]
struct Shelf {
    judged: HashMap<PathBuf, Option<Arc<Plan>>>,
    open: Vec<PathBuf>,
    /// What the operator permits besides.
    allowed: Arc<Permissions>,
    /// What each does with its inputs that are secrets.
    flows: HashMap<PathBuf, Vec<secrets::Flow>>,
    /// How long templates and queries were tried with samples.
    tried: std::time::Duration,
    /// The file that was asked for; all others lie in its tree.
    begun: PathBuf,
}

/// Judging one file.
struct Judge<'a> {
    source: Arc<Source>,
    name: String,
    shelf: &'a mut Shelf,
    texts: &'a Texts,
    found: Vec<Diagnostic>,
    scope: Scope,
    permissions: Arc<Permissions>,
    defaults: crate::playbook::document::Defaults,
    /// Variables whose text is known before the run.
    constants: BTreeMap<String, String>,
    /// Where each step id is defined.
    ids: HashMap<String, Place>,
    /// Steps whose whole output some expression reads.
    outputs_read: BTreeSet<String>,
    /// Every capture and `set` of the file, for telling that a name comes later.
    captures_ahead: Vec<(String, Place)>,
    reads_any_output: bool,
    used: permitted::Used,
    samples: samples::Samples,
    flows: Vec<secrets::Flow>,
}

fn judge(mut loaded: Loaded, shelf: &mut Shelf, texts: &Texts) -> (Plan, Vec<Diagnostic>) {
    shelf.open.push(loaded.source.path.clone());
    let root = loaded.root();
    let mut judge = Judge {
        source: loaded.source.clone(),
        name: loaded.document.name.clone(),
        shelf,
        texts,
        found: Vec::new(),
        scope: Scope::default(),
        permissions: Arc::default(),
        defaults: loaded.document.defaults.clone().unwrap_or_default(),
        constants: BTreeMap::new(),
        ids: HashMap::new(),
        outputs_read: BTreeSet::new(),
        captures_ahead: Vec::new(),
        reads_any_output: false,
        used: permitted::Used::default(),
        samples: samples::Samples::new(),
        flows: Vec::new(),
    };
    let written = std::mem::take(&mut loaded.steps);
    judge.collect_ids(&written, &loaded.document);
    let document = &loaded.document;
    judge.permissions = Arc::new(judge.read_permissions(document.permissions.as_ref(), &root.key("permissions")));
    let inputs = judge.inputs(document, &loaded.fixed, &root);
    let vars = judge.vars(document.vars.as_ref(), &root.key("vars"));
    let lock = document.lock.as_ref().map(|text| judge.public("the lock", text, &root.key("lock")));
    // Each is read and goes when it has been judged: what was written takes as much room as what is made of it.
    let place = root.key("steps");
    let mut steps = Vec::with_capacity(written.len());
    for (index, json) in written.into_iter().enumerate() {
        match Loaded::step(&json, &place.index(index)) {
            Ok(step) => steps.push(judge.step(&step, &place.index(index), index)),
            Err(told) => judge.tell(told),
        }
    }
    let outputs = judge.outputs(document.outputs.as_ref(), &root.key("outputs"));
    judge.scope.doubt_captures();
    let mut on_failure = judge.steps(document.on_failure.as_deref().unwrap_or_default(), &root.key("on_failure"));
    judge.scope.doubt_captures();
    let mut finally = judge.steps(document.finally.as_deref().unwrap_or_default(), &root.key("finally"));
    let intervals = judge.intervals(document.intervals.as_ref(), &root.key("intervals"));
    judge.header_warnings(&loaded, &root);
    // Where something could not be judged, nobody knows what it would have used.
    if !judge.found.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
        judge.unused(document, &root);
    }
    for list in [&mut steps, &mut on_failure, &mut finally] {
        keep_outputs(list, &judge.outputs_read);
    }
    let plan = Plan {
        source: loaded.source.clone(),
        name: document.name.clone(),
        title: document.title.clone(),
        deprecated: document.deprecated.clone(),
        required_role: document.sop.as_ref().and_then(|sop| sop.required_role.clone()),
        inputs,
        vars,
        permissions: judge.permissions.clone(),
        lock,
        intervals,
        steps,
        on_failure,
        finally,
        rollback: document.rollback.clone(),
        outputs,
        reads_any_output: judge.reads_any_output,
    };
    let mut found = std::mem::take(&mut judge.found);
    let flows = std::mem::take(&mut judge.flows);
    shelf.flows.insert(loaded.entry.path.clone(), flows);
    shelf.open.pop();
    found.sort_by_key(|diagnostic| {
        let label = &diagnostic.labels[0];
        (label.place.source.name != loaded.source.name, label.place.source.name.clone(), label.place.span(&label.part))
    });
    (plan, found)
}

fn keep_outputs(steps: &mut [super::Step], read: &BTreeSet<String>) {
    for step in steps {
        step.keeps_output = read.contains(&*step.id.0);
        match &mut step.work {
            super::Work::Group(inner) | super::Work::Parallel { steps: inner, .. } => keep_outputs(inner, read),
            _ => {}
        }
        keep_outputs(&mut step.on_failure, read);
        if let super::OnUnknown::Find(inner) = &mut step.on_unknown {
            keep_outputs(inner, read);
        }
    }
}

impl Judge<'_> {
    fn tell(&mut self, diagnostic: Diagnostic) {
        self.found.push(diagnostic);
    }

    /// Compiles a template and judges the names it reads. A broken one is told and becomes null.
    fn template(&mut self, json: &Json, place: &Place) -> Template {
        match Template::parse(json) {
            Ok(template) => {
                for read in template.reads() {
                    let at = place.pointer(&read.pointer);
                    self.read_name(&read.name, read.guarded, &at, Part::Within(read.span));
                }
                self.read_outputs(template.reads_outputs(), place);
                template
            }
            Err(mistakes) => {
                for mistake in mistakes {
                    let at = place.pointer(&mistake.pointer);
                    let mut diagnostic =
                        Diagnostic::error("bad-template", mistake.message, &at).at(Part::Within(mistake.span));
                    diagnostic.help.extend(mistake.help);
                    self.tell(diagnostic);
                }
                Template::literal(Json::Null)
            }
        }
    }

    fn text(&mut self, text: &str, place: &Place) -> Template {
        self.template(&Json::String(text.into()), place)
    }

    fn expression(&mut self, text: &str, place: &Place) -> Option<Expression> {
        match Expression::parse(text) {
            Ok(expression) => {
                for read in expression.reads() {
                    self.read_name(&read.name, read.guarded, place, Part::Within(read.span));
                }
                self.read_outputs(expression.reads_outputs(), place);
                Some(expression)
            }
            Err(mistake) => {
                let mut diagnostic =
                    Diagnostic::error("bad-expression", mistake.message, place).at(Part::Within(mistake.span));
                if text.trim_start().starts_with("{{") {
                    diagnostic = diagnostic.help("an expression stands here without braces");
                }
                diagnostic.help.extend(mistake.help);
                self.tell(diagnostic);
                None
            }
        }
    }

    /// Compiles a jq text and judges the variables it reads; `own` are names that only this query has.
    fn query(&mut self, text: &str, place: &Place, own: &[&str]) -> Option<Query> {
        match Query::parse(text) {
            Ok(query) => {
                for (name, span) in query.reads().to_vec() {
                    if name == "steps" {
                        self.read_outputs(steps_in_query(text), place);
                    } else if !own.contains(&name.as_str()) && name != "out" {
                        // A name that was not captured is null in jq, so a doubtful one is no mistake here.
                        self.read_name(&name, true, place, Part::Within(span));
                    }
                }
                Some(query)
            }
            Err(mistakes) => {
                for mistake in mistakes {
                    let mut diagnostic =
                        Diagnostic::error("bad-jq", mistake.message, place).at(Part::Within(mistake.span));
                    diagnostic.help.extend(mistake.help);
                    self.tell(diagnostic);
                }
                None
            }
        }
    }

    fn read_outputs(&mut self, ids: Option<Vec<String>>, place: &Place) {
        match ids {
            None => self.reads_any_output = true,
            Some(ids) => {
                for id in ids {
                    if !self.ids.contains_key(&id) {
                        let mut diagnostic =
                            Diagnostic::error("unknown-step", format!("there is no step `{id}` in this file"), place);
                        if let Some(near) = nearest(&id, self.ids.keys().map(String::as_str)) {
                            diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
                        }
                        self.tell(diagnostic);
                    }
                    self.outputs_read.insert(id);
                }
            }
        }
    }

    fn known_step(&mut self, id: &str, place: &Place) -> StepId {
        if !self.ids.contains_key(id) {
            let mut diagnostic = Diagnostic::error("unknown-step", format!("there is no step `{id}`"), place);
            if let Some(near) = nearest(id, self.ids.keys().map(String::as_str)) {
                diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
            }
            self.tell(diagnostic);
        }
        StepId(id.into())
    }

    fn duration(&mut self, text: &str, place: &Place) -> Option<std::time::Duration> {
        match super::duration::parse(text) {
            Ok(duration) => Some(duration),
            Err(message) => {
                self.tell(Diagnostic::error("bad-duration", message, place));
                None
            }
        }
    }

    /// A duration that may be a template; a literal one is judged now.
    fn duration_template(&mut self, text: &str, place: &Place) -> Template {
        if !text.contains("{{") && !text.contains("{%") {
            self.duration(text, place);
        }
        self.public("a duration", text, place)
    }

    /// A text that everybody may see, and no secret may stand in.
    fn public(&mut self, what: &str, text: &str, place: &Place) -> Template {
        let template = self.text(text, place);
        self.no_secret_in(what, &template, place);
        template
    }

    fn regex(&mut self, text: &str, place: &Place) -> Option<regex::Regex> {
        match regex::RegexBuilder::new(text).size_limit(1 << 20).build() {
            Ok(regex) => Some(regex),
            Err(error) => {
                let (message, help) = match error {
                    regex::Error::CompiledTooBig(_) => {
                        (format!("`{text}` is too large when it is compiled"), "write smaller counts in `{…}`")
                    }
                    error => {
                        let reason = error.to_string();
                        let last = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_string();
                        let message = format!("`{text}` is no regular expression: {last}");
                        (message, "the syntax is Rust's: no look-around, no back-references")
                    }
                };
                self.tell(Diagnostic::error("bad-regex", message, place).help(help));
                None
            }
        }
    }

    /// Bytes: a number, or text such as `10MiB`, `500 kB`.
    fn size(&mut self, json: &Json, place: &Place) -> Option<u64> {
        let parsed = match json {
            Json::Number(number) => number.as_u64(),
            Json::String(text) => parse_size(text),
            _ => None,
        };
        if parsed.is_none() {
            self.tell(Diagnostic::error(
                "bad-size",
                format!("`{}` is no size: write bytes, or text such as `10MiB`", crate::value::text_of(json)),
                place,
            ));
        }
        parsed
    }
}

fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(unit)
}

/// Ids in `$steps["id"]` and `$steps.id`; `None` where another use of `$steps` cannot be told.
fn steps_in_query(text: &str) -> Option<Vec<String>> {
    let mut ids = Vec::new();
    for (at, _) in text.match_indices("$steps") {
        let rest = &text[at + "$steps".len()..];
        let rest = rest.strip_prefix('.').unwrap_or(rest);
        let id = if let Some(quoted) = rest.strip_prefix("[\"") {
            quoted.split('"').next()
        } else if let Some(quoted) = rest.strip_prefix('"') {
            quoted.split('"').next()
        } else {
            rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().filter(|id| !id.is_empty())
        };
        ids.push(id?.to_string());
    }
    Some(ids)
}
