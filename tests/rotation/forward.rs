//! The same playbooks against `tests/providers`, which was written from the providers' own descriptions: no assumption
//! that only the world `raxx` satisfies.

use crate::providers::fresh::TimeStyle;
use crate::providers::heroku::{self, Access};
use crate::providers::infisical::ChangePolicy;
use crate::providers::setup::{GithubAccess, HeaderCase, Propagation, Rolled};
use crate::providers::{Fault, FaultKind, HOSTS, Providers, Setup, cloudflare, github, infisical, raxx, slack};
use crate::rehearsal::{ACCESS, DEPLOY, READ, Token, hides_all, shipped};
use crate::support::{Folder, Ran};
use serde_json::{Map, Value as Json, json};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::Duration;

/// The real `gh`, where it is installed.
pub fn gh() -> Option<PathBuf> {
    let found =
        std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join("gh")).find(|gh| gh.is_file());
    found.map(|gh| gh.canonicalize().unwrap())
}

/// A rotation whose every host is one of the providers'.
pub struct Forwarded {
    pub providers: Providers,
    pub folder: Folder,
    pub world: Json,
    inputs: Map<String, Json>,
    token: &'static Token,
    old: String,
    others: Vec<String>,
}

impl Forwarded {
    pub fn new(token: &'static Token, setup: Setup) -> Forwarded {
        let providers = Providers::start(setup);
        let folder = Folder::new();
        let hosts: Map<_, _> =
            HOSTS.iter().map(|host| ((*host).to_owned(), json!({"forward": providers.url_for(host)}))).collect();
        let old = providers.token_value(token.name);
        let setup = providers.setup();
        let inputs = json!({
            "current_token": old,
            "rolling_token": providers.token_value(cloudflare::ROTATION),
            "cf_account_id": setup.account_id,
            "infisical_token": setup.infisical_token,
            "heroku_token": setup.heroku_key,
            "github_token": setup.github_token,
            "slack_token": setup.slack_token,
            "slack_channel": "U0OPERATOR1",
            "ops_session": setup.ops_session,
            "audit_url": "https://console.raxx.app/api/rotations/callback",
            "audit_token": setup.audit_token,
        });
        let mut world = json!({"world": 1, "approve": "all", "pace": 0.001, "inputs": inputs, "hosts": hosts});
        if let Some(gh) = gh() {
            let socket = folder.path().join("gh.sock");
            providers.unix_socket(&socket);
            folder.file("gh/config.yml", &format!("http_unix_socket: {}\n", socket.display()));
            world["programs"] = json!({"gh": {"program": gh, "env": {"GH_CONFIG_DIR": folder.path().join("gh")}}});
        }
        let others = providers.state(|state| {
            state.cloudflare.tokens.iter().map(|token| token.value.clone()).filter(|value| *value != old).collect()
        });
        Forwarded { providers, folder, world, inputs: Map::new(), token, old, others }
    }

    fn input(mut self, name: &str, value: impl Into<Json>) -> Forwarded {
        self.inputs.insert(name.into(), value.into());
        self
    }

    /// A person rolls in the dashboard. It is done before the run, since nobody is there to do it in the middle, with
    /// an old value that goes on being accepted until preflight is through.
    fn by_dashboard(mut self) -> Forwarded {
        let body = roll(&self.providers, self.token.name);
        assert!(body.starts_with("HTTP/1.1 200"), "{body}");
        let new = self.providers.token_value(self.token.name);
        assert_ne!(new, self.old);
        self.world["answers"] = json!({"roll-in-dashboard": {"new_value": new}});
        self.input("mode", "dashboard").input("rolling_token", Json::Null)
    }

    #[track_caller]
    pub fn run(&self, more: &[&str]) -> Ran {
        let world = self.folder.file("world.yaml", &self.world.to_string());
        let mut inputs = self.inputs.clone();
        let mut playbook = self.token.playbook;
        if self.token.repository.is_some() && gh().is_none() {
            // The repository is a variant's own, so the base is run without it.
            playbook = "cloudflare-user-token";
            inputs.extend(without_repository().as_object().unwrap().clone());
        }
        let inputs = self.folder.file("inputs.yaml", &json!(inputs).to_string());
        let ran = self
            .folder
            .program()
            .arg("run")
            .arg(shipped(&format!("{playbook}.yaml")))
            .arg("--world")
            .arg(world)
            .arg("--inputs")
            .arg(inputs)
            .args(more)
            .ran();
        self.keeps_secrets(&ran);
        ran
    }

