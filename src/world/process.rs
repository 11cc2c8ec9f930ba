//! Owns the process in which a run's own world lives: started, waited for, ended.
//! Deliberately knows nothing of what the world says but its address.

use super::WorldError;
use super::serve::LISTENING;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// How long a world may take to come up, and how long to go.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Process {
    child: Child,
    /// Disconnected when its standard output ends, and that is when it does.
    output: Mutex<Receiver<String>>,
}

impl Process {
    /// Starts `RUNBOOK world FILE`; gives it with its address.
    ///
    /// It is in a process group of its own, so that Ctrl-C in a terminal is the run's to handle: the world goes when the run
    /// has written what it must. We hold its standard input open; it ends when that does, even if we are killed.
    pub fn start(runbook: &Path, file: &Path) -> Result<(Process, String), WorldError> {
        let failed = |why: String| WorldError::Failed(format!("the world {} did not come up: {why}", file.display()));
        let mut child = Command::new(runbook)
            .arg("world")
            .arg("--")
            .arg(file)
            .env_remove("RUNBOOK_PASSPHRASE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|error| failed(format!("{} cannot be started: {error}", runbook.display())))?;
        let (send, output) = channel();
        if let Some(stdout) = child.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    // Read on though nobody listens: a full pipe would hold the world up.
                    let _ = send.send(line);
                }
            });
        }
        let process = Process { child, output: Mutex::new(output) };
        loop {
            let line = process.output.lock().unwrap_or_else(|broken| broken.into_inner()).recv_timeout(PATIENCE);
            match line {
                Ok(line) => match line.strip_prefix(LISTENING) {
                    Some(address) => return Ok((process, address.to_owned())),
                    None => continue,
                },
                Err(RecvTimeoutError::Timeout) => return Err(failed(format!("nothing heard for {PATIENCE:?}"))),
                Err(RecvTimeoutError::Disconnected) => return Err(failed("it ended at once".to_owned())),
            }
        }
    }

    /// Ends it; whether it went by itself, having tidied up.
    pub fn end(&mut self) -> bool {
        drop(self.child.stdin.take());
        let output = self.output.lock().unwrap_or_else(|broken| broken.into_inner());
        let went = loop {
            match output.recv_timeout(PATIENCE) {
                Ok(_) => continue,
                Err(error) => break error == RecvTimeoutError::Disconnected,
            }
        };
        if !went {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
        went
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// This program, or what `RUNBOOK_EXE` names: a test that is linked with the library is not `runbook` itself.
pub fn runbook() -> std::io::Result<PathBuf> {
    match std::env::var_os("RUNBOOK_EXE") {
        Some(path) => Ok(path.into()),
        None => std::env::current_exe(),
    }
}
