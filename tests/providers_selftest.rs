//! The stand-ins of `tests/providers` judged by themselves, through a client that knows nothing but std.

mod providers;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto_box::PublicKey;
use crypto_box::aead::OsRng;
use serde_json::{Value, json};

use providers::fresh::{self, Time, TimeStyle};
use providers::infisical::ChangePolicy;
use providers::setup::{GithubAccess, HeaderCase, Propagation, Rolled};
use providers::{Fault, FaultKind, Providers, Setup, cloudflare, github, heroku, infisical, raxx, slack};

const HEROKU_ACCEPT: (&str, &str) = ("Accept", "application/vnd.heroku+json; version=3");

struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.body))
    }

    fn header(&self, name: &str) -> Option<&str> {
        let named = |line: &&str| line.split(':').next().is_some_and(|own| own.eq_ignore_ascii_case(name));
        self.head.lines().find(named).map(|line| line.split_once(':').unwrap().1.trim())
    }
}

/// One request on a connection of its own; `None` when no whole answer came.
fn send(port: u16, host: &str, line: &str, headers: &[(&str, &str)], body: &str) -> Option<Reply> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut request = format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        request.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    write!(stream, "{request}\r\n{body}").unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    parse(&bytes).map(|(reply, _)| reply)
}

/// The first answer in `bytes`, and what follows it.
fn parse(bytes: &[u8]) -> Option<(Reply, &[u8])> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let mut reply = Reply { status, head, body: String::new() };
    let mut rest = &bytes[end..];
    let mut body = Vec::new();
    if reply.header("transfer-encoding").is_some() {
        loop {
            let line = rest.windows(2).position(|window| window == b"\r\n")?;
            let size = std::str::from_utf8(&rest[..line]).unwrap().split(';').next().unwrap();
            let size = usize::from_str_radix(size, 16).unwrap();
            let chunk = rest.get(line + 2..line + 2 + size)?;
            body.extend_from_slice(chunk);
            rest = rest.get(line + 2 + size + 2..)?;
            if size == 0 {
                break;
            }
        }
    } else if let Some(length) = reply.header("content-length") {
        let length = length.parse().unwrap();
        body.extend_from_slice(rest.get(..length)?);
        rest = &rest[length..];
    }
    reply.body = String::from_utf8(body).unwrap();
    Some((reply, rest))
}

/// A call with a bearer token and, where there is one, a JSON body.
fn call(providers: &Providers, host: &str, line: &str, token: &str, body: Option<Value>) -> Reply {
    let authorization = format!("Bearer {token}");
    let mut headers = vec![("Authorization", authorization.as_str()), ("User-Agent", "selftest")];
    if host == heroku::HOST {
        headers.push(HEROKU_ACCEPT);
    }
    if body.is_some() {
        headers.push(("Content-Type", "application/json"));
    }
    let body = body.map_or(String::new(), |body| body.to_string());
    send(providers.port(), host, line, &headers, &body).expect("an answer")
}

fn verify(providers: &Providers, value: &str) -> Reply {
    call(providers, cloudflare::HOST, "GET /client/v4/user/tokens/verify", value, None)
}

fn roll(providers: &Providers, name: &str) -> String {
    let (id, caller) = providers.state(|state| {
        (state.cloudflare.token(name).id.clone(), state.cloudflare.token(cloudflare::ROTATION).value.clone())
    });
    let line = format!("PUT /client/v4/user/tokens/{id}/value");
    let reply = call(providers, cloudflare::HOST, &line, &caller, Some(json!({})));
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()["result"].as_str().unwrap().to_owned()
}

fn infisical_call(providers: &Providers, method: &str, project: &str, name: &str, value: Option<&str>) -> Reply {
    let token = &providers.setup().infisical_token;
    let path = format!("{method} /api/v4/secrets/{name}");
    match value {
        None => {
            let query = format!("?projectId={project}&environment=prod&secretPath=%2FMooseQuest%2Fcloudflare%2F");
            call(providers, infisical::HOST, &(path + &query), token, None)
        }
        Some(value) => {
            let body = json!({"projectId": project, "environment": "prod", "secretPath": "/MooseQuest/cloudflare/", "secretValue": value});
            call(providers, infisical::HOST, &path, token, Some(body))
        }
    }
}

fn heroku_call(providers: &Providers, line: &str, body: Option<Value>) -> Reply {
    call(providers, heroku::HOST, line, &providers.setup().heroku_key, body)
}

fn seal(providers: &Providers, place: &str, value: &str) -> Value {
    let line = format!("GET /{place}/secrets/public-key");
    let key = call(providers, github::HOST, &line, &providers.setup().github_token, None).json();
    let bytes = STANDARD.decode(key["key"].as_str().unwrap()).unwrap();
    let sealed = PublicKey::from_slice(&bytes).unwrap().seal(&mut OsRng, value.as_bytes()).unwrap();
    json!({"encrypted_value": STANDARD.encode(sealed), "key_id": key["key_id"]})
}

fn healthy(providers: &Providers, host: &str) -> bool {
    let reply = call(providers, host, "GET /health/dependencies", "", None);
    reply.status == 200 && reply.json()["cloudflare"]["ok"] == json!(true)
}

