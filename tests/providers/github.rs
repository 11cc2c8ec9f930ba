//! GitHub's secrets of repositories, environments, organizations, Codespaces and Dependabot. Sealed boxes are opened:
//! a test compares plaintexts, the API never tells them.
//! Source: GitHub's published OpenAPI description; errors and name rules from its documentation and public reports.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto_box::SecretKey;
use serde_json::{Map, Value, json};

use super::cloudflare::{Cloudflare, ROTATED};
use super::fresh::{self, Time, TimeStyle};
use super::server::{Answer, Request};
use super::setup::{GithubAccess, Setup};

pub const HOST: &str = "api.github.com";
pub const REPOSITORY: &str = "raxx-app/raxx";
/// The store that `gh secret set NAME -R raxx-app/raxx` writes to.
pub const ACTIONS: &str = "repos/raxx-app/raxx/actions";
const VALUE_LIMIT: usize = 48 << 10;

pub struct Github {
    /// By `repos/O/R/actions`, `repos/O/R/environments/E`, `repos/O/R/codespaces`, `repos/O/R/dependabot` and
    /// `orgs/O/actions`, owner and repository in lower case.
    pub stores: BTreeMap<String, Store>,
}

pub struct Store {
    /// Digits, the first one a 0: no number.
    pub key_id: String,
    pub key: SecretKey,
    /// By name in upper case.
    pub secrets: BTreeMap<String, Secret>,
}

pub struct Secret {
    /// The opened box.
    pub value: String,
    pub created_at: Time,
    pub updated_at: Time,
    /// Of an organization's secret.
    pub visibility: Option<String>,
}

impl Github {
    /// The repository has the legacy name only, so that the new one must be created and the other updated.
    pub fn new(_setup: &Setup, cloudflare: &Cloudflare) -> Self {
        let places = [
            ACTIONS,
            "repos/raxx-app/raxx/environments/production",
            "repos/raxx-app/raxx/codespaces",
            "repos/raxx-app/raxx/dependabot",
            "orgs/raxx-app/actions",
        ];
        let mut stores: BTreeMap<_, _> = places.iter().map(|place| ((*place).to_owned(), Store::new())).collect();
        let (name, legacy, _) = ROTATED[0];
        let created_at = Time::now().plus_days(-200);
        let value = cloudflare.token(name).value.clone();
        let secret = Secret { value, created_at, updated_at: created_at, visibility: None };
        stores.get_mut(ACTIONS).expect("just made").secrets.insert(legacy.to_owned(), secret);
        Github { stores }
    }

    /// The opened value of a repository's Actions secret.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.stores[ACTIONS].secrets.get(name).map(|secret| secret.value.as_str())
    }

    pub(super) fn places_of(&self, value: &str) -> Vec<String> {
        let held = self
            .stores
            .iter()
            .flat_map(|(place, store)| store.secrets.iter().map(move |(name, secret)| (place, name, secret)));
        held.filter(|(.., secret)| secret.value == value)
            .map(|(place, name, _)| format!("github:{place}:{name}"))
            .collect()
    }
}

impl Store {
    fn new() -> Self {
        let key_id = format!("0{}", fresh::text(17, fresh::DIGITS));
        Store { key_id, key: SecretKey::from_bytes(fresh::bytes()), secrets: BTreeMap::new() }
    }
}

pub fn answer(request: &Request, github: &mut Github, setup: &Setup) -> Answer {
    let answer = respond(request, github, setup).unwrap_or_else(|refused| refused);
    let reset = Time::now().plus_seconds(2400).0 / 1_000_000;
    answer
        .header("Content-Type", "application/json; charset=utf-8")
        .header("X-GitHub-Media-Type", "github.v3; format=json")
        .header("X-GitHub-Request-Id", fresh::hex(24).to_uppercase())
        .header("X-RateLimit-Limit", 5000)
        .header("X-RateLimit-Remaining", 4871)
        .header("X-RateLimit-Reset", reset)
}

pub fn refusal(status: u16) -> Answer {
    match status {
        429 => error(429, "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."),
        status => error(status, "We couldn't respond to your request in time. Sorry about that."),
    }
}

