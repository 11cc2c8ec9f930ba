//! Owns the way of values into Tera and back, and their size.
//! Deliberately knows nothing of templates.

use super::analyse::Need;
use serde_json::Value as Json;
use tera::value::Key;
use tera::{Map, Value};

/// Deeper values are refused, as jq's results are: a stack has its end.
pub const DEEPEST: usize = 500;

/// As much of it as is wanted.
pub fn into_tera(json: &Json, need: &Need) -> Value {
    match json {
        Json::Null => Value::none(),
        Json::Bool(truth) => Value::from(*truth),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(integer), _) => Value::from(integer),
            (None, Some(integer)) => Value::from(integer),
            (None, None) => Value::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::normal_string(text),
        Json::Array(items) => Value::from(items.iter().map(|item| into_tera(item, &Need::All)).collect::<Vec<Value>>()),
        Json::Object(map) => {
            let mut out = Map::new();
            match need {
                Need::All => {
                    out.reserve(map.len());
                    out.extend(map.iter().map(|(key, value)| (Key::from(key.clone()), into_tera(value, need))));
                }
                Need::Keys(keys) => out.extend(keys.iter().filter_map(|(key, need)| {
                    let value = map.get(key)?;
                    Some((Key::from(key.clone()), into_tera(value, need)))
                })),
            }
            Value::from(out)
        }
    }
}

/// Why a value has no JSON.
pub fn into_json(value: &Value) -> Result<Json, String> {
    into_json_at(value, 0)
}

fn into_json_at(value: &Value, depth: usize) -> Result<Json, String> {
    if depth > DEEPEST {
        return Err(format!("the value is nested deeper than {DEEPEST} levels"));
    }
    if value.is_none() {
        Ok(Json::Null)
    } else if value.is_undefined() {
        Err("a part of it is not defined".into())
    } else if let Some(truth) = value.as_bool() {
        Ok(Json::Bool(truth))
    } else if let Some(text) = value.as_str() {
        Ok(Json::String(text.into()))
    } else if let Some(items) = value.as_array() {
        items.iter().map(|item| into_json_at(item, depth + 1)).collect::<Result<_, _>>().map(Json::Array)
    } else if let Some(map) = value.as_map() {
        let entries = map.iter().map(|(key, value)| Ok((key_text(key), into_json_at(value, depth + 1)?)));
        entries.collect::<Result<serde_json::Map<_, _>, String>>().map(Json::Object)
    } else if let Some(integer) = value.as_i64() {
        Ok(Json::from(integer))
    } else if let Some(integer) = value.as_u64() {
        Ok(Json::from(integer))
    } else if value.is_f64() {
        let float = value.as_f64().unwrap_or(f64::NAN);
        serde_json::Number::from_f64(float)
            .map(Json::Number)
            .ok_or_else(|| format!("{float} is no number that JSON has"))
    } else if value.is_number() {
        Err(format!("the number {value} is larger than 64 bits"))
    } else {
        Err(format!("a value of type {} has no JSON", value.name()))
    }
}

pub fn key_text(key: &Key) -> String {
    match key.as_str() {
        Some(text) => text.into(),
        None => key.as_value().to_string(),
    }
}

/// Why a value has no size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    Large,
    Deep,
}

impl Over {
    pub fn told(self, what: &str, limit: usize) -> String {
        match self {
            Over::Large => format!("{what} grows larger than {} MiB", limit >> 20),
            Over::Deep => format!("{what} is nested deeper than {DEEPEST} levels"),
        }
    }
}

/// About how many bytes it holds, counted until `limit`. What is there several times counts as often: so it would as text.
pub fn size(value: &Value, limit: usize) -> Result<usize, Over> {
    fn count(value: &Value, depth: usize, left: &mut usize) -> Result<(), Over> {
        let own = value.as_str().map_or(0, str::len) + 8;
        *left = left.checked_sub(own).ok_or(Over::Large)?;
        if depth > DEEPEST {
            return Err(Over::Deep);
        }
        if let Some(items) = value.as_array() {
            items.iter().try_for_each(|item| count(item, depth + 1, left))
        } else if let Some(map) = value.as_map() {
            map.iter().try_for_each(|(key, item)| {
                *left = left.checked_sub(key.as_str().map_or(0, str::len)).ok_or(Over::Large)?;
                count(item, depth + 1, left)
            })
        } else {
            Ok(())
        }
    }
    let mut left = limit;
    count(value, 0, &mut left)?;
    Ok(limit - left)
}
