//! Owns one rotation in the world `raxx`: what is different in it, the run, and what must hold whatever becomes of it.

use crate::support::{Folder, Program, Ran};
use base64::Engine;
use runbook::world::World;
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};

pub const FOLDER: &str = "/MooseQuest/cloudflare";

/// The three tokens: name, legacy name, place in the world's list, playbook, its deprecated twin.
pub struct Token {
    pub name: &'static str,
    pub legacy: &'static str,
    pub index: usize,
    pub playbook: &'static str,
    pub projects: &'static [&'static str],
    pub apps: &'static [&'static str],
    pub repository: Option<&'static str>,
}

pub const DEPLOY: Token = Token {
    name: "CF_PAGES_DEPLOY",
    legacy: "CLOUDFLARE_RAXX_AUTOMATION_API_TOKEN",
    index: 0,
    playbook: "cf-pages-deploy",
    projects: &["raptor-backend", "github-actions"],
    apps: &["raxx-api-prod", "raxx-api-staging"],
    repository: Some("raxx-app/raxx"),
};
pub const ACCESS: Token = Token {
    name: "CF_ACCESS_MGMT",
    legacy: "CLOUDFLARE_ACCESS_MGMT_TOKEN",
    index: 1,
    playbook: "cf-access-mgmt",
    projects: &["console"],
    apps: &["raxx-console-prod"],
    repository: None,
};
pub const READ: Token = Token {
    name: "CF_PAGES_READ",
    legacy: "CLOUDFLARE_PAGES_READ_TOKEN",
    index: 2,
    playbook: "cf-pages-read",
    projects: &["console", "raptor-backend"],
    apps: &[],
    repository: None,
};

/// The path of a shipped file below `playbooks/`.
pub fn shipped(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("playbooks").join(path)
}

/// The world file as it is shipped, but for its pace: a twentieth of the waits.
pub fn raxx() -> String {
    let text = std::fs::read_to_string(shipped("worlds/raxx.yaml")).unwrap();
    let quick = text.replace("pace: 0.02", "pace: 0.001");
    assert_ne!(text, quick);
    quick
}

/// A world that is up, and a folder to run in.
pub struct Rehearsal {
    pub world: World,
    pub folder: Folder,
    pub before: Json,
    arguments: Vec<String>,
    inputs: serde_json::Map<String, Json>,
}

impl Rehearsal {
    pub fn new() -> Rehearsal {
        Rehearsal::in_world(&raxx())
    }

    pub fn in_world(text: &str) -> Rehearsal {
        let folder = Folder::new();
        let file = folder.file("world.yaml", text);
        let world = World::start(Path::new(env!("CARGO_BIN_EXE_runbook")), &file)
            .unwrap_or_else(|error| panic!("the world does not start: {error:?}"));
        let before = world.state().unwrap();
        Rehearsal { world, folder, before, arguments: Vec::new(), inputs: serde_json::Map::new() }
    }

    /// Changes the world before the run.
    pub fn patch(mut self, change: impl FnOnce(&mut Json)) -> Rehearsal {
        change(&mut self.before);
        self.world.set_state(&self.before).unwrap();
        self
    }

    /// Changes the world as it is now, after a run.
    pub fn patch_now(self, change: impl FnOnce(&mut Json)) -> Rehearsal {
        let before = self.after();
        Rehearsal { before, ..self }.patch(change)
    }

    pub fn set(self, text: &str) -> Rehearsal {
        self.with(&["--set", text])
    }

    pub fn with(mut self, arguments: &[&str]) -> Rehearsal {
        self.arguments.extend(arguments.iter().map(|text| (*text).to_owned()));
        self
    }

    /// Gives an input by file: secrets too.
    pub fn input(mut self, name: &str, value: impl Into<Json>) -> Rehearsal {
        self.inputs.insert(name.into(), value.into());
        self
    }

    /// The run, and that it kept to the rules that hold however it ends: nothing leaked in the world, no secret shown.
    #[track_caller]
    pub fn run(&self, playbook: &str) -> Ran {
        self.judged(self.program(playbook).ran())
    }

    /// The run, not yet started.
    pub fn program(&self, playbook: &str) -> Program {
        let inputs = self.folder.file("inputs.yaml", &json!(self.inputs).to_string());
        let program = self.folder.program().arg("run").arg(shipped(&format!("{playbook}.yaml")));
        program.args(["--world", self.world.address()]).arg("--inputs").arg(inputs).args(&self.arguments)
    }

