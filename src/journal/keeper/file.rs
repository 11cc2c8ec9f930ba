//! Owns key files: made once, private, read with suspicion.
//! Deliberately never writes over one that is there.

use super::KeeperError;
use crate::journal::seal::{RunKey, chance, hex};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const FIRST_LINE: &str = "# A key of runbook's: whoever has it can read the secrets that unfinished runs hold. Keep a copy; give it to nobody.";

/// More than a key file can have.
const MOST: u64 = 4096;

/// The key in the file; `None` where there is no such file.
pub(super) fn read_if_there(path: &Path) -> Result<Option<RunKey>, KeeperError> {
    match open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        opened => parse(path, opened).map(Some),
    }
}

/// The key in the file, which is made where it is not there. Of two who make it in the same instant, both get one key.
pub(super) fn read_or_make(path: &Path) -> Result<RunKey, KeeperError> {
    if let Some(key) = read_if_there(path)? {
        return Ok(key);
    }
    make(path).map_err(|error| {
        let why = match error.kind() {
            ErrorKind::Unsupported | ErrorKind::PermissionDenied => {
                format!("{error} (its folder must be yours, on a file system with hard links)")
            }
            _ => error.to_string(),
        };
        unfit(format!(
            "the key file {} cannot be made: {why}\nhelp: name another place: `--key-file PATH`, or `key_file: PATH` in the configuration",
            path.display()
        ))
    })?;
    read_if_there(path)?.ok_or_else(|| {
        unfit(format!(
            "the key file {} is a link to nothing\nhelp: remove the link, or make what it names be there",
            path.display()
        ))
    })
}

/// The key in a file that must be there already and be the one `wanted` names.
pub(super) fn read(path: &Path, run: &str, wanted: &str) -> Result<RunKey, KeeperError> {
    let way = "bring that file back, or name it: `--key-file PATH`";
    let Some(key) = read_if_there(path)? else {
        return Err(KeeperError::Locked(format!(
            "the key of run {run} is wrapped with the key file {wanted}, and {} is not there\nhelp: {way}",
            path.display()
        )));
    };
    if key.id() != wanted {
        return Err(KeeperError::Locked(format!(
            "the key of run {run} is wrapped with the key file {wanted}, and {} is {}\nhelp: {way}",
            path.display(),
            key.id()
        )));
    }
    Ok(key)
}

/// Opens without waiting, should it be a pipe that nobody writes to.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)
}

fn parse(path: &Path, opened: io::Result<File>) -> Result<RunKey, KeeperError> {
    let shown = path.display();
    let unreadable = |error: io::Error| unfit(format!("the key file {shown} cannot be read: {error}"));
    let file = opened.map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(unfit(format!("the key file {shown} is no regular file\nhelp: name a file: `--key-file PATH`")));
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(unfit(format!(
            "the key file {shown} is open to others (mode {:04o})\n\
             help: `chmod 600 {shown}`; if others may have read it, end all custody (`runbook status`), then remove it: a new one is made",
            metadata.mode() & 0o7777
        )));
    }
    // The text is wiped; what is read beyond a key's length makes it malformed anyway.
    let mut text = zeroize::Zeroizing::new(Vec::with_capacity(MOST as usize + 1));
    file.take(MOST + 1).read_to_end(&mut text).map_err(unreadable)?;
    let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let mut said = lines.by_ref().filter(|line| !line.is_empty() && !line.starts_with(b"#"));
    let key = said.next().and_then(RunKey::read).filter(|_| said.next().is_none() && text.len() as u64 <= MOST);
    key.ok_or_else(|| {
        unfit(format!(
            "{shown} is no key file: one line of base64 (32 bytes) was wanted, after comments\n\
             help: bring the key file back, or name another: `--key-file PATH`; one that is not there is made"
        ))
    })
}

/// Writes a new key beside the file, then links it there: nobody sees half a key, and the first of several wins.
fn make(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let key = RunKey::new().map_err(io::Error::other)?;
    let mut label = [0; 8];
    chance(&mut label).map_err(io::Error::other)?;
    let new = Passing(folder.join(format!(".runbook-key.{}", hex(&label))));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new.0)?;
    let text = zeroize::Zeroizing::new(format!("{FIRST_LINE}\n{}\n", key.text().as_str()));
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    match std::fs::hard_link(&new.0, path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    drop(new);
    // A key that a power cut takes away would take all that it wraps.
    File::open(folder)?.sync_all()
}

/// A file that goes when this does.
struct Passing(PathBuf);

impl Drop for Passing {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn unfit(message: String) -> KeeperError {
    KeeperError::Unfit(message)
}
