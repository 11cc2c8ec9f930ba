//! Owns locks under a name, each held by one live run; and whose they were when that run is gone.
