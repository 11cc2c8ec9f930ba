//! Owns the world's own interface, under its own address: what a run, a test and the world's programs ask it.
//! Deliberately has no credentials, since a world is a rehearsal with nothing real in it: loopback is all that guards it.
//!
//! | request | answer |
//! |---|---|
//! | `GET /info` | [`Info`] |
//! | `GET /state`, `PUT /state` | the state; replaces it |
//! | `GET /calls` | what was asked, oldest first (`calls` says how much is kept) |
//! | `POST /input` `{name, inputs}` | `{value}`, or `{}` if the world has none |
//! | `POST /answer` `{step, ask, instructions, inputs}` | `{answers}`, or `{}` |
//! | `POST /program/NAME` `{argv, env, stdin, files}` | `{exit_code, stdout, stderr}` |
//!
//! A mistake is answered 4xx, and a fake that failed 500, with `{"error": "…"}`.

use super::reply::Reply;
use super::route::decode;
use super::server::House;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use std::path::PathBuf;
use std::time::Duration;

/// What a run must know of a world.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Info {
    /// Number of the format.
    pub world: u32,
    pub file: String,
    pub address: String,
    /// The same service on a unix socket.
    pub socket: PathBuf,
    /// What a world file calls `world.folder`.
    pub folder: PathBuf,
    /// The folder that a run has for PATH.
    pub programs: PathBuf,
    /// What the programs in there start.
    #[serde(default)]
    pub players: Vec<PathBuf>,
    /// What belongs to them: the world's folder, and what the `env` of real ones names.
    #[serde(default)]
    pub belongings: Vec<PathBuf>,
    /// Hosts, and the URLs of those that are forwarded.
    pub hosts: IndexMap<String, Option<String>>,
    pub pace: f64,
    pub approve_all: bool,
    pub approve: Vec<String>,
}

/// An answer and how long it is held back, or a status and what is wrong.
type Said = Result<(Json, Duration), (u16, String)>;

pub async fn answer(house: &House, method: &str, path: &str, body: &[u8]) -> Reply {
    match respond(house, method, path, body).await {
        Ok((json, delay)) => Reply { delay, ..Reply::json(200, &json) },
        Err((status, message)) => Reply::json(status, &json!({ "error": message })),
    }
}

async fn respond(house: &House, method: &str, path: &str, body: &[u8]) -> Said {
    let at_once = |json: Json| Ok((json, Duration::ZERO));
    let stage = &house.stage;
    match (method, path) {
        ("GET", "/info") => at_once(house.info.clone()),
        ("GET", "/state") => at_once(whole(stage.with(|play| play.state().clone()).await)?),
        ("GET", "/calls") => at_once(whole(stage.with(|play| play.calls()).await)?),
        ("PUT", "/state") => {
            let state = serde_json::from_slice(body).map_err(|error| (400, format!("this is not JSON: {error}")))?;
            whole(stage.with(|play| play.set_state(state)).await)?;
            at_once(json!({}))
        }
        ("POST", "/input") => {
            let mut asked = map(body)?;
            let name = asked.get("name").and_then(Json::as_str).unwrap_or("").to_owned();
            let known = asked.remove("inputs").unwrap_or_else(|| json!({}));
            let value = whole(stage.with(move |play| play.input(&name, known)).await)?.map_err(failed)?;
            at_once(value.map_or_else(|| json!({}), |value| json!({ "value": value })))
        }
        ("POST", "/answer") => {
            let asked = map(body)?;
            let answers = whole(stage.with(move |play| play.answer(asked)).await)?.map_err(failed)?;
            at_once(answers.map_or_else(|| json!({}), |answers| json!({ "answers": answers })))
        }
        ("POST", path) if path.starts_with("/program/") => {
            let name = decode(&path["/program/".len()..]);
            let asked = map(body)?;
            let exit = whole(stage.with(move |play| play.program(&name, asked)).await)?.map_err(failed)?;
            Ok((json!({"exit_code": exit.exit_code, "stdout": exit.stdout, "stderr": exit.stderr}), exit.delay))
        }
        _ => Err((404, format!("a world has no {method} {path}: ask its hosts by their names"))),
    }
}

fn failed(message: String) -> (u16, String) {
    (500, message)
}

fn whole<T>(outcome: Option<T>) -> Result<T, (u16, String)> {
    outcome.ok_or_else(|| failed("this request broke the world".to_owned()))
}

fn map(body: &[u8]) -> Result<Map<String, Json>, (u16, String)> {
    serde_json::from_slice(body).map_err(|error| (400, format!("this is not a JSON map: {error}")))
}
