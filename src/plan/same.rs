//! Owns telling whether what a run has finished stands in today's playbook as it did in the one it was begun with.
//! Deliberately knows nothing of how a run is recorded but the keys of its steps, and judges nothing that is to come.
//!
//! Compared is what was written, not what it means: a step counts as changed when any of its keys says something else.

mod finished;
mod written;

use super::{OnUnknown, Plan, Step, Work};
use crate::diagnostic::Diagnostic;
use crate::source::{Part, Place, Route};
use finished::Finished;
use std::collections::{HashMap, HashSet};
use written::Written;

/// Everything in `new` that differs from what the run was begun with (`old`) and has to be as it was, so that the run
/// can go on with `new`; none: it can.
///
/// `finished` are keys of what is recorded as done, such as `preflight/access[1]/ask#1`: iterations (`[1]`) and attempts
/// (`#1`) do not matter, nor do the segments that are no steps (`(round-2)`, `(vars)`).
///
/// It has to hold that
/// - each of these steps, and each step around it, is in the same list of the same step or file, in the same order, and
///   is written as it was. Of a step made of steps only its own keys count, and `on_failure` of none: what stands in
///   such a list is judged where it has finished itself. `defaults` and `permissions` may differ;
/// - in the playbook, and in each one that it uses and that something has finished of, every input, var and value that a
///   variant fixes (`set`) is as it was, and so is the lock. Further inputs and vars are no difference: they are made
///   when the run goes on.
///
/// New steps are no difference wherever they stand. One that stands *before* what has finished is simply run, after it:
/// the caller may want to say so. A step without `id` and `name` is known by its number in its list; it counts as another
/// one as soon as something is put before it.
///
/// Each difference is an error with the code `changed-since` at its place in `new`, in the order of `old`.
pub fn differences(old: &Plan, new: &Plan, finished: &[String]) -> Vec<Diagnostic> {
    let finished = Finished::new(finished);
    let mut look = Look { told: Vec::new(), written: Written::default(), seen: HashSet::new() };
    look.header(old, new);
    look.lists(&finished.root(), &file(old), &file(new), &Within { plan: new, step: None, around: new });
    for key in finished.unseen() {
        let message = format!("`{key}` has finished, and the playbook that the run was begun with has no such step");
        look.tell(Diagnostic::error("changed-since", message, &root(new)));
    }
    look.told
}

/// Which of a file's or step's lists a step stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum List {
    Steps,
    OnFailure,
    Finally,
    /// `group`, `parallel`.
    Inner,
    OfItsOwnFailure,
    OnUnknown,
}

type Lists<'p> = Vec<(List, &'p [Step])>;

fn file(plan: &Plan) -> Lists<'_> {
    vec![(List::Steps, &plan.steps), (List::OnFailure, &plan.on_failure), (List::Finally, &plan.finally)]
}

fn lists_of(step: &Step) -> Lists<'_> {
    let mut lists = match &step.work {
        Work::Use { plan, .. } => file(plan),
        Work::Group(steps) | Work::Parallel { steps, .. } => vec![(List::Inner, steps.as_slice())],
        _ => Vec::new(),
    };
    lists.push((List::OfItsOwnFailure, &step.on_failure));
    if let OnUnknown::Find(steps) = &step.on_unknown {
        lists.push((List::OnUnknown, steps));
    }
    lists
}

/// Where in the new playbook one looks.
struct Within<'p> {
    /// The file whose `steps`, `on_failure` and `finally` are looked at.
    plan: &'p Plan,
    /// The step whose own lists are looked at, and the file that it is in.
    step: Option<&'p Step>,
    around: &'p Plan,
}

