//! Hosts: routes, state, what a fake sees, and every kind of answer.

use crate::support::{exchange, up};
use serde_json::{Value as Json, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

const STORE: &str = r#"
world: 1
define: |
  # answers with a status and a body
  def answer($status; $json): {status: $status, json: $json};
state: {things: {a: 1}, count: 0}
hosts:
  api.example.com:
    - GET /things/{name}: |
        .params.name as $name | .state.things[$name] as $found
        | if $found == null then answer(404; {error: "no such thing"}) else answer(200; $found) end
    - PUT /things/{name}: |
        .params.name as $name | .request.json as $new
        | answer(201; {was: .state.things[$name]}) + {state: (.state | .things[$name] = $new)}
    - "* /echo/{rest*}": "answer(200; del(.state))"
  other.example.com:8443:
    GET /: "{status: 200, text: \"other\"}"
  plain.example.com:443:
    GET /: "{status: 200, text: \"plain\"}"
"#;

#[test]
fn state_is_what_the_requests_before_made_it() {
    let up = up(STORE);
    assert_eq!(up.get("api.example.com", "/things/a").json(), json!(1));
    let put = up.ask("api.example.com", "PUT /things/b%2Fc", &[], "{\"x\": [2]}");
    assert_eq!((put.status, put.json()), (201, json!({"was": null})));
    assert_eq!(up.get("api.example.com", "/things/b%2fc").json(), json!({"x": [2]}));
    assert_eq!(up.get("API.example.com:443", "/things/a").status, 200);
    assert_eq!(up.world.state().unwrap()["things"], json!({"a": 1, "b/c": {"x": [2]}}));
    let missing = up.get("api.example.com", "/things/z");
    assert_eq!((missing.status, missing.json()), (404, json!({"error": "no such thing"})));
}

#[test]
fn a_fake_sees_the_request_as_it_was_sent() {
    let up = up(STORE);
    let more = ["Authorization: Bearer t0ken", "X-Two: a", "x-two: b", "Cookie: c=d"];
    let answer = up.ask("api.example.com", "POST /echo/a/b%20c?q=1+2&r=%26&s=1&s=2&empty", &more, "not json");
    let seen = answer.json();
    let request = &seen["request"];
    assert_eq!(seen["params"], json!({"rest": "a/b c"}));
    assert_eq!(request["query"], json!({"q": "1 2", "r": "&", "s": ["1", "2"], "empty": ""}));
    assert_eq!(request["headers"]["authorization"], "Bearer t0ken");
    assert_eq!(request["headers"]["x-two"], "a, b");
    let plain = ["method", "host", "path", "body", "json"].map(|name| request[name].clone());
    assert_eq!(json!(plain), json!(["POST", "api.example.com", "/echo/a/b%20c", "not json", null]));
    assert_eq!(seen["calls"], 0);
    assert_eq!((seen["fresh"].as_str().unwrap().len(), seen["now"].as_str().unwrap().len()), (40, 20));
    let again = up.get("api.example.com", "/echo").json();
    assert_eq!((&again["calls"], again["fresh"] == seen["fresh"]), (&json!(1), false));
    let call = up.world.calls().unwrap()[0].clone();
    let kept = ["n", "host", "method", "path", "query", "body", "json", "status"].map(|name| call[name].clone());
    let query = &request["query"];
    let wanted = json!([1, "api.example.com", "POST", "/echo/a/b%20c", query, "not json", null, 200]);
    assert_eq!(json!(kept), wanted);
    assert_eq!(call["headers"]["authorization"], "Bearer t0ken");
}

#[test]
fn what_the_world_does_not_have_is_said_and_kept() {
    let up = up(STORE);
    let answer = up.ask("api.example.com", "DELETE /things/a?x=1", &[], "");
    assert_eq!((answer.status, answer.json()), (404, json!({"error": "no route in this world"})));
    assert_eq!((&up.last_call()["status"], &up.last_call()["method"]), (&json!(404), &json!("DELETE")));
    let answer = up.get("elsewhere.example.com", "/");
    assert_eq!((answer.status, answer.json()), (421, json!({"error": "no such host in this world"})));
    assert_eq!(up.get("other.example.com:8443", "/").body, "other");
    assert_eq!(up.get("other.example.com", "/").status, 421);
    assert_eq!(up.get("plain.example.com", "/").body, "plain");
    let own = up.world.address().strip_prefix("http://").unwrap().to_owned();
    let answer = up.get(&own, "/things/a");
    assert_eq!(answer.json(), json!({"error": "a world has no GET /things/a: ask its hosts by their names"}));
    assert_eq!(up.ask("api.example.com:443", "CONNECT api.example.com:443", &[], "").status, 405);
}

const ANSWERS: &str = r#"
world: 1
state: {n: 0}
hosts:
  a.test:
    GET /headers: '{status: 200, text: "<p>", headers: {"Content-Type": "text/html", "set-cookie": ["a=1", "b=2"], "X-N": 5}}'
    GET /nothing: '{status: 204}'
    GET /null: '{status: 200, json: null}'
    GET /close: '{close: true, state: {n: 1}}'
    GET /slow: '{status: 200, text: "late", delay: "1s", state: {n: 2}}'
    GET /cut: '{status: 200, json: {long: ("x" * 1000)}, truncate: 100}'
    GET /cut-large: '{status: 200, text: ("x" * 3000000), truncate: 2500000}'
    GET /error: 'error("what \(1 + 1)")'
    GET /strange: '{status: 200, body: "x"}'
    GET /state: '{status: 200, json: .state}'
    POST /size: '{status: 200, json: (.request.body | length)}'
"#;

#[test]
fn answers_have_the_headers_and_bodies_they_say() {
    let up = up(ANSWERS);
    let answer = up.get("a.test", "/headers");
    assert_eq!((answer.status, answer.body.as_str()), (200, "<p>"));
    assert_eq!(answer.header("content-type"), ["text/html"]);
    assert_eq!(answer.header("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(answer.header("x-n"), ["5"]);
    let answer = up.get("a.test", "/nothing");
    assert_eq!((answer.status, answer.body.as_str(), answer.header("content-length").len()), (204, "", 0));
    assert_eq!(up.get("a.test", "/null").body, "null");
    assert_eq!(up.ask("a.test", "HEAD /null", &[], "").status, 404);
}

#[test]
fn broken_answers_break_on_the_wire() {
    let up = up(ANSWERS);
    assert_eq!(up.get("a.test", "/close").raw, b"");
    assert_eq!(up.world.state().unwrap(), json!({"n": 1}));
    let answer = up.get("a.test", "/cut");
    assert_eq!((answer.status, answer.body.len()), (200, 100));
    assert_eq!(answer.header("content-length"), ["1011"]);
    assert_eq!(answer.header("content-type"), ["application/json"]);
    let answer = up.get("a.test", "/cut-large");
    assert_eq!((answer.body.len(), answer.header("content-length")), (2_500_000, vec!["3000000".to_owned()]));
}

#[test]
fn a_delayed_answer_holds_up_nobody_else_and_has_changed_the_state() {
    let up = up(ANSWERS);
    let started = Instant::now();
    let mut slow = TcpStream::connect(crate::support::socket(up.world.address())).unwrap();
    slow.write_all(b"GET /slow HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n").unwrap();
    // Asked over and over until the slow one has been there; it has still not been answered.
    while up.get("a.test", "/state").json() != json!({"n": 2}) {}
    assert!(started.elapsed() < Duration::from_millis(990), "{:?}", started.elapsed());
    let mut text = String::new();
    slow.read_to_string(&mut text).unwrap();
    assert!(text.ends_with("late") && started.elapsed() >= Duration::from_secs(1), "{text}");
}

#[test]
fn a_fake_that_fails_is_taken_for_nothing_else() {
    let up = up(ANSWERS);
    let answer = up.get("a.test", "/error");
    let wanted = "the fake `GET /error` of a.test failed: what 2";
    assert_eq!((answer.status, answer.body), (599, format!("runbook world: {wanted}\n")));
    assert_eq!((&up.last_call()["error"], &up.last_call()["status"]), (&json!(wanted), &json!(599)));
    let answer = up.get("a.test", "/strange");
    assert_eq!(answer.status, 599);
    assert!(answer.body.contains("its answer has an unknown key `body`"), "{}", answer.body);
    assert_eq!(up.world.state().unwrap(), json!({"n": 0}));
}

#[test]
fn bodies_may_be_large_but_not_endless() {
    let up = up(ANSWERS);
    let million = "x".repeat(1_000_000);
    assert_eq!(up.ask("a.test", "POST /size", &[], &million).json(), json!(1_000_000));
    let call = up.last_call();
    assert_eq!((call["body"].as_str().unwrap().len(), &call["body_cut"]), (65_536, &json!(true)));
    // Only announced, and refused before it is sent.
    let mut stream = TcpStream::connect(crate::support::socket(up.world.address())).unwrap();
    stream.write_all(b"POST /size HTTP/1.1\r\nhost: a.test\r\ncontent-length: 33554433\r\n\r\nx").unwrap();
    let mut text = [0; 12];
    stream.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"HTTP/1.1 413");
}

#[test]
fn no_bytes_break_the_server() {
    let up = up(ANSWERS);
    let bad: [&[u8]; 6] = [
        b"\xff\xfe\x00",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /%zz%ff?%=%&&= HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n",
        b"GET * HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n",
        b"POST /size HTTP/1.1\r\nhost: a.test\r\ncontent-length: 9\r\n\r\nshort",
        b"OPTIONS http://a.test:99999/ HTTP/1.1\r\nhost: \xff\r\nconnection: close\r\n\r\n",
    ];
    for bytes in bad {
        let mut stream = TcpStream::connect(crate::support::socket(up.world.address())).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert_eq!(up.get("a.test", "/state").status, 200);
}

#[test]
fn a_connection_is_kept_for_the_next_request() {
    let up = up(ANSWERS);
    let mut stream = TcpStream::connect(crate::support::socket(up.world.address())).unwrap();
    for _ in 0..3 {
        stream.write_all(b"GET /null HTTP/1.1\r\nhost: a.test\r\n\r\n").unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"\r\n\r\nnull") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            seen.push(byte[0]);
        }
    }
}

#[test]
fn state_changes_are_atomic() {
    let up = up("
world: 1
state: {count: 0, seen: []}
hosts:
  a.test:
    POST /count: '{status: 200, json: (.state.count + 1), state: {count: (.state.count + 1), seen: (.state.seen + [.fresh])}}'
");
    let mut answers: Vec<u64> = std::thread::scope(|scope| {
        let ask =
            || (0..25).map(|_| up.ask("a.test", "POST /count", &[], "").json().as_u64().unwrap()).collect::<Vec<_>>();
        let clients: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    answers.sort_unstable();
    assert_eq!(answers, (1..=200).collect::<Vec<u64>>());
    let state = up.world.state().unwrap();
    let mut seen: Vec<String> = serde_json::from_value(state["seen"].clone()).unwrap();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!((state["count"].as_u64(), seen.len()), (Some(200), 200));
    assert_eq!(up.world.calls().unwrap().as_array().map(Vec::len), Some(200));
}

#[test]
fn the_unix_socket_has_the_same_hosts() {
    let up = up(STORE);
    let own = up.world.address().strip_prefix("http://").unwrap().to_owned();
    let info = up.get(&own, "/info").json();
    let path = info["socket"].as_str().unwrap();
    let raw = exchange(UnixStream::connect(path).unwrap(), "api.example.com", "GET /things/a", &[], "");
    assert!(raw.ends_with(b"\r\n\r\n1"), "{}", String::from_utf8_lossy(&raw));
}

#[test]
fn a_host_may_be_a_server_of_ones_own() {
    let up = up("
world: 1
hosts:
  real.test: {forward: 'http://127.0.0.1:4011'}
  real.test:8443: {forward: 'http://localhost:4012/'}
  fake.test: []
");
    let stand_ins = up.world.stand_ins();
    let hosts = |host: &str| stand_ins.hosts[host].as_str().trim_end_matches('/').to_owned();
    assert_eq!(hosts("real.test"), "http://127.0.0.1:4011");
    assert_eq!(hosts("real.test:8443"), "http://localhost:4012");
    assert_eq!(hosts("fake.test"), up.world.address());
    let answer = up.get("real.test", "/");
    assert_eq!(answer.body, "runbook world: `real.test` is forwarded: ask http://127.0.0.1:4011/\n");
    assert_eq!(answer.status, 599);
}

#[test]
fn sealed_boxes_are_opened() {
    let up = up("
world: 1
hosts:
  a.test:
    POST /open: '.request.json as $j | {status: 200, json: ($j.box | sealed_open($j.key))}'
");
    let key = crypto_box::SecretKey::generate(&mut crypto_box::aead::OsRng);
    let base64 = |bytes: &[u8]| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes);
    let sealed = base64(&key.public_key().seal(&mut crypto_box::aead::OsRng, "gehëim".as_bytes()).unwrap());
    let open = |sealed: &str| {
        let body = json!({"box": sealed, "key": base64(&key.to_bytes())}).to_string();
        up.ask("a.test", "POST /open", &[], &body).json()
    };
    assert_eq!(open(&sealed), json!("gehëim"));
    assert_eq!(open("AAAA"), Json::Null);
}