#[test]
fn a_rolled_token_is_known_late_and_the_old_one_forgotten_late() {
    let providers = Providers::start(Setup { propagation: Propagation::delayed(2, 1), ..Setup::default() });
    let old = providers.token_value("CF_PAGES_DEPLOY");
    let before = verify(&providers, &old).json();
    assert_eq!(before["result"]["status"], "active");
    assert_eq!(before["messages"][0]["code"], 10000);
    let new = roll(&providers, "CF_PAGES_DEPLOY");
    assert!((40..=80).contains(&new.len()) && new.contains('-') && new.contains('_'));
    let statuses: Vec<_> = (0..4).map(|_| verify(&providers, &new).status).collect();
    assert_eq!(statuses, [401, 401, 200, 200]);
    assert_eq!([verify(&providers, &old).status, verify(&providers, &old).status], [200, 401]);
    assert_eq!(verify(&providers, &old).json()["errors"][0]["code"], 1000);
    assert_eq!(providers.state(|state| state.cloudflare.rolls.len()), 1);
}

#[test]
fn a_second_roll_kills_the_first_value() {
    let providers = Providers::start(Setup::plain());
    let first = roll(&providers, "CF_PAGES_DEPLOY");
    let second = roll(&providers, "CF_PAGES_DEPLOY");
    assert_eq!((verify(&providers, &first).status, verify(&providers, &second).status), (401, 200));
}

#[test]
fn the_wanted_token_is_on_the_second_page() {
    let providers = Providers::start(Setup { twice: vec!["CF_PAGES_READ".to_owned()], ..Setup::default() });
    let rolling = providers.token_value(cloudflare::ROTATION);
    let page = |query: &str| {
        let reply = call(&providers, cloudflare::HOST, &format!("GET /client/v4/user/tokens{query}"), &rolling, None);
        assert_eq!(reply.status, 200);
        reply.json()
    };
    let names = |page: &Value| -> Vec<String> {
        page["result"].as_array().unwrap().iter().map(|token| token["name"].as_str().unwrap().to_owned()).collect()
    };
    let (first, second, third) = (page(""), page("?page=2"), page("?page=3&per_page=20"));
    assert_eq!(names(&first).len(), 20);
    assert!(
        !names(&first).contains(&"CF_PAGES_DEPLOY".to_owned())
            && names(&second).contains(&"CF_PAGES_DEPLOY".to_owned())
    );
    assert_eq!(names(&third).len(), 0);
    assert_eq!(second["result_info"], json!({"page": 2, "per_page": 20, "count": 9, "total_count": 29}));
    let all: Vec<_> = [names(&first), names(&second)].concat();
    assert_eq!(all.iter().filter(|name| *name == "CF_PAGES_READ").count(), 2);
    assert!(first["result"][0].get("value").is_none());
    let refused = call(&providers, cloudflare::HOST, "GET /client/v4/user/tokens?per_page=100", &rolling, None);
    assert_eq!((refused.status, refused.json()["result"].clone()), (400, Value::Null));
}

#[test]
fn cloudflare_tells_malformed_unknown_and_powerless_tokens_apart() {
    let providers = Providers::start(Setup { disabled: vec!["CF_PAGES_READ".to_owned()], ..Setup::plain() });
    let list = "GET /client/v4/user/tokens";
    let code = |reply: &Reply| (reply.status, reply.json()["errors"][0]["code"].as_u64().unwrap());
    assert_eq!(code(&verify(&providers, "short")), (400, 6003));
    assert_eq!(code(&verify(&providers, &fresh::text(40, fresh::ALPHANUMERIC))), (401, 1000));
    let none = send(providers.port(), cloudflare::HOST, "GET /client/v4/user/tokens/verify", &[], "").unwrap();
    assert_eq!(code(&none), (400, 1001));
    let powerless = providers.token_value("CF_PAGES_DEPLOY");
    assert_eq!(code(&call(&providers, cloudflare::HOST, list, &powerless, None)), (403, 9109));
    let disabled = verify(&providers, &providers.token_value("CF_PAGES_READ"));
    assert_eq!((disabled.status, disabled.json()["result"]["status"].clone()), (200, json!("disabled")));
    assert_eq!(
        code(&call(&providers, cloudflare::HOST, "POST /client/v4/user/tokens/x/value", &powerless, None)),
        (405, 7001)
    );
}

