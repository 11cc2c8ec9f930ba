//! Owns the hops of one exchange: each is judged, sent, and followed where it leads.
//! Deliberately knows nothing of how a connection is made or an answer is read.

use super::clients::{Jar, Line};
use super::outgoing::{self, Cargo};
use super::redirect::{self, Hop};
use super::{Body, Request, Sending, answer, fault, unsent};
use crate::action::{ActionError, Hands, Leave, Output, Sent};
use crate::plan::permissions::{Grant, Refusal};
use crate::secret::Taint;
use reqwest::header::HeaderValue;
use std::time::{Duration, Instant};
use url::Url;

/// Does the exchange, following up to `request.redirects` redirects. `within` is the time it has.
pub(super) async fn run(
    hands: &Hands,
    request: &Request,
    leave: &Leave<'_>,
    within: Duration,
    sending: &Sending,
) -> Result<Output, ActionError> {
    let started = Instant::now();
    let jar = request.cookies.as_deref().map(|name| hands.clients.jar(name));
    let mut hop = Hop::first(request)?;
    let mut followed = 0;
    loop {
        // The answers of the hops before stand, whatever becomes of this one.
        let response = send(hands, request, &hop, leave, within, jar.as_deref(), sending)
            .await
            .map_err(|error| if followed > 0 { fault::after_the_first(error) } else { error })?;
        if let Some(jar) = &jar {
            jar.keep(&response, &hop.url, &leave.veil);
        }
        let Some(target) = redirect::target(&response, &hop.url).filter(|_| request.redirects > 0) else {
            return answer::read(response, &hop.url, request.max_body, started).await;
        };
        if followed == request.redirects {
            let message =
                format!("redirected more than {followed} times; the last pointed at {}", redirect::shown(&target));
            return Err(ActionError::Failed { message, sent: Sent::Perhaps });
        }
        followed += 1;
        hop = hop.next(response.status().as_u16(), target, !matches!(request.body, Body::None))?;
    }
}

async fn send(
    hands: &Hands,
    request: &Request,
    hop: &Hop,
    leave: &Leave<'_>,
    within: Duration,
    jar: Option<&Jar>,
    sending: &Sending,
) -> Result<reqwest::Response, ActionError> {
    let grant = leave.grant;
    let (private, cargo, cookies) = judge_hop(hands, request, hop, grant, jar)?;
    let (line, url) = match &hands.stand_ins {
        None => (Line::open(request, &hop.url, private, grant, within)?, hop.url.clone()),
        Some(stand_ins) => {
            Line::judge(request, grant)?;
            match stand_in(&stand_ins.hosts, &hop.url) {
                Some(url) => (Line::rehearsal(within), url),
                None => {
                    return Err(ActionError::Transport {
                        phase: "connecting",
                        message: format!(
                            "{}: connection refused (this world has no such host)",
                            hop.url.host_str().unwrap_or_default()
                        ),
                        sent: Sent::No,
                    });
                }
            }
        }
    };
    let client = hands.clients.client(&line)?;
    let ready = outgoing::build(&client, url, request, hop, cargo, cookies, grant)?;
    sending.begin();
    client.execute(ready).await.map_err(|error| fault::of_sending(error, &hop.url, &line))
}

/// Whether it may be sent, and all that goes with it, as far as that can be told without sending it.
pub(super) fn judge(hands: &Hands, request: &Request, leave: &Leave<'_>) -> Result<(), ActionError> {
    let hop = Hop::first(request)?;
    let jar = request.cookies.as_deref().map(|name| hands.clients.jar(name));
    judge_hop(hands, request, &hop, leave.grant, jar.as_deref())?;
    Line::judge(request, leave.grant)
}

/// Judges permission and the flow of secrets; gives whether the host may be private, and what is sent to it.
fn judge_hop<'a>(
    hands: &Hands,
    request: &'a Request,
    hop: &Hop,
    grant: &Grant,
    jar: Option<&Jar>,
) -> Result<(bool, Cargo<'a>, Option<HeaderValue>), ActionError> {
    judge_url(hands, request, hop)?;
    let private = grant.net(&hop.method, &hop.url).map_err(|refusal| refused(refusal, hop.came_from.as_ref()))?;
    let cargo = outgoing::cargo(request, hop);
    let mut taints: Vec<(String, Taint)> =
        cargo.values.iter().map(|(place, value)| (place.clone(), hands.births.taint_of(value))).collect();
    taints.extend(outgoing::taint_of_files(request, hop, grant, &hands.births)?);
    judge_flow(&taints, &hop.url, "")?;
    let cookies = jar.and_then(|jar| jar.cookies(&hop.url));
    if let (Some(jar), Some(cookies)) = (jar, &cookies) {
        let own = |(pair, mut veil): (String, Taint)| {
            veil.add(&hands.births.taint_in(&pair));
            (format!("the cookie `{}`", pair.split('=').next().unwrap_or_default()), veil)
        };
        judge_flow(&jar.of_others(cookies, &hop.url).into_iter().map(own).collect::<Vec<_>>(), &hop.url, "")?;
        taints.push(("a cookie".into(), hands.births.taint_in(&String::from_utf8_lossy(cookies.as_bytes()))));
    }
    // Through TLS a proxy sees nothing; of all else it sees everything.
    if let Some(proxy) = request.proxy.as_deref().filter(|_| hop.url.scheme() != "https")
        && let Ok(proxy) = Url::parse(proxy.trim())
    {
        judge_flow(&taints, &proxy, ", a proxy that sees what is sent without TLS")?;
    }
    Ok((private, cargo, cookies))
}

