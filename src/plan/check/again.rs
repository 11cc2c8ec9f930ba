//! Owns judging when a step is done again: `retry`, and `on_unknown`.

use super::Judge;
use crate::diagnostic::{Diagnostic, nearest};
use crate::plan::{OnUnknown, Retry, RetryOn};
use crate::playbook::document::{self, Backoff, Effect};
use crate::playbook::part;
use crate::source::{Part, Place};
use serde_json::Value as Json;
use std::time::Duration;

impl Judge<'_> {
    pub fn retry(&mut self, written: &document::Step, effect: Effect, place: &Place) -> Option<Retry> {
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

    pub fn on_unknown(&mut self, written: &document::Step, effect: Effect, place: &Place) -> OnUnknown {
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
                    let before = self.moment();
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
                    if !self.defined_since(before).iter().any(|name| name == "happened") {
                        self.tell(
                            Diagnostic::error("missing-capture", "none of these steps captures `happened`", &at)
                                .at(Part::Key)
                                .help("let the last one say `capture: {happened: …}` with true or false"),
                        );
                    }
                    for name in self.defined_since(before) {
                        self.undefine(&name);
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
