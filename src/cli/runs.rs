//! Owns what the commands on runs share: finding one, looking at it, asking before something is done to it, printing.

use super::Exit;
use super::config::Config;
use super::person::Terminal;
use crate::journal::folder::{RunFolder, State};
use crate::journal::lock::{self, Locks};
use crate::journal::look::{Seen, look};
use crate::report::Out;
use crate::secret::Masker;
use clap::ValueEnum;
use std::io::{self, Stdout, Write};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    Human,
    Json,
}

/// The number of the form in which `list`, `status` and `verify` tell programs.
pub const FORMAT: u32 = 1;

pub fn refuse(exit: Exit, text: &str, masker: &Masker) -> Exit {
    super::tell(&masker.mask(&crate::report::neutral(&format!("error: {text}"))));
    exit
}

/// The run that a text means.
pub fn find(text: &str, config: &Config, masker: &Masker) -> Result<RunFolder, Exit> {
    State::at(&config.state.value).find(text).map_err(|error| refuse(Exit::Mistakes, &error.to_string(), masker))
}

pub fn see(folder: &RunFolder, masker: &Masker) -> Result<Seen, Exit> {
    look(folder).map_err(|error| {
        refuse(Exit::Failed, &format!("{error}\nhelp: `runbook verify {}` says more", folder.id), masker)
    })
}

/// Standard output, masked.
pub fn out(masker: &Masker) -> Out {
    Out::new(Box::new(Quiet(std::io::stdout())), masker, super::colour_on_stdout())
}

/// Standard output that may be closed by whoever has read enough: `runbook list | head`.
struct Quiet(Stdout);

impl Quiet {
    fn hush<T>(done: io::Result<T>, instead: T) -> io::Result<T> {
        match done {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(instead),
            done => done,
        }
    }
}

impl Write for Quiet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Quiet::hush(self.0.write(bytes), bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Quiet::hush(self.0.flush(), ())
    }
}

/// Locks that somebody holds, or that a run which is gone has left.
pub fn locks(config: &Config, masker: &Masker) -> Result<Vec<lock::Seen>, Exit> {
    let all = Locks::at(&config.state.value).all();
    let all = all.map_err(|error| {
        let text = format!("the locks in {} cannot be read: {error}", config.state.value.display());
        refuse(Exit::Failed, &text, masker)
    })?;
    let free = |seen: &lock::Seen| !seen.is_live && seen.holder.as_ref().is_some_and(lock::Holder::is_done);
    Ok(all.into_iter().filter(|seen| !free(seen)).collect())
}

/// Whether the person at the terminal types what is wanted. `None`: nobody is there.
pub fn types(wanted: &str, question: &str) -> Option<bool> {
    let answer = Terminal::open()?.ask(question, false);
    Some(answer.is_ok_and(|answer| answer.trim() == wanted))
}

/// `2026-05-01 12:03` of an RFC 3339 text in UTC.
pub fn minute(moment: &str) -> String {
    moment.get(..16).unwrap_or(moment).replace('T', " ")
}

/// The text in `width` columns, cut or filled.
pub fn column(text: &str, width: usize) -> String {
    let text = crate::report::neutral(text).replace('\n', " ");
    let length = text.chars().count();
    if length > width {
        let cut: String = text.chars().take(width.saturating_sub(1)).collect();
        return format!("{cut}…");
    }
    format!("{text}{}", " ".repeat(width - length))
}

/// `1 run`, `2 runs`.
pub fn count(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}
