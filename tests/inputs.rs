//! Inputs through the front door: where they come from, in which order, and that all that is wrong with them is told at
//! once, before anything runs.

mod support;

use serde_json::json;
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;
use support::{Folder, Ran, has_ended, until};

const EVERY: &str = r#"
runbook: 1
name: test
inputs:
  text: {type: string, pattern: '^[a-z]+$', max: 8}
  whole: {type: integer, min: 1, max: 10}
  real: {type: number, min: 0.5}
  flag: {type: boolean}
  span: {type: duration}
  list: {type: list, min: 1, max: 3, items: {type: string, pattern: '^[a-z]$'}}
  map: {type: object}
  choice: {type: string, one_of: [red, green, blue]}
  number: {type: integer, one_of: [80, 443]}
  file: {type: file}
  maybe: {type: string, default: null}
  usual: {type: integer, default: 7}
steps:
  - id: see
    set:
      all: {t: "{{ text }}", w: "{{ whole }}", r: "{{ real }}", f: "{{ flag }}", s: "{{ span }}", l: "{{ list }}", m: "{{ map }}", c: "{{ choice }}", n: "{{ number }}", p: "{{ file }}", y: "{{ maybe }}", u: "{{ usual }}"}
"#;

#[track_caller]
fn seen(ran: &Ran) -> serde_json::Value {
    ran.events().into_iter().find(|event| event["event"] == "step-finished").unwrap()["captures"]["all"].clone()
}

#[test]
fn every_type_by_the_command_line_and_by_a_file() {
    let folder = Folder::with(EVERY);
    folder.file("sub/a.txt", "x");
    let real = folder.path().join("sub/a.txt").canonicalize().unwrap();
    let expected = json!({
        "t": "abc", "w": 3, "r": 1.5, "f": true, "s": "1m30s", "l": ["a", "b"], "m": {"k": [1, null]}, "c": "red", "n": 443,
        "p": real, "y": null, "u": 7,
    });
    let given = [
        "text=abc",
        "whole=3",
        "real=1.5",
        "flag=true",
        "span=1m30s",
        "list=[\"a\",\"b\"]",
        "map={\"k\": [1, null]}",
        "choice=red",
        "number=443",
        "file=sub/a.txt",
    ];
    let mut arguments = vec!["--output", "json"];
    given.iter().for_each(|text| arguments.extend(["--set", text]));
    assert_eq!(seen(&folder.run(&arguments).exits(0)), expected);
    arguments.extend(["--set", "list=a, b", "--set", "flag=yes", "--set", "maybe=null"]);
    assert_eq!(seen(&folder.run(&arguments).exits(0)), expected);
    folder.file(
        "in.yaml",
        "text: abc\nwhole: 3\nreal: 1.5\nflag: true\nspan: 1m30s\nlist: [a, b]\nmap: {k: [1, null]}\nchoice: red\nnumber: 443\nfile: sub/a.txt\nmaybe: null\n",
    );
    assert_eq!(seen(&folder.run(&["--output", "json", "--inputs", "in.yaml"]).exits(0)), expected);
    folder.file("more.yaml", "whole: 4\nchoice: blue\n");
    let ran = folder
        .run(&["--output", "json", "--inputs", "in.yaml", "--inputs", "more.yaml", "--set", "choice=green"])
        .exits(0);
    assert_eq!((seen(&ran)["w"].clone(), seen(&ran)["c"].clone()), (json!(4), json!("green")));
}

