//! Owns the value that filters work on: jaq's, with jq's ways where jaq goes its own.
//! Deliberately knows nothing of JSON outside.
//!
//! As in jq: an update below null makes the object or list that is missing, one behind a list's end fills it up with
//! null, a slice of null is null, and a computed number that is whole is an integer, also in text (`10 / 2` is `5`).

use jaq_core::path::Opt;
use jaq_core::val::Range;
use jaq_core::{Error, Exn, ValR, ValT, ValX};
use jaq_json::{Num, Rc, Val};
use jaq_std::ValT as StdT;
use std::fmt;

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct V(pub Val);

/// Up to here every integer is a float of its own.
const WHOLE: f64 = 9_007_199_254_740_992.0;

fn fault(error: Error<Val>) -> Error<V> {
    Error::new(V(error.into_val()))
}

/// What was computed: a whole float becomes an integer.
fn computed(result: Result<Val, Error<Val>>) -> ValR<V> {
    result.map(whole).map_err(fault)
}

fn whole(val: Val) -> V {
    match val {
        Val::Num(Num::Float(float))
            if float.fract() == 0.0 && float.abs() <= WHOLE && !(float == 0.0 && float.is_sign_negative()) =>
        {
            #[allow(clippy::cast_possible_truncation)] // Whole, and within 53 bits.
            V(Val::from(float as isize))
        }
        other => V(other),
    }
}

/// A number as an index: cut down, as jq does.
fn index_of(val: &Val) -> Option<isize> {
    let number = V(val.clone());
    #[allow(clippy::cast_possible_truncation)] // Saturates.
    number.as_isize().or_else(|| number.as_f64().map(|float| float.floor() as isize))
}

/// A slice's bounds as integers: the first cut down, the second up, so that all that is touched is within.
fn bounds(range: Range<&V>) -> Range<Val> {
    let bound = |bound: Option<&V>, round: fn(f64) -> f64| {
        bound.map(|V(val)| match val {
            Val::Num(Num::Float(_) | Num::Dec(_)) => {
                #[allow(clippy::cast_possible_truncation)] // Saturates.
                Val::from(round(V(val.clone()).as_f64().unwrap_or(0.0)) as isize)
            }
            other => other.clone(),
        })
    };
    bound(range.start, f64::floor)..bound(range.end, f64::ceil)
}

/// Start and end of a slice of a list.
fn slice(range: Range<&V>, length: usize) -> Result<(usize, usize), Error<V>> {
    let bounds = bounds(range);
    let bound = |bound: Option<Val>, default: usize| match bound {
        None | Some(Val::Null) => Ok(default),
        Some(val) => match index_of(&val) {
            Some(index) if index < 0 => Ok(length.saturating_sub(index.unsigned_abs())),
            Some(index) => Ok(index.unsigned_abs().min(length)),
            None => Err(Error::typ(V(val), "integer")),
        },
    };
    let start = bound(bounds.start, 0)?;
    Ok((start, bound(bounds.end, length)?.max(start)))
}

impl ValT for V {
    fn from_num(text: &str) -> ValR<Self> {
        Val::from_num(text).map(V).map_err(fault)
    }

    fn from_map<I: IntoIterator<Item = (Self, Self)>>(entries: I) -> ValR<Self> {
        Ok(V(Val::obj(entries.into_iter().map(|(key, value)| (key.0, value.0)).collect())))
    }

    fn key_values(self) -> Box<dyn Iterator<Item = ValR<(Self, Self), Self>>> {
        Box::new(self.0.key_values().map(|entry| entry.map(|(key, value)| (V(key), V(value))).map_err(fault)))
    }

    fn values(self) -> Box<dyn Iterator<Item = ValR<Self>>> {
        Box::new(self.0.values().map(|value| value.map(V).map_err(fault)))
    }

