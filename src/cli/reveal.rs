//! Owns `runbook reveal`: one sealed secret, handed to a person, which is recorded before it leaves.
//! The value goes through neither masker nor log: hiding it is what this command is not for.

use super::Exit;
use super::begin::INPUT;
use super::config::Config;
use super::runs::{find, refuse, types};
use crate::journal::custody::Vault;
use crate::journal::folder::{State, short};
use crate::journal::form::{self, Sealer};
use crate::journal::history::History;
use crate::journal::index::Index;
use crate::journal::record::Record;
use crate::plan::duration::show_time;
use crate::secret::Masker;
use clap::Args;
use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::SystemTime;
use zeroize::Zeroizing;

#[derive(Args)]
pub struct RevealArguments {
    /// The run: its id, the beginning or end of it, `last`, or its folder
    run: String,
    /// The secret: a capture, an answer, or a secret input of the run; `STEP/NAME` where several steps have one
    name: String,
    /// Writes it to a new file that only you can read
    #[arg(long, value_name = "FILE")]
    to_file: Option<PathBuf>,
    /// Does not ask; only into a file
    #[arg(long, requires = "to_file")]
    yes: bool,
}

/// A sealed value, and where it was born.
struct Sealed<'a> {
    step: String,
    name: &'a str,
    sealed: &'a str,
    /// For people: of which step, or that it is an input.
    from: String,
}

impl Sealed<'_> {
    /// The name with its step before it, without the attempt.
    fn full(&self) -> String {
        format!("{}/{}", self.step.rsplit_once('#').map_or(self.step.as_str(), |(step, _)| step), self.name)
    }
}

pub fn reveal(arguments: &RevealArguments, config: &Config, masker: &Masker) -> Exit {
    revealed(arguments, config, masker).unwrap_or_else(|exit| exit)
}

fn revealed(arguments: &RevealArguments, config: &Config, masker: &Masker) -> Result<Exit, Exit> {
    let no = |exit, text: &str| refuse(exit, text, masker);
    let folder = find(&arguments.run, config, masker)?;
    let (run, name) = (short(&folder.id), &arguments.name);
    if arguments.to_file.is_none() && !std::io::stdout().is_terminal() {
        let text = format!(
            "a secret is shown on a terminal only, and standard output is none\n\
             help: into a file that only you can read: `runbook reveal {run} {name} --to-file FILE`"
        );
        return Err(no(Exit::Mistakes, &text));
    }
    let (journal, history) = super::resume::open(&folder, masker)?;
    let all = sealed(&history);
    // `NAME`, or `STEP/NAME` where several steps captured one: iterations of a loop, say.
    let Some(wanted) = all.iter().rev().find(|sealed| sealed.name == name || sealed.full() == *name) else {
        let mut names: Vec<&str> = all.iter().map(|sealed| sealed.name).collect();
        names.sort_unstable();
        names.dedup();
        let text = match names.as_slice() {
            [] => format!("the run {run} holds no secret"),
            names => format!("the run {run} holds no secret `{name}`\nhelp: it holds {}", quoted(names)),
        };
        return Err(no(Exit::Mistakes, &text));
    };
    if history.custody.ended {
        let text =
            format!("custody of what the run {run} held was ended: its key is destroyed, and nobody can open it");
        return Err(no(Exit::Refused, &text));
    }
    let vault = Vault::new(&folder.path, &history.run.run, Some(Rc::new(super::keys::keeper(config, masker))));
    // Before anything is asked or recorded: what cannot be opened is not revealed.
    let text = open(wanted, &vault, &history, masker).map_err(|error| no(Exit::Failed, &error))?;
    if !arguments.yes {
        let to = arguments.to_file.as_ref().map_or("this terminal".into(), |path| path.display().to_string());
        let question = format!("`{name}`, {}, goes to {to}; type the name to reveal it", wanted.from);
        match types(name, &masker.mask(&crate::report::neutral(&question))) {
            Some(true) => {}
            Some(false) => return Err(no(Exit::Failed, "that is not its name: nothing was revealed")),
            None => {
                let text = "nobody is there to ask\nhelp: at a terminal, or with `--to-file FILE --yes`";
                return Err(no(Exit::Waiting, text));
            }
        }
    }
    let file = arguments.to_file.as_ref().map(|path| create(path)).transpose();
    let file = file.map_err(|error| no(Exit::Failed, &error))?;
    let to = file.as_ref().map_or("the terminal".into(), |(path, _)| path.display().to_string());
    let record = Record::Revealed { secret: name.clone(), by: config.actor.value.clone(), to };
    journal.note(SystemTime::now(), &record);
    if let Err(error) = journal.make_room().and_then(|()| journal.sync()) {
        if let Some((path, _)) = &file {
            let _ = std::fs::remove_file(path);
        }
        return Err(no(Exit::Failed, &format!("it cannot be recorded, so nothing was revealed: {error}")));
    }
    journal.give_back();
    drop(journal);
    Index::of(&State::at(&config.state.value)).note_again(&folder);
    hand_over(file, &text).map_err(|error| no(Exit::Failed, &error))?;
    if let Some(path) = &arguments.to_file {
        super::tell(&masker.mask(&format!("`{name}`, {}, is in {}", wanted.from, path.display())));
        let others: Vec<String> = all
            .iter()
            .filter(|sealed| sealed.name == wanted.name && sealed.full() != wanted.full())
            .map(Sealed::full)
            .collect();
        if !others.is_empty() {
            super::tell(&masker.mask(&format!("of that name there are also {}", quoted(&others))));
        }
    }
    Ok(Exit::Passed)
}

/// All that is sealed and has a name, in the order in which it was born; inputs first.
fn sealed(history: &History) -> Vec<Sealed<'_>> {
    let inputs = history.run.inputs.iter().filter_map(|input| {
        let sealed = input.value.as_ref()?.sealed.as_ref()?;
        Some(Sealed { step: INPUT.into(), name: &input.name, sealed, from: "an input of the run".into() })
    });
    let born = history.custody.born.iter().map(|born| Sealed {
        step: form::key(&born.step, born.attempt),
        name: &born.name,
        sealed: &born.sealed,
        from: format!("of step `{}`, {}", born.step, show_time(born.at)),
    });
    inputs.chain(born).collect()
}

fn open(sealed: &Sealed<'_>, vault: &Vault, history: &History, masker: &Masker) -> Result<Zeroizing<String>, String> {
    let sealer = Sealer { key: vault.key()?, run: &history.run.run, masker };
    Ok(Zeroizing::new(sealer.open(&sealed.step, sealed.name, sealed.sealed)?.expose_text()))
}

/// A new file for its owner alone, and its absolute path.
fn create(path: &Path) -> Result<(PathBuf, File), String> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|error| {
        let help = match error.kind() {
            std::io::ErrorKind::AlreadyExists => "\nhelp: name a file that is not there: none is written over",
            _ => "",
        };
        format!("{} cannot be made: {error}{help}", path.display())
    })?;
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    Ok((absolute, file))
}

fn hand_over(file: Option<(PathBuf, File)>, text: &str) -> Result<(), String> {
    match file {
        Some((path, mut file)) => {
            let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
            written.map_err(|error| format!("{} cannot be written: {error}", path.display()))
        }
        None => {
            // The value is not to stay behind in a buffer.
            let mut stdout = std::io::stdout().lock();
            let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.write_all(b"\n"));
            written.and_then(|()| stdout.flush()).map_err(|error| format!("the terminal cannot be written to: {error}"))
        }
    }
}

pub fn quoted<T: AsRef<str>>(names: &[T]) -> String {
    names.iter().map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(", ")
}
