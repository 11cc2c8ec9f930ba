//! Owns the keeper that is configured, and where a passphrase comes from: RUNBOOK_PASSPHRASE, else the person at the terminal.

use super::Exit;
use super::config::{Config, Key};
use super::person::Terminal;
use crate::journal::keeper::{Keeper, KeeperError, NoPassphrase, Purpose};
use crate::journal::seal::RunKey;
use crate::secret::{Masker, Secret};
use std::io::ErrorKind;
use std::sync::Arc;

pub(super) const VARIABLE: &str = "RUNBOOK_PASSPHRASE";

/// How often a person may mistype.
const TRIES: usize = 3;

/// The keeper that is configured. A passphrase is asked for when it is used, and known to the masker from then on.
pub fn keeper(config: &Config, masker: &Masker) -> Keeper {
    match &config.key.value {
        Key::File(path) => Keeper::File(path.clone()),
        Key::Passphrase => {
            let masker = masker.clone();
            Keeper::Passphrase(Arc::new(move |purpose| passphrase(purpose, &masker)))
        }
        Key::Command { wrap, unwrap } => Keeper::Command { wrap: wrap.clone(), unwrap: unwrap.clone() },
    }
}

/// How the program ends where the key of a run is not to be had.
pub fn exit(error: &KeeperError) -> Exit {
    match error {
        KeeperError::Unfit(_) => Exit::Mistakes,
        KeeperError::Locked(_) | KeeperError::Damaged(_) => Exit::Refused,
        KeeperError::Interrupted => Exit::Interrupted,
    }
}

/// Wraps a key and unwraps it again; `false` where it cannot be unwrapped here, as configured.
pub fn try_out(keeper: &Keeper) -> Result<bool, KeeperError> {
    let key = RunKey::new()?;
    let wrapped = keeper.wrap("(a trial)", &key)?;
    if matches!(keeper, Keeper::Command { unwrap: None, .. }) {
        return Ok(false);
    }
    // The keeper itself refuses what is not that key.
    keeper.unwrap("(a trial)", &wrapped).map(|_| true)
}

fn passphrase(purpose: Purpose<'_>, masker: &Masker) -> Result<Secret, NoPassphrase> {
    if let Some(text) = std::env::var_os(VARIABLE).filter(|text| !text.is_empty()) {
        let text = text.into_string().map_err(|_| NoPassphrase::Missing(format!("`{VARIABLE}` is not UTF-8")))?;
        masker.learn(&text);
        return Ok(Secret::new(text));
    }
    let Some(terminal) = Terminal::open() else {
        return Err(NoPassphrase::Missing(format!(
            "nobody gives the passphrase of the configuration (`key_passphrase: true`)\n\
             help: set {VARIABLE}, or run it at a terminal"
        )));
    };
    let ask = |question: &str| {
        let answer = terminal.ask_alone(question, true).map(Secret::new).map_err(|error| match error.kind() {
            ErrorKind::Interrupted => NoPassphrase::Interrupted,
            _ => NoPassphrase::Missing(format!("the passphrase cannot be asked for: {error}")),
        })?;
        masker.learn(answer.expose());
        Ok::<Secret, NoPassphrase>(answer)
    };
    let run = match purpose {
        Purpose::Unwrap { run } => return ask(&format!("passphrase of run {run}")),
        Purpose::Wrap { run } => run,
    };
    for _ in 0..TRIES {
        let first = ask(&format!("passphrase for what run {run} will hold"))?;
        if let Some(fault) = first.fault() {
            super::tell(&format!("this cannot be the passphrase: {fault}"));
        } else if ask("once more, to be sure")? == first {
            return Ok(first);
        } else {
            super::tell("these are not the same");
        }
    }
    Err(NoPassphrase::Missing("no passphrase was given: what was typed would not do".into()))
}
