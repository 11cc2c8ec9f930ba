//! Owns the filters that make more of a text than they are given, each bounded by what it would come to.
//! Deliberately knows nothing of the other filters; Tera's own of the same names make what they are told to.

use super::convert;
use super::engine::LONGEST_RESULT;
use super::filters::{MOST_KEPT, MOST_TURNS};
use serde_json::Value as Json;
use std::fmt::Write as _;
use std::io::{self, Write};
use tera::{Error, Kwargs, State, Tera, TeraResult, Value};

/// Columns of one `indent`, as in Tera.
const WIDEST: usize = 1000;

pub fn register(tera: &mut Tera) {
    tera.register_filter("replace", |value: &str, options: Kwargs, _: &State| -> TeraResult<String> {
        let (from, to) = (options.must_get::<&str>("from")?, options.must_get::<&str>("to")?);
        let more = value.matches(from).count().saturating_mul(to.len());
        small_enough(value.len().saturating_add(more))?;
        Ok(value.replace(from, to))
    });
    tera.register_filter("join", |value: &[Value], options: Kwargs, _: &State| -> TeraResult<String> {
        let between = options.get::<&str>("sep")?.unwrap_or_default();
        let mut text = String::new();
        for (index, item) in value.iter().enumerate() {
            let before = if index > 0 { between } else { "" };
            small_enough(text.len() + before.len() + item.as_str().map_or(0, str::len))?;
            text.push_str(before);
            match item.as_str() {
                Some(item) => text.push_str(item),
                None => {
                    fits(item)?;
                    write!(text, "{item}").map_err(|_| Error::message("an item has no text"))?;
                }
            }
        }
        small_enough(text.len())?;
        Ok(text)
    });
    tera.register_filter("indent", indent);
    tera.register_filter("split", |value: &str, options: Kwargs, _: &State| -> TeraResult<Value> {
        let between = options.must_get::<&str>("pat")?;
        let parts: Vec<Value> = value.split(between).take(MOST_TURNS + 1).map(Value::from).collect();
        if parts.len() > MOST_TURNS {
            return Err(Error::message(format!("it has more than {MOST_TURNS} parts")));
        }
        Ok(Value::from(parts))
    });
}

fn indent(value: &str, options: Kwargs, _: &State) -> TeraResult<String> {
    let width = options.get::<usize>("width")?.unwrap_or(4).min(WIDEST);
    let letter = options.get::<&str>("indentation")?.unwrap_or(" ");
    let first = options.get::<bool>("first")?.unwrap_or(false);
    let blank = options.get::<bool>("blank")?.unwrap_or(false);
    if letter.chars().count() != 1 {
        return Err(Error::message("The `indentation` argument must contain exactly one character"));
    }
    let before = letter.repeat(width);
    let is_indented = |index: usize, line: &str| if index == 0 { first } else { blank || !line.is_empty() };
    let indented = value.lines().enumerate().filter(|(index, line)| is_indented(*index, line)).count();
    small_enough(value.len().saturating_add(indented.saturating_mul(before.len())))?;
    let mut text = String::new();
    for (index, line) in value.lines().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        if is_indented(index, line) {
            text.push_str(&before);
        }
        text.push_str(line);
    }
    if value.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

/// Filters that make texts longer can be chained: each is given at most what a rendering may come to.
pub fn small_enough(length: usize) -> TeraResult<()> {
    if length <= LONGEST_RESULT {
        return Ok(());
    }
    Err(Error::message(format!("the text grows larger than {} MiB", LONGEST_RESULT >> 20)))
}

/// A list may hold one text a thousand times and take no room, until a text is made of it.
fn fits(value: &Value) -> TeraResult<()> {
    convert::size(value, MOST_KEPT).map(|_| ()).map_err(|over| Error::message(over.told("the value", MOST_KEPT)))
}

/// The result of an expression: it may be as large as what it was made of, and somewhat larger.
pub fn is_little_more(value: &Value, reads: impl FnOnce() -> usize) -> Result<(), String> {
    if convert::size(value, MOST_KEPT).is_ok() {
        return Ok(());
    }
    let most = reads().saturating_add(MOST_KEPT);
    convert::size(value, most).map(|_| ()).map_err(|over| over.told("the result", most))
}

/// Its text, of at most `LONGEST_RESULT` bytes: a string itself, anything else as compact JSON, as everywhere in the
/// program (`value::text_of`).
pub fn text(value: &Value) -> TeraResult<String> {
    match value.as_str() {
        Some(text) => {
            small_enough(text.len())?;
            Ok(text.into())
        }
        None => json(value, false, LONGEST_RESULT),
    }
}

/// As JSON, of at most `most` bytes.
pub fn json(value: &Value, pretty: bool, most: usize) -> TeraResult<String> {
    fits(value)?;
    let json: Json = convert::into_json(value).map_err(Error::message)?;
    let mut out = Bounded { bytes: Vec::new(), most };
    let written = match pretty {
        true => serde_json::to_writer_pretty(&mut out, &json),
        false => serde_json::to_writer(&mut out, &json),
    };
    written.map_err(|error| match error.is_io() {
        true => Error::message(format!("the text grows larger than {} MiB", most >> 20)),
        false => Error::message(error.to_string()),
    })?;
    String::from_utf8(out.bytes).map_err(|error| Error::message(error.to_string()))
}

/// Takes no more than `most` bytes.
pub struct Bounded {
    pub bytes: Vec<u8>,
    pub most: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.most {
            return Err(io::Error::other("too large"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
