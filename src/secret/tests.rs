//! Owns comparing the masker with a plain one that tries everything everywhere, and with what real encoders write.

use super::*;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use std::io::Write;
use std::process::{Command, Stdio};

fn knowing<S: AsRef<str>>(secrets: &[S]) -> Masker {
    let masker = Masker::default();
    secrets.iter().for_each(|secret| masker.learn(secret.as_ref()));
    masker
}

/// Every form at every place, byte by byte; every run that any of them covers is three stars.
fn plainly(text: &[u8], forms: &[forms::Forms]) -> Vec<u8> {
    let mut covered = vec![false; text.len()];
    for forms in forms {
        for start in 0..text.len() {
            for form in &forms.written {
                if text[start..].starts_with(form) {
                    covered[start..start + form.len()].fill(true);
                }
            }
            for form in &forms.encoded {
                if let Some(end) = over_lines(text, start, form) {
                    covered[start..end].fill(true);
                }
            }
        }
    }
    let mut out = Vec::new();
    for (index, byte) in text.iter().enumerate() {
        match (covered[index], index > 0 && covered[index - 1]) {
            (false, _) => out.push(*byte),
            (true, false) => out.extend_from_slice(b"***"),
            (true, true) => {}
        }
    }
    out
}

/// Where the form ends that begins at `start`; between its letters there may be line breaks, with what indents the next.
fn over_lines(text: &[u8], start: usize, form: &[u8]) -> Option<usize> {
    let mut at = start;
    for (index, letter) in form.iter().enumerate() {
        if index > 0 && text.get(at) != Some(letter) {
            let letters = text[..at].iter().rev().take_while(|byte| forms::is_encoding(**byte)).count();
            let mut end = at;
            loop {
                end += match text.get(end..).unwrap_or_default() {
                    [b'\n' | b'\r', ..] => 1,
                    [b' ' | b'\t', ..] if end > at => 1,
                    [b'\\', b'n' | b'r', ..] => 2,
                    _ => break,
                };
            }
            if letters < 32 || end == at || end - at > 64 {
                return None;
            }
            at = end;
        }
        if text.get(at) != Some(letter) {
            return None;
        }
        at += 1;
    }
    Some(at)
}

fn cut(masker: &Masker, text: &[u8], cuts: &[usize]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = masker.writer(&mut out);
    let mut rest = text;
    for cut in cuts.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at((*cut).min(rest.len()));
        writer.write_all(piece).unwrap();
        rest = after;
    }
    writer.finish().unwrap();
    out
}