    /// Nothing secret was shown, and nothing was sent where it does not belong.
    #[track_caller]
    fn keeps_secrets(&self, ran: &Ran) {
        let setup = self.providers.setup();
        let mut secrets = self.others.clone();
        secrets.extend([self.old.clone(), self.providers.token_value(self.token.name)]);
        for secret in &secrets {
            assert_eq!(self.providers.leaks(secret), Vec::<String>::new());
        }
        secrets.extend(
            self.providers
                .state(|state| state.cloudflare.rolls.iter().map(|roll| roll.new.clone()).collect::<Vec<_>>()),
        );
        secrets.extend(
            [&setup.infisical_token, &setup.heroku_key, &setup.github_token, &setup.slack_token].map(String::clone),
        );
        secrets.extend([&setup.ops_session, &setup.audit_token].map(String::clone));
        secrets.extend(self.providers.state(|state| {
            state.heroku.apps.values().map(|app| app.config()["DATABASE_URL"].clone()).collect::<Vec<_>>()
        }));
        hides_all(ran, secrets.iter());
    }

    /// Everywhere the value belongs, in the providers' words.
    fn places(&self) -> Vec<String> {
        let mut places = Vec::new();
        for name in [self.token.name, self.token.legacy] {
            let folder = infisical::FOLDER;
            places
                .extend(self.token.projects.iter().map(|project| format!("infisical:{project}:prod:{folder}:{name}")));
            places.extend(self.token.apps.iter().map(|app| format!("heroku:{app}:{name}")));
            if self.token.repository.is_some() && gh().is_some() {
                places.push(format!("github:{}:{name}", github::ACTIONS));
            }
        }
        places.sort();
        places
    }

    /// Passes, and everything that must be so then.
    #[track_caller]
    pub fn rotates(self, more: &[&str]) -> Forwarded {
        let ran = self.run(more);
        assert_eq!(ran.code, 0, "{}\n{}", ran.shown(), self.story());
        let new = self.providers.token_value(self.token.name);
        assert_ne!(new, self.old);
        self.providers.state(|state| {
            // GitHub's side of things is out of reach without a `gh`.
            let stale: Vec<_> = state
                .places_of(&self.old)
                .into_iter()
                .filter(|place| gh().is_some() || !place.starts_with("github:"))
                .collect();
            assert_eq!((state.places_of(&new), stale), (self.places(), Vec::new()));
            let token = state.cloudflare.token(self.token.name);
            assert!(
                token.earlier.iter().any(|(value, coming)| *value == self.old && coming.is_empty()),
                "the old value is dead"
            );
            for app in self.token.apps {
                assert!(state.heroku.app(app).is_settled(), "{app}");
            }
            let actions: Vec<_> = state.raxx.audit.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
            assert_eq!(
                (actions.first(), actions.last()),
                (Some(&"secret.rotate.started"), Some(&"secret.rotate.completed"))
            );
            assert!(!state.slack.messages.is_empty());
        });
        self
    }

    /// Stops at this step before anything was rolled or written.
    #[track_caller]
    fn stops_at(self, step: &str, says: &str) {
        let ran = self.run(&[]);
        self.failed(&ran, step, says);
        self.providers.state(|state| {
            assert_eq!(state.cloudflare.rolls.len(), 0);
            assert!(state.places_of(&self.old).len() >= 2);
            let ends: Vec<_> = state.raxx.audit.iter().map(|entry| entry["context"]["rolled"].clone()).collect();
            assert_eq!(ends, ["no", "no"], "started and failed");
        });
        let writes =
            |call: &&crate::providers::Call| call.request.method != "GET" && call.request.host != raxx::CONSOLE_HOST;
        assert_eq!(self.providers.log().iter().filter(writes).count(), 0, "nothing was written");
    }

