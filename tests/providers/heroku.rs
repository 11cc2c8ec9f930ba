//! The Heroku Platform API: apps, config vars, releases and dynos that restart one at a time while they are watched.
//! Source: Heroku's published API schema for paths and shapes (its `x-strictProperties`: all members and no others);
//! errors, ranges and required headers from its documentation and what its own client does.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::cloudflare::{Cloudflare, ROTATED};
use super::fresh::{self, Time, TimeStyle};
use super::server::{Answer, Request};
use super::setup::Setup;

pub const HOST: &str = "api.heroku.com";
pub const PROD: &str = "raxx-api-prod";
pub const STAGING: &str = "raxx-api-staging";
pub const CONSOLE: &str = "raxx-console-prod";

/// The most items of a list without `max`, and the most that `max` may ask for.
const PAGE: usize = 200;
const PAGE_LIMIT: usize = 1000;
const CONFIG_LIMIT: usize = 32 << 10;

pub type Config = BTreeMap<String, String>;

/// What the key may do with an app.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Full,
    /// Everything can be read, nothing changed (403).
    View,
    /// 403 for everything.
    Forbidden,
    /// 404, as if there were no such app.
    Hidden,
}

pub struct Heroku {
    /// By name.
    pub apps: BTreeMap<String, App>,
    /// Of the key, this hour.
    pub remaining: u32,
}

pub struct App {
    pub id: String,
    /// Ascending versions.
    pub releases: Vec<Release>,
    pub dynos: Vec<Dyno>,
    pub created_at: Time,
    /// Polls left in which no dyno moves.
    quiet: u32,
    /// Preboot: the release that answers requests, and for how many more.
    served: u32,
    served_left: u32,
    /// Which of the serving dynos answers next.
    turn: usize,
    scheduler_left: u32,
}

pub struct Release {
    pub id: String,
    pub version: u32,
    pub description: String,
    /// `pending`, `succeeded` or `failed`.
    pub status: &'static str,
    pub created_at: Time,
    /// The app's config vars as of this release.
    pub config: Config,
    polls: u32,
    fails: bool,
}

pub struct Dyno {
    pub id: String,
    /// `web.1`
    pub name: String,
    /// `starting`, `up` or `crashed`.
    pub state: &'static str,
    pub release_version: u32,
    pub size: &'static str,
    pub updated_at: Time,
}

impl Heroku {
    /// All three apps hold the present values. The legacy name is missing on staging, as in the SOP's commands.
    pub fn new(setup: &Setup, cloudflare: &Cloudflare) -> Self {
        let plan: [(&str, u32, &str, bool, &[&str]); 3] = [
            (PROD, setup.prod_releases, "CF_PAGES_DEPLOY", true, &["worker.1", "web.2", "run.4821", "web.1"]),
            (STAGING, 57, "CF_PAGES_DEPLOY", false, &["release.7163", "web.1"]),
            (CONSOLE, 18, "CF_ACCESS_MGMT", true, &["web.1", "run.9034"]),
        ];
        let mut apps = BTreeMap::new();
        for (name, releases, token, legacy, dynos) in plan {
            let value = &cloudflare.token(token).value;
            let mut config = Config::from([
                ("DATABASE_URL".to_owned(), format!("postgres://u{}:p{}@db.internal/d", fresh::hex(8), fresh::hex(32))),
                ("WEB_CONCURRENCY".to_owned(), "2".to_owned()),
                (token.to_owned(), value.clone()),
            ]);
            if legacy {
                let (_, legacy, _) = ROTATED.iter().find(|(name, ..)| *name == token).expect("one of the rotated");
                config.insert((*legacy).to_owned(), value.clone());
            }
            apps.insert(name.to_owned(), App::new(releases, config, dynos, setup.scheduler_job && name == PROD));
        }
        Heroku { apps, remaining: 4466 }
    }

    /// The app of that name; a test that names none has a mistake.
    pub fn app(&self, name: &str) -> &App {
        self.apps.get(name).unwrap_or_else(|| panic!("no app `{name}`"))
    }

    pub(super) fn places_of(&self, value: &str) -> Vec<String> {
        let held =
            self.apps.iter().flat_map(|(app, state)| state.config().iter().map(move |(name, held)| (app, name, held)));
        held.filter(|(.., held)| *held == value).map(|(app, name, _)| format!("heroku:{app}:{name}")).collect()
    }

    /// The config vars of the dyno that answers the next web request; none where no dyno can.
    pub(super) fn serving_config(&mut self, name: &str, setup: &Setup) -> Option<Config> {
        let app = self.apps.get_mut(name)?;
        app.tick(name, setup);
        app.serving_config(setup)
    }
}

