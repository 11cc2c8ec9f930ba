//! Owns running the program: its output up to a limit, its memory, an end that comes in any case.
//! Deliberately knows nothing of cases.

use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// More is not read: it is too much already.
pub const LARGEST_OUTPUT: usize = 4 << 20;
/// No case takes this long; it is there so that one that would not end fails.
const PATIENCE: Duration = Duration::from_secs(100);

pub struct Ended {
    /// None where it had to be killed.
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    /// The most memory that it, or a program it waited for, had at once, in bytes.
    pub memory: u64,
}

pub fn run(command: &mut Command) -> Ended {
    // `wait4` does, since it tells the memory as well.
    #[allow(clippy::zombie_processes)]
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .expect("the program is there");
    let read = |stream: Box<dyn Read + Send>| {
        let (told, hears) = mpsc::channel();
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let mut stream = stream;
            let _ = (&mut stream).take(LARGEST_OUTPUT as u64 + 1).read_to_end(&mut bytes);
            let _ = told.send(bytes);
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        });
        hears
    };
    let stdout = read(Box::new(child.stdout.take().unwrap()));
    let stderr = read(Box::new(child.stderr.take().unwrap()));
    let pid = child.id() as i32;
    let (told, ended) = mpsc::channel();
    std::thread::spawn(move || {
        // SAFETY: both are plain data, and `pid` is a child that nobody else waits for.
        let (status, usage) = unsafe {
            let (mut status, mut usage) = (0, std::mem::zeroed::<libc::rusage>());
            while libc::wait4(pid, &mut status, 0, &mut usage) < 0 {}
            (status, usage)
        };
        let _ = told.send((status, usage.ru_maxrss));
    });
    let (code, memory) = match ended.recv_timeout(PATIENCE) {
        Ok((status, memory)) => (Some(ExitStatus::from_raw(status).code().unwrap_or(-1)), memory),
        Err(_) => {
            // SAFETY: a plain system call; the group is the child's own.
            unsafe { libc::kill(-pid, libc::SIGKILL) };
            (None, 0)
        }
    };
    // A stream that a child of a child holds open is not waited for either.
    let all = |stream: mpsc::Receiver<Vec<u8>>| stream.recv_timeout(Duration::from_secs(60)).unwrap_or_default();
    Ended { code, stdout: all(stdout), stderr: all(stderr), memory: memory as u64 * 1024 }
}
