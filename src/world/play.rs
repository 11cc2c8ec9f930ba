//! Owns a world at play: the one state, the fakes asked about it, the record of what was asked.
//! Deliberately knows nothing of sockets. Everything here happens one at a time, which makes state changes atomic.

use super::calls::Calls;
use super::fresh::fresh;
use super::hosts::Host;
use super::programs::Player;
use super::reply::{Exit, Reply, fields, take};
use super::scene::{Scene, Supply};
use crate::playbook::document::Named;
use serde_json::{Map, Value as Json, json};

/// What a fake cannot be blamed for on anybody else: the status of a world's own mistakes.
pub const BROKEN: u16 = 599;

pub struct Play {
    scene: Scene,
    state: Json,
    calls: Calls,
}

/// One HTTP request to a host of the world.
pub struct Request {
    pub method: String,
    /// As in the request, lower case.
    pub host: String,
    /// As it was sent, without the query.
    pub path: String,
    pub query: Json,
    pub headers: Json,
    pub body: String,
}

impl Play {
    pub fn new(mut scene: Scene) -> Play {
        let state = std::mem::take(&mut scene.state);
        Play { scene, state, calls: Calls::default() }
    }

    pub fn state(&self) -> &Json {
        &self.state
    }

    pub fn set_state(&mut self, state: Json) {
        self.state = state;
    }

    pub fn calls(&self) -> Json {
        self.calls.shown()
    }

    /// Answers a request, and keeps it.
    pub fn request(&mut self, request: Request) -> Reply {
        let now = now();
        let (reply, error) = match self.answer_request(&request, &now) {
            Ok(reply) => (reply, None),
            Err(message) => (Reply::text(BROKEN, format!("runbook world: {message}\n")), Some(message)),
        };
        let Request { method, host, path, query, headers, body } = request;
        let mut call = map(json!({"host": host, "method": method, "path": path, "query": query, "headers": headers}));
        call.insert("body".to_owned(), body.into());
        call.insert("status".to_owned(), reply.status.into());
        self.keep(now, call, error);
        reply
    }

    fn answer_request(&mut self, request: &Request, now: &str) -> Result<Reply, String> {
        let Request { method, host, path, query, headers, body } = request;
        let fakes = match find(&self.scene.hosts, host) {
            Some(Host::Fakes(fakes)) => fakes,
            Some(Host::Forward(url)) => return Err(format!("`{host}` is forwarded: ask {url}")),
            None => {
                eprintln!("runbook world: no host `{host}` for {method} {path}");
                return Ok(Reply::json(421, &json!({"error": "no such host in this world"})));
            }
        };
        let matched = fakes.iter().find_map(|fake| Some((fake, fake.pattern.matches(method, path)?)));
        let Some((fake, params)) = matched else {
            // Said aloud, since a playbook may well take it for a provider's own answer.
            eprintln!("runbook world: no route for {method} {host}{path}");
            return Ok(Reply::json(404, &json!({"error": "no route in this world"})));
        };
        let input = json!({
            "request": {
                "method": method, "host": host, "path": path, "query": query, "headers": headers, "body": body,
                "json": serde_json::from_str::<Json>(body).unwrap_or(Json::Null),
            },
            "params": params, "state": self.state, "fresh": fresh(), "now": now, "calls": self.calls.count(),
        });
        let answer = fake.answer.run(input).map_err(|error| error.0);
        let (reply, state) = answer
            .and_then(Reply::read)
            .map_err(|message| format!("the fake `{}` of {host} failed: {message}", fake.route))?;
        self.state = state.unwrap_or_else(|| std::mem::take(&mut self.state));
        Ok(reply)
    }

    /// Answers for a program, and keeps the call. `asked` is `{argv, env, stdin, files}`.
    pub fn program(&mut self, name: &str, asked: Map<String, Json>) -> Result<Exit, String> {
        let Some(Player::Fake(fake)) = self.scene.programs.get(name) else {
            return Err(format!("there is no fake of `{name}` in this world"));
        };
        let now = now();
        let mut input = asked.clone();
        let more = json!({"state": self.state, "fresh": fresh(), "now": now, "calls": self.calls.count()});
        input.extend(map(more));
        let answer = fake.run(Json::Object(input)).map_err(|error| error.0);
        let exit = answer.and_then(Exit::read).map_err(|message| format!("the fake of `{name}` failed: {message}"));
        let mut call = Map::from_iter([("program".to_owned(), name.into())]);
        call.extend(asked);
        let exit = exit.map(|(exit, state)| {
            self.state = state.unwrap_or_else(|| std::mem::take(&mut self.state));
            call.insert("exit_code".to_owned(), exit.exit_code.into());
            exit
        });
        self.keep(now, call, exit.as_ref().err().cloned());
        exit
    }

    fn keep(&mut self, now: String, mut call: Map<String, Json>, error: Option<String>) {
        if let Some(error) = error {
            eprintln!("runbook world: {error}");
            call.insert("error".to_owned(), error.into());
        }
        self.calls.add(now, call);
    }

    /// The stand-in for an input, if the world has one.
    pub fn input(&self, name: &str, known: Json) -> Result<Option<Json>, String> {
        match self.scene.inputs.get(name) {
            None => Ok(None),
            Some(Supply::Literal(json)) => Ok(Some(json.clone())),
            Some(Supply::Jq(program)) => program
                .run(json!({"state": self.state, "inputs": known}))
                .map(Some)
                .map_err(|error| format!("the world's input `{name}` failed: {}", error.0)),
        }
    }

    /// What the person does at a manual step, if the world says. `asked` is `{step, ask, instructions, inputs}`.
    pub fn answer(&mut self, asked: Map<String, Json>) -> Result<Option<Json>, String> {
        let step = asked.get("step").and_then(Json::as_str).unwrap_or("").to_owned();
        let program = match self.scene.answers.get(&step) {
            None => return Ok(None),
            Some(Supply::Literal(answers)) => return Ok(Some(answers.clone())),
            Some(Supply::Jq(program)) => program,
        };
        let mut input = asked;
        input.extend(map(json!({"state": self.state, "fresh": fresh(), "now": now()})));
        let failed = |message: String| format!("the world's answer to `{step}` failed: {message}");
        let answer = program.run(Json::Object(input)).map_err(|error| failed(error.0))?;
        let mut answer = fields(answer, &["answers", "state"]).map_err(failed)?;
        let answers = match take(&mut answer, "answers") {
            None => Json::Object(Map::new()),
            Some(answers @ Json::Object(_)) => answers,
            Some(_) => return Err(failed("`answers` is not a map".to_owned())),
        };
        self.state = take(&mut answer, "state").unwrap_or_else(|| std::mem::take(&mut self.state));
        Ok(Some(answers))
    }
}

/// The host a request is for: by `name:port` where the world says so, else by name. A default port is never sent, and
/// whether it would be 80 or 443 cannot be told here.
fn find<'a>(hosts: &'a Named<Host>, host: &str) -> Option<&'a Host> {
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let names = match host.rsplit_once(':').filter(|(_, port)| is_port(port)) {
        Some((name, _)) => vec![host.to_owned(), name.to_owned()],
        None => vec![host.to_owned(), format!("{host}:443"), format!("{host}:80")],
    };
    names.iter().find_map(|name| hosts.get(name))
}

fn map(json: Json) -> Map<String, Json> {
    match json {
        Json::Object(map) => map,
        _ => Map::new(),
    }
}

/// Whole seconds, so that jq's `fromdateiso8601` reads it.
fn now() -> String {
    crate::plan::duration::now()
}
