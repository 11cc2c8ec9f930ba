//! Owns judging what stands around the steps: inputs, vars, permissions, outputs, intervals, the SOP's header.

use super::Judge;
use super::names::Kind;
use crate::diagnostic::Diagnostic;
use crate::plan::permissions::{NetRule, Permissions, file_glob, judge_env, judge_program};
use crate::plan::{Input, Interval, Items, Setting, inputs};
use crate::playbook::Loaded;
use crate::playbook::document::{self, InputType, Named};
use crate::secret::Target;
use crate::source::{Part, Place};
use serde_json::Value as Json;

/// In one list of `permissions`.
const MOST_RULES: usize = 1000;

impl Judge<'_> {
    pub fn read_permissions(&mut self, written: Option<&document::Permissions>, place: &Place) -> Permissions {
        let Some(written) = written else { return Permissions::default() };
        let mut permissions = Permissions::default();
        let lists = [&written.net, &written.run, &written.env, &written.read, &written.write];
        for (key, list) in ["net", "run", "env", "read", "write"].into_iter().zip(lists) {
            let count = list.as_ref().map_or(0, Vec::len);
            if count > MOST_RULES {
                let message =
                    format!("{count} rules are more than anybody reads, and than the {MOST_RULES} that there may be");
                self.tell(Diagnostic::error("bad-permission", message, &place.key(key)));
                // Every step is compared with every rule.
                return permissions;
            }
        }
        for (index, text) in written.net.iter().flatten().enumerate() {
            match NetRule::parse(text) {
                Ok(rule) => permissions.net.push(rule),
                Err(message) => self.tell(
                    Diagnostic::error("bad-permission", message, &place.key("net").index(index))
                        .help("`[METHODS ]scheme://host[:port][/path glob][ private]`, for example `GET,PUT https://api.example.com/v1/**`"),
                ),
            }
        }
        let folder = self.source.folder().to_path_buf();
        permissions.run = written.run.clone().unwrap_or_default();
        permissions.env = written.env.clone().unwrap_or_default();
        for (key, rules, judge) in [
            ("run", &permissions.run, judge_program as fn(&str) -> Result<(), String>),
            ("env", &permissions.env, judge_env),
        ] {
            for (index, rule) in rules.iter().enumerate() {
                if let Err(message) = judge(rule) {
                    self.tell(Diagnostic::error("bad-permission", message, &place.key(key).index(index)));
                }
            }
        }
        for (key, globs) in [("read", &written.read), ("write", &written.write)] {
            for (index, text) in globs.iter().flatten().enumerate() {
                let glob = file_glob(&folder, text);
                if text.starts_with("~/") {
                    permissions.at_home.extend(glob.clone());
                }
                match glob {
                    Ok(glob) if key == "read" => permissions.read.push(glob),
                    Ok(glob) => permissions.write.push(glob),
                    Err(message) => {
                        self.tell(Diagnostic::error("bad-permission", message, &place.key(key).index(index)))
                    }
                }
            }
        }
        permissions
    }

    pub fn inputs(&mut self, document: &document::Playbook, fixed: &Named<(Json, Place)>, root: &Place) -> Vec<Input> {
        let mut judged = Vec::new();
        for (name, written) in document.inputs.iter().flatten() {
            let place = root.key("inputs").key(name);
            let to = self.targets(written.to.as_deref(), &place.key("to"));
            if written.kind != InputType::Secret {
                for (key, there) in [
                    ("to", written.to.is_some()),
                    ("command", written.command.is_some()),
                    ("file", written.file.is_some()),
                ] {
                    if there {
                        self.tell(
                            Diagnostic::error(
                                "secret-only-key",
                                format!("`{key}` is for inputs of type `secret`"),
                                &place.key(key),
                            )
                            .at(Part::Key)
                            .help("write `type: secret`, or take the key away"),
                        );
                    }
                }
            }
            if written.items.as_ref().is_some_and(|items| items.kind == InputType::Secret) {
                let message = "the items of a list cannot be secrets: its value would be shown";
                self.tell(
                    Diagnostic::error("wrong-type", message, &place.key("items").key("type"))
                        .help("make an input of type `secret` for each"),
                );
            }
            let source = written.kind == InputType::Secret;
            if let Some(program) = written.command.as_ref().and_then(|argv| argv.first()).filter(|_| source) {
                self.program_permitted(program, &place.key("command").index(0));
            }
            if let Some(file) = written.file.as_ref().filter(|_| source) {
                self.file_permitted(file, &place.key("file"));
            }
            let input = Input {
                name: name.clone(),
                place: place.clone(),
                kind: written.kind,
                description: written.description.clone(),
                one_of: written.one_of.clone(),
                pattern: written.pattern.as_ref().and_then(|text| self.regex(text, &place.key("pattern"))),
                fixed: None,
                fixed_at: None,
                default: written.default.clone(),
                env: written.env.clone(),
                prompt: written.prompt.clone(),
                min: written.min,
                max: written.max,
                items: written.items.as_ref().map(|items| Items {
                    kind: items.kind,
                    one_of: items.one_of.clone(),
                    pattern: items
                        .pattern
                        .as_ref()
                        .and_then(|text| self.regex(text, &place.key("items").key("pattern"))),
                }),
                command: written.command.clone(),
                file: written.file.clone(),
                to: to.clone(),
            };
            if let Some(default) = input.default.as_ref().filter(|default| !default.is_null()) {
                if input.kind == InputType::Secret {
                    self.tell(
                        Diagnostic::error(
                            "secret-in-playbook",
                            format!("the secret input `{name}` has its value in the playbook"),
                            &place.key("default"),
                        )
                        .help("take it from `env`, `command`, `file` or `prompt`; `default: null` makes it optional"),
                    );
                } else if let Err(fault) = inputs::judge_in(&input, default, self.texts) {
                    self.tell(Diagnostic::error(
                        "bad-default",
                        format!("the default of `{name}`: {fault}"),
                        &place.key("default"),
                    ));
                }
            }
            self.define(name, Kind::Input, &place);
            if input.kind == InputType::Secret {
                self.sample_secret(name, to, &place, true);
            } else {
                let is_optional = input.default.as_ref().is_some_and(Json::is_null);
                self.sample_input(name, input.kind, input.one_of.as_deref(), is_optional);
            }
            judged.push(input);
        }
        for (name, (value, place)) in fixed {
            match judged.iter_mut().find(|input| input.name == *name) {
                None => {
                    let mut diagnostic = Diagnostic::error(
                        "unknown-input",
                        format!("`{name}` is no input of `{}`", document.name),
                        place,
                    )
                    .at(Part::Key);
                    if let Some(near) = crate::diagnostic::nearest(name, judged.iter().map(|input| input.name.as_str()))
                    {
                        diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
                    }
                    self.tell(diagnostic);
                }
                Some(input) if input.kind == InputType::Secret => {
                    let message = format!("the secret input `{name}` has its value in the playbook");
                    self.tell(
                        Diagnostic::error("secret-in-playbook", message, place)
                            .help("a variant fixes public inputs only"),
                    );
                }
                Some(input) => match inputs::judge_in(input, value, self.texts) {
                    Ok(value) => (input.fixed, input.fixed_at) = (Some(value), Some(place.clone())),
                    Err(fault) if value.is_null() && input.default.as_ref().is_some_and(Json::is_null) => {
                        let _ = fault;
                        (input.fixed, input.fixed_at) = (Some(Json::Null), Some(place.clone()));
                    }
                    Err(fault) => self.tell(Diagnostic::error("bad-input", format!("`{name}`: {fault}"), place)),
                },
            }
        }
        for input in &judged {
            if let Some(fixed) = &input.fixed {
                self.sample_known(&input.name, fixed);
            }
            let known = input.fixed.as_ref().or(input.default.as_ref().filter(|_| false));
            if let Some(Json::String(text)) = known {
                self.constants.insert(input.name.clone(), text.clone());
            }
        }
        judged
    }

    pub fn vars(&mut self, written: Option<&Named<Json>>, place: &Place) -> Vec<(String, Setting)> {
        let mut vars = Vec::new();
        for (name, json) in written.into_iter().flatten() {
            let at = place.key(name);
            let Some(setting) = self.setting(json, &at) else { continue };
            if let Setting::Template(template) = &setting
                && let Some(Json::String(text)) = template.as_literal()
            {
                self.constants.insert(name.clone(), text.clone());
            }
            self.define(name, Kind::Var, &at);
            self.sample_setting(name, &setting);
            vars.push((name.clone(), setting));
        }
        vars
    }

    /// What a new variable is made from: `{jq: …}`, or a template of any shape.
    pub fn setting(&mut self, json: &Json, place: &Place) -> Option<Setting> {
        if let Some(map) = json.as_object()
            && let (1, Some(Json::String(text))) = (map.len(), map.get("jq"))
        {
            return self.query(text, &place.key("jq"), &[]).map(Setting::Query);
        }
        Some(Setting::Template(self.template(json, place)))
    }

    pub fn outputs(&mut self, written: Option<&Named<Json>>, place: &Place) -> Vec<(String, Setting)> {
        let mut outputs = Vec::new();
        for (name, json) in written.into_iter().flatten() {
            let at = place.key(name);
            let Some(setting) = self.setting(json, &at) else { continue };
            self.no_secret_in_output(&setting, &at);
            outputs.push((name.clone(), setting));
        }
        outputs
    }

    pub fn intervals(&mut self, written: Option<&Named<document::Interval>>, place: &Place) -> Vec<Interval> {
        let mut intervals = Vec::new();
        for (name, interval) in written.into_iter().flatten() {
            let at = place.key(name);
            intervals.push(Interval {
                name: name.clone(),
                from: self.known_step(&interval.from, &at.key("from")),
                to: self.known_step(&interval.to, &at.key("to")),
                budget: interval.budget.as_ref().and_then(|text| self.duration(text, &at.key("budget"))),
            });
        }
        intervals
    }

    pub fn targets(&mut self, written: Option<&[String]>, place: &Place) -> Option<Vec<Target>> {
        let written = written?;
        let mut targets = Vec::new();
        for (index, text) in written.iter().enumerate() {
            match Target::parse(text) {
                Ok(target) => targets.push(target),
                Err(message) => self.tell(Diagnostic::error("bad-target", message, &place.index(index))),
            }
        }
        Some(targets)
    }

    /// Warnings that the header gives cause for: an SOP validated too long ago, a deprecated playbook.
    pub fn header_warnings(&mut self, loaded: &Loaded, root: &Place) {
        let Some(sop) = &loaded.document.sop else { return };
        // A variant may say it, or leave it to its base.
        let entry = Place { source: loaded.entry.clone(), route: crate::source::Route::root() }.key("sop");
        let sop_place = if loaded.entry.says(&entry.route) { entry } else { root.key("sop") };
        if let Some(text) = &sop.average_duration {
            self.duration(text, &sop_place.key("average_duration"));
        }
        let stale_after = sop.stale_after.as_ref().and_then(|text| self.duration(text, &sop_place.key("stale_after")));
        let Some(date) = &sop.last_validated else { return };
        match crate::plan::duration::age_of_date(date) {
            Err(message) => self.tell(Diagnostic::error("bad-date", message, &sop_place.key("last_validated"))),
            Ok(age) => {
                if let Some(limit) = stale_after.filter(|limit| age > *limit) {
                    let message = format!(
                        "this SOP was last validated {} days ago, which is longer than its `stale_after` of {} days",
                        age.as_secs() / 86_400,
                        limit.as_secs() / 86_400
                    );
                    self.tell(
                        Diagnostic::warning("stale-sop", message, &sop_place.key("last_validated"))
                            .help("go through it, mend what is no longer true, and set `last_validated`"),
                    );
                }
            }
        }
    }

    /// Warnings about what nobody uses.
    pub fn unused(&mut self, document: &document::Playbook, root: &Place) {
        for (kind, code, word) in [(Kind::Input, "unused-input", "input"), (Kind::Var, "unused-var", "var")] {
            for (name, place) in self.scope.unread(kind) {
                self.tell(
                    Diagnostic::warning(code, format!("the {word} `{name}` is never read"), &place)
                        .at(Part::Key)
                        .help("take it away, or read it"),
                );
            }
        }
        if let Some(written) = &document.permissions {
            self.unused_permissions(written, &root.key("permissions"));
        }
    }
}
