//! Every point of a rotation: at each write to its journal the process kills itself, with half of the write on disk or
//! all of it, and the run is resumed until it has passed.

use crate::promises::{changes, violations};
use crate::rehearsal::{ACCESS, DEPLOY, READ};
use crate::search::Evidence;
use crate::story::{Death, Ended, Move, Plot, Story, as_it_is};
use serde_json::{Value as Json, json};
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Half of the machine's stories at a time: each is a world and a process.
const WORKERS: usize = 2;
/// No rotation has more writes.
const MOST_WRITES: usize = 1000;
/// Nor does one end later than after so many processes.
const MOST_INCHES: usize = 200;
pub const PARTS: [&str; 2] = ["half", "after"];

const DEPLOY_AS_IT_IS: Plot =
    Plot { name: "cf-pages-deploy", token: &DEPLOY, settings: &[], stage: as_it_is, mend: None };
const ACCESS_AS_IT_IS: Plot =
    Plot { name: "cf-access-mgmt", token: &ACCESS, settings: &[], stage: as_it_is, mend: None };
const READ_AS_IT_IS: Plot = Plot { name: "cf-pages-read", token: &READ, settings: &[], stage: as_it_is, mend: None };
const BY_DASHBOARD: Plot = Plot {
    name: "cf-access-mgmt, by dashboard",
    token: &ACCESS,
    settings: &["mode=dashboard"],
    stage: as_it_is,
    mend: None,
};
const BY_PROGRAM: Plot = Plot {
    name: "cf-pages-deploy, Infisical by its program",
    token: &DEPLOY,
    settings: &["infisical_via=cli"],
    stage: as_it_is,
    mend: None,
};
/// Heroku refuses after the roll: the run fails with the only copy of the value, and passes once that is mended.
const REFUSED: Plot = Plot {
    name: "cf-access-mgmt, refused by Heroku, then mended",
    token: &ACCESS,
    settings: &[],
    stage: |state| state["heroku"]["apps"]["raxx-console-prod"]["access"] = json!("read"),
    mend: Some(|state| state["heroku"]["apps"]["raxx-console-prod"]["access"] = json!("write")),
};
const REFUSED_DEPLOY: Plot = Plot {
    name: "cf-pages-deploy, refused by Heroku, then mended",
    token: &DEPLOY,
    settings: &[],
    stage: |state| state["heroku"]["apps"]["raxx-api-prod"]["access"] = json!("read"),
    mend: Some(|state| state["heroku"]["apps"]["raxx-api-prod"]["access"] = json!("write")),
};
pub const PLOTS: [&Plot; 7] =
    [&DEPLOY_AS_IT_IS, &ACCESS_AS_IT_IS, &READ_AS_IT_IS, &BY_DASHBOARD, &BY_PROGRAM, &REFUSED, &REFUSED_DEPLOY];

/// What became of many stories.
#[derive(Default)]
pub struct Table {
    pub stories: usize,
    pub kills: usize,
    pub resumes: usize,
    pub questions: usize,
    /// Rolls beyond the first of a story.
    pub rerolls: usize,
    pub violations: Vec<String>,
}

impl Table {
    pub fn add(&mut self, story: &mut Story, at: &str) {
        let mut broken = match story.finish() {
            Ok(()) => violations(story),
            Err(stuck) => vec![format!("{stuck}\n{}", story.told())],
        };
        broken.iter_mut().for_each(|text| *text = format!("{} at {at}: {text}", story.plot.name));
        self.stories += 1;
        self.kills += story.kills();
        self.resumes += story.played.len() - 1;
        self.questions += story.questions.len();
        self.rerolls += rolls(story).saturating_sub(1);
        self.violations.extend(broken);
    }

    /// Past the capture of the tests: whoever runs them is to see it.
    pub fn print(&self, what: &str) {
        let Table { stories, kills, resumes, questions, rerolls, violations } = self;
        let _ = writeln!(
            std::io::stderr(),
            "{what}: {stories} stories, {kills} kills, {resumes} resumes, {questions} questions, {rerolls} rerolls, \
             {} violations",
            violations.len()
        );
    }

    #[track_caller]
    pub fn holds(self, what: &str, findings: Vec<String>) {
        self.print(what);
        let all: Vec<String> = self.violations.into_iter().chain(findings).collect();
        assert!(all.is_empty(), "{} broken promises:\n{}", all.len(), all[..all.len().min(10)].join("\n\n"));
    }
}

fn rolls(story: &Story) -> usize {
    story.played.last().map_or(0, |played| played.state["cloudflare"]["rolls"].as_array().unwrap().len())
}

