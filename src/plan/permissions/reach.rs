//! Owns what a grant comes to for a program that the kernel holds to it: places in the file system, and ports.
//! Deliberately looks at no file: which of these places there are is for whoever builds the cage.

use super::files::{self, Piece};
use super::{Grant, Permissions};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What one playbook's permissions name. A program may do what all of a grant's agree on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    pub read: Vec<Extent>,
    pub write: Vec<Extent>,
    /// TCP ports to connect to; `None`: any.
    pub ports: Option<BTreeSet<u16>>,
}

/// Which files a rule names, as far as its form tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extent {
    /// One file, which need not be there.
    One(PathBuf),
    /// `folder/**`: all below it.
    Below(PathBuf),
    /// What fits the rule; `folder` is the deepest without a wildcard.
    Like { folder: PathBuf, rule: PathBuf },
}

impl Grant {
    /// What each of the permissions names, from the outermost playbook to the innermost.
    ///
    /// `at_home`: whether what was written with `~/` counts.
    pub fn reach(&self, at_home: bool) -> Vec<Reach> {
        self.0.iter().map(|permissions| reach(permissions, at_home)).collect()
    }

    /// Whether every playbook's `permissions.write` fits this path; links in it are not looked at.
    pub fn may_write(&self, path: &Path) -> bool {
        self.each(|permissions| permissions.write.iter().any(|rule| files::fits(rule, path))).is_some()
    }

    /// The programs that all permit, as they are written.
    pub fn programs(&self) -> Vec<&str> {
        let first = self.0.first().into_iter().flat_map(|permissions| &permissions.run);
        first.map(String::as_str).filter(|name| self.run(name).is_ok()).collect()
    }
}

impl Extent {
    pub fn fits(&self, path: &Path) -> bool {
        match self {
            Extent::One(own) => own == path,
            Extent::Below(folder) => path.starts_with(folder),
            Extent::Like { rule, .. } => files::fits(rule, path),
        }
    }

    /// Of what fits, folders are named with all that is below them.
    pub fn is_of_folders(&self) -> bool {
        match self {
            Extent::One(_) => false,
            Extent::Below(_) => true,
            Extent::Like { rule, .. } => rule.ends_with("**"),
        }
    }

    /// How many folders deep what fits can lie; `None`: any number.
    pub fn depth(&self) -> Option<usize> {
        match self {
            Extent::Like { rule, .. } if rule.iter().any(|name| name == "**") => None,
            Extent::Below(_) => None,
            Extent::Like { rule, .. } => Some(rule.components().count()),
            Extent::One(path) => Some(path.components().count()),
        }
    }
}

fn reach(permissions: &Permissions, at_home: bool) -> Reach {
    let extents = |rules: &[PathBuf]| {
        rules.iter().filter(|rule| at_home || !permissions.at_home.contains(rule)).map(|rule| extent(rule)).collect()
    };
    let ports: Option<Vec<Vec<u16>>> = permissions.net.iter().map(|rule| rule.ports()).collect();
    Reach {
        read: extents(&permissions.read),
        write: extents(&permissions.write),
        ports: ports.map(|ports| ports.into_iter().flatten().collect()),
    }
}

fn extent(rule: &Path) -> Extent {
    let mut folder = PathBuf::from("/");
    let mut rest = files::pieces(rule).peekable();
    while let Some(Piece::Name(name)) = rest.peek() {
        folder.push(name);
        rest.next();
    }
    match (rest.peek().is_some(), rest.all(|piece| matches!(piece, Piece::Any))) {
        (false, _) => Extent::One(folder),
        (true, true) => Extent::Below(folder),
        (true, false) => Extent::Like { folder, rule: rule.to_path_buf() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::permissions::{NetRule, file_glob};
    use std::sync::Arc;

    fn grant(read: &[&str], net: &[&str]) -> Grant {
        let folder = Path::new("/nowhere/at*all");
        Grant(vec![Arc::new(Permissions {
            read: read.iter().map(|text| file_glob(folder, text).unwrap()).collect(),
            net: net.iter().map(|text| NetRule::parse(text).unwrap()).collect(),
            ..Permissions::default()
        })])
    }

    #[test]
    fn a_rule_is_a_file_a_folder_or_what_fits() {
        let read = grant(&["a/b", "a/**", "**", "/x/**/**", "a/*.txt", "/x/**/y"], &[]).reach(true).remove(0).read;
        let below = |text: &str| Extent::Below(text.into());
        let like = |folder: &str, rule: &str| Extent::Like { folder: folder.into(), rule: rule.into() };
        let wanted = [
            Extent::One("/nowhere/at*all/a/b".into()),
            below("/nowhere/at*all/a"),
            below("/nowhere/at*all"),
            below("/x"),
            like("/nowhere/at*all/a", "/nowhere/at\\*all/a/*.txt"),
            like("/x", "/x/**/y"),
        ];
        assert_eq!(read, wanted);
        assert!(
            read[4].fits(Path::new("/nowhere/at*all/a/b.txt")) && !read[4].fits(Path::new("/nowhere/atxall/a/b.txt"))
        );
    }

    #[test]
    fn ports_are_those_that_rules_come_to() {
        let ports = |net: &[&str]| grant(&[], net).reach(true).remove(0).ports.map(Vec::from_iter);
        assert_eq!(ports(&[]), Some(vec![]));
        assert_eq!(
            ports(&["example.com", "http://example.com", "GET https://example.com:8443/x"]),
            Some(vec![80, 443, 8443])
        );
        assert_eq!(ports(&["127.0.0.1"]), Some(vec![80, 443]));
        assert_eq!(ports(&["https://example.com", "https://example.com:*"]), None);
    }
}