impl App {
    fn new(versions: u32, config: Config, dynos: &[&str], scheduler: bool) -> Self {
        let now = Time::now();
        let created_at = now.plus_days(-i64::from(versions) - 30);
        let release = |version: u32| Release {
            id: fresh::uuid(),
            version,
            description: format!("Deploy {}", fresh::hex(8)),
            status: if version % 37 == 36 { "failed" } else { "succeeded" },
            created_at: created_at.plus_days(i64::from(version)),
            config: config.clone(),
            polls: 0,
            fails: false,
        };
        let mut releases: Vec<_> = (1..=versions).map(release).collect();
        if let Some(last) = releases.last_mut() {
            last.status = "succeeded";
        }
        let dyno = |name: &str| Dyno {
            id: fresh::uuid(),
            name: name.to_owned(),
            state: "up",
            // One-offs were started long ago, and go on with what they started with.
            release_version: if one_off(name) { versions - 9 } else { versions },
            size: "Standard-1X",
            updated_at: now.plus_days(-1),
        };
        let mut dynos: Vec<_> = dynos.iter().map(|name| dyno(name)).collect();
        if scheduler {
            dynos.push(dyno("scheduler.5508"));
        }
        App {
            id: fresh::uuid(),
            releases,
            dynos,
            created_at,
            quiet: 0,
            served: versions,
            served_left: 0,
            turn: 0,
            scheduler_left: 9,
        }
    }

    /// The config vars as the API shows them: those of the newest release, whatever became of it.
    pub fn config(&self) -> &Config {
        &self.newest().config
    }

    pub fn newest(&self) -> &Release {
        self.releases.last().expect("an app has a release")
    }

    /// The newest release that succeeded: the one dynos run.
    pub fn current_version(&self) -> u32 {
        self.releases.iter().rev().find(|release| release.status == "succeeded").map_or(0, |release| release.version)
    }

    /// Whether every dyno but one-offs is up on the current release.
    pub fn is_settled(&self) -> bool {
        let current = self.current_version();
        let settled = |dyno: &Dyno| one_off(&dyno.name) || (dyno.state == "up" && dyno.release_version == current);
        self.dynos.iter().all(settled)
    }

    fn release(&mut self, description: String, config: Config, name: &str, setup: &Setup) {
        let fails = setup.failing_releases.iter().any(|app| app == name);
        let polls = setup.release_polls;
        let version = self.newest().version + 1;
        let status = if polls == 0 && !fails { "succeeded" } else { "pending" };
        let (id, created_at) = (fresh::uuid(), Time::now());
        self.releases.push(Release { id, version, description, status, created_at, config, polls, fails });
        self.quiet = setup.dyno_polls;
        self.served_left = setup.preboot_calls;
    }

    /// Time goes on by one poll: a release gets through, or one dyno takes one step.
    fn tick(&mut self, name: &str, setup: &Setup) {
        let now = Time::now();
        self.scheduler_left = self.scheduler_left.saturating_sub(1);
        if self.scheduler_left == 0 {
            self.dynos.retain(|dyno| kind(&dyno.name) != "scheduler");
        }
        let newest = self.releases.last_mut().expect("an app has a release");
        if newest.status == "pending" {
            match newest.polls {
                0 => newest.status = if newest.fails { "failed" } else { "succeeded" },
                _ => newest.polls -= 1,
            }
            return;
        }
        if self.quiet > 0 {
            self.quiet -= 1;
            return;
        }
        let current = self.current_version();
        let moving =
            |dyno: &&mut Dyno| !one_off(&dyno.name) && (dyno.release_version != current || dyno.state == "starting");
        if let Some(dyno) = self.dynos.iter_mut().find(moving) {
            dyno.updated_at = now;
            if dyno.release_version != current {
                (dyno.id, dyno.release_version, dyno.state) = (fresh::uuid(), current, "starting");
            } else if setup.crashing_dynos.iter().any(|(app, crashing)| app == name && *crashing == dyno.name) {
                dyno.state = "crashed";
            } else {
                dyno.state = "up";
            }
        }
    }

    fn serving_config(&mut self, setup: &Setup) -> Option<Config> {
        let current = self.current_version();
        let web = |dyno: &&Dyno| kind(&dyno.name) == "web";
        let version = if setup.preboot_calls > 0 {
            let replaced =
                self.dynos.iter().filter(web).all(|dyno| dyno.state == "up" && dyno.release_version == current);
            match (replaced, self.served_left) {
                (true, 0) => self.served = current,
                (true, _) => self.served_left -= 1,
                (false, _) => {}
            }
            self.served
        } else {
            let serving: Vec<_> = self.dynos.iter().filter(web).filter(|dyno| dyno.state == "up").collect();
            self.turn += 1;
            serving.get(self.turn % serving.len().max(1))?.release_version
        };
        self.releases.iter().find(|release| release.version == version).map(|release| release.config.clone())
    }