#[test]
fn all_that_is_wrong_is_told_at_once_and_nothing_runs() {
    let folder = Folder::with(
        &EVERY
            .replace("  - id: see", "  - id: mark\n    exec: [touch, ran]\n  - id: see")
            .replace("inputs:", "permissions: {run: [touch], write: [ran]}\ninputs:"),
    );
    let ran = folder
        .run(&[
            "--set",
            "text=ABC",
            "--set",
            "whole=11",
            "--set",
            "real=0.1",
            "--set",
            "flag=maybe",
            "--set",
            "span=5 parsecs",
            "--set",
            "list=[\"a\",\"BB\"]",
            "--set",
            "map=[1]",
            "--set",
            "choice=gren",
            "--set",
            "number=8080",
            "--set",
            "file=none.txt",
            "--set",
            "usual=x",
            "--set",
            "unknwn=1",
            "--set",
            "tex=1",
            "--set",
            "nothing",
        ])
        .exits(2)
        .shows("input `text`: `ABC` does not match `^[a-z]+$`")
        .shows("input `whole`: it is 11, and may be at most 10")
        .shows("input `real`: it is 0.1, and must be at least 0.5")
        .shows("input `flag`: `maybe` is not `true` or `false`")
        .shows("input `span`:")
        .shows("input `list`: item 2: `BB` does not match `^[a-z]$`")
        .shows("input `map`:")
        .shows("input `choice`: `gren` is none of `red`, `green`, `blue` (did you mean `green`?)")
        .shows("input `number`: `8080` is none of `80`, `443`")
        .shows("input `file`: the file `none.txt` cannot be used")
        .shows("input `usual`: `x` is not a whole number")
        .shows("`unknwn` is no input of `test`")
        .shows("`tex` is no input of `test`; did you mean `text`?")
        .shows("has no `=`");
    assert_eq!(ran.stdout, "");
    assert!(!folder.path().join("ran").exists());
    // Each once.
    for name in ["text", "whole", "real", "flag", "span", "list", "map", "choice", "number", "file", "usual"] {
        assert_eq!(ran.stderr.matches(&format!("input `{name}`:")).count(), 1, "{name}\n{}", ran.stderr);
    }
}

#[test]
fn what_nobody_gives_is_told_with_the_ways_to_give_it() {
    let folder = Folder::with(EVERY);
    let ran = folder
        .run(&[])
        .exits(2)
        .shows("input `text`: nobody gives it: it can come from `--set text=…`, an `--inputs` file");
    assert!(!ran.stderr.contains("`maybe`") && !ran.stderr.contains("`usual`"), "{}", ran.stderr);
}

#[test]
fn limits_are_inclusive_and_of_lengths() {
    let folder = Folder::with(
        "runbook: 1\nname: test\ninputs:\n  t: {type: string, min: 2, max: 3, default: ab}\n  l: {type: list, min: 1, max: 2, default: [a]}\n  i: {type: integer, min: -2, max: 2, default: 0}\nsteps:\n  - assert: [t, l, i < 99]\n",
    );
    for fine in ["t=ab", "t=äöü", "l=a,b", "i=-2", "i=2"] {
        folder.run(&["--set", fine]).exits(0);
    }
    for wrong in [
        "t=a",
        "t=abcd",
        "t=",
        "l=a,b,c",
        "l=",
        "l=[]",
        "i=-3",
        "i=3",
        "i=1.0",
        "i=1e1",
        "i= ",
        "i=9223372036854775808",
        "i=0x1",
    ] {
        folder.run(&["--set", wrong]).exits(2);
    }
}

#[test]
fn the_command_line_wins_over_files_and_files_over_the_environment() {
    let folder = Folder::with(
        "runbook: 1\nname: test\ninputs:\n  a: {type: string, env: A_FROM_ENV, default: default}\nsteps:\n  - id: see\n    set: {all: \"{{ a }}\"}\n",
    );
    folder.file("in.yaml", "a: file\n");
    let run = |arguments: &[&str], env: Option<&str>| {
        let program = folder.program().args(["run", "test.yaml", "--output", "json"]).args(arguments);
        let program = match env {
            Some(value) => program.env("A_FROM_ENV", value),
            None => program,
        };
        seen(&program.ran().exits(0))
    };
    assert_eq!(run(&["--set", "a=set", "--inputs", "in.yaml"], Some("env")), "set");
    assert_eq!(run(&["--inputs", "in.yaml"], Some("env")), "file");
    assert_eq!(run(&[], Some("env")), "env");
    assert_eq!(run(&[], Some("")), "");
    assert_eq!(run(&[], None), "default");
    assert_eq!(run(&["--set", "a==x=y"], None), "=x=y");
}

