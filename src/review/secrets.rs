//! Owns which secrets a text may hold, by the names that it reads: told beforehand, so rather one too many than one too few.
//! What really flows where is followed by value when it is sent.

use crate::plan::{OnUnknown, Setting};
use crate::template::Template;
use std::collections::{BTreeMap, BTreeSet};

/// Names of the secrets that something is made from.
pub type Names = BTreeSet<String>;

/// What the variables of one file may hold.
#[derive(Default)]
pub struct Known {
    variables: BTreeMap<String, Names>,
    /// Whole outputs that count as secret, by their step.
    outputs: BTreeMap<String, Names>,
}

impl Known {
    pub fn define(&mut self, name: &str, made_of: Names) {
        // A name that is born twice may be either.
        self.variables.entry(name.to_string()).or_default().extend(made_of);
    }

    pub fn keep_output(&mut self, step: &str, made_of: Names) {
        self.outputs.entry(step.to_string()).or_default().extend(made_of);
    }

    pub fn in_template(&self, template: &Template) -> Names {
        let mut found = self.of(template.reads().iter().map(|read| read.name.as_str()));
        found.extend(self.in_outputs(template.reads_outputs()));
        found
    }

    pub fn in_setting(&self, setting: &Setting) -> Names {
        match setting {
            Setting::Template(template) => self.in_template(template),
            Setting::Query(query) => {
                let mut found = self.of(query.reads().iter().map(|(name, _)| name.as_str()));
                if query.reads().iter().any(|(name, _)| name == "steps") {
                    found.extend(self.in_outputs(None));
                }
                // A query is given all variables as its input.
                found.extend(
                    self.of(self.variables.keys().map(String::as_str).filter(|name| query.text().contains(*name))),
                );
                found
            }
        }
    }

    fn of<'n>(&self, names: impl Iterator<Item = &'n str>) -> Names {
        names.filter_map(|name| self.variables.get(name)).flatten().cloned().collect()
    }

    /// `None`: of any step.
    fn in_outputs(&self, ids: Option<Vec<String>>) -> Names {
        let wanted = |id: &String| ids.as_ref().is_none_or(|ids| ids.contains(id));
        self.outputs.iter().filter(|(id, _)| wanted(id)).flat_map(|(_, names)| names).cloned().collect()
    }
}

/// The steps that look whether a step has happened, where it has some.
pub fn finders(on_unknown: &OnUnknown) -> &[crate::plan::Step] {
    match on_unknown {
        OnUnknown::Find(steps) => steps,
        _ => &[],
    }
}
