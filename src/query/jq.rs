//! Owns jq. The only file that names `jaq`.

use super::{QueryError, RunError};
use crate::value::{Names, Value};
use serde_json::Value as Json;

/// A compiled jq text that reads variables of the run.
#[derive(Clone, Debug)]
pub struct Query {/* text, id in the worker, free variables */}

impl Query {
    /// Compiles; its free variables (`$name`, not bound by `as`, `reduce`, `foreach` or a parameter) are found here.
    pub fn parse(_text: &str) -> Result<Query, Vec<QueryError>> {
        todo!()
    }
    pub fn text(&self) -> &str {
        todo!()
    }
    /// Free variables with the bytes of their first mention.
    pub fn reads(&self) -> &[(String, std::ops::Range<usize>)] {
        todo!()
    }
    /// All results (at most 10,000), tainted; a free variable that `names` does not have is null.
    pub fn run(&self, _input: &Value, _names: &dyn Names) -> Result<Vec<Value>, RunError> {
        todo!()
    }
}

/// A jq program for worlds: plain JSON in, first result out, no taint, with definitions put before it.
#[derive(Clone, Debug)]
pub struct Program {}

impl Program {
    pub fn parse(_definitions: &str, _text: &str) -> Result<Program, Vec<QueryError>> {
        todo!()
    }
    pub fn run(&self, _input: Json) -> Result<Json, RunError> {
        todo!()
    }
}
