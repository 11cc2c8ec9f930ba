//! Owns locks under a name, each held by one live run; and whose they were when that run is gone.
//! Deliberately knows no journal: what a run that is gone still holds, the caller says.

mod file;
mod refused;

pub use crate::digest::sha256_hex;
use refused::Refused;

use super::host::{Host, lives};
use crate::event::RunOutcome;
use file::{Content, LockFile};
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often and how long it is looked again who holds a lock, while its file does not say yet: whoever has just got it
/// looks first what the run before still holds.
const LOOKS: usize = 100;
const PAUSE: Duration = Duration::from_millis(10);

/// All locks of a state folder: files in its `locks/`, which are never removed.
#[derive(Clone, Debug)]
pub struct Locks {
    folder: PathBuf,
}

/// Who holds or held a lock: what its file says, as one line of JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The lock's name.
    pub lock: String,
    pub run: String,
    pub pid: u32,
    pub host: String,
    /// Tells one start of the machine from another.
    #[serde(default)]
    pub boot: Option<String>,
    pub actor: String,
    /// RFC 3339, UTC.
    pub since: String,
    /// `passed`, `failed` … once the run has let go of it.
    #[serde(default)]
    pub ended: Option<String>,
    /// The run has ended and still holds secrets.
    #[serde(default)]
    pub custody: bool,
}

/// Who wants a lock.
pub struct Claim<'a> {
    /// The run's id. Where it is the one that the lock's file names, this is its resume.
    pub run: &'a str,
    pub actor: &'a str,
    /// Takes the lock of a run that is gone, whatever that run still holds. Never of a live one.
    pub take_over: bool,
    /// What the run of an id still holds.
    pub holds: &'a dyn Fn(&str) -> Holds,
}

/// What a run that no longer lives still holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holds {
    Nothing,
    /// It broke off, and could be gone on with.
    Unfinished,
    /// It has ended, and has the only copy of these secrets.
    Custody {
        names: Vec<String>,
    },
    /// There is no such run any more.
    Gone,
}

/// How a run lets go of a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    pub outcome: RunOutcome,
    /// It still holds secrets.
    pub custody: bool,
}

/// A lock, held as long as this is there. Dropped without `release`, it is that of a run that broke off.
#[derive(Debug)]
pub struct Held {
    file: LockFile,
    holder: Holder,
    taken_over: Option<Box<Taken>>,
}

/// What `--take-over` took a lock from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// `None` where the file did not say.
    pub holder: Option<Holder>,
}

/// A lock as it is found, without taking it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// `None` where its file cannot be read.
    pub holder: Option<Holder>,
    /// A process holds it now.
    pub is_live: bool,
    pub file: PathBuf,
}

impl Locks {
    /// Those of a state folder, which need not be there yet.
    pub fn at(state: &Path) -> Locks {
        Locks { folder: state.join("locks") }
    }

    /// Takes the lock, or says who has it and what to do. Waits for nobody (but a second at most for a holder's name).
    pub fn acquire(&self, name: &str, claim: &Claim<'_>) -> Result<Held, Refused> {
        let trouble = |error: std::io::Error| Refused::Trouble {
            lock: name.into(),
            why: format!("{}: {error}", self.path(name).display()),
        };
        let file = LockFile::open_or_make(&self.folder, &self.path(name)).map_err(trouble)?;
        self.take(&file, name).map_err(|error| error.unwrap_or_else(trouble))?;
        let before = file.read().map_err(trouble)?.of(name);
        let taken_over = match judge(name, &before, claim, file.path()) {
            Ok(()) => None,
            Err(_) if claim.take_over => Some(Box::new(Taken { holder: before.holder() })),
            Err(refused) => return Err(refused),
        };
        let host = Host::here();
        let holder = Holder {
            lock: name.into(),
            run: claim.run.into(),
            pid: std::process::id(),
            host: host.name,
            boot: host.boot,
            actor: claim.actor.into(),
            since: crate::plan::duration::now(),
            ended: None,
            custody: false,
        };
        file.write(&holder).map_err(trouble)?;
        Ok(Held { file, holder, taken_over })
    }

