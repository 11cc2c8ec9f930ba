//! `--allow`: what an operator permits for one run besides, and how that is told and remembered. And which file was run.

mod support;

use serde_json::{Value as Json, json};
use support::{Answer, Folder, Program, Ran, Server};

fn records(folder: &Folder) -> Vec<Json> {
    let runs = folder.path().join("state/runs");
    let mut all: Vec<_> = std::fs::read_dir(&runs).unwrap().flatten().map(|entry| entry.path()).collect();
    all.sort();
    let text = std::fs::read_to_string(all.pop().unwrap().join("journal.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of_type<'a>(records: &'a [Json], kind: &str) -> Vec<&'a Json> {
    records.iter().filter(|record| record["type"] == kind).collect()
}

fn program(folder: &Folder, arguments: &[&str]) -> Program {
    let state = folder.path().join("state").display().to_string();
    folder.program().env("RUNBOOK_STATE_DIR", &state).args(arguments)
}

fn run(folder: &Folder, arguments: &[&str]) -> Ran {
    program(folder, &["run", "test.yaml"]).args(arguments).ran()
}

/// A program and a host that no permission names.
fn wanting(server: &Server) -> Folder {
    let there = server.address();
    Folder::with(&format!(
        "runbook: 1\nname: test\npermissions: {{net: [\"GET http://{there}/a\"]}}\nsteps:\n- {{id: get, http: {{url: \"http://{there}/b\", method: PUT}}}}\n\
         - {{id: do, exec: {{argv: [printenv, NAME], env: {{NAME: x}}}}}}\n"
    ))
}

fn server() -> Server {
    Server::start(|request, _| Answer::json(200, json!({"got": request.body})))
}

#[test]
fn a_rule_for_one_run_makes_up_for_what_the_playbook_lacks() {
    let server = server();
    let folder = wanting(&server);
    let net = format!("net:PUT http://{}/b", server.address());
    let all = ["--allow", &net, "--allow", "run:printenv", "--allow", "env:NAME"];
    run(&folder, &[]).exits(2).shows("host-not-permitted").shows("program-not-permitted").shows("env-not-permitted");
    run(&folder, &all[..2]).exits(2).shows("program-not-permitted");
    program(&folder, &["check", "test.yaml"]).args(all).ran().exits(0);
    program(&folder, &["plan", "test.yaml"]).args(all).ran().exits(0).shows("for this run also permitted");
    assert!(server.requests().is_empty());
    let told = format!("for this run also permitted: {net}, run:printenv, env:NAME");
    run(&folder, &[&all[..], &["--output", "plain"]].concat()).exits(0).shows(&told);
    let records_of = records(&folder);
    assert_eq!(records_of[0]["allowed"], json!([net, "run:printenv", "env:NAME"]));
    program(&folder, &["show", "last"]).ran().exits(0).shows(&told);
    program(&folder, &["status", "last"]).ran().exits(0).shows("besides, for this run: run:printenv");
    let ran = run(&folder, &[&all[..], &["--output", "json"]].concat()).exits(0);
    let first: Json = serde_json::from_str(ran.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(first["allowed"], json!([net, "run:printenv", "env:NAME"]));
    // What a playbook means does not depend on it.
    let plain = |arguments: &[&str]| {
        let ran = program(&folder, &["plan", "test.yaml", "--output", "json"]).args(arguments).ran().exits(0);
        serde_json::from_str::<Json>(&ran.stdout).unwrap()["digest"].clone()
    };
    assert_eq!(plain(&all), plain(&[&all[..], &["--allow", "run:other"]].concat()));
    assert_eq!(plain(&all), records_of[0]["playbook"]["digest"]);
}

#[test]
fn it_holds_for_that_rule_and_nothing_else() {
    let server = server();
    let folder = wanting(&server);
    let there = server.address();
    // The path is judged when it is sent.
    let net = format!("net:PUT http://{there}/c");
    let allow = ["--allow", net.as_str(), "--allow", "run:printenv", "--allow", "env:NAME"];
    run(&folder, &allow).exits(5).shows("is not permitted");
    assert!(server.requests().is_empty());
}

#[test]
fn it_reaches_every_module_on_the_way() {
    let server = server();
    let there = server.address();
    let folder = Folder::new();
    let uses =
        |name: &str, next: &str| format!("runbook: 1\nname: {name}\nsteps:\n- {{id: {name}, use: {next}.yaml}}\n");
    folder.file("test.yaml", &uses("test", "one"));
    folder.file("one.yaml", &uses("one", "two"));
    folder.file("two.yaml", &uses("two", "three"));
    let three = |permissions: &str| {
        format!(
            "runbook: 1\nname: three\npermissions: {permissions}\nsteps:\n- {{id: get, http: {{url: \"http://{there}/x\"}}}}\n"
        )
    };
    folder.file("three.yaml", &three(&format!("{{net: [\"GET http://{there}/x\"]}}")));
    run(&folder, &[]).exits(2).shows("error[wider-permission]: `three` may do what this playbook may not");
    let net = format!("net:http://{there}/**");
    run(&folder, &["--allow", &net]).exits(0);
    folder.file("three.yaml", &three("{}"));
    run(&folder, &[]).exits(2).shows("host-not-permitted");
    run(&folder, &["--allow", &net]).exits(0);
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn where_a_secret_may_go_is_not_widened() {
    let server = server();
    let folder = Folder::with(&format!(
        "runbook: 1\nname: test\ninputs:\n  token: {{type: secret, env: TOKEN, to: [api.example.com]}}\n  there: {{type: string, default: \"http://{}\"}}\nsteps:\n\
         - {{id: get, http: {{url: \"{{{{ there }}}}/x\", auth: {{bearer: \"{{{{ token }}}}\"}}}}}}\n",
        server.address()
    ));
    let net = format!("net:http://{}/**", server.address());
    let ran = program(&folder, &["run", "test.yaml", "--allow", &net]).env("TOKEN", "hUnter2hUnter2").ran();
    ran.exits(5).shows("the secret `token` in `auth` may not go to");
    run(&folder, &["--allow", "to:token=other.example"]).exits(2).shows("cannot be widened");
    assert!(server.requests().is_empty());
}

#[test]
fn bad_rules_are_told_at_once() {
    let folder = wanting(&server());
    for (rule, why) in [
        ("gh", "it says not what of: give `net:GET https://host/path`"),
        ("net", "it says not what of"),
        ("net:", "a rule is empty"),
        ("net:get https://a.example", "in upper case"),
        ("net:https://*", "may only stand first"),
        ("net:http://0xa9fea9fe", "another spelling of 169.254.169.254"),
        ("run:", "empty"),
        ("run:./gh", "is a relative path"),
        ("run:g*", "without `*`"),
        ("env:", "no name of an environment variable"),
        ("env:A=b", "no name of an environment variable"),
        ("read:", "a path is empty"),
        ("read:a**", "`**` has to stand alone"),
        ("files:x", "`files` is no kind of permission"),
    ] {
        for command in ["run", "check", "plan"] {
            let ran = program(&folder, &[command, "test.yaml", "--allow", rule]).ran().exits(2);
            assert!(ran.stderr.contains(&format!("`--allow {rule}`: ")) && ran.stderr.contains(why), "{}", ran.stderr);
        }
    }
    assert!(!folder.path().join("state/runs").exists());
}

#[test]
fn paths_are_the_operators() {
    let server = server();
    let folder = Folder::new();
    folder.file("here/data.txt", "from here");
    folder.file("books/data.txt", "beside the playbook");
    let book = |file: &str| {
        format!(
            "runbook: 1\nname: test\npermissions: {{net: [\"PUT http://{0}/**\"]}}\nsteps:\n- {{id: put, http: {{method: PUT, url: \"http://{0}/x\", file: {file}}}}}\n",
            server.address()
        )
    };
    folder.file("books/test.yaml", &book("../here/data.txt"));
    let from = |rule: &str| {
        let mut program = program(&folder, &["run", "../books/test.yaml", "--allow", rule]);
        program.0.current_dir(folder.path().join("here"));
        program.ran()
    };
    from("read:data.txt").exits(0);
    assert_eq!(server.requests()[0].body, "from here");
    let here = folder.path().canonicalize().unwrap().join("here/data.txt");
    assert_eq!(records(&folder)[0]["allowed"], json!([format!("read:{}", here.display())]));
    folder.file("books/test.yaml", &book("data.txt"));
    from("read:data.txt").exits(5);
    from("write:data.txt").exits(5);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_resume_has_what_its_run_was_begun_with_and_says_what_it_adds() {
    let server = Server::start(|request, turn| match (request.path.as_str(), turn) {
        ("/b", 0) => Answer::text(500, ""),
        _ => Answer::json(200, json!({})),
    });
    let there = server.address();
    let folder = Folder::with(&format!(
        "runbook: 1\nname: test\ninputs: {{p: {{type: string, default: \"true\"}}}}\nsteps:\n- {{id: first, effect: idempotent, http: {{url: \"http://{there}/b\"}}}}\n\
         - {{id: second, effect: idempotent, exec: [\"{{{{ p }}}}\"]}}\n"
    ));
    let net = format!("net:http://{there}/**");
    run(&folder, &["--allow", &net]).exits(1);
    // What it began with is there; the program is permitted by nobody yet.
    program(&folder, &["resume", "last"]).ran().exits(5).shows(&format!("for this run also permitted: {net}"));
    let ran = program(&folder, &["resume", "last", "--allow", "run:true", "--allow", &net]).ran().exits(0);
    ran.shows(&format!("for this run also permitted: {net}, run:true"));
    let records = records(&folder);
    let resumed = of_type(&records, "run-resumed");
    assert_eq!(
        resumed.iter().map(|record| &record["allowed"]).collect::<Vec<_>>(),
        [&Json::Null, &json!(["run:true"])]
    );
    program(&folder, &["show", "last"]).ran().exits(0).shows("from here on also permitted: run:true");
    program(&folder, &["status", "last"]).ran().exits(0).shows("run:true");
    program(&folder, &["verify", "last"]).ran().exits(0);
}

#[test]
fn which_file_was_run_is_recorded() {
    let folder = Folder::with(
        "runbook: 1\nname: test\npermissions: {run: [tool, bash]}\nsteps:\n- {id: tool, exec: [tool]}\n- {id: script, shell: \"true\", effect: read}\n\
         - {id: set, set: {a: 1}}\n",
    );
    use std::os::unix::fs::{PermissionsExt, symlink};
    let real = folder.file("real/tool-1.2", "#!/bin/sh\nexit 0\n");
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::create_dir(folder.path().join("bin")).unwrap();
    symlink(&real, folder.path().join("bin/tool")).unwrap();
    let path = format!("{}:{}", folder.path().join("bin").display(), std::env::var("PATH").unwrap());
    program(&folder, &["run", "test.yaml"]).env("PATH", &path).ran().exits(0);
    let records = records(&folder);
    let real = real.canonicalize().unwrap().display().to_string();
    assert_eq!(of_type(&records, "attempt-started")[0]["program"], real);
    let finished: Vec<_> = of_type(&records, "attempt-finished");
    assert_eq!(finished[0]["program"], real);
    assert!(finished[1]["program"].as_str().is_some_and(|file| file.starts_with('/') && file.ends_with("bash")));
    assert_eq!(finished[2]["program"], Json::Null);
    program(&folder, &["status", "last"]).ran().exits(0).shows("programs     ").shows(&real);
}

#[test]
fn what_a_playbook_names_itself_is_no_wish_of_the_operators() {
    let server = server();
    let there = server.address();
    let folder = Folder::new();
    let key = folder.file("home/id_key", "mine alone");
    let key = key.canonicalize().unwrap().display().to_string();
    let send = |name: &str, default: &str| {
        format!(
            "runbook: 1\nname: {name}\ninputs: {{key: {{type: file{default}}}}}\npermissions: {{net: [\"PUT http://{there}/**\"]}}\nsteps:\n\
                 - {{id: put, http: {{method: PUT, url: \"http://{there}/x\", file: \"{{{{ key }}}}\"}}}}\n"
        )
    };
    folder.file("books/linked.yaml", &send("linked", ", default: books/link"));
    std::os::unix::fs::symlink(&key, folder.path().join("books/link")).unwrap();
    // By a default, by a variant, by a module that is handed it.
    folder.file("books/test.yaml", &send("test", &format!(", default: \"{key}\"")));
    folder.file("books/module.yaml", &send("module", ""));
    folder.file(
        "books/variant.yaml",
        &format!("runbook: 1\nname: variant\nextends: module.yaml\nset: {{key: \"{key}\"}}\n"),
    );
    folder.file(
        "books/caller.yaml",
        &format!("runbook: 1\nname: caller\npermissions: {{net: [\"PUT http://{there}/**\"]}}\nsteps:\n- {{id: put, use: module.yaml, with: {{key: \"{key}\"}}}}\n"),
    );
    for name in ["test", "linked", "variant", "caller"] {
        let path = format!("books/{name}.yaml");
        program(&folder, &["run", &path]).ran().exits(5).shows("is not permitted by `permissions.read`");
    }
    assert!(server.requests().is_empty());
    // What the operator gives is another matter, and a caller's own permission too.
    program(&folder, &["run", "books/module.yaml", "--set", &format!("key={key}")]).ran().exits(0);
    program(&folder, &["run", "books/caller.yaml", "--allow", &format!("read:{key}")]).ran().exits(0);
    assert_eq!(server.requests().len(), 2);
}