/// Every point of `plot` from write `first` on.
#[track_caller]
fn every_point(plot: &Plot, first: usize) {
    let (table, evidence) = (Mutex::new(Table::default()), Evidence::new());
    let (next, past) = (AtomicUsize::new(first * PARTS.len()), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while !past.load(Ordering::SeqCst) {
                    let point = next.fetch_add(1, Ordering::SeqCst);
                    let fault = format!("{}:{}", point / PARTS.len(), PARTS[point % PARTS.len()]);
                    let mut story = Story::new(plot, &evidence);
                    if story.play(&[], Death::At(&fault)) != Ended::Killed {
                        past.store(true, Ordering::SeqCst);
                    }
                    // Judged too where the fault was never reached: then it is a rotation like any other.
                    let mut own = Table::default();
                    own.add(&mut story, &fault);
                    table.lock().unwrap().merge(own);
                    assert!(point < MOST_WRITES * PARTS.len(), "a rotation without an end");
                }
            });
        }
    });
    let table = table.into_inner().unwrap();
    assert!(table.kills > 0, "{}: no fault was reached", plot.name);
    // In one place the answer of the roll is on its way to the disk.
    assert!(table.rerolls <= 1, "{}: rolled again after {} different points", plot.name, table.rerolls);
    table.holds(&format!("{}: every point from {first} on", plot.name), evidence.findings());
}

impl Table {
    pub fn merge(&mut self, other: Table) {
        self.stories += other.stories;
        self.kills += other.kills;
        self.resumes += other.resumes;
        self.questions += other.questions;
        self.rerolls += other.rerolls;
        self.violations.extend(other.violations);
    }
}

/// Number of the last write of the run's first process.
fn last_write(plot: &Plot) -> usize {
    let evidence = Evidence::new();
    let reaches =
        |write: usize| Story::new(plot, &evidence).play(&[], Death::At(&format!("{write}:before"))) == Ended::Killed;
    let (mut reached, mut beyond) = (0, MOST_WRITES);
    while beyond - reached > 1 {
        let middle = (reached + beyond) / 2;
        if reaches(middle) { reached = middle } else { beyond = middle }
    }
    reached
}

/// A run of which every process dies at its write number `write`: it gets on by inches. The fourth is the first that lets
/// it: that it is resumed, what a look says about a step in doubt, the next intent, what came of it.
#[track_caller]
fn by_inches(plot: &Plot, write: usize, part: &str) {
    let evidence = Evidence::new();
    let mut story = Story::new(plot, &evidence);
    let fault = format!("{write}:{part}");
    let mut more = Vec::new();
    let mut records = 0;
    for _ in 0..MOST_INCHES {
        let ended = story.play(&more, Death::At(&fault));
        match story.next_move() {
            Ok(Move::Over) => break,
            Ok(Move::On(arguments)) => more = arguments,
            Err(stuck) => panic!("{stuck}\n{}", story.told()),
        }
        let now = story.played.last().unwrap().journal.records.len();
        assert!(ended != Ended::Killed || now > records, "it gets on:\n{}", story.told());
        records = now;
    }
    let mut table = Table::default();
    table.add(&mut story, &fault);
    table.holds(&format!("{}: every process at {fault}", plot.name), evidence.findings());
}

/// Nobody is killed: what is judged here holds for a plain rotation, so that it is the deaths that are tried elsewhere.
#[track_caller]
fn undisturbed(plot: &Plot) {
    let evidence = Evidence::new();
    let mut story = Story::new(plot, &evidence);
    story.play(&[], Death::None);
    let mut table = Table::default();
    table.add(&mut story, "no point");
    assert_eq!(rolls(&story), 1);
    table.holds(plot.name, evidence.findings());
}

#[test]
fn undisturbed_rotations_keep_the_promises() {
    for plot in PLOTS.iter().filter(|plot| plot.mend.is_none()) {
        undisturbed(plot);
    }
}

#[test]
fn a_failed_rotation_is_mended_and_goes_on() {
    undisturbed(&REFUSED);
}

#[test]
fn every_point_of_access_mgmt() {
    every_point(&ACCESS_AS_IT_IS, 1);
}

#[test]
fn every_inch_of_pages_deploy() {
    by_inches(&DEPLOY_AS_IT_IS, 5, "after");
}

/// The step that fails, what is done about it, the end: where the run holds the only copy, and is left with it.
#[test]
fn every_point_of_the_end_of_a_failing_rotation() {
    every_point(&REFUSED, last_write(&REFUSED) - 14);
}

#[test]
#[ignore = "minutes"]
fn every_point_of_pages_deploy() {
    every_point(&DEPLOY_AS_IT_IS, 1);
}

