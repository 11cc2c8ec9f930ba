//! Owns the walk of a document against the JSON Schema of its type: every mistake of shape, each at its own place.
//! Deliberately knows only what schemars says of our types; what keys mean is `plan`'s affair.

mod words;

use super::foreign;
use crate::diagnostic::{Diagnostic, nearest};
use crate::source::{Part, Place};
use serde_json::{Map, Value as Json};
use words::{called, found, keys, quoted, subject, wrapped};

/// How many mistakes are told; a file with more of them is probably none of ours.
const MISTAKES: usize = 100;

/// Every mistake of shape in `json`, which stands at `place`.
pub fn walk(json: &Json, schema: &Json, place: &Place) -> Vec<Diagnostic> {
    let mut walk = Walk { definitions: &schema["$defs"], outer: Vec::new(), mistakes: Vec::new() };
    walk.value(json, schema, place);
    walk.mistakes.truncate(MISTAKES);
    walk.mistakes
}

struct Walk<'s> {
    definitions: &'s Json,
    /// What the maps around are called, and the keys they may have.
    outer: Vec<(String, &'s Json)>,
    mistakes: Vec<Diagnostic>,
}

impl<'s> Walk<'s> {
    /// Follows references; the last one's name goes with it.
    fn resolve(&self, mut schema: &'s Json) -> (&'s Json, &'s str) {
        let mut name = "";
        while let Some(next) = schema["$ref"].as_str().and_then(|pointer| pointer.strip_prefix("#/$defs/")) {
            (schema, name) = (&self.definitions[next], next);
        }
        (schema, name)
    }

