//! Owns what a run may touch: the parsed `permissions` of a playbook and of its callers, and judging against them.
//! Deliberately touches nothing itself, but to resolve symbolic links of a path that is judged.

pub mod address;
mod allowed;
mod files;
mod glob;
mod net;
mod reach;
#[cfg(test)]
mod tests;

pub use allowed::Allowed;
pub use files::{file_covers, file_glob};
pub use glob::name_covers;
pub use net::{LONGEST_SHOWN, NetRule};
pub use reach::{Extent, Reach};

use std::path::{Path, PathBuf};
use std::sync::Arc;
use url::Url;

/// The parsed `permissions` of one playbook.
#[derive(Clone, Debug, Default)]
pub struct Permissions {
    pub net: Vec<NetRule>,
    pub run: Vec<String>,
    pub env: Vec<String>,
    /// Absolute globs, as [`file_glob`] makes them.
    pub read: Vec<PathBuf>,
    pub write: Vec<PathBuf>,
    /// Those of `read` and `write` that were written with `~/`: in a rehearsal nobody's home is at hand.
    pub at_home: Vec<PathBuf>,
}

/// Whether a rule of `permissions.run` can be one.
///
/// # Errors
/// Why it would never match.
pub fn judge_program(rule: &str) -> Result<(), String> {
    if rule.is_empty() || rule.contains(char::is_control) {
        return Err("the name of a program is empty or has a control character in it".into());
    }
    if rule.contains('/') && !rule.starts_with('/') {
        return Err(format!("`{rule}` is a relative path: give a program's name or an absolute path"));
    }
    if rule.contains('*') {
        return Err(format!("`{rule}`: programs are named one by one, without `*`"));
    }
    Ok(())
}

/// Whether a rule of `permissions.env` can be one.
///
/// # Errors
/// Why it would never match.
pub fn judge_env(rule: &str) -> Result<(), String> {
    if rule.is_empty() || rule.contains(|c: char| c == '=' || c.is_control() || c.is_whitespace()) {
        return Err(format!("`{}` is no name of an environment variable", rule.escape_debug()));
    }
    Ok(())
}

/// A refusal: what was wanted, and the line that would permit it.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub message: String,
    pub help: String,
}

/// The permissions of a playbook and of all that called it: each has to agree.
///
/// Without any playbook in it nothing is permitted, so that a grant that was forgotten opens nothing.
#[derive(Clone, Debug, Default)]
pub struct Grant(pub Vec<Arc<Permissions>>);

impl Grant {
    /// Ok(private): whether the host's name may resolve to a loopback or private address.
    ///
    /// The method is compared as it is sent; the query of the URL plays no part and is never shown.
    pub fn net(&self, method: &str, url: &Url) -> Result<bool, Refusal> {
        net::no_credentials(url)?;
        let mut private = true;
        for permissions in &self.0 {
            let mut fitting = permissions.net.iter().filter(|rule| rule.allows(method, url)).peekable();
            if fitting.peek().is_none() {
                return Err(net::refusal(&permissions.net, method, url, self.whose()));
            }
            private &= fitting.any(NetRule::private);
        }
        if self.0.is_empty() {
            return Err(net::refusal(&[], method, url, self.whose()));
        }
        Ok(private)
    }

    /// `argv0` as written: a bare name is permitted by the same bare name, an absolute path by the same path.
    ///
    /// Neither stands for the other: which file a bare name is depends on PATH, and that is the operator's.
    pub fn run(&self, argv0: &str) -> Result<(), Refusal> {
        if argv0.contains('/') && !argv0.starts_with('/') {
            return Err(Refusal {
                message: format!("`{argv0}` is a relative path, and what it is depends on where the run was started"),
                help: "give a program's name, which is looked for on PATH, or an absolute path".into(),
            });
        }
        self.each(|permissions| permissions.run.iter().any(|rule| rule == argv0)).ok_or_else(|| Refusal {
            message: format!("running `{argv0}` is not permitted by `permissions.run`{}", self.whose()),
            help: format!("add `{argv0}` under `permissions.run`"),
        })
    }

    pub fn env(&self, name: &str) -> Result<(), Refusal> {
        self.each(|permissions| permissions.env.iter().any(|rule| glob::name_fits(rule, name))).ok_or_else(|| Refusal {
            message: format!(
                "giving a program the environment variable `{name}` is not permitted by `permissions.env`{}",
                self.whose()
            ),
            help: format!("add `{name}` under `permissions.env`"),
        })
    }

    /// The path after symbolic links are resolved, so that a link cannot lead out of what is permitted.
    ///
    /// The file need not exist: then the nearest folder above it that does is resolved.
    pub fn read(&self, path: &Path) -> Result<PathBuf, Refusal> {
        let real = files::resolve(path)?;
        match self.each(|permissions| permissions.read.iter().any(|rule| files::fits(rule, &real))) {
            Some(()) => Ok(real),
            None => {
                let through = if real == path { String::new() } else { format!(" (which is `{}`)", real.display()) };
                Err(Refusal {
                    message: format!(
                        "reading `{}`{through} is not permitted by `permissions.read`{}",
                        path.display(),
                        self.whose()
                    ),
                    help: format!("add `{}` under `permissions.read`", real.display()),
                })
            }
        }
    }

    /// The same grant, where this one file may be read besides (an input that the operator named).
    pub fn with_readable(&self, path: &Path) -> Grant {
        let Ok(real) = files::resolve(path) else { return self.clone() };
        let rule = files::literal(&real);
        Grant(
            self.0
                .iter()
                .map(|permissions| {
                    let mut wider = Permissions::clone(permissions);
                    wider.read.push(rule.clone());
                    Arc::new(wider)
                })
                .collect(),
        )
    }

    fn each(&self, allows: impl Fn(&Permissions) -> bool) -> Option<()> {
        (!self.0.is_empty() && self.0.iter().all(|permissions| allows(permissions))).then_some(())
    }

    /// A module is judged by its callers' permissions too: the author has to know which files to look in.
    fn whose(&self) -> &'static str {
        if self.0.len() > 1 { " of this module and of each playbook that calls it" } else { "" }
    }
}
