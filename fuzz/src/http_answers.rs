//! Any bytes as a server's answer to one GET, made by the real client over a real connection.
//! Oracle: it ends, in time, with an output or with an error; a body within its limit, names of headers in lower case; what
//! was received is never said to have surely not been sent; nothing is sent to where no rule leads.

use runbook::action::http::{Body, Clients, Request, perform};
use runbook::action::{ActionError, Births, Cancel, Hands, Leave, Sent};
use runbook::event::Confinement;
use runbook::plan::permissions::{Grant, NetRule, Permissions};
use runbook::secret::{Masker, Taint};
use runbook::value::Value;
use serde_json::{Value as Json, json};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

const LIMIT: usize = 4096;
const REDIRECTS: usize = 3;
/// Nothing waits on purpose: the server says what it says, and closes.
const LONGEST: Duration = Duration::from_secs(8);

/// One server and one runtime for all executions; a client each, so that none learns from those before.
struct Bench {
    port: u16,
    runtime: tokio::runtime::Runtime,
    grant: Grant,
    cancel: Cancel,
    _stop: tokio::sync::watch::Sender<bool>,
}

struct Said {
    bytes: Mutex<Arc<[u8]>>,
    /// Whole requests that came.
    received: AtomicUsize,
}

static SAID: OnceLock<Said> = OnceLock::new();
static BENCH: OnceLock<Mutex<Bench>> = OnceLock::new();

pub fn run(bytes: &[u8]) {
    let said = SAID.get_or_init(|| Said { bytes: Mutex::new(Arc::default()), received: AtomicUsize::new(0) });
    let bench = BENCH.get_or_init(|| Mutex::new(Bench::new())).lock().unwrap_or_else(PoisonError::into_inner);
    *said.bytes.lock().unwrap_or_else(PoisonError::into_inner) = bytes.into();
    said.received.store(0, Ordering::SeqCst);
    let hands = Hands {
        clients: Clients::default(),
        masker: Masker::default(),
        births: Births::default(),
        stand_ins: None,
        life: None,
        confinement: Confinement::none(""),
    };
    let since = Instant::now();
    let request = bench.request();
    let leave = Leave { grant: &bench.grant, cancel: &bench.cancel, veil: Taint::default() };
    let result = bench.runtime.block_on(perform(&hands, &request, &leave));
    assert!(since.elapsed() < LONGEST, "it took {:?}", since.elapsed());
    let received = said.received.load(Ordering::SeqCst);
    assert!((1..=REDIRECTS + 1).contains(&received), "{received} requests, and {result:?}");
    match result {
        Ok(output) => judge(output.expose(), bench.port),
        Err(error) => {
            let told = format!("{error}");
            assert!(!told.is_empty() && told.len() < 16 << 10, "{told}");
            let surely_not = match error {
                ActionError::Transport { sent, .. }
                | ActionError::Timeout { sent, .. }
                | ActionError::Failed { sent, .. }
                | ActionError::Interrupted { sent } => sent == Sent::No,
                // Of a redirect, whose first request was answered.
                ActionError::Refused { .. } => {
                    assert!(received > 0 && told.contains("redirected"), "{told}");
                    false
                }
            };
            assert!(received == 0 || !surely_not, "received {received} times, and told: {told}");
        }
    }
}

impl Bench {
    fn new() -> Bench {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
        let port = listener.local_addr().expect("its own address").port();
        std::thread::spawn(move || listener.incoming().flatten().for_each(|stream| drop(answer(stream))));
        let net = vec![NetRule::parse(&format!("GET http://127.0.0.1:{port}")).expect("a good rule")];
        let grant = Grant(vec![Arc::new(Permissions { net, ..Permissions::default() })]);
        let (stop, signal) = tokio::sync::watch::channel(false);
        Bench {
            port,
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime"),
            grant,
            cancel: Cancel(signal),
            _stop: stop,
        }
    }

    fn request(&self) -> Request {
        Request {
            method: "GET".into(),
            url: Value::plain(json!(format!("http://127.0.0.1:{}/a/b?c", self.port))),
            query: Vec::new(),
            headers: Vec::new(),
            auth: None,
            body: Body::None,
            timeout: Some(Duration::from_secs(5)),
            connect_timeout: None,
            redirects: REDIRECTS as u32,
            tls: None,
            proxy: None,
            cookies: Some("jar".into()),
            max_body: LIMIT as u64,
            folder: "/nowhere".into(),
        }
    }
}

/// Reads a request, says what is to be said, and waits until the other side has closed.
fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let Some(said) = SAID.get() else { return Ok(()) };
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(LONGEST))?;
    let mut head = Vec::new();
    let mut piece = [0; 2048];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut piece)? {
            0 => return Ok(()),
            count => head.extend_from_slice(&piece[..count]),
        }
    }
    said.received.fetch_add(1, Ordering::SeqCst);
    let bytes = said.bytes.lock().unwrap_or_else(PoisonError::into_inner).clone();
    stream.write_all(&bytes)?;
    stream.shutdown(Shutdown::Write)?;
    while stream.read(&mut piece)? > 0 {}
    Ok(())
}

fn judge(output: &Json, port: u16) {
    let status = output["status"].as_u64().expect("a status");
    assert!((100..=999).contains(&status), "{status}");
    let body = output["body"].as_str().expect("a body");
    // A byte is at most one character, but for two in a few of Big5.
    assert!(body.chars().count() <= LIMIT + LIMIT / 2, "{} characters", body.chars().count());
    match serde_json::from_str::<Json>(body) {
        Ok(json) => assert_eq!(output["json"], json),
        Err(_) => assert!(output["json"].is_null()),
    }
    for (name, value) in output["headers"].as_object().expect("headers") {
        let token =
            |byte: u8| byte.is_ascii_graphic() && !byte.is_ascii_uppercase() && !b"\"(),/:;<=>?@[\\]{}".contains(&byte);
        assert!(!name.is_empty() && name.bytes().all(token), "{name:?}");
        let value = value.as_str().expect("a header's text");
        assert!(name == "set-cookie" || !value.contains(['\r', '\n', '\0']), "{name}: {value:?}");
    }
    let url = output["url"].as_str().expect("a URL");
    assert!(url.starts_with(&format!("http://127.0.0.1:{port}/")), "{url}");
}
