//! Permissions through the front door: what is not permitted is refused, before anything is sent, with exit code 5, or
//! with 2 where it is known beforehand.

mod support;

use serde_json::json;
use support::{Answer, Folder, Ran, Server};

fn echoing() -> Server {
    Server::start(|request, _| match request.path.split_once("/to?") {
        Some((_, target)) => Answer::text(302, "").header("location", target),
        None => Answer::json(200, json!({"method": request.method, "path": request.path, "body": request.body})),
    })
}

/// One step, with these permissions; `there` is where the server is, given as an input so that nothing is known beforehand.
fn one(server: &Server, permissions: &str, action: &str) -> Folder {
    let permissions = permissions.replace("SERVER", &server.address()).replace("PORT", port(server));
    Folder::with(&format!(
        "runbook: 1\nname: test\npermissions: {permissions}\ninputs:\n  there: {{type: string, default: \"http://{}\"}}\n  port: {{type: string, default: \"{}\"}}\nsteps:\n  - id: bad\n    effect: idempotent\n    {action}\n",
        server.address(),
        port(server)
    ))
}

fn port(server: &Server) -> &'static str {
    // Leaked: a few bytes a test.
    Box::leak(server.address().rsplit(':').next().unwrap().to_string().into_boxed_str())
}

#[track_caller]
fn refused(server: &Server, permissions: &str, action: &str) -> Ran {
    let before = server.requests().len();
    let ran = one(server, permissions, action).run(&[]);
    assert_eq!(ran.code, 5, "{permissions} {action}\n{}", ran.shown());
    assert_eq!(server.requests().len(), before, "something was sent: {permissions} {action}");
    ran
}

#[track_caller]
fn allowed(server: &Server, permissions: &str, action: &str) -> Ran {
    let ran = one(server, permissions, action).run(&[]);
    assert_eq!(ran.code, 0, "{permissions} {action}\n{}", ran.shown());
    ran
}

#[test]
fn methods_ports_and_paths() {
    let server = echoing();
    let get = r#"http: {url: "{{ there }}/v1/items/7"}"#;
    let put = r#"http: {method: PUT, url: "{{ there }}/v1/items/7"}"#;
    for rule in [
        "http://SERVER",
        "http://SERVER/**",
        "GET http://SERVER/v1/items/7",
        "GET,PUT http://SERVER/v1/*/*",
        "http://127.0.0.1:*/v1/**",
        "GET http://SERVER/v1/items/7/**",
        "SERVER/v1/**",
    ] {
        allowed(&server, &format!("{{net: [\"{rule}\"]}}"), get);
    }
    for rule in [
        "PUT http://SERVER/**",
        "http://SERVER/v2/**",
        "http://SERVER/v1/*",
        "http://SERVER/v1/items/77",
        "http://127.0.0.1:1/**",
        "http://127.0.0.1/**",
        "http://localhost:PORT/**",
        "https://SERVER/**",
        "http://SERVER/V1/**",
        "http://127.0.0.2:PORT/**",
        "http://[::1]:PORT/**",
        "*.0.0.1:PORT/**",
        "http://SERVER/v1/items/7/*",
    ] {
        let ran = one(&server, &format!("{{net: [\"{rule}\"]}}"), get).replace_net(rule, &server);
        assert!(ran.code == 5 || ran.code == 2, "{rule}\n{}", ran.shown());
    }
    refused(&server, "{}", get).shows("is not permitted by `permissions.net`").shows("add `GET http://");
    refused(&server, "{net: [\"GET http://SERVER/**\"]}", put).shows("with other methods");
}

trait ReplaceNet {
    fn replace_net(self, rule: &str, server: &Server) -> Ran;
}

impl ReplaceNet for Folder {
    /// Runs it; that nothing was sent is sure then.
    fn replace_net(self, rule: &str, server: &Server) -> Ran {
        let before = server.requests().len();
        let ran = self.run(&[]);
        assert_eq!(server.requests().len(), before, "something was sent under {rule}");
        ran
    }
}

