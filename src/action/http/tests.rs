//! Exchanges with real servers on loopback.

mod bodies;
mod breaking;
mod lines;
mod permission;
mod redirects;
mod rehearsal;
mod resolving;

use super::*;
use crate::action::Births;
use crate::action::loopback::{Received, Server, Then, answer, hang};
use crate::action::{Cancel, StandIns};
use crate::plan::permissions::{Grant, NetRule, Permissions, file_glob};
use crate::secret::Taint;
use crate::secret::{Masker, Origin, Target};
use serde_json::{Value as Json, json};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::watch;

/// Stands in every secret and every query of these tests, so that no message may hold it.
const HIDDEN: &str = "hUnter2hUnter2";

/// What a test performs requests with.
struct Bench {
    hands: Hands,
    grant: Grant,
    stop: watch::Sender<bool>,
    cancel: Cancel,
}

impl Bench {
    fn new(rules: &[&str]) -> Bench {
        let (stop, signal) = watch::channel(false);
        Bench {
            hands: Hands {
                clients: Clients::default(),
                masker: Masker::default(),
                births: Births::default(),
                stand_ins: None,
                life: None,
                confinement: crate::event::Confinement::none(""),
            },
            grant: granting(rules),
            stop,
            cancel: Cancel(signal),
        }
    }

    /// Everything on 127.0.0.1.
    fn open() -> Bench {
        Bench::new(&["127.0.0.1:*"])
    }

    /// The same, where the files below the folder may be read too.
    fn reading(folder: &Path) -> Bench {
        let net = vec![NetRule::parse("127.0.0.1:*").unwrap(), NetRule::parse("localhost:*").unwrap()];
        let read = vec![file_glob(folder, "**").unwrap()];
        let mut bench = Bench::open();
        bench.grant = Grant(vec![Arc::new(Permissions { net, read, ..Permissions::default() })]);
        bench
    }

    async fn perform(&self, request: &Request) -> Result<Json, ActionError> {
        let leave = Leave { grant: &self.grant, cancel: &self.cancel, veil: Taint::default() };
        let result = perform(&self.hands, request, &leave).await;
        if let Err(error) = &result {
            assert!(!format!("{error} {error:?}").contains(HIDDEN), "{error:?}");
        }
        result.map(|output| output.expose().clone())
    }
}

fn granting(rules: &[&str]) -> Grant {
    let net = rules.iter().map(|rule| NetRule::parse(rule).unwrap()).collect();
    Grant(vec![Arc::new(Permissions { net, ..Permissions::default() })])
}

fn get(url: &str) -> Request {
    Request {
        method: "GET".into(),
        url: text(url),
        query: Vec::new(),
        headers: Vec::new(),
        auth: None,
        body: Body::None,
        timeout: Some(Duration::from_secs(60)),
        connect_timeout: None,
        redirects: 0,
        tls: None,
        proxy: None,
        cookies: None,
        max_body: 1 << 20,
        folder: std::env::temp_dir(),
    }
}

fn post(url: &str, body: Body) -> Request {
    Request { method: "POST".into(), body, ..get(url) }
}

fn text(text: &str) -> Value {
    Value::plain(json!(text))
}

fn named(pairs: &[(&str, &str)]) -> Vec<(String, Value)> {
    pairs.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}

/// The hidden text, as a secret that may go to these places.
fn secret(to: Option<&[&str]>) -> Value {
    let to = to.map(|to| to.iter().map(|target| Target::parse(target).unwrap()).collect());
    Value::secret(json!(HIDDEN), Arc::new(Origin { name: "token".into(), to }))
}

/// A server whose answers say nothing.
fn silent() -> Server {
    Server::answering("204 No Content", "")
}

#[track_caller]
fn refusal(result: Result<Json, ActionError>) -> (String, String) {
    match result {
        Err(ActionError::Refused { message, help }) => (message, help.unwrap_or_default()),
        other => panic!("expected a refusal: {other:?}"),
    }
}

#[track_caller]
fn failure(result: Result<Json, ActionError>) -> (String, Sent) {
    match result {
        Err(ActionError::Failed { message, sent }) => (message, sent),
        other => panic!("expected a failure: {other:?}"),
    }
}

#[track_caller]
fn broken(result: Result<Json, ActionError>) -> (&'static str, String, Sent) {
    match result {
        Err(ActionError::Transport { phase, message, sent }) => (phase, message, sent),
        other => panic!("expected a broken exchange: {other:?}"),
    }
}

#[tokio::test]
async fn an_answer_becomes_an_output() {
    let server = Server::answering(
        "200 OK\nContent-Type: application/json\nX-Twice: a\nX-Twice: b\nSet-Cookie: a=1\nSet-Cookie: b=2",
        r#"{"result": {"id": 7}}"#,
    );
    let mut request = get(&server.url("/items#part"));
    request.query = named(&[("q", "a b&c")]);
    let mut output = Bench::open().perform(&request).await.unwrap();
    assert!(output["duration_ms"].take().is_u64());
    assert_eq!(
        output,
        json!({
            "status": 200,
            "reason": "OK",
            "headers": {
                "content-type": "application/json",
                "x-twice": "a, b",
                "set-cookie": "a=1\nb=2",
                "content-length": "21",
            },
            "json": {"result": {"id": 7}},
            "body": r#"{"result": {"id": 7}}"#,
            "url": server.url("/items?q=a+b%26c"),
            "duration_ms": null,
        })
    );
    let received = &server.received()[0];
    assert_eq!((received.method.as_str(), received.target.as_str()), ("GET", "/items?q=a+b%26c"));
    assert_eq!(received.header("user-agent"), concat!("runbook/", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn connections_are_used_again() {
    let server = silent();
    let bench = Bench::open();
    for _ in 0..5 {
        bench.perform(&get(&server.url("/"))).await.unwrap();
    }
    assert_eq!((server.received().len(), server.connections()), (5, 1));
}

#[test]
fn an_effect_may_run_in_a_task_of_its_own() {
    fn sendable<T: Send>(_: T) {}
    let bench = Bench::open();
    let request = get("http://127.0.0.1/");
    let leave = Leave { grant: &bench.grant, cancel: &bench.cancel, veil: Taint::default() };
    sendable(perform(&bench.hands, &request, &leave));
}
