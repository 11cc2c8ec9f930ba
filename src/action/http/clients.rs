//! Owns the run's HTTP clients, one for each way of connecting, and its cookie jars.
//! Deliberately knows nothing of what is sent.

use super::names::{Answers, Names};
use super::{Request, Tls, unsent};
use crate::action::ActionError;
use crate::plan::permissions::Grant;
use crate::secret::Taint;
use reqwest::cookie::CookieStore;
use reqwest::header::{HeaderValue, SET_COOKIE};
use std::collections::HashMap;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;
use url::Url;

/// How long making a connection may take where the request does not say; less where it has little time as a whole.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection that was idle for longer is not used again: many servers and gateways drop it after five seconds,
/// some without a word, and a request that went into such a connection is one of which nobody knows what became.
const IDLE: Duration = Duration::from_secs(3);

/// Certificates and keys are small; more is a mistake.
const LARGEST_PEM: u64 = 1 << 20;

/// The run's HTTP clients, one for each TLS and proxy setting, and its cookie jars.
#[derive(Default)]
pub struct Clients {
    clients: Mutex<HashMap<Line, reqwest::Client>>,
    jars: Mutex<HashMap<String, Arc<Jar>>>,
    answers: Option<Answers>,
}

/// Cookies by the URL as the playbook has it, so that they work alike in a rehearsal.
#[derive(Default)]
pub(super) struct Jar {
    store: reqwest::cookie::Jar,
    given: Mutex<Vec<Given>>,
}

/// A cookie as a server gave it, since the store does not tell whose it is.
struct Given {
    /// `name=value`
    pair: String,
    /// Host and port.
    by: (String, u16),
    /// What the answer counted as that it came with.
    veil: Taint,
}

/// One way of connecting. Requests that differ in it never share a connection: a pooled one would bypass what the
/// other was judged by.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Line {
    is_tls: bool,
    tls: Option<Material>,
    proxy: Option<Proxy>,
    private: bool,
    pub(super) connect_timeout: Duration,
}

/// The contents, not the paths: a certificate that a step renews counts from the next step on.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Material {
    ca: Option<Vec<u8>>,
    /// Certificate and key.
    identity: Option<Vec<u8>>,
    min_version: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Proxy {
    url: Url,
    private: bool,
}

impl Clients {
    /// Clients that ask `answers` before they ask the system for a name's addresses.
    pub fn with_names(answers: Answers) -> Clients {
        Clients { answers: Some(answers), ..Clients::default() }
    }

    pub(super) fn jar(&self, name: &str) -> Arc<Jar> {
        let mut jars = self.jars.lock().unwrap_or_else(PoisonError::into_inner);
        jars.entry(name.to_string()).or_default().clone()
    }

    pub(super) fn client(&self, line: &Line) -> Result<reqwest::Client, ActionError> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(line) {
            return Ok(client.clone());
        }
        let client = line.connect(self.answers.clone())?;
        clients.insert(line.clone(), client.clone());
        Ok(client)
    }
}

impl std::fmt::Debug for Clients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clients")
    }
}

impl Jar {
    /// In the order of their names; the store itself gives them in any.
    pub(super) fn cookies(&self, url: &Url) -> Option<HeaderValue> {
        let all = self.store.cookies(url)?;
        let mut cookies: Vec<&str> = std::str::from_utf8(all.as_bytes()).ok()?.split("; ").collect();
        cookies.sort_unstable();
        HeaderValue::try_from(cookies.join("; ")).ok()
    }

    /// `veil`: what the answer counts as.
    pub(super) fn keep(&self, response: &reqwest::Response, url: &Url, veil: &Taint) {
        self.store.set_cookies(&mut response.headers().get_all(SET_COOKIE).iter(), url);
        let by = place(url);
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        for header in response.headers().get_all(SET_COOKIE) {
            let text = String::from_utf8_lossy(header.as_bytes());
            let pair = pair(text.split(';').next().unwrap_or_default());
            match given.iter_mut().find(|known| known.pair == pair && known.by == by) {
                Some(known) => known.veil = veil.clone(),
                None => given.push(Given { pair, by: by.clone(), veil: veil.clone() }),
            }
        }
    }