#[test]
fn dots_and_hidden_slashes_lead_nowhere_else() {
    let server = echoing();
    let rule = "{net: [\"http://SERVER/public/**\"]}";
    for path in [
        "/public/../admin",
        "/public/%2e%2e/admin",
        "/public/.%2E/admin",
        "/public/..%2fadmin",
        "/public/..%5cadmin",
        "/public/..\\\\admin",
        "/public/%252e%252e/admin",
        "/public/..;/admin",
        "/public%2f..%2fadmin",
        "/public/a%00b",
        "/./admin",
        "//public/x",
        "/Public/x",
        "/public/x/../../admin?a=/public/",
    ] {
        refused(&server, rule, &format!("http: {{url: \"{{{{ there }}}}{path}\"}}"));
    }
    for (path, sent) in [
        ("/public", "/public"),
        ("/public/", "/public/"),
        ("/admin/../public/x", "/public/x"),
        ("/public/a%20b", "/public/a%20b"),
        ("/public/x?y=../../admin#/z", "/public/x?y=../../admin"),
    ] {
        allowed(&server, rule, &format!("http: {{url: \"{{{{ there }}}}{path}\"}}"));
        assert_eq!(server.requests().last().unwrap().path, sent);
    }
}

#[test]
fn user_names_in_a_url_and_other_schemes_are_refused() {
    let server = echoing();
    for url in ["http://api.example.com@127.0.0.1:{{ port }}/", "http://a:b@127.0.0.1:{{ port }}/"] {
        let folder = one(&server, "{net: [\"http://SERVER/**\"]}", &format!("http: {{url: \"{url}\"}}"));
        let ran = folder.replace_net(url, &server);
        ran.exits(5).shows("a user name or a password");
    }
    for url in [
        "ftp://127.0.0.1:{{ port }}/",
        "file:///etc/passwd{{ port }}",
        "ws://127.0.0.1:{{ port }}/",
        "data:,{{ port }}",
        "{{ port }}",
    ] {
        let folder = one(&server, "{net: [\"http://SERVER/**\"]}", &format!("http: {{url: \"{url}\"}}"));
        let ran = folder.replace_net(url, &server);
        assert!([1, 5].contains(&ran.code), "{url} {} {}", ran.code, ran.shown());
    }
}

#[test]
fn plain_http_needs_to_be_spelt_and_localhost_is_a_name_of_its_own() {
    let server = echoing();
    for url in [
        "http://api.example.com:{{ port }}/",
        "http://localhost:{{ port }}/",
        "http://127.1:{{ port }}/x",
        "http://2130706433:{{ port }}/",
    ] {
        let rule = if url.contains("api") {
            "{net: [\"api.example.com:PORT/**\", \"https://api.example.com:PORT/**\"]}"
        } else {
            "{net: [\"http://127.0.0.9:PORT/**\"]}"
        };
        refused(&server, rule, &format!("http: {{url: \"{url}\"}}"));
    }
    // Other spellings of an address are that address.
    for url in [
        "http://127.1:{{ port }}/",
        "http://2130706433:{{ port }}/",
        "http://0x7f.0.0.1:{{ port }}/",
        "http://127.0.0.1.:{{ port }}/",
    ] {
        allowed(&server, "{net: [\"http://SERVER/**\"]}", &format!("http: {{url: \"{url}\"}}"));
    }
    allowed(&server, "{net: [\"localhost:PORT/**\"]}", "http: {url: \"http://LocalHost:{{ port }}/\"}");
}

