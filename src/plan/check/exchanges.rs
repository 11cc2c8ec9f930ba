//! Owns judging `http`: its URL, headers, credentials, body, TLS and pages.
//! Deliberately judges no permission itself (`permitted` does), nor where secrets go (`secrets` does).

use super::Judge;
use super::secrets::Sink;
use crate::diagnostic::{Diagnostic, nearest};
use crate::plan::{Auth, Body, Http, Paginate, PartSource, Tls, Work};
use crate::playbook::document::{self, Effect};
use crate::source::{Part, Place};
use crate::template::Template;
use serde_json::Value as Json;

const METHODS: [&str; 9] = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "QUERY"];
const LARGEST_BODY: u64 = 10 << 20;

impl Judge<'_> {
    pub fn http(&mut self, written: &document::Http, effect: Effect, place: &Place) -> Work {
        let method = written.method.as_deref().unwrap_or("GET").to_ascii_uppercase();
        if !METHODS.contains(&method.as_str()) {
            let mut diagnostic =
                Diagnostic::error("bad-method", format!("`{method}` is no HTTP method"), &place.key("method"));
            if let Some(near) = nearest(&method, METHODS) {
                diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
            }
            self.tell(diagnostic);
        }
        let bodies: Vec<&str> = [
            ("json", written.json.is_some()),
            ("form", written.form.is_some()),
            ("multipart", written.multipart.is_some()),
            ("text", written.text.is_some()),
            ("file", written.file.is_some()),
        ]
        .into_iter()
        .filter_map(|(word, there)| there.then_some(word))
        .collect();
        if let [first, second, ..] = bodies.as_slice() {
            let diagnostic = Diagnostic::error("two-bodies", "a request has one body", &place.key(second))
                .at(Part::Key)
                .label(&place.key(first), Part::Key, "the first");
            self.tell(diagnostic);
        }
        let url = self.text(&written.url, &place.key("url"));
        self.no_secret_in_url(&url, &place.key("url"));
        let query = self.named(written.query.as_ref(), &place.key("query"));
        for (name, template) in &query {
            self.no_secret_in_url(template, &place.key("query").key(name));
        }
        let root = Place { source: self.source.clone(), route: crate::source::Route::root() };
        let defaults = self.defaults.http.clone().unwrap_or_default();
        let defaults_place = root.key("defaults").key("http");
        let mut headers = self.named(defaults.headers.as_ref(), &defaults_place.key("headers"));
        let own = self.named(written.headers.as_ref(), &place.key("headers"));
        let is_own = |name: &str| own.iter().any(|(other, _)| other == name);
        let names: Vec<(String, Place)> = own
            .iter()
            .chain(headers.iter().filter(|(name, _)| !is_own(name)))
            .map(|(name, _)| {
                let place = if is_own(name) { place.clone() } else { defaults_place.clone() };
                (name.clone(), place.key("headers").key(name))
            })
            .collect();
        headers.retain(|(name, _)| !own.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)));
        headers.extend(own);
        for (name, at) in &names {
            if let Some(message) = crate::plan::refused_header(name) {
                self.tell(Diagnostic::error("bad-header", message, at).at(Part::Key).help("take it away"));
            } else if name.is_empty()
                || !name.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))
            {
                self.tell(
                    Diagnostic::error(
                        "bad-header",
                        format!("`{}` cannot be the name of a header", name.escape_debug()),
                        at,
                    )
                    .at(Part::Key)
                    .help("letters, digits and `-`"),
                );
            }
        }
        let auth = written.auth.as_ref().and_then(|auth| self.auth(auth, &place.key("auth")));
        let body = self.body(written, place);
        let duration =
            |judge: &mut Self, own: &Option<String>, default: &Option<String>, key: &str| match (own, default) {
                (Some(text), _) => Some(judge.duration_template(text, &place.key(key))),
                (None, Some(text)) => Some(judge.duration_template(text, &defaults_place.key(key))),
                (None, None) => None,
            };
        let timeout = duration(self, &written.timeout, &defaults.timeout, "timeout");
        let connect_timeout = duration(self, &written.connect_timeout, &defaults.connect_timeout, "connect_timeout");
        let tls = match (&written.tls, &defaults.tls) {
            (Some(tls), _) => Some(self.tls(tls, &place.key("tls"))),
            (None, Some(tls)) => Some(self.tls(tls, &defaults_place.key("tls"))),
            (None, None) => None,
        };
        let proxy = match (&written.proxy, &defaults.proxy) {
            (Some(text), _) => Some(self.public("the proxy's URL", text, &place.key("proxy"))),
            (None, Some(text)) => Some(self.public("the proxy's URL", text, &defaults_place.key("proxy"))),
            (None, None) => None,
        };
        let sinks = self.hosts(&written.url, written.proxy.as_ref().or(defaults.proxy.as_ref()));
        for (name, template) in &headers {
            let at = names.iter().find(|(other, _)| other == name).map(|(_, at)| at.clone());
            self.flows_to(template, &at.unwrap_or_else(|| place.key("headers").key(name)), &sinks);
        }
        self.body_flows(auth.as_ref(), &body, place, &sinks);
        let cookies = match &written.cookies {
            None | Some(Json::Bool(false)) => None,
            Some(Json::Bool(true)) => Some(String::new()),
            Some(Json::String(name)) => Some(name.clone()),
            Some(_) => {
                self.tell(Diagnostic::error(
                    "wrong-type",
                    "`cookies` is `true` or the name of a jar",
                    &place.key("cookies"),
                ));
                None
            }
        };
        let max_body = match (&written.max_body, &defaults.max_body) {
            (Some(json), _) => self.size(json, &place.key("max_body")),
            (None, Some(json)) => self.size(json, &defaults_place.key("max_body")),
            (None, None) => None,
        };
        let paginate = written.paginate.as_ref().and_then(|paginate| {
            if effect != Effect::Read {
                self.tell(
                    Diagnostic::error("misplaced-key", "only a `read` step can be paged", &place.key("paginate"))
                        .at(Part::Key),
                );
            }
            self.paginate(paginate, &place.key("paginate"))
        });
        self.target_permitted(&method, &written.url, &place.key("url"));
        Work::Http(Box::new(Http {
            redirects: written.redirects,
            method,
            url,
            query,
            headers,
            auth,
            body,
            timeout,
            connect_timeout,
            tls,
            proxy,
            cookies,
            max_body: max_body.unwrap_or(LARGEST_BODY),
            paginate,
        }))
    }

    /// The hosts that a request goes to, and that see it on the way, as far as they are known beforehand.
    fn hosts(&self, url: &str, proxy: Option<&String>) -> Vec<Sink> {
        let sink = |url: &url::Url| {
            let (host, port) = (url.host_str()?.to_string(), url.port_or_known_default()?);
            let shown = url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
            Some(Sink::Host { host, port, shown })
        };
        let Some(target) = self.known_url(url) else { return Vec::new() };
        let mut sinks: Vec<Sink> = sink(&target).into_iter().collect();
        // Through TLS a proxy sees nothing.
        if target.scheme() == "http"
            && let Some(proxy) = proxy.and_then(|text| self.known_url(text))
        {
            sinks.extend(sink(&proxy));
        }
        sinks
    }

    fn body_flows(&mut self, auth: Option<&Auth>, body: &Body, place: &Place, sinks: &[Sink]) {
        let at = place.key("auth");
        match auth {
            None => {}
            Some(Auth::Bearer(token)) => self.flows_to(token, &at.key("bearer"), sinks),
            Some(Auth::Basic { user, password }) => {
                self.flows_to(user, &at.key("basic").key("user"), sinks);
                self.flows_to(password, &at.key("basic").key("password"), sinks);
            }
        }
        match body {
            Body::None | Body::File(_) => {}
            Body::Json(template) => self.flows_to(template, &place.key("json"), sinks),
            Body::Text(template) => self.flows_to(template, &place.key("text"), sinks),
            Body::Form(fields) => {
                for (name, template) in fields {
                    self.flows_to(template, &place.key("form").key(name), sinks);
                }
            }
            Body::Multipart(parts) => {
                for (name, part) in parts {
                    if let PartSource::Text(template) = part {
                        self.flows_to(template, &place.key("multipart").key(name), sinks);
                    }
                }
            }
        }
    }

    fn auth(&mut self, written: &document::Auth, place: &Place) -> Option<Auth> {
        match (&written.bearer, &written.basic) {
            (Some(token), None) => Some(Auth::Bearer(self.text(token, &place.key("bearer")))),
            (None, Some(basic)) => Some(Auth::Basic {
                user: self.text(&basic.user, &place.key("basic").key("user")),
                password: self.text(&basic.password, &place.key("basic").key("password")),
            }),
            (Some(_), Some(_)) => {
                self.tell(
                    Diagnostic::error("two-auths", "`auth` is `bearer` or `basic`, not both", place).at(Part::Key),
                );
                None
            }
            (None, None) => {
                self.tell(
                    Diagnostic::error("missing-key", "`auth` says neither `bearer` nor `basic`", place)
                        .at(Part::Key)
                        .help("`auth: {bearer: \"{{ token }}\"}` or `auth: {basic: {user: …, password: …}}`"),
                );
                None
            }
        }
    }

    fn body(&mut self, written: &document::Http, place: &Place) -> Body {
        if let Some(json) = &written.json {
            Body::Json(self.template(json, &place.key("json")))
        } else if let Some(form) = &written.form {
            Body::Form(self.named(Some(form), &place.key("form")))
        } else if let Some(parts) = &written.multipart {
            let at = place.key("multipart");
            Body::Multipart(
                parts.iter().map(|(name, json)| (name.clone(), self.multipart(json, &at.key(name)))).collect(),
            )
        } else if let Some(text) = &written.text {
            Body::Text(self.text(text, &place.key("text")))
        } else if let Some(path) = &written.file {
            Body::File(self.public("a path", path, &place.key("file")))
        } else {
            Body::None
        }
    }

    fn multipart(&mut self, json: &Json, place: &Place) -> PartSource {
        let Some(map) = json.as_object().filter(|map| map.contains_key("file")) else {
            return PartSource::Text(self.template(json, place));
        };
        for key in map.keys().filter(|key| !["file", "filename", "content_type"].contains(&key.as_str())) {
            self.tell(
                Diagnostic::error("unknown-key", format!("`{key}` is no key of a multipart file"), &place.key(key))
                    .at(Part::Key)
                    .help("file, filename, content_type"),
            );
        }
        let mut text = |key: &str| {
            let template = map.get(key).map(|json| self.template(json, &place.key(key)))?;
            self.no_secret_in(&format!("`{key}`"), &template, &place.key(key));
            Some(template)
        };
        let (file, filename, content_type) = (text("file"), text("filename"), text("content_type"));
        PartSource::File { path: file.unwrap_or_else(|| Template::literal(Json::Null)), filename, content_type }
    }

    fn tls(&mut self, written: &document::Tls, place: &Place) -> Tls {
        let mut text =
            |text: &Option<String>, key: &str| text.as_ref().map(|text| self.public("a path", text, &place.key(key)));
        let (ca, client_cert, client_key) = (
            text(&written.ca, "ca"),
            text(&written.client_cert, "client_cert"),
            text(&written.client_key, "client_key"),
        );
        let min_version = written.min_version.as_ref().and_then(|json| {
            let text = crate::value::text_of(json);
            if matches!(text.as_str(), "1.2" | "1.3") {
                return Some(text);
            }
            self.tell(
                Diagnostic::error(
                    "unknown-word",
                    format!("`{text}` is no TLS version that can be demanded"),
                    &place.key("min_version"),
                )
                .help("`1.2` or `1.3`"),
            );
            None
        });
        if client_key.is_some() && client_cert.is_none() {
            self.tell(Diagnostic::error("missing-key", "a `client_key` needs its `client_cert`", place).at(Part::Key));
        }
        Tls { ca, client_cert, client_key, min_version }
    }

    fn paginate(&mut self, written: &document::Paginate, place: &Place) -> Option<Paginate> {
        let items = self.query(&written.items, &place.key("items"), &["page"]);
        let until = match &written.until {
            Some(text) => Some(self.query(text, &place.key("until"), &["page", "count", "items"])?),
            None => None,
        };
        Some(Paginate {
            query: written.query.clone(),
            start: written.start.unwrap_or(1),
            items: items?,
            until,
            max_pages: written.max_pages.unwrap_or(50).max(1),
        })
    }
}
