//! Owns running one program of the operator's to its end: given bytes, its output read, ended as a whole when it takes long.
//! Deliberately knows nothing of keys; what it is given and what it writes is wiped all the same.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// How long a program may take.
pub(super) const LIMIT: Duration = Duration::from_secs(60);

/// How much it may write, in bytes, to standard output; of standard error the last part is kept.
pub(super) const MOST: usize = 64 << 10;
const MOST_SAID: usize = 16 << 10;

/// How long pipes may stay open after the program itself has ended.
const LINGER: Duration = Duration::from_secs(1);

/// How often it is looked whether it has ended.
const PAUSE: Duration = Duration::from_millis(5);

pub(super) struct Ended {
    pub(super) how: How,
    pub(super) stdout: Zeroizing<Vec<u8>>,
    pub(super) stderr: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Exited(i32),
    Signal(i32),
    /// Ctrl-C at the terminal, which was the program's.
    Interrupted,
}

#[derive(Debug)]
pub(super) enum Trouble {
    NoProgram,
    NotFound,
    NotStarted(String),
    /// With what it said on standard error.
    TimedOut(Vec<u8>),
    TooMuch,
    /// It has ended, but its output has not: what it started holds it, outside its process group.
    Held,
}

/// What the threads that read say when they are done.
enum Done {
    Out(Zeroizing<Vec<u8>>),
    Err(Vec<u8>),
}

/// Runs a program with the environment that we have ourselves: what wraps keys finds its agent and its own keys there.
pub(super) fn run(argv: &[String], input: Zeroizing<Vec<u8>>) -> Result<Ended, Trouble> {
    let deadline = Instant::now() + LIMIT;
    run_until(argv, input, &|| Instant::now() > deadline)
}

fn run_until(argv: &[String], input: Zeroizing<Vec<u8>>, is_late: &dyn Fn() -> bool) -> Result<Ended, Trouble> {
    let terminal = Terminal::ours();
    let mut group = Group(start(argv, terminal.as_ref())?);
    let (send, done) = mpsc::channel();
    if let Some(mut stdin) = group.0.stdin.take() {
        // A program that does not read all of its input is free to.
        std::thread::spawn(move || stdin.write_all(&input));
    }
    if let Some(stdout) = group.0.stdout.take() {
        let send = send.clone();
        std::thread::spawn(move || {
            // One byte more than it may write tells that it wrote too much; as large from the start, lest copies stay behind.
            let mut bytes = Zeroizing::new(Vec::with_capacity(MOST + 1));
            let _ = stdout.take(MOST as u64 + 1).read_to_end(&mut bytes);
            let _ = send.send(Done::Out(bytes));
        });
    }
    if let Some(stderr) = group.0.stderr.take() {
        std::thread::spawn(move || send.send(Done::Err(last(stderr))));
    }
    let (mut stdout, mut stderr) = (None, None);
    let mut exited: Option<(ExitStatus, Instant)> = None;
    let mut hurried = false;
    loop {
        match done.recv_timeout(PAUSE) {
            Ok(Done::Out(bytes)) if bytes.len() > MOST => return Err(Trouble::TooMuch),
            Ok(Done::Out(bytes)) => stdout = Some(bytes),
            Ok(Done::Err(bytes)) => stderr = Some(bytes),
            // Both have said all: only its end is waited for.
            Err(mpsc::RecvTimeoutError::Disconnected) => std::thread::sleep(PAUSE),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
        }
        if exited.is_none() {
            let status = group.0.try_wait().map_err(|error| Trouble::NotStarted(error.to_string()))?;
            exited = status.map(|status| (status, Instant::now()));
        }
        match exited {
            Some((status, _)) if stdout.is_some() && stderr.is_some() => {
                let how = match (status.code(), status.signal()) {
                    (_, Some(libc::SIGINT)) if terminal.is_some() => How::Interrupted,
                    (Some(code), _) => How::Exited(code),
                    (None, signal) => How::Signal(signal.unwrap_or_default()),
                };
                group.forget();
                let (stdout, stderr) = (stdout.unwrap_or_default(), stderr.unwrap_or_default());
                return Ok(Ended { how, stdout, stderr });
            }
            Some((_, since)) if since.elapsed() > LINGER * 2 => return Err(Trouble::Held),
            Some((_, since)) if since.elapsed() > LINGER && !hurried => {
                group.kill();
                hurried = true;
            }
            Some(_) => {}
            None if is_late() => {
                group.kill();
                let said = match (stderr, done.recv_timeout(LINGER), done.recv_timeout(LINGER)) {
                    (Some(bytes), _, _) | (None, Ok(Done::Err(bytes)), _) | (None, _, Ok(Done::Err(bytes))) => bytes,
                    _ => Vec::new(),
                };
                return Err(Trouble::TimedOut(said));
            }
            None => {}
        }
    }
}

/// The last part of what there is to read.
fn last(mut from: impl Read) -> Vec<u8> {
    let (mut kept, mut piece) = (Vec::new(), [0; 4 << 10]);
    loop {
        match from.read(&mut piece) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return kept,
            Ok(count) => {
                kept.extend_from_slice(&piece[..count]);
                let beyond = kept.len().saturating_sub(MOST_SAID);
                kept.drain(..beyond);
            }
        }
    }
}

