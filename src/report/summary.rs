//! Owns the first and the last words of a run: what is about to happen, and what came of it.

use super::{Out, neutral, one_line};
use crate::event::{MeasuredInterval, RunFinished, RunOutcome, RunStarted};
use crate::plan::duration::show;
use crate::value::text_of;

pub fn opening(started: &RunStarted, out: &Out) -> String {
    let mut lines = Vec::new();
    let title = started.title.as_ref().map(|title| one_line(&format!(": {title}"))).unwrap_or_default();
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
    lines.push(out.paint("2", &one_line(&facts.join(" · "))));
    if !started.allowed.is_empty() {
        let allowed = one_line(&started.allowed.join(", "));
        lines.push(format!("{} {allowed}", out.paint("1;33", "for this run also permitted:")));
    }
    lines.join("\n")
}

pub fn closing(finished: &RunFinished, out: &Out) -> String {
    let passed = finished.outcome == RunOutcome::Passed;
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
        let heading = if passed { "changed" } else { "changed before it ended" };
        list(&mut lines, heading, finished.changes.iter().map(|text| neutral(text)));
    } else if !finished.perhaps_changed.is_empty() {
        lines.push("nothing is known to have been changed".into());
    } else if !passed {
        lines.push("nothing was changed".into());
    }
    let sent = finished.perhaps_changed.iter().map(|text| neutral(text));
    list(&mut lines, "may have been changed (sent, and did not pass)", sent);
    // Of a run that broke off, what was never measured is no news.
    let measured = finished.intervals.iter().filter(|interval| passed || interval.took.is_some());
    list(&mut lines, "intervals", measured.map(interval));
    list(&mut lines, "warnings", finished.warnings.iter().map(|text| neutral(text)));
    list(
        &mut lines,
        "outputs",
        finished.outputs.iter().map(|(name, value)| format!("{name}: {}", neutral(&text_of(value)))),
    );
    lines.extend(finished.confined.iter().map(|confined| out.paint("2", &neutral(&confined.words()))));
    if !passed {
        let why = finished.failures.iter().map(|(key, failure)| {
            let key = if key.as_str().is_empty() { "the run" } else { key.as_str() };
            neutral(&format!("{key}: {}", failure.message))
        });
        list(&mut lines, "why", why);
        let help: Vec<String> = finished.failures.iter().flat_map(|(_, failure)| failure.help.clone()).collect();
        list(&mut lines, "what to do next", help.iter().map(|text| neutral(text)));
        for (heading, text) in [("by hand", &finished.by_hand), ("the way back", &finished.rollback)] {
            if let Some(text) = text {
                lines.push(format!("{heading}:"));
                lines.extend(neutral(text).trim_end().lines().map(|line| format!("  {line}").trim_end().to_string()));
            }
        }
        // Last, where it is still on the screen.
        go_on(&mut lines, finished, out);
    }
    lines.join("\n")
}

/// What the run keeps, and what can be done with it.
fn go_on(lines: &mut Vec<String>, finished: &RunFinished, out: &Out) {
    let Some(run) = &finished.resume else { return };
    let kept: Vec<String> = finished.custody.iter().map(|name| format!("`{name}`")).collect();
    if !kept.is_empty() {
        lines.push(format!("{}: {}", out.paint("1", "this run keeps, sealed"), kept.join(", ")));
    }
    let command = format!("runbook resume {run}");
    let when = match finished.outcome {
        // Another run is in the way, and `why` names it: this one has nothing to go on with.
        RunOutcome::Refused if finished.passed == 0 => return,
        RunOutcome::Failed | RunOutcome::Refused => "to go on, when that is mended",
        _ => "to go on",
    };
    // What to do next may say it more exactly, with an approval or a word.
    if !finished.failures.iter().any(|(_, failure)| failure.help.iter().any(|help| help.contains(&command))) {
        lines.push(format!("{}:", out.paint("1", &format!("{when} (what has passed is not done again)"))));
        lines.push(format!("  {command}"));
    }
    if !kept.is_empty() {
        lines.push("otherwise:".into());
        let reveal = finished.custody.iter().map(|name| (format!("runbook reveal {run} {name}"), "hands it to you"));
        let discard = (format!("runbook discard {run}"), "destroys what it keeps");
        let ways: Vec<_> = reveal.chain([discard]).collect();
        let width = ways.iter().map(|(way, _)| way.chars().count()).max().unwrap_or_default();
        lines.extend(ways.iter().map(|(way, does)| format!("  {way:width$}   {does}")));
    }
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
