//! Owns the shape of the configuration file, and what of it does not go together.

use super::ConfineWhen;
use crate::cli::OutputKind;
use crate::diagnostic::Diagnostic;
use crate::source::{Part, Place, Route, Source};
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::Path;
use std::sync::Arc;

/// What holds for all of an operator's runs.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Who you are, in the audit entry and the record.
    pub actor: Option<String>,
    /// The folder where runs and locks are kept.
    pub state: Option<String>,
    /// How runs are shown.
    pub output: Option<OutputKind>,
    /// Holds programs to their permissions by the kernel: where it can, never, or always.
    pub confine: Option<ConfineWhen>,
    /// A file with a key that wraps the keys of runs; made at first use.
    pub key_file: Option<String>,
    /// Wraps the keys of runs with a passphrase, which is asked for or taken from RUNBOOK_PASSPHRASE.
    pub key_passphrase: Option<bool>,
    /// Wraps the keys of runs with programs of your own.
    pub key_command: Option<KeyCommand>,
}

/// Programs that wrap and unwrap the key of a run, each a list of a program and its arguments.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyCommand {
    /// Reads the key on standard input, writes what is kept to standard output.
    pub wrap: Vec<String>,
    /// Reads what was kept, writes the key. Left away where only others can.
    pub unwrap: Option<Vec<String>>,
}

/// The file; one that has nothing but comments says nothing.
pub fn read(path: &Path) -> Result<(Document, Option<Arc<Source>>), Vec<Diagnostic>> {
    match crate::playbook::read_yaml::<Document>(path) {
        Ok((document, source)) => Ok((document, Some(source))),
        Err(mistakes) if mistakes.iter().all(|mistake| mistake.code == "empty-file") => Ok((Document::default(), None)),
        Err(mistakes) => Err(mistakes),
    }
}

/// What is of the right shape and means nothing.
pub fn judge(document: &Document, source: &Arc<Source>) -> Vec<Diagnostic> {
    let place = |route: Route| Place { source: source.clone(), route };
    let root = Route::root();
    let mut mistakes = Vec::new();
    let texts = [("actor", &document.actor), ("state", &document.state), ("key_file", &document.key_file)];
    for (key, text) in texts {
        let Some(text) = text else { continue };
        let at = place(root.key(key));
        if text.trim().is_empty() {
            mistakes.push(Diagnostic::error("empty-value", format!("`{key}` says nothing"), &at));
        } else if key != "actor" && text.starts_with('~') && text != "~" && !text.starts_with("~/") {
            let told = format!("`{text}`: only your own home folder has a short form, `~/`");
            mistakes.push(Diagnostic::error("unknown-home", told, &at).help("write the whole path"));
        }
    }
    if let Some(command) = &document.key_command {
        let argvs = [("wrap", Some(&command.wrap)), ("unwrap", command.unwrap.as_ref())];
        for (key, argv) in argvs {
            if argv.is_some_and(|argv| argv.first().is_none_or(|program| program.trim().is_empty())) {
                let at = place(root.key("key_command").key(key));
                let told = Diagnostic::error("no-program", format!("`{key}` names no program"), &at);
                mistakes.push(told.help("give a list of a program and its arguments, such as `[age, -r, RECIPIENT]`"));
            }
        }
    }
    let keys = [
        ("key_file", document.key_file.is_some()),
        ("key_passphrase", document.key_passphrase == Some(true)),
        ("key_command", document.key_command.is_some()),
    ];
    let mut keys = keys.iter().filter(|(_, given)| *given).map(|(key, _)| *key);
    if let Some(first) = keys.next() {
        for second in keys {
            let told = format!("`{first}` and `{second}`: one thing wraps the keys of runs, not two");
            let told = Diagnostic::error("two-keys", told, &place(root.key(second))).at(Part::Key);
            mistakes.push(told.label(&place(root.key(first)), Part::Key, "the other one").help("keep one of them"));
        }
    }
    mistakes
}
