//! Owns the server: connections on loopback and on the unix socket, requests told apart by host, answers sent, cut or dropped.
//! Deliberately knows nothing of what is answered: `play` does for hosts, `control` for the world's own address.

use super::control;
use super::play::{BROKEN, Request};
use super::reply::{Fate, Reply};
use super::stage::Stage;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value as Json};
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};

/// Largest body of a request.
const BODY: usize = 32 << 20;

/// What every connection needs.
pub struct House {
    pub stage: Stage,
    /// What `GET /info` says; `address` is in it.
    pub info: Json,
    /// The `127.0.0.1:PORT` this world listens on: requests for it are for the world itself.
    pub authority: String,
}

/// Takes connections for ever.
pub async fn accept(tcp: TcpListener, unix: UnixListener, house: House) {
    let house = Rc::new(house);
    let over_tcp = async {
        loop {
            match tcp.accept().await {
                Ok((stream, _)) => {
                    // Without it each answer waits 40 ms for the client's acknowledgement of its head.
                    let _ = stream.set_nodelay(true);
                    tokio::task::spawn_local(serve(stream, house.clone()));
                }
                Err(error) => no_connection(error).await,
            }
        }
    };
    let over_unix = async {
        loop {
            match unix.accept().await {
                Ok((stream, _)) => drop(tokio::task::spawn_local(serve(stream, house.clone()))),
                Err(error) => no_connection(error).await,
            }
        }
    };
    tokio::join!(over_tcp, over_unix);
}

/// Too many open files, say: that passes when some connection ends, and until then must not spin.
async fn no_connection(error: io::Error) {
    eprintln!("runbook world: cannot take a connection: {error}");
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// The exchange ends by dropping the connection, after these bytes.
#[derive(Debug)]
struct Cut(Vec<u8>);

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the world drops the connection")
    }
}

impl std::error::Error for Cut {}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, house: Rc<House>) {
    // hyper never ends a message short of what its head says; so its error ends the exchange, and what should still be seen
    // of the answer is written past it.
    let last_words = Rc::new(RefCell::new(Vec::new()));
    let service = service_fn(|request| {
        let (house, last_words) = (house.clone(), last_words.clone());
        Box::pin(async move {
            answer(request, &house).await.map_err(|Cut(bytes)| {
                last_words.replace(bytes);
                io::Error::other("dropped")
            })
        })
    });
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // How it ended is of no concern: a client may go away, and we may have dropped it ourselves.
    let _ = poll_fn(|context| connection.poll_without_shutdown(context)).await;
    let mut stream = connection.into_parts().io.into_inner();
    let _ = stream.write_all(&last_words.take()).await;
    let _ = stream.shutdown().await;
}

async fn answer(request: hyper::Request<Incoming>, house: &House) -> Result<Response<Full<Bytes>>, Cut> {
    let (head, body) = request.into_parts();
    let host = head.uri.authority().map(ToString::to_string).or_else(|| text(head.headers.get(header::HOST)?).into());
    let host = host.unwrap_or_default().to_ascii_lowercase();
    let method = head.method.as_str().to_owned();
    let path = head.uri.path().to_owned();
    let body = match whole(body).await {
        Ok(body) => body,
        Err(Some(refusal)) => return send(refusal, &method).await,
        Err(None) => return Err(Cut(Vec::new())),
    };
    let own = [&house.authority, &house.authority.replace("127.0.0.1", "localhost")].contains(&&host);
    let reply = if head.method == Method::CONNECT {
        Reply::text(405, "runbook world: this is no proxy for TLS\n".to_owned())
    } else if own {
        control::answer(house, &method, &path, &body).await
    } else {
        let request = Request {
            host,
            path,
            query: query(head.uri.query().unwrap_or("")),
            headers: headers(&head.headers),
            body: String::from_utf8_lossy(&body).into_owned(),
            method: method.clone(),
        };
        let reply = house.stage.with(|play| play.request(request)).await;
        reply.unwrap_or_else(|| Reply::text(BROKEN, "runbook world: this request broke the world\n".to_owned()))
    };
    send(reply, &method).await
}

/// The whole body, or what its sender is told; `None`: it broke off.
async fn whole(body: Incoming) -> Result<Bytes, Option<Reply>> {
    let too_large = || Some(Reply::text(413, "runbook world: this request is larger than 32 MiB\n".to_owned()));
    // What is announced to be too large is not waited for.
    if body.size_hint().lower() > BODY as u64 {
        return Err(too_large());
    }
    match Limited::new(body, BODY).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(_) => Err(None),
    }
}

async fn send(reply: Reply, method: &str) -> Result<Response<Full<Bytes>>, Cut> {
    if !reply.delay.is_zero() {
        tokio::time::sleep(reply.delay).await;
    }
    let Reply { status, headers, body, fate, .. } = reply;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match fate {
        Fate::Closed => return Err(Cut(Vec::new())),
        Fate::Truncated(bytes) if bytes < body.len() && method != "HEAD" => {
            let mut wire = format!("HTTP/1.1 {} \r\ncontent-length: {}\r\n", status.as_u16(), body.len()).into_bytes();
            for (name, value) in &headers {
                wire.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
            }
            wire.extend(b"\r\n");
            wire.extend(&body[..bytes]);
            return Err(Cut(wire));
        }
        Fate::Truncated(_) | Fate::Whole => {}
    }
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

/// `{name: value}`, decoded; a name that is there more than once has the list of its values.
fn query(text: &str) -> Json {
    let mut query = Map::new();
    for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
        add(&mut query, &name, value.into_owned(), |earlier, value| match earlier {
            Json::Array(list) => list.push(value.into()),
            single => *single = Json::Array(vec![single.take(), value.into()]),
        });
    }
    query.into()
}

/// `{lower-case name: value}`; values of a name that is there more than once are joined by commas.
fn headers(given: &header::HeaderMap) -> Json {
    let mut headers = Map::new();
    for (name, value) in given {
        add(&mut headers, name.as_str(), text(value), |earlier, value| {
            *earlier = format!("{}, {value}", earlier.as_str().unwrap_or("")).into();
        });
    }
    headers.into()
}

fn add(map: &mut Map<String, Json>, name: &str, value: String, again: impl FnOnce(&mut Json, String)) {
    match map.get_mut(name) {
        Some(earlier) => again(earlier, value),
        None => drop(map.insert(name.to_owned(), value.into())),
    }
}

fn text(value: &header::HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}
