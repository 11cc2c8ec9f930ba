//! Owns the programs that print a secret (`op read`, `pass show`): what they print, and what they say meanwhile.
//! Deliberately knows nothing of inputs. Such a program has our environment: it finds its own session there, but not our passphrase.

use crate::secret::Masker;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use zeroize::Zeroizing;

/// How long a program that printed all may stay, before it is looked whether it has ended: it may leave a daemon behind
/// that holds its standard error open.
const LOOK_AGAIN: libc::c_int = 50;

/// More than this is no secret that somebody would say aloud.
const LARGEST_HEARD: usize = 64 * 1024;

/// What the program prints, without one newline at its end. Its standard error is shown as it comes, masked.
pub fn output_of(argv: &[String], masker: &Masker) -> Result<String, String> {
    let (program, rest) = argv.split_first().ok_or("its `command` is empty")?;
    let cannot = |error: io::Error| format!("the command `{program}` cannot be run: {error}");
    // As of a step, not what happens to lie in the current folder where PATH has a relative entry.
    let file = crate::action::exec::program_of(program)
        .map_err(|why| format!("the command `{program}` cannot be run: {why}"))?;
    let mut command = Command::new(file);
    command.arg0(program);
    command.env_remove(crate::cli::keys::VARIABLE);
    command.args(rest).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // SAFETY: it makes only calls that are safe between fork and exec.
    unsafe { command.pre_exec(crate::action::exec::as_born) };
    let mut child = command.spawn().map_err(cannot)?;
    let heard = hear(&mut child, masker, &mut masker.writer(io::stderr()));
    if heard.is_err() {
        let _ = child.kill();
    }
    let status = child.wait().map_err(cannot)?;
    let printed = heard.map_err(cannot)?;
    if !status.success() {
        return Err(format!("the command `{program}` ended with {status}"));
    }
    let text =
        std::str::from_utf8(&printed).map_err(|_| format!("the command `{program}` printed what is not UTF-8"))?;
    Ok(super::sources::without_newline(text.to_string()))
}

/// All of its standard output; meanwhile its standard error goes to `aloud`.
fn hear(child: &mut Child, masker: &Masker, aloud: &mut dyn Write) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut printed = Printed { pipe: child.stdout.take(), text: Zeroizing::new(Vec::new()), learned: 0 };
    let mut err = child.stderr.take();
    let mut piece = Zeroizing::new([0; 4096]);
    while printed.pipe.is_some() || err.is_some() {
        let ended = printed.pipe.is_none() && child.try_wait()?.is_some();
        let patience = match (&printed.pipe, ended) {
            (Some(_), _) => -1,
            (None, false) => LOOK_AGAIN,
            (None, true) => 0,
        };
        let (out_ready, err_ready) = wait(printed.descriptor(), err.as_ref().map(AsRawFd::as_raw_fd), patience)?;
        if out_ready {
            printed.read()?;
        }
        match err.as_mut().filter(|_| err_ready).map(|pipe| read(pipe, piece.as_mut_slice())).transpose()? {
            Some(0) => err = None,
            Some(count) => {
                // What it printed before it said this is there to be read: should it have said the same, it is hidden.
                while wait(printed.descriptor(), None, 0)?.0 {
                    printed.read()?;
                }
                printed.teach(masker);
                // Where nobody listens, the secret is had all the same.
                let _ = aloud.write_all(&piece[..count]).and_then(|()| aloud.flush());
            }
            None if ended => break,
            None => {}
        }
    }
    Ok(printed.text)
}

/// What a program printed so far.
struct Printed {
    /// `None` once it ended.
    pipe: Option<ChildStdout>,
    text: Zeroizing<Vec<u8>>,
    /// How much of it the masker knows.
    learned: usize,
}

impl Printed {
    fn descriptor(&self) -> Option<i32> {
        self.pipe.as_ref().map(AsRawFd::as_raw_fd)
    }

    fn read(&mut self) -> io::Result<()> {
        let Some(pipe) = &mut self.pipe else { return Ok(()) };
        let mut piece = Zeroizing::new([0; 4096]);
        match read(pipe, piece.as_mut_slice())? {
            0 => self.pipe = None,
            count if (self.text.len() + count) as u64 > super::sources::LARGEST => {
                return Err(io::Error::other("it prints more than 1 MiB: no secret is so long"));
            }
            count => self.text.extend_from_slice(&piece[..count]),
        }
        Ok(())
    }

    fn teach(&mut self, masker: &Masker) {
        if self.text.len() > self.learned && self.text.len() <= LARGEST_HEARD {
            self.learned = self.text.len();
            masker.learn(&Zeroizing::new(String::from_utf8_lossy(&self.text).into_owned()));
        }
    }
}

fn read(pipe: &mut impl Read, piece: &mut [u8]) -> io::Result<usize> {
    loop {
        match pipe.read(piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Which of the two can be read (or have ended), after at most so many milliseconds; -1 waits for ever.
fn wait(out: Option<i32>, err: Option<i32>, patience: libc::c_int) -> io::Result<(bool, bool)> {
    // A negative descriptor is passed over.
    let pipe = |fd: Option<i32>| libc::pollfd { fd: fd.unwrap_or(-1), events: libc::POLLIN, revents: 0 };
    let mut pipes = [pipe(out), pipe(err)];
    loop {
        // SAFETY: the array outlives the call, and its length is the one given.
        if unsafe { libc::poll(pipes.as_mut_ptr(), 2, patience) } >= 0 {
            return Ok((pipes[0].revents != 0, pipes[1].revents != 0));
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}
