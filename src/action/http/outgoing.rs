//! Owns what is sent: headers, authorization, cookies and the body, and the files they are read from.
//! Deliberately judges no host: the values are handed out for that before anything is built.

use super::clients::refused;
use super::redirect::Hop;
use super::{Auth, Body, PartSource, Request, unsent};
use crate::action::{ActionError, Births};
use crate::plan::permissions::Grant;
use crate::plan::refused_header;
use crate::secret::Taint;
use crate::value::Value;
use reqwest::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHORIZATION,
};
use reqwest::{Client, Method, multipart};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use url::Url;
use zeroize::Zeroizing;

/// What goes along on this hop.
pub(super) struct Cargo<'a> {
    headers: Vec<&'a (String, Value)>,
    auth: Option<&'a Auth>,
    body: &'a Body,
    /// Each value in it, with the place where it stands.
    pub(super) values: Vec<(String, &'a Value)>,
}

/// Leaves behind what must not go to another place.
pub(super) fn cargo<'a>(request: &'a Request, hop: &Hop) -> Cargo<'a> {
    let headers: Vec<&(String, Value)> =
        request.headers.iter().filter(|(name, value)| goes_along(name, value, hop)).collect();
    let auth = request.auth.as_ref().filter(|_| hop.has_credentials);
    let body = if hop.has_body { &request.body } else { &Body::None };
    let mut values: Vec<(String, &Value)> =
        headers.iter().map(|(name, value)| (format!("the header `{name}`"), value)).collect();
    match auth {
        None => {}
        Some(Auth::Bearer(token)) => values.push(("`auth`".into(), token)),
        Some(Auth::Basic { user, password }) => values.extend([("`auth`".into(), user), ("`auth`".into(), password)]),
    }
    match body {
        Body::None | Body::File(_) => {}
        Body::Json(value) | Body::Text(value) => values.push(("the body".into(), value)),
        Body::Form(fields) => values.extend(fields.iter().map(|(name, value)| (format!("the field `{name}`"), value))),
        Body::Multipart(parts) => values.extend(parts.iter().filter_map(|(name, part)| match part {
            PartSource::Text(value) => Some((format!("the part `{name}`"), value)),
            PartSource::File { .. } => None,
        })),
    }
    Cargo { headers, auth, body, values }
}

fn goes_along(name: &str, value: &Value, hop: &Hop) -> bool {
    let name = name.to_ascii_lowercase();
    let of_body = name.starts_with("content-");
    let of_credentials =
        value.is_secret() || [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE].iter().any(|known| known.as_str() == name);
    (hop.has_body || !of_body) && (hop.has_credentials || !of_credentials)
}

/// How much of a file is searched for secrets before it is sent, in bytes.
const SEARCHED: u64 = 16 << 20;

/// The secrets in the files that a body is made of, which have to be permitted. One that is not there has none.
pub(super) fn taint_of_files(
    request: &Request,
    hop: &Hop,
    grant: &Grant,
    births: &Births,
) -> Result<Vec<(String, Taint)>, ActionError> {
    let paths: Vec<&Path> = match &request.body {
        Body::File(path) if hop.has_body => vec![path],
        Body::Multipart(parts) if hop.has_body => parts
            .iter()
            .filter_map(|(_, part)| match part {
                PartSource::File { path, .. } => Some(path.as_path()),
                PartSource::Text(_) => None,
            })
            .collect(),
        _ => Vec::new(),
    };
    let mut taints = Vec::new();
    for path in paths {
        let real = grant.read(&request.folder.join(path)).map_err(refused)?;
        let mut content = Vec::new();
        if births.lessons() > 0
            && let Ok(file) = open_regular(&real)
            && file.take(SEARCHED).read_to_end(&mut content).is_ok()
        {
            let taint = births.taint_in(&String::from_utf8_lossy(&content));
            taints.push((format!("the file `{}`", path.display()), taint));
        }
    }
    Ok(taints)
}

