//! Owns private temporary files: 0600 in a 0700 folder that goes when it is dropped, or, where its process was killed,
//! when the next one begins.
//! Deliberately knows nothing of what is written there.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// How a folder is called: this, the process, and something of its own.
const PREFIX: &str = "runbook-";

/// A private folder, removed with all that is in it when dropped.
pub struct TemporaryFolder {
    folder: tempfile::TempDir,
    /// The folder itself, locked: it is in use for as long as its process lives.
    _lock: File,
}

impl TemporaryFolder {
    pub fn new() -> io::Result<TemporaryFolder> {
        let prefix = format!("{PREFIX}{}-", std::process::id());
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir()?;
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700))?;
        let lock = File::open(folder.path())?;
        lock.try_lock()?;
        Ok(TemporaryFolder { folder, _lock: lock })
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a new file of mode 0600 and gives its path.
    pub fn write(&self, name: &str, content: &[u8]) -> io::Result<PathBuf> {
        let path = self.path().join(name);
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(content)?;
        Ok(path)
    }

    /// Removes the folders that killed processes of ours have left, with whatever secrets are in them.
    pub fn sweep() {
        sweep(&std::env::temp_dir());
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        remove(self.path());
    }
}

/// Removes a folder with all that is in it, also what a program has made read-only.
fn remove(folder: &Path) {
    if std::fs::remove_dir_all(folder).is_err() {
        open_up(folder);
        let _ = std::fs::remove_dir_all(folder);
    }
}

/// Makes folders such that what is in them can be removed; links are left alone.
fn open_up(folder: &Path) {
    let _ = std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700));
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

fn sweep(place: &Path) {
    // SAFETY: a plain system call without arguments.
    let own = unsafe { libc::geteuid() };
    for entry in std::fs::read_dir(place).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next()?.parse().ok());
        let is_left = process.is_some_and(|process| !lives(process))
            && entry.metadata().is_ok_and(|found| found.is_dir() && found.uid() == own);
        // Whose number is not to be seen here may live in another container: its lock is.
        if is_left && File::open(entry.path()).is_ok_and(|folder| folder.try_lock().is_ok()) {
            remove(&entry.path());
        }
    }
}

fn lives(process: i32) -> bool {
    // SAFETY: a plain system call; signal 0 asks only whether the process is there.
    process > 0
        && (unsafe { libc::kill(process, 0) } == 0 || io::Error::last_os_error().raw_os_error() != Some(libc::ESRCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_goes_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let (gone, alive) = (child.id(), std::process::id());
        child.wait().unwrap();
        let make = |name: &str| {
            let path = place.path().join(name);
            std::fs::create_dir(&path).unwrap();
            std::fs::write(path.join("secret"), "s").unwrap();
            path
        };
        let left = make(&format!("runbook-{gone}-abc"));
        let kept = [
            make(&format!("runbook-{gone}-locked")),
            make(&format!("runbook-{alive}-abc")),
            make("runbook-abc"),
            make(&format!("other-{gone}-abc")),
        ];
        let lock = File::open(&kept[0]).unwrap();
        lock.try_lock().unwrap();
        std::os::unix::fs::symlink(&kept[1], place.path().join(format!("runbook-{gone}-link"))).unwrap();
        sweep(place.path());
        assert!(!left.exists());
        assert!(kept.iter().all(|path| path.join("secret").exists()));
        drop(lock);
        sweep(place.path());
        assert!(!kept[0].exists());
    }
}
