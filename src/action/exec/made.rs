//! Owns what is made for a program that may write it where nothing is yet: an empty file, or the folder of `folder/**`.
//! Deliberately not for good: what is still as it was made when the program is done goes again.
//!
//! The kernel holds a program to files that are there. To let it make one that a rule names, without letting it make others
//! beside it, the file has to be made before.

use super::places::{Places, Rights};
use crate::plan::permissions::{Extent, Grant};
use std::collections::HashMap;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::SystemTime;

/// When a file was changed last that nobody has touched yet: before there were any.
const UNTOUCHED: SystemTime = SystemTime::UNIX_EPOCH;

/// How many programs of this process, running at the same time, rely on something that was made.
static RELIED_ON: LazyLock<Mutex<HashMap<PathBuf, usize>>> = LazyLock::new(Mutex::default);

/// What one program relies on. Dropped, it takes away what nobody has written to and nobody else relies on.
#[derive(Default)]
pub(super) struct Made(Vec<PathBuf>);

impl Made {
    /// What cannot be made is left out: the program finds out when it wants it.
    pub(super) fn for_what_is_missing(grant: &Grant, places: &Places, at_home: bool) -> Made {
        let mut made = Made::default();
        for extent in grant.reach(at_home).iter().flat_map(|reach| &reach.write) {
            match extent {
                Extent::One(path) if is_writable(grant, places, path) => made.file(path),
                Extent::Below(folder) if is_writable(grant, places, folder) => made.folder(folder),
                _ => {}
            }
        }
        made
    }

    fn file(&mut self, path: &Path) {
        let mut relied_on = RELIED_ON.lock().unwrap_or_else(PoisonError::into_inner);
        let is_links_free = path.parent().is_some_and(|folder| folder.canonicalize().is_ok_and(|real| real == folder));
        let make = || {
            let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            file.set_modified(UNTOUCHED)
        };
        if relied_on.contains_key(path) || is_links_free && make().is_ok() {
            *relied_on.entry(path.to_path_buf()).or_default() += 1;
            self.0.push(path.to_path_buf());
        }
    }

    /// With the folders around it that are missing, too.
    fn folder(&mut self, path: &Path) {
        let Some(around) = path.parent() else { return };
        if !around.exists() {
            self.folder(around);
        }
        let mut relied_on = RELIED_ON.lock().unwrap_or_else(PoisonError::into_inner);
        let is_links_free = around.canonicalize().is_ok_and(|real| real == around);
        if relied_on.contains_key(path) || is_links_free && std::fs::DirBuilder::new().mode(0o700).create(path).is_ok()
        {
            *relied_on.entry(path.to_path_buf()).or_default() += 1;
            self.0.push(path.to_path_buf());
        }
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        let mut relied_on = RELIED_ON.lock().unwrap_or_else(PoisonError::into_inner);
        for path in self.0.iter().rev() {
            let left = relied_on.get(path).copied().unwrap_or(1) - 1;
            if left > 0 {
                relied_on.insert(path.clone(), left);
                continue;
            }
            relied_on.remove(path);
            match path.symlink_metadata() {
                Ok(about)
                    if about.is_file() && about.len() == 0 && about.modified().is_ok_and(|at| at == UNTOUCHED) =>
                {
                    let _ = std::fs::remove_file(path);
                }
                // Removes no folder that has anything in it.
                Ok(about) if about.is_dir() => {
                    let _ = std::fs::remove_dir(path);
                }
                _ => {}
            }
        }
    }
}

/// All agree on this very path, as a rule of theirs and as a place of the file system.
fn is_writable(grant: &Grant, places: &Places, path: &Path) -> bool {
    grant.may_write(path) && places.get(path).is_some_and(|rights| rights.holds(Rights::WRITE))
}
