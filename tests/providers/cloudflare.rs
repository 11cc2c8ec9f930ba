//! The Cloudflare API's user tokens (verify, list, look at, roll) and the listing of Pages projects.
//! Source: Cloudflare's published OpenAPI description for paths, parameters and envelopes; its documentation and public reports for statuses
//! and codes of errors, which the description leaves out.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::fresh::{self, Time, TimeStyle};
use super::server::{Answer, Request};
use super::setup::{Rolled, Setup};

pub const HOST: &str = "api.cloudflare.com";

/// The rotated tokens: taxonomy name, legacy name, what the token may do.
pub const ROTATED: [(&str, &str, &str); 3] = [
    ("CF_PAGES_DEPLOY", "CLOUDFLARE_RAXX_AUTOMATION_API_TOKEN", PAGES_WRITE),
    ("CF_ACCESS_MGMT", "CLOUDFLARE_ACCESS_MGMT_TOKEN", "Access: Apps and Policies Write"),
    ("CF_PAGES_READ", "CLOUDFLARE_PAGES_READ_TOKEN", PAGES_READ),
];
/// The name of the token that may roll others.
pub const ROTATION: &str = "rotation";

pub const TOKENS_WRITE: &str = "API Tokens Write";
pub const TOKENS_READ: &str = "API Tokens Read";
pub const PAGES_WRITE: &str = "Pages Write";
pub const PAGES_READ: &str = "Pages Read";

pub struct Cloudflare {
    /// The rotated ones first, in the order of [`ROTATED`], then `rotation`.
    pub tokens: Vec<Token>,
    /// Every roll that happened, in order.
    pub rolls: Vec<Roll>,
    pub projects: Vec<Value>,
}

pub struct Token {
    /// 32 hex digits.
    pub id: String,
    pub name: String,
    pub value: String,
    pub disabled: bool,
    pub issued_on: Time,
    pub modified_on: Time,
    pub last_used_on: Option<Time>,
    pub expires_on: Option<Time>,
    /// Names of permission groups.
    pub permissions: Vec<String>,
    /// What becomes of the next uses of `value`.
    pub coming: VecDeque<bool>,
    /// Earlier values, each with what becomes of its next uses; refused after that.
    pub earlier: Vec<(String, VecDeque<bool>)>,
}

pub struct Roll {
    pub token_id: String,
    pub by_token_id: String,
    pub old: String,
    pub new: String,
}

impl Cloudflare {
    pub fn new(setup: &Setup) -> Self {
        let now = Time::now();
        let mut tokens = Vec::new();
        for (at, (name, _, permission)) in ROTATED.iter().enumerate() {
            tokens.push(Token::new(name, permission, now.plus_days(-400 - at as i64)));
        }
        tokens.push(Token::new(ROTATION, TOKENS_WRITE, now.plus_days(-398)));
        for at in 0..setup.other_tokens {
            // Look-alikes among them: a search by prefix or without regard to case finds the wrong one.
            let name = match at {
                0 => "CF_PAGES_DEPLOY_OLD".to_owned(),
                1 => "cf_pages_read".to_owned(),
                2 => "CF ACCESS MGMT ".to_owned(),
                at => format!("ci – zone {at} (übergabe)"),
            };
            tokens.push(Token::new(&name, "DNS Read", now.plus_days(-(setup.other_tokens as i64) + at as i64)));
        }
        for name in &setup.twice {
            tokens.push(Token::new(name, PAGES_READ, now.plus_days(-1)));
        }
        for token in &mut tokens {
            token.disabled = setup.disabled.contains(&token.name);
            let days = setup.expires_in_days.iter().find(|(name, _)| *name == token.name).map(|(_, days)| *days);
            token.expires_on = days.map(|days| now.plus_days(days));
        }
        let projects = (0..setup.pages_projects).map(|at| project(at, now, setup)).collect();
        Cloudflare { tokens, rolls: Vec::new(), projects }
    }

    /// The first token of that name; a test that names none has a mistake.
    pub fn token(&self, name: &str) -> &Token {
        self.tokens.iter().find(|token| token.name == name).unwrap_or_else(|| panic!("no token `{name}`"))
    }

    pub fn token_mut(&mut self, name: &str) -> &mut Token {
        self.tokens.iter_mut().find(|token| token.name == name).unwrap_or_else(|| panic!("no token `{name}`"))
    }

