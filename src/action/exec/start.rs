//! Owns starting a program: its arguments, its environment, and nothing inherited.
//! Deliberately knows nothing of how it ends.

use super::guard::{Guard, Line};
use super::kernel::{Door, NOT_ENTERED};
use super::program::Surroundings;
use super::{Command, unsent};
use crate::action::ActionError;
use std::ffi::OsString;
use std::io;
use std::os::fd::RawFd;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Child;
use tokio::time::sleep;
use zeroize::Zeroizing;

/// The program, and who guards it as long as it is attended to.
pub(super) async fn start(
    command: &Command,
    surroundings: &Surroundings,
    door: Option<Door>,
    life: Option<RawFd>,
) -> Result<(Child, Guard), ActionError> {
    if !command.cwd.is_dir() {
        return Err(unsent(format!("the folder `{}` (`cwd`) is not there", command.cwd.display())));
    }
    let guard = Guard::start(life).map_err(|error| {
        let file = surroundings.file.display();
        unsent(format!(
            "`{file}` could not be started: it needs a process to guard it, and there is none to be had: {error}"
        ))
    })?;
    let mut attempts = 0;
    loop {
        match prepare(command, surroundings, door, guard.line()).spawn() {
            Ok(child) => return Ok((child, guard)),
            // Someone still has the file open for writing, perhaps a child between fork and exec that is not meant
            // to: gone in a moment, and nothing was started yet.
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && attempts < 20 => {
                attempts += 1;
                sleep(Duration::from_millis(10)).await;
            }
            Err(error) => {
                if error.raw_os_error() == Some(NOT_ENTERED) {
                    return Err(unsent(format!(
                        "`{}` could not be confined, so it was not started: the kernel refuses it here (within too many \
                         sandboxes already, perhaps)",
                        surroundings.file.display()
                    )));
                }
                let why = match error.kind() {
                    io::ErrorKind::PermissionDenied if door.is_some() => {
                        "permission denied; it is confined, so what runs it (its first line names it) has to lie where \
                         programs are, or where `permissions.read` says"
                            .to_string()
                    }
                    io::ErrorKind::InvalidInput => "an argument or a variable has a NUL character in it".to_string(),
                    io::ErrorKind::ArgumentListTooLong => {
                        "its arguments and environment are too long; give long texts by `stdin` or `files`".to_string()
                    }
                    kind => kind.to_string(),
                };
                return Err(unsent(format!("`{}` could not be started: {why}", surroundings.file.display())));
            }
        }
    }
}

fn prepare(command: &Command, surroundings: &Surroundings, door: Option<Door>, guard: Line) -> tokio::process::Command {
    let mut prepared = tokio::process::Command::new(&surroundings.file);
    let mut argv = command.argv.iter().map(|value| Zeroizing::new(value.expose_text()));
    if let Some(argv0) = argv.next() {
        prepared.arg0(argv0.as_str());
    }
    for argument in argv {
        prepared.arg(argument.as_str());
    }
    prepared.current_dir(&command.cwd).env_clear();
    prepared.envs(surroundings.env.iter().map(|(name, value)| (name, value)));
    for (name, value) in &command.env {
        let value = Zeroizing::new(value.expose_text());
        match (&surroundings.path_first, name.as_str()) {
            (Some(first), "PATH") => {
                let mut path = OsString::from(first);
                path.push(":");
                path.push(value.as_str());
                prepared.env(name, path)
            }
            _ => prepared.env(name, value.as_str()),
        };
    }
    prepared.envs(command.own_env.iter().map(|(name, value)| (name, value)));
    prepared
        .stdin(if command.stdin.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let parent = std::process::id();
    // SAFETY: only calls that are safe between fork and exec (signal-safety(7)): no allocation, no locks.
    unsafe { prepared.pre_exec(move || isolate(parent, door, guard)) };
    prepared
}

/// In the child, before the program: a session of its own (so that it is a group of its own, and what asks for a
/// password on the terminal fails instead of stopping for ever), guarded, private files, confined, no descriptors but the three.
fn isolate(parent: u32, door: Option<Door>, guard: Line) -> io::Result<()> {
    // SAFETY: plain system calls on numbers.
    unsafe {
        if libc::setsid() < 0 {
            return Err(io::Error::last_os_error());
        }
        libc::umask(0o077);
        // A guard that is gone is an error here, not the end of this process before it is a program.
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
        guard.announce()?;
        if u32::try_from(libc::getppid()).is_ok_and(|now| now != parent) {
            // The run is gone: what has not begun need not.
            libc::_exit(127);
        }
        as_born()?;
        if let Some(door) = door {
            door.enter()?;
        }
        // Not closed but marked: the one by which a failed exec is told is among them.
        #[cfg(target_os = "linux")]
        libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
    }
    Ok(())
}

/// Gives a process between fork and exec the signals back that we ignore: a program that is meant to end by one must.
/// It leaves no core, which would hold its secrets. For `pre_exec`; never an error.
pub(crate) fn as_born() -> io::Result<()> {
    // Of one byte, which no core is: with 0 a kernel that hands cores to a program (core(5)) would still hand it over.
    const NO_CORE: libc::rlimit = libc::rlimit { rlim_cur: 1, rlim_max: 1 };
    // SAFETY: a plain system call on a constant, safe after a fork.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &NO_CORE) };
    for signal in [libc::SIGPIPE, libc::SIGXFSZ] {
        // SAFETY: a plain system call on numbers, safe after a fork.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    Ok(())
}
