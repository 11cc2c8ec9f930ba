//! What the processes of a run keep to themselves, looked at on live ones: no cores, nothing to be seen in `/proc`, no
//! descriptors, no environment, private files, and nothing left when they are killed.

mod support;

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use support::{Folder, Program, until};

const SECRET: &str = "hygi3ne-s3cret-0f-th1s-run";
const NOBODY: u32 = 65_534;

fn is_root() -> bool {
    // SAFETY: a plain system call without arguments.
    unsafe { libc::geteuid() == 0 }
}

/// A run that has a secret and does not end by itself.
const LASTING: &str = "runbook: 1\nname: test\npermissions: {run: [bash], write: [begun]}\ninputs: {token: {type: secret, env: TOKEN}}\nsteps:\n  \
    - id: lasts\n    shell: {script: 'echo x > begun; exec sleep 1000', stdin: \"{{ token }}\", files: {a: \"{{ token }}\"}}\n";

/// A process that is killed in the end, with whatever group it led.
struct Live(Child);

impl Drop for Live {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(mut program: Program) -> Live {
    Live(program.0.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

fn lasting(folder: &Folder) -> Program {
    std::fs::create_dir_all(folder.path().join("tmp")).unwrap();
    let temporary = folder.path().join("tmp");
    folder.program().args(["run", "test.yaml"]).env("TOKEN", SECRET).env("TMPDIR", temporary.to_str().unwrap())
}

fn has_begun(folder: &Folder) -> bool {
    folder.path().join("begun").metadata().is_ok_and(|found| found.len() > 0)
}

/// Its children, and theirs.
fn below(process: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(child) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        if parent(child) == Some(process) {
            found.push(child);
            found.extend(below(child));
        }
    }
    found
}

fn parent(process: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}

fn name(process: u32) -> String {
    std::fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default().trim().into()
}

fn give(path: &Path, to: u32) {
    chown(path, Some(to), Some(to)).unwrap();
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        give(&entry.path(), to);
    }
}

/// As another than root, for whom nothing is private.
fn as_nobody(mut program: Program, folder: &Folder) -> Program {
    if is_root() {
        give(folder.path(), NOBODY);
        program.0.uid(NOBODY).gid(NOBODY);
    }
    program
}

/// Whether another process of the same user can read this of it.
fn is_open(process: u32, what: &str) -> bool {
    let mut cat = Command::new("head");
    cat.args(["-c", "1", &format!("/proc/{process}/{what}")]).stdout(Stdio::null()).stderr(Stdio::null());
    if is_root() {
        cat.uid(NOBODY).gid(NOBODY);
    }
    cat.status().unwrap().success()
}

#[test]
fn nobody_of_the_same_user_sees_into_its_processes() {
    let folder = Folder::with(LASTING);
    let run = start(as_nobody(lasting(&folder), &folder));
    until("the program runs", || has_begun(&folder));
    let all = below(run.0.id());
    let guard = all.iter().copied().find(|process| name(*process) == "exec-guard").expect("there is a guard");
    for (who, process) in [("the run", run.0.id()), ("its guard", guard)] {
        for what in ["environ", "maps", "mem"] {
            let owner = std::fs::metadata(format!("/proc/{process}/{what}")).unwrap().uid();
            assert_eq!(owner, 0, "{who}: {what} belongs to root");
            assert!(!is_open(process, what), "{who}: {what}");
        }
    }
    // It can fail: the program itself is no secret of its user.
    let program = all.into_iter().find(|process| name(*process) == "sleep").expect("there is the program");
    assert!(is_open(program, "environ"));
}

#[test]
fn nor_into_a_world() {
    let folder = Folder::new();
    folder.file("world.yaml", "world: 1\nhosts: {a.test: {GET /: '{status: 200}'}}\n");
    let mut program = as_nobody(folder.program().args(["world", "world.yaml", "--keep"]), &folder);
    let mut child = program.0.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
    let world = Live(child);
    assert!(line.starts_with("listening on"), "{line}");
    for what in ["environ", "maps", "mem"] {
        assert!(!is_open(world.0.id(), what), "{what}");
    }
    // SAFETY: a plain system call; it goes and tidies up.
    unsafe { libc::kill(world.0.id() as i32, libc::SIGTERM) };
    let mut world = world;
    world.0.wait().unwrap();
}

/// Cores are as large as they like, as far as whoever starts us goes; whether they may be at all.
fn with_cores(command: &mut Command) -> bool {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: plain system calls on a structure that outlives them.
    unsafe {
        libc::getrlimit(libc::RLIMIT_CORE, &mut limit);
        limit.rlim_cur = limit.rlim_max;
        command.pre_exec(move || {
            libc::setrlimit(libc::RLIMIT_CORE, &limit);
            // Whoever started the tests may have had it ignored.
            libc::signal(libc::SIGQUIT, libc::SIG_DFL);
            Ok(())
        });
    }
    limit.rlim_max > 1 << 20
}

#[test]
fn a_crash_leaves_no_core() {
    for signal in [libc::SIGQUIT, libc::SIGSEGV, libc::SIGABRT] {
        let folder = Folder::with(LASTING);
        let mut program = lasting(&folder);
        if !with_cores(&mut program.0) {
            return println!("skipped: nobody may leave cores here");
        }
        let mut run = start(program);
        until("the program runs", || has_begun(&folder));
        // Rust takes the first SIGSEGV for a stack that overflowed, finds that it did not, and waits for it to come again.
        until("its end", || {
            // SAFETY: a plain system call on a child of ours that was not waited for.
            unsafe { libc::kill(run.0.id() as i32, signal) };
            run.0.try_wait().unwrap().is_some()
        });
        let status = run.0.wait().unwrap();
        assert!(status.signal().is_some() && !status.core_dumped(), "{status}");
        let names = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(!names.into_iter().any(|name| name.to_string_lossy().starts_with("core")));
    }
    // It can fail: who does not keep from it leaves one.
    let folder = Folder::new();
    let mut sleep = Command::new("sleep");
    sleep.arg("1000").current_dir(folder.path());
    with_cores(&mut sleep);
    let mut sleep = Live(sleep.spawn().unwrap());
    // SAFETY: as above.
    unsafe { libc::kill(sleep.0.id() as i32, libc::SIGQUIT) };
    let status = sleep.0.wait().unwrap();
    if !status.core_dumped() {
        println!("nobody leaves cores here: {status}");
    }
}

#[test]
fn nor_does_a_crash_of_a_program() {
    let folder = Folder::with(
        "runbook: 1\nname: test\npermissions: {run: [bash], write: [\"**\"]}\nsteps:\n  - id: crashes\n    \
         shell: \"ulimit -c; ulimit -Hc; bash -c 'kill -SEGV $$' || echo \\\"it ended with $?\\\"; ls core* || true\"\n    \
         capture: {said: {from: stdout}, told: {from: stderr}}\noutputs: {said: \"{{ said }}\", told: \"{{ told }}\"}\n",
    );
    let mut program = folder.program().args(["run", "test.yaml", "--output", "json"]);
    with_cores(&mut program.0);
    let outputs = program.ran().exits(0).finished()["outputs"].clone();
    assert_eq!(outputs["said"], "0\n0\nit ended with 139\n");
    let told = outputs["told"].as_str().unwrap();
    assert!(told.contains("egmentation fault") && !told.contains("core dumped"), "{told}");
}

#[test]
fn a_program_inherits_nothing_and_its_files_are_private() {
    let folder = Folder::with(
        "runbook: 1\nname: test\npermissions: {run: [bash, env], write: [\"**\"]}\nsteps:\n  - id: environment\n    exec: [env]\n    \
         capture: {names: {from: stdout}}\n  - id: rest\n    shell: 'umask; echo x > made; mkdir folder; for one in /proc/self/fd/*; do echo \"${one##*/}\"; done'\n    \
         capture: {rest: {from: stdout}}\noutputs: {names: \"{{ names }}\", rest: \"{{ rest }}\"}\n",
    );
    let mut program = folder.program().args(["run", "test.yaml", "--output", "json"]);
    program = program.env("LEAKED_TOKEN", SECRET).env("RUNBOOK_PASSPHRASE", SECRET).env("LD_LIBRARY_PATH", "/nowhere");
    let inherited = std::fs::File::open("/etc/passwd").unwrap();
    // SAFETY: only a system call on numbers; the descriptor lives as long as the command.
    unsafe {
        let number = std::os::fd::AsRawFd::as_raw_fd(&inherited);
        program.0.pre_exec(move || match libc::dup2(number, 77) {
            77 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
    let outputs = program.ran().exits(0).finished()["outputs"].clone();
    let mut names: Vec<&str> =
        outputs["names"].as_str().unwrap().lines().filter_map(|line| line.split('=').next()).collect();
    names.sort_unstable();
    assert_eq!(names, ["HOME", "PATH", "TMPDIR"]);
    // bash itself opens the folder that it lists.
    let rest: Vec<&str> = outputs["rest"].as_str().unwrap().lines().collect();
    assert_eq!(rest[0], "0077");
    assert!(rest[1..].iter().all(|number| ["0", "1", "2", "3"].contains(number)), "{rest:?}");
    for (name, mode) in [("made", 0o600), ("folder", 0o700)] {
        assert_eq!(folder.path().join(name).metadata().unwrap().permissions().mode() & 0o777, mode, "{name}");
    }
}

fn temporary(folder: &Folder) -> Vec<PathBuf> {
    std::fs::read_dir(folder.path().join("tmp")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// Whatever is begun next tidies up after a run that could not.
#[test]
fn what_a_killed_run_left_goes_with_the_next_command() {
    let commands: [&[&str]; 6] =
        [&["status"], &["list"], &["check", "other.yaml"], &["show", "last"], &["config"], &["run", "other.yaml"]];
    for command in commands {
        let folder = Folder::with(LASTING);
        folder.file("other.yaml", "runbook: 1\nname: other\nsteps: [{wait: 1ms}]\n");
        let mut run = start(lasting(&folder));
        until("the program runs", || has_begun(&folder));
        let all = below(run.0.id());
        run.0.kill().unwrap();
        run.0.wait().unwrap();
        until("its program has ended", || all.iter().all(|process| support::has_ended(&process.to_string())));
        let left = temporary(&folder);
        assert!(!left.is_empty(), "what it could not take away");
        for place in &left {
            assert_eq!(place.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        }
        let tmp = folder.path().join("tmp");
        folder.program().args(command).env("TMPDIR", tmp.to_str().unwrap()).ran().exits(0);
        assert_eq!(temporary(&folder), Vec::<PathBuf>::new(), "{command:?}");
    }
}

#[test]
fn a_command_that_gives_a_secret_does_not_get_the_passphrase() {
    let folder = Folder::with(
        "runbook: 1\nname: test\npermissions: {run: [printenv, bash]}\ninputs:\n  token:\n    type: secret\n    \
         command: [bash, -c, 'printenv RUNBOOK_PASSPHRASE; printenv OWN_SESSION']\nsteps:\n  - id: waits\n    wait: 1ms\n  - id: uses\n    \
         exec: {argv: [bash, -c, 'test $(wc -c) = 18'], stdin: \"{{ token }}\"}\n",
    );
    let program = folder.program().args(["run", "test.yaml", "--no-journal", "--dry-run"]);
    program.env("RUNBOOK_PASSPHRASE", SECRET).env("OWN_SESSION", "session-of-its-own").ran().exits(0);
    let program = folder.program().args(["run", "test.yaml"]);
    program.env("RUNBOOK_PASSPHRASE", SECRET).env("OWN_SESSION", "session-of-its-own").ran().exits(0);
}

#[test]
fn nor_does_a_command_that_wraps_keys() {
    let folder = Folder::new();
    let script = "printenv RUNBOOK_PASSPHRASE && exit 1; tr a-z b-za";
    let back = "printenv RUNBOOK_PASSPHRASE && exit 1; tr b-za a-z";
    folder.file(
        ".config/runbook/config.yaml",
        &format!("key_command:\n  wrap: [bash, -c, '{script}']\n  unwrap: [bash, -c, '{back}']\n"),
    );
    folder
        .program()
        .args(["config", "--try-key"])
        .env("RUNBOOK_PASSPHRASE", SECRET)
        .ran()
        .exits(0)
        .shows("the key works");
}