    /// Makes us the live holder. While another is, and its file says so: refused.
    fn take(&self, file: &LockFile, name: &str) -> Result<(), Tried> {
        let here = Host::here();
        let mut said = None;
        for look in 0..LOOKS {
            if file.try_take()? {
                return Ok(());
            }
            said = file.read()?.of(name).holder().filter(|holder| holder.ended.is_none());
            let elsewhere = |holder: &Holder| holder.host != here.name;
            let here_and_alive = |holder: &Holder| holder.boot == here.boot && lives(holder.pid);
            if said.as_ref().is_some_and(|holder| elsewhere(holder) || here_and_alive(holder)) {
                break;
            }
            if look + 1 < LOOKS {
                std::thread::sleep(PAUSE);
            }
        }
        Err(Tried::Refused(Refused::Live { lock: name.into(), holder: said.map(Box::new) }))
    }

    /// Who holds or held the lock; `None` where nobody ever did. Errors are of the file system.
    pub fn look(&self, name: &str) -> std::io::Result<Option<Seen>> {
        let seen = self.see(&self.path(name))?;
        Ok(seen.map(|seen| Seen { holder: seen.holder.filter(|holder| holder.lock == name), ..seen }))
    }

    /// All locks that anyone ever held, by name; those whose file cannot be read come first.
    pub fn all(&self) -> std::io::Result<Vec<Seen>> {
        let entries = match std::fs::read_dir(&self.folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut all = Vec::new();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let is_ours = name.len() == 32 && name.as_encoded_bytes().iter().all(u8::is_ascii_hexdigit);
            if is_ours && let Some(seen) = self.see(&entry.path())? {
                all.push(seen);
            }
        }
        let name = |seen: &Seen| seen.holder.as_ref().map(|holder| holder.lock.clone());
        all.sort_by(|one, other| (name(one), &one.file).cmp(&(name(other), &other.file)));
        Ok(all)
    }

    fn see(&self, path: &Path) -> std::io::Result<Option<Seen>> {
        let Some(file) = LockFile::open(path)? else { return Ok(None) };
        let is_live = !file.try_share()?;
        let holder = match file.read()? {
            Content::Empty if !is_live => return Ok(None),
            content => content.holder(),
        };
        Ok(Some(Seen { holder, is_live, file: path.to_path_buf() }))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(&sha256_hex(name.as_bytes())[..32])
    }
}

/// Why trying to take a lock ended.
enum Tried {
    Refused(Refused),
    Broken(std::io::Error),
}

impl From<std::io::Error> for Tried {
    fn from(error: std::io::Error) -> Tried {
        Tried::Broken(error)
    }
}

impl Tried {
    fn unwrap_or_else(self, told: impl FnOnce(std::io::Error) -> Refused) -> Refused {
        match self {
            Tried::Refused(refused) => refused,
            Tried::Broken(error) => told(error),
        }
    }
}

/// Whether a lock that nobody holds any more is free for a claim.
fn judge(name: &str, before: &Content, claim: &Claim<'_>, file: &Path) -> Result<(), Refused> {
    let holder = match before {
        Content::Empty => return Ok(()),
        Content::Foreign => return Err(Refused::Unreadable { lock: name.into(), file: file.to_path_buf() }),
        Content::Holder(holder) => holder,
    };
    if holder.run == claim.run || holder.is_done() {
        return Ok(());
    }
    let (lock, holder) = (name.to_string(), holder.clone());
    match (claim.holds)(&holder.run) {
        Holds::Nothing | Holds::Gone => Ok(()),
        Holds::Unfinished => Err(Refused::Unfinished { lock, holder }),
        Holds::Custody { names } => Err(Refused::Custody { lock, holder, names }),
    }
}

impl Holder {
    /// It has ended, and nothing of it is left to be done: nobody needs to look at its journal.
    pub fn is_done(&self) -> bool {
        !self.custody && matches!(self.ended.as_deref(), Some("passed" | "failed" | "refused"))
    }
}

impl Held {
    /// The run has ended: the lock is free, and its file says how the run ended. The error says what could not be written;
    /// the lock is free all the same, and looks like that of a run that broke off.
    pub fn release(mut self, ended: Ended) -> Result<(), String> {
        self.holder.ended = Some(ended.outcome.word().into());
        self.holder.custody = ended.custody;
        self.file.write(&self.holder).map_err(|error| {
            format!("how the run ended cannot be written to the lock {}: {error}", self.file.path().display())
        })
    }

    pub fn holder(&self) -> &Holder {
        &self.holder
    }

    /// Whom it was taken from by `--take-over`, if it was.
    pub fn taken_over(&self) -> Option<&Taken> {
        self.taken_over.as_deref()
    }
}

#[cfg(test)]
mod tests;
