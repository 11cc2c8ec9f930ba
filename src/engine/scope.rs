//! Owns the variables of a run where we are: one flat namespace a file, loop iterations laid over it.
//! Deliberately judges nothing: what may be read where was proven by `check`.

use crate::secret::{Masker, Origin, Taint};
use crate::value::{Names, Value};
use serde_json::{Value as Json, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use zeroize::Zeroizing;

/// What is the same for a whole run.
pub struct RunFacts {
    pub id: String,
    pub started_at: String,
    pub actor: String,
    /// Id and message of the first failure, for `on_failure` and `finally`.
    pub failure: RefCell<Option<(String, String)>>,
    /// Every secret text known so far, to recognise it where a server or program says it back.
    secrets: RefCell<Vec<(Zeroizing<String>, Arc<Origin>)>>,
    pub masker: Masker,
}

impl RunFacts {
    pub fn new(id: String, started_at: String, actor: String, masker: Masker) -> RunFacts {
        RunFacts { id, started_at, actor, failure: RefCell::new(None), secrets: RefCell::default(), masker }
    }

    /// Learns what is secret in a value: for masking, and to recognise it when it comes back from outside.
    pub fn learn(&self, value: &Value) {
        if !value.is_secret() {
            return;
        }
        value.teach(&self.masker);
        for (pointer, taint) in value.marks() {
            let Some(Json::String(text)) = value.expose().pointer(pointer) else { continue };
            if text.chars().count() < crate::secret::SHORTEST_SECRET {
                continue;
            }
            let mut secrets = self.secrets.borrow_mut();
            for origin in taint.origins() {
                if !secrets.iter().any(|(known, from)| from == origin && text.contains(known.as_str())) {
                    secrets.push((Zeroizing::new(text.clone()), origin.clone()));
                }
            }
        }
    }

    /// What came from outside, with each string that holds a known secret marked as secret.
    pub fn recognise(&self, output: Value) -> Value {
        let secrets = self.secrets.borrow();
        if secrets.is_empty() {
            return output;
        }
        let mut marks = output.marks().to_vec();
        mark_known(output.expose(), &mut String::new(), &secrets, &mut marks);
        if marks.len() == output.marks().len() { output } else { Value::marked(output.expose().clone(), marks) }
    }

    pub fn mask(&self, text: &str) -> String {
        self.masker.mask(text).into_owned()
    }
}

fn mark_known(
    json: &Json,
    at: &mut String,
    secrets: &[(Zeroizing<String>, Arc<Origin>)],
    marks: &mut Vec<(String, Taint)>,
) {
    let length = at.len();
    match json {
        Json::String(text) => {
            let mut taint = Taint::default();
            for (secret, origin) in secrets.iter().filter(|(secret, _)| text.contains(secret.as_str())) {
                let _ = secret;
                taint.add(&Taint::of(origin.clone()));
            }
            if !taint.is_empty() {
                marks.push((at.clone(), taint));
            }
        }
        Json::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                at.push_str(&format!("/{index}"));
                mark_known(item, at, secrets, marks);
                at.truncate(length);
            }
        }
        Json::Object(map) => {
            for (key, value) in map {
                at.push('/');
                at.push_str(&crate::value::escape(key));
                mark_known(value, at, secrets, marks);
                at.truncate(length);
            }
        }
        _ => {}
    }
}

/// The variables of one file's run, or of one iteration within it.
pub struct Scope<'a> {
    outer: Option<&'a Scope<'a>>,
    facts: &'a RunFacts,
    names: RefCell<BTreeMap<String, Value>>,
    outputs: RefCell<BTreeMap<String, Value>>,
    /// The moment that `run.now` says: when the step began.
    now: RefCell<String>,
}

impl<'a> Scope<'a> {
    pub fn file(facts: &'a RunFacts) -> Scope<'a> {
        let now = RefCell::new(facts.started_at.clone());
        Scope { outer: None, facts, names: RefCell::default(), outputs: RefCell::default(), now }
    }

    pub fn iteration(outer: &'a Scope<'a>) -> Scope<'a> {
        let now = RefCell::new(outer.now.borrow().clone());
        Scope { outer: Some(outer), facts: outer.facts, names: RefCell::default(), outputs: RefCell::default(), now }
    }

    pub fn define(&self, name: &str, value: Value) {
        self.facts.learn(&value);
        self.names.borrow_mut().insert(name.into(), value);
    }

    pub fn keep_output(&self, step: &str, output: Value) {
        self.outputs.borrow_mut().insert(step.into(), output);
    }

    pub fn step_begins(&self, now: String) {
        *self.now.borrow_mut() = now;
    }

    /// What was defined here itself, not outside.
    pub fn own(&self) -> BTreeMap<String, Value> {
        self.names.borrow().clone()
    }

    /// All variables as one object, as queries of `assert` and `set` read them.
    pub fn all(&self) -> Value {
        let mut all = BTreeMap::new();
        let mut at = Some(self);
        while let Some(scope) = at {
            for (name, value) in scope.names.borrow().iter() {
                all.entry(name.clone()).or_insert_with(|| value.clone());
            }
            at = scope.outer;
        }
        Value::object(all)
    }

    fn run(&self) -> Json {
        let failure = self.facts.failure.borrow();
        json!({
            "id": self.facts.id,
            "started_at": self.facts.started_at,
            "actor": self.facts.actor,
            "now": *self.now.borrow(),
            "failed_step": failure.as_ref().map(|(step, _)| step),
            "failure": failure.as_ref().map(|(_, message)| message),
        })
    }

    fn steps(&self) -> Value {
        let mut all = BTreeMap::new();
        let mut at = Some(self);
        while let Some(scope) = at {
            for (step, output) in scope.outputs.borrow().iter() {
                all.entry(step.clone()).or_insert_with(|| Value::object([("output".to_string(), output.clone())]));
            }
            at = scope.outer;
        }
        Value::object(all)
    }
}

impl Names for Scope<'_> {
    fn lookup(&self, name: &str) -> Option<Value> {
        match name {
            "run" => return Some(Value::plain(self.run())),
            "steps" => return Some(self.steps()),
            _ => {}
        }
        let mut at = Some(self);
        while let Some(scope) = at {
            if let Some(value) = scope.names.borrow().get(name) {
                return Some(value.clone());
            }
            at = scope.outer;
        }
        None
    }
}

/// Names with a few more that only one action or query has.
pub struct With<'a> {
    pub names: &'a dyn Names,
    pub own: Vec<(&'static str, Value)>,
}

impl Names for With<'_> {
    fn lookup(&self, name: &str) -> Option<Value> {
        match self.own.iter().find(|(own, _)| *own == name) {
            Some((_, value)) => Some(value.clone()),
            None => self.names.lookup(name),
        }
    }
}
