//! Owns what a person reads during a run: a line a step, indented as steps are nested; live on a terminal, plain elsewhere.

use super::live::Live;
use super::{Out, Reporter, failure, neutral, one_line, summary};
use crate::diagnostic::draw;
use crate::event::{RunEvent, Section, StepFinished, StepOutcome};
use crate::plan::duration::{show, show_time};
use crate::value::text_of;
use std::time::SystemTime;

/// Width up to which titles are filled, so that details stand in a column.
const TITLE_WIDTH: usize = 52;

pub struct Human {
    out: Out,
    live: Option<Live>,
    masker: crate::secret::Masker,
    /// Texts of the steps under way, innermost last.
    under_way: Vec<String>,
    recalled: Recalled,
}

/// What a resumed run has from its record is told as a number: whoever resumes wants to see what is done now.
#[derive(Default)]
struct Recalled {
    /// Nothing was done yet in this process.
    is_all: bool,
    /// Steps that were done before and are not told yet.
    count: usize,
    /// Headings of what they stand in, outermost first: told with the first step in them that is done now.
    headings: Vec<(usize, String)>,
}

impl Human {
    /// `live`: a terminal shows the step under way; otherwise each step is one plain line.
    pub fn new(out: Out, masker: crate::secret::Masker, live: bool) -> Human {
        Human { out, live: live.then(Live::default), masker, under_way: Vec::new(), recalled: Recalled::default() }
    }

    fn print(&mut self, text: &str) {
        let out = &mut self.out;
        match &self.live {
            Some(live) => live.suspend(|| out.line(text)),
            None => out.line(text),
        }
    }

    /// Tells what was kept back of steps that were done before.
    fn catch_up(&mut self) {
        self.recalled.is_all = false;
        let count = std::mem::take(&mut self.recalled.count);
        if count > 0 {
            let steps = if count == 1 { "1 step was" } else { &format!("{count} steps were") };
            let text = self.out.paint("2", &format!("✔ {steps} done before"));
            self.print(&text);
        }
        for (_, heading) in std::mem::take(&mut self.recalled.headings) {
            self.print(&heading);
        }
    }

    fn mark(&self, outcome: &StepOutcome) -> String {
        match outcome {
            StepOutcome::Passed => self.out.paint("32", "✔"),
            StepOutcome::Rendered => self.out.paint("36", "○"),
            StepOutcome::Failed(_) => self.out.paint("1;31", "✖"),
            StepOutcome::Unknown(_) => self.out.paint("1;33", "?"),
        }
    }

    fn finished(&mut self, step: &StepFinished) {
        let indent = "  ".repeat(step.depth);
        let failed = match &step.outcome {
            StepOutcome::Failed(failure) | StepOutcome::Unknown(failure) => Some(failure),
            _ => None,
        };
        if step.composite && failed.is_none() {
            self.recalled.headings.retain(|(depth, _)| *depth < step.depth);
            return;
        }
        if step.before && failed.is_none() {
            self.recalled.is_all = true;
            self.recalled.count += 1;
            return;
        }
        self.catch_up();
        let mut details = Vec::new();
        details.extend(step.detail.clone());
        if step.attempts > 1 {
            details.push(format!("{} attempts", step.attempts));
        }
        details.extend(step.captures.iter().map(|(name, value)| {
            let text = text_of(value);
            let short: String = text.chars().take(60).collect();
            let more = if short.len() < text.len() { "…" } else { "" };
            format!("{name}={short}{more}")
        }));
        let width = TITLE_WIDTH.saturating_sub(indent.len());
        let fill = " ".repeat(width.saturating_sub(step.title.chars().count()));
        let detail = one_line(&details.join("  "));
        let took = if step.before { "before".to_string() } else { show(step.duration) };
        let line = format!(
            "{indent}{} {}{fill} {took:>8}  {}",
            self.mark(&step.outcome),
            one_line(&step.title),
            self.out.paint("2", &detail)
        );
        self.print(line.trim_end());
        let Some(failure) = failed else { return };
        // Around the step that failed, the same failure is not told again.
        if step.composite {
            return;
        }
        let drawn = draw(&[failure::as_diagnostic(&step.key, failure)], self.out.colour);
        let text = drawn.trim_end().lines().map(|line| format!("{indent}  {line}")).collect::<Vec<_>>().join("\n");
        self.print(&text);
    }
}

