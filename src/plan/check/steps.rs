//! Owns judging steps: their one action, conditions, loops, and the order in which names are born.

use super::Judge;
use super::ids::step_id;
use super::names::Kind;
use crate::diagnostic::Diagnostic;
use crate::plan::{Loop, Step, StepId, Work};
use crate::playbook::document::{self, Effect};
use crate::playbook::{is_kebab, kebab, part};
use crate::source::{Part, Place};
use serde_json::Value as Json;

impl Judge<'_> {
    pub fn parallel_steps(
        &self,
        json: &Json,
        place: &Place,
    ) -> Result<(Vec<document::Step>, Place, Option<u32>), Vec<Diagnostic>> {
        if json.is_array() {
            return Ok((part(json, place)?, place.clone(), None));
        }
        let parallel: document::Parallel = part(json, place)?;
        Ok((parallel.steps, place.key("steps"), parallel.max))
    }

    pub fn steps(&mut self, steps: &[document::Step], place: &Place) -> Vec<Step> {
        steps.iter().enumerate().map(|(index, step)| self.step(step, &place.index(index), index)).collect()
    }

    /// The id of a step without a name: another one in each list that stands beside another.
    fn unnamed(&mut self, place: &Place, index: usize) -> String {
        let list = place.route.parent().unwrap_or_default();
        let list = match list.as_str().rsplit('/').next() {
            Some("on_failure") => "on-failure",
            Some("finally") => "finally",
            Some("on_unknown") => "find",
            _ => "step",
        };
        let id = format!("{list}-{}", index + 1);
        if let Some(first) = self.ids.get(&id).cloned() {
            self.tell(
                Diagnostic::error("duplicate-id", format!("a step without a name is called `{id}` here"), place)
                    .saying("this one")
                    .label(&first, Part::Value, "and another is called so")
                    .help("give it an `id` of its own"),
            );
        }
        id
    }

    pub fn step(&mut self, written: &document::Step, place: &Place, index: usize) -> Step {
        let id = match step_id(written) {
            Some(id) => {
                if written.id.is_some() && !is_kebab(&id) {
                    self.tell(
                        Diagnostic::error("bad-name", format!("`{id}` is no kebab-case id"), &place.key("id"))
                            .help(format!("lower-case letters, digits and single hyphens: `{}`", kebab(&id))),
                    );
                }
                id
            }
            None => self.unnamed(place, index),
        };
        let effect = written.effect.unwrap_or_else(|| default_effect(written));
        let each = written.for_each.as_ref().and_then(|json| self.each(json, written, place));
        let before = self.moment();
        if let Some(each) = &each {
            self.define(&each.name, Kind::Loop, &place.key(if written.as_name.is_some() { "as" } else { "for_each" }));
            self.enter_loop(&each.name, &each.over);
        }
        let when_text = match &written.when {
            None => None,
            Some(Json::String(text)) => Some(text.clone()),
            Some(other @ (Json::Bool(_) | Json::Number(_))) => Some(other.to_string()),
            Some(other) => {
                let message = format!("`when` is a Tera expression, not {}", crate::value::shape_of(other));
                self.tell(Diagnostic::error("wrong-type", message, &place.key("when")));
                None
            }
        };
        let when = when_text.as_ref().and_then(|text| self.expression(text, &place.key("when")));
        let name = written.name.as_ref().map(|text| self.text(text, &place.key("name")));
        let depth = self.scope.conditions.len();
        if let Some(text) = &when_text {
            self.scope.conditions.push(Some(text.trim().to_string()));
        }
        let work = self.work(written, effect, place);
        self.note_needs(&work);
        let expect = self.assertions(written.expect.as_deref(), &place.key("expect"), false);
        let expect = match &written.assert {
            Some(claims) => {
                self.assertions(Some(claims), &place.key("assert"), true).into_iter().chain(expect).collect()
            }
            None => expect,
        };
        let retry = self.retry(written, effect, place);
        // Its own captures are not there yet in what runs when it failed.
        let on_failure = self.steps(written.on_failure.as_deref().unwrap_or_default(), &place.key("on_failure"));
        let on_unknown = self.on_unknown(written, effect, place);
        let asked = place.key("manual").key("ask");
        let fields: Vec<(String, bool, Place)> = match &work {
            Work::Manual { ask, .. } => {
                ask.iter().map(|field| (field.name.clone(), field.is_secret(), asked.key(&field.name))).collect()
            }
            _ => Vec::new(),
        };
        let capture = self.captures(written, &fields, place);
        if written.continue_on_failure == Some(true) {
            self.doubt_new(before);
        }
        self.scope.conditions.truncate(depth);
        if let Some(each) = &each {
            self.undefine(&each.name);
            let born = self.defined_since(before);
            self.leave_loop(&each.name, &born);
            for name in born {
                if let Some(definition) = self.undefine(&name) {
                    // After a loop the name is a list, which is there whatever each iteration's `when` said.
                    self.redefine(name, definition, true);
                }
            }
        }
        Step {
            id: StepId(id.into()),
            name,
            place: place.clone(),
            when,
            each,
            effect,
            work,
            expect,
            capture,
            retry,
            timeout: written.timeout.as_ref().and_then(|text| self.duration(text, &place.key("timeout"))),
            no_log: written.no_log.unwrap_or(false),
            continue_on_failure: written.continue_on_failure.unwrap_or(false),
            on_failure,
            on_unknown,
            tags: written.tags.clone().unwrap_or_default(),
            by_hand: written.by_hand.clone(),
            keeps_output: false,
        }
    }

    fn doubt_new(&mut self, before: usize) {
        for name in self.defined_since(before) {
            if let Some(definition) = self.undefine(&name) {
                self.redefine(name, definition, false);
            }
        }
    }

    fn each(&mut self, json: &Json, written: &document::Step, place: &Place) -> Option<Loop> {
        let at = place.key("for_each");
        if json.as_array().is_some_and(Vec::is_empty) {
            self.tell(
                Diagnostic::error("empty-loop", "`for_each` over an empty list never does anything", &at)
                    .help("list the items, or take the step away"),
            );
        }
        if !json.is_array() && !json.is_string() && json.get("jq").is_none() {
            let message = format!("`for_each` is {}", crate::value::shape_of(json));
            self.tell(
                Diagnostic::error("wrong-type", message, &at).help("a list, a template that gives one, or `{jq: …}`"),
            );
            return None;
        }
        let over = self.setting(json, &at)?;
        let name = written.as_name.clone().unwrap_or_else(|| "item".into());
        Some(Loop { over, name, max_parallel: written.max_parallel.unwrap_or(1).max(1), place: at })
    }

    fn work(&mut self, written: &document::Step, effect: Effect, place: &Place) -> Work {
        let actions: Vec<&str> = [
            ("http", written.http.is_some()),
            ("exec", written.exec.is_some()),
            ("shell", written.shell.is_some()),
            ("assert", written.assert.is_some()),
            ("set", written.set.is_some()),
            ("confirm", written.confirm.is_some()),
            ("manual", written.manual.is_some()),
            ("wait", written.wait.is_some()),
            ("use", written.use_.is_some()),
            ("group", written.group.is_some()),
            ("parallel", written.parallel.is_some()),
        ]
        .into_iter()
        .filter_map(|(word, there)| there.then_some(word))
        .collect();
        match actions.as_slice() {
            [] => {
                self.tell(Diagnostic::error("no-action", "this step has no action", place).help(
                    "give it one of: http, exec, shell, assert, set, confirm, manual, wait, use, group, parallel",
                ))
            }
            [_] => {}
            [first, second, ..] => {
                let diagnostic = Diagnostic::error(
                    "two-actions",
                    format!("this step has {} actions: {}; a step has exactly one", actions.len(), actions.join(", ")),
                    &place.key(second),
                )
                .at(Part::Key)
                .label(&place.key(first), Part::Key, "the first")
                .help("make a step of each");
                self.tell(diagnostic);
            }
        }
        if written.with.is_some() && written.use_.is_none() {
            self.tell(Diagnostic::error("misplaced-key", "`with` belongs to `use`", &place.key("with")).at(Part::Key));
        }
        if written.as_name.is_some() && written.for_each.is_none() {
            self.tell(Diagnostic::error("misplaced-key", "`as` belongs to `for_each`", &place.key("as")).at(Part::Key));
        }
        if let Some(http) = &written.http {
            self.http(http, effect, &place.key("http"))
        } else if let Some(json) = &written.exec {
            self.exec(json, &place.key("exec"))
        } else if let Some(json) = &written.shell {
            self.shell(json, &place.key("shell"))
        } else if let Some(set) = &written.set {
            self.set(set, &place.key("set"))
        } else if let Some(json) = &written.confirm {
            self.confirm(json, &place.key("confirm"))
        } else if let Some(json) = &written.manual {
            self.manual(json, &place.key("manual"))
        } else if let Some(text) = &written.wait {
            Work::Wait(self.duration_template(text, &place.key("wait")))
        } else if let Some(path) = &written.use_ {
            self.use_module(path, written, place)
        } else if let Some(steps) = &written.group {
            if steps.is_empty() {
                self.tell(
                    Diagnostic::error("empty-steps", "this group has no steps", &place.key("group")).at(Part::Key),
                );
            }
            Work::Group(self.steps(steps, &place.key("group")))
        } else if let Some(json) = &written.parallel {
            match self.parallel_steps(json, &place.key("parallel")) {
                Ok((steps, at, max)) => {
                    if steps.is_empty() {
                        self.tell(
                            Diagnostic::error("empty-steps", "there is nothing to do in parallel", &at).at(Part::Key),
                        );
                    }
                    Work::Parallel { max, steps: self.steps(&steps, &at) }
                }
                Err(found) => {
                    self.found.extend(found);
                    Work::Parallel { max: None, steps: Vec::new() }
                }
            }
        } else {
            Work::Assert
        }
    }
}

/// The effect of a step that does not say.
fn default_effect(written: &document::Step) -> Effect {
    if let Some(http) = &written.http {
        return match http.method.as_deref().unwrap_or("GET").to_ascii_uppercase().as_str() {
            "GET" | "HEAD" | "OPTIONS" => Effect::Read,
            "PUT" | "DELETE" => Effect::Idempotent,
            _ => Effect::Once,
        };
    }
    if written.exec.is_some() || written.shell.is_some() { Effect::Once } else { Effect::Read }
}
