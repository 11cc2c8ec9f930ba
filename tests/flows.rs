//! Attempts to carry a secret to where its `to:` does not lead, through the front door: each is refused, before a byte of
//! it was sent there. What is allowed beside them shows that it is the secret that is refused, and nothing else.

mod support;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value as Json, json};
use support::{Answer, Folder, Ran, Request, Server};

const SECRET: &str = "S3cr3t-Va1ue+b/64=zz";
const PIN: &str = "83512967";
const LATER: &str = "it-is-a-secret-later";

/// Says what it is asked for, in the spelling that the path names, and what it was told.
fn knowing(request: &Request) -> Answer {
    let hex = || SECRET.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let said = match request.path.trim_start_matches("/say/") {
        "plain" => json!(SECRET),
        "within" => json!(format!("it is {SECRET}, is it not")),
        "base64" => json!(STANDARD.encode(SECRET)),
        "base64-1" => json!(STANDARD.encode(format!("x{SECRET}"))),
        "base64-2" => json!(STANDARD.encode(format!("xy{SECRET}"))),
        "base64-url" => json!(URL_SAFE_NO_PAD.encode(SECRET)),
        "hex" => json!(hex()),
        "HEX" => json!(hex().to_uppercase()),
        "percent" => json!(url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect::<String>()),
        "json" => json!(json!({"v": SECRET}).to_string()),
        "key" => json!({SECRET: 1}),
        "number" => json!(PIN.parse::<u64>().unwrap()),
        "later" => json!(LATER),
        "halves" => json!([SECRET[..9], SECRET[9..], PIN[..5], PIN[5..]]),
        _ => json!(request.json()),
    };
    Answer::json(200, json!({"v": said})).header("x-said", SECRET)
}

/// Where the secret may go, and where it may not.
struct Stage {
    allowed: Server,
    other: Server,
}

impl Stage {
    fn new() -> Stage {
        let other = Server::start(|request, _| Answer::json(200, json!({"v": request.json()})));
        Stage { allowed: Server::start(|request, _| knowing(request)), other }
    }

    /// A playbook with `token` and `pin`, which may go to the one server and to `cat`. Where the other is, `there`, is
    /// only known when it runs.
    fn folder(&self, steps: &str) -> Folder {
        let (a, b) = (self.allowed.address(), self.other.address());
        let text = format!(
            r#"runbook: 1
name: test
permissions:
  net: ["http://{a}/**", "http://{b}/**"]
  run: [cat, /bin/cat, base64, bash, env]
  env: ["*"]
inputs:
  token: {{type: secret, env: TOKEN, to: ["{a}", "run:cat"]}}
  pin: {{type: secret, env: PIN, to: ["{a}", "run:cat"]}}
  there: {{type: string, default: "http://{b}/there"}}
vars: {{here: "http://{a}"}}
steps:
{steps}"#
        );
        let text = text.replace("TO_A", &format!("{{to: [\"{a}\"]}}"));
        Folder::with(&text)
    }

    fn ran(&self, steps: &str, arguments: &[&str]) -> Ran {
        ran(&self.folder(steps), arguments)
    }

    /// The last step would tell the other server `value`, made by the steps before; nothing arrives there.
    #[track_caller]
    fn keeps(&self, what: &str, steps: &str, value: &str) {
        let last = format!(
            "{steps}  - id: steal\n    effect: idempotent\n    http: {{method: POST, url: \"{{{{ there }}}}\", json: {{v: {value}}}}}\n"
        );
        let before = self.other.requests().len();
        let ran = self.ran(&last, &["--output", "json"]);
        let told = self.other.requests();
        assert_eq!(told.len(), before, "{what}: {:?}\n{}", told.last(), ran.shown());
        assert_eq!(ran.code, 5, "{what}: {}", ran.shown());
        assert!(ran.stdout.contains("may not go to"), "{what}: {}", ran.shown());
    }

    /// The same, where nothing of a secret is left in it.
    #[track_caller]
    fn tells(&self, steps: &str, value: &str) -> Json {
        let last = format!(
            "{steps}  - id: tell\n    effect: idempotent\n    http: {{method: POST, url: \"{{{{ there }}}}\", json: {{v: {value}}}}}\n"
        );
        self.ran(&last, &[]).exits(0);
        self.other.requests().last().unwrap().json()["v"].clone()
    }
}

fn ran(folder: &Folder, arguments: &[&str]) -> Ran {
    let ran = folder.program().args(["run", "test.yaml"]).args(arguments).env("TOKEN", SECRET).env("PIN", PIN).ran();
    ran.hides(SECRET).hides(PIN)
}

