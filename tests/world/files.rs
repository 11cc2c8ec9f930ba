//! World files with mistakes: all are told at once, each where it is.

use crate::support::{RUNBOOK, file, up};
use runbook::diagnostic::Diagnostic;
use runbook::world::{World, WorldError, check, world_schema};
use serde_json::json;
use std::path::Path;

fn mistakes(text: &str) -> Vec<Diagnostic> {
    let (_folder, path) = file(text);
    match World::start(Path::new(RUNBOOK), &path) {
        Err(WorldError::Mistakes(mistakes)) => mistakes,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("no mistakes found"),
    }
}

/// `code line:column message`, the file's own name left out.
fn told(text: &str) -> Vec<String> {
    let show = |mistake: &Diagnostic| {
        let label = &mistake.labels[0];
        let (line, column) = label.place.source.line_column(label.place.span(&label.part).start);
        format!("{} {line}:{column} {}", mistake.code, mistake.message)
    };
    mistakes(text).iter().map(show).collect()
}

#[test]
fn everything_wrong_is_told_at_once_and_where_it_is() {
    let wrong = r#"
world: 1
pace: -1
inputs: {x: {jq: 5}}
answers: {a: ".a | nosuch"}
files: {../x: "{{ world.port }}"}
hosts:
  a.test:
    - get /: '{status: 200}'
    - GET /b: |
        .a
          | $nosuch
    - GET /d/{x}: '{status: 200}'
    - GET /d/{y}: '{status: 200}'
  https://b.test: []
  A.test: []
  c.test: {forward: 'http://192.168.0.1:80'}
  d.test: {forward: 'http://127.0.0.1:80/v1'}
  e.test: {forward: 'https://127.0.0.1:80'}
  f.test: {forward: 'http://user@127.0.0.1:80'}
programs:
  a/b: '{exit_code: 0}'
  c: {program: gh}
  d: {program: /nonexistent/gh}
  e: {program: /etc/passwd}
  f: {program: /bin/sh, env: {1A: a, C: "{{ world.folde }}"}}
"#;
    let wanted = [
        "bad-pace 3:7 `-1` is no pace: write a factor such as `0.02`, or `0` for no waiting at all",
        "wrong-type 4:18 `jq` must be text, not 5",
        "bad-jq 5:20 there is no filter `nosuch`",
        "bad-path 6:9 `../x` is not a path within the world's folder",
        "unknown-name 6:15 `world.port` is not known here",
        "bad-route 9:7 `get` is not a method: write `GET`",
        "bad-jq 12:13 `$nosuch` is not defined",
        "unreachable-route 14:7 route `GET /d/{y}` is never asked: `GET /d/{x}` before it takes all its requests",
        "bad-host 15:3 `https://b.test` is not the name of a host",
        "bad-host 16:3 host `a.test` is there twice",
        "bad-forward 17:21 only loopback may be forwarded to",
        "bad-forward 18:21 a forward has a host and a port only: paths are passed on as they are",
        "bad-forward 19:21 `https://127.0.0.1:80` is not a URL of the form `http://127.0.0.1:PORT`",
        "bad-forward 20:21 a forward has a host and a port only: paths are passed on as they are",
        "bad-program 22:3 `a/b` is not the name of a program",
        "bad-program 23:16 `gh` is not an absolute path",
        "bad-program 24:16 `/nonexistent/gh` is not there",
        "bad-program 25:16 `/etc/passwd` is not executable",
        "bad-env 26:31 `1A` is not the name of an environment variable",
        "unknown-name 26:41 `world.folde` is not known here",
    ];
    assert_eq!(told(wrong), wanted);
    assert_eq!(mistakes(wrong)[19].help, ["write `{{ world.folder }}`"]);
}

#[test]
fn mistakes_of_shape_come_first() {
    let wrong = "
world: 1
approve: some
answers: {a: 5}
hosts: {a.test: [{GET /c: 5}, text], b.test: 1}
programs: {e: {program: /bin/sh, envs: {}}, f: {env: {B: 2}}}
";
    let wanted = [
        "unknown-word 3:10 `approve` may not be `some`",
        "wrong-type 4:14 `a` must be text or a map, not the number 5",
        "wrong-type 5:27 `GET /c` must be text, not the number 5",
        "wrong-type 5:31 item 2 of `a.test` must be a map, not the text `text`",
        "wrong-type 5:46 `b.test` must be a map or a list, not the number 1",
        "unknown-key 6:34 unknown key `envs` in `e`",
        "missing-key 6:45 the key `program` is missing in `f`",
        "wrong-type 6:58 `B` must be text, not the number 2",
    ];
    assert_eq!(told(wrong), wanted);
}

#[test]
fn a_mistake_in_define_is_told_once() {
    let wrong = "world: 1\ndefine: |\n  def a: 1;\n  def b: nosuch;\nhosts: {a.test: {GET /: 'b', GET /2: 'b'}}\n";
    assert_eq!(told(wrong), ["bad-jq 4:10 there is no filter `nosuch`"]);
    assert_eq!(told("world: 1\ndefine: 'def a: 1'\n"), ["bad-jq 2:18 expected `;`, but found `null`"]);
    let told = told("world: 1\ndefine: '1 |'\nanswers: {a: '.', b: '.'}\n");
    assert!(told.len() == 1 && told[0].starts_with("bad-jq 2:"), "{told:?}");
}

#[test]
fn the_shape_is_strict() {
    assert_eq!(told("world: 1\nhost: {}\n")[0].split(' ').next(), Some("unknown-key"));
    assert_eq!(told("world: 2\n"), ["unsupported-format 1:8 this is format 2 of worlds, and only format 1 is known"]);
    assert!(!told("hosts: {}\n").is_empty());
    assert!(!told("world: 1\nstate: {a: 1, a: 2}\n").is_empty());
    assert!(matches!(check(Path::new("/nonexistent/world.yaml")), Err(mistakes) if mistakes.len() == 1));
}

#[test]
fn the_smallest_world_is_empty() {
    let up = up("world: 1\n");
    assert_eq!((up.world.state().unwrap(), up.world.calls().unwrap()), (json!({}), json!([])));
    assert!(up.world.stand_ins().hosts.is_empty() && !up.world.approves("a"));
    assert_eq!(up.world.pace(), 1.0);
}

#[test]
fn the_schema_takes_what_is_taken_and_refuses_what_is_refused() {
    let schema = jsonschema::validator_for(&world_schema()).unwrap();
    let good = json!({
        "world": 1, "approve": "all", "pace": 0.5, "define": "", "state": {"a": [1]}, "files": {"a": "b"},
        "inputs": {"a": 1, "b": {"jq": "."}}, "answers": {"a": ".", "b": {"c": 1}},
        "hosts": {"a": [{"GET /": "."}], "b": {"GET /": "."}, "c": {"forward": "http://127.0.0.1:1"}},
        "programs": {"a": ".", "b": {"program": "/bin/sh", "env": {"A": "b"}}},
    });
    assert!(
        schema.is_valid(&good),
        "{:?}",
        schema.iter_errors(&good).map(|error| error.to_string()).collect::<Vec<_>>()
    );
    for bad in [
        json!({}),
        json!({"world": 1, "host": {}}),
        json!({"world": 1, "approve": "some"}),
        json!({"world": 1, "hosts": {"a": 1}}),
    ] {
        assert!(!schema.is_valid(&bad), "{bad}");
    }
}
