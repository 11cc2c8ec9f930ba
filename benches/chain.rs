//! A chain of GETs, each with three assertions and a capture that the next one sends, against the bare loop that only
//! sends the same requests: `cargo bench --bench chain`. What counts is the ratio in one run, not the milliseconds.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const STEPS: usize = 1_000;
const RUNS: usize = 7;

fn main() {
    let port = serve();
    let folder = std::env::temp_dir().join(format!("runbook-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let playbook = folder.join("chain.yaml");
    std::fs::write(&playbook, chain(port)).unwrap();
    let program = |arguments: &[&str]| {
        let clock = Instant::now();
        let mut command = Command::new(env!("CARGO_BIN_EXE_runbook"));
        let status =
            command.args(arguments).arg(&playbook).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
        assert!(status.success());
        clock.elapsed()
    };
    let (mut bare, mut checks, mut runs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        bare.push(bare_loop(port));
        checks.push(program(&["check"]));
        runs.push(program(&["run", "--output", "plain"]));
    }
    std::fs::remove_dir_all(&folder).unwrap();
    let (bare, check, run) = (median(bare), median(checks), median(runs));
    println!("{STEPS} steps, medians of {RUNS}:");
    println!("  bare loop      {:>8.1} ms", millis(bare));
    println!("  runbook check  {:>8.1} ms", millis(check));
    println!("  runbook run    {:>8.1} ms, {:.2} times the bare loop", millis(run), millis(run) / millis(bare));
}

fn chain(port: u16) -> String {
    let mut text = format!(
        "runbook: 1\nname: chain\npermissions: {{net: [\"http://127.0.0.1:{port}/**\"]}}\nvars: {{api: \"http://127.0.0.1:{port}\"}}\nsteps:\n"
    );
    for n in 0..STEPS {
        let before = if n == 0 { String::new() } else { format!("?n={{{{ n{} }}}}", n - 1) };
        let _ = write!(
            text,
            "  - id: get-{n}\n    http: {{url: \"{{{{ api }}}}/items{before}\"}}\n    expect:\n      - status == 200\n      - jq: .ok\n      - jq: .n > 0\n    capture: {{n{n}: .n}}\n"
        );
    }
    text
}

fn answer() -> Vec<u8> {
    let body = format!("{{\"ok\":true,\"n\":42,\"padding\":\"{}\"}}", "x".repeat(260));
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}

fn serve() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let answer = answer();
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|read| read > 0) {
                    if line == "\r\n" && stream.write_all(&answer).is_err() {
                        return;
                    }
                    line.clear();
                }
            });
        }
    });
    port
}

fn bare_loop(port: u16) -> Duration {
    let clock = Instant::now();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut buffer = vec![0; answer().len()];
    for _ in 0..STEPS {
        stream.write_all(b"GET /items?n=42 HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: */*\r\n\r\n").unwrap();
        stream.read_exact(&mut buffer).unwrap();
    }
    clock.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