    /// Of the cookies that would be sent to `url`, those that another place gave, each with what it came with. What a
    /// server gave itself is no news to it.
    pub(super) fn of_others(&self, cookies: &HeaderValue, url: &Url) -> Vec<(String, Taint)> {
        let to = place(url);
        let given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(cookies.as_bytes());
        let mut found = Vec::new();
        for cookie in text.split("; ").map(pair) {
            let own: Vec<&Given> = given.iter().filter(|known| known.pair == cookie).collect();
            if own.iter().any(|known| known.by == to) {
                continue;
            }
            let mut veil = Taint::default();
            // What the store spells in its own way is anybody's.
            let known = if own.is_empty() { given.iter().collect() } else { own };
            known.iter().for_each(|known| veil.add(&known.veil));
            found.push((cookie, veil));
        }
        found
    }
}

/// Cookies know no ports; `to:` does.
fn place(url: &Url) -> (String, u16) {
    (url.host_str().unwrap_or_default().to_string(), url.port_or_known_default().unwrap_or_default())
}

fn pair(text: &str) -> String {
    match text.split_once('=') {
        None => text.trim().to_string(),
        Some((name, value)) => format!("{}={}", name.trim(), value.trim()),
    }
}

impl Line {
    /// To a stand-in: plain, and past any proxy.
    pub(super) fn rehearsal(within: Duration) -> Line {
        Line { is_tls: false, tls: None, proxy: None, private: false, connect_timeout: connect_timeout(None, within) }
    }

    pub(super) fn open(
        request: &Request,
        url: &Url,
        private: bool,
        grant: &Grant,
        within: Duration,
    ) -> Result<Line, ActionError> {
        let is_tls = url.scheme() == "https";
        let tls = match &request.tls {
            Some(tls) if is_tls => Some(Material::read(tls, &request.folder, grant)?),
            _ => None,
        };
        let proxy = request.proxy.as_deref().map(|text| Proxy::parse(text, grant)).transpose()?;
        let connect_timeout = connect_timeout(request.connect_timeout, within);
        Ok(Line { is_tls, tls, proxy, private, connect_timeout })
    }

    /// What `open` would refuse, without reading any file: in a rehearsal they need not exist.
    pub(super) fn judge(request: &Request, grant: &Grant) -> Result<(), ActionError> {
        if let Some(tls) = &request.tls {
            for path in [&tls.ca, &tls.client_cert, &tls.client_key].into_iter().flatten() {
                grant.read(&request.folder.join(path)).map_err(refused)?;
            }
        }
        request.proxy.as_deref().map(|text| Proxy::parse(text, grant)).transpose().map(|_| ())
    }

    fn connect(&self, answers: Option<Answers>) -> Result<reqwest::Client, ActionError> {
        install_provider();
        let names = Names {
            private: self.private,
            proxy: self.proxy.as_ref().map(|proxy| (proxy.host(), proxy.private)),
            answers,
        };
        let mut builder = reqwest::Client::builder()
            // Proxies of the environment would lead what one host may see past another that no rule names.
            .no_proxy()
            .retry(reqwest::retry::never())
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .dns_resolver(names)
            .connect_timeout(self.connect_timeout)
            .pool_idle_timeout(IDLE)
            .user_agent(concat!("runbook/", env!("CARGO_PKG_VERSION")));
        if let Some(proxy) = &self.proxy {
            let proxy =
                reqwest::Proxy::all(proxy.url.as_str()).map_err(|_| unsent("the proxy's URL cannot be used"))?;
            builder = builder.proxy(proxy);
        }
        match (self.is_tls || self.proxy.is_some(), &self.tls) {
            // Loading the system's roots takes longer than many an exchange.
            (false, _) => builder = builder.tls_certs_only([]),
            (true, None) => {}
            (true, Some(material)) => builder = material.apply(builder)?,
        }
        builder.build().map_err(|error| unsent(format!("TLS cannot be set up: {}", super::fault::deepest(&error))))
    }
}

impl Material {
    fn read(tls: &Tls, folder: &Path, grant: &Grant) -> Result<Material, ActionError> {
        let pem = |path: &Path| read_pem(&folder.join(path), grant);
        let identity = match (&tls.client_cert, &tls.client_key) {
            (None, None) => None,
            (Some(cert), Some(key)) => Some([pem(cert)?, b"\n".to_vec(), pem(key)?].concat()),
            // Both in one file is usual for PEM.
            (Some(both), None) => Some(pem(both)?),
            (None, Some(_)) => return Err(unsent("`tls` has a `client_key` but no `client_cert`")),
        };
        let ca = tls.ca.as_deref().map(pem).transpose()?;
        Ok(Material { ca, identity, min_version: tls.min_version.clone() })
    }

