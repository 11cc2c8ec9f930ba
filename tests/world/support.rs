//! Owns a world file in a folder of its own, the world it starts, and the rawest of clients.

use runbook::world::World;
use serde_json::Value as Json;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};

pub const RUNBOOK: &str = env!("CARGO_BIN_EXE_runbook");

/// A world that is up, and its folder. The world is first, so that it ends first.
pub struct Up {
    pub world: World,
    pub folder: tempfile::TempDir,
}

/// Writes a world file.
pub fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("world.yaml");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

/// Starts a world of this text.
pub fn up(text: &str) -> Up {
    let (folder, path) = file(text);
    let world = World::start(Path::new(RUNBOOK), &path).unwrap_or_else(|error| panic!("{error:?}"));
    Up { world, folder }
}

pub fn socket(address: &str) -> SocketAddr {
    address.strip_prefix("http://").unwrap().parse().unwrap()
}

/// What came back on a connection until it ended.
#[derive(Debug)]
pub struct Answer {
    pub raw: Vec<u8>,
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn read(raw: Vec<u8>) -> Answer {
        let text = String::from_utf8_lossy(&raw).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Answer { raw, status, head: head.to_owned(), body: body.to_owned() }
    }

    pub fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// A header's values.
    pub fn header(&self, name: &str) -> Vec<String> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned()).collect()
    }
}

impl Up {
    /// One exchange: `what` is `METHOD /path`, `more` further lines of the head.
    pub fn ask(&self, host: &str, what: &str, more: &[&str], body: &str) -> Answer {
        ask(self.world.address(), host, what, more, body)
    }

    pub fn get(&self, host: &str, path: &str) -> Answer {
        self.ask(host, &format!("GET {path}"), &[], "")
    }

    /// The world's latest call.
    pub fn last_call(&self) -> Json {
        let calls = self.world.calls().unwrap();
        calls.as_array().unwrap().last().unwrap().clone()
    }
}

pub fn ask(address: &str, host: &str, what: &str, more: &[&str], body: &str) -> Answer {
    Answer::read(exchange(TcpStream::connect(socket(address)).unwrap(), host, what, more, body))
}

pub fn exchange(mut stream: impl Read + Write, host: &str, what: &str, more: &[&str], body: &str) -> Vec<u8> {
    let mut head = format!("{what} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    if !body.is_empty() {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    more.iter().for_each(|line| head.push_str(&format!("{line}\r\n")));
    stream.write_all(format!("{head}\r\n{body}").as_bytes()).unwrap();
    let mut raw = Vec::new();
    // A connection that is reset has given what it had.
    let _ = stream.read_to_end(&mut raw);
    raw
}
