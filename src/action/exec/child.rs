//! Owns attending to one child process and its group: fed, read, and ended as a whole.
//! Deliberately knows nothing of permissions, of how it is started, or of what its output means.

use super::Command;
use super::guard::Guard;
use super::kernel::Door;
use super::program::Surroundings;
use super::start::start;
use crate::action::{ActionError, Cancel, Sent};
use std::io;
use std::os::fd::RawFd;
use std::os::unix::process::ExitStatusExt;
use std::pin::pin;
use std::process::ExitStatus;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use zeroize::{Zeroize, Zeroizing};

/// How long the group has between TERM and KILL.
const GRACE: Duration = Duration::from_secs(2);

/// How long pipes may stay open after the program itself has ended; what it left behind may hold them for ever.
const LINGER: Duration = Duration::from_secs(1);

/// How a program ended, and what it wrote.
pub(super) struct Ended {
    pub(super) exit_code: Option<i32>,
    pub(super) signal: Option<String>,
    pub(super) stdout: Zeroizing<Vec<u8>>,
    pub(super) stderr: Zeroizing<Vec<u8>>,
}

/// Why attending to it stopped.
enum Stop {
    Exited(ExitStatus),
    Cancelled,
    TimedOut(Duration),
    TooMuch(&'static str),
    Broken(io::Error),
}

pub(super) async fn run(
    command: &Command,
    surroundings: &Surroundings,
    door: Option<Door>,
    life: Option<RawFd>,
    cancel: &Cancel,
) -> Result<Ended, ActionError> {
    let (mut child, guard) = start(command, surroundings, door, life).await?;
    let Some(id) = child.id().and_then(|id| i32::try_from(id).ok()) else {
        return Err(ActionError::Failed { message: "the program has no process id".into(), sent: Sent::Perhaps });
    };
    let group = Group { id, attended: false, _guard: guard };
    let stdin = child.stdin.take();
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (mut out, mut err) = (Zeroizing::new(Vec::new()), Zeroizing::new(Vec::new()));
    let input = command.stdin.as_ref().map(|value| Zeroizing::new(value.expose_text())).unwrap_or_default();
    let stop = {
        let limit = command.max_output;
        let talk = async {
            tokio::try_join!(
                async {
                    feed(stdin, input.as_bytes()).await;
                    Ok(())
                },
                read(stdout, &mut out, limit, "standard output"),
                read(stderr, &mut err, limit, "standard error"),
            )
            .map(|_| ())
        };
        attend(&mut child, &group, talk, command.timeout, cancel).await
    };
    group.forget();
    match stop {
        Stop::Exited(status) => {
            let signal = status.signal().map(signal_name);
            Ok(Ended { exit_code: status.code(), signal, stdout: out, stderr: err })
        }
        Stop::Cancelled => Err(ActionError::Interrupted { sent: Sent::Perhaps }),
        Stop::TimedOut(after) => Err(ActionError::Timeout { after, sent: Sent::Perhaps }),
        Stop::TooMuch(what) => Err(ActionError::Failed {
            message: format!(
                "the program was ended: it wrote more than `max_output` ({}) to {what}",
                crate::action::size(command.max_output)
            ),
            sent: Sent::Perhaps,
        }),
        Stop::Broken(error) => Err(ActionError::Failed {
            message: format!("the program's end could not be awaited: {error}"),
            sent: Sent::Perhaps,
        }),
    }
}

/// Waits until the program has ended and its pipes are closed, or ends its group.
async fn attend(
    child: &mut Child,
    group: &Group,
    talk: impl Future<Output = Result<(), &'static str>>,
    limit: Option<Duration>,
    cancel: &Cancel,
) -> Stop {
    let mut talk = pin!(talk);
    let mut is_talking = true;
    let mut exited: Option<(ExitStatus, Instant)> = None;
    let mut hurried = false;
    let deadline = limit.and_then(|limit| Some((limit, Instant::now().checked_add(limit)?)));
    let stop = loop {
        if let (Some((status, _)), false) = (&exited, is_talking) {
            return Stop::Exited(*status);
        }
        let linger = exited.map(|(_, since)| since + if hurried { LINGER * 2 } else { LINGER });
        tokio::select! {
            biased;
            () = cancel.cancelled(), if exited.is_none() => break Stop::Cancelled,
            talked = &mut talk, if is_talking => {
                is_talking = false;
                if let Err(what) = talked {
                    break Stop::TooMuch(what);
                }
            }
            status = child.wait(), if exited.is_none() => match status {
                Ok(status) => exited = Some((status, Instant::now())),
                Err(error) => break Stop::Broken(error),
            },
            () = until(linger) => match exited {
                // What left the group as well cannot be ended; what it still writes is not waited for.
                Some((status, _)) if hurried => return Stop::Exited(status),
                _ => {
                    group.signal(libc::SIGKILL);
                    hurried = true;
                }
            },
            () = until(deadline.map(|(_, at)| at)), if exited.is_none() => {
                break Stop::TimedOut(limit.unwrap_or_default());
            }
        }
    };
    group.signal(libc::SIGTERM);
    let gone = async {
        let _ = child.wait().await;
        while group.is_there() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    // Its pipes are emptied meanwhile: a program that says goodbye must not hang in it.
    let emptied = async {
        if is_talking {
            let _ = talk.await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = gone => {}
        () = emptied => {}
        () = sleep(GRACE) => {}
    }
    group.signal(libc::SIGKILL);
    let _ = timeout(LINGER, child.wait()).await;
    stop
}

/// A program that does not read all of its input is free to.
async fn feed(stdin: Option<ChildStdin>, input: &[u8]) {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(input).await;
        let _ = stdin.shutdown().await;
    }
}

/// Reads to the end, or until there is more than `limit`; then `Err(what)`.
async fn read(
    pipe: Option<impl AsyncRead + Unpin>,
    into: &mut Vec<u8>,
    limit: u64,
    what: &'static str,
) -> Result<(), &'static str> {
    let Some(mut pipe) = pipe else { return Ok(()) };
    let mut piece = Zeroizing::new(vec![0; 16 << 10]);
    loop {
        match pipe.read(&mut piece).await {
            Ok(0) | Err(_) => return Ok(()),
            Ok(count) if into.len() as u64 + count as u64 > limit => return Err(what),
            Ok(count) => {
                grow(into, count);
                into.extend_from_slice(&piece[..count]);
            }
        }
    }
}

/// Makes room for `count` more; what it was in before is wiped.
fn grow(bytes: &mut Vec<u8>, count: usize) {
    if bytes.capacity() - bytes.len() < count {
        let mut larger = Vec::with_capacity((bytes.capacity() * 2).max(bytes.len() + count));
        larger.extend_from_slice(bytes);
        std::mem::replace(bytes, larger).zeroize();
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// The process group of a program. Ended when dropped, which is when attending to it is given up.
struct Group {
    id: i32,
    attended: bool,
    /// Relieved when this is dropped, after the group was ended if it has to be.
    _guard: Guard,
}

impl Group {
    fn signal(&self, signal: i32) {
        // SAFETY: a plain system call on numbers. The group's number is not given to another while one of it is
        // there, and none of it being there is no error that matters.
        unsafe { libc::killpg(self.id, signal) };
    }

    fn is_there(&self) -> bool {
        // SAFETY: as above; signal 0 only asks.
        unsafe { libc::killpg(self.id, 0) == 0 }
    }

    /// It was attended to until its end; what the program left behind may stay.
    fn forget(mut self) {
        self.attended = true;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.attended {
            self.signal(libc::SIGKILL);
        }
    }
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        libc::SIGHUP => "SIGHUP",
        libc::SIGINT => "SIGINT",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGILL => "SIGILL",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL",
        libc::SIGUSR1 => "SIGUSR1",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGUSR2 => "SIGUSR2",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGALRM => "SIGALRM",
        libc::SIGTERM => "SIGTERM",
        libc::SIGXCPU => "SIGXCPU",
        libc::SIGXFSZ => "SIGXFSZ",
        libc::SIGSYS => "SIGSYS",
        other => return format!("signal {other}"),
    };
    name.into()
}
