//! A chain of GETs, each with three assertions and a capture that the next one sends, against the bare loop that only
//! sends the same requests, and with the journal against without: `cargo bench --bench chain`. What counts is the ratio in
//! one run, not the milliseconds.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const STEPS: usize = 1_000;
const ONCE: usize = 200;
const RUNS: usize = 7;

fn main() {
    let port = serve();
    let folder = std::env::temp_dir().join(format!("runbook-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    // What changes something is recorded twice a step, each time durably; fewer steps show as much.
    let (reads, once, loose) = (chain(port, STEPS, "read"), chain(port, ONCE, "once"), chain(port, ONCE, "read"));
    let playbook = |name: &str, text: &str| {
        let path = folder.join(format!("{name}.yaml"));
        std::fs::write(&path, text.replace("name: chain", &format!("name: {name}"))).unwrap();
        path
    };
    let (reads, once, loose) = (playbook("reads", &reads), playbook("once", &once), playbook("loose", &loose));
    let program = |arguments: &[&str], playbook: &std::path::Path| {
        let clock = Instant::now();
        let mut command = Command::new(env!("CARGO_BIN_EXE_runbook"));
        command.env("RUNBOOK_STATE_DIR", folder.join("state")).env("RUNBOOK_KEY_FILE", folder.join("key"));
        let status =
            command.args(arguments).arg(playbook).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
        assert!(status.success());
        clock.elapsed()
    };
    let run = ["run", "--output", "plain"];
    let forgetful = ["run", "--output", "plain", "--no-journal"];
    let mut times: [Vec<Duration>; 6] = Default::default();
    for _ in 0..RUNS {
        times[0].push(bare_loop(port));
        times[1].push(program(&["check"], &reads));
        times[2].push(program(&forgetful, &reads));
        times[3].push(program(&run, &reads));
        times[4].push(program(&forgetful, &loose));
        times[5].push(program(&run, &once));
    }
    std::fs::remove_dir_all(&folder).unwrap();
    let [bare, check, off, on, loose, once] = times.map(|times| millis(median(times)));
    println!("{STEPS} steps that read, medians of {RUNS}:");
    println!("  bare loop                  {bare:>8.1} ms");
    println!("  runbook check              {check:>8.1} ms");
    println!("  runbook run --no-journal   {off:>8.1} ms, {:.2} times the bare loop", off / bare);
    println!("  runbook run                {on:>8.1} ms, {:.2} times that without a journal", on / off);
    println!("{ONCE} steps that are once (two syncs each):");
    println!("  as if they read, without   {loose:>8.1} ms");
    println!("  runbook run                {once:>8.1} ms, {:.2} times that", once / loose);
}

fn chain(port: u16, steps: usize, effect: &str) -> String {
    let mut text = format!(
        "runbook: 1\nname: chain\npermissions: {{net: [\"http://127.0.0.1:{port}/**\"]}}\nvars: {{api: \"http://127.0.0.1:{port}\"}}\nsteps:\n"
    );
    for n in 0..steps {
        let before = if n == 0 { String::new() } else { format!("?n={{{{ n{} }}}}", n - 1) };
        let _ = write!(
            text,
            "  - id: get-{n}\n    effect: {effect}\n    http: {{url: \"{{{{ api }}}}/items{before}\"}}\n    expect:\n      - status == 200\n      - jq: .ok\n      - jq: .n > 0\n    capture: {{n{n}: .n}}\n"
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
