//! The language through the front door: YAML in, what the user sees and what the server saw out.

mod support;

use serde_json::json;
use support::{Answer, Folder, Server};

/// A playbook that may talk to the server, with these steps.
fn playbook(server: &Server, rest: &str) -> String {
    format!(
        "runbook: 1\nname: test\npermissions:\n  net: [\"http://{0}/**\"]\n  run: [echo, cat, bash, sh, sleep, env, \"false\", \"true\"]\n  env: [\"*\"]\n  write: [\"**\"]\nvars:\n  api: http://{0}\n{rest}",
        server.address()
    )
}

fn echoing() -> Server {
    Server::start(|request, _| {
        Answer::json(
            200,
            json!({"method": request.method, "path": request.path, "body": request.json(), "text": request.body}),
        )
    })
}

#[test]
fn a_step_captures_and_a_later_one_reads() {
    let server = Server::start(|request, _| match request.path.as_str() {
        "/items" => Answer::json(200, json!({"items": [{"id": 7, "name": "seven"}]})),
        _ => Answer::json(200, json!({"path": request.path})),
    });
    let folder = Folder::with(&playbook(
        &server,
        r#"
steps:
  - id: list
    http: {url: "{{ api }}/items"}
    expect:
      - status == 200
      - jq: .items | length == 1
      - jsonpath: $.items[0].name
        equals: seven
      - header: content-type
        matches: ^application/json
    capture:
      item: .items[0]
      item_id: {jsonpath: "$.items[0].id"}
      kind: {header: content-type}
      name: {regex: '"name":"(\w+)"', from: body}
  - id: one
    http: {url: "{{ api }}/items/{{ item_id }}/{{ name }}", query: {full: true, none: null}}
    expect:
      - jq: .path
        equals: "/items/7/{{ item.name }}?full=true"
"#,
    ));
    folder.run(&[]).exits(0).shows("item_id=7");
}

#[test]
fn a_json_body_keeps_types() {
    let server = echoing();
    let folder = Folder::with(&playbook(
        &server,
        r#"
steps:
  - set: {count: 3, flags: {a: true}, list: [1, two]}
    id: make
  - id: post
    effect: idempotent
    http:
      method: POST
      url: "{{ api }}/"
      json: {n: "{{ count }}", text: "{{ count }} of them", flags: "{{ flags }}", all: ["{{ list }}", null, 1.5]}
    expect:
      - jq: '.body == {n: 3, text: "3 of them", flags: {a: true}, all: [[1, "two"], null, 1.5]}'
"#,
    ));
    folder.run(&[]).exits(0);
}

#[test]
fn forms_multipart_text_and_files_are_sent() {
    let server = echoing();
    let folder = Folder::with(
        &playbook(
            &server,
            r#"
steps:
  - id: form
    http: {method: POST, url: "{{ api }}/form", form: {a: "1 2", b: "ä&"}}
    expect:
      - {jq: .text, equals: "a=1+2&b=%C3%A4%26"}
  - id: multipart
    http:
      method: POST
      url: "{{ api }}/multi"
      multipart: {field: value, doc: {file: data/note.txt, filename: n.txt, content_type: text/plain}}
    expect:
      - {jq: .text, contains: "name=\"field\"\r\n\r\nvalue"}
      - {jq: .text, contains: "filename=\"n.txt\"\r\nContent-Type: text/plain\r\n\r\nfrom a file"}
  - id: text
    http: {method: PUT, url: "{{ api }}/text", text: "plain {{ api }}", headers: {content-type: text/x-note}}
    expect:
      - {jq: .text, matches: "^plain http://"}
  - id: file
    http: {method: PUT, url: "{{ api }}/file", file: data/note.txt}
    expect:
      - {jq: .text, equals: from a file}
"#,
        )
        .replace("  net:", "  read: [data/*]\n  net:"),
    );
    folder.file("data/note.txt", "from a file");
    folder.run(&[]).exits(0);
    let kinds: Vec<_> =
        server.requests().iter().map(|r| r.headers.get("content-type").cloned().unwrap_or_default()).collect();
    assert_eq!(kinds[0], "application/x-www-form-urlencoded");
    assert!(kinds[1].starts_with("multipart/form-data; boundary="), "{kinds:?}");
    assert_eq!(kinds[2], "text/x-note");
}

