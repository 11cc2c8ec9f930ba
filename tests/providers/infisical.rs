//! Infisical's secrets (v4 and the deprecated v3 "raw" twins) and universal-auth login.
//! Source: there is no usable description; this follows the server's own code as it was read,
//! looked up again in repo `Infisical/infisical`: `routes/v4/secret-router.ts` (03e75b253ab3), `sanitizedSchemas.ts`
//! (0031d94e80bf), `plugins/error-handler.ts` (036d891d40d4), `secret-v2-bridge-service.ts` (0174d3613636).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::cloudflare::{Cloudflare, ROTATED};
use super::fresh::{self, Time, TimeStyle};
use super::server::{Answer, Request};
use super::setup::Setup;

pub const HOST: &str = "app.infisical.com";
pub const PROJECTS: [&str; 3] = ["raptor-backend", "console", "github-actions"];
pub const ENVIRONMENT: &str = "prod";
pub const FOLDER: &str = "/MooseQuest/cloudflare";

/// What a change policy does to a write; either way nothing is stored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ChangePolicy {
    /// 200 `{approval}`, as for a person.
    OpensApproval,
    /// 400, as later versions answer a machine identity.
    RefusesMachines,
}

pub struct Infisical {
    /// By project id.
    pub projects: BTreeMap<String, Project>,
    /// Approvals that were opened: project and secret name.
    pub approvals: Vec<(String, String)>,
    pub failed_logins: u32,
}

#[derive(Default)]
pub struct Project {
    /// By environment, then path (without trailing slash); a path that isn't here doesn't exist.
    pub folders: BTreeMap<(String, String), BTreeMap<String, Secret>>,
}

pub struct Secret {
    pub id: String,
    /// Oldest first; version 1 is the first.
    pub versions: Vec<String>,
    pub created_at: Time,
    pub updated_at: Time,
}

impl Infisical {
    /// Every project has what its consumers need under both names; only the new name of `CF_PAGES_DEPLOY` is still
    /// missing in `github-actions`, so that it must be created there and updated elsewhere.
    pub fn new(setup: &Setup, cloudflare: &Cloudflare) -> Self {
        let held: [(&str, &[&str]); 3] = [
            ("raptor-backend", &["CF_PAGES_DEPLOY", "CF_PAGES_READ"]),
            ("console", &["CF_ACCESS_MGMT", "CF_PAGES_READ"]),
            ("github-actions", &["CF_PAGES_DEPLOY"]),
        ];
        let mut projects = BTreeMap::new();
        for (id, names) in held {
            let mut folder = BTreeMap::from([(
                "SENTRY_DSN".to_owned(),
                Secret::new(format!("https://{}@o1.ingest", fresh::hex(32))),
            )]);
            for (name, legacy, _) in ROTATED.iter().filter(|(name, ..)| names.contains(name)) {
                let value = &cloudflare.token(name).value;
                folder.insert((*legacy).to_owned(), Secret::new(value.clone()));
                if id != "github-actions" {
                    folder.insert((*name).to_owned(), Secret::new(value.clone()));
                }
            }
            let mut project = Project::default();
            project.folders.insert((ENVIRONMENT.to_owned(), "/".to_owned()), BTreeMap::new());
            project.folders.insert((ENVIRONMENT.to_owned(), "/MooseQuest".to_owned()), BTreeMap::new());
            if !setup.missing_folders.iter().any(|missing| missing == id) {
                project.folders.insert((ENVIRONMENT.to_owned(), FOLDER.to_owned()), folder);
            }
            // What `--env` would be without being told, and the wrong place to write to.
            project.folders.insert(("dev".to_owned(), FOLDER.to_owned()), BTreeMap::new());
            projects.insert(id.to_owned(), project);
        }
        Infisical { projects, approvals: Vec::new(), failed_logins: 0 }
    }

    /// The value in the folder of the SOP; none where project, folder or secret is missing.
    pub fn value(&self, project: &str, name: &str) -> Option<&str> {
        let folder = self.projects.get(project)?.folders.get(&(ENVIRONMENT.to_owned(), FOLDER.to_owned()))?;
        Some(folder.get(name)?.value())
    }

