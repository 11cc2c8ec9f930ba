//! Owns what a secret is: a text that cannot be printed, where it came from and where it may go.
//! Deliberately knows nothing of files, runs or who asks.

mod automaton;
mod forms;
mod masker;
mod remains;
mod search;
mod sieve;
mod spelling;
mod stream;
#[cfg(test)]
mod tests;

pub use masker::Masker;
pub use stream::{MaskStream, MaskWriter};

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Shorter secrets are refused: masking them would hide half of every output.
pub const SHORTEST_SECRET: usize = 6;

/// A text that has no `Display` and no `Serialize`, is shown as three stars, and is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub fn new(text: String) -> Secret {
        Secret(Zeroizing::new(text))
    }

    /// The text itself. Search for this word to find every place where a secret is used.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Why this text cannot serve as a secret, if it cannot: empty, too short, white space at its ends.
    /// Each of these has shut people out (a pasted newline) or would ruin the masking of every output.
    pub fn fault(&self) -> Option<String> {
        let text = self.expose();
        if text.is_empty() {
            Some("it is empty".into())
        } else if text.trim() != text {
            Some("it has white space at its ends (a newline that was pasted along?)".into())
        } else if text.chars().count() < SHORTEST_SECRET {
            Some(format!(
                "it is shorter than {SHORTEST_SECRET} characters, so that masking it would hide half of every output"
            ))
        } else {
            None
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Where a secret may flow: `api.example.com`, `*.example.com`, `example.com:8443` or `run:gh`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    Host(String),
    Program(String),
}

impl Target {
    pub fn parse(text: &str) -> Result<Target, String> {
        let text = text.trim();
        if let Some(program) = text.strip_prefix("run:") {
            return match program.trim() {
                "" => Err("`run:` wants the name of a program".into()),
                name => Ok(Target::Program(name.into())),
            };
        }
        if text.is_empty() || text.contains("://") || text.contains('/') || text.contains(char::is_whitespace) {
            return Err(format!(
                "`{text}` is no target: give a host (`api.example.com`, `*.example.com`, `localhost:8080`) or `run:PROGRAM`"
            ));
        }
        Ok(Target::Host(text.to_ascii_lowercase()))
    }

    /// Whether this entry of a `to:` list covers the host (lower case) and port.
    pub fn covers_host(&self, host: &str, port: u16) -> bool {
        let Target::Host(entry) = self else { return false };
        let with_port = entry.rsplit_once(':').and_then(|(name, digits)| Some((name, digits.parse::<u16>().ok()?)));
        let (name, wanted_port) = match with_port {
            Some((name, port)) if !name.ends_with(':') => (name, Some(port)),
            _ => (entry.as_str(), None),
        };
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = name.trim_start_matches('[').trim_end_matches(']');
        let host_fits = match name.strip_prefix("*.") {
            Some(suffix) => {
                bare.len() > suffix.len() + 1
                    && bare.ends_with(suffix)
                    && bare.as_bytes()[bare.len() - suffix.len() - 1] == b'.'
            }
            None => bare == name,
        };
        host_fits && wanted_port.is_none_or(|wanted| wanted == port)
    }

    /// As it is spelt, like in `permissions.run`: a bare name is not the program of that name in some folder.
    pub fn covers_program(&self, program: &str) -> bool {
        matches!(self, Target::Program(entry) if entry == program)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Host(host) => f.write_str(host),
            Target::Program(program) => write!(f, "run:{program}"),
        }
    }
}

/// Where a secret was born: the variable's name and the places it may flow to (`None`: wherever permissions allow).
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    pub name: String,
    pub to: Option<Vec<Target>>,
}

/// The secrets that a value was made from; empty for a public value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taint {
    origins: BTreeSet<Arc<Origin>>,
    measured: bool,
}

impl Taint {
    pub fn of(origin: Arc<Origin>) -> Taint {
        Taint { origins: BTreeSet::from([origin]), measured: false }
    }

    /// The same, of what has a length that was made of the secret: that is no more public than the text.
    pub fn measured(&self) -> Taint {
        Taint { measured: true, ..self.clone() }
    }

    pub fn is_measured(&self) -> bool {
        self.measured
    }

    pub fn add(&mut self, other: &Taint) {
        self.origins.extend(other.origins.iter().cloned());
        self.measured |= other.measured;
    }

    pub fn is_empty(&self) -> bool {
        self.origins.is_empty()
    }

    pub fn origins(&self) -> impl Iterator<Item = &Arc<Origin>> {
        self.origins.iter()
    }

    pub fn contains(&self, origin: &Arc<Origin>) -> bool {
        self.origins.contains(origin)
    }

    /// The first secret in it that may not go to the host, if any.
    pub fn refuses_host(&self, host: &str, port: u16) -> Option<&Arc<Origin>> {
        self.origins
            .iter()
            .find(|origin| origin.to.as_ref().is_some_and(|to| !to.iter().any(|target| target.covers_host(host, port))))
    }

    /// The first secret in it that may not go to the program, if any.
    pub fn refuses_program(&self, program: &str) -> Option<&Arc<Origin>> {
        self.origins
            .iter()
            .find(|origin| origin.to.as_ref().is_some_and(|to| !to.iter().any(|target| target.covers_program(program))))
    }
}
