//! Owns queries: jq (on jaq) and JSONPath, compiled once per distinct text, run under budgets, taint followed.
//! Deliberately knows nothing of steps; variables come through `Names`.

mod budget;
mod jq;
mod jsonpath;
mod worker;

pub use jq::{Program, Query};
pub use jsonpath::JsonPath;
pub use worker::within;

use crate::value::Hush;
use std::ops::Range;

/// What is wrong with a query's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError {
    /// Bytes within the text.
    pub span: Range<usize>,
    pub message: String,
    pub help: Option<String>,
}

/// Why a query gave no results.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RunError(pub String);

impl Hush for RunError {
    fn hush(&mut self) {
        self.0.hush();
    }
}
