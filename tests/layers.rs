//! The architecture, judged: who knows whom among the modules, and which file names which outside library.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Each module, and all that it may know (ARCHITECTURE.md, "Who may know whom").
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("source", &[]),
    ("digest", &[]),
    ("secret", &[]),
    ("value", &["secret"]),
    ("diagnostic", &["source"]),
    ("playbook", &["source", "diagnostic"]),
    ("query", &["source", "secret", "value", "diagnostic"]),
    ("template", &["source", "digest", "secret", "value", "diagnostic"]),
    ("plan", &["source", "digest", "secret", "value", "diagnostic", "playbook", "query", "template"]),
    ("event", &["source", "value", "secret", "plan"]),
    ("action", &["plan", "event", "value", "secret"]),
    ("ledger", &["event", "plan", "value"]),
    ("journal", &["source", "digest", "ledger", "event", "plan", "value", "secret"]),
    ("engine", &["action", "event", "ledger", "plan", "playbook", "query", "template", "source", "secret", "value"]),
    ("report", &["event", "plan", "diagnostic", "source", "secret", "value"]),
    ("review", &["plan", "playbook", "template", "diagnostic", "source", "secret", "value"]),
    ("world", &["action", "diagnostic", "playbook", "query", "source", "plan", "value"]),
];

/// Outside libraries, and the only file or folder that may name each.
const NAMED_IN: &[(&str, &[&str])] = &[
    ("serde_yaml", &["playbook/"]),
    ("saphyr_parser", &["playbook/"]),
    ("tera", &["template.rs", "template/"]),
    ("jaq_core", &["query/jq.rs", "query/jq/"]),
    ("jaq_std", &["query/jq.rs", "query/jq/"]),
    ("jaq_json", &["query/jq.rs", "query/jq/"]),
    ("jsonpath_rust", &["query/jsonpath.rs"]),
    ("jsonschema", &["plan/schema.rs"]),
    ("reqwest", &["action/http.rs", "action/http/"]),
    ("rustls", &["action/http.rs", "action/http/"]),
    ("annotate_snippets", &["diagnostic/draw.rs"]),
    ("strsim", &["diagnostic/suggest.rs"]),
    ("aho_corasick", &["secret/"]),
    ("memchr", &["secret/"]),
    ("indicatif", &["report/live.rs"]),
    ("clap", &["cli.rs", "cli/"]),
    ("anstream", &["cli.rs", "cli/"]),
    ("rpassword", &["cli/person.rs"]),
    ("tracing_subscriber", &["cli/logs.rs"]),
    ("hyper", &["world/", "action/http/"]),
    ("hyper_util", &["world/"]),
    ("http_body_util", &["world/"]),
    // Opening sealed boxes, a filter of worlds, stands where jaq is named; `fresh` borrows its source of chance.
    ("crypto_box", &["query/jq/natives.rs", "world/fresh.rs"]),
    // A key is named, and a lock's file called, by bytes rather than by text.
    ("sha2", &["digest.rs", "journal/seal.rs", "journal/lock.rs"]),
    ("jiff", &["plan/duration.rs"]),
    ("tempfile", &["action/", "world/"]),
    ("chacha20poly1305", &["journal/seal.rs"]),
    ("argon2", &["journal/keeper/passphrase.rs"]),
    ("getrandom", &["journal/seal.rs"]),
    ("crc32fast", &["journal/"]),
    ("landlock", &["action/exec/kernel.rs"]),
];

fn sources() -> Vec<(PathBuf, String)> {
    fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                collect(&path, files);
            } else if path.extension().is_some_and(|end| end == "rs") {
                files.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files
        .into_iter()
        // Unit tests may use whatever they need.
        .filter(|path| !path.ends_with("tests.rs") && !path.iter().any(|part| part == "tests"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            (path.strip_prefix(&root).unwrap().to_path_buf(), without_tests(&text))
        })
        .collect()
}

/// The code without its comments, and without its unit tests, which may use whatever they need.
fn without_tests(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn module_of(path: &Path) -> String {
    path.components().next().unwrap().as_os_str().to_string_lossy().trim_end_matches(".rs").to_string()
}

/// Names of our own modules that a text mentions as `crate::NAME`.
fn known(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        names.insert(name);
    }
    names
}

#[test]
fn modules_know_only_what_they_may() {
    let mut breaches = Vec::new();
    for (path, text) in sources() {
        let module = module_of(&path);
        if ["main", "lib", "cli"].contains(&module.as_str()) {
            continue;
        }
        let Some((_, may)) = MAY_KNOW.iter().find(|(name, _)| *name == module) else {
            breaches.push(format!("{}: the module `{module}` is not in the table", path.display()));
            continue;
        };
        for name in known(&text) {
            if name != module && MAY_KNOW.iter().any(|(known, _)| *known == name) && !may.contains(&name.as_str()) {
                breaches.push(format!("{}: knows `{name}`", path.display()));
            }
            if name == "cli" {
                breaches.push(format!("{}: knows `cli`", path.display()));
            }
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

#[test]
fn each_outside_library_is_named_in_one_place() {
    let mut breaches = Vec::new();
    for (path, text) in sources() {
        let shown = path.to_string_lossy().to_string();
        for (library, places) in NAMED_IN {
            let named = text.match_indices(library).any(|(at, _)| {
                let before = text[..at].chars().next_back();
                let after = &text[at + library.len()..];
                after.starts_with("::") && !before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
            });
            if named && !places.iter().any(|place| shown.starts_with(place)) {
                breaches.push(format!("{shown}: names `{library}`"));
            }
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

#[test]
fn every_file_says_what_it_owns() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (path, _) in sources() {
        let text = std::fs::read_to_string(root.join(&path)).unwrap();
        assert!(text.starts_with("//!"), "{} does not begin with what it owns", path.display());
    }
}
