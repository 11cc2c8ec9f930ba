//! Owns what can be told beforehand of where secrets go: templates and queries are tried with samples in their
//! variables' places, by the very rule that counts when they run.
//! Deliberately errs on the side of letting pass: what gives a secret with some samples only, or cannot be tried, is left
//! to the run, which judges what is really there.

use super::Judge;
use crate::plan::Setting;
use crate::playbook::document::InputType;
use crate::query::Query;
use crate::secret::{Origin, Target};
use crate::source::Place;
use crate::template::{Read, Template};
use crate::value::{Names, Value};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many samples a variable has of which nothing is known: a text, nothing, a number.
const BASES: usize = 3;
/// Items of one loop that are tried each by itself.
const MOST_ITEMS: usize = 16;
/// How long may be spent on it for one playbook and all that it uses: a query may never end.
const LONGEST: Duration = Duration::from_secs(2);

/// A secret that a template surely gives on, and the variable that brings it there.
pub struct Carried {
    pub origin: Arc<Origin>,
    pub read: Read,
}

/// Where a secret was born.
#[derive(Clone)]
pub struct Birth {
    pub place: Place,
    pub is_input: bool,
}

/// The variables as they might be, here.
#[derive(Default)]
pub struct Samples {
    worlds: Vec<World>,
    births: BTreeMap<String, Birth>,
    /// Names that hold a secret in some world.
    secret: BTreeSet<String>,
    /// For each loop that we are in, the worlds as they were before, where its items are tried one by one.
    outside: Vec<Option<Vec<World>>>,
}

#[derive(Clone, Default)]
struct World {
    /// Which sample unknown variables have in it.
    base: usize,
    /// Which of the loops' items.
    item: usize,
    names: BTreeMap<String, Value>,
}

impl Names for World {
    fn lookup(&self, name: &str) -> Option<Value> {
        match name {
            "run" => Some(Value::plain(
                json!({"id": "r", "started_at": "t", "actor": "a", "now": "t", "failure": "f", "failed_step": "s"}),
            )),
            _ => self.names.get(name).cloned(),
        }
    }
}

fn unknown(base: usize) -> Json {
    match base {
        0 => json!("sample"),
        1 => Json::Null,
        _ => json!(3),
    }
}