    /// Whether a consumer gets on with `value` as the token called `name`. Counts as a use of a new value, so that a
    /// consumer's own calls carry it over the time of propagation; not of an earlier one.
    pub fn works_as(&mut self, value: &str, name: &str) -> bool {
        let Some(token) = self.tokens.iter_mut().find(|token| token.knows(value)) else { return false };
        let accepted = match token.value == value {
            true => token.coming.pop_front().unwrap_or(true),
            false => token.earlier.iter().any(|(old, coming)| old == value && coming.front() == Some(&true)),
        };
        accepted && token.name == name && token.status() == "active"
    }

    /// The place of the token that `value` opens now; counts as a use.
    fn find(&mut self, value: &str) -> Option<usize> {
        let at = self.tokens.iter().position(|token| token.knows(value))?;
        let token = &mut self.tokens[at];
        let accepted = match token.earlier.iter_mut().find(|(old, _)| old == value) {
            Some((_, coming)) => coming.pop_front().unwrap_or(false),
            None => token.coming.pop_front().unwrap_or(true),
        };
        accepted.then(|| {
            token.last_used_on = Some(Time::now());
            at
        })
    }
}

impl Token {
    fn new(name: &str, permission: &str, issued_on: Time) -> Self {
        Token {
            id: fresh::hex(32),
            name: name.to_owned(),
            value: fresh::text(40, fresh::URL_SAFE),
            disabled: false,
            issued_on,
            modified_on: issued_on.plus_seconds(3),
            last_used_on: None,
            expires_on: None,
            permissions: vec![permission.to_owned()],
            coming: VecDeque::new(),
            earlier: Vec::new(),
        }
    }

    pub fn status(&self) -> &'static str {
        if self.expires_on.is_some_and(|time| time <= Time::now()) {
            "expired"
        } else if self.disabled {
            "disabled"
        } else {
            "active"
        }
    }

    fn knows(&self, value: &str) -> bool {
        self.value == value || self.earlier.iter().any(|(old, _)| old == value)
    }

    fn may(&self, permissions: &[&str]) -> bool {
        self.status() == "active" && self.permissions.iter().any(|own| permissions.contains(&own.as_str()))
    }

    fn show(&self, setup: &Setup) -> Value {
        let groups: Vec<_> =
            self.permissions.iter().map(|name| json!({"id": fresh::hex(32), "name": name, "meta": {}})).collect();
        let mut token = json!({
            "id": self.id,
            "name": self.name,
            "status": self.status(),
            "issued_on": show(self.issued_on, setup),
            "modified_on": show(self.modified_on, setup),
            "policies": [{
                "id": fresh::hex(32),
                "effect": "allow",
                "resources": {format!("com.cloudflare.api.account.{}", setup.account_id): "*"},
                "permission_groups": groups,
            }],
        });
        if let Some(time) = self.last_used_on {
            token["last_used_on"] = show(time, setup).into();
        }
        if let Some(time) = self.expires_on {
            token["expires_on"] = show(time, setup).into();
        }
        token
    }
}

pub fn answer(request: &Request, cloudflare: &mut Cloudflare, setup: &Setup) -> Answer {
    let answer = respond(request, cloudflare, setup).unwrap_or_else(|refused| refused);
    answer
        .header("CF-Ray", format!("{}-FRA", fresh::hex(16)))
        .header("Ratelimit", "\"default\";r=1163;t=141")
        .header("Ratelimit-Policy", "\"default\";q=1200;w=300")
}

pub fn refusal(status: u16) -> Answer {
    match status {
        429 => error(429, 10429, "Rate limited. Please wait and consider throttling your request speed"),
        status => error(status, 10001, "Service temporarily unavailable"),
    }
}