impl Reporter for Human {
    fn tell(&mut self, event: &RunEvent) {
        match event {
            RunEvent::RunStarted(started) => {
                self.recalled.is_all = started.round > 1;
                let lines = summary::opening(started, &self.out);
                self.print(&lines);
            }
            RunEvent::SectionStarted(section) => {
                let text = match section {
                    Section::Steps => return,
                    Section::OnFailure => "on failure:",
                    Section::Finally => "finally:",
                };
                self.catch_up();
                let text = self.out.paint("1", text);
                self.print(&text);
            }
            RunEvent::StepStarted(step) => {
                if step.composite {
                    let indent = "  ".repeat(step.depth);
                    let line = format!("{indent}{} {}", self.out.paint("34", "▸"), one_line(&step.title));
                    if self.recalled.is_all {
                        self.recalled.headings.push((step.depth, line));
                    } else {
                        self.print(&line);
                    }
                } else {
                    let text = self.masker.mask(&one_line(&step.title)).into_owned();
                    self.under_way.push(text.clone());
                    if let Some(live) = &mut self.live {
                        live.show(step.depth * 2, text);
                    }
                }
            }
            RunEvent::AttemptFailed { attempt, attempts, reason, retry_in, .. } => {
                let of = if *attempts == u32::MAX { String::new() } else { format!(" of {attempts}") };
                let text = self.under_way.last().cloned().unwrap_or_default();
                if let Some(live) = &self.live {
                    let line = format!("{text} — attempt {attempt}{of}: {reason}; again in {}", show(*retry_in));
                    let line = self.masker.mask(&one_line(&line)).into_owned();
                    live.update(line);
                }
            }
            RunEvent::StepFinished(step) => {
                if !step.composite {
                    self.under_way.pop();
                    if let Some(live) = &mut self.live {
                        live.clear();
                    }
                }
                self.finished(step);
            }
            // Whether it was skipped before, nobody can tell.
            RunEvent::StepSkipped { .. } if self.recalled.is_all => {}
            RunEvent::StepSkipped { title, depth, reason, .. } => {
                let line = format!(
                    "{}{} {}",
                    "  ".repeat(*depth),
                    self.out.paint("2", "–"),
                    self.out.paint("2", &one_line(&format!("{title} (skipped: {reason})")))
                );
                self.print(&line);
            }
            RunEvent::Asking { .. } => {
                if let Some(live) = &mut self.live {
                    live.clear();
                }
            }
            // The line of the step says it too.
            RunEvent::Decided { .. } if self.recalled.is_all => {}
            RunEvent::Decided { by, what, .. } => {
                let line = format!("  {what} by {by}");
                let line = self.out.paint("2", &one_line(&line));
                self.print(&line);
            }
            RunEvent::Warning { message } => {
                self.catch_up();
                let line = format!("{} {}", self.out.paint("1;33", "warning:"), indented(message));
                self.print(&line);
            }
            RunEvent::Noted(note) => {
                let line = self.out.paint("2", &format!("· {}", indented(&note.text)));
                self.print(&line);
            }
            RunEvent::RunFinished(finished) => {
                self.recalled.headings.clear();
                self.catch_up();
                if let Some(live) = &mut self.live {
                    live.clear();
                }
                let text = summary::closing(finished, &self.out);
                self.print(&text);
            }
        }
    }

    fn tell_at(&mut self, event: &RunEvent, at: SystemTime) {
        let at = show_time(at);
        match event {
            RunEvent::RunStarted(_) => {
                self.tell(event);
                let line = self.out.paint("2", &format!("begun {at}"));
                self.print(&line);
            }
            RunEvent::Decided { by, what, .. } => {
                let line = self.out.paint("2", &one_line(&format!("  {what} by {by}, {at}")));
                self.print(&line);
            }
            RunEvent::Noted(note) => {
                let line = self.out.paint("2", &indented(&format!("· {}, {at}", note.text)));
                self.print(&line);
            }
            _ => self.tell(event),
        }
    }

    fn make_room(&mut self, ask: &mut dyn FnMut()) {
        match &self.live {
            Some(live) => live.suspend(ask),
            None => ask(),
        }
    }
}

/// With its further lines set in, so that none of them looks like one of ours.
fn indented(text: &str) -> String {
    neutral(text).trim_end().replace('\n', "\n    ")
}
