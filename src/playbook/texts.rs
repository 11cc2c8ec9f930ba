//! Owns how the files of a playbook are looked up: on disk, remembering each answer; or in such a recording, so that a
//! resume checks and runs what the run was begun with, whatever has become of the files since.
//! Deliberately knows nothing of what is in them. What a run itself reads and writes (bodies, `cwd`) is not looked up here.

use super::gate;
use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

/// Names of a folder that are looked at for a suggestion.
const NAMES: usize = 10_000;

/// Everything that was asked of the disk in reading one playbook, with the answers: what reads the same again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// The file that was asked for, absolute; the path to check again from the recording.
    pub entry: PathBuf,
    /// Each file once, in the order in which they were read (the entry first): its path without symbolic links, its
    /// bytes. What has no such path (a pipe) is under the path by which it was named.
    pub files: Vec<(PathBuf, Vec<u8>)>,
    /// Each path that was looked up, as it was asked for (most are absolute; a file that an input names is as written),
    /// and the path without symbolic links where it was found. In the order in which they were asked for.
    pub found: Vec<(PathBuf, PathBuf)>,
}

/// Where the files of a playbook are looked up; one for each playbook.
pub struct Texts {
    /// What answers; the disk where there is none.
    recording: Option<Index>,
    asked: RefCell<Log>,
}

struct Index {
    files: HashMap<PathBuf, Vec<u8>>,
    found: HashMap<PathBuf, PathBuf>,
}

/// What was asked and found until now, with where in the recording each stands.
#[derive(Default)]
struct Log {
    recording: Recording,
    files: HashMap<PathBuf, usize>,
    found: HashMap<PathBuf, usize>,
}

/// Why a file cannot be read.
#[derive(Debug)]
pub enum Unread {
    Folder,
    /// Larger than a file may be.
    TooLarge,
    Failed(io::Error),
}

impl From<Unread> for io::Error {
    fn from(why: Unread) -> io::Error {
        match why {
            Unread::Folder => ErrorKind::IsADirectory.into(),
            Unread::TooLarge => io::Error::other(format!("it is larger than {} MiB", gate::SIZE >> 20)),
            Unread::Failed(error) => error,
        }
    }
}

impl Texts {
    /// Looks on disk, and remembers what it found. A file is read once, however often it is asked for.
    pub fn disk() -> Texts {
        Texts { recording: None, asked: RefCell::default() }
    }

    /// Looks into the recording alone; what is not in it is not there.
    pub fn recorded(recording: Recording) -> Texts {
        let files = recording.files.into_iter().collect();
        let found = recording.found.into_iter().collect();
        Texts { recording: Some(Index { files, found }), asked: RefCell::default() }
    }

    /// Hands over what was found until now, for the playbook whose file is `entry`, and forgets it.
    pub fn take_recording(&self, entry: &Path) -> Recording {
        Recording { entry: entry.to_path_buf(), ..self.asked.take().recording }
    }

