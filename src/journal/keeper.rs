//! Owns what wraps the key of a run: a key file, a passphrase, a command of the operator's.
//! Deliberately knows nothing of configuration, environment or terminal, nor of where what is wrapped is kept.

mod child;
mod command;
mod file;
mod passphrase;

use super::seal::{RunKey, SealError};
use crate::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;

/// The number of the format of what is written.
const FORMAT: u32 = 1;

/// What a key of a run is wrapped for; a sealed value does not open as one.
const KEY: &str = "runbook key";

/// Who wraps the key of a run, and unwraps it again.
#[derive(Clone)]
pub enum Keeper {
    /// A file with a key, made at first use.
    File(PathBuf),
    Passphrase(Passphrase),
    /// Programs of the operator's: `wrap` has the key (base64, one line) on standard input and writes what is kept;
    /// `unwrap` has that on standard input and writes the key. Without `unwrap`, only others can go on with the run.
    Command {
        wrap: Vec<String>,
        unwrap: Option<Vec<String>>,
    },
}

/// Gives the passphrase: asks for it, or takes it from where the operator put it.
pub type Passphrase = Arc<dyn Fn(Purpose<'_>) -> Result<Secret, NoPassphrase> + Send + Sync>;

/// What a passphrase is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose<'a> {
    /// A mistyped one would lock everybody out: who asks a person asks twice.
    Wrap {
        run: &'a str,
    },
    Unwrap {
        run: &'a str,
    },
}

/// Why there is no passphrase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoPassphrase {
    /// The person pressed Ctrl-C.
    Interrupted,
    /// What is missing, and what would give it.
    Missing(String),
}

/// The key of a run, wrapped: what the run's file `key` holds, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wrapped {
    pub format: u32,
    pub kind: Kind,
    /// Names the run's key without telling it: the first 8 hex digits of its SHA-256.
    pub run_key_id: String,
    /// Names the key file's key in the same way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_file_id: Option<String>,
    /// How the passphrase becomes a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passphrase: Option<Derivation>,
    /// The name of the program that wrapped it, without its arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// Base64.
    pub wrapped: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    File,
    Passphrase,
    Command,
}

/// Argon2id's parameters: memory in KiB, passes, lanes; the salt as base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Derivation {
    pub kdf: String,
    pub memory: u32,
    pub passes: u32,
    pub lanes: u32,
    pub salt: String,
}

/// Why a run's key is not wrapped or not unwrapped. Each says what to do; none shows a key or a passphrase.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// What is configured cannot do it: a key file that others can read, a command that fails or does not encrypt.
    #[error("{0}")]
    Unfit(String),
    /// It takes another key file, passphrase or command than this one.
    #[error("{0}")]
    Locked(String),
    /// The run's file `key` is not what was once written.
    #[error("{0}")]
    Damaged(String),
    /// The person who was asked pressed Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

impl From<SealError> for KeeperError {
    fn from(error: SealError) -> KeeperError {
        KeeperError::Unfit(error.to_string())
    }
}

impl From<NoPassphrase> for KeeperError {
    fn from(none: NoPassphrase) -> KeeperError {
        match none {
            NoPassphrase::Interrupted => KeeperError::Interrupted,
            NoPassphrase::Missing(why) => KeeperError::Unfit(why),
        }
    }
}

impl Keeper {
    pub fn kind(&self) -> Kind {
        match self {
            Keeper::File(_) => Kind::File,
            Keeper::Passphrase(_) => Kind::Passphrase,
            Keeper::Command { .. } => Kind::Command,
        }
    }

    /// Names the key file's key without telling it; `None` where there is no key file, or not yet.
    pub fn key_file_id(&self) -> Result<Option<String>, KeeperError> {
        match self {
            Keeper::File(path) => Ok(file::read_if_there(path)?.map(|key| key.id())),
            Keeper::Passphrase(_) | Keeper::Command { .. } => Ok(None),
        }
    }

    /// Wraps the key of a run, and shows beforehand that it can be unwrapped again, as far as this keeper can.
    /// Blocks: a person may be asked, a program may take up to a minute for each of its two ways.
    pub fn wrap(&self, run: &str, key: &RunKey) -> Result<Wrapped, KeeperError> {
        let mut wrapped = Wrapped {
            format: FORMAT,
            kind: self.kind(),
            run_key_id: key.id(),
            key_file_id: None,
            passphrase: None,
            program: None,
            wrapped: String::new(),
        };
        let bytes = match self {
            Keeper::File(path) => {
                let outer = file::read_or_make(path)?;
                wrapped.key_file_id = Some(outer.id());
                outer.seal_bytes(&[KEY, run], key.expose())?
            }
            Keeper::Passphrase(ask) => {
                let derivation = passphrase::derivation()?;
                let outer = passphrase::to_wrap(&ask(Purpose::Wrap { run })?, &derivation)?;
                wrapped.passphrase = Some(derivation);
                outer.seal_bytes(&[KEY, run], key.expose())?
            }
            Keeper::Command { wrap, unwrap } => {
                wrapped.program = wrap.first().map(|program| command::name(program));
                command::wrap(wrap, unwrap.as_deref(), key)?
            }
        };
        wrapped.wrapped = STANDARD.encode(bytes);
        Ok(wrapped)
    }

