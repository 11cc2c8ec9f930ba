//! Owns the texts and numbers that stand in for a secret, to see what a computation makes of another one.
//! Deliberately knows nothing of computations.
//!
//! One stand-in alone could be foreseen: what gives the same for `a` and for what stands in for `a` would be public, and
//! a table can be made to. So there are several, and all but the first are drawn anew by each process.

use serde_json::Value as Json;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

/// How many there are for each secret.
pub const STAND_INS: usize = 3;

static CIPHERS: LazyLock<[Cipher; STAND_INS]> =
    LazyLock::new(|| [Cipher::turned(), Cipher::drawn(&mut Chance::new()), Cipher::drawn(&mut Chance::new())]);

/// Puts another character of the same kind in each one's place, the same everywhere: what is equal stays equal, and
/// patterns that only look at kinds and lengths give the same answer.
struct Cipher {
    letters: [u8; 26],
    digits: [u8; 10],
}

/// All of it, with keys and numbers. `measured`: its length tells something too, and becomes another.
pub fn replace(json: &mut Json, which: usize, measured: bool) {
    let cipher = &CIPHERS[which % STAND_INS];
    match json {
        Json::String(text) => {
            *text = text.chars().map(|c| cipher.char(c)).collect();
            if measured {
                *text = lengthened(text, which);
            }
        }
        Json::Array(items) => {
            items.iter_mut().for_each(|item| replace(item, which, measured));
            if measured {
                let more: Vec<Json> = items.iter().cycle().take(items.len() * (which + 1) + 1).cloned().collect();
                items.extend(more);
            }
        }
        Json::Object(map) => {
            *map = std::mem::take(map)
                .into_iter()
                .map(|(key, mut value)| {
                    replace(&mut value, which, measured);
                    (key.chars().map(|c| cipher.char(c)).collect(), value)
                })
                .collect();
        }
        Json::Number(number) => *json = cipher.number(number, which),
        Json::Bool(truth) => *truth = !*truth,
        Json::Null => {}
    }
}

fn lengthened(text: &str, which: usize) -> String {
    let mut long = text.repeat(which + 2);
    long.push_str(&"q".repeat(which + 1));
    long
}

impl Cipher {
    fn turned() -> Cipher {
        let turned = |index: usize, by: usize, count: usize| u8::try_from((index + by) % count).unwrap_or_default();
        Cipher {
            letters: std::array::from_fn(|index| turned(index, 7, 26)),
            digits: std::array::from_fn(|index| turned(index, 3, 10)),
        }
    }

    fn drawn(chance: &mut Chance) -> Cipher {
        Cipher { letters: one_cycle(chance), digits: one_cycle(chance) }
    }

    fn char(&self, c: char) -> char {
        let other = |table: &[u8], first: u8| char::from(first + table[usize::from(c as u8 - first)]);
        match c {
            'a'..='z' => other(&self.letters, b'a'),
            'A'..='Z' => other(&self.letters, b'A'),
            '0'..='9' => other(&self.digits, b'0'),
            'ß' => 'x',
            _ if c.is_ascii_punctuation() || c == ' ' => 'q',
            _ => 'ß',
        }
    }

    /// As its digits in a text would be, so that a text and the number that it spells stay the same.
    fn number(&self, number: &serde_json::Number, which: usize) -> Json {
        let text = number.to_string();
        let (digits, exponent) = text.split_at(text.find(['e', 'E']).unwrap_or(text.len()));
        let digits: String = digits.chars().map(|c| if c.is_ascii_digit() { self.char(c) } else { c }).collect();
        let other = format!("{digits}{exponent}");
        let whole = other.parse::<i64>().map(Json::from).or_else(|_| other.parse::<u64>().map(Json::from));
        let made = whole.or_else(|_| other.parse::<f64>().map(Json::from)).unwrap_or(Json::Null);
        match made.as_f64() == number.as_f64() {
            false => made,
            // Too large to tell its digits apart.
            true => number.as_f64().map_or(Json::Null, |number| Json::from(number * 0.37 + which as f64 + 1.0)),
        }
    }
}

/// A permutation in which nothing keeps its place.
fn one_cycle<const COUNT: usize>(chance: &mut Chance) -> [u8; COUNT] {
    let mut table: [u8; COUNT] = std::array::from_fn(|index| u8::try_from(index).unwrap_or_default());
    for last in (1..COUNT).rev() {
        table.swap(last, chance.below(last));
    }
    table
}

/// Not foreseen by who writes playbooks; nothing else is asked of it.
struct Chance {
    state: RandomState,
    drawn: u64,
}

impl Chance {
    fn new() -> Chance {
        Chance { state: RandomState::new(), drawn: 0 }
    }

    fn below(&mut self, count: usize) -> usize {
        self.drawn += 1;
        usize::try_from(self.state.hash_one(self.drawn) % count as u64).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nothing_stands_in_for_itself() {
        let all: String = (' '..='~').chain("äßñ漢\n\t".chars()).collect();
        for which in 0..STAND_INS {
            let mut other = Json::from(all.clone());
            replace(&mut other, which, false);
            let other = other.as_str().unwrap();
            assert_eq!(all.chars().count(), other.chars().count());
            assert!(all.chars().zip(other.chars()).all(|(c, other)| c == 'q' && other != 'q' || c != other), "{other}");
            for number in [json!(0), json!(7), json!(-12), json!(1.5), json!(1e300), json!(u64::MAX), json!(i64::MIN)] {
                let mut other = number.clone();
                replace(&mut other, which, false);
                assert_ne!(number.as_f64(), other.as_f64(), "{number}");
            }
        }
    }

    #[test]
    fn a_number_and_the_text_that_spells_it_stay_the_same() {
        for which in 0..STAND_INS {
            let (mut number, mut text) = (json!(83512967), json!("83512967"));
            replace(&mut number, which, false);
            replace(&mut text, which, false);
            assert_eq!(number.as_u64(), text.as_str().unwrap().parse().ok());
        }
    }
}
