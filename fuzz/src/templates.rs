//! Any text as a template and as an expression, over variables of which one is secret and one looks like a template.
//! Oracle: no panic, no end that does not come; where a part of the secret comes out it is marked as secret; no message
//! and nothing that is shown has a part of it; nothing of a variable is rendered a second time.

use runbook::secret::Origin;
use runbook::template::{Expression, Template, TemplateError};
use runbook::value::{Names, Value};
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// Between the template and the two variables of the fuzzer's own.
const NEXT: u8 = 0xff;
const SECRET: &str = "Qj7#wX9_kZ4~vP2";
/// As much of it as no template comes to by chance.
const PART: usize = 5;
/// Rendered, it would be a number that stands nowhere else.
const TRAP: &str = "{{ 71909 * 71917 }}{% set x = 1 %}{{ token }}";
const SPRUNG: &str = "5171479553";

struct Variables(Vec<(&'static str, Value)>);

impl Names for Variables {
    fn lookup(&self, name: &str) -> Option<Value> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    }
}

pub fn run(bytes: &[u8]) {
    let texts: Vec<String> =
        bytes.split(|byte| *byte == NEXT).map(|part| String::from_utf8_lossy(part).into_owned()).collect();
    let text = |index: usize| texts.get(index).cloned().unwrap_or_default();
    // A template that spells the secret is no leak; nor is it a rendering that spells what the trap would come to.
    if texts.iter().any(|text| has_part(text, 3) || text.contains("719") || text.contains(&SPRUNG[..6])) {
        return;
    }
    let free = serde_json::from_str(&text(1)).unwrap_or_else(|_| Json::String(text(1)));
    let secret = |json: Json| Value::secret(json, Arc::new(Origin { name: "token".into(), to: None }));
    let variables = Variables(vec![
        ("token", secret(json!(SECRET))),
        ("account", secret(json!({"id": 7, "key": SECRET, "list": [SECRET, "b"]}))),
        ("trap", Value::plain(json!(TRAP))),
        ("a", Value::plain(free)),
        ("b", Value::plain(json!(text(2)))),
        ("items", Value::plain(json!([{"name": "x", "n": 1}, {"name": TRAP, "n": 2.5}, null, true, "é"]))),
    ]);
    literal(&text(2), &variables);
    template(&text(0), &variables);
    expression(&text(0), &variables);
}

/// What a variable holds comes out as it is, whatever it looks like.
fn literal(text: &str, variables: &Variables) {
    let template = Template::parse(&json!({"whole": "{{ b }}", "within": "<{{ b }}>"})).expect("a good template");
    let rendered = template.render(variables).expect("a variable that is there");
    assert_eq!(rendered.expose(), &json!({"whole": text, "within": format!("<{text}>")}));
}

fn template(text: &str, variables: &Variables) {
    let template = match Template::parse(&json!({"k": [text]})) {
        Ok(template) => template,
        Err(errors) => {
            assert!(!errors.is_empty(), "refused without a word");
            return errors.iter().for_each(|error| message(error, text, "/k/0"));
        }
    };
    for read in template.reads() {
        assert!(text.get(read.span.clone()).is_some_and(|span| span.contains(&read.name)), "{read:?}");
    }
    template.reads_outputs();
    let rendered = template.render(variables);
    match &rendered {
        Ok(value) => judge(value),
        Err(error) => message(error, text, "/k/0"),
    }
    match template.render_shown(variables) {
        Ok(shown) => hidden(&shown, PART),
        Err(error) => message(&error, text, "/k/0"),
    }
    if let (Ok(one), Ok(two)) = (&rendered, template.render(variables)) {
        assert_eq!((one.expose(), one.marks()), (two.expose(), two.marks()), "rendered twice, it differs");
    }
}

fn expression(text: &str, variables: &Variables) {
    let expression = match Expression::parse(text) {
        Ok(expression) => expression,
        Err(error) => return message(&error, text, ""),
    };
    assert_eq!(expression.text(), text);
    let value = expression.evaluate(variables);
    match &value {
        Ok(value) => judge(value),
        Err(error) => message(error, text, ""),
    }
    match expression.holds(variables) {
        Ok(_) => assert!(value.is_ok(), "it holds or not, and has no value"),
        Err(error) => message(&error, text, ""),
    }
}

fn judge(value: &Value) {
    assert!(!value.expose().to_string().contains(SPRUNG), "a variable was rendered");
    hidden(&value.shown().to_string(), PART);
    if has_part(&value.expose().to_string(), PART) {
        assert!(value.is_secret());
    }
}

fn message(error: &TemplateError, text: &str, pointer: &str) {
    hidden(&format!("{error} {error:?}"), PART);
    assert!(!error.message.is_empty() && pointer.starts_with(&error.pointer), "{error:?}");
    assert!(text.get(error.span.clone()).is_some(), "{error:?} in {text:?}");
}

#[track_caller]
fn hidden(shown: &str, length: usize) {
    assert!(!has_part(shown, length), "a part of the secret: {shown}");
}

/// Whether `length` characters of the secret stand in the text: as they are, in other case, or backwards.
fn has_part(text: &str, length: usize) -> bool {
    let text = text.to_ascii_lowercase();
    let secret = SECRET.to_ascii_lowercase();
    let back: String = secret.chars().rev().collect();
    [&secret, &back].iter().any(|secret| (0..=secret.len() - length).any(|at| text.contains(&secret[at..at + length])))
}
