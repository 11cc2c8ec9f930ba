//! Owns the journal's file: one writer, lines appended, made durable where it matters, room kept for what must not be lost.
//! Deliberately knows nothing of what the records mean.

use super::chain::{Chain, Damage, Reading, read};
use super::record::Record;
use crate::secret::Masker;
use std::cell::RefCell;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Bytes on the disk that are taken beforehand, so that an outcome can be written though the disk has filled up since.
const ROOM: u64 = 128 << 10;

/// Bytes of records that may wait in memory for the next write.
const MOST_WAITING: usize = 64 << 10;

/// A journal that this process alone writes, as long as it lives.
pub struct Journal {
    path: PathBuf,
    masker: Masker,
    state: RefCell<State>,
}

struct State {
    file: File,
    chain: Chain,
    waiting: Vec<u8>,
    /// Length of the file.
    length: u64,
    /// Up to where the disk has room for certain.
    room: u64,
    /// Written since the last sync.
    dirty: bool,
    /// Why nothing can be written any more.
    broken: Option<String>,
    writes: u64,
    fault: Option<Fault>,
}

/// Why there is no journal to write to.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{path}: {error}", path = path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{path} is damaged, {damage}", path = path.display())]
    Damaged { path: PathBuf, damage: Damage },
    /// Another process writes it.
    #[error("another process has it open")]
    Live,
}

/// A fault to rehearse: the process kills itself at its `write`-th write, from 1, or panics there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub write: u64,
    pub part: Part,
}

/// How far the write gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Before,
    /// As before, but by a panic with this message, as a fault of our own would: what is told of it is masked.
    Panic(String),
    Half,
    After,
    /// Made durable, too, where it would be.
    Done,
}

impl Fault {
    /// `WRITE:PART`, with PART one of `before`, `half`, `after`, `done`, `panic=MESSAGE`.
    pub fn parse(text: &str) -> Option<Fault> {
        let (write, part) = text.split_once(':')?;
        let part = match part {
            "before" => Part::Before,
            "half" => Part::Half,
            "after" => Part::After,
            "done" => Part::Done,
            other => Part::Panic(other.strip_prefix("panic=")?.to_owned()),
        };
        Some(Fault { write: write.parse().ok()?, part })
    }

    fn strike() -> ! {
        // SAFETY: plain system calls; the signal cannot be caught, so the loop is not entered.
        unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
        loop {
            std::thread::park();
        }
    }
}

impl Journal {
    /// A new journal.
    pub fn create(path: &Path, masker: &Masker, fault: Option<Fault>) -> Result<Journal, OpenError> {
        let failed = |error| OpenError::Io { path: path.to_path_buf(), error };
        let file =
            OpenOptions::new().append(true).read(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        Journal::over(path, file, Chain::default(), 0, masker, fault)
    }

    /// A journal to go on with: all that it says, and a torn last line taken off.
    pub fn open(path: &Path, masker: &Masker, fault: Option<Fault>) -> Result<(Journal, Reading), OpenError> {
        let failed = |error| OpenError::Io { path: path.to_path_buf(), error };
        let mut file = OpenOptions::new().append(true).read(true).open(path).map_err(failed)?;
        lock(&file, path)?;
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_end(&mut bytes)).map_err(failed)?;
        let reading = read(&bytes).map_err(|damage| OpenError::Damaged { path: path.to_path_buf(), damage })?;
        if reading.torn > 0 {
            file.set_len(reading.length as u64).and_then(|()| file.sync_all()).map_err(failed)?;
        }
        let journal = Journal::over(path, file, reading.chain.clone(), reading.length as u64, masker, fault)?;
        Ok((journal, reading))
    }

    fn over(
        path: &Path,
        file: File,
        chain: Chain,
        length: u64,
        masker: &Masker,
        fault: Option<Fault>,
    ) -> Result<Journal, OpenError> {
        lock(&file, path)?;
        let state = State {
            file,
            chain,
            waiting: Vec::new(),
            length,
            room: length,
            dirty: false,
            broken: None,
            writes: 0,
            fault,
        };
        Ok(Journal { path: path.to_path_buf(), masker: masker.clone(), state: RefCell::new(state) })
    }

    /// Adds a record, which is written with the next that must be.
    pub fn note(&self, at: SystemTime, record: &Record) {
        let mut state = self.state.borrow_mut();
        if state.broken.is_some() {
            return;
        }
        let line = state.chain.link(at, record, |text| self.masker.mask(text).into_owned());
        state.waiting.extend_from_slice(&line);
        if state.waiting.len() > MOST_WAITING {
            // What goes wrong is told by whatever has to be written next.
            let _ = state.write(&self.path);
        }
    }

