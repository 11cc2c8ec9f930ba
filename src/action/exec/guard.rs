//! Owns guards: a process beside each program, which ends the program's group when the run is gone without having done so.
//! Deliberately knows nothing of why a run ends, of what runs in the group, or of how it is ended while the run lives.
//!
//! A run that is killed can end nothing any more, and what it leaves running would do again, beside a resumed run, what
//! that one does. A signal at our death (`PR_SET_PDEATHSIG`) reaches neither who is deaf to it nor what a program started.
//! The guard holds one end of a pipe and we the other: what it reads last tells whether we attended to the program to its
//! end, or were cut off.

use std::io::{self, PipeWriter};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, RawFd};

/// Told to a guard that is needed no more. Any other number is the group to guard from now on.
const RELIEVED: libc::pid_t = 0;

/// How often, and how long each time, a guard looks whether the group has gone between TERM and KILL: two seconds.
const LOOKS: u32 = 100;
const LOOK: libc::timespec = libc::timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// A guard under way. Dropped, it is relieved and gone: it leaves alone whatever is left of the group.
///
/// It is a child of the run, not of the program, which would be surprised by one that it did not start; and not an
/// orphan either, which would pile up as a corpse where the first process of a container buries nobody.
pub(super) struct Guard {
    pid: libc::pid_t,
    line: PipeWriter,
}

/// How a process between fork and exec tells its guard which group to guard.
#[derive(Clone, Copy)]
pub(super) struct Line(RawFd);

impl Guard {
    /// Starts one, and waits until nothing that ends this process can end it as well; it guards nothing yet. An error
    /// means that no process or pipe can be had: better no program then.
    ///
    /// Between here and its end it holds a copy of this process's memory, secrets included, as any fork does: not
    /// dumpable either, since it inherits that, and writing to nothing.
    ///
    /// It keeps `life` open, which shows that the run is live: nobody goes on with the run before the program has ended.
    pub(super) fn start(life: Option<RawFd>) -> io::Result<Guard> {
        // Neither end goes on to any program (close-on-exec); other guards close theirs before all else.
        let (ear, line) = io::pipe()?;
        let (ready, unready) = io::pipe()?;
        let mut all = MaybeUninit::<libc::sigset_t>::uninit();
        let mut before = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: the sets are filled in by the calls before they are read. The new process makes only calls that are
        // safe after the fork of a process with threads (signal-safety(7)): no allocation, no locks.
        unsafe {
            // It takes no signal from its first moment on, ours least of all: what handles them here would run there.
            libc::sigfillset(all.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
            let pid = libc::fork();
            if pid == 0 {
                guard(ear.as_raw_fd(), life);
            }
            let failed = (pid < 0).then(io::Error::last_os_error);
            libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut());
            if let Some(error) = failed {
                return Err(error);
            }
            // It is alone on its pipes once it has closed all else; one that died is on them no more either.
            drop((ear, unready));
            hear(ready.as_raw_fd());
            Ok(Guard { pid, line })
        }
    }

    /// Good as long as this lives.
    pub(super) fn line(&self) -> Line {
        Line(self.line.as_raw_fd())
    }
}

impl Line {
    /// Called between fork and exec, in a process that leads a group of its own: that is guarded from now on.
    ///
    /// An error where there is no guard any more: SIGPIPE must be ignored. Safe after a fork.
    pub(super) fn announce(self) -> io::Result<()> {
        // SAFETY: a plain system call.
        tell(self.0, unsafe { libc::getpid() })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // One that was killed hears nothing, and is a corpse to bury all the same.
        let _ = tell(self.line.as_raw_fd(), RELIEVED);
        // SAFETY: a child of ours, which nobody else waits for; it ends at what it was just told.
        while unsafe { libc::waitpid(self.pid, std::ptr::null_mut(), 0) } < 0
            && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
        {}
    }
}

/// A write this short is never cut.
fn tell(line: RawFd, number: libc::pid_t) -> io::Result<()> {
    let bytes = number.to_ne_bytes();
    // SAFETY: the bytes are as long as is said.
    let written = unsafe { libc::write(line, bytes.as_ptr().cast(), bytes.len()) };
    if written < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// `None` where nobody is there any more who could tell something.
fn hear(ear: RawFd) -> Option<libc::pid_t> {
    let mut bytes = [0; size_of::<libc::pid_t>()];
    loop {
        // SAFETY: there is room for as many bytes as is said.
        let read = unsafe { libc::read(ear, bytes.as_mut_ptr().cast(), bytes.len()) };
        if usize::try_from(read).is_ok_and(|read| read == bytes.len()) {
            return Some(libc::pid_t::from_ne_bytes(bytes));
        }
        if read >= 0 || io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return None;
        }
    }
}

