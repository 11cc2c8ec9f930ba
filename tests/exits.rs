//! Exit codes, and how a run ends when it is told to: signals reach a real process, and what is waited for is a request,
//! a file or a line, never a time.

mod support;

use serde_json::json;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{Answer, Folder, Ran, Server, has_ended, until};

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
        let mut program = with_default_signals(folder.program().args(["run", "test.yaml"]).args(arguments));
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
        "runbook: 1\nname: test\npermissions:\n  net: [\"http://{0}/**\"]\n  run: [bash, sleep]\n  write: [\"**\"]\nvars:\n  api: http://{0}\n{rest}",
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

/// Deaf to TERM, as is what it starts.
const DEAF: &str = r#"
steps:
  - id: deaf
    exec: [bash, -c, 'trap "" TERM; sleep 1000 & echo $! > inner; echo $$ > outer.tmp; mv outer.tmp outer; while :; do sleep 1000; done']
finally:
  - id: last
    http: {url: "{{ api }}/last"}
"#;

#[test]
fn a_killed_run_leaves_no_program_behind_though_it_be_deaf() {
    let (server, _gate) = gated();
    let folder = playbook(&server, DEAF);
    let mut running = Running::start(&folder, &[]);
    until("the program", || folder.path().join("outer").exists());
    running.signal(libc::SIGKILL);
    assert_eq!(running.child.wait().unwrap().signal(), Some(libc::SIGKILL));
    for file in ["inner", "outer"] {
        until("the program's end", || has_ended(folder.read(file).trim()));
    }
}

#[test]
fn a_killed_run_lets_its_program_say_goodbye() {
    let (server, _gate) = gated();
    let folder = playbook(
        &server,
        "steps:\n  - id: long\n    exec: [bash, -c, 'exec 2> /dev/null; trap \"echo bye > bye; exit\" TERM; echo $$ > outer.tmp; mv outer.tmp outer; while :; do sleep 0.01; done']\n",
    );
    let mut running = Running::start(&folder, &[]);
    until("the program", || folder.path().join("outer").exists());
    running.signal(libc::SIGKILL);
    running.child.wait().unwrap();
    until("the program's end", || has_ended(folder.read("outer").trim()));
    assert_eq!(folder.read("bye"), "bye\n");
}

#[test]
fn the_second_signal_ends_a_deaf_program_too() {
    let (server, _gate) = gated();
    let folder = playbook(&server, DEAF);
    let running = Running::start(&folder, &[]);
    until("the program", || folder.path().join("outer").exists());
    running.signal(libc::SIGTERM);
    running.says("the step in flight may end");
    running.signal(libc::SIGTERM);
    let (code, shown) = running.ends();
    assert_eq!(code, 130, "{shown}");
    for file in ["inner", "outer"] {
        until("the program's end", || has_ended(folder.read(file).trim()));
    }
    assert!(server.requests().is_empty(), "{shown}");
}

/// Each process is guarded by another; when the program has ended, nobody is left but what it meant to leave.
#[cfg(target_os = "linux")]
#[test]
fn guards_are_unseen_and_leave_nothing_and_nobody_behind() {
    let (server, _gate) = gated();
    let folder = playbook(
        &server,
        r#"
steps:
  - id: many
    for_each: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]
    exec: [bash, -c, wait]
  - id: daemon
    exec: [bash, -c, 'sleep 1000 > /dev/null 2>&1 & echo $! > daemon']
  - id: look
    exec: [bash, -c, 'cat /proc/[0-9]*/stat 2> /dev/null > all; echo $PPID $$ > ids; true']
"#,
    );
    let ran = folder.run(&[]).exits(0);
    let daemon = folder.read("daemon");
    let lives = !has_ended(daemon.trim());
    // SAFETY: a plain system call; the process is the one that the script has left.
    unsafe { libc::kill(daemon.trim().parse().unwrap(), libc::SIGKILL) };
    assert!(lives, "the daemon was ended\n{}", ran.shown());
    let (all, ids) = (folder.read("all"), folder.read("ids"));
    let (run, script) = ids.trim().split_once(' ').unwrap();
    let children = |of: &str| -> Vec<String> {
        let stats = all.lines().filter_map(|line| line.split_once('(')?.1.rsplit_once(')'));
        let of = stats.filter(|(_, rest)| rest.split_whitespace().nth(1) == Some(of));
        let mut names: Vec<String> = of.map(|(name, _)| name.to_string()).collect();
        names.sort();
        names
    };
    // The script under way and its guard, of all that there were; and the script has no child that it did not start.
    assert_eq!(children(run), ["bash", "exec-guard"], "{}", ran.shown());
    assert!(children(script).is_empty(), "{:?}", children(script));
}

