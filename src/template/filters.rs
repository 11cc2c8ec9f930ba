//! Owns the filters beyond Tera's own, and the hidden ones that make a playbook's templates stricter than Tera is.
//! Deliberately knows nothing of names or places.

use super::convert::{self, Over};
use super::grow::{self, small_enough};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use std::cell::RefCell;
use tera::{ArgFromValue, Error, Kwargs, State, Tera, TeraResult, Value};

/// Turns of all loops of one rendering. A template is a text with holes, not a program.
pub const MOST_TURNS: usize = 1_000_000;
/// Bytes that one rendering may keep in variables and lists.
pub const MOST_KEPT: usize = 64 << 20;

/// Why a hidden filter stopped a rendering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    Undefined,
    Null,
}

/// What the hidden filters count and hand out, since Tera gives filters no state of their own.
#[derive(Default)]
pub struct Run {
    turns: usize,
    kept: usize,
    /// Bytes that the expression at hand has made.
    made: usize,
    /// What the single expression came to.
    pub taken: Option<Value>,
    pub stopped: Option<Stop>,
}

thread_local! {
    static RUN: RefCell<Run> = RefCell::default();
}

/// Runs `render` with fresh counters; gives what the hidden filters left behind.
pub fn run<T>(render: impl FnOnce() -> T) -> (T, Run) {
    RUN.replace(Run::default());
    let result = render();
    (result, RUN.take())
}

/// Filters that authors may use: Tera's own and ours. A test compares it with what Tera accepts.
pub const FILTERS: [&str; 42] = [
    "abs",
    "b64decode",
    "b64encode",
    "capitalize",
    "default",
    "escape",
    "escape_html",
    "escape_xml",
    "first",
    "float",
    "get",
    "group_by",
    "indent",
    "int",
    "join",
    "json",
    "keys",
    "last",
    "length",
    "lower",
    "newlines_to_br",
    "nth",
    "pairs",
    "pluralize",
    "replace",
    "reverse",
    "round",
    "safe",
    "sha256",
    "sort",
    "split",
    "str",
    "title",
    "trim",
    "trim_end",
    "trim_start",
    "truncate",
    "unique",
    "upper",
    "urlencode",
    "values",
    "wordcount",
];

pub const TESTS: [&str; 17] = [
    "array",
    "bool",
    "containing",
    "defined",
    "divisible_by",
    "ending_with",
    "even",
    "float",
    "integer",
    "iterable",
    "map",
    "none",
    "number",
    "odd",
    "starting_with",
    "string",
    "undefined",
];

/// Neither reads files, the environment, the network, chance or the clock.
pub const FUNCTIONS: [&str; 2] = ["range", "throw"];

