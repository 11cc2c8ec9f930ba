//! What nobody writes on purpose, and what a server may send: no panic, no hang, a sane exit code.

mod support;

use proptest::prelude::*;
use std::path::Path;
use std::time::{Duration, Instant};
use support::{Answer, Folder, Ran, Server};

const HEAD: &str = "runbook: 1\nname: test\n";

/// Checks a playbook's bytes; it must be told of, and soon.
#[track_caller]
fn judged(what: &str, bytes: &[u8]) -> Ran {
    let folder = Folder::new();
    std::fs::write(folder.path().join("test.yaml"), bytes).unwrap();
    let since = Instant::now();
    let ran = folder.check();
    sane(what, &ran, since);
    ran
}

#[track_caller]
fn sane(what: &str, ran: &Ran, since: Instant) {
    let end: String = ran.shown().chars().take(2_000).collect();
    assert!([0, 1, 2, 4, 5].contains(&ran.code), "{what}: exit code {}\n{end}", ran.code);
    assert!(!ran.shown().contains("panicked") && !ran.shown().contains("a fault of runbook"), "{what}:\n{end}");
    assert!(since.elapsed() < Duration::from_secs(60), "{what} took {:?}", since.elapsed());
    assert!(ran.shown().len() < 4 << 20, "{what} says {} bytes", ran.shown().len());
}

