//! Owns what holds for all of an operator's runs: the configuration file, and the flags and variables that go before it.
//! Deliberately starts nothing and makes no file; `keys` makes a keeper of what stands here.

mod document;
mod show;

pub use show::{ConfigArguments, show};

use super::OutputKind;
use crate::action::exec::Confine;
use crate::diagnostic::Diagnostic;
use crate::source::{Part, Place, Route, Source, Span};
use clap::{Args, ValueEnum};
use document::Document;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Flags of every command.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Configuration")]
pub struct Flags {
    /// The configuration file, instead of ~/.config/runbook/config.yaml [env: RUNBOOK_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where runs and locks are kept [env: RUNBOOK_STATE_DIR]
    #[arg(long, global = true, value_name = "FOLDER")]
    pub state_dir: Option<PathBuf>,
    /// The key file that wraps the keys of runs; made at first use [env: RUNBOOK_KEY_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// Who you are, in the audit entry and the record [env: RUNBOOK_ACTOR]
    #[arg(long, global = true, value_name = "NAME")]
    pub actor: Option<String>,
    /// Holds programs to their permissions by the kernel: auto (where it can), off, or required [env: RUNBOOK_CONFINE]
    #[arg(long, global = true, value_name = "WHEN", value_enum)]
    pub confine: Option<ConfineWhen>,
}

/// How `confine` is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ConfineWhen {
    Auto,
    Off,
    Required,
}

impl From<ConfineWhen> for Confine {
    fn from(when: ConfineWhen) -> Confine {
        match when {
            ConfineWhen::Auto => Confine::Auto,
            ConfineWhen::Off => Confine::Off,
            ConfineWhen::Required => Confine::Required,
        }
    }
}