fn respond(request: &Request, github: &mut Github, setup: &Setup) -> Result<Answer, Answer> {
    if request.header("user-agent").is_none_or(|agent| agent.is_empty()) {
        return Err(error(
            403,
            "Request forbidden by administrative rules. Please make sure your request has a User-Agent header",
        ));
    }
    let header = request.header("authorization").ok_or_else(|| error(401, "Requires authentication"))?;
    let token =
        header.split_once(' ').filter(|(scheme, _)| ["bearer", "token"].contains(&scheme.to_lowercase().as_str()));
    if token.is_none_or(|(_, token)| token.trim() != setup.github_token) {
        return Err(error(401, "Bad credentials"));
    }
    let segments = request.segments();
    let path: Vec<_> = segments.iter().map(String::as_str).collect();
    let (place, last) = match path.as_slice() {
        ["repos", owner, repo, "environments", environment, "secrets", last] => {
            (format!("repos/{}/{}/environments/{environment}", owner.to_lowercase(), repo.to_lowercase()), *last)
        }
        ["repos", owner, repo, app @ ("actions" | "codespaces" | "dependabot"), "secrets", last] => {
            (format!("repos/{}/{}/{app}", owner.to_lowercase(), repo.to_lowercase()), *last)
        }
        ["orgs", org, "actions", "secrets", last] => (format!("orgs/{}/actions", org.to_lowercase()), *last),
        _ => return Err(error(404, "Not Found")),
    };
    let store = github.stores.get_mut(&place).ok_or_else(|| error(404, "Not Found"))?;
    match (setup.github_access, request.method.as_str(), last) {
        (GithubAccess::None, ..) => Err(error(404, "Not Found")),
        (_, "GET", "public-key") => {
            let key = STANDARD.encode(store.key.public_key().as_bytes());
            Ok(Answer::json(200, json!({"key_id": store.key_id, "key": key})))
        }
        (GithubAccess::ReadOnly, "GET" | "PUT", _) => {
            Err(error(403, "Resource not accessible by personal access token"))
        }
        (_, "GET", name) if !place.ends_with("codespaces") && !place.ends_with("dependabot") => {
            let name = name.to_uppercase();
            let secret = store.secrets.get(&name).ok_or_else(|| error(404, "Not Found"))?;
            Ok(Answer::json(200, show(&name, secret, setup)))
        }
        (_, "PUT", name) => put(request, store, name, place.starts_with("orgs/")),
        _ => Err(error(404, "Not Found")),
    }
}

fn put(request: &Request, store: &mut Store, name: &str, of_organization: bool) -> Result<Answer, Answer> {
    let name = name.to_uppercase();
    let legal = |character: char| character.is_ascii_uppercase() || character.is_ascii_digit() || character == '_';
    if !name.chars().all(legal) || name.starts_with(|first: char| first.is_ascii_digit()) || name.starts_with("GITHUB_")
    {
        return Err(error(
            422,
            "Secret names can only contain alphanumeric characters ([a-z], [A-Z], [0-9]) or underscores (_). Spaces are not allowed. Must start with a letter ([a-z], [A-Z]) or underscores (_). Must not start with GITHUB_.",
        ));
    }
    // `gh` 2.23 names a charset; any JSON type will do, as at the provider.
    if !request.media_type().ends_with("json") {
        return Err(error(415, "Unsupported 'Content-Type'. Must be 'application/json'."));
    }
    let Some(Value::Object(body)) = request.json() else {
        return Err(error(400, "Problems parsing JSON"));
    };
    let sealed = text(&body, "encrypted_value")?;
    let key_id = text(&body, "key_id")?;
    let visibility = match of_organization {
        true => Some(text(&body, "visibility")?),
        false => None,
    };
    if visibility.as_deref().is_some_and(|visibility| !["all", "private", "selected"].contains(&visibility)) {
        return Err(error(422, "Invalid request.\n\nNo subschema in \"visibility\" matched."));
    }
    if key_id != store.key_id {
        return Err(error(422, "Bad request - key_id is invalid"));
    }
    // The description's pattern wants padded base64 of at least one group.
    let sealed = Some(sealed).filter(|sealed| !sealed.is_empty()).and_then(|sealed| STANDARD.decode(sealed).ok());
    let sealed = sealed.ok_or_else(|| error(422, "Invalid request.\n\n\"encrypted_value\" is not base64."))?;
    let value = store.key.unseal(&sealed).map_err(|_| error(422, "Improperly encrypted secret"))?;
    if value.len() > VALUE_LIMIT {
        return Err(error(422, "Secret value is too large"));
    }
    let value = String::from_utf8(value).map_err(|_| error(422, "Improperly encrypted secret"))?;
    let now = Time::now();
    let before = store.secrets.get(&name).map(|secret| secret.created_at);
    let secret = Secret { value, created_at: before.unwrap_or(now), updated_at: now, visibility };
    store.secrets.insert(name, secret);
    Ok(match before {
        Some(_) => Answer::empty(204),
        None => Answer::json(201, json!({})).closed(),
    })
}

fn show(name: &str, secret: &Secret, setup: &Setup) -> Value {
    let style = setup.times.unwrap_or(TimeStyle::Seconds);
    let mut shown = json!({
        "name": name,
        "created_at": secret.created_at.show(style),
        "updated_at": secret.updated_at.show(style),
    });
    if let Some(visibility) = &secret.visibility {
        shown["visibility"] = visibility.as_str().into();
    }
    shown
}

fn text(body: &Map<String, Value>, name: &str) -> Result<String, Answer> {
    match body.get(name) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => {
            Err(error(422, &format!("Invalid request.\n\nFor 'properties/{name}', {other} is not a string.")))
        }
        None => Err(error(422, &format!("Invalid request.\n\n\"{name}\" wasn't supplied."))),
    }
}

fn error(status: u16, message: &str) -> Answer {
    let documentation = "https://docs.github.com/rest/actions/secrets";
    Answer::json(status, json!({"message": message, "documentation_url": documentation, "status": status.to_string()}))
}
