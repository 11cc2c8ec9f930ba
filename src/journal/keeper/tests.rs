//! Tests of keepers: what is wrapped opens again, only there, and every refusal says what to do.

use super::*;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

fn keeper(path: &Path) -> Keeper {
    Keeper::File(path.to_path_buf())
}

fn passphrase(text: &'static str) -> Keeper {
    Keeper::Passphrase(Arc::new(move |_| Ok(Secret::new(text.into()))))
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// As it is written into the run's folder and read again.
fn through_json(wrapped: &Wrapped) -> Wrapped {
    serde_json::from_str(&serde_json::to_string(wrapped).unwrap()).unwrap()
}

#[test]
fn a_key_file_is_made_once_private_and_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/config/key");
    let (one, other) = (RunKey::new().unwrap(), RunKey::new().unwrap());
    let wrapped = keeper(&path).wrap("run-1", &one).unwrap();
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("# A key of runbook's"), "{text}");
    let again = keeper(&path).wrap("run-2", &other).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    assert_eq!(wrapped.key_file_id, again.key_file_id);
    assert_eq!(keeper(&path).unwrap("run-1", &through_json(&wrapped)).unwrap(), one);
    assert_eq!(keeper(&path).unwrap("run-2", &through_json(&again)).unwrap(), other);
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "something is left behind");
    let json = serde_json::to_string(&wrapped).unwrap();
    assert!(!json.contains(one.text().as_str()) && !json.contains(text.lines().nth(1).unwrap()), "{json}");
}

