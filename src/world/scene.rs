//! Owns what a world file means: its fakes compiled, its mistakes found with their places.
//! Deliberately plays nothing; `play` does.

use super::document::{Answer, Approve, Document};
use super::fill;
use super::hosts::{self, Host};
use super::programs::{self, Player};
use crate::diagnostic::{Diagnostic, nearest};
use crate::playbook::document::Named;
use crate::playbook::read_yaml;
use crate::query::{Program, QueryError};
use crate::source::{Part, Place, Route};
use serde_json::Value as Json;
use std::path::{Component, Path};

/// A world file, ready to be played.
pub struct Scene {
    /// The file, as it is shown.
    pub name: String,
    pub pace: f64,
    pub approve: Approve,
    pub inputs: Named<Supply>,
    pub answers: Named<Supply>,
    pub state: Json,
    /// By lower-case `name` or `name:port`.
    pub hosts: Named<Host>,
    pub programs: Named<Player>,
    pub files: Named<String>,
}

/// Something said outright, or found by jq when it is asked for.
pub enum Supply {
    Literal(Json),
    Jq(Program),
}

impl Scene {
    /// Reads and checks a world file. Every mistake is told at once.
    pub fn read(path: &Path) -> Result<Scene, Vec<Diagnostic>> {
        let (document, source) = read_yaml::<Document>(path)?;
        let name = source.name.clone();
        let root = Place { source, route: Route::root() };
        let mut reader = Reader { define: document.define.unwrap_or_default(), defined: true, found: Vec::new() };
        if document.world != 1 {
            let message = format!("this is format {} of worlds, and only format 1 is known", document.world);
            reader.found.push(Diagnostic::error("unsupported-format", message, &root.key("world")));
        }
        reader.definitions(&root.key("define"));
        let scene = Scene {
            name,
            pace: reader.pace(document.pace, &root.key("pace")),
            approve: document.approve.unwrap_or(Approve::Steps(Vec::new())),
            inputs: each(document.inputs, &root.key("inputs"), |json, place| reader.input(json, place)),
            answers: each(document.answers, &root.key("answers"), |answer, place| reader.answer(answer, place)),
            state: document.state.unwrap_or_else(|| Json::Object(Default::default())),
            hosts: hosts::read(&mut reader, document.hosts.unwrap_or_default(), &root.key("hosts")),
            programs: programs::read(&mut reader, document.programs.unwrap_or_default(), &root.key("programs")),
            files: reader.files(document.files.unwrap_or_default(), &root.key("files")),
        };
        let mut found = reader.found;
        let start = |mistake: &Diagnostic| mistake.labels.first().map(|label| label.place.span(&label.part).start);
        found.sort_by_key(start);
        if found.is_empty() { Ok(scene) } else { Err(found) }
    }
}

/// Reads the parts of a world, keeping what is wrong with them.
pub struct Reader {
    define: String,
    /// Whether `define` compiles; if not, nothing is said about the texts that would use it.
    defined: bool,
    pub found: Vec<Diagnostic>,
}

impl Reader {
    /// Compiles a jq text of the file.
    pub fn jq(&mut self, text: &str, place: &Place) -> Option<Program> {
        if !self.defined {
            return None;
        }
        match Program::parse(&self.define, text) {
            Ok(program) => Some(program),
            Err(errors) => {
                self.bad_jq(errors, place);
                None
            }
        }
    }

    /// Definitions are compiled by themselves first, so that a mistake in them is told once and where it is.
    fn definitions(&mut self, place: &Place) {
        // As the text itself, with places; the line break ends a comment on its last line. Then as what they are used for.
        let text = format!("{}\nnull", self.define);
        let outcome = Program::parse("", &text).and_then(|_| Program::parse(&self.define, "null"));
        if let Err(mut errors) = outcome {
            for error in &mut errors {
                error.span.start = error.span.start.min(self.define.len());
                error.span.end = error.span.end.min(self.define.len());
            }
            self.bad_jq(errors, place);
            self.defined = false;
        }
    }

    fn bad_jq(&mut self, errors: Vec<QueryError>, place: &Place) {
        for error in errors {
            let mistake = Diagnostic::error("bad-jq", error.message, place).at(Part::Within(error.span));
            self.found.push(match error.help {
                Some(help) => mistake.help(help),
                None => mistake,
            });
        }
    }

    fn pace(&mut self, pace: Option<f64>, place: &Place) -> f64 {
        let pace = pace.unwrap_or(1.0);
        if !pace.is_finite() || pace < 0.0 {
            let message = format!("`{pace}` is no pace: write a factor such as `0.02`, or `0` for no waiting at all");
            self.found.push(Diagnostic::error("bad-pace", message, place));
        }
        pace
    }

    fn input(&mut self, json: Json, place: &Place) -> Option<Supply> {
        match json.as_object().filter(|map| map.len() == 1).and_then(|map| map.get("jq")) {
            Some(Json::String(text)) => Some(Supply::Jq(self.jq(text, &place.key("jq"))?)),
            Some(other) => {
                let message = format!("`jq` must be text, not {other}");
                self.found.push(Diagnostic::error("wrong-type", message, &place.key("jq")));
                None
            }
            None => Some(Supply::Literal(json)),
        }
    }

    fn answer(&mut self, answer: Answer, place: &Place) -> Option<Supply> {
        match answer {
            Answer::Jq(text) => Some(Supply::Jq(self.jq(&text, place)?)),
            Answer::Fields(fields) => Some(Supply::Literal(fields.into_iter().collect())),
        }
    }

    fn files(&mut self, files: Named<String>, place: &Place) -> Named<String> {
        for (name, content) in &files {
            let place = place.key(name);
            let inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
            if name.is_empty() || name.contains('\0') || name.ends_with('/') || !inside {
                let message = format!("`{name}` is not a path within the world's folder");
                let help = "write a relative path without `..`, such as `gh/config.yml`";
                self.found.push(Diagnostic::error("bad-path", message, &place).at(Part::Key).help(help));
            }
            self.fillable(content, &place);
        }
        files
    }

    /// Whether a text names only what can be filled in.
    pub fn fillable(&mut self, text: &str, place: &Place) {
        if let Some(name) = fill::unknown(text) {
            let message = format!("`world.{name}` is not known here");
            let help = match nearest(name, fill::NAMES) {
                Some(near) => format!("write `{{{{ world.{near} }}}}`"),
                None => "there are `world.folder`, `world.socket` and `world.address`".to_owned(),
            };
            self.found.push(Diagnostic::error("unknown-name", message, place).help(help));
        }
    }
}

fn each<T>(all: Option<Named<T>>, place: &Place, mut one: impl FnMut(T, &Place) -> Option<Supply>) -> Named<Supply> {
    let all = all.unwrap_or_default().into_iter();
    all.filter_map(|(name, written)| one(written, &place.key(&name)).map(|supply| (name, supply))).collect()
}
