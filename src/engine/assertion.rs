//! Owns judging a step's assertions over its output.
//! Deliberately ends nothing: it says what did not hold, the loop decides what comes of it.

use super::scope::With;
use crate::event::FailedAssertion;
use crate::plan::{Assertion, Claim, Field, MatchPattern, Operator, Predicate, Subject};
use crate::template::Template;
use crate::value::{Names, STARS, Value, shape_of, text_of};
use serde_json::Value as Json;
use std::time::Duration;

/// What a step's assertions and captures read.
pub struct Answer<'a> {
    /// The whole output; the variables for `assert` and `set`.
    pub output: &'a Value,
    /// What jq reads as `.`: the output's `json`, or the variables.
    pub json: Value,
    pub took: Duration,
    /// The output must not be shown: only its shape is.
    pub hidden: bool,
}

impl Answer<'_> {
    /// A value for people: itself where it is public and the output may be shown, else its shape.
    fn shown(&self, value: &Value) -> String {
        if self.hidden {
            // Where its length was made of a secret, its shape would show it.
            return if value.taint().is_measured() { STARS.into() } else { shape_of(value.expose()) };
        }
        short(&shown_json(&value.shown()))
    }
}

/// All assertions that do not hold.
pub fn judge(assertions: &[Assertion], answer: &Answer, names: &dyn Names) -> Vec<FailedAssertion> {
    let names = With { names, own: vec![("out", answer.output.clone())] };
    let mut failed = Vec::new();
    for assertion in assertions {
        if let Err((expected, actual)) = holds(&assertion.claim, answer, &names) {
            let message = assertion.message.as_ref().map(|template| match template.render_shown(&names) {
                Ok(text) => text,
                Err(error) => format!("(its message could not be rendered: {error})"),
            });
            failed.push(FailedAssertion {
                place: assertion.place.clone(),
                text: assertion.text.clone(),
                expected,
                actual,
                message,
            });
        }
    }
    failed
}

/// `Err((expected, actual))` where it does not hold.
fn holds(claim: &Claim, answer: &Answer, names: &With) -> Result<(), (String, String)> {
    match claim {
        Claim::Compare { field, operator, operand } => compare(*field, *operator, operand, answer),
        Claim::Expression(expression) => match expression.holds(names) {
            Ok(true) => Ok(()),
            Ok(false) => Err(("true".into(), "false".into())),
            Err(error) => Err(("true".into(), format!("an error: {error}"))),
        },
        Claim::Query { subject, predicates, not } => query(subject, predicates, *not, answer, names),
        Claim::Schema { file, validator } => {
            let faults = crate::plan::schema::faults(
                &validator.0,
                answer.json.expose(),
                answer.hidden || answer.json.is_secret(),
            );
            if faults.is_empty() { Ok(()) } else { Err((format!("valid under `{file}`"), faults.join("; "))) }
        }
    }
}

fn compare(field: Field, operator: Operator, operand: &Json, answer: &Answer) -> Result<(), (String, String)> {
    let actual = match field {
        Field::Status => answer.output.expose().get("status").and_then(Json::as_f64),
        Field::ExitCode => answer.output.expose().get("exit_code").and_then(Json::as_f64),
        Field::Duration => Some(answer.took.as_secs_f64()),
    };
    let shown = |number: f64| match field {
        Field::Duration => crate::plan::duration::show(Duration::from_secs_f64(number.max(0.0))),
        _ => format!("{number}"),
    };
    let word = match operator {
        Operator::Equal => "",
        Operator::NotEqual => "not ",
        Operator::Less => "less than ",
        Operator::LessOrEqual => "at most ",
        Operator::Greater => "more than ",
        Operator::GreaterOrEqual => "at least ",
        Operator::In => "one of ",
        Operator::NotIn => "none of ",
    };
    let expected = match operand.as_f64() {
        Some(number) => format!("{word}{}", shown(number)),
        None => format!("{word}{operand}"),
    };
    let Some(actual) = actual else {
        let signal = answer.output.expose().get("signal").filter(|signal| !signal.is_null());
        let found = signal.map_or("nothing".to_string(), |signal| format!("ended by {}", text_of(signal)));
        return Err((expected, found));
    };
    let number = operand.as_f64().unwrap_or(f64::NAN);
    let within = || operand.as_array().into_iter().flatten().any(|item| item.as_f64() == Some(actual));
    let holds = match operator {
        Operator::Equal => actual == number,
        Operator::NotEqual => actual != number,
        Operator::Less => actual < number,
        Operator::LessOrEqual => actual <= number,
        Operator::Greater => actual > number,
        Operator::GreaterOrEqual => actual >= number,
        Operator::In => within(),
        Operator::NotIn => !within(),
    };
    if holds { Ok(()) } else { Err((expected, shown(actual))) }
}