fn respond(request: &Request, cloudflare: &mut Cloudflare, setup: &Setup) -> Result<Answer, Answer> {
    let segments = request.segments();
    let path: Vec<_> = segments.iter().map(String::as_str).collect();
    let (method, ["client", "v4", rest @ ..]) = (request.method.as_str(), path.as_slice()) else {
        return Err(error(404, 7000, "No route for that URI"));
    };
    let known = |rest: &[&str]| {
        matches!(rest, ["user", "tokens"] | ["user", "tokens", _] | ["user", "tokens", _, "value"])
            || matches!(rest, ["accounts", _, "pages", "projects"])
    };
    match (method, rest) {
        ("GET", ["user", "tokens", "verify"]) => {
            let at = authenticate(request, cloudflare, error(401, 1000, "Invalid API Token"))?;
            verify(&cloudflare.tokens[at], setup)
        }
        ("GET", ["user", "tokens"]) => {
            let at = authenticate(request, cloudflare, error(403, 9109, "Invalid access token"))?;
            permit(&cloudflare.tokens[at], &[TOKENS_READ, TOKENS_WRITE])?;
            list(request, cloudflare, setup)
        }
        ("GET", ["user", "tokens", id]) => {
            let at = authenticate(request, cloudflare, error(403, 9109, "Invalid access token"))?;
            permit(&cloudflare.tokens[at], &[TOKENS_READ, TOKENS_WRITE])?;
            let at = position(cloudflare, id)?;
            Ok(success(cloudflare.tokens[at].show(setup)))
        }
        ("PUT", ["user", "tokens", id, "value"]) => {
            let caller = authenticate(request, cloudflare, error(403, 9109, "Invalid access token"))?;
            permit(&cloudflare.tokens[caller], &[TOKENS_WRITE])?;
            check_empty_object(request)?;
            let at = position(cloudflare, id)?;
            if setup.roll_refused {
                return Err(error(403, 9109, "Unauthorized to access requested resource"));
            }
            let value = roll(cloudflare, at, caller, setup);
            Ok(success(json!(value)))
        }
        ("GET", ["accounts", account, "pages", "projects"]) => {
            let at = authenticate(request, cloudflare, error(400, 10000, "Authentication error"))?;
            let denied = || error(403, 10000, "Authentication error");
            if *account != setup.account_id || !cloudflare.tokens[at].may(&[PAGES_READ, PAGES_WRITE]) {
                return Err(denied());
            }
            list_projects(request, cloudflare, setup)
        }
        (_, rest) if known(rest) => Err(error(405, 7001, &format!("Method {method} not available for that URI."))),
        _ => Err(error(404, 7000, "No route for that URI")),
    }
}

/// The caller's token; `refused` for a value of the right shape that opens nothing.
fn authenticate(request: &Request, cloudflare: &mut Cloudflare, refused: Answer) -> Result<usize, Answer> {
    let Some(header) = request.header("authorization") else {
        return Err(error(400, 1001, "Missing \"Authorization\" header"));
    };
    let legal = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
    let value =
        header.strip_prefix("Bearer ").filter(|value| (40..=80).contains(&value.len()) && value.chars().all(legal));
    let Some(value) = value else {
        let chain = json!([{"code": 6111, "message": "Invalid format for Authorization header"}]);
        let errors = json!([{"code": 6003, "message": "Invalid request headers", "error_chain": chain}]);
        return Err(failure(400, errors));
    };
    cloudflare.find(value).ok_or(refused)
}

fn permit(token: &Token, permissions: &[&str]) -> Result<(), Answer> {
    match token.may(permissions) {
        true => Ok(()),
        false => Err(error(403, 9109, "Unauthorized to access requested resource")),
    }
}

/// The description wants a JSON object; the provider's own client (7.3.0) sends nothing at all. Both will do.
fn check_empty_object(request: &Request) -> Result<(), Answer> {
    if request.body.is_empty() {
        return Ok(());
    }
    if request.media_type() != "application/json" {
        return Err(error(415, 6006, "Unsupported request content type"));
    }
    match request.json() {
        Some(Value::Object(_)) => Ok(()),
        _ => Err(error(400, 6007, "Malformed JSON in request body")),
    }
}

fn position(cloudflare: &Cloudflare, id: &str) -> Result<usize, Answer> {
    if id.len() != 32 || !id.chars().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(error(
            400,
            7003,
            &format!("Could not route to /user/tokens/{id}, perhaps your object identifier is invalid?"),
        ));
    }
    cloudflare
        .tokens
        .iter()
        .position(|token| token.id == id)
        .ok_or_else(|| error(404, 1003, "Invalid or missing token id"))
}

/// A token that is disabled or has expired is verified with 200 too: the description has these states in the result.
fn verify(token: &Token, setup: &Setup) -> Result<Answer, Answer> {
    let mut result = json!({"id": token.id, "status": token.status()});
    if let Some(time) = token.expires_on {
        result["expires_on"] = show(time, setup).into();
    }
    let message = match token.status() {
        "active" => "This API Token is valid and active".to_owned(),
        status => format!("This API Token is {status}"),
    };
    Ok(envelope(
        200,
        json!({
            "result": result,
            "success": true,
            "errors": [],
            "messages": [{"code": 10000, "message": message, "type": null}],
        }),
    ))
}