    fn value(&mut self, json: &Json, schema: &'s Json, place: &Place) {
        if self.mistakes.len() >= MISTAKES {
            return;
        }
        let (schema, name) = self.resolve(schema);
        if let Some(branches) = branches(schema) {
            return self.choose(json, branches, schema, place);
        }
        if !self.takes(schema, json) {
            let told = self.wrong_type(json, schema, name, place);
            self.mistakes.push(told);
            return;
        }
        if let Some(words) = schema["enum"].as_array()
            && !words.contains(json)
        {
            self.mistakes.push(unknown_word(json, words, place));
        }
        match json {
            Json::Object(fields) => self.map(fields, schema, name, place),
            Json::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.value(item, &schema["items"], &place.index(index));
                }
            }
            Json::Number(number) => self.mistakes.extend(out_of_range(number.as_f64(), schema, place)),
            _ => {}
        }
    }

    /// Of several forms the one that the value's JSON type tells; of several such, the one with fewest mistakes.
    fn choose(&mut self, json: &Json, branches: &'s [Json], schema: &'s Json, place: &Place) {
        let fitting: Vec<&Json> = branches.iter().filter(|branch| self.takes(branch, json)).collect();
        if fitting.is_empty() {
            let told = self.wrong_type(json, schema, "", place);
            self.mistakes.push(told);
        }
        let tried = fitting.into_iter().map(|branch| {
            let mut inner = Walk { definitions: self.definitions, outer: self.outer.clone(), mistakes: Vec::new() };
            inner.value(json, branch, place);
            inner.mistakes
        });
        self.mistakes.extend(tried.min_by_key(Vec::len).unwrap_or_default());
    }

    /// Whether a schema takes values of this JSON type at all.
    fn takes(&self, schema: &'s Json, json: &Json) -> bool {
        let (schema, _) = self.resolve(schema);
        if let Some(branches) = branches(schema) {
            return branches.iter().any(|branch| self.takes(branch, json));
        }
        match (&schema["type"], &schema["enum"]) {
            (Json::Null, Json::Array(words)) => words.iter().any(|word| kind(word) == kind(json)),
            (Json::Null, _) => true,
            (kinds, _) => list(kinds).any(|wanted| match wanted {
                "number" => json.is_number(),
                "integer" => json.is_i64() || json.is_u64(),
                wanted => kind(json) == wanted,
            }),
        }
    }

    fn map(&mut self, fields: &Map<String, Json>, schema: &'s Json, name: &str, place: &Place) {
        let known = &schema["properties"];
        let called = called(name, place);
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str);
        let mut missing: Vec<&str> = required.filter(|key| !fields.contains_key(*key)).collect();
        let mut inside = std::mem::take(&mut self.mistakes);
        self.outer.push((called, known));
        for (key, value) in fields {
            if inside.len() + self.mistakes.len() >= MISTAKES {
                break;
            }
            let at = place.key(key);
            match (&known[key.as_str()], &schema["additionalProperties"]) {
                (Json::Null, Json::Bool(false)) => {
                    let (told, meant) = self.unknown_key(key, fields, name, &at);
                    self.mistakes.push(told);
                    missing.retain(|missing| Some(*missing) != meant); // One slip, one message.
                }
                (Json::Null, others) => self.value(value, others, &at),
                (known, _) => self.value(value, known, &at),
            }
        }
        let (called, _) = self.outer.pop().expect("pushed above");
        for key in missing {
            let told = Diagnostic::error("missing-key", format!("the key `{key}` is missing in {called}"), place)
                .at(Part::Key);
            inside.push(match known[key]["description"].as_str() {
                Some(what) => told.help(format!("`{key}`: {what}")),
                None => told,
            });
        }
        inside.append(&mut self.mistakes);
        self.mistakes = inside;
    }

    /// With the key that is meant, where that can be told.
    fn unknown_key(
        &self,
        key: &str,
        fields: &Map<String, Json>,
        definition: &str,
        at: &Place,
    ) -> (Diagnostic, Option<&'s str>) {
        let (called, properties) = self.outer.last().expect("the map the key stands in");
        let known: Vec<&'s str> = properties.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
        let told = Diagnostic::error("unknown-key", format!("unknown key `{key}` in {called}"), at).at(Part::Key);
        if let Some(advice) = foreign::advice(definition, key) {
            return (told.help(advice), None);
        }
        let near = foreign::meant(key, &known).or_else(|| nearest(&key.to_lowercase(), known.iter().copied()));
        if let Some(near) = near {
            let told = told.saying(format!("did you mean `{near}`?"));
            return match fields.contains_key(near) {
                true => (told.help(format!("{called} has `{near}` already")), None),
                false => (told, Some(near)),
            };
        }
        let told = told.saying("not a key here");
        if let Some((outer, _)) = self.outer.iter().rev().skip(1).find(|(_, keys)| !keys[key].is_null()) {
            return (told.help(format!("`{key}` is a key of {outer}: indent it less")), None);
        }
        let inner = known.iter().find(|inner| {
            let (schema, _) = self.resolve(&properties[**inner]);
            let forms = branches(schema).unwrap_or(std::slice::from_ref(schema));
            forms.iter().any(|form| !self.resolve(form).0["properties"][key].is_null())
        });
        let told = match inner {
            Some(inner) => told.help(format!("`{key}` is a key of `{inner}`: indent it below that")),
            None => told,
        };
        match known.is_empty() {
            true => (told, None),
            false => (told.note(wrapped(&format!("known keys: {}", known.join(", ")))), None),
        }
    }

    fn wrong_type(&self, json: &Json, schema: &'s Json, name: &str, place: &Place) -> Diagnostic {
        let what = subject(place);
        let wanted = self.wanted(schema, name);
        if json.is_null() {
            return Diagnostic::error("empty-value", format!("{what} has no value"), place)
                .at(Part::Key)
                .saying(format!("wanted: {wanted}"))
                .help("give it a value, or take the line away");
        }
        let told = Diagnostic::error("wrong-type", format!("{what} must be {wanted}, not {}", found(json)), place);
        let takes = |example: Json| self.takes(schema, &example);
        match json {
            Json::Number(_) if name == "Duration" => told.help(format!("write a unit: `{json}s`")),
            Json::Number(_) | Json::Bool(_) if takes("".into()) => {
                let span = place.span(&Part::Value); // As it was written: `1.10`, not 1.1.
                let written = place.source.text.get(span.start..span.end).filter(|text| !text.is_empty());
                told.help(format!("put it in quotes: `\"{}\"`", written.unwrap_or(&json.to_string())))
            }
            Json::String(text) if takes(Json::Array(Vec::new())) && !text.contains('\n') => {
                told.help("write a list: each item on a line of its own after a hyphen, or all in `[…]`")
            }
            Json::String(text) if takes(0.into()) && text.parse::<f64>().is_ok() => {
                told.help(format!("write it without quotes: `{text}`"))
            }
            Json::String(text) if takes(true.into()) && matches!(text.as_str(), "yes" | "on" | "True" | "Yes") => {
                told.help("write `true`")
            }
            Json::String(text) if takes(true.into()) && matches!(text.as_str(), "no" | "off" | "False" | "No") => {
                told.help("write `false`")
            }
            Json::Array(items) if items.len() == 1 && self.takes(schema, &items[0]) => {
                told.help("take the list away around it")
            }
            _ => match schema["properties"].as_object() {
                Some(known) => told.help(wrapped(&format!("its keys: {}", keys(known)))),
                None => told,
            },
        }
    }

    /// What a schema takes, in words.
    fn wanted(&self, schema: &'s Json, name: &str) -> String {
        if name == "Duration" {
            return "a duration such as `30s`".into();
        }
        if let Some(branches) = branches(schema) {
            let mut all: Vec<String> = Vec::new();
            for branch in branches {
                let (schema, name) = self.resolve(branch);
                let one = self.wanted(schema, name);
                if !all.contains(&one) {
                    all.push(one);
                }
            }
            return all.join(" or ");
        }
        if let Some(words) = schema["enum"].as_array() {
            return format!("one of {}", quoted(words));
        }
        let kinds = list(&schema["type"]).map(|kind| match kind {
            "string" => "text",
            "integer" => "a whole number",
            "number" => "a number",
            "boolean" => "`true` or `false`",
            "array" => "a list",
            "object" => "a map",
            _ => "something else",
        });
        kinds.collect::<Vec<_>>().join(" or ")
    }
}

