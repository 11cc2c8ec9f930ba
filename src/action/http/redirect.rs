//! Owns where a redirect leads and what goes along: method, body, credentials.
//! Deliberately judges no permission: the next hop is judged like the first.

use super::{Request, exchange, unsent};
use crate::action::{ActionError, Sent};
use crate::plan::permissions::LONGEST_SHOWN;
use reqwest::header::LOCATION;
use url::Url;

/// One request of an exchange.
pub(super) struct Hop {
    pub(super) method: String,
    /// As rules and cookies know it; in a rehearsal it is sent elsewhere.
    pub(super) url: Url,
    pub(super) has_body: bool,
    /// Whether `auth`, secret headers and the like go along. Once they stayed behind they never come back.
    pub(super) has_credentials: bool,
    /// What redirected here.
    pub(super) came_from: Option<Url>,
}

impl Hop {
    pub(super) fn first(request: &Request) -> Result<Hop, ActionError> {
        let method = request.method.to_ascii_uppercase();
        if method == "CONNECT" {
            return Err(unsent("the method CONNECT is for proxies: give the proxy as `proxy:`"));
        }
        Ok(Hop { method, url: exchange::first_url(request)?, has_body: true, has_credentials: true, came_from: None })
    }

    /// The hop after an answer of `status` that pointed at `target`.
    pub(super) fn next(self, status: u16, target: Url, body_given: bool) -> Result<Hop, ActionError> {
        let turns_to_get = match status {
            303 => self.method != "HEAD",
            301 | 302 => self.method == "POST",
            _ => false,
        };
        let stays = is_same_place(&self.url, &target);
        let has_body = self.has_body && !turns_to_get;
        if has_body && body_given && !stays {
            return Err(ActionError::Failed {
                message: format!(
                    "{} redirected to {}, and the body of a request is not sent on to another place",
                    shown(&self.url),
                    shown(&target)
                ),
                sent: Sent::Perhaps,
            });
        }
        Ok(Hop {
            method: if turns_to_get { "GET".into() } else { self.method },
            has_body,
            has_credentials: self.has_credentials && stays,
            came_from: Some(self.url),
            url: target,
        })
    }
}

/// Where the answer redirects to, if it does.
pub(super) fn target(response: &reqwest::Response, from: &Url) -> Option<Url> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = String::from_utf8_lossy(response.headers().get(LOCATION)?.as_bytes()).into_owned();
    from.join(&location).ok().map(exchange::normal)
}

/// Same host and port, and not from https to http. From http to https at the usual ports is the same place, safer.
fn is_same_place(from: &Url, to: &Url) -> bool {
    let upgraded = from.scheme() == "http" && to.scheme() == "https" && from.port().is_none() && to.port().is_none();
    from.host() == to.host()
        && (upgraded || from.scheme() == to.scheme() && from.port_or_known_default() == to.port_or_known_default())
}

/// A URL for messages, which are masked by whoever tells them: without its query, which tends to carry tokens, and
/// without credentials.
pub(super) fn shown(url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_query(None);
    shown.set_fragment(None);
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    if shown.as_str().len() > LONGEST_SHOWN {
        return format!("a URL of {} characters", shown.as_str().chars().count());
    }
    shown.to_string()
}
