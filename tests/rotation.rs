//! The shipped rotation playbooks, through the front door: real processes, in the shipped world and against another
//! implementation of the providers.

mod providers;
mod support;

#[path = "rotation/failures.rs"]
mod failures;
#[path = "rotation/forward.rs"]
mod forward;
#[path = "rotation/gh.rs"]
mod gh;
#[path = "rotation/rehearsal.rs"]
mod rehearsal;
#[path = "rotation/resume.rs"]
mod resume;
#[path = "rotation/success.rs"]
mod success;