    /// Goes on with the last run, with no more than what its record says.
    #[track_caller]
    pub fn resume(&self, arguments: &[&str]) -> Ran {
        self.judged(self.folder.program().args(["resume", "last"]).args(arguments).ran())
    }

    #[track_caller]
    fn judged(&self, ran: Ran) -> Ran {
        let after = self.world.state().unwrap();
        assert_eq!(after["leaks"], json!([]), "{}", ran.shown());
        hides_all(&ran, secrets(&after).iter().chain(secrets(&self.before).iter()));
        ran
    }

    pub fn after(&self) -> Json {
        self.world.state().unwrap()
    }
}

/// No secret in what was shown: neither as it is nor in base64.
#[track_caller]
pub fn hides_all<'a>(ran: &Ran, secrets: impl Iterator<Item = &'a String>) {
    let shown = ran.shown();
    for secret in secrets {
        let encoded = base64::engine::general_purpose::STANDARD_NO_PAD.encode(secret);
        // The last letters depend on what follows in the same base64 text.
        for form in [secret.as_str(), &encoded[..encoded.len() - 4]] {
            assert!(!shown.contains(form), "a secret is shown, `{}…`:\n{}", &secret[..4], shown.replace(form, "!!!"));
        }
    }
}

/// Every secret in a state of the world.
pub fn secrets(state: &Json) -> Vec<String> {
    let mut found = Vec::new();
    let mut add = |json: &Json| match json {
        Json::String(text) => found.push(text.clone()),
        Json::Array(all) => found.extend(all.iter().map(|item| item.as_str().unwrap().to_owned())),
        _ => panic!("no secret here: {json}"),
    };
    for token in state["tokens"].as_array().unwrap() {
        add(&token["value"]);
        token["retired"].as_array().into_iter().flatten().for_each(|old| add(&old["value"]));
    }
    for app in state["heroku"]["apps"].as_object().unwrap().values() {
        add(&app["config"]["DATABASE_URL"]);
    }
    for place in [
        "/infisical/access_tokens",
        "/infisical/identities/0/client_secret",
        "/heroku/api_keys",
        "/heroku/apps/raxx-console-prod/config/SESSION_KEY",
        "/github/tokens",
        "/github/repos/raxx-app~1raxx/private_key",
        "/github/repos/raxx-app~1raxx/secrets/NPM_TOKEN/value",
        "/slack/tokens",
        "/console/sessions",
        "/console/callback_token",
    ] {
        add(state.pointer(place).unwrap());
    }
    found
}

/// Where a state holds `text`, as JSON Pointers; what has been and is no more (history, releases) is left out.
pub fn places_of(state: &Json, text: &str) -> Vec<String> {
    fn search(json: &Json, at: String, text: &str, found: &mut Vec<String>) {
        match json {
            Json::String(own) if own.contains(text) => found.push(at),
            Json::Array(items) => {
                items.iter().enumerate().for_each(|(index, item)| search(item, format!("{at}/{index}"), text, found));
            }
            Json::Object(map) => map
                .iter()
                .filter(|(key, _)| !["retired", "history", "releases"].contains(&key.as_str()))
                .for_each(|(key, value)| {
                    search(value, format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), text, found);
                }),
            _ => {}
        }
    }
    let mut found = Vec::new();
    search(state, String::new(), text, &mut found);
    found.sort();
    found
}

impl Token {
    pub fn value(&self, state: &Json) -> String {
        state["tokens"][self.index]["value"].as_str().unwrap().to_owned()
    }

    /// Everywhere the value belongs, under both names.
    pub fn places(&self) -> Vec<String> {
        let mut places = vec![format!("/tokens/{}/value", self.index)];
        let folder = FOLDER.replace('/', "~1");
        for name in [self.name, self.legacy] {
            places.extend(
                self.projects
                    .iter()
                    .map(|project| format!("/infisical/projects/{project}/environments/prod/{folder}/{name}/value")),
            );
            places.extend(self.apps.iter().map(|app| format!("/heroku/apps/{app}/config/{name}")));
            places.extend(
                self.repository
                    .map(|repository| format!("/github/repos/{}/secrets/{name}/value", repository.replace('/', "~1"))),
            );
        }
        places.sort();
        places
    }
}
