//! Owns judging what was written: makes a `Plan`, or all mistakes at once.
