//! Owns which places in the file system a grant gives a program: rules made folders and files, and what all agree on.
//! Deliberately never wider than a rule: where the kernel cannot tell files apart as a rule does, a program gets less.
//!
//! The kernel knows single files that are there, and folders with all that is below them. So `folder/**` is that folder, a
//! name is that file, and any other glob is the files that fit it when the program starts, and the names in their folder.

use crate::plan::permissions::{Extent, Grant, Reach};
use std::collections::BTreeMap;
use std::ops::{BitAnd, BitOr};
use std::path::{Path, PathBuf};

/// How many files and folders a glob is compared with.
const MOST_SEEN: usize = 20_000;

/// What may be done with a file, or with all below a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rights(u8);

impl Rights {
    const NONE: Rights = Rights(0);
    /// Seeing which names there are in folders.
    pub(super) const LIST: Rights = Rights(1);
    /// Reading and running; listing.
    pub(super) const READ: Rights = Rights(1 | 2);
    /// Changing, making, removing; and reading, since hardly a program writes what it never reads.
    pub(super) const WRITE: Rights = Rights(1 | 2 | 4);

    pub(super) fn holds(self, other: Rights) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Rights {
    type Output = Rights;

    fn bitor(self, other: Rights) -> Rights {
        Rights(self.0 | other.0)
    }
}

impl BitAnd for Rights {
    type Output = Rights;

    fn bitand(self, other: Rights) -> Rights {
        Rights(self.0 & other.0)
    }
}

pub(super) type Places = BTreeMap<PathBuf, Rights>;

/// What all playbooks of the grant agree on. Paths are as the rules have them: where a link stands in one, it is not
/// followed, here or later.
///
/// # Errors
/// A rule whose matches are too many to look for.
pub(super) fn of(grant: &Grant, at_home: bool) -> Result<Places, String> {
    let each = grant.reach(at_home).iter().map(of_one).collect::<Result<Vec<_>, _>>()?;
    Ok(all_agree(&each))
}

fn of_one(reach: &Reach) -> Result<Places, String> {
    let mut places = Places::new();
    let extents = reach.read.iter().map(|extent| (extent, Rights::READ));
    for (extent, rights) in extents.chain(reach.write.iter().map(|extent| (extent, Rights::WRITE))) {
        match extent {
            Extent::Below(folder) => add(&mut places, folder, rights),
            // A folder that is named without `/**` is not what is in it.
            Extent::One(path) if path.is_dir() => {}
            Extent::One(path) => add(&mut places, path, rights),
            Extent::Like { folder, .. } => {
                add(&mut places, folder, Rights::LIST);
                let mut left = MOST_SEEN;
                seek(extent, folder, rights, &mut places, &mut left);
                if left == 0 {
                    return Err(format!(
                        "below `{}` there is too much to look for what a rule of `permissions` fits",
                        folder.display()
                    ));
                }
            }
        }
    }
    Ok(places)
}

fn add(places: &mut Places, path: &Path, rights: Rights) {
    let before = places.get(path).copied().unwrap_or(Rights::NONE);
    places.insert(path.to_path_buf(), before | rights);
}

/// Adds what fits below `folder`; links are neither followed nor added.
fn seek(extent: &Extent, folder: &Path, rights: Rights, places: &mut Places, left: &mut usize) {
    let deeper = extent.depth().is_none_or(|depth| folder.components().count() + 1 < depth);
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        *left = left.saturating_sub(1);
        if *left == 0 {
            return;
        }
        let (path, Ok(kind)) = (entry.path(), entry.file_type()) else { continue };
        match (kind.is_dir(), extent.fits(&path)) {
            (true, true) if extent.is_of_folders() => add(places, &path, rights),
            (true, _) if deeper => seek(extent, &path, rights, places, left),
            (false, true) if !kind.is_symlink() => add(places, &path, rights),
            _ => {}
        }
    }
}

