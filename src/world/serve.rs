//! Owns a world's process: it opens the file, listens, says where, and ends when it is told to or nobody needs it any more.
//! Deliberately knows nothing of requests.

use super::WorldError;
use super::control::Info;
use super::document::Approve;
use super::fill::fill;
use super::folder::Folder;
use super::hosts::Host;
use super::play::Play;
use super::programs::Player;
use super::scene::Scene;
use super::server::{self, House};
use super::stage::Stage;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// What the line says by which a world is known to be up.
pub const LISTENING: &str = "listening on ";

/// How a world is to be served.
#[derive(Clone, Debug, Default)]
pub struct Serving {
    pub file: PathBuf,
    /// A port of one's own choice; any free one otherwise.
    pub port: Option<u16>,
    /// Stay up when standard input ends.
    pub keep: bool,
}

/// `runbook world FILE`: plays until ended; prints where it listens.
///
/// It ends on SIGTERM, SIGINT and (unless it is to stay up) SIGHUP, and when the pipe ends that it has for standard input: a run holds the other end, so
/// that no world outlives a run that was killed. A terminal, a file or /dev/null as standard input is never looked at.
pub fn serve(serving: &Serving) -> Result<(), WorldError> {
    let scene = Scene::read(&serving.file).map_err(WorldError::Mistakes)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed("start"))?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, play(scene, serving))
}

async fn play(scene: Scene, serving: &Serving) -> Result<(), WorldError> {
    let on = |kind| signal(kind).map_err(failed("listen for signals"));
    let (mut terminated, mut interrupted) = (on(SignalKind::terminate())?, on(SignalKind::interrupt())?);
    // To listen for it would undo `nohup`.
    let mut hung_up = if serving.keep { None } else { Some(on(SignalKind::hangup())?) };
    let port = serving.port.unwrap_or(0);
    let tcp = TcpListener::bind(("127.0.0.1", port)).await.map_err(failed(&format!("listen on 127.0.0.1:{port}")))?;
    let authority = tcp.local_addr().map_err(failed("listen"))?.to_string();
    let address = format!("http://{authority}");
    let folder = Folder::new().map_err(failed("make its folder"))?;
    let unix = UnixListener::bind(folder.socket()).map_err(failed("make its socket"))?;
    let runbook = std::env::current_exe().map_err(failed("find its own program"))?;
    folder.furnish(&scene, &runbook, &address).map_err(failed("furnish its folder"))?;
    let info = serde_json::to_value(info(&scene, &folder, &address, &runbook)).unwrap_or_default();
    let stage = Stage::open(Play::new(scene)).map_err(failed("start its thread"))?;
    let unneeded = unneeded(serving.keep);
    // Whoever started us may be gone, or may not want to read: that is no reason to end.
    let _ = writeln!(io::stdout(), "{LISTENING}{address}");
    let _ = io::stdout().flush();
    let mut accepting = pin!(server::accept(tcp, unix, House { stage, info, authority }));
    tokio::select! {
        () = &mut accepting => {}
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
        Some(_) = async { hung_up.as_mut()?.recv().await } => {}
        Ok(()) = unneeded => {}
    }
    // Before the connections do, also those not yet accepted: whoever sees one end finds nothing left behind.
    drop(folder);
    Ok(())
}

fn info(scene: &Scene, folder: &Folder, address: &str, runbook: &Path) -> Info {
    let hosts = scene.hosts.iter().map(|(name, host)| {
        let forward = match host {
            Host::Forward(url) => Some(url.to_string()),
            Host::Fakes(_) => None,
        };
        (name.clone(), forward)
    });
    let (approve_all, approve) = match &scene.approve {
        Approve::Word(_) => (true, Vec::new()),
        Approve::Steps(steps) => (false, steps.clone()),
    };
    let known = folder.known(address);
    let (mut players, mut belongings) = (vec![runbook.to_path_buf()], vec![folder.files()]);
    for player in scene.programs.values() {
        let Player::Real { path, env } = player else { continue };
        players.push(path.clone());
        let named = env.values().map(|value| PathBuf::from(fill(value, &known)));
        belongings.extend(named.filter(|path| path.is_absolute()));
    }
    Info {
        world: 1,
        file: scene.name.clone(),
        address: address.to_owned(),
        socket: folder.socket(),
        folder: folder.files(),
        programs: folder.programs(),
        players,
        belongings,
        hosts: hosts.collect(),
        pace: scene.pace,
        approve_all,
        approve,
    }
}

/// Resolves to `Ok` when the pipe that is our standard input ends.
fn unneeded(keep: bool) -> oneshot::Receiver<()> {
    let (ended, unneeded) = oneshot::channel();
    if !keep && is_pipe() {
        std::thread::spawn(move || {
            let mut ignored = [0; 1024];
            loop {
                match io::stdin().read(&mut ignored) {
                    Ok(0) => break,
                    Err(error) if error.kind() != io::ErrorKind::Interrupted => break,
                    _ => {}
                }
            }
            let _ = ended.send(());
        });
    }
    unneeded
}

fn is_pipe() -> bool {
    let metadata = io::stdin().as_fd().try_clone_to_owned().map(std::fs::File::from).and_then(|file| file.metadata());
    metadata.is_ok_and(|found| found.file_type().is_fifo() || found.file_type().is_socket())
}

fn failed(what: &str) -> impl Fn(io::Error) -> WorldError {
    let what = what.to_owned();
    move |error| WorldError::Failed(format!("the world cannot {what}: {error}"))
}