#[test]
fn a_null_default_makes_an_input_optional() {
    let folder = Folder::with(
        "runbook: 1\nname: test\ninputs:\n  s: {type: string, env: S_ENV, default: null}\n  i: {type: integer, default: null}\n  r: {type: string, required: false}\n  key: {type: secret, env: KEY_ENV, default: null}\nsteps:\n  - id: see\n    set: {all: [\"{{ s }}\", \"{{ i }}\", \"{{ r }}\", \"{{ key }}\", \"{{ s or 'none' }}\"]}\n",
    );
    let ran = folder.run(&["--output", "json"]).exits(0);
    assert_eq!(seen(&ran), json!([null, null, null, null, "none"]));
    // An empty variable is none: CI systems set those for what is not there.
    let ran = folder
        .program()
        .args(["run", "test.yaml", "--output", "json"])
        .env("S_ENV", "")
        .env("KEY_ENV", "")
        .ran()
        .exits(0);
    assert_eq!(seen(&ran)[3], json!(null));
    folder.file("in.yaml", "s: null\nkey: null\n");
    folder.run(&["--inputs", "in.yaml"]).exits(0);
    folder.run(&["--set", "i=null"]).exits(0);
}

#[test]
fn a_fixed_input_cannot_be_given() {
    let folder = Folder::new();
    folder.file("base.yaml", "runbook: 1\nname: base\ninputs:\n  mode: {type: string, one_of: [a, b], env: MODE}\n  n: {type: integer, default: 1}\nsteps:\n  - id: see\n    set: {all: \"{{ mode }}{{ n }}\"}\n");
    folder.file("test.yaml", "runbook: 1\nname: test\nextends: base.yaml\nset: {mode: b}\n");
    let ran =
        folder.program().args(["run", "test.yaml", "--output", "json", "--set", "n=2"]).env("MODE", "a").ran().exits(0);
    assert_eq!(seen(&ran), "b2");
    folder.run(&["--set", "mode=a"]).exits(2).shows("input `mode` is fixed by the variant `test`: it cannot be given");
    folder.file("test.yaml", "runbook: 1\nname: test\nextends: base.yaml\nset: {mode: c, moode: 1}\n");
    folder.run(&[]).exits(2).shows("error[bad-input]").shows("error[unknown-input]").shows("did you mean `mode`?");
}

#[test]
fn mistakes_of_an_inputs_file_have_their_place() {
    let folder = Folder::with(EVERY);
    for (text, place) in [
        ("text: abc\nwhole: [1\n", "in.yaml:"),
        ("text: abc\ntext: abd\n", "in.yaml:2:1"),
        ("text: &a abc\n", "in.yaml:1:7"),
        ("- text\n", "in.yaml:1:1"),
        ("text: abc\n---\ntext: abd\n", "in.yaml:2:1"),
        ("", "in.yaml"),
        ("\ttext: abc\n", "in.yaml:1:1"),
    ] {
        folder.file("in.yaml", text);
        folder.run(&["--inputs", "in.yaml"]).exits(2).shows(place);
    }
    folder.run(&["--inputs", "inn.yaml"]).exits(2).shows("there is no file `inn.yaml`");
    std::fs::write(folder.path().join("in.yaml"), b"text: \xff\xfe\n").unwrap();
    folder.run(&["--inputs", "in.yaml"]).exits(2).shows("not UTF-8");
    folder.run(&["--inputs", "."]).exits(2).shows("is a folder");
}

#[test]
fn an_environment_that_is_not_utf8_and_a_command_that_fails() {
    let folder = Folder::with(
        "runbook: 1\nname: test\npermissions: {run: [sh, no-such-program], read: [none.txt]}\ninputs:\n  a: {type: string, env: A}\n  b: {type: secret, command: [sh, -c, 'echo said-aloud >&2; exit 9']}\n  c: {type: secret, command: [no-such-program]}\n  d: {type: secret, file: none.txt}\n  e: {type: secret, command: [sh, -c, 'kill -9 $$']}\nsteps:\n  - assert: [a, b, c, d, e]\n",
    );
    let mut program = folder.program().args(["run", "test.yaml"]);
    program.0.env("A", OsStr::from_bytes(b"x\xff"));
    program
        .ran()
        .exits(2)
        .shows("input `a`: the environment variable `A` is not UTF-8")
        .shows("input `b`: the command `sh` ended with exit status: 9")
        .shows("input `c`: the command `no-such-program` cannot be run")
        .shows("input `d`: the file `none.txt` cannot be read")
        .shows("input `e`: the command `sh` ended with signal: 9");
}

