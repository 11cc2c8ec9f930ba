//! Owns the key of a run, and what is sealed under it. The only file that names `chacha20poly1305`.