impl Within<'_> {
    /// The file that a list is in.
    fn file(&self, list: List) -> &Plan {
        match list {
            List::Steps | List::OnFailure | List::Finally => self.plan,
            List::Inner | List::OfItsOwnFailure | List::OnUnknown => self.around,
        }
    }

    /// Where a list stands, for telling that something is missing in it.
    fn place(&self, list: List) -> Place {
        let (around, key) = match (list, self.step) {
            (List::Steps, _) => (root(self.plan), "steps"),
            (List::OnFailure, _) => (root(self.plan), "on_failure"),
            (List::Finally, _) => (root(self.plan), "finally"),
            (List::Inner, Some(step)) => (step.place.clone(), step.work.word()),
            (List::OfItsOwnFailure, Some(step)) => (step.place.clone(), "on_failure"),
            (List::OnUnknown, Some(step)) => (step.place.clone(), "on_unknown"),
            (_, None) => return root(self.plan),
        };
        let place = around.key(key);
        if place.source.says(&place.route) { place } else { around }
    }
}

fn root(plan: &Plan) -> Place {
    Place { source: plan.source.clone(), route: Route::root() }
}

struct Look {
    told: Vec<Diagnostic>,
    written: Written,
    /// What was compared already: a module that is used twice is compared once.
    seen: HashSet<(std::path::PathBuf, Route)>,
}

impl Look {
    fn tell(&mut self, told: Diagnostic) {
        self.told.push(
            told.help(
                "undo that change, or go on with the playbook that the run was begun with, which is kept with it",
            ),
        );
    }

    /// Whether this is the first time that this place of the new playbook is compared.
    fn first(&mut self, new: &Place) -> bool {
        self.seen.insert((new.source.path.clone(), new.route.clone()))
    }

    fn lists(&mut self, nodes: &[&finished::Node], old: &Lists, new: &Lists, within: &Within) {
        for (list, old_steps) in old {
            let new_steps = new.iter().find(|(other, _)| other == list).map_or(&[][..], |(_, steps)| *steps);
            self.list(nodes, *list, old_steps, new_steps, within);
        }
    }

    fn list(&mut self, nodes: &[&finished::Node], list: List, old: &[Step], new: &[Step], within: &Within) {
        let mut at: HashMap<&str, usize> = HashMap::new();
        for (index, step) in new.iter().enumerate() {
            at.entry(&step.id.0).or_insert(index);
        }
        let mut last: Option<&Step> = None;
        let mut reached = 0;
        for step in old {
            let nodes = finished::named(nodes, &step.id.0);
            let Some(key) = nodes.first().map(|node| node.path()) else { continue };
            let Some(index) = at.get(&*step.id.0).copied() else {
                nodes.iter().for_each(|node| node.pass_over());
                self.missing(key, step, list, within);
                continue;
            };
            match last.filter(|_| index < reached) {
                Some(before) => {
                    let message = format!("`{key}` has finished after `{}`, and stands before it now", before.id);
                    let told = Diagnostic::error("changed-since", message, &new[index].place);
                    self.tell(told.label(&new[reached].place, Part::Value, format!("`{}`", before.id)));
                }
                None => (last, reached) = (Some(step), index),
            }
            self.step(key, step, &new[index]);
            self.within(&nodes, step, &new[index], within.file(list));
        }
    }

    fn within(&mut self, nodes: &[&finished::Node], old: &Step, new: &Step, around: &Plan) {
        let plan = match (&old.work, &new.work) {
            (Work::Use { plan: old, .. }, Work::Use { plan: new, .. }) => {
                if self.first(&root(new)) {
                    self.header(old, new);
                }
                new
            }
            (old, new) if old.word() != new.word() => {
                // That it does something else was told; what is in it could only be told to be gone.
                nodes.iter().for_each(|node| node.pass_over());
                return;
            }
            _ => around,
        };
        self.lists(&finished::open(nodes), &lists_of(old), &lists_of(new), &Within { plan, step: Some(new), around });
    }