#[test]
fn texts_that_are_no_playbooks() {
    let deep = |open: &str, close: &str, count: usize| {
        format!("{HEAD}steps:\n  - set: {{x: {}{}}}\n", open.repeat(count), close.repeat(count)).into_bytes()
    };
    let mut bomb = format!("{HEAD}vars:\n  a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let before = format!("*a{}, ", level - 1).repeat(10);
        bomb.push_str(&format!("  a{level}: &a{level} [{before}]\n"));
    }
    let indented: String = (0..3_000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", Vec::new()),
        ("a NUL", b"runbook: 1\0\n".to_vec()),
        ("NULs", vec![0; 100_000]),
        ("no UTF-8", b"runbook: 1\nname: \xc3\x28\n".to_vec()),
        ("UTF-16", "runbook: 1\n".encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("surrogates", b"runbook: \xed\xa0\x80\n".to_vec()),
        ("lists in lists", deep("[", "]", 10_000)),
        ("maps in maps", deep("{a: ", "}", 10_000)),
        ("just too deep", deep("[", "]", 64)),
        ("hyphens", format!("{HEAD}steps:\n  {}x\n", "- ".repeat(50_000)).into_bytes()),
        ("indented", indented.into_bytes()),
        ("an alias bomb", bomb.into_bytes()),
        ("a merge key", format!("{HEAD}vars: {{<<: {{a: 1}}}}\n").into_bytes()),
        ("a huge key", format!("{HEAD}{}: 1\n", "k".repeat(3 << 20)).into_bytes()),
        ("a huge text", format!("{HEAD}title: {}\nsteps: [{{wait: 1s}}]\n", "t".repeat(7 << 20)).into_bytes()),
        ("a huge line of braces", format!("{HEAD}title: \"{}\"\n", "{{".repeat(1 << 20)).into_bytes()),
        ("too large", vec![b'#'; 9 << 20]),
        ("many keys", (0..200_000).map(|n| format!("k{n}: 1\n")).collect::<String>().into_bytes()),
        ("many wrong steps", format!("{HEAD}steps:\n{}", "  - {wiat: 1s, x: [}\n".repeat(20_000)).into_bytes()),
        ("many broken steps", format!("{HEAD}steps:\n{}", "  - {wiat: 1s}\n".repeat(20_000)).into_bytes()),
        ("documents", "---\na: 1\n".repeat(10_000).into_bytes()),
        ("a directive", b"%YAML 3.7\n---\nrunbook: 1\n".to_vec()),
        ("a tag", format!("{HEAD}steps: !!python/object/apply:os.system [x]\n").into_bytes()),
        ("quotes", format!("{HEAD}title: \"{}\n", "\\\"".repeat(100_000)).into_bytes()),
        ("carriage returns", "runbook: 1\rname: test\rsteps: []\r".repeat(1_000).into_bytes()),
        ("right to left", format!("{HEAD}title: \u{202e}\u{2066}x\nsteps: [{{wait: 1s}}]\n").into_bytes()),
        ("escapes", b"runbook: \x1b[2J\x1b]0;x\x07\n".to_vec()),
        ("a number", b"1e999999999\n".to_vec()),
        (
            "numbers",
            format!("{HEAD}steps: [{{wait: 1s, max_parallel: 1e400, timeout: 99999999999999999999d}}]\n").into_bytes(),
        ),
        (
            "a large retry",
            format!(
                "{HEAD}steps:\n  - wait: 1s\n    retry: {{attempts: 18446744073709551616, delay: 999999999999999h}}\n"
            )
            .into_bytes(),
        ),
        (
            "emoji and combining marks",
            format!("{HEAD}steps:\n  - id: {}\n    wait: 1s\n", "e\u{301}\u{1f9d1}\u{200d}\u{1f680}".repeat(500))
                .into_bytes(),
        ),
    ];
    for (what, bytes) in cases {
        let ran = judged(what, &bytes);
        assert!(!ran.stderr.contains('\x1b') && !ran.stderr.contains('\u{202e}'), "{what} steers the terminal");
    }
}

#[test]
fn twenty_thousand_steps_are_judged_and_one_more_is_not() {
    let steps = |count: usize| {
        let steps: String =
            (0..count).map(|n| format!("  - id: s-{n}\n    set: {{v{n}: \"{{{{ run.id }}}}{n}\"}}\n")).collect();
        format!("{HEAD}steps:\n{steps}")
    };
    judged("20,000 steps", steps(20_000).as_bytes()).exits(0);
    judged("20,001 steps", steps(20_001).as_bytes()).exits(2).shows("error[too-many-steps]");
}

#[test]
fn expressions_that_never_end_or_grow() {
    let cases = [
        ("recursive def", "jq: 'def f: f; f'"),
        ("endless loop", "jq: 'last(repeat(.))'"),
        ("endless range", "jq: '[range(0; 1e18)] | length'"),
        ("growing text", "jq: 'reduce range(0; 1000) as $i (\"x\"; . + .)'"),
        ("growing list", "jq: '[recurse([., .])] | length'"),
        ("until", "jq: 'until(false; . + 1)'"),
        ("deep", "jq: 'reduce range(0; 1000000) as $i (null; [.]) | tojson'"),
        ("many brackets", &format!("jq: '{}1{}'", "[".repeat(20_000), "]".repeat(20_000))),
        ("many pipes", &format!("jq: '{}.'", ". | ".repeat(20_000))),
        ("regex bomb in jq", "jq: '\"a\" * 40 | test(\"(a*)*b\")'"),
        ("limit", "jq: 'limit(1e15; repeat(1))'"),
        ("error loop", "jq: 'try error(\"x\") catch (try error(.) catch error(.))'"),
        ("a large index", "jq: '[] | .[1e12] = 1'"),
        ("a large number", "jq: '1e1000 * 1e1000 | tostring | length'"),
        ("tojson of nan", "jq: '[nan, infinite, -infinite] | tojson | fromjson'"),
    ];
    for (what, query) in cases {
        let folder = Folder::with(&format!("{HEAD}steps:\n  - id: only\n    set: {{x: {{{query}}}}}\n"));
        let since = Instant::now();
        let ran = folder.run(&[]);
        sane(what, &ran, since);
    }
    let templates = [
        ("loops", "{% for a in range(end=100000) %}{% for b in range(end=100000) %}x{% endfor %}{% endfor %}".to_string()),
        ("one large range", "{% for a in range(end=100000000000) %}{% endfor %}".into()),
        ("a large text", "{% for a in range(end=999999) %}0123456789012345678901234567890123456789012345678901234567890123456789{% endfor %}".into()),
        ("nested ifs", format!("{}x{}", "{% if true %}".repeat(5_000), "{% endif %}".repeat(5_000))),
        ("nested brackets", format!("{{{{ {}1{} }}}}", "(".repeat(20_000), ")".repeat(20_000))),
        ("not not", format!("{{{{ {} true }}}}", "not ".repeat(20_000))),
        ("filters", format!("{{{{ 'x'{} }}}}", " | upper".repeat(5_000))),
        ("plus", format!("{{{{ 1{} }}}}", " + 1".repeat(20_000))),
        ("overflow", "{{ 9223372036854775807 + 1 }}".into()),
        ("division", "{{ 1 / 0 }}{{ 1 % 0 }}{{ 1 // 0 }}".into()),
        ("a doubled text", "{% set a = 'xxxxxxxxxx' %}{% for i in range(end=60) %}{% set_global a = a ~ a %}{% endfor %}{{ a | length }}".into()),
        ("an index", "{{ [1][99999999999] }}".into()),
        ("truncate", "{{ 'äöü' | truncate(length=1) }}{{ 'äöü'[1:2] }}".into()),
        ("unclosed", "{{".into()),
        ("comment", "{#".into()),
    ];
    for (what, template) in templates {
        let folder = Folder::with(&format!(
            "{HEAD}steps:\n  - id: only\n    set:\n      x: {}\n",
            serde_json::Value::from(template)
        ));
        let since = Instant::now();
        let ran = folder.run(&[]);
        sane(what, &ran, since);
    }
    for (what, path) in [
        ("descents", format!("$..{}", "*..".repeat(30))),
        ("filters", format!("$[?{}@.a]", "@.a && ".repeat(200))),
        ("brackets", format!("${}", "[?@".repeat(500))),
        ("regex", "$[?match(@.a, '(a*)*b')]".into()),
    ] {
        let folder = Folder::with(&format!(
            "{HEAD}steps:\n  - id: only\n    assert: [{{jsonpath: {}, exists: false}}]\n",
            serde_json::Value::from(path)
        ));
        let since = Instant::now();
        sane(what, &folder.run(&[]), since);
    }
}

fn playbook(server: &Server, rest: &str) -> Folder {
    Folder::with(&format!(
        "{HEAD}permissions: {{net: [\"http://{0}/**\"], run: [bash]}}\ninputs: {{token: {{type: secret, env: TOKEN, default: null}}}}\nvars: {{api: \"http://{0}\"}}\n{rest}",
        server.address()
    ))
}

#[test]
fn answers_that_are_too_much() {
    use std::io::Write;
    let gzipped = |size: usize| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        let zeros = vec![b'0'; 1 << 20];
        for _ in 0..size >> 20 {
            encoder.write_all(&zeros).unwrap();
        }
        encoder.finish().unwrap()
    };
    let bomb = gzipped(128 << 20);
    let server = Server::start(move |request, _| {
        let full = |body: Vec<u8>| Answer::Full(200, Vec::new(), body);
        match request.path.as_str() {
            "/large" => full(vec![b'x'; 11 << 20]),
            "/just" => full(format!("\"{}\"", "y".repeat((10 << 20) - 2)).into_bytes()),
            "/bomb" => full(bomb.clone()).header("content-encoding", "gzip"),
            "/not-gzip" => full(b"this is none".to_vec()).header("content-encoding", "gzip"),
            "/deep" => full("[".repeat(200_000).into_bytes()),
            "/strings" => full(
                serde_json::json!((0..200_000).map(|n| n.to_string()).collect::<Vec<_>>()).to_string().into_bytes(),
            ),
            "/keys" => full(
                serde_json::Value::Object((0..100_000).map(|n| (n.to_string(), serde_json::json!("v"))).collect())
                    .to_string()
                    .into_bytes(),
            ),
            "/numbers" => full(b"[1e400, -1e400, 1e-400, 123456789012345678901234567890, -0, 0.1e1]".to_vec()),
            "/headers" => {
                let mut answer = Answer::text(200, "x");
                for n in 0..5_000 {
                    answer = answer.header(&format!("x-{n}"), &"v".repeat(100));
                }
                answer
            }
            "/long-header" => Answer::text(200, "x").header("x-long", &"v".repeat(5 << 20)),
            "/latin" => full(b"caf\xe9 \xff\xfe\x00".to_vec()).header("content-type", "text/plain; charset=nonsense"),
            "/no-http" => Answer::Raw(b"SSH-2.0-OpenSSH\r\n".to_vec()),
            "/status" => Answer::Raw(b"HTTP/1.1 999 What\r\ncontent-length: 0\r\n\r\n".to_vec()),
            "/status-0" => Answer::Raw(b"HTTP/1.1 000 \r\n\r\n".to_vec()),
            "/short" => Answer::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc".to_vec()),
            "/chunks" => {
                Answer::Raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n".to_vec())
            }
            "/two-lengths" => {
                Answer::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab".to_vec())
            }
            "/loop" => Answer::text(302, "").header("location", "/loop"),
            "/location" => Answer::text(302, "").header("location", "http://[::1"),
            "/retry-after" => Answer::text(429, "").header("retry-after", "99999999999999999999"),
            _ => Answer::text(404, "none"),
        }
    });
    for path in [
        "large",
        "just",
        "bomb",
        "not-gzip",
        "deep",
        "strings",
        "keys",
        "numbers",
        "headers",
        "long-header",
        "latin",
        "no-http",
        "status",
        "status-0",
        "short",
        "chunks",
        "two-lengths",
        "loop",
        "location",
        "retry-after",
    ] {
        let folder = playbook(
            &server,
            &format!(
                "steps:\n  - id: only\n    http: {{url: \"{{{{ api }}}}/{path}\", headers: {{x-token: \"{{{{ token }}}}\"}}}}\n    capture: {{whole: {{jq: ., default: null}}, fresh: {{jq: '.[0]?', secret: true, default: null}}}}\n    expect: [{{jq: 'type == \"number\"'}}, {{jsonpath: $.a, exists: true}}]\n"
            ),
        );
        let since = Instant::now();
        let ran = folder.program().args(["run", "test.yaml", "--output", "json"]).env("TOKEN", "s3cret-token").ran();
        sane(path, &ran, since);
        println!("{path} {:?}", since.elapsed());
        assert!([0, 1].contains(&ran.code), "{path}: {}", ran.shown().chars().take(3_000).collect::<String>());
    }
}

