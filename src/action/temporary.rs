//! Owns private temporary files: 0600 in a 0700 folder that goes when it is dropped.
//! Deliberately knows nothing of what is written there.

use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A private folder, removed with all that is in it when dropped.
pub struct TemporaryFolder(tempfile::TempDir);

impl TemporaryFolder {
    pub fn new() -> io::Result<TemporaryFolder> {
        let folder = tempfile::Builder::new().prefix("runbook-").tempdir()?;
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700))?;
        Ok(TemporaryFolder(folder))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a new file of mode 0600 and gives its path.
    pub fn write(&self, name: &str, content: &[u8]) -> io::Result<PathBuf> {
        let path = self.0.path().join(name);
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(content)?;
        Ok(path)
    }
}