    pub(super) fn places_of(&self, value: &str) -> Vec<String> {
        let mut places = Vec::new();
        for (id, project) in &self.projects {
            for ((environment, path), folder) in &project.folders {
                let held = folder.iter().filter(|(_, secret)| secret.value() == value);
                places.extend(held.map(|(name, _)| format!("infisical:{id}:{environment}:{path}:{name}")));
            }
        }
        places
    }
}

impl Secret {
    fn new(value: String) -> Self {
        let created_at = Time::now().plus_days(-90);
        Secret { id: fresh::uuid(), versions: vec![value], created_at, updated_at: created_at }
    }

    pub fn value(&self) -> &str {
        self.versions.last().expect("at least one version")
    }
}

/// Where a call points: the names differ between v3 and v4, the meaning doesn't.
struct Place {
    project: String,
    environment: String,
    path: String,
}

pub fn answer(request: &Request, infisical: &mut Infisical, setup: &Setup) -> Answer {
    let answer = respond(request, infisical, setup).unwrap_or_else(|refused| refused);
    answer
        .header("Content-Type", "application/json; charset=utf-8")
        .header("X-Request-Id", fresh::text(21, fresh::URL_SAFE))
}

pub fn refusal(status: u16) -> Answer {
    match status {
        429 => error(429, "RateLimitExceeded", "Rate limit exceeded. Please try again in 1 seconds"),
        status => error(status, "InternalServerError", "Something went wrong"),
    }
}

fn respond(request: &Request, infisical: &mut Infisical, setup: &Setup) -> Result<Answer, Answer> {
    let segments = request.segments();
    let path: Vec<_> = segments.iter().map(String::as_str).collect();
    let method = request.method.as_str();
    if (method, path.as_slice()) == ("POST", &["api", "v1", "auth", "universal-auth", "login"]) {
        return login(request, infisical, setup);
    }
    let (version, name) = match path.as_slice() {
        ["api", "v4", "secrets"] => (4, None),
        ["api", "v4", "secrets", name] => (4, Some(*name)),
        ["api", "v3", "secrets", "raw"] => (3, None),
        ["api", "v3", "secrets", "raw", name] => (3, Some(*name)),
        _ => return Err(no_route(request)),
    };
    authenticate(request, setup)?;
    match (method, name) {
        ("GET", None) => list(request, version, infisical, setup),
        ("GET", Some(name)) => read(request, version, name, infisical, setup),
        ("POST", Some(name)) => create(request, version, name, infisical, setup),
        ("PATCH", Some(name)) => update(request, version, name, infisical, setup),
        _ => Err(no_route(request)),
    }
}

fn login(request: &Request, infisical: &mut Infisical, setup: &Setup) -> Result<Answer, Answer> {
    let body = body(request)?;
    let (id, secret) = (text(&body, "clientId")?, text(&body, "clientSecret")?);
    if infisical.failed_logins >= 3 {
        return Err(error(403, "ForbiddenError", "Identity is temporarily locked out. Try again in 300 seconds"));
    }
    if (id.as_str(), secret.as_str()) != (setup.infisical_client.0.as_str(), setup.infisical_client.1.as_str()) {
        infisical.failed_logins += 1;
        return Err(error(401, "UnauthorizedError", "Invalid credentials"));
    }
    infisical.failed_logins = 0;
    Ok(Answer::json(
        200,
        json!({
            "accessToken": setup.infisical_token,
            "expiresIn": 2_592_000,
            "accessTokenMaxTTL": 2_592_000,
            "tokenType": "Bearer",
        }),
    ))
}

fn authenticate(request: &Request, setup: &Setup) -> Result<(), Answer> {
    let Some(token) = request.bearer() else {
        return Err(error(401, "UnauthorizedError", "Token missing"));
    };
    if token == setup.infisical_token {
        return Ok(());
    }
    Err(error(
        403,
        "TokenError",
        match token.split('.').count() {
            3 => "invalid signature",
            _ => {
                "The provided access token is malformed. Please use a valid token or generate a new one and try again."
            }
        },
    ))
}

