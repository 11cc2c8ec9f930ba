//! The shipped rotation as a real process, in a world that is another one, killed at every record of its journal and at
//! random moments, resumed, and held against the promises: nothing lost, nothing done twice, nothing leaked.
//!
//! What takes long is ignored; `cargo test --test crash -- --ignored --nocapture` does all of it.

mod support;

#[path = "crash/once.rs"]
mod once;
#[path = "crash/points.rs"]
mod points;
#[path = "crash/promises.rs"]
mod promises;
#[path = "crash/random.rs"]
mod random;
#[allow(dead_code)] // Each test binary uses a part of it.
#[path = "rotation/rehearsal.rs"]
mod rehearsal;
#[path = "crash/search.rs"]
mod search;
#[path = "crash/story.rs"]
mod story;
