//! Owns what a fake may answer: its JSON read strictly, so that a slip in a world is seen as one.
//! Deliberately knows nothing of how an answer is sent.

use crate::plan::duration;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use serde_json::{Map, Value as Json};
use std::time::Duration;

/// A host's answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub delay: Duration,
    pub fate: Fate,
}

/// What becomes of an answer on its way.
#[derive(Debug, PartialEq, Eq)]
pub enum Fate {
    Whole,
    /// So many bytes of the body arrive, then the connection ends.
    Truncated(usize),
    /// The connection ends without an answer.
    Closed,
}

/// A program's answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Exit {
    pub exit_code: u8,
    pub stdout: String,
    pub stderr: String,
    pub delay: Duration,
}

impl Reply {
    pub fn json(status: u16, body: &Json) -> Reply {
        Reply::new(status, "application/json", body.to_string())
    }

    pub fn text(status: u16, body: String) -> Reply {
        Reply::new(status, "text/plain; charset=utf-8", body)
    }

    fn new(status: u16, kind: &'static str, body: String) -> Reply {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]);
        Reply { status, headers, body: body.into_bytes(), delay: Duration::ZERO, fate: Fate::Whole }
    }

    /// Reads a fake's answer, and the state it leaves (`None`: as it was).
    pub fn read(answer: Json) -> Result<(Reply, Option<Json>), String> {
        let known = ["status", "headers", "json", "text", "state", "delay", "close", "truncate"];
        let mut answer = fields(answer, &known)?;
        let delay = delay(&mut answer)?;
        let state = take(&mut answer, "state");
        let closed = match take(&mut answer, "close") {
            None | Some(Json::Bool(false)) => false,
            Some(Json::Bool(true)) => true,
            Some(other) => return Err(format!("`close` is {other}, not a boolean")),
        };
        // `json: null` is a body that says null; an absent one is no body.
        let json = answer.remove("json");
        let mut reply = match (json, take(&mut answer, "text")) {
            (None | Some(Json::Null), Some(Json::String(text))) => Reply::text(0, text),
            (None | Some(Json::Null), Some(other)) => return Err(format!("`text` is {other}: write it as `json`")),
            (Some(_), Some(_)) => return Err("it answers both `json` and `text`".to_owned()),
            (Some(json), None) => Reply::json(0, &json),
            (None, None) => Reply { headers: HeaderMap::new(), ..Reply::text(0, String::new()) },
        };
        reply.status = match take(&mut answer, "status") {
            Some(status) => match status.as_u64().or_else(|| status.as_f64().map(|status| status as u64)) {
                Some(code @ 200..=599) if status.as_f64() == Some(code as f64) => code as u16,
                _ => return Err(format!("`status` is {status}, not a number from 200 to 599")),
            },
            None if closed => 200,
            None => return Err("its answer has no `status`".to_owned()),
        };
        if matches!(reply.status, 204 | 304) {
            reply.body.clear();
            reply.headers.clear();
        }
        headers(take(&mut answer, "headers"), &mut reply.headers)?;
        reply.fate = match take(&mut answer, "truncate") {
            _ if closed => Fate::Closed,
            None => Fate::Whole,
            Some(number) => match number.as_u64().or_else(|| number.as_f64().map(|bytes| bytes as u64)) {
                Some(bytes) if number.as_f64() == Some(bytes as f64) => Fate::Truncated(bytes as usize),
                _ => return Err(format!("`truncate` is {number}, not a number of bytes")),
            },
        };
        reply.delay = delay;
        Ok((reply, state))
    }
}

impl Exit {
    /// Reads a fake's answer, and the state it leaves (`None`: as it was).
    pub fn read(answer: Json) -> Result<(Exit, Option<Json>), String> {
        let mut answer = fields(answer, &["exit_code", "stdout", "stderr", "state", "delay"])?;
        let mut text = |name: &str| match take(&mut answer, name) {
            None => Ok(String::new()),
            Some(Json::String(text)) => Ok(text),
            Some(other) => Err(format!("`{name}` is {}, not a text: `tojson` makes one", shown(&other))),
        };
        let (stdout, stderr) = (text("stdout")?, text("stderr")?);
        let exit_code = match take(&mut answer, "exit_code") {
            None => return Err("its answer has no `exit_code`".to_owned()),
            Some(code) => match code.as_f64() {
                Some(number) if (0.0..=255.0).contains(&number) && number.fract() == 0.0 => number as u8,
                _ => return Err(format!("`exit_code` is {code}, not a number from 0 to 255")),
            },
        };
        let (delay, state) = (delay(&mut answer)?, take(&mut answer, "state"));
        Ok((Exit { exit_code, stdout, stderr, delay }, state))
    }
}

/// The fields of a fake's answer, none of which is unknown.
pub fn fields(answer: Json, known: &[&str]) -> Result<Map<String, Json>, String> {
    match answer {
        Json::Object(map) => match map.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(format!("its answer has an unknown key `{key}`: there are {}", known.join(", "))),
            None => Ok(map),
        },
        other => Err(format!("its answer is {}, not a map with {}", shown(&other), known.join(", "))),
    }
}

/// A field; null counts as absent, since that is what jq gives for what it does not find.
pub fn take(answer: &mut Map<String, Json>, name: &str) -> Option<Json> {
    answer.remove(name).filter(|json| !json.is_null())
}

