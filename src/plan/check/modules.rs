//! Owns judging `use`: the module behind it, its inputs, and that it may do no more than its caller.

use super::{DEEPEST_USE, Judge, judge};
use crate::diagnostic::{Diagnostic, Severity, nearest};
use crate::plan::{Plan, Work};
use crate::playbook::{document, load_for};
use crate::source::{Part, Place};
use serde_json::Value as Json;
use std::sync::Arc;

impl Judge<'_> {
    pub fn use_module(&mut self, path: &str, written: &document::Step, place: &Place) -> Work {
        let at = place.key("use");
        let with_place = place.key("with");
        let with: Vec<_> = written
            .with
            .iter()
            .flatten()
            .map(|(name, json)| (name.clone(), self.template(json, &with_place.key(name))))
            .collect();
        let Some(plan) = self.module(path, &at) else {
            return Work::Group(Vec::new());
        };
        for (name, _) in &with {
            match plan.inputs.iter().find(|input| input.name == *name) {
                None => {
                    let mut diagnostic = Diagnostic::error(
                        "unknown-input",
                        format!("`{name}` is no input of `{}`", plan.name),
                        &with_place.key(name),
                    )
                    .at(Part::Key);
                    if let Some(near) = nearest(name, plan.inputs.iter().map(|input| input.name.as_str())) {
                        diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
                    }
                    self.tell(diagnostic);
                }
                Some(input) if input.fixed.is_some() => {
                    let message = format!("`{name}` is fixed by the variant `{}`", plan.name);
                    self.tell(
                        Diagnostic::error("fixed-input", message, &with_place.key(name))
                            .at(Part::Key)
                            .help("leave it out, or use the playbook that it is a variant of"),
                    );
                }
                Some(_) => {}
            }
        }
        for input in &plan.inputs {
            let given = with.iter().any(|(name, _)| *name == input.name);
            if !given && input.default.is_none() && input.fixed.is_none() {
                self.tell(
                    Diagnostic::error(
                        "missing-input",
                        format!("`{}` needs the input `{}`", plan.name, input.name),
                        &at,
                    )
                    .label(&input.place, Part::Key, "declared here")
                    .help(format!("add `{}: …` under `with`", input.name)),
                );
            }
        }
        for (name, template) in &with {
            let Some(input) = plan.inputs.iter().find(|input| input.name == *name) else { continue };
            if let Some(literal) = template.as_literal()
                && !(literal.is_null() && input.default.as_ref().is_some_and(Json::is_null))
                && let Err(fault) = crate::plan::inputs::judge_in(input, literal, self.texts)
            {
                self.tell(Diagnostic::error("bad-input", format!("`{name}`: {fault}"), &with_place.key(name)));
            }
            if input.kind != document::InputType::Secret {
                for read in template.reads() {
                    if let Some((origin, _)) = self.secret_name(&read.name)
                        && template.as_literal().is_none()
                        && !matches!(input.kind, document::InputType::List | document::InputType::Object)
                    {
                        let diagnostic = Diagnostic::error(
                            "secret-to-public-input",
                            format!("the secret `{}` is given to `{name}`, which is no secret input", read.name),
                            &with_place.key(name).pointer(&read.pointer),
                        )
                        .at(Part::Within(read.span))
                        .label(&origin, Part::Key, "the secret")
                        .label(&input.place, Part::Key, "declare it with `type: secret`");
                        self.tell(diagnostic);
                    }
                }
            }
        }
        self.within_callers(&plan, &at);
        Work::Use { plan, with }
    }

    fn module(&mut self, path: &str, at: &Place) -> Option<Arc<Plan>> {
        let file = self.source.folder().join(path);
        let file = self.allowed_file(&file, at, "a used playbook")?;
        if let Some(known) = self.shelf.judged.get(&file) {
            return known.clone();
        }
        if self.shelf.open.contains(&file) {
            let chain: Vec<String> = self
                .shelf
                .open
                .iter()
                .chain([&file])
                .map(|path| path.file_name().unwrap_or_default().to_string_lossy().into_owned())
                .collect();
            self.tell(Diagnostic::error(
                "use-cycle",
                format!("playbooks use each other in a circle: {}", chain.join(" → ")),
                at,
            ));
            return None;
        }
        if self.shelf.open.len() >= DEEPEST_USE {
            self.tell(Diagnostic::error(
                "use-depth",
                format!("playbooks use each other more than {DEEPEST_USE} deep"),
                at,
            ));
            return None;
        }
        let tree = self.texts.tree(self.shelf.open.first().unwrap_or(&file));
        let plan = match load_for(&file, Some(at), Some(&tree), self.texts) {
            Err(found) => {
                self.found.extend(found);
                self.tell(Diagnostic::error(
                    "broken-module",
                    format!("`{path}` has mistakes of its own, told above"),
                    at,
                ));
                None
            }
            Ok(loaded) => {
                let (plan, found) = judge(loaded, self.shelf, self.texts);
                let broken = found.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
                self.found.extend(found);
                if broken {
                    self.tell(Diagnostic::error("broken-module", format!("`{path}` has mistakes of its own"), at));
                    None
                } else {
                    if let Some(text) = &plan.deprecated {
                        self.tell(Diagnostic::warning("deprecated", format!("`{path}` is deprecated: {text}"), at));
                    }
                    Some(Arc::new(plan))
                }
            }
        };
        self.shelf.judged.insert(file, plan.clone());
        plan
    }
}
