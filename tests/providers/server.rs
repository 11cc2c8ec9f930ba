//! HTTP/1.1 by hand: reads requests (keep-alive, `Content-Length` and chunked bodies, `Expect: 100-continue`), finds
//! the provider by host, writes its answer in the manner the setup asks for, and keeps the log.
//! Source: RFC 9110 and RFC 9112. What an answer says is the provider's business.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::atomic::Ordering;

use serde_json::{Map, Value, json};

use super::fault::{self, FaultKind};
use super::setup::{HeaderCase, Setup};
use super::{Shared, State, cloudflare, fresh, github, heroku, infisical, raxx, slack};

const BODY_LIMIT: u64 = 8 << 20;

#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// Lower case, without port.
    pub host: String,
    /// As sent, without query.
    pub path: String,
    /// Decoded, in order.
    pub query: Vec<(String, String)>,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// One request and what became of it.
#[derive(Clone, Debug)]
pub struct Call {
    pub request: Request,
    /// 0 when the connection ended without an answer.
    pub status: u16,
    /// The body as the provider made it, before any change of form.
    pub answer: String,
}

impl Request {
    /// The header's value; several of one name are joined as RFC 9110 says.
    pub fn header(&self, name: &str) -> Option<String> {
        let values: Vec<_> = self.headers.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    pub fn query_value(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// What follows `Bearer `.
    pub fn bearer(&self) -> Option<String> {
        let header = self.header("authorization")?;
        let (scheme, token) = header.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    }

    /// The media type without parameters, lower case.
    pub fn media_type(&self) -> String {
        let header = self.header("content-type").unwrap_or_default();
        header.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// The parts of the path, each decoded on its own: `%2F` doesn't separate.
    pub fn segments(&self) -> Vec<String> {
        self.path.trim_start_matches('/').split('/').map(|part| decode(part, false)).collect()
    }
}

pub enum Body {
    Json(Value),
    Text(&'static str, String),
    Empty,
}

pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Body,
    /// The description forbids unknown members in this answer.
    pub closed: bool,
}

impl Answer {
    pub fn json(status: u16, body: Value) -> Self {
        Answer { status, headers: Vec::new(), body: Body::Json(body), closed: false }
    }

    pub fn empty(status: u16) -> Self {
        Answer { status, headers: Vec::new(), body: Body::Empty, closed: true }
    }

    pub fn text(status: u16, media_type: &'static str, body: impl Into<String>) -> Self {
        Answer { status, headers: Vec::new(), body: Body::Text(media_type, body.into()), closed: true }
    }

    pub fn html(status: u16, title: &str) -> Self {
        let page =
            format!("<!DOCTYPE html>\n<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n");
        Answer::text(status, "text/html; charset=UTF-8", page)
    }

    pub fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    pub fn closed(self) -> Self {
        Answer { closed: true, ..self }
    }
}

/// Answers the requests of one connection until either side ends it.
pub(crate) fn serve(shared: &Shared, fixed_host: Option<&str>, reader: impl Read, mut writer: impl Write) {
    let mut reader = BufReader::new(reader);
    loop {
        let request = match read_request(&mut reader, &mut writer, fixed_host) {
            Ok(Some(request)) => request,
            Ok(None) => return,
            Err(error) => {
                let _ = write!(writer, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n{error}\n");
                return;
            }
        };
        if shared.stopped.load(Ordering::SeqCst) {
            return;
        }
        let (answer, fault) = perform(shared, &request);
        if let Some(FaultKind::Slow(time)) = &fault {
            std::thread::sleep(*time);
        }
        let Some(answer) = answer else { return };
        let last = request.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let cut = fault == Some(FaultKind::CutAnswer);
        let written = write_answer(&mut writer, answer, &shared.setup, last, cut);
        if last || cut || written.is_err() {
            return;
        }
    }
}

fn perform(shared: &Shared, request: &Request) -> (Option<Answer>, Option<FaultKind>) {
    let mut inner = shared.lock();
    let fault = fault::strike(&mut inner.state.faults, request);
    let answer = match &fault {
        Some(FaultKind::LostRequest) => None,
        Some(FaultKind::TooMany { retry_after }) => {
            let answer = refusal(&request.host, 429, &shared.setup);
            Some(match retry_after {
                Some(seconds) => answer.header("Retry-After", seconds),
                None => answer,
            })
        }
        Some(FaultKind::Status(status)) => Some(refusal(&request.host, *status, &shared.setup)),
        Some(FaultKind::Html(status)) => Some(Answer::html(*status, "Error")),
        Some(FaultKind::LostAnswer) => {
            let _ = route(request, &mut inner.state, &shared.setup);
            None
        }
        Some(FaultKind::CutAnswer | FaultKind::Slow(_)) | None => Some(route(request, &mut inner.state, &shared.setup)),
    };
    let (status, text) = match &answer {
        None => (0, String::new()),
        Some(answer) => (answer.status, body_text(&answer.body, false)),
    };
    inner.log.push(Call { request: request.clone(), status, answer: text });
    (answer, fault)
}

fn route(request: &Request, state: &mut State, setup: &Setup) -> Answer {
    match request.host.as_str() {
        cloudflare::HOST => cloudflare::answer(request, &mut state.cloudflare, setup),
        infisical::HOST => infisical::answer(request, &mut state.infisical, setup),
        heroku::HOST => heroku::answer(request, &mut state.heroku, setup),
        github::HOST => github::answer(request, &mut state.github, setup),
        slack::HOST => slack::answer(request, &mut state.slack, setup),
        raxx::PROD_HOST | raxx::STAGING_HOST | raxx::CONSOLE_HOST => raxx::answer(request, state, setup),
        host => Answer::text(421, "text/plain", format!("nobody here is called `{host}`\n")),
    }
}

/// An error in the provider's own form.
fn refusal(host: &str, status: u16, setup: &Setup) -> Answer {
    match host {
        cloudflare::HOST => cloudflare::refusal(status),
        infisical::HOST => infisical::refusal(status),
        heroku::HOST => heroku::refusal(status),
        github::HOST => github::refusal(status),
        slack::HOST => slack::refusal(status),
        _ => raxx::refusal(status, setup),
    }
}

fn read_request(
    reader: &mut impl BufRead,
    writer: &mut impl Write,
    fixed_host: Option<&str>,
) -> io::Result<Option<Request>> {
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let Some(line) = read_line(reader)? else { return Ok(None) };
    let mut parts = line.split(' ');
    let (Some(method), Some(target), Some(version), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(bad("malformed request line"));
    };
    if version != "HTTP/1.1" {
        return Err(bad("only HTTP/1.1 is spoken here"));
    }
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader)?.ok_or_else(|| bad("the head breaks off"))?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| bad("malformed header"))?;
        if name.is_empty() || name.ends_with(' ') {
            return Err(bad("malformed header name"));
        }
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let header = |wanted: &str| headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    let (authority, origin) = match target.strip_prefix("http://") {
        Some(rest) => {
            let slash = rest.find('/').unwrap_or(rest.len());
            (Some(&rest[..slash]), if slash < rest.len() { &rest[slash..] } else { "/" })
        }
        None => (header("host"), target),
    };
    let authority = authority.ok_or_else(|| bad("no host header"))?;
    let host = match fixed_host {
        Some(host) => host.to_owned(),
        None => authority.split(':').next().unwrap_or_default().to_ascii_lowercase(),
    };
    let (path, query) = origin.split_once('?').unwrap_or((origin, ""));
    if header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
        writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let chunked = header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
    let body = match (chunked, header("content-length")) {
        (true, Some(_)) => return Err(bad("both a length and chunks")),
        (true, None) => read_chunks(reader)?,
        (false, Some(length)) => {
            let length = length.parse::<u64>().ok().filter(|length| *length <= BODY_LIMIT);
            let mut body = vec![0; length.ok_or_else(|| bad("malformed or too large length"))? as usize];
            reader.read_exact(&mut body)?;
            body
        }
        (false, None) => Vec::new(),
    };
    let query = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name, true), decode(value, true))
    });
    let (method, path, query) = (method.to_owned(), path.to_owned(), query.collect());
    Ok(Some(Request { method, host, path, query, headers, body }))
}

