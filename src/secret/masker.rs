//! placeholder until the real one arrives
use std::borrow::Cow;
use std::sync::{Arc, RwLock};
#[derive(Clone, Debug, Default)]
pub struct Masker(Arc<RwLock<Vec<String>>>);
impl Masker {
    pub fn learn(&self, s: &str) {
        if s.len() >= 6 {
            self.0.write().unwrap().push(s.into());
        }
    }
    pub fn mask<'a>(&self, t: &'a str) -> Cow<'a, str> {
        let mut out = Cow::Borrowed(t);
        for s in self.0.read().unwrap().iter() {
            if out.contains(s.as_str()) {
                out = Cow::Owned(out.replace(s.as_str(), "***"));
            }
        }
        out
    }
    pub fn writer<W: std::io::Write>(&self, w: W) -> super::MaskWriter<W> {
        super::MaskWriter(w, self.clone())
    }
}