#[test]
fn programs_that_write_too_much_or_nonsense() {
    let server = Server::start(|_, _| Answer::text(200, ""));
    for (what, script) in [
        ("endless", "yes"),
        ("endless errors", "yes >&2"),
        ("bytes", "head -c 3000000 /dev/urandom"),
        ("NULs", "head -c 3000000 /dev/zero"),
        ("a closed end", "exec >&- 2>&-; sleep 0.1"),
        ("itself killed", "kill -SEGV $$"),
        ("a child left behind", "sleep 100 & exit 0"),
        ("deep JSON", "printf '[%.0s' {1..100000}"),
    ] {
        let folder =
            playbook(&server, &format!("steps:\n  - id: only\n    shell: {}\n", serde_json::Value::from(script)));
        let since = Instant::now();
        let ran = folder.run(&[]);
        sane(what, &ran, since);
        assert!(!ran.stdout.contains('\0'), "{what}");
    }
}

/// All shipped playbooks, to be broken.
fn shipped() -> Vec<(String, String)> {
    fn below(folder: &Path, name: &str, all: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            let name = format!("{name}{}", entry.file_name().to_string_lossy());
            if path.is_dir() {
                below(&path, &format!("{name}/"), all);
            } else if name.ends_with(".yaml") {
                all.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let mut all = Vec::new();
    below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("playbooks"), "", &mut all);
    below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mistakes"), "mistakes/", &mut all);
    all.sort();
    all
}

/// What is done to a text.
#[derive(Clone, Debug)]
enum Harm {
    /// A piece is taken away.
    Cut(f64, f64),
    /// Something is put in.
    Put(f64, String),
    /// A piece is put in again elsewhere.
    Copy(f64, f64, f64),
    /// A line is indented.
    Indent(f64, usize),
}

fn harm() -> impl Strategy<Value = Harm> {
    let somewhere = || 0.0..1.0_f64;
    let pieces = prop_oneof![
        "[ -~]{1,6}",
        "\\PC{1,4}",
        proptest::sample::select(vec![
            "{{",
            "}}",
            "{%",
            "\"",
            "'",
            "|",
            ": ",
            "\n  - ",
            "\n",
            "[",
            "]",
            "{",
            "}",
            "*",
            "&a ",
            "!x ",
            "#",
            "null",
            "~",
            "- ",
            "@",
            "%",
            ">",
            "\t",
            "1e9",
            "\\",
            "$",
            "..",
            "default",
            "secret",
            "use: ",
            "extends: ",
            "when: ",
            "\u{feff}",
            "\u{2028}",
        ])
        .prop_map(String::from),
    ];
    prop_oneof![
        (somewhere(), 0.0..0.05_f64).prop_map(|(at, length)| Harm::Cut(at, length)),
        (somewhere(), pieces).prop_map(|(at, text)| Harm::Put(at, text)),
        (somewhere(), 0.0..0.05_f64, somewhere()).prop_map(|(from, length, to)| Harm::Copy(from, length, to)),
        (somewhere(), 1_usize..5).prop_map(|(at, by)| Harm::Indent(at, by)),
    ]
}

fn place(text: &str, at: f64) -> usize {
    let mut index = (text.len() as f64 * at) as usize;
    while !text.is_char_boundary(index) {
        index -= 1;
    }
    index
}

fn harmed(text: &str, harms: &[Harm]) -> String {
    let mut text = text.to_string();
    for harm in harms {
        match harm {
            Harm::Cut(at, length) => {
                let (start, end) = (place(&text, *at), place(&text, (at + length).min(1.0)));
                text.replace_range(start..end, "");
            }
            Harm::Put(at, piece) => text.insert_str(place(&text, *at), piece),
            Harm::Copy(from, length, to) => {
                let piece = text[place(&text, *from)..place(&text, (from + length).min(1.0))].to_string();
                text.insert_str(place(&text, *to), &piece);
            }
            Harm::Indent(at, by) => {
                let at = text[..place(&text, *at)].rfind('\n').map_or(0, |end| end + 1);
                text.insert_str(at, &" ".repeat(*by));
            }
        }
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn a_harmed_playbook_is_judged_without_a_panic(which in any::<proptest::sample::Index>(), harms in proptest::collection::vec(harm(), 1..5)) {
        let all = shipped();
        let folder = Folder::new();
        for (name, text) in &all {
            folder.file(&format!("playbooks/{name}"), text);
        }
        let (name, text) = which.get(&all);
        let path = folder.file(&format!("playbooks/{name}"), &harmed(text, &harms));
        let since = Instant::now();
        let found = match runbook::plan::check::check(&path) {
            Ok(checked) => checked.warnings,
            Err(found) => {
                prop_assert!(!found.is_empty());
                found
            }
        };
        let drawn = runbook::diagnostic::draw(&found, false);
        prop_assert!(drawn.chars().all(|c| !c.is_control() || c == '\n'), "{:?}", drawn);
        prop_assert!(since.elapsed() < Duration::from_secs(20), "took {:?}", since.elapsed());
    }
}
