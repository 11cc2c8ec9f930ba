//! Inputs of a resumed run: each from where it came, faults all at once, nothing asked that is known.

use super::*;
use crate::plan::permissions::Allowed;
use serde_json::json;
use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

/// Set by cargo wherever these tests run, and long enough for a secret.
const SET: &str = "CARGO_MANIFEST_DIR";
const UNSET: &str = "RUNBOOK_TEST_OF_A_VARIABLE_THAT_NOBODY_SETS";
const OWN: &str = "the-s3cret-itself";

/// A folder with a playbook that is resumed, and what its record says.
struct Resumed {
    folder: tempfile::TempDir,
    plan: std::sync::Arc<Plan>,
    recorded: Vec<Recorded>,
    captured: Masker,
    masker: Masker,
}

/// `given` by the resume.
#[derive(Default)]
struct By<'a> {
    set: &'a [&'a str],
    files: &'a [&'a str],
    world: Option<&'a World>,
    asker: Option<Asker<'a>>,
}

impl Resumed {
    /// `inputs` as YAML, one a line.
    fn new(inputs: &str, recorded: Vec<Recorded>) -> Resumed {
        let folder = tempfile::tempdir().unwrap();
        let lines: String = inputs.lines().map(|line| format!("  {}\n", line.trim())).collect();
        let leave = "permissions: {run: [printf, sh, \"false\"], read: [\"/**\"]}";
        let text = format!("runbook: 1\nname: test\n{leave}\ninputs:\n{lines}steps:\n  - assert: [1 == 1]\n");
        let path = folder.path().join("test.yaml");
        std::fs::write(&path, text).unwrap();
        let plan =
            crate::plan::check::check(&path).map_err(|found| crate::diagnostic::draw(&found, false)).unwrap().plan;
        Resumed { folder, plan, recorded, captured: Masker::default(), masker: Masker::default() }
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn resumes(&self, by: &By<'_>) -> Result<Vec<Resolved>, Unresolved> {
        let set: Vec<String> = by.set.iter().map(|text| (*text).to_string()).collect();
        let files: Vec<PathBuf> = by.files.iter().map(|name| self.folder.path().join(name)).collect();
        let given = Given { set: &set, files: &files, allowed: &Allowed::default() };
        again(&self.plan, &self.recorded, &self.captured, &given, by.world, &self.masker, by.asker)
    }

    /// The only input.
    #[track_caller]
    fn one(&self, by: &By<'_>) -> (Json, From, bool) {
        let mut all = self.resumes(by).unwrap();
        assert_eq!(all.len(), 1);
        let Resolved { value, from, .. } = all.remove(0);
        (value.expose().clone(), from, value.is_secret())
    }

    #[track_caller]
    fn faults(&self, by: &By<'_>) -> Vec<String> {
        match self.resumes(by) {
            Err(Unresolved::Faults(faults)) => faults,
            other => panic!("{other:?}"),
        }
    }
}

fn public(name: &str, from: From, json: Json) -> Recorded {
    Recorded { name: name.into(), from, public: Some(json), kept: None }
}

fn secret(name: &str, from: From) -> Recorded {
    Recorded { name: name.into(), from, public: None, kept: None }
}

fn env(name: &str) -> From {
    From::Env { name: name.into() }
}

fn value_of_set() -> Json {
    json!(std::env::var(SET).unwrap())
}

#[test]
fn public_inputs_are_what_was_recorded() {
    let resumed = Resumed::new(
        &format!(
            "region: {{type: string, env: {SET}}}\ncount: {{type: integer, default: 7}}\ntyped: {{type: string}}\nmaybe: {{type: string, default: null}}"
        ),
        vec![
            public("region", env(SET), json!("north")),
            public("count", From::Default, json!(3)),
            public("typed", From::Typed, json!("by hand")),
            Recorded { public: None, ..public("maybe", From::Default, Json::Null) },
        ],
    );
    let seen = |by: &By<'_>| -> Vec<Json> {
        resumed.resumes(by).unwrap().iter().map(|input| input.value.expose().clone()).collect()
    };
    let begun = vec![json!("north"), json!(3), json!("by hand"), Json::Null];
    assert_eq!(seen(&By::default()), begun);
    // The same again is no fault, whichever way it is given.
    resumed.file("in.yaml", "region: north\ncount: 3\nmaybe: null\n");
    assert_eq!(seen(&By { set: &["count=3", "typed=by hand"], files: &["in.yaml"], ..By::default() }), begun);
    // They keep where they came from.
    let all = resumed.resumes(&By { set: &["count=3"], ..By::default() }).unwrap();
    assert_eq!(all[1].from, From::Default);
}

