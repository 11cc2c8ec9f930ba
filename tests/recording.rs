//! A run keeps the files that its plan was made of; checked again from the recording, the plan is the same, whatever
//! has become of the files since.

mod support;

use runbook::diagnostic::{Diagnostic, draw};
use runbook::plan::check::{Checked, check, check_texts};
use runbook::playbook::{Recording, Texts};
use std::path::Path;
use support::Folder;

const ENTRY: &str = "runbook: 1\nname: entry\nextends: ../base.yaml\nset: {region: eu}\n";

const BASE: &str = r#"runbook: 1
name: base
inputs:
  region: {type: string}
vars:
  api: https://api.example.test
permissions:
  net: ["GET https://api.example.test/**"]
  read: ["data/**"]
steps:
  - id: look
    http: {url: "{{ api }}/{{ region }}"}
    expect:
      - schema: shapes/answer.json
      - {schema: shapes/../shapes/answer.json, message: "again"}
  - id: store
    use: linked/store.yaml
    with: {what: "{{ region }}"}
  - id: store-again
    use: modules/store.yaml
    with: {what: "{{ region }}"}
"#;

const STORE: &str = r#"runbook: 1
name: store
deprecated: use another
inputs:
  what: {type: string}
steps:
  - id: told
    assert: ["what != ''"]
"#;

const SHAPE: &str = r#"{"type": "object", "required": ["id"]}"#;

/// A playbook of all that a plan can be made of: `playbooks/team/entry.yaml`.
fn playbooks() -> Folder {
    let folder = Folder::new();
    folder.file("playbooks/team/entry.yaml", ENTRY);
    folder.file("playbooks/base.yaml", BASE);
    folder.file("playbooks/modules/store.yaml", STORE);
    folder.file("playbooks/shapes/answer.json", SHAPE);
    folder.file("playbooks/other.yaml", "nothing that anyone reads");
    std::os::unix::fs::symlink("modules", folder.path().join("playbooks/linked")).unwrap();
    folder
}

fn entry(folder: &Folder) -> std::path::PathBuf {
    folder.path().join("playbooks/team/../team/entry.yaml")
}

fn again(recording: &Recording) -> Result<Checked, Vec<Diagnostic>> {
    check_texts(&recording.entry, &Texts::recorded(recording.clone()))
}

#[track_caller]
fn assert_same(one: &Checked, other: &Checked) {
    assert_eq!(one.digest, other.digest);
    assert_eq!(one.recording.files, other.recording.files);
    assert_eq!(format!("{:?}", one.plan), format!("{:?}", other.plan));
    assert_eq!(draw(&one.warnings, false), draw(&other.warnings, false));
    assert_eq!(one.plan.source.path, other.plan.source.path);
}

#[test]
fn a_plan_is_the_same_again_when_its_files_are_others_or_gone() {
    let folder = playbooks();
    let first = check(&entry(&folder)).unwrap();
    assert_eq!(first.warnings.len(), 2, "the module is deprecated, and nothing reads `data`");
    let names: Vec<_> = first.recording.files.iter().map(|(path, _)| path.file_name().unwrap()).collect();
    assert_eq!(names, ["entry.yaml", "base.yaml", "answer.json", "store.yaml"], "each once, the entry first");
    assert_same(&first, &again(&first.recording).unwrap());

    for name in ["team/entry.yaml", "base.yaml", "modules/store.yaml", "shapes/answer.json"] {
        folder.file(&format!("playbooks/{name}"), "broken: [");
    }
    assert!(check(&entry(&folder)).is_err());
    assert_same(&first, &again(&first.recording).unwrap());

    std::fs::remove_file(folder.path().join("playbooks/linked")).unwrap();
    std::os::unix::fs::symlink("team", folder.path().join("playbooks/linked")).unwrap();
    assert_same(&first, &again(&first.recording).unwrap());

    std::fs::remove_dir_all(folder.path().join("playbooks")).unwrap();
    let last = again(&first.recording).unwrap();
    assert_same(&first, &last);
    assert_eq!(last.plan.source.folder(), folder.path().join("playbooks"), "what a run reads stays where it was");
}

#[test]
fn a_recording_holds_the_bytes_as_they_were() {
    let folder = playbooks();
    folder.file("playbooks/modules/store.yaml", &format!("\u{feff}{STORE}"));
    let first = check(&entry(&folder)).unwrap();
    let (_, store) = first.recording.files.iter().find(|(path, _)| path.ends_with("modules/store.yaml")).unwrap();
    assert_eq!(*store, format!("\u{feff}{STORE}").into_bytes());
    assert_same(&first, &again(&first.recording).unwrap());
}

/// What is drawn, with names relative to the folder of playbooks.
fn drawn(folder: &Folder, told: &[Diagnostic]) -> String {
    draw(told, false).replace(&format!("{}/playbooks/", folder.path().display()), "")
}

#[test]
fn what_is_not_in_the_recording_is_not_there() {
    let folder = playbooks();
    let recording = check(&entry(&folder)).unwrap().recording;
    let without = |name: &str| {
        let mut less = recording.clone();
        less.files.retain(|(path, _)| !path.ends_with(name));
        less.found.retain(|(_, found)| !found.ends_with(name));
        let told = again(&less).unwrap_err();
        assert!(told.iter().any(|told| told.code == "file-not-found"), "{name}: {told:?}");
        drawn(&folder, &told)
    };
    // All of them are on disk still.
    let shown = without("team/entry.yaml");
    assert!(shown.contains("there is no file `team/entry.yaml`"), "{shown}");
    let shown = without("base.yaml");
    assert!(shown.contains("team/entry.yaml:3:10"), "{shown}");
    assert!(!shown.contains("other.yaml"), "a suggestion from disk:\n{shown}");
    let shown = without("modules/store.yaml");
    assert!(shown.contains("a used playbook is not there: No such file or directory"), "{shown}");
    let shown = without("shapes/answer.json");
    assert!(shown.contains("the schema is not there: No such file or directory"), "{shown}");
    // Found, and yet without its bytes: a recording that was damaged.
    let mut less = recording.clone();
    less.files.retain(|(path, _)| !path.ends_with("answer.json"));
    let shown = drawn(&folder, &again(&less).unwrap_err());
    assert!(shown.contains("the schema cannot be read: No such file or directory"), "{shown}");
}