#[test]
fn a_roll_wants_an_object_or_nothing_and_may_be_refused() {
    let providers = Providers::start(Setup::plain());
    let rolling = providers.token_value(cloudflare::ROTATION);
    let id = providers.state(|state| state.cloudflare.token("CF_PAGES_READ").id.clone());
    let line = format!("PUT /client/v4/user/tokens/{id}/value");
    let authorization = format!("Bearer {rolling}");
    let plain = [("Authorization", authorization.as_str()), ("Content-Type", "text/plain")];
    assert_eq!(call(&providers, cloudflare::HOST, &line, &rolling, Some(json!([]))).status, 400);
    assert_eq!(send(providers.port(), cloudflare::HOST, &line, &plain, "{}").unwrap().status, 415);
    assert_eq!(call(&providers, cloudflare::HOST, &line, &rolling, None).status, 200);
    let unknown = format!("PUT /client/v4/user/tokens/{}/value", fresh::hex(32));
    assert_eq!(call(&providers, cloudflare::HOST, &unknown, &rolling, None).status, 404);

    let providers = Providers::start(Setup { roll_refused: true, rolled: Rolled::LeadingDash, ..Setup::plain() });
    let rolling = providers.token_value(cloudflare::ROTATION);
    let id = providers.state(|state| state.cloudflare.token("CF_PAGES_READ").id.clone());
    let line = format!("PUT /client/v4/user/tokens/{id}/value");
    assert_eq!(call(&providers, cloudflare::HOST, &line, &rolling, None).status, 403);
    assert!(providers.state(|state| state.cloudflare.rolls.is_empty()));
}

#[test]
fn pages_projects_are_shown_to_tokens_with_pages_permission_only() {
    let providers = Providers::start(Setup { pages_projects: 13, ..Setup::plain() });
    let line = format!("GET /client/v4/accounts/{}/pages/projects", providers.setup().account_id);
    let projects = call(&providers, cloudflare::HOST, &line, &providers.token_value("CF_PAGES_READ"), None);
    assert_eq!(projects.json()["result"].as_array().unwrap().len(), 10);
    assert_eq!(call(&providers, cloudflare::HOST, &line, &providers.token_value("CF_ACCESS_MGMT"), None).status, 403);
    let foreign = "GET /client/v4/accounts/00000000000000000000000000000000/pages/projects";
    assert_eq!(call(&providers, cloudflare::HOST, foreign, &providers.token_value("CF_PAGES_READ"), None).status, 403);
}

#[test]
fn infisical_creates_updates_and_reads_but_never_upserts() {
    let providers = Providers::start(Setup::plain());
    let missing = infisical_call(&providers, "GET", "github-actions", "CF_PAGES_DEPLOY", None);
    assert_eq!((missing.status, missing.json()["error"].clone()), (404, json!("NotFound")));
    assert_eq!(infisical_call(&providers, "PATCH", "github-actions", "CF_PAGES_DEPLOY", Some("v")).status, 404);
    let created = infisical_call(&providers, "POST", "github-actions", "CF_PAGES_DEPLOY", Some(" v1 ")).json();
    assert_eq!((&created["secret"]["secretValue"], &created["secret"]["version"]), (&json!("v1"), &json!(1)));
    let again = infisical_call(&providers, "POST", "github-actions", "CF_PAGES_DEPLOY", Some("v2"));
    assert_eq!((again.status, again.json()["error"].clone()), (400, json!("BadRequest")));
    let updated = infisical_call(&providers, "PATCH", "github-actions", "CF_PAGES_DEPLOY", Some("v2 \n"));
    assert_eq!(updated.json()["secret"]["version"], 2);
    let read = infisical_call(&providers, "GET", "github-actions", "CF_PAGES_DEPLOY", None).json();
    assert_eq!(
        (&read["secret"]["secretValue"], &read["secret"]["secretPath"]),
        (&json!("v2\n"), &json!("/MooseQuest/cloudflare"))
    );
    assert_eq!(
        providers.state(|state| state.places_of("v2\n")),
        ["infisical:github-actions:prod:/MooseQuest/cloudflare:CF_PAGES_DEPLOY"]
    );
    let token = &providers.setup().infisical_token;
    let unfit =
        call(&providers, infisical::HOST, "POST /api/v4/secrets/X", token, Some(json!({"environment": "prod"})));
    assert_eq!((unfit.status, unfit.json()["message"][0]["path"].clone()), (422, json!(["projectId"])));
    let twin = json!({"workspaceId": "console", "environment": "prod", "secretPath": "/MooseQuest/cloudflare", "secretValue": "w"});
    assert_eq!(call(&providers, infisical::HOST, "POST /api/v3/secrets/raw/X", token, Some(twin)).status, 200);
    assert_eq!(providers.state(|state| state.infisical.value("console", "X").map(str::to_owned)), Some("w".to_owned()));
}

#[test]
fn a_missing_folder_is_listed_as_empty_and_otherwise_not_found() {
    let providers = Providers::start(Setup { missing_folders: vec!["console".to_owned()], ..Setup::plain() });
    let token = &providers.setup().infisical_token;
    let list = "GET /api/v4/secrets?projectId=console&environment=prod&secretPath=/MooseQuest/cloudflare";
    assert_eq!(call(&providers, infisical::HOST, list, token, None).json(), json!({"secrets": [], "imports": []}));
    let read = infisical_call(&providers, "GET", "console", "CF_ACCESS_MGMT", None);
    assert_eq!((read.status, read.json()["error"].clone()), (404, json!("GetSecretByName")));
    assert_eq!(infisical_call(&providers, "POST", "console", "CF_ACCESS_MGMT", Some("v")).status, 404);
    let wrong = "GET /api/v4/secrets?projectId=console&environment=prod&viewSecretValue=1";
    assert_eq!(call(&providers, infisical::HOST, wrong, token, None).status, 422);
    assert_eq!(call(&providers, infisical::HOST, list, "nonsense", None).status, 403);
}