/// A server that was given a secret could have us carry it on: in the URL that it points at, or in one that is put
/// together of what it said. Before a name is looked up, since that tells the name.
fn judge_url(hands: &Hands, request: &Request, hop: &Hop) -> Result<(), ActionError> {
    let url = hop.url.as_str();
    let mut all = hands.births.taint_in(url);
    all.add(&hands.births.taint_in(&decoded(url)));
    if hop.came_from.is_none() {
        // A host is written in lower case when it is sent, and other words are changed too.
        all.add(&hands.births.taint_in(&request.url.expose_text()));
    }
    let Some(origin) = all.origins().next() else { return Ok(()) };
    Err(match &hop.came_from {
        None => kept_in_logs(format!("the URL has the secret `{}` in it", origin.name)),
        Some(from) => ActionError::Refused {
            message: format!("{} redirected to a URL that has the secret `{}` in it", redirect::shown(from), origin.name),
            help: Some("URLs are kept in the logs of every server and proxy on the way: `redirects: 0` takes the answer as it is".into()),
        },
    })
}

/// What the percent signs of a URL stand for; one that stands for nothing stays.
fn decoded(url: &str) -> String {
    let mut rest = url.as_bytes();
    let mut bytes = Vec::with_capacity(rest.len());
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let byte = digits.filter(|two| *first == b'%' && two.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match byte.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn kept_in_logs(what: String) -> ActionError {
    ActionError::Refused {
        message: format!("{what}, and URLs are kept in the logs of every server and proxy on the way"),
        help: Some("send it in a header, by `auth` or in the body".into()),
    }
}

/// What an unpermitted hop is told as; a redirect says where it came from, since the playbook does not.
fn refused(refusal: Refusal, came_from: Option<&Url>) -> ActionError {
    let message = match came_from {
        None => refusal.message,
        Some(url) => {
            format!("{} redirected to a place that is not permitted: {}", redirect::shown(url), refusal.message)
        }
    };
    ActionError::Refused { message, help: Some(refusal.help) }
}

/// Each secret may only go where its `to:` says. `what`: what the place is, where it is not the one asked for.
fn judge_flow(taints: &[(String, Taint)], url: &Url, what: &str) -> Result<(), ActionError> {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    for (place, taint) in taints {
        if let Some(origin) = taint.refuses_host(host, port) {
            let to = match url.port() {
                Some(port) => format!("{host}:{port}"),
                None => host.to_string(),
            };
            return Err(ActionError::Refused {
                message: format!("the secret `{}` in {place} may not go to {to}{what}", origin.name),
                help: Some(format!("add `{to}` to the `to:` of `{}`, if it is meant to go there", origin.name)),
            });
        }
    }
    Ok(())
}

/// The same path and query at what stands in for the host; `host:port` is looked for first.
fn stand_in(hosts: &std::collections::HashMap<String, Url>, url: &Url) -> Option<Url> {
    let host = url.host_str()?;
    let port = url.port_or_known_default()?;
    let base = hosts.get(&format!("{host}:{port}")).or_else(|| hosts.get(host))?;
    let mut target = base.clone();
    target.set_path(&format!("{}{}", base.path().trim_end_matches('/'), url.path()));
    target.set_query(url.query());
    Some(target)
}

/// Reads the URL of a request: no secrets, no credentials, no fragment, no dot at the host's end.
pub(super) fn first_url(request: &Request) -> Result<Url, ActionError> {
    if request.url.is_secret() {
        return Err(kept_in_logs("the URL is secret".into()));
    }
    if let Some((name, _)) = request.query.iter().find(|(_, value)| value.is_secret()) {
        return Err(kept_in_logs(format!("the query's `{name}` is secret")));
    }
    let text = request.url.expose_text();
    let mut url = Url::parse(text.trim()).map_err(|error| {
        // What cannot be parsed cannot be cut with certainty: nothing is shown where a password might stand.
        let shown = text.split(['?', '#']).next().filter(|shown| !shown.contains('@')).unwrap_or("…");
        unsent(format!("`{shown}` is no URL: {error}"))
    })?;
    for (name, value) in &request.query {
        url.query_pairs_mut().append_pair(name, &value.expose_text());
    }
    Ok(normal(url))
}

/// Without a fragment, which is never sent, and without a dot at the host's end, which names the same host.
pub(super) fn normal(mut url: Url) -> Url {
    url.set_fragment(None);
    if let Some(host) = url.host_str().and_then(|host| host.strip_suffix('.')).map(str::to_string) {
        // A host that cannot be set stays as it was, and is judged as it was.
        let _ = url.set_host(Some(&host));
    }
    url
}
