//! Owns what of a playbook's words is known before a run: the URL of a request, the files that it names.
//! What is rendered is judged again, by the same rules, at the moment of sending.

use super::Judge;
use crate::diagnostic::Diagnostic;
use crate::source::Place;
use std::path::{Path, PathBuf};
use url::Url;

impl Judge<'_> {
    /// The URL as far as it is known before the run: literal, or with a constant at its start.
    pub fn known_url(&self, text: &str) -> Option<Url> {
        let resolved = match text.trim_start().strip_prefix("{{") {
            Some(rest) => {
                let (name, after) = rest.split_once("}}")?;
                format!("{}{after}", self.constants.get(name.trim())?)
            }
            None => text.to_string(),
        };
        let known = resolved.split("{{").next()?.split("{%").next()?;
        let (_, after_scheme) = known.split_once("://")?;
        // Where a template begins within the host, the host is not known.
        let complete = known.len() == resolved.len();
        if !complete && !after_scheme.contains('/') {
            return None;
        }
        Url::parse(known).ok().filter(Url::has_host)
    }

    /// A file that a playbook names: it has to lie below the folder tree of the playbooks.
    pub fn allowed_file(&mut self, file: &Path, place: &Place, what: &str) -> Option<PathBuf> {
        let found = match self.texts.canonical(file) {
            Ok(found) => found,
            Err(error) => {
                let mut diagnostic =
                    Diagnostic::error("file-not-found", format!("{what} is not there: {error}"), place);
                if let (Some(name), Some(folder)) = (file.file_name().and_then(|name| name.to_str()), file.parent()) {
                    let names = self.texts.names(folder).unwrap_or_default();
                    if let Some(near) = crate::diagnostic::nearest(name, names.iter().map(String::as_str)) {
                        diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
                    }
                }
                self.tell(diagnostic);
                return None;
            }
        };
        let tree = self.texts.tree(&self.shelf.begun);
        if !found.starts_with(&tree) {
            self.tell(crate::playbook::outside(what, &tree, place));
            return None;
        }
        Some(found)
    }
}
