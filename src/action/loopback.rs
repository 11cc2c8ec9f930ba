//! Owns the servers of the tests: real ones on loopback that record what they get and may misbehave.
//! Deliberately knows nothing of the client under test.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// One request as it came over the wire.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) method: String,
    /// Path and query, or whatever stood there.
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Received {
    /// All values of a header, joined by `|`; empty where there is none.
    pub(crate) fn header(&self, name: &str) -> String {
        let values: Vec<&str> =
            self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect();
        values.join("|")
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Whether the connection is kept for another request.
#[derive(PartialEq, Eq)]
pub(crate) enum Then {
    Keep,
    Close,
}

/// A server that plays until the test ends.
pub(crate) struct Server {
    pub(crate) port: u16,
    received: Arc<Mutex<Vec<Received>>>,
    connections: Arc<AtomicUsize>,
}

pub(crate) trait Wire: Read + Write + Send {}
impl<T: Read + Write + Send> Wire for T {}

impl Server {
    /// Answers each request with what `play` writes.
    pub(crate) fn start(play: impl Fn(&Received, &mut dyn Wire) -> io::Result<Then> + Send + Sync + 'static) -> Server {
        Server::wrapped(Some, play)
    }

    /// Answers every request with this status line, headers and body.
    pub(crate) fn answering(head: &'static str, body: &'static str) -> Server {
        Server::start(move |_, wire| answer(wire, head, body.as_bytes()))
    }

    /// As `start`, over what `wrap` makes of the connection; `None` where that fails.
    pub(crate) fn wrapped<W: Wire + 'static>(
        wrap: impl Fn(TcpStream) -> Option<W> + Send + Sync + 'static,
        play: impl Fn(&Received, &mut dyn Wire) -> io::Result<Then> + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let connections: Arc<AtomicUsize> = Arc::default();
        let (record, count) = (received.clone(), connections.clone());
        let tools = Arc::new((wrap, play));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                count.fetch_add(1, Ordering::SeqCst);
                let (tools, record) = (tools.clone(), record.clone());
                std::thread::spawn(move || {
                    let Some(wire) = (tools.0)(stream.unwrap()) else { return };
                    let mut wire = BufReader::new(wire);
                    while let Ok(request) = receive(&mut wire) {
                        record.lock().unwrap().push(request.clone());
                        match (tools.1)(&request, wire.get_mut()) {
                            Ok(Then::Keep) => {}
                            _ => return,
                        }
                    }
                });
            }
        });
        Server { port, received, connections }
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

/// Writes an answer of a known length. `head` is the status and, after line breaks, headers.
pub(crate) fn answer(wire: &mut dyn Wire, head: &str, body: &[u8]) -> io::Result<Then> {
    let head = head.replace('\n', "\r\n");
    // In one piece: two would wait for each other's acknowledgement, 40 ms.
    let head = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n", body.len());
    wire.write_all(&[head.as_bytes(), body].concat())?;
    wire.flush()?;
    Ok(Then::Keep)
}

/// Waits until the other side has gone.
pub(crate) fn hang(wire: &mut dyn Wire) -> io::Result<Then> {
    let mut sink = [0; 1024];
    while wire.read(&mut sink)? > 0 {}
    Ok(Then::Close)
}

fn receive(wire: &mut impl BufRead) -> io::Result<Received> {
    let first = line(wire)?;
    let mut words = first.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = Vec::new();
    loop {
        let text = line(wire)?;
        match text.split_once(':') {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.trim().to_string())),
            None => break,
        }
    }
    let mut request = Received { method: method.into(), target: target.into(), headers, body: Vec::new() };
    if request.header("transfer-encoding") == "chunked" {
        loop {
            let size = usize::from_str_radix(&line(wire)?, 16).map_err(io::Error::other)?;
            let mut chunk = vec![0; size];
            wire.read_exact(&mut chunk)?;
            request.body.extend(chunk);
            line(wire)?;
            if size == 0 {
                break;
            }
        }
    } else if let Ok(length) = request.header("content-length").parse() {
        request.body = vec![0; length];
        wire.read_exact(&mut request.body)?;
    }
    Ok(request)
}

fn line(wire: &mut impl BufRead) -> io::Result<String> {
    let mut text = String::new();
    match wire.read_line(&mut text)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(text.trim_end().to_string()),
    }
}
