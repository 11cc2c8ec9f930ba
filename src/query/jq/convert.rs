//! Owns the way of JSON into jq and back, and what may be said of a value in an error.
//! Deliberately knows nothing of filters.
//!
//! Numbers: integers of 64 bits and decimals go through untouched (`1.0` stays `1.0`). Beyond that JSON here has only
//! 64-bit floats: a larger integer loses its last digits on the way out. As in jq, not-a-number becomes null and
//! infinity the largest float.

use crate::value::{Value, WeakValue, shape_of};
use jaq_json::{Num, Val};
use serde_json::{Number, Value as Json};
use std::cell::RefCell;

/// A result may be this large.
const LARGEST: usize = 64 << 20;
/// Deeper results are refused: who gets them may have a small stack.
const DEEPEST: usize = 500;
/// Documents remembered in jq's form by each worker.
const REMEMBERED: usize = 4;

thread_local! {
    static DOCUMENTS: RefCell<Vec<(WeakValue, Val)>> = const { RefCell::new(Vec::new()) };
}

/// A document in jq's form. One that was just asked about is not converted again.
pub fn into_val(value: &Value) -> Val {
    if value.is_secret() || !matches!(value.expose(), Json::Array(_) | Json::Object(_)) {
        return from_json(value.expose());
    }
    DOCUMENTS.with_borrow_mut(|documents| {
        if let Some((_, val)) = documents.iter().find(|(known, _)| known.is(value)) {
            return val.clone();
        }
        let val = from_json(value.expose());
        documents.truncate(REMEMBERED - 1);
        documents.insert(0, (value.downgrade(), val.clone()));
        val
    })
}

/// Lets go of what nobody else holds any more.
pub fn forget_dead() {
    DOCUMENTS.with_borrow_mut(|documents| documents.retain(|(known, _)| known.is_alive()));
}

pub fn from_json(json: &Json) -> Val {
    match json {
        Json::Null => Val::Null,
        Json::Bool(truth) => Val::Bool(*truth),
        Json::Number(number) => Val::Num(match (number.as_i64(), number.as_u64()) {
            (Some(integer), _) => Num::from_integral(integer),
            (None, Some(integer)) => Num::from_integral(integer),
            // As text, so that `1.0` is still `1.0` when nothing was computed with it.
            (None, None) => Num::Dec(number.to_string().into()),
        }),
        Json::String(text) => Val::utf8_str(text.clone().into_bytes()),
        Json::Array(items) => items.iter().map(from_json).collect(),
        Json::Object(map) => Val::obj(
            map.iter().map(|(key, value)| (Val::utf8_str(key.clone().into_bytes()), from_json(value))).collect(),
        ),
    }
}

/// Takes results out of jq, as long as all of them together are not too large.
pub struct Outlet {
    left: usize,
}

impl Outlet {
    pub fn new() -> Outlet {
        Outlet { left: LARGEST }
    }

    pub fn take(&mut self, val: &Val) -> Result<Json, String> {
        self.take_at(val, 0)
    }

    fn take_at(&mut self, val: &Val, depth: usize) -> Result<Json, String> {
        if depth > DEEPEST {
            return Err(format!("the result is nested deeper than {DEEPEST} levels"));
        }
        self.pay(16)?;
        Ok(match val {
            Val::Null => Json::Null,
            Val::Bool(truth) => Json::Bool(*truth),
            Val::Num(number) => to_number(number),
            Val::BStr(bytes) | Val::TStr(bytes) => {
                self.pay(bytes.len())?;
                Json::String(String::from_utf8_lossy(bytes).into_owned())
            }
            Val::Arr(items) => {
                let items = items.iter().map(|item| self.take_at(item, depth + 1));
                Json::Array(items.collect::<Result<_, _>>()?)
            }
            Val::Obj(map) => {
                let mut out = serde_json::Map::new();
                for (key, value) in map.iter() {
                    let key = match key {
                        Val::TStr(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                        other => other.to_string(),
                    };
                    self.pay(key.len() + 32)?;
                    out.insert(key, self.take_at(value, depth + 1)?);
                }
                Json::Object(out)
            }
        })
    }

    fn pay(&mut self, bytes: usize) -> Result<(), String> {
        let left = self.left.checked_sub(bytes);
        self.left = left.ok_or_else(|| format!("the result is larger than {} MiB", LARGEST >> 20))?;
        Ok(())
    }
}

fn to_number(number: &Num) -> Json {
    let float = |float: f64| match Number::from_f64(float) {
        Some(number) => Json::Number(number),
        None if float.is_nan() => Json::Null,
        None => Number::from_f64(f64::MAX.copysign(float)).map_or(Json::Null, Json::Number),
    };
    match number {
        Num::Int(integer) => Json::from(*integer),
        Num::Float(value) => float(*value),
        Num::BigInt(big) => {
            let text = big.to_string();
            text.parse::<u64>().map_or_else(|_| text.parse().map_or(Json::Null, float), Json::from)
        }
        Num::Dec(text) => text.parse().map_or(Json::Null, float),
    }
}

/// An error's text with long values in it told by their shape: "cannot index {a: a number, …} with 0".
/// Nothing is cut in the middle, or half a secret could stand where the masker does not know it.
pub fn abbreviate(message: &str) -> String {
    const LONG: usize = 80;
    const LONGEST: usize = 2000;
    let mut out = String::new();
    let mut rest = message;
    while let Some(start) = rest.find(['{', '[', '"']) {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        let mut values = serde_json::Deserializer::from_str(from).into_iter::<Json>();
        let length = match values.next() {
            Some(Ok(value)) => {
                let length = values.byte_offset();
                out.push_str(&if length > LONG { shape_of(&value) } else { from[..length].to_string() });
                length
            }
            _ => {
                out.push_str(&from[..1]);
                1
            }
        };
        rest = &from[length..];
        if out.len() > LONGEST {
            rest = "…";
            break;
        }
    }
    out.push_str(rest);
    if out.len() > LONGEST * 4 { format!("an error of {} bytes", out.len()) } else { out }
}
