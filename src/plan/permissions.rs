//! Owns what a run may touch: rules for hosts, programs, environment names and files, and judging against them.
//! Deliberately touches nothing itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use url::Url;

/// The parsed `permissions` of one playbook.
#[derive(Debug, Default)]
pub struct Permissions {
    pub net: Vec<NetRule>,
    pub run: Vec<String>,
    pub env: Vec<String>,
    /// Absolute globs.
    pub read: Vec<PathBuf>,
    pub write: Vec<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetRule {
    /// As written.
    pub text: String,
    // to be filled: methods, scheme, host, port, path, private
}

/// A refusal: what was wanted, and the line that would permit it.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub message: String,
    pub help: String,
}

/// The permissions of a playbook and of all that called it: each has to agree.
#[derive(Clone, Debug, Default)]
pub struct Grant(pub Vec<Arc<Permissions>>);

impl NetRule {
    pub fn parse(_text: &str) -> Result<NetRule, String> {
        todo!()
    }
    pub fn allows(&self, _method: &str, _url: &Url) -> bool {
        todo!()
    }
    /// Whether everything that `other` allows is allowed by this rule too. May say no where it cannot tell.
    pub fn covers(&self, _other: &NetRule) -> bool {
        todo!()
    }
    /// Whether any URL of this host, port and scheme could be allowed: for rules judged before the path is known.
    pub fn may_allow(&self, _method: &str, _scheme: &str, _host: &str, _port: u16) -> bool {
        todo!()
    }
}

impl Grant {
    /// Ok(private): whether the host's name may resolve to a loopback or private address.
    pub fn net(&self, _method: &str, _url: &Url) -> Result<bool, Refusal> {
        todo!()
    }
    /// `argv0` as written.
    pub fn run(&self, _argv0: &str) -> Result<(), Refusal> {
        todo!()
    }
    pub fn env(&self, _name: &str) -> Result<(), Refusal> {
        todo!()
    }
    /// The path after symbolic links are resolved.
    pub fn read(&self, _path: &Path) -> Result<PathBuf, Refusal> {
        todo!()
    }
    /// The same grant, where this one file may be read besides (an input that the operator named).
    pub fn with_readable(&self, _path: &Path) -> Grant {
        todo!()
    }
}
