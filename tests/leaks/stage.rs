//! Owns a place to run in: the shipped world with other secrets in it, folders of the run's own, programs that note what
//! they were started with; and a collector for each channel, the same for runs that must not leak and for those that do.

use crate::evidence::{Channel, Evidence, Find, Finder};
use crate::forms::{Random, forms, secret};
use crate::rehearsal::{FOLDER, Token, raxx, secrets, shipped};
use crate::support::{AtTerminal, Folder, Program, Ran};
use runbook::world::World;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What a program is given by environment, as the playbooks say, and who gets it.
const GIVEN: [(&str, &str, &str); 3] = [
    ("GH_TOKEN", "gh", "GitHub token"),
    ("INFISICAL_TOKEN", "infisical", "Infisical token"),
    ("HEROKU_API_KEY", "heroku", "Heroku key"),
];

/// The value that is born in the middle of the run.
pub const ROLLED: &str = "rolled value";

/// How a run is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    Terminal,
    Human,
    Plain,
    PlainAndLogs,
    Json,
    JsonAndLogs,
}

impl Shown {
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Shown::Terminal | Shown::Human => &["--output", "human"],
            Shown::Plain => &["--output", "plain"],
            Shown::PlainAndLogs => &["--output", "plain", "-vvv"],
            Shown::Json => &["--output", "json"],
            Shown::JsonAndLogs => &["--output", "json", "-vvv"],
        }
    }
}

pub struct Stage {
    pub folder: Folder,
    pub world: World,
    pub evidence: Evidence,
    /// What is sought.
    pub finder: Finder,
    /// By name.
    pub secrets: BTreeMap<String, String>,
    /// Calls of the world that were searched.
    seen: usize,
    /// Whether the rolled value is let be an argument of `heroku`: the playbook says that it cannot be helped.
    pub heroku_by_argument: bool,
}

