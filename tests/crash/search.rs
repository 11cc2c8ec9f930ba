//! Owns the search for secrets: in all that a run writes, as it is on disk and shown, and in the argv and environment of
//! processes while they run. The forms sought are a list of our own: what the library masks by is what is judged.

use crate::rehearsal::secrets;
use crate::story::{Ended, Story};
use aho_corasick::AhoCorasick;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::Value as Json;
use std::collections::{BTreeSet, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// A part of a secret of so many letters is a leak.
const PART: usize = 16;

/// What programs are given by environment, and by no other way: `permissions.env` and `to: [run:…]` of the playbooks say
/// so, since none of them takes a credential otherwise. The value that is rotated is never among them.
const GIVEN: [(&str, &str); 3] = [("GH_TOKEN", "gh"), ("INFISICAL_TOKEN", "infisical"), ("HEROKU_API_KEY", "heroku")];

/// Every way in which a secret may be written, each with the secret's beginning for the message.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let bytes = secret.as_bytes();
    let mut forms: Vec<Vec<u8>> = Vec::new();
    // Whole, and every part that is long enough to matter.
    forms.extend(bytes.windows(PART.min(bytes.len())).map(<[u8]>::to_vec));
    // Base64, wherever in a longer text it begins: the letters at both ends depend on what is beside it.
    for offset in 0..3 {
        let shifted = [&b"\0\0"[..offset], bytes].concat();
        for encoded in [STANDARD_NO_PAD.encode(&shifted), URL_SAFE_NO_PAD.encode(&shifted)] {
            let from = if offset == 0 { 0 } else { offset + 1 };
            let to = if shifted.len().is_multiple_of(3) { encoded.len() } else { encoded.len() - 1 };
            forms.push(encoded.as_bytes()[from..to].to_vec());
        }
    }
    let each = |show: &dyn Fn(u8) -> String| bytes.iter().map(|byte| show(*byte)).collect::<String>().into_bytes();
    forms.push(each(&|byte| format!("{byte:02x}")));
    forms.push(each(&|byte| format!("{byte:02X}")));
    forms.push(each(&|byte| format!("{byte:02x} ")));
    forms.push(each(&|byte| format!("{byte}, ")));
    forms.push(each(&|byte| format!("{byte},")));
    forms.push(each(&|byte| format!("\\x{byte:02x}")));
    forms.push(each(&|byte| format!("\\u{byte:04x}")));
    forms.push(each(&|byte| format!("%{byte:02X}")));
    forms.push(each(&|byte| format!("%{byte:02x}")));
    for lower in [false, true] {
        for left_alone in ["", "-_.~", "-_.~:/", "-_.~!*'()"] {
            forms.push(each(&|byte| match char::from(byte) {
                letter if letter.is_ascii_alphanumeric() || left_alone.contains(letter) => letter.to_string(),
                _ if lower => format!("%{byte:02x}"),
                _ => format!("%{byte:02X}"),
            }));
        }
    }
    let json = Json::from(secret).to_string();
    forms.push(json.trim_matches('"').as_bytes().to_vec());
    forms.push(json.trim_matches('"').replace('/', "\\/").into_bytes());
    forms.push(secret.encode_utf16().flat_map(u16::to_le_bytes).collect());
    forms.push(secret.encode_utf16().flat_map(u16::to_be_bytes).collect());
    forms.push(bytes.iter().rev().copied().collect());
    forms.sort();
    forms.dedup();
    forms
}

/// Finds secrets in bytes.
pub struct Finder {
    automaton: AhoCorasick,
    /// Of each form: the secret, shortened.
    of: Vec<String>,
}

impl Finder {
    pub fn of<'a>(secrets: impl IntoIterator<Item = &'a String>) -> Finder {
        let (mut all, mut of) = (Vec::new(), Vec::new());
        for secret in secrets {
            let own = forms(secret);
            of.extend(own.iter().map(|_| format!("{}…", &secret[..4])));
            all.extend(own);
        }
        Finder { automaton: AhoCorasick::new(all).unwrap(), of }
    }

    /// The secrets in it, with what stands around the first.
    pub fn find(&self, bytes: &[u8]) -> Option<String> {
        let found = self.automaton.find(bytes)?;
        let around = &bytes[found.start().saturating_sub(40)..found.start()];
        Some(format!("`{}` after `{}`", self.of[found.pattern().as_usize()], String::from_utf8_lossy(around)))
    }
}

/// Gathers what many stories leave behind, and the watch over the processes of the machine meanwhile.
pub struct Evidence {
    watch: Watch,
    secrets: Mutex<BTreeSet<String>>,
    /// Of the secrets that every world begins with.
    known: OnceLock<(BTreeSet<String>, Finder)>,
    found: Mutex<Vec<String>>,
    searched: AtomicU64,
    resumed: AtomicBool,
}

