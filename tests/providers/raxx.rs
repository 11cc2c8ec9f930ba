//! The private endpoints of raxx: Raptor's health page, the console's site list and its rotation callback.
//! Source: the hosts, paths and shapes agreed in the section "Shared facts" of the decisions; everything beyond them is
//! this file's choice. What they report is what the serving dynos and Infisical really hold.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::State;
use super::cloudflare::ROTATED;
use super::fresh::{self, Time, TimeStyle};
use super::heroku::{self, Config};
use super::server::{Answer, Request};
use super::setup::Setup;

pub const PROD_HOST: &str = "api.raxx.app";
pub const STAGING_HOST: &str = "api-staging.raxx.app";
pub const CONSOLE_HOST: &str = "console.raxx.app";

#[derive(Default)]
pub struct Raxx {
    /// Bodies of accepted callbacks, in order.
    pub audit: Vec<Value>,
    /// By host: an answer of the health page, and how often it is still given.
    remembered: BTreeMap<String, (u16, Value, u32)>,
}

pub fn answer(request: &Request, state: &mut State, setup: &Setup) -> Answer {
    match (request.host.as_str(), request.method.as_str(), request.path.as_str()) {
        (PROD_HOST, "GET", "/health/dependencies") => health(PROD_HOST, heroku::PROD, state, setup),
        (STAGING_HOST, "GET", "/health/dependencies") => health(STAGING_HOST, heroku::STAGING, state, setup),
        (CONSOLE_HOST, "GET", "/api/status/sites") => sites(request, state, setup),
        (CONSOLE_HOST, "GET", "/login") => Answer::html(200, "Sign in"),
        (CONSOLE_HOST, "POST", "/api/rotations/callback") => callback(request, state, setup),
        _ => Answer::json(404, json!({"detail": "Not Found"})),
    }
}

pub fn refusal(status: u16, _setup: &Setup) -> Answer {
    Answer::json(status, json!({"detail": "try again later"}))
}

fn health(host: &str, app: &str, state: &mut State, setup: &Setup) -> Answer {
    if let Some((status, body, left)) = state.raxx.remembered.get_mut(host)
        && *left > 0
    {
        *left -= 1;
        return Answer::json(*status, body.clone());
    }
    let Some(config) = state.heroku.serving_config(app, setup) else { return down() };
    let ok = works(&config, "CF_PAGES_DEPLOY", state);
    let now = time(setup);
    let mut cloudflare = json!({"ok": ok, "latency_ms": 41, "checked_at": now});
    if !ok {
        cloudflare["error"] = "cloudflare answered 401".into();
    }
    let body = json!({
        "status": if ok { "ok" } else { "degraded" },
        "postgres": {"ok": true, "latency_ms": 3, "checked_at": now},
        "cloudflare": cloudflare,
        "stripe": {"ok": true, "latency_ms": 120, "checked_at": now},
    });
    let status = if ok { 200 } else { setup.unhealthy_status };
    state.raxx.remembered.insert(host.to_owned(), (status, body.clone(), setup.health_memory));
    Answer::json(status, body)
}

/// The console asks Cloudflare for the state of Pages sites with `CF_PAGES_READ` out of its Infisical project, and gets
/// at them through Access, with `CF_ACCESS_MGMT` of its dynos. A site elsewhere is broken all the time.
fn sites(request: &Request, state: &mut State, setup: &Setup) -> Answer {
    let cookies = request.header("cookie").unwrap_or_default();
    let session =
        cookies.split([';', ',']).find_map(|cookie| cookie.trim().strip_prefix("ops_session=").map(str::to_owned));
    if session.as_deref() != Some(setup.ops_session.as_str()) {
        // Whoever follows this gets a page, with 200.
        return Answer::html(302, "Found").header("Location", "/login?next=/api/status/sites");
    }
    let Some(config) = state.heroku.serving_config(heroku::CONSOLE, setup) else { return down() };
    let names = names_of("CF_PAGES_READ");
    let stored = names
        .iter()
        .filter_map(|name| state.infisical.value("console", name).map(|value| ((*name).to_owned(), value.to_owned())));
    let stored: Config = stored.collect();
    let ok = works(&config, "CF_ACCESS_MGMT", state) && works(&stored, "CF_PAGES_READ", state);
    let checked = time(setup);
    let site = |name: &str, provider: &str, ok: bool| {
        let liveness = json!({"ok": ok, "status": if ok { 200 } else { 0 }, "checked_at": checked});
        json!({"name": name, "provider": provider, "url": format!("https://{name}.raxx.app"), "liveness": liveness})
    };
    Answer::json(
        200,
        json!({"sites": [
            site("blog", "github_pages", false),
            site("www", "cloudflare_pages", ok),
            site("docs", "cloudflare_pages", ok),
            site("shop", "heroku", true),
        ]}),
    )
}

fn callback(request: &Request, state: &mut State, setup: &Setup) -> Answer {
    if request.bearer().as_deref() != Some(setup.audit_token.as_str()) {
        return Answer::json(401, json!({"detail": "Not authenticated"}));
    }
    if state.heroku.serving_config(heroku::CONSOLE, setup).is_none() {
        return down();
    }
    let body = (request.media_type() == "application/json").then(|| request.json()).flatten();
    let Some(body) = body else { return unfit("body", "not JSON") };
    let text = |path: &str| body.pointer(path).and_then(Value::as_str).filter(|text| !text.is_empty());
    for path in
        ["/action", "/actor", "/context/secret_name", "/context/method", "/context/rotated_at", "/context/run_id"]
    {
        if text(path).is_none() {
            return unfit(path, "a text is required");
        }
    }
    if !text("/action").is_some_and(|action| action.starts_with("secret.rotate.")) {
        return unfit("/action", "not one of secret.rotate.*");
    }
    if !text("/context/method").is_some_and(|method| ["programmatic", "dashboard"].contains(&method)) {
        return unfit("/context/method", "programmatic or dashboard");
    }
    if !text("/context/rotated_at").is_some_and(fresh::is_rfc3339) {
        return unfit("/context/rotated_at", "not a date-time");
    }
    if !text("/context/secret_name").is_some_and(|name| ROTATED.iter().any(|(own, ..)| *own == name)) {
        return unfit("/context/secret_name", "no such secret");
    }
    state.raxx.audit.push(body);
    Answer::json(202, json!({"accepted": true, "id": fresh::uuid()}))
}

/// Whether what is held under the taxonomy name and under the legacy name (those of them that are there) is in order.
fn works(held: &Config, token: &str, state: &mut State) -> bool {
    let values: Vec<_> = names_of(token).iter().filter_map(|name| held.get(*name)).collect();
    let mut works = !values.is_empty();
    for value in values {
        works &= state.cloudflare.works_as(value, token);
    }
    works
}

fn names_of(token: &str) -> [&'static str; 2] {
    let (name, legacy, _) = ROTATED.iter().find(|(name, ..)| *name == token).expect("one of the rotated");
    [name, legacy]
}

/// What Heroku's router says for an app without a dyno that is up.
fn down() -> Answer {
    Answer::html(503, "Application error")
}

fn unfit(place: &str, message: &str) -> Answer {
    Answer::json(422, json!({"detail": [{"loc": place, "msg": message}]}))
}

fn time(setup: &Setup) -> String {
    Time::now().show(setup.times.unwrap_or(TimeStyle::Micros))
}
