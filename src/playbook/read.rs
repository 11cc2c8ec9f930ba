//! Owns reading a playbook file, and laying a variant over what it extends.

use super::document::{Named, Playbook};
use crate::diagnostic::Diagnostic;
use crate::source::{Place, Source};
use serde_json::Value as Json;
use std::path::Path;
use std::sync::Arc;

/// A playbook as written, with its variants laid over it.
#[derive(Debug)]
pub struct Loaded {
    /// The file that the steps are in (the innermost base).
    pub source: Arc<Source>,
    /// The base's document; `title`, `description`, `deprecated`, `sop` and `name` are the outermost variant's where it says them
    /// (`deprecated` never comes from a base that is not itself deprecated; a deprecated base's text is kept when the variant says none).
    pub document: Playbook,
    /// Inputs that variants fix, outermost wins.
    pub fixed: Named<(Json, Place)>,
    /// The file that was asked for, outermost.
    pub entry: Arc<Source>,
}

impl Loaded {
    pub fn root(&self) -> Place {
        Place { source: self.source.clone(), route: crate::source::Route::root() }
    }
}

/// Reads a playbook and all that it extends. Every mistake of form is told at once.
pub fn load(_path: &Path) -> Result<Loaded, Vec<Diagnostic>> {
    todo!()
}

/// Reads a part of a document that has a short and a long form (kept as JSON) as its long form's type.
pub fn part<T: serde::de::DeserializeOwned + schemars::JsonSchema>(
    _json: &Json,
    _place: &Place,
) -> Result<T, Vec<Diagnostic>> {
    todo!()
}

/// Reads any other YAML file of ours (a world, an inputs file) through the same strict gate.
pub fn read_yaml<T: serde::de::DeserializeOwned + schemars::JsonSchema>(
    _path: &Path,
) -> Result<(T, Arc<Source>), Vec<Diagnostic>> {
    todo!()
}