fn start(argv: &[String], terminal: Option<&Terminal>) -> Result<Child, Trouble> {
    let (program, arguments) =
        argv.split_first().filter(|(program, _)| !program.is_empty()).ok_or(Trouble::NoProgram)?;
    let mut command = Command::new(program);
    // It has its own ways to unlock what it holds, and ours are none of its affair.
    command.env_remove("RUNBOOK_PASSPHRASE");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let (parent, terminal) = (std::process::id(), terminal.map(|terminal| terminal.0.as_raw_fd()));
    // SAFETY: only calls that are safe between fork and exec (signal-safety(7)): no allocation, no locks.
    unsafe { command.pre_exec(move || isolate(parent, terminal)) };
    let mut attempts = 0;
    loop {
        match command.spawn() {
            Ok(child) => return Ok(child),
            // Someone still has the file open for writing, perhaps a child between fork and exec: gone in a moment.
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy && attempts < 20 => {
                attempts += 1;
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(Trouble::NotFound),
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                return Err(Trouble::NotStarted("an argument has a NUL character in it".into()));
            }
            Err(error) => return Err(Trouble::NotStarted(error.to_string())),
        }
    }
}

/// In the child, before the program: a group of its own, which has the terminal (what asks for a PIN would else be
/// stopped), and no descriptors but the three.
fn isolate(parent: u32, terminal: Option<RawFd>) -> io::Result<()> {
    // SAFETY: plain system calls on numbers.
    unsafe {
        if libc::setpgid(0, 0) < 0 {
            return Err(io::Error::last_os_error());
        }
        if let Some(terminal) = terminal {
            give(terminal, libc::getpid());
        }
        // Not 0: a kernel that hands cores to a program would still hand it over (core(5)).
        libc::setrlimit(libc::RLIMIT_CORE, &libc::rlimit { rlim_cur: 1, rlim_max: 1 });
        #[cfg(target_os = "linux")]
        {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            if u32::try_from(libc::getppid()).is_ok_and(|now| now != parent) {
                libc::_exit(127);
            }
            // Not closed but marked: the one by which a failed exec is told is among them.
            libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = parent;
    }
    Ok(())
}

/// Makes a group the one that has the terminal; who is not of that group may only where the signal is blocked.
fn give(terminal: RawFd, group: libc::pid_t) {
    // SAFETY: plain system calls on numbers and on sets that `sigemptyset` and `pthread_sigmask` fill in.
    unsafe {
        let (mut set, mut before) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGTTOU);
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, &mut before);
        libc::tcsetpgrp(terminal, group);
        libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut());
    }
}

/// The terminal that we have; it is ours again when this is dropped.
struct Terminal(File);

impl Terminal {
    /// `None` where there is none, or another has it: a run in the background takes it from nobody.
    fn ours() -> Option<Terminal> {
        let terminal = File::options().read(true).write(true).open("/dev/tty").ok()?;
        // SAFETY: plain system calls on a descriptor that is open.
        let ours = unsafe { libc::tcgetpgrp(terminal.as_raw_fd()) == libc::getpgrp() };
        ours.then_some(Terminal(terminal))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // SAFETY: a plain system call.
        give(self.0.as_raw_fd(), unsafe { libc::getpgrp() });
    }
}

/// A program and all of its group. Ended when dropped, which is when attending to it is given up.
struct Group(Child);

impl Group {
    fn kill(&mut self) {
        if let Ok(group) = i32::try_from(self.0.id()) {
            // SAFETY: a plain system call on numbers; the group's number is not given to another while one of it is there.
            unsafe { libc::killpg(group, libc::SIGKILL) };
        }
    }

    /// It was attended to until its end.
    fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Result<Ended, Trouble> {
        let argv = ["sh", "-c", script].map(String::from);
        run(&argv, Zeroizing::new(b"given\n".to_vec()))
    }

    #[test]
    fn gives_the_input_and_reads_what_is_written() {
        let ended = shell("cat; echo said >&2; exit 3").ok().unwrap();
        assert_eq!((ended.how, &**ended.stdout, &*ended.stderr), (How::Exited(3), &b"given\n"[..], &b"said\n"[..]));
        let ended = shell("kill -9 $$").ok().unwrap();
        assert_eq!(ended.how, How::Signal(9));
    }

    #[test]
    fn ends_what_takes_too_long_with_all_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        // Written in one piece, after the rest: when it is there, all else is.
        let script = format!("echo still here >&2; sleep 100 & echo $! > {0}.new; mv {0}.new {0}; wait", pid.display());
        let argv = ["sh", "-c", &script].map(String::from);
        match run_until(&argv, Zeroizing::default(), &|| pid.exists()) {
            Err(Trouble::TimedOut(said)) => assert_eq!(said, b"still here\n"),
            other => panic!("{:?}", other.map(|ended| ended.how)),
        }
        let pid: i32 = std::fs::read_to_string(pid).unwrap().trim().parse().unwrap();
        let alive = || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
        };
        for _ in 0..1000 {
            if !alive() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("what it started is still there");
    }

    #[test]
    fn ends_what_writes_too_much_or_leaves_its_output_open() {
        assert!(matches!(shell("yes"), Err(Trouble::TooMuch)));
        // What it leaves behind in its group is ended, and then its output has an end.
        let ended = shell("sleep 100 & echo out").ok().unwrap();
        assert_eq!((ended.how, &**ended.stdout), (How::Exited(0), &b"out\n"[..]));
    }

    #[test]
    fn says_what_cannot_be_started() {
        let start =
            |argv: &[&str]| run(&argv.iter().map(|word| word.to_string()).collect::<Vec<_>>(), Zeroizing::default());
        assert!(matches!(start(&[]), Err(Trouble::NoProgram)));
        assert!(matches!(start(&[""]), Err(Trouble::NoProgram)));
        assert!(matches!(start(&["no-such-program-of-anyones"]), Err(Trouble::NotFound)));
        assert!(matches!(start(&["/etc/passwd"]), Err(Trouble::NotStarted(_))));
        assert!(matches!(start(&["a\0b"]), Err(Trouble::NotStarted(_))));
    }
}