fn query(
    subject: &Subject,
    predicates: &[Predicate],
    not: bool,
    answer: &Answer,
    names: &With,
) -> Result<(), (String, String)> {
    let found = subject_values(subject, answer, names)
        .map_err(|error| ("a result".to_string(), format!("an error: {error}")))?;
    let first = found.first();
    let actual = || match first {
        None => match subject {
            Subject::Header(name) => format!("no header `{name}`"),
            _ if answer.json.is_null() && matches!(subject, Subject::Jq(_) | Subject::JsonPath(_)) => {
                "nothing: the body is not JSON".into()
            }
            _ => "no result".into(),
        },
        Some(value) if value.is_null() && answer.json.is_null() && matches!(subject, Subject::Jq(_)) => {
            "null: the body is not JSON".into()
        }
        Some(value) => answer.shown(value),
    };
    if predicates.is_empty() {
        let truthy = first.is_some_and(|value| !matches!(value.expose(), Json::Null | Json::Bool(false)));
        let expected = if not { "neither a result nor true" } else { "true, or any value but null and false" };
        return if truthy != not { Ok(()) } else { Err((expected.into(), actual())) };
    }
    let mut expectations = Vec::new();
    let mut all_hold = true;
    for predicate in predicates {
        match predicate_holds(predicate, &found, names) {
            Ok((holds, expected)) => {
                expectations.push(expected);
                all_hold &= holds;
            }
            Err(error) => return Err(("a predicate that can be judged".into(), format!("an error: {error}"))),
        }
    }
    let expected = format!("{}{}", if not { "not: " } else { "" }, expectations.join(" and "));
    if all_hold != not { Ok(()) } else { Err((expected, actual())) }
}

/// The results of a query over an answer; texts and headers give one or none.
pub fn subject_values(subject: &Subject, answer: &Answer, names: &dyn Names) -> Result<Vec<Value>, String> {
    Ok(match subject {
        Subject::Jq(query) => query.run(&answer.json, names).map_err(|error| error.to_string())?,
        Subject::JsonPath(path) => path.run(&answer.json).map_err(|error| error.to_string())?,
        Subject::Header(name) => {
            answer.output.get("headers").and_then(|headers| headers.get(name)).into_iter().collect()
        }
        Subject::Body => answer.output.get("body").into_iter().collect(),
        Subject::Stdout => answer.output.get("stdout").into_iter().collect(),
        Subject::Stderr => answer.output.get("stderr").into_iter().collect(),
    })
}

