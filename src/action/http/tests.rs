//! Exchanges with real servers on loopback.

use super::*;
use crate::action::loopback::{Server, answer};
use crate::action::{Cancel, StandIns};
use crate::plan::permissions::{Grant, NetRule, Permissions};
use crate::secret::{Masker, Origin, Target};
use serde_json::{Value as Json, json};
use std::sync::Arc;
use tokio::sync::watch;

/// What a test performs requests with.
struct Bench {
    hands: Hands,
    grant: Grant,
    stop: watch::Sender<bool>,
    cancel: Cancel,
}

impl Bench {
    fn new(rules: &[&str]) -> Bench {
        let net = rules.iter().map(|rule| NetRule::parse(rule).unwrap()).collect();
        let permissions = Permissions { net, ..Permissions::default() };
        let (stop, signal) = watch::channel(false);
        Bench {
            hands: Hands { clients: Clients::default(), masker: Masker::default(), stand_ins: None },
            grant: Grant(vec![Arc::new(permissions)]),
            stop,
            cancel: Cancel(signal),
        }
    }

    /// Everything on 127.0.0.1.
    fn open() -> Bench {
        Bench::new(&["127.0.0.1:*"])
    }

    async fn perform(&self, request: &Request) -> Result<Json, ActionError> {
        let leave = Leave { grant: &self.grant, cancel: &self.cancel };
        perform(&self.hands, request, &leave).await.map(|output| output.expose().clone())
    }
}

fn get(url: &str) -> Request {
    Request {
        method: "GET".into(),
        url: text(url),
        query: Vec::new(),
        headers: Vec::new(),
        auth: None,
        body: Body::None,
        timeout: None,
        connect_timeout: None,
        redirects: 0,
        tls: None,
        proxy: None,
        cookies: None,
        max_body: 1 << 20,
        folder: std::env::temp_dir(),
    }
}

fn text(text: &str) -> Value {
    Value::plain(json!(text))
}

fn secret(text: &str, to: Option<&[&str]>) -> Value {
    let to = to.map(|to| to.iter().map(|target| Target::parse(target).unwrap()).collect());
    Value::secret(json!(text), Arc::new(Origin { name: "token".into(), to }))
}

#[tokio::test]
async fn an_answer_becomes_an_output() {
    let server = Server::answering(
        "200 OK\nContent-Type: application/json\nX-Twice: a\nX-Twice: b\nSet-Cookie: a=1\nSet-Cookie: b=2",
        r#"{"result": {"id": 7}}"#,
    );
    let mut request = get(&server.url("/items"));
    request.query = vec![("q".into(), text("a b&c"))];
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
