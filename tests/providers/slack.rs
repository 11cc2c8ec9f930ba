//! Slack's `chat.postMessage`. A refusal is HTTP 200 with `ok: false`.
//! Source: Slack's published OpenAPI description; its required header `token` is the live API's bearer header (or a body field), see
//! its documentation and public reports. Answers are closed: the description forbids further members.

use serde_json::{Value, json};

use super::fresh::{self, Time};
use super::server::{self, Answer, Request};
use super::setup::Setup;

pub const HOST: &str = "slack.com";
/// The channel of the SOP: an IM between two other parties, in which no bot can post.
pub const FOREIGN_IM: &str = "D0AJ7K184TV";
const TEXT_LIMIT: usize = 40_000;

#[derive(Default)]
pub struct Slack {
    /// What was posted, in order.
    pub messages: Vec<Message>,
}

pub struct Message {
    /// As asked for: a channel, or a user for their IM.
    pub channel: String,
    pub text: String,
    /// All fields of the request.
    pub fields: Value,
    pub ts: String,
}

pub fn answer(request: &Request, slack: &mut Slack, setup: &Setup) -> Answer {
    let answer = match request.segments().iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["api", "chat.postMessage"] => {
            let body = post(request, slack, setup).unwrap_or_else(|error| json!({"ok": false, "error": error}));
            Answer::json(200, body)
        }
        ["api", _] => Answer::json(200, json!({"ok": false, "error": "unknown_method"})),
        _ => Answer::html(404, "Slack"),
    };
    let own_type = matches!(answer.body, server::Body::Json(_));
    let answer = answer.closed().header("X-Slack-Req-Id", fresh::hex(32));
    if own_type { answer.header("Content-Type", "application/json; charset=utf-8") } else { answer }
}

pub fn refusal(status: u16) -> Answer {
    let error = if status == 429 { "rate_limited" } else { "fatal_error" };
    Answer::json(status, json!({"ok": false, "error": error})).closed()
}

fn post(request: &Request, slack: &mut Slack, setup: &Setup) -> Result<Value, String> {
    if request.method != "POST" {
        return Err("invalid_post_type".to_owned());
    }
    let fields = match request.media_type().as_str() {
        "application/json" => match request.json() {
            Some(fields @ Value::Object(_)) => fields,
            _ => return Err("invalid_form_data".to_owned()),
        },
        "application/x-www-form-urlencoded" => {
            server::form(&request.text()).into_iter().map(|(name, value)| (name, Value::String(value))).collect()
        }
        "" => return Err("missing_post_type".to_owned()),
        _ => return Err("invalid_post_type".to_owned()),
    };
    let field = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
    let token = request.bearer().or_else(|| request.header("token")).or_else(|| field("token"));
    match token {
        None => return Err("not_authed".to_owned()),
        Some(token) if token != setup.slack_token => return Err("invalid_auth".to_owned()),
        Some(_) => {}
    }
    let channel = field("channel").unwrap_or_default();
    let id = channel.len() >= 9
        && channel.chars().all(|character| character.is_ascii_uppercase() || character.is_ascii_digit());
    if !id || !channel.starts_with(['C', 'G', 'D', 'U', 'W']) || channel == FOREIGN_IM {
        return Err("channel_not_found".to_owned());
    }
    let text = field("text").unwrap_or_default();
    if text.is_empty() && fields.get("blocks").is_none() && fields.get("attachments").is_none() {
        return Err("no_text".to_owned());
    }
    if text.chars().count() > TEXT_LIMIT {
        return Err("msg_too_long".to_owned());
    }
    if let Some(error) = &setup.slack_error {
        return Err(error.clone());
    }
    let now = Time::now().0;
    let ts = format!("{}.{:06}", now / 1_000_000, now % 1_000_000);
    // A message to a person arrives in the IM with them, which is what the answer names.
    let posted_in = match channel.starts_with(['U', 'W']) {
        true => format!("D{}", fresh::text(10, fresh::UPPER)),
        false => channel.clone(),
    };
    let answer = json!({
        "ok": true,
        "channel": posted_in,
        "ts": ts,
        "message": {
            "type": "message",
            "subtype": "bot_message",
            "text": text,
            "ts": ts,
            "username": "runbook",
            "bot_id": format!("B{}", fresh::text(10, fresh::UPPER)),
        },
    });
    slack.messages.push(Message { channel, text, fields, ts });
    Ok(answer)
}