    /// The path without symbolic links and `..`, of a file or folder that is there.
    pub fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        if let Some(known) = self.asked.borrow().canonical(path) {
            return Ok(known);
        }
        let found = match &self.recording {
            None => path.canonicalize()?,
            Some(recording) => recording.found.get(path).cloned().ok_or_else(not_there)?,
        };
        self.asked.borrow_mut().find(path, &found);
        Ok(found)
    }

    /// As [`Texts::canonical`]; `None` where it is no file.
    pub fn canonical_file(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        if self.recording.is_none() && !path.canonicalize()?.is_file() {
            return Ok(None); // And not remembered: only files answer here.
        }
        self.canonical(path).map(Some)
    }

    /// The file's bytes.
    pub fn read(&self, path: &Path) -> Result<Vec<u8>, Unread> {
        // Of a pipe there is no canonical path, and yet there is something to read.
        let place = self.canonical(path).unwrap_or_else(|_| path.to_path_buf());
        if let Some(known) = self.asked.borrow().bytes(&place) {
            return Ok(known.to_vec());
        }
        let bytes = match &self.recording {
            None => read_at_most(&place)?,
            Some(recording) => match recording.files.get(&place) {
                Some(bytes) => bytes.clone(),
                None => return Err(Unread::Failed(not_there())),
            },
        };
        self.asked.borrow_mut().keep(place, &bytes);
        Ok(bytes)
    }

    /// The bytes of a file that another one names. Nobody waits for a pipe that a playbook names, or reads a device; what
    /// the operator names may be one.
    pub fn read_named(&self, path: &Path) -> Result<Vec<u8>, Unread> {
        let is_special = |path: &Path| path.metadata().is_ok_and(|found| !found.is_file() && !found.is_dir());
        if self.recording.is_none() && is_special(path) {
            return Err(Unread::Failed(io::Error::other("it is a pipe or a device, no file")));
        }
        self.read(path)
    }

    /// The folder that the files which a playbook names have to lie below: the nearest one called `playbooks` around it,
    /// since teams keep folders of their own there and share its modules; else the playbook's own.
    pub fn tree(&self, entry: &Path) -> PathBuf {
        let folder = entry.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        let folder = self.canonical(folder).unwrap_or_else(|_| folder.to_path_buf());
        folder.ancestors().find(|folder| folder.ends_with("playbooks")).unwrap_or(&folder).to_path_buf()
    }

    /// Names in a folder, for suggestions; `None` where nobody can look into it.
    pub fn names(&self, folder: &Path) -> Option<Vec<String>> {
        let Some(recording) = &self.recording else {
            let entries = std::fs::read_dir(folder).ok()?.take(NAMES).flatten();
            return Some(entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect());
        };
        let known = recording.found.keys().chain(recording.files.keys());
        let within = known.filter(|path| path.parent() == Some(folder)).filter_map(|path| path.file_name());
        let mut names: Vec<String> = within.map(|name| name.to_string_lossy().into_owned()).collect();
        names.sort();
        names.dedup();
        (!names.is_empty()).then_some(names)
    }

    pub fn is_there(&self, folder: &Path) -> bool {
        match &self.recording {
            None => folder.exists(),
            Some(recording) => {
                recording.found.keys().chain(recording.files.keys()).any(|path| path.starts_with(folder))
            }
        }
    }
}

impl Log {
    fn canonical(&self, path: &Path) -> Option<PathBuf> {
        self.found.get(path).map(|at| self.recording.found[*at].1.clone())
    }

    fn bytes(&self, place: &Path) -> Option<&[u8]> {
        self.files.get(place).map(|at| self.recording.files[*at].1.as_slice())
    }

    fn find(&mut self, path: &Path, found: &Path) {
        self.found.insert(path.to_path_buf(), self.recording.found.len());
        self.recording.found.push((path.to_path_buf(), found.to_path_buf()));
    }

    fn keep(&mut self, place: PathBuf, bytes: &[u8]) {
        self.files.insert(place.clone(), self.recording.files.len());
        self.recording.files.push((place, bytes.to_vec()));
    }
}

/// What a system says of a file that is not there.
fn not_there() -> io::Error {
    io::Error::from_raw_os_error(libc::ENOENT)
}

/// The file's bytes. A pipe or device says nothing of its size beforehand.
fn read_at_most(path: &Path) -> Result<Vec<u8>, Unread> {
    let metadata = std::fs::metadata(path).map_err(Unread::Failed)?;
    if metadata.is_dir() {
        return Err(Unread::Folder);
    }
    if metadata.len() > gate::SIZE as u64 {
        return Err(Unread::TooLarge);
    }
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(gate::SIZE as u64 + 1).read_to_end(&mut bytes));
    read.map_err(Unread::Failed)?;
    if bytes.len() > gate::SIZE { Err(Unread::TooLarge) } else { Ok(bytes) }
}
