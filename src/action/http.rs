//! Owns one HTTP exchange: permission and flow of secrets at every hop, one pool of connections, cookies, limits.
//! Deliberately knows nothing of retries and paging. The only folder that names `reqwest`.

mod answer;
mod clients;
mod exchange;
mod fault;
mod names;
mod outgoing;
mod redirect;
#[cfg(test)]
mod tests;

pub use clients::Clients;
pub use names::Answers;

use super::{ActionError, Hands, Leave, Output, Sent};
use crate::value::Value;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long an exchange may take, all its redirects and its body included, where the request does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// A rendered request. Texts may be secret; their taint decides where they may go.
pub struct Request {
    pub method: String,
    /// Must not be secret.
    pub url: Value,
    pub query: Vec<(String, Value)>,
    pub headers: Vec<(String, Value)>,
    pub auth: Option<Auth>,
    pub body: Body,
    pub timeout: Option<Duration>,
    pub connect_timeout: Option<Duration>,
    /// How many redirects are followed.
    pub redirects: u32,
    pub tls: Option<Tls>,
    pub proxy: Option<String>,
    pub cookies: Option<String>,
    /// Bytes.
    pub max_body: u64,
    /// What relative paths are relative to.
    pub folder: PathBuf,
}

impl Request {
    /// All that is sent but what comes out of files.
    pub fn values(&self) -> Vec<&Value> {
        let mut values: Vec<&Value> = vec![&self.url];
        values.extend(self.query.iter().chain(&self.headers).map(|(_, value)| value));
        match &self.auth {
            None => {}
            Some(Auth::Bearer(token)) => values.push(token),
            Some(Auth::Basic { user, password }) => values.extend([user, password]),
        }
        match &self.body {
            Body::None | Body::File(_) => {}
            Body::Json(value) | Body::Text(value) => values.push(value),
            Body::Form(fields) => values.extend(fields.iter().map(|(_, value)| value)),
            Body::Multipart(parts) => values.extend(parts.iter().filter_map(|(_, part)| match part {
                PartSource::Text(value) => Some(value),
                PartSource::File { .. } => None,
            })),
        }
        values
    }
}

pub enum Auth {
    Bearer(Value),
    Basic { user: Value, password: Value },
}

pub enum Body {
    None,
    Json(Value),
    Form(Vec<(String, Value)>),
    Multipart(Vec<(String, PartSource)>),
    Text(Value),
    File(PathBuf),
}

pub enum PartSource {
    Text(Value),
    File { path: PathBuf, filename: Option<String>, content_type: Option<String> },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tls {
    pub ca: Option<PathBuf>,
    pub client_cert: Option<PathBuf>,
    pub client_key: Option<PathBuf>,
    pub min_version: Option<String>,
}

/// Performs the exchange. Output: `{status, reason, headers, body, json, url, duration_ms}`.
///
/// Names of headers are in lower case; a header that came more than once has its values joined by `, ` (those of
/// `set-cookie` by a newline). `json` is null where the body is none. `url` is where the last answer came from.
pub async fn perform(hands: &Hands, request: &Request, leave: &Leave<'_>) -> Result<Output, ActionError> {
    let after = request.timeout.unwrap_or(DEFAULT_TIMEOUT);
    let sending = Sending::default();
    tokio::select! {
        biased;
        () = leave.cancel.cancelled() => Err(ActionError::Interrupted { sent: sending.sent() }),
        answer = tokio::time::timeout(after, exchange::run(hands, request, leave, after, &sending)) => {
            answer.unwrap_or_else(|_| Err(ActionError::Timeout { after, sent: sending.sent() }))
        }
    }
}

/// Judges what `perform` would, as far as that is known without sending anything.
///
/// # Errors
/// As those of `perform`.
pub fn judge(hands: &Hands, request: &Request, leave: &Leave<'_>) -> Result<(), ActionError> {
    exchange::judge(hands, request, leave)
}

/// Whether a request may have left, for the moment in which its future is dropped.
#[derive(Default)]
struct Sending(AtomicBool);

impl Sending {
    fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn sent(&self) -> Sent {
        if self.0.load(Ordering::Relaxed) { Sent::Perhaps } else { Sent::No }
    }
}

/// A mistake that was found before anything was sent.
fn unsent(message: impl Into<String>) -> ActionError {
    ActionError::Failed { message: message.into(), sent: Sent::No }
}
