//! Owns the filters written in Rust that jaq has for its own value only, and those of worlds.
//! Deliberately compiles nothing.

use super::compile::Data;
use super::val::V;
use jaq_core::native::{Filter, Fun, bome, run, unary, v};
use jaq_core::{DataT, Error, RunPtr, ValR};
use jaq_json::{Num, Rc, Val, read};
use jaq_std::ValT as _;
use std::cell::Cell;
use std::time::SystemTime;

/// All of them; with those that only worlds have, if wanted.
pub fn natives(world: bool) -> impl Iterator<Item = Fun<Data>> {
    let ours = ours::<Data>().filter(move |(name, ..)| world || *name != "sealed_open");
    let std = jaq_std::funs::<Data>().filter(|(name, ..)| *name != "now");
    jaq_core::funs::<Data>().chain(std).chain(ours)
}

/// Generic, since the compiler sees what `D::V` is only behind a bound.
fn ours<D: for<'a> DataT<V<'a> = V>>() -> impl Iterator<Item = Fun<D>> {
    all().into_vec().into_iter().map(run)
}

fn all<D: for<'a> DataT<V<'a> = V>>() -> Box<[Filter<RunPtr<D>>]> {
    Box::new([
        ("fromjson", v(0), |cv| bome(from_json(&cv.1))),
        ("tojson", v(0), |cv| bome(Ok(V(Val::utf8_str(cv.1.to_string()))))),
        ("length", v(0), |cv| bome(length(cv.1))),
        ("contains", v(1), |cv| unary(cv, |whole, part| Ok(V::from(contains(&whole.0, &part.0))))),
        ("has", v(1), |cv| unary(cv, has)),
        ("indices", v(1), |cv| unary(cv, indices)),
        ("bsearch", v(1), |cv| unary(cv, |value, wanted| bsearch(value, &wanted))),
        ("now", v(0), |_| bome(Ok(now()))),
        ("sealed_open", v(1), |cv| unary(cv, |sealed, key| Ok(sealed_open(&sealed, &key)))),
    ])
}

thread_local! {
    static NOW: Cell<Option<SystemTime>> = const { Cell::new(None) };
}

/// Holds the clock for what this thread runs next: one query may be computed several times, with stand-ins for its
/// secrets, and what `now` says must not seem to come from one of them.
pub fn hold_clock(at: Option<SystemTime>) {
    NOW.set(at);
}

/// Seconds since 1970.
fn now() -> V {
    let at = NOW.get().unwrap_or_else(SystemTime::now);
    V::from(at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64())
}

fn from_json(value: &V) -> ValR<V> {
    let bytes = value.try_as_utf8_bytes()?;
    read::parse_single(bytes).map(V).map_err(|error| Error::str(format!("cannot read it as JSON: {error}")))
}

fn length(value: V) -> ValR<V> {
    match &value.0 {
        Val::Null => Ok(V::from(0_usize)),
        Val::Num(Num::Int(integer)) => Ok(V::from(integer.unsigned_abs())),
        Val::Num(_) if value < V::from(0_isize) => -value,
        Val::Num(_) => Ok(value),
        Val::TStr(text) => Ok(V::from(String::from_utf8_lossy(text).chars().count())),
        Val::BStr(bytes) => Ok(V::from(bytes.len())),
        Val::Arr(items) => Ok(V::from(items.len())),
        Val::Obj(map) => Ok(V::from(map.len())),
        Val::Bool(_) => Err(Error::str(format!("{value} has no length"))),
    }
}

fn contains(whole: &Val, part: &Val) -> bool {
    match (whole, part) {
        (Val::TStr(whole) | Val::BStr(whole), Val::TStr(part) | Val::BStr(part)) => {
            part.is_empty() || whole.windows(part.len()).any(|window| window == &part[..])
        }
        (Val::Arr(whole), Val::Arr(part)) => part.iter().all(|part| whole.iter().any(|item| contains(item, part))),
        (Val::Obj(whole), Val::Obj(part)) => {
            part.iter().all(|(key, part)| whole.get(key).is_some_and(|item| contains(item, part)))
        }
        _ => whole == part,
    }
}

fn has(value: V, key: V) -> ValR<V> {
    match (&value.0, &key.0) {
        (Val::Obj(map), Val::TStr(_)) => Ok(V::from(map.contains_key(&key.0))),
        (Val::Arr(items), Val::Num(_)) => {
            let at = key.as_f64().unwrap_or(-1.0);
            #[allow(clippy::cast_precision_loss)] // Lists are shorter.
            Ok(V::from(at >= 0.0 && at < items.len() as f64))
        }
        _ => Err(Error::index(value, key)),
    }
}

/// Places of a part within a text (in characters) or a list, overlapping ones too.
fn indices(value: V, part: V) -> ValR<V> {
    let places: Vec<usize> = match (&value.0, &part.0) {
        (Val::Null, _) => return Ok(value),
        (Val::TStr(_), Val::TStr(part)) if part.is_empty() => Vec::new(),
        (Val::TStr(text), Val::TStr(part)) => {
            let text = String::from_utf8_lossy(text);
            let part = String::from_utf8_lossy(part);
            let starts = text.char_indices().enumerate();
            starts.filter(|(_, (at, _))| text[*at..].starts_with(&*part)).map(|(place, _)| place).collect()
        }
        (Val::Arr(_), Val::Arr(part)) if part.is_empty() => Vec::new(),
        (Val::Arr(items), Val::Arr(part)) => {
            let windows = items.windows(part.len()).enumerate();
            windows.filter(|(_, window)| *window == &part[..]).map(|(place, _)| place).collect()
        }
        (Val::Arr(items), part) => {
            items.iter().enumerate().filter(|(_, item)| *item == part).map(|(place, _)| place).collect()
        }
        _ => return Err(Error::index(value, part)),
    };
    Ok(places.into_iter().map(V::from).collect())
}

fn bsearch(value: V, wanted: &V) -> ValR<V> {
    let items: Rc<Vec<Val>> = match value.0 {
        Val::Arr(items) => items,
        other => return Err(Error::typ(V(other), "array")),
    };
    #[allow(clippy::cast_possible_wrap)] // Lists are shorter.
    Ok(V::from(items.binary_search(&wanted.0).map_or_else(|place| -1 - place as isize, |place| place as isize)))
}

/// `sealed_open($private_key)`: a libsodium sealed box to its text, both in base64; null where it does not open.
fn sealed_open(sealed: &V, key: &V) -> V {
    let bytes = |value: &V| {
        let text = value.as_bytes()?;
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text).ok()
    };
    let open = || {
        let key = crypto_box::SecretKey::from_slice(&bytes(key)?).ok()?;
        String::from_utf8(key.unseal(&bytes(sealed)?).ok()?).ok()
    };
    V(open().map_or(Val::Null, |text| Val::utf8_str(text.into_bytes())))
}