/// The world's file with other knobs: any text is a token, the rolled value is what `state.cloudflare.next` says, and
/// every call fails, with what `state.fails` says, until it is among those that are mended.
fn world() -> String {
    let mut text = raxx();
    let mut replace = |from: &str, to: &str| {
        assert_eq!(text.matches(from).count(), 1, "the world has `{from}` once");
        text = text.replace(from, to);
    };
    replace(r#"test("^Bearer ([A-Za-z0-9_-]{40}|cf(ut|at|k)_[A-Za-z0-9]{40}[0-9a-f]{8})$")"#, r#"test("^Bearer .+$")"#);
    replace(r#"if test("^[Bb]earer +[^ ]+$")"#, r#"if test("^[Bb]earer +.+$")"#);
    replace(r#"test("^([Bb]earer|[Tt]oken) +[^ ]+$")"#, r#"test("^([Bb]earer|[Tt]oken) +.+$")"#);
    replace(
        r#""cfut_\("\($fresh)\($fresh | hex(40))"[0:40])\($fresh | hex(8))" as $value"#,
        "$cf.next[$cf.rolls | length] as $value",
    );
    replace(
        "  def gate(wrong_in_body; handler): look_at_request(wrong_in_body) | .state.down[host] as $down",
        r#"  def fails(key; said; handler): (key | tojson) as $key
    | if .state.fails == null or known(.state.fails.mended; $key) then handler
      else (if (.state.cloudflare.rolls | length) > 0 then .state.fails.after else .state.fails.before end) as $how
        | .state.fails.met += [$key] | .how = $how[.calls % ($how | length)] | said end;
  def gate(wrong_in_body; handler): look_at_request(wrong_in_body)
    | fails([.request.method, host, .request.path, .request.query, header("authorization"), header("cookie"),
        (.request.json | if type == "object" then .action else null end), (.state.cloudflare.rolls | length > 0)];
      .state as $state | host as $host | .how
        # Taken for a secret that is there, it would mislead the playbook for good.
        | (if $host == "app.infisical.com" and .status == 200 then .status = 422 else . end) + {state: $state};
      unharmed(handler));
  def unharmed(handler): .state.down[host] as $down"#,
    );
    // jq wants what is called to stand before what calls it.
    let (before, rest) = text.split_once("  def gate(").unwrap();
    let (gate, rest) = rest.split_once("  def unharmed(").unwrap();
    let (unharmed, rest) = rest.split_once(";\n  # the next N calls").unwrap();
    text = format!("{before}  def unharmed({unharmed};\n  def gate({gate}  # the next N calls{rest}");
    let mut replace = |from: &str, to: &str| {
        assert_eq!(text.matches(from).count(), 1, "the world has `{from}` once");
        text = text.replace(from, to);
    };
    replace(
        "look_at_program($name) | .state.down[$home] as $down\n    | if",
        "look_at_program($name) | .state.down[$home] as $down\n    | fails([$name, .argv[0:4]]; {exit_code: 1, stdout: .how.text, stderr: .how.text, state: .state}; if",
    );
    replace(
        "\"error connecting to \\($home)\\n\", state: .state} end;",
        "\"error connecting to \\($home)\\n\", state: .state} end);",
    );
    text
}

/// Puts other texts in the place of some, wherever in a document they are.
fn exchange(json: &mut Json, others: &BTreeMap<String, String>) {
    match json {
        Json::String(text) => {
            if let Some(other) = others.get(text.as_str()) {
                *text = other.clone();
            }
        }
        Json::Array(items) => items.iter_mut().for_each(|item| exchange(item, others)),
        Json::Object(map) => map.values_mut().for_each(|item| exchange(item, others)),
        _ => {}
    }
}

impl Stage {
    /// With secrets of its own, made of the seed and a number that no other stage has.
    pub fn new(number: u64, token: &Token) -> Stage {
        let mut random = Random::of(crate::forms::seed() ^ (number << 48));
        let mut document: Json = serde_yaml::from_str(&world()).unwrap();
        let state = document["state"].take();
        let text = |pointer: &str| state.pointer(pointer).unwrap().as_str().unwrap().to_owned();
        let kept = text("/github/repos/raxx-app~1raxx/private_key");
        let named = BTreeMap::from([
            (token.value(&state), "current token"),
            (text("/tokens/3/value"), "rolling token"),
            (text("/infisical/access_tokens/0"), "Infisical token"),
            (text("/heroku/api_keys/0"), "Heroku key"),
            (text("/github/tokens/0"), "GitHub token"),
            (text("/slack/tokens/0"), "Slack token"),
            (text("/console/sessions/0"), "session"),
            (text("/console/callback_token"), "callback token"),
        ]);
        let mut others = BTreeMap::new();
        let mut by_name = BTreeMap::new();
        for (index, old) in secrets(&state).into_iter().enumerate().filter(|(_, old)| *old != kept) {
            if others.contains_key(&old) {
                continue;
            }
            let new = secret(&mut random);
            let name = named.get(&old).map_or_else(|| format!("of others, {index}"), |name| (*name).to_owned());
            by_name.insert(name, new.clone());
            others.insert(old, new);
        }
        let mut state = state;
        exchange(&mut state, &others);
        let next: Vec<String> = (0..6).map(|_| secret(&mut random)).collect();
        for (index, value) in next.iter().enumerate() {
            let name = if index == 0 { ROLLED.to_owned() } else { format!("{ROLLED}, {index}") };
            by_name.insert(name, value.clone());
        }
        state["cloudflare"]["next"] = json!(next);
        state["fails"] = Json::Null;
        document["state"] = state;

        let folder = Folder::new();
        for name in ["state", "config", "home", "tmp", "work", "noted", "given"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let file = folder.file("world.yaml", &document.to_string());
        let world = World::start(Path::new(env!("CARGO_BIN_EXE_runbook")), &file)
            .unwrap_or_else(|error| panic!("the world does not start: {error:?}"));
        let finder = Finder::of(by_name.iter().map(|(name, secret)| (name.as_str(), secret.as_str())));
        let stage = Stage {
            folder,
            world,
            evidence: Evidence::default(),
            finder,
            secrets: by_name,
            seen: 0,
            heroku_by_argument: false,
        };
        stage.note_what_programs_are_given();
        // The operator has the old value in a file: what a world says it is changes with the roll.
        stage.folder.file("given/inputs.yaml", &json!({"current_token": stage.secrets["current token"]}).to_string());
        stage
    }

    /// Every program of the world first writes down what it, the run and all that stands beside it were started with.
    fn note_what_programs_are_given(&self) {
        for program in std::fs::read_dir(self.world.stand_ins().programs).unwrap().flatten() {
            let path = program.path();
            let name = program.file_name().into_string().unwrap();
            let script = std::fs::read_to_string(&path).unwrap();
            let noted = self.path("noted").join(&name);
            let notes = format!(
                r#"#!/bin/sh
n='{}'.$$
[ -e '{1}' ] && . '{1}'
cat /proc/$$/cmdline > "$n.argv"
cat /proc/$$/environ > "$n.environ"
cat /proc/$PPID/cmdline > "$n.run" 2>/dev/null
for p in $(cat /proc/$PPID/task/*/children 2>/dev/null); do
  # A guard is a fork of the run, with its argv.
  [ "$(cksum < /proc/$p/cmdline)" = "$(cksum < "$n.run")" ] || cat /proc/$p/cmdline >> "$n.argv" 2>/dev/null
  cat /proc/$p/environ >> "$n.environ" 2>/dev/null
done
"#,
                noted.display(),
                self.path("given/child.sh").display(),
            );
            std::fs::write(&path, script.replace("#!/bin/sh\n", &notes)).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program, with folders of its own and nothing secret in its environment.
    pub fn program(&self) -> Program {
        let path = |name: &str| self.path(name).display().to_string();
        let mut program = self
            .folder
            .program()
            .env("HOME", &path("home"))
            .env("XDG_CONFIG_HOME", &path("config"))
            .env("XDG_CACHE_HOME", &path("home/.cache"))
            .env("RUNBOOK_STATE_DIR", &path("state"))
            // Nothing may leak where no kernel holds programs either; and they note what they see.
            .env("RUNBOOK_CONFINE", "off")
            .env("TMPDIR", &path("tmp"));
        program.0.current_dir(self.path("work"));
        program
    }

    /// A run of a shipped playbook in the world.
    pub fn run(&mut self, playbook: &str, shown: Shown, more: &[&str]) -> Ran {
        let playbook = shipped(&format!("{playbook}.yaml"));
        let inputs = self.path("given/inputs.yaml");
        let program = self.program().arg("run").arg(playbook).arg("--inputs").arg(inputs);
        self.play(program.args(["--world", self.world.address()]).args(more), shown)
    }

    pub fn resume(&mut self, shown: Shown, more: &[&str]) -> Ran {
        self.play(self.program().args(["resume", "last"]).args(more), shown)
    }

    /// Lets a program that was put together come to its end, and searches what it has shown.
    pub fn play(&mut self, program: Program, shown: Shown) -> Ran {
        let program = program.args(shown.arguments());
        let ran = if shown == Shown::Terminal {
            let (code, screen) = AtTerminal::start_program(program).ends();
            Ran { code, stdout: screen, stderr: String::new() }
        } else {
            program.ran()
        };
        self.search_shown(&ran, shown);
        ran
    }

    pub fn search_shown(&mut self, ran: &Ran, shown: Shown) {
        match shown {
            Shown::Terminal => self.search(Channel::Terminal, ran.stdout.as_bytes()),
            Shown::Human => self.search(Channel::HumanOutput, ran.stdout.as_bytes()),
            Shown::Plain | Shown::PlainAndLogs => self.search(Channel::PlainOutput, ran.stdout.as_bytes()),
            Shown::Json | Shown::JsonAndLogs => {
                self.search_json(Channel::JsonEvents, ran.stdout.as_bytes());
                let events = ran.stdout.lines().filter_map(|line| serde_json::from_str::<Json>(line).ok());
                let mut last = Json::Null;
                for event in events {
                    if !event["failure"].is_null() {
                        self.search_json(Channel::ErrorMessages, event["failure"].to_string().as_bytes());
                    }
                    last = event;
                }
                self.search_json(Channel::Reports, last.to_string().as_bytes());
            }
        }
        let channel = match shown {
            Shown::PlainAndLogs | Shown::JsonAndLogs => Channel::Logs,
            _ => Channel::StandardError,
        };
        self.search(channel, ran.stderr.as_bytes());
    }

    pub fn search(&mut self, channel: Channel, bytes: &[u8]) {
        let finds = self.finder.find(bytes);
        self.evidence.add(channel, bytes.len(), finds);
    }

    fn search_json(&mut self, channel: Channel, bytes: &[u8]) {
        let finds = self.finder.find_in_json(bytes);
        self.evidence.add(channel, bytes.len(), finds);
    }

    /// Searches all that is left behind by processes that have ended.
    pub fn collect(&mut self) {
        self.collect_files("state", Channel::StateFolder);
        self.collect_files("home", Channel::Home);
        self.collect_files("config", Channel::Home);
        self.collect_files("tmp", Channel::Temporary);
        self.collect_files("work", Channel::WorkingFolder);
        self.collect_notes();
        self.collect_trace();
    }

    fn collect_files(&mut self, place: &str, channel: Channel) {
        // It counts as searched where there is nothing either.
        self.evidence.add(channel, 0, Vec::new());
        for path in files(&self.path(place)) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let content = std::fs::read(&path).unwrap();
            self.search(channel, name.as_bytes());
            match name.as_str() {
                "journal.jsonl" => self.search_json(Channel::Journal, &content),
                _ if channel == Channel::StateFolder => self.search_json(channel, &content),
                _ => self.search(channel, &content),
            }
        }
    }

    fn collect_notes(&mut self) {
        for path in files(&self.path("noted")) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let content = std::fs::read(&path).unwrap();
            std::fs::remove_file(&path).unwrap();
            match name.rsplit_once('.').unwrap().1 {
                "environ" => {
                    let entries = content.split(|byte| *byte == 0);
                    let entries = entries.filter(|entry| !self.is_given(entry)).collect::<Vec<_>>().join(&0);
                    self.search(Channel::ChildEnviron, &entries);
                }
                "argv" => {
                    let mut finds = self.finder.find(&content);
                    finds.retain(|find| !self.may_be_argument(&find.secret, &name));
                    self.evidence.add(Channel::ChildArgv, content.len(), finds);
                }
                _ => self.search(Channel::RunArgv, &content),
            }
        }
    }

    /// Only the whole of it, and only under its name.
    fn is_given(&self, entry: &[u8]) -> bool {
        GIVEN.iter().any(|(variable, _, secret)| entry == format!("{variable}={}", self.secrets[*secret]).as_bytes())
    }

    fn may_be_argument(&self, secret: &str, program: &str) -> bool {
        self.heroku_by_argument && secret.starts_with(ROLLED) && program.starts_with("heroku")
    }

    fn collect_trace(&mut self) {
        let calls = self.world.calls().unwrap();
        let calls = calls.as_array().unwrap();
        for call in &calls[self.seen..] {
            let mut call = call.clone();
            let bytes = call.to_string().len();
            let mut finds = Vec::new();
            if let Some(program) = call["program"].as_str().map(ToOwned::to_owned) {
                let mut take = |name: &str| call.get_mut(name).map(Json::take).unwrap_or_default();
                let (argv, env, stdin, given) = (take("argv"), take("env"), take("stdin"), take("files"));
                let in_argv = self.finds_in(&argv).into_iter();
                finds.extend(in_argv.filter(|find| !self.may_be_argument(&find.secret, &program)));
                for (name, value) in env.as_object().unwrap() {
                    let entry = format!("{name}={}", value.as_str().unwrap());
                    let own = GIVEN.iter().any(|(variable, whose, _)| variable == name && *whose == program);
                    if !own || !self.is_given(entry.as_bytes()) {
                        finds.extend(self.finder.find(entry.as_bytes()));
                    }
                }
                let by = |channel: &str| {
                    (program.as_str(), channel) == ("gh", "stdin")
                        || (program.as_str(), channel) == ("infisical", "files")
                };
                for (channel, json) in [("stdin", stdin), ("files", given)] {
                    let given = self.finds_in(&json).into_iter();
                    finds.extend(given.filter(|find| !(by(channel) && find.secret.starts_with(ROLLED))));
                }
            } else {
                let host = call["host"].as_str().unwrap().to_owned();
                let mut allowed: Vec<Json> =
                    ["body", "json"].map(|name| call.get_mut(name).map(Json::take).unwrap_or_default()).into();
                if let Some(headers) = call["headers"].as_object_mut() {
                    allowed.extend(["authorization", "cookie"].iter().filter_map(|name| headers.remove(*name)));
                }
                for json in allowed {
                    finds.extend(self.finds_in(&json).into_iter().filter(|find| !may_see(&host, &find.secret)));
                }
            }
            finds.extend(self.finds_in(&call));
            self.evidence.add(Channel::WorldTrace, bytes, finds);
        }
        self.seen = calls.len();
    }

    fn finds_in(&self, json: &Json) -> Vec<Find> {
        self.finder.find_in_json(json.to_string().as_bytes())
    }

    /// What is told of runs afterwards.
    pub fn ask(&mut self) {
        for arguments in [&["show", "last"][..], &["show", "last", "--output", "json"], &["show", "last", "-vvv"]] {
            let ran = self.program().args(arguments).ran();
            self.search_told(Channel::Reports, arguments, &ran);
        }
        for arguments in [
            &["status"][..],
            &["status", "last"],
            &["status", "last", "--output", "json"],
            &["status", "--output", "json"],
            &["list"],
            &["list", "--output", "json"],
            &["verify", "last"],
            &["verify", "last", "--output", "json"],
            &["config"],
        ] {
            let ran = self.program().args(arguments).ran();
            self.search_told(Channel::Commands, arguments, &ran);
        }
    }

    fn search_told(&mut self, channel: Channel, arguments: &[&str], ran: &Ran) {
        assert!(
            [0, 1, 3].contains(&ran.code) && !ran.shown().is_empty(),
            "{arguments:?} {}: {}",
            ran.code,
            ran.shown()
        );
        for bytes in [&ran.stdout, &ran.stderr] {
            self.search_json(channel, bytes.as_bytes());
        }
    }

    /// Changes the world as it is now.
    pub fn patch(&self, change: impl FnOnce(&mut Json)) {
        let mut state = self.world.state().unwrap();
        change(&mut state);
        self.world.set_state(&state).unwrap();
    }

    /// Every promised form of what the run is given, of each secret some, and once it is born all of the rolled value; in
    /// `count` parts.
    pub fn said_back(&self, rolled: bool, count: usize) -> Vec<Vec<String>> {
        const TOLD: [&str; 8] = [
            "current token",
            "rolling token",
            "Infisical token",
            "Heroku key",
            "GitHub token",
            "Slack token",
            "session",
            "callback token",
        ];
        let promised = |name| forms(&self.secrets[name]).into_iter().filter(|form| form.promised).enumerate();
        // All forms of all of them would make each call of the world slow.
        let some = TOLD.into_iter().enumerate().flat_map(|(number, name)| {
            promised(name).filter(move |(index, _)| (index + number) % 3 == 0).map(|(_, form)| form)
        });
        let all = rolled.then_some(ROLLED).into_iter().flat_map(promised).map(|(_, form)| form);
        let mut parts = vec![Vec::new(); count];
        for (index, form) in some.chain(all).enumerate() {
            parts[index % count].push(String::from_utf8(form.text).unwrap());
        }
        parts
    }

    /// Fails unless nothing was found, with all that was.
    #[track_caller]
    pub fn leaks_nothing(self) -> Evidence {
        let state = self.world.state().unwrap();
        assert_eq!(state["leaks"], json!([]), "the world saw a leak");
        assert!(
            self.evidence.found.is_empty(),
            "RUNBOOK_LEAK_SEED={}\n{}",
            crate::forms::seed(),
            self.evidence.table()
        );
        self.evidence
    }

    /// Whether the new value is where it belongs, under one name at least.
    pub fn serves(&self, token: &Token) {
        let state = self.world.state().unwrap();
        let value = token.value(&state);
        let folder = FOLDER.replace('/', "~1");
        for project in token.projects {
            let place = format!("/infisical/projects/{project}/environments/prod/{folder}/{}/value", token.name);
            assert_eq!(state.pointer(&place).and_then(Json::as_str), Some(value.as_str()), "{place}");
        }
        assert!(self.secrets.iter().any(|(name, secret)| name.starts_with(ROLLED) && *secret == value));
    }
}

/// Whether a host is one that a secret is for.
fn may_see(host: &str, secret: &str) -> bool {
    let hosts: &[&str] = match secret {
        "current token" | "rolling token" => &["api.cloudflare.com"],
        "Infisical token" => &["app.infisical.com"],
        "Heroku key" => &["api.heroku.com"],
        "GitHub token" => &["api.github.com"],
        "Slack token" => &["slack.com"],
        "session" | "callback token" => &["console.raxx.app"],
        _ if secret.starts_with(ROLLED) => &["api.cloudflare.com", "app.infisical.com", "api.heroku.com"],
        _ => &[],
    };
    hosts.contains(&host)
}

fn files(place: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![place.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() && !path.is_symlink() { folders.push(path) } else { files.push(path) }
        }
    }
    files
}
