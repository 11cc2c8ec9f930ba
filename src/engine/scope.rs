//! Owns the variables of a run where we are: one flat namespace a file, loop iterations laid over it.
//! Deliberately judges nothing: what may be read where was proven by `check`.

use crate::action::Births;
use crate::secret::{Masker, Origin, Taint};
use crate::value::{Names, Value};
use serde_json::{Value as Json, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is the same for a whole run.
pub struct RunFacts {
    pub id: String,
    pub started_at: String,
    pub actor: String,
    /// Id and message of the first failure, for `on_failure` and `finally`.
    pub failure: RefCell<Option<(String, String)>>,
    /// Every secret text known so far in all its forms, by where it came from, to recognise it where a server or
    /// program says it back.
    secrets: RefCell<Vec<(Arc<Origin>, Masker)>>,
    births: Births,
    pub masker: Masker,
}

impl RunFacts {
    pub fn new(id: String, started_at: String, actor: String, masker: Masker, births: Births) -> RunFacts {
        RunFacts { id, started_at, actor, failure: RefCell::new(None), secrets: RefCell::default(), births, masker }
    }

    /// Learns what is secret in the value of a variable: for masking, and to recognise it when it comes back from outside.
    pub fn learn(&self, name: &str, value: &Value) {
        self.learn_by(value, &|part, masker| part.teach_as(name, masker));
    }

    /// Learns what is made of secrets and is about to leave: it may be said back.
    pub fn learn_sent<'v>(&self, values: impl IntoIterator<Item = &'v Value>) {
        for value in values {
            self.learn_by(value, &|part, masker| part.teach_derived(masker));
        }
    }

    fn learn_by(&self, value: &Value, teach: &dyn Fn(&Value, &Masker)) {
        if !value.is_secret() {
            return;
        }
        teach(value, &self.masker);
        let mut secrets = self.secrets.borrow_mut();
        for (pointer, taint) in value.marks() {
            let Some(part) = value.pointer(pointer) else { continue };
            for origin in taint.origins() {
                match secrets.iter().find(|(known, _)| known == origin) {
                    Some((_, forms)) => teach(&part, forms),
                    None => {
                        let forms = Masker::default();
                        teach(&part, &forms);
                        secrets.push((origin.clone(), forms));
                    }
                }
            }
        }
    }

    /// What came from outside, with each string that holds a known secret, in whatever form, marked as secret.
    pub fn recognise(&self, value: Value) -> Value {
        if !self.masker.knows_any() {
            return value;
        }
        marked(value, &|own, found| found.origins().all(|origin| own.contains(origin)), &|text| self.taint_in(text))
    }

    /// A variable that was there before its like turned out to be a secret. What was only made of a secret does not
    /// count here: the host of a secret URL does not make every mention of that host one. Nor does what is marked already:
    /// where two secrets are the same text, its taint says which of them it is.
    fn recognise_born(&self, value: Value) -> Value {
        marked(value, &|_, _| true, &|text| Some(self.births.taint_in(text)).filter(|taint| !taint.is_empty()))
    }

    /// The secrets whose text stands in `text`.
    fn taint_in(&self, text: &str) -> Option<Taint> {
        if !self.masker.contains_secret(text.as_bytes()) {
            return None;
        }
        let mut taint = Taint::default();
        for (origin, forms) in self.secrets.borrow().iter() {
            if forms.contains_secret(text.as_bytes()) {
                taint.add(&Taint::of(origin.clone()));
            }
        }
        (!taint.is_empty()).then_some(taint)
    }

    pub fn mask(&self, text: &str) -> String {
        self.masker.mask(text).into_owned()
    }
}