    /// Fails at this step with the new value live; what was served is served.
    #[track_caller]
    fn fails_after_the_roll_at(self, step: &str, says: &str) -> Forwarded {
        let ran = self.run(&[]);
        self.failed(&ran, step, says);
        self.providers.state(|state| {
            assert_eq!(state.cloudflare.rolls.len(), 1);
            assert_eq!(state.raxx.audit.last().unwrap()["context"]["rolled"], "yes");
        });
        self
    }

    #[track_caller]
    fn failed(&self, ran: &Ran, step: &str, says: &str) {
        assert_eq!(ran.code, 1, "{}\n{}", ran.shown(), self.story());
        assert!(
            ran.stdout.contains(&format!("\n  - {step}: ")),
            "does not fail at {step}:\n{}\n{}",
            ran.shown(),
            self.story()
        );
        assert!(ran.stdout.contains(says), "does not show `{says}`:\n{}", ran.shown());
        let last = self.providers.state(|state| state.raxx.audit.last().cloned());
        assert_eq!(last.unwrap()["action"], "secret.rotate.failed");
    }

    fn story(&self) -> String {
        let line = |call: crate::providers::Call| {
            format!("{} {}{} -> {}", call.request.method, call.request.host, call.request.path, call.status)
        };
        self.providers.log().into_iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// What `cf-pages-deploy` fixes, but for the repository.
fn without_repository() -> Json {
    json!({
        "secret_name": DEPLOY.name,
        "legacy_name": DEPLOY.legacy,
        "infisical_projects": DEPLOY.projects.iter().map(|id| json!({"id": id, "environment": "prod", "path": infisical::FOLDER})).collect::<Vec<_>>(),
        "heroku_apps": DEPLOY.apps,
        "raptor_health_urls": ["https://api.raxx.app/health/dependencies", "https://api-staging.raxx.app/health/dependencies"],
    })
}

/// Says by name that a test did not have what it needs.
pub fn skipped(test: &str) -> bool {
    let without = gh().is_none();
    if without {
        eprintln!("skipped: `{test}`: there is no `gh` here (Debian: apt-get install gh)");
    }
    without
}

/// Rolls a token as the dashboard does; gives the answer's head.
fn roll(providers: &Providers, name: &str) -> String {
    let (id, caller) =
        (providers.state(|state| state.cloudflare.token(name).id.clone()), providers.token_value(cloudflare::ROTATION));
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", providers.port_for(cloudflare::HOST))).unwrap();
    let head = format!(
        "PUT /client/v4/user/tokens/{id}/value HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {caller}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        cloudflare::HOST
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    // The rest is waited for, so that the roll is done.
    stream.read_to_end(&mut Vec::new()).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// An old value that is accepted for longer than preflight takes.
fn lingering(setup: Setup) -> Setup {
    Setup { propagation: Propagation { old: vec![true; 8], ..setup.propagation.clone() }, ..setup }
}

macro_rules! rotations {
    ($($test:ident: $token:ident, $setup:expr;)*) => {$(
        #[test]
        fn $test() {
            if $token.repository.is_some() {
                skipped(concat!(stringify!($test), ", GitHub's part"));
            }
            let rotated = Forwarded::new(&$token, $setup).rotates(&["-vvv"]);
            rotated.providers.state(|state| assert_eq!(state.cloudflare.rolls.len(), 1));
        }
    )*};
}

rotations! {
    pages_deploy: DEPLOY, Setup::default();
    pages_deploy_plain: DEPLOY, Setup::plain();
    pages_deploy_awkward: DEPLOY, Setup::awkward();
    access_mgmt: ACCESS, Setup::default();
    access_mgmt_plain: ACCESS, Setup::plain();
    access_mgmt_awkward: ACCESS, Setup::awkward();
    pages_read: READ, Setup::default();
    pages_read_plain: READ, Setup::plain();
    pages_read_awkward: READ, Setup::awkward();

    a_value_that_looks_like_an_option: DEPLOY, Setup { rolled: Rolled::LeadingDash, ..Setup::default() };
    edges_that_disagree: READ, Setup { propagation: Propagation::wavering(), ..Setup::default() };
    a_value_that_takes_its_time: READ, Setup { propagation: Propagation::delayed(9, 12), ..Setup::default() };
    times_behind_utc: ACCESS, Setup {
        times: Some(TimeStyle::Behind), expires_in_days: vec![(ACCESS.name.into(), 31)], ..Setup::default()
    };
    times_ahead_of_utc: ACCESS, Setup {
        times: Some(TimeStyle::Ahead), expires_in_days: vec![(ACCESS.name.into(), 31)], ..Setup::default()
    };
    times_with_fractions: ACCESS, Setup {
        times: Some(TimeStyle::Millis), expires_in_days: vec![(ACCESS.name.into(), 31)], ..Setup::default()
    };
    headers_in_capitals: READ, Setup { header_case: HeaderCase::Upper, chunked: true, ..Setup::default() };
    values_that_are_set_again_make_a_release: ACCESS, Setup { unchanged_makes_release: true, ..Setup::default() };
    a_release_phase: DEPLOY, Setup { release_polls: 4, dyno_polls: 3, ..Setup::default() };
    preboot: DEPLOY, Setup { preboot_calls: 4, health_memory: 2, ..Setup::default() };
    a_scheduled_job_is_not_waited_for: DEPLOY, Setup { scheduler_job: true, ..Setup::default() };
    few_releases: DEPLOY, Setup { prod_releases: 12, ..Setup::default() };
    pages_of_a_few_items: READ, Setup { page_cap: Some(5), pages_projects: 23, ..Setup::default() };
    pages_without_a_total: READ, Setup { page_cap: Some(5), result_info: false, pages_projects: 23, ..Setup::default() };
    an_unhealthy_page_that_answers_200: DEPLOY, Setup { unhealthy_status: 200, preboot_calls: 2, ..Setup::default() };
}

macro_rules! dashboards {
    ($($test:ident: $token:ident, $setup:expr;)*) => {$(
        #[test]
        fn $test() {
            if $token.repository.is_some() {
                skipped(concat!(stringify!($test), ", GitHub's part"));
            }
            let rotated = Forwarded::new(&$token, lingering($setup)).by_dashboard().rotates(&[]);
            rotated.providers.state(|state| assert_eq!(state.cloudflare.rolls.len(), 1));
        }
    )*};
}

dashboards! {
    pages_deploy_by_dashboard: DEPLOY, Setup::default();
    pages_deploy_by_dashboard_awkward: DEPLOY, Setup::awkward();
    access_mgmt_by_dashboard: ACCESS, Setup::default();
    access_mgmt_by_dashboard_awkward: ACCESS, Setup::awkward();
    pages_read_by_dashboard: READ, Setup::default();
    pages_read_by_dashboard_awkward: READ, Setup { rolled: Rolled::LeadingDash, ..Setup::awkward() };
}

#[test]
fn a_token_rolls_itself() {
    let forwarded = Forwarded::new(&ACCESS, Setup { propagation: Propagation::wavering(), ..Setup::default() });
    forwarded.providers.state(|state| {
        state.cloudflare.token_mut(ACCESS.name).permissions.push(cloudflare::TOKENS_WRITE.into());
    });
    let value = forwarded.old.clone();
    forwarded.input("rolling_token", value).input("allow_self_roll", true).rotates(&[]);
}

// ------------------------------------------------------------------------------------------------------ before the roll

#[test]
fn what_stops_it_before_the_roll() {
    let named = |name: &str| vec![name.to_owned()];
    let cases: [(&Token, Setup, &str, &str); 15] = [
        (
            &DEPLOY,
            Setup { missing_folders: named("github-actions"), ..Setup::default() },
            "preflight/infisical-access[1]/read-values[0]",
            "there is no folder /MooseQuest/cloudflare in prod of project github-actions",
        ),
        (
            &DEPLOY,
            Setup { hidden_values: named("raptor-backend"), ..Setup::default() },
            "preflight/infisical-access[0]/read-values[0]",
            "values are hidden from it",
        ),
        (
            &READ,
            Setup { foreign_projects: named("raptor-backend"), ..Setup::default() },
            "preflight/infisical-access[1]/read-values[0]",
            "it is no member",
        ),
        (
            &DEPLOY,
            Setup { heroku_access: vec![(heroku::STAGING.into(), Access::Forbidden)], ..Setup::default() },
            "preflight/heroku-access[1]/read-config",
            "403 permission or second factor",
        ),
        (
            &ACCESS,
            Setup { heroku_access: vec![(heroku::CONSOLE.into(), Access::Hidden)], ..Setup::default() },
            "preflight/heroku-access[0]/read-config",
            "404 name",
        ),
        (
            &READ,
            Setup { disabled: named(READ.name), ..Setup::default() },
            "preflight/verify-current-token",
            "not active",
        ),
        (
            &READ,
            Setup { expires_in_days: vec![(READ.name.into(), -1)], ..Setup::default() },
            "preflight/verify-current-token",
            "not active",
        ),
        (
            &READ,
            Setup { expires_in_days: vec![(READ.name.into(), 29)], times: Some(TimeStyle::Ahead), ..Setup::default() },
            "preflight/not-expiring",
            "expires within 30 days",
        ),
        (
            &READ,
            Setup { twice: named(READ.name), ..Setup::default() },
            "preflight/look-up/find-token",
            "not exactly one token",
        ),
        (
            &READ,
            Setup { disabled: named(cloudflare::ROTATION), ..Setup::default() },
            "preflight/look-up/verify-rolling-token",
            "expected string \"active\"",
        ),
        (
            &READ,
            Setup { pages_projects: 0, ..Setup::default() },
            "preflight/pages-listed-before/list",
            "the token sees no Pages project",
        ),
        (
            &READ,
            Setup {
                faults: vec![Fault::once("GET", cloudflare::HOST, "/user/tokens", FaultKind::Html(502)).times(9)],
                ..Setup::default()
            },
            "preflight/look-up/find-token",
            "502",
        ),
        (
            &DEPLOY,
            Setup {
                faults: vec![Fault::once("GET", raxx::PROD_HOST, "/dependencies", FaultKind::Status(503)).times(9)],
                ..Setup::default()
            },
            "preflight/raptor-green[0]",
            "is red before anything was changed",
        ),
        (
            &READ,
            Setup {
                faults: vec![Fault::once("GET", infisical::HOST, "/CF_PAGES_READ", FaultKind::LostAnswer).times(9)],
                ..Setup::default()
            },
            "preflight/infisical-access[0]/read-values[0]",
            "",
        ),
        (
            &ACCESS,
            Setup {
                faults: vec![Fault::once("GET", raxx::CONSOLE_HOST, "/sites", FaultKind::Html(200)).times(9)],
                ..Setup::default()
            },
            "preflight/console-green",
            "the console shows no Cloudflare Pages site",
        ),
    ];
    for (token, setup, step, says) in cases {
        Forwarded::new(leaked(token), setup).stops_at(step, says);
    }
}

fn leaked(token: &Token) -> &'static Token {
    [&DEPLOY, &ACCESS, &READ].into_iter().find(|own| own.name == token.name).unwrap()
}

#[test]
fn what_the_operator_got_wrong() {
    let forwarded = || Forwarded::new(&READ, Setup::default());
    let other = |name: &'static str| move |forwarded: &Forwarded| Json::from(forwarded.providers.token_value(name));
    type Value = Box<dyn Fn(&Forwarded) -> Json>;
    let cases: [(&str, Value, &str, &str); 7] = [
        (
            "current_token",
            Box::new(other(DEPLOY.name)),
            "preflight/look-up/found-is-target",
            "the current value belongs to token",
        ),
        (
            "current_token",
            Box::new(|_| "A".repeat(40).into()),
            "preflight/verify-current-token",
            "wrong or already rolled",
        ),
        ("current_token", Box::new(|_| "quoted\"".repeat(6).into()), "preflight/verify-current-token", "mangled"),
        ("token_id", Box::new(|_| "0".repeat(32).into()), "preflight/current-is-target", "not to 0000"),
        (
            "rolling_token",
            Box::new(|forwarded| forwarded.old.clone().into()),
            "preflight/look-up/not-itself",
            "allow_self_roll",
        ),
        // 302 to the login page, which must not be followed: it is a page, with 200.
        (
            "ops_session",
            Box::new(|_| "ended-long-ago".into()),
            "preflight/console-green",
            "does not accept the session",
        ),
        (
            "cf_account_id",
            Box::new(|_| "0".repeat(32).into()),
            "preflight/pages-listed-before/list",
            "may not list the Pages projects",
        ),
    ];
    for (name, value, step, says) in cases {
        let forwarded = forwarded();
        let value = value(&forwarded);
        forwarded.input(name, value).stops_at(step, says);
    }
}

// --------------------------------------------------------------------------------------------------------- at the roll

fn at_the_roll(kind: FaultKind) -> Setup {
    Setup { faults: vec![Fault::once("PUT", cloudflare::HOST, "/value", kind)], ..Setup::default() }
}

/// The rolling token is another one, so rolling again mends each of them; nothing is stored but the last value.
#[test]
fn an_answer_to_the_roll_that_is_lost_9() {
    for (kind, rolls) in [
        (FaultKind::LostAnswer, 2),
        (FaultKind::CutAnswer, 2),
        (FaultKind::LostRequest, 1),
        (FaultKind::TooMany { retry_after: Some(1) }, 1),
        (FaultKind::TooMany { retry_after: None }, 1),
        (FaultKind::Slow(Duration::from_millis(300)), 1),
    ] {
        let rotated = Forwarded::new(&READ, at_the_roll(kind)).rotates(&[]);
        rotated.providers.state(|state| assert_eq!(state.cloudflare.rolls.len(), rolls));
    }
}

#[test]
fn a_roll_that_fails_1() {
    for (setup, says) in [
        (Setup { roll_refused: true, ..Setup::default() }, "give it that and resume the run"),
        (at_the_roll(FaultKind::Status(500)), "nobody knows whether the old value is dead"),
        (at_the_roll(FaultKind::Html(502)), "nobody knows whether the old value is dead"),
        (at_the_roll(FaultKind::Html(200)), "expected true"),
        (at_the_roll(FaultKind::Status(409)), "expected 200, got 409"),
    ] {
        let forwarded = Forwarded::new(&READ, setup);
        let ran = forwarded.run(&[]);
        forwarded.failed(&ran, "roll/roll-by-api", says);
        forwarded.providers.state(|state| {
            assert_eq!(state.cloudflare.rolls.len(), 0);
            assert_eq!(state.raxx.audit.last().unwrap()["context"]["rolled"], "unknown");
            assert_eq!(state.places_of(&forwarded.old).len(), 4, "everything has what it had");
        });
    }
}

// ------------------------------------------------------------------------------------------------------ after the roll

#[test]
fn an_infisical_change_policy_16() {
    for (policy, step, says) in [
        (ChangePolicy::OpensApproval, "read-back/compare", "Have it approved in Infisical"),
        (
            ChangePolicy::RefusesMachines,
            "update",
            "a change policy protects /MooseQuest/cloudflare from machine identities",
        ),
    ] {
        let setup = Setup { policies: vec![("console".into(), policy)], ..Setup::default() };
        let failed = Forwarded::new(&ACCESS, setup)
            .fails_after_the_roll_at(&format!("distribute/store-in-infisical[0]/{step}"), says);
        let new = failed.providers.token_value(ACCESS.name);
        failed.providers.state(|state| assert_eq!(state.places_of(&new).len(), 2, "Heroku has it under both names"));
    }
}

#[test]
fn heroku_that_does_not_come_up_20() {
    for (setup, step, says) in [
        (
            Setup { heroku_access: vec![(heroku::CONSOLE.into(), Access::View)], ..Setup::default() },
            "config-set",
            "Heroku did not take the config vars of raxx-console-prod",
        ),
        (
            Setup { failing_releases: vec![heroku::CONSOLE.into()], ..Setup::default() },
            "wait-for-dynos/find-release",
            "the newest release of raxx-console-prod has failed",
        ),
        (
            Setup { crashing_dynos: vec![(heroku::CONSOLE.into(), "web.1".into())], ..Setup::default() },
            "wait-for-dynos/dynos-up",
            "heroku logs -a raxx-console-prod",
        ),
    ] {
        let forwarded = Forwarded::new(&ACCESS, setup);
        let ran = forwarded.run(&[]);
        assert_eq!(ran.code, 1, "{}", ran.shown());
        let step = format!("\n  - distribute/set-on-heroku[0]/{step}: ");
        assert!(ran.stdout.contains(&step) && ran.stdout.contains(says), "{}", ran.shown());
        let new = forwarded.providers.token_value(ACCESS.name);
        forwarded.providers.state(|state| {
            assert_eq!(state.cloudflare.rolls.len(), 1);
            assert!(
                state.places_of(&new).contains(&"infisical:console:prod:/MooseQuest/cloudflare:CF_ACCESS_MGMT".into())
            );
        });
    }
}

#[test]
fn github_that_shows_its_key_and_no_more_18() {
    if skipped("github_that_shows_its_key_and_no_more_18") {
        return;
    }
    Forwarded::new(&DEPLOY, Setup { github_access: GithubAccess::ReadOnly, ..Setup::default() })
        .stops_at("preflight/github-access/read-names[0]", "it needs the repository permission Secrets");
    Forwarded::new(&DEPLOY, Setup { github_access: GithubAccess::None, ..Setup::default() })
        .stops_at("preflight/github-access/read-key", "404 is also its answer to a want of access");
}

#[test]
fn a_gh_that_is_refused_18() {
    if skipped("a_gh_that_is_refused_18") {
        return;
    }
    let fault = |status| Fault::once("PUT", github::HOST, "/CF_PAGES_DEPLOY", FaultKind::Status(status)).times(9);
    for status in [403, 422, 503] {
        Forwarded::new(&DEPLOY, Setup { faults: vec![fault(status)], ..Setup::default() })
            .fails_after_the_roll_at("distribute/set-on-github[0]/secret-set", &format!("HTTP {status}"));
    }
}

#[test]
fn slack_that_says_no_with_200_19() {
    let setup = Setup { slack_error: Some("is_archived".into()), ..Setup::default() };
    Forwarded::new(&READ, setup).fails_after_the_roll_at("tell-operators/post", "Slack did not take the message");
}

#[test]
fn an_old_value_that_does_not_die_6() {
    let setup = Setup { propagation: Propagation::delayed(0, 500), ..Setup::default() };
    Forwarded::new(&READ, setup).fails_after_the_roll_at("old-value-dead", "it may still be accepted");
}

/// Whatever is lost on the way to a consumer is sent again, and none of it twice where that would be seen.
#[test]
fn answers_that_are_lost_after_the_roll() {
    for (method, host, path, kind) in [
        ("POST", infisical::HOST, "/CF_PAGES_DEPLOY", FaultKind::LostAnswer),
        ("POST", infisical::HOST, "/CF_PAGES_DEPLOY", FaultKind::LostRequest),
        ("PATCH", infisical::HOST, "/CF_PAGES_DEPLOY", FaultKind::LostAnswer),
        ("PATCH", infisical::HOST, "/CF_PAGES_DEPLOY", FaultKind::Status(500)),
        ("PATCH", heroku::HOST, "/config-vars", FaultKind::LostAnswer),
        ("PATCH", heroku::HOST, "/config-vars", FaultKind::CutAnswer),
        ("GET", heroku::HOST, "/dynos", FaultKind::Html(502)),
        ("PUT", github::HOST, "/CF_PAGES_DEPLOY", FaultKind::LostAnswer),
        ("PUT", github::HOST, "/CF_PAGES_DEPLOY", FaultKind::TooMany { retry_after: None }),
        ("POST", slack::HOST, "/api/chat.postMessage", FaultKind::LostAnswer),
        ("POST", slack::HOST, "/api/chat.postMessage", FaultKind::TooMany { retry_after: Some(1) }),
        ("POST", raxx::CONSOLE_HOST, "/callback", FaultKind::LostAnswer),
        ("POST", raxx::CONSOLE_HOST, "/callback", FaultKind::Status(503)),
    ] {
        if host == github::HOST && skipped("answers_that_are_lost_after_the_roll, GitHub's") {
            continue;
        }
        // The first dynos are those of preflight.
        let skip = if path == "/dynos" { 2 } else { 0 };
        let setup = Setup { faults: vec![Fault::once(method, host, path, kind).after(skip)], ..Setup::default() };
        let rotated = Forwarded::new(&DEPLOY, setup).rotates(&[]);
        rotated.providers.state(|state| {
            assert_eq!(state.cloudflare.rolls.len(), 1, "{method} {host}{path}");
            let release = |app: &str| state.heroku.app(app).newest().version;
            assert_eq!((release(heroku::PROD), release(heroku::STAGING)), (232, 58), "one restart each");
            assert!(state.faults.iter().all(|fault| fault.times == 0), "it was played");
        });
    }
}
