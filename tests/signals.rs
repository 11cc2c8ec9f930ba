//! How runs end: exit codes, and signals to the real process.

mod support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use support::{Answer, Folder, Ran, Server};

/// Starts `test.yaml` and gives it with the lines of its standard output, as they come.
fn start(folder: &Folder) -> (Child, impl Iterator<Item = String>) {
    let mut program = folder.program().args(["run", "test.yaml", "--output", "plain"]).0;
    let mut child = program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    (child, lines)
}

fn send(child: &Child, signal: i32) {
    // SAFETY: the child has not been waited for, so its number is its own.
    assert_eq!(unsafe { libc::kill(child.id() as i32, signal) }, 0);
}

/// Waits until a file is there, written by a step of the run.
fn await_file(path: &Path) -> String {
    loop {
        match std::fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return text,
            _ => std::thread::yield_now(),
        }
    }
}

fn is_alive(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).is_ok_and(|stat| !stat.contains(") Z "))
}

const SLOW: &str = r#"
runbook: 1
name: test
permissions: {run: [bash]}
steps:
  - id: slow
    exec: [bash, -c, "echo $$ > pid; read -t 2 < <(sleep 2) || true; echo over > over"]
  - id: next
    exec: [bash, -c, "echo never > next"]
on_failure:
  - id: not-for-this
    exec: [bash, -c, "echo never > failed"]
finally:
  - id: last
    exec: [bash, -c, "echo last > last"]
"#;

#[test]
fn the_first_signal_lets_the_step_in_flight_end_and_finally_run() {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        let folder = Folder::with(SLOW);
        let (child, lines) = start(&folder);
        await_file(&folder.path().join("pid"));
        send(&child, signal);
        let shown: Vec<String> = lines.collect();
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert_eq!(ran.code, 130, "{shown:?} {}", ran.stderr);
        assert!(folder.path().join("over").exists(), "the step in flight was cut off");
        assert!(folder.path().join("last").exists(), "`finally` did not run");
        assert!(!folder.path().join("next").exists(), "a further step was begun");
        assert!(!folder.path().join("failed").exists());
        assert!(shown.iter().any(|line| line.starts_with("interrupted in")), "{shown:?}");
    }
}

#[test]
fn the_second_signal_ends_everything_at_once() {
    let folder = Folder::with(
        r#"
runbook: 1
name: test
permissions: {run: [bash]}
steps:
  - id: endless
    exec: [bash, -c, "trap '' TERM; echo $$ > pid; while true; do read -t 60 < <(sleep 60) || true; done"]
"#,
    );
    let (child, lines) = start(&folder);
    let pid = await_file(&folder.path().join("pid"));
    send(&child, libc::SIGINT);
    // The first one is told on standard error; only then is there something to send a second to.
    let mut child = child;
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(stderr.any(|line| line.unwrap().contains("once more ends at once")));
    send(&child, libc::SIGINT);
    let shown: Vec<String> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{shown:?}");
    assert!(!is_alive(&pid), "the program lives on");
}

#[test]
fn a_wait_is_cut_short_by_a_signal() {
    let server = Server::start(|_, _| Answer::text(200, "ok"));
    let folder = Folder::with(&format!(
        "runbook: 1\nname: test\npermissions: {{net: [\"http://{0}/**\"]}}\nsteps:\n  - id: seen\n    http: {{url: \"http://{0}/\"}}\n  - id: long\n    wait: 10m\n",
        server.address()
    ));
    let (child, mut lines) = start(&folder);
    assert!(lines.any(|line| line.contains("seen")));
    send(&child, libc::SIGTERM);
    lines.for_each(drop);
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(130));
}

#[test]
fn a_closed_standard_output_does_not_stop_a_run() {
    let folder = Folder::with(
        r#"
runbook: 1
name: test
permissions: {run: [bash]}
steps:
  - id: one
    exec: [bash, -c, "echo 1 > one"]
  - id: two
    exec: [bash, -c, "echo 2 > two"]
"#,
    );
    let (mut child, lines) = start(&folder);
    drop(lines);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(folder.path().join("two").exists());
}

#[test]
fn each_way_to_end_has_its_code() {
    let with = |steps: &str| {
        format!(
            "runbook: 1\nname: test\nsop: {{required_role: chief}}\npermissions: {{run: [\"true\", \"false\"]}}\nsteps:\n{steps}"
        )
    };
    let fine = Folder::with(&with("  - id: fine\n    exec: [\"true\"]\n"));
    fine.run(&[]).exits(5).shows("requires the role `chief`").shows("--role chief");
    fine.run(&["--role", "cook"]).exits(5).shows("you hold `cook`");
    fine.run(&["--role", "chief"]).exits(0);
    fine.run(&["--approve-all"]).exits(0);
    Folder::with(&with("  - id: broken\n    exec: [\"false\"]\n")).run(&["--role", "chief"]).exits(1);
    Folder::with(&with("  - id: mistake\n    exce: [\"false\"]\n")).run(&[]).exits(2).shows("did you mean `exec`?");
    Folder::with(&with("  - id: asks\n    confirm: Really?\n")).run(&["--role", "chief"]).exits(3);
    fine.program().args(["run", "nowhere.yaml"]).ran().exits(2).shows("nowhere.yaml");
    fine.program().args(["run"]).ran().exits(2);
    fine.program().args(["--help"]).ran().exits(0).shows("Examples:");
    fine.program().args(["--version"]).ran().exits(0).shows(env!("CARGO_PKG_VERSION"));
}
