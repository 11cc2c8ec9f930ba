//! Owns reporters: events to output, for people and for programs.
//! Deliberately knows nothing of the engine; a reporter is told events, one at a time, in order.

mod failure;
mod human;
mod json;
mod live;
mod summary;

pub use failure::as_diagnostic;
pub use human::Human;
pub use json::Json;

use crate::event::RunEvent;
use crate::secret::{MaskWriter, Masker};
use crate::source::steers;
use std::io::Write;
use std::time::SystemTime;

/// Turns events into output. One that cannot write any more says so once, on standard error, and stays silent: a run does
/// not end for want of an audience.
pub trait Reporter {
    fn tell(&mut self, event: &RunEvent);
    /// Tells again what happened at another time.
    fn tell_at(&mut self, event: &RunEvent, at: SystemTime);
    /// Runs `ask` with the screen free for a question.
    fn make_room(&mut self, ask: &mut dyn FnMut()) {
        ask();
    }
}

/// Where a reporter writes: masked, and with colour or without.
pub struct Out {
    writer: MaskWriter<Box<dyn Write>>,
    /// It could not be written to, which was told.
    is_lost: bool,
    pub colour: bool,
}

impl Out {
    pub fn new(writer: Box<dyn Write>, masker: &Masker, colour: bool) -> Out {
        Out { writer: masker.writer(writer), is_lost: false, colour }
    }

    /// JSON as one line. It is for programs, but a person who looks at it there must not be steered either: JSON lets
    /// 8-bit control characters and marks of direction stand as they are. They stand in its texts alone.
    pub fn json(&mut self, json: &str) {
        if !json.contains(steers) {
            return self.line(json);
        }
        let mut safe = String::with_capacity(json.len());
        for c in json.chars() {
            if steers(c) { safe.push_str(&format!("\\u{:04x}", u32::from(c))) } else { safe.push(c) }
        }
        self.line(&safe);
    }

    pub fn line(&mut self, text: &str) {
        let written = writeln!(self.writer, "{text}").and_then(|()| self.writer.flush());
        // A closed pipe is no reason to leave a rotation half done.
        if let Err(error) = written
            && !std::mem::replace(&mut self.is_lost, true)
        {
            let why = error.kind();
            let told = format!("standard output cannot be written to any more ({why}): the run goes on without it");
            let _ = writeln!(std::io::stderr(), "warning: {told}");
        }
    }

    /// The text in a colour (an ANSI code), where there is colour.
    pub fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }
}

/// Text from outside as it can be shown on a terminal: control characters, which could move the cursor or set
/// the title, and those that turn the direction of all that follows, are spelt out; line breaks and tabs stay.
pub fn neutral(text: &str) -> String {
    let steers = |c: char| steers(c) && c != '\n' && c != '\t';
    if !text.contains(steers) {
        return text.to_string();
    }
    text.chars().map(|c| if steers(c) { c.escape_default().to_string() } else { c.to_string() }).collect()
}

/// The same on one line, for what would be taken for lines of ours: names of steps, locks, reasons.
pub fn one_line(text: &str) -> String {
    neutral(text).replace('\n', " ")
}