pub fn register(tera: &mut Tera) {
    grow::register(tera);
    tera.register_filter("b64encode", |value: &Value, options: Kwargs, _: &State| -> TeraResult<String> {
        let text = plain_text(value)?;
        let url = options.get::<bool>("url")?.unwrap_or(false);
        Ok(if url { URL_SAFE.encode(text) } else { STANDARD.encode(text) })
    });
    tera.register_filter("b64decode", |value: &str, _: Kwargs, _: &State| b64decode(value));
    tera.register_filter("sha256", |value: &Value, _: Kwargs, _: &State| -> TeraResult<String> {
        Ok(crate::digest::sha256_hex(plain_text(value)?.as_bytes()))
    });
    tera.register_filter("json", |value: &Value, options: Kwargs, _: &State| -> TeraResult<String> {
        defined(value)?;
        small_enough(value.as_str().map_or(0, str::len))?;
        grow::json(value, options.get::<bool>("pretty")?.unwrap_or(false), MOST_KEPT)
    });
    tera.register_filter("urlencode", |value: &Value, _: Kwargs, _: &State| -> TeraResult<String> {
        Ok(percent_encode(&plain_text(value)?))
    });
    tera.register_filter("str", |value: &Value, _: Kwargs, _: &State| plain_text(value));
    tera.register_filter("__def", |value: &Value, _: Kwargs, _: &State| -> TeraResult<Value> {
        defined(value)?;
        Ok(value.clone())
    });
    tera.register_filter("__loop", |value: &Value, _: Kwargs, _: &State| -> TeraResult<Value> {
        defined(value)?;
        let turns = value.len().unwrap_or(0);
        let over = RUN.with_borrow_mut(|run| {
            run.turns = run.turns.saturating_add(turns);
            run.turns > MOST_TURNS
        });
        if over {
            Err(Error::message(format!("the loops take more than {MOST_TURNS} turns")))
        } else {
            Ok(value.clone())
        }
    });
    tera.register_filter("__keep", |value: &Value, _: Kwargs, _: &State| -> TeraResult<Value> {
        defined(value)?;
        let within = RUN.with_borrow_mut(|run| {
            run.kept += convert::size(value, MOST_KEPT.saturating_sub(run.kept))?;
            Ok(())
        });
        within
            .map(|()| value.clone())
            .map_err(|_: Over| Error::message("the values that it keeps grow too large or too deep"))
    });
    // What an expression makes on its way is given back only when all of it is computed.
    tera.register_filter("__made", |value: &Value, _: Kwargs, _: &State| made(value));
    tera.register_filter("__part", |value: &Value, _: Kwargs, _: &State| -> TeraResult<Value> {
        defined(value)?;
        made(value)
    });
    tera.register_filter("__done", |value: &Value, _: Kwargs, _: &State| -> Value {
        RUN.with_borrow_mut(|run| run.made = 0);
        value.clone()
    });
    tera.register_filter("__small", |value: &Value, _: Kwargs, _: &State| -> TeraResult<Value> {
        small_enough(value.as_str().map_or(0, str::len))?;
        Ok(value.clone())
    });
    tera.register_filter("__text", |value: &Value, _: Kwargs, _: &State| -> TeraResult<Value> {
        defined(value)?;
        if value.is_none() {
            return Err(stop(Stop::Null));
        }
        if value.is_string() {
            return Ok(value.clone());
        }
        grow::text(value).map(Value::from)
    });
    tera.register_filter("__take", |value: &Value, _: Kwargs, _: &State| -> TeraResult<Value> {
        defined(value)?;
        RUN.with_borrow_mut(|run| run.taken = Some(value.clone()));
        Ok(Value::normal_string(""))
    });
}

fn stop(why: Stop) -> Error {
    RUN.with_borrow_mut(|run| run.stopped = Some(why));
    // This kind of error makes Tera point at the value and not at the filter.
    <&str>::from_value(&Value::undefined()).err().unwrap_or_else(|| Error::message("undefined"))
}

fn defined(value: &Value) -> TeraResult<()> {
    if value.is_undefined() { Err(stop(Stop::Undefined)) } else { Ok(()) }
}

fn made(value: &Value) -> TeraResult<Value> {
    let within = RUN.with_borrow_mut(|run| {
        run.made += convert::size(value, MOST_KEPT.saturating_sub(run.made))?;
        Ok(())
    });
    within.map(|()| value.clone()).map_err(|over: Over| Error::message(over.told("what it puts together", MOST_KEPT)))
}

fn plain_text(value: &Value) -> TeraResult<String> {
    defined(value)?;
    if value.is_none() {
        return Err(stop(Stop::Null));
    }
    grow::text(value)
}

fn b64decode(text: &str) -> TeraResult<String> {
    let bare = text.trim().trim_end_matches('=');
    let bytes = URL_SAFE_NO_PAD
        .decode(bare.replace('+', "-").replace('/', "_"))
        .map_err(|_| Error::message("it is no base64"))?;
    String::from_utf8(bytes).map_err(|_| Error::message("what is in the base64 is no UTF-8 text"))
}

/// Everything but letters, digits and `-._~`.
fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
