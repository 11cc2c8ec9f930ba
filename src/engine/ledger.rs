//! Owns the seam between the engine and what remembers.
