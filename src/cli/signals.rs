//! Owns Ctrl-C, SIGTERM and SIGHUP: the first lets the step in flight end, the second ends at once.
//! Deliberately knows nothing of questions that are asked before there is a run (`person`).

use crate::engine::Signals;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How long the step in flight may take to end after the first signal.
const GRACE: Duration = Duration::from_secs(10);
/// How long ending everything may take after the second.
const LAST_GRACE: Duration = Duration::from_secs(3);

/// Listens for signals as long as the runtime lives.
pub fn listen() -> Signals {
    let (interrupt, interrupted) = watch::channel(false);
    let (hurry, hurried) = watch::channel(false);
    let (abort, aborted) = watch::channel(false);
    // Here and not in the task, which is first run when the first step waits: a signal may come before.
    // Who started us with `nohup` wants the run to outlive its terminal; listening would undo that.
    let hangup = (!is_ignored(libc::SIGHUP)).then(|| signal(SignalKind::hangup())).transpose();
    let listeners = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()), hangup);
    tokio::spawn(async move {
        let (Ok(mut int), Ok(mut term), Ok(mut hup)) = listeners else {
            // Without listeners the system's own way of ending a process stays; the senders must live on all the same.
            return std::future::pending().await;
        };
        let mut next = async || {
            let hangup = async {
                match &mut hup {
                    Some(hup) => hup.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = int.recv() => "interrupted",
                _ = term.recv() => "asked to end",
                _ = hangup => "the terminal is gone",
            }
        };
        let why = next().await;
        super::tell(&format!(
            "\n{why}: the step in flight may end ({} s), then `finally` runs; once more ends at once",
            GRACE.as_secs()
        ));
        let _ = interrupt.send(true);
        tokio::select! {
            () = tokio::time::sleep(GRACE) => {
                let _ = hurry.send(true);
                next().await;
            }
            _ = next() => {}
        }
        let _ = hurry.send(true);
        let _ = abort.send(true);
        tokio::time::sleep(LAST_GRACE).await;
        super::person::Terminal::restore();
        std::process::exit(super::Exit::Interrupted as i32);
    });
    Signals { interrupt: interrupted, hurry: hurried, abort: aborted }
}

pub(super) fn is_ignored(signal: i32) -> bool {
    let mut now = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: the call only asks, and the structure is read only where it says that it filled it in.
    unsafe {
        libc::sigaction(signal, std::ptr::null(), now.as_mut_ptr()) == 0
            && now.assume_init().sa_sigaction == libc::SIG_IGN
    }
}