#[test]
fn a_near_name_is_suggested_from_the_recording() {
    let folder = playbooks();
    let mut recording = check(&entry(&folder)).unwrap().recording;
    let (_, base) = recording.files.iter_mut().find(|(path, _)| path.ends_with("base.yaml")).unwrap();
    *base = BASE.replace("modules/store.yaml", "modules/stor.yaml").into_bytes();
    std::fs::remove_dir_all(folder.path().join("playbooks")).unwrap();
    let shown = drawn(&folder, &again(&recording).unwrap_err());
    assert!(shown.contains("did you mean `store.yaml`?"), "{shown}");
    assert!(shown.contains("    use: modules/stor.yaml"), "not drawn from the recorded text:\n{shown}");
}

#[test]
fn rules_for_files_hold_in_a_recording() {
    let folder = playbooks();
    let checked = check(&entry(&folder)).unwrap();
    let edited = |name: &str, text: &str| {
        let mut recording = checked.recording.clone();
        let (_, bytes) = recording.files.iter_mut().find(|(path, _)| path.ends_with(name)).unwrap();
        *bytes = text.as_bytes().to_vec();
        again(&recording).unwrap_err().into_iter().map(|told| told.code).collect::<Vec<_>>()
    };
    let circle = STORE.replace("    assert: [\"what != ''\"]", "    use: store.yaml\n    with: {what: x}");
    let folder_of = |path: &Path| path.parent().unwrap().to_path_buf();
    let (asked, found) = checked.recording.found.iter().find(|(_, found)| found.ends_with("store.yaml")).unwrap();
    assert_ne!(folder_of(asked), folder_of(found), "it was found by way of the link");
    // The circle is told by the canonical path, which the recording knows under the name that was asked for.
    let mut recording = checked.recording.clone();
    let (_, bytes) = recording.files.iter_mut().find(|(path, _)| path.ends_with("store.yaml")).unwrap();
    *bytes = circle.into_bytes();
    let told = again(&recording).unwrap_err();
    assert!(told.iter().any(|told| told.code == "use-cycle"), "{told:?}");
    assert!(edited("team/entry.yaml", &ENTRY.replace("../base", "entry")).contains(&"extends-cycle"));
    assert_eq!(edited("answer.json", "{\"type\": 1}"), ["bad-schema", "bad-schema", "deprecated"]);
    let mut recording = checked.recording.clone();
    for (_, found) in recording.found.iter_mut().filter(|(_, found)| found.ends_with("answer.json")) {
        *found = "/elsewhere/answer.json".into();
    }
    let told = again(&recording).unwrap_err();
    assert_eq!(told.iter().filter(|told| told.code == "file-outside").count(), 2, "{told:?}");
}

#[test]
fn a_file_that_an_input_names_is_found_where_it_was() {
    let folder = Folder::new();
    let data = folder.file("data.txt", "x");
    let playbook = format!(
        "runbook: 1\nname: test\ninputs:\n  data: {{type: file, default: {}}}\nsteps:\n  - id: told\n    assert: [\"data != ''\"]\n",
        data.display()
    );
    let first = check(&folder.file("test.yaml", &playbook)).unwrap();
    assert_eq!(first.recording.files.len(), 1, "what a run reads is no part of the plan");
    std::fs::remove_file(&data).unwrap();
    assert!(check(&folder.path().join("test.yaml")).is_err());
    assert_same(&first, &again(&first.recording).unwrap());
}

#[test]
fn a_digest_is_of_what_the_plan_was_made_of() {
    let (one, other) = (playbooks(), playbooks());
    let digest = |folder: &Folder| check(&entry(folder)).unwrap().digest;
    let first = digest(&one);
    assert_eq!(first, digest(&other), "the same files in another folder");
    assert_eq!(first, check(&one.path().join("playbooks/team/entry.yaml")).unwrap().digest, "by another path");
    one.file("playbooks/other.yaml", "something else that nobody reads");
    assert_eq!(first, digest(&one));
    for (name, text) in [
        ("team/entry.yaml", ENTRY.replace("eu", "us")),
        ("base.yaml", BASE.replace("\"again\"", "\"once more\"")),
        ("modules/store.yaml", STORE.replace("use another", "use none")),
        ("shapes/answer.json", SHAPE.replace("id", "name")),
    ] {
        let before = one.read(&format!("playbooks/{name}"));
        one.file(&format!("playbooks/{name}"), &text);
        assert_ne!(first, digest(&one), "{name} was changed");
        one.file(&format!("playbooks/{name}"), &before);
    }
    assert_eq!(first, digest(&one));
}

#[test]
fn a_playbook_may_come_through_a_pipe() {
    use std::io::Write;
    let folder = Folder::new();
    let mut program = folder.program().args(["check", "/dev/stdin"]);
    program.0.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = program.0.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let text = "runbook: 1\nname: stdin\nsteps:\n  - id: told\n    assert: [\"1 == 1\"]\n";
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    support::Ran::from(child.wait_with_output().unwrap()).exits(0).shows("1 playbook is fine");
}
