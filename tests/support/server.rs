//! A small HTTP server on loopback that answers as a test says, records what it was asked, and can misbehave.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// With its query.
    pub path: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Request {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or(serde_json::Value::Null)
    }
}

#[derive(Clone, Debug)]
pub enum Answer {
    /// Status, headers, body.
    Full(u16, Vec<(String, String)>, Vec<u8>),
    /// The connection is closed after the request was read.
    Drop,
    /// These bytes and no more, then the connection is closed.
    Raw(Vec<u8>),
    /// Nothing, for as long as the client waits.
    Hang,
}

impl Answer {
    pub fn json(status: u16, json: serde_json::Value) -> Answer {
        Answer::Full(status, vec![("content-type".into(), "application/json".into())], json.to_string().into_bytes())
    }

    pub fn text(status: u16, text: &str) -> Answer {
        Answer::Full(status, Vec::new(), text.as_bytes().to_vec())
    }

    pub fn header(self, name: &str, value: &str) -> Answer {
        match self {
            Answer::Full(status, mut headers, body) => {
                headers.push((name.into(), value.into()));
                Answer::Full(status, headers, body)
            }
            other => other,
        }
    }
}

pub struct Server {
    port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
    forget: Arc<std::sync::atomic::AtomicBool>,
}

impl Server {
    /// `answer` is given each request and how many came before it.
    pub fn start(answer: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        let forget = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let forgets = forget.clone();
        let answer = Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, answer, forgets) = (seen.clone(), answer.clone(), forgets.clone());
                thread::spawn(move || {
                    let _ = serve(stream, &seen, &forgets, &*answer);
                });
            }
        });
        Server { port, requests, forget }
    }

    /// One that does not remember its requests, for tests with very many.
    pub fn start_forgetful(answer: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static) -> Server {
        let server = Server::start(answer);
        server.forget.store(true, std::sync::atomic::Ordering::Relaxed);
        server
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn serve(
    stream: TcpStream,
    seen: &Mutex<Vec<Request>>,
    forgets: &std::sync::atomic::AtomicBool,
    answer: &dyn Fn(&Request, usize) -> Answer,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    while let Some(request) = read(&mut reader)? {
        let before = {
            let mut seen = seen.lock().unwrap();
            seen.push(request.clone());
            let before = seen.len() - 1;
            if forgets.load(std::sync::atomic::Ordering::Relaxed) {
                seen.clear();
            }
            before
        };
        match answer(&request, before) {
            Answer::Full(status, headers, body) => {
                let mut head = format!("HTTP/1.1 {status} Status\r\ncontent-length: {}\r\n", body.len());
                headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
                head.push_str("\r\n");
                let mut all = head.into_bytes();
                if request.method != "HEAD" {
                    all.extend(body);
                }
                stream.write_all(&all)?;
            }
            Answer::Raw(bytes) => {
                stream.write_all(&bytes)?;
                return Ok(());
            }
            Answer::Drop => return Ok(()),
            Answer::Hang => {
                // Until the client gives up and closes its side.
                let _ = reader.read(&mut [0]);
                return Ok(());
            }
        }
    }
    Ok(())
}

fn read(reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let (method, path) = (words.next().unwrap_or_default().to_string(), words.next().unwrap_or_default().to_string());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.trim_end().split_once(':') {
            headers.insert(name.to_ascii_lowercase(), value.trim().to_string());
        }
    }
    let mut body = Vec::new();
    if headers.get("transfer-encoding").is_some_and(|value| value == "chunked") {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size)?;
            let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk)?;
            body.extend(&chunk[..size]);
            if size == 0 {
                break;
            }
        }
    } else if let Some(length) = headers.get("content-length").and_then(|value| value.parse().ok()) {
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
    }
    Ok(Some(Request { method, path, headers, body: String::from_utf8_lossy(&body).into_owned() }))
}
