//! Owns the digest of a plan: of the files that it was made of, and of how it would be walked.
//! Deliberately knows nothing of what those files mean; it is the same wherever their folder stands.

use super::INTERPRETER;
use crate::digest::sha256_hex;
use crate::playbook::Recording;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// SHA-256 over a tag, the interpreter's version, the entry's name, and each file's path from the entry's folder with
/// the SHA-256 of its bytes, sorted by path. Changed by any change to any byte of a file, and by a file's being moved
/// within the playbook's folder; not by moving the folder as a whole, nor by symbolic links on the way to it.
pub fn digest(recording: &Recording) -> String {
    let entry = recording.found.iter().find(|(asked, _)| *asked == recording.entry).map(|(_, found)| found);
    let entry = entry.unwrap_or(&recording.entry);
    let folder = entry.parent().unwrap_or(Path::new("/"));
    let mut files: Vec<(PathBuf, String)> =
        recording.files.iter().map(|(path, bytes)| (from(folder, path), sha256_hex(bytes))).collect();
    files.sort();
    // No path has a NUL in it, so that no two lists of files are written alike.
    let mut text = format!("runbook-plan\0{INTERPRETER}\0").into_bytes();
    text.extend(entry.file_name().unwrap_or_default().as_bytes());
    for (path, digest) in files {
        text.push(0);
        text.extend(path.as_os_str().as_bytes());
        text.push(0);
        text.extend(digest.as_bytes());
    }
    sha256_hex(&text)
}

/// The way from a folder to a file, both absolute: up as far as they differ, and down again.
fn from(folder: &Path, file: &Path) -> PathBuf {
    let shared = folder.components().zip(file.components()).take_while(|(one, other)| one == other).count();
    let up = folder.components().skip(shared).map(|_| Component::ParentDir.as_os_str());
    let down = file.components().skip(shared).map(Component::as_os_str);
    up.chain(down).map(OsStr::new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording(root: &str, files: &[(&str, &str)]) -> Recording {
        let path = |name: &str| Path::new(root).join(name);
        Recording {
            entry: path(files[0].0),
            files: files.iter().map(|(name, text)| (path(name), text.as_bytes().to_vec())).collect(),
            found: Vec::new(),
        }
    }

    #[test]
    fn a_digest_tells_what_a_plan_was_made_of_and_not_where_it_stood() {
        let of = |root, files: &[(&str, &str)]| digest(&recording(root, files));
        let files = [("team/a.yaml", "a"), ("b.yaml", "b"), ("team/c.json", "c")];
        let one = of("/books", &files);
        assert_eq!(one.len(), 64);
        assert_eq!(one, of("/other/place", &files), "the folder as a whole was moved");
        assert_eq!(one, of("/books", &[files[0], files[2], files[1]]), "files were read in another order");
        for (what, files) in [
            ("a text", [("team/a.yaml", "a"), ("b.yaml", "b"), ("team/c.json", "d")]),
            ("a name", [("team/a.yaml", "a"), ("b.yaml", "b"), ("team/d.json", "c")]),
            ("a folder", [("team/a.yaml", "a"), ("b.yaml", "b"), ("c.json", "c")]),
            ("two texts", [("team/a.yaml", "b"), ("b.yaml", "a"), ("team/c.json", "c")]),
            ("the entry", [("b.yaml", "b"), ("team/a.yaml", "a"), ("team/c.json", "c")]),
        ] {
            assert_ne!(one, of("/books", &files), "another: {what}");
        }
        assert_ne!(one, of("/books", &files[..2]), "a file less");
    }

    #[test]
    fn the_way_to_a_file_goes_up_and_down() {
        assert_eq!(from(Path::new("/a/b"), Path::new("/a/b/c.yaml")), Path::new("c.yaml"));
        assert_eq!(from(Path::new("/a/b"), Path::new("/a/c/d.yaml")), Path::new("../c/d.yaml"));
        assert_eq!(from(Path::new("/a/b"), Path::new("/c.yaml")), Path::new("../../c.yaml"));
    }
}
