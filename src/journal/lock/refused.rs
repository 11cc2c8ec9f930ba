//! Owns what somebody is told who does not get a lock: who has it, since when, and the ways on.

use super::Holder;
use std::fmt;
use std::path::PathBuf;

/// Why a lock is not had. Its `Display` has a line for each way on.
#[derive(Debug)]
pub enum Refused {
    /// A live process holds it; `None` where it does not say which run that is.
    Live { lock: String, holder: Option<Box<Holder>> },
    /// The run that held it broke off.
    Unfinished { lock: String, holder: Box<Holder> },
    /// The run that held it has ended, and has the only copy of these secrets.
    Custody { lock: String, holder: Box<Holder>, names: Vec<String> },
    /// What the lock's file says is no holder: nobody knows whose run broke off.
    Unreadable { lock: String, file: PathBuf },
    /// The file system refuses.
    Trouble { lock: String, why: String },
}

impl std::error::Error for Refused {}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Live { lock, holder: Some(holder) } => write!(
                f,
                "the lock `{lock}` is held by run {}, {} (process {})\n\
                 help: wait until that run has ended, or end it there",
                holder.run,
                holder.whose(),
                holder.pid
            ),
            Refused::Live { lock, holder: None } => {
                write!(f, "the lock `{lock}` is being taken by another process\nhelp: try again in a moment")
            }
            Refused::Unfinished { lock, holder } => {
                let how = match holder.ended.as_deref() {
                    None => "broke off".to_string(),
                    Some(word) => format!("ended {word}"),
                };
                write!(
                    f,
                    "the lock `{lock}` is that of run {0}, {1}, which {how} and is unfinished\n\
                     help: go on with it: `runbook resume {0}`\n\
                     help: give it up: `runbook discard {0}`\n\
                     help: leave it as it is, and take the lock: `--take-over`",
                    holder.run,
                    holder.whose()
                )
            }
            Refused::Custody { lock, holder, names } => {
                let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
                let names = if names.is_empty() { "secrets".into() } else { names.join(", ") };
                let how = holder.ended.as_deref().map_or("broke off".into(), |word| format!("ended {word}"));
                write!(
                    f,
                    "the lock `{lock}` is that of run {0}, {1}, which {how} and may hold the only copy of {names}\n\
                     help: go on with it: `runbook resume {0}`\n\
                     help: give up what it holds: `runbook discard {0}`\n\
                     help: leave it as it is, and take the lock: `--take-over`",
                    holder.run,
                    holder.whose()
                )
            }
            Refused::Unreadable { lock, file } => write!(
                f,
                "the lock `{lock}` was that of a run nobody can name: {} is damaged\n\
                 help: look for runs that broke off: `runbook status`\n\
                 help: where there is none, take the lock: `--take-over`",
                file.display()
            ),
            Refused::Trouble { lock, why } => write!(f, "the lock `{lock}` cannot be had: {why}"),
        }
    }
}

impl Holder {
    /// `of ana on build-1, since 2026-07-01T10:00:00Z`.
    pub fn whose(&self) -> String {
        format!("of {} on {}, since {}", self.actor, self.host, self.since)
    }
}
