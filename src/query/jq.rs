//! Owns jq: queries that read the run's variables, and the programs of worlds. The only folder that names `jaq`.
//! Deliberately knows nothing of steps; variables come through `Names`.
//!
//! The whole language but recursive `def`, modules, and what reaches outside (`env`, `input`, `halt` …); `debug` and
//! `stderr` give their input on. Whatever an author writes is judged on a worker (`worker`), and run there unless it is
//! plain: it may not end.

mod compile;
mod convert;
mod natives;
mod plain;
#[cfg(test)]
mod tests;
mod val;
mod walk;

use super::worker::{Overrun, within};
use super::{QueryError, RunError};
use crate::value::{Names, Value, derive};
use compile::Filter;
use convert::Outlet;
use jaq_core::{Ctx, Vars};
use serde_json::Value as Json;
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use val::V;

const QUERY_DEADLINE: Duration = Duration::from_secs(2);
const PROGRAM_DEADLINE: Duration = Duration::from_secs(10);
/// More results are an error.
const MOST_RESULTS: usize = 10_000;
/// Texts kept compiled; beyond it the cache starts anew.
const CACHED: usize = 4096;

/// A compiled jq text that reads variables of the run.
#[derive(Clone)]
pub struct Query(Arc<Compiled>);

struct Compiled {
    text: String,
    filter: Arc<Filter>,
    plain: bool,
    reads: Vec<(String, Range<usize>)>,
}

static QUERIES: LazyLock<Mutex<HashMap<String, Query>>> = LazyLock::new(Mutex::default);

impl Query {
    /// Compiles; its free variables (`$name`, not bound by `as`, `reduce`, `foreach` or a parameter) are found here.
    pub fn parse(text: &str) -> Result<Query, Vec<QueryError>> {
        let queries = || QUERIES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = queries().get(text) {
            return Ok(known.clone());
        }
        let own = text.to_string();
        let made =
            within(QUERY_DEADLINE, move || compile::query(&own)).map_err(|overrun| unparsed(text, overrun))??;
        let filter = Arc::new(made.filter);
        let query = Query(Arc::new(Compiled { text: text.into(), filter, plain: made.plain, reads: made.reads }));
        let mut queries = queries();
        if queries.len() >= CACHED {
            queries.clear();
        }
        queries.insert(text.into(), query.clone());
        Ok(query)
    }

    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// Free variables with the bytes of their first mention.
    pub fn reads(&self) -> &[(String, Range<usize>)] {
        &self.0.reads
    }

    /// All results (at most 10,000), tainted; a free variable that `names` does not have is null.
    pub fn run(&self, input: &Value, names: &dyn Names) -> Result<Vec<Value>, RunError> {
        let variables = self.0.reads.iter().map(|(name, _)| names.lookup(name).unwrap_or_else(Value::null));
        let inputs: Vec<Value> = std::iter::once(input.clone()).chain(variables).collect();
        let now = SystemTime::now();
        if !inputs.iter().any(Value::is_secret) {
            return Ok(self.evaluate(&inputs, now)?.into_iter().map(Value::plain).collect());
        }
        let all = derive(&inputs, |inputs| self.evaluate(inputs, now).map(Json::Array))?;
        Ok(all.results())
    }

    fn evaluate(&self, inputs: &[Value], now: SystemTime) -> Result<Vec<Json>, RunError> {
        let job = move |filter: &Filter, inputs: &[Value]| {
            convert::forget_dead();
            natives::hold_clock(Some(now));
            let mut values = inputs.iter().map(convert::into_val).map(V);
            let input = values.next().unwrap_or_default();
            results(filter, input, values.collect(), MOST_RESULTS)
        };
        let filter = &self.0.filter;
        let done = if self.0.plain {
            catch_unwind(AssertUnwindSafe(|| job(filter, inputs))).map_err(|_| Overrun::Fault)
        } else {
            let (filter, inputs) = (filter.clone(), inputs.to_vec());
            within(QUERY_DEADLINE, move || {
                let results = job(&filter, &inputs);
                drop(inputs);
                convert::forget_dead();
                results
            })
        };
        done.map_err(|overrun| overran(overrun, QUERY_DEADLINE))?.map_err(RunError)
    }
}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text())
    }
}

/// A jq program for worlds: plain JSON in, first result out, no taint, with definitions put before it.
#[derive(Clone)]
pub struct Program {
    text: Arc<str>,
    filter: Arc<Filter>,
}

impl Program {
    /// Has one more filter, `sealed_open($private_key_base64)`: a libsodium sealed box in base64 to its text, or null.
    pub fn parse(definitions: &str, text: &str) -> Result<Program, Vec<QueryError>> {
        let own = (definitions.to_string(), text.to_string());
        let made = within(PROGRAM_DEADLINE, move || compile::program(&own.0, &own.1));
        let filter = made.map_err(|overrun| unparsed(text, overrun))??;
        Ok(Program { text: text.into(), filter: Arc::new(filter) })
    }

    pub fn run(&self, input: Json) -> Result<Json, RunError> {
        let filter = self.filter.clone();
        let job = move || {
            natives::hold_clock(None);
            results(&filter, V(convert::from_json(&input)), Vec::new(), 1)
        };
        let results =
            within(PROGRAM_DEADLINE, job).map_err(|overrun| overran(overrun, PROGRAM_DEADLINE))?.map_err(RunError)?;
        results.into_iter().next().ok_or_else(|| RunError("it gives no result".into()))
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

/// On a worker: the results, of which a query has all and a program the first.
fn results(filter: &Filter, input: V, variables: Vec<V>, most: usize) -> Result<Vec<Json>, String> {
    let context = Ctx::<compile::Data>::new(&filter.lut, Vars::new(variables));
    let mut outlet = Outlet::new();
    let mut all = Vec::new();
    for result in filter.id.run((context, input)) {
        let value = result.map_err(|exception| match exception.get_err() {
            Ok(error) => convert::abbreviate(&error_text(error)),
            Err(_) => "the query ended early".into(),
        })?;
        if all.len() == MOST_RESULTS {
            return Err(format!("it gives more than {MOST_RESULTS} results: put them into a list, `[…]`"));
        }
        all.push(outlet.take(&value.0)?);
        if all.len() == most && most == 1 {
            break;
        }
    }
    Ok(all)
}

/// jq's own words, or what `error(…)` was given: a text as it is.
fn error_text(error: jaq_core::Error<V>) -> String {
    match error.into_val().0 {
        jaq_json::Val::TStr(text) => String::from_utf8_lossy(&text).into_owned(),
        other => other.to_string(),
    }
}

fn overran(overrun: Overrun, deadline: Duration) -> RunError {
    RunError(match overrun {
        Overrun::Time => format!("it did not end within {} s", deadline.as_secs()),
        Overrun::Memory => "it ran over its memory budget of 256 MiB".into(),
        Overrun::Fault => "jq broke down over it (a fault in the program)".into(),
        Overrun::NoWorker => "too many queries before it ran over their budgets".into(),
    })
}

fn unparsed(text: &str, overrun: Overrun) -> Vec<QueryError> {
    let RunError(message) = overran(overrun, PROGRAM_DEADLINE);
    vec![QueryError { span: 0..text.len(), message: format!("the query cannot be read: {message}"), help: None }]
}
