//! placeholder
use std::borrow::Cow;
#[derive(Clone, Debug, Default)]
pub struct Masker {}
impl Masker {
    pub fn learn(&self, _s: &str) {
        todo!()
    }
    pub fn mask<'a>(&self, _t: &'a str) -> Cow<'a, str> {
        todo!()
    }
}