#[test]
fn programs_end_by_the_signals_that_the_run_ignores() {
    for signal in ["PIPE", "XFSZ", "TERM", "HUP", "INT"] {
        let folder = Folder::with(&format!(
            "runbook: 1\nname: test\npermissions: {{run: [bash]}}\nsteps:\n  - id: only\n    exec: [bash, -c, 'kill -{signal} $$; echo it lives']\n"
        ));
        // Whoever started the tests may have had some ignored.
        let ran = with_default_signals(folder.program().args(["run", "test.yaml"])).ran();
        ran.exits(1).shows(&format!("SIG{signal}")).hides("it lives");
    }
}

fn with_default_signals(mut program: support::Program) -> support::Program {
    let default = || {
        for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGTERM] {
            // SAFETY: a plain system call between fork and exec.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        Ok(())
    };
    // SAFETY: as said there.
    unsafe { program.0.pre_exec(default) };
    program
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
fn whoever_wants_a_run_to_outlive_the_terminal_gets_that() {
    let (server, gate) = gated();
    let folder = playbook(&server, &SLOW.replace("/never", "/second"));
    let mut program = folder.program().args(["run", "test.yaml"]);
    let ignore = || {
        // SAFETY: a plain system call between fork and exec.
        unsafe { libc::signal(libc::SIGHUP, libc::SIG_IGN) };
        Ok(())
    };
    // SAFETY: as said there.
    unsafe { program.0.pre_exec(ignore) };
    let child = program.0.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("the request", || !server.requests().is_empty());
    // SAFETY: a plain system call; the child is not reaped yet.
    unsafe { libc::kill(i32::try_from(child.id()).unwrap(), libc::SIGHUP) };
    gate.send(()).unwrap();
    Ran::from(child.wait_with_output().unwrap()).exits(0).hides("the terminal is gone");
    assert_eq!(server.requests().last().unwrap().path, "/last");
}

/// What is told about the playbook before it runs, taken off.
fn without_advice(told: &str) -> String {
    told.split_inclusive('\n').filter(|line| !line.contains("unused-permission")).collect()
}

#[test]
fn a_closed_pipe_does_not_leave_a_run_half_done() {
    for (output, fails) in [("human", false), ("plain", false), ("json", false), ("json", true)] {
        let (server, gate) = gated();
        let more = if fails { "\n  - id: broken\n    exec: [bash, -c, exit 3]\n" } else { "\n" };
        let steps = SLOW.replace("/never", "/second").replace("\non_failure", &format!("{more}on_failure"));
        let folder = playbook(&server, &steps);
        let mut running = Running::start(&folder, &["--output", output]);
        until("the request", || !server.requests().is_empty());
        drop(running.child.stdout.take());
        gate.send(()).unwrap();
        let status = running.child.wait().unwrap();
        // Its standard error has ended, so that all of it was read.
        while running.lines.recv().is_ok() {}
        let seen = without_advice(&running.seen.lock().unwrap());
        assert_eq!(status.code(), Some(i32::from(fails)), "{seen}");
        assert_eq!(server.requests().last().unwrap().path, "/last");
        assert_eq!(
            seen, "warning: standard output cannot be written to any more (broken pipe): the run goes on without it\n",
            "{output}"
        );
    }
}

#[test]
fn nor_do_two_closed_pipes() {
    for arguments in [&["--output", "human"][..], &["--output", "plain"], &["--output", "json"], &["-vvv"]] {
        let (server, gate) = gated();
        let folder = playbook(&server, &SLOW.replace("/never", "/second"));
        let mut program = folder.program().args(["run", "test.yaml"]).args(arguments);
        let mut child = program.0.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        until("the request", || !server.requests().is_empty());
        drop((child.stdout.take(), child.stderr.take()));
        gate.send(()).unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(0), "{arguments:?} {status}");
        assert_eq!(server.requests().last().unwrap().path, "/last");
    }
}

#[test]
fn nor_does_a_file_that_may_not_grow() {
    let (server, _gate) = gated();
    let folder = playbook(
        &server,
        "steps:\n  - id: many\n    for_each: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\n    http: {url: \"{{ api }}/a\"}\nfinally:\n  - id: last\n    http: {url: \"{{ api }}/last\"}\n",
    );
    let mut program = folder.program().args(["run", "test.yaml", "--output", "json", "--no-journal"]);
    let smallest = || {
        let limit = libc::rlimit { rlim_cur: 1024, rlim_max: 1024 };
        // SAFETY: a plain system call between fork and exec; the structure lives as long as it takes.
        unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &limit) };
        Ok(())
    };
    // SAFETY: as said there.
    unsafe { program.0.pre_exec(smallest) };
    let file = std::fs::File::create(folder.path().join("out")).unwrap();
    program.0.stdout(file);
    let ran = Ran::from(program.0.stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap()).exits(0);
    assert_eq!(
        without_advice(&ran.stderr),
        "warning: standard output cannot be written to any more (file too large): the run goes on without it\n"
    );
    assert_eq!(folder.read("out").len(), 1024);
    assert_eq!(server.requests().last().unwrap().path, "/last");
}