    fn apply(&self, mut builder: reqwest::ClientBuilder) -> Result<reqwest::ClientBuilder, ActionError> {
        if let Some(pem) = &self.ca {
            let roots = reqwest::Certificate::from_pem_bundle(pem)
                .ok()
                .filter(|roots| !roots.is_empty())
                .ok_or_else(|| unsent("the file of `tls.ca` holds no PEM certificate"))?;
            builder = builder.tls_certs_only(roots);
        }
        if let Some(pem) = &self.identity {
            let identity = reqwest::Identity::from_pem(pem).map_err(|_| {
                unsent("the files of `tls.client_cert` and `tls.client_key` hold no PEM certificate and key")
            })?;
            builder = builder.identity(identity);
        }
        Ok(match self.min_version.as_deref() {
            None => builder,
            Some("1.2") => builder.tls_version_min(reqwest::tls::Version::TLS_1_2),
            Some("1.3") => builder.tls_version_min(reqwest::tls::Version::TLS_1_3),
            Some(other) => return Err(unsent(format!("`tls.min_version` is `{other}`: give `1.2` or `1.3`"))),
        })
    }
}

impl Proxy {
    /// A proxy is judged as the method CONNECT at its own place, whatever it speaks: it sees where all goes.
    fn parse(text: &str, grant: &Grant) -> Result<Proxy, ActionError> {
        let no_proxy =
            || unsent("`proxy` is no URL of a proxy: give `http://…`, `https://…`, `socks5://…` or `socks5h://…`");
        let mut url = Url::parse(text.trim()).map_err(|_| no_proxy())?;
        let is_socks = match url.scheme() {
            "http" | "https" => false,
            "socks5" | "socks5h" => true,
            _ => return Err(no_proxy()),
        };
        if is_socks && url.port().is_none() {
            let _ = url.set_port(Some(1080));
        }
        let scheme = if url.scheme() == "https" { "https" } else { "http" };
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(no_proxy)?;
        let port = url.port_or_known_default().ok_or_else(no_proxy)?;
        let judged = Url::parse(&format!("{scheme}://{host}:{port}/")).map_err(|_| no_proxy())?;
        let private = grant.net("CONNECT", &judged).map_err(refused)?;
        Ok(Proxy { url, private })
    }

    fn host(&self) -> String {
        self.url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_string()
    }
}

/// Without a wish, or with one that is no shorter than the whole exchange: a little less than the whole, so that a
/// host that does not answer at all is known as such. Then nothing was sent, and even what must not be done twice can
/// be tried again.
fn connect_timeout(asked: Option<Duration>, within: Duration) -> Duration {
    match asked {
        Some(asked) if asked < within => asked,
        _ => CONNECT_TIMEOUT.min(rounded_down(within / 4 * 3)),
    }
}

/// To a few steps, since each makes a client of its own: a time that is left over differs at every attempt.
fn rounded_down(time: Duration) -> Duration {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
    let dropped = (u64::BITS - millis.leading_zeros()).saturating_sub(3);
    Duration::from_millis(millis >> dropped << dropped)
}

fn read_pem(path: &Path, grant: &Grant) -> Result<Vec<u8>, ActionError> {
    let path = grant.read(path).map_err(refused)?;
    let mut content = Vec::new();
    let file = super::outgoing::open_regular(&path)?;
    file.take(LARGEST_PEM)
        .read_to_end(&mut content)
        .map_err(|error| unsent(format!("`{}` cannot be read: {}", path.display(), error.kind())))?;
    Ok(content)
}

pub(super) fn refused(refusal: crate::plan::permissions::Refusal) -> ActionError {
    ActionError::Refused { message: refusal.message, help: Some(refusal.help) }
}

fn install_provider() {
    static ONCE: Once = Once::new();
    // Fails where another part of the process was first, which is as good.
    ONCE.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connecting_has_a_little_less_time_than_the_whole() {
        let (second, millis) = (Duration::from_secs(1), Duration::from_millis);
        for (asked, within, expected) in [
            (None, second * 30, second * 10),
            (None, second * 4, millis(2560)),
            (None, second, millis(640)),
            (None, millis(1), millis(1)),
            (None, Duration::ZERO, millis(1)),
            (None, Duration::MAX, second * 10),
            (Some(second * 20), second * 30, second * 20),
            (Some(second * 30), second * 4, millis(2560)),
        ] {
            assert_eq!(connect_timeout(asked, within), expected, "{asked:?} {within:?}");
        }
    }
}
