//! Owns what wraps the key of a run: a key file, a passphrase, a command of the operator's.
