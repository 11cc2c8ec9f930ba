//! Owns `runbook config`: what is in force and where it comes from, and whether the key works.

use super::{Config, Flags, Given, Key, Whence};
use crate::action::exec::Confine;
use crate::cli::{Exit, keys, print_line, tell, tell_mistakes};
use crate::secret::Masker;
use clap::{Args, ValueEnum};

#[derive(Args)]
pub struct ConfigArguments {
    /// Wraps a key made for the purpose and unwraps it again, as a run would
    #[arg(long)]
    try_key: bool,
}

pub fn show(flags: &Flags, arguments: &ConfigArguments, masker: &Masker) -> Exit {
    let config = match Config::load(flags) {
        Ok(config) => config,
        Err(mistakes) => {
            tell_mistakes(&mistakes);
            return Exit::Mistakes;
        }
    };
    let keeper = keys::keeper(&config, masker);
    let id = keeper.key_file_id();
    let there = if config.is_there { "" } else { " (not there)" };
    let output = config.output.value.to_possible_value();
    let rows = [
        ("file", format!("{}{there}", config.file.value.display()), from(&config.file)),
        ("actor", config.actor.value.clone(), from(&config.actor)),
        ("state", config.state.value.display().to_string(), from(&config.state)),
        ("output", output.map(|output| output.get_name().to_string()).unwrap_or_default(), from(&config.output)),
        ("confine", confined(config.confine.value), from(&config.confine)),
        ("key", described(&config.key.value, id.as_ref().ok()), from(&config.key)),
    ];
    let width = rows.iter().map(|(_, value, _)| value.chars().count()).max().unwrap_or_default();
    for (name, value, from) in rows {
        let value = crate::report::neutral(&value);
        print_line(&masker.mask(&format!("{name:<7} {value:<width$}  {from}")));
    }
    if let Err(error) = id {
        tell(&format!("error: {error}"));
        return keys::exit(&error);
    }
    match arguments.try_key {
        true => try_key(&keeper, masker),
        false => Exit::Passed,
    }
}

fn try_key(keeper: &crate::journal::keeper::Keeper, masker: &Masker) -> Exit {
    match keys::try_out(keeper) {
        Ok(true) => print_line("the key works: what it wraps it unwraps again"),
        Ok(false) => {
            print_line("the key wraps; as there is no `unwrap` here, only others can go on with a run that failed");
        }
        Err(error) => {
            tell(&masker.mask(&format!("error: {error}")));
            return keys::exit(&error);
        }
    }
    Exit::Passed
}

fn described(key: &Key, id: Option<&Option<String>>) -> String {
    let argv = |argv: &[String]| serde_json::to_string(argv).unwrap_or_default();
    match key {
        Key::File(path) => {
            let id = match id {
                Some(Some(id)) => format!(" ({id})"),
                Some(None) => " (made at first use)".into(),
                None => String::new(),
            };
            format!("key file {}{id}", path.display())
        }
        Key::Passphrase => "passphrase".into(),
        Key::Command { wrap, unwrap: Some(unwrap) } => format!("wrap {}, unwrap {}", argv(wrap), argv(unwrap)),
        Key::Command { wrap, unwrap: None } => format!("wrap {}", argv(wrap)),
    }
}

/// With what it comes to here.
fn confined(confine: Confine) -> String {
    let here = confine.here();
    let word = match confine {
        Confine::Auto => "auto",
        Confine::Off => return "off".into(),
        Confine::Required => "required",
    };
    match (here.files && here.ports, here.why_not) {
        (true, _) => format!("{word} (Landlock, ABI {})", here.abi),
        (false, None) => format!("{word} (Landlock for files only, ABI {})", here.abi),
        (false, Some(why)) => format!("{word} ({why})"),
    }
}

fn from<T>(given: &Given<T>) -> String {
    match &given.from {
        Whence::Flag(name) | Whence::Variable(name) => name.to_string(),
        Whence::File { line } => format!("line {line} of the file"),
        Whence::Default => "by default".into(),
    }
}