#[test]
fn a_redirect_is_judged_like_the_first_request() {
    let server = echoing();
    let other = echoing();
    let rule = "{net: [\"GET http://SERVER/to\", \"GET http://SERVER/fine/**\"]}";
    for target in [
        "/admin",
        "/fine/../admin",
        &other.url("/fine/x"),
        "//127.0.0.1:1/fine/x",
        "/fine/..%2fadmin",
        "https://127.0.0.1:1/fine/",
        "file:///etc/passwd",
    ] {
        let folder = one(&server, rule, &format!("http: {{url: \"{{{{ there }}}}/to?{target}\"}}"));
        let before = server.requests().len();
        let ran = folder.run(&[]).exits(5).shows("redirected to a place that is not permitted");
        assert_eq!(server.requests().len(), before + 1, "{target}: {}", ran.shown());
    }
    assert_eq!(other.requests().len(), 0);
    allowed(&server, rule, "http: {url: \"{{ there }}/to?/fine/x\"}");
}

#[test]
fn programs_are_permitted_as_they_are_spelt() {
    let server = echoing();
    let run = |rule: &str, program: &str| {
        let folder = Folder::with(&format!(
            "runbook: 1\nname: test\npermissions: {{run: [{rule}], write: [ran]}}\ninputs: {{p: {{type: string, default: \"{program}\"}}}}\nsteps:\n  - id: bad\n    exec: [\"{{{{ p }}}}\", -c, 'touch ran']\n"
        ));
        std::fs::create_dir(folder.path().join("bin")).unwrap();
        std::os::unix::fs::symlink("/bin/sh", folder.path().join("bin/sh")).unwrap();
        let ran = folder.run(&[]);
        (ran.code, folder.path().join("ran").exists(), ran)
    };
    let _ = server;
    let (code, happened, ran) = run("sh", "sh");
    assert!(code == 0 && happened, "{}", ran.shown());
    let (code, happened, ran) = run("/bin/sh", "/bin/sh");
    assert!(code == 0 && happened, "{}", ran.shown());
    for (rule, program) in [
        ("sh", "/bin/sh"),
        ("/bin/sh", "sh"),
        ("sh", "./bin/sh"),
        ("sh", "bin/sh"),
        ("/bin/sh", "/bin/../bin/sh"),
        ("sh", "bash"),
        ("\"*\"", "sh"),
        ("sh", "SH"),
        ("sh", "sh "),
        ("/bin", "/bin/sh"),
        ("\"\"", ""),
        ("\"bin/sh\"", "bin/sh"),
        ("/bin/sh", "//bin/sh"),
    ] {
        let (code, happened, ran) = run(rule, program);
        assert!(!happened && [1, 2, 5].contains(&code), "{rule} {program} {code}\n{}", ran.shown());
    }
}

