//! Whether what a run has finished stands in today's playbook as it did when the run was begun.

mod support;

use runbook::diagnostic::draw;
use runbook::plan::Plan;
use runbook::plan::check::{check, check_texts};
use runbook::plan::same::differences;
use runbook::playbook::Texts;
use std::sync::Arc;
use support::Folder;

const BOOK: &str = r#"runbook: 1
name: book
inputs:
  zone: {type: string, default: a}
vars:
  api: https://api.example.test
  note: "x"
permissions:
  net: ["GET,POST https://api.example.test/**"]
lock: zone/{{ zone }}
steps:
  - id: look
    http: {url: "{{ api }}/{{ zone }}"}
    capture: {seen: .id, at: .at}
  - id: both
    retry: {attempts: 3}
    group:
      - id: first
        set: {one: "1"}
      - id: second
        set: {two: "2"}
    on_failure:
      - id: mend
        assert: ["1 == 1"]
  - id: wide
    parallel:
      max: 2
      steps:
        - id: left
          set: {l: "1"}
        - id: right
          set: {r: "1"}
  - id: round-2
    group:
      - id: within
        assert: ["1 == 1"]
  - id: send
    http: {method: POST, url: "{{ api }}/{{ zone }}"}
    on_unknown:
      - id: find
        http: {url: "{{ api }}/{{ zone }}"}
        capture: {happened: .done}
  - id: module
    for_each: [a, b]
    use: modules/module.yaml
    with: {what: "{{ item }}"}
  - assert: ["one == two or note == seen or at == l or r == '1'"]
on_failure:
  - id: alas
    assert: ["1 == 1"]
finally:
  - id: sweep
    assert: ["1 == 1"]
"#;

const MODULE: &str = r#"runbook: 1
name: module
inputs:
  what: {type: string}
vars:
  own: "1"
steps:
  - id: inside
    assert: ["what != own"]
finally:
  - id: after
    assert: ["1 == 1"]
"#;

/// Keys of a run that finished everything, with all that may stand in keys.
const ALL: &[&str] = &[
    "(vars)#1",
    "look#2",
    "both#2/first#1",
    "both/second#1",
    "both#2",
    "both/(on_failure)/(round-2)/mend#1",
    "wide/left#1",
    "wide/right#1",
    "round-2/within#1",
    "send#1",
    "send#1/(round-2)/find#1",
    "module[0]/(vars)#1",
    "module[0]/inside#1",
    "module[1]/inside#1",
    "module[1]/(round-3)/after#1",
    "module[1]#1",
    "step-7#1",
    "(round-2)/alas#1",
    "(round-12)/sweep#1",
];

struct Books {
    folder: Folder,
    old: Arc<Plan>,
}

impl Books {
    /// The run was begun with these; the plan is the one from its recording, as a resume has it.
    fn new() -> Books {
        Books::of(&[("book.yaml", BOOK), ("modules/module.yaml", MODULE)])
    }

    fn of(files: &[(&str, &str)]) -> Books {
        let folder = Folder::new();
        for (name, text) in files {
            folder.file(name, text);
        }
        let recording = check(&folder.path().join(files[0].0)).unwrap().recording;
        let old = check_texts(&recording.entry.clone(), &Texts::recorded(recording)).unwrap().plan;
        Books { folder, old }
    }

    /// What is told when a file has another text now. What is replaced has to be there.
    #[track_caller]
    fn told(&self, name: &str, edits: &[(&str, &str)], finished: &[&str]) -> String {
        let before = self.folder.read(name);
        let mut text = before.clone();
        for (was, is) in edits {
            assert!(text.contains(was), "`{was}` is not in {name}");
            text = text.replacen(was, is, 1);
        }
        self.folder.file(name, &text);
        let checked = check(&self.old.source.path).unwrap_or_else(|told| panic!("{}", draw(&told, false)));
        self.folder.file(name, &before);
        let finished: Vec<String> = finished.iter().map(|key| key.to_string()).collect();
        let told = differences(&self.old, &checked.plan, &finished);
        assert!(told.iter().all(|told| told.code == "changed-since" && !told.help.is_empty()));
        draw(&told, false).replace(&format!("{}/", self.folder.path().display()), "")
    }
}

#[track_caller]
fn shows(told: &str, wanted: &[&str]) {
    for text in wanted {
        assert!(told.contains(text), "does not show `{text}`:\n{told}");
    }
    assert_eq!(told.matches("error[").count(), 1, "one difference, told once:\n{told}");
}

#[test]
fn nothing_differs_where_nothing_was_changed() {
    let books = Books::new();
    assert_eq!(books.told("book.yaml", &[], ALL), "");
    // Comments, the order of keys and the way a text is quoted say nothing.
    let edits = [
        ("  - id: look\n", "  # First.\n  - id: look\n"),
        ("{seen: .id, at: .at}", "{at: '.at', \"seen\": .id}"),
        ("attempts: 3", "attempts:   3"),
    ];
    assert_eq!(books.told("book.yaml", &edits, ALL), "");
}

