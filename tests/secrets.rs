//! Secrets through the front door: whatever is done with one, nothing that is shown holds it, in any form, and it goes
//! nowhere but where it may.

mod support;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;
use support::{Answer, Folder, Ran, Server};

/// Has everything in it that languages and encodings treat specially, and can stand in a header.
const SECRET: &str = r#"pa55+W0rd/x="y'z&w q%\k"#;
const OTHER: &str = "the-0ther-secret-value";

/// What must not be seen of a secret: itself, and what it is turned into.
fn guises(secret: &str) -> Vec<String> {
    let json = serde_json::Value::from(secret).to_string();
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let percent: String = secret
        .bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect();
    let mut guises = vec![
        secret.to_string(),
        json[1..json.len() - 1].to_string(),
        percent.to_ascii_lowercase(),
        percent,
        url::form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
        hex.to_ascii_uppercase(),
        hex,
        secret.replace('\'', "'\\''"),
    ];
    for offset in 0..3 {
        let shifted = [&vec![b'x'; offset][..], secret.as_bytes()].concat();
        for encoded in [STANDARD.encode(&shifted), URL_SAFE_NO_PAD.encode(&shifted)] {
            // Without the characters that also depend on what stands beside it.
            let inner = encoded.trim_end_matches('=');
            guises.push(inner[4..inner.len() - 2].to_string());
        }
    }
    // Any eight characters of it tell too much.
    let chars: Vec<char> = secret.chars().collect();
    guises.extend(chars.windows(8).map(|window| window.iter().collect::<String>()));
    guises
}

#[track_caller]
fn hides_all(ran: Ran, secret: &str) -> Ran {
    let shown = ran.shown();
    for guise in guises(secret) {
        assert!(!shown.contains(&guise), "shows {guise:?} of {secret:?}:\n{shown}");
    }
    ran
}

/// Runs it in each way of telling; none of them shows a secret. Gives the last, which is JSON.
#[track_caller]
fn runs(folder: &Folder, code: i32) -> Ran {
    for arguments in [&["--output", "human"][..], &["--output", "plain", "-vvv"]] {
        shown(folder, arguments).exits(code);
    }
    shown(folder, &["--output", "json"]).exits(code)
}

#[track_caller]
fn shown(folder: &Folder, arguments: &[&str]) -> Ran {
    let ran =
        folder.program().args(["run", "test.yaml"]).args(arguments).env("TOKEN", SECRET).env("OTHER", OTHER).ran();
    hides_all(hides_all(ran, SECRET), OTHER)
}

/// With the secret inputs `token` and `other`, and leave to talk to the server and to run a few programs.
fn playbook(server: &Server, rest: &str) -> Folder {
    Folder::with(&text(server, "", rest))
}

fn text(server: &Server, to: &str, rest: &str) -> String {
    format!(
        r#"runbook: 1
name: test
permissions:
  net: ["http://{0}/**"]
  run: [echo, cat, bash, printf, env, "false"]
  env: ["*"]
inputs:
  token: {{type: secret, env: TOKEN{to}}}
  other: {{type: secret, env: OTHER, default: null}}
vars:
  api: http://{0}
{rest}"#,
        server.address()
    )
}

/// Says everything back that it was told.
fn echoing() -> Server {
    Server::start(|request, _| {
        Answer::json(
            200,
            json!({"method": request.method, "path": request.path, "headers": request.headers, "body": request.body, "json": request.json()}),
        )
    })
}

/// Gives a secret out, and others around it.
fn giving() -> Server {
    Server::start(|request, _| match request.path.as_str() {
        "/empty" => Answer::json(200, json!({"result": ""})),
        "/null" => Answer::json(200, json!({"result": null})),
        "/none" => Answer::json(200, json!({"success": true})),
        "/short" => Answer::json(200, json!({"result": "abc"})),
        "/spaced" => Answer::json(200, json!({"result": format!("{SECRET}\n")})),
        "/number" => Answer::json(200, json!({"result": 123456789})),
        "/deep" => Answer::json(200, json!({"a": [{"value": SECRET, "n": 1}, {"value": OTHER, "n": 2}]})),
        "/elsewhere" => Answer::json(200, json!({"result": {"value": SECRET}})),
        "/text" => Answer::text(200, &format!("token={SECRET}\nid=7\n")),
        "/key" => {
            let mut map = serde_json::Map::new();
            map.insert(SECRET.into(), json!({"n": 1}));
            Answer::json(200, json!({"by_token": map}))
        }
        _ => Answer::json(200, json!({"result": SECRET, "id": "abc-1", "echo": format!("it is {SECRET}!")})),
    })
}

