//! Owns judging steps: ids, conditions, loops, retries, modules, and the order in which names are born.

use super::names::Kind;
use super::{DEEPEST_USE, Judge, judge};
use crate::diagnostic::{Diagnostic, Severity, nearest};
use crate::plan::{Loop, OnUnknown, Plan, Retry, RetryOn, Step, StepId, Work};
use crate::playbook::document::{self, Backoff, Effect};
use crate::playbook::{is_kebab, kebab, load, part};
use crate::source::{Part, Place};
use serde_json::Value as Json;
use std::sync::Arc;
use std::time::Duration;

impl Judge<'_> {
    /// Finds every step id of the file before anything is judged, so that forward references can be told apart from typos.
    pub fn collect_ids(&mut self, document: &document::Playbook) {
        let root = Place { source: self.source.clone(), route: crate::source::Route::root() };
        for (list, key) in
            [(&document.steps, "steps"), (&document.on_failure, "on_failure"), (&document.finally, "finally")]
        {
            self.collect_steps(list.as_deref().unwrap_or_default(), &root.key(key));
        }
    }

    fn collect_steps(&mut self, steps: &[document::Step], place: &Place) {
        for (index, step) in steps.iter().enumerate() {
            let at = place.index(index);
            for name in step.capture.iter().flat_map(|captures| captures.keys()) {
                self.captures_ahead.push((name.clone(), at.key("capture").key(name)));
            }
            for name in step.set.iter().flat_map(|set| set.keys()) {
                self.captures_ahead.push((name.clone(), at.key("set").key(name)));
            }
            match step_id(step) {
                None => {}
                Some(id) => {
                    if let Some(first) = self.ids.get(&id).cloned() {
                        let key = if step.id.is_some() { "id" } else { "name" };
                        self.tell(
                            Diagnostic::error("duplicate-id", format!("a second step has the id `{id}`"), &at.key(key))
                                .saying("again here")
                                .label(&first, Part::Value, "first here")
                                .help("give it an `id` of its own"),
                        );
                    } else {
                        let key = if step.id.is_some() { "id" } else { "name" };
                        self.ids.insert(id, at.key(key));
                    }
                }
            }
            self.collect_steps(step.group.as_deref().unwrap_or_default(), &at.key("group"));
            self.collect_steps(step.on_failure.as_deref().unwrap_or_default(), &at.key("on_failure"));
            if let Some(parallel) = &step.parallel {
                if let Ok((inner, inner_place, _)) = self.parallel_steps(parallel, &at.key("parallel")) {
                    self.collect_steps(&inner, &inner_place);
                }
            }
            if let Some(json @ Json::Array(_)) = &step.on_unknown
                && let Ok(inner) = part::<Vec<document::Step>>(json, &at.key("on_unknown"))
            {
                self.collect_steps(&inner, &at.key("on_unknown"));
            }
        }
    }

    fn parallel_steps(
        &self,
        json: &Json,
        place: &Place,
    ) -> Result<(Vec<document::Step>, Place, Option<u32>), Vec<Diagnostic>> {
        if json.is_array() {
            return Ok((part(json, place)?, place.clone(), None));
        }
        let parallel: document::Parallel = part(json, place)?;
        Ok((parallel.steps, place.key("steps"), parallel.max))
    }

    pub fn steps(&mut self, steps: &[document::Step], place: &Place) -> Vec<Step> {
        steps.iter().enumerate().map(|(index, step)| self.step(step, &place.index(index), index)).collect()
    }

    fn step(&mut self, written: &document::Step, place: &Place, index: usize) -> Step {
        let id = match step_id(written) {
            Some(id) => {
                if written.id.is_some() && !is_kebab(&id) {
                    self.tell(
                        Diagnostic::error("bad-name", format!("`{id}` is no kebab-case id"), &place.key("id"))
                            .help(format!("lower-case letters, digits and single hyphens: `{}`", kebab(&id))),
                    );
                }
                id
            }
            None => format!("step-{}", index + 1),
        };
        let effect = written.effect.unwrap_or_else(|| default_effect(written));
        let each = written.for_each.as_ref().and_then(|json| self.each(json, written, place));
        let before = self.names_defined();
        if let Some(each) = &each {
            self.define(
                &each.name,
                Kind::Loop,
                None,
                &place.key(if written.as_name.is_some() { "as" } else { "for_each" }),
            );
        }
        let when_text = match &written.when {
            None => None,
            Some(Json::String(text)) => Some(text.clone()),
            Some(other @ (Json::Bool(_) | Json::Number(_))) => Some(other.to_string()),
            Some(other) => {
                let message = format!("`when` is a Tera expression, not {}", crate::value::shape_of(other));
                self.tell(Diagnostic::error("wrong-type", message, &place.key("when")));
                None
            }
        };
        let when = when_text.as_ref().and_then(|text| self.expression(text, &place.key("when")));
        let name = written.name.as_ref().map(|text| self.text(text, &place.key("name")));
        let depth = self.scope.conditions.len();
        if let Some(text) = &when_text {
            self.scope.conditions.push(Some(text.trim().to_string()));
        }
        let work = self.work(written, effect, place);
        self.judge_secret_targets(written, place);
        let expect = self.assertions(written.expect.as_deref(), &place.key("expect"), false);
        let expect = match &written.assert {
            Some(claims) => {
                self.assertions(Some(claims), &place.key("assert"), true).into_iter().chain(expect).collect()
            }
            None => expect,
        };
        let retry = self.retry(written, effect, place);
        // Its own captures are not there yet in what runs when it failed.
        let on_failure = self.steps(written.on_failure.as_deref().unwrap_or_default(), &place.key("on_failure"));
        let on_unknown = self.on_unknown(written, effect, place);
        let capture = self.captures(written, place);
        if written.continue_on_failure == Some(true) {
            self.doubt_new(&before);
        }
        self.scope.conditions.truncate(depth);
        if let Some(each) = &each {
            self.undefine(&each.name);
            for name in self.names_defined() {
                if !before.contains(&name)
                    && let Some(definition) = self.undefine(&name)
                {
                    // After a loop the name is a list, which is there whatever each iteration's `when` said.
                    self.redefine(name, definition, true);
                }
            }
        }
        Step {
            id: StepId(id.into()),
            name,
            place: place.clone(),
            when,
            each,
            effect,
            work,
            expect,
            capture,
            retry,
            timeout: written.timeout.as_ref().and_then(|text| self.duration(text, &place.key("timeout"))),
            no_log: written.no_log.unwrap_or(false),
            continue_on_failure: written.continue_on_failure.unwrap_or(false),
            on_failure,
            on_unknown,
            tags: written.tags.clone().unwrap_or_default(),
            by_hand: written.by_hand.clone(),
            keeps_output: false,
        }
    }

    fn doubt_new(&mut self, before: &[String]) {
        for name in self.names_defined() {
            if !before.contains(&name)
                && let Some(definition) = self.undefine(&name)
            {
                self.redefine(name, definition, false);
            }
        }
    }

    fn each(&mut self, json: &Json, written: &document::Step, place: &Place) -> Option<Loop> {
        let at = place.key("for_each");
        if json.as_array().is_some_and(Vec::is_empty) {
            self.tell(
                Diagnostic::error("empty-loop", "`for_each` over an empty list never does anything", &at)
                    .help("list the items, or take the step away"),
            );
        }
        if !json.is_array() && !json.is_string() && json.get("jq").is_none() {
            let message = format!("`for_each` is {}", crate::value::shape_of(json));
            self.tell(
                Diagnostic::error("wrong-type", message, &at).help("a list, a template that gives one, or `{jq: …}`"),
            );
            return None;
        }
        let over = self.setting(json, &at)?;
        let name = written.as_name.clone().unwrap_or_else(|| "item".into());
        Some(Loop { over, name, max_parallel: written.max_parallel.unwrap_or(1).max(1), place: at })
    }

    fn work(&mut self, written: &document::Step, effect: Effect, place: &Place) -> Work {
        let actions: Vec<&str> = [
            ("http", written.http.is_some()),
            ("exec", written.exec.is_some()),
            ("shell", written.shell.is_some()),
            ("assert", written.assert.is_some()),
            ("set", written.set.is_some()),
            ("confirm", written.confirm.is_some()),
            ("manual", written.manual.is_some()),
            ("wait", written.wait.is_some()),
            ("use", written.use_.is_some()),
            ("group", written.group.is_some()),
            ("parallel", written.parallel.is_some()),
        ]
        .into_iter()
        .filter_map(|(word, there)| there.then_some(word))
        .collect();
        match actions.as_slice() {
            [] => {
                self.tell(Diagnostic::error("no-action", "this step has no action", place).help(
                    "give it one of: http, exec, shell, assert, set, confirm, manual, wait, use, group, parallel",
                ))
            }
            [_] => {}
            [first, second, ..] => {
                let diagnostic = Diagnostic::error(
                    "two-actions",
                    format!("this step has {} actions: {}; a step has exactly one", actions.len(), actions.join(", ")),
                    &place.key(second),
                )
                .at(Part::Key)
                .label(&place.key(first), Part::Key, "the first")
                .help("make a step of each");
                self.tell(diagnostic);
            }
        }
        if written.with.is_some() && written.use_.is_none() {
            self.tell(Diagnostic::error("misplaced-key", "`with` belongs to `use`", &place.key("with")).at(Part::Key));
        }
        if written.as_name.is_some() && written.for_each.is_none() {
            self.tell(Diagnostic::error("misplaced-key", "`as` belongs to `for_each`", &place.key("as")).at(Part::Key));
        }
        if let Some(http) = &written.http {
            self.http(http, effect, &place.key("http"))
        } else if let Some(json) = &written.exec {
            self.exec(json, &place.key("exec"))
        } else if let Some(json) = &written.shell {
            self.shell(json, &place.key("shell"))
        } else if let Some(set) = &written.set {
            self.set(set, &place.key("set"))
        } else if let Some(json) = &written.confirm {
            self.confirm(json, &place.key("confirm"))
        } else if let Some(json) = &written.manual {
            self.manual(json, &place.key("manual"))
        } else if let Some(text) = &written.wait {
            Work::Wait(self.duration_template(text, &place.key("wait")))
        } else if let Some(path) = &written.use_ {
            self.use_module(path, written, place)
        } else if let Some(steps) = &written.group {
            if steps.is_empty() {
                self.tell(
                    Diagnostic::error("empty-steps", "this group has no steps", &place.key("group")).at(Part::Key),
                );
            }
            Work::Group(self.steps(steps, &place.key("group")))
        } else if let Some(json) = &written.parallel {
            match self.parallel_steps(json, &place.key("parallel")) {
                Ok((steps, at, max)) => {
                    if steps.is_empty() {
                        self.tell(
                            Diagnostic::error("empty-steps", "there is nothing to do in parallel", &at).at(Part::Key),
                        );
                    }
                    Work::Parallel { max, steps: self.steps(&steps, &at) }
                }
                Err(found) => {
                    self.found.extend(found);
                    Work::Parallel { max: None, steps: Vec::new() }
                }
            }
        } else {
            Work::Assert
        }
    }

    fn use_module(&mut self, path: &str, written: &document::Step, place: &Place) -> Work {
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
                    self.tell(Diagnostic::error("fixed-input", message, &with_place.key(name)).at(Part::Key));
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
                && let Err(fault) = crate::plan::inputs::judge(input, literal)
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
        let file = match self.allowed_file(&file, at, "a used playbook") {
            Some(file) => file,
            None => return None,
        };
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
        let plan = match load(&file) {
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
                let (plan, found) = judge(&loaded, self.shelf);
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

    fn retry(&mut self, written: &document::Step, effect: Effect, place: &Place) -> Option<Retry> {
        let performs = written.http.is_some() || written.exec.is_some() || written.shell.is_some();
        let retry = match &written.retry {
            Some(retry) => {
                // Whoever names no more than these knows it.
                let surely_not = |on: &Json| on.as_u64().is_some_and(|status| [429, 503].contains(&status));
                let knows = retry.on.as_ref().is_some_and(|on| on.iter().all(surely_not));
                if effect == Effect::Once && performs && !knows {
                    self.tell(
                        Diagnostic::warning(
                            "retry-on-once",
                            "a `once` step is tried again only where it surely did not happen (connection refused, 429, 503 with Retry-After)",
                            &place.key("retry"),
                        )
                        .at(Part::Key)
                        .help("say `effect: read` or `effect: idempotent` if it may be done twice, `on: [429, 503]`, or take `retry` away"),
                    );
                }
                self.retry_of(retry, &place.key("retry"))
            }
            None if performs => {
                let defaults = self.defaults.retry.clone()?;
                let root = Place { source: self.source.clone(), route: crate::source::Route::root() };
                self.retry_of(&defaults, &root.key("defaults").key("retry"))
            }
            None => return None,
        };
        Some(retry)
    }

    fn retry_of(&mut self, written: &document::Retry, place: &Place) -> Retry {
        let mut on = Vec::new();
        for (index, json) in written.on.iter().flatten().enumerate() {
            match retry_on(json) {
                Some(kind) => on.push(kind),
                None => self.tell(
                    Diagnostic::error(
                        "unknown-word",
                        format!("{json} is nothing to retry on"),
                        &place.key("on").index(index),
                    )
                    .help("`transport`, `timeout`, `assertions`, `4xx`, `5xx` or a status such as `429`"),
                ),
            }
        }
        if written.on.is_none() {
            on = vec![
                RetryOn::Transport,
                RetryOn::Timeout,
                RetryOn::Assertions,
                RetryOn::Status(429),
                RetryOn::StatusClass(5),
            ];
        }
        let jitter = match &written.jitter {
            None | Some(Json::Bool(false)) => 0.0,
            Some(Json::Bool(true)) => 0.5,
            Some(json) => match json.as_f64().filter(|fraction| (0.0..=1.0).contains(fraction)) {
                Some(fraction) => fraction,
                None => {
                    self.tell(Diagnostic::error(
                        "wrong-type",
                        "`jitter` is `true`, `false` or a fraction from 0 to 1",
                        &place.key("jitter"),
                    ));
                    0.0
                }
            },
        };
        if written.attempts == Some(0) {
            self.tell(Diagnostic::error(
                "wrong-type",
                "`attempts` counts the first one too: at least 1",
                &place.key("attempts"),
            ));
        }
        let max_time = written.max_time.as_ref().and_then(|text| self.duration(text, &place.key("max_time")));
        Retry {
            attempts: written.attempts.unwrap_or(if max_time.is_some() { u32::MAX } else { 3 }).max(1),
            delay: written
                .delay
                .as_ref()
                .and_then(|text| self.duration(text, &place.key("delay")))
                .unwrap_or(Duration::from_secs(1)),
            exponential: written.backoff == Some(Backoff::Exponential),
            max_delay: written.max_delay.as_ref().and_then(|text| self.duration(text, &place.key("max_delay"))),
            jitter,
            max_time,
            on,
        }
    }

    fn on_unknown(&mut self, written: &document::Step, effect: Effect, place: &Place) -> OnUnknown {
        let at = place.key("on_unknown");
        match &written.on_unknown {
            None => return OnUnknown::Ask,
            Some(_) if effect != Effect::Once => self.tell(
                Diagnostic::warning("misplaced-key", "only a `once` step can have an unknown outcome", &at)
                    .at(Part::Key),
            ),
            Some(_) => {}
        }
        match &written.on_unknown {
            Some(Json::String(word)) => {
                match word.as_str() {
                    "ask" => OnUnknown::Ask,
                    "rerun" => OnUnknown::Rerun,
                    "skip" => OnUnknown::Skip,
                    "fail" => OnUnknown::Fail,
                    other => {
                        let mut diagnostic = Diagnostic::error("unknown-word", format!("`{other}` is no answer to an unknown outcome"), &at)
                        .help("`ask`, `rerun`, `skip`, `fail`, or a list of `read` steps that end in a capture `happened`");
                        if let Some(near) = nearest(other, ["ask", "rerun", "skip", "fail"]) {
                            diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
                        }
                        self.tell(diagnostic);
                        OnUnknown::Ask
                    }
                }
            }
            Some(json @ Json::Array(_)) => match part::<Vec<document::Step>>(json, &at) {
                Err(found) => {
                    self.found.extend(found);
                    OnUnknown::Ask
                }
                Ok(written) => {
                    let before = self.names_defined();
                    let steps = self.steps(&written, &at);
                    for (index, step) in steps.iter().enumerate() {
                        if step.effect != Effect::Read {
                            self.tell(Diagnostic::error(
                                "wrong-effect",
                                "steps that find out what happened change nothing: `effect: read`",
                                &at.index(index),
                            ));
                        }
                    }
                    if !self.names_defined().iter().any(|name| name == "happened" && !before.contains(name)) {
                        self.tell(
                            Diagnostic::error("missing-capture", "none of these steps captures `happened`", &at)
                                .at(Part::Key)
                                .help("let the last one say `capture: {happened: …}` with true or false"),
                        );
                    }
                    for name in self.names_defined() {
                        if !before.contains(&name) {
                            self.undefine(&name);
                        }
                    }
                    OnUnknown::Find(steps)
                }
            },
            Some(other) => {
                self.tell(Diagnostic::error(
                    "wrong-type",
                    format!("`on_unknown` is {}", crate::value::shape_of(other)),
                    &at,
                ));
                OnUnknown::Ask
            }
            None => OnUnknown::Ask,
        }
    }
}

fn retry_on(json: &Json) -> Option<RetryOn> {
    match json {
        Json::Number(number) => number
            .as_u64()
            .and_then(|status| u16::try_from(status).ok())
            .filter(|status| (100..600).contains(status))
            .map(RetryOn::Status),
        Json::String(word) => match word.as_str() {
            "transport" => Some(RetryOn::Transport),
            "timeout" => Some(RetryOn::Timeout),
            "assertions" => Some(RetryOn::Assertions),
            "4xx" => Some(RetryOn::StatusClass(4)),
            "5xx" => Some(RetryOn::StatusClass(5)),
            digits => digits.parse().ok().map(RetryOn::Status),
        },
        _ => None,
    }
}

/// The effect of a step that does not say.
fn default_effect(written: &document::Step) -> Effect {
    if let Some(http) = &written.http {
        return match http.method.as_deref().unwrap_or("GET").to_ascii_uppercase().as_str() {
            "GET" | "HEAD" | "OPTIONS" => Effect::Read,
            "PUT" | "DELETE" => Effect::Idempotent,
            _ => Effect::Once,
        };
    }
    if written.exec.is_some() || written.shell.is_some() { Effect::Once } else { Effect::Read }
}

/// A step's id: written, or made from its name.
fn step_id(step: &document::Step) -> Option<String> {
    match (&step.id, &step.name) {
        (Some(id), _) => Some(id.clone()),
        (None, Some(name)) => Some(kebab(name)).filter(|id| !id.is_empty()),
        (None, None) => None,
    }
}
