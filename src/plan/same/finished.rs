//! Owns the keys of what has finished, as a tree of steps, and which of them were come across.
//! Deliberately knows no plan.

use std::cell::Cell;
use std::collections::BTreeMap;

/// All that has finished.
pub struct Finished(Node);

/// A step that has finished, or within which one has.
#[derive(Default)]
pub struct Node {
    within: BTreeMap<String, Node>,
    /// Its steps from the outside in: `preflight/access`.
    path: String,
    /// Whether a key names it itself, rather than only something within it.
    named: bool,
    seen: Cell<bool>,
}

impl Finished {
    pub fn new(keys: &[String]) -> Finished {
        let mut root = Node::default();
        for key in keys {
            let mut node = &mut root;
            for segment in key.split('/') {
                let id = segment.split(['[', '#']).next().unwrap_or_default();
                let path = if node.path.is_empty() { id.to_string() } else { format!("{}/{id}", node.path) };
                node = node.within.entry(id.to_string()).or_default();
                node.path = path;
            }
            node.named = true;
        }
        Finished(root)
    }

    /// What the file's own steps are looked for in.
    pub fn root(&self) -> Vec<&Node> {
        open(&[&self.0])
    }

    /// Paths that were not come across, outermost first.
    pub fn unseen(&self) -> Vec<&str> {
        fn collect<'n>(node: &'n Node, found: &mut Vec<&'n str>) {
            for (id, inner) in &node.within {
                if inner.named && !inner.seen.get() && !is_aside(id) {
                    found.push(&inner.path);
                }
                collect(inner, found);
            }
        }
        let mut found = Vec::new();
        collect(&self.0, &mut found);
        found
    }
}

impl Node {
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Takes it, and all within it, for come across.
    pub fn pass_over(&self) {
        self.seen.set(true);
        self.within.values().for_each(Node::pass_over);
    }
}

/// A segment that is no step: `(vars)`, `(on_failure)`, `(round-2)`.
fn is_aside(segment: &str) -> bool {
    segment.starts_with('(')
}

/// These nodes, with what stands in them beside the steps: what is in `x/(round-2)` is in `x`.
pub fn open<'n>(nodes: &[&'n Node]) -> Vec<&'n Node> {
    let mut all = Vec::new();
    for node in nodes {
        all.push(*node);
        let asides: Vec<&Node> = node.within.iter().filter(|(id, _)| is_aside(id)).map(|(_, node)| node).collect();
        all.extend(open(&asides));
    }
    all
}

/// The nodes of the step `id` in these, which are come across herewith.
pub fn named<'n>(nodes: &[&'n Node], id: &str) -> Vec<&'n Node> {
    let found: Vec<&Node> = nodes.iter().filter_map(|node| node.within.get(id)).collect();
    found.iter().for_each(|node| node.seen.set(true));
    found
}