    fn index(self, index: &Self) -> ValR<Self> {
        match (&self.0, &index.0) {
            (Val::Arr(items), Val::Num(Num::Float(_) | Num::Dec(_))) => {
                let at = index_of(&index.0).and_then(|at| position(at, items.len()));
                Ok(V(at.and_then(|at| items.get(at).cloned()).unwrap_or_default()))
            }
            _ => self.0.index(&index.0).map(V).map_err(fault),
        }
    }

    fn range(self, range: Range<&Self>) -> ValR<Self> {
        if self.0 == Val::Null {
            return Ok(self);
        }
        let bounds = bounds(range);
        self.0.range(bounds.start.as_ref()..bounds.end.as_ref()).map(V).map_err(fault)
    }

    fn map_values<'a, I: Iterator<Item = ValX<'a, Self>>>(self, opt: Opt, f: impl Fn(Self) -> I) -> ValX<'a, Self> {
        match self.0 {
            Val::Arr(items) => {
                let items = Rc::unwrap_or_clone(items).into_iter().flat_map(|item| f(V(item)));
                items.map(|item| item.map(|item| item.0)).collect::<Result<Val, _>>().map(V)
            }
            Val::Obj(map) => {
                let entries = Rc::unwrap_or_clone(map).into_iter();
                let entries = entries.filter_map(|(key, value)| f(V(value)).next().map(|value| Ok((key, value?.0))));
                Ok(V(Val::obj(entries.collect::<Result<_, Exn<_>>>()?)))
            }
            other => opt.fail(V(other), |value| Exn::from(Error::typ(value, "iterable (array or object)"))),
        }
    }

    fn map_index<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        index: &Self,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        let next = |value: Val| f(V(value)).next().transpose().map(|value| value.map(|value| value.0));
        match (self.0, &index.0) {
            (value @ (Val::Null | Val::BStr(_) | Val::TStr(_) | Val::Arr(_)), Val::Obj(ends)) => {
                let end = |name: &str| ends.get(&Val::utf8_str(name.as_bytes().to_vec())).cloned().map(V);
                let (start, end) = (end("start"), end("end"));
                V(value).map_range(start.as_ref()..end.as_ref(), opt, f)
            }
            (Val::Null, Val::TStr(_)) => Ok(V(match next(Val::Null)? {
                Some(value) => Val::obj([(index.0.clone(), value)].into_iter().collect()),
                None => Val::Null,
            })),
            (Val::Obj(mut map), key) => {
                let own = Rc::make_mut(&mut map);
                match own.get_mut(key) {
                    // Taken out, so that it is changed in place and not copied.
                    Some(place) => match next(std::mem::take(place))? {
                        Some(value) => *place = value,
                        None => {
                            own.shift_remove(key);
                        }
                    },
                    None => {
                        if let Some(value) = next(Val::Null)? {
                            own.insert(key.clone(), value);
                        }
                    }
                }
                Ok(V(Val::Obj(map)))
            }
            (value @ (Val::Null | Val::Arr(_)), Val::Num(_)) => {
                let mut items = if let Val::Arr(items) = &value { items.clone() } else { Rc::default() };
                let was_null = value == Val::Null;
                drop(value);
                let at = index_of(&index.0).unwrap_or(0);
                let Some(at) = position(at, items.len()) else {
                    let message = format!("the index {} lies before the start of the list", index.0);
                    return opt.fail(V(Val::Arr(items)), |_| Exn::from(Error::str(message)));
                };
                let own = Rc::make_mut(&mut items);
                let here = own.get_mut(at).map(std::mem::take).unwrap_or_default();
                match next(here)? {
                    Some(value) => {
                        if at >= own.len() {
                            own.resize(at.saturating_add(1), Val::Null);
                        }
                        if let Some(place) = own.get_mut(at) {
                            *place = value;
                        }
                    }
                    None if at < own.len() => {
                        own.remove(at);
                    }
                    None if was_null => return Ok(V(Val::Null)),
                    None => {}
                }
                Ok(V(Val::Arr(items)))
            }
            (value, key) => {
                let key = V(key.clone());
                opt.fail(V(value), |value| Exn::from(Error::index(value, key)))
            }
        }
    }

    fn map_range<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        range: Range<&Self>,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        let mut items = match self.0 {
            Val::Arr(items) => items,
            Val::Null => Rc::default(),
            other => return opt.fail(V(other), |value| Exn::from(Error::typ(value, "array"))),
        };
        let (start, end) = match slice(range, items.len()) {
            Ok(slice) => slice,
            Err(error) => return opt.fail(V(Val::Arr(items)), |_| Exn::from(error)),
        };
        let part: Val = items.get(start..end).unwrap_or_default().iter().cloned().collect();
        let new = match f(V(part)).next().transpose()? {
            Some(V(Val::Arr(new))) => Rc::unwrap_or_clone(new),
            Some(other) => return Err(Exn::from(Error::typ(other, "array"))),
            None => Vec::new(),
        };
        Rc::make_mut(&mut items).splice(start..end, new);
        Ok(V(Val::Arr(items)))
    }

    fn as_bool(&self) -> bool {
        self.0.as_bool()
    }

    fn into_string(self) -> Self {
        V(self.0.into_string())
    }
}