#[test]
fn another_public_value_is_a_fault() {
    let resumed = Resumed::new(
        "region: {type: string}\ncount: {type: integer}\nmaybe: {type: string, default: null}\nkey: {type: secret, default: null}",
        vec![
            public("region", From::Set, json!("north")),
            public("count", From::Set, json!(3)),
            public("maybe", From::Default, Json::Null),
            public("key", From::Default, Json::Null),
        ],
    );
    resumed.file("in.yaml", &format!("maybe: now\nkey: {OWN}\n"));
    let by = By { set: &["region=south", "count=many", "regoin=north"], files: &["in.yaml"], ..By::default() };
    let faults = resumed.faults(&by);
    for want in [
        "input `region`: this run was begun with `north`; start a new run",
        "input `count`: `many` is not a whole number",
        "`regoin` is no input of `test`; did you mean `region`?",
        "input `maybe`: this run was begun without it; start a new run",
        "input `key`: this run was begun without it; start a new run",
    ] {
        assert!(faults.iter().any(|fault| fault == want), "{want}: {faults:#?}");
    }
    assert_eq!(faults.len(), 5, "{faults:#?}");
}

#[test]
fn a_record_that_does_not_fit_the_plan_is_a_fault() {
    let resumed = Resumed::new(
        "region: {type: string, default: north}\ncount: {type: integer, default: 1}",
        vec![secret("region", From::Default)],
    );
    let faults = resumed.faults(&By::default());
    assert_eq!(faults.len(), 2, "{faults:#?}");
    assert!(faults[0].starts_with("input `region`: the record of the run has no value of it"), "{faults:#?}");
    assert!(faults[1].starts_with("input `count`: the record of the run says nothing of it"), "{faults:#?}");
    // A record cannot make a secret public.
    let resumed = Resumed::new(
        &format!("key: {{type: secret, env: {SET}}}"),
        vec![public("key", env(SET), json!("what-stands-there"))],
    );
    assert_eq!(resumed.one(&By::default()), (value_of_set(), env(SET), true));
}

#[test]
fn secrets_come_again_from_where_they_came() {
    let resumed = Resumed::new(&format!("key: {{type: secret, env: {SET}}}"), vec![secret("key", env(SET))]);
    assert_eq!(resumed.one(&By::default()), (value_of_set(), env(SET), true));
    assert!(resumed.masker.contains_secret(std::env::var(SET).unwrap().as_bytes()));

    // A variable that is set wins over no other source.
    let command = From::Command { program: "printf".into() };
    let inputs = format!("key: {{type: secret, env: {SET}, command: [printf, '{OWN}\\n']}}");
    let resumed = Resumed::new(&inputs, vec![secret("key", command.clone())]);
    assert_eq!(resumed.one(&By::default()), (json!(OWN), command, true));

    // The file is where it was, not beside the copy of the playbook.
    let elsewhere = tempfile::tempdir().unwrap();
    let path = elsewhere.path().join("key.txt");
    std::fs::write(&path, format!("{OWN}\n")).unwrap();
    let file = From::File { path };
    let resumed = Resumed::new("key: {type: secret, file: key.txt}", vec![secret("key", file.clone())]);
    assert_eq!(resumed.one(&By::default()), (json!(OWN), file, true));

    let path = elsewhere.path().join("in.yaml");
    std::fs::write(&path, format!("key: {OWN}\nother: [1, 2]\n")).unwrap();
    let file = From::InputsFile { path };
    let inputs = format!("key: {{type: secret, env: {SET}, to: [example.com]}}");
    let resumed = Resumed::new(&inputs, vec![secret("key", file.clone())]);
    assert_eq!(resumed.one(&By::default()), (json!(OWN), file, true));
    let value = resumed.resumes(&By::default()).unwrap().remove(0).value;
    assert!(
        value.taint().refuses_host("example.org", 443).is_some()
            && value.taint().refuses_host("example.com", 443).is_none()
    );
}

