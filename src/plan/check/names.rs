//! Owns which names are defined where: one flat namespace, in the order of the steps.
//! Deliberately knows nothing of values; a name is defined for sure or under a condition.

use super::Judge;
use crate::diagnostic::{Diagnostic, nearest};
use crate::source::{Part, Place};
use std::collections::BTreeMap;

/// Names that are always there and nobody can define.
pub const RESERVED: [&str; 4] = ["run", "steps", "files", "out"];

#[derive(Clone, Debug)]
pub struct Definition {
    pub place: Place,
    /// The `when`s under which it is there; `None` stands for a condition that nothing can repeat.
    conditions: Vec<Option<String>>,
    kind: Kind,
    read: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Input,
    Var,
    Capture,
    Loop,
}

#[derive(Default)]
pub struct Scope {
    names: BTreeMap<String, Definition>,
    /// Every name in the order in which they were defined.
    log: Vec<String>,
    /// The conditions that hold where we are.
    pub conditions: Vec<Option<String>>,
}

impl Scope {
    pub fn get(&self, name: &str) -> Option<&Definition> {
        self.names.get(name)
    }

    /// From here on nobody knows which captures were reached.
    pub fn doubt_captures(&mut self) {
        for definition in self.names.values_mut().filter(|definition| definition.kind == Kind::Capture) {
            definition.conditions.push(None);
        }
    }

    pub fn remove(&mut self, name: &str) -> Option<Definition> {
        self.names.remove(name)
    }

    pub fn unread(&self, kind: Kind) -> Vec<(String, Place)> {
        self.names
            .iter()
            .filter(|(_, definition)| definition.kind == kind && !definition.read)
            .map(|(name, definition)| (name.clone(), definition.place.clone()))
            .collect()
    }
}

impl Judge<'_> {
    /// Defines a name where we are; telling a second definition, a reserved or an unusable name.
    pub fn define(&mut self, name: &str, kind: Kind, place: &Place) {
        let usable = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !usable {
            let mut mended: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
            if !mended.starts_with(|c: char| c.is_ascii_alphabetic()) {
                mended.insert(0, '_');
            }
            self.tell(
                Diagnostic::error("bad-name", format!("`{name}` cannot be the name of a variable"), place)
                    .at(Part::Key)
                    .help(format!("names are letters, digits and `_`, and start with no digit: `{mended}`")),
            );
            return;
        }
        if RESERVED.contains(&name)
            || matches!(name, "true" | "false" | "and" | "or" | "not" | "in" | "is" | "null" | "none")
        {
            self.tell(
                Diagnostic::error("reserved-name", format!("`{name}` has a meaning of its own"), place)
                    .at(Part::Key)
                    .help("choose another name"),
            );
            return;
        }
        if let Some(known) = self.scope.names.get(name) {
            let first = known.place.clone();
            self.tell(
                Diagnostic::error("duplicate-name", format!("`{name}` is defined a second time"), place)
                    .at(Part::Key)
                    .saying("again here")
                    .label(&first, Part::Key, "defined here")
                    .help("one name has one meaning in a playbook: choose another, or unite two with `set` and `{{ a or b }}`"),
            );
            return;
        }
        let conditions = self.scope.conditions.clone();
        let definition = Definition { place: place.clone(), conditions, kind, read: false };
        self.scope.names.insert(name.into(), definition);
        self.scope.log.push(name.into());
    }

    /// Takes a loop's variable away again, or an inner scope's names.
    pub fn undefine(&mut self, name: &str) -> Option<Definition> {
        self.scope.remove(name)
    }

    /// Puts a definition back under other conditions, as after a loop.
    pub fn redefine(&mut self, name: String, mut definition: Definition, sure: bool) {
        definition.conditions = self.scope.conditions.clone();
        if !sure {
            definition.conditions.push(None);
        }
        self.scope.log.push(name.clone());
        self.scope.names.insert(name, definition);
    }

    /// A moment, to ask later what was defined since.
    pub fn moment(&self) -> usize {
        self.scope.log.len()
    }

    /// The names that were defined since and are still there, each once.
    pub fn defined_since(&self, moment: usize) -> Vec<String> {
        let mut names: Vec<String> = self.scope.log.get(moment..).unwrap_or_default().to_vec();
        names.sort();
        names.dedup();
        names.retain(|name| self.scope.names.contains_key(name));
        names
    }

    /// Judges that a name which is read is defined here, on every path that leads here.
    pub fn read_name(&mut self, name: &str, guarded: bool, place: &Place, part: Part) {
        if RESERVED.contains(&name) {
            return;
        }
        let here = self.scope.conditions.clone();
        match self.scope.names.get_mut(name) {
            Some(definition) => {
                definition.read = true;
                let missing = definition
                    .conditions
                    .iter()
                    .find(|condition| condition.is_none() || !here.contains(condition))
                    .cloned();
                if let (Some(condition), false) = (missing, guarded) {
                    let first = definition.place.clone();
                    let (message, label) = match condition {
                        Some(when) => (
                            format!("`{name}` is only there when `{when}`, and this is read without that condition"),
                            format!("captured under `when: {when}`"),
                        ),
                        None => (
                            format!("`{name}` may not be there: the step that captures it may not have been reached"),
                            "captured here".into(),
                        ),
                    };
                    self.tell(
                        Diagnostic::error("undefined-variable", message, place)
                            .at(part)
                            .saying("read here")
                            .label(&first, Part::Key, label)
                            .help(format!("give it a way out: `{{{{ {name} | default(value=\"…\") }}}}` or `{{{{ {name} or other }}}}`")),
                    );
                }
            }
            None => {
                let mut diagnostic =
                    Diagnostic::error("undefined-variable", format!("`{name}` is not defined here"), place)
                        .at(part)
                        .saying("read here");
                let near = nearest(name, self.scope.names.keys().map(String::as_str).chain(["run", "steps"]))
                    .map(String::from);
                if let Some(later) = self.later_capture(name) {
                    diagnostic = diagnostic
                        .label(&later, Part::Key, "captured only here")
                        .help("move that step above this one, or declare the name under `inputs`");
                } else if let Some(near) = near {
                    diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
                } else {
                    diagnostic =
                        diagnostic.help("declare it under `inputs` or `vars`, or capture it in an earlier step");
                }
                self.tell(diagnostic);
            }
        }
    }

    /// Where a capture or `set` of this name stands further down in the same file.
    fn later_capture(&self, name: &str) -> Option<Place> {
        self.captures_ahead.iter().find(|(known, _)| known == name).map(|(_, place)| place.clone())
    }
}