#[test]
fn bearer_basic_cookies_and_default_headers() {
    let server = Server::start(|request, _| match request.path.as_str() {
        "/login" => Answer::text(200, "in").header("set-cookie", "sid=abc; Path=/"),
        _ => Answer::json(200, json!({"headers": request.headers})),
    });
    let folder = Folder::with(
        &playbook(
            &server,
            r#"
defaults:
  http: {headers: {x-team: ops}}
steps:
  - id: login
    http: {method: POST, url: "{{ api }}/login", cookies: true, auth: {basic: {user: ann, password: pass word}}}
  - id: with-cookie
    http: {url: "{{ api }}/me", cookies: true, auth: {bearer: "{{ token }}"}}
    expect:
      - {jq: .headers.cookie, equals: sid=abc}
      - {jq: .headers.authorization == "Bearer s3cret-token"}
      - {jq: '.headers["x-team"]', equals: ops}
      - {jq: '.headers["user-agent"]', matches: ^runbook/}
  - id: without
    http: {url: "{{ api }}/me"}
    expect:
      - {jq: .headers.cookie, exists: false}
"#,
        )
        .replace("vars:", "inputs: {token: {type: secret, env: TOKEN}}\nvars:"),
    );
    folder.program().args(["run", "test.yaml"]).env("TOKEN", "s3cret-token").ran().exits(0).hides("s3cret-token");
    assert_eq!(server.requests()[0].headers["authorization"], "Basic YW5uOnBhc3Mgd29yZA==");
}

#[test]
fn redirects_are_followed_for_reads_and_counted() {
    let server = Server::start(|request, _| match request.path.as_str() {
        "/a" => Answer::text(302, "").header("location", "/b"),
        "/b" => Answer::text(302, "").header("location", "/c"),
        "/c" => Answer::text(200, "here"),
        _ => Answer::text(302, "").header("location", "/c"),
    });
    let folder = Folder::with(&playbook(
        &server,
        r#"
steps:
  - id: followed
    http: {url: "{{ api }}/a"}
    expect: [{body: here}]
  - id: one-is-not-enough
    http: {url: "{{ api }}/a", redirects: 1}
    expect: [status == 200]
    continue_on_failure: true
  - id: not-for-writes
    http: {method: POST, url: "{{ api }}/post"}
    expect: [status == 302]
"#,
    ));
    folder.run(&[]).exits(0).shows("one-is-not-enough");
}

#[test]
fn pages_are_joined_until_the_last() {
    let server = Server::start(|request, _| {
        let page: usize = request.path.rsplit("page=").next().unwrap().parse().unwrap();
        let items: Vec<_> = if page <= 3 { (0..2).map(|n| json!({"n": page * 10 + n})).collect() } else { vec![] };
        Answer::json(200, json!({"result": items, "pages": 3}))
    });
    let folder = Folder::with(&playbook(
        &server,
        r#"
steps:
  - id: all
    http: {url: "{{ api }}/list", query: {per_page: 2}, paginate: {query: page, items: .result}}
    capture: {numbers: "map(.n)"}
  - id: until
    http: {url: "{{ api }}/list", paginate: {query: page, items: .result, until: $page == .pages}}
    capture: {again: "map(.n)"}
  - id: same
    assert:
      - numbers == again
      - jq: $numbers == [10, 11, 20, 21, 30, 31]
  - id: endless
    http: {url: "{{ api }}/list", paginate: {query: page, items: .result, until: "false", max_pages: 2}}
"#,
    ));
    folder.run(&[]).exits(1).shows("after 2 pages `until` still does not hold");
    assert_eq!(server.requests().len(), 4 + 3 + 2);
}

#[test]
fn exec_has_argv_env_stdin_and_a_minimal_environment() {
    let server = echoing();
    let folder = Folder::with(&playbook(
        &server,
        r#"
steps:
  - id: argv
    exec: [echo, "two words", "$HOME", "*"]
    expect:
      - stdout: "two words $HOME *\n"
  - id: stdin
    exec: {argv: [cat], stdin: "{\"a\": 1}"}
    expect:
      - jq: .a == 1
  - id: environment
    exec: {argv: [env], env: {MINE: yes please}}
    expect:
      - stdout: true
        contains: MINE=yes please
      - stdout: true
        matches: LEAKED
        not: true
  - id: streams
    shell: "echo out; echo err >&2; exit 3"
    expect:
      - exit_code == 3
      - stdout: "out\n"
      - stderr: "err\n"
      - duration < 1m
  - id: pipefail
    shell: "false | cat"
    expect: [exit_code != 0]
"#,
    ));
    folder.program().args(["run", "test.yaml"]).env("LEAKED", "1").ran().exits(0);
}

