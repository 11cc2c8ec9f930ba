//! Masking 100 MB of what programs print, in pieces of 64 KiB, against only copying them, and learning secrets in the
//! midst of it: `cargo bench --bench masking`. What counts is the ratio in one run, not the milliseconds.

use runbook::secret::Masker;
use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, Instant};

const TOTAL: usize = 100 << 20;
const PIECE: usize = 64 << 10;
const RUNS: usize = 5;

fn main() {
    let secrets: Vec<String> = (1..=50).map(secret).collect();
    let text = output(&secrets[0]);
    let mut kept = Kept(Vec::with_capacity(TOTAL));
    let copy = median(|| text.chunks(PIECE).for_each(|piece| kept.write_all(piece).unwrap()));
    println!("{} MB in pieces of {} KiB, medians of {RUNS}:", TOTAL >> 20, PIECE >> 10);
    println!("  copying                       {:>8.1} ms", millis(copy));
    for count in [1, 10, 50] {
        let masker = Masker::default();
        secrets[..count].iter().for_each(|secret| masker.learn(secret));
        let masking = median(|| {
            let mut writer = masker.writer(&mut kept);
            text.chunks(PIECE).for_each(|piece| writer.write_all(piece).unwrap());
            writer.finish().unwrap();
        });
        let finding = median(|| {
            for piece in text.chunks(PIECE) {
                black_box(masker.contains_secret(piece));
            }
        });
        let (masked, found) = (ratio(masking, copy), ratio(finding, copy));
        println!("  masking {count:>2} secrets            {:>8.1} ms, {masked:.1} times copying", millis(masking));
        println!("  whether there are any         {:>8.1} ms, {found:.1} times copying", millis(finding));
    }
    let learning = |count: u64| {
        let masker = Masker::default();
        let clock = Instant::now();
        for index in 0..count {
            masker.learn(&secret(1_000 + index));
            black_box(masker.mask("exit 0"));
        }
        clock.elapsed()
    };
    let (few, many) = (learning(100), learning(1_000));
    println!("learning secrets one by one, a text masked after each:");
    println!("  100                           {:>8.1} ms", millis(few));
    println!("  1000                          {:>8.1} ms, {:.1} times 100", millis(many), ratio(many, few));
}

/// Copies all that is written to it, over and over into the same place.
struct Kept(Vec<u8>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > self.0.capacity() {
            self.0.clear();
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn secret(seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03;
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_";
    let mut letter = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(letters[(state >> 33) as usize % letters.len()])
    };
    (0..40).map(|_| letter()).collect()
}

/// Lines as servers, builds and programs print them; every two thousandth has a secret in it.
fn output(secret: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(TOTAL + 1024);
    let mut n = 0_u64;
    while out.len() < TOTAL {
        n += 1;
        let (minute, second, odd) = (n / 60 % 60, n % 60, n.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let line = match n % 5 {
            0 => format!(
                "2026-05-01T12:{minute:02}:{second:02}.{:03}Z INFO  api::server request finished method=GET path=/v1/items/{} status=200 took={}ms",
                n % 1000,
                odd % 100_000,
                n % 97
            ),
            1 => format!(
                "{{\"level\":\"debug\",\"ts\":1777636{:06},\"msg\":\"cache miss\",\"key\":\"user:{}:profile\",\"request_id\":\"{odd:016x}\"}}",
                n % 1_000_000,
                n * 31
            ),
            2 => format!(
                "   Compiling serde_json v1.0.{} (/home/build/.cargo/registry/src/index.crates.io-6f17d22bba15001f/serde_json)",
                n % 150
            ),
            3 => format!(
                "warning: unused variable: `response_{}` at src/engine/attempt.rs:{}:{}",
                n % 40,
                n % 400,
                n % 80
            ),
            _ => format!(
                "10.0.{}.{} - deploy [01/May/2026:12:{minute:02}:{second:02} +0000] \"POST /api/v2/deployments HTTP/1.1\" 201 {}",
                n % 250,
                odd % 250,
                odd % 9000
            ),
        };
        let _ = writeln!(out, "{line}");
        if n.is_multiple_of(2000) {
            let _ = writeln!(out, "Authorization: Bearer {secret}");
        }
    }
    out
}

fn median(mut run: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let clock = Instant::now();
            run();
            clock.elapsed()
        })
        .collect();
    times.sort();
    times[RUNS / 2]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn ratio(time: Duration, to: Duration) -> f64 {
    time.as_secs_f64() / to.as_secs_f64()
}
