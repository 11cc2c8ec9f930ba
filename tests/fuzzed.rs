//! What the fuzzers were fed and what they found, once more: each target's own body, over the corpora in `fuzz/`.

#[path = "../fuzz/src/front_end.rs"]
mod front_end;
#[path = "../fuzz/src/http_answers.rs"]
mod http_answers;
#[path = "../fuzz/src/journal.rs"]
mod journal;
#[path = "../fuzz/src/masker.rs"]
mod masker;
#[path = "../fuzz/src/permissions.rs"]
mod permissions;
#[path = "../fuzz/src/templates.rs"]
mod templates;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Feeds each file of the target's corpus, and all that it once found, to its body.
#[track_caller]
fn replay(target: &str, run: fn(&[u8])) {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let corpus = files(&fuzz.join("corpus").join(target));
    assert!(!corpus.is_empty(), "the corpus of {target} is empty or missing");
    let failed: Vec<PathBuf> = corpus
        .into_iter()
        .chain(files(&fuzz.join("found").join(target)))
        .filter(|path| {
            let bytes = std::fs::read(path).unwrap();
            catch_unwind(AssertUnwindSafe(|| run(&bytes))).is_err()
        })
        .collect();
    assert!(failed.is_empty(), "these break {target}: {failed:#?}");
}

/// In the order of their names; none where there is no such folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

#[test]
fn the_front_end_judges_what_the_fuzzer_fed_it() {
    replay("front_end", front_end::run);
}

#[test]
fn templates_hold_against_what_the_fuzzer_fed_them() {
    replay("templates", templates::run);
}

#[test]
fn permissions_are_what_the_simple_matcher_says() {
    replay("permissions", permissions::run);
}

#[test]
fn the_masker_hides_what_the_naive_one_hides() {
    replay("masker", masker::run);
}

#[test]
fn the_journal_reader_names_the_damage_or_tells_a_possible_history() {
    replay("journal", journal::run);
}

#[test]
fn the_client_ends_with_any_answer() {
    replay("http_answers", http_answers::run);
}

#[test]
fn corpora_are_small() {
    for kind in ["corpus", "found"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(kind);
        for target in std::fs::read_dir(folder).unwrap().flatten() {
            let files = files(&target.path());
            assert!(files.len() <= 60, "{} has {} files", target.path().display(), files.len());
            for file in files {
                let size = std::fs::metadata(&file).unwrap().len();
                assert!(size <= 8 << 10, "{} has {size} bytes", file.display());
            }
        }
    }
}
