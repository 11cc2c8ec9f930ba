//! Owns rules for files: absolute globs, and paths with their symbolic links resolved.
//! Deliberately opens nothing.

use super::Refusal;
use super::glob::{Glob, Segment, Token};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

/// A glob as written under `permissions.read` or `permissions.write`, made absolute.
///
/// `folder` is the playbook's: its own symbolic links are resolved and its own `*` taken as they are. Links further
/// down are not: `data/*` does not follow a `data` that is a link to elsewhere.
///
/// `~/` is the home folder of whoever runs it.
pub fn file_glob(folder: &Path, text: &str) -> Result<PathBuf, String> {
    if let Some(rest) = text.strip_prefix("~/") {
        let home = std::env::home_dir().filter(|home| home.is_absolute());
        let home = home.ok_or("there is no home folder, so that `~/` is nowhere")?;
        return file_glob(&home, rest);
    }
    if text.is_empty() {
        return Err("a path is empty".into());
    }
    if text.contains('\0') {
        return Err("a path has a NUL character in it".into());
    }
    for segment in text.split('/') {
        if segment.contains("**") && segment != "**" {
            return Err(format!("in `{text}`, `**` has to stand alone between slashes"));
        }
    }
    let mut glob = if text.starts_with('/') {
        PathBuf::from("/")
    } else {
        literal(&folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf()))
    };
    let mut is_wild = false;
    for segment in text.split('/') {
        match segment {
            "" | "." => {}
            ".." if is_wild => {
                return Err(format!("in `{text}`, `..` stands after a `*`, so that nobody can tell where it leads"));
            }
            ".." => {
                if !glob.pop() {
                    return Err(format!("`{text}` leads out of the file system"));
                }
            }
            _ => {
                is_wild |= segment.contains(['*', '?']);
                glob.push(segment);
            }
        }
    }
    Ok(glob)
}

/// The rule that fits this path and no other.
pub(super) fn literal(path: &Path) -> PathBuf {
    let mut escaped = Vec::new();
    for byte in path.as_os_str().as_bytes() {
        if matches!(byte, b'*' | b'?' | b'\\') {
            escaped.push(b'\\');
        }
        escaped.push(*byte);
    }
    PathBuf::from(OsString::from_vec(escaped))
}

pub(super) fn fits(rule: &Path, path: &Path) -> bool {
    let parts: Vec<&[u8]> = names(path).collect();
    rule.is_absolute() && path.is_absolute() && glob(rule).fits(&parts)
}

/// Whether every path that fits `other` fits `rule` too. Errs on the side of no.
pub fn file_covers(rule: &Path, other: &Path) -> bool {
    rule.is_absolute() && other.is_absolute() && glob(rule).covers(&glob(other))
}

fn glob(rule: &Path) -> Glob {
    Glob::new(names(rule).map(|name| if name == b"**" { Segment::Any } else { Segment::Like(tokens(name)) }).collect())
}

/// A segment of a rule.
pub(super) enum Piece {
    /// It fits this name alone.
    Name(OsString),
    /// `**`.
    Any,
    Wild,
}

pub(super) fn pieces(rule: &Path) -> impl Iterator<Item = Piece> {
    names(rule).map(|name| {
        let literal: Option<Vec<u8>> = tokens(name)
            .into_iter()
            .map(|token| match token {
                Token::Byte(byte) => Some(byte),
                _ => None,
            })
            .collect();
        match literal {
            _ if name == b"**" => Piece::Any,
            Some(bytes) => Piece::Name(OsString::from_vec(bytes)),
            None => Piece::Wild,
        }
    })
}

fn tokens(name: &[u8]) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut bytes = name.iter();
    while let Some(byte) = bytes.next() {
        tokens.push(match byte {
            b'*' => Token::Star,
            b'?' => Token::One,
            b'\\' => Token::Byte(*bytes.next().unwrap_or(byte)),
            _ => Token::Byte(*byte),
        });
    }
    tokens
}

fn names(path: &Path) -> impl Iterator<Item = &[u8]> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.as_bytes()),
        _ => None,
    })
}

/// The path without symbolic links and `..`; of a file that does not exist, its nearest folder that does is resolved.
pub(super) fn resolve(path: &Path) -> Result<PathBuf, Refusal> {
    let refusal = |why: &str| Refusal {
        message: format!("`{}` {why}", path.display()),
        help: "give the path of a file that is there".into(),
    };
    if path.as_os_str().as_bytes().contains(&0) {
        return Err(refusal("has a NUL character in it"));
    }
    let mut existing = path;
    let mut rest = Vec::new();
    loop {
        match existing.canonicalize() {
            Ok(mut real) => {
                real.extend(rest.iter().rev());
                return Ok(real);
            }
            // What cannot be resolved for any other reason (a loop, no right to look) might lead anywhere.
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(refusal(&format!("cannot be resolved: {}", error.kind())));
            }
            Err(_) => {}
        }
        // A link whose target is missing is there itself: what it points at must not be guessed from its own name.
        if existing.symlink_metadata().is_ok() {
            return Err(refusal("is a symbolic link to what does not exist"));
        }
        let Some(Component::Normal(name)) = existing.components().next_back() else {
            return Err(refusal("does not exist"));
        };
        rest.push(name);
        existing = match existing.parent() {
            Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
            Some(parent) => parent,
            None => return Err(refusal("does not exist")),
        };
    }
}
