//! Owns the file of a lock: opened, held by `flock`, read and written in place.
//! Deliberately decides nothing about who may have it.

use super::Holder;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// More than a lock's file can say.
const MOST: usize = 64 << 10;

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Nobody has ever held it: a holder's name is on disk before the holder does anything.
    Empty,
    Holder(Box<Holder>),
    /// Torn, or somebody else's.
    Foreign,
}

impl Content {
    /// Foreign where it speaks of another lock.
    pub(super) fn of(self, name: &str) -> Content {
        match self {
            Content::Holder(holder) if holder.lock != name => Content::Foreign,
            content => content,
        }
    }

    pub(super) fn holder(&self) -> Option<Holder> {
        match self {
            Content::Holder(holder) => Some(Holder::clone(holder)),
            Content::Empty | Content::Foreign => None,
        }
    }
}

/// An open file of a lock; what is held of it goes when this is dropped.
#[derive(Debug)]
pub(super) struct LockFile {
    file: File,
    path: PathBuf,
}

impl LockFile {
    /// Made with its folder, both private, where it is not there.
    pub(super) fn open_or_make(folder: &Path, path: &Path) -> io::Result<LockFile> {
        if let Some(there) = LockFile::open(path)? {
            return Ok(there);
        }
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let file = options().create(true).truncate(false).mode(0o600).open(path)?;
        // The file must be there after a power cut as what is written in it will be.
        File::open(folder)?.sync_all()?;
        LockFile::of(file, path)
    }

    /// `None` where there is none.
    pub(super) fn open(path: &Path) -> io::Result<Option<LockFile>> {
        match options().open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            file => Ok(Some(LockFile::of(file?, path)?)),
        }
    }

    fn of(file: File, path: &Path) -> io::Result<LockFile> {
        match file.metadata()?.is_file() {
            true => Ok(LockFile { file, path: path.to_path_buf() }),
            false => Err(io::Error::other("it is no regular file")),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes us the one holder; `false` where there is another.
    pub(super) fn try_take(&self) -> io::Result<bool> {
        taken(self.file.try_lock())
    }

    /// Shares it with others who only look; `false` where there is a holder.
    pub(super) fn try_share(&self) -> io::Result<bool> {
        taken(self.file.try_lock_shared())
    }

    pub(super) fn read(&self) -> io::Result<Content> {
        let mut bytes = vec![0; MOST];
        let mut length = 0;
        while length < MOST {
            match self.file.read_at(&mut bytes[length..], length as u64) {
                Ok(0) => break,
                Ok(count) => length += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        // What follows the first line is left of a longer one, should we have been ended between writing and cutting off.
        let line = bytes[..length].split(|byte| *byte == b'\n').next().unwrap_or_default();
        Ok(match (length, serde_json::from_slice::<Holder>(line)) {
            (0, _) => Content::Empty,
            (_, Ok(holder)) => Content::Holder(Box::new(holder)),
            (_, Err(_)) => Content::Foreign,
        })
    }

    /// Writes in place and to the disk: a file that took another's place would be held by nobody.
    pub(super) fn write(&self, holder: &Holder) -> io::Result<()> {
        let line = serde_json::to_string(holder)? + "\n";
        if line.len() > MOST {
            return Err(io::Error::other("the lock's name is too long"));
        }
        self.file.write_all_at(line.as_bytes(), 0)?;
        self.file.set_len(line.len() as u64)?;
        self.file.sync_data()
    }
}

impl Drop for LockFile {
    /// Closing would not do while a child that is just being started has the file as well.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    // Neither a link elsewhere nor a pipe that nobody reads; closed in every program that is started (std sees to that).
    options.read(true).write(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    options
}

fn taken(tried: Result<(), TryLockError>) -> io::Result<bool> {
    match tried {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