#[test]
fn an_optional_secret_may_come_from_a_file_that_is_not_there() {
    let folder = Folder::with(
        "runbook: 1\nname: test\npermissions: {read: [none.txt]}\ninputs:\n  d: {type: secret, file: none.txt, default: null}\nsteps:\n  - id: see\n    set: {all: \"{{ d }}\"}\n",
    );
    assert_eq!(seen(&folder.run(&["--output", "json"]).exits(0)), json!(null));
    std::fs::create_dir(folder.path().join("none.txt")).unwrap();
    folder.run(&[]).exits(2).shows("cannot be read");
}

#[test]
fn arguments_that_are_not_utf8_and_steps_that_do_not_exist() {
    let folder = Folder::with(EVERY);
    let mut program = folder.program().args(["run", "test.yaml", "--set"]);
    program.0.arg(OsStr::from_bytes(b"text=\xff"));
    assert_eq!(program.ran().code, 2);
    let mut program = folder.program().args(["run"]);
    program.0.arg(OsStr::from_bytes(b"test\xff.yaml"));
    assert_eq!(program.ran().code, 2);
    folder.run(&["--until", "se"]).exits(2).shows("did you mean `see`?");
    folder.run(&["--approve", "nothing"]).exits(2).shows("there is no step `nothing`");
    folder.run(&["--tags", "nothing", "--set", "text=abc"]).exits(2);
    folder.program().args(["run", "none.yaml"]).ran().exits(2).shows("there is no file `none.yaml`");
    folder.program().args(["frobnicate"]).ran().exits(2);
    folder.program().args(["run"]).ran().exits(2);
    folder.program().args(["--version"]).ran().exits(0).shows("runbook 0.");
    folder.program().args(["run", "--help"]).ran().exits(0).shows("--inputs");
}

/// Its standard error is read as it comes: a question without a line end, which is answered elsewhere, is seen at once.
#[test]
fn what_a_command_says_is_shown_as_it_comes() {
    let folder = Folder::with(
        "runbook: 1\nname: test\npermissions: {run: [sh]}\ninputs:\n  key: {type: secret, command: [sh, -c, 'printf \"unlock it: \" >&2; until [ -e unlocked ]; do sleep 0.02; done; cat; echo the-s3cret-value']}\nsteps:\n  - assert: [key]\n",
    );
    let mut program = folder.program().args(["run", "test.yaml"]);
    let mut child = program.0.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let mut seen = Vec::new();
    let mut byte = [0];
    while !String::from_utf8_lossy(&seen).ends_with("unlock it: ") {
        assert_eq!(stderr.read(&mut byte).unwrap(), 1, "it ends with {:?}", String::from_utf8_lossy(&seen));
        seen.push(byte[0]);
    }
    folder.file("unlocked", "");
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    // `cat` ended too: standard input is empty.
    assert_eq!(child.wait().unwrap().code(), Some(0), "{rest}");
}

#[test]
fn what_a_command_says_is_masked() {
    let folder = Folder::with(
        "runbook: 1\nname: test\npermissions: {run: [sh]}\ninputs:\n  first: {type: secret, env: FIRST}\n  key: {type: secret, command: [sh, -c, 'printf \"asked with $FIRST, got \" >&2; echo its-0wn-s3cret; echo its-0wn-s3cret >&2']}\nsteps:\n  - assert: [key]\n",
    );
    // It has our environment, as `op` and `pass` need it.
    folder
        .program()
        .args(["run", "test.yaml"])
        .env("FIRST", "first-s3cret")
        .ran()
        .exits(0)
        .shows("asked with ***, got ***\n")
        .hides("first-s3cret")
        .hides("its-0wn-s3cret");
    // Also where it fails.
    folder.file(
        "test.yaml",
        "runbook: 1\nname: test\npermissions: {run: [sh]}\ninputs:\n  first: {type: secret, env: FIRST}\n  key: {type: secret, command: [sh, -c, 'echo \"no session for $FIRST\" >&2; exit 3']}\nsteps:\n  - assert: [key]\n",
    );
    folder
        .program()
        .args(["run", "test.yaml"])
        .env("FIRST", "first-s3cret")
        .ran()
        .exits(2)
        .shows("no session for ***\n")
        .shows("the command `sh` ended with exit status: 3")
        .hides("first-s3cret");
}