/// A line without its end; none at the end of the stream.
fn read_line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    reader.by_ref().take(64 << 10).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    let line = line.strip_suffix(b"\r\n").ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "broken line"))?;
    Ok(Some(String::from_utf8_lossy(line).into_owned()))
}

fn read_chunks(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let bad = || io::Error::new(io::ErrorKind::InvalidData, "malformed chunk");
    let mut body = Vec::new();
    loop {
        let line = read_line(reader)?.ok_or_else(bad)?;
        let size = u64::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16).map_err(|_| bad())?;
        if size == 0 {
            while read_line(reader)?.is_some_and(|trailer| !trailer.is_empty()) {}
            return Ok(body);
        }
        if size > BODY_LIMIT || body.len() as u64 > BODY_LIMIT {
            return Err(bad());
        }
        let start = body.len();
        body.resize(start + size as usize, 0);
        reader.read_exact(&mut body[start..])?;
        if read_line(reader)?.as_deref() != Some("") {
            return Err(bad());
        }
    }
}

fn write_answer(writer: &mut impl Write, answer: Answer, setup: &Setup, last: bool, cut: bool) -> io::Result<()> {
    let Answer { status, headers, body, closed } = answer;
    let bodiless = status == 204 || status == 304;
    let (media_type, text) = match body {
        Body::Empty => (None, String::new()),
        Body::Text(media_type, text) => (Some(media_type), text),
        Body::Json(value) => {
            let value = reshaped(value, setup.reversed, setup.extra_members && !closed);
            (Some("application/json"), body_text(&Body::Json(value), setup.pretty))
        }
    };
    let mut head = format!("HTTP/1.1 {status} {}\r\n", reason(status));
    let mut put = |name: &str, value: &str| {
        let name = match setup.header_case {
            HeaderCase::Title => name.to_owned(),
            HeaderCase::Lower => name.to_ascii_lowercase(),
            HeaderCase::Upper => name.to_ascii_uppercase(),
        };
        head.push_str(&format!("{name}: {value}\r\n"));
    };
    // A provider that names its own media type (with a charset) has it among its headers.
    let own_type = headers.iter().any(|(name, _)| name == "Content-Type");
    if let Some(media_type) = media_type.filter(|_| !own_type) {
        put("Content-Type", media_type);
    }
    for (name, value) in &headers {
        put(name, value);
    }
    if last {
        put("Connection", "close");
    }
    let chunked = setup.chunked && !bodiless;
    if chunked {
        put("Transfer-Encoding", "chunked");
    } else if !bodiless {
        put("Content-Length", &text.len().to_string());
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    let body = if cut { &text.as_bytes()[..text.len() / 2] } else { text.as_bytes() };
    if chunked {
        for piece in body.chunks(61) {
            bytes.extend_from_slice(format!("{:X};note=piece\r\n", piece.len()).as_bytes());
            bytes.extend_from_slice(piece);
            bytes.extend_from_slice(b"\r\n");
        }
        if !cut {
            bytes.extend_from_slice(b"0\r\n\r\n");
        }
    } else {
        bytes.extend_from_slice(body);
    }
    writer.write_all(&bytes)?;
    writer.flush()
}

fn body_text(body: &Body, pretty: bool) -> String {
    match body {
        Body::Empty => String::new(),
        Body::Text(_, text) => text.clone(),
        Body::Json(value) if pretty => format!("\n{value:#}\n"),
        Body::Json(value) => value.to_string(),
    }
}

fn reshaped(value: Value, reversed: bool, extra: bool) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(|item| reshaped(item, reversed, extra)).collect(),
        Value::Object(members) => {
            let mut members: Vec<_> =
                members.into_iter().map(|(name, value)| (name, reshaped(value, reversed, extra))).collect();
            if extra {
                members.push(("_beta".to_owned(), json!({"cohort": fresh::hex(6), "größe": null, "flags": []})));
            }
            if reversed {
                members.reverse();
            }
            Value::Object(Map::from_iter(members))
        }
        other => other,
    }
}

/// Undoes percent encoding; in a query `+` is a blank.
fn decode(text: &str, query: bool) -> String {
    let bytes = text.as_bytes();
    let (mut decoded, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        match (bytes[at], digits.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'%', Some(byte)) => {
                decoded.push(byte);
                at += 2;
            }
            (b'+', _) if query => decoded.push(b' '),
            (byte, _) => decoded.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// The fields of an `application/x-www-form-urlencoded` body.
pub fn form(text: &str) -> Vec<(String, String)> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name, true), decode(value, true))
    };
    text.split('&').filter(|text| !text.is_empty()).map(pair).collect()
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        302 => "Found",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        415 => "Unsupported Media Type",
        421 => "Misdirected Request",
        422 => "Unprocessable Entity",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        _ => "Other",
    }
}
