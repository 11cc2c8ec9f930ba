//! Owns where runs are kept: a folder each, under the state folder; found by a short form of its id.
//! Deliberately knows nothing of what a journal says.

use super::custody::sync_folder;
use super::record::PlaybookFile;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

/// The state folder.
#[derive(Clone, Debug)]
pub struct State(PathBuf);

/// One run's folder.
#[derive(Clone, Debug)]
pub struct RunFolder {
    pub id: String,
    pub path: PathBuf,
}

/// Why no run is meant by a text.
#[derive(Debug, thiserror::Error)]
pub enum NoRun {
    #[error("there is no run `{0}`\nhelp: `runbook list` lists them")]
    Unknown(String),
    #[error("`{text}` could be any of {}\nhelp: give more of its id", .among.join(", "))]
    Ambiguous { text: String, among: Vec<String> },
    #[error("there is no run yet in {}\nhelp: `--state-dir` or RUNBOOK_STATE_DIR names another state folder", .0.display())]
    None(PathBuf),
    #[error("the state folder {} cannot be read: {}", .0.display(), .1)]
    Unreadable(PathBuf, io::Error),
}

impl State {
    pub fn at(path: &Path) -> State {
        State(path.to_path_buf())
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn runs(&self) -> PathBuf {
        self.0.join("runs")
    }

    /// The folder of a new run.
    ///
    /// # Errors
    /// What could not be made.
    pub fn create(&self) -> Result<RunFolder, String> {
        let runs = self.runs();
        let failed = |path: &Path, error: &io::Error| format!("the folder {} cannot be made: {error}", path.display());
        private_folder(&runs).map_err(|error| failed(&runs, &error))?;
        loop {
            let id = uuid::Uuid::now_v7().to_string();
            let path = runs.join(&id);
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => {
                    let folder = RunFolder { id, path };
                    let playbook = folder.playbook();
                    DirBuilder::new().mode(0o700).create(&playbook).map_err(|error| failed(&playbook, &error))?;
                    sync_folder(&runs).map_err(|error| failed(&runs, &error))?;
                    return Ok(folder);
                }
                // Another run in the same instant with the same chance: there is another id.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(&path, &error)),
            }
        }
    }

    /// Ids of all runs, the latest first.
    pub fn ids(&self) -> Result<Vec<String>, NoRun> {
        let entries = match std::fs::read_dir(self.runs()) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(NoRun::Unreadable(self.runs(), error)),
        };
        let mut ids: Vec<String> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| name.len() == 36 && uuid::Uuid::try_parse(name).is_ok())
            .collect();
        // Version 7 begins with the time.
        ids.sort_unstable_by(|one, other| other.cmp(one));
        Ok(ids)
    }

    /// The run that a text means: its id, the beginning or the end of it, `last`, or a path to its folder.
    pub fn find(&self, text: &str) -> Result<RunFolder, NoRun> {
        let path = Path::new(text);
        if text.contains('/') {
            let id = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            return match path.join("journal.jsonl").is_file() {
                true => Ok(RunFolder { id, path: path.to_path_buf() }),
                false => Err(NoRun::Unknown(text.into())),
            };
        }
        let ids = self.ids()?;
        let folder = |id: &String| RunFolder { id: id.clone(), path: self.runs().join(id) };
        if text == "last" {
            return ids.first().map(folder).ok_or_else(|| NoRun::None(self.runs()));
        }
        let text = text.to_ascii_lowercase();
        let meant: Vec<&String> =
            ids.iter().filter(|id| !text.is_empty() && (id.starts_with(&text) || id.ends_with(&text))).collect();
        match meant.as_slice() {
            [] => Err(NoRun::Unknown(text)),
            [id] => Ok(folder(id)),
            many => Err(NoRun::Ambiguous { text, among: many.iter().take(5).map(|id| format!("`{id}`")).collect() }),
        }
    }
}

/// The short form of a run's id that is shown: its last eight digits, since the first tell little but the day.
pub fn short(id: &str) -> &str {
    id.len().checked_sub(8).and_then(|from| id.get(from..)).unwrap_or(id)
}

impl RunFolder {
    pub fn journal(&self) -> PathBuf {
        self.path.join("journal.jsonl")
    }

    /// Where the copies of the playbook's files are.
    pub fn playbook(&self) -> PathBuf {
        self.path.join("playbook")
    }

    /// Keeps a copy of a playbook's file; which copies there are is durable with `sync_folder`.
    pub fn keep(&self, file: &PlaybookFile, bytes: &[u8]) -> io::Result<()> {
        let path = self.playbook().join(&file.copy);
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    /// The bytes of such a copy.
    ///
    /// # Errors
    /// Also where it is no file of that folder: a record that was forged may name a device that never ends.
    pub fn kept(&self, file: &PlaybookFile) -> io::Result<Vec<u8>> {
        let path = self.playbook().join(&file.copy);
        let mut parts = Path::new(&file.copy).components();
        let is_name = matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None));
        if !is_name || !path.symlink_metadata()?.is_file() {
            return Err(io::Error::other("it is no file of the run's folder"));
        }
        std::fs::read(path)
    }

    /// Takes away a run that never began.
    pub fn discard(&self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// Makes a folder, and those above it, for nobody else to look into.
fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}
