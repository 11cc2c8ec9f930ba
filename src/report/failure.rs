//! Owns a failure drawn over the playbook: what was expected, what was found, where, and what to do next.

use crate::diagnostic::{Diagnostic, Label, Severity};
use crate::event::{Failure, FailureKind, StepKey};
use crate::source::Part;

/// A failed step as a diagnostic, so that mistakes and failures look alike.
pub fn as_diagnostic(key: &StepKey, failure: &Failure) -> Diagnostic {
    let code = match failure.kind {
        FailureKind::Assertions => "assertion-failed",
        FailureKind::Transport => "transport-failed",
        FailureKind::Timeout => "timed-out",
        FailureKind::Refused => "refused",
        FailureKind::Evaluation => "evaluation-failed",
        FailureKind::Declined => "declined",
        FailureKind::NeedsPerson => "needs-person",
        FailureKind::Interrupted => "interrupted",
        FailureKind::Action => "action-failed",
        FailureKind::Inner => "step-failed",
    };
    let subject = if key.as_str().is_empty() { String::new() } else { format!("step `{key}`: ") };
    let mut labels = Vec::new();
    for assertion in &failure.assertions {
        let text = format!("expected {}, got {}", assertion.expected, assertion.actual);
        labels.push(Label { place: assertion.place.clone(), part: Part::Value, text: super::neutral(&text) });
    }
    if labels.is_empty()
        && let Some(place) = &failure.place
    {
        labels.push(Label { place: place.clone(), part: Part::Value, text: String::new() });
    }
    Diagnostic {
        code,
        severity: Severity::Error,
        message: super::neutral(&format!("{subject}{}", failure.message)),
        labels,
        notes: failure.excerpt.iter().map(|text| super::neutral(text)).collect(),
        help: failure.help.clone(),
    }
}
