//! Owns what a case file says: `tests/hostile/README.md` is its reference.
//! Deliberately knows nothing of how it is done.

use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Playbook,
    Answer,
    Program,
}

pub struct Case {
    pub kind: Kind,
    /// Below `tests/hostile/playbooks` and its like.
    pub path: String,
    pub told: Told,
    /// The playbook or the script, without the header.
    pub text: String,
    /// What lies beside it, in the folder `NAME.files`.
    pub files: PathBuf,
}

/// One text or a list of them.
#[derive(Default)]
pub struct Texts(pub Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Texts, D::Error> {
        match Value::deserialize(from)? {
            Value::String(one) => Ok(Texts(vec![one])),
            Value::Array(many) => many
                .into_iter()
                .map(|text| text.as_str().map(str::to_string).ok_or_else(|| serde::de::Error::custom("no text")))
                .collect::<Result<_, _>>()
                .map(Texts),
            _ => Err(serde::de::Error::custom("neither a text nor a list of texts")),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Told {
    /// What whoever made it hopes for.
    pub tries: String,
    pub exit: i32,
    #[serde(default)]
    pub says: Texts,
    #[serde(default)]
    pub never: Texts,
    /// Requests that arrive, as `GET /path`; for answers they are not judged where this is absent.
    pub sent: Option<Texts>,
    /// What these requests must have in them, head and body.
    #[serde(default)]
    pub receives: Texts,
    #[serde(default)]
    pub never_receives: Texts,

    /// `run` or `check`, or all arguments where it is not about a playbook.
    #[serde(default)]
    pub command: Texts,
    #[serde(default)]
    pub arguments: Vec<String>,
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    #[serde(default)]
    pub without_env: Vec<String>,
    /// The name that the playbook is stored under, where it is not the case's own.
    #[serde(rename = "as")]
    pub stored_as: Option<String>,
    /// Words, and what is put in their place in the playbook and the files.
    #[serde(default)]
    pub put: BTreeMap<String, Filling>,
    pub encoding: Option<String>,
    /// Links, each with what it points at.
    #[serde(default)]
    pub link: BTreeMap<String, String>,
    #[serde(default)]
    pub fifo: Vec<String>,
    #[serde(default)]
    pub folder: Vec<String>,
    #[serde(default)]
    pub mode: BTreeMap<String, String>,
    /// One request after another is answered by the next of these, the last one again and again.
    #[serde(default)]
    pub answers: Vec<Vec<Piece>>,
    /// Keys that are added to the generic step.
    #[serde(default)]
    pub step: BTreeMap<String, Value>,
    /// Keys that are added to the generic step's action.
    #[serde(default)]
    pub action: BTreeMap<String, Value>,
    /// Files that it may make in its own folder.
    #[serde(default)]
    pub makes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub enum Filling {
    Hex { hex: String },
    Repeat { text: String, times: usize },
    Text(String),
}

impl Filling {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Filling::Hex { hex } => unhex(hex),
            Filling::Repeat { text, times } => text.repeat(*times).into_bytes(),
            Filling::Text(text) => text.clone().into_bytes(),
        }
    }
}

/// A piece of an answer.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Piece {
    Text(String),
    Hex(String),
    Repeat {
        text: String,
        times: usize,
    },
    /// `{n}` in the text is the number of the turn.
    Count {
        text: String,
        times: usize,
    },
    /// Until the client goes away.
    Endless(String),
    /// A letter now and then, until the client goes away.
    Drip(String),
    Gzip {
        text: String,
        times: usize,
        #[serde(default = "one")]
        layers: usize,
    },
    /// One gzip member that unpacks to this letter again and again, until the client goes away.
    GzipEndless(String),
    /// Nothing more, until the client goes away.
    Hold,
    /// The connection is reset.
    Reset,
    /// The request's head and body.
    Echo,
}

fn one() -> usize {
    1
}

pub fn unhex(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// All cases of a kind, by their paths.
pub fn all(kind: Kind) -> Vec<Case> {
    let (folder, end) = match kind {
        Kind::Playbook => ("playbooks", "yaml"),
        Kind::Answer => ("answers", "yaml"),
        Kind::Program => ("programs", "sh"),
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile").join(folder);
    let mut paths = Vec::new();
    collect(&root, end, &mut paths);
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let mut case = Case::read(
                kind,
                &format!("{folder}/{}", path.strip_prefix(&root).unwrap().display()),
                &std::fs::read_to_string(&path).unwrap(),
            );
            case.files = path.with_extension("files");
            case
        })
        .collect()
}

fn collect(folder: &Path, end: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() && path.extension().is_none_or(|end| end != "files") {
            collect(&path, end, found);
        } else if path.extension().is_some_and(|found| found == end) {
            found.push(path);
        }
    }
}