#[test]
fn filters_do_not_wash_a_secret() {
    let stage = Stage::new();
    for made in [
        r#"x: "{{ token | b64encode | b64decode }}""#,
        r#"one: "{{ token | b64encode }}", x: "{{ one | b64decode }}""#,
        r#"one: "{{ token | upper }}", x: "{{ one | lower }}""#,
        r#"x: "{{ token | reverse }}""#,
        r#"one: "{{ token | reverse }}", x: "{{ one | reverse }}""#,
        r#"x: "{{ token[2:5] }}""#,
        r#"x: "{{ token[0:1] }}""#,
        r#"one: "{{ token | split(pat='-') }}", x: "{{ one | join(sep='-') }}""#,
        r#"one: "{{ token | split(pat='-') }}", x: "{{ one | last }}""#,
        r#"x: "{{ token | json }}""#,
        r#"x: "{{ token | urlencode }}""#,
        r#"x: "{{ token | sha256 }}""#,
        r#"x: "{% for c in token %}{{ c }}.{% endfor %}""#,
        r#"x: "{{ token | replace(from='S', to='Z') }}""#,
        r#"x: ["public", {deep: "a{{ token }}b"}]"#,
        r#"one: {k: "{{ token }}"}, x: "{{ one }}""#,
        r#"one: "{{ pin | int }}", x: "{{ one }}""#,
        r#"one: "{{ pin | int }}", x: "{{ one / 2 }}""#,
        r#"one: "{{ pin | int }}", x: "{{ one + 1 }}""#,
    ] {
        stage.keeps(made, &format!("  - set: {{{made}}}\n"), "\"{{ x }}\"");
    }
}

#[test]
fn queries_do_not_wash_a_secret() {
    let stage = Stage::new();
    for made in [
        "x: {jq: '$token | explode'}",
        "x: {jq: '.token | explode | implode'}",
        "one: {jq: '$token | explode'}, x: {jq: '$one | implode'}",
        "one: {jq: '$token | explode'}, x: {jq: '[$one[] | . / 2 | floor]'}",
        "one: {jq: '$token | explode'}, x: {jq: '[$one[] | . + 1]'}",
        "one: {jq: '$token | explode'}, x: {jq: '$one | add'}",
        "one: {jq: '$token | explode'}, x: {jq: '[$one[] | (./16|floor), (. % 16)]'}",
        "one: {jq: '$token | explode'}, x: {jq: '[$one[] | [range(.)] | length]'}",
        "one: {jq: '[$token | explode[] | \".\" * .]'}, x: {jq: '[$one[] | length]'}",
        "one: {jq: '[$token | explode[] | [range(.)]]'}, x: {jq: '[$one[] | length]'}",
        "x: {jq: '[$token | explode[] | . % 2 == 0]'}",
        "one: {jq: '[$token | explode[] | . > 64]'}, x: {jq: '[$one[] | not]'}",
        "x: {jq: '$token | @base64'}",
        "one: {jq: '$token | @base64'}, x: {jq: '$one | @base64d'}",
        "x: {jq: '{($token): 1} | to_entries'}",
        "one: {jq: '{($token): 1}'}, x: {jq: '$one | keys'}",
        "x: {jq: '[$token] | tojson'}",
        "x: {jq: '$token | ltrimstr(\"S3\")'}",
        "x: {jq: '$token | split(\"\")'}",
        "x: {jq: '$token | @uri'}",
        "x: {jq: '$pin | tonumber'}",
        "one: {jq: '$pin | tonumber'}, x: {jq: '$one / 2 | floor'}",
        "one: {jq: '$pin | tonumber'}, x: {jq: '[$one | tostring | explode[] - 48]'}",
        "one: {jq: '[$pin | explode[] - 48]'}, x: {jq: '[$one[] | [limit(.; repeat(0))]] | map(length)'}",
    ] {
        stage.keeps(made, &format!("  - set: {{{made}}}\n"), "\"{{ x }}\"");
    }
}

#[test]
fn what_tells_nothing_may_go_anywhere() {
    let stage = Stage::new();
    assert_eq!(stage.tells("", "\"{{ token | length }}\""), json!(SECRET.len()));
    assert_eq!(stage.tells("", "\"{{ token == pin }}\""), json!(false));
    assert_eq!(stage.tells("  - set: {n: {jq: '[$token, 1] | length'}}\n", "\"{{ n }}\""), json!(2));
    assert_eq!(stage.tells("", "\"{{ 'there' if token else 'none' }}\""), json!("there"));
    let said = "  - id: said\n    http: {url: \"{{ here }}/public\"}\n    expect: [{jq: '.v == null'}]\n";
    assert_eq!(stage.tells(said, "plain"), json!("plain"));
}

#[test]
fn loops_and_chains_do_not_wash_a_secret() {
    let stage = Stage::new();
    let letters = r#"  - id: letters
    for_each: {jq: '$token | split("")'}
    effect: idempotent
    http: {method: POST, url: "{{ there }}", json: {c: "{{ item }}"}}
"#;
    let ran = stage.ran(letters, &["--output", "json"]);
    assert_eq!((ran.code, stage.other.requests().len()), (5, 0), "{}", ran.shown());
    let codes = r#"  - id: codes
    for_each: {jq: '$token | explode'}
    set: {c: "{{ item }}"}
"#;
    stage.keeps("gathered", codes, "\"{{ c }}\"");
    let reckoned = r#"  - id: codes
    for_each: {jq: '$token | explode'}
    as: code
    set: {c: "{{ code + 1 }}"}
"#;
    stage.keeps("gathered and reckoned", reckoned, "\"{{ c }}\"");
    let chain = r#"  - set: {a: "{{ token }}"}
  - set: {b: ["{{ a }}"]}
  - set: {c: {jq: '{k: $b[0]}'}}
  - id: assert
    assert: [{jq: '.c.k == .token'}]
    capture: {d: .c.k}
  - group:
      - set: {e: "{{ d }}"}
"#;
    stage.keeps("chain", chain, "\"{{ e }}\"");
    stage.keeps("a step's output", "  - id: kept\n    set: {a: \"{{ token }}\"}\n", "\"{{ steps['kept'].output.a }}\"");
    stage.keeps("headers", "", "1, w: \"{{ {'k': token} | json }}\"");
}

