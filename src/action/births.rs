//! Owns the secrets that a run was given or handed, to find them in what is about to be sent, however it came there.
//! Deliberately does not know what was made of them: that a value came from a secret is told by its taint.
//!
//! A net below the taint. What was a public text before its like turned out to be a secret, what a program gave back in
//! another spelling, a cookie: none of them has a taint, and all of them have the secret in them.

use crate::secret::{Masker, Origin, Taint};
use crate::value::{Value, text_of};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Each secret in all its forms, by where it came from. A clone knows the same.
#[derive(Clone, Default)]
pub struct Births(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    all: Vec<(Arc<Origin>, Masker)>,
    lessons: usize,
}

impl Births {
    /// Remembers what is secret in a value that was given, captured or answered.
    pub fn learn(&self, value: &Value) {
        let mut known = self.lock();
        let Known { all, lessons } = &mut *known;
        for (pointer, taint) in value.marks() {
            let Some(part) = value.pointer(pointer) else { continue };
            for origin in taint.origins() {
                *lessons += 1;
                let known = all.iter().position(|(known, _)| known == origin).unwrap_or_else(|| {
                    all.push((origin.clone(), Masker::default()));
                    all.len() - 1
                });
                part.teach_as(&origin.name, &all[known].1);
            }
        }
    }

    /// Those that stand in a text, in whatever form.
    pub fn taint_in(&self, text: &str) -> Taint {
        let mut taint = Taint::default();
        for (origin, forms) in &self.lock().all {
            if forms.contains_secret(text.as_bytes()) {
                taint.add(&Taint::of(origin.clone()));
            }
        }
        taint
    }

    /// Whether a value may not stand where everybody sees it: by its taint, or by what stands in it.
    pub fn makes_secret(&self, value: &Value) -> bool {
        value.is_secret() || !self.taint_in(&text_of(&value.shown())).is_empty()
    }

    /// Grows whenever something was learned: what was searched before has to be searched again.
    pub fn lessons(&self) -> usize {
        self.lock().lessons
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a value came from, and what stands in it where nobody knows where it came from. Two secrets may be the same
    /// text and go to different places: which of them it is, the taint knows better.
    pub fn taint_of(&self, value: &Value) -> Taint {
        let mut taint = self.taint_in(&text_of(&value.shown()));
        taint.add(&value.taint());
        taint
    }
}