    /// A finished step that is no longer where it was.
    fn missing(&mut self, key: &str, old: &Step, list: List, within: &Within) {
        // The number of a step without a name says nothing of where it is now.
        let named = self.written.says(&old.place.key("id")) || self.written.says(&old.place.key("name"));
        if let Some(moved) = all_of(within.file(list)).find(|step| named && step.id == old.id) {
            let message = format!("`{key}` has finished, and stands elsewhere now");
            self.tell(
                Diagnostic::error("changed-since", message, &moved.place)
                    .label(&within.place(list), Part::Key, "here it stood")
                    .note(format!("it stood at {}", old.place.shown())),
            );
        } else {
            let message = format!("`{key}` has finished, and is not there any more");
            let mut told = Diagnostic::error("changed-since", message, &within.place(list)).at(Part::Key);
            if !named {
                told = told.note("it has neither `id` nor `name`, and was known by its number in the list");
            }
            self.tell(told.note(format!("it stood at {}", old.place.shown())));
        }
    }

    fn step(&mut self, key: &str, old: &Step, new: &Step) {
        if !self.first(&new.place) {
            return;
        }
        let changes = self.written.changes(&old.place, &new.place, written::own);
        self.changed(&format!("`{key}` has finished"), &new.place, changes);
    }

    fn header(&mut self, old: &Plan, new: &Plan) {
        let (was, is) = (root(old), root(new));
        for (kind, key) in [("input", "inputs"), ("var", "vars")] {
            for name in self.written.keys(&was.key(key)) {
                let (was, is) = (was.key(key).key(&name), is.key(key).key(&name));
                let what = format!("the {kind} `{name}` of `{}` has its value", new.name);
                if self.written.says(&is) {
                    let changes = self.written.changes(&was, &is, written::whole);
                    self.changed(&what, &is, changes);
                } else {
                    let around = self.written.nearest(&is);
                    let told =
                        Diagnostic::error("changed-since", format!("{what}, and is not there any more"), &around);
                    self.tell(told.at(Part::Key).note(format!("it stood at {}", was.shown())));
                }
            }
        }
        for input in &old.inputs {
            let Some(other) = new.inputs.iter().find(|other| other.name == input.name) else { continue };
            let what = format!("the input `{}` of `{}` has its value", input.name, new.name);
            match (&input.fixed_at, &other.fixed_at) {
                (None, None) => {}
                (Some(was), Some(is)) => {
                    let changes = self.written.changes(was, is, written::whole);
                    self.changed(&what, is, changes);
                }
                (Some(was), None) => {
                    let message = format!("{what}, which no variant fixes now");
                    let told = Diagnostic::error("changed-since", message, &other.place).at(Part::Key);
                    self.tell(told.note(format!("it was fixed at {}", was.shown())));
                }
                (None, Some(is)) => {
                    let message = format!("{what}, which a variant fixes only now");
                    self.tell(Diagnostic::error("changed-since", message, is).at(Part::Key));
                }
            }
        }
        let (was, is) = (was.key("lock"), is.key("lock"));
        if self.written.says(&was) || self.written.says(&is) {
            let changes = self.written.changes(&was, &is, written::whole);
            let at = self.written.nearest(&is);
            self.changed(&format!("the run holds the lock of `{}`", new.name), &at, changes);
        }
    }

    /// Tells what is written otherwise, at the first such place.
    fn changed(&mut self, what: &str, new: &Place, changes: Vec<written::Change>) {
        let Some(first) = changes.first() else { return };
        let place = self.written.nearest(&new.pointer(&first.pointer));
        let told = Diagnostic::error("changed-since", format!("{what}, and is written otherwise now"), &place);
        let lines: Vec<String> = changes.iter().take(10).map(written::Change::told).collect();
        let more = if changes.len() > 10 { format!("\nand {} more", changes.len() - 10) } else { String::new() };
        self.tell(told.note(lines.join("\n") + &more));
    }
}

/// Every step of a file, without those of the files it uses.
fn all_of(plan: &Plan) -> impl Iterator<Item = &Step> {
    let mut open: Vec<&Step> = file(plan).into_iter().flat_map(|(_, steps)| steps).collect();
    std::iter::from_fn(move || {
        let step = open.pop()?;
        let own = lists_of(step).into_iter();
        let own = own.filter(|(list, _)| matches!(list, List::Inner | List::OfItsOwnFailure | List::OnUnknown));
        open.extend(own.flat_map(|(_, steps)| steps));
        Some(step)
    })
}
