//! Owns playing a program of a world: it gathers what it was called with, asks the world, and does what the answer says.
//! Deliberately knows nothing of fakes.

use super::client::{NoAnswer, ask};
use serde_json::{Map, Value as Json, json};
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;

/// Exit code when the world is not there: to the caller, this program does not exist.
const NO_WORLD: i32 = 127;
/// Exit code when the world's fake failed, or its input was too large: a mistake of the rehearsal, not of the program played.
const BROKEN: i32 = 70;

const STDIN: u64 = 8 << 20;
const FILE: u64 = 1 << 20;
const FILES: usize = 8 << 20;

/// What the shell that calls us puts into the environment of its own accord.
const OF_THE_SHELL: [&str; 4] = ["PWD", "OLDPWD", "SHLVL", "_"];

/// What a world's program runs (`runbook world-program`): asks the world, plays the answer. Gives the exit code.
///
/// `argv` is without the program's own name.
pub fn play_program(address: &str, name: &str, argv: Vec<String>) -> i32 {
    match play(address, name, argv) {
        Ok(code) => code,
        Err((code, message)) => {
            let _ = writeln!(io::stderr(), "runbook world: {name}: {message}");
            code
        }
    }
}

fn play(address: &str, name: &str, arguments: Vec<String>) -> Result<i32, (i32, String)> {
    let stdin = stdin().map_err(|message| (BROKEN, message))?;
    let env: Map<String, Json> = std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned().into()))
        .filter(|(name, _)| !OF_THE_SHELL.contains(&name.as_str()))
        .collect();
    let files = files(&arguments);
    let argv: Vec<String> = std::iter::once(name.to_owned()).chain(arguments).collect();
    let asked = json!({"argv": argv, "env": env, "stdin": stdin, "files": files});
    let path: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
    // As patient as the program that is played: its caller sets the limit.
    let answer = ask(address, "POST", &format!("/program/{path}"), Some(&asked), None).map_err(|error| {
        let code = if matches!(error, NoAnswer::Unreachable(_)) { NO_WORLD } else { BROKEN };
        (code, error.to_string())
    })?;
    let text = |name: &str| answer[name].as_str().unwrap_or("").as_bytes().to_vec();
    // A caller that reads no more is no failure of ours.
    let _ = io::stdout().write_all(&text("stdout")).and_then(|()| io::stdout().flush());
    let _ = io::stderr().write_all(&text("stderr"));
    let code = answer["exit_code"].as_i64().and_then(|code| i32::try_from(code).ok());
    code.ok_or_else(|| (NO_WORLD, format!("there is no world at {address}: its answer has no exit code")))
}

/// All of standard input, unless it is a terminal: a person is not asked by a fake.
fn stdin() -> Result<String, String> {
    if io::stdin().is_terminal() {
        return Ok(String::new());
    }
    let mut bytes = Vec::new();
    // Closed is as good as empty.
    let _ = io::stdin().take(STDIN + 1).read_to_end(&mut bytes);
    if bytes.len() as u64 > STDIN {
        return Err("more than 8 MiB on standard input".to_owned());
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The files that arguments name: `PATH`, and what follows an `=` or `@`, as in `--file=PATH`, `-d@PATH` and `key=@PATH`.
fn files(arguments: &[String]) -> Map<String, Json> {
    let mut files = Map::new();
    let mut room = FILES;
    for argument in arguments {
        let parts = argument.match_indices(['=', '@']).take(8).map(|(at, _)| &argument[at + 1..]);
        for name in std::iter::once(argument.as_str()).chain(parts) {
            if files.contains_key(name) {
                continue;
            }
            if let Some(content) = content(Path::new(name)).filter(|content| content.len() <= room) {
                room -= content.len();
                files.insert(name.to_owned(), content.into());
            }
        }
    }
    files
}

/// What is in a regular file of at most 1 MiB; nothing else is opened, since opening a pipe or a device may hang or change it.
fn content(path: &Path) -> Option<String> {
    let metadata = std::fs::metadata(path).ok()?;
    if !metadata.is_file() || metadata.len() > FILE {
        return None;
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path).ok()?.take(FILE).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_wherever_an_argument_names_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        for (name, content) in [("a", "1"), ("b=c", "2"), ("d", "3"), ("e", "4")] {
            std::fs::write(path(name), content).unwrap();
        }
        std::fs::write(path("large"), vec![b'x'; (FILE + 1) as usize]).unwrap();
        let arguments = [
            path("a"),
            format!("--file={}", path("b=c")),
            format!("-d@{}", path("d")),
            format!("key=@{}", path("e")),
            path("large"),
            folder.path().display().to_string(),
            "nosuch".to_owned(),
            String::new(),
        ];
        let found = files(&arguments);
        let wanted = json!({path("a"): "1", path("b=c"): "2", path("d"): "3", path("e"): "4"});
        assert_eq!(Json::Object(found), wanted);
    }
}
