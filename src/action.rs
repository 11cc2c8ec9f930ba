//! Owns performing one rendered action: an HTTP exchange or a program.
//! Deliberately knows nothing of templates, retries, assertions or what comes next.

mod births;
pub mod exec;
pub mod http;
mod json;
#[cfg(test)]
mod loopback;
mod regular;
mod temporary;

pub use births::Births;
pub use regular::open_regular;
pub use temporary::TemporaryFolder;

use crate::plan::permissions::Grant;
use crate::secret::{Masker, Taint};
use crate::value::Value;
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

/// What an action needs besides itself; one for a whole run.
pub struct Hands {
    pub clients: http::Clients,
    pub masker: Masker,
    /// What is about to be sent is searched for these.
    pub births: Births,
    /// Set in a rehearsal: what stands in for the outside.
    pub stand_ins: Option<StandIns>,
    /// The descriptor that shows that the run is live; open for as long as a program of it may be.
    pub life: Option<std::os::fd::RawFd>,
    /// What programs are held to; the same for all of a run.
    pub confinement: crate::event::Confinement,
}

/// Where a world's fakes are. Whatever is not named here does not exist.
#[derive(Clone, Debug, Default)]
pub struct StandIns {
    /// `host` or `host:port`, lower case, to the base URL on loopback that plays it.
    pub hosts: HashMap<String, url::Url>,
    /// The folder that is looked into for programs, alone; an absolute name `/usr/bin/x` is `usr/bin/x` in it. Scripts
    /// find a few tools that talk to nobody besides, and it comes first on every PATH.
    pub programs: PathBuf,
    /// The programs behind those of the world: they may be anywhere.
    pub players: Vec<PathBuf>,
    /// What belongs to them, to be read and written: the world's folder, and what the world names besides.
    pub belongings: Vec<PathBuf>,
    /// Where the world listens, for its programs.
    pub address: Option<url::Url>,
}

impl StandIns {
    /// The TCP ports at which something of the world listens.
    fn ports(&self) -> std::collections::BTreeSet<u16> {
        self.hosts.values().chain(&self.address).filter_map(url::Url::port_or_known_default).collect()
    }
}

/// What a step answered: one JSON document, its strings tainted where they are secret.
pub type Output = Value;

/// Why an action gave no output.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    /// Not permitted; nothing was sent (of a redirect: nothing to where it pointed).
    #[error("{message}")]
    Refused { message: String, help: Option<String> },
    /// The exchange broke. `phase` is one of: resolving, connecting, TLS, sending, reading.
    #[error("{phase}: {message}")]
    Transport { phase: &'static str, message: String, sent: Sent },
    #[error("no answer within {}", crate::plan::duration::show(*.after))]
    Timeout { after: Duration, sent: Sent },
    /// A file that is not there, a program that cannot be started, a body that is too large …
    #[error("{message}")]
    Failed { message: String, sent: Sent },
    #[error("interrupted")]
    Interrupted { sent: Sent },
}

/// Whether the other side may have acted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Surely not: nothing left this machine.
    No,
    Perhaps,
}

/// How an action is told to stop before it is done.
#[derive(Clone, Debug)]
pub struct Cancel(pub tokio::sync::watch::Receiver<bool>);

impl Cancel {
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow()
    }

    /// Resolves when the run is to stop at once; never otherwise.
    pub async fn cancelled(&self) {
        let mut signal = self.0.clone();
        if signal.wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// What one performance may do: whose permissions count.
pub struct Leave<'a> {
    pub grant: &'a Grant,
    pub cancel: &'a Cancel,
    /// What the whole answer counts as, with the cookies that come with it.
    pub veil: Taint,
}

/// Bytes for people: `10 MiB`, `512 bytes`.
fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KiB", bytes / 1024),
        _ => format!("{} MiB", bytes / 1_048_576),
    }
}
