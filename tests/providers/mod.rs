//! A second, independent stand-in for the providers of the token-rotation SOP, written from the providers' own
//! descriptions without knowing the playbooks or the rehearsal world.
//! It owns [`Providers`], the running server; what each provider does is in the file of its name.
//!
//! Start it with `Providers::start(Setup { roll_refused: true, ..Setup::default() })`, send requests to `port()` with
//! the provider's name in `Host`, then look at `state(…)` and `log()`.
#![allow(dead_code)] // Each test binary includes this module and uses its own part of it.

pub mod cloudflare;
pub mod fault;
pub mod fresh;
pub mod github;
pub mod heroku;
pub mod infisical;
pub mod raxx;
pub mod server;
pub mod setup;
pub mod slack;

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

pub use fault::{Fault, FaultKind};
pub use server::Call;
pub use setup::Setup;

/// Every host that is answered, as the `Host` header names it.
pub const HOSTS: [&str; 8] = [
    cloudflare::HOST,
    infisical::HOST,
    heroku::HOST,
    github::HOST,
    slack::HOST,
    raxx::PROD_HOST,
    raxx::STAGING_HOST,
    raxx::CONSOLE_HOST,
];

/// What all providers remember. Tests read it, and may change it between two requests.
pub struct State {
    pub cloudflare: cloudflare::Cloudflare,
    pub infisical: infisical::Infisical,
    pub heroku: heroku::Heroku,
    pub github: github::Github,
    pub slack: slack::Slack,
    pub raxx: raxx::Raxx,
    /// Faults still to come; more may be pushed at any time.
    pub faults: Vec<Fault>,
}

impl State {
    fn new(setup: &Setup) -> Self {
        let cloudflare = cloudflare::Cloudflare::new(setup);
        State {
            infisical: infisical::Infisical::new(setup, &cloudflare),
            heroku: heroku::Heroku::new(setup, &cloudflare),
            github: github::Github::new(setup, &cloudflare),
            slack: slack::Slack::default(),
            raxx: raxx::Raxx::default(),
            faults: setup.faults.clone(),
            cloudflare,
        }
    }

    /// Where a consumer would read exactly `value`, sorted: `infisical:PROJECT:ENVIRONMENT:PATH:NAME`,
    /// `heroku:APP:NAME` (config vars), `github:STORE:NAME` (the opened boxes; STORE as in [`github::Github::stores`]).
    pub fn places_of(&self, value: &str) -> Vec<String> {
        let mut places = BTreeSet::new();
        places.extend(self.infisical.places_of(value));
        places.extend(self.heroku.places_of(value));
        places.extend(self.github.places_of(value));
        places.into_iter().collect()
    }
}

/// What a connection needs to answer; the mutex makes each request atomic.
pub(crate) struct Shared {
    setup: Setup,
    inner: Mutex<Inner>,
    stopped: AtomicBool,
}

struct Inner {
    state: State,
    log: Vec<Call>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A test that failed inside `state(…)` must not hide its message behind a poisoned mutex.
        self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// The running providers; ends with the value.
pub struct Providers {
    shared: Arc<Shared>,
    port: u16,
    ports: Mutex<Vec<u16>>,
    sockets: Mutex<Vec<PathBuf>>,
}

impl Providers {
    pub fn start(setup: Setup) -> Self {
        let state = State::new(&setup);
        let inner = Mutex::new(Inner { state, log: Vec::new() });
        let shared = Arc::new(Shared { setup, inner, stopped: AtomicBool::new(false) });
        let port = listen(&shared, None);
        Providers { shared, port, ports: Mutex::new(vec![port]), sockets: Mutex::default() }
    }

    /// The port on 127.0.0.1 that plays all of [`HOSTS`], told apart by the `Host` header (or an absolute request
    /// target, as a client of a plain HTTP proxy sends it).
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A further port that plays `host` alone, whatever the `Host` header says: for clients that take a base URL.
    pub fn port_for(&self, host: &str) -> u16 {
        assert!(HOSTS.contains(&host), "`{host}` is none of {HOSTS:?}");
        let port = listen(&self.shared, Some(host.to_owned()));
        self.ports.lock().unwrap().push(port);
        port
    }

