//! Owns what an operator permits for one run besides (`--allow`): rules as they are written on a command line.
//! Deliberately widens permissions alone: where a secret may go is never its matter.

use super::{NetRule, Permissions, file_glob, judge_env, judge_program};
use std::path::Path;
use std::sync::Arc;

const WANTED: &str =
    "give `net:GET https://host/path`, `run:PROGRAM`, `env:NAME`, `read:PATH` or `write:PATH`, as under `permissions`";

/// Rules for one run, added to the permissions of its playbook and of every module on the way.
#[derive(Clone, Debug, Default)]
pub struct Allowed {
    /// As they are recorded: whatever folder they are read in, they mean the same.
    pub texts: Vec<String>,
    pub permissions: Permissions,
}

impl Allowed {
    /// Paths are relative to `folder`: the operator's, since the operator writes them.
    ///
    /// # Errors
    /// Each rule that is none, and what is wanted.
    pub fn parse(texts: &[String], folder: &Path) -> Result<Allowed, Vec<String>> {
        let mut allowed = Allowed::default();
        let mut faults = Vec::new();
        for text in texts {
            if let Err(fault) = allowed.add(text, folder) {
                faults.push(format!("`--allow {}`: {fault}", text.escape_debug()));
            }
        }
        if faults.is_empty() { Ok(allowed) } else { Err(faults) }
    }

    fn add(&mut self, text: &str, folder: &Path) -> Result<(), String> {
        let Some((kind, rule)) = text.split_once(':') else { return Err(format!("it says not what of: {WANTED}")) };
        let rule = rule.trim();
        let mut recorded = format!("{kind}:{rule}");
        let own = &mut self.permissions;
        match kind {
            "net" => own.net.push(NetRule::parse(rule)?),
            "run" => {
                judge_program(rule)?;
                own.run.push(rule.into());
            }
            "env" => {
                judge_env(rule)?;
                own.env.push(rule.into());
            }
            "read" | "write" => {
                let glob = file_glob(folder, rule)?;
                let Some(absolute) = glob.to_str() else {
                    return Err("the current folder's name is no text: give an absolute path".into());
                };
                recorded = format!("{kind}:{absolute}");
                if kind == "read" { own.read.push(glob) } else { own.write.push(glob) }
            }
            "to" => return Err("where a secret may go is the playbook's to say, and cannot be widened".into()),
            _ => return Err(format!("`{kind}` is no kind of permission: {WANTED}")),
        }
        if !self.texts.contains(&recorded) {
            self.texts.push(recorded);
        }
        Ok(())
    }

    /// The permissions of a file, with these besides.
    pub fn widen(&self, permissions: &Arc<Permissions>) -> Arc<Permissions> {
        if self.texts.is_empty() {
            return permissions.clone();
        }
        let mut wider = Permissions::clone(permissions);
        let more = &self.permissions;
        wider.net.extend(more.net.iter().cloned());
        wider.run.extend(more.run.iter().cloned());
        wider.env.extend(more.env.iter().cloned());
        wider.read.extend(more.read.iter().cloned());
        wider.write.extend(more.write.iter().cloned());
        Arc::new(wider)
    }
}
