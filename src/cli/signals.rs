//! Owns Ctrl-C, SIGTERM and SIGHUP: the first lets the step in flight end, the second ends at once.

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
    let listeners = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()), signal(SignalKind::hangup()));
    tokio::spawn(async move {
        let (Ok(mut int), Ok(mut term), Ok(mut hup)) = listeners else {
            // Without listeners the system's own way of ending a process stays; the senders must live on all the same.
            return std::future::pending().await;
        };
        let mut next = async || {
            tokio::select! {
                _ = int.recv() => "interrupted",
                _ = term.recv() => "asked to end",
                _ = hup.recv() => "the terminal is gone",
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
