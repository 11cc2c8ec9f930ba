//! Worlds as a run meets them: real processes, raw bytes over TCP, programs called by a shell.

#[path = "world/files.rs"]
mod files;
#[path = "world/hosts.rs"]
mod hosts;
#[path = "world/life.rs"]
mod life;
#[path = "world/programs.rs"]
mod programs;
#[path = "world/support.rs"]
mod support;
