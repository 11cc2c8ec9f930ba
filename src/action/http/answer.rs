//! Owns reading an answer into an output: body up to its limit, charset, JSON, headers.
//! Deliberately does not judge it: any status is an answer.

use super::fault;
use crate::action::{ActionError, Output, Sent};
use crate::value::Value;
use encoding_rs::{Encoding, UTF_8};
use reqwest::header::{CONTENT_TYPE, HeaderMap, SET_COOKIE};
use serde_json::{Map, Value as Json, json};
use std::time::Instant;
use url::Url;

pub(super) async fn read(
    mut response: reqwest::Response,
    url: &Url,
    max_body: u64,
    started: Instant,
) -> Result<Output, ActionError> {
    let mut body = Vec::new();
    // Counted after decompression, piece by piece: a small answer that grows without end stops at the limit.
    while let Some(piece) = response.chunk().await.map_err(|error| fault::of_reading(error, url))? {
        if body.len() as u64 + piece.len() as u64 > max_body {
            return Err(ActionError::Failed {
                message: format!(
                    "the answer's body is larger than `max_body` ({}); give a larger one, or ask for less",
                    crate::action::size(max_body)
                ),
                sent: Sent::Perhaps,
            });
        }
        body.extend_from_slice(&piece);
    }
    let text = decode(&body, response.headers());
    Ok(Value::plain(json!({
        "status": response.status().as_u16(),
        "reason": response.status().canonical_reason().unwrap_or_default(),
        "headers": headers(response.headers()),
        // Whatever content type it has.
        "json": crate::action::json::read(&text),
        "body": text,
        "url": url.as_str(),
        "duration_ms": u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    })))
}

/// Text in the charset that the answer names (UTF-8 where it names none); what is no text in it becomes `�`.
fn decode(body: &[u8], headers: &HeaderMap) -> String {
    let named = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).and_then(|kind| {
        let (_, parameters) = kind.split_once(';')?;
        parameters.split(';').find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"').to_string())
        })
    });
    let encoding = named.and_then(|label| Encoding::for_label(label.as_bytes())).unwrap_or(UTF_8);
    encoding.decode(body).0.into_owned()
}

fn headers(headers: &HeaderMap) -> Map<String, Json> {
    let mut map = Map::new();
    for name in headers.keys() {
        let between = if name == SET_COOKIE { "\n" } else { ", " };
        let values: Vec<_> =
            headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        map.insert(name.as_str().to_string(), Json::String(values.join(between)));
    }
    map
}
