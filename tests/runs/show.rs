//! A run told again.

use crate::support::Folder;
use crate::{ROTATE, TOKEN};

/// Lines without what differs each time: durations.
fn steady(text: &str) -> Vec<String> {
    let unit = |word: &str| ["ms", "s"].contains(&word);
    let line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let kept = words.iter().enumerate().filter(|(at, word)| {
            let next = words.get(at + 1).is_some_and(|next| unit(next.trim_end_matches(':')));
            !(next || unit(word.trim_end_matches(':')))
        });
        kept.map(|(_, word)| *word).collect::<Vec<_>>().join(" ")
    };
    text.lines().map(line).collect()
}

#[test]
fn a_run_is_shown_as_its_reporter_showed_it() {
    let folder = Folder::with(ROTATE);
    let ran = folder.run(&["--output", "plain"]).exits(1);
    let shown = folder.does(&["show", "last"]).exits(0).hides(TOKEN);
    // Only the record tells when, and that custody was proven.
    let more = |line: &&String| !line.starts_with("begun 20") && !line.starts_with("· custody proven");
    let told = steady(&shown.stdout);
    assert_eq!(told.iter().filter(more).cloned().collect::<Vec<_>>(), steady(&ran.stdout));
    assert!(told.iter().any(|line| line.starts_with("begun 20")), "{}", shown.stdout);
}

#[test]
fn events_are_the_same_but_for_their_times() {
    let folder = Folder::with(ROTATE);
    let ran = folder.run(&["--output", "json"]).exits(1).events();
    let shown = folder.program().args(["show", "last", "--output", "json"]).ran().exits(0).events();
    let known = shown.into_iter().filter(|event| event["event"] != "noted");
    let even = |mut event: serde_json::Value| {
        let event_map = event.as_object_mut().unwrap();
        ["at", "duration_ms"].iter().for_each(|key| drop(event_map.remove(*key)));
        event
    };
    let known: Vec<_> = known.map(even).collect();
    assert_eq!(known, ran.into_iter().map(even).collect::<Vec<_>>());
}

#[test]
fn rounds_resumes_custody_and_decisions_are_told_with_who_and_when() {
    let asks = ROTATE.replace("steps:\n", "steps:\n  - {id: sure, confirm: Sure?}\n");
    let folder = Folder::with(&asks);
    folder.run(&["--approve", "sure"]).exits(1);
    folder.does(&["reveal", "last", "new_token", "--to-file", "out", "--yes"]).exits(0);
    folder.file("ready", "");
    folder.program().args(["resume", "last"]).env("RUNBOOK_ACTOR", "the second").ran().exits(0);
    let shown = folder.does(&["show", "last"]).exits(0).hides(TOKEN).stdout;
    let place = |text: &str| shown.find(text).unwrap_or_else(|| panic!("no `{text}` in\n{shown}"));
    let order = [
        "approved by tester, 20",
        "2 attempts",
        "failed in ",
        "· `new_token` revealed by tester to /",
        "· resumed by the second, round 2, 20",
        "✔ Store it",
        "passed in ",
        "· custody ended: the run's key is destroyed, 20",
    ];
    let places: Vec<usize> = order.iter().map(|text| place(text)).collect();
    assert!(places.is_sorted(), "{places:?}\n{shown}");
    // A round that was gone on with does not say any more how to go on.
    assert!(!shown.contains("runbook resume"), "{shown}");
    let decided = folder.program().args(["show", "last", "--output", "json"]).ran().events();
    let decided = decided.iter().find(|event| event["event"] == "decided").unwrap();
    let recorded = folder.records(&folder.ids()[0]);
    let recorded = recorded.iter().find(|record| record["type"] == "decision").unwrap();
    assert_eq!(decided["at"].as_str().unwrap()[..19], recorded["at"].as_str().unwrap()[..19]);
}