pub(super) fn build(
    client: &Client,
    url: Url,
    request: &Request,
    hop: &Hop,
    cargo: Cargo<'_>,
    cookies: Option<HeaderValue>,
    grant: &Grant,
) -> Result<reqwest::Request, ActionError> {
    let method =
        Method::from_bytes(hop.method.as_bytes()).map_err(|_| unsent(format!("`{}` is no HTTP method", hop.method)))?;
    let mut headers = HeaderMap::new();
    for (name, value) in cargo.headers {
        add(&mut headers, name, value)?;
    }
    if url.host() != hop.url.host() || url.port() != hop.url.port() {
        headers.insert(reqwest::header::HOST, host_header(&hop.url)?);
    }
    if let Some(cookies) = cookies {
        let all = match headers.get(COOKIE) {
            None => cookies,
            Some(given) => HeaderValue::from_bytes(&[given.as_bytes(), b"; ", cookies.as_bytes()].concat())
                .map_err(|_| unsent("the cookies make no header"))?,
        };
        headers.insert(COOKIE, all);
    }
    if cargo.auth.is_some() && headers.contains_key(AUTHORIZATION) {
        return Err(unsent("there is `auth` and a header `authorization`: give one of them"));
    }
    let mut builder = client.request(method.clone(), url);
    match cargo.auth {
        None => {}
        Some(Auth::Bearer(token)) => {
            let token = Zeroizing::new(token.expose_text());
            let mut value = header_value("authorization", &Zeroizing::new(format!("Bearer {}", *token)))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Some(Auth::Basic { user, password }) => {
            let user = user.expose_text();
            if user.contains(':') {
                return Err(unsent("a user name of `auth.basic` must have no colon"));
            }
            builder = builder.basic_auth(user, Some(Zeroizing::new(password.expose_text()).as_str()));
        }
    }
    let default_type = |headers: &mut HeaderMap, kind: &'static str| {
        headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(kind));
    };
    match cargo.body {
        Body::None if matches!(method, Method::POST | Method::PUT | Method::PATCH) => {
            // Some servers answer 411 where it is missing.
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        Body::None => {}
        Body::Json(value) => {
            default_type(&mut headers, "application/json");
            builder = builder.body(value.expose().to_string());
        }
        Body::Form(fields) => {
            default_type(&mut headers, "application/x-www-form-urlencoded");
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            for (name, value) in fields {
                form.append_pair(name, &Zeroizing::new(value.expose_text()));
            }
            builder = builder.body(form.finish());
        }
        Body::Text(value) => {
            default_type(&mut headers, "text/plain; charset=utf-8");
            builder = builder.body(value.expose_text());
        }
        Body::File(path) => {
            default_type(&mut headers, "application/octet-stream");
            let (body, length) = file_body(&request.folder.join(path), grant)?;
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
            builder = builder.body(body);
        }
        Body::Multipart(parts) => {
            if headers.contains_key(CONTENT_TYPE) {
                return Err(unsent("the content-type of `multipart` has the boundary in it and cannot be given"));
            }
            builder = builder.multipart(form(parts, &request.folder, grant)?);
        }
    }
    let mut ready = builder.build().map_err(|_| unsent("the request cannot be made from these values"))?;
    for (name, value) in &headers {
        ready.headers_mut().try_append(name, value.clone()).map_err(|_| unsent("there are too many headers"))?;
    }
    Ok(ready)
}

fn add(headers: &mut HeaderMap, name: &str, value: &Value) -> Result<(), ActionError> {
    if let Some(message) = refused_header(name) {
        return Err(unsent(message));
    }
    let known = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| unsent(format!("{name:?} is no name of a header: only letters, digits and `-`")))?;
    let mut content = header_value(name, &Zeroizing::new(value.expose_text()))?;
    content.set_sensitive(value.is_secret());
    headers.try_append(known, content).map_err(|_| unsent("there are too many headers"))?;
    Ok(())
}

/// Never shows the value: it may be secret.
fn header_value(name: &str, text: &str) -> Result<HeaderValue, ActionError> {
    HeaderValue::from_bytes(text.as_bytes()).map_err(|_| {
        let what = if text.contains(['\r', '\n']) { "a line break" } else { "a control character" };
        unsent(format!("the value of the header `{name}` has {what} in it"))
    })
}

fn host_header(url: &Url) -> Result<HeaderValue, ActionError> {
    let host = url.host_str().unwrap_or_default();
    let text = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_string(),
    };
    header_value("host", &text)
}

fn form(parts: &[(String, PartSource)], folder: &Path, grant: &Grant) -> Result<multipart::Form, ActionError> {
    let mut form = multipart::Form::new();
    for (name, source) in parts {
        let part = match source {
            PartSource::Text(value) => multipart::Part::text(value.expose_text()),
            PartSource::File { path, filename, content_type } => {
                let (body, length) = file_body(&folder.join(path), grant)?;
                let own = path.file_name().map(|name| name.to_string_lossy().into_owned());
                let shown = filename.clone().or(own).unwrap_or_else(|| "file".into());
                if shown.contains(char::is_control) {
                    return Err(unsent(format!("the file name of the part `{name}` has control characters in it")));
                }
                let part = multipart::Part::stream_with_length(body, length).file_name(shown);
                let kind = content_type.as_deref().unwrap_or("application/octet-stream");
                part.mime_str(kind).map_err(|_| unsent(format!("{kind:?} is no content type")))?
            }
        };
        // They stand in a header of the part, where the library would let a line break through.
        if name.contains(char::is_control) {
            return Err(unsent(format!("{name:?} is no name of a part: it has control characters in it")));
        }
        form = form.part(name.clone(), part);
    }
    Ok(form)
}

/// The file as a stream, and its length, which is announced: what is added to it while it is sent is left out.
fn file_body(path: &Path, grant: &Grant) -> Result<(reqwest::Body, u64), ActionError> {
    let path = grant.read(path).map_err(refused)?;
    let file = open_regular(&path)?;
    let length = file
        .metadata()
        .map_err(|error| unsent(format!("`{}` cannot be read: {}", path.display(), error.kind())))?
        .len();
    Ok((tokio::fs::File::from_std(file).into(), length))
}

/// As [`crate::action::open_regular`], with what to tell.
pub(super) fn open_regular(path: &Path) -> Result<File, ActionError> {
    crate::action::open_regular(path).map_err(|error| match error.kind() {
        ErrorKind::InvalidInput => unsent(format!("`{}` is no file", path.display())),
        kind => unsent(format!("`{}` cannot be read: {kind}", path.display())),
    })
}
