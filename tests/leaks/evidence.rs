//! Owns the search: which secret is found in bytes and in which form, and per channel what was searched and found.

use crate::forms::forms;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// So many bytes of a secret, in any form, are a leak. Forms that are longer than what they stand for are sought in parts of
/// as many bytes, and are a find where enough of these follow each other.
pub const GRAM: usize = 12;

/// A way out of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    Terminal,
    PlainOutput,
    HumanOutput,
    StandardError,
    JsonEvents,
    Logs,
    Reports,
    ErrorMessages,
    Journal,
    StateFolder,
    WorldTrace,
    ChildArgv,
    ChildEnviron,
    RunArgv,
    Panic,
    Home,
    Temporary,
    WorkingFolder,
    Commands,
    Check,
}

impl Channel {
    pub const ALL: [Channel; 20] = [
        Channel::Terminal,
        Channel::PlainOutput,
        Channel::HumanOutput,
        Channel::StandardError,
        Channel::JsonEvents,
        Channel::Logs,
        Channel::Reports,
        Channel::ErrorMessages,
        Channel::Journal,
        Channel::StateFolder,
        Channel::WorldTrace,
        Channel::ChildArgv,
        Channel::ChildEnviron,
        Channel::RunArgv,
        Channel::Panic,
        Channel::Home,
        Channel::Temporary,
        Channel::WorkingFolder,
        Channel::Commands,
        Channel::Check,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Channel::Terminal => "terminal",
            Channel::PlainOutput => "plain output",
            Channel::HumanOutput => "human output, no terminal",
            Channel::StandardError => "standard error",
            Channel::JsonEvents => "JSON events",
            Channel::Logs => "logs at trace level",
            Channel::Reports => "reports (show, summaries)",
            Channel::ErrorMessages => "messages of failing steps",
            Channel::Journal => "journal",
            Channel::StateFolder => "rest of the state folder",
            Channel::WorldTrace => "world trace",
            Channel::ChildArgv => "argv of children",
            Channel::ChildEnviron => "environment of children",
            Channel::RunArgv => "argv of the run",
            Channel::Panic => "panic",
            Channel::Home => "home and XDG folders",
            Channel::Temporary => "temporary folder",
            Channel::WorkingFolder => "working folder",
            Channel::Commands => "list, status, verify",
            Channel::Check => "check",
        }
    }
}

/// A find: of which secret, and in which form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Find {
    pub secret: String,
    pub form: &'static str,
    /// What stands before it.
    pub after: String,
}

/// Finds secrets in bytes: any part that is long enough, in any form.
pub struct Finder {
    /// A bit for each hash of four bytes with which a part begins: most of what is searched begins with no other.
    begins: Vec<u64>,
    /// Of each part, the secrets and forms that have it.
    parts: HashMap<[u8; GRAM], Vec<(usize, usize)>>,
    names: Vec<String>,
    forms: Vec<&'static str>,
    /// Of each secret and form, how many bytes are a find.
    least: HashMap<(usize, usize), usize>,
}

/// How many bytes of a form stand for [`GRAM`] bytes of the secret.
fn least(form: &[u8], secret: &str) -> usize {
    (GRAM * form.len()).div_ceil(secret.len()).max(GRAM)
}

fn place(bytes: &[u8]) -> (usize, u64) {
    let four = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let hash = four.wrapping_mul(0x9e37_79b1) >> 8;
    (hash as usize / 64, 1 << (hash % 64))
}