/// Pieces of forms, whole or torn, broken into lines or not, and other things between them.
fn made_of(forms: &[forms::Forms], picks: &[(usize, usize, usize, u8)]) -> Vec<u8> {
    let all: Vec<&forms::Form> = forms.iter().flat_map(|forms| forms.written.iter().chain(&forms.encoded)).collect();
    let mut text = Vec::new();
    for (which, from, length, how) in picks {
        match all.get(which % (all.len() + 1)) {
            None => text.extend_from_slice(&b"user: aaa\n  ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijkl\\n=="[from % 50..]),
            Some(form) => {
                let (from, length) = match how % 4 {
                    0 => (from % form.len(), *length),
                    _ => (0, form.len()),
                };
                let part = &form[from..(from + length).min(form.len())];
                // As `base64` would have it after other letters.
                match how % 8 {
                    5 => {
                        text.extend_from_slice(&[b'A'; 70][..40 + from % 30]);
                        let (before, after) = part.split_at(length % (part.len() + 1));
                        text.extend_from_slice(before);
                        let gaps: [&[u8]; 5] = [b"\n", b"\r\n    ", b"\\n", b"\n\n\t", b"\\x"];
                        text.extend_from_slice(gaps[usize::from(*how) / 8 % 5]);
                        text.extend_from_slice(after);
                    }
                    _ => text.extend_from_slice(part),
                }
            }
        }
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn it_does_what_a_plain_masker_does_however_the_stream_is_cut(
        secrets in proptest::collection::vec("[abc]{6,9}|[a-c:\"+/%']{6,40}|[ -~é€😀]{6,50}", 1..5),
        picks in proptest::collection::vec((any::<usize>(), 0..60_usize, 1..60_usize, any::<u8>()), 0..12),
        cuts in proptest::collection::vec(1_usize..90, 1..40),
        more in "[abc]{0,60}",
    ) {
        let secrets: Vec<&str> = secrets.iter().map(|text| text.trim()).filter(|text| text.chars().count() >= 6).collect();
        let masker = knowing(&secrets);
        // What stands in another may have been taken apart; here everything that is known counts.
        let forms: Vec<forms::Forms> = masker.texts().iter().map(|text| forms::forms(text)).collect();
        let mut text = made_of(&forms, &picks);
        text.extend_from_slice(more.as_bytes());
        let want = plainly(&text, &forms);
        let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        prop_assert_eq!(shown(&cut(&masker, &text, &[usize::MAX])), shown(&want), "of {:?}", shown(&text));
        prop_assert_eq!(shown(&cut(&masker, &text, &cuts)), shown(&want), "of {:?}", shown(&text));
        prop_assert_eq!(masker.contains_secret(&text), want != text);
        if let Ok(text) = std::str::from_utf8(&text) {
            let masked = masker.mask(text).into_owned();
            prop_assert_eq!(masked.as_bytes(), &want[..]);
        }
    }

    #[test]
    fn secrets_learned_one_by_one_are_hidden_as_if_all_were_known(
        secrets in proptest::collection::vec("[abc]{6,9}|[a-z0-9]{6,30}", 1..12),
        picks in proptest::collection::vec((any::<usize>(), 0..60_usize, 1..60_usize, any::<u8>()), 0..12),
    ) {
        let slowly = Masker::default();
        for secret in &secrets {
            slowly.learn(secret);
            slowly.mask("something else");
        }
        let at_once = knowing(&secrets);
        let forms: Vec<forms::Forms> = secrets.iter().map(|text| forms::forms(text)).collect();
        let text = made_of(&forms, &picks);
        prop_assert_eq!(cut(&slowly, &text, &[7]), cut(&at_once, &text, &[1000]));
    }
}

const AWKWARD: [&str; 6] = [
    r#"pa55+W0rd/x="y'z&w q%\k$HOME,`a`~#!"#,
    "s3cr3t-token-with-nothing-special-but-long-enough-to-be-broken-over-two-lines-0123456789",
    "ünïcödé-€-😀-pässwörd/+=",
    "it's \"quoted\" <b>&amp; 100% $5",
    "C:\\dir\\new\\table\\0001",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4ifQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
];

/// That nothing is left of the secret but what an encoding mixes with what stands beside it.
#[track_caller]
fn hides(text: &str, secret: &str, left: usize) {
    let masked = knowing(&[secret]).mask(text).into_owned();
    assert!(masked.contains("***") && masked.len() <= left + 3, "{secret:?} as {text:?} becomes {masked:?}");
}

#[test]
fn what_encoders_of_other_crates_write_is_hidden() {
    for secret in AWKWARD {
        let json = serde_json::Value::from(secret).to_string();
        hides(&json, secret, 2);
        hides(&serde_json::Value::from(json.clone()).to_string(), secret, 6);
        hides(&url::form_urlencoded::byte_serialize(secret.as_bytes()).collect::<String>(), secret, 0);
        let mut url = url::Url::parse("https://h/").unwrap();
        url.set_fragment(Some(secret));
        hides(url.fragment().unwrap(), secret, 0);
        url.query_pairs_mut().append_pair("k", secret);
        hides(url.query().unwrap(), secret, 2);
        hides(&format!("{secret:?}"), secret, 2);
        hides(&secret.as_bytes().escape_ascii().to_string(), secret, 0);
        hides(&serde_yaml::to_string(secret).unwrap(), secret, 3);
        for before in ["", "u", "us", "user:", "user :"] {
            for after in ["", "\n", "z", "zz", "zzz"] {
                let plain = format!("{before}{secret}{after}");
                let left = before.len() * 2 + after.len() * 2 + 4;
                hides(&STANDARD.encode(&plain), secret, left);
                hides(&URL_SAFE_NO_PAD.encode(&plain), secret, left);
            }
        }
        // As in `.dockerconfigjson`: by itself, and in an `auth` that is encoded before.
        hides(&STANDARD.encode(&json), secret, 6);
        for user in ["u", "us", "usr"] {
            for after in ["", "z", "zz"] {
                let auth = STANDARD.encode(format!("{user}:{secret}{after}"));
                let docker = STANDARD.encode(serde_json::json!({"auths": {user: {"auth": auth}}}).to_string());
                hides(&docker, secret, docker.len() + 12 - secret.len() * 16 / 9);
            }
        }
        let hex: Vec<String> = secret.bytes().map(|byte| format!("{byte:02X}")).collect();
        hides(&hex.join(" "), secret, 0);
    }
}

/// What a program of this machine writes when it is given the secret, in parts; none where there is no such program.
fn written(program: &str, arguments: &[&str], secret: &str) -> Vec<String> {
    let child = Command::new(program)
        .args(arguments)
        .env("SECRET", secret)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else { return Vec::new() };
    // One that reads nothing may have ended.
    let _ = child.stdin.take().unwrap().write_all(secret.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split('\u{1}').map(str::trim_end).filter(|part| !part.is_empty()).map(String::from).collect()
}

const BASH: &str = r#"part() { "$@"; printf '\001'; }
part base64 <<<"$SECRET"; part declare -p SECRET
for LC_ALL in C.UTF-8 C; do part printf %q "$SECRET"; part printf %s "${SECRET@Q}"; done"#;

const PYTHON: &str = r"
import os, json, html, shlex, base64, urllib.parse, binascii
s = os.environ['SECRET']
b = s.encode()
for part in [json.dumps(s), repr(s), ascii(s), repr(b), html.escape(s), s.encode('ascii', 'xmlcharrefreplace').decode(),
             html.escape(s).encode('ascii', 'xmlcharrefreplace').decode(), shlex.quote(s), urllib.parse.quote(s),
             urllib.parse.quote_plus(s), base64.encodebytes(b).decode(), base64.encodebytes(b'user:' + b + b'\n').decode(),
             json.dumps({'a': base64.encodebytes(b).decode()}), b.hex(':'), b.hex(' '), binascii.hexlify(b).decode().upper()]:
    print(part, end='\1')
";

const JQ: &str = r#"[tojson, @uri, @html, @sh, ([.] | @csv), @base64] | join("\u0001")"#;

const NODE: &str = r"
const s = process.env.SECRET, b64 = Buffer.from(s).toString('base64');
console.log([JSON.stringify(s), encodeURIComponent(s), encodeURI(s), encodeURIComponent(b64), encodeURI(b64)].join('\u0001'))";

#[test]
fn what_programs_write_by_themselves_is_hidden() {
    for secret in AWKWARD {
        let all = [
            written("base64", &[], secret),
            written("openssl", &["base64"], secret),
            written("xxd", &["-p"], secret),
            written("jq", &["-Rsr", JQ], secret),
            written("jq", &["-Rsa", "."], secret),
            written("bash", &["-c", BASH], secret),
            written("python3", &["-c", PYTHON], secret),
            written("node", &["-e", NODE], secret),
        ];
        let all: Vec<String> = all.into_iter().flatten().collect();
        assert!(all.len() >= 7, "hardly a program is there: {all:?}");
        // Quotes, padding and names remain, and letters that also stand for what is beside the secret.
        all.iter().for_each(|text| hides(text, secret, 22));
    }
}

/// By the tables of those that are not here: Go, .NET, PHP, Gson, Tera, handlebars, PyYAML, docker compose.
#[test]
fn what_others_are_known_to_write_is_hidden() {
    let secret = "a<b>&c+d\"e'f/g\\h=i`jé$k1";
    for text in [
        r#"a\u003cb\u003e\u0026c+d\"e'f/g\\h=i`jé$k1"#,
        r#"a\u003Cb\u003E\u0026c\u002Bd\u0022e\u0027f/g\\h=i\u0060j\u00E9$k1"#,
        r#"a<b>&c+d\"e'f\/g\\h=i`j\u00e9$k1"#,
        r#"a\u003cb\u003e\u0026c+d\"e\u0027f/g\\h\u003di`jé$k1"#,
        "a&lt;b&gt;&amp;c+d&quot;e&#x27;f&#x2F;g\\h=i`jé$k1",
        "a&lt;b&gt;&amp;c+d&quot;e&#x27;f/g\\h&#x3D;i&#x60;jé$k1",
        "a&lt;b&gt;&amp;c&#43;d&#34;e&#39;f/g\\h=i`jé$k1",
        "a&lt;b&gt;&amp;c+d&#34;e&#39;f/g\\h=i`jé$k1",
        r#"a<b>&c+d\"e'f/g\\h=i`j\xE9$k1"#,
        "a<b>&c+d\"e''f/g\\h=i`jé$k1",
        "a<b>&c+d\"e'f/g\\h=i`jé$$k1",
        "a<b>&c+d\"e'f/g\\h=3Di`j=C3=A9$k1",
        "a%253Cb%253E%2526c%252Bd%2522e%2527f%252Fg%255Ch%253Di%2560j%25C3%25A9%2524k1",
    ] {
        hides(text, secret, 0);
    }
}

#[test]
fn a_declared_secret_is_hidden_as_a_whole_and_in_what_remains_beside_another() {
    for order in [["admin-user", "admin-user:NEW-value"], ["admin-user:NEW-value", "admin-user"]] {
        let masker = knowing(&order);
        assert_eq!(masker.mask("x admin-user:NEW-value y"), "x *** y");
        assert_eq!(masker.mask("x NEW-value y admin-user z"), "x *** y *** z");
        assert_eq!(masker.mask(&STANDARD.encode("admin-user:NEW-value")), "***");
        assert_eq!(masker.mask(&STANDARD.encode("NEW-value")), "***");
    }
    // What only wraps a secret stays legible, and what is as short as a word.
    let masker = knowing(&[
        "the-known-1",
        "Bearer the-known-1",
        "token=the-known-1",
        "{\"access_token\":\"the-known-1\",\"other_key\":\"the-0ther\",\"n\":1234567}",
        "postgres://dbuser-7:the-known-1@db.example.com:5432/production?sslmode=require",
        "bob:the-known-1",
    ]);
    let plain = "Bearer token access_token other_key 1234567 postgres db.example.com production require bob";
    assert_eq!(masker.mask(plain), plain);
    assert_eq!(masker.mask("the-0ther dbuser-7"), "*** ***");
}

#[test]
fn what_is_made_of_a_secret_is_hidden_where_it_does_not_look_like_it() {
    let masker = knowing(&["The-Secret-Value"]);
    for made in
        ["THE-SECRET-VALUE", "eulaV-terceS-ehT", "The-Secr", "the-secret-value/other-secret", "6f9619ff8b86d011"]
    {
        assert_eq!(masker.mask(made), made);
        masker.learn_derived(made);
        assert_eq!(masker.mask(made), "***");
    }
}

#[test]
fn a_line_that_ends_in_letters_of_a_secret_is_not_held_back() {
    let masker = knowing(&["s3cr3t-token"]);
    let mut stream = masker.stream();
    let encoded = STANDARD.encode("s3cr3t-token");
    let (first, second) = encoded.split_at(5);
    let long = "A".repeat(60);
    assert_eq!(stream.push(format!("user {first}\n").as_bytes()), format!("user {first}\n").into_bytes());
    // After a long one there may be more.
    assert_eq!(stream.push(format!("{long}{first}\n").as_bytes()), long.as_bytes());
    assert_eq!(stream.flush(), b"");
    assert_eq!(stream.push(format!("  {second}!\n").as_bytes()), b"***!\n");
}