/// All that a guard does. A session of its own keeps it out of the group that it guards and away from the terminal; of
/// descriptors it keeps its end of the pipe and the run's life only, lest it hold open what others wait to see closed.
fn guard(ear: RawFd, life: Option<RawFd>) -> ! {
    const EAR: RawFd = libc::STDIN_FILENO;
    const LIFE: RawFd = libc::STDOUT_FILENO;
    // SAFETY: plain system calls on numbers and constants.
    unsafe {
        libc::setsid();
        // Whoever kills all processes of our name is not to kill the guards as well.
        #[cfg(target_os = "linux")]
        libc::prctl(libc::PR_SET_NAME, c"exec-guard".as_ptr());
        if libc::dup2(ear, EAR) < 0 || life.is_some_and(|life| libc::dup2(life, LIFE) < 0) {
            libc::_exit(1);
        }
        close_from(if life.is_some() { LIFE + 1 } else { LIFE });
        let mut group = None;
        loop {
            match hear(EAR) {
                Some(RELIEVED) => break,
                // A program that could not be started yet is tried again.
                Some(leader) => group = Some(Group::led_by(leader)),
                None => {
                    if let Some(group) = group {
                        group.end();
                    }
                    break;
                }
            }
        }
        libc::_exit(0)
    }
}

/// The group to be ended. Its number is not given to another while one of it is there; but when all of it has ended, and
/// the run is cut off before it says so, it might be: hence a hold on the leader itself, where there is such a thing.
struct Group {
    number: libc::pid_t,
    /// A descriptor of the leader, or -1.
    leader: libc::c_int,
}

impl Group {
    fn led_by(number: libc::pid_t) -> Group {
        Group { number, leader: hold(number) }
    }

    fn end(&self) {
        self.signal(libc::SIGTERM);
        for _ in 0..LOOKS {
            if !self.signal(0) {
                return;
            }
            // SAFETY: a plain system call; the time is a constant.
            unsafe { libc::nanosleep(&LOOK, std::ptr::null_mut()) };
        }
        self.signal(libc::SIGKILL);
    }

    /// Whether anybody was there to get it; 0 only asks.
    fn signal(&self, signal: libc::c_int) -> bool {
        // SAFETY: a plain system call on numbers.
        !self.is_anothers() && unsafe { libc::killpg(self.number, signal) == 0 }
    }

    /// The leader is buried, and yet there is a process of its number: then the group's number is that one's.
    fn is_anothers(&self) -> bool {
        // SAFETY: a plain system call on numbers.
        self.leader >= 0 && is_buried(self.leader) && unsafe { libc::kill(self.number, 0) == 0 }
    }
}

/// A descriptor of a process, which stays that one's; -1 where the system has none.
fn hold(process: libc::pid_t) -> libc::c_int {
    #[cfg(target_os = "linux")]
    // SAFETY: a plain system call on numbers.
    return unsafe { libc::syscall(libc::SYS_pidfd_open, process, 0) }.try_into().unwrap_or(-1);
    #[cfg(not(target_os = "linux"))]
    return {
        let _ = process;
        -1
    };
}

fn is_buried(held: libc::c_int) -> bool {
    #[cfg(target_os = "linux")]
    // SAFETY: a plain system call on numbers; signal 0 only asks.
    return unsafe { libc::syscall(libc::SYS_pidfd_send_signal, held, 0, std::ptr::null::<()>(), 0) } < 0
        && io::Error::last_os_error().raw_os_error() == Some(libc::ESRCH);
    #[cfg(not(target_os = "linux"))]
    return held < 0;
}

/// Closes every descriptor from `first` on.
fn close_from(first: RawFd) {
    // SAFETY: plain system calls on numbers; nothing of this process uses any of these descriptors again.
    unsafe {
        #[cfg(target_os = "linux")]
        if libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) == 0 {
            return;
        }
        // Numbers are given from the lowest on, and we open few; a limit of a thousand million is no count of them.
        const MOST: libc::rlim_t = 1 << 16;
        let mut limit = libc::rlimit { rlim_cur: MOST, rlim_max: MOST };
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        for number in first..RawFd::try_from(limit.rlim_cur.min(MOST)).unwrap_or(RawFd::MAX) {
            libc::close(number);
        }
    }
}