#[test]
fn a_secret_input_is_used_and_never_shown() {
    let server = echoing();
    let folder = playbook(
        &server,
        r#"
steps:
  - id: send
    name: "Send {{ token }} to {{ api }}"
    effect: idempotent
    http:
      method: POST
      url: "{{ api }}/x"
      auth: {bearer: "{{ token }}"}
      headers: {x-key: "k {{ token }}", x-b: "{{ token | b64encode }}"}
      json: {a: "{{ token }}", b: ["<{{ token }}>"], c: {d: "{{ token | sha256 }}"}}
    expect:
      - {jq: .json.a == $token, message: "{{ token }}"}
    capture:
      said: .
      whole: .headers.authorization
      mine: {jq: '.json.b[0]'}
      part: {regex: 'Bearer (\S{4})', from: body}
  - id: skipped
    name: "Nothing of {{ said.json.a }}"
    when: token == "no"
    exec: [echo, x]
  - id: derive
    set:
      upper: "{{ token | upper }}"
      cut: "{{ token[2:14] }}"
      jq: {jq: '$token | explode | map(. + 0) | implode'}
      list: ["{{ token }}", "public"]
      text: "{% if token %}{{ token }}{% endif %}"
  - id: loop
    for_each: "{{ list }}"
    as: one
    name: "Item {{ one }} {{ upper }}"
    set: {again: "{{ one }}-{{ cut }}"}
  - id: child
    exec:
      argv: [bash, -c, 'printf %s "$T" | base64 -w0; printf "\n%s" "$T" | cut -c-6; printf %s "$T" >&2']
      env: {T: "{{ token }}"}
    capture: {said_out: {from: stdout}, said_err: {from: stderr}}
  - id: fails
    http: {url: "{{ api }}/y", auth: {bearer: "{{ token }}"}}
    expect:
      - {jq: .headers.authorization, equals: "Bearer {{ other }}"}
      - {jq: .headers.authorization, matches: "^{{ other }}$"}
      - {body: true, contains: "{{ upper }}"}
      - {jq: .headers.authorization, message: "said {{ out }}", not: true}
      - {jq: '$token | ascii_upcase | error'}
      - {jq: '{($token): 1} | keys[0]', equals: no}
      - {jq: '$token | tonumber'}
      - {jsonpath: "$.headers", count: 99}
      - {schema: shape.json}
on_failure:
  - id: tell
    http: {method: POST, url: "{{ api }}/tell", json: {why: "{{ run.failure }}"}}
finally:
  - id: after
    exec: [echo, "{{ run.failure }}"]
"#,
    );
    folder.file("shape.json", r#"{"properties": {"headers": {"properties": {"authorization": {"type": "integer"}}}}}"#);
    let ran = runs(&folder, 1);
    let told = server.requests().into_iter().find(|request| request.path == "/tell").unwrap();
    assert!(!guises(SECRET).iter().any(|guise| told.body.contains(guise)), "{}", told.body);
    let events = ran.events();
    let of = |step: &str| events.iter().rfind(|event| event["step"] == step && event["captures"].is_object()).unwrap();
    assert_eq!(of("send")["captures"]["whole"], "***");
    assert_eq!(of("send")["captures"]["part"], "***");
    assert_eq!(
        of("derive")["captures"],
        json!({"upper": "***", "cut": "***", "jq": "***", "list": ["***", "public"], "text": "***"})
    );
    assert_eq!(of("child")["captures"], json!({"said_out": "***", "said_err": "***"}));
}

#[test]
fn a_captured_secret_hides_the_whole_output_it_came_from() {
    let server = giving();
    let folder = playbook(
        &server,
        r#"
steps:
  - id: roll
    http: {url: "{{ api }}/roll"}
    capture:
      fresh: {jq: .result, secret: true}
      same: .result
      all: .
      id: .id
  - id: again
    name: "{{ same }} {{ all.echo }} {{ id }}"
    http: {url: "{{ api }}/other"}
  - id: misses
    http: {url: "{{ api }}/elsewhere"}
    capture: {lost: {jq: .result, secret: {to: [nowhere.example]}, default: null}}
    expect:
      - {jq: .result.value, equals: no, message: "got {{ out.body }} / {{ out.json.result.value }}"}
      - {jq: .result.value | ascii_downcase | error}
      - {body: true, equals: "{{ out.json.result }}"}
      - {jsonpath: $.result.value, matches: ^xyz}
      - {schema: shape.json}
"#,
    );
    folder.file("shape.json", r#"{"properties": {"result": {"type": "string"}}}"#);
    shown(&folder, &[]).shows("may hold a secret");
    let ran = runs(&folder, 1).shows("a string of 23 characters");
    let events = ran.events();
    let roll = events.iter().find(|event| event["step"] == "roll" && event["captures"].is_object()).unwrap();
    assert_eq!(
        roll["captures"],
        json!({"fresh": "***", "same": "***", "all": {"result": "***", "id": "abc-1", "echo": "***"}, "id": "abc-1"})
    );
    let titles: Vec<_> = events.iter().filter_map(|event| event["title"].as_str()).collect();
    assert!(titles.contains(&"*** *** abc-1"), "{titles:?}");
}

#[test]
fn where_no_secret_was_found_its_answer_is_not_shown_either() {
    let server = giving();
    for (path, code) in
        [("/elsewhere", 0), ("/number", 1), ("/empty", 1), ("/null", 1), ("/none", 1), ("/short", 1), ("/spaced", 1)]
    {
        let folder = playbook(
            &server,
            &format!(
                "steps:\n  - id: roll\n    http: {{url: \"{{{{ api }}}}{path}\"}}\n    capture: {{fresh: {{jq: .result, secret: true}}}}\n  - id: never\n    http: {{url: \"{{{{ api }}}}/after\"}}\n"
            ),
        );
        let ran = runs(&folder, code);
        let ran = if code == 1 { ran.shows("capture `fresh`") } else { ran };
        assert!(!ran.stdout.contains("123456789") && !ran.stdout.contains("\"abc\""), "{}", ran.stdout);
    }
    assert_eq!(server.requests().iter().filter(|request| request.path == "/after").count(), 3);
}

#[test]
fn white_space_may_be_trimmed_from_a_capture() {
    let server = giving();
    let folder = playbook(
        &server,
        r#"
steps:
  - id: roll
    http: {url: "{{ api }}/spaced"}
    capture: {fresh: {jq: .result, secret: true, trim: true}}
  - id: compare
    assert: [fresh == token]
"#,
    );
    runs(&folder, 0);
}

#[test]
fn an_absent_secret_is_null_and_never_the_text_null() {
    let server = giving();
    let folder = playbook(
        &server,
        r#"
steps:
  - id: roll
    http: {url: "{{ api }}/null"}
    capture: {fresh: {jq: .result, secret: true, default: null}}
  - id: not-there
    assert: [{jq: $fresh == null}, not other]
  - id: left-out
    http: {url: "{{ api }}/x", headers: {x-fresh: "{{ fresh }}", x-other: "{{ other }}"}}
  - id: no-text
    http: {url: "{{ api }}/y", auth: {bearer: "{{ fresh }}"}}
"#,
    );
    let ran = folder.program().args(["run", "test.yaml"]).env("TOKEN", SECRET).ran();
    hides_all(ran, SECRET).exits(1).shows("null, which has no text");
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert!(!requests[1].headers.contains_key("x-fresh") && !requests[1].headers.contains_key("x-other"));
}

#[test]
fn what_a_server_says_back_is_known_in_every_form() {
    let said: Vec<String> = vec![
        SECRET.into(),
        STANDARD.encode(SECRET),
        STANDARD.encode(format!("a{SECRET}")),
        STANDARD.encode(format!("ab{SECRET}")),
        URL_SAFE_NO_PAD.encode(SECRET),
        SECRET.bytes().map(|byte| format!("{byte:02x}")).collect(),
        url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect(),
        format!("'{}'", SECRET.replace('\'', "'\\''")),
        json!(SECRET).to_string(),
        json!({"a": json!(SECRET).to_string()}).to_string(),
    ];
    let count = said.len();
    let server = Server::start(move |request, _| {
        let index: usize = request.path.trim_start_matches('/').parse().unwrap_or(0);
        let mut map = serde_json::Map::new();
        map.insert(said[index].clone(), json!(index));
        Answer::json(200, json!({"said": said[index], "map": map}))
    });
    let steps: String = (0..count)
        .map(|index| {
            format!(
                "  - id: ask-{index}\n    http: {{url: \"{{{{ api }}}}/{index}\"}}\n    capture: {{said_{index}: .said, key_{index}: \".map | keys[0]\"}}\n  - id: url-{index}\n    continue_on_failure: true\n    http: {{url: \"{{{{ api }}}}/0\", query: {{q: \"{{{{ said_{index} }}}}\"}}}}\n  - id: key-{index}\n    continue_on_failure: true\n    exec: [echo, \"{{{{ key_{index} }}}}\"]\n"
            )
        })
        .collect();
    let ran = runs(&playbook(&server, &format!("steps:\n{steps}")), 0);
    let finished = ran.finished();
    let captured = |index: usize| {
        ran.events().into_iter().find(|event| event["step"] == format!("ask-{index}") && event["captures"].is_object())
    };
    for index in 0..count {
        assert_eq!(
            captured(index).unwrap()["captures"],
            json!({format!("said_{index}"): "***", format!("key_{index}"): "***"})
        );
    }
    assert_eq!(finished["failed"], 2 * count, "{finished}");
    assert!(server.requests().iter().all(|request| !request.path.contains('?')));
}

#[test]
fn what_a_child_prints_is_hidden_however_it_is_written() {
    let server = echoing();
    let folder = playbook(
        &server,
        r#"
steps:
  - id: prints
    exec:
      argv:
        - bash
        - -c
        - |
          printf '%s\n' "$T"; printf '%q\n' "$T"; printf %s "$T" | base64 -w0; echo
          printf 'x%s' "$T" | base64 -w0; echo; printf 'xy%s' "$T" | base64 -w0 | tr +/ -_; echo
          printf %s "$T" | od -An -v -tx1 | tr -d ' \n'; echo
          for i in {0..40}; do printf %s "${T:i:1}"; done; echo
          printf '%s' "${T:0:9}"; printf '%s\n' "${T:9}" >&2; printf '%s' "$T" >&2
          exit 3
      env: {T: "{{ token }}"}
"#,
    );
    // Half of it on each stream is two texts; nothing can know that.
    folder.file(
        "test.yaml",
        &folder.read("test.yaml").replace(r#"printf '%s' "${T:0:9}"; printf '%s\n' "${T:9}" >&2; "#, ""),
    );
    runs(&folder, 1);
}

/// Each must be refused at run time, before anything is sent.
#[test]
fn what_is_only_known_at_run_time_is_refused_before_it_is_sent() {
    let server = giving();
    let place = server.address();
    let cases = [
        ("url", r#"http: {url: "{{ api }}/{{ up }}"}"#),
        ("query", r#"http: {url: "{{ api }}/", query: {a: "{{ up }}"}}"#),
        ("a list in the query", r#"http: {url: "{{ api }}/", query: {a: "{{ [up] }}"}}"#),
        ("argv", r#"exec: [echo, "{{ up }}"]"#),
        ("argv, half", r#"exec: [echo, "x={{ up | b64encode }}"]"#),
        ("the program", r#"exec: ["{{ up }}"]"#),
        ("host", r#"http: {url: "{{ api }}/", headers: {x-a: "{{ lim }}"}}"#),
        ("host, derived", r#"http: {method: POST, url: "{{ api }}/", json: {a: ["{{ lim | upper }}"]}}"#),
        ("host, basic", r#"http: {url: "{{ api }}/", auth: {basic: {user: a, password: "{{ lim[0:4] }}"}}}"#),
        ("host, form", r#"http: {method: POST, url: "{{ api }}/", form: {a: "{{ lim }}"}}"#),
        ("host, part", r#"http: {method: POST, url: "{{ api }}/", multipart: {a: "{{ lim }}"}}"#),
        ("host, key", r#"http: {method: POST, url: "{{ api }}/", json: {a: "{{ keyed }}"}}"#),
        ("program", r#"exec: {argv: [cat], stdin: "{{ lim }}"}"#),
        ("program, env", r#"exec: {argv: [env], env: {A: "{{ lim }}"}}"#),
        ("program, file", r#"exec: {argv: [cat, "{{ files.a }}"], files: {a: "{{ lim }}"}}"#),
        ("program, script", r#"shell: {script: 'echo "$A"', env: {A: "{{ lim }}"}}"#),
        ("proxy", r#"http: {url: "{{ api }}/", proxy: "http://{{ up }}@127.0.0.1:1"}"#),
        ("digits", r#"http: {url: "{{ api }}/", query: {a: "{{ codes[0] }}"}}"#),
        ("the key again", r#"http: {url: "{{ api }}/", query: {a: "{{ keyed | keys | first }}"}}"#),
        ("wait", r#"wait: "{{ up }}""#),
        ("cwd", r#"exec: {argv: [cat], cwd: "{{ up }}"}"#),
        ("file", r#"http: {method: PUT, url: "{{ api }}/", file: "{{ up }}"}"#),
    ];
    for (what, action) in cases {
        let folder = playbook(
            &server,
            &format!(
                r#"
steps:
  - id: give
    http: {{url: "{{{{ api }}}}/deep"}}
    capture:
      made: {{jq: '.a[1].value', secret: true}}
      limited: {{jq: '.a[0].value', secret: {{to: [api.example.com, "run:gh", "{place}1"]}}}}
      n: .a[0].n
  - id: key
    set:
      keyed: {{jq: 'if $n == 1 then {{($limited): 1}} else {{}} end'}}
      up: "{{% if n == 1 %}}{{{{ made | lower }}}}x{{% endif %}}"
      lim: "{{% if n == 1 %}}y{{{{ limited }}}}{{% endif %}}"
      codes: {{jq: 'if $n == 1 then $made | explode else [] end'}}
  - id: bad
    {action}
    effect: idempotent
"#
            )
            .replace(
                "    effect: idempotent\n",
                if action.starts_with("wait") { "" } else { "    effect: idempotent\n" },
            ),
        );
        let before = server.requests().len();
        let ran = shown(&folder, &["--output", "json"]);
        assert_eq!(ran.code, 5, "{what}:\n{}", ran.shown());
        assert_eq!(server.requests().len(), before + 1, "{what}: something was sent");
    }
}

#[test]
fn what_is_known_beforehand_is_told_with_both_places() {
    let server = echoing();
    let to = ", to: [api.example.com, \"run:cat\"]";
    let cases = [
        ("secret-in-url", r#"http: {url: "{{ api }}/{{ token }}"}"#),
        ("secret-in-url", r#"http: {url: "{{ api }}/", query: {a: "x{{ token }}"}}"#),
        ("secret-in-argv", r#"exec: [cat, "{{ token }}"]"#),
        ("secret-flow", r#"http: {url: "{{ api }}/", headers: {a: "{{ token }}"}}"#),
        ("secret-flow", r#"http: {url: "{{ api }}/", auth: {bearer: "{{ token }}"}}"#),
        ("secret-flow", r#"http: {method: POST, url: "{{ api }}/", json: {a: [{b: "{{ token }}"}]}}"#),
        ("secret-flow", r#"exec: {argv: [env], env: {A: "{{ token }}"}}"#),
        ("secret-flow", r#"exec: {argv: [bash], stdin: "{{ token }}"}"#),
        ("secret-flow", r#"shell: {script: 'echo "$A"', env: {A: "{{ token }}"}}"#),
        ("secret-flow", r#"exec: {argv: [echo, "{{ token }}"], allow_secret_argv: it takes no other way}"#),
    ];
    for (code, action) in cases {
        let folder = Folder::with(&text(&server, to, &format!("steps:\n  - id: bad\n    {action}\n")));
        let ran = shown(&folder, &[]).exits(2).shows(&format!("error[{code}]"));
        assert!(ran.stderr.contains("token: {type: secret"), "the secret's place is missing\n{}", ran.stderr);
    }
    let folder =
        Folder::with(&text(&server, "", "steps:\n  - set: {a: \"{{ token }}\"}\noutputs: {a: \"{{ token }}\"}\n"));
    shown(&folder, &[]).exits(2).shows("error[secret-in-outputs]");
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn outputs_hold_no_secret() {
    let server = giving();
    for output in
        ["{{ up }}", "{{ [up] }}", "{{ o }}", "{{ codes }}", "{{ cut }}", "{{ id }}-{{ steps.roll.output.body }}"]
    {
        let folder = playbook(
            &server,
            &format!(
                r#"
steps:
  - id: roll
    http: {{url: "{{{{ api }}}}/roll"}}
    capture: {{fresh: {{jq: .result, secret: true}}, id: .id}}
  - id: make
    set: {{o: {{jq: '{{($token): 1}}'}}, codes: {{jq: '$token | explode'}}, up: "{{{{ token | upper }}}}", cut: "{{{{ fresh[0:3] }}}}"}}
outputs: {{a: "{output}"}}
"#
            ),
        );
        let ran = shown(&folder, &["--output", "json"]);
        assert!(
            ran.code == 5 && ran.stdout.contains("would hold a secret")
                || ran.code == 2 && ran.stderr.contains("error[secret-in-outputs]"),
            "{output}: {}",
            ran.shown()
        );
    }
}

#[test]
fn modules_are_given_secrets_and_give_none_back() {
    let server = echoing();
    let folder = playbook(
        &server,
        r#"
steps:
  - id: module
    use: module.yaml
    with: {key: "{{ token }}", list: ["{{ token }}", plain]}
    capture: {given: .shown}
  - id: bad
    use: leaky.yaml
    with: {key: "{{ token }}"}
"#,
    );
    let head = format!("runbook: 1\nname: NAME\npermissions:\n  net: [\"http://{0}/**\"]\n", server.address());
    folder.file(
        "module.yaml",
        &(head.replace("NAME", "module")
            + &format!(
                r#"
inputs:
  key: {{type: secret}}
  list: {{type: list}}
steps:
  - id: send
    name: "{{{{ list[0] }}}}"
    http: {{url: "http://{0}/m", auth: {{bearer: "{{{{ key }}}}"}}, headers: {{x-l: "{{{{ list[0] }}}}"}}}}
outputs: {{shown: "{{{{ list[1] }}}}"}}
"#,
                server.address()
            )),
    );
    folder.file(
        "leaky.yaml",
        "runbook: 1\nname: leaky\ninputs:\n  key: {type: secret}\n  go: {type: boolean, default: true}\nsteps:\n  - set: {x: \"{% if go %}{{ key | lower }}{% endif %}\"}\noutputs: {leak: \"{{ x }}\"}\n",
    );
    let ran = runs(&folder, 5).shows("would hold a secret");
    let module = ran.events().into_iter().find(|event| event["step"] == "module/send" && event["outcome"] == "passed");
    assert_eq!(module.unwrap()["title"], "***");
    assert_eq!(server.requests()[0].headers["authorization"], format!("Bearer {SECRET}"));
}

#[test]
fn a_module_may_narrow_where_a_secret_goes() {
    let server = echoing();
    let folder = playbook(
        &server,
        r#"
steps:
  - id: module
    use: module.yaml
    with: {key: "{{ token }}", where: "{{ api }}"}
"#,
    );
    folder.file(
        "module.yaml",
        &format!(
            "runbook: 1\nname: module\npermissions:\n  net: [\"http://{}/**\"]\ninputs:\n  key: {{type: secret, to: [api.example.com]}}\n  where: {{type: string}}\nsteps:\n  - id: send\n    http: {{url: \"{{{{ where }}}}/m\", auth: {{bearer: \"{{{{ key }}}}\"}}}}\n",
            server.address()
        ),
    );
    runs(&folder, 5).shows("the secret `key`").shows("may not go to");
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn a_redirect_takes_no_secret_elsewhere() {
    let other = echoing();
    let target = other.url("/there");
    let server = Server::start(move |request, _| match request.path.as_str() {
        "/307" => Answer::text(307, "").header("location", &target),
        _ => Answer::text(302, "").header("location", &target),
    });
    let folder = Folder::with(
        &text(
            &server,
            "",
            r#"
steps:
  - id: get
    http: {url: "{{ api }}/302", auth: {bearer: "{{ token }}"}, headers: {x-key: "{{ token }}", cookie: "a={{ token }}", x-plain: yes}}
  - id: post
    continue_on_failure: true
    http: {method: POST, url: "{{ api }}/307", json: {a: "{{ token }}"}, redirects: 3}
    on_unknown: fail
"#,
        )
        .replace("net: [", &format!("net: [\"http://{}/**\", ", other.address())),
    );
    shown(&folder, &[]).exits(0);
    let requests = other.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].headers["x-plain"], "yes");
    assert!(!requests[0].headers.values().any(|value| value.contains("pa55")), "{requests:?}");
}

#[test]
fn a_proxy_that_sees_all_must_be_where_the_secret_may_go() {
    let proxy = echoing();
    let folder = Folder::with(&format!(
        r#"
runbook: 1
name: test
permissions:
  net: ["http://api.example.com/**", "CONNECT http://{0}"]
inputs:
  token: {{type: secret, env: TOKEN, to: [api.example.com]}}
  via: {{type: string, default: "http://{0}"}}
steps:
  - id: public
    http: {{url: "http://api.example.com/public", proxy: "http://{0}"}}
  - id: through
    http: {{url: "http://api.example.com/x", proxy: "{{{{ via }}}}", auth: {{bearer: "{{{{ token }}}}"}}}}
"#,
        proxy.address()
    ));
    shown(&folder, &[]).exits(5).shows("a proxy that sees what is sent without TLS");
    assert_eq!(proxy.requests().len(), 1);
}

#[test]
fn a_reason_lets_a_secret_be_an_argument() {
    let server = echoing();
    let folder = playbook(
        &server,
        r#"
steps:
  - id: argv
    exec: {argv: [bash, -c, '[ "$1" = "$T" ]', _, "{{ token }}"], env: {T: "{{ token }}"}, allow_secret_argv: this program reads nothing else}
  - id: fails
    exec: {argv: [bash, -c, 'echo "$0" >&2; exit 1', "{{ token }}"], allow_secret_argv: as above}
"#,
    );
    runs(&folder, 1);
    shown(&folder, &["--dry-run"]).exits(0).shows("would run");
}

#[test]
fn no_log_shows_nothing_of_a_step() {
    let server = Server::start(|_, _| Answer::json(500, json!({"private": "birthday-of-ann", "n": 31415926})));
    let folder = playbook(
        &server,
        r#"
steps:
  - id: quiet
    no_log: true
    http: {url: "{{ api }}/for/ann-maria"}
    expect:
      - {jq: .private, equals: no, message: "it said {{ out.body }}"}
      - status == 200
    capture: {private: .private}
    retry: {attempts: 2, delay: 1ms}
    continue_on_failure: true
  - id: kept
    no_log: true
    http: {url: "{{ api }}/for/ann-maria"}
    expect: [status == 500]
    capture: {unshown: .private}
  - id: reads
    http: {url: "{{ api }}/", query: {q: "{{ steps.kept.output.json.private }}"}}
"#,
    );
    for arguments in [&[][..], &["--output", "json"], &["--output", "plain", "-v"], &["--dry-run"]] {
        let ran = shown(&folder, arguments);
        assert!([5, 1].contains(&ran.code), "{}", ran.shown());
        ran.hides("birthday-of-ann").hides("31415926").hides("ann-maria");
    }
}

#[test]
fn inputs_that_cannot_be_secrets_are_told_all_at_once_without_showing_them() {
    let playbook = r#"
runbook: 1
name: test
permissions: {run: [bash, no-such-program-here], read: [padded.txt]}
inputs:
  empty: {type: secret, env: EMPTY}
  spaced: {type: secret, env: SPACED}
  short: {type: secret, env: SHORT}
  wrong: {type: secret, env: WRONG, pattern: '^ghp_'}
  long: {type: secret, env: LONG, max: 8}
  commanded: {type: secret, command: [bash, -c, 'echo "$LONG"; exit 3']}
  binary: {type: secret, command: [bash, -c, 'printf "\377\376abcdef"']}
  missing: {type: secret, command: [no-such-program-here]}
  filed: {type: secret, file: padded.txt}
  typed: {type: secret}
steps:
  - assert: [empty, spaced, short, wrong, long, commanded, binary, missing, filed, typed]
"#;
    let folder = Folder::with(playbook);
    folder.file("padded.txt", "  padded-secret-1\n");
    folder.file("in.yaml", "typed: 12345678\n");
    let ran = folder
        .program()
        .args(["run", "test.yaml", "--inputs", "in.yaml"])
        .env("EMPTY", "")
        .env("SPACED", " a-secret-with-space")
        .env("SHORT", "abc12")
        .env("WRONG", "wrong-secret-value")
        .env("LONG", "a-longer-secret-value")
        .ran()
        .exits(2);
    for name in ["empty", "spaced", "short", "wrong", "long", "commanded", "binary", "missing", "filed", "typed"] {
        assert!(ran.stderr.contains(&format!("input `{name}`")), "{name} is missing in\n{}", ran.stderr);
    }
    for text in
        ["a-secret-with-space", "abc12", "wrong-secret-value", "a-longer-secret-value", "padded-secret-1", "12345678"]
    {
        assert!(!ran.shown().contains(text), "{text} in\n{}", ran.shown());
    }
    ran.shows("it is empty")
        .shows("white space at its ends")
        .shows("shorter than 6")
        .shows("does not match `^ghp_`")
        .shows("3");
}

#[test]
fn secrets_come_from_command_file_and_inputs_file() {
    let folder = Folder::with(
        r#"
runbook: 1
name: test
permissions: {run: [echo, printf], read: [secret.txt]}
inputs:
  commanded: {type: secret, command: [printf, 'from-the-command\n']}
  filed: {type: secret, file: secret.txt}
  given: {type: secret}
steps:
  - id: same
    assert:
      - commanded == "from-the-command"
      - filed == "from-the-file"
      - given == "from-the-inputs"
  - id: fails
    name: "{{ commanded }} {{ filed }} {{ given }}"
    set: {loud: "{% if filed == 'from-the-file' %}{{ given | upper }}{% endif %}"}
  - id: refused
    exec: [echo, "{{ loud }}"]
"#,
    );
    folder.file("secret.txt", "from-the-file\r\n");
    folder.file("in.yaml", "given: from-the-inputs\n");
    for output in ["human", "json"] {
        folder
            .run(&["--inputs", "in.yaml", "--output", output, "-vvv"])
            .exits(5)
            .hides("from-the-command")
            .hides("from-the-file")
            .hides("from-the-inputs")
            .hides("FROM-THE-INPUTS");
    }
}

#[test]
fn a_secret_is_refused_on_the_command_line_and_masked_all_the_same() {
    let server = echoing();
    let folder = playbook(&server, "steps:\n  - assert: [token]\n");
    let set = format!("token={SECRET}");
    for arguments in [vec!["--set", set.as_str()], vec!["--set", "token:the-0ther-secret-value"]] {
        let ran = folder.program().args(["run", "test.yaml"]).args(arguments).ran().exits(2);
        hides_all(hides_all(ran, SECRET), OTHER);
    }
    let ran = folder.run(&["--set", &set]).shows("environment variable `TOKEN`");
    assert!(ran.stderr.contains("command line"), "{}", ran.stderr);
}

#[test]
fn a_broken_inputs_file_does_not_show_its_values() {
    let server = echoing();
    let folder = playbook(&server, "steps:\n  - assert: [token]\n");
    for broken in [
        "token: @the-0ther-secret-value\n",
        "token: *the-0ther-secret-value\n",
        "token: !the-0ther-secret-value\n",
        "token: {{ the-0ther-secret-value }}\n",
        "token: the-0ther-secret-value: x\n",
        "token: \"the-0ther-secret-value\\q\"\n",
        "the-0ther-secret-value\n",
        "- the-0ther-secret-value\n",
        "token: 'the-0ther-secret-value\n",
        "token: the-0ther-secret-value\ntoken: the-0ther-secret-value\n",
        "token: [the-0ther-secret-value]\n",
        "token: {the-0ther-secret-value: 1}\n",
        "\ttoken: the-0ther-secret-value\n",
        "token: &a the-0ther-secret-value\n",
    ] {
        folder.file("in.yaml", broken);
        let ran = folder.run(&["--inputs", "in.yaml"]).exits(2);
        assert!(ran.stderr.contains("in.yaml") || ran.stderr.contains("input `token`"), "{}", ran.stderr);
        hides_all(ran, OTHER);
    }
}

#[test]
fn a_public_input_from_the_environment_is_shown() {
    let folder = Folder::with(
        "runbook: 1\nname: test\ninputs:\n  region: {type: string, env: REGION}\nsteps:\n  - id: a\n    name: \"In {{ region }}\"\n    set: {x: \"{{ region }}\"}\n",
    );
    folder.program().args(["run", "test.yaml"]).env("REGION", "eu-west-1").ran().exits(0).shows("In eu-west-1");
}

#[test]
fn time_is_no_secret() {
    let server = echoing();
    let folder = playbook(
        &server,
        r#"
steps:
  - set: {stamp: {jq: now | tostring}, day: {jq: 'now | todate | .[0:10]'}, at: {jq: now}}
    id: time
  - id: ask
    http: {url: "{{ api }}/{{ day }}", query: {stamp: "{{ stamp }}", at: "{{ at }}"}}
"#,
    );
    let ran = shown(&folder, &["--output", "json"]).exits(0);
    assert!(ran.stdout.contains("\"stamp\":\"1"), "{}", ran.stdout);
}

/// All that a run left in the state folder.
fn left(folder: &Folder) -> String {
    fn all(path: &std::path::Path, into: &mut String) {
        for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
            match entry.path() {
                path if path.is_dir() => all(&path, into),
                path => into.push_str(&String::from_utf8_lossy(&std::fs::read(path).unwrap())),
            }
        }
    }
    let mut text = String::new();
    all(&folder.path().join("state"), &mut text);
    text
}

#[test]
fn what_remains_of_a_secret_beside_a_known_one_is_hidden_everywhere() {
    let server = Server::start(|_, _| Answer::json(200, json!({"login": "admin-user:NEW-value", "id": 7})));
    let playbook = format!(
        r#"runbook: 1
name: test
permissions: {{net: ["http://{0}/**"], run: [bash], env: ["*"]}}
inputs:
  user: {{type: secret, env: ADMIN}}
steps:
  - id: born
    effect: read
    http: {{url: "http://{0}/"}}
    capture:
      login: {{jq: .login, secret: true}}
  - id: says
    continue_on_failure: true
    exec:
      argv: [bash, -c, 'echo "all $L"; echo "half ${{L#*:}}"; printf %s "$L" | base64; printf %s "${{L#*:}}" | base64; exit 3']
      env: {{L: "{{{{ login }}}}"}}
  - id: known
    exec:
      argv: [bash, -c, 'echo "half ${{L#*:}}"']
      env: {{L: "{{{{ login }}}}", U: "{{{{ user }}}}"}}
    capture: {{half: {{from: stdout}}}}
  - id: fails
    exec:
      argv: [bash, -c, 'echo "half ${{L#*:}}"; exit 3']
      env: {{L: "{{{{ login }}}}"}}
"#,
        server.address()
    );
    for arguments in [&["--output", "human"][..], &["--output", "plain", "-vvv"], &["--output", "json"]] {
        let folder = Folder::with(&playbook);
        let program = folder.program().args(["run", "test.yaml"]).args(arguments).env("ADMIN", "admin-user");
        let state = folder.path().join("state");
        let ran = program.env("RUNBOOK_STATE_DIR", state.to_str().unwrap()).ran();
        let left = left(&folder);
        assert!(left.contains("half") && left.contains("***"), "{left}");
        for part in ["admin-user", "NEW-value", "TkVXLXZhbHVl", "YWRtaW4tdXNlc"] {
            assert!(!ran.shown().contains(part), "{part} in\n{}", ran.shown());
            assert!(!left.contains(part), "{part} in\n{left}");
        }
    }
}

#[test]
fn what_is_made_of_a_secret_for_a_request_is_known_when_it_is_said_back() {
    let server = echoing();
    let folder = playbook(
        &server,
        r#"
steps:
  - id: send
    effect: idempotent
    continue_on_failure: true
    http:
      method: POST
      url: "{{ api }}/x"
      headers: {x-up: "{{ other | upper }}", x-hash: "{{ other | sha256 }}"}
      json: {cut: "{{ other | truncate(length=9) }}", both: "{{ other }}/{{ other | upper }}"}
    expect: [status == 201]
  - id: program
    exec: [bash, -c, 'echo "$A $B" >&2; exit 3']
  - id: never
    assert: [token]
"#,
    );
    let text = folder.read("test.yaml").replace(
        "exec: [bash, -c, 'echo \"$A $B\" >&2; exit 3']",
        "exec:\n      argv: [bash, -c, 'echo \"$A $B\" >&2; exit 3']\n      env: {A: \"{{ other | sha256 }}\", B: \"{{ other | upper }}\"}",
    );
    folder.file("test.yaml", &text);
    let hash = "ea6b150bb32d9bce210d5fad7d3000b33d57aef3a9a864b0da27aa033a036ec9";
    for arguments in [&["--output", "human"][..], &["--output", "plain", "-vvv"], &["--output", "json"]] {
        let ran = shown(&folder, arguments).exits(1);
        ran.hides("THE-0THER").hides(hash).hides("the-0ther");
    }
}

#[test]
fn what_is_too_short_for_a_secret_is_refused_wherever_it_comes_in() {
    let folder = Folder::with(
        r#"
runbook: 1
name: test
permissions: {run: [printf], read: [short.txt]}
inputs:
  enved: {type: secret, env: SHORT}
  printed: {type: secret, command: [printf, ab-12]}
  filed: {type: secret, file: short.txt}
  given: {type: secret}
steps:
  - assert: [enved, printed, filed, given]
"#,
    );
    folder.file("short.txt", "cd-34\n");
    folder.file("in.yaml", "given: ef-56\n");
    let ran = folder.program().args(["run", "test.yaml", "--inputs", "in.yaml"]).env("SHORT", "gh-78").ran().exits(2);
    for name in ["enved", "printed", "filed", "given"] {
        let line = ran.stderr.lines().find(|line| line.contains(&format!("input `{name}`"))).unwrap_or_default();
        assert!(line.contains("shorter than 6 characters"), "{name}: {}", ran.stderr);
    }
    ["ab-12", "cd-34", "ef-56", "gh-78"].into_iter().for_each(|text| assert!(!ran.shown().contains(text)));

    // As a capture, out of a list too; and as the input of a module.
    let captured = Folder::with(
        r#"
runbook: 1
name: test
permissions: {run: [printf]}
inputs: {word: {type: string, default: ef-56}}
steps:
  - id: alone
    continue_on_failure: true
    exec: [printf, ab-12]
    capture: {alone: {from: stdout, secret: true}}
  - id: listed
    continue_on_failure: true
    exec: [printf, '["long-enough", "cd-34"]']
    capture: {listed: {jq: ., secret: true}}
  - id: module
    use: module.yaml
    with: {word: "{{ word }}"}
"#,
    );
    captured
        .file("module.yaml", "runbook: 1\nname: module\ninputs: {word: {type: secret}}\nsteps:\n  - assert: [word]\n");
    let ran = captured.run(&["--output", "plain"]);
    assert_ne!(ran.code, 0, "{}", ran.shown());
    assert!(ran.shown().matches("shorter than 6 characters").count() >= 3, "{}", ran.shown());
}
