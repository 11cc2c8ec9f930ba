//! Nothing leaks: the shipped rotation with secrets that are hard to hide, in every way that a run can go, and all that it
//! writes, shows, sends and starts searched for them in every form; and the same search finds what is planted.
//!
//! `RUNBOOK_LEAK_SEED` repeats a run with the secrets of another, whose seed it has printed. `-- --nocapture` shows the table.

mod support;

#[path = "leaks/evidence.rs"]
mod evidence;
#[path = "leaks/forms.rs"]
mod forms;
#[path = "leaks/honest.rs"]
mod honest;
#[path = "leaks/planted.rs"]
mod planted;
#[allow(dead_code)] // Each test binary uses a part of it.
#[path = "rotation/rehearsal.rs"]
mod rehearsal;
#[path = "leaks/stage.rs"]
mod stage;
