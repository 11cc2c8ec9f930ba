//! Owns beginning to remember: a run's folder, the copies of its playbook, the first record; and going on with one.

use super::config::Config;
use super::inputs::{From, Recorded, Resolved};
use super::person::Operator;
use crate::digest::sha256_hex;
use crate::journal::custody::{Proof, Vault, sync_folder};
use crate::journal::folder::{RunFolder, State};
use crate::journal::form::{self, Sealer, Sources};
use crate::journal::history::History;
use crate::journal::host::Host;
use crate::journal::index::Index;
use crate::journal::local::Local;
use crate::journal::lock::Locks;
use crate::journal::look;
use crate::journal::record::{self, Kept, Playbook, PlaybookFile, Process, Record, RunResumed, RunStarted};
use crate::journal::writer::{Fault, Journal};
use crate::plan::check::Checked;
use crate::secret::Masker;
use crate::value::Value;
use std::path::Path;
use std::rc::Rc;
use std::time::SystemTime;

/// A run's ledger before anybody is there to answer in it.
pub struct Begun {
    pub journal: Journal,
    pub history: History,
    pub vault: Vault,
    state: State,
    folder: RunFolder,
    sources: Sources,
    take_over: bool,
    resuming: bool,
}

impl Begun {
    pub fn with(self, person: Operator, masker: &Masker) -> Local<Operator> {
        let state = self.state.clone();
        Local {
            journal: self.journal,
            history: self.history,
            vault: self.vault,
            folder: self.folder,
            index: Index::of(&self.state),
            locks: Locks::at(self.state.path()),
            masker: masker.clone(),
            sources: self.sources,
            person,
            take_over: self.take_over,
            resuming: self.resuming,
            holds: Box::new(move |run| look::holds(&state, run)),
            live: crate::journal::local::Live::default(),
        }
    }
}

/// What is to be remembered of a new run.
pub struct New<'a> {
    pub checked: &'a Checked,
    pub inputs: &'a [Resolved],
    pub actor: &'a str,
    pub world: Option<String>,
    pub tags: &'a [String],
    pub until: Option<&'a String>,
    pub take_over: bool,
    /// What the operator permits besides.
    pub allowed: &'a [String],
}

/// Begins a new run.
///
/// # Errors
/// What is in the way; nothing of the run is left then.
pub fn begin(new: &New<'_>, config: &Config, masker: &Masker) -> Result<Begun, String> {
    let state = State::at(&config.state.value);
    let folder = state.create()?;
    let begun = write_first(new, config, masker, &state, &folder);
    if begun.is_err() {
        folder.discard();
    }
    begun
}

fn write_first(
    new: &New<'_>,
    config: &Config,
    masker: &Masker,
    state: &State,
    folder: &RunFolder,
) -> Result<Begun, String> {
    let playbook = keep_playbook(new.checked, folder)?;
    let vault = Vault::new(&folder.path, &folder.id, Some(Rc::new(super::keys::keeper(config, masker))));
    let journal = Journal::create(&folder.journal(), masker, fault()).map_err(|error| error.to_string())?;
    let plan = &new.checked.plan;
    let secret = new.inputs.iter().any(|input| input.value.is_secret());
    let mut proven = None;
    if plan.captures_secrets() || secret {
        // Before anything is done rather than before the step: what is in the way is mended more easily now.
        if let Proof::Now { keeper } = vault.prove()? {
            proven = Some(Record::CustodyProven { keeper });
        }
    }
    let mut inputs = Vec::new();
    for input in new.inputs {
        inputs.push(input_record(input, &vault, &folder.id, masker)?);
    }
    let run = RunStarted {
        format: record::FORMAT,
        program: env!("CARGO_PKG_VERSION").into(),
        run: folder.id.clone(),
        playbook,
        actor: new.actor.into(),
        process: process(),
        world: new.world.clone(),
        inputs,
        tags: new.tags.to_vec(),
        until: new.until.cloned(),
        allowed: new.allowed.to_vec(),
    };
    let now = SystemTime::now();
    journal.note(now, &Record::RunStarted(run.clone()));
    if let Some(record) = proven {
        journal.note(now, &record);
    }
    journal.make_room().and_then(|()| journal.sync())?;
    sync_folder(&folder.path).map_err(|error| format!("{}: {error}", folder.path.display()))?;
    Ok(Begun {
        journal,
        history: History::new(run, now),
        vault,
        state: state.clone(),
        folder: folder.clone(),
        sources: sources(new.checked),
        take_over: new.take_over,
        resuming: false,
    })
}

fn input_record(input: &Resolved, vault: &Vault, run: &str, masker: &Masker) -> Result<record::Input, String> {
    let source = serde_json::to_value(&input.from).unwrap_or_default();
    Ok(record::Input { name: input.name.clone(), source, value: keep_input(input, vault, run, masker)? })
}

/// A public input as it is; a secret sealed, since where it came from may be gone by then, or hold another.
fn keep_input(input: &Resolved, vault: &Vault, run: &str, masker: &Masker) -> Result<Option<Kept>, String> {
    if let Some(json) = input.public()
        && !form::is_private(&input.value, masker)
    {
        return Ok(Some(Kept { json: json.clone(), sealed: None }));
    }
    vault.prove()?;
    Sealer { key: vault.key()?, run, masker }.close(INPUT, &input.name, &input.value).map(Some)
}

