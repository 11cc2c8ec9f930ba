//! Owns what can be told of permissions before a run: what needs them, what they lack, which of them nothing needs.
//! What is rendered is judged again, by the same rules, at the moment of sending.

use super::Judge;
use crate::diagnostic::Diagnostic;
use crate::plan::permissions::{NetRule, file_covers, file_glob, name_covers};
use crate::plan::{Body, Http, PartSource, Plan, Work};
use crate::playbook::document;
use crate::source::{Part, Place};
use crate::template::Template;
use serde_json::Value as Json;
use std::collections::BTreeSet;

/// Which permissions something known beforehand needs: their places in the lists.
#[derive(Default)]
pub struct Used {
    net: BTreeSet<usize>,
    run: BTreeSet<String>,
    env: BTreeSet<usize>,
    read: BTreeSet<usize>,
    write: BTreeSet<usize>,
    /// Some URL, program or file is only known at run time, so that nothing can be called unused.
    unknown_net: bool,
    unknown_run: bool,
    unknown_read: bool,
    /// Programs are run here: what they read and write is only known to them.
    programs: bool,
}

impl Judge<'_> {
    /// Judges that a module can do nothing that this playbook, its caller, may not; but for what the operator permits.
    pub fn within_callers(&mut self, plan: &Plan, place: &Place) {
        let (mine, more) = (self.permissions.clone(), self.shelf.allowed.clone());
        let theirs = &plan.permissions;
        let mut beyond = Vec::new();
        for rule in &theirs.net {
            let used = places(&mine.net, |own| own.covers(rule));
            let allowed = more.net.iter().any(|own| own.covers(rule));
            judge(&mut beyond, used, allowed, &mut self.used.net, format!("net: \"{}\"", rule.text));
        }
        for program in &theirs.run {
            if !mine.run.contains(program) && !more.run.contains(program) {
                beyond.push(format!("run: {program}"));
            }
            self.used.run.insert(program.clone());
        }
        for name in &theirs.env {
            let used = places(&mine.env, |own| name_covers(own, name));
            let allowed = more.env.iter().any(|own| name_covers(own, name));
            judge(&mut beyond, used, allowed, &mut self.used.env, format!("env: {name}"));
        }
        for glob in &theirs.read {
            let used = places(&mine.read, |own| file_covers(own, glob));
            let allowed = more.read.iter().any(|own| file_covers(own, glob));
            judge(&mut beyond, used, allowed, &mut self.used.read, format!("read: {}", glob.display()));
        }
        for glob in &theirs.write {
            let used = places(&mine.write, |own| file_covers(own, glob));
            let allowed = more.write.iter().any(|own| file_covers(own, glob));
            judge(&mut beyond, used, allowed, &mut self.used.write, format!("write: {}", glob.display()));
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

    /// Notes what a step may need besides its URL, its program and its variables.
    pub fn note_needs(&mut self, work: &Work) {
        match work {
            Work::Exec(_) => self.used.programs = true,
            Work::Http(http) => {
                // Where it is redirected to and by which proxy it goes is judged when it is sent.
                self.used.unknown_net |= http.redirects.is_some_and(|most| most > 0) || http.proxy.is_some();
                for path in files_of(http) {
                    self.note_file(path);
                }
            }
            _ => {}
        }
    }

    fn note_file(&mut self, path: &Template) {
        let glob = match path.as_literal() {
            Some(Json::String(text)) if !text.contains(['*', '?', '\\']) => file_glob(self.source.folder(), text).ok(),
            _ => None,
        };
        let used = glob.map(|glob| places(&self.permissions.read, |own| file_covers(own, &glob))).unwrap_or_default();
        // A link may lead to where another rule permits it.
        self.used.unknown_read |= used.is_empty();
        self.used.read.extend(used);
    }

    pub fn target_permitted(&mut self, method: &str, text: &str, place: &Place) {
        let Some(url) = self.known_url(text) else {
            self.used.unknown_net = true;
            return;
        };
        let (Some(host), Some(port)) = (url.host_str().map(String::from), url.port_or_known_default()) else { return };
        let (mine, more) = (self.permissions.clone(), self.shelf.allowed.clone());
        let used = places(&mine.net, |rule| rule.may_allow(method, url.scheme(), &host, port));
        let allowed = more.net.iter().any(|rule| rule.may_allow(method, url.scheme(), &host, port));
        if used.is_empty() && !allowed {
            let authority = match url.port() {
                Some(port) => format!("{host}:{port}"),
                None => host.clone(),
            };
            self.tell(
                Diagnostic::error("host-not-permitted", format!("{method} to `{authority}` is not permitted"), place)
                    .help(format!(
                        "add this line under `permissions: net:`\n- \"{method} {}://{authority}/**\"",
                        url.scheme()
                    )),
            );
        }
        self.used.net.extend(used);
    }

    pub fn program_permitted(&mut self, program: &str, place: &Place) {
        if program.contains("{{") || program.contains("{%") {
            self.used.unknown_run = true;
            return;
        }
        self.used.run.insert(program.into());
        let own = &self.permissions.run;
        if !own.iter().chain(&self.shelf.allowed.run).any(|rule| rule == program) {
            let mut diagnostic =
                Diagnostic::error("program-not-permitted", format!("running `{program}` is not permitted"), place)
                    .help(format!("add this line under `permissions: run:`\n- {program}"));
            if let Some(near) = crate::diagnostic::nearest(program, own.iter().map(String::as_str)) {
                diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
            }
            self.tell(diagnostic);
        }
    }

    /// As it is spelt; where its links lead is judged when it is read.
    pub fn file_permitted(&mut self, file: &str, place: &Place) {
        let Ok(path) = file_glob(self.source.folder(), file) else { return };
        let used = places(&self.permissions.read, |own| file_covers(own, &path));
        if used.is_empty() && !self.shelf.allowed.read.iter().any(|own| file_covers(own, &path)) {
            self.tell(
                Diagnostic::error("file-not-permitted", format!("reading `{file}` is not permitted"), place)
                    .help(format!("add this line under `permissions: read:`\n- {file}")),
            );
        }
        self.used.read.extend(used);
    }

    pub fn env_permitted(&mut self, name: &str, place: &Place) {
        let used = places(&self.permissions.env, |rule| name_covers(rule, name));
        if used.is_empty() && !self.shelf.allowed.env.iter().any(|rule| name_covers(rule, name)) {
            self.tell(
                Diagnostic::error(
                    "env-not-permitted",
                    format!("giving a program the environment variable `{name}` is not permitted"),
                    place,
                )
                .at(Part::Key)
                .help(format!("add this line under `permissions: env:`\n- {name}")),
            );
        }
        self.used.env.extend(used);
    }

    pub fn unused_permissions(&mut self, written: &document::Permissions, place: &Place) {
        let used = &self.used;
        let run = written.run.iter().flatten().enumerate();
        let run = run.filter(|(_, text)| used.run.contains(*text)).map(|(index, _)| index).collect();
        // Programs connect to the ports that rules name: one of a port that no request needs may be there for a program.
        let rules = &self.permissions.net;
        let needed: BTreeSet<u16> = used.net.iter().filter_map(|index| rules.get(*index)?.ports()).flatten().collect();
        let for_programs =
            |rule: &NetRule| rule.ports().is_none_or(|own| own.iter().any(|port| !needed.contains(port)));
        let mut net = used.net.clone();
        if used.programs || used.unknown_run {
            net.extend(places(rules, for_programs));
        }
        let mut found = Vec::new();
        for (key, list, unknown, used) in [
            ("net", &written.net, used.unknown_net, &net),
            ("run", &written.run, used.unknown_run, &run),
            ("env", &written.env, false, &used.env),
            ("read", &written.read, used.unknown_read || used.programs, &used.read),
            ("write", &written.write, used.programs, &used.write),
        ] {
            for (index, text) in list.iter().flatten().enumerate() {
                if !unknown && !used.contains(&index) {
                    found.push((place.key(key).index(index), text.clone()));
                }
            }
        }
        for (at, text) in found {
            self.tell(
                Diagnostic::warning("unused-permission", format!("nothing needs the permission `{text}`"), &at)
                    .help("take it away: what is not permitted cannot be misused"),
            );
        }
    }
}

/// Notes which rules cover a module's, or that none does.
fn judge(beyond: &mut Vec<String>, used: Vec<usize>, allowed: bool, set: &mut BTreeSet<usize>, shown: String) {
    if used.is_empty() && !allowed {
        beyond.push(shown);
    }
    set.extend(used);
}

/// Where in a list the rules are that do.
fn places<T>(rules: &[T], does: impl Fn(&T) -> bool) -> Vec<usize> {
    rules.iter().enumerate().filter(|(_, rule)| does(rule)).map(|(index, _)| index).collect()
}

/// The files that an exchange reads.
fn files_of(http: &Http) -> Vec<&Template> {
    let mut files: Vec<&Template> = match &http.body {
        Body::File(path) => vec![path],
        Body::Multipart(parts) => parts
            .iter()
            .filter_map(|(_, part)| match part {
                PartSource::File { path, .. } => Some(path),
                PartSource::Text(_) => None,
            })
            .collect(),
        _ => Vec::new(),
    };
    if let Some(tls) = &http.tls {
        files.extend([&tls.ca, &tls.client_cert, &tls.client_key].into_iter().flatten());
    }
    files
}
