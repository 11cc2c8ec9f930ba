//! Owns what is told beforehand of where secrets go: each mistake with the place where the secret comes from and the one
//! where it goes, which may be in a module, or in a module's module.
//! What a template gives is asked of the samples; what is only known when it runs is judged there, at the moment of sending.

use super::Judge;
use super::samples::Carried;
use crate::diagnostic::Diagnostic;
use crate::plan::Setting;
use crate::secret::{Origin, Target};
use crate::source::{Part, Place};
use crate::template::Template;
use std::sync::Arc;

/// Somewhere a secret goes, as far as it is known beforehand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sink {
    Host { host: String, port: u16, shown: String },
    Program(String),
}

/// A secret input goes there; told to whoever gives it.
#[derive(Clone)]
pub struct Flow {
    input: String,
    sink: Sink,
    place: Place,
    part: Part,
    /// The names of the playbooks from the one that declares the input to the one that sends it.
    through: Vec<String>,
}

impl Sink {
    fn is_covered(&self, target: &Target) -> bool {
        match self {
            Sink::Host { host, port, .. } => target.covers_host(host, *port),
            Sink::Program(program) => target.covers_program(program),
        }
    }

    /// As `to:` has it.
    fn shown(&self) -> String {
        match self {
            Sink::Host { shown, .. } => shown.clone(),
            Sink::Program(program) => format!("run:{program}"),
        }
    }

    fn refuses(&self, origin: &Origin) -> bool {
        origin.to.as_ref().is_some_and(|to| !to.iter().any(|target| self.is_covered(target)))
    }
}

impl Judge<'_> {
    /// A secret in `template` goes to each of `sinks`.
    pub fn flows_to(&mut self, template: &Template, place: &Place, sinks: &[Sink]) {
        if sinks.is_empty() {
            return;
        }
        for carried in self.carried(template) {
            for sink in sinks {
                let at = place.pointer(&carried.read.pointer);
                let part = Part::Within(carried.read.span.clone());
                let name = &carried.origin.name;
                if self.birth(&carried.origin).is_some_and(|birth| birth.is_input) {
                    self.flows.push(Flow {
                        input: name.clone(),
                        sink: sink.clone(),
                        place: at.clone(),
                        part: part.clone(),
                        through: vec![self.name.clone()],
                    });
                }
                if !sink.refuses(&carried.origin) {
                    continue;
                }
                let shown = sink.shown();
                let message = format!("the secret `{name}` would go to `{shown}`, where it may not");
                let diagnostic = Diagnostic::error("secret-flow", message, &at)
                    .at(part)
                    .saying(format!("goes to `{shown}`"))
                    .help(format!("add `{shown}` to its `to:`, if it belongs there"));
                let diagnostic = self.traced(diagnostic, &carried, "comes from here");
                self.tell(diagnostic);
            }
        }
    }

    /// What a module does with its input, judged by where the caller's secret may go.
    pub fn flows_on(&mut self, input: &str, template: &Template, place: &Place, flows: &[Flow]) {
        let flows: Vec<&Flow> = flows.iter().filter(|flow| flow.input == input).collect();
        if flows.is_empty() {
            return;
        }
        for carried in self.carried(template) {
            for flow in &flows {
                let name = &carried.origin.name;
                let mut through = vec![self.name.clone()];
                through.extend(flow.through.iter().cloned());
                if self.birth(&carried.origin).is_some_and(|birth| birth.is_input) {
                    self.flows.push(Flow { input: name.clone(), through: through.clone(), ..(*flow).clone() });
                }
                if !flow.sink.refuses(&carried.origin) {
                    continue;
                }
                let shown = flow.sink.shown();
                let message = format!("the secret `{name}` would go to `{shown}`, where it may not");
                let diagnostic = Diagnostic::error("secret-flow", message, &place.pointer(&carried.read.pointer))
                    .at(Part::Within(carried.read.span.clone()))
                    .saying(format!("is given to `{}`", flow.through[0]))
                    .label(&flow.place, flow.part.clone(), format!("goes to `{shown}`"))
                    .note(format!("it goes through {}", through.join(" → ")))
                    .help(format!("add `{shown}` to its `to:`, if it belongs there"));
                let diagnostic = self.traced(diagnostic, &carried, "comes from here");
                self.tell(diagnostic);
            }
        }
    }

    pub fn no_secret_in_url(&mut self, template: &Template, place: &Place) {
        for carried in self.carried(template) {
            let message =
                format!("the secret `{}` would be part of a URL, which servers and proxies log", carried.origin.name);
            let diagnostic = self
                .misplaced("secret-in-url", message, &carried, place)
                .help("send it in `auth`, a header or the body");
            self.tell(diagnostic);
        }
    }

    pub fn no_secret_in_argv(&mut self, template: &Template, place: &Place) {
        for carried in self.carried(template) {
            let message = format!(
                "the secret `{}` would be an argument, which every process of the machine can read",
                carried.origin.name
            );
            let diagnostic = self.misplaced("secret-in-argv", message, &carried, place).help(
                "give it by `stdin`, `env` or `files`; where the program takes it no other way, say why: `allow_secret_argv: \"reason\"`",
            );
            self.tell(diagnostic);
        }
    }

    /// What is kept or shown where everybody sees it: `what` is a lock, a path, a proxy …
    pub fn no_secret_in(&mut self, what: &str, template: &Template, place: &Place) {
        for carried in self.carried(template) {
            let message = format!("the secret `{}` would be part of {what}, which is public", carried.origin.name);
            let diagnostic = self
                .misplaced("secret-in-public", message, &carried, place)
                .help("make it of something that everybody may see");
            self.tell(diagnostic);
        }
    }

    pub fn no_secret_in_output(&mut self, setting: &Setting, place: &Place) {
        let help = "outputs are public; a caller cannot be given a secret";
        match setting {
            Setting::Template(template) => {
                for carried in self.carried(template) {
                    let message = format!("the secret `{}` would be an output", carried.origin.name);
                    let diagnostic = self.misplaced("secret-in-outputs", message, &carried, place).help(help);
                    self.tell(diagnostic);
                }
            }
            Setting::Query(query) => {
                for origin in self.carried_by_query(query) {
                    let message = format!("the secret `{}` would be an output", origin.name);
                    let mut diagnostic = Diagnostic::error("secret-in-outputs", message, place).help(help);
                    if let Some(birth) = self.birth(&origin) {
                        diagnostic = diagnostic.label(&birth.place, Part::Key, "the secret");
                    }
                    self.tell(diagnostic);
                }
            }
        }
    }

    pub fn misplaced(&self, code: &'static str, message: String, carried: &Carried, place: &Place) -> Diagnostic {
        let diagnostic = Diagnostic::error(code, message, &place.pointer(&carried.read.pointer))
            .at(Part::Within(carried.read.span.clone()));
        self.traced(diagnostic, carried, "the secret")
    }

    /// Adds where the secret was born, and what it was made into on its way.
    fn traced(&self, diagnostic: Diagnostic, carried: &Carried, word: &str) -> Diagnostic {
        let origin: &Arc<Origin> = &carried.origin;
        let mut diagnostic = diagnostic;
        if let Some(birth) = self.birth(origin) {
            diagnostic = diagnostic.label(&birth.place, Part::Key, word);
        }
        let through = &carried.read.name;
        match self.scope.get(through) {
            Some(made) if *through != origin.name => {
                let label = format!("`{through}` is made of it");
                diagnostic.label(&made.place, Part::Key, label)
            }
            _ => diagnostic,
        }
    }
}