/// Whether it holds, and in words what was expected.
fn predicate_holds(predicate: &Predicate, found: &[Value], names: &With) -> Result<(bool, String), String> {
    let null = Value::null();
    let actual = found.first().unwrap_or(&null);
    let json = actual.expose();
    let wanted = |template: &Template| template.render(names).map_err(|error| error.to_string());
    let shown = |value: &Value| if value.is_secret() { STARS.to_string() } else { short(&shown_json(value.expose())) };
    let ordered = |template: &Template, word: &str, holds: fn(std::cmp::Ordering) -> bool| {
        let value = wanted(template)?;
        let order = order(json, value.expose());
        Ok::<_, String>((order.is_some_and(holds), format!("{word} {}", shown(&value))))
    };
    Ok(match predicate {
        Predicate::Equals(template) => {
            let value = wanted(template)?;
            (!found.is_empty() && equal(json, value.expose()), shown(&value))
        }
        Predicate::NotEquals(template) => {
            let value = wanted(template)?;
            (!equal(json, value.expose()), format!("anything but {}", shown(&value)))
        }
        Predicate::Contains(template) => {
            let value = wanted(template)?;
            let holds = match (json, value.expose()) {
                (Json::String(text), part) => text.contains(&text_of(part)),
                (Json::Array(items), item) => items.iter().any(|own| equal(own, item)),
                (Json::Object(map), Json::String(key)) => map.contains_key(key),
                (Json::Object(map), Json::Object(part)) => {
                    part.iter().all(|(key, value)| map.get(key).is_some_and(|own| equal(own, value)))
                }
                _ => false,
            };
            (holds, format!("something that contains {}", shown(&value)))
        }
        Predicate::Matches(pattern) => {
            let rendered;
            let regex = match pattern {
                MatchPattern::Fixed(regex) => regex,
                MatchPattern::Rendered(template) => {
                    let text = wanted(template)?.expose_text();
                    rendered = regex::RegexBuilder::new(&text)
                        .size_limit(1 << 20)
                        .build()
                        .map_err(|_| "the rendered pattern is no regular expression".to_string())?;
                    &rendered
                }
            };
            let holds = !matches!(json, Json::Null) && regex.is_match(&text_of(json));
            let pattern = match pattern {
                MatchPattern::Fixed(regex) => regex.as_str().to_string(),
                MatchPattern::Rendered(template) => shown(&wanted(template)?),
            };
            (holds, format!("a match of `{pattern}`"))
        }
        Predicate::In(template) => {
            let value = wanted(template)?;
            let holds = value.expose().as_array().is_some_and(|items| items.iter().any(|item| equal(json, item)));
            (holds && !found.is_empty(), format!("one of {}", shown(&value)))
        }
        Predicate::Exists(wanted) => {
            let there = !found.is_empty() && !json.is_null();
            (there == *wanted, if *wanted { "something".into() } else { "nothing".into() })
        }
        Predicate::IsEmpty(wanted) => {
            let empty = match json {
                Json::Null => true,
                Json::String(text) => text.is_empty(),
                Json::Array(items) => items.is_empty(),
                Json::Object(map) => map.is_empty(),
                _ => false,
            };
            (empty == *wanted, if *wanted { "nothing in it".into() } else { "something in it".into() })
        }
        Predicate::Count(template) => {
            let value = wanted(template)?;
            let count = match (found, json) {
                ([_], Json::Array(items)) => items.len(),
                ([_], Json::Object(map)) => map.len(),
                ([_], Json::String(text)) => text.chars().count(),
                _ => found.len(),
            };
            let there = if actual.taint().is_measured() { STARS.to_string() } else { count.to_string() };
            (value.expose().as_u64() == Some(count as u64), format!("{} of them (there are {there})", shown(&value)))
        }
        Predicate::Less(template) => ordered(template, "less than", std::cmp::Ordering::is_lt)?,
        Predicate::LessOrEqual(template) => ordered(template, "at most", std::cmp::Ordering::is_le)?,
        Predicate::Greater(template) => ordered(template, "more than", std::cmp::Ordering::is_gt)?,
        Predicate::GreaterOrEqual(template) => ordered(template, "at least", std::cmp::Ordering::is_ge)?,
    })
}

/// JSON equality, where 1 and 1.0 are the same number.
fn equal(left: &Json, right: &Json) -> bool {
    match (left, right) {
        (Json::Number(left), Json::Number(right)) => left == right || left.as_f64() == right.as_f64(),
        (Json::Array(left), Json::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equal(left, right))
        }
        (Json::Object(left), Json::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, value)| right.get(key).is_some_and(|other| equal(value, other)))
        }
        _ => left == right,
    }
}

/// Numbers by size, texts that are both numbers likewise, other texts by their letters.
fn order(left: &Json, right: &Json) -> Option<std::cmp::Ordering> {
    let number = |json: &Json| match json {
        Json::Number(number) => number.as_f64(),
        Json::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    match (number(left), number(right)) {
        (Some(left), Some(right)) => left.partial_cmp(&right),
        _ => match (left, right) {
            (Json::String(left), Json::String(right)) => Some(left.cmp(right)),
            _ => None,
        },
    }
}

fn shown_json(json: &Json) -> String {
    match json {
        Json::String(text) => format!("string \"{text}\""),
        other => other.to_string(),
    }
}

fn short(text: &str) -> String {
    const LONGEST: usize = 300;
    if text.chars().count() <= LONGEST {
        return text.to_string();
    }
    format!("{}… ({} characters)", text.chars().take(LONGEST).collect::<String>(), text.chars().count())
}