#[test]
fn what_a_person_typed_nobody_is_asked_again() {
    let typed = Value::plain(json!(OWN));
    let resumed =
        Resumed::new("key: {type: secret}", vec![Recorded { kept: Some(typed), ..secret("key", From::Typed) }]);
    let asker = |_: &Input| -> std::io::Result<Json> { panic!("asked") };
    assert_eq!(resumed.one(&By { asker: Some(&asker), ..By::default() }), (json!(OWN), From::Typed, true));
    assert!(resumed.masker.contains_secret(OWN.as_bytes()));
}

#[test]
fn an_inputs_file_may_renew_secrets_and_wins() {
    for record in [
        secret("key", env(SET)),
        secret("key", From::Command { program: "false".into() }),
        Recorded { kept: Some(Value::plain(json!("typed-before"))), ..secret("key", From::Typed) },
    ] {
        let inputs = format!("key: {{type: secret, env: {SET}, command: ['false']}}");
        let resumed = Resumed::new(&inputs, vec![record]);
        let path = std::path::absolute(resumed.file("new.yaml", &format!("key: {OWN}\n"))).unwrap();
        let by = By { files: &["new.yaml"], ..By::default() };
        assert_eq!(resumed.one(&by), (json!(OWN), From::InputsFile { path }, true));
    }
    // It is judged as ever, and cannot take a secret away.
    let resumed =
        Resumed::new(&format!("key: {{type: secret, env: {SET}, default: null}}"), vec![secret("key", env(SET))]);
    resumed.file("short.yaml", "key: abc\n");
    resumed.file("null.yaml", "key: null\n");
    let faults = resumed.faults(&By { files: &["short.yaml"], ..By::default() });
    assert!(faults.len() == 1 && faults[0].contains("shorter than 6"), "{faults:#?}");
    let faults = resumed.faults(&By { files: &["null.yaml"], ..By::default() });
    assert!(faults.len() == 1 && faults[0].contains("cannot go on without"), "{faults:#?}");
    let faults = resumed.faults(&By { set: &["key=s3cret-on-a-line"], ..By::default() });
    assert!(faults.len() == 1 && faults[0].contains("a command line can be read by every process"), "{faults:#?}");
}