impl Judge<'_> {
    pub fn birth(&self, origin: &Origin) -> Option<&Birth> {
        self.samples.births.get(&origin.name)
    }

    /// A text that is a secret of this name.
    pub fn sample_secret(&mut self, name: &str, to: Option<Vec<Target>>, place: &Place, is_input: bool) {
        let value = self.born(name, to, place, is_input);
        self.put(name, |_| Some(value.clone()));
    }

    fn born(&mut self, name: &str, to: Option<Vec<Target>>, place: &Place, is_input: bool) -> Value {
        self.samples.births.insert(name.into(), Birth { place: place.clone(), is_input });
        let origin = Arc::new(Origin { name: name.into(), to });
        Value::secret(json!(format!("s3cr3t-{name}-Sample0")), origin)
    }

    pub fn sample_input(&mut self, name: &str, kind: InputType, one_of: Option<&[Json]>, is_optional: bool) {
        let one_of = one_of.map(<[Json]>::to_vec).filter(|list| !list.is_empty());
        self.put(name, |base| {
            let json = match (&one_of, kind, base) {
                (_, _, 1) if is_optional => Json::Null,
                (Some(list), ..) => list[base % list.len()].clone(),
                (_, InputType::Boolean, _) => json!(base != 1),
                (_, InputType::Integer | InputType::Number, _) => json!(base),
                (_, InputType::List, 1) => json!([]),
                (_, InputType::List, _) => json!(["sample"]),
                (_, InputType::Object, _) => json!({}),
                (_, InputType::Duration, _) => json!("5m"),
                (_, _, 1) => json!(""),
                _ => json!("sample"),
            };
            Some(Value::plain(json))
        });
    }

    pub fn sample_unknown(&mut self, name: &str) {
        self.put(name, |base| Some(Value::plain(unknown(base))));
    }

    pub fn sample_known(&mut self, name: &str, json: &Json) {
        self.put(name, |_| Some(Value::plain(json.clone())));
    }

    /// A variable that is made so.
    pub fn sample_setting(&mut self, name: &str, setting: &Setting) {
        match self.try_setting(setting) {
            None => self.sample_unknown(name),
            Some(values) => self.put_each(name, values),
        }
    }

    /// What a capture takes that is not marked as secret itself: `input` is what the query reads, where that is known.
    pub fn sample_capture(&mut self, name: &str, query: Option<&Query>, input: Option<&Value>) {
        let reads = |query: &&Query| {
            input.is_some() || query.reads().iter().any(|(name, _)| self.samples.secret.contains(name))
        };
        let Some(query) = query.filter(reads) else { return self.sample_unknown(name) };
        let null = Value::null();
        let values = self.within_time(|worlds| {
            let first = |world: &World| query.run(input.unwrap_or(&null), world).ok()?.into_iter().next();
            worlds.iter().map(first).collect::<Vec<_>>()
        });
        match values {
            // What nothing is known of may be anything.
            Some(values) if values.iter().flatten().any(Value::is_secret) => self.put_each(name, values),
            _ => self.sample_unknown(name),
        }
    }

    /// What a person answers to these fields, some of which are secrets.
    pub fn sample_answers(&mut self, fields: &[(String, bool, Place)]) -> Value {
        let mut answers = Vec::new();
        for (name, is_secret, place) in fields {
            let value = match is_secret {
                true => self.born(name, None, place, false),
                false => Value::plain(json!("sample")),
            };
            answers.push((name.clone(), value));
        }
        Value::object([("answers".to_string(), Value::object(answers))])
    }

    /// From here on a loop's variable stands for its items, each tried by itself where one of them is a secret.
    pub fn enter_loop(&mut self, name: &str, over: &Setting) {
        let lists = self.try_setting(over);
        let Some(lists) = lists.filter(|lists| lists.iter().flatten().any(Value::is_secret)) else {
            self.samples.outside.push(None);
            return self.sample_unknown(name);
        };
        let mut worlds = Vec::new();
        for (world, list) in self.samples.worlds.iter().zip(lists) {
            let items = list.map(|list| list.items()).unwrap_or_default();
            for (index, item) in items.into_iter().take(MOST_ITEMS).enumerate() {
                let mut names = world.names.clone();
                names.insert(name.into(), item);
                worlds.push(World { base: world.base, item: world.item * MOST_ITEMS + index, names });
            }
        }
        worlds.truncate(BASES * MOST_ITEMS);
        self.samples.outside.push(Some(std::mem::replace(&mut self.samples.worlds, worlds)));
        self.samples.secret.insert(name.into());
    }

    /// After a loop, each name that was born in it is the list of its values.
    pub fn leave_loop(&mut self, name: &str, born: &[String]) {
        self.samples.secret.remove(name);
        let Some(outside) = self.samples.outside.pop().flatten() else {
            self.samples.worlds.iter_mut().for_each(|world| {
                world.names.remove(name);
                for name in born {
                    if let Some(value) = world.names.remove(name) {
                        world.names.insert(name.clone(), Value::list([value]));
                    }
                }
            });
            return;
        };
        let inside = std::mem::replace(&mut self.samples.worlds, outside);
        for name in born {
            let list = |outer: &World| {
                let within = |world: &&World| world.base == outer.base && world.item / MOST_ITEMS == outer.item;
                let all: Option<Vec<Value>> =
                    inside.iter().filter(within).map(|world| world.names.get(name).cloned()).collect();
                all.filter(|list| !list.is_empty()).map(Value::list)
            };
            let values = self.samples.worlds.iter().map(list).collect();
            self.put_each(name, values);
        }
    }

    /// The secrets that a template gives on whatever the other variables are; where each stands.
    pub fn carried(&mut self, template: &Template) -> Vec<Carried> {
        let mut found = Vec::new();
        if self.samples.secret.is_empty() {
            return found;
        }
        for (pointer, text) in template.texts() {
            let mut reads = text.reads();
            reads.retain(|read| self.samples.secret.contains(&read.name));
            if reads.is_empty() {
                continue;
            }
            let tried =
                self.within_time(|worlds| worlds.iter().map(|world| text.render(world).ok()).collect::<Vec<_>>());
            for origin in self.sure(&tried.unwrap_or_default()) {
                let brings = |read: &&Read| self.brings(&read.name, &origin);
                if let Some(read) = reads.iter().find(brings).or(reads.first()) {
                    let read = Read { pointer: pointer.clone(), ..read.clone() };
                    found.push(Carried { origin, read });
                }
            }
        }
        found
    }

    /// The secrets that a query over all variables surely gives on.
    pub fn carried_by_query(&mut self, query: &Query) -> Vec<Arc<Origin>> {
        match self.try_query(query) {
            None => Vec::new(),
            Some(values) => self.sure(&values),
        }
    }

    fn brings(&self, name: &str, origin: &Arc<Origin>) -> bool {
        let holds = |world: &World| world.names.get(name).is_some_and(|value| value.taint().contains(origin));
        self.samples.worlds.iter().any(holds)
    }

    /// Those that are in the value in every world in which there is one. Of a loop's items one is enough, unless a
    /// condition may leave it out.
    fn sure(&self, tried: &[Option<Value>]) -> Vec<Arc<Origin>> {
        let mut all: BTreeMap<Arc<Origin>, BTreeMap<usize, bool>> = BTreeMap::new();
        for value in tried.iter().flatten() {
            for origin in value.taint().origins() {
                all.entry(origin.clone()).or_default();
            }
        }
        for (origin, items) in &mut all {
            for (world, value) in self.samples.worlds.iter().zip(tried) {
                let Some(value) = value else { continue };
                *items.entry(world.item).or_insert(true) &= value.taint().contains(origin);
            }
        }
        let each = !self.scope.conditions.is_empty();
        let surely = |items: &BTreeMap<usize, bool>| {
            let mut items = items.values();
            if each { items.all(|sure| *sure) } else { items.any(|sure| *sure) }
        };
        all.into_iter().filter(|(_, items)| surely(items)).map(|(origin, _)| origin).collect()
    }

    /// What a setting gives in each world; `None` where no secret can come of it.
    fn try_setting(&mut self, setting: &Setting) -> Option<Vec<Option<Value>>> {
        match setting {
            Setting::Query(query) => self.try_query(query),
            Setting::Template(template) => {
                if let Some(json) = template.as_literal() {
                    return Some(vec![Some(Value::plain(json.clone())); self.samples.worlds.len()]);
                }
                if !template.reads().iter().any(|read| self.samples.secret.contains(&read.name)) {
                    return None;
                }
                self.within_time(|worlds| worlds.iter().map(|world| template.render(world).ok()).collect())
            }
        }
    }

    fn try_query(&mut self, query: &Query) -> Option<Vec<Option<Value>>> {
        if self.samples.secret.is_empty() {
            return None;
        }
        self.within_time(|worlds| {
            let first = |world: &World| {
                let all = Value::object(world.names.clone());
                query.run(&all, world).ok()?.into_iter().next()
            };
            worlds.iter().map(first).collect()
        })
    }

    fn within_time<T>(&mut self, work: impl FnOnce(&[World]) -> T) -> Option<T> {
        if self.shelf.tried > LONGEST {
            return None;
        }
        let begun = Instant::now();
        let done = work(&self.samples.worlds);
        self.shelf.tried += begun.elapsed();
        Some(done)
    }

    fn put(&mut self, name: &str, value: impl Fn(usize) -> Option<Value>) {
        let values = self.samples.worlds.iter().map(|world| value(world.base)).collect();
        self.put_each(name, values);
    }

    fn put_each(&mut self, name: &str, values: Vec<Option<Value>>) {
        if values.iter().flatten().any(Value::is_secret) {
            self.samples.secret.insert(name.into());
        } else {
            self.samples.secret.remove(name);
        }
        for (world, value) in self.samples.worlds.iter_mut().zip(values) {
            // Where it cannot be made, nothing that reads it can either.
            world.names.remove(name);
            world.names.extend(value.map(|value| (name.to_string(), value)));
        }
    }
}

impl Samples {
    pub fn new() -> Samples {
        let worlds = (0..BASES).map(|base| World { base, ..World::default() }).collect();
        Samples { worlds, ..Samples::default() }
    }
}