#[test]
fn a_change_policy_stores_nothing_whatever_it_answers() {
    let policies = vec![
        ("console".to_owned(), ChangePolicy::OpensApproval),
        ("raptor-backend".to_owned(), ChangePolicy::RefusesMachines),
    ];
    let providers = Providers::start(Setup { policies, ..Setup::plain() });
    let opened = infisical_call(&providers, "PATCH", "console", "CF_ACCESS_MGMT", Some("v"));
    assert_eq!(opened.status, 200);
    assert!(opened.json()["approval"]["slug"].is_string() && opened.json().get("secret").is_none());
    assert_eq!(infisical_call(&providers, "PATCH", "raptor-backend", "CF_PAGES_DEPLOY", Some("v")).status, 400);
    assert!(providers.state(|state| state.places_of("v").is_empty() && state.infisical.approvals.len() == 1));
}

#[test]
fn infisical_login_locks_after_three_wrong_secrets() {
    let providers = Providers::start(Setup::plain());
    let (id, secret) = &providers.setup().infisical_client;
    let login = |secret: &str| {
        let body = json!({"clientId": id, "clientSecret": secret});
        call(&providers, infisical::HOST, "POST /api/v1/auth/universal-auth/login", "", Some(body))
    };
    assert_eq!(login(secret).json()["accessToken"], json!(providers.setup().infisical_token));
    let statuses: Vec<_> = ["a", "b", "c", secret].iter().map(|secret| login(secret).status).collect();
    assert_eq!(statuses, [401, 401, 401, 403]);
}

#[test]
fn a_patch_makes_one_release_and_dynos_follow_one_by_one() {
    let providers = Providers::start(Setup { dyno_polls: 1, ..Setup::plain() });
    let patch = |body: Value| heroku_call(&providers, "PATCH /apps/raxx-api-prod/config-vars", Some(body));
    let reply = patch(json!({"CF_PAGES_DEPLOY": "new", "CLOUDFLARE_RAXX_AUTOMATION_API_TOKEN": "new"}));
    assert_eq!((reply.status, reply.json()["CF_PAGES_DEPLOY"].clone()), (200, json!("new")));
    let dynos = || {
        let list = heroku_call(&providers, "GET /apps/raxx-api-prod/dynos", None).json();
        let follow = |dyno: &&Value| dyno["type"] != "run";
        let line = |dyno: &Value| {
            format!(
                "{} {} v{}",
                dyno["name"].as_str().unwrap(),
                dyno["state"].as_str().unwrap(),
                dyno["release"]["version"]
            )
        };
        let mut lines: Vec<_> = list.as_array().unwrap().iter().filter(follow).map(line).collect();
        lines.sort();
        lines.join(", ")
    };
    assert_eq!(dynos(), "web.1 up v41, web.2 up v41, worker.1 up v41");
    assert_eq!(dynos(), "web.1 up v41, web.2 up v41, worker.1 starting v42");
    assert_eq!(dynos(), "web.1 up v41, web.2 up v41, worker.1 up v42");
    for _ in 0..4 {
        dynos();
    }
    assert_eq!(dynos(), "web.1 up v42, web.2 up v42, worker.1 up v42");
    assert!(providers.state(|state| state.heroku.app(heroku::PROD).is_settled()));
    let all = heroku_call(&providers, "GET /apps/raxx-api-prod/dynos", None).json();
    let run = all.as_array().unwrap().iter().find(|dyno| dyno["type"] == "run").unwrap();
    assert!(run["release"]["version"].as_u64().unwrap() < 41 && run["state"] == "up");
    patch(json!({"CF_PAGES_DEPLOY": "new"}));
    assert_eq!(providers.state(|state| state.heroku.app(heroku::PROD).newest().version), 42);
    assert_eq!(patch(json!({"CF-PAGES": "x"})).status, 422);
    assert_eq!(patch(json!({"CF_PAGES_DEPLOY": 1})).status, 422);
    assert_eq!(patch(json!({"CF_PAGES_DEPLOY": null})).json().get("CF_PAGES_DEPLOY"), None);
}

