//! Many steps: memory stays flat, and nothing is quadratic enough to be noticed.

mod support;

use serde_json::json;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use support::{Answer, Folder, Server};

const STEPS: usize = 5_000;
/// Mebibytes. A debug build is some ten larger before it has read anything.
const MOST_MEMORY: i64 = if cfg!(debug_assertions) { 75 } else { 60 };

/// Runs a command and gives its exit status and the largest resident size it had, in MiB.
fn run_measured(command: &mut Command) -> (i32, i64) {
    #[allow(clippy::zombie_processes)] // `wait4` below fetches it; it also tells how much memory it took.
    let child = command.spawn().unwrap();
    let mut status = 0;
    // SAFETY: an all-zero `rusage` is a valid one, and the kernel fills it for our own child.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert!(libc::wait4(child.id() as i32, &raw mut status, 0, &raw mut usage) > 0);
        usage
    };
    (libc::WEXITSTATUS(status), usage.ru_maxrss / 1024)
}

#[test]
fn five_thousand_steps_run_with_flat_memory() {
    let padding = "x".repeat(300);
    let server = Server::start_forgetful(move |request, _| {
        let n: usize = request.path.rsplit('/').next().and_then(|n| n.split('?').next()).unwrap().parse().unwrap();
        Answer::json(200, json!({"ok": true, "n": n, "padding": padding}))
    });
    let mut text = format!(
        "runbook: 1\nname: test\npermissions: {{net: [\"http://{0}/**\"]}}\nvars: {{api: \"http://{0}\"}}\nsteps:\n",
        server.address()
    );
    for n in 0..STEPS {
        let before = if n == 0 { String::new() } else { format!("?before={{{{ n{} }}}}", n - 1) };
        text.push_str(&format!(
            "  - id: get-{n}\n    http: {{url: \"{{{{ api }}}}/items/{n}{before}\"}}\n    expect:\n      - status == 200\n      - jq: .ok\n      - {{jq: .n, equals: {n}}}\n    capture: {{n{n}: .n}}\n"
        ));
    }
    let folder = Folder::with(&text);
    let mut program = folder.program().args(["run", "test.yaml", "--output", "plain"]).0;
    program.stdout(Stdio::null()).process_group(0);
    let (code, memory) = run_measured(&mut program);
    assert_eq!(code, 0);
    println!("{STEPS} steps: at most {memory} MiB");
    assert!(memory < MOST_MEMORY, "{memory} MiB");
}