impl Finder {
    /// Of named secrets.
    pub fn of<'a>(secrets: impl IntoIterator<Item = (&'a str, &'a str)>) -> Finder {
        let mut finder = Finder {
            begins: vec![0; (1 << 24) / 64],
            parts: HashMap::new(),
            names: Vec::new(),
            forms: Vec::new(),
            least: HashMap::new(),
        };
        for (name, secret) in secrets {
            let number = finder.names.len();
            finder.names.push(name.to_owned());
            let forms = forms(secret);
            for (index, form) in forms.iter().enumerate() {
                finder.least.insert((number, index), least(&form.text, secret));
                for part in form.text.windows(GRAM) {
                    let (word, bit) = place(part);
                    finder.begins[word] |= bit;
                    let known = finder.parts.entry(part.try_into().unwrap()).or_default();
                    if !known.contains(&(number, index)) {
                        known.push((number, index));
                    }
                }
            }
            finder.forms = forms.iter().map(|form| form.name).collect();
        }
        finder
    }

    pub fn find(&self, bytes: &[u8]) -> Vec<Find> {
        let mut finds = Vec::new();
        let mut at = 0;
        while at + GRAM <= bytes.len() {
            let Some(first) = self.parts_at(bytes, at) else {
                at += 1;
                continue;
            };
            // As far as parts follow each other they are one find, in the form that most of them have.
            let start = at;
            let mut votes: BTreeMap<(usize, usize), usize> = BTreeMap::new();
            let mut parts = Some(first);
            while let Some(known) = parts {
                known.iter().for_each(|one| *votes.entry(*one).or_default() += 1);
                at += 1;
                parts = self.parts_at(bytes, at);
            }
            let most = votes.values().copied().max().unwrap_or_default();
            let length = at - start + GRAM - 1;
            let mut likely = votes.iter().filter(|(_, count)| **count == most).map(|(one, _)| *one);
            let Some((secret, form)) = likely.find(|one| self.least[one] <= length) else { continue };
            let before = &bytes[start.saturating_sub(60)..start];
            finds.push(Find {
                secret: self.names[secret].clone(),
                form: self.forms[form],
                after: String::from_utf8_lossy(before).into_owned(),
            });
        }
        finds
    }

    fn parts_at(&self, bytes: &[u8], at: usize) -> Option<&Vec<(usize, usize)>> {
        let part = bytes.get(at..at + GRAM)?;
        let (word, bit) = place(part);
        if self.begins[word] & bit == 0 {
            return None;
        }
        self.parts.get(part)
    }

    /// As [`Finder::find`], for lines of JSON: what is found in their texts is named by its form there, and not by that
    /// which JSON gives it once more.
    pub fn find_in_json(&self, bytes: &[u8]) -> Vec<Find> {
        let mut finds = Vec::new();
        for line in bytes.split(|byte| *byte == b'\n') {
            let mut inner = Vec::new();
            if let Ok(json) = serde_json::from_slice::<Json>(line) {
                self.texts(&json, &mut inner);
            }
            finds.extend(if inner.is_empty() { self.find(line) } else { inner });
        }
        finds
    }

    fn texts(&self, json: &Json, finds: &mut Vec<Find>) {
        match json {
            Json::String(text) => finds.extend(self.find(text.as_bytes())),
            Json::Array(items) => items.iter().for_each(|item| self.texts(item, finds)),
            Json::Object(map) => map.iter().for_each(|(key, value)| {
                finds.extend(self.find(key.as_bytes()));
                self.texts(value, finds);
            }),
            _ => {}
        }
    }
}

/// What was searched and found, by channel.
#[derive(Default)]
pub struct Evidence {
    pub searched: BTreeMap<Channel, usize>,
    pub found: BTreeMap<Channel, Vec<Find>>,
}

impl Evidence {
    pub fn add(&mut self, channel: Channel, bytes: usize, finds: Vec<Find>) {
        *self.searched.entry(channel).or_default() += bytes;
        if !finds.is_empty() {
            self.found.entry(channel).or_default().extend(finds);
        }
    }

    pub fn merge(&mut self, other: Evidence) {
        other.searched.into_iter().for_each(|(channel, bytes)| self.add(channel, bytes, Vec::new()));
        other.found.into_iter().for_each(|(channel, finds)| self.add(channel, 0, finds));
    }

    /// The forms that were found, by channel.
    pub fn forms(&self) -> BTreeMap<Channel, BTreeSet<&'static str>> {
        self.found.iter().map(|(channel, finds)| (*channel, finds.iter().map(|find| find.form).collect())).collect()
    }

    pub fn table(&self) -> String {
        let mut table = format!("{:<28} {:>12} {:>6}\n", "channel", "bytes", "finds");
        for channel in Channel::ALL {
            let bytes = self.searched.get(&channel).copied().unwrap_or_default();
            let finds = self.found.get(&channel).map_or(0, Vec::len);
            table.push_str(&format!("{:<28} {bytes:>12} {finds:>6}\n", channel.name()));
        }
        for (channel, finds) in &self.found {
            let finds: BTreeSet<_> = finds.iter().collect();
            for find in finds.iter().take(12) {
                table.push_str(&format!(
                    "  {}: {}, {}, after {:?}\n",
                    channel.name(),
                    find.secret,
                    find.form,
                    find.after
                ));
            }
        }
        table
    }
}

/// Every form alone is found, as itself and nothing else, whole, in part, and beside other text.
#[test]
fn each_form_is_found_as_itself() {
    let mut random = crate::forms::Random::of(crate::forms::seed());
    for _ in 0..20 {
        let secret = crate::forms::secret(&mut random);
        let finder = Finder::of([("s", secret.as_str())]);
        for form in forms(&secret) {
            let finds = finder.find(&[b"before ", &form.text[..], b" after"].concat());
            let found: Vec<_> = finds.iter().map(|find| find.form).collect();
            assert_eq!(found, [form.name], "of {secret}");
            for part in form.text.windows(least(&form.text, &secret)) {
                assert_eq!(finder.find(part).len(), 1);
            }
            assert!(finder.find(&form.text[..GRAM - 1]).is_empty());
        }
        for beside in ["", "a", "ab", "abc"] {
            let encoded =
                base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("{beside}{secret}{beside}"));
            assert_eq!(finder.find(encoded.as_bytes()).len(), 1, "{encoded}");
        }
        let line = serde_json::json!({"a": [secret], (secret.as_str()): 1}).to_string();
        let finds = finder.find_in_json(line.as_bytes());
        assert_eq!(finds.iter().map(|find| find.form).collect::<Vec<_>>(), ["plain", "plain"]);
    }
}