#[test]
fn releases_come_ascending_and_by_ranges() {
    let providers = Providers::start(Setup { prod_releases: 231, ..Setup::plain() });
    let key = format!("Bearer {}", providers.setup().heroku_key);
    let list = |range: Option<&str>| {
        let mut headers = vec![("Authorization", key.as_str()), HEROKU_ACCEPT];
        headers.extend(range.map(|range| ("Range", range)));
        send(providers.port(), heroku::HOST, "GET /apps/raxx-api-prod/releases", &headers, "").unwrap()
    };
    let versions = |reply: &Reply| -> Vec<u64> {
        reply.json().as_array().unwrap().iter().map(|release| release["version"].as_u64().unwrap()).collect()
    };
    let plain = list(None);
    assert_eq!((plain.status, versions(&plain).len(), versions(&plain)[0]), (206, 200, 1));
    let rest = list(plain.header("next-range"));
    assert_eq!((rest.status, versions(&rest).len(), rest.header("next-range")), (200, 31, None));
    let newest = list(Some("version ..; order=desc,max=1"));
    assert_eq!((newest.status, versions(&newest)), (206, vec![231]));
    assert_eq!(newest.json()[0]["current"], true);
    let next = list(newest.header("next-range"));
    assert_eq!(versions(&next), [230]);
    assert_eq!(versions(&list(Some("version 5..7"))), [5, 6, 7]);
    assert_eq!(list(Some("bytes 0-99")).status, 416);
    let one = heroku_call(&providers, "GET /apps/raxx-api-prod/releases/230", None).json();
    let same =
        heroku_call(&providers, &format!("GET /apps/raxx-api-prod/releases/{}", one["id"].as_str().unwrap()), None);
    assert_eq!((same.json()["version"].clone(), one["current"].clone()), (json!(230), json!(false)));
}

#[test]
fn heroku_refuses_without_version_key_app_or_right() {
    let providers = Providers::start(Setup {
        heroku_access: vec![
            (heroku::STAGING.to_owned(), heroku::Access::View),
            (heroku::CONSOLE.to_owned(), heroku::Access::Hidden),
        ],
        ..Setup::plain()
    });
    let key = format!("Bearer {}", providers.setup().heroku_key);
    let bare = send(providers.port(), heroku::HOST, "GET /apps/raxx-api-prod", &[("Authorization", &key)], "").unwrap();
    assert_eq!((bare.status, bare.json()["id"].clone()), (406, json!("not_acceptable")));
    assert_eq!(call(&providers, heroku::HOST, "GET /apps/raxx-api-prod", "wrong", None).status, 401);
    assert_eq!(heroku_call(&providers, "GET /apps/raxx-console-prod/config-vars", None).json()["id"], "not_found");
    assert_eq!(heroku_call(&providers, "GET /apps/raxx-api-staging/config-vars", None).status, 200);
    assert_eq!(
        heroku_call(&providers, "PATCH /apps/raxx-api-staging/config-vars", Some(json!({"A": "b"}))).status,
        403
    );
    assert!(heroku_call(&providers, "GET /account/rate-limits", None).json()["remaining"].is_u64());
}

#[test]
fn a_crashing_dyno_and_a_failing_release_stay_that_way() {
    let providers = Providers::start(Setup {
        crashing_dynos: vec![(heroku::STAGING.to_owned(), "web.1".to_owned())],
        failing_releases: vec![heroku::PROD.to_owned()],
        ..Setup::plain()
    });
    for app in [heroku::STAGING, heroku::PROD] {
        heroku_call(&providers, &format!("PATCH /apps/{app}/config-vars"), Some(json!({"CF_PAGES_DEPLOY": "new"})));
        for _ in 0..6 {
            heroku_call(&providers, &format!("GET /apps/{app}/dynos"), None);
        }
    }
    providers.state(|state| {
        let staging = state.heroku.app(heroku::STAGING);
        assert!(staging.dynos.iter().any(|dyno| dyno.state == "crashed") && !staging.is_settled());
        let prod = state.heroku.app(heroku::PROD);
        assert_eq!((prod.newest().status, prod.current_version(), prod.newest().version), ("failed", 41, 42));
    });
    let down = call(&providers, raxx::STAGING_HOST, "GET /health/dependencies", "", None);
    assert_eq!((down.status, down.header("content-type").unwrap().starts_with("text/html")), (503, true));
}

#[test]
fn github_opens_boxes_made_for_its_key_only() {
    let providers = Providers::start(Setup::plain());
    let token = &providers.setup().github_token;
    let put = |place: &str, name: &str, body: Value| {
        call(&providers, github::HOST, &format!("PUT /{place}/secrets/{name}"), token, Some(body))
    };
    let created = put(github::ACTIONS, "cf_pages_deploy", seal(&providers, github::ACTIONS, "v1"));
    assert_eq!((created.status, created.json()), (201, json!({})));
    let updated = put(github::ACTIONS, "CF_PAGES_DEPLOY", seal(&providers, "repos/Raxx-App/RAXX/actions", "v2"));
    assert_eq!((updated.status, updated.body.as_str(), updated.header("content-length")), (204, "", None));
    assert_eq!(
        providers.state(|state| state.github.value("CF_PAGES_DEPLOY").map(str::to_owned)),
        Some("v2".to_owned())
    );
    let shown = call(&providers, github::HOST, "GET /repos/raxx-app/raxx/actions/secrets/CF_PAGES_DEPLOY", token, None);
    assert_eq!(shown.json()["name"], "CF_PAGES_DEPLOY");
    let mut foreign = seal(&providers, "repos/raxx-app/raxx/dependabot", "v3");
    assert_eq!(put(github::ACTIONS, "X", foreign.clone()).status, 422);
    foreign["key_id"] = providers.state(|state| state.github.stores[github::ACTIONS].key_id.clone()).into();
    assert_eq!(put(github::ACTIONS, "X", foreign).status, 422);
    assert_eq!(put(github::ACTIONS, "GITHUB_X", seal(&providers, github::ACTIONS, "v")).status, 422);
    assert_eq!(put("orgs/raxx-app/actions", "X", seal(&providers, "orgs/raxx-app/actions", "v")).status, 422);
    let anonymous = [("Authorization", format!("token {token}"))];
    let anonymous: Vec<_> = anonymous.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let line = "GET /repos/raxx-app/raxx/actions/secrets/public-key";
    assert_eq!(send(providers.port(), github::HOST, line, &anonymous, "").unwrap().status, 403);
}

