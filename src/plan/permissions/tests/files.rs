//! Rules for files, against real folders and links.

use super::*;
use std::fs;
use std::os::unix::fs::symlink;

/// A folder with `book/data/a.txt`, `book/data/deep/b.txt` and `secret.txt` beside it.
fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    fs::create_dir_all(root.join("book/data/deep")).unwrap();
    for file in ["book/data/a.txt", "book/data/deep/b.txt", "secret.txt"] {
        fs::write(root.join(file), "x").unwrap();
    }
    (folder, root)
}

fn reading(folder: &Path, rules: &[&str]) -> Grant {
    let read = rules.iter().map(|rule| file_glob(folder, rule).unwrap()).collect();
    grant(Permissions { read, ..Permissions::default() })
}

#[test]
fn globs_are_relative_to_the_playbooks_folder() {
    let (_keep, root) = folder();
    let book = root.join("book");
    for (rule, a, b) in [
        ("data/*", true, false),
        ("data/**", true, true),
        ("./data/*.txt", true, false),
        ("**/*.txt", true, true),
        ("data/?.txt", true, false),
        ("../book/data/a.txt", true, false),
        ("data/*.json", false, false),
        ("data", false, false),
    ] {
        let grant = reading(&book, &[rule]);
        assert_eq!(grant.read(&book.join("data/a.txt")).is_ok(), a, "{rule}");
        assert_eq!(grant.read(&book.join("data/deep/b.txt")).is_ok(), b, "{rule}");
        assert!(grant.read(&root.join("secret.txt")).is_err(), "{rule}");
    }
    assert!(reading(&book, &[&format!("{}/**", root.display())]).read(&root.join("secret.txt")).is_ok());
}

#[test]
fn no_link_leads_out() {
    let (_keep, root) = folder();
    let book = root.join("book");
    symlink(root.join("secret.txt"), book.join("data/link.txt")).unwrap();
    symlink(&root, book.join("data/up")).unwrap();
    symlink(root.join("nowhere"), book.join("data/broken")).unwrap();
    symlink("loop", book.join("data/loop")).unwrap();
    let grant = reading(&book, &["data/**"]);
    for path in ["data/link.txt", "data/up/secret.txt", "data/broken", "data/loop", "data/../../secret.txt"] {
        assert!(grant.read(&book.join(path)).is_err(), "{path}");
    }
    // The way back in is fine: what counts is where it leads.
    assert_eq!(grant.read(&book.join("data/up/book/data/a.txt")).unwrap(), book.join("data/a.txt"));
    let refusal = grant.read(&book.join("data/link.txt")).unwrap_err();
    assert!(refusal.message.contains("(which is `") && refusal.message.contains("secret.txt`)"));
    assert_eq!(refusal.help, format!("add `{}` under `permissions.read`", root.join("secret.txt").display()));
}

#[test]
fn a_playbooks_folder_may_itself_be_reached_by_a_link() {
    let (_keep, root) = folder();
    symlink(root.join("book"), root.join("shelf")).unwrap();
    let grant = reading(&root.join("shelf"), &["data/*"]);
    assert_eq!(grant.read(&root.join("shelf/data/a.txt")).unwrap(), root.join("book/data/a.txt"));
}

#[test]
fn a_file_that_is_not_there_is_judged_by_its_folder() {
    let (_keep, root) = folder();
    let book = root.join("book");
    let grant = reading(&book, &["data/**"]);
    assert_eq!(grant.read(&book.join("data/new/x.txt")).unwrap(), book.join("data/new/x.txt"));
    assert!(grant.read(&book.join("data/new/../../../secret.txt")).is_err());
    assert!(grant.read(&book.join("new.txt")).is_err());
    assert!(grant.read(Path::new("")).is_err());
    assert!(grant.read(Path::new("a\0b")).is_err());
}

#[test]
fn one_file_may_be_added() {
    let (_keep, root) = folder();
    let odd = root.join("a*b?.txt");
    fs::write(&odd, "x").unwrap();
    fs::write(root.join("axxbx.txt"), "x").unwrap();
    let nothing = grant(Permissions::default());
    let wider = nothing.with_readable(&odd).with_readable(&root.join("secret.txt"));
    assert_eq!(wider.read(&odd).unwrap(), odd);
    assert!(wider.read(&root.join("secret.txt")).is_ok());
    assert!(wider.read(&root.join("axxbx.txt")).is_err());
    assert!(nothing.read(&odd).is_err());
}

#[test]
fn stars_in_the_folders_own_name_are_no_globs() {
    let (_keep, root) = folder();
    for name in ["*", "other"] {
        fs::create_dir(root.join(name)).unwrap();
        fs::write(root.join(name).join("x"), "x").unwrap();
    }
    let grant = reading(&root.join("*"), &["x"]);
    assert!(grant.read(&root.join("*/x")).is_ok());
    assert!(grant.read(&root.join("other/x")).is_err());
}

#[test]
fn mistakes_in_globs_are_told() {
    for rule in ["", "a**", "a/**b/c", "a\0", "*/../b", "/.."] {
        assert!(file_glob(Path::new("/book"), rule).is_err(), "{rule:?}");
    }
}
