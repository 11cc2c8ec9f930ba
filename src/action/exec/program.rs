//! Owns what surrounds a program: the file that a name stands for, its PATH, its home.
//! Deliberately starts nothing.

use super::unsent;
use crate::action::{ActionError, StandIns, TemporaryFolder};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where programs are looked for when the run itself has no PATH.
const USUAL_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// What scripts of a rehearsal find besides the world's programs: they work on texts, files and processes, and talk to
/// nobody by themselves. A program like `gh` that a script calls and the world does not name must not be the real one.
const TOOLS: &str = "[ awk base64 basename bash cat chmod cksum cmp comm cp csplit cut date dd diff dirname echo egrep \
    env expr false fgrep find fmt fold gawk getopt grep gunzip gzip head hexdump id install join jq kill ln ls mawk \
    md5sum mkdir mkfifo mktemp mv nl nproc od openssl paste pr printenv printf pwd readlink realpath rev rm rmdir sed \
    seq sh sha1sum sha256sum sha512sum shuf sleep sort split stat sum tac tail tar tee test timeout touch tr true \
    truncate tsort uname uniq unlink uuidgen wc xargs xxd yes zcat";

/// What a program is started with, besides what its step gives.
pub(super) struct Surroundings {
    pub(super) file: PathBuf,
    pub(super) env: Vec<(&'static str, OsString)>,
    /// In a rehearsal PATH begins here whatever the step says.
    pub(super) path_first: Option<OsString>,
    /// The run's own PATH; in a rehearsal what stands for it.
    pub(super) path: OsString,
    /// Holds what is the program's alone, its TMPDIR above all. Goes when the program is done.
    folder: TemporaryFolder,
}

impl Surroundings {
    pub(super) fn of(name: &str, stand_ins: Option<&StandIns>) -> Result<Surroundings, ActionError> {
        let no_folder = |error: std::io::Error| unsent(format!("no private folder: {error}"));
        let path = std::env::var_os("PATH").unwrap_or_else(|| USUAL_PATH.into());
        let mut env: Vec<(&'static str, OsString)> =
            ["HOME", "LANG", "TZ"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))).collect();
        let folder = TemporaryFolder::new().map_err(no_folder)?;
        // Not the run's: what others leave there is none of the program's affair, nor what it leaves of theirs.
        let temporary = folder.path().join("tmp");
        std::fs::create_dir(&temporary).map_err(no_folder)?;
        env.push(("TMPDIR", temporary.into_os_string()));
        match stand_ins {
            None => {
                let file = find(name, &path)?;
                env.push(("PATH", path.clone()));
                Ok(Surroundings { file, env, path_first: None, path, folder })
            }
            Some(stand_ins) => {
                let tools = tools(folder.path(), &path).map_err(no_folder)?;
                let file = find_in_world(name, &stand_ins.programs, &tools)?;
                let path = [stand_ins.programs.as_os_str(), tools.as_os_str()].join(OsStr::new(":"));
                // The programs of a rehearsal know nobody's accounts.
                env.retain(|(name, _)| *name != "HOME");
                env.extend([("HOME", folder.path().join("home").into_os_string()), ("PATH", path.clone())]);
                Ok(Surroundings { file, env, path_first: Some(path.clone()), path, folder })
            }
        }
    }

    /// The folder that is the program's own.
    pub(super) fn own(&self) -> &Path {
        self.folder.path()
    }

    /// The file that a permitted name stands for, if any.
    pub(super) fn find(&self, name: &str) -> Option<PathBuf> {
        find(name, &self.path).ok()
    }
}

/// The file that would be run under this name: absolute, without symbolic links. `None` where nothing would.
pub fn file_of(name: &str, stand_ins: Option<&StandIns>) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| USUAL_PATH.into());
    let own = stand_ins.map(|stand_ins| stand_ins.programs.join(name.trim_start_matches('/')));
    let file = match own {
        Some(own) if what_is(&own) == What::Program => own,
        Some(_) if name != "bash" => return None,
        _ => find(name, &path).ok()?,
    };
    file.canonicalize().ok()
}

/// The file that a permitted name stands for, of a program that no step runs.
///
/// # Errors
/// Why there is none.
pub fn program_of(name: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| USUAL_PATH.into());
    find(name, &path).map_err(|error| error.to_string())
}

/// The file that a bare name stands for on PATH, or an absolute path itself.
fn find(name: &str, path: &OsStr) -> Result<PathBuf, ActionError> {
    if name.starts_with('/') {
        let file = PathBuf::from(name);
        return match what_is(&file) {
            What::Program => Ok(file),
            What::NotExecutable => Err(unsent(format!("`{name}` is not executable: `chmod +x {name}`"))),
            What::Nothing => Err(unsent(format!("there is no program `{name}`: install it, or mend its path"))),
        };
    }
    let mut not_executable = None;
    for file in candidates(name, path) {
        match what_is(&file) {
            What::Program => return Ok(file),
            What::NotExecutable => not_executable = not_executable.or(Some(file)),
            What::Nothing => {}
        }
    }
    Err(unsent(match not_executable {
        Some(file) => format!("`{}` is not executable: `chmod +x {}`", file.display(), file.display()),
        None => format!("there is no program `{name}` on PATH: install it, or add its folder to PATH"),
    }))
}

/// Only what the world names, but for bash, in which scripts run; an absolute path is looked for below its folder.
fn find_in_world(name: &str, programs: &Path, tools: &Path) -> Result<PathBuf, ActionError> {
    let own = programs.join(name.trim_start_matches('/'));
    if what_is(&own) == What::Program {
        return Ok(own);
    }
    if name == "bash" {
        return Ok(tools.join("bash"));
    }
    Err(unsent(format!("this world has no program `{name}`: add it under `programs` of the world")))
}

/// Relative entries of PATH are left out: what they hold depends on where the run was started.
fn candidates(name: &str, path: &OsStr) -> impl Iterator<Item = PathBuf> {
    std::env::split_paths(path).filter(|folder| folder.is_absolute()).map(move |folder| folder.join(name))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Program,
    NotExecutable,
    Nothing,
}

fn what_is(file: &Path) -> What {
    match file.metadata() {
        Ok(about) if about.is_file() => match std::ffi::CString::new(file.as_os_str().as_bytes()) {
            // SAFETY: the text ends with NUL, and the call keeps no pointer to it.
            Ok(text) if unsafe { libc::access(text.as_ptr(), libc::X_OK) } == 0 => What::Program,
            _ => What::NotExecutable,
        },
        _ => What::Nothing,
    }
}

/// A folder of links to the tools that this machine has.
fn tools(folder: &Path, path: &OsStr) -> std::io::Result<PathBuf> {
    let tools = folder.join("tools");
    std::fs::create_dir(&tools)?;
    std::fs::create_dir(folder.join("home"))?;
    for name in TOOLS.split_whitespace() {
        if let Some(file) = candidates(name, path).find(|file| what_is(file) == What::Program) {
            std::os::unix::fs::symlink(file, tools.join(name))?;
        }
    }
    Ok(tools)
}