impl Case {
    /// Tells of a case file that is none by a panic.
    pub fn read(kind: Kind, path: &str, text: &str) -> Case {
        let (header, rest) = match kind {
            Kind::Answer => (text.to_string(), ""),
            Kind::Playbook | Kind::Program => {
                let lines = || text.split_inclusive('\n').take_while(|line| line.starts_with('#'));
                let header = lines()
                    .filter(|line| !line.starts_with("#!"))
                    .map(|line| line.strip_prefix("# ").or(line.strip_prefix('#')).unwrap_or(line))
                    .collect();
                (header, &text[lines().map(str::len).sum()..])
            }
        };
        let told: Value = serde_yaml::from_str(&header).unwrap_or_else(|error| panic!("{path}: {error}\n{header}"));
        let told = serde_json::from_value(told).unwrap_or_else(|error| panic!("{path}: {error}\n{header}"));
        Case { kind, path: path.to_string(), told, text: rest.to_string(), files: PathBuf::from("/nonexistent") }
    }

    pub fn name(&self) -> &str {
        let file = self.path.rsplit('/').next().unwrap();
        file.rsplit_once('.').map_or(file, |(name, _)| name)
    }

    /// A text with everything put in its place; `places` are words of the runner.
    pub fn filled(&self, text: &[u8], places: &[(&str, &str)]) -> Vec<u8> {
        let mut text = text.to_vec();
        for (word, place) in places {
            text = replaced(&text, word.as_bytes(), place.as_bytes());
        }
        for (word, filling) in &self.told.put {
            text = replaced(&text, word.as_bytes(), &filling.bytes());
        }
        text
    }

    /// The playbook that does the case, as a text still to be filled.
    pub fn playbook(&self) -> String {
        let mut step = json!({"id": "ask", "capture": {}});
        let (action, permissions) = match self.kind {
            Kind::Playbook => return self.text.clone(),
            Kind::Answer => {
                step["expect"] = json!([
                    {"jq": ".", "equals": "never"}, {"jsonpath": "$.a", "equals": "never"},
                    {"body": true, "equals": "never"}, {"header": "x-hostile", "equals": "never"},
                    {"header": "set-cookie", "equals": "never"}, {"header": "location", "equals": "never"}
                ]);
                step["http"] = json!({
                    "url": "http://ADDRESS/", "cookies": true, "timeout": "10s",
                    "headers": {"x-token": "{{ token }}"}
                });
                ("http", json!({"net": ["http://ADDRESS"]}))
            }
            Kind::Program => {
                step["expect"] = json!([{"stdout": "never"}, {"stderr": "never"}, {"jq": ".", "equals": "never"}]);
                step["exec"] = json!({
                    "argv": ["bash", "script.sh"], "timeout": "20s", "env": {"TOKEN": "{{ token }}"}
                });
                ("exec", json!({"run": ["bash"], "env": ["TOKEN"], "read": ["script.sh"]}))
            }
        };
        step["capture"] = match self.kind {
            Kind::Program => json!({"said": {"from": "stdout", "default": "nothing"}}),
            _ => json!({"said": {"from": "body", "default": "nothing"}}),
        };
        for (key, value) in &self.told.action {
            step[action][key] = value.clone();
        }
        for (key, value) in &self.told.step {
            step[key] = value.clone();
        }
        let mut playbook = json!({
            "runbook": 1, "name": self.name(),
            "inputs": {"token": {"type": "secret", "env": "SECRET"}},
            "permissions": permissions,
            "steps": [step],
            "finally": [{"name": "it said {{ said | default(value='') | truncate(length=500) }}", "assert": ["true"]}],
        });
        if step_has_no_said(&playbook) {
            playbook.as_object_mut().unwrap().remove("finally");
        }
        format!("{playbook:#}\n")
    }
}

fn step_has_no_said(playbook: &Value) -> bool {
    playbook["steps"][0]["capture"].get("said").is_none()
}

fn replaced(text: &[u8], word: &[u8], by: &[u8]) -> Vec<u8> {
    let mut all = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with(word) {
            all.extend_from_slice(by);
            at += word.len();
        } else {
            all.push(text[at]);
            at += 1;
        }
    }
    all
}