fn list(request: &Request, cloudflare: &Cloudflare, setup: &Setup) -> Result<Answer, Answer> {
    let per_page = number(request, "per_page", 5, 50)?.unwrap_or(20);
    let page = number(request, "page", 1, usize::MAX)?.unwrap_or(1);
    let mut tokens: Vec<_> = cloudflare.tokens.iter().collect();
    match request.query_value("direction") {
        None | Some("desc") => tokens.sort_by_key(|token| std::cmp::Reverse(token.issued_on)),
        Some("asc") => tokens.sort_by_key(|token| token.issued_on),
        Some(_) => return Err(error(400, 1004, "direction must be asc or desc")),
    }
    let size = per_page.min(setup.page_cap.unwrap_or(usize::MAX));
    Ok(paged(tokens.iter().map(|token| token.show(setup)).collect(), page, size, setup))
}

fn roll(cloudflare: &mut Cloudflare, at: usize, caller: usize, setup: &Setup) -> String {
    let new = match setup.rolled {
        // A dash, an underscore and both cases are always among them.
        Rolled::Long => format!("cfut_{}-_aZ{}", fresh::text(60, fresh::URL_SAFE), fresh::text(11, fresh::URL_SAFE)),
        Rolled::LeadingDash => format!("-{}", fresh::text(39, fresh::URL_SAFE)),
    };
    let by_token_id = cloudflare.tokens[caller].id.clone();
    let token = &mut cloudflare.tokens[at];
    let old = std::mem::replace(&mut token.value, new.clone());
    // Only the value before this one may still be known at some edge.
    token.earlier.iter_mut().for_each(|(_, coming)| coming.clear());
    token.earlier.push((old.clone(), setup.propagation.old.iter().copied().collect()));
    token.coming = setup.propagation.new.iter().copied().collect();
    token.modified_on = Time::now();
    let token_id = token.id.clone();
    cloudflare.rolls.push(Roll { token_id, by_token_id, old, new: new.clone() });
    new
}

fn list_projects(request: &Request, cloudflare: &Cloudflare, setup: &Setup) -> Result<Answer, Answer> {
    let page = number(request, "page", 1, usize::MAX)?.unwrap_or(1);
    let per_page = number(request, "per_page", 1, usize::MAX)?.unwrap_or(10);
    let size = per_page.min(setup.page_cap.unwrap_or(10));
    Ok(paged(cloudflare.projects.clone(), page, size, setup))
}

fn number(request: &Request, name: &str, least: usize, most: usize) -> Result<Option<usize>, Answer> {
    let Some(text) = request.query_value(name) else { return Ok(None) };
    match text.parse::<usize>() {
        Ok(number) if (least..=most).contains(&number) => Ok(Some(number)),
        _ => Err(error(400, 1004, &format!("{name} is out of range"))),
    }
}

fn paged(items: Vec<Value>, page: usize, size: usize, setup: &Setup) -> Answer {
    let total = items.len();
    let shown: Vec<_> = items.into_iter().skip(size.saturating_mul(page - 1)).take(size).collect();
    let mut answer = json!({"success": true, "errors": [], "messages": []});
    if setup.result_info {
        answer["result_info"] = json!({"page": page, "per_page": size, "count": shown.len(), "total_count": total});
    }
    answer["result"] = shown.into();
    envelope(200, answer)
}

fn success(result: Value) -> Answer {
    envelope(200, json!({"result": result, "success": true, "errors": [], "messages": []}))
}

fn error(status: u16, code: u32, message: &str) -> Answer {
    failure(status, json!([{"code": code, "message": message}]))
}

fn failure(status: u16, errors: Value) -> Answer {
    envelope(status, json!({"success": false, "errors": errors, "messages": [], "result": null}))
}

fn envelope(status: u16, body: Value) -> Answer {
    Answer::json(status, body)
}

fn show(time: Time, setup: &Setup) -> String {
    time.show(setup.times.unwrap_or(TimeStyle::Micros))
}

/// The description declares items as deployments, the provider sends projects; no member is required.
fn project(at: usize, now: Time, setup: &Setup) -> Value {
    let name = ["raxx-www", "raxx-docs", "raxx-status"]
        .get(at)
        .map_or_else(|| format!("site-{at}"), |name| (*name).to_owned());
    json!({
        "id": fresh::uuid(),
        "name": name,
        "subdomain": format!("{name}-{}.pages.dev", fresh::hex(3)),
        "domains": [format!("{name}.raxx.app")],
        "production_branch": "main",
        "created_on": show(now.plus_days(-700 + at as i64), setup),
        "build_config": {"build_command": "npm run build", "destination_dir": "dist"},
        "source": {"type": "github", "config": {"owner": "raxx-app", "repo_name": name}},
        "latest_deployment": null,
        "canonical_deployment": null,
    })
}
