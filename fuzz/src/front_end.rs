//! Any bytes as a playbook, with a second file and a schema beside it: read, judged, drawn, without a disk.
//! Oracle: no panic; every mistake has its place in the text, and is drawn without control characters; both YAML parsers
//! see the same; what is accepted is accepted again, with the same digest.

#[path = "../../src/playbook/agreement/tree.rs"]
mod tree;

use runbook::diagnostic::{Diagnostic, draw, draw_within, one_line};
use runbook::plan::check::{Checked, check_texts};
use runbook::playbook::{Recording, Texts, written};
use runbook::source::{Part, Source, SpanIndex};
use std::path::{Path, PathBuf};

/// Between files; no UTF-8 has this byte, so that no text is kept from being written.
const NEXT: u8 = 0xff;
const NAMES: [&str; 3] = ["/book/main.yaml", "/book/other.yaml", "/book/schema.json"];

pub fn run(bytes: &[u8]) {
    let files: Vec<(PathBuf, Vec<u8>)> =
        NAMES.iter().zip(bytes.split(|byte| *byte == NEXT)).map(|(name, text)| (name.into(), text.to_vec())).collect();
    if let Ok(text) = str::from_utf8(&files[0].1) {
        agree(text.strip_prefix('\u{feff}').unwrap_or(text));
    }
    let entry = PathBuf::from(NAMES[0]);
    let found = files.iter().map(|(path, _)| (path.clone(), path.clone())).collect();
    match check(Recording { entry, files, found }) {
        Ok(checked) => {
            judge(&checked.warnings);
            let again = check(checked.recording.clone());
            let again = again.unwrap_or_else(|told| panic!("accepted, and then not:\n{}", draw(&told, false)));
            assert_eq!(again.digest, checked.digest);
            assert_eq!(again.recording, checked.recording);
            assert_eq!(draw(&again.warnings, false), draw(&checked.warnings, false));
        }
        Err(told) => {
            assert!(!told.is_empty(), "refused without a word");
            judge(&told);
        }
    }
}

fn check(recording: Recording) -> Result<Checked, Vec<Diagnostic>> {
    check_texts(Path::new(NAMES[0]), &Texts::recorded(recording))
}

fn agree(text: &str) {
    let source = Source::new(Path::new(NAMES[0]), text.to_string(), |_| SpanIndex::new());
    let Ok(json) = written(&source) else { return };
    let node = tree::tree(text).expect("a text with values has a document");
    assert!(tree::same(&node, &json), "two readings:\n{node:?}\n{json}");
}

fn judge(told: &[Diagnostic]) {
    for one in told {
        assert!(!one.labels.is_empty() && !one.message.is_empty(), "{one:?}");
        for label in &one.labels {
            let span = label.place.span(&label.part);
            let text = &label.place.source.text;
            // What the parsers did not get to (the end of the file) may be pointed at; beyond it lies nothing.
            let exact = text.get(span.start..span.end.min(text.len())).is_some();
            let one_past = span.start == text.len() && matches!(label.part, Part::Bytes(_));
            assert!(exact || one_past, "{}: {span:?} in {} bytes, {:?}", one.code, text.len(), label.part);
        }
        plain(&one_line(one), "");
    }
    plain(&draw(told, false), "\n");
    plain(&draw_within(told, false, 61), "\n");
    draw_within(told, true, 100);
}

fn plain(shown: &str, besides: &str) {
    let strange =
        shown.chars().find(|c| (c.is_control() || "\u{202e}\u{2066}\u{2028}".contains(*c)) && !besides.contains(*c));
    assert_eq!(strange, None, "in what is shown: {shown:?}");
}
