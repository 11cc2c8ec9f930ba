//! Owns judging the actions that stay within the run: set, confirm, manual.

use super::Judge;
use super::names::Kind;
use crate::diagnostic::Diagnostic;
use crate::plan::{Ask, Work};
use crate::playbook::document::{self, InputType, Named};
use crate::playbook::part;
use crate::source::Place;
use crate::template::Template;
use serde_json::Value as Json;

impl Judge<'_> {
    pub(super) fn named(&mut self, written: Option<&Named<Json>>, place: &Place) -> Vec<(String, Template)> {
        written
            .into_iter()
            .flatten()
            .map(|(name, json)| (name.clone(), self.template(json, &place.key(name))))
            .collect()
    }

    pub fn set(&mut self, written: &Named<Json>, place: &Place) -> Work {
        let mut settings = Vec::new();
        for (name, json) in written {
            let at = place.key(name);
            if let Some(setting) = self.setting(json, &at) {
                settings.push((name.clone(), setting));
            }
            self.define(name, Kind::Capture, &at);
            match settings.last() {
                Some((last, setting)) if last == name => self.sample_setting(name, setting),
                _ => self.sample_unknown(name),
            }
        }
        Work::Set(settings)
    }

    pub fn confirm(&mut self, json: &Json, place: &Place) -> Work {
        let (message, phrase) = match json {
            Json::String(_) => (self.template(json, place), None),
            other => match part::<document::Confirm>(other, place) {
                Ok(written) => (
                    self.text(&written.message, &place.key("message")),
                    written.phrase.as_ref().map(|text| self.public("a phrase", text, &place.key("phrase"))),
                ),
                Err(found) => {
                    self.found.extend(found);
                    (Template::literal(Json::Null), None)
                }
            },
        };
        Work::Confirm { message, phrase }
    }

    pub fn manual(&mut self, json: &Json, place: &Place) -> Work {
        let written = match json {
            Json::String(text) => document::Manual { instructions: text.clone(), ask: None },
            other => match part::<document::Manual>(other, place) {
                Ok(written) => written,
                Err(found) => {
                    self.found.extend(found);
                    return Work::Assert;
                }
            },
        };
        let at = if json.is_string() { place.clone() } else { place.key("instructions") };
        let instructions = self.text(&written.instructions, &at);
        let mut ask = Vec::new();
        for (name, field) in written.ask.iter().flatten() {
            let at = place.key("ask").key(name);
            if field.kind == InputType::Secret && field.default.as_ref().is_some_and(|default| !default.is_null()) {
                self.tell(Diagnostic::error(
                    "secret-in-playbook",
                    "a secret has its value in the playbook",
                    &at.key("default"),
                ));
            }
            ask.push(Ask {
                name: name.clone(),
                kind: field.kind,
                prompt: field.prompt.clone(),
                pattern: field.pattern.as_ref().and_then(|text| self.regex(text, &at.key("pattern"))),
                one_of: field.one_of.clone(),
                default: field.default.clone(),
            });
        }
        Work::Manual { instructions, ask }
    }
}
