//! Owns the programs of a world file, and the scripts by which they are found on PATH.
//! Deliberately knows nothing of what they answer.

use super::document::{self, Real};
use super::fill::{Known, fill};
use super::route::is_identifier;
use super::scene::Reader;
use crate::diagnostic::Diagnostic;
use crate::playbook::document::Named;
use crate::query::Program;
use crate::source::{Part, Place};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

/// What plays a program.
pub enum Player {
    Fake(Program),
    Real { path: PathBuf, env: Named<String> },
}

/// Reads `programs`.
pub fn read(reader: &mut Reader, programs: Named<document::Program>, place: &Place) -> Named<Player> {
    let mut read = Named::new();
    for (name, written) in programs {
        let place = place.key(&name);
        // An absolute path stands for itself: a run looks for it below the folder of programs.
        let inside = Path::new(name.strip_prefix('/').unwrap_or(&name));
        let is_path = inside.components().all(|part| matches!(part, Component::Normal(_)));
        let is_named = !inside.as_os_str().is_empty() && !name.ends_with('/') && !name.contains('\0');
        if !is_named || !is_path || (!name.starts_with('/') && name.contains('/')) {
            let message = format!("`{name}` is not the name of a program");
            let help = "write the name it is called by, or the absolute path";
            reader.found.push(Diagnostic::error("bad-program", message, &place).at(Part::Key).help(help));
        }
        let player = match written {
            document::Program::Jq(text) => reader.jq(&text, &place).map(Player::Fake),
            document::Program::Real(real) => Some(self::real(reader, real, &place)),
        };
        if let Some(player) = player {
            read.insert(name, player);
        }
    }
    read
}

fn real(reader: &mut Reader, real: Real, place: &Place) -> Player {
    let path = PathBuf::from(&real.program);
    if let Err(message) = is_executable(&path) {
        let message = format!("`{}` {message}", real.program);
        reader.found.push(Diagnostic::error("bad-program", message, &place.key("program")));
    }
    let env = real.env.unwrap_or_default();
    for (name, value) in &env {
        let place = place.key("env").key(name);
        if !is_identifier(name) {
            let message = format!("`{name}` is not the name of an environment variable");
            reader.found.push(Diagnostic::error("bad-env", message, &place).at(Part::Key));
        }
        if value.contains('\0') {
            let message = "the environment cannot hold a NUL character";
            reader.found.push(Diagnostic::error("bad-env", message, &place));
        }
        reader.fillable(value, &place);
    }
    Player::Real { path, env }
}

fn is_executable(path: &Path) -> Result<(), &'static str> {
    if !path.is_absolute() {
        return Err("is not an absolute path");
    }
    match std::fs::metadata(path) {
        Err(_) => Err("is not there"),
        Ok(found) if !found.is_file() => Err("is not a file"),
        Ok(found) if found.permissions().mode() & 0o111 == 0 => Err("is not executable"),
        Ok(_) => Ok(()),
    }
}

/// The script that a program of the world is called through; `runbook` is the absolute path of this program.
pub fn script(name: &str, player: &Player, runbook: &Path, known: &Known) -> Vec<u8> {
    let mut script = b"#!/bin/sh\n".to_vec();
    match player {
        Player::Fake(_) => {
            script.extend(b"exec ");
            quote(&mut script, runbook.as_os_str().as_encoded_bytes());
            script.extend(b" world-program --at ");
            quote(&mut script, known.address.as_bytes());
            // One word, so that a name beginning with `-` is no option.
            script.extend(b" --name=");
            quote(&mut script, name.as_bytes());
            script.extend(b" --");
        }
        Player::Real { path, env } => {
            for (name, value) in env {
                script.extend(format!("export {name}=").as_bytes());
                quote(&mut script, fill(value, known).as_bytes());
                script.push(b'\n');
            }
            script.extend(b"exec ");
            quote(&mut script, path.as_os_str().as_encoded_bytes());
        }
    }
    script.extend(b" \"$@\"\n");
    script
}

/// One word of a shell script, whatever it contains (but NUL, which was refused).
fn quote(script: &mut Vec<u8>, word: &[u8]) {
    script.push(b'\'');
    for byte in word {
        match byte {
            b'\'' => script.extend(b"'\\''"),
            other => script.push(*other),
        }
    }
    script.push(b'\'');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_word_survives_the_shell() {
        for word in ["", "'", "a'b''c\\'", "$(id) `id` \"$HOME\" \\ \n\t; & | > é", "-n", "*"] {
            let mut script = b"printf %s ".to_vec();
            quote(&mut script, word.as_bytes());
            let script = String::from_utf8(script).unwrap();
            let out = std::process::Command::new("/bin/sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(out.stdout).unwrap(), word);
        }
    }
}