#[test]
fn github_access_may_end_at_the_public_key() {
    for (github_access, statuses) in [(GithubAccess::ReadOnly, [200, 403]), (GithubAccess::None, [404, 404])] {
        let providers = Providers::start(Setup { github_access, ..Setup::plain() });
        let token = &providers.setup().github_token;
        let key = call(&providers, github::HOST, "GET /repos/raxx-app/raxx/actions/secrets/public-key", token, None);
        let put = call(&providers, github::HOST, "PUT /repos/raxx-app/raxx/actions/secrets/X", token, Some(json!({})));
        assert_eq!([key.status, put.status], statuses);
    }
}

#[test]
fn slack_refuses_with_status_200() {
    let providers = Providers::start(Setup::plain());
    let token = &providers.setup().slack_token;
    let post = |token: &str, body: Value| {
        let reply = call(&providers, slack::HOST, "POST /api/chat.postMessage", token, Some(body));
        assert_eq!(reply.status, 200);
        reply.json()
    };
    assert_eq!(post(token, json!({"channel": slack::FOREIGN_IM, "text": "x"}))["error"], "channel_not_found");
    assert_eq!(post("xoxb-wrong", json!({"channel": "U0OPERATOR1", "text": "x"}))["error"], "invalid_auth");
    assert_eq!(post(token, json!({"channel": "U0OPERATOR1"}))["error"], "no_text");
    let posted = post(token, json!({"channel": "U0OPERATOR1", "text": "rotated"}));
    assert!(posted["ok"] == json!(true) && posted["channel"].as_str().unwrap().starts_with('D'));
    let authorization = format!("Bearer {token}");
    let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/x-www-form-urlencoded")];
    send(providers.port(), slack::HOST, "POST /api/chat.postMessage", &headers, "channel=C0123456789&text=a+b%21")
        .unwrap();
    let texts: Vec<_> =
        providers.state(|state| state.slack.messages.iter().map(|message| message.text.clone()).collect());
    assert_eq!(texts, ["rotated", "a b!"]);
}

#[test]
fn health_is_what_the_serving_dynos_hold() {
    let providers = Providers::start(Setup::plain());
    assert!(healthy(&providers, raxx::PROD_HOST) && healthy(&providers, raxx::STAGING_HOST));
    let new = roll(&providers, "CF_PAGES_DEPLOY");
    assert!(!healthy(&providers, raxx::PROD_HOST));
    heroku_call(&providers, "PATCH /apps/raxx-api-prod/config-vars", Some(json!({"CF_PAGES_DEPLOY": new})));
    for _ in 0..9 {
        heroku_call(&providers, "GET /apps/raxx-api-prod/dynos", None);
    }
    assert!(!healthy(&providers, raxx::PROD_HOST), "the legacy name still holds the dead value");
    heroku_call(
        &providers,
        "PATCH /apps/raxx-api-prod/config-vars",
        Some(json!({"CLOUDFLARE_RAXX_AUTOMATION_API_TOKEN": new})),
    );
    assert!(!healthy(&providers, raxx::PROD_HOST), "dynos haven't restarted");
    for _ in 0..9 {
        heroku_call(&providers, "GET /apps/raxx-api-prod/dynos", None);
    }
    assert!(healthy(&providers, raxx::PROD_HOST) && !healthy(&providers, raxx::STAGING_HOST));
}

#[test]
fn the_console_shows_sites_to_its_session_and_takes_audit_entries() {
    let providers = Providers::start(Setup::plain());
    let cookie = format!("theme=dark; ops_session={}", providers.setup().ops_session);
    let sites = || {
        let reply =
            send(providers.port(), raxx::CONSOLE_HOST, "GET /api/status/sites", &[("Cookie", &cookie)], "").unwrap();
        let pages = |site: &&Value| site["provider"] == "cloudflare_pages";
        reply.json()["sites"]
            .as_array()
            .unwrap()
            .iter()
            .filter(pages)
            .map(|site| site["liveness"]["ok"] == json!(true))
            .collect::<Vec<_>>()
    };
    assert_eq!(sites(), [true, true]);
    let outside = send(providers.port(), raxx::CONSOLE_HOST, "GET /api/status/sites", &[], "").unwrap();
    assert_eq!((outside.status, outside.header("location").is_some()), (302, true));
    let new = roll(&providers, "CF_PAGES_READ");
    assert_eq!(sites(), [false, false]);
    for name in ["CF_PAGES_READ", "CLOUDFLARE_PAGES_READ_TOKEN"] {
        assert_eq!(infisical_call(&providers, "PATCH", "console", name, Some(&new)).status, 200);
    }
    assert_eq!(sites(), [true, true]);
    let entry = json!({
        "action": "secret.rotate.completed",
        "actor": "admin-7",
        "context": {"secret_name": "CF_PAGES_READ", "method": "programmatic", "rotated_at": "2026-05-01T12:00:00Z", "run_id": "r1"},
    });
    let post = |body: Value| {
        call(&providers, raxx::CONSOLE_HOST, "POST /api/rotations/callback", &providers.setup().audit_token, Some(body))
    };
    let accepted = post(entry.clone());
    assert_eq!((accepted.status, accepted.json()["accepted"].clone()), (202, json!(true)));
    let mut unfit = entry.clone();
    unfit["context"]["rotated_at"] = "yesterday".into();
    assert_eq!(post(unfit).status, 422);
    assert_eq!(providers.state(|state| state.raxx.audit.clone()), [entry]);
}