#[test]
fn every_source_that_is_gone_is_told_at_once_with_the_ways() {
    let gone = PathBuf::from("/nowhere/at-all");
    let resumed = Resumed::new(
        &format!(
            "a: {{type: secret, env: {UNSET}, description: The token of the API}}\nb: {{type: secret, command: [sh, -c, 'exit 9']}}\nc: {{type: secret, file: key.txt}}\nd: {{type: secret, env: {UNSET}}}\ne: {{type: secret}}\nf: {{type: secret}}\ng: {{type: secret}}\nh: {{type: secret}}\ni: {{type: secret, env: {UNSET}, default: null}}"
        ),
        vec![
            secret("a", env(UNSET)),
            secret("b", From::Command { program: "sh".into() }),
            secret("c", From::File { path: gone.clone() }),
            secret("d", From::InputsFile { path: gone.clone() }),
            secret("e", From::InputsFile { path: "/dev/fd/63".into() }),
            secret("f", From::World),
            secret("g", From::Typed),
            secret("h", From::InputsFile { path: std::env::current_dir().unwrap().join("Cargo.toml") }),
            // It had a secret: it may not go on with none.
            secret("i", env(UNSET)),
        ],
    );
    let faults = resumed.faults(&By::default());
    assert_eq!(faults.len(), 9, "{faults:#?}");
    let own = "Mend that, or bring it from your own environment: it can come from an `--inputs` file";
    let variable = format!("the environment variable `{UNSET}`");
    let again = "and cannot have it from there again:";
    for (fault, wants) in faults.iter().zip([
        &[format!("from {variable}, {again} it is not set. {own}, {variable}, the prompt at a terminal\n    (The token of the API)")][..],
        &[format!("from the command `sh`, {again} the command `sh` ended with exit status: 9. {own}, the prompt at a terminal")],
        &[format!("from the file `/nowhere/at-all`, {again} it is not there. {own}")],
        &["from the inputs file `/nowhere/at-all`".into(), "there is no file".into(), format!("{own}, {variable}")],
        &[format!("from the inputs file `/dev/fd/63`, {again} it was a pipe. {own}")],
        &[format!("from the world, {again} none is given: `--world`. {own}")],
        &[format!("from a person at a terminal, {again} it was not kept. {own}")],
        &["Cargo.toml`".into(), own.into()],
        &[format!("from {variable}, {again} it is not set. {own}")],
    ]) {
        for want in wants {
            assert!(fault.contains(want), "{want}\n{fault}");
        }
    }
}

#[test]
fn where_the_source_is_gone_its_variable_serves() {
    let inputs = format!("key: {{type: secret, env: {SET}, command: ['false']}}");
    for from in [From::Typed, From::Command { program: "false".into() }, From::InputsFile { path: "/nowhere".into() }] {
        let resumed = Resumed::new(&inputs, vec![secret("key", from)]);
        assert_eq!(resumed.one(&By::default()), (value_of_set(), env(SET), true));
    }
}

#[test]
fn at_a_terminal_only_what_is_gone_is_asked_for() {
    let inputs = format!(
        "a: {{type: secret, env: {SET}}}\nb: {{type: secret, env: {UNSET}}}\nregion: {{type: string}}\nc: {{type: secret, file: none.txt}}"
    );
    let recorded = vec![
        secret("a", env(SET)),
        secret("b", env(UNSET)),
        public("region", From::Typed, json!("north")),
        secret("c", From::File { path: "/nowhere".into() }),
    ];
    let resumed = Resumed::new(&inputs, recorded);
    let asked = RefCell::new(Vec::new());
    let asker = |input: &Input| {
        asked.borrow_mut().push(input.name.clone());
        Ok(json!(format!("typed-for-{}", input.name)))
    };
    let all = resumed.resumes(&By { asker: Some(&asker), ..By::default() }).unwrap();
    assert_eq!(asked.take(), ["b", "c"]);
    let seen: Vec<_> = all.iter().map(|input| (input.value.expose().clone(), input.from.clone())).collect();
    assert_eq!(
        seen,
        [
            (value_of_set(), env(SET)),
            (json!("typed-for-b"), From::Typed),
            (json!("north"), From::Typed),
            (json!("typed-for-c"), From::Typed),
        ]
    );
    assert!(all[1].value.is_secret() && all[1].public().is_none() && all[2].public() == Some(&json!("north")));
    // Nobody types what will be refused for another reason.
    let faults = resumed.faults(&By { set: &["region=south"], asker: Some(&asker), ..By::default() });
    assert!(faults.len() == 1 && asked.take().is_empty(), "{faults:#?}");
    // Ctrl-C at the question.
    let asker = |_: &Input| Err(std::io::Error::from(std::io::ErrorKind::Interrupted));
    let ended = resumed.resumes(&By { asker: Some(&asker), ..By::default() });
    assert!(matches!(ended, Err(Unresolved::Interrupted)));
}