#[test]
fn what_is_said_back_is_known_in_every_spelling() {
    let stage = Stage::new();
    for path in [
        "plain",
        "within",
        "base64",
        "base64-1",
        "base64-2",
        "base64-url",
        "hex",
        "HEX",
        "percent",
        "json",
        "key",
        "number",
    ] {
        let said = format!("  - id: said\n    http: {{url: \"{{{{ here }}}}/say/{path}\"}}\n    capture: {{v: .v}}\n");
        stage.keeps(path, &said, "\"{{ v }}\"");
    }
    let header = "  - id: said\n    http: {url: \"{{ here }}/say/nothing\"}\n    capture: {v: {header: x-said}}\n";
    stage.keeps("a header", header, "\"{{ v }}\"");
    let echoed = "  - id: said\n    effect: idempotent\n    http: {method: POST, url: \"{{ here }}/\", json: {a: \"{{ token }}\"}}\n    capture: {v: .v.a}\n";
    stage.keeps("an echo", echoed, "\"{{ v }}\"");
    let program = "  - id: said\n    exec: {argv: [cat], stdin: \"{{ token }}\"}\n    capture: {v: {from: stdout}}\n";
    stage.keeps("a program", program, "\"{{ v }}\"");
    let folder = stage.folder(
        "  - id: steal\n    effect: idempotent\n    http: {method: PUT, url: \"{{ there }}\", file: out/said}\n",
    );
    folder.file("out/said", &format!("it is {SECRET}"));
    let text = folder.read("test.yaml").replace("  env: [", "  read: [\"out/**\"]\n  env: [");
    folder.file("test.yaml", &text);
    ran(&folder, &[]).exits(5).shows("in the file").shows("may not go to");
    assert_eq!(stage.other.requests().len(), 0);
    let file = "  - id: said\n    exec: {argv: [cat, \"{{ files.key }}\"], files: {key: \"<{{ token }}>\"}}\n    capture: {v: {regex: '<(.*)>', from: stdout}}\n";
    stage.keeps("a program's file", file, "\"{{ v }}\"");
}

#[test]
fn a_text_that_turns_out_to_be_a_secret_was_one() {
    let stage = Stage::new();
    let before = r#"  - id: first
    http: {url: "{{ here }}/say/later"}
    capture: {v: .v}
  - id: again
    http: {url: "{{ here }}/say/later"}
    capture: {later: {jq: .v, secret: TO_A}}
"#;
    stage.keeps("captured before", before, "\"{{ v }}\"");
    stage.keeps(
        "made before",
        &before.replacen("  - id: again", "  - set: {w: \"<{{ v }}>\"}\n  - id: again", 1),
        "\"{{ w }}\"",
    );
    // What is only made of a secret does not make a public text one.
    let host = "  - set: {host: \"{{ there }}\"}\n  - set: {part: {jq: '[$token, $there] | .[1]'}, cut: \"{{ token[0:8] }}\"}\n";
    assert_eq!(stage.tells(host, "\"{{ host }}\""), json!(stage.other.url("/there")));
    // Public is what has nothing of it.
    assert_eq!(stage.tells(before, "\"{{ v | length }}\""), json!(LATER.len()));
}

#[test]
fn every_way_into_a_request_or_a_program_is_judged() {
    let stage = Stage::new();
    for action in [
        r#"http: {url: "{{ there }}", headers: {x-a: "{{ low }}"}}"#,
        r#"http: {url: "{{ there }}", auth: {bearer: "{{ low }}"}}"#,
        r#"http: {url: "{{ there }}", auth: {basic: {user: "{{ low }}", password: x}}}"#,
        r#"http: {url: "{{ there }}", headers: {cookie: "a={{ low }}"}}"#,
        r#"http: {method: POST, url: "{{ there }}", form: {a: [x, "{{ low }}"]}}"#,
        r#"http: {method: POST, url: "{{ there }}", multipart: {a: "{{ low }}"}}"#,
        r#"http: {method: POST, url: "{{ there }}", text: "{{ low }}"}"#,
        r#"http: {method: POST, url: "{{ there }}", json: "{{ low }}"}"#,
        r#"exec: {argv: ["{{ 'base64' }}"], stdin: "{{ low }}"}"#,
        r#"exec: {argv: ["{{ 'env' }}"], env: {A: "{{ low }}"}}"#,
        r#"exec: {argv: ["{{ 'base64' }}", "{{ files.a }}"], files: {a: "{{ low }}"}}"#,
        r#"exec: {argv: ["{{ 'base64' }}", "{{ low }}"], allow_secret_argv: it takes no other way}"#,
        r#"exec: {argv: ["{{ '/bin/cat' }}"], stdin: "{{ low }}"}"#,
    ] {
        let steps = format!(
            "  - set: {{low: \"{{{{ token | lower }}}}\"}}\n  - id: bad\n    effect: idempotent\n    {action}\n"
        );
        let ran = stage.ran(&steps, &["--output", "json"]);
        assert_eq!((ran.code, stage.other.requests().len()), (5, 0), "{action}: {}", ran.shown());
        assert!(ran.stdout.contains("may not go to"), "{action}: {}", ran.shown());
        // A dry run is refused where the real one is.
        let dry = stage.ran(&steps, &["--dry-run", "--output", "json"]);
        assert_eq!((dry.code, stage.other.requests().len()), (5, 0), "{action}: {}", dry.shown());
        assert!(dry.stdout.contains("may not go to"), "{action}: {}", dry.shown());
    }
}