fn delay(answer: &mut Map<String, Json>) -> Result<Duration, String> {
    match take(answer, "delay") {
        None => Ok(Duration::ZERO),
        Some(Json::String(text)) => duration::parse(&text).map_err(|message| format!("`delay`: {message}")),
        Some(other) => Err(format!("`delay` is {other}, not a duration such as `200ms`")),
    }
}

fn headers(given: Option<Json>, headers: &mut HeaderMap) -> Result<(), String> {
    let given = match given {
        None => return Ok(()),
        Some(Json::Object(map)) => map,
        Some(other) => return Err(format!("`headers` is {}, not a map", shown(&other))),
    };
    for (name, value) in given {
        let bad = |why: &str| format!("header `{name}` {why}");
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad("has no valid name"))?;
        if key == CONTENT_LENGTH || key == TRANSFER_ENCODING {
            return Err(bad("is the server's own: `truncate` and `close` make a broken answer"));
        }
        let values = match value {
            Json::Null => continue,
            Json::Array(list) => list,
            other => vec![other],
        };
        headers.remove(&key);
        for value in values {
            let text = match value {
                Json::String(text) => text,
                Json::Number(number) => number.to_string(),
                other => return Err(bad(&format!("is {}, not a text", shown(&other)))),
            };
            let value = HeaderValue::from_bytes(text.as_bytes()).map_err(|_| bad("has a value no header may have"))?;
            headers.append(key.clone(), value);
        }
    }
    Ok(())
}

/// The beginning of a value, for a message.
fn shown(json: &Json) -> String {
    let text = json.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn wrong(answer: Json) -> String {
        Reply::read(answer).unwrap_err()
    }

    #[test]
    fn an_answer_has_a_body_of_the_kind_it_says() {
        let (reply, state) = Reply::read(json!({"status": 201.0, "json": {"a": 1}, "state": [1]})).unwrap();
        assert_eq!((reply.status, reply.body.as_slice(), state), (201, &b"{\"a\":1}"[..], Some(json!([1]))));
        assert_eq!(reply.headers[CONTENT_TYPE], "application/json");
        let given = json!({"status": 200, "text": "<a>", "headers": {"Content-Type": "text/html", "x": ["1", 2]}});
        let (reply, state) = Reply::read(given).unwrap();
        assert_eq!((reply.headers[CONTENT_TYPE].as_bytes(), state), (&b"text/html"[..], None));
        assert_eq!(reply.headers.get_all("x").iter().collect::<Vec<_>>(), ["1", "2"]);
        let (reply, _) = Reply::read(json!({"status": 204, "json": null})).unwrap();
        assert!(reply.body.is_empty() && reply.headers.is_empty());
        let (reply, _) = Reply::read(json!({"status": 200, "json": null})).unwrap();
        assert_eq!(reply.body, b"null");
        let (reply, _) = Reply::read(json!({"close": true, "delay": "20ms"})).unwrap();
        assert_eq!((reply.fate, reply.delay), (Fate::Closed, Duration::from_millis(20)));
        let (reply, _) = Reply::read(json!({"status": 200, "truncate": 3})).unwrap();
        assert_eq!(reply.fate, Fate::Truncated(3));
    }

    #[test]
    fn a_slip_is_named() {
        assert_eq!(wrong(json!({})), "its answer has no `status`");
        assert_eq!(wrong(json!({"status": 42})), "`status` is 42, not a number from 200 to 599");
        assert_eq!(wrong(json!({"status": 200.5})), "`status` is 200.5, not a number from 200 to 599");
        assert_eq!(wrong(json!({"status": -1})), "`status` is -1, not a number from 200 to 599");
        assert_eq!(
            wrong(json!({"status": 200, "body": 1})),
            "its answer has an unknown key `body`: there are status, headers, json, text, state, delay, close, truncate"
        );
        assert_eq!(wrong(json!({"status": 200, "json": 1, "text": "a"})), "it answers both `json` and `text`");
        assert_eq!(wrong(json!({"status": 200, "text": 1})), "`text` is 1: write it as `json`");
        assert_eq!(wrong(json!({"status": 200, "delay": 5})), "`delay` is 5, not a duration such as `200ms`");
        assert_eq!(wrong(json!({"status": 200, "truncate": "a"})), "`truncate` is \"a\", not a number of bytes");
        assert_eq!(wrong(json!({"status": 200, "headers": {"a b": "c"}})), "header `a b` has no valid name");
        let own = "header `Content-Length` is the server's own: `truncate` and `close` make a broken answer";
        assert_eq!(wrong(json!({"status": 200, "headers": {"Content-Length": "3"}})), own);
        assert_eq!(wrong(json!({"status": 200, "headers": {"a": "b\n"}})), "header `a` has a value no header may have");
        assert!(wrong(json!([1])).starts_with("its answer is [1], not a map with status"));
    }

    #[test]
    fn a_programs_answer_has_an_exit_code_and_texts() {
        let (exit, state) = Exit::read(json!({"exit_code": 3, "stderr": "no\n", "delay": "1s"})).unwrap();
        let wanted = Exit { exit_code: 3, stdout: String::new(), stderr: "no\n".into(), delay: Duration::from_secs(1) };
        assert_eq!((exit, state), (wanted, None));
        let wrong = |answer| Exit::read(answer).unwrap_err();
        assert_eq!(wrong(json!({"stdout": "a"})), "its answer has no `exit_code`");
        assert_eq!(wrong(json!({"exit_code": 256})), "`exit_code` is 256, not a number from 0 to 255");
        assert_eq!(wrong(json!({"exit_code": 0, "stdout": {}})), "`stdout` is {}, not a text: `tojson` makes one");
    }
}
