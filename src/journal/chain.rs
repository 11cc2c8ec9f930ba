//! Owns the lines of a journal as bytes: numbered, each with a CRC and the SHA-256 of the line before it.
//! Deliberately knows nothing of files.

use super::record::{FORMAT, Line, Record};
use crate::digest::sha256_hex;
use crate::plan::duration::{parse_moment, show_moment};
use serde_json::Value as Json;
use std::time::SystemTime;

/// Before the CRC's own digits, and how long all of it is.
const CRC: &str = ",\"crc\":\"";
const CRC_LENGTH: usize = CRC.len() + 8 + 2;

/// Where a chain of lines stands.
#[derive(Clone, Debug)]
pub struct Chain {
    next: u64,
    prev: String,
}

/// What is wrong with a journal, beyond a last line that was torn.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {record}: {what}")]
pub struct Damage {
    /// Number of the line, from 1.
    pub record: u64,
    pub what: String,
}

impl Default for Chain {
    fn default() -> Chain {
        Chain { next: 1, prev: "0".repeat(64) }
    }
}

impl Chain {
    /// The record as the chain's next line, with its line break. `mask` has the last word on its free texts; never on what
    /// names or orders things, which a secret may happen to be spelt like.
    pub fn link(&mut self, at: SystemTime, record: &Record, mask: impl Fn(&str) -> String) -> Vec<u8> {
        // A record of ours is an object, and has no map whose keys are no strings.
        let mut json = serde_json::to_value(record).unwrap_or_default();
        mask_texts(&mut json, false, &mask);
        let json = json.to_string();
        let body = json.strip_prefix('{').unwrap_or_default().strip_suffix('}').unwrap_or_default();
        let at = show_moment(at);
        let mut line = format!("{{\"n\":{},\"prev\":\"{}\",\"at\":\"{at}\",{body}", self.next, self.prev);
        let crc = crc32fast::hash(line.as_bytes());
        line.push_str(&format!("{CRC}{crc:08x}\"}}"));
        self.step(line.as_bytes());
        line.push('\n');
        line.into_bytes()
    }

    /// Reads the chain's next line, given without its line break.
    pub fn follow(&mut self, line: &[u8]) -> Result<(SystemTime, Record), Damage> {
        let damage = |what: &str| Damage { record: self.next, what: what.into() };
        let (body, crc) = line.split_at(line.len().saturating_sub(CRC_LENGTH));
        let wanted = format!("{CRC}{:08x}\"}}", crc32fast::hash(body));
        if crc != wanted.as_bytes() {
            return Err(damage("it was changed or cut: its CRC is not that of its text"));
        }
        let line_of: Line =
            serde_json::from_slice(line).map_err(|error| damage(&format!("it cannot be read: {error}")))?;
        if line_of.n != self.next {
            return Err(damage(&format!("its number is {}", line_of.n)));
        }
        if line_of.prev != self.prev {
            return Err(damage("the record before it is not the one that it was written after"));
        }
        if let Record::RunStarted(started) = &line_of.record
            && started.format > FORMAT
        {
            return Err(damage(&format!(
                "it is of format {}, and this program reads up to {FORMAT}: use a newer one",
                started.format
            )));
        }
        let at = parse_moment(&line_of.at).ok_or_else(|| damage("its time is none"))?;
        self.step(line);
        Ok((at, line_of.record))
    }

    fn step(&mut self, line: &[u8]) {
        self.prev = sha256_hex(line);
        self.next += 1;
    }

    /// How many lines there are.
    pub fn length(&self) -> u64 {
        self.next - 1
    }
}

/// Keys of records under which there is free text, at whatever depth.
const TEXTS: [&str; 18] = [
    "title",
    "reason",
    "message",
    "detail",
    "excerpt",
    "help",
    "text",
    "expected",
    "actual",
    "changes",
    "perhaps_changed",
    "warnings",
    "by_hand",
    "rollback",
    "outputs",
    "json",
    "by",
    "actor",
];

fn mask_texts(json: &mut Json, is_text: bool, mask: &impl Fn(&str) -> String) {
    match json {
        Json::String(text) if is_text => *text = mask(text),
        Json::Array(items) => items.iter_mut().for_each(|item| mask_texts(item, is_text, mask)),
        Json::Object(map) => {
            for (key, value) in map {
                mask_texts(value, is_text || TEXTS.contains(&key.as_str()), mask);
            }
        }
        _ => {}
    }
}

/// A journal's records.
#[derive(Debug)]
pub struct Reading {
    pub records: Vec<(SystemTime, Record)>,
    pub chain: Chain,
    /// Bytes up to the end of the last whole line.
    pub length: usize,
    /// Bytes after it: a last line that was being written when the process or the machine went.
    pub torn: usize,
}

/// Reads all lines. What follows the last line break is torn, and no damage.
pub fn read(bytes: &[u8]) -> Result<Reading, Damage> {
    let mut chain = Chain::default();
    let mut records = Vec::new();
    let length = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    for line in bytes[..length].split_inclusive(|byte| *byte == b'\n') {
        records.push(chain.follow(&line[..line.len() - 1])?);
    }
    Ok(Reading { records, chain, length, torn: bytes.len() - length })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(count: usize) -> Vec<u8> {
        let mut chain = Chain::default();
        let record = |n: usize| Record::Warning { message: format!("number {n}") };
        (0..count).flat_map(|n| chain.link(SystemTime::UNIX_EPOCH, &record(n), str::to_string)).collect()
    }

    #[test]
    fn what_was_written_is_read() {
        let reading = read(&lines(3)).unwrap();
        assert_eq!(reading.records.len(), 3);
        assert_eq!(reading.records[2].1, Record::Warning { message: "number 2".into() });
        assert_eq!((reading.chain.length(), reading.torn), (3, 0));
    }

    #[test]
    fn a_torn_last_line_is_left_out_wherever_it_was_torn() {
        let whole = lines(3);
        let two = lines(2).len();
        for length in two..whole.len() {
            let reading = read(&whole[..length]).unwrap();
            assert_eq!((reading.records.len(), reading.length, reading.torn), (2, two, length - two), "{length}");
        }
    }

    #[test]
    fn every_changed_byte_is_damage() {
        let whole = lines(3);
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            // Without its line break the last line is torn rather than changed.
            assert!(read(&changed).is_err() || at == whole.len() - 1, "byte {at}");
        }
    }

    #[test]
    fn a_line_that_is_gone_added_or_moved_is_damage() {
        let whole = lines(4);
        let all: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
        let told = |order: &[usize]| {
            let bytes: Vec<u8> = order.iter().flat_map(|at| all[*at].to_vec()).collect();
            read(&bytes).map(|_| ()).map_err(|damage| damage.record)
        };
        assert_eq!(told(&[0, 1, 2, 3]), Ok(()));
        assert_eq!(told(&[0, 2, 3]), Err(2));
        assert_eq!(told(&[1, 2, 3]), Err(1));
        assert_eq!(told(&[0, 1, 1, 2]), Err(3));
        assert_eq!(told(&[0, 2, 1, 3]), Err(2));
    }

    #[test]
    fn a_line_made_again_with_its_own_crc_breaks_the_chain_after_it() {
        let whole = lines(2);
        let mut forged = Chain::default().link(
            SystemTime::UNIX_EPOCH,
            &Record::Warning { message: "another".into() },
            str::to_string,
        );
        forged.extend_from_slice(&whole[lines(1).len()..]);
        assert_eq!(read(&forged).unwrap_err().record, 2);
    }
}
