//! Owns the durable record of a run: journal, custody of secrets, locks, recovery. Gives the ledger of this machine.
//! Deliberately knows nothing of how a step is performed or shown.

pub mod host;
pub mod keeper;
pub mod lock;
pub mod seal;
