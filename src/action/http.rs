//! Owns one HTTP exchange: permission and flow of secrets at every hop, one pool of connections, cookies, limits.
//! Deliberately knows nothing of retries and paging. The only file that names `reqwest`.

use super::{ActionError, Hands, Leave, Output};
use crate::value::Value;
use std::path::PathBuf;
use std::time::Duration;

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

/// The run's HTTP clients, one for each TLS and proxy setting, and its cookie jars.
#[derive(Default)]
pub struct Clients {}

/// Performs the exchange. Output: `{status, reason, headers, body, json, url, duration_ms}`.
pub async fn perform(_hands: &Hands, _request: &Request, _leave: &Leave<'_>) -> Result<Output, ActionError> {
    todo!()
}
