//! The real `gh`, run by the playbook: what GitHub opens is exactly the value, and no process has it in its argv or
//! environment at any time.

use crate::forward::{Forwarded, skipped};
use crate::providers::Setup;
use crate::providers::setup::Rolled;
use crate::rehearsal::DEPLOY;
use serde_json::json;
use std::collections::HashSet;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Looks at the processes of the machine again and again, until it is dropped.
struct Watch {
    /// How often it has looked at all of them.
    looks: Arc<AtomicU64>,
    seen: Arc<Mutex<Seen>>,
    over: Arc<AtomicBool>,
}

#[derive(Default)]
struct Seen {
    /// The argv of every process.
    argvs: HashSet<Vec<u8>>,
    /// The environment of every process below this one.
    environments: HashSet<Vec<u8>>,
}

impl Watch {
    fn start() -> Watch {
        let watch = Watch { looks: Arc::default(), seen: Arc::default(), over: Arc::default() };
        let (looks, seen, over) = (watch.looks.clone(), watch.seen.clone(), watch.over.clone());
        std::thread::spawn(move || {
            while !over.load(Ordering::SeqCst) {
                look(&mut seen.lock().unwrap());
                looks.fetch_add(1, Ordering::SeqCst);
                std::thread::yield_now();
            }
        });
        watch
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
    }
}

fn look(seen: &mut Seen) {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let processes =
        processes.filter(|entry| entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit()));
    for process in processes.map(|entry| entry.path()) {
        // A process may end while it is looked at.
        if let Ok(argv) = std::fs::read(process.join("cmdline")) {
            seen.argvs.insert(argv);
        }
        if is_ours(&process)
            && let Ok(environment) = std::fs::read(process.join("environ"))
        {
            seen.environments.insert(environment);
        }
    }
}

/// Whether this test process is above `process`.
fn is_ours(process: &Path) -> bool {
    let own = std::process::id();
    let mut process = process.to_owned();
    for _ in 0..16 {
        let Ok(status) = std::fs::read_to_string(process.join("status")) else { return false };
        let parent: Option<u32> =
            status.lines().find_map(|line| line.strip_prefix("PPid:")).and_then(|text| text.trim().parse().ok());
        match parent {
            Some(parent) if parent == own => return true,
            Some(parent) if parent > 1 => process = Path::new("/proc").join(parent.to_string()),
            _ => return false,
        }
    }
    false
}

/// Between `gh` and the providers: an answer goes back only after the watch has looked at all processes once more, so
/// that it surely has seen this `gh`, whatever else the machine does.
fn gate(at: &Path, behind: &Path, looks: Arc<AtomicU64>) {
    let (listener, behind) = (UnixListener::bind(at).unwrap(), behind.to_owned());
    std::thread::spawn(move || {
        for caller in listener.incoming().map_while(Result::ok) {
            let (looks, behind) = (looks.clone(), behind.clone());
            std::thread::spawn(move || {
                let provider = UnixStream::connect(&behind).unwrap();
                let (mut up, mut down) = (caller.try_clone().unwrap(), provider.try_clone().unwrap());
                std::thread::spawn(move || std::io::copy(&mut up, &mut down));
                let (mut provider, mut caller) = (provider, caller);
                let mut chunk = [0; 16 << 10];
                while let Ok(length @ 1..) = provider.read(&mut chunk) {
                    // The look that is under way may have passed gh by; the one after it has not.
                    let (wanted, since) = (looks.load(Ordering::SeqCst) + 2, Instant::now());
                    while looks.load(Ordering::SeqCst) < wanted && since.elapsed() < Duration::from_secs(30) {
                        std::thread::yield_now();
                    }
                    if caller.write_all(&chunk[..length]).is_err() {
                        return;
                    }
                }
            });
        }
    });
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn stores_exactly_the_value(rolled: Rolled) {
    let mut forwarded = Forwarded::new(&DEPLOY, Setup { rolled, ..Setup::default() });
    let watch = Watch::start();
    let gated = forwarded.folder.path().join("gated.sock");
    gate(&gated, &forwarded.folder.path().join("gh.sock"), watch.looks.clone());
    let config = forwarded.folder.file("gated/config.yml", &format!("http_unix_socket: {}\n", gated.display()));
    forwarded.world["programs"]["gh"]["env"] = json!({"GH_CONFIG_DIR": config.parent().unwrap()});
    let forwarded = forwarded.rotates(&[]);

    let value = forwarded.providers.token_value(DEPLOY.name);
    forwarded.providers.state(|state| {
        for name in [DEPLOY.name, DEPLOY.legacy] {
            assert_eq!(state.github.value(name), Some(value.as_str()), "{name} is the value, to the letter");
        }
    });
    let seen = watch.seen.lock().unwrap();
    for name in [DEPLOY.name, DEPLOY.legacy] {
        let argv = format!("gh\0secret\0set\0{name}\0--app\0actions\0--repo\0raxx-app/raxx\0");
        assert!(seen.argvs.iter().any(|own| own.ends_with(argv.as_bytes())), "the watch saw `gh secret set {name}`");
    }
    let token = format!("GH_TOKEN={}\0", forwarded.providers.setup().github_token);
    assert!(seen.environments.iter().any(|own| contains(own, token.as_bytes())), "the watch saw gh's environment");
    for argv in &seen.argvs {
        assert!(!contains(argv, value.as_bytes()), "an argv holds the value");
    }
    for environment in &seen.environments {
        assert!(!contains(environment, value.as_bytes()), "an environment holds the value");
    }
}

#[test]
fn the_real_gh_stores_exactly_the_value_and_no_process_shows_it() {
    if skipped("the_real_gh_stores_exactly_the_value_and_no_process_shows_it") {
        return;
    }
    stores_exactly_the_value(Rolled::Long);
    stores_exactly_the_value(Rolled::LeadingDash);
}

/// The watch would see it: otherwise its silence proves nothing.
#[test]
fn the_watch_sees_argv_and_environment() {
    let watch = Watch::start();
    let mut child = std::process::Command::new("sleep").arg("987.654").env("WATCHED", "by-the-watch").spawn().unwrap();
    let wanted = watch.looks.load(Ordering::SeqCst) + 2;
    while watch.looks.load(Ordering::SeqCst) < wanted {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let seen = watch.seen.lock().unwrap();
    assert!(seen.argvs.contains(b"sleep\0987.654\0".as_slice()));
    assert!(seen.environments.iter().any(|own| contains(own, b"WATCHED=by-the-watch\0")));
}