fn list(request: &Request, version: u8, infisical: &Infisical, setup: &Setup) -> Result<Answer, Answer> {
    let place = place_in_query(request, version)?;
    let view = boolean(request, "viewSecretValue", true)?;
    boolean(request, "expandSecretReferences", version == 3)?;
    boolean(request, "recursive", false)?;
    let project = project(infisical, &place, setup)?;
    // A folder that doesn't exist is listed as an empty one.
    let folder = project.folders.get(&(place.environment.clone(), place.path.clone()));
    let hidden = !view || setup.hidden_values.contains(&place.project);
    let secrets: Vec<_> = folder
        .into_iter()
        .flatten()
        .map(|(name, secret)| {
            let mut shown = show(&place, name, secret, secret.versions.len(), hidden, setup);
            shown["secretValueHidden"] = hidden.into();
            shown["secretPath"] = place.path.clone().into();
            shown["tags"] = json!([]);
            shown["secretMetadata"] = json!([]);
            shown
        })
        .collect();
    Ok(Answer::json(200, json!({"secrets": secrets, "imports": []})))
}

fn read(request: &Request, version: u8, name: &str, infisical: &Infisical, setup: &Setup) -> Result<Answer, Answer> {
    let place = place_in_query(request, version)?;
    let view = boolean(request, "viewSecretValue", true)?;
    boolean(request, "expandSecretReferences", version == 3)?;
    if !matches!(request.query_value("type"), None | Some("shared")) {
        return Err(error(404, "NotFound", &format!("Secret with name '{name}' not found")));
    }
    let project = project(infisical, &place, setup)?;
    let folder = folder(project, &place, "GetSecretByName")?;
    let not_found = || error(404, "NotFound", &format!("Secret with name '{name}' not found"));
    let secret = folder.get(name).ok_or_else(not_found)?;
    let wanted = match request.query_value("version") {
        None => secret.versions.len(),
        Some(text) => match text.parse() {
            Ok(number) if (1..=secret.versions.len()).contains(&number) => number,
            Ok(_) => return Err(not_found()),
            Err(_) => return Err(invalid(&["version"], "Expected number, received nan")),
        },
    };
    if view && setup.hidden_values.contains(&place.project) {
        let message = format!("You do not have permission to view secret value on secret with name '{name}'");
        return Err(error(403, "ForbiddenReadSecretError", &message));
    }
    let mut shown = show(&place, name, secret, wanted, !view, setup);
    shown["secretValueHidden"] = (!view).into();
    shown["secretPath"] = place.path.clone().into();
    shown["tags"] = json!([]);
    shown["secretMetadata"] = json!([]);
    Ok(Answer::json(200, json!({"secret": shown})))
}

fn create(
    request: &Request,
    version: u8,
    name: &str,
    infisical: &mut Infisical,
    setup: &Setup,
) -> Result<Answer, Answer> {
    let body = body(request)?;
    let place = place_in_body(&body, version)?;
    let value = trimmed(&text(&body, "secretValue")?);
    if name.is_empty() || name.contains(':') || name.contains(' ') {
        return Err(invalid(&["secretName"], "Secret name cannot contain colon or space."));
    }
    let project = project_mut(infisical, &place, setup)?;
    let folder = folder_mut(project, &place, "CreateSecret")?;
    shared_only(&body)?;
    if folder.contains_key(name) {
        return Err(error(400, "BadRequest", "Secret already exist"));
    }
    if let Some(answer) = policy(name, &place, infisical, setup) {
        return answer;
    }
    let project = project_mut(infisical, &place, setup)?;
    let folder = folder_mut(project, &place, "CreateSecret")?;
    let now = Time::now();
    let secret = Secret { id: fresh::uuid(), versions: vec![value], created_at: now, updated_at: now };
    let shown = show(&place, name, &secret, 1, false, setup);
    folder.insert(name.to_owned(), secret);
    Ok(Answer::json(200, json!({"secret": shown})))
}