#[test]
#[ignore = "minutes"]
fn every_point_of_pages_read() {
    every_point(&READ_AS_IT_IS, 1);
}

#[test]
#[ignore = "minutes"]
fn every_point_by_dashboard() {
    every_point(&BY_DASHBOARD, 1);
}

#[test]
#[ignore = "minutes"]
fn every_point_with_infisicals_program() {
    every_point(&BY_PROGRAM, 1);
}

#[test]
#[ignore = "minutes"]
fn every_point_of_a_failing_rotation() {
    every_point(&REFUSED, 1);
}

#[test]
#[ignore = "minutes"]
fn every_point_of_a_failing_rotation_with_many_consumers() {
    every_point(&REFUSED_DEPLOY, 1);
}

#[test]
#[ignore = "minutes"]
fn every_inch_of_every_rotation() {
    for plot in PLOTS {
        for (write, part) in [(4, "after"), (5, "half"), (5, "before"), (6, "done")] {
            by_inches(plot, write, part);
        }
    }
}

/// The judge would see it: a broken promise is told, whichever it is.
#[test]
fn the_judge_sees_broken_promises() {
    let evidence = Evidence::new();
    let mut story = Story::new(&DEPLOY_AS_IT_IS, &evidence);
    assert_eq!(story.play(&[], Death::None), Ended::Exit(0), "{}", story.last_words());
    assert_eq!(violations(&story), Vec::<String>::new());
    let whole = changes(story.plot, &story.before, &story.played);
    let sent: Vec<_> = whole.iter().map(|change| change.step.as_str()).collect();
    assert!(sent.iter().all(|step| !step.is_empty()), "{sent:?}");

    let last = story.played.len() - 1;
    let (state, calls) = (story.played[last].state.clone(), story.played[last].calls.clone());
    let mut breaks = |what: &str, change: &dyn Fn(&mut Json, &mut Vec<Json>)| {
        let (mut state, mut calls) = (state.clone(), calls.clone());
        change(&mut state, &mut calls);
        (story.played[last].state, story.played[last].calls) = (state, calls);
        let told = violations(&story).join("\n");
        assert!(told.contains(what), "`{what}` is not told: {told}");
    };
    breaks("the live value is not at /heroku/apps/raxx-api-staging/config/CF_PAGES_DEPLOY", &|state, _| {
        state["heroku"]["apps"]["raxx-api-staging"]["config"]["CF_PAGES_DEPLOY"] = json!("another");
    });
    breaks("the old value is not dead", &|state, _| state["tokens"][0]["retired"][0]["accepted_for"] = json!(1));
    breaks("a dead value is at /github/repos/raxx-app~1raxx/secrets/NPM_TOKEN/value", &|state, _| {
        let old = state["tokens"][0]["retired"][0]["value"].clone();
        state["github"]["repos"]["raxx-app/raxx"]["secrets"]["NPM_TOKEN"]["value"] = old;
    });
    breaks("the world saw a secret where it does not belong", &|state, _| state["leaks"] = json!([{"what": "a"}]));
    breaks("the audit log is out of order", &|state, _| {
        state["audit"].as_array_mut().unwrap().reverse();
    });
    breaks("entries of several runs", &|state, _| state["audit"][1]["context"]["run_id"] = json!("another"));
    for (what, of) in [
        ("roll of CF_PAGES_DEPLOY", "/value"),
        ("message to U0OPERATOR1", "chat.postMessage"),
        ("config of raxx-api-prod", "raxx-api-prod/config-vars"),
        ("audit entry secret.rotate.completed", "rotations/callback"),
    ] {
        let is = |call: &Json| call["method"] != "GET" && call["path"].as_str().is_some_and(|path| path.ends_with(of));
        breaks(what, &|_, calls| {
            let again = calls.iter().rfind(|call| is(call)).unwrap().clone();
            calls.push(again);
        });
        breaks(&format!("never done: {what}"), &|_, calls| {
            let at = calls.iter().rposition(is).unwrap();
            calls.remove(at);
        });
    }
    breaks("creation of CF_PAGES_DEPLOY in github-actions", &|_, calls| {
        let create = |call: &&Json| call["method"] == "POST" && call["host"] == "app.infisical.com";
        let mut again = calls.iter().find(create).unwrap().clone();
        again["status"] = json!(400);
        calls.push(again);
    });
    breaks("a change that no step is known for", &|_, calls| {
        calls.push(json!({"method": "DELETE", "host": "api.heroku.com", "path": "/apps/raxx-api-prod", "status": 200}));
    });
}
