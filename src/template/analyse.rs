//! Owns what is found in a template: the names that it reads, the paths below them, step outputs, faults, and where
//! it is rewritten before it is run.
//! Deliberately does not find it (`walk`), and knows nothing of values.

use std::ops::Range;

/// A mention of a variable with all that follows it: `a.b[0].c`.
#[derive(Clone, Debug)]
pub struct Path {
    pub root: String,
    /// Bytes of the root name.
    pub root_span: Range<usize>,
    /// Bytes of the whole path.
    pub span: Range<usize>,
    pub segments: Vec<Segment>,
    /// Bound by a `for` or `set` of the template itself.
    pub bound: bool,
    /// Whether this mention has a way out where the *root* is undefined.
    pub guarded: bool,
}

/// A step below a value, with the byte where it ends.
#[derive(Clone, Debug)]
pub struct Segment {
    pub key: Key,
    pub end: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    Name(String),
    Index(usize),
    /// Only known when it is run.
    Computed,
}

/// How much of a value is wanted: a step's output may be large, and a template wants one field of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    All,
    /// Of an object, these keys; of anything else, all.
    Keys(Vec<(String, Need)>),
}

impl Need {
    fn add<'k>(&mut self, mut keys: impl Iterator<Item = &'k Key>) {
        let Need::Keys(known) = self else { return };
        let Some(Key::Name(name)) = keys.next() else {
            *self = Need::All;
            return;
        };
        let place = known.iter().position(|(key, _)| key == name).unwrap_or_else(|| {
            known.push((name.clone(), Need::Keys(Vec::new())));
            known.len() - 1
        });
        if let Some((_, need)) = known.get_mut(place) {
            need.add(keys);
        }
    }
}

/// A text to put in at a byte of the author's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    pub at: usize,
    pub text: &'static str,
}

/// What is wrong, beyond what Tera finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub span: Range<usize>,
    pub message: String,
    pub help: Option<String>,
}

#[derive(Debug, Default)]
pub struct Analysis {
    pub paths: Vec<Path>,
    pub edits: Vec<Edit>,
    pub faults: Vec<Fault>,
    /// Names with an `is defined` or `is undefined` somewhere in the text.
    pub tested: Vec<String>,
    /// Byte ranges that hold an expression inside `{{ }}`, and whether what it makes is counted.
    pub prints: Vec<(Range<usize>, bool)>,
}

impl Analysis {
    /// Free names in the order of their first mention, with that mention and whether every mention is guarded.
    pub fn reads(&self) -> Vec<(String, Range<usize>, bool)> {
        let mut reads: Vec<(String, Range<usize>, bool)> = Vec::new();
        for path in self.paths.iter().filter(|path| !path.bound) {
            let guarded = path.guarded || self.tested.contains(&path.root);
            match reads.iter_mut().find(|(name, ..)| *name == path.root) {
                Some((_, first, all)) => {
                    *all &= guarded;
                    if path.root_span.start < first.start {
                        *first = path.root_span.clone();
                    }
                }
                None => reads.push((path.root.clone(), path.root_span.clone(), guarded)),
            }
        }
        reads.sort_by_key(|(_, span, _)| span.start);
        reads
    }

    /// What is wanted of a free name.
    pub fn need(&self, name: &str) -> Need {
        let mut need = Need::Keys(Vec::new());
        for path in self.paths.iter().filter(|path| !path.bound && path.root == name) {
            need.add(path.segments.iter().map(|segment| &segment.key));
        }
        need
    }

    /// The steps whose outputs are read; `None` where that depends on a value.
    pub fn outputs(&self) -> Option<Vec<String>> {
        let mut ids: Vec<String> = Vec::new();
        for path in self.paths.iter().filter(|path| !path.bound && path.root == "steps") {
            match path.segments.first().map(|segment| &segment.key) {
                Some(Key::Name(id)) if !ids.contains(id) => ids.push(id.clone()),
                Some(Key::Name(_)) => {}
                _ => return None,
            }
        }
        Some(ids)
    }
}
