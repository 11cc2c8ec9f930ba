//! Owns judging `exec` and `shell`: the program, its arguments, its environment, its script.
//! Deliberately judges no permission itself (`permitted` does), nor where secrets go (`secrets` does).

use super::Judge;
use super::secrets::Sink;
use crate::diagnostic::Diagnostic;
use crate::plan::{Exec, Work};
use crate::playbook::document;
use crate::playbook::part;
use crate::source::{Part, Place};
use crate::template::Template;
use serde_json::Value as Json;

const LARGEST_OUTPUT: u64 = 10 << 20;

impl Judge<'_> {
    pub fn exec(&mut self, json: &Json, place: &Place) -> Work {
        let (written, argv_place) = if json.is_array() {
            let argv = json.as_array().cloned().unwrap_or_default();
            let bare = document::Exec {
                argv,
                env: None,
                stdin: None,
                files: None,
                cwd: None,
                timeout: None,
                max_output: None,
                allow_secret_argv: None,
            };
            (bare, place.clone())
        } else {
            match part::<document::Exec>(json, place) {
                Ok(written) => (written, place.key("argv")),
                Err(found) => {
                    self.found.extend(found);
                    return Work::Assert;
                }
            }
        };
        if written.argv.is_empty() {
            self.tell(Diagnostic::error("empty-argv", "`argv` is empty: its first item is the program", &argv_place));
        }
        let argv: Vec<Template> = written
            .argv
            .iter()
            .enumerate()
            .map(|(index, json)| self.template(json, &argv_place.index(index)))
            .collect();
        if let Some(reason) = written.allow_secret_argv.as_ref().filter(|reason| reason.trim().is_empty()) {
            let _ = reason;
            self.tell(Diagnostic::error(
                "missing-reason",
                "`allow_secret_argv` is the reason why, and it is empty",
                &place.key("allow_secret_argv"),
            ));
        }
        let program = written.argv.first().and_then(Json::as_str).filter(|program| !is_template(program));
        let sink: Vec<Sink> = program.map(|program| Sink::Program(program.into())).into_iter().collect();
        for (index, template) in argv.iter().enumerate() {
            let at = argv_place.index(index);
            match &written.allow_secret_argv {
                None => self.no_secret_in_argv(template, &at),
                Some(_) => self.flows_to(template, &at, &sink),
            }
        }
        if let Some(Json::String(program)) = written.argv.first() {
            self.program_permitted(program, &argv_place.index(0));
        }
        Work::Exec(Box::new(self.program(written, argv, None, &sink, place)))
    }

    pub fn shell(&mut self, json: &Json, place: &Place) -> Work {
        let written = match json {
            Json::String(script) => document::Shell {
                script: script.clone(),
                env: None,
                stdin: None,
                files: None,
                cwd: None,
                timeout: None,
                max_output: None,
            },
            other => match part::<document::Shell>(other, place) {
                Ok(written) => written,
                Err(found) => {
                    self.found.extend(found);
                    return Work::Assert;
                }
            },
        };
        let at = if json.is_string() { place.clone() } else { place.key("script") };
        if let Some(start) = written.script.find("{{") {
            let end = written.script[start..].find("}}").map_or(written.script.len(), |end| start + end + 2);
            self.tell(
                Diagnostic::error(
                    "template-in-script",
                    "a script is no template: what came from outside could become commands",
                    &at,
                )
                .at(Part::Within(start..end))
                .help("give the value by `env: {NAME: \"{{ … }}\"}` and write \"$NAME\" here"),
            );
        }
        self.program_permitted("bash", &at);
        let script = Some(written.script.clone());
        let exec = document::Exec {
            argv: Vec::new(),
            env: written.env,
            stdin: written.stdin,
            files: written.files,
            cwd: written.cwd,
            timeout: written.timeout,
            max_output: written.max_output,
            allow_secret_argv: None,
        };
        Work::Exec(Box::new(self.program(exec, Vec::new(), script, &[Sink::Program("bash".into())], place)))
    }

    fn program(
        &mut self,
        written: document::Exec,
        argv: Vec<Template>,
        script: Option<String>,
        sink: &[Sink],
        place: &Place,
    ) -> Exec {
        let root = Place { source: self.source.clone(), route: crate::source::Route::root() };
        let defaults = self.defaults.exec.clone().unwrap_or_default();
        let defaults_env = root.key("defaults").key("exec").key("env");
        let mut env = self.named(defaults.env.as_ref(), &defaults_env);
        let own = self.named(written.env.as_ref(), &place.key("env"));
        env.retain(|(name, _)| !own.iter().any(|(other, _)| other == name));
        for (name, template) in &env {
            self.env_permitted(name, &defaults_env.key(name));
            self.flows_to(template, &defaults_env.key(name), sink);
        }
        for (name, template) in &own {
            self.env_permitted(name, &place.key("env").key(name));
            self.flows_to(template, &place.key("env").key(name), sink);
        }
        env.extend(own);
        for name in written.files.iter().flat_map(|files| files.keys()) {
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                self.tell(
                    Diagnostic::error(
                        "bad-name",
                        format!("`{}` cannot be the name of a private file", name.escape_debug()),
                        &place.key("files").key(name),
                    )
                    .at(Part::Key)
                    .help("letters, digits and `_`; a template reads its path as `files.name`, and the folder's as `files.dir`"),
                );
            }
        }
        let timeout = match (&written.timeout, &defaults.timeout) {
            (Some(text), _) => Some(self.duration_template(text, &place.key("timeout"))),
            (None, Some(text)) => Some(self.duration_template(text, &root.key("defaults").key("exec").key("timeout"))),
            (None, None) => None,
        };
        let files = self.named(written.files.as_ref(), &place.key("files"));
        for (name, template) in &files {
            self.flows_to(template, &place.key("files").key(name), sink);
        }
        let stdin = written.stdin.as_ref().map(|json| self.template(json, &place.key("stdin")));
        if let Some(template) = &stdin {
            self.flows_to(template, &place.key("stdin"), sink);
        }
        let cwd = written.cwd.as_ref().map(|text| self.public("a path", text, &place.key("cwd")));
        let reads_files = argv
            .iter()
            .chain(env.iter().map(|(_, template)| template))
            .chain(&cwd)
            .any(|template| template.reads().iter().any(|read| read.name == "files"));
        Exec {
            needs_folder: reads_files || !files.is_empty(),
            argv,
            script,
            env,
            stdin,
            files,
            cwd,
            timeout,
            max_output: written
                .max_output
                .as_ref()
                .and_then(|json| self.size(json, &place.key("max_output")))
                .unwrap_or(LARGEST_OUTPUT),
            allow_secret_argv: written.allow_secret_argv,
        }
    }
}

fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}
