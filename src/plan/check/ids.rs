//! Owns step ids: found before anything is judged, so that forward references can be told from typos.

use super::Judge;
use crate::diagnostic::Diagnostic;
use crate::playbook::document;
use crate::playbook::{Loaded, kebab, part};
use crate::source::{Part, Place};
use serde_json::Value as Json;

impl Judge<'_> {
    /// Finds every step id of the file before anything is judged, so that forward references can be told apart from typos.
    pub fn collect_ids(&mut self, steps: &[Json], document: &document::Playbook) {
        let root = Place { source: self.source.clone(), route: crate::source::Route::root() };
        for (index, json) in steps.iter().enumerate() {
            let place = root.key("steps").index(index);
            if let Ok(step) = Loaded::step(json, &place) {
                self.collect_step(&step, &place);
            }
        }
        for (list, key) in [(&document.on_failure, "on_failure"), (&document.finally, "finally")] {
            self.collect_steps(list.as_deref().unwrap_or_default(), &root.key(key));
        }
    }

    fn collect_steps(&mut self, steps: &[document::Step], place: &Place) {
        for (index, step) in steps.iter().enumerate() {
            self.collect_step(step, &place.index(index));
        }
    }

    fn collect_step(&mut self, step: &document::Step, at: &Place) {
        for name in step.capture.iter().flat_map(|captures| captures.keys()) {
            self.captures_ahead.push((name.clone(), at.key("capture").key(name)));
        }
        for name in step.set.iter().flat_map(|set| set.keys()) {
            self.captures_ahead.push((name.clone(), at.key("set").key(name)));
        }
        match step_id(step) {
            None => {}
            Some(id) => {
                if let Some(first) = self.ids.get(&id).cloned() {
                    let key = if step.id.is_some() { "id" } else { "name" };
                    self.tell(
                        Diagnostic::error("duplicate-id", format!("a second step has the id `{id}`"), &at.key(key))
                            .saying("again here")
                            .label(&first, Part::Value, "first here")
                            .help("give it an `id` of its own"),
                    );
                } else {
                    let key = if step.id.is_some() { "id" } else { "name" };
                    self.ids.insert(id, at.key(key));
                }
            }
        }
        self.collect_steps(step.group.as_deref().unwrap_or_default(), &at.key("group"));
        self.collect_steps(step.on_failure.as_deref().unwrap_or_default(), &at.key("on_failure"));
        if let Some(parallel) = &step.parallel
            && let Ok((inner, inner_place, _)) = self.parallel_steps(parallel, &at.key("parallel"))
        {
            self.collect_steps(&inner, &inner_place);
        }
        if let Some(json @ Json::Array(_)) = &step.on_unknown
            && let Ok(inner) = part::<Vec<document::Step>>(json, &at.key("on_unknown"))
        {
            self.collect_steps(&inner, &at.key("on_unknown"));
        }
    }
}

/// A step's id: written, or made from its name.
pub fn step_id(step: &document::Step) -> Option<String> {
    match (&step.id, &step.name) {
        (Some(id), _) => Some(id.clone()),
        (None, Some(name)) => Some(kebab(name)).filter(|id| !id.is_empty()),
        (None, None) => None,
    }
}