#[test]
fn a_finished_step_has_to_be_written_as_it_was() {
    let books = Books::new();
    let edit = [("{{ api }}/{{ zone }}\"}\n    capture", "{{ api }}/x/{{ zone }}\"}\n    capture")];
    let told = books.told("book.yaml", &edit, &["look#1"]);
    shows(
        &told,
        &[
            "`look` has finished, and is written otherwise now",
            "book.yaml:13:17",
            "`http.url` was `{{ api }}/{{ zone }}`, and is `{{ api }}/x/{{ zone }}` now",
        ],
    );
    assert_eq!(books.told("book.yaml", &edit, &["both#1", "send#1"]), "", "it has not finished");
    let told = books.told("book.yaml", &[("    retry: {attempts: 3}\n", "")], &["both/first#1"]);
    shows(&told, &["`both` has finished", "book.yaml:15:5", "`retry` was `{\"attempts\":3}`, and is not there now"]);
    let told = books.told("book.yaml", &[("      max: 2", "      max: 1")], &["wide/left#1"]);
    shows(&told, &["`wide` has finished", "`parallel.max` was `2`, and is `1` now"]);
    let told = books.told("book.yaml", &[("for_each: [a, b]", "for_each: [b, a, c]")], ALL);
    shows(&told, &["`module` has finished", "`for_each` was `[\"a\",\"b\"]`"]);
    let told = books.told("book.yaml", &[("id: sweep\n", "id: sweep\n    tags: [x]\n")], ALL);
    shows(&told, &["sweep` has finished", "`tags` was not there, and is `[\"x\"]` now"]);
}

#[test]
fn what_stands_in_a_list_is_judged_by_itself() {
    let books = Books::new();
    let edit = [("set: {two: \"2\"}", "set: {two: \"3\"}")];
    assert_eq!(books.told("book.yaml", &edit, &["both#1", "both/first#1"]), "");
    shows(&books.told("book.yaml", &edit, &["both/second#1"]), &["`both/second` has finished", "`set.two` was `2`"]);
    shows(&books.told("book.yaml", &edit, &["both#2/second#3"]), &["`both/second` has finished"]);
    for (key, edit) in [
        (
            "both/(on_failure)/mend#1",
            ("id: mend\n        assert: [\"1 == 1\"]", "id: mend\n        assert: [\"2 == 2\"]"),
        ),
        ("wide/right#1", ("set: {r: \"1\"}", "set: {r: \"2\"}")),
        ("round-2/within#1", ("id: within\n        assert: [\"1 == 1\"]", "id: within\n        assert: [\"2 == 2\"]")),
        ("send#1/(round-2)/find#1", ("happened: .done", "happened: .ready")),
        ("(round-3)/alas#1", ("id: alas\n    assert: [\"1 == 1\"]", "id: alas\n    assert: [\"2 == 2\"]")),
    ] {
        let told = books.told("book.yaml", &[edit], ALL);
        assert_eq!(told.matches("error[").count(), 1, "{key}:\n{told}");
        let around = key.rsplit_once('/').unwrap().0;
        shows(&books.told("book.yaml", &[edit], &[key]), &["has finished, and is written otherwise now"]);
        assert_eq!(books.told("book.yaml", &[edit], &["look#1", around]), "", "{key} has not finished");
    }
    let edit = [("what != own", "own != what")];
    shows(&books.told("modules/module.yaml", &edit, ALL), &["`module/inside`", "modules/module.yaml:9:14"]);
    assert_eq!(books.told("modules/module.yaml", &edit, &["module[0]#1", "look#1"]), "");
    let edit = [("id: after\n    assert: [\"1 == 1\"]", "id: after\n    assert: [\"2 == 2\"]")];
    shows(&books.told("modules/module.yaml", &edit, &["module[1]/(round-3)/after#1"]), &["modules/module.yaml:12:14"]);
}

#[test]
fn a_finished_step_has_to_be_where_it_was() {
    let books = Books::new();
    let second = "      - id: second\n        set: {two: \"2\"}\n";
    let moved = "  - id: second\n    set: {two: \"2\"}\n  - id: wide\n";
    let told = books.told("book.yaml", &[(second, ""), ("  - id: wide\n", moved)], &["both/first#1", "both/second#1"]);
    shows(&told, &["`both/second` has finished, and stands elsewhere now", "book.yaml:23:5", "here it stood"]);
    let sweep = "  - id: sweep\n    assert: [\"1 == 1\"]\n";
    let told = books.told(
        "book.yaml",
        &[(sweep, ""), ("finally:\n", ""), ("on_failure:\n  - id: alas", &format!("on_failure:\n{sweep}  - id: alas"))],
        ALL,
    );
    shows(&told, &["sweep` has finished, and stands elsewhere now", "it stood at book.yaml:"]);
    let told = books.told("book.yaml", &[("id: within", "id: without")], ALL);
    shows(&told, &["`round-2/within` has finished, and is not there any more", "it stood at book.yaml:35:9"]);
    let told = books.told("book.yaml", &[("id: send", "id: sent")], &["send/find#1"]);
    shows(&told, &["`send` has finished, and is not there any more", "book.yaml:11:1"]);
    // The step does another thing now: what was in it is not told besides.
    let edit = [("    group:\n      - id: within\n        assert: [\"1 == 1\"]", "    assert: [\"1 == 1\"]")];
    shows(&books.told("book.yaml", &edit, &["round-2/within#1"]), &["`group` was `…`, and is not there now"]);
}

