//! Owns judging a value that is given for an input: its type, choices, pattern and limits.
//! Deliberately knows nothing of where values come from; messages never hold a secret's value.

use super::Input;
use crate::playbook::Texts;
use crate::playbook::document::InputType;
use crate::secret::Secret;
use crate::value::shape_of;
use serde_json::Value as Json;

/// A value given as text (command line, environment, prompt) as the input's type.
pub fn from_text(input: &Input, text: &str) -> Result<Json, String> {
    let json = parse_text(input.kind, text)?;
    judge(input, &json)
}

/// The value as the input's type, or what is wrong with it.
pub fn judge(input: &Input, json: &Json) -> Result<Json, String> {
    judge_in(input, json, &Texts::disk())
}

/// As [`judge`], for a value that stands in a playbook: where it names a file, that one is looked up in `texts`.
pub fn judge_in(input: &Input, json: &Json, texts: &Texts) -> Result<Json, String> {
    if input.kind == InputType::Secret && !json.is_string() {
        // Not even its shape is told: that has keys in it.
        let found = match json {
            Json::Object(_) => "an object",
            Json::Array(_) => "a list",
            other => return Err(format!("it is {}, and should be a string (quote it)", shape_of(other))),
        };
        return Err(format!("it is {found}, and should be a string"));
    }
    let json = typed(input.kind, json, texts)?;
    if input.kind == InputType::Secret {
        let text = json.as_str().unwrap_or_default().to_string();
        if let Some(fault) = Secret::new(text.clone()).fault() {
            return Err(format!("this cannot be a secret: {fault}"));
        }
        if input.pattern.as_ref().is_some_and(|pattern| !pattern.is_match(&text)) {
            return Err(format!("the secret does not match `{}`", input.pattern.as_ref().map_or("", |p| p.as_str())));
        }
        within(input, text.chars().count() as f64, "character")?;
        return Ok(json);
    }
    choices(&json, input.one_of.as_deref())?;
    if let (Some(pattern), Json::String(text)) = (&input.pattern, &json)
        && !pattern.is_match(text)
    {
        return Err(format!("`{text}` does not match `{}`", pattern.as_str()));
    }
    match &json {
        Json::Number(number) => within(input, number.as_f64().unwrap_or_default(), "")?,
        Json::String(text) => within(input, text.chars().count() as f64, "character")?,
        Json::Array(items) => within(input, items.len() as f64, "item")?,
        _ => {}
    }
    let Some(rule) = &input.items else { return Ok(json) };
    let Json::Array(items) = json else { return Ok(json) };
    let mut judged = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let item = typed(rule.kind, item, texts)
            .and_then(|item| choices(&item, rule.one_of.as_deref()).map(|()| item))
            .map_err(|fault| format!("item {}: {fault}", index + 1))?;
        if let (Some(pattern), Json::String(text)) = (&rule.pattern, &item)
            && !pattern.is_match(text)
        {
            return Err(format!("item {}: `{text}` does not match `{}`", index + 1, pattern.as_str()));
        }
        judged.push(item);
    }
    Ok(Json::Array(judged))
}

fn choices(json: &Json, one_of: Option<&[Json]>) -> Result<(), String> {
    match one_of {
        Some(choices) if !choices.contains(json) => {
            let shown: Vec<String> =
                choices.iter().map(|choice| format!("`{}`", crate::value::text_of(choice))).collect();
            let found = crate::value::text_of(json);
            let near = crate::diagnostic::nearest(&found, choices.iter().filter_map(Json::as_str));
            let hint = near.map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default();
            Err(format!("`{found}` is none of {}{hint}", shown.join(", ")))
        }
        _ => Ok(()),
    }
}

fn within(input: &Input, size: f64, unit: &str) -> Result<(), String> {
    let counted = |size: f64| match unit {
        "" => format!("{size}"),
        unit => format!("{size} {unit}{}", if size == 1.0 { "" } else { "s" }),
    };
    let (is, be) = if unit.is_empty() { ("is", "be") } else { ("has", "have") };
    if let Some(min) = input.min.filter(|min| size < *min) {
        return Err(format!("it {is} {}, and must {be} at least {min}", counted(size)));
    }
    if let Some(max) = input.max.filter(|max| size > *max) {
        return Err(format!("it {is} {}, and may {be} at most {max}", counted(size)));
    }
    Ok(())
}

/// A value that is no secret, as far as it is short.
fn described(json: &Json) -> String {
    match json {
        Json::String(text) if text.chars().count() <= 40 => format!("the text `{text}`"),
        Json::Number(number) => format!("the number {number}"),
        Json::Bool(truth) => format!("`{truth}`"),
        other => shape_of(other),
    }
}

fn typed(kind: InputType, json: &Json, texts: &Texts) -> Result<Json, String> {
    let wrong = |wanted: &str| Err(format!("it is {}, and should be {wanted}", described(json)));
    match (kind, json) {
        (InputType::String | InputType::Secret, Json::String(_)) => Ok(json.clone()),
        (InputType::String, _) => wrong("a string (quote it)"),
        (InputType::Secret, _) => wrong("a string"),
        (InputType::Integer, Json::Number(number)) if number.is_i64() || number.is_u64() => Ok(json.clone()),
        (InputType::Integer, _) => wrong("a whole number"),
        (InputType::Number, Json::Number(_)) => Ok(json.clone()),
        (InputType::Number, _) => wrong("a number"),
        (InputType::Boolean, Json::Bool(_)) => Ok(json.clone()),
        (InputType::Boolean, _) => wrong("`true` or `false`"),
        (InputType::Duration, Json::String(text)) => super::duration::parse(text).map(|_| json.clone()),
        (InputType::Duration, _) => wrong("a duration such as `30s`"),
        (InputType::List, Json::Array(_)) => Ok(json.clone()),
        (InputType::List, _) => wrong("a list"),
        (InputType::Object, Json::Object(_)) => Ok(json.clone()),
        (InputType::Object, _) => wrong("an object"),
        (InputType::File, Json::String(text)) => {
            let path = std::path::Path::new(text);
            let found = texts.canonical_file(path);
            let found = found.map_err(|error| format!("the file `{text}` cannot be used: {error}"))?;
            let absolute = found.ok_or_else(|| format!("`{text}` is not a file"))?;
            Ok(Json::String(absolute.display().to_string()))
        }
        (InputType::File, _) => wrong("the path of a file"),
    }
}

fn parse_text(kind: InputType, text: &str) -> Result<Json, String> {
    match kind {
        InputType::String | InputType::Secret | InputType::Duration | InputType::File => Ok(Json::String(text.into())),
        InputType::Integer => {
            text.trim().parse::<i64>().map(Json::from).map_err(|_| format!("`{text}` is not a whole number"))
        }
        InputType::Number => serde_json::from_str::<serde_json::Number>(text.trim())
            .map(Json::Number)
            .map_err(|_| format!("`{text}` is not a number")),
        InputType::Boolean => match text.trim() {
            "true" | "yes" => Ok(Json::Bool(true)),
            "false" | "no" => Ok(Json::Bool(false)),
            _ => Err(format!("`{text}` is not `true` or `false`")),
        },
        InputType::List if !text.trim_start().starts_with('[') => {
            Ok(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Json::from).collect())
        }
        InputType::List => serde_json::from_str(text).map_err(|error| format!("it is no JSON list: {error}")),
        InputType::Object => serde_json::from_str(text).map_err(|error| format!("it is no JSON object: {error}")),
    }
}
