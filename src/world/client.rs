//! Owns the smallest HTTP client that can ask a world: one exchange a connection, on loopback, blocking.
//! Deliberately not the client of the http action: a world's programs must start fast and need no TLS.

use serde_json::Value as Json;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The socket behind `http://127.0.0.1:PORT`; nothing but loopback is one.
pub fn socket(address: &str) -> Option<SocketAddr> {
    let authority = address.strip_prefix("http://")?.trim_end_matches('/');
    let authority = authority.replace("localhost:", "127.0.0.1:");
    authority.parse().ok().filter(|socket: &SocketAddr| socket.ip().is_loopback())
}

/// Why a world gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// It is not there, or what is there is no world.
    #[error("{0}")]
    Unreachable(String),
    /// It says why itself.
    #[error("{0}")]
    Refused(String),
}

/// Asks the control interface of the world at `address`; `patience` bounds each wait for more of its answer.
pub fn ask(
    address: &str,
    method: &str,
    path: &str,
    body: Option<&Json>,
    patience: Option<Duration>,
) -> Result<Json, NoAnswer> {
    let no_world = |why: String| NoAnswer::Unreachable(format!("there is no world at {address}: {why}"));
    let socket = socket(address).ok_or_else(|| no_world("it is not of the form `http://127.0.0.1:PORT`".to_owned()))?;
    let (status, text) = exchange(socket, method, path, body, patience).map_err(|error| no_world(error.to_string()))?;
    match (status, serde_json::from_slice::<Json>(&text)) {
        (200, Ok(json)) => Ok(json),
        (status, json) => match json.ok().as_ref().and_then(|json| json["error"].as_str()) {
            Some(said) => Err(NoAnswer::Refused(said.to_owned())),
            None => Err(no_world(format!("what is there answered {status} to {path}"))),
        },
    }
}

fn exchange(
    socket: SocketAddr,
    method: &str,
    path: &str,
    body: Option<&Json>,
    patience: Option<Duration>,
) -> std::io::Result<(u16, Vec<u8>)> {
    let broken = |message: &str| std::io::Error::other(message.to_owned());
    let mut stream = TcpStream::connect_timeout(&socket, Duration::from_secs(5))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(patience)?;
    let body = body.map(Json::to_string).unwrap_or_default();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {socket}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").ok_or_else(|| broken("no answer"))?;
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| broken("its answer is not HTTP"))?;
    let content = answer.split_off(end + 4);
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    if length.is_some_and(|length| length != content.len()) {
        return Err(broken("its answer was cut off"));
    }
    Ok((status, content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_an_address() {
        assert!(socket("http://127.0.0.1:80").is_some() && socket("http://localhost:80/").is_some());
        for bad in ["http://10.0.0.1:80", "https://127.0.0.1:80", "127.0.0.1:80", "http://127.0.0.1", "http://a:80"] {
            assert!(socket(bad).is_none(), "{bad}");
        }
    }
}