fn update(
    request: &Request,
    version: u8,
    name: &str,
    infisical: &mut Infisical,
    setup: &Setup,
) -> Result<Answer, Answer> {
    let body = body(request)?;
    let place = place_in_body(&body, version)?;
    let value = match body.get("secretValue") {
        None => None,
        Some(_) => Some(trimmed(&text(&body, "secretValue")?)),
    };
    let project = project_mut(infisical, &place, setup)?;
    let folder = folder_mut(project, &place, "UpdateSecret")?;
    shared_only(&body)?;
    if !folder.contains_key(name) {
        return Err(error(404, "NotFound", &format!("Secret with name {name} not found")));
    }
    if let Some(answer) = policy(name, &place, infisical, setup) {
        return answer;
    }
    let hidden = setup.hidden_values.contains(&place.project);
    let project = project_mut(infisical, &place, setup)?;
    let secret = folder_mut(project, &place, "UpdateSecret")?.get_mut(name).expect("looked up above");
    if let Some(value) = value {
        secret.versions.push(value);
    }
    secret.updated_at = Time::now();
    let mut shown = show(&place, name, secret, secret.versions.len(), hidden, setup);
    shown["secretValueHidden"] = hidden.into();
    Ok(Answer::json(200, json!({"secret": shown})))
}

/// What a protected path answers to a write; none where nothing protects it.
fn policy(name: &str, place: &Place, infisical: &mut Infisical, setup: &Setup) -> Option<Result<Answer, Answer>> {
    let (_, policy) = setup.policies.iter().find(|(project, _)| *project == place.project)?;
    if *policy == ChangePolicy::RefusesMachines {
        return Some(Err(error(
            400,
            "BadRequest",
            "Cannot use service token or machine token over protected branches",
        )));
    }
    infisical.approvals.push((place.project.clone(), name.to_owned()));
    let now = time(Time::now(), setup);
    let approval = json!({
        "id": fresh::uuid(),
        "policyId": fresh::uuid(),
        "hasMerged": false,
        "status": "open",
        "conflicts": null,
        "slug": fresh::text(12, fresh::ALPHANUMERIC).to_lowercase(),
        "folderId": fresh::uuid(),
        "bypassReason": null,
        "createdAt": now,
        "updatedAt": now,
        "isReplicated": null,
        "committerUserId": fresh::uuid(),
        "statusChangedByUserId": null,
    });
    Some(Ok(Answer::json(200, json!({"approval": approval}))))
}

/// Unknown members are passed over, as the server's own decoder does. A body that isn't JSON reaches the last branch
/// of its error handler: 500.
fn body(request: &Request) -> Result<Value, Answer> {
    let json = (request.media_type() == "application/json").then(|| request.json()).flatten();
    match json {
        Some(body @ Value::Object(_)) => Ok(body),
        Some(_) => Err(invalid(&[], "Expected object")),
        None => Err(error(500, "InternalServerError", "Something went wrong")),
    }
}

fn place_in_query(request: &Request, version: u8) -> Result<Place, Answer> {
    let get = |name: &str| request.query_value(name).map(|value| value.trim().to_owned());
    let project = match (version, get(project_key(version))) {
        (_, Some(project)) => project,
        (4, None) if request.segments().len() == 4 => return Err(invalid(&["projectId"], "Required")),
        (4, None) => return Err(error(400, "BadRequest", "Missing project id or environment")),
        _ => return Err(error(400, "BadRequest", "You must provide workspaceSlug or workspaceId")),
    };
    let environment = get("environment").ok_or_else(|| error(400, "BadRequest", "Missing environment"))?;
    Ok(Place { project, environment, path: without_slash(&get("secretPath").unwrap_or_else(|| "/".to_owned())) })
}

fn place_in_body(body: &Value, version: u8) -> Result<Place, Answer> {
    let project = text(body, project_key(version))?.trim().to_owned();
    let environment = text(body, "environment")?.trim().to_owned();
    let path = if body.get("secretPath").is_some() { text(body, "secretPath")? } else { "/".to_owned() };
    Ok(Place { project, environment, path: without_slash(path.trim()) })
}

fn project_key(version: u8) -> &'static str {
    if version == 4 { "projectId" } else { "workspaceId" }
}

fn project<'a>(infisical: &'a Infisical, place: &Place, setup: &Setup) -> Result<&'a Project, Answer> {
    member(place, setup)?;
    infisical.projects.get(&place.project).ok_or_else(|| no_project(place))
}

fn project_mut<'a>(infisical: &'a mut Infisical, place: &Place, setup: &Setup) -> Result<&'a mut Project, Answer> {
    member(place, setup)?;
    infisical.projects.get_mut(&place.project).ok_or_else(|| no_project(place))
}