/// What is said back in two fields has no taint, and is the whole secret where they are joined.
const HALVES: &str = r#"  - id: halves
    http: {url: "{{ here }}/say/halves"}
    capture: {x: ".v[0]", y: ".v[1]", p: ".v[2]", q: ".v[3]"}
"#;

#[test]
fn two_halves_are_a_secret_wherever_they_are_joined() {
    let stage = Stage::new();
    let in_url = |name: &str| format!("the URL has the secret `{name}` in it");
    for (action, says) in [
        (r#"http: {url: "{{ there }}/{{ x }}{{ y }}"}"#, in_url("token")),
        (r#"http: {url: "{{ there }}/%53{{ x[1:9] }}{{ y }}"}"#, in_url("token")),
        (r#"http: {url: "{{ there }}", query: {a: "{{ x }}{{ y }}"}}"#, in_url("token")),
        (r#"http: {url: "http://{{ p }}{{ q }}.x.test/"}"#, in_url("pin")),
        (
            r#"http: {method: POST, url: "{{ there }}", multipart: {a: {file: test.yaml, filename: "{{ x }}{{ y }}"}}}"#,
            "`filename` would hold a secret".into(),
        ),
        (
            r#"http: {method: POST, url: "{{ there }}", multipart: {a: {file: test.yaml, content_type: "text/{{ p }}{{ q }}"}}}"#,
            "`content_type` would hold a secret".into(),
        ),
        (r#"exec: {argv: [cat, "{{ x }}{{ y }}"]}"#, "an argument of `cat` is secret".into()),
        (r#"exec: {argv: [cat], cwd: "{{ x }}{{ y }}"}"#, "a path would hold a secret".into()),
        (r#"confirm: {message: Go on?, phrase: "{{ x }}{{ y }}"}"#, "the phrase would hold a secret".into()),
    ] {
        let kind = if action.starts_with("confirm") { "" } else { "    effect: idempotent\n" };
        let ran =
            stage.ran(&format!("{HALVES}  - id: bad\n{kind}    {action}\n"), &["--approve-all", "--output", "json"]);
        assert_eq!((ran.code, stage.other.requests().len()), (5, 0), "{action}: {}", ran.shown());
        assert!(ran.stdout.contains(&says), "{action}: {}", ran.shown());
    }
    // A word of the playbook's own is none, be it spelt like one: `-U postgres`.
    let own = format!("  - exec: {{argv: [cat, {SECRET}]}}\n    continue_on_failure: true\n");
    stage.ran(&format!("{HALVES}{own}"), &[]).exits(0).hides("is secret");
    // Apart they are nothing, and where the secret may go it goes joined, too.
    let fine = r#"  - http: {url: "{{ here }}/{{ x }}", query: {a: "{{ y }}"}}
  - exec: {argv: [cat], stdin: "{{ x }}{{ y }}"}
"#;
    stage.ran(&format!("{HALVES}{fine}"), &[]).exits(0);
}

#[test]
fn two_halves_are_a_secret_in_locks_and_outputs() {
    let stage = Stage::new();
    let module = "  - id: module\n    use: module.yaml\n    with: {x: \"{{ x }}\", y: \"{{ y }}\"}\n";
    let halves = format!("vars: {{x: \"{}\", y: \"{}\", here", &SECRET[..9], &SECRET[9..]);
    for (steps, vars, end, says) in [
        (HALVES, "vars: {here", "outputs: {a: \"{{ x }}{{ y }}\"}\n", "output `a` would hold a secret"),
        (&format!("{HALVES}{module}"), "vars: {here", "", "output `a` of `module` would hold a secret"),
        ("  - wait: 1ms\n", &halves, "lock: \"{{ x }}{{ y }}\"\n", "the lock would hold a secret"),
    ] {
        let folder = stage.folder(steps);
        folder.file(
            "module.yaml",
            "runbook: 1\nname: module\ninputs: {x: {type: string}, y: {type: string}}\nsteps:\n  - wait: 1ms\noutputs: {a: \"{{ x }}{{ y }}\"}\n",
        );
        folder.file("test.yaml", &format!("{}{end}", folder.read("test.yaml").replace("vars: {here", vars)));
        let ran = ran(&folder, &["--output", "json"]);
        assert_eq!(ran.code, 5, "{says}: {}", ran.shown());
        assert!(ran.stdout.contains(says), "{says}: {}", ran.shown());
    }
}

#[test]
fn a_program_is_named_as_permissions_name_it() {
    let stage = Stage::new();
    let cat =
        |name: &str| format!("  - id: cat\n    exec: {{argv: [\"{{{{ '{name}' }}}}\"], stdin: \"{{{{ token }}}}\"}}\n");
    stage.ran(&cat("cat"), &[]).exits(0);
    stage.ran(&cat("/bin/cat"), &[]).exits(5).shows("may not go to the program `/bin/cat`");
}

#[test]
fn a_redirect_does_not_carry_a_secret_on() {
    for (what, said) in [
        ("plain", url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect::<String>()),
        ("base64", STANDARD.encode(SECRET)),
        ("hex", SECRET.bytes().map(|byte| format!("{byte:02x}")).collect()),
    ] {
        let other = Server::start(|_, _| Answer::json(200, json!({})));
        let target = other.url(&format!("/x?v={said}"));
        let stage =
            Stage { allowed: Server::start(move |_, _| Answer::text(302, "").header("location", &target)), other };
        let steps = "  - id: asks\n    http: {url: \"{{ here }}/\", auth: {bearer: \"{{ token }}\"}}\n";
        let ran = stage.ran(steps, &[]).exits(5).shows("redirected to a URL that has the secret `token` in it");
        assert_eq!(stage.other.requests().len(), 0, "{what}: {}", ran.shown());
    }
}

#[test]
fn a_cookie_that_is_a_secret_does_not_follow_its_domain() {
    // Cookies know no ports, so that two servers on one address share them.
    let stage = Stage {
        allowed: Server::start(|request, _| {
            let answer = Answer::json(200, json!({"v": request.headers.get("cookie")}));
            match request.path.as_str() {
                "/token" => answer.header("set-cookie", &format!("sid={SECRET}; Path=/")),
                "/fresh" => answer.header("set-cookie", "sid=fresh-session-0123; Path=/"),
                "/public" => answer.header("set-cookie", "theme=dark; Path=/"),
                _ => answer,
            }
        }),
        other: Server::start(|request, _| Answer::json(200, json!({"v": request.headers.get("cookie")}))),
    };
    let there = "  - id: there\n    http: {url: \"{{ there }}\", cookies: true}\n    capture: {sent: .v}\n";
    let back = "  - id: back\n    http: {url: \"{{ here }}/back\", cookies: true}\n    expect: [{jq: '.v != null'}]\n";
    let given = |path: &str, capture: &str| {
        format!("  - id: given\n    http: {{url: \"{{{{ here }}}}/{path}\", cookies: true}}\n{capture}")
    };
    let captured = "    capture: {sid: {header: set-cookie, secret: TO_A}}\n";
    let of_it = "    capture: {sid: {regex: '(fresh-[^;\"]*)', from: body, secret: TO_A, default: null}}\n";
    for (what, first) in
        [("known", given("token", "")), ("captured", given("fresh", captured)), ("with it", given("fresh", of_it))]
    {
        let ran = stage.ran(&format!("{first}{back}{there}"), &["--output", "json"]);
        assert_eq!((ran.code, stage.other.requests().len()), (5, 0), "{what}: {}", ran.shown());
        assert!(ran.stdout.contains("in the cookie `sid` may not go to"), "{what}: {}", ran.shown());
    }
    stage.ran(&format!("{}{there}", given("public", "")), &[]).exits(0);
    assert_eq!(stage.other.requests()[0].headers["cookie"], "theme=dark");
}

#[test]
fn a_module_goes_no_further_with_a_secret_than_its_caller_may() {
    let stage = Stage::new();
    let folder = stage.folder(
        r#"  - id: module
    use: module.yaml
    with: {key: "{{ token }}", list: [{k: "{{ token }}"}], there: "{{ there }}"}
"#,
    );
    let module = |steps: &str| {
        folder.file(
            "module.yaml",
            &format!(
                "runbook: 1\nname: module\npermissions:\n  net: [\"http://{b}/**\"]\ninputs:\n  key: {{type: secret, to: [\"{b}\"]}}\n  list: {{type: list}}\n  there: {{type: string}}\nsteps:\n{steps}",
                b = stage.other.address()
            ),
        );
        let ran = ran(&folder, &["--output", "json"]);
        assert!([2, 5].contains(&ran.code), "{}", ran.shown());
        assert_eq!(stage.other.requests().len(), 0, "{}", ran.shown());
    };
    module("  - id: a\n    http: {url: \"{{ there }}\", auth: {bearer: \"{{ key }}\"}}\n");
    module("  - id: a\n    http: {url: \"{{ there }}\", auth: {bearer: \"{{ list[0].k }}\"}}\n");
    module("  - id: a\n    set: {x: \"{{ key | lower }}\"}\noutputs: {x: \"{{ x }}\"}\n");
    module("  - id: a\n    set: {x: {jq: '$key | explode'}}\noutputs: {x: \"{{ x }}\"}\n");
    module("  - id: a\n    set: {x: {jq: '[$key | explode[] | . > 70]'}}\noutputs: {x: \"{{ x }}\"}\n");
}

#[test]
fn what_is_narrower_elsewhere_is_not_narrower_here() {
    let stage = Stage::new();
    // A module that narrows its input, and another secret of the same text that may go nowhere else.
    let folder = stage.folder(
        r#"  - id: narrow
    use: module.yaml
    with: {key: "{{ token }}"}
  - id: own
    exec: {argv: [cat], stdin: "{{ token }}"}
  - id: sent
    http: {method: POST, url: "{{ here }}/", json: {v: "{{ token }}", w: ["<{{ token | upper }}>"]}}
"#,
    );
    folder.file(
        "module.yaml",
        "runbook: 1\nname: module\npermissions: {run: [cat]}\ninputs: {key: {type: secret, to: [\"run:cat\"]}}\nsteps:\n  - exec: {argv: [cat], stdin: \"{{ key }}\"}\n",
    );
    let text =
        folder.read("test.yaml").replace("  pin: {", "  same: {type: secret, env: TOKEN, to: [\"x.test\"]}\n  pin: {");
    folder.file("test.yaml", &text);
    ran(&folder, &[]).exits(0);
    assert_eq!(stage.allowed.requests()[0].json()["v"], SECRET);
}

#[test]
fn messages_carry_no_secret_on() {
    let stage = Stage::new();
    let folder = stage.folder(
        r#"  - set: {codes: {jq: '$token | explode'}, dots: {jq: '[$token | explode[] | "." * .]'}}
  - id: fails
    assert:
      - {jq: '"a" == "b"', message: "{{ token | upper }} {{ codes }} {{ codes[0] }} {{ token[0:5] }}"}
      - {jq: '.codes', equals: 1}
      - {jq: '.codes[0]', lt: 1}
      - {jq: '.dots[0]', count: 1}
      - {jq: '.dots[0] | length', equals: 1}
      - {jq: '$codes | map(error)'}
      - {jq: '$token | error'}
      - "(token | int) == 1"
on_failure:
  - id: tell
    effect: idempotent
    http: {method: POST, url: "{{ there }}", json: {why: "{{ run.failure }}"}}
  - id: asks
    confirm: "{{ token }} {{ codes or 'none' }}"
"#,
    );
    let ran = ran(&folder, &["--output", "json", "--approve-all"]);
    assert_eq!(ran.code, 1, "{}", ran.shown());
    let told = stage.other.requests().pop().unwrap().body;
    let code = SECRET.bytes().next().unwrap();
    for text in [told, ran.shown()] {
        for part in [
            SECRET.to_uppercase(),
            format!("{code},"),
            SECRET[0..5].into(),
            format!("string of {code}"),
            format!("there are {code}"),
        ] {
            assert!(!text.contains(&part), "{part}: {text}");
        }
    }
}

#[test]
fn locks_outputs_and_places_hold_none() {
    let stage = Stage::new();
    let wait = "  - wait: 1ms\n";
    for (steps, head) in [
        (wait, "lock: \"a-{{ token | lower }}\"\n"),
        (wait, "outputs: {a: {jq: '$token | explode'}}\n"),
        (wait, "outputs: {a: {jq: '[$token | explode[] | . > 70]'}}\n"),
        (wait, "outputs: {a: {jq: '$pin | tonumber | . / 2'}}\n"),
        ("  - set: {d: {jq: '$token | explode'}}\n  - wait: \"{{ d[0] }}s\"\n", ""),
        ("  - set: {d: {jq: '$token | explode'}}\n  - id: a\n    http: {url: \"{{ here }}/{{ d[0] }}\"}\n", ""),
        (
            "  - set: {d: {jq: '$token | explode'}}\n  - id: a\n    http: {url: \"{{ here }}/\", query: {n: \"{{ d }}\"}}\n",
            "",
        ),
        ("  - set: {d: {jq: '$token | explode'}}\n  - id: a\n    exec: [cat, \"{{ d }}\"]\n", ""),
    ] {
        let folder = stage.folder(steps);
        let text = folder.read("test.yaml");
        folder.file("test.yaml", &format!("{text}{head}"));
        let ran = ran(&folder, &["--output", "json"]);
        assert!([2, 5].contains(&ran.code), "{steps}{head}: {} {}", ran.code, ran.shown());
        assert_eq!(stage.allowed.requests().len() + stage.other.requests().len(), 0, "{steps}{head}");
    }
}

#[test]
fn a_dry_run_measures_nothing() {
    let stage = Stage::new();
    let folder = stage.folder("  - {id: a, wait: 1ms}\n  - {id: b, wait: 1ms}\n");
    let text = folder.read("test.yaml");
    folder.file("test.yaml", &format!("{text}intervals: {{all: {{from: a, to: b, budget: 1h}}}}\n"));
    assert_eq!(ran(&folder, &["--output", "json"]).finished()["intervals"].as_array().map(Vec::len), Some(1));
    let dry = ran(&folder, &["--output", "json", "--dry-run"]).finished();
    assert!(dry["intervals"].as_array().is_none_or(Vec::is_empty), "{dry}");
    ran(&folder, &["--dry-run"]).exits(0).hides("all");
}

/// A playbook of literal targets: `token` may go to a.test and `gh`, `other` to b.test.
fn literal(rest: &str) -> Folder {
    let head = r#"runbook: 1
name: test
permissions:
  net: ["https://a.test/**", "https://b.test/**", "http://b.test/**", "CONNECT http://p.test"]
  run: [gh, cat, bash, /bin/cat]
  env: ["*"]
inputs:
  token: {type: secret, env: TOKEN, to: [a.test, "run:gh"]}
  other: {type: secret, env: OTHER, default: null, to: [b.test]}
  flag: {type: boolean}
  mode: {type: string, one_of: [x, y]}
"#;
    Folder::with(&format!("{head}{rest}"))
}

#[test]
fn check_follows_a_secret_to_literal_places() {
    let b = "http: {method: POST, url: \"https://b.test/\", ";
    let cases = [
        // What is made of it is followed through templates, filters, queries, `set`, `vars` and loops.
        format!("steps:\n  - id: a\n    {b}json: {{v: [{{w: \"{{{{ token | upper | b64encode }}}}\"}}]}}}}\n"),
        format!("steps:\n  - set: {{x: \"{{{{ token | b64encode }}}}\"}}\n  - id: a\n    {b}json: \"{{{{ x | b64decode }}}}\"}}\n"),
        format!("steps:\n  - set: {{x: {{jq: '$token | explode'}}}}\n  - id: a\n    {b}json: {{v: \"{{{{ x }}}}\"}}}}\n"),
        format!("steps:\n  - set: {{x: {{jq: '[.token] | tojson'}}}}\n  - id: a\n    {b}text: \"{{{{ x }}}}\"}}\n"),
        format!("steps:\n  - set: {{x: [a, \"{{{{ token }}}}\"]}}\n  - id: a\n    {b}form: {{v: \"{{{{ x[1] }}}}\"}}}}\n"),
        format!("vars: {{x: \"a{{{{ token }}}}\", y: {{jq: '$x | ascii_upcase'}}}}\nsteps:\n  - id: a\n    {b}multipart: {{v: \"{{{{ y }}}}\"}}}}\n"),
        format!("steps:\n  - id: a\n    for_each: [a, \"{{{{ token }}}}\"]\n    {b}json: {{v: \"{{{{ item }}}}\"}}}}\n"),
        format!("steps:\n  - for_each: [\"{{{{ token }}}}\"]\n    set: {{x: \"{{{{ item }}}}\"}}\n  - id: a\n    {b}json: \"{{{{ x }}}}\"}}\n"),
        format!("steps:\n  - id: a\n    for_each: {{jq: '$token | split(\"\")'}}\n    as: c\n    {b}headers: {{a: \"{{{{ c }}}}\"}}}}\n"),
        format!("steps:\n  - assert: [flag]\n    capture: {{x: '$token'}}\n  - id: a\n    {b}auth: {{bearer: \"{{{{ x }}}}\"}}}}\n"),
        format!("steps:\n  - id: a\n    {b}auth: {{basic: {{user: \"{{{{ mode }}}}-{{{{ token }}}}\", password: x}}}}}}\n"),
        format!("steps:\n  - id: a\n    group:\n      - when: flag\n        {b}text: \"{{% if token %}}{{{{ token }}}}{{% endif %}}\"}}\n"),
        "defaults: {http: {headers: {x-a: \"{{ token }}\"}}}\nsteps:\n  - id: a\n    http: {url: \"https://b.test/\"}\n".into(),
        "defaults: {exec: {env: {A: \"{{ token }}\"}}}\nsteps:\n  - id: a\n    exec: [cat]\n".into(),
        "steps:\n  - id: a\n    exec: {argv: [cat], files: {x: \"{{ token }}\"}}\n".into(),
        "steps:\n  - id: a\n    exec: {argv: [/bin/cat], stdin: \"{{ token }}\"}\n".into(),
        "steps:\n  - id: a\n    shell: {script: 'echo \"$A\"', env: {A: \"{{ token }}\"}}\n".into(),
        "steps:\n  - id: a\n    http: {url: \"http://b.test/\", proxy: \"http://p.test\", headers: {a: \"{{ other }}\"}}\n".into(),
        "steps:\n  - id: a\n    http: {url: \"https://a.test/\", headers: {a: \"{{ token or other }}\"}}\n  - id: b\n    http: {url: \"https://a.test/\", headers: {a: \"{{ other }}\"}}\n".into(),
    ];
    for rest in cases {
        let ran = literal(&rest).check();
        assert_eq!(ran.code, 2, "{rest}: {}", ran.shown());
        let shown = ran.shown();
        assert!(shown.contains("error[secret-flow]") && shown.contains("comes from here"), "{rest}: {shown}");
        assert_eq!(shown.matches("error[").count(), 1, "{rest}: {shown}");
    }
}

#[test]
fn check_tells_what_is_no_place_for_a_secret() {
    for (code, rest) in [
        (
            "secret-in-url",
            "steps:\n  - set: {x: \"{{ token | lower }}\"}\n  - id: a\n    http: {url: \"https://a.test/{{ x }}\"}\n",
        ),
        (
            "secret-in-url",
            "steps:\n  - id: a\n    http: {url: \"https://a.test/\", query: {a: [x, \"{{ token | sha256 }}\"]}}\n",
        ),
        ("secret-in-argv", "steps:\n  - set: {x: \"{{ token }}\"}\n  - id: a\n    exec: [gh, \"--token={{ x }}\"]\n"),
        ("secret-in-outputs", "steps:\n  - set: {x: \"{{ token | lower }}\"}\noutputs: {a: \"{{ x }}\"}\n"),
        ("secret-in-outputs", "steps:\n  - {id: a, wait: 1s}\noutputs: {a: {jq: '$token | explode'}}\n"),
        ("secret-in-public", "lock: \"{{ token }}\"\nsteps:\n  - {id: a, wait: 1s}\n"),
        ("secret-in-public", "steps:\n  - id: a\n    confirm: {message: m, phrase: \"{{ token }}\"}\n"),
        ("secret-in-public", "steps:\n  - id: a\n    wait: \"{{ token }}\"\n"),
        ("secret-in-public", "steps:\n  - id: a\n    exec: {argv: [gh], cwd: \"/tmp/{{ token }}\"}\n"),
        (
            "secret-in-public",
            "steps:\n  - id: a\n    http: {url: \"https://a.test/\", proxy: \"http://x:{{ token }}@p.test\"}\n",
        ),
        (
            "secret-in-public",
            "steps:\n  - id: a\n    http: {method: PUT, url: \"https://a.test/\", file: \"{{ token }}\"}\n",
        ),
        ("secret-in-public", "steps:\n  - id: a\n    http: {url: \"https://a.test/\", tls: {ca: \"{{ token }}\"}}\n"),
    ] {
        let ran = literal(rest).check().exits(2).shows(&format!("error[{code}]"));
        assert!(ran.shown().contains("token: {type: secret"), "{rest}: the secret's place is missing: {}", ran.shown());
    }
}

#[test]
fn check_refuses_nothing_that_may_be_right() {
    let folder = literal(
        r#"steps:
  - id: ask
    manual: {instructions: "Not {{ token }}", ask: {pasted: {type: secret}}}
    capture: {pasted: .answers.pasted}
  - id: told
    name: "Of {{ token }}"
    when: token != "" and flag
    confirm: {message: "{{ token }} is {{ token | length }} long"}
  - id: facts
    http:
      method: POST
      url: "https://b.test/{{ token | length }}"
      query: {has: "{{ token is defined }}", n: "{{ token | length }}"}
      json: {same: "{{ token == other }}", kind: "{{ 'a' if token else 'b' }}", n: "{{ token | length }}"}
  - id: perhaps
    http: {method: POST, url: "https://b.test/", json: {v: "{{ token if flag else 'none' }}"}}
  - id: either
    set: {x: "{% if mode == 'x' %}{{ token }}{% else %}{{ other }}{% endif %}"}
  - id: chosen
    http: {url: "https://b.test/", headers: {a: "{{ x }}"}}
  - id: some
    for_each: [{to: a, v: "{{ token }}"}, {to: b, v: "plain"}]
    when: item.to == "b"
    http: {url: "https://b.test/", headers: {a: "{{ item.v }}"}}
  - id: json
    set: {part: {jq: '$token | fromjson | .id'}}
  - id: uses-part
    http: {url: "https://b.test/", headers: {a: "{{ part }}"}}
  - id: is-right
    http: {url: "https://a.test/", auth: {bearer: "{{ token }}"}, expect: []}
    expect: [{jq: .token, equals: "{{ token }}", message: "not {{ token }}"}]
  - id: gh
    exec: {argv: [gh], stdin: "{{ token | json }}", env: {A: "{{ token }}"}}
outputs: {n: "{{ token | length }}", same: {jq: '$token == $other'}}
"#
        .replace(", expect: []", "")
        .as_str(),
    );
    let ran = folder.check();
    assert!(!ran.shown().contains("error["), "{}", ran.shown());
}

#[test]
fn check_follows_a_secret_into_modules() {
    let folder = literal("steps:\n  - id: give\n    use: outer.yaml\n    with: {given: \"{{ token | b64encode }}\"}\n");
    folder.file(
        "outer.yaml",
        r#"runbook: 1
name: outer
permissions: {net: ["https://b.test/**"], run: [cat]}
inputs: {given: {type: secret}}
steps:
  - id: on
    use: inner.yaml
    with: {key: "Bearer {{ given }}"}
  - id: cat
    exec: {argv: [cat], stdin: "{{ given }}"}
"#,
    );
    folder.file(
        "inner.yaml",
        r#"runbook: 1
name: inner
permissions: {net: ["https://b.test/**"]}
inputs: {key: {type: secret}}
steps:
  - id: send
    http: {url: "https://b.test/", headers: {authorization: "{{ key }}"}}
"#,
    );
    let ran = folder.check().exits(2);
    let shown = ran.shown();
    for part in [
        "the secret `token` would go to `b.test`, where it may not",
        "the secret `token` would go to `run:cat`, where it may not",
        "it goes through test → outer → inner",
        "it goes through test → outer",
        "goes to `b.test`",
        "comes from here",
        "inner.yaml:7",
        "is given to `outer`",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert_eq!(shown.matches("error[").count(), 2, "{shown}");
    // Where it may go there, nothing is told.
    let text = folder.read("test.yaml").replace("[a.test, \"run:gh\"]", "[b.test, \"run:cat\"]");
    folder.file("test.yaml", &text);
    assert!(!folder.check().shown().contains("error["), "{}", folder.check().shown());
}

#[test]
fn a_query_that_never_ends_is_not_waited_for() {
    let endless =
        (0..40).map(|n| format!("  - set: {{x{n}: {{jq: '$token | until(false; .)'}}}}\n")).collect::<String>();
    let begun = std::time::Instant::now();
    literal(&format!("steps:\n{endless}")).check();
    // Each alone would take two seconds for every sample.
    assert!(begun.elapsed() < std::time::Duration::from_secs(60), "{:?}", begun.elapsed());
}