/// As `gpg-agent` behind `pass`: what a command leaves behind may hold its standard error.
#[test]
fn a_daemon_that_a_command_leaves_behind_holds_nobody_up() {
    let folder = Folder::with(
        "runbook: 1\nname: test\npermissions: {run: [sh]}\ninputs:\n  key: {type: secret, command: [sh, -c, 'sleep 600 >/dev/null & echo $! > pid; echo the-s3cret-value; echo said >&2']}\nsteps:\n  - assert: [key == \"the-s3cret-value\"]\n",
    );
    let mut program = folder.program().args(["run", "test.yaml"]);
    let mut child = program.0.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("the run's end", || child.try_wait().unwrap().is_some());
    let ran = Ran::from(child.wait_with_output().unwrap()).exits(0);
    assert!(ran.stderr.starts_with("said\n"), "{}", ran.stderr);
    let daemon = folder.read("pid").trim().to_string();
    assert!(!has_ended(&daemon));
    // SAFETY: a plain system call; the process is the one above, which nobody reaps before it ends.
    unsafe { libc::kill(daemon.parse().unwrap(), libc::SIGKILL) };
}

/// More than a pipe holds, on both at once.
#[test]
fn a_command_may_say_and_print_much() {
    let folder = Folder::with(
        "runbook: 1\nname: test\npermissions: {run: [sh]}\ninputs:\n  key: {type: secret, command: [sh, -c, 'head -c 200000 /dev/zero | tr \"\\0\" e >&2; head -c 200000 /dev/zero | tr \"\\0\" k; echo; head -c 200000 /dev/zero | tr \"\\0\" f >&2']}\nsteps:\n  - assert: [\"(key | length) == 200000\"]\n",
    );
    let ran = folder.run(&[]).exits(0);
    for letter in ['e', 'f'] {
        assert!(ran.stderr.matches(letter).count() >= 200_000);
    }
}

#[test]
fn sources_of_secrets_neither_hang_nor_eat_the_machine() {
    let folder = Folder::new();
    let with = |source: &str| {
        let text = format!(
            "runbook: 1\nname: test\npermissions: {{run: [yes, planted], read: [/dev/zero, pipe, big]}}\n\
             inputs: {{key: {{type: secret, {source}, to: []}}}}\nsteps: [{{assert: [key != \"\"]}}]\n"
        );
        folder.file("test.yaml", &text);
        folder.run(&[])
    };
    folder.file("big", &"x".repeat((1 << 20) + 1));
    assert!(std::process::Command::new("mkfifo").arg(folder.path().join("pipe")).status().unwrap().success());
    with("command: [yes, aaaaaaaaaaaa]").exits(2).shows("more than 1 MiB");
    with("file: /dev/zero").exits(2).shows("is no file");
    with("file: pipe").exits(2).shows("is no file");
    with("file: big").exits(2).shows("larger than 1 MiB");
    // What lies in the current folder is no program, though PATH has a relative entry.
    let planted = folder.file("planted", "#!/bin/sh\necho secretsecret\n");
    std::fs::set_permissions(planted, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!(".::{}", std::env::var("PATH").unwrap());
    let text = "runbook: 1\nname: test\npermissions: {run: [planted]}\ninputs: {key: {type: secret, command: [planted], to: []}}\nsteps: [{assert: [key != \"\"]}]\n";
    folder.file("test.yaml", text);
    folder.program().args(["run", "test.yaml"]).env("PATH", &path).ran().exits(2).shows("no program `planted` on PATH");
}
