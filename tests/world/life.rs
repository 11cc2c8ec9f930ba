//! How worlds come and go, and what a run asks them.

use crate::support::{RUNBOOK, file, socket, up};
use runbook::world::{World, WorldError};
use serde_json::json;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const OFFICE: &str = r#"
world: 1
pace: 0.02
approve: [confirm-roll]
inputs:
  token: plain
  empty: null
  value: {jq: ".inputs.name as $name | .state.tokens[$name]"}
  wrong: {jq: "error(\"no\")"}
answers:
  paste: {value: abc}
  roll: '{answers: {value: .fresh, asked: .ask, said: .instructions, step, name: .inputs.name}, state: (.state.rolled = .fresh | .state)}'
state: {tokens: {a: "1"}}
hosts: {a.test: {"GET /": "{status: 200, json: .state}"}}
"#;

#[test]
fn a_run_is_told_what_its_operator_would_say() {
    let up = up(OFFICE);
    let world = &up.world;
    assert_eq!((world.pace(), world.approves_all()), (0.02, false));
    assert!(world.approves("confirm-roll") && !world.approves("other"));
    assert_eq!(world.input("token", &json!({})).unwrap(), Some(json!("plain")));
    assert_eq!(world.input("empty", &json!({})).unwrap(), Some(json!(null)));
    assert_eq!(world.input("value", &json!({"name": "a"})).unwrap(), Some(json!("1")));
    assert_eq!(world.input("other", &json!({})).unwrap(), None);
    let fields = ["value".to_owned()];
    assert_eq!(world.answer("paste", "", &fields, &json!({})).unwrap(), Some(json!({"value": "abc"})));
    assert_eq!(world.answer("other", "", &fields, &json!({})).unwrap(), None);
    let answer = world.answer("roll", "Roll it", &fields, &json!({"name": "n"})).unwrap().unwrap();
    assert_eq!(world.state().unwrap()["rolled"], answer["value"]);
    let seen = ["asked", "said", "step", "name"].map(|name| answer[name].clone());
    assert_eq!(json!(seen), json!([["value"], "Roll it", "roll", "n"]));
    world.set_state(&json!({"new": true})).unwrap();
    assert_eq!(up.get("a.test", "/").json(), json!({"new": true}));
    let error = world.input("wrong", &json!({})).unwrap_err();
    assert_eq!(error.to_string(), "the world's input `wrong` failed: no");
}

#[test]
fn a_world_that_is_up_can_be_joined_and_stays() {
    let up = up(OFFICE);
    let joined = World::open(up.world.address()).unwrap();
    assert_eq!((joined.address(), joined.pace()), (up.world.address(), 0.02));
    assert_eq!(joined.stand_ins().programs, up.world.stand_ins().programs);
    drop(joined);
    assert_eq!(up.get("a.test", "/").status, 200);
    let failed = |what: &str| match World::open(what) {
        Err(WorldError::Failed(message)) => message,
        _ => panic!("{what} was opened"),
    };
    let shape = "it is not of the form `http://127.0.0.1:PORT`";
    assert_eq!(failed("https://10.0.0.1:1"), format!("there is no world at https://10.0.0.1:1: {shape}"));
    let closed = up.world.address().to_owned();
    drop(up);
    assert!(failed(&closed).starts_with(&format!("there is no world at {closed}: Connection refused")));
}

#[test]
fn a_world_goes_with_the_run_that_started_it() {
    let up = up(OFFICE);
    let folder = up.world.stand_ins().programs;
    assert!(folder.is_dir());
    let mut connection = TcpStream::connect(socket(up.world.address())).unwrap();
    drop(up.world);
    assert_eq!(connection.read(&mut [0]).unwrap_or(0), 0);
    assert!(!folder.parent().unwrap().exists());
}

/// Plays the run in the next test; there it is killed.
#[test]
fn a_run_that_waits_to_be_killed() {
    if let Some(file) = std::env::var_os("WORLD_OF_THE_KILLED") {
        let world = World::start(Path::new(RUNBOOK), Path::new(&file)).unwrap();
        println!("\nup {} {}", world.address(), world.stand_ins().programs.display());
        let _ = std::io::stdin().read(&mut [0]);
    }
}

#[test]
fn a_world_goes_when_its_run_is_killed() {
    let (_folder, path) = file(OFFICE);
    let mut run = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "life::a_run_that_waits_to_be_killed", "--nocapture"])
        .env("WORLD_OF_THE_KILLED", &path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(run.stdout.take().unwrap()).lines();
    let line = lines.map_while(Result::ok).find(|line| line.starts_with("up ")).unwrap();
    let [_, address, programs] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
    let mut connection = TcpStream::connect(socket(address)).unwrap();
    assert!(Path::new(programs).is_dir());
    run.kill().unwrap();
    run.wait().unwrap();
    assert_eq!(connection.read(&mut [0]).unwrap_or(0), 0);
    assert!(!Path::new(programs).parent().unwrap().exists());
}

/// A world by hand.
fn by_hand(arguments: &[&str], path: &Path, stdin: Stdio) -> (Child, String) {
    let mut child = Command::new(RUNBOOK)
        .arg("world")
        .args(arguments)
        .arg(path)
        .stdin(stdin)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim_end().strip_prefix("listening on ").unwrap().to_owned();
    (child, address)
}

#[test]
fn a_world_by_hand_stays_until_it_is_told_to_end() {
    let (_folder, path) = file(OFFICE);
    for (arguments, stdin) in [(&["--keep"][..], Stdio::piped()), (&[], Stdio::null())] {
        let (mut child, address) = by_hand(arguments, &path, stdin);
        drop(child.stdin.take());
        let programs = World::open(&address).unwrap().stand_ins().programs;
        let killed = Command::new("/bin/sh").args(["-c", &format!("kill -TERM {}", child.id())]).status().unwrap();
        assert!(killed.success());
        assert_eq!(child.wait().unwrap().code(), Some(0));
        assert!(!programs.parent().unwrap().exists());
    }
}

#[test]
fn a_port_may_be_chosen() {
    let (_folder, path) = file(OFFICE);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let (mut child, address) = by_hand(&["--port", &free], &path, Stdio::piped());
    assert_eq!(address, format!("http://127.0.0.1:{free}"));
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"ignored\n").unwrap();
    let second = Command::new(RUNBOOK).args(["world", "--port", &free]).arg(&path).output().unwrap();
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(said.contains(&format!("the world cannot listen on 127.0.0.1:{free}: Address already in use")), "{said}");
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