impl Evidence {
    pub fn new() -> Evidence {
        Evidence {
            watch: Watch::start(),
            secrets: Mutex::default(),
            known: OnceLock::new(),
            found: Mutex::default(),
            searched: AtomicU64::new(0),
            resumed: AtomicBool::new(false),
        }
    }

    /// Searches all that a story has written so far, for all that was secret in its world.
    pub fn search(&self, story: &Story) {
        let mut own: BTreeSet<String> = secrets(&story.before).into_iter().collect();
        story.played.iter().for_each(|played| own.extend(secrets(&played.state)));
        self.secrets.lock().unwrap().extend(own.iter().cloned());
        let (known, finder) = self.known.get_or_init(|| {
            let known: BTreeSet<String> = secrets(&story.before).into_iter().collect();
            let finder = Finder::of(&known);
            (known, finder)
        });
        if story.played.len() > 1 {
            self.resumed.store(true, Ordering::Relaxed);
        }
        let finders = [finder, &Finder::of(own.difference(known))];
        let mut found = Vec::new();
        let killed = story.played.last().is_some_and(|played| played.ended == Ended::Killed);
        for place in story.places() {
            // What a program is given by file is there in clear for as long as it runs. A killed process cannot take it
            // away; the next does, and until then it is nobody else's to read.
            if killed && place.ends_with("tmp") {
                found.extend(open_to_others(&place));
            } else {
                self.search_in(&place, &finders, &mut found);
            }
        }
        found.iter_mut().for_each(|text| *text = format!("{text}\n{}", story.told()));
        self.found.lock().unwrap().extend(found);
    }

    fn search_in(&self, place: &Path, finders: &[&Finder; 2], found: &mut Vec<String>) {
        for path in files(place) {
            self.searched.fetch_add(1, Ordering::Relaxed);
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // A file may go while it is looked for: what a program of a killed run still does.
            let content = std::fs::read(&path).unwrap_or_default();
            for (what, bytes) in [("is called", name.as_bytes()), ("holds", &content)] {
                for secret in finders.iter().filter_map(|finder| finder.find(bytes)) {
                    found.push(format!("{} {what} a secret: {secret}", path.display()));
                }
            }
        }
    }

    /// Every place where a secret was found, as a sentence; the watch is over with it.
    pub fn findings(self) -> Vec<String> {
        let secrets = self.secrets.into_inner().unwrap();
        let seen = self.watch.end();
        let mut found = self.found.into_inner().unwrap();
        assert!(self.searched.load(Ordering::Relaxed) > 0, "nothing was searched");
        assert!(seen.argvs.iter().any(|argv| contains(argv, b"\0run\0")), "the watch saw `runbook run`");
        if self.resumed.into_inner() {
            assert!(seen.argvs.iter().any(|argv| contains(argv, b"\0resume\0")), "the watch saw `runbook resume`");
        }
        let finder = Finder::of(&secrets);
        for argv in &seen.argvs {
            found.extend(finder.find(argv).map(|secret| format!("an argv holds a secret: {secret}")));
        }
        for Looked { argvs, environment } in &seen.processes {
            let entries = environment.split(|byte| *byte == 0).filter(|entry| !is_given(entry, argvs, &secrets));
            for entry in entries {
                let shown = String::from_utf8_lossy(&argvs[0]).replace('\0', " ");
                found.extend(finder.find(entry).map(|secret| format!("the environment of `{shown}` holds {secret}")));
            }
        }
        found
    }
}

/// Whether an entry of an environment is what its program is to be given: the whole of a known credential, under the name
/// that belongs to the program.
fn is_given(entry: &[u8], argvs: &[Vec<u8>; 2], secrets: &BTreeSet<String>) -> bool {
    let Ok(entry) = std::str::from_utf8(entry) else { return false };
    let Some((name, value)) = entry.split_once('=') else { return false };
    GIVEN.iter().any(|(variable, program)| {
        *variable == name && secrets.contains(value) && argvs.iter().any(|argv| is_program(argv, program))
    })
}