/// At every place that one of them names, what each of them gives there.
fn all_agree(each: &[Places]) -> Places {
    let mut agreed = Places::new();
    for path in each.iter().flat_map(BTreeMap::keys) {
        let rights = each.iter().map(|places| at(places, path)).reduce(|one, other| one & other);
        if let Some(rights) = rights.filter(|rights| *rights != Rights::NONE) {
            agreed.insert(path.clone(), rights);
        }
    }
    agreed
}

/// What is given at a path by its own place and by all folders around it.
fn at(places: &Places, path: &Path) -> Rights {
    let own = path.ancestors().filter_map(|around| places.get(around));
    own.fold(Rights::NONE, |sum, rights| sum | *rights)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::permissions::{Permissions, file_glob};
    use std::sync::Arc;

    fn permissions(folder: &Path, read: &[&str], write: &[&str]) -> Arc<Permissions> {
        let globs = |texts: &[&str]| texts.iter().map(|text| file_glob(folder, text).unwrap()).collect();
        Arc::new(Permissions { read: globs(read), write: globs(write), ..Permissions::default() })
    }

    fn found(folder: &Path, permissions: Vec<Arc<Permissions>>) -> Vec<(String, Rights)> {
        let root = folder.canonicalize().unwrap();
        let name =
            |path: PathBuf| path.strip_prefix(&root).map_or(path.display().to_string(), |at| at.display().to_string());
        of(&Grant(permissions), true).unwrap().into_iter().map(|(path, rights)| (name(path), rights)).collect()
    }

    #[test]
    fn globs_are_the_files_that_fit_now() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        std::fs::create_dir_all(at.join("a/b/c")).unwrap();
        for file in ["a/x.txt", "a/y.bin", "a/b/z.txt", "a/b/c/w.txt"] {
            std::fs::write(at.join(file), "").unwrap();
        }
        std::os::unix::fs::symlink("/etc/passwd", at.join("a/link.txt")).unwrap();
        std::os::unix::fs::symlink("/etc", at.join("a/out")).unwrap();
        let read = |rules: &[&str]| found(at, vec![permissions(at, rules, &[])]);
        let (list, all) = (Rights::LIST, Rights::READ);
        assert_eq!(read(&["a/*.txt"]), [("a".into(), list), ("a/x.txt".into(), all)]);
        assert_eq!(read(&["a/*/*.txt"]), [("a".into(), list), ("a/b/z.txt".into(), all)]);
        let deep =
            [("a".into(), list), ("a/b/c/w.txt".into(), all), ("a/b/z.txt".into(), all), ("a/x.txt".into(), all)];
        assert_eq!(read(&["a/**/*.txt"]), deep);
        assert_eq!(read(&["*/b/**"]), [("".into(), list), ("a/b".into(), all)]);
        assert_eq!(read(&["a"]), [], "a folder is not what is in it");
        assert_eq!(read(&["none"]), [("none".into(), all)]);
        assert_eq!(found(at, vec![permissions(at, &["a/**"], &["a/**"])]), [("a".into(), Rights::WRITE)]);
        assert_eq!(found(at, vec![]), []);
    }

    #[test]
    fn all_have_to_agree() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let outer = || permissions(at, &["a/**"], &["a/out/**", "a/log"]);
        let agreed = |read: &[&str], write: &[&str]| found(at, vec![outer(), permissions(at, read, write)]);
        let (read, write) = (Rights::READ, Rights::WRITE);
        assert_eq!(agreed(&["a/x", "b"], &[]), [("a/x".into(), read)]);
        assert_eq!(agreed(&["**"], &[]), [("a".into(), read), ("a/log".into(), read), ("a/out".into(), read)]);
        assert_eq!(agreed(&[], &["**"]), [("a".into(), read), ("a/log".into(), write), ("a/out".into(), write)]);
        assert_eq!(agreed(&[], &["a/out/x", "a/y", "z"]), [("a/out/x".into(), write), ("a/y".into(), read)]);
    }
}