#[test]
fn programs_come_from_path_without_what_is_relative() {
    let folder = Folder::with(
        "runbook: 1\nname: test\npermissions: {run: [mytool]}\nsteps:\n  - id: run\n    exec: [mytool]\n    expect: [{stdout: \"second\\n\"}]\n",
    );
    for (place, says) in [("rel/mytool", "first"), ("abs/mytool", "second"), ("mytool", "third")] {
        let file = folder.file(place, &format!("#!/bin/sh\necho {says}\n"));
        std::fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let path = format!("rel::.:{}:/usr/bin:/bin", folder.path().join("abs").display());
    folder.program().args(["run", "test.yaml"]).env("PATH", &path).ran().exits(0);
}

#[test]
fn names_of_the_environment_are_permitted_one_by_one() {
    let env = |rule: &str, name: &str| {
        Folder::with(&format!(
            "runbook: 1\nname: test\npermissions: {{run: [env], env: [{rule}]}}\nsteps:\n  - id: run\n    exec: {{argv: [env], env: {{{name}: x}}}}\n"
        ))
        .run(&[])
    };
    for (rule, name) in [("A", "A"), ("\"GH_*\"", "GH_TOKEN"), ("\"*\"", "ANY")] {
        env(rule, name).exits(0);
    }
    for (rule, name) in [("A", "B"), ("\"GH_*\"", "GITHUB"), ("\"GH_*\"", "XGH_A"), ("A", "a"), ("A", "LD_PRELOAD")] {
        env(rule, name).exits(2).shows("error[env-not-permitted]");
    }
}

#[test]
fn files_outside_of_what_may_be_read_are_not_sent() {
    let server = echoing();
    let folder = one(
        &server,
        "{net: [\"http://SERVER/**\"], read: [data/**]}",
        "http: {method: PUT, url: \"{{ there }}/\", file: \"{{ f }}\"}",
    );
    let text = folder.read("test.yaml").replace("inputs:\n", "inputs:\n  f: {type: string}\n");
    folder.file("test.yaml", &text);
    folder.file("data/fine.txt", "fine");
    folder.file("private.txt", "private-of-mine");
    folder.file("data-2/x.txt", "private-of-mine");
    std::os::unix::fs::symlink("../private.txt", folder.path().join("data/link.txt")).unwrap();
    std::os::unix::fs::symlink("..", folder.path().join("data/up")).unwrap();
    folder.run(&["--set", "f=data/fine.txt"]).exits(0);
    folder.run(&["--set", "f=data/../data/fine.txt"]).exits(0);
    let absolute = folder.path().join("private.txt").display().to_string();
    for path in [
        "private.txt",
        "data/../private.txt",
        "data/link.txt",
        "data/up/private.txt",
        "data-2/x.txt",
        "/etc/passwd",
        &absolute,
        "../x",
        "data/../../x",
    ] {
        folder.run(&["--set", &format!("f={path}")]).exits(5).shows("`permissions.read`");
    }
    for path in ["data/none.txt", "data", "data/"] {
        let ran = folder.run(&["--set", &format!("f={path}")]);
        assert!([1, 5].contains(&ran.code), "{path}: {}", ran.shown());
    }
    assert!(server.requests().iter().all(|request| request.body == "fine"));
}

#[test]
fn an_input_of_type_file_may_be_read_as_the_operator_named_it() {
    let server = echoing();
    let folder =
        one(&server, "{net: [\"http://SERVER/**\"]}", "http: {method: PUT, url: \"{{ there }}/\", file: \"{{ f }}\"}");
    let text = folder.read("test.yaml").replace("inputs:\n", "inputs:\n  f: {type: file}\n");
    folder.file("test.yaml", &text);
    folder.file("elsewhere/a.txt", "named");
    folder.run(&["--set", "f=elsewhere/a.txt"]).exits(0);
    folder.run(&["--set", "f=elsewhere"]).exits(2).shows("is not a file");
    folder.run(&["--set", "f=elsewhere/b.txt"]).exits(2).shows("cannot be used");
    assert_eq!(server.requests()[0].body, "named");
}

#[test]
fn tls_files_need_leave_to_be_read() {
    let server = echoing();
    for key in ["ca: ca.pem", "client_cert: ca.pem, client_key: ca.pem"] {
        let folder = one(
            &server,
            "{net: [\"https://127.0.0.1:*/**\"], read: [tls/*]}",
            &format!("http: {{url: \"https://127.0.0.1:{{{{ port }}}}/\", tls: {{{key}}}}}"),
        );
        folder.file("ca.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
        folder.run(&[]).exits(5).shows("`permissions.read`");
    }
}

#[test]
fn a_module_may_do_no_more_than_its_caller() {
    let server = echoing();
    let module = |permissions: &str| {
        format!(
            "runbook: 1\nname: module\npermissions: {}\ninputs: {{there: {{type: string}}, p: {{type: string, default: \"true\"}}}}\nsteps:\n  - id: ask\n    http: {{url: \"{{{{ there }}}}/x\"}}\n  - id: run\n    exec: [\"{{{{ p }}}}\"]\n",
            permissions.replace("SERVER", &server.address())
        )
    };
    let caller = |permissions: &str, theirs: &str| {
        let folder = one(&server, permissions, "use: module.yaml\n    with: {there: \"{{ there }}\"}");
        folder.file("module.yaml", &module(theirs));
        folder
    };
    let own = "{net: [\"GET http://SERVER/**\"], run: [\"true\"], env: [A], read: [a/**]}";
    caller(own, "{net: [\"GET http://SERVER/x\"], run: [\"true\"]}").run(&[]).exits(0);
    for theirs in [
        "{net: [\"http://SERVER/x\"], run: [\"true\"]}",
        "{net: [\"GET http://SERVER/**\"], run: [\"true\", cat]}",
        "{net: [\"GET http://SERVER/**\"], run: [\"true\"], env: [B]}",
        "{net: [\"GET http://SERVER/**\"], run: [\"true\"], env: [\"*\"]}",
        "{net: [\"GET http://SERVER/**\"], run: [\"true\"], read: [\"**\"]}",
        "{net: [\"GET http://SERVER/**\"], run: [\"true\"], read: [\"a/../b/**\"]}",
        "{net: [\"GET http://SERVER/** private\"], run: [\"true\"]}",
        "{net: [\"GET http://127.0.0.1:*/**\"], run: [\"true\"]}",
    ] {
        caller(own, theirs).run(&[]).exits(2).shows("error[wider-permission]");
    }
    // What the caller may do and the module may not, the module may not.
    let ran = caller(own, "{net: [\"GET http://SERVER/y\"], run: [\"true\"]}").run(&[]).exits(5);
    assert!(ran.stdout.contains("of this module and of each playbook that calls it"), "{}", ran.stdout);
}

/// Warnings and errors of `check`, as `code permission`.
fn told(folder: &Folder) -> Vec<String> {
    let ran = folder.program().args(["check", "test.yaml", "--output", "json"]).ran();
    let told: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{}", ran.shown()));
    let mut lines = Vec::new();
    for found in told["diagnostics"].as_array().unwrap() {
        let (code, message) = (found["code"].as_str().unwrap(), found["message"].as_str().unwrap());
        match code {
            "unused-permission" => lines.push(message.split('`').nth(1).unwrap().to_string()),
            "wider-permission" => {
                lines.extend(found["notes"][0].as_str().unwrap().lines().skip(1).map(|line| format!("beyond {line}")));
            }
            code => lines.push(format!("{code}: {message}")),
        }
    }
    lines
}

#[test]
fn what_nothing_needs_is_told() {
    let get = r#"{http: {url: "https://a.example/x"}}"#;
    let put = r#"{http: {method: PUT, url: "https://a.example/x", file: data/x.txt}}"#;
    let open = r#"{http: {method: PUT, url: "https://a.example/x", file: "data/{{ run.id }}"}}"#;
    let tls = r#"{http: {url: "https://a.example/x", tls: {ca: ca.pem}}}"#;
    let via = r#"{http: {url: "https://a.example/x", redirects: 1}}"#;
    let gh = "{exec: {argv: [gh], env: {GH_TOKEN: x}}}";
    for (permissions, step, unused) in [
        // A rule for another method, host, port or scheme is needed by nothing.
        ("net: [https://a.example/**]", get, vec![]),
        ("net: [https://a.example/**, PUT https://a.example/**]", get, vec!["PUT https://a.example/**"]),
        ("net: [\"*.example\", \"*.a.example\", \"a.example:8443\"]", get, vec!["*.a.example", "a.example:8443"]),
        ("net: [a.example, \"http://a.example\"]", get, vec!["http://a.example"]),
        ("net: [a.example private]", get, vec![]),
        // Where it may be redirected to nobody knows beforehand.
        ("net: [a.example, b.example]", via, vec![]),
        ("net: [a.example], run: [gh], env: [\"GH_*\"], read: [x], write: [y]", get, vec!["gh", "GH_*", "x", "y"]),
        // What programs read and write, and which ports they connect to, is theirs to know.
        ("net: [a.example], run: [gh, git], env: [\"*_TOKEN\", HOME], read: [x], write: [y]", gh, vec!["git", "HOME"]),
        (
            "net: [a.example], read: [data/*, data/x.txt, other/**], write: [data/x.txt]",
            put,
            vec!["other/**", "data/x.txt"],
        ),
        ("net: [a.example], read: [\"**\", \"*\"]", put, vec!["*"]),
        ("net: [a.example], read: [data/**, other/**]", open, vec![]),
        ("net: [a.example], read: [\"*.pem\", \"*.key\"]", tls, vec!["*.key"]),
        // It may be reached by a link.
        ("net: [a.example], read: [elsewhere/**]", put, vec![]),
    ] {
        let folder =
            Folder::with(&format!("runbook: 1\nname: test\npermissions: {{{permissions}}}\nsteps:\n- {step}\n"));
        assert_eq!(told(&folder), unused, "{permissions} {step}");
    }
}

#[test]
fn no_module_is_wider_than_any_of_its_callers() {
    // What the caller permits, what the module does, what is beyond.
    for (own, theirs, beyond) in [
        // Written otherwise, and the same.
        ("net: [\"GET,PUT https://A.example.:443/**\"]", "net: [\"PUT,GET https://a.example\"]", vec![]),
        ("net: [\"https://bücher.example/%61\"]", "net: [\"https://xn--bcher-kva.example:443/a\"]", vec![]),
        ("env: [\"A*\"]", "env: [\"A**\", \"AB*C\"]", vec![]),
        ("read: [./data/**]", "read: [data//**, data/./x/*, data/x/../y]", vec![]),
        ("write: [\"**\"]", "write: [\"a/?/*.txt\"]", vec![]),
        // Wildcards.
        ("net: [\"*.example\"]", "net: [\"*.a.example\"]", vec![]),
        ("net: [\"*.a.example\"]", "net: [\"*.example\"]", vec!["net: \"*.example\""]),
        ("net: [\"*.internal\"]", "net: [\"metadata.google.internal\"]", vec!["net: \"metadata.google.internal\""]),
        ("net: [\"a.example/*\"]", "net: [\"a.example/**\"]", vec!["net: \"a.example/**\""]),
        ("net: [\"a.example/a/*/c\"]", "net: [\"a.example/a/*\"]", vec!["net: \"a.example/a/*\""]),
        ("net: [\"a.example:443\"]", "net: [\"a.example:*\"]", vec!["net: \"a.example:*\""]),
        ("net: [\"https://a.example\"]", "net: [\"http://a.example\"]", vec!["net: \"http://a.example\""]),
        ("net: [\"GET a.example\"]", "net: [\"a.example\"]", vec!["net: \"a.example\""]),
        // Each alone covers none of it, and that is told: the two together are not thought of as one.
        (
            "net: [\"GET a.example\", \"PUT a.example\"]",
            "net: [\"GET,PUT a.example\"]",
            vec!["net: \"GET,PUT a.example\""],
        ),
        ("net: [\"a.example\"]", "net: [\"a.example private\"]", vec!["net: \"a.example private\""]),
        ("net: [\"a.example private\"]", "net: [\"a.example/x\"]", vec![]),
        ("env: [\"AWS_*\"]", "env: [\"A*\", \"*\", AWS]", vec!["env: A*", "env: *", "env: AWS"]),
        ("run: [gh]", "run: [/usr/bin/gh]", vec!["run: /usr/bin/gh"]),
        ("read: [\"data/*\"]", "read: [\"data/**\"]", vec!["read: FOLDER/data/**"]),
        ("read: [\"data/?\"]", "read: [\"data/*\"]", vec!["read: FOLDER/data/*"]),
        (
            "read: [\"data/**\"]",
            "read: [\"data/../x\", \"data*/x\", /data/x]",
            vec!["read: FOLDER/x", "read: FOLDER/data*/x", "read: /data/x"],
        ),
        ("read: [\"**\"]", "write: [x]", vec!["write: FOLDER/x"]),
    ] {
        let folder = Folder::new();
        let book = |name: &str, permissions: &str, next: &str| {
            format!("runbook: 1\nname: {name}\npermissions: {{{permissions}}}\nsteps:\n- {{id: {name}, {next}}}\n")
        };
        // Three deep: the first that is too narrow tells it.
        folder.file("test.yaml", &book("test", own, "use: one.yaml"));
        folder.file("one.yaml", &book("one", own, "use: two.yaml"));
        folder.file("two.yaml", &book("two", theirs, "use: three.yaml"));
        folder.file("three.yaml", &book("three", theirs, "wait: 1s"));
        let here = folder.path().canonicalize().unwrap().display().to_string();
        let told: Vec<String> = told(&folder)
            .into_iter()
            .filter_map(|line| Some(line.strip_prefix("beyond ")?.replace(&here, "FOLDER")))
            .collect();
        assert_eq!(told, beyond, "{own} {theirs}");
    }
}

#[test]
fn a_variant_has_no_permissions_of_its_own() {
    let folder = Folder::with("runbook: 1\nname: test\nextends: base.yaml\nset: {n: x}\npermissions: {run: [gh]}\n");
    folder.file("base.yaml", "runbook: 1\nname: base\ninputs: {n: {type: string}}\nsteps:\n- {assert: [n]}\n");
    let told = told(&folder);
    assert!(told.iter().any(|line| line.contains("permissions")), "{told:?}");
    folder.check().exits(2);
}

#[test]
fn no_header_makes_another_request_of_it() {
    let server = echoing();
    for name in [
        "X-HTTP-Method-Override",
        "x-http-method",
        "X-Method-Override",
        "X_HTTP_METHOD_OVERRIDE",
        "X-Original-URL",
        "X-Rewrite-Url",
    ] {
        let action = format!("http: {{url: \"{{{{ there }}}}/a\", headers: {{{name}: DELETE}}}}");
        one(&server, "{net: [\"GET http://SERVER/a\"]}", &action)
            .run(&[])
            .exits(2)
            .shows("makes servers do another request");
    }
    assert!(server.requests().is_empty());
}

#[test]
fn playbooks_and_schemas_lie_below_the_folder() {
    let folder = Folder::new();
    let outside = Folder::new();
    outside.file("module.yaml", "runbook: 1\nname: module\nsteps:\n  - wait: 1ms\n");
    outside.file("shape.json", "{}");
    std::os::unix::fs::symlink(outside.path(), folder.path().join("link")).unwrap();
    let away = outside.path().display().to_string();
    for path in [
        format!("{away}/module.yaml"),
        "link/module.yaml".into(),
        format!("../{}/module.yaml", outside.path().file_name().unwrap().to_string_lossy()),
    ] {
        folder.file("test.yaml", &format!("runbook: 1\nname: test\nsteps:\n  - id: a\n    use: {path}\n"));
        folder.run(&[]).exits(2).shows("error[file-outside]");
    }
    for path in [format!("{away}/shape.json"), "link/shape.json".into()] {
        folder.file(
            "test.yaml",
            &format!("runbook: 1\nname: test\nsteps:\n  - id: a\n    assert: [{{schema: {path}}}]\n"),
        );
        folder.run(&[]).exits(2).shows("error[file-outside]");
    }
    // What a playbook extends lies there too.
    for path in [format!("{away}/module.yaml"), "link/module.yaml".into(), "inner/out.yaml".into()] {
        std::fs::create_dir_all(folder.path().join("inner")).unwrap();
        let _ = std::os::unix::fs::symlink(outside.path().join("module.yaml"), folder.path().join("inner/out.yaml"));
        folder.file("test.yaml", &format!("runbook: 1\nname: test\nextends: {path}\n"));
        folder.run(&[]).exits(2).shows("error[file-outside]");
    }
    folder.file("test.yaml", "runbook: 1\nname: test\nsteps:\n  - id: a\n    use: /etc/passwd\n");
    let ran = folder.run(&[]).exits(2);
    assert!(!ran.shown().contains("root:"), "{}", ran.shown());
}

/// What the playbook names it needs leave for, before the first step as well.
#[test]
fn sources_of_inputs_need_leave() {
    let playbook = |permissions: &str, input: &str| {
        Folder::with(&format!(
            "runbook: 1\nname: test\npermissions: {permissions}\ninputs:\n  key: {{type: secret, {input}}}\nsteps:\n  - assert: [key]\n"
        ))
    };
    let command = "command: [touch, owned]";
    let folder = playbook("{run: [cat]}", command);
    folder.run(&[]).exits(2).shows("error[program-not-permitted]: running `touch` is not permitted");
    assert!(!folder.path().join("owned").exists(), "it was run");
    playbook("{run: [touch]}", command).run(&[]).exits(2).shows("it is empty");

    let file = "file: keys/one";
    for (permissions, code, says) in [
        ("{}", 2, "error[file-not-permitted]: reading `keys/one` is not permitted"),
        ("{read: [keys/two]}", 2, "file-not-permitted"),
        ("{read: [keys/*]}", 0, "passed"),
    ] {
        let folder = playbook(permissions, file);
        folder.file("keys/one", "the-s3cret-key");
        folder.run(&[]).exits(code).shows(says).hides("the-s3cret-key");
    }
    // A link leads out of what is permitted.
    let folder = playbook("{read: [keys/*]}", file);
    let elsewhere = Folder::new();
    elsewhere.file("one", "the-s3cret-key");
    std::fs::create_dir(folder.path().join("keys")).unwrap();
    std::os::unix::fs::symlink(elsewhere.path().join("one"), folder.path().join("keys/one")).unwrap();
    folder.run(&[]).exits(2).shows("is not permitted by `permissions.read`").hides("the-s3cret-key");
}

#[test]
fn a_file_that_the_playbook_names_by_an_input_needs_leave() {
    let server = echoing();
    let sending = |permissions: &str, input: &str| {
        let action = "http: {method: PUT, url: \"{{ there }}/\", file: \"{{ f }}\"}";
        let folder = one(&server, &format!("{{net: [\"http://SERVER/**\"]{permissions}}}"), action);
        let text = folder.read("test.yaml").replace("inputs:\n", &format!("inputs:\n  f: {{type: file, {input}}}\n"));
        folder.file("test.yaml", &text);
        folder.file("private.txt", "private");
        folder
    };
    for input in ["default: private.txt", "env: NAMED"] {
        let ran = sending("", input).program().args(["run", "test.yaml"]).env("NAMED", "private.txt").ran();
        ran.exits(5).shows("is not permitted by `permissions.read`");
        let folder = sending(", read: [private.txt]", input);
        folder.program().args(["run", "test.yaml"]).env("NAMED", "private.txt").ran().exits(0);
    }
    assert!(server.requests().len() == 2);

    // Nor may a caller let its module read what it may not read itself.
    let module = Folder::new();
    let address = server.address();
    module.file(
        "part.yaml",
        &format!("runbook: 1\nname: part\ninputs: {{f: {{type: file}}}}\npermissions: {{net: [\"http://{address}/**\"]}}\nsteps:\n  - http: {{method: PUT, url: \"http://{address}/\", file: \"{{{{ f }}}}\"}}\n"),
    );
    let caller = |read: &str| {
        format!(
            "runbook: 1\nname: test\npermissions: {{net: [\"http://{address}/**\"], read: {read}}}\nsteps:\n  - use: part.yaml\n    with: {{f: private.txt}}\n"
        )
    };
    module.file("private.txt", "private");
    module.file("test.yaml", &caller("[]"));
    module.run(&[]).exits(5).shows("is not permitted by `permissions.read`");
    module.file("test.yaml", &caller("[private.txt]"));
    module.run(&[]).exits(0);
    assert!(server.requests().len() == 3);
}

#[test]
fn more_rules_than_anybody_reads_are_refused() {
    let rules = |count: usize| (0..count).map(|index| format!("f{index}, ")).collect::<String>();
    let with = |count: usize| {
        Folder::with(&format!(
            "runbook: 1\nname: test\npermissions: {{run: [bash], read: [{}]}}\nsteps:\n  - shell: 'true'\n",
            rules(count)
        ))
    };
    with(1000).check().exits(0);
    with(1001).check().exits(2).shows("error[bad-permission]: 1001 rules");
}
