//! Owns the loop: steps in order, scope, retries, failing, cancel. Tells events; remembers through a ledger.
//! Deliberately knows nothing of terminals, files of a run, or which ledger it has.

pub mod ledger;