#[test]
fn no_fault_shows_what_stands_in_an_old_inputs_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.yaml");
    std::fs::write(&path, format!("key: {OWN}\n{OWN}: &{OWN} 1\n{OWN}: 2\n")).unwrap();
    let resumed = Resumed::new("key: {type: secret}", vec![secret("key", From::InputsFile { path: path.clone() })]);
    let faults = resumed.faults(&By::default());
    assert!(faults.len() == 1 && faults[0].contains("in.yaml") && !faults[0].contains(OWN), "{faults:#?}");
    std::fs::write(&path, format!("kee: {OWN}\n")).unwrap();
    let faults = resumed.faults(&By::default());
    assert!(faults[0].contains("it does not name it any more"), "{faults:#?}");
}

/// A world that says `said` of every input.
fn world(said: &'static str) -> (World, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let info = json!({
        "world": 1, "file": "w.yaml", "address": address, "socket": "/nowhere", "folder": "/nowhere", "programs": "/nowhere",
        "hosts": {}, "pace": 1.0, "approve_all": false, "approve": [],
    });
    let player = std::thread::spawn(move || {
        let mut asked = Vec::new();
        for answer in [info.to_string(), said.to_string()] {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut length = 0;
            let mut line = String::new();
            while reader.read_line(&mut line).unwrap() > 2 {
                if let Some(text) = line.trim().strip_prefix("content-length: ") {
                    length = text.parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            std::io::Read::read_exact(&mut reader, &mut body).unwrap();
            asked.push(String::from_utf8(body).unwrap());
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{answer}", answer.len()).unwrap();
        }
        asked
    });
    (World::join(&address).unwrap(), player)
}

#[test]
fn a_world_gives_its_secrets_again() {
    let resumed = Resumed::new(
        "key: {type: secret}\nregion: {type: string}",
        vec![secret("key", From::World), public("region", From::World, json!("north"))],
    );
    let (world, player) = world(r#"{"value": "the-s3cret-itself"}"#);
    let all = resumed.resumes(&By { world: Some(&world), ..By::default() }).unwrap();
    assert_eq!((all[0].value.expose(), &all[0].from), (&json!(OWN), &From::World));
    // Asked for once, and for nothing else; it is told the public inputs.
    let asked: Json = serde_json::from_str(&player.join().unwrap()[1]).unwrap();
    assert_eq!(asked, json!({"name": "key", "inputs": {"region": "north"}}));
}

/// A rotation puts its new value where the old one came from, and goes on with the old.
#[test]
fn what_the_run_itself_has_put_there_is_not_taken_for_what_it_was_begun_with() {
    let kept = Some(Value::plain(json!("begun-with-this")));
    let recorded = vec![Recorded { kept, ..secret("key", From::InputsFile { path: "/nowhere".into() }) }];
    let mut resumed = Resumed::new("key: {type: secret}", recorded);
    let path = resumed.file("source.yaml", &format!("key: {OWN}"));
    resumed.recorded[0].from = From::InputsFile { path };
    // Renewed by a person: that one counts.
    assert_eq!(resumed.one(&By::default()).0, json!(OWN));
    // Put there by the run: the one it was begun with.
    resumed.captured.learn(OWN);
    assert_eq!(resumed.one(&By::default()).0, json!("begun-with-this"));
    // Given by hand: whatever it is.
    resumed.file("given.yaml", &format!("key: {OWN}"));
    assert_eq!(resumed.one(&By { files: &["given.yaml"], ..By::default() }).0, json!(OWN));
}

/// Nobody has to have a secret still: the run has it.
#[test]
fn a_secret_whose_source_is_gone_is_the_one_that_was_kept() {
    for from in [From::World, env("RUNBOOK_TEST_NOT_SET"), From::InputsFile { path: "/nowhere.yaml".into() }] {
        let kept = Some(Value::plain(json!("begun-with-this")));
        let resumed = Resumed::new("key: {type: secret}", vec![Recorded { kept, ..secret("key", from) }]);
        assert_eq!(resumed.one(&By::default()).0, json!("begun-with-this"));
    }
}

#[test]
fn a_world_that_says_nothing_any_more() {
    let resumed = Resumed::new("key: {type: secret, default: null}", vec![secret("key", From::World)]);
    let (world, player) = world(r#"{"value": null}"#);
    let faults = resumed.faults(&By { world: Some(&world), ..By::default() });
    assert!(faults[0].contains("from the world, and cannot have it from there again: it gives none"), "{faults:#?}");
    player.join().unwrap();
}

/// What the first run finds is what the next one is told.
#[test]
fn a_run_says_where_each_input_came_from() {
    let resumed = Resumed::new(
        &format!(
            "set: {{type: string}}\nfile: {{type: string}}\nenv: {{type: secret, env: {SET}}}\ncommand: {{type: secret, command: [printf, {OWN}]}}\nkey: {{type: secret, file: key.txt}}\nusual: {{type: integer, default: 7}}\nmaybe: {{type: secret, default: null}}"
        ),
        Vec::new(),
    );
    let inputs_file = resumed.file("in.yaml", "file: x\nset: overruled\n");
    let key = resumed.file("key.txt", "in-a-file");
    let (set, files) = (["set=y".to_string()], [inputs_file.clone()]);
    let all = crate::cli::inputs::resolve(
        &resumed.plan,
        &Given { set: &set, files: &files, allowed: &Allowed::default() },
        None,
        &resumed.masker,
    )
    .unwrap();
    let froms: Vec<From> = all.iter().map(|input| input.from.clone()).collect();
    let command = From::Command { program: "printf".into() };
    let expected = [
        From::Set,
        From::InputsFile { path: inputs_file },
        env(SET),
        command,
        From::File { path: key },
        From::Default,
        From::Default,
    ];
    assert_eq!(froms, expected);
    let recorded: Vec<Recorded> = all
        .iter()
        .map(|input| Recorded {
            name: input.name.clone(),
            from: serde_json::from_str(&serde_json::to_string(&input.from).unwrap()).unwrap(),
            public: input.public().cloned(),
            kept: None,
        })
        .collect();
    assert_eq!(recorded.iter().filter(|record| record.public.is_none()).count(), 3);
    let resumed = Resumed { recorded, ..resumed };
    let again = resumed.resumes(&By::default()).unwrap();
    for (before, after) in all.iter().zip(&again) {
        assert_eq!(
            (&before.name, before.value.expose(), &before.from),
            (&after.name, after.value.expose(), &after.from)
        );
        assert_eq!(before.value.is_secret(), after.value.is_secret());
    }
}

#[test]
fn the_form_of_a_record_is_kept() {
    for (from, form) in [
        (From::Fixed, json!({"from": "fixed"})),
        (From::Set, json!({"from": "set"})),
        (From::InputsFile { path: "/a/in.yaml".into() }, json!({"from": "inputs-file", "path": "/a/in.yaml"})),
        (From::World, json!({"from": "world"})),
        (env("CF_ROLLING_TOKEN"), json!({"from": "env", "name": "CF_ROLLING_TOKEN"})),
        (From::Command { program: "op".into() }, json!({"from": "command", "program": "op"})),
        (From::File { path: "/a/key".into() }, json!({"from": "file", "path": "/a/key"})),
        (From::Default, json!({"from": "default"})),
        (From::Typed, json!({"from": "typed"})),
    ] {
        assert_eq!(serde_json::to_value(&from).unwrap(), form);
        assert_eq!(serde_json::from_value::<From>(form).unwrap(), from);
    }
    use std::os::unix::ffi::OsStrExt;
    let odd = From::File { path: std::ffi::OsStr::from_bytes(b"/a/\xff").into() };
    assert_eq!(serde_json::to_value(&odd).unwrap(), json!({"from": "file", "path": "/a/\u{fffd}"}));
}
