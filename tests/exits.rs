//! Exit codes, and how a run ends when it is told to: signals reach a real process, and what is waited for is a request,
//! a file or a line, never a time.

mod support;

use serde_json::json;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{Answer, Folder, Server, has_ended, until};

#[test]
fn each_outcome_has_its_code() {
    let lost = Server::start(|_, _| Answer::Drop);
    let cases = [
        (0, "wait: 1ms".to_string()),
        (1, "exec: [\"false\"]".into()),
        (2, "wait: 1ms\n    surprise: 1".into()),
        (3, "confirm: Really?".into()),
        (3, "manual: Turn the key.".into()),
        (4, format!("http: {{method: POST, url: \"http://{}/\"}}", lost.address())),
        (5, "http: {url: \"{{ there }}/\"}".into()),
    ];
    for (code, action) in cases {
        let folder = Folder::with(&format!(
            "runbook: 1\nname: test\npermissions: {{run: [\"false\"], net: [\"http://{}/**\"]}}\nvars: {{there: \"{{{{ 'http://127.0.0.1:1' }}}}\"}}\nsteps:\n  - id: only\n    {action}\n",
            lost.address()
        ));
        folder.run(&[]).exits(code);
    }
}

#[test]
fn a_declined_or_unattested_run_is_told_as_such() {
    let folder = Folder::with(
        "runbook: 1\nname: test\nsop: {required_role: superadmin}\nsteps:\n  - id: ok\n    confirm: Really?\n",
    );
    folder.run(&[]).exits(5).shows("--role superadmin");
    folder.run(&["--role", "intern"]).exits(5).shows("you hold `intern`");
    folder.run(&["--role", "superadmin"]).exits(3).shows("--approve ok");
    folder.run(&["--role", "superadmin", "--approve", "ok"]).exits(0);
    folder.run(&["--approve-all"]).exits(0);
}

/// A run under way, its standard error read line by line.
struct Running {
    child: Child,
    lines: mpsc::Receiver<String>,
    seen: Arc<Mutex<String>>,
}

impl Running {
    fn start(folder: &Folder, arguments: &[&str]) -> Running {
        let mut program = folder.program().args(["run", "test.yaml"]).args(arguments);
        let mut child = program.0.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (tell, lines) = mpsc::channel();
        let seen = Arc::new(Mutex::new(String::new()));
        let all = seen.clone();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                all.lock().unwrap().push_str(&format!("{line}\n"));
                let _ = tell.send(line);
            }
        });
        Running { child, lines, seen }
    }

    fn signal(&self, signal: i32) {
        // SAFETY: a plain system call; the child is not reaped before `ends`.
        unsafe { libc::kill(i32::try_from(self.child.id()).unwrap(), signal) };
    }

    #[track_caller]
    fn says(&self, text: &str) {
        loop {
            match self.lines.recv_timeout(Duration::from_secs(30)) {
                Ok(line) if line.contains(text) => return,
                Ok(_) => {}
                Err(_) => panic!("never says `{text}`: {}", self.seen.lock().unwrap()),
            }
        }
    }

    /// Waits for its end; gives the code and standard output.
    #[track_caller]
    fn ends(mut self) -> (i32, String) {
        let mut out = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        let status = self.child.wait().unwrap();
        assert_eq!(status.signal(), None, "{out}\n{}", self.seen.lock().unwrap());
        (status.code().unwrap(), out + &self.seen.lock().unwrap())
    }
}

/// Answers `/slow` only when it is let go.
fn gated() -> (Server, mpsc::Sender<()>) {
    let (open, gate) = mpsc::channel();
    let gate = Mutex::new(gate);
    let server = Server::start(move |request, _| {
        if request.path == "/slow" {
            let _ = gate.lock().unwrap().recv_timeout(Duration::from_secs(60));
        }
        Answer::json(200, json!({"path": request.path}))
    });
    (server, open)
}

fn playbook(server: &Server, rest: &str) -> Folder {
    Folder::with(&format!(
        "runbook: 1\nname: test\npermissions:\n  net: [\"http://{0}/**\"]\n  run: [bash, sleep]\nvars:\n  api: http://{0}\n{rest}",
        server.address()
    ))
}

const SLOW: &str = r#"
steps:
  - id: slow
    http: {url: "{{ api }}/slow"}
    capture: {said: .path}
  - id: never
    http: {url: "{{ api }}/never"}
on_failure:
  - id: no-failure
    http: {url: "{{ api }}/failed"}