/// The value, with marks where `taint_in` finds something and no mark of its own is `enough`.
fn marked(value: Value, enough: &dyn Fn(&Taint, &Taint) -> bool, taint_in: &dyn Fn(&str) -> Option<Taint>) -> Value {
    let mut found = Vec::new();
    mark_known(value.expose(), &mut String::new(), &mut found, taint_in);
    let known = |at: &str, taint: &Taint| {
        let covers = |(mark, own): &&(String, Taint)| {
            at.strip_prefix(mark.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                && enough(own, taint)
        };
        value.marks().iter().any(|mark| covers(&mark))
    };
    found.retain(|(at, taint)| !known(at, taint));
    if found.is_empty() {
        return value;
    }
    let marks = value.marks().iter().cloned().chain(found).collect();
    Value::marked(value.expose().clone(), marks)
}

fn mark_known(
    json: &Json,
    at: &mut String,
    marks: &mut Vec<(String, Taint)>,
    taint_in: &dyn Fn(&str) -> Option<Taint>,
) {
    let length = at.len();
    match json {
        Json::String(text) => marks.extend(taint_in(text).map(|taint| (at.clone(), taint))),
        // A secret of digits may be said back as a number.
        Json::Number(number) => marks.extend(taint_in(&number.to_string()).map(|taint| (at.clone(), taint))),
        Json::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                at.push_str(&format!("/{index}"));
                mark_known(item, at, marks, taint_in);
                at.truncate(length);
            }
        }
        Json::Object(map) => {
            // A key has no place of its own: where one is secret the whole object is.
            let mut keys = Taint::default();
            for (key, value) in map {
                if let Some(taint) = taint_in(key) {
                    keys.add(&taint);
                }
                at.push('/');
                at.push_str(&crate::value::escape(key));
                mark_known(value, at, marks, taint_in);
                at.truncate(length);
            }
            if !keys.is_empty() {
                marks.push((at.clone(), keys));
            }
        }
        _ => {}
    }
}

/// Named values, each with how many lessons had been learned when it was last searched for secrets: what was public
/// when it came is none any more once its like has turned out to be a secret.
#[derive(Default)]
struct Shelf(RefCell<BTreeMap<String, (Value, usize)>>);

impl Shelf {
    fn put(&self, name: &str, value: Value, facts: &RunFacts) {
        // A value of ours is marked where it has to be; nobody knows what comes later.
        self.0.borrow_mut().insert(name.into(), (value, facts.births.lessons()));
    }

    fn get(&self, name: &str, facts: &RunFacts) -> Option<Value> {
        let mut all = self.0.borrow_mut();
        let (value, lessons) = all.get_mut(name)?;
        if *lessons != facts.births.lessons() {
            *value = facts.recognise_born(value.clone());
            *lessons = facts.births.lessons();
        }
        Some(value.clone())
    }

    fn names(&self) -> Vec<String> {
        self.0.borrow().keys().cloned().collect()
    }
}

/// The variables of one file's run, or of one iteration within it.
pub struct Scope<'a> {
    outer: Option<&'a Scope<'a>>,
    facts: &'a RunFacts,
    names: Shelf,
    outputs: Shelf,
    /// The moment that `run.now` says: when the step began.
    now: RefCell<String>,
}

impl<'a> Scope<'a> {
    pub fn file(facts: &'a RunFacts) -> Scope<'a> {
        let now = RefCell::new(facts.started_at.clone());
        Scope { outer: None, facts, names: Shelf::default(), outputs: Shelf::default(), now }
    }

    pub fn iteration(outer: &'a Scope<'a>) -> Scope<'a> {
        let now = RefCell::new(outer.now.borrow().clone());
        Scope { outer: Some(outer), facts: outer.facts, names: Shelf::default(), outputs: Shelf::default(), now }
    }

    pub fn define(&self, name: &str, value: Value) {
        self.facts.learn(name, &value);
        self.names.put(name, value, self.facts);
    }

    /// Whether a name was defined here itself.
    pub fn defines(&self, name: &str) -> bool {
        self.names.0.borrow().contains_key(name)
    }

    pub fn keep_output(&self, step: &str, output: Value) {
        self.outputs.put(step, output, self.facts);
    }

    pub fn step_begins(&self, now: String) {
        *self.now.borrow_mut() = now;
    }

    /// What was defined here itself, not outside.
    pub fn own(&self) -> BTreeMap<String, Value> {
        let value = |name: String| Some((name.clone(), self.names.get(&name, self.facts)?));
        self.names.names().into_iter().filter_map(value).collect()
    }

    /// All variables as one object, as queries of `assert` and `set` read them.
    pub fn all(&self) -> Value {
        let mut all = BTreeMap::new();
        let mut at = Some(self);
        while let Some(scope) = at {
            for name in scope.names.names() {
                if let (false, Some(value)) = (all.contains_key(&name), scope.names.get(&name, self.facts)) {
                    all.insert(name, value);
                }
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
            for step in scope.outputs.names() {
                if let (false, Some(output)) = (all.contains_key(&step), scope.outputs.get(&step, self.facts)) {
                    all.insert(step, Value::object([("output".to_string(), output)]));
                }
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
            if let Some(value) = scope.names.get(name, self.facts) {
                return Some(value);
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