    fn show(&self, name: &str, setup: &Setup) -> Value {
        let updated = time(self.newest().created_at, setup);
        json!({
            "acm": true,
            "archived_at": null,
            "buildpack_provided_description": "Python",
            "build_stack": {"id": fresh::uuid(), "name": "heroku-24"},
            "created_at": time(self.created_at, setup),
            "generation": {"id": fresh::uuid(), "name": "cedar"},
            "git_url": format!("https://git.heroku.com/{name}.git"),
            "id": self.id,
            "internal_routing": null,
            "maintenance": false,
            "name": name,
            "owner": {"email": "raxx@herokumanager.com", "id": fresh::uuid()},
            "organization": {"id": fresh::uuid(), "name": "raxx"},
            "team": {"id": fresh::uuid(), "name": "raxx"},
            "region": {"id": fresh::uuid(), "name": "eu"},
            "released_at": updated,
            "repo_size": null,
            "slug_size": 84_215_808,
            "space": null,
            "stack": {"id": fresh::uuid(), "name": "heroku-24"},
            "updated_at": updated,
            "web_url": format!("https://{name}-{}.herokuapp.com/", fresh::hex(12)),
        })
    }

    fn show_release(&self, release: &Release, name: &str, setup: &Setup) -> Value {
        let slug = fresh::uuid();
        json!({
            "addon_plan_names": ["heroku-postgresql:standard-0"],
            "artifacts": [{"type": "slug", "id": slug}],
            "app": {"name": name, "id": self.id},
            "created_at": time(release.created_at, setup),
            "description": release.description,
            "id": release.id,
            "updated_at": time(release.created_at.plus_seconds(1), setup),
            "slug": {"id": slug},
            "status": release.status,
            "user": {"id": fresh::uuid(), "email": "deploy@raxx.app"},
            "version": release.version,
            "current": release.version == self.current_version(),
            "output_stream_url": null,
            "eligible_for_rollback": release.status == "succeeded",
        })
    }

    fn show_dyno(&self, dyno: &Dyno, name: &str, setup: &Setup) -> Value {
        let release = self.releases.iter().find(|release| release.version == dyno.release_version);
        let kind = kind(&dyno.name);
        json!({
            "attach_url": null,
            "command": if kind == "web" { "gunicorn app:app" } else { "python -m jobs" },
            "created_at": time(dyno.updated_at, setup),
            "id": dyno.id,
            "name": dyno.name,
            "release": {"id": release.map(|release| release.id.as_str()), "version": dyno.release_version},
            "app": {"name": name, "id": self.id},
            "size": dyno.size,
            "state": dyno.state,
            "type": kind,
            "updated_at": time(dyno.updated_at, setup),
        })
    }
}

/// `web` of `web.1`.
fn kind(name: &str) -> &str {
    name.split('.').next().unwrap_or_default()
}

fn one_off(name: &str) -> bool {
    matches!(kind(name), "run" | "release" | "scheduler")
}

pub fn answer(request: &Request, heroku: &mut Heroku, setup: &Setup) -> Answer {
    let answer = respond(request, heroku, setup).unwrap_or_else(|refused| refused);
    let answer = answer.closed().header("Request-Id", fresh::uuid()).header("Oauth-Scope", "global");
    answer.header("RateLimit-Remaining", heroku.remaining)
}

pub fn refusal(status: u16) -> Answer {
    match status {
        429 => error(
            429,
            "rate_limit",
            "Your account reached the API rate limit\nPlease wait a few minutes before making new requests",
        ),
        503 => error(503, "service_unavailable", "API is temporarily unavailable"),
        status => error(status, "internal_server_error", "Internal server error."),
    }
}

