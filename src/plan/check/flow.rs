//! Owns what can be told of permissions and of the flow of secrets before a run: literal hosts, programs and names.
//! What is rendered is judged again, by the same rules, at the moment of sending.

use super::Judge;
use super::names::SecretName;
use crate::diagnostic::Diagnostic;
use crate::plan::Plan;
use crate::playbook::document;
use crate::secret::Target;
use crate::source::{Part, Place};
use crate::template::Template;
use serde_json::Value as Json;
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
    /// Where a name that is a secret for sure was defined, and where it may flow.
    pub fn secret_name(&self, name: &str) -> Option<(Place, SecretName)> {
        let definition = self.scope.get(name)?;
        Some((definition.place.clone(), definition.secret.clone()?))
    }

    /// Whether a value written so is a secret for sure: one bare secret name, or several joined by `or`.
    pub fn secret_of(&self, json: &Json) -> Option<SecretName> {
        let inner = json.as_str()?.trim().strip_prefix("{{")?.strip_suffix("}}")?.trim();
        let mut found: Option<SecretName> = None;
        for name in inner.split(" or ") {
            found = Some(self.secret_name(name.trim())?.1);
        }
        found
    }

    pub fn no_secret_in_url(&mut self, template: &Template, place: &Place) {
        for read in template.reads() {
            if let Some((origin, _)) = self.secret_name(&read.name) {
                let diagnostic = Diagnostic::error(
                    "secret-in-url",
                    format!("the secret `{}` would be part of a URL, which servers and proxies log", read.name),
                    &place.pointer(&read.pointer),
                )
                .at(Part::Within(read.span))
                .label(&origin, Part::Key, "the secret")
                .help("send it in `auth`, a header or the body");
                self.tell(diagnostic);
            }
        }
    }

    /// Judges `to:` against targets that are known beforehand.
    pub fn judge_secret_targets(&mut self, step: &document::Step, place: &Place) {
        if let Some(http) = &step.http {
            let Some(url) = self.known_url(&http.url) else { return };
            let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { return };
            let at = place.key("http");
            let parts = [
                ("headers", http.headers.as_ref().map(|map| serde_json::json!(map))),
                ("json", http.json.clone()),
                ("form", http.form.as_ref().map(|map| serde_json::json!(map))),
                ("multipart", http.multipart.as_ref().map(|map| serde_json::json!(map))),
                ("text", http.text.clone().map(Json::String)),
            ];
            for (key, json) in parts {
                let Some(json) = json else { continue };
                self.judge_flow(&json, &at.key(key), host, |target| target.covers_host(host, port));
            }
            if let Some(auth) = &http.auth {
                let covers = |target: &Target| target.covers_host(host, port);
                if let Some(text) = &auth.bearer {
                    self.judge_flow(&Json::String(text.clone()), &at.key("auth").key("bearer"), host, covers);
                }
                if let Some(basic) = &auth.basic {
                    let basic_place = at.key("auth").key("basic");
                    self.judge_flow(&Json::String(basic.user.clone()), &basic_place.key("user"), host, covers);
                    self.judge_flow(&Json::String(basic.password.clone()), &basic_place.key("password"), host, covers);
                }
            }
        }
        let (key, json) = match (&step.exec, &step.shell) {
            (Some(json), _) => ("exec", json),
            (None, Some(json)) => ("shell", json),
            (None, None) => return,
        };
        let argv = json.as_array().or_else(|| json.get("argv").and_then(Json::as_array));
        let program = match argv {
            Some(argv) => argv.first().and_then(Json::as_str).unwrap_or_default().to_string(),
            None => "bash".into(),
        };
        if program.contains("{{") {
            return;
        }
        let at = place.key(key);
        let shown = format!("run:{program}");
        for part in ["argv", "env", "stdin", "files"] {
            if let Some(json) = json.get(part) {
                self.judge_flow(json, &at.key(part), &shown, |target| target.covers_program(&program));
            }
        }
    }

    fn judge_flow(&mut self, json: &Json, place: &Place, shown: &str, covers: impl Fn(&Target) -> bool) {
        let Ok(template) = Template::parse(json) else { return };
        for read in template.reads() {
            let Some((origin, secret)) = self.secret_name(&read.name) else { continue };
            let Some(to) = &secret.to else { continue };
            if to.iter().any(&covers) {
                continue;
            }
            let diagnostic = Diagnostic::error(
                "secret-flow",
                format!("the secret `{}` would go to `{shown}`, where it may not", read.name),
                &place.pointer(&read.pointer),
            )
            .at(Part::Within(read.span))
            .saying(format!("goes to `{shown}`"))
            .label(&origin, Part::Key, "comes from here")
            .help(format!("add `{shown}` to its `to:`, if it belongs there"));
            self.tell(diagnostic);
        }
    }

    /// The URL as far as it is known before the run: literal, or with a constant at its start.
    fn known_url(&self, text: &str) -> Option<Url> {
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
        let root = self.texts.tree(self.shelf.open.first().map_or(Path::new(""), PathBuf::as_path));
        if !found.starts_with(&root) {
            self.tell(
                Diagnostic::error("file-outside", format!("{what} lies outside of the playbooks' folder"), place)
                    .help(format!("put it below {}", root.display())),
            );
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