/// What is in force, each with where it comes from.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file, and whether it is there.
    pub file: Given<PathBuf>,
    pub is_there: bool,
    pub actor: Given<String>,
    pub state: Given<PathBuf>,
    pub output: Given<OutputKind>,
    pub key: Given<Key>,
    pub confine: Given<Confine>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given<T> {
    pub value: T,
    pub from: Whence,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whence {
    Flag(&'static str),
    Variable(&'static str),
    /// The line of the configuration file, from 1.
    File {
        line: usize,
    },
    Default,
}

/// What wraps the keys of runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    File(PathBuf),
    Passphrase,
    Command { wrap: Vec<String>, unwrap: Option<Vec<String>> },
}

impl Config {
    /// What is in force; or all mistakes, at their places. Only the default file need not be there.
    pub fn load(flags: &Flags) -> Result<Config, Vec<Diagnostic>> {
        let home = std::env::home_dir().filter(|home| home.is_absolute());
        load(flags, &Surroundings { home, variable: &|name| std::env::var_os(name) })
    }
}

/// What is read besides flags and file.
struct Surroundings<'a> {
    home: Option<PathBuf>,
    variable: &'a dyn Fn(&str) -> Option<OsString>,
}

impl Surroundings<'_> {
    /// An empty one says nothing.
    fn path(&self, name: &str) -> Option<PathBuf> {
        (self.variable)(name).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    fn text(&self, name: &'static str) -> Result<Option<String>, Diagnostic> {
        let Some(value) = (self.variable)(name).filter(|value| !value.is_empty()) else { return Ok(None) };
        value.into_string().map(Some).map_err(|value| {
            let shown = value.to_string_lossy().into_owned();
            outside(name, shown, "not-utf8", format!("`{name}` is not UTF-8"))
        })
    }

    /// `$XDG_…`, or its default below the home folder. A relative one is to be ignored (XDG Base Directory Specification).
    fn folder(&self, name: &str, default: &str) -> Option<PathBuf> {
        let named = self.path(name).filter(|path| path.is_absolute());
        named.or_else(|| Some(self.home.as_ref()?.join(default))).map(|folder| folder.join("runbook"))
    }

    /// `~/` is the home folder; what is relative is so to `base`.
    fn expand(&self, path: &Path, base: &Path) -> PathBuf {
        match (path.strip_prefix("~"), &self.home) {
            (Ok(rest), Some(home)) => home.join(rest),
            _ => base.join(path),
        }
    }
}

fn load(flags: &Flags, around: &Surroundings<'_>) -> Result<Config, Vec<Diagnostic>> {
    let here = std::env::current_dir().unwrap_or_default();
    let config_folder = around.folder("XDG_CONFIG_HOME", ".config");
    // A flag, else a variable; the configuration file is asked only after both.
    let given = |flag: &Option<PathBuf>, name: &'static str, variable: &'static str| {
        let by_flag = flag.as_ref().map(|path| (path.clone(), Whence::Flag(name)));
        let found = by_flag.or_else(|| Some((around.path(variable)?, Whence::Variable(variable))));
        found.map(|(path, from)| Given { value: around.expand(&path, &here), from })
    };
    let named = given(&flags.config, "--config", "RUNBOOK_CONFIG");
    let default = config_folder.as_ref().map(|folder| folder.join("config.yaml")).unwrap_or_default();
    let must_exist = named.is_some();
    let file = named.unwrap_or(Given { value: default, from: Whence::Default });
    let is_there = !file.value.as_os_str().is_empty() && (must_exist || file.value.symlink_metadata().is_ok());
    let (document, source) = match is_there {
        true => document::read(&file.value)?,
        false => (Document::default(), None),
    };
    let mut mistakes = Vec::new();
    let base = source.as_ref().map_or(here.as_path(), |source| source.folder());
    let written = |key: &str| match &source {
        Some(source) => {
            let start = source.spans_of(&Route::root().key(key)).0.start;
            Whence::File { line: source.line_column(start).0 }
        }
        None => Whence::Default,
    };
    let path_in = |key: &str, text: &Option<String>| {
        text.as_ref().map(|text| Given { value: around.expand(Path::new(text), base), from: written(key) })
    };
    if let Some(source) = &source {
        mistakes.extend(document::judge(&document, source));
    }

    let actor = match around.text("RUNBOOK_ACTOR") {
        Err(mistake) => {
            mistakes.push(mistake);
            None
        }
        Ok(variable) => {
            let by_flag = flags.actor.clone().map(|value| Given { value, from: Whence::Flag("--actor") });
            by_flag
                .or_else(|| variable.map(|value| Given { value, from: Whence::Variable("RUNBOOK_ACTOR") }))
                .or_else(|| document.actor.clone().map(|value| Given { value, from: written("actor") }))
        }
    };
    if let Some(actor) =
        actor.as_ref().filter(|actor| actor.value.trim().is_empty() && actor.from == Whence::Flag("--actor"))
    {
        mistakes.push(outside("--actor", actor.value.clone(), "empty-value", "nobody is named".into()));
    }
    let user = || {
        let user = around.text("USER").ok().flatten();
        let value = user.map(|value| Given { value, from: Whence::Variable("USER") });
        value.unwrap_or(Given { value: "unknown".into(), from: Whence::Default })
    };

    let output = chosen(around, "RUNBOOK_OUTPUT", "`human`, `plain` or `json`", &mut mistakes);
    let output = output.or_else(|| document.output.map(|value| Given { value, from: written("output") }));
    let variable = chosen::<ConfineWhen>(around, "RUNBOOK_CONFINE", "`auto`, `off` or `required`", &mut mistakes);
    let confine = flags.confine.map(|value| Given { value, from: Whence::Flag("--confine") }).or(variable);
    let confine = confine.or_else(|| document.confine.map(|value| Given { value, from: written("confine") }));
    let confine = confine.unwrap_or(Given { value: ConfineWhen::Auto, from: Whence::Default });

    let state =
        given(&flags.state_dir, "--state-dir", "RUNBOOK_STATE_DIR").or_else(|| path_in("state", &document.state));
    let state_folder = || around.folder("XDG_STATE_HOME", ".local/state");
    let state = state.or_else(|| Some(Given { value: state_folder()?, from: Whence::Default }));
    if state.is_none() {
        let told = "nobody says where runs are kept: there is no home folder";
        mistakes
            .push(outside("HOME", String::new(), "no-home", told.into()).help("name a folder: `--state-dir FOLDER`"));
    }

    let key = given(&flags.key_file, "--key-file", "RUNBOOK_KEY_FILE");
    let key = key.map(|given| Given { value: Key::File(given.value), from: given.from });
    let key = key.or_else(|| {
        let file = path_in("key_file", &document.key_file);
        let passphrase = document.key_passphrase.filter(|wanted| *wanted);
        let passphrase = passphrase.map(|_| Given { value: Key::Passphrase, from: written("key_passphrase") });
        let command = document.key_command.as_ref().map(|command| {
            let argv = |argv: &Vec<String>| argv.iter().map(|word| home_in(word, around)).collect();
            let value = Key::Command { wrap: argv(&command.wrap), unwrap: command.unwrap.as_ref().map(argv) };
            Given { value, from: written("key_command") }
        });
        file.map(|file| Given { value: Key::File(file.value), from: file.from }).or(passphrase).or(command)
    });
    let default_key = || Some(Given { value: Key::File(config_folder.as_ref()?.join("key")), from: Whence::Default });
    let key = key.or_else(default_key);
    if key.is_none() && state.is_some() {
        let told = "nobody says where the key file is: there is no home folder";
        mistakes.push(outside("HOME", String::new(), "no-home", told.into()).help("name a file: `--key-file FILE`"));
    }
    match (state, key) {
        (Some(state), Some(key)) if mistakes.is_empty() => Ok(Config {
            file,
            is_there,
            actor: actor.unwrap_or_else(user),
            state,
            output: output.unwrap_or(Given { value: OutputKind::Human, from: Whence::Default }),
            key,
            confine: Given { value: confine.value.into(), from: confine.from },
        }),
        _ => Err(mistakes),
    }
}

/// One of a few words, by a variable.
fn chosen<T: ValueEnum>(
    around: &Surroundings<'_>,
    name: &'static str,
    words: &str,
    mistakes: &mut Vec<Diagnostic>,
) -> Option<Given<T>> {
    let text = match around.text(name) {
        Ok(text) => text?,
        Err(mistake) => {
            mistakes.push(mistake);
            return None;
        }
    };
    match T::from_str(&text, false) {
        Ok(value) => Some(Given { value, from: Whence::Variable(name) }),
        Err(_) => {
            let what = if name == "RUNBOOK_OUTPUT" { "kind of output" } else { "word for it" };
            let mistake = outside(name, text, "unknown-value", format!("this is no {what}"));
            mistakes.push(mistake.help(format!("give {words}")));
            None
        }
    }
}

/// A program and its arguments are given without a shell, which would know what `~/` is.
fn home_in(word: &str, around: &Surroundings<'_>) -> String {
    match (word.strip_prefix("~/"), around.home.as_ref().and_then(|home| home.to_str())) {
        (Some(rest), Some(home)) => format!("{home}/{rest}"),
        _ => word.into(),
    }
}

/// A mistake in a flag or variable, drawn like one in a file.
fn outside(name: &str, value: String, code: &'static str, message: String) -> Diagnostic {
    let span = Span::new(0, value.len());
    let source: Arc<Source> = Source::new(Path::new(name), value, |_| HashMap::new());
    Diagnostic::error(code, message, &Place { source, route: Route::root() }).at(Part::Bytes(span))
}

#[cfg(test)]
mod tests;
