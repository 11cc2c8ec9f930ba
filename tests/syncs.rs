//! What is on the disk when something is sent: seen by `strace`, which sees each system call in its order.

mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use support::{Folder, Program};

/// A system call of the run's own, as far as it matters here.
#[derive(Debug, PartialEq)]
enum Call {
    /// The journal grew.
    Write,
    /// What was written to it is durable.
    Sync,
    /// A request that may change something left for the network: its first line.
    Sent(String),
    /// A program was started.
    Program(String),
}

/// Runs a playbook under `strace`. `None` where that is not installed, or may not trace.
fn traced(folder: &Folder, arguments: &[&str]) -> Option<Vec<Call>> {
    let trace = folder.path().join("trace");
    let Program(run) = folder.program();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-s", "40", "-o"]).arg(&trace);
    strace.args(["-e", "trace=fdatasync,write,writev,sendto,execve"]).arg(env!("CARGO_BIN_EXE_runbook"));
    strace.args(arguments).current_dir(folder.path()).env_clear().stdin(Stdio::null());
    strace.envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = match strace.output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("skipped: strace cannot be started: {error}");
            return None;
        }
    };
    let text = std::fs::read_to_string(&trace).unwrap_or_default();
    if !text.contains("execve(") {
        eprintln!("skipped: strace cannot trace here: {}", String::from_utf8_lossy(&output.stderr));
        return None;
    }
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    let own = text.split_whitespace().next().unwrap().to_owned();
    Some(text.lines().filter_map(|line| call(line, &own)).collect())
}

fn call(line: &str, own: &str) -> Option<Call> {
    let (pid, rest) = line.split_once(' ')?;
    let rest = rest.trim_start();
    if rest.starts_with("execve(") && pid != own {
        let program = rest.split('"').nth(1)?;
        // The world's own processes are no programs of the run.
        return (!program.ends_with("runbook")).then(|| Call::Program(program.to_owned()));
    }
    if pid != own {
        return None;
    }
    let journal = rest.split_once(')').is_some_and(|_| rest.contains("/journal.jsonl>"));
    if journal && rest.starts_with("write(") {
        return Some(Call::Write);
    }
    if journal && rest.starts_with("fdatasync(") {
        assert!(rest.ends_with("= 0"), "{line}");
        return Some(Call::Sync);
    }
    let first = rest.split('"').nth(1)?;
    let changes = ["PUT /", "POST /", "PATCH /", "DELETE /"].iter().any(|method| first.starts_with(method));
    // What a world is asked about itself goes over a socket of its own, by `sendto`.
    (changes && rest.starts_with("writev(")).then(|| Call::Sent(first.to_owned()))
}

/// Before each effect the journal is written and durable, and nothing was written after that; the same once it is done.
#[track_caller]
fn judged(calls: &[Call]) -> (usize, usize) {
    let effects = calls.iter().filter(|call| matches!(call, Call::Sent(_) | Call::Program(_))).count();
    for (at, effect) in calls.iter().enumerate() {
        if matches!(effect, Call::Sent(_) | Call::Program(_)) {
            assert!(at >= 2, "{effect:?} before anything was recorded");
            assert_eq!((&calls[at - 2], &calls[at - 1]), (&Call::Write, &Call::Sync), "before {effect:?}");
            let after: Vec<&Call> = calls[at + 1..].iter().take(2).collect();
            assert_eq!(after, [&Call::Write, &Call::Sync], "after {effect:?}");
        }
    }
    (effects, calls.iter().filter(|call| **call == Call::Sync).count())
}

#[test]
fn whatever_changes_something_is_on_the_disk_before_it_is_sent_and_after() {
    let folder = Folder::new();
    let playbooks = Path::new(env!("CARGO_MANIFEST_DIR")).join("playbooks");
    let (playbook, world) = (playbooks.join("cf-pages-deploy.yaml"), playbooks.join("worlds/raxx.yaml"));
    let arguments = ["run", &playbook.display().to_string(), "--world", &world.display().to_string()];
    let Some(calls) = traced(&folder, &arguments) else { return };
    let (effects, syncs) = judged(&calls);
    eprintln!("the shipped rotation: {effects} effects, {syncs} syncs of its journal");
    // Ten requests and two programs; each is synced before and after, and what else has to be durable is a handful.
    assert_eq!(effects, 12, "{calls:?}");
    assert!((2 * effects..=2 * effects + 20).contains(&syncs), "{syncs} syncs");
}

#[test]
fn what_only_reads_is_not_synced_step_by_step() {
    let server = support::Server::start(|_, _| support::Answer::text(200, "fine"));
    let steps: String = (0..50).map(|n| format!("  - id: s{n}\n    http: {{url: \"{{{{ api }}}}/{n}\"}}\n")).collect();
    let address = server.address();
    let folder = Folder::with(&format!(
        "runbook: 1\nname: test\nvars: {{api: \"http://{address}\"}}\npermissions: {{net: [\"http://{address}/**\"]}}\nsteps:\n{steps}"
    ));
    let Some(calls) = traced(&folder, &["run", "test.yaml"]) else { return };
    let (effects, syncs) = judged(&calls);
    // When it begins and when it ends.
    assert_eq!((effects, syncs), (0, 2), "{calls:?}");
}
