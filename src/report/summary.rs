//! Owns the first and the last words of a run: what is about to happen, and what came of it.

use super::{Out, neutral};
use crate::event::{MeasuredInterval, RunFinished, RunOutcome, RunStarted};
use crate::plan::duration::show;
use crate::value::text_of;

pub fn opening(started: &RunStarted, out: &Out) -> String {
    let mut lines = Vec::new();
    let title = started.title.as_ref().map(|title| format!(": {title}")).unwrap_or_default();
    lines.push(format!("{}{title}", out.paint("1", &started.playbook)));
    let mut facts = vec![format!("run {}", started.run_id), format!("by {}", started.actor)];
    if started.round > 1 {
        facts.push(format!("resumed, round {}", started.round));
    }
    if let Some(world) = &started.world {
        facts.push(format!("in the world at {world}, nothing real is touched"));
    }
    if started.dry_run {
        facts.push("dry run: only `read` steps are performed".into());
    }
    if let Some(lock) = &started.lock {
        facts.push(format!("lock {lock}"));
    }
    lines.push(out.paint("2", &neutral(&facts.join(" · "))));
    lines.join("\n")
}

pub fn closing(finished: &RunFinished, out: &Out) -> String {
    let mut lines = vec![String::new()];
    let (word, colour) = match finished.outcome {
        RunOutcome::Passed => ("passed", "1;32"),
        RunOutcome::Failed => ("failed", "1;31"),
        RunOutcome::Waiting => ("waits for a person", "1;33"),
        RunOutcome::Unknown => ("stopped: the outcome of a step is unknown", "1;33"),
        RunOutcome::Refused => ("refused", "1;31"),
        RunOutcome::Interrupted => ("interrupted", "1;33"),
    };
    let mut counts = vec![format!("{} passed", finished.passed)];
    for (count, word) in [(finished.failed, "failed"), (finished.skipped, "skipped")] {
        if count > 0 {
            counts.push(format!("{count} {word}"));
        }
    }
    lines.push(format!("{} in {}: steps: {}", out.paint(colour, word), show(finished.duration), counts.join(", ")));
    if !finished.changes.is_empty() {
        let heading = if finished.outcome == RunOutcome::Passed { "changed" } else { "changed before it ended" };
        list(&mut lines, heading, finished.changes.iter().map(|text| neutral(text)));
    } else if finished.outcome != RunOutcome::Passed {
        lines.push("nothing was changed".into());
    }
    list(&mut lines, "intervals", finished.intervals.iter().map(interval));
    list(&mut lines, "warnings", finished.warnings.iter().map(|text| neutral(text)));
    list(
        &mut lines,
        "outputs",
        finished.outputs.iter().map(|(name, value)| format!("{name}: {}", neutral(&text_of(value)))),
    );
    if finished.outcome != RunOutcome::Passed {
        let why = finished.failures.iter().map(|(key, failure)| {
            let key = if key.as_str().is_empty() { "the run" } else { key.as_str() };
            neutral(&format!("{key}: {}", failure.message))
        });
        list(&mut lines, "why", why);
        let help: Vec<String> = finished.failures.iter().flat_map(|(_, failure)| failure.help.clone()).collect();
        list(&mut lines, "what to do next", help.into_iter());
        if let Some(run) = &finished.resume {
            if !finished.custody.is_empty() {
                let held = finished.custody.iter().map(|name| {
                    format!(
                        "`{name}`: `runbook reveal {run} {name}` hands it to you, `runbook discard {run}` destroys it"
                    )
                });
                list(&mut lines, "this run keeps", held);
            }
            lines.push(format!("to go on: runbook resume {run}"));
        }
        for (heading, text) in [("by hand", &finished.by_hand), ("the way back", &finished.rollback)] {
            if let Some(text) = text {
                lines.push(format!("{heading}:"));
                lines.extend(text.trim_end().lines().map(|line| format!("  {line}").trim_end().to_string()));
            }
        }
    }
    lines.join("\n")
}

fn list(lines: &mut Vec<String>, heading: &str, items: impl Iterator<Item = String>) {
    let items: Vec<String> = items.collect();
    if !items.is_empty() {
        lines.push(format!("{heading}:"));
        lines.extend(items.into_iter().map(|item| format!("  - {}", item.replace('\n', "\n    "))));
    }
}

fn interval(interval: &MeasuredInterval) -> String {
    let took = match interval.took {
        Some(took) => show(took),
        None => "not measured".into(),
    };
    let budget = match (interval.budget, interval.took) {
        (Some(budget), Some(took)) if took > budget => format!(", over its budget of {}", show(budget)),
        (Some(budget), _) => format!(", budget {}", show(budget)),
        (None, _) => String::new(),
    };
    format!("{}: {took} ({} → {}{budget})", interval.name, interval.from, interval.to)
}