/// From the end where it is negative; `None` where that lies before the start.
fn position(at: isize, length: usize) -> Option<usize> {
    if at < 0 { length.checked_sub(at.unsigned_abs()) } else { Some(at.unsigned_abs()) }
}

impl StdT for V {
    fn into_seq<S: FromIterator<Self>>(self) -> Result<S, Self> {
        match self.0 {
            Val::Arr(items) => Ok(Rc::unwrap_or_clone(items).into_iter().map(V).collect()),
            other => Err(V(other)),
        }
    }

    fn is_int(&self) -> bool {
        self.0.is_int()
    }

    fn as_isize(&self) -> Option<isize> {
        self.0.as_isize()
    }

    fn as_f64(&self) -> Option<f64> {
        self.0.as_f64()
    }

    fn is_utf8_str(&self) -> bool {
        self.0.is_utf8_str()
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        self.0.as_bytes()
    }

    fn as_sub_str(&self, part: &[u8]) -> Self {
        V(self.0.as_sub_str(part))
    }

    fn from_utf8_bytes(bytes: impl AsRef<[u8]> + Send + 'static) -> Self {
        V(Val::from_utf8_bytes(bytes))
    }
}

macro_rules! calculate {
    ($($operator:ident $method:ident),*) => {$(
        impl std::ops::$operator for V {
            type Output = ValR<V>;
            fn $method(self, other: V) -> ValR<V> {
                computed(std::ops::$operator::$method(self.0, other.0))
            }
        }
    )*};
}

calculate!(Add add, Sub sub, Mul mul, Div div, Rem rem);

impl std::ops::Neg for V {
    type Output = ValR<V>;
    fn neg(self) -> ValR<V> {
        computed(-self.0)
    }
}

impl fmt::Display for V {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<bool> for V {
    fn from(truth: bool) -> V {
        V(Val::from(truth))
    }
}

impl From<isize> for V {
    fn from(integer: isize) -> V {
        V(Val::from(integer))
    }
}

impl From<usize> for V {
    fn from(integer: usize) -> V {
        V(Val::from(integer))
    }
}

impl From<f64> for V {
    fn from(float: f64) -> V {
        whole(Val::from(float))
    }
}

impl From<String> for V {
    fn from(text: String) -> V {
        V(Val::from(text))
    }
}

impl From<Range<V>> for V {
    fn from(range: Range<V>) -> V {
        V(Val::from(range.start.map(|start| start.0)..range.end.map(|end| end.0)))
    }
}

impl FromIterator<V> for V {
    fn from_iter<I: IntoIterator<Item = V>>(items: I) -> V {
        V(items.into_iter().map(|item| item.0).collect())
    }
}