/// The forms that a value may have; branches that only say which keys go together are none.
fn branches(schema: &Json) -> Option<&[Json]> {
    let branches = schema["anyOf"].as_array().or(schema["oneOf"].as_array())?;
    schema["properties"].is_null().then_some(branches.as_slice())
}

fn kind(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

/// A keyword's value or values.
fn list(value: &Json) -> impl Iterator<Item = &str> {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice).iter().filter_map(Json::as_str)
}

/// Each once: a word may stand in several forms, as `1.2` does as text and as number.
fn distinct(words: &[Json]) -> Vec<Json> {
    let mut seen: Vec<Json> = Vec::new();
    for word in words {
        let text = |json: &Json| json.as_str().map_or_else(|| json.to_string(), str::to_string);
        if !seen.iter().any(|known| text(known) == text(word)) {
            seen.push(word.clone());
        }
    }
    seen
}

fn unknown_word(json: &Json, words: &[Json], place: &Place) -> Diagnostic {
    let word = json.as_str().map_or_else(|| json.to_string(), str::to_string);
    let told = Diagnostic::error("unknown-word", format!("{} may not be `{word}`", subject(place)), place)
        .help(format!("it is one of {}", quoted(&distinct(words))));
    match nearest(&word.to_lowercase(), words.iter().filter_map(Json::as_str)) {
        Some(near) => told.saying(format!("did you mean `{near}`?")),
        None => told,
    }
}

fn out_of_range(number: Option<f64>, schema: &Json, place: &Place) -> Option<Diagnostic> {
    let (number, least, most) = (number?, schema["minimum"].as_f64(), schema["maximum"].as_f64());
    let wanted = match (least, most) {
        (Some(least), _) if number < least => format!("at least {least}"),
        (_, Some(most)) if number > most => format!("at most {most}"),
        _ => return None,
    };
    Some(Diagnostic::error("out-of-range", format!("{} must be {wanted}, not {number}", subject(place)), place))
}
