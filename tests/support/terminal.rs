//! Owns the program at a terminal, as a person sees it: a pseudo terminal, and a person that answers what is asked.

use super::{Folder, Program, until};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A run at a pseudo terminal.
pub struct AtTerminal {
    pub child: Child,
    /// `None` once the terminal is gone.
    keyboard: Option<File>,
    screen: Arc<Mutex<Vec<u8>>>,
    reader: Option<std::thread::JoinHandle<()>>,
    is_leaving: Arc<AtomicBool>,
    /// How much of the screen was looked at.
    seen: usize,
}

fn pseudo_terminal() -> (File, OwnedFd) {
    let (mut ours, mut theirs) = (0, 0);
    // SAFETY: the call fills in two descriptors, which are owned from here on.
    unsafe {
        let size = libc::winsize { ws_row: 40, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
        let made = libc::openpty(&mut ours, &mut theirs, std::ptr::null_mut(), std::ptr::null_mut(), &size);
        assert_eq!(made, 0);
        // Held by the program too, our side would never be seen to close.
        assert_eq!(libc::fcntl(ours, libc::F_SETFD, libc::FD_CLOEXEC), 0);
        (File::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs))
    }
}

/// A test that fails leaves no run behind.
impl Drop for AtTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl AtTerminal {
    pub fn start(folder: &Folder, arguments: &[&str]) -> AtTerminal {
        AtTerminal::start_program(folder.program().args(["run", "test.yaml"]).args(arguments))
    }

    pub fn start_program(program: Program) -> AtTerminal {
        let (keyboard, theirs) = pseudo_terminal();
        let mut program = program.env("TERM", "xterm-256color");
        let clone = || Stdio::from(theirs.try_clone().unwrap());
        program.0.stdin(clone()).stdout(clone()).stderr(clone());
        // SAFETY: plain system calls between fork and exec.
        unsafe {
            program.0.pre_exec(|| {
                libc::setsid();
                libc::ioctl(0, libc::TIOCSCTTY, 0);
                // Whoever started the tests may have had some ignored.
                for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
                    libc::signal(signal, libc::SIG_DFL);
                }
                Ok(())
            })
        };
        let child = program.0.spawn().unwrap();
        // The command has copies too.
        drop(program);
        drop(theirs);
        let screen = Arc::new(Mutex::new(Vec::new()));
        let is_leaving = Arc::new(AtomicBool::new(false));
        let (mut input, all, leave) = (keyboard.try_clone().unwrap(), screen.clone(), is_leaving.clone());
        let reader = std::thread::spawn(move || {
            let mut piece = [0; 4096];
            // Looks up now and then: under a read that waits, the terminal could not be closed.
            while !leave.load(Ordering::Relaxed) {
                let mut ready = libc::pollfd { fd: input.as_raw_fd(), events: libc::POLLIN, revents: 0 };
                // SAFETY: one structure, as is said.
                if unsafe { libc::poll(&mut ready, 1, 20) } == 0 {
                    continue;
                }
                match input.read(&mut piece) {
                    Ok(count) if count > 0 => all.lock().unwrap().extend_from_slice(&piece[..count]),
                    _ => return,
                }
            }
        });
        AtTerminal { child, keyboard: Some(keyboard), screen, reader: Some(reader), is_leaving, seen: 0 }
    }

    pub fn screen(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap()).into_owned()
    }

    /// Waits until the text is on the screen, after what was waited for before.
    #[track_caller]
    pub fn sees(&mut self, text: &str) {
        let since = Instant::now();
        loop {
            let screen = self.screen.lock().unwrap().clone();
            if let Some(at) = screen[self.seen..].windows(text.len()).position(|window| window == text.as_bytes()) {
                self.seen += at + text.len();
                return;
            }
            assert!(since.elapsed() < Duration::from_secs(30), "never shows `{text}`:\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn types(&mut self, text: &str) {
        self.keyboard.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// The window is closed, the connection lost.
    pub fn hangs_up(&mut self) {
        self.is_leaving.store(true, Ordering::Relaxed);
        self.reader.take().unwrap().join().unwrap();
        self.keyboard = None;
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: a plain system call; the child is not reaped yet.
        unsafe { libc::kill(i32::try_from(self.child.id()).unwrap(), signal) };
    }

    pub fn echoes(&self) -> bool {
        echoes(self.keyboard.as_ref().unwrap())
    }

    /// As a person does who waits for the question.
    #[track_caller]
    pub fn answers(&mut self, question: &str, text: &str) {
        self.sees(question);
        self.types(&format!("{text}\n"));
    }

    /// As a person does who types a secret: only once the terminal does not show it.
    #[track_caller]
    pub fn answers_unseen(&mut self, question: &str, text: &str) {
        self.sees(question);
        until("the echo is off", || !self.echoes());
        self.types(&format!("{text}\n"));
    }

    #[track_caller]
    pub fn ends(mut self) -> (i32, String) {
        let status = self.child.wait().unwrap();
        // Nobody holds the other side any more, so that reading ends after what was written last.
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        (status.code().unwrap_or(-1), self.screen())
    }
}

/// Whether the terminal shows what is typed.
fn echoes(keyboard: &File) -> bool {
    let mut modes = std::mem::MaybeUninit::<libc::termios>::uninit();
    // SAFETY: the descriptor is open, and the call fills the structure in.
    unsafe {
        assert_eq!(libc::tcgetattr(keyboard.as_raw_fd(), modes.as_mut_ptr()), 0);
        modes.assume_init().c_lflag & libc::ECHO != 0
    }
}