#[test]
fn finished_steps_keep_their_order_and_new_ones_may_stand_anywhere() {
    let books = Books::new();
    let new = "  - id: news\n    assert: [\"1 == 1\"]\n";
    let before = |id: &str| format!("{new}  - id: {id}\n");
    let finished: Vec<&str> = ALL.iter().copied().filter(|key| !key.starts_with("step-7")).collect();
    for id in ["look", "wide", "send", "sweep"] {
        assert_eq!(books.told("book.yaml", &[(&format!("  - id: {id}\n"), &before(id))], &finished), "");
    }
    let told = books.told("book.yaml", &[("  - id: look\n", &before("look"))], &["step-7#1"]);
    shows(&told, &["`step-7` has finished", "neither `id` nor `name`"]);
    let first = "      - id: first\n        set: {one: \"1\"}\n";
    let second = "      - id: second\n        set: {two: \"2\"}\n";
    let edit = [(first, ""), (second, &*format!("{second}{first}"))];
    let told = books.told("book.yaml", &edit, ALL);
    shows(&told, &["`both/second` has finished after `first`, and stands before it now"]);
    assert_eq!(books.told("book.yaml", &edit, &["both/first#1"]), "", "the second is new, as far as the run goes");
}

#[test]
fn what_was_made_once_has_to_be_as_it_was() {
    let books = Books::new();
    for (name, edits, wanted) in [
        (
            "book.yaml",
            vec![("note: \"x\"", "note: \"y\"")],
            ["the var `note` of `book` has its value", "book.yaml:7:9"],
        ),
        (
            "book.yaml",
            vec![("  note: \"x\"\n", ""), ("note == seen", "'x' == seen")],
            ["the var `note`", "not there any more"],
        ),
        (
            "book.yaml",
            vec![("default: a", "default: b")],
            ["the input `zone` of `book`", "`default` was `a`, and is `b` now"],
        ),
        ("book.yaml", vec![("lock: zone/", "lock: zones/")], ["the run holds the lock of `book`", "book.yaml:10:7"]),
        ("book.yaml", vec![("lock: zone/{{ zone }}\n", "")], ["the run holds the lock of `book`", "is not there now"]),
        (
            "modules/module.yaml",
            vec![("own: \"1\"", "own: \"2\"")],
            ["the var `own` of `module`", "modules/module.yaml:6:8"],
        ),
    ] {
        shows(&books.told(name, &edits, &["look#1", "module[0]/inside#1"]), &wanted);
    }
    let edit = [("own: \"1\"", "own: \"2\"")];
    assert_eq!(books.told("modules/module.yaml", &edit, &["look#1"]), "", "nothing was done in the module");
    let more = [
        ("  note: \"x\"\n", "  note: \"x\"\n  more: \"1\"\n"),
        ("vars:\n", "  new: {type: string, default: n}\nvars:\n"),
    ];
    assert_eq!(books.told("book.yaml", &more, ALL), "", "further ones are made when the run goes on");
    shows(&books.told("book.yaml", &[], &["nowhere/at-all#1"]), &["`nowhere/at-all` has finished", "no such step"]);
}

#[test]
fn what_a_variant_fixes_has_to_be_as_it_was() {
    let variant = "runbook: 1\nname: variant\nextends: book.yaml\nset: {zone: b}\n";
    let books = Books::of(&[("variant.yaml", variant), ("book.yaml", BOOK), ("modules/module.yaml", MODULE)]);
    let told = |edit: &[(&str, &str)]| {
        let before = books.folder.read("variant.yaml");
        let text = edit.iter().fold(before, |text, (was, is)| text.replace(was, is));
        books.folder.file("variant.yaml", &text);
        let new = check(&books.folder.path().join("variant.yaml")).unwrap().plan;
        books.folder.file("variant.yaml", variant);
        draw(&differences(&books.old, &new, &["look#1".to_string()]), false)
    };
    assert_eq!(told(&[]), "");
    shows(&told(&[("zone: b", "zone: c")]), &["variant.yaml:4:13", "it was `b`, and is `c` now"]);
    shows(
        &told(&[("set: {zone: b}\n", "")]),
        &["the input `zone` of `variant` has its value, which no variant fixes now"],
    );
}