#[test]
fn private_files_are_private_and_go_afterwards() {
    let server = echoing();
    let folder = Folder::with(&playbook(
        &server,
        r#"
steps:
  - id: look
    exec:
      argv: [bash, -c, 'stat -c %a "$1" && cat "$1" && echo " $1"', _, "{{ files.conf }}"]
      files: {conf: "key={{ api }}"}
    expect:
      - stdout: true
        matches: "^600\nkey=http://127.0.0.1:\\d+ /"
    capture:
      path: {regex: ' (/\S+)', from: stdout}
  - id: in-a-script
    shell: {script: 'cat "$FILES_CONF"', files: {conf: hello}}
    expect:
      - stdout: hello
  - id: gone
    exec: [bash, -c, 'test ! -e "$1"', _, "{{ path }}"]
"#,
    ));
    folder.run(&[]).exits(0);
}

#[test]
fn a_timeout_ends_the_whole_process_group() {
    let server = echoing();
    let folder = Folder::with(&playbook(
        &server,
        r#"
steps:
  - id: stuck
    exec: {argv: [bash, -c, 'trap "" TERM; sleep 300 & echo $! > pid; wait; sleep 300'], timeout: 300ms, cwd: .}
"#,
    ));
    folder.run(&[]).exits(4).shows("300 ms");
    let pid = folder.read("pid");
    assert!(support::has_ended(pid.trim()), "the grandchild lives on");
}

#[test]
fn a_step_timeout_covers_all_attempts() {
    let server = Server::start(|_, _| Answer::text(500, "no"));
    let folder = Folder::with(&playbook(
        &server,
        r#"
steps:
  - id: poll
    timeout: 400ms
    http: {url: "{{ api }}/"}
    retry: {attempts: 1000, delay: 100ms}
"#,
    ));
    folder.run(&[]).exits(1).shows("not done within its timeout of 400 ms");
}

#[test]
fn reads_are_tried_again_until_they_hold() {
    let server = Server::start(|_, before| match before {
        0 => Answer::Drop,
        1 => Answer::text(503, "later"),
        2 => Answer::json(200, json!({"state": "starting"})),
        _ => Answer::json(200, json!({"state": "up"})),
    });
    let folder = Folder::with(&playbook(
        &server,
        r#"
steps:
  - id: wait-until-up
    http: {url: "{{ api }}/"}
    retry: {attempts: 9, delay: 1ms, backoff: exponential, max_delay: 3ms, jitter: true}
    expect:
      - {jq: .state, equals: up}
"#,
    ));
    folder.run(&[]).exits(0).shows("4 attempts");
    assert_eq!(server.requests().len(), 4);
}