    /// `http://127.0.0.1:PORT` of a new [`Self::port_for`].
    pub fn url_for(&self, host: &str) -> String {
        format!("http://127.0.0.1:{}", self.port_for(host))
    }

    /// The same as [`Self::port`] on a unix socket made at `path`, for a real `gh` with `http_unix_socket`.
    pub fn unix_socket(&self, path: &Path) {
        let listener = UnixListener::bind(path).expect("bind the unix socket");
        let shared = Arc::clone(&self.shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if shared.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (shared, reader) = (Arc::clone(&shared), stream.try_clone().expect("clone the socket"));
                std::thread::spawn(move || server::serve(&shared, None, reader, stream));
            }
        });
        self.sockets.lock().unwrap().push(path.to_owned());
    }

    pub fn setup(&self) -> &Setup {
        &self.shared.setup
    }

    /// Looks at the state, or changes it; no request is answered meanwhile.
    pub fn state<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.shared.lock().state)
    }

    /// The present value of the Cloudflare token called `name` (the first one).
    pub fn token_value(&self, name: &str) -> String {
        self.state(|state| state.cloudflare.token(name).value.clone())
    }

    /// All requests so far, in the order in which they were answered.
    pub fn log(&self) -> Vec<Call> {
        self.shared.lock().log.clone()
    }

    /// The requests of one method and host whose path ends in `suffix`.
    pub fn calls(&self, method: &str, host: &str, suffix: &str) -> Vec<Call> {
        let matches = |call: &Call| {
            call.request.method == method && call.request.host == host && call.request.path.ends_with(suffix)
        };
        self.log().into_iter().filter(matches).collect()
    }

    /// Requests that carried `secret` where it never belongs: in a URL, in a header other than `Authorization`, or in
    /// anything sent to Slack, to the console or to a health page. One line each, without the secret.
    pub fn leaks(&self, secret: &str) -> Vec<String> {
        let mut leaks = Vec::new();
        for call in self.log() {
            let request = &call.request;
            let place = format!("{} {}{}", request.method, request.host, request.path.replace(secret, "***"));
            if request.path.contains(secret) || request.query.iter().any(|(_, value)| value.contains(secret)) {
                leaks.push(format!("{place}: in the URL"));
            }
            let stray = |(name, value): &&(String, String)| name != "authorization" && value.contains(secret);
            if let Some((name, _)) = request.headers.iter().find(stray) {
                leaks.push(format!("{place}: in header `{name}`"));
            }
            let confidential = [cloudflare::HOST, infisical::HOST, heroku::HOST].contains(&request.host.as_str());
            if !confidential && request.text().contains(secret) {
                leaks.push(format!("{place}: in the body"));
            }
        }
        leaks
    }
}

impl Drop for Providers {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // A last connection wakes each listener, which then sees the flag.
        for port in self.ports.lock().unwrap().iter() {
            let _ = std::net::TcpStream::connect(("127.0.0.1", *port));
        }
        for path in self.sockets.lock().unwrap().iter() {
            let _ = UnixStream::connect(path);
            let _ = std::fs::remove_file(path);
        }
    }
}

fn listen(shared: &Arc<Shared>, host: Option<String>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen on loopback");
    let port = listener.local_addr().expect("the port").port();
    let shared = Arc::clone(shared);
    std::thread::spawn(move || {
        for stream in listener.incoming().filter_map(Result::ok) {
            if shared.stopped.load(Ordering::SeqCst) {
                return;
            }
            let _ = stream.set_nodelay(true);
            let (shared, host) = (Arc::clone(&shared), host.clone());
            let reader = stream.try_clone().expect("clone the connection");
            std::thread::spawn(move || server::serve(&shared, host.as_deref(), reader, stream));
        }
    });
    port
}
