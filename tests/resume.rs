//! Runs that end before their time, and are gone on with: real processes killed at every write to their journal, stopped
//! by full disks, refused, interrupted, failed; judged by what a server saw, and by what is left on disk.

mod support;

#[path = "resume/changed.rs"]
mod changed;
#[path = "resume/custody.rs"]
mod custody;
#[path = "resume/disk.rs"]
mod disk;
#[path = "resume/held.rs"]
mod held;
#[path = "resume/kills.rs"]
mod kills;
#[path = "resume/rounds.rs"]
mod rounds;
#[path = "resume/stage.rs"]
mod stage;