#[test]
fn preboot_and_memory_delay_what_health_says() {
    let providers = Providers::start(Setup { preboot_calls: 3, health_memory: 1, ..Setup::plain() });
    let new = roll(&providers, "CF_PAGES_DEPLOY");
    let body = json!({"CF_PAGES_DEPLOY": new, "CLOUDFLARE_RAXX_AUTOMATION_API_TOKEN": new});
    heroku_call(&providers, "PATCH /apps/raxx-api-prod/config-vars", Some(body));
    for _ in 0..9 {
        heroku_call(&providers, "GET /apps/raxx-api-prod/dynos", None);
    }
    let answers: Vec<_> = (0..8).map(|_| healthy(&providers, raxx::PROD_HOST)).collect();
    assert_eq!(answers, [false, false, false, false, false, false, true, true]);
}

#[test]
fn faults_hit_what_they_name_and_a_lost_answer_has_its_effect() {
    let faults = vec![
        Fault::once("GET", cloudflare::HOST, "/verify", FaultKind::TooMany { retry_after: Some(1) }),
        Fault::once("GET", cloudflare::HOST, "/verify", FaultKind::Html(502)).after(1),
        Fault::once("PUT", cloudflare::HOST, "/value", FaultKind::LostAnswer),
        Fault::once("PATCH", heroku::HOST, "/config-vars", FaultKind::LostRequest),
        Fault::once("GET", heroku::HOST, "/dynos", FaultKind::CutAnswer),
        Fault::once("GET", heroku::HOST, "/releases", FaultKind::Slow(Duration::from_millis(300))),
        Fault::once("*", slack::HOST, "", FaultKind::Status(503)).times(2),
    ];
    let providers = Providers::start(Setup { faults, ..Setup::plain() });
    let old = providers.token_value("CF_PAGES_DEPLOY");
    let limited = verify(&providers, &old);
    assert_eq!((limited.status, limited.header("retry-after")), (429, Some("1")));
    assert_eq!(limited.json()["success"], false);
    assert_eq!([verify(&providers, &old).status, verify(&providers, &old).status], [200, 502]);

    let (id, rolling) = providers.state(|state| {
        (
            state.cloudflare.token("CF_PAGES_DEPLOY").id.clone(),
            state.cloudflare.token(cloudflare::ROTATION).value.clone(),
        )
    });
    let authorization = format!("Bearer {rolling}");
    let line = format!("PUT /client/v4/user/tokens/{id}/value");
    assert!(send(providers.port(), cloudflare::HOST, &line, &[("Authorization", &authorization)], "").is_none());
    assert_ne!(providers.token_value("CF_PAGES_DEPLOY"), old);

    let key = format!("Bearer {}", providers.setup().heroku_key);
    let headers = [("Authorization", key.as_str()), HEROKU_ACCEPT, ("Content-Type", "application/json")];
    let line = "PATCH /apps/raxx-api-prod/config-vars";
    assert!(send(providers.port(), heroku::HOST, line, &headers, r#"{"CF_PAGES_DEPLOY":"x"}"#).is_none());
    assert!(providers.state(|state| state.places_of("x").is_empty()));
    assert!(send(providers.port(), heroku::HOST, "GET /apps/raxx-api-prod/dynos", &headers, "").is_none());
    let start = Instant::now();
    assert_eq!(heroku_call(&providers, "GET /apps/raxx-api-prod/releases", None).status, 200);
    assert!(start.elapsed() >= Duration::from_millis(300));
    let statuses: Vec<_> =
        (0..3).map(|_| call(&providers, slack::HOST, "POST /api/chat.postMessage", "", None).status).collect();
    assert_eq!(statuses, [503, 503, 200]);
    assert_eq!(providers.calls("PUT", cloudflare::HOST, "/value")[0].status, 0);
}

#[test]
fn the_awkward_form_carries_the_same_content() {
    let providers = Providers::start(Setup { faults: Vec::new(), ..Setup::awkward() });
    let rolling = providers.token_value(cloudflare::ROTATION);
    let reply = call(&providers, cloudflare::HOST, "GET /client/v4/user/tokens?per_page=50", &rolling, None);
    assert!(reply.head.contains("transfer-encoding: chunked") && !reply.head.contains("Content-Type"));
    let page = reply.json();
    assert_eq!(page["result"].as_array().unwrap().len(), 7);
    assert!(page.get("result_info").is_none() && page.get("_beta").is_some());
    assert!(page["result"][0]["issued_on"].as_str().unwrap().ends_with("+05:30"));
    let config = heroku_call(&providers, "GET /apps/raxx-api-prod/config-vars", None).json();
    assert!(config.get("_beta").is_none(), "Heroku's description closes this shape");
}

#[test]
fn one_connection_carries_many_requests_in_any_framing() {
    let providers = Providers::start(Setup { header_case: HeaderCase::Upper, ..Setup::plain() });
    let token = providers.token_value("CF_PAGES_READ");
    let body = json!({"channel": "C0123456789", "text": "ü"}).to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", providers.port())).unwrap();
    let mut requests = format!(
        "GET /client/v4/user/tokens/verify HTTP/1.1\r\nhost: api.cloudflare.com:443\r\nauthorization: Bearer {token}\r\n\r\n\
         POST /api/chat.postMessage HTTP/1.1\r\nHost: slack.com\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\n",
        providers.setup().slack_token,
    );
    for piece in body.as_bytes().chunks(7) {
        requests.push_str(&format!("{:x}\r\n", piece.len()));
        requests.push_str(&piece.iter().map(|byte| *byte as char).collect::<String>());
        requests.push_str("\r\n");
    }
    requests.push_str("0\r\n\r\nGET http://api-staging.raxx.app/health/dependencies HTTP/1.1\r\nHost: ignored\r\nConnection: close\r\n\r\n");
    // Latin-1: the pieces above are bytes.
    let bytes: Vec<u8> = requests.chars().map(|character| character as u8).collect();
    stream.write_all(&bytes).unwrap();
    let mut answers = Vec::new();
    stream.read_to_end(&mut answers).unwrap();
    let (verified, rest) = parse(&answers).unwrap();
    let (posted, rest) = parse(rest).unwrap();
    let (health, rest) = parse(rest).unwrap();
    assert_eq!((verified.status, posted.json()["ok"].clone(), health.status, rest.len()), (200, json!(true), 200, 0));
    assert!(verified.head.contains("CONTENT-TYPE: application/json"));
    assert_eq!(providers.state(|state| state.slack.messages[0].text.clone()), "ü");
    assert_eq!(providers.log().len(), 3);
}

#[test]
fn a_port_or_a_socket_may_play_one_host_or_all() {
    let providers = Providers::start(Setup::plain());
    let line = "GET /apps/raxx-api-prod";
    let key = format!("Bearer {}", providers.setup().heroku_key);
    let headers = [("Authorization", key.as_str()), HEROKU_ACCEPT];
    let port = providers.port_for(heroku::HOST);
    assert_eq!(send(port, "127.0.0.1", line, &headers, "").unwrap().status, 200);
    assert_eq!(send(providers.port(), "127.0.0.1", line, &headers, "").unwrap().status, 421);

    let path = std::env::temp_dir().join(format!("providers-{}.sock", fresh::hex(12)));
    providers.unix_socket(&path);
    let mut stream = UnixStream::connect(&path).unwrap();
    write!(stream, "GET /health/dependencies HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", raxx::PROD_HOST)
        .unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    assert_eq!(parse(&bytes).unwrap().0.status, 200);
    drop(providers);
    assert!(!path.exists());
}

#[test]
fn secrets_in_wrong_places_are_reported_without_being_shown() {
    let providers = Providers::start(Setup::plain());
    let secret = providers.token_value("CF_PAGES_READ");
    call(&providers, raxx::PROD_HOST, &format!("GET /health/dependencies?t={secret}"), "", None);
    let text = format!("new value {secret}");
    call(
        &providers,
        slack::HOST,
        "POST /api/chat.postMessage",
        "x",
        Some(json!({"channel": "C0123456789", "text": text})),
    );
    verify(&providers, &secret);
    let leaks = providers.leaks(&secret);
    assert_eq!(leaks.len(), 2);
    assert!(leaks.iter().all(|leak| !leak.contains(&secret)));
}

#[test]
fn times_are_shown_in_every_legal_form() {
    let time = Time(1_772_323_199_987_654); // 2026-02-28T23:59:59.987654Z
    assert_eq!(time.show(TimeStyle::Seconds), "2026-02-28T23:59:59Z");
    assert_eq!(time.show(TimeStyle::Micros), "2026-02-28T23:59:59.987654Z");
    assert_eq!(time.show(TimeStyle::Ahead), "2026-03-01T05:29:59.9+05:30");
    assert_eq!(time.show(TimeStyle::Behind), "2026-02-28T15:59:59-08:00");
    for style in [TimeStyle::Seconds, TimeStyle::Millis, TimeStyle::Micros, TimeStyle::Ahead, TimeStyle::Behind] {
        assert!(fresh::is_rfc3339(&time.show(style)));
    }
    assert!(!fresh::is_rfc3339("2026-02-28 23:59:59Z") && !fresh::is_rfc3339("2026-02-28T23:59:59"));
}