fn respond(request: &Request, heroku: &mut Heroku, setup: &Setup) -> Result<Answer, Answer> {
    let accept = request.header("accept").unwrap_or_default();
    if !accept.contains("application/vnd.heroku+json") || !accept.contains("version=3") {
        return Err(error(406, "not_acceptable", "The Accept header doesn't name version 3 of the API"));
    }
    if request.bearer().as_deref() != Some(setup.heroku_key.as_str()) {
        return Err(error(401, "unauthorized", "Invalid credentials provided."));
    }
    let segments = request.segments();
    let path: Vec<_> = segments.iter().map(String::as_str).collect();
    let method = request.method.as_str();
    if (method, path.as_slice()) == ("GET", &["account", "rate-limits"]) {
        return Ok(Answer::json(200, json!({"remaining": heroku.remaining})));
    }
    heroku.remaining -= 1;
    let ["apps", identity, rest @ ..] = path.as_slice() else { return Err(no_route()) };
    let name = find(heroku, identity).ok_or_else(no_app)?;
    match setup.heroku_access.iter().find(|(app, _)| *app == name).map_or(Access::Full, |(_, access)| *access) {
        Access::Full => {}
        Access::View if method == "GET" => {}
        Access::View => return Err(error(403, "forbidden", "You do not have permission to change this app.")),
        Access::Forbidden => {
            return Err(error(403, "forbidden", &format!("You do not have access to the app {name}.")));
        }
        Access::Hidden => return Err(no_app()),
    }
    let app = heroku.apps.get_mut(&name).expect("just found");
    match (method, rest) {
        ("GET", []) => Ok(Answer::json(200, app.show(&name, setup))),
        ("GET", ["config-vars"]) => Ok(Answer::json(200, json!(app.config()))),
        ("PATCH", ["config-vars"]) => patch_config(request, app, &name, setup),
        ("GET", ["dynos"]) => {
            app.tick(&name, setup);
            let dynos: Vec<_> = app.dynos.iter().map(|dyno| app.show_dyno(dyno, &name, setup)).collect();
            ranged(request, dynos, &["id", "name"], "name")
        }
        ("DELETE", ["dynos"]) => {
            for dyno in app.dynos.iter_mut().filter(|dyno| !one_off(&dyno.name)) {
                dyno.state = "starting";
            }
            Ok(Answer::json(200, json!({})))
        }
        ("GET", ["dynos", identity]) => {
            app.tick(&name, setup);
            let dyno = app.dynos.iter().find(|dyno| dyno.name == *identity || dyno.id == *identity);
            let dyno = dyno.ok_or_else(|| not_found("dyno", "Couldn't find that dyno."))?;
            Ok(Answer::json(200, app.show_dyno(dyno, &name, setup)))
        }
        ("GET", ["releases"]) => {
            app.tick(&name, setup);
            let releases: Vec<_> = app.releases.iter().map(|release| app.show_release(release, &name, setup)).collect();
            ranged(request, releases, &["id", "version"], "version")
        }
        ("POST", ["releases"]) => roll_back(request, app, &name, setup),
        ("GET", ["releases", identity]) => {
            app.tick(&name, setup);
            let version = identity.parse::<u32>().ok();
            let release =
                app.releases.iter().find(|release| release.id == *identity || Some(release.version) == version);
            let release = release.ok_or_else(|| not_found("release", "Couldn't find that release."))?;
            Ok(Answer::json(200, app.show_release(release, &name, setup)))
        }
        _ => Err(no_route()),
    }
}

fn patch_config(request: &Request, app: &mut App, name: &str, setup: &Setup) -> Result<Answer, Answer> {
    let changes = body(request)?;
    let mut config = app.config().clone();
    let mut touched = Vec::new();
    for (key, value) in &changes {
        let word = |character: char| character.is_alphanumeric() || character == '_';
        if key.is_empty() || !key.chars().all(word) {
            return Err(error(422, "invalid_params", &format!("Invalid config var name: {key}")));
        }
        match value {
            Value::Null => config.remove(key),
            Value::String(value) => config.insert(key.clone(), value.clone()),
            _ => return Err(error(422, "invalid_params", &format!("Config var {key} must be a string or null"))),
        };
        touched.push(key.as_str());
    }
    if config.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() > CONFIG_LIMIT {
        return Err(error(422, "invalid_params", "Config vars are limited to 32kB."));
    }
    if config != *app.config() || (setup.unchanged_makes_release && !touched.is_empty()) {
        app.release(format!("Set {} config vars", touched.join(", ")), config, name, setup);
    }
    Ok(Answer::json(200, json!(app.config())))
}

/// Brings back the release's config vars too.
fn roll_back(request: &Request, app: &mut App, name: &str, setup: &Setup) -> Result<Answer, Answer> {
    let body = body(request)?;
    let Some(Value::String(id)) = body.get("release") else {
        return Err(error(422, "invalid_params", "Require params: release."));
    };
    let release = app.releases.iter().find(|release| release.id == *id);
    let release = release.ok_or_else(|| not_found("release", "Couldn't find that release."))?;
    let (description, config) = (format!("Rollback to v{}", release.version), release.config.clone());
    app.release(description, config, name, setup);
    Ok(Answer::json(201, app.show_release(app.newest(), name, setup)))
}

