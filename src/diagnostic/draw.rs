//! placeholder
use super::Diagnostic;
pub fn draw(_d: &[Diagnostic], _colour: bool) -> String {
    todo!()
}