/// Whether it is a program of a world: the script on PATH, or what the script becomes.
fn is_program(argv: &[u8], program: &str) -> bool {
    let script = format!("/bin/{program}");
    argv.split(|byte| *byte == 0).any(|word| {
        word.ends_with(script.as_bytes())
            || word == format!("--name={program}").as_bytes()
            || word == program.as_bytes()
    })
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Files below a folder that do not stand in a folder of our own that is closed to others.
fn open_to_others(place: &Path) -> Vec<String> {
    let closed = |path: &Path| {
        let folder = path.strip_prefix(place).ok().and_then(|rest| rest.iter().next()).map(|first| place.join(first));
        folder.and_then(|folder| std::fs::metadata(folder).ok()).is_none_or(|found| found.mode() & 0o077 == 0)
    };
    let open = files(place).into_iter().filter(|path| !closed(path));
    open.map(|path| format!("{} is for others to read", path.display())).collect()
}

pub fn files(place: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![place.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() && !path.is_symlink() { folders.push(path) } else { files.push(path) }
        }
    }
    files
}

/// Looks at the processes of the machine again and again: the argv of all, the environment of those that let us.
struct Watch {
    seen: Arc<Mutex<Seen>>,
    over: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    argvs: HashSet<Vec<u8>>,
    processes: HashSet<Looked>,
}

#[derive(PartialEq, Eq, Hash)]
struct Looked {
    /// Before and after its environment was read: a process becomes another program in between.
    argvs: [Vec<u8>; 2],
    environment: Vec<u8>,
}

impl Watch {
    fn start() -> Watch {
        let (seen, over): (Arc<Mutex<Seen>>, Arc<AtomicBool>) = (Arc::default(), Arc::default());
        let (own, ends) = (seen.clone(), over.clone());
        let thread = std::thread::spawn(move || {
            while !ends.load(Ordering::SeqCst) {
                look(&mut own.lock().unwrap());
                // The processes that are watched need the machine too.
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        Watch { seen, over, thread }
    }

    fn end(self) -> Seen {
        self.over.store(true, Ordering::SeqCst);
        self.thread.join().unwrap();
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

fn look(seen: &mut Seen) {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = processes.filter(|entry| entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit));
    for process in numbers.map(|entry| entry.path()) {
        // A process may end while it is looked at.
        let read = |name: &str| std::fs::read(process.join(name));
        let Ok(argv) = read("cmdline") else { continue };
        if let (Ok(environment), Ok(then)) = (read("environ"), read("cmdline")) {
            seen.processes.insert(Looked { argvs: [argv.clone(), then], environment });
        }
        seen.argvs.insert(argv);
    }
}

/// The search would find it: otherwise its silence proves nothing.
#[test]
fn every_form_is_found_on_disk_and_in_processes() {
    let secret = "s3cr3t/with+all \"sorts\" of letters".to_owned();
    let finder = Finder::of([&secret]);
    for form in forms(&secret) {
        assert!(finder.find(&[b"before ", &form[..], b" after"].concat()).is_some(), "{form:?}");
    }
    assert!(finder.find(&secret.as_bytes()[3..3 + PART]).is_some(), "a part");
    for beside in ["", "a", "ab", "abc"] {
        let encoded = STANDARD_NO_PAD.encode(format!("{beside}{secret}{beside}"));
        assert!(finder.find(encoded.as_bytes()).is_some(), "{encoded}");
    }
    assert!(finder.find(&secret.as_bytes()[..PART - 1]).is_none());

    let watch = Watch::start();
    let mut child = std::process::Command::new("sleep").arg("987.654").env("WATCHED", &secret).spawn().unwrap();
    let argv = b"sleep\0987.654\0";
    crate::support::until("the watch sees a process", || {
        let seen = watch.seen.lock().unwrap();
        let holds = |looked: &Looked| looked.argvs[1] == argv && finder.find(&looked.environment).is_some();
        seen.argvs.contains(&argv[..]) && seen.processes.iter().any(holds)
    });
    child.kill().unwrap();
    child.wait().unwrap();
    watch.end();
}

/// Only the whole of a known credential, under its name, in its program.
#[test]
fn only_what_a_program_is_to_be_given_is_let_by() {
    let secrets = BTreeSet::from(["a-known-credential".to_owned()]);
    let program = |words: &str| [words.replace(' ', "\0").into_bytes(), Vec::new()];
    let gh = program("/bin/sh /tmp/world/bin/gh secret set");
    assert!(is_given(b"GH_TOKEN=a-known-credential", &gh, &secrets));
    assert!(is_given(b"GH_TOKEN=a-known-credential", &program("runbook world-program --name=gh --"), &secrets));
    assert!(!is_given(b"GH_TOKEN=a-known-credential", &program("runbook run"), &secrets));
    assert!(!is_given(b"VALUE=a-known-credential", &gh, &secrets));
    assert!(!is_given(b"GH_TOKEN=something-else-and-a-known-credential", &gh, &secrets));
    assert!(!is_given(b"INFISICAL_TOKEN=a-known-credential", &gh, &secrets));
}