#[test]
fn all_who_make_a_key_file_at_once_get_the_same_key() {
    for _ in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config/key");
        let start = std::sync::Barrier::new(8);
        let ids: Vec<_> = std::thread::scope(|scope| {
            let made = || {
                start.wait();
                keeper(&path).wrap("run", &RunKey::new().unwrap()).unwrap().key_file_id
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(made)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}

#[test]
fn a_key_file_that_is_not_what_it_should_be_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let good = folder.path().join("good");
    let key = RunKey::new().unwrap();
    let wrapped = keeper(&good).wrap("run-1", &key).unwrap();
    let refused = |path: &Path, says: &str| {
        for error in
            [keeper(path).wrap("run-1", &key).unwrap_err(), keeper(path).unwrap("run-1", &wrapped).unwrap_err()]
        {
            let told = error.to_string();
            assert!(told.contains(says) && told.contains(&path.display().to_string()), "{says}: {told}");
        }
    };
    let open = folder.path().join("open");
    std::fs::copy(&good, &open).unwrap();
    for bits in [0o640, 0o604, 0o620, 0o601] {
        std::fs::set_permissions(&open, PermissionsExt::from_mode(bits)).unwrap();
        refused(&open, "is open to others");
    }
    refused(folder.path(), "no regular file");
    let pipe = folder.path().join("pipe");
    let name = std::ffi::CString::new(pipe.to_str().unwrap()).unwrap();
    // SAFETY: a plain system call on a text that lives.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    refused(&pipe, "no regular file");
    let text = std::fs::read_to_string(&good).unwrap();
    let line = text.lines().nth(1).unwrap();
    let broken = folder.path().join("broken");
    let long = format!("{}{line}\n", "# much\n".repeat(1000));
    let two = format!("{text}{line}\n");
    for content in ["", "# only a comment\n", "hello\n", &line[..40], &two, &long, "\0\0\0", "AGE-SECRET-KEY-1QQQ\n"] {
        std::fs::write(&broken, content).unwrap();
        std::fs::set_permissions(&broken, PermissionsExt::from_mode(0o600)).unwrap();
        refused(&broken, "is no key file");
        assert_eq!(std::fs::read_to_string(&broken).unwrap(), content, "it was written over");
    }
    let dangling = folder.path().join("dangling");
    symlink(folder.path().join("nowhere"), &dangling).unwrap();
    let told = keeper(&dangling).wrap("run-1", &key).unwrap_err().to_string();
    assert!(told.contains("a link to nothing"), "{told}");
    let told = keeper(Path::new("/proc/none/key")).wrap("run-1", &key).unwrap_err().to_string();
    assert!(told.contains("cannot be made") && told.contains("--key-file"), "{told}");
}

#[test]
fn unwrapping_wants_the_very_key_file_and_makes_none() {
    let folder = tempfile::tempdir().unwrap();
    let (mine, theirs, gone) = (folder.path().join("mine"), folder.path().join("theirs"), folder.path().join("gone"));
    let key = RunKey::new().unwrap();
    let wrapped = keeper(&mine).wrap("run-1", &key).unwrap();
    keeper(&theirs).wrap("run-2", &key).unwrap();
    let wanted = wrapped.key_file_id.clone().unwrap();
    for path in [&theirs, &gone] {
        let error = keeper(path).unwrap("run-1", &wrapped).unwrap_err();
        assert!(matches!(error, KeeperError::Locked(_)));
        let told = error.to_string();
        assert!(told.contains(&format!("key file {wanted}")) && told.contains("--key-file PATH"), "{told}");
        assert!(told.contains(&path.display().to_string()), "{told}");
    }
    assert!(!gone.exists());
    // Another run's file `key`.
    let error = keeper(&mine).unwrap("run-2", &wrapped).unwrap_err();
    assert!(matches!(error, KeeperError::Damaged(_)), "{error}");
}

#[test]
fn what_was_changed_is_refused_and_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let keeper = keeper(&folder.path().join("key"));
    let wrapped = keeper.wrap("run-1", &RunKey::new().unwrap()).unwrap();
    let changed = |change: &dyn Fn(&mut Wrapped)| {
        let mut wrapped = wrapped.clone();
        change(&mut wrapped);
        keeper.unwrap("run-1", &wrapped).unwrap_err().to_string()
    };
    assert!(changed(&|wrapped| wrapped.format = 2).contains("format 2, and this runbook reads format 1"));
    assert!(changed(&|wrapped| wrapped.wrapped = "AAAA".into()).contains("was changed"));
    assert!(changed(&|wrapped| wrapped.wrapped = "é".into()).contains("was changed"));
    assert!(changed(&|wrapped| wrapped.wrapped.clear()).contains("was changed"));
    assert!(changed(&|wrapped| wrapped.key_file_id = None).contains("names no key file"));
    assert!(changed(&|wrapped| wrapped.run_key_id = "00000000".into()).contains("not that of run run-1"));
    assert!(changed(&|wrapped| wrapped.kind = Kind::Passphrase).contains("key_passphrase: true"));
    for text in ["", "{}", "[]", r#"{"format":1,"kind":"keyring","run_key_id":"0","wrapped":""}"#] {
        assert!(serde_json::from_str::<Wrapped>(text).is_err(), "{text}");
    }
}

#[test]
fn a_passphrase_opens_what_it_wrapped_and_another_does_not() {
    let key = RunKey::new().unwrap();
    let wrapped = passphrase("correct horse battery").wrap("run-1", &key).unwrap();
    let derivation = wrapped.passphrase.clone().unwrap();
    assert_eq!((derivation.memory, derivation.passes, derivation.lanes), (65_536, 3, 1));
    let wrapped = through_json(&wrapped);
    assert_eq!(passphrase("correct horse battery").unwrap("run-1", &wrapped).unwrap(), key);
    let told = passphrase("incorrect horse").unwrap("run-1", &wrapped).unwrap_err().to_string();
    assert!(told.contains("not the passphrase") && !told.contains("incorrect"), "{told}");
    let told = passphrase("").unwrap("run-1", &wrapped).unwrap_err().to_string();
    assert!(told.contains("passphrase is empty"), "{told}");
    // Parameters that are stored are the ones that are used, and none makes us fall over.
    let lighter = |change: &dyn Fn(&mut Derivation)| {
        let mut wrapped = wrapped.clone();
        wrapped.passphrase.iter_mut().for_each(change);
        passphrase("correct horse battery").unwrap("run-1", &wrapped).unwrap_err().to_string()
    };
    assert!(lighter(&|how| how.passes = 1).contains("not the passphrase"));
    for change in [
        &|how: &mut Derivation| how.memory = u32::MAX,
        &|how: &mut Derivation| how.memory = 0,
        &|how: &mut Derivation| how.passes = 0,
        &|how: &mut Derivation| how.passes = u32::MAX,
        &|how: &mut Derivation| how.lanes = 0,
        &|how: &mut Derivation| how.lanes = 1 << 24,
        &|how: &mut Derivation| how.salt = "AAAA".into(),
        &|how: &mut Derivation| how.salt = "no base64".into(),
    ] as [&dyn Fn(&mut Derivation); 8]
    {
        assert!(lighter(change).contains("was changed where it says how its passphrase is used"));
    }
    assert!(lighter(&|how| how.kdf = "scrypt".into()).contains("`scrypt`"));
}

#[test]
fn a_passphrase_that_nobody_can_mean_is_refused_before_anything_is_wrapped() {
    let key = RunKey::new().unwrap();
    for (text, says) in [("", "it is empty"), ("pasted along\n", "white space"), ("short", "shorter than")] {
        let told = passphrase(text).wrap("run-1", &key).unwrap_err().to_string();
        assert!(told.contains("cannot be the passphrase") && told.contains(says), "{told}");
    }
    let missing = Keeper::Passphrase(Arc::new(|_| Err(NoPassphrase::Missing("set RUNBOOK_PASSPHRASE".into()))));
    assert_eq!(missing.wrap("run-1", &key).unwrap_err().to_string(), "set RUNBOOK_PASSPHRASE");
    let interrupted = Keeper::Passphrase(Arc::new(|_| Err(NoPassphrase::Interrupted)));
    assert!(matches!(interrupted.wrap("run-1", &key), Err(KeeperError::Interrupted)));
}

#[test]
fn says_what_a_run_was_wrapped_with_where_something_else_is_configured() {
    let folder = tempfile::tempdir().unwrap();
    let key = RunKey::new().unwrap();
    let file = keeper(&folder.path().join("key"));
    let by_file = file.wrap("run-1", &key).unwrap();
    let id = by_file.key_file_id.clone().unwrap();
    let told = passphrase("whatever").unwrap("run-1", &by_file).unwrap_err().to_string();
    assert!(told.contains(&format!("with the key file {id}")) && told.contains("is a passphrase"), "{told}");
    let mut by_command = by_file.clone();
    by_command.kind = Kind::Command;
    by_command.program = Some("age".into());
    let told = file.unwrap("run-1", &by_command).unwrap_err().to_string();
    assert!(told.contains("by a `key_command` (`age`)") && told.contains("--config FILE"), "{told}");
    let only_wraps = Keeper::Command { wrap: vec!["age".into()], unwrap: None };
    let told = only_wraps.unwrap("run-1", &by_command).unwrap_err().to_string();
    assert!(told.contains("has no `key_command: {unwrap: …}`"), "{told}");
}
