//! Owns what can be told of permissions before a run: literal hosts, programs and names.
//! What is rendered is judged again, by the same rules, at the moment of sending.

use super::Judge;
use crate::diagnostic::Diagnostic;
use crate::plan::Plan;
use crate::playbook::document;
use crate::source::{Part, Place};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use url::Url;

/// Which permissions something known beforehand needs.
#[derive(Default)]
pub struct Used {
    net: BTreeSet<usize>,
    run: BTreeSet<String>,
    env: BTreeSet<String>,
    /// Some URL, program or name is only known at run time, so that nothing can be called unused.
    unknown_net: bool,
    unknown_run: bool,
    modules: bool,
}

impl Judge<'_> {
    /// The URL as far as it is known before the run: literal, or with a constant at its start.
    pub fn known_url(&self, text: &str) -> Option<Url> {
        let resolved = match text.trim_start().strip_prefix("{{") {
            Some(rest) => {
                let (name, after) = rest.split_once("}}")?;
                format!("{}{after}", self.constants.get(name.trim())?)
            }
            None => text.to_string(),
        };
        let known = resolved.split("{{").next()?.split("{%").next()?;
        let (_, after_scheme) = known.split_once("://")?;
        // Where a template begins within the host, the host is not known.
        let complete = known.len() == resolved.len();
        if !complete && !after_scheme.contains('/') {
            return None;
        }
        Url::parse(known).ok().filter(Url::has_host)
    }

    /// Judges that a module can do nothing that this playbook, its caller, may not.
    pub fn within_callers(&mut self, plan: &Plan, place: &Place) {
        self.used.modules = true;
        let mine = self.permissions.clone();
        let mut beyond = Vec::new();
        for rule in &plan.permissions.net {
            match mine.net.iter().position(|own| own.covers(rule)) {
                Some(_) => {
                    for (index, own) in mine.net.iter().enumerate() {
                        if own.covers(rule) {
                            self.used.net.insert(index);
                        }
                    }
                }
                None => beyond.push(format!("net: \"{}\"", rule.text)),
            }
        }
        for program in &plan.permissions.run {
            if mine.run.contains(program) {
                self.used.run.insert(program.clone());
            } else {
                beyond.push(format!("run: {program}"));
            }
        }
        for name in &plan.permissions.env {
            match mine.env.iter().find(|own| *own == name || glob_covers(own, name)) {
                Some(own) => {
                    self.used.env.insert(own.clone());
                }
                None => beyond.push(format!("env: {name}")),
            }
        }
        for (word, theirs, own) in
            [("read", &plan.permissions.read, &mine.read), ("write", &plan.permissions.write, &mine.write)]
        {
            for glob in theirs {
                if !own.iter().any(|mine| mine == glob || path_covers(mine, glob)) {
                    beyond.push(format!("{word}: {}", glob.display()));
                }
            }
        }
        if !beyond.is_empty() {
            self.tell(
                Diagnostic::error(
                    "wider-permission",
                    format!("`{}` may do what this playbook may not", plan.name),
                    place,
                )
                .note(format!("beyond this playbook's permissions:\n{}", beyond.join("\n")))
                .help("add these lines under `permissions` here, if they belong there"),
            );
        }
    }

    /// A file that a playbook names: it has to lie below the folder tree of the playbooks.
    pub fn allowed_file(&mut self, file: &Path, place: &Place, what: &str) -> Option<PathBuf> {
        let found = match self.texts.canonical(file) {
            Ok(found) => found,
            Err(error) => {
                let mut diagnostic =
                    Diagnostic::error("file-not-found", format!("{what} is not there: {error}"), place);
                if let (Some(name), Some(folder)) = (file.file_name().and_then(|name| name.to_str()), file.parent()) {
                    let names = self.texts.names(folder).unwrap_or_default();
                    if let Some(near) = crate::diagnostic::nearest(name, names.iter().map(String::as_str)) {
                        diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
                    }
                }
                self.tell(diagnostic);
                return None;
            }
        };
        let tree = crate::playbook::tree(&self.shelf.begun, self.texts);
        if !found.starts_with(&tree) {
            self.tell(crate::playbook::outside(what, &tree, place));
            return None;
        }
        Some(found)
    }
}

fn glob_covers(own: &str, name: &str) -> bool {
    own.strip_suffix('*').is_some_and(|prefix| name.starts_with(prefix))
}

fn path_covers(own: &Path, other: &Path) -> bool {
    own.to_str().and_then(|text| text.strip_suffix("/**")).is_some_and(|prefix| other.starts_with(prefix))
}

pub fn target_permitted(judge: &mut Judge, method: &str, text: &str, place: &Place) {
    let Some(url) = judge.known_url(text) else {
        judge.used.unknown_net = true;
        return;
    };
    let (Some(host), Some(port)) = (url.host_str().map(String::from), url.port_or_known_default()) else { return };
    let permissions = judge.permissions.clone();
    let mut permitted = false;
    for (index, rule) in permissions.net.iter().enumerate() {
        if rule.may_allow(method, url.scheme(), &host, port) {
            permitted = true;
            judge.used.net.insert(index);
        }
    }
    if !permitted {
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.clone(),
        };
        judge.tell(
            Diagnostic::error("host-not-permitted", format!("{method} to `{authority}` is not permitted"), place).help(
                format!("add this line under `permissions: net:`\n- \"{method} {}://{authority}/**\"", url.scheme()),
            ),
        );
    }
}

pub fn program_permitted(judge: &mut Judge, program: &str, place: &Place) {
    if program.contains("{{") || program.contains("{%") {
        judge.used.unknown_run = true;
        return;
    }
    judge.used.run.insert(program.into());
    if !judge.permissions.run.iter().any(|own| own == program) {
        let mut diagnostic =
            Diagnostic::error("program-not-permitted", format!("running `{program}` is not permitted"), place)
                .help(format!("add this line under `permissions: run:`\n- {program}"));
        let own: Vec<String> = judge.permissions.run.clone();
        if let Some(near) = crate::diagnostic::nearest(program, own.iter().map(String::as_str)) {
            diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
        }
        judge.tell(diagnostic);
    }
}

pub fn env_permitted(judge: &mut Judge, name: &str, place: &Place) {
    match judge.permissions.env.iter().find(|own| *own == name || glob_covers(own, name)).cloned() {
        Some(own) => {
            judge.used.env.insert(own);
        }
        None => judge.tell(
            Diagnostic::error(
                "env-not-permitted",
                format!("giving a program the environment variable `{name}` is not permitted"),
                place,
            )
            .at(Part::Key)
            .help(format!("add this line under `permissions: env:`\n- {name}")),
        ),
    }
}

pub fn unused_permissions(judge: &mut Judge, written: &document::Permissions, place: &Place) {
    let mut found = Vec::new();
    if !judge.used.unknown_net {
        for (index, text) in written.net.iter().flatten().enumerate() {
            if !judge.used.net.contains(&index) {
                found.push((place.key("net").index(index), text.clone()));
            }
        }
    }
    if !judge.used.unknown_run {
        for (index, text) in written.run.iter().flatten().enumerate() {
            if !judge.used.run.contains(text) {
                found.push((place.key("run").index(index), text.clone()));
            }
        }
    }
    for (index, text) in written.env.iter().flatten().enumerate() {
        if !judge.used.env.contains(text) {
            found.push((place.key("env").index(index), text.clone()));
        }
    }
    for (at, text) in found {
        judge.tell(
            Diagnostic::warning("unused-permission", format!("nothing needs the permission `{text}`"), &at)
                .help("take it away: what is not permitted cannot be misused"),
        );
    }
}
