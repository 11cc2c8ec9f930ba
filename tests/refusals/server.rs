//! Owns a server that answers with what no server should, byte by byte, and keeps what it was sent.
//! Deliberately knows nothing of cases.

use super::case::{Piece, unhex};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub struct Server {
    port: u16,
    received: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Server {
    /// The n-th request is answered by the n-th of `answers`, all after them by the last.
    pub fn start(answers: impl FnOnce(&str) -> Vec<Vec<Piece>>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let answers = Arc::new(answers(&format!("127.0.0.1:{port}")));
        let received = Arc::new(Mutex::new(Vec::new()));
        let seen = received.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, answers) = (seen.clone(), answers.clone());
                std::thread::spawn(move || serve(stream, &seen, &answers));
            }
        });
        Server { port, received }
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Heads and bodies of all requests; a connection without a request is an empty one.
    pub fn received(&self) -> Vec<Vec<u8>> {
        self.received.lock().unwrap().clone()
    }

    /// `GET /path` of each request.
    pub fn requests(&self) -> Vec<String> {
        self.received()
            .iter()
            .map(|request| {
                let line = String::from_utf8_lossy(request).lines().next().unwrap_or_default().to_string();
                line.rsplit_once(' ').map_or(line.clone(), |(line, _)| line.to_string())
            })
            .collect()
    }
}

fn serve(mut stream: TcpStream, seen: &Mutex<Vec<Vec<u8>>>, answers: &[Vec<Piece>]) {
    let _ = stream.set_nodelay(true);
    let request = read(&mut stream);
    let before = {
        let mut seen = seen.lock().unwrap();
        seen.push(request.clone());
        seen.len() - 1
    };
    let plain = [Piece::Text("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}".into())];
    let pieces = answers.get(before).or(answers.last()).map_or(&plain[..], Vec::as_slice);
    for piece in pieces {
        if say(&mut stream, piece, &request).is_err() {
            return;
        }
    }
    // What is closed with something unread in it is reset, and an answer may be lost.
    let _ = stream.shutdown(Shutdown::Write);
    let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
    let _ = std::io::copy(&mut stream, &mut std::io::sink());
}

fn read(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = [0; 65536];
    loop {
        let text = String::from_utf8_lossy(&all).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let lower = head.to_ascii_lowercase();
            let length = lower.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            let whole = match length {
                Some(length) => body.len() >= length,
                None if lower.contains("transfer-encoding: chunked") => body.ends_with("0\r\n\r\n"),
                None => true,
            };
            if whole {
                return all;
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return all,
            Ok(count) => all.extend_from_slice(&buffer[..count]),
        }
    }
}

fn say(stream: &mut TcpStream, piece: &Piece, request: &[u8]) -> std::io::Result<()> {
    match piece {
        Piece::Text(text) => stream.write_all(text.as_bytes()),
        Piece::Hex(hex) => stream.write_all(&unhex(hex)),
        Piece::Repeat { text, times } => {
            let many = text.repeat(65536 / text.len().max(1) + 1);
            let mut left = text.len() * times;
            while left > 0 {
                let now = left.min(many.len());
                stream.write_all(&many.as_bytes()[..now])?;
                left -= now;
            }
            Ok(())
        }
        Piece::Count { text, times } => {
            let all: String = (0..*times).map(|turn| text.replace("{n}", &turn.to_string())).collect();
            stream.write_all(all.as_bytes())
        }
        Piece::Endless(text) => {
            let many = text.repeat(65536 / text.len().max(1) + 1);
            loop {
                stream.write_all(many.as_bytes())?;
            }
        }
        Piece::Drip(text) => loop {
            for byte in text.bytes() {
                stream.write_all(&[byte])?;
                // How slow a slow answer is; nothing is judged by it.
                std::thread::sleep(Duration::from_millis(20));
            }
        },
        Piece::Gzip { text, times, layers } => {
            let mut bytes = Vec::new();
            for layer in 0..*layers {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
                match layer {
                    0 => (0..*times).try_for_each(|_| encoder.write_all(text.as_bytes()))?,
                    _ => encoder.write_all(&bytes)?,
                }
                bytes = encoder.finish()?;
            }
            stream.write_all(&bytes)
        }
        Piece::GzipEndless(text) => {
            // A block that ends at a byte can be said again and again.
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(text.repeat((1 << 20) / text.len()).as_bytes())?;
            encoder.flush()?;
            let block = encoder.get_ref().clone();
            stream.write_all(&unhex("1f8b08000000000000ff"))?;
            loop {
                stream.write_all(&block)?;
            }
        }
        Piece::Hold => {
            let _ = std::io::copy(stream, &mut std::io::sink());
            Ok(())
        }
        Piece::Reset => {
            // Let what was sent arrive first: a reset throws away what is on the way.
            std::thread::sleep(Duration::from_millis(50));
            let linger = libc::linger { l_onoff: 1, l_linger: 0 };
            // SAFETY: the descriptor is open, and the option has its own type and size.
            unsafe {
                libc::setsockopt(
                    stream.as_raw_fd(),
                    libc::SOL_SOCKET,
                    libc::SO_LINGER,
                    (&raw const linger).cast(),
                    size_of::<libc::linger>() as libc::socklen_t,
                );
            }
            // Dropped without a shutdown, it is reset.
            Err(std::io::ErrorKind::ConnectionReset.into())
        }
        Piece::Echo => stream.write_all(request),
    }
}
