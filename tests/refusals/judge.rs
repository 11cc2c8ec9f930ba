//! Owns what holds for every case: nothing steers a terminal, nothing was made elsewhere, nothing secret is left.
//! Deliberately knows nothing of single cases.

use std::collections::BTreeMap;
use std::path::Path;

/// The first piece that would steer a terminal, or mislead who reads it there.
pub fn steering(bytes: &[u8]) -> Option<String> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => return Some(format!("no UTF-8 at byte {}", error.valid_up_to())),
    };
    let at = text.char_indices().find(|(_, c)| {
        c.is_control() && !matches!(c, '\n' | '\t')
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    })?;
    let around: String = text[..at.0].chars().rev().take(40).collect::<Vec<_>>().into_iter().rev().collect();
    Some(format!("{:?} after {around:?}", at.1))
}

/// All files below a folder, with what they hold (of links: what they point at).
pub fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(root: &Path, folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            if kind.is_dir() {
                walk(root, &path, found);
                found.insert(format!("{name}/"), Vec::new());
            } else if kind.is_file() {
                found.insert(name, std::fs::read(&path).unwrap_or_default());
            } else {
                found.insert(name, Vec::new());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(folder, folder, &mut found);
    found
}

/// Files that are there now and were not, or that have changed.
pub fn made(before: &BTreeMap<String, Vec<u8>>, now: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let gone = before.keys().filter(|name| !now.contains_key(*name)).map(|name| format!("{name} is gone"));
    let changed = now.iter().filter(|(name, content)| before.get(*name) != Some(content)).map(|(name, _)| name.clone());
    changed.chain(gone).collect()
}

pub fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}