    /// Unwraps the key of a run; blocks like `wrap`.
    pub fn unwrap(&self, run: &str, wrapped: &Wrapped) -> Result<RunKey, KeeperError> {
        let damaged = |what: &str| {
            KeeperError::Damaged(format!(
                "the file `key` of run {run} {what}, so that its secrets cannot be opened\n\
                 help: bring the file back as it was, from a copy of the run's folder"
            ))
        };
        if wrapped.format != FORMAT {
            return Err(damaged(&format!(
                "is written in format {}, and this runbook reads format {FORMAT}",
                wrapped.format
            )));
        }
        let bytes = STANDARD.decode(&wrapped.wrapped).map_err(|_| damaged("was changed"))?;
        if self.kind() != wrapped.kind {
            return Err(KeeperError::Locked(format!(
                "the key of run {run} is wrapped {}, and what is configured here is {}\nhelp: {}",
                wrapped.by_what(),
                self.described(),
                wrapped.way()
            )));
        }
        let opened = |outer: &RunKey| {
            let bytes = outer.open_bytes(&[KEY, run], &bytes)?;
            RunKey::of(&bytes)
        };
        let key = match self {
            Keeper::File(path) => {
                let wanted = wrapped.key_file_id.as_deref().ok_or_else(|| damaged("names no key file"))?;
                opened(&file::read(path, run, wanted)?).ok_or_else(|| damaged("was changed"))?
            }
            Keeper::Passphrase(ask) => {
                let derivation =
                    wrapped.passphrase.as_ref().ok_or_else(|| damaged("does not say how its passphrase is used"))?;
                let salt = passphrase::judge(derivation).map_err(|what| damaged(&what))?;
                let text = ask(Purpose::Unwrap { run })?;
                if text.expose().is_empty() {
                    return Err(KeeperError::Locked(format!(
                        "the passphrase is empty; it takes the one that was given when run {run} began"
                    )));
                }
                opened(&passphrase::derive(&text, derivation, &salt)?).ok_or_else(|| {
                    KeeperError::Locked(format!(
                        "this is not the passphrase that the key of run {run} is wrapped with \
                         (or the run's file `key` was changed)\n\
                         help: give the one that was given when the run began"
                    ))
                })?
            }
            Keeper::Command { unwrap: Some(unwrap), .. } => command::unwrap(unwrap, run, &bytes)?,
            Keeper::Command { unwrap: None, .. } => {
                return Err(KeeperError::Locked(format!(
                    "the key of run {run} is wrapped {}, and the configuration here has no `key_command: {{unwrap: …}}`\n\
                     help: {}",
                    wrapped.by_what(),
                    wrapped.way()
                )));
            }
        };
        match key.id() == wrapped.run_key_id {
            true => Ok(key),
            false => Err(KeeperError::Locked(format!(
                "what was unwrapped is a key ({}), but not that of run {run} ({})\n\
                 help: is this the file `key` of another run, or a command that always prints the same key?",
                key.id(),
                wrapped.run_key_id
            ))),
        }
    }

    fn described(&self) -> String {
        match self {
            Keeper::File(path) => format!("the key file {}", path.display()),
            Keeper::Passphrase(_) => "a passphrase".into(),
            Keeper::Command { wrap, .. } => match wrap.first() {
                Some(program) => format!("a `key_command` (`{}`)", command::name(program)),
                None => "a `key_command`".into(),
            },
        }
    }
}

impl Wrapped {
    /// `with the key file 1a2b3c4d`, `with a passphrase`, `by a key_command (age)`.
    pub fn by_what(&self) -> String {
        match self.kind {
            Kind::File => format!("with the key file {}", self.key_file_id.as_deref().unwrap_or("(unnamed)")),
            Kind::Passphrase => "with a passphrase".into(),
            Kind::Command => format!("by a `key_command` (`{}`)", self.program.as_deref().unwrap_or("unnamed")),
        }
    }

    /// What to do to unwrap it.
    fn way(&self) -> &'static str {
        match self.kind {
            Kind::File => "name that key file: `--key-file PATH`, or `key_file: PATH` in the configuration",
            Kind::Passphrase => "put `key_passphrase: true` in the configuration (`--config FILE` names another one)",
            Kind::Command => {
                "put the `key_command: {wrap: […], unwrap: […]}` of whoever began the run in the configuration \
                 (`--config FILE` names another one)"
            }
        }
    }
}

#[cfg(test)]
mod tests;
