//! Owns a world's private folder: programs to be found on PATH, the files it was given, the socket.
//! Deliberately knows nothing of what is asked or answered.
//!
//! `bin/` is what a run has for PATH, `files/` is what a world file calls `world.folder`, `socket` is the unix socket.

use super::fill::{Known, fill};
use super::programs::script;
use super::scene::Scene;
use crate::action::TemporaryFolder;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Removed with all that is in it when dropped.
pub struct Folder {
    root: TemporaryFolder,
}

impl Folder {
    pub fn new() -> io::Result<Folder> {
        let folder = Folder { root: TemporaryFolder::new()? };
        make(&folder.programs())?;
        make(&folder.files())?;
        Ok(folder)
    }

    pub fn programs(&self) -> PathBuf {
        self.root.path().join("bin")
    }

    pub fn files(&self) -> PathBuf {
        self.root.path().join("files")
    }

    pub fn socket(&self) -> PathBuf {
        self.root.path().join("socket")
    }

    /// What a world file's texts may name.
    pub fn known(&self, address: &str) -> Known {
        Known {
            folder: self.files().display().to_string(),
            socket: self.socket().display().to_string(),
            address: address.to_owned(),
        }
    }

    /// Writes programs and files.
    pub fn furnish(&self, scene: &Scene, runbook: &Path, address: &str) -> io::Result<()> {
        let known = self.known(address);
        for (name, player) in &scene.programs {
            let path = self.programs().join(name.trim_start_matches('/'));
            write(&path, 0o700, &script(name, player, runbook, &known))?;
        }
        for (name, content) in &scene.files {
            write(&self.files().join(name), 0o600, fill(content, &known).as_bytes())?;
        }
        Ok(())
    }
}

fn make(folder: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn write(path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        make(parent)?;
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(content)
}
