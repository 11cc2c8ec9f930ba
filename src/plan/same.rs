//! stub
use super::Plan;
use crate::diagnostic::Diagnostic;
pub fn differences(_: &Plan, _: &Plan, _: &[String]) -> Vec<Diagnostic> {
    Vec::new()
}