fn member(place: &Place, setup: &Setup) -> Result<(), Answer> {
    match setup.foreign_projects.contains(&place.project) {
        true => Err(error(403, "PermissionDenied", "You are not allowed to read on secrets")),
        false => Ok(()),
    }
}

fn no_project(place: &Place) -> Answer {
    error(404, "NotFound", &format!("Project with ID '{}' not found", place.project))
}

type Folder = BTreeMap<String, Secret>;

fn folder<'a>(project: &'a Project, place: &Place, operation: &str) -> Result<&'a Folder, Answer> {
    let key = (place.environment.clone(), place.path.clone());
    project.folders.get(&key).ok_or_else(|| no_folder(place, operation))
}

fn folder_mut<'a>(project: &'a mut Project, place: &Place, operation: &str) -> Result<&'a mut Folder, Answer> {
    let key = (place.environment.clone(), place.path.clone());
    project.folders.get_mut(&key).ok_or_else(|| no_folder(place, operation))
}

/// The server names the operation in `error` here, and only here.
fn no_folder(place: &Place, operation: &str) -> Answer {
    let Place { environment, path, .. } = place;
    error(404, operation, &format!("Folder with path '{path}' in environment with slug '{environment}' not found"))
}

fn shared_only(body: &Value) -> Result<(), Answer> {
    match body.get("type").map(|kind| kind.as_str().unwrap_or_default()) {
        None | Some("shared") => Ok(()),
        Some("personal") => Err(error(400, "BadRequest", "Must be user to create personal secret")),
        Some(_) => Err(invalid(&["type"], "Invalid enum value. Expected 'shared' | 'personal'")),
    }
}

fn boolean(request: &Request, name: &str, default: bool) -> Result<bool, Answer> {
    match request.query_value(name) {
        None => Ok(default),
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(_) => Err(invalid(&[name], "Invalid enum value. Expected 'true' | 'false'")),
    }
}

fn text(body: &Value, name: &str) -> Result<String, Answer> {
    match body.get(name) {
        Some(Value::String(text)) => Ok(text.clone()),
        None => Err(invalid(&[name], "Required")),
        Some(_) => Err(invalid(&[name], "Expected string")),
    }
}

fn trimmed(value: &str) -> String {
    match value.ends_with('\n') {
        true => format!("{}\n", value.trim()),
        false => value.trim().to_owned(),
    }
}

fn without_slash(path: &str) -> String {
    match path.strip_suffix('/') {
        Some("") | None => path.to_owned(),
        Some(path) => path.to_owned(),
    }
}

fn show(place: &Place, name: &str, secret: &Secret, version: usize, hidden: bool, setup: &Setup) -> Value {
    json!({
        "id": secret.id,
        "_id": secret.id,
        "workspace": place.project,
        "environment": place.environment,
        "version": version,
        "type": "shared",
        "secretKey": name,
        "secretValue": if hidden { "<hidden-by-infisical>" } else { secret.versions[version - 1].as_str() },
        "secretComment": "",
        "secretReminderNote": null,
        "secretReminderRepeatDays": null,
        "skipMultilineEncoding": false,
        "createdAt": time(secret.created_at, setup),
        "updatedAt": time(secret.updated_at, setup),
        "actor": null,
        "isRotatedSecret": false,
        "rotationId": null,
    })
}

fn time(time: Time, setup: &Setup) -> String {
    time.show(setup.times.unwrap_or(TimeStyle::Millis))
}

fn error(status: u16, error: &str, message: &str) -> Answer {
    let id = format!("req-{}", fresh::text(14, fresh::ALPHANUMERIC));
    Answer::json(status, json!({"reqId": id, "statusCode": status, "message": message, "error": error}))
}

/// A request that doesn't fit the route: here `message` is a list.
fn invalid(path: &[&str], message: &str) -> Answer {
    let id = format!("req-{}", fresh::text(14, fresh::ALPHANUMERIC));
    let issues = json!([{"code": "invalid_type", "path": path, "message": message}]);
    Answer::json(422, json!({"reqId": id, "statusCode": 422, "error": "ValidationFailure", "message": issues}))
}

fn no_route(request: &Request) -> Answer {
    let message = format!("Route {}:{} not found", request.method, request.path);
    Answer::json(404, json!({"message": message, "error": "Not Found", "statusCode": 404}))
}