finally:
  - id: last
    http: {url: "{{ api }}/last"}
"#;

#[test]
fn the_first_signal_lets_the_step_in_flight_end_and_finally_run() {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        let (server, gate) = gated();
        let folder = playbook(&server, SLOW);
        let running = Running::start(&folder, &[]);
        until("the request", || !server.requests().is_empty());
        running.signal(signal);
        running.says("the step in flight may end");
        gate.send(()).unwrap();
        let (code, shown) = running.ends();
        assert_eq!(code, 130, "{shown}");
        let paths: Vec<String> = server.requests().into_iter().map(|request| request.path).collect();
        assert_eq!(paths, ["/slow", "/last"], "{shown}");
        assert!(shown.contains("interrupted in") && shown.contains("said=/slow"), "{shown}");
    }
}

#[test]
fn the_second_signal_ends_at_once() {
    let (server, _gate) = gated();
    let folder = playbook(&server, SLOW);
    let running = Running::start(&folder, &[]);
    until("the request", || !server.requests().is_empty());
    running.signal(libc::SIGINT);
    running.says("the step in flight may end");
    running.signal(libc::SIGTERM);
    let (code, shown) = running.ends();
    assert_eq!(code, 130, "{shown}");
    assert_eq!(server.requests().len(), 1, "{shown}");
}

#[test]
fn programs_are_ended_with_all_that_they_started() {
    let (server, _gate) = gated();
    let folder = playbook(
        &server,
        r#"
steps:
  - id: long
    exec: [bash, -c, 'sleep 1000 & echo $! > inner; echo $$ > outer.tmp; mv outer.tmp outer; wait']
finally:
  - id: last
    exec: [bash, -c, 'sleep 1000 & echo $! > late.tmp; mv late.tmp late; wait']
"#,
    );
    let running = Running::start(&folder, &[]);
    until("the program", || folder.path().join("outer").exists());
    running.signal(libc::SIGINT);
    running.says("the step in flight may end");
    running.signal(libc::SIGINT);
    let (code, shown) = running.ends();
    assert_eq!(code, 130, "{shown}");
    for file in ["inner", "outer"] {
        let pid = folder.read(file);
        until("the program's end", || has_ended(pid.trim()));
    }
    if folder.path().join("late").exists() {
        until("the last program's end", || has_ended(folder.read("late").trim()));
    }
}

#[test]
fn a_killed_run_leaves_no_program_behind() {
    let (server, _gate) = gated();
    let folder = playbook(
        &server,
        "steps:\n  - id: long\n    exec: [bash, -c, 'echo $$ > outer.tmp; mv outer.tmp outer; exec sleep 1000']\n",
    );
    let mut running = Running::start(&folder, &[]);
    until("the program", || folder.path().join("outer").exists());
    running.signal(libc::SIGKILL);
    assert_eq!(running.child.wait().unwrap().signal(), Some(libc::SIGKILL));
    until("the program's end", || has_ended(folder.read("outer").trim()));
}

#[test]
fn waits_and_retries_end_at_the_first_signal() {
    for steps in [
        "steps:\n  - id: ask\n    http: {url: \"{{ api }}/a\"}\n  - id: wait\n    wait: 1h\n",
        "steps:\n  - id: poll\n    http: {url: \"{{ api }}/a\"}\n    expect: [status == 201]\n    retry: {attempts: 99, delay: 1h}\n",
    ] {
        let (server, _gate) = gated();
        let folder =
            playbook(&server, &format!("{steps}finally:\n  - id: last\n    http: {{url: \"{{{{ api }}}}/last\"}}\n"));
        let running = Running::start(&folder, &[]);
        until("the request", || !server.requests().is_empty());
        running.signal(libc::SIGINT);
        let (code, shown) = running.ends();
        assert_eq!(code, 130, "{shown}");
        assert_eq!(server.requests().last().unwrap().path, "/last", "{shown}");
    }
}

#[test]
fn a_closed_pipe_does_not_leave_a_run_half_done() {
    let (server, gate) = gated();
    let folder = playbook(&server, &SLOW.replace("/never", "/second"));
    let mut running = Running::start(&folder, &[]);
    until("the request", || !server.requests().is_empty());
    drop(running.child.stdout.take());
    gate.send(()).unwrap();
    let status = running.child.wait().unwrap();
    assert_eq!(status.code(), Some(0), "{}", running.seen.lock().unwrap());
    assert_eq!(server.requests().last().unwrap().path, "/last");
}