/// Under which step inputs are sealed; no step can be called so.
pub const INPUT: &str = "(input)";

/// The inputs as the record has them.
///
/// # Errors
/// Why a sealed one cannot be opened.
pub fn recorded_inputs(history: &History, vault: &Vault, masker: &Masker) -> Result<Vec<Recorded>, String> {
    let mut inputs = Vec::new();
    for input in &history.run.inputs {
        let from: From = serde_json::from_value(input.source.clone())
            .map_err(|_| format!("where input `{}` came from cannot be read", input.name))?;
        let opened = match &input.value {
            None => None,
            Some(Kept { sealed: None, json }) => Some(Value::plain(json.clone())),
            Some(Kept { sealed: Some(sealed), .. }) => {
                let sealer = Sealer { key: vault.key()?, run: &history.run.run, masker };
                Some(sealer.open(INPUT, &input.name, sealed)?)
            }
        };
        let kept = opened.clone().filter(Value::is_secret);
        let public = opened.filter(|value| !value.is_secret()).map(|value| value.expose().clone());
        inputs.push(Recorded { name: input.name.clone(), from, public, kept });
    }
    Ok(inputs)
}

/// What the run has captured, to know it again where it has put it.
///
/// # Errors
/// Why it cannot be opened.
pub fn captured(history: &History, vault: &Vault, masker: &Masker) -> Result<Masker, String> {
    let captured = Masker::default();
    for born in &history.custody.born {
        let sealer = Sealer { key: vault.key()?, run: &history.run.run, masker };
        sealer.open(&form::key(&born.step, born.attempt), &born.name, &born.sealed)?.teach_as(&born.name, &captured);
    }
    Ok(captured)
}

/// What is to be remembered of a resume.
pub struct Again<'a> {
    pub checked: &'a Checked,
    pub actor: &'a str,
    pub world: Option<String>,
    /// What it goes on with.
    pub inputs: &'a [Resolved],
    pub recorded: &'a [Recorded],
    /// It goes on with the playbook as it is now, so that is kept, too.
    pub current: bool,
    pub take_over: bool,
    /// All that the operator permits besides, now and before.
    pub allowed: &'a [String],
}

/// Goes on with a run.
pub fn go_on(
    again: &Again<'_>,
    state: &State,
    folder: &RunFolder,
    journal: Journal,
    mut history: History,
    vault: Vault,
    masker: &Masker,
) -> Result<Begun, String> {
    let playbook = again.current.then(|| keep_playbook(again.checked, folder)).transpose()?;
    let mut inputs = Vec::new();
    for input in again.inputs {
        let before = again.recorded.iter().find(|recorded| recorded.name == input.name);
        let kept = before.and_then(|recorded| recorded.kept.as_ref());
        if input.value.is_secret() && kept.is_none_or(|kept| kept.expose() != input.value.expose()) {
            inputs.push(input_record(input, &vault, &folder.id, masker)?);
        }
    }
    let round = history.resume();
    let resumed = RunResumed {
        round,
        actor: again.actor.into(),
        program: env!("CARGO_PKG_VERSION").into(),
        process: process(),
        world: again.world.clone(),
        inputs,
        playbook: playbook.clone(),
        allowed: again.allowed.iter().filter(|text| !history.run.allowed.contains(text)).cloned().collect(),
    };
    history.run.allowed.extend(resumed.allowed.iter().cloned());
    if let Some(playbook) = playbook {
        history.playbook = playbook;
    }
    journal.note(SystemTime::now(), &Record::RunResumed(resumed));
    journal.make_room().and_then(|()| journal.sync())?;
    Ok(Begun {
        journal,
        history,
        vault,
        state: state.clone(),
        folder: folder.clone(),
        sources: sources(again.checked),
        take_over: again.take_over,
        resuming: true,
    })
}

/// Copies the playbook's files into the run's folder.
fn keep_playbook(checked: &Checked, folder: &RunFolder) -> Result<Playbook, String> {
    let text = |path: &Path| path.display().to_string();
    let failed =
        |error: std::io::Error| format!("the playbook cannot be copied to {}: {error}", folder.playbook().display());
    let mut files = Vec::new();
    for (path, bytes) in &checked.recording.files {
        let sha256 = sha256_hex(bytes);
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let file = PlaybookFile { path: text(path), copy: format!("{}-{name}", &sha256[..12]), sha256 };
        folder.keep(&file, bytes).map_err(failed)?;
        files.push(file);
    }
    sync_folder(&folder.playbook()).map_err(failed)?;
    Ok(Playbook {
        name: checked.plan.name.clone(),
        path: text(&checked.recording.entry),
        digest: checked.digest.clone(),
        files,
        found: checked.recording.found.iter().map(|(asked, found)| (text(asked), text(found))).collect(),
    })
}

fn sources(checked: &Checked) -> Sources {
    checked.plan.sources().into_iter().map(|source| (source.path.clone(), source)).collect()
}

fn process() -> Process {
    Process { host: Host::here().name, pid: std::process::id() }
}

/// A fault to rehearse, where the environment names one.
pub fn fault() -> Option<Fault> {
    std::env::var("RUNBOOK_FAULT").ok().as_deref().and_then(Fault::parse)
}
