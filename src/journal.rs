//! Owns the durable record of a run: journal, custody of secrets, locks, recovery. Gives the ledger of this machine.
//! Deliberately knows nothing of how a step is performed or shown.

pub mod chain;
pub mod custody;
pub mod folder;
pub mod form;
pub mod history;
pub mod host;
pub mod index;
pub mod keeper;
pub mod local;
pub mod lock;
pub mod look;
pub mod record;
pub mod replay;
pub mod seal;
pub mod tail;
pub mod verify;
pub mod writer;
