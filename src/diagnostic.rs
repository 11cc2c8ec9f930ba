//! Owns messages about what an author wrote: a stable code, places with labels, and the edit that mends it.
//! Deliberately knows nothing of what is judged; others make diagnostics, this draws them over the source.

mod draw;
mod suggest;

pub use draw::{draw, draw_within, one_line};
pub use suggest::nearest;

use crate::source::{Part, Place};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Error,
    Warning,
}

/// One mistake, or one thing to think about, with where it is.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// Stable, kebab-case: `unknown-key`, `undefined-variable` …
    pub code: &'static str,
    pub severity: Severity,
    /// Lower case, no full stop, names in backticks: what was found and what was wanted.
    pub message: String,
    /// The first is the primary one.
    pub labels: Vec<Label>,
    pub notes: Vec<String>,
    /// What to do next.
    pub help: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Label {
    pub place: Place,
    pub part: Part,
    pub text: String,
}

impl Diagnostic {
    pub fn error(code: &'static str, message: impl Into<String>, place: &Place) -> Diagnostic {
        Diagnostic {
            code,
            severity: Severity::Error,
            message: message.into(),
            labels: vec![Label { place: place.clone(), part: Part::Value, text: String::new() }],
            notes: Vec::new(),
            help: Vec::new(),
        }
    }

    pub fn warning(code: &'static str, message: impl Into<String>, place: &Place) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, message, place) }
    }

    /// Points the primary label at another part of its place.
    pub fn at(mut self, part: Part) -> Diagnostic {
        self.labels[0].part = part;
        self
    }

    /// The text beside the primary label.
    pub fn saying(mut self, text: impl Into<String>) -> Diagnostic {
        self.labels[0].text = text.into();
        self
    }

    pub fn label(mut self, place: &Place, part: Part, text: impl Into<String>) -> Diagnostic {
        self.labels.push(Label { place: place.clone(), part, text: text.into() });
        self
    }

    pub fn note(mut self, text: impl Into<String>) -> Diagnostic {
        self.notes.push(text.into());
        self
    }

    pub fn help(mut self, text: impl Into<String>) -> Diagnostic {
        self.help.push(text.into());
        self
    }
}