    /// Writes what waits: it survives the process, not yet the machine.
    ///
    /// # Errors
    /// Why it cannot be written; from then on nothing is.
    pub fn write(&self) -> Result<(), String> {
        self.state.borrow_mut().write(&self.path)
    }

    /// Makes all that was noted durable.
    pub fn sync(&self) -> Result<(), String> {
        let mut state = self.state.borrow_mut();
        state.write(&self.path)?;
        if state.dirty {
            if let Err(error) = state.file.sync_data() {
                return Err(state.broke(&self.path, &error));
            }
            state.dirty = false;
        }
        if state.strikes(Part::Done) {
            Fault::strike();
        }
        Ok(())
    }

    /// Takes room on the disk for what is to be written next, so that it can be though the disk fills up meanwhile.
    pub fn make_room(&self) -> Result<(), String> {
        self.state.borrow_mut().make_room(&self.path)
    }

    /// The open file, whose lock shows that the run is live.
    pub fn life(&self) -> RawFd {
        self.state.borrow().file.as_raw_fd()
    }

    /// Gives back the room that was taken and not needed.
    pub fn give_back(&self) {
        let state = self.state.borrow();
        if state.room > state.length {
            // Only the disk's use is at stake.
            let _ = state.file.set_len(state.length);
        }
    }
}

impl State {
    fn strikes(&self, part: Part) -> bool {
        self.fault.as_ref().is_some_and(|fault| fault.part == part && fault.write == self.writes)
    }

    /// Panics where that is the fault to rehearse.
    fn breaks(&self) {
        if let Some(Fault { write, part: Part::Panic(message) }) = &self.fault
            && *write == self.writes
        {
            panic!("{message}");
        }
    }

    fn write(&mut self, path: &Path) -> Result<(), String> {
        if let Some(reason) = &self.broken {
            return Err(reason.clone());
        }
        if self.waiting.is_empty() {
            return Ok(());
        }
        let bytes = std::mem::take(&mut self.waiting);
        self.writes += 1;
        self.breaks();
        if self.strikes(Part::Before) {
            Fault::strike();
        }
        if self.strikes(Part::Half) {
            let _ = self.file.write_all(&bytes[..bytes.len() / 2]);
            Fault::strike();
        }
        if let Err(error) = self.file.write_all(&bytes) {
            return Err(self.broke(path, &error));
        }
        if self.strikes(Part::After) {
            Fault::strike();
        }
        self.length += bytes.len() as u64;
        self.dirty = true;
        Ok(())
    }

    fn broke(&mut self, path: &Path, error: &io::Error) -> String {
        let reason = format!("the journal {} cannot be written: {error}", path.display());
        self.broken = Some(reason.clone());
        reason
    }

    fn make_room(&mut self, path: &Path) -> Result<(), String> {
        let wanted = self.length + self.waiting.len() as u64 + ROOM / 2;
        if wanted <= self.room {
            return Ok(());
        }
        let room = self.length + self.waiting.len() as u64 + ROOM;
        match allocate(&self.file, self.length, room - self.length) {
            Ok(()) => {
                self.room = room;
                Ok(())
            }
            Err(error) => Err(self.broke(path, &error)),
        }
    }
}

/// Takes blocks beyond the file's end, without making it longer. A file system that cannot is no error.
#[cfg(target_os = "linux")]
fn allocate(file: &File, from: u64, length: u64) -> io::Result<()> {
    let (Ok(from), Ok(length)) = (i64::try_from(from), i64::try_from(length)) else { return Ok(()) };
    // SAFETY: a plain system call on a descriptor that is open.
    let done = unsafe { libc::fallocate(file.as_raw_fd(), libc::FALLOC_FL_KEEP_SIZE, from, length) };
    if done == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT | libc::EFBIG) => Err(error),
        _ => Ok(()),
    }
}

#[cfg(not(target_os = "linux"))]
fn allocate(_file: &File, _from: u64, _length: u64) -> io::Result<()> {
    Ok(())
}

/// How often it is tried to be the one who writes: whoever looks whether a run is live holds its journal for a moment.
const TRIES: u32 = 6;
const PAUSE: Duration = Duration::from_millis(5);

fn lock(file: &File, path: &Path) -> Result<(), OpenError> {
    let mut tried = 1;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(OpenError::Io { path: path.to_path_buf(), error }),
            Err(TryLockError::WouldBlock) if tried == TRIES => return Err(OpenError::Live),
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
        }
        tried += 1;
    }
}

/// Whether some process has the journal open for writing.
pub fn is_live(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}