fn body(request: &Request) -> Result<Map<String, Value>, Answer> {
    if request.media_type() != "application/json" && request.media_type() != "application/vnd.heroku+json" {
        return Err(error(415, "unsupported_media_type", "The Content-Type must be application/json"));
    }
    match request.json() {
        Some(Value::Object(body)) => Ok(body),
        _ => Err(error(400, "bad_request", "request invalid, validate usage and try again")),
    }
}

/// One page of a list: `Range: ATTRIBUTE [first]..[last]; order=desc,max=1`, where `]` before `first` leaves it out.
/// `first` and `last` are in the order of the list. A list cut short is 206 with `Next-Range`.
fn ranged(request: &Request, mut items: Vec<Value>, attributes: &[&str], default: &str) -> Result<Answer, Answer> {
    let unsatisfiable = || error(416, "requested_range_not_satisfiable", "The Range header can't be satisfied");
    let header = request.header("range").unwrap_or_else(|| format!("{default} .."));
    let (range, options) = header.split_once(';').unwrap_or((&header, ""));
    let (attribute, bounds) = range.trim().split_once(' ').ok_or_else(unsatisfiable)?;
    let (first, last) = bounds.trim().split_once("..").ok_or_else(unsatisfiable)?;
    let (mut descending, mut max) = (false, PAGE);
    for option in options.split([';', ',']).map(str::trim).filter(|option| !option.is_empty()) {
        match option.split_once('=') {
            Some(("order", "asc")) => {}
            Some(("order", "desc")) => descending = true,
            Some(("max", number)) => {
                max = number.parse().ok().filter(|max| (1..=PAGE_LIMIT).contains(max)).ok_or_else(unsatisfiable)?;
            }
            _ => return Err(unsatisfiable()),
        }
    }
    if !attributes.contains(&attribute) {
        return Err(unsatisfiable());
    }
    // Versions are numbers, everything else is compared as text.
    let key = |item: &Value| match &item[attribute] {
        Value::Number(number) => format!("{:020}", number.as_u64().unwrap_or_default()),
        other => other.as_str().unwrap_or_default().to_owned(),
    };
    let bound = |text: &str| match text.parse::<u64>() {
        Ok(number) if attribute == "version" => format!("{number:020}"),
        _ => text.to_owned(),
    };
    items.sort_by_key(|item| key(item));
    if descending {
        items.reverse();
    }
    let before = |left: &str, right: &str| if descending { left > right } else { left < right };
    if let Some(first) = Some(first.trim_start_matches(']')).filter(|first| !first.is_empty()) {
        let (first, exclusive) = (bound(first), bounds.trim().starts_with(']'));
        items.retain(|item| before(&first, &key(item)) || (!exclusive && first == key(item)));
    }
    if let Some(last) = Some(last.trim_end_matches('[')).filter(|last| !last.is_empty()) {
        let last = bound(last);
        items.retain(|item| !before(&last, &key(item)));
    }
    let more = items.len() > max;
    items.truncate(max);
    let shown = |item: Option<&Value>| {
        item.map_or(String::new(), |item| item[attribute].to_string().trim_matches('"').to_owned())
    };
    let (first, last) = (shown(items.first()), shown(items.last()));
    let order = if descending { "; order=desc" } else { "" };
    let answer = Answer::json(if more { 206 } else { 200 }, Value::Array(items))
        .header("Accept-Ranges", attributes.join(", "))
        .header("Content-Range", format!("{attribute} {first}..{last}{order}"));
    Ok(match more {
        true => answer.header("Next-Range", format!("{attribute} ]{last}..{order}; max={max}")),
        false => answer,
    })
}

fn find(heroku: &Heroku, identity: &str) -> Option<String> {
    heroku.apps.iter().find(|(name, app)| *name == identity || app.id == identity).map(|(name, _)| name.clone())
}

fn no_app() -> Answer {
    not_found("app", "Couldn't find that app.")
}

fn no_route() -> Answer {
    error(
        404,
        "not_found",
        "The requested API endpoint was not found. Are you using the right HTTP verb and did you specify your intended version with the Accept header?",
    )
}

fn not_found(resource: &str, message: &str) -> Answer {
    Answer::json(404, json!({"resource": resource, "id": "not_found", "message": message}))
}

fn error(status: u16, id: &str, message: &str) -> Answer {
    Answer::json(status, json!({"id": id, "message": message}))
}

fn time(time: Time, setup: &Setup) -> String {
    time.show(setup.times.unwrap_or(TimeStyle::Seconds))
}