#[test]
fn a_once_step_is_not_sent_twice() {
    let server = Server::start(|_, _| Answer::text(500, "perhaps"));
    let folder = Folder::with(&playbook(
        &server,
        r#"
steps:
  - id: charge
    http: {method: POST, url: "{{ api }}/"}
    retry: {attempts: 5, delay: 1ms}
"#,
    ));
    folder.run(&[]).exits(1);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_once_step_that_surely_did_not_happen_is_tried_again() {
    let server = Server::start(|_, before| match before {
        0 => Answer::text(429, "slow down"),
        _ => Answer::text(201, "done"),
    });
    let folder = Folder::with(&playbook(
        &server,
        r#"
steps:
  - id: charge
    http: {method: POST, url: "{{ api }}/"}
    retry: {attempts: 5, delay: 1ms}
"#,
    ));
    folder.run(&[]).exits(0).shows("warning[retry-on-once]");
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_once_step_may_say_that_it_is_sent_again_where_it_was_refused() {
    let server = Server::start(|_, before| match before {
        0 => Answer::text(429, "slow down"),
        _ => Answer::text(201, "done"),
    });
    let folder = Folder::with(&playbook(
        &server,
        r#"
steps:
  - id: charge
    http: {method: POST, url: "{{ api }}/"}
    retry: {attempts: 5, delay: 1ms, on: [429]}
"#,
    ));
    folder.run(&[]).exits(0).hides("retry-on-once");
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_loop_is_called_by_what_its_steps_names_have_in_common() {
    let folder = Folder::with(
        r#"
runbook: 1
name: test
vars: {apps: [shop, blog]}
steps:
  - id: greet
    name: "Greet: {{ app }}"
    for_each: "{{ apps }}"
    as: app
    set: {greeting: "hello {{ app }}"}
"#,
    );
    let titles: Vec<_> = folder.run(&["--output", "json"]).exits(0).events();
    let titles: Vec<_> =
        titles.iter().filter(|event| event["event"] == "step-started").map(|event| &event["title"]).collect();
    assert_eq!(titles, ["Greet", "Greet: shop", "Greet: blog"]);
}

#[test]
fn a_loop_whose_items_may_run_at_once_does_all_of_them() {
    let says = |max_parallel: u32| {
        let folder = Folder::with(&format!(
            r#"
runbook: 1
name: test
vars: {{numbers: [1, 2, 3]}}
steps:
  - id: small
    for_each: "{{{{ numbers }}}}"
    as: number
    max_parallel: {max_parallel}
    assert:
      - jq: $number != 2
        message: "{{{{ number }}}} is too much"
  - id: after
    set: {{done: true}}
"#
        ));
        let ran = folder.run(&["--output", "json"]).exits(1);
        let finished = ran.finished();
        assert_eq!(finished["failures"].as_array().unwrap().len(), 1, "{finished}");
        assert_eq!(finished["failures"][0]["message"], "2 is too much");
        let ended = ran.events().into_iter().filter(|event| event["event"] == "step-finished");
        ended.map(|event| (event["step"].as_str().unwrap().to_owned(), event["outcome"].clone())).collect::<Vec<_>>()
    };
    let step = |step: &str, outcome: &str| (step.to_owned(), json!(outcome));
    let until_the_failure = [step("small[0]", "passed"), step("small[1]", "failed"), step("small", "failed")];
    assert_eq!(says(1), until_the_failure);
    let [first, second, all] = until_the_failure;
    assert_eq!(says(4), [first, second, step("small[2]", "passed"), all]);
}

#[test]
fn a_lost_answer_makes_the_outcome_unknown() {
    let server = Server::start(|_, before| if before == 0 { Answer::Drop } else { Answer::text(200, "ok") });
    let steps = |on_unknown: &str| {
        playbook(
            &server,
            &format!("steps:\n  - id: charge\n    http: {{method: POST, url: \"{{{{ api }}}}/\"}}\n{on_unknown}"),
        )
    };
    Folder::with(&steps("")).run(&[]).exits(4).shows("nobody knows whether it took effect");
    let lossy =
        || Server::start(|_, before| if before == 0 { Answer::Drop } else { Answer::json(200, json!({"seen": true})) });
    for (on_unknown, code, requests) in [
        ("    on_unknown: rerun\n", 0, 2),
        ("    on_unknown: skip\n", 0, 1),
        ("    on_unknown: fail\n", 1, 1),
        (
            "    on_unknown:\n      - id: look\n        http: {url: \"{{ api }}/look\"}\n        capture: {happened: .seen}\n",
            0,
            2,
        ),
        (
            "    on_unknown:\n      - id: look\n        http: {url: \"{{ api }}/look\"}\n        capture: {happened: .seen | not}\n",
            0,
            3,
        ),
    ] {
        let server = lossy();
        let text = playbook(
            &server,
            &format!("steps:\n  - id: charge\n    http: {{method: POST, url: \"{{{{ api }}}}/\"}}\n{on_unknown}"),
        );
        Folder::with(&text).run(&[]).exits(code);
        assert_eq!(server.requests().len(), requests, "{on_unknown}");
    }
}

#[test]
fn loops_gather_what_they_capture() {
    let server = echoing();
    let folder = Folder::with(&playbook(
        &server,
        r#"
steps:
  - id: each
    for_each: [{n: 1, go: true}, {n: 2, go: false}, {n: 3, go: true}]
    as: thing
    when: thing.go
    name: "Thing {{ thing.n }}"
    http: {url: "{{ api }}/{{ thing.n }}"}
    capture: {where: .path}
  - id: whole
    for_each: {jq: '[$where[] | select(. != null)]'}
    as: seen
    group:
      - id: inner
        set: {shout: "{{ seen | upper }}!"}
      - id: inner-check
        assert: ['"!" in shout']
  - id: after
    assert:
      - jq: $where == ["/1", null, "/3"]
      - jq: $shout == ["/1!", "/3!"]
  - id: none
    for_each: "{{ where[0:0] }}"
    as: nothing
    exec: ["false"]
"#,
    ));
    folder.run(&[]).exits(0).shows("Thing 1").shows("there is nothing to loop over");
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_failing_step_ends_steps_then_on_failure_and_finally_run() {
    let server = echoing();
    let folder = Folder::with(&playbook(
        &server,
        r#"
steps:
  - id: first
    exec: ["true"]
  - id: breaks
    exec: [bash, -c, "exit 7"]
    by_hand: Do it with the big lever.
    on_failure:
      - id: own
        exec: [echo, "own clean-up"]
        expect: [{stdout: "own clean-up\n"}]
  - id: never
    exec: [bash, -c, "touch never"]
on_failure:
  - id: tell
    exec: [bash, -c, 'echo "$1" > told', _, "{{ run.failed_step }}: {{ run.failure }} / {{ never_there | default(value='unknown') }}"]
finally:
  - id: last
    exec: [bash, -c, "touch last"]
rollback: |
  Turn it off and on again.
"#
        .replace("{{ never_there | default(value='unknown') }}", "-")
        .as_str(),
    ));
    let ran = folder
        .run(&[])
        .exits(1)
        .shows("Do it with the big lever.")
        .shows("Turn it off and on again.")
        .shows("changed before it ended");
    assert!(ran.stdout.contains("own"), "{}", ran.stdout);
    assert!(folder.read("told").starts_with("breaks: "), "{}", folder.read("told"));
    assert!(folder.path().join("last").exists());
    assert!(!folder.path().join("never").exists());
}

#[test]
fn continue_on_failure_lets_a_run_pass() {
    let server = echoing();
    let folder = Folder::with(&playbook(
        &server,
        r#"
steps:
  - id: may-fail
    exec: ["false"]
    continue_on_failure: true
  - id: next
    exec: ["true"]
"#,
    ));
    folder.run(&[]).exits(0).shows("`may-fail` failed");
}

#[test]
fn a_group_is_retried_as_one() {
    let server = Server::start(|request, before| {
        if request.path == "/b" && before < 3 { Answer::text(409, "not yet") } else { Answer::text(200, "ok") }
    });
    let folder = Folder::with(&playbook(
        &server,
        r#"
steps:
  - id: both
    retry: {attempts: 5, delay: 1ms}
    group:
      - id: a
        http: {url: "{{ api }}/a"}
        capture: {kept: {from: body}}
      - id: b
        http: {url: "{{ api }}/b"}
  - id: after
    assert: ['kept == "ok"']
"#,
    ));
    folder.run(&[]).exits(0);
    let paths: Vec<_> = server.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(paths, ["/a", "/b", "/a", "/b"]);
}

#[test]
fn parallel_does_all_and_fails_after_the_rest_have_ended() {
    let server = echoing();
    let folder = Folder::with(&playbook(
        &server,
        r#"
steps:
  - id: together
    parallel:
      max: 2
      steps:
        - id: bad
          exec: ["false"]
        - id: good
          http: {url: "{{ api }}/good"}
"#,
    ));
    folder.run(&[]).exits(1).shows("together/bad: ");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn modules_take_inputs_and_give_outputs() {
    let server = echoing();
    let folder = Folder::with(&playbook(
        &server,
        r#"
steps:
  - id: greet
    use: modules/greet.yaml
    with: {who: "{{ api }}"}
    capture: {greeting: .text}
  - id: check
    assert: ['greeting == "hello " ~ api ~ ", 3 times"']
"#,
    ));
    folder.file(
        "modules/greet.yaml",
        r#"
runbook: 1
name: greet
inputs:
  who: {type: string}
  times: {type: integer, default: 3}
permissions: {run: [echo]}
steps:
  - id: say
    exec: [echo, "hello {{ who }}, {{ times }} times"]
    capture: {text: {from: stdout, trim: true}}
outputs: {text: "{{ text }}"}
"#,
    );
    folder.run(&[]).exits(0).shows("say");
}

#[test]
fn variants_fix_inputs_and_nothing_else() {
    let folder = Folder::new();
    folder.file(
        "base.yaml",
        "runbook: 1\nname: base\ntitle: Base\ninputs:\n  app: {type: string}\n  n: {type: integer, default: 1}\npermissions: {run: [echo]}\nsteps:\n  - id: say\n    exec: [echo, \"{{ app }} {{ n }}\"]\n    capture: {said: {from: stdout, trim: true}}\noutputs: {said: \"{{ said }}\"}\n",
    );
    folder.file("prod.yaml", "runbook: 1\nname: prod\nextends: base.yaml\ntitle: Production\nset: {app: shop}\n");
    folder.file("old.yaml", "runbook: 1\nname: old\nextends: prod.yaml\ndeprecated: use `prod`\n");
    folder
        .program()
        .args(["run", "prod.yaml", "--set", "n=4"])
        .ran()
        .exits(0)
        .shows("Production")
        .shows("said: shop 4");
    folder.program().args(["run", "old.yaml"]).ran().exits(0).shows("deprecated: use `prod`");
    folder.program().args(["run", "prod.yaml", "--set", "app=x"]).ran().exits(2).shows("fixed by the variant");
    folder.file("bad.yaml", "runbook: 1\nname: bad\nextends: base.yaml\nset: {ap: x}\n");
    folder
        .program()
        .args(["check", "bad.yaml"])
        .ran()
        .exits(2)
        .shows("error[unknown-input]")
        .shows("did you mean `app`?");
}

#[test]
fn confirm_and_manual_need_a_person_or_a_flag() {
    let server = echoing();
    let folder = Folder::with(&playbook(
        &server,
        r#"
steps:
  - id: sure
    confirm: {message: Really?, phrase: yes really}
  - id: lever
    manual: Pull the lever.
  - id: done
    exec: ["true"]
"#,
    ));
    folder.run(&[]).exits(3).shows("--approve sure");
    folder.run(&["--approve", "sure"]).exits(3).shows("`lever` is done by a person");
    folder.run(&["--approve", "sure,lever"]).exits(0);
    folder.run(&["--approve", "shure"]).exits(2).shows("did you mean `sure`?");
}

#[test]
fn tags_until_and_dry_run_pick_what_is_done() {
    let server = echoing();
    let folder = Folder::with(&playbook(
        &server,
        r#"
steps:
  - id: read
    tags: [look]
    http: {url: "{{ api }}/read"}
    capture: {seen: .path}
  - id: write
    http: {method: POST, url: "{{ api }}/write", json: {seen: "{{ seen }}"}}
    capture: {made: .path}
  - id: after
    http: {method: PUT, url: "{{ api }}/{{ made }}"}
"#,
    ));
    let count = |from: usize| server.requests().len() - from;
    folder.run(&["--tags", "look"]).exits(0).shows("not tagged");
    assert_eq!(count(0), 1);
    folder.run(&["--until", "write"]).exits(0);
    assert_eq!(count(1), 2);
    folder
        .run(&["--dry-run"])
        .exits(0)
        .shows("would send POST")
        .shows("needs `made`, which is only born in a real run");
    assert_eq!(count(3), 1);
    folder.run(&["--until", "wrote"]).exits(2).shows("did you mean `write`?");
}

#[test]
fn whole_outputs_are_read_through_steps() {
    let server = echoing();
    let folder = Folder::with(&playbook(
        &server,
        r#"
steps:
  - id: first-one
    http: {url: "{{ api }}/first"}
  - id: second
    assert:
      - steps["first-one"].output.status == 200
      - jq: $steps["first-one"].output.json.path == "/first"
"#,
    ));
    folder.run(&[]).exits(0);
}

#[test]
fn intervals_are_measured_and_outputs_shown() {
    let server = echoing();
    let folder = Folder::with(&playbook(
        &server,
        r#"
intervals:
  window: {from: a, to: b, budget: 1ms}
  never: {from: a, to: skipped}
steps:
  - id: a
    exec: ["true"]
  - id: b
    wait: 20ms
  - id: skipped
    when: api == "other"
    exec: ["true"]
outputs: {url: "{{ api }}", n: 3}
"#,
    ));
    let ran = folder.run(&["--output", "json"]).exits(0);
    let finished = ran.finished();
    assert_eq!(finished["outputs"]["n"], 3);
    assert_eq!(finished["intervals"][1]["took_ms"], serde_json::Value::Null);
    assert!(finished["intervals"][0]["took_ms"].as_u64().unwrap() >= 20);
    assert!(finished["warnings"][0].as_str().unwrap().contains("more than its budget of 1 ms"), "{finished}");
}

#[test]
fn schemas_judge_bodies() {
    let server = echoing();
    let folder = Folder::with(&playbook(
        &server,
        r#"
steps:
  - id: fits
    http: {url: "{{ api }}/x"}
    expect: [{schema: shapes/echo.json}]
  - id: does-not
    http: {url: "{{ api }}/x"}
    expect: [{schema: shapes/other.json}]
"#,
    ));
    folder.file("shapes/echo.json", r#"{"type": "object", "required": ["path"]}"#);
    folder.file("shapes/other.json", r#"{"type": "object", "properties": {"path": {"type": "integer"}}}"#);
    folder.run(&[]).exits(1).shows("valid under `shapes/other.json`").shows("/path");
}

#[test]
fn predicates_all_work() {
    let server = Server::start(|_, _| {
        Answer::json(200, json!({"n": 5, "s": "text", "l": [1, 2, 3], "e": [], "o": {"k": 1}, "nul": null}))
    });
    let folder = Folder::with(&playbook(
        &server,
        r#"
steps:
  - id: all
    http: {url: "{{ api }}/"}
    expect:
      - status in [200, 201]
      - status not in [500]
      - {status: [200, 204], message: wrong status}
      - {jq: .n, equals: 5, gt: 4, ge: 5, lt: 6, le: 5, in: [4, 5]}
      - {jq: .n, not_equals: 6}
      - {jq: .s, matches: "^te", contains: ex}
      - {jq: .s, matches: "^x", not: true}
      - {jq: .l, contains: 2, count: 3}
      - {jq: ".l[]", count: 3}
      - {jq: .e, is_empty: true}
      - {jq: .nul, exists: false}
      - {jq: .o, contains: {k: 1}}
      - {jq: .nul, equals: null}
      - {jsonpath: "$.l[*]", count: 3}
"#,
    ));
    folder.run(&[]).exits(0);
    let folder = Folder::with(&playbook(
        &server,
        r#"
steps:
  - id: none
    http: {url: "{{ api }}/"}
    expect:
      - status == 201
      - {jq: .n, gt: 5, message: "n is {{ api }}"}
      - {jq: .missing, exists: true}
      - {jq: .s, equals: 7}
      - {jq: .l, count: 2}
      - {jsonpath: "$.nope", equals: 1}
"#,
    ));
    let ran = folder.run(&[]).exits(1);
    for text in [
        "expected 201, got 200",
        "expected more than 5, got 5",
        "expected something, got null",
        "expected 7, got string \"text\"",
        "2 of them (there are 3)",
        "no result",
    ] {
        assert!(ran.stdout.contains(text), "`{text}` is missing in\n{}", ran.stdout);
    }
}

#[test]
fn lists_in_a_query_or_form_give_one_each() {
    let server = echoing();
    let folder = Folder::with(&playbook(
        &server,
        r#"
steps:
  - id: query
    http: {url: "{{ api }}/", query: {tag: [a, "{{ api | length }}", null], none: null, one: 1}}
  - id: form
    http: {method: PUT, url: "{{ api }}/", form: {tag: [a, b]}}
"#,
    ));
    folder.run(&[]).exits(0);
    let requests = server.requests();
    assert_eq!(requests[0].path, format!("/?tag=a&tag={}&one=1", server.address().to_string().len() + 7));
    assert_eq!(requests[1].body, "tag=a&tag=b");
}

#[test]
fn set_may_expect_and_capture() {
    let server = echoing();
    let steps = |claim: &str| {
        let steps = format!(
            "steps:\n  - id: make\n    set: {{count: 3}}\n    expect: [{{jq: '{claim}'}}]\n    capture: {{twice: .count * 2}}\n  - id: read\n    assert: [twice == 6]\n"
        );
        playbook(&server, &steps)
    };
    Folder::with(&steps(".count == 3 and .api != null and $out == {count: 3}")).run(&[]).exits(0);
    Folder::with(&steps(".count == 4")).run(&[]).exits(1).shows("step `make`");
}

#[test]
fn outputs_may_be_queries() {
    let server = echoing();
    let text =
        "steps:\n  - id: make\n    set: {count: 3}\noutputs: {twice: {jq: $count * 2}, said: \"{{ count }} times\"}\n";
    let ran = Folder::with(&playbook(&server, text)).run(&["--output", "json"]).exits(0);
    assert_eq!(ran.finished()["outputs"], json!({"twice": 6, "said": "3 times"}));
    let text = "inputs: {token: {type: secret, env: TOKEN}, kind: {type: string, default: up}}\nsteps: [{id: none, assert: [\"true\"]}]\noutputs: {t: {jq: 'if $kind != \"up\" then null else $token | ascii_upcase end'}}\n";
    let folder = Folder::with(&playbook(&server, text));
    let ran = folder.program().args(["run", "test.yaml"]).env("TOKEN", "s3cret-token").ran();
    ran.exits(5).shows("output `t` would hold a secret").hides("S3CRET-TOKEN");
}

#[test]
fn what_is_judged_as_it_stands_takes_no_predicates() {
    let server = echoing();
    let folder = Folder::with(&playbook(
        &server,
        r#"steps:
  - id: ask
    http: {url: "{{ api }}/"}
    expect:
      - {status: 404, not: true}
      - {exit_code: 0, lt: 3}
      - {status: 200, message: fine}
"#,
    ));
    let ran = folder.check().exits(2).shows("`not` goes with a query").shows("`lt` goes with a query");
    ran.shows("2 errors");
}

#[test]
fn a_dry_run_lets_pass_what_comes_after_what_it_does_not_do() {
    let server = Server::start(|request, _| match request.path.as_str() {
        "/open" => Answer::json(200, json!({"state": "open"})),
        _ => Answer::json(404, json!({})),
    });
    let steps = |first: &str| {
        playbook(
            &server,
            &format!(
                r#"steps:
  - id: before
    http: {{url: "{{{{ api }}}}/{first}"}}
  - id: close
    http: {{method: PUT, url: "{{{{ api }}}}/close"}}
    capture: {{number: .number}}
  - id: closed
    http: {{url: "{{{{ api }}}}/open"}}
    expect: [{{jq: .state, equals: closed}}]
    retry: {{attempts: 3, delay: 1ms}}
    capture: {{at: .at}}
  - id: each
    for_each: {{jq: '[$number, 2]'}}
    when: item > number
    set: {{seen: "{{{{ at }}}}"}}
  - id: after
    for_each: "{{{{ seen }}}}"
    assert: [item == at]
  - id: never
    http: {{url: "http://elsewhere.example.com/{{{{ service }}}}"}}
    when: "false"
inputs: {{service: {{default: s}}}}
"#
            ),
        )
    };
    let folder = Folder::with(
        &steps("open").replace("permissions:\n  net: [", "permissions:\n  net: [\"http://elsewhere.example.com/**\", "),
    );
    folder.run(&["--dry-run"]).exits(0).shows("would send PUT").shows("what comes before it was not done");
    assert_eq!(server.requests().len(), 2, "a read after it is asked once");
    let text =
        steps("none").replace("permissions:\n  net: [", "permissions:\n  net: [\"http://elsewhere.example.com/**\", ");
    Folder::with(&text).run(&["--dry-run"]).exits(1).shows("404");
}

#[test]
fn a_dry_run_asks_nobody_about_what_is_not_born() {
    let server = echoing();
    let folder = Folder::with(&playbook(
        &server,
        r#"steps:
  - id: ask
    manual: {instructions: Which?, ask: {ticket: {type: string}}}
    capture: {ticket: .answers.ticket}
  - id: approve
    confirm: Close {{ ticket }}?
"#,
    ));
    folder.run(&["--dry-run"]).exits(0).shows("needs `ticket`, which is only born in a real run");
    let folder = Folder::with(&playbook(
        &server,
        "steps:\n  - id: ask\n    manual: {instructions: Which?, ask: {ticket: {default: REL-1}}}\n",
    ));
    folder.run(&[]).exits(3).shows("--approve ask");
    folder.run(&["--approve", "ask"]).exits(0);
}

#[test]
fn what_a_server_says_cannot_steer_the_terminal() {
    let server =
        Server::start(|_, _| Answer::json(500, json!({"said": "\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}31m\r\u{202e}x"})));
    let folder = Folder::with(&playbook(
        &server,
        r#"steps:
  - id: ask
    http: {url: "{{ api }}/"}
    expect: [{jq: .said, equals: fine}, status == 500]
"#,
    ));
    let text = folder.run(&[]).exits(1).shown();
    let steers = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}');
    assert!(!text.contains(steers), "{text:?}");
}

#[test]
fn an_outcome_stays_unknown_where_finding_out_fails_or_time_is_over() {
    let lossy =
        Server::start(|request, _| if request.method == "POST" { Answer::Drop } else { Answer::text(500, "no") });
    let text = playbook(
        &lossy,
        "steps:\n  - id: charge\n    http: {method: POST, url: \"{{ api }}/\"}\n    on_unknown:\n      - id: look\n        http: {url: \"{{ api }}/look\"}\n        capture: {happened: .seen}\n",
    );
    Folder::with(&text).run(&[]).exits(4).shows("finding out failed");
    let mute = Server::start(|_, _| Answer::Hang);
    let text = playbook(
        &mute,
        "steps:\n  - id: charge\n    timeout: 2s\n    http: {method: POST, url: \"{{ api }}/\"}\n    on_unknown: rerun\n",
    );
    Folder::with(&text).run(&[]).exits(4).shows("nobody knows whether it took effect");
    assert_eq!(mute.requests().len(), 1);
}

#[test]
fn a_group_is_not_retried_once_a_once_step_within_it_was_sent() {
    let server = Server::start(|request, _| Answer::text(if request.path == "/check" { 500 } else { 200 }, "-"));
    let folder = Folder::with(&playbook(
        &server,
        r#"
steps:
  - id: both
    retry: {attempts: 3, delay: 1ms}
    group:
      - id: charge
        http: {method: POST, url: "{{ api }}/charge"}
      - id: see
        http: {url: "{{ api }}/check"}
"#,
    ));
    folder.run(&[]).exits(1).shows("`both` is not tried again: a `once` step within it was sent");
    let paths: Vec<_> = server.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(paths, ["/charge", "/check"]);
}
