//! A playbook that is another one by the time its run is gone on with: the run's own copy counts, unless it is said
//! otherwise, and then only where what has finished stands there as it did.

use crate::stage::{Bench, Stage, playbook};

const STEPS: &str = r#"
steps:
  - {id: first, http: {method: POST, url: "{{ api }}/first"}}
  - {id: second, http: {method: POST, url: "{{ api }}/second"}}
  - {id: third, use: modules/third.yaml, with: {api: "{{ api }}"}}
"#;
const MODULE: &str = "steps: [{id: say, http: {method: POST, url: \"{{ api }}/said\"}}]\n";

/// A run that was killed when its first step had finished.
fn killed(stage: &Stage) -> Bench<'_> {
    let bench = Bench::new(stage, "a", STEPS);
    bench.folder.file("modules/third.yaml", &playbook(stage, "third", MODULE));
    bench.starting(&[]).env("RUNBOOK_FAULT", "4:before").ran().exits(-1);
    assert_eq!((bench.whats(), bench.records_of("attempt-finished").len()), (vec!["POST /first".to_string()], 1));
    bench
}

#[test]
fn the_runs_own_copy_goes_on_whatever_became_of_the_files() {
    let stage = Stage::plain();
    let bench = killed(&stage);
    bench.folder.file("test.yaml", "nothing: {of: the kind");
    std::fs::remove_dir_all(bench.folder.path().join("modules")).unwrap();
    bench.resume(&[]).exits(0);
    assert_eq!(bench.whats(), ["POST /first", "POST /second", "POST /said"]);
}

#[test]
fn a_copy_that_was_changed_is_refused() {
    let stage = Stage::plain();
    let bench = killed(&stage);
    for path in crate::stage::files(&bench.run_folder().join("playbook")) {
        let text = std::fs::read_to_string(&path).unwrap().replace("/second", "/other");
        std::fs::write(&path, text).unwrap();
    }
    bench.resume(&[]).exits(1).shows("was changed: its SHA-256 is not the recorded one");
    assert_eq!(bench.whats(), ["POST /first"]);
}

#[test]
fn the_current_playbook_is_taken_where_only_what_is_to_come_has_changed() {
    let stage = Stage::plain();
    let bench = killed(&stage);
    let steps =
        STEPS.replace("/second", "/another") + "  - {id: more, http: {method: POST, url: \"{{ api }}/more\"}}\n";
    bench.folder.file("test.yaml", &playbook(&stage, "test", &steps));
    bench.folder.file("modules/third.yaml", &playbook(&stage, "third", &MODULE.replace("/said", "/said-now")));
    // Cut short once more: from here on it is the copy of that one.
    bench.resuming(&["--with-current-playbook"]).env("RUNBOOK_FAULT", "3:before").ran().exits(-1);
    std::fs::remove_file(bench.folder.path().join("test.yaml")).unwrap();
    let ran = bench.resume(&[]);
    let ran = if ran.code == 4 { bench.resume(&["--done", "second"]) } else { ran };
    ran.exits(0);
    assert_eq!(bench.whats(), ["POST /first", "POST /another", "POST /said-now", "POST /more"]);
}

#[test]
fn the_current_playbook_is_refused_where_what_has_finished_is_written_otherwise() {
    let stage = Stage::plain();
    let bench = killed(&stage);
    bench.folder.file("test.yaml", &playbook(&stage, "test", &STEPS.replace("/first", "/changed")));
    bench
        .resume(&["--with-current-playbook"])
        .exits(2)
        .shows("changed-since")
        .shows("/changed")
        .shows(&format!("runbook resume {}", bench.run_id()));
    assert_eq!(bench.whats(), ["POST /first"]);
    bench.resume(&[]).exits(0);
    assert_eq!(bench.whats(), ["POST /first", "POST /second", "POST /said"]);
}

#[test]
fn a_program_that_would_walk_the_playbook_otherwise_leaves_it_alone() {
    let stage = Stage::plain();
    let bench = killed(&stage);
    // As if another version had begun it, whose plans have other digests.
    let path = bench.run_folder().join("journal.jsonl");
    let reading = runbook::journal::chain::read(&std::fs::read(&path).unwrap()).unwrap();
    std::fs::remove_file(&path).unwrap();
    let masker = runbook::secret::Masker::default();
    let journal = runbook::journal::writer::Journal::create(&path, &masker, None).unwrap();
    for (at, mut record) in reading.records {
        if let runbook::journal::record::Record::RunStarted(run) = &mut record {
            run.playbook.digest = "0".repeat(64);
            run.program = "7.0.0".into();
        }
        journal.note(at, &record);
    }
    journal.sync().unwrap();
    drop(journal);
    bench.resume(&[]).exits(5).shows("the one that began the run (7.0.0)").shows("go on with that version");
    assert_eq!(bench.whats(), ["POST /first"]);
}
