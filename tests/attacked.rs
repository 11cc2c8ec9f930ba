//! Ways in which a record could be led to forget, to double or to tell: each was tried by somebody who meant harm.

mod support;

use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use support::{Answer, Folder, Ran, Server};

/// A server that is sick at `/sick` until it is mended.
fn sick() -> (Server, Arc<AtomicBool>) {
    let well = Arc::new(AtomicBool::new(false));
    let seen = well.clone();
    let server = Server::start(move |request, _| match request.path.as_str() {
        "/sick" if !seen.load(Ordering::SeqCst) => Answer::json(500, json!({})),
        "/token" => Answer::json(200, json!({"token": "outcome"})),
        "/led" => Answer::text(303, "").header("location", "/busy"),
        "/busy" => Answer::text(429, "busy"),
        _ => Answer::json(200, json!({})),
    });
    (server, well)
}

fn playbook(server: &Server, rest: &str) -> Folder {
    let address = server.address();
    Folder::with(&format!(
        "runbook: 1\nname: test\npermissions: {{net: [\"http://{address}/**\"]}}\nvars: {{api: \"http://{address}\"}}\n{rest}"
    ))
}

fn paths(server: &Server) -> Vec<String> {
    server.requests().into_iter().map(|request| request.path).collect()
}

fn run(folder: &Folder, arguments: &[&str], secret: &str) -> Ran {
    folder.program().args(arguments).env("SECRET", secret).ran()
}

/// Secrets that are spelt like a step's id, or like what records are made of.
#[test]
fn a_secret_that_is_spelt_like_the_record_changes_nothing_of_it() {
    for secret in ["postgres", "passed", "attempt-finished", "policy", "captures"] {
        let (server, well) = sick();
        let folder = playbook(
            &server,
            "inputs: {pw: {type: secret, env: SECRET}}\nsteps:\n  - id: create-postgres-user\n    http: {method: POST, url: \"{{ api }}/create\", json: {pw: \"{{ pw }}\"}}\n  - {id: sick, http: {url: \"{{ api }}/sick\"}}\n",
        );
        run(&folder, &["run", "test.yaml"], secret).exits(1);
        well.store(true, Ordering::SeqCst);
        run(&folder, &["resume", "last"], secret).exits(0);
        assert_eq!(paths(&server), ["/create", "/sick", "/sick"], "{secret}");
        run(&folder, &["verify", "last"], secret).exits(0);
    }
}

#[test]
fn an_answered_secret_that_is_spelt_like_the_record_is_kept() {
    let (server, well) = sick();
    let folder = playbook(
        &server,
        "steps:\n  - id: roll\n    http: {method: POST, url: \"{{ api }}/token\"}\n    capture: {token: {jq: .token, secret: true}}\n  - {id: sick, http: {url: \"{{ api }}/sick\"}}\n",
    );
    run(&folder, &["run", "test.yaml"], "").exits(1);
    run(&folder, &["reveal", "last", "token", "--to-file", "kept", "--yes"], "").exits(0);
    assert_eq!(folder.read("kept"), "outcome");
    well.store(true, Ordering::SeqCst);
    run(&folder, &["resume", "last"], "").exits(0);
    assert_eq!(paths(&server), ["/token", "/sick", "/sick"]);
}

/// Iterations are known by their numbers, so the list is the one that they were begun with.
#[test]
fn a_list_that_has_become_another_is_looped_over_as_it_was() {
    let (server, well) = sick();
    let folder = playbook(
        &server,
        "inputs: {ids: {type: secret, env: SECRET}}\nsteps:\n  - id: each\n    for_each: \"{{ ids | split(pat=',') }}\"\n    http: {method: POST, url: \"{{ api }}/item\", json: {id: \"{{ item }}\"}}\n  - {id: sick, http: {url: \"{{ api }}/sick\"}}\n",
    );
    run(&folder, &["run", "test.yaml"], "secret-aa,secret-bb").exits(1);
    well.store(true, Ordering::SeqCst);
    run(&folder, &["resume", "last"], "secret-new,secret-aa,secret-bb").exits(0);
    assert_eq!(paths(&server), ["/item", "/item", "/sick", "/sick"]);
}

/// Where an answer comes from the place that another led to, what led there was sent.
#[test]
fn a_refusal_further_on_does_not_say_that_nothing_was_sent() {
    let (server, _) = sick();
    let folder = playbook(
        &server,
        "steps:\n  - id: led\n    http: {method: POST, url: \"{{ api }}/led\", redirects: 3}\n    retry: {attempts: 3, delay: 1ms}\n    on_unknown: ask\n",
    );
    run(&folder, &["run", "test.yaml"], "").exits(1);
    run(&folder, &["resume", "last"], "").exits(4);
    assert_eq!(paths(&server), ["/led", "/busy"]);
}

/// What stands in an `on_failure` and nobody knows is asked, whoever lets the failure pass.
#[test]
fn what_nobody_knows_is_not_let_pass_with_the_failure_around_it() {
    let (server, _) = sick();
    let folder = playbook(
        &server,
        "steps:\n  - id: all\n    continue_on_failure: true\n    group:\n      - id: sick\n        http: {url: \"{{ api }}/sick\"}\n        on_failure: [{id: roll, http: {method: POST, url: \"{{ api }}/roll\"}}]\n",
    );
    // The n-th write is that of the outcome of `roll`.
    let mut program = folder.program().args(["run", "test.yaml"]).env("RUNBOOK_FAULT", "6:before");
    program.0.stdout(std::process::Stdio::null());
    program.ran().exits(-1);
    assert_eq!(paths(&server), ["/sick", "/roll"]);
    run(&folder, &["resume", "last"], "").exits(4).shows("--redo");
    assert_eq!(paths(&server), ["/sick", "/roll"]);
}

/// What will not do as a secret fails the step, and is kept for a person all the same.
#[test]
fn a_secret_that_will_not_do_is_kept() {
    let (server, _) = sick();
    let folder = playbook(&server, "");
    folder.file(
        "test.yaml",
        "runbook: 1\nname: test\npermissions: {run: [printf]}\nsteps:\n  - id: roll\n    exec: [printf, 'tok-abcdef-123\\n']\n    capture: {token: {from: stdout, secret: true}}\n",
    );
    run(&folder, &["run", "test.yaml"], "").exits(1).hides("tok-abcdef-123");
    run(&folder, &["reveal", "last", "token", "--to-file", "kept", "--yes"], "").exits(0);
    assert_eq!(folder.read("kept").trim(), "tok-abcdef-123");
}

/// Each iteration of a loop has its own.
#[test]
fn secrets_of_one_name_can_each_be_had() {
    let (server, _) = sick();
    let folder = playbook(&server, "");
    folder.file(
        "test.yaml",
        "runbook: 1\nname: test\npermissions: {run: [printf]}\nsteps:\n  - id: roll\n    for_each: [one, two]\n    exec: [printf, 'token-of-%s', '{{ item }}']\n    capture: {token: {from: stdout, secret: true}}\n  - assert: [\"1 == 2\"]\n",
    );
    run(&folder, &["run", "test.yaml"], "").exits(1);
    let reveal =
        |name: &str, file: &str| run(&folder, &["reveal", "last", name, "--to-file", file, "--yes"], "").exits(0);
    reveal("token", "last").shows("of that name there are also `roll[0]/token`");
    reveal("roll[0]/token", "first");
    assert_eq!((folder.read("first").as_str(), folder.read("last").as_str()), ("token-of-one", "token-of-two"));
}

/// A summary must not soothe: what was sent and failed may have done something all the same.
#[test]
fn what_was_sent_and_failed_is_not_called_unchanged() {
    let (server, well) = sick();
    let folder = playbook(
        &server,
        "steps:\n  - {id: sick, effect: once, http: {method: POST, url: \"{{ api }}/sick\", json: {}}}\n",
    );
    let ran = folder.run(&[]).exits(1);
    ran.shows("may have been changed (sent, and did not pass):\n  - sick").hides("nothing was changed");
    folder.run(&["--output", "json"]).exits(1).shows("\"perhaps_changed\":[\"sick\"]");
    // A person's word, and it passes: then it is known.
    well.store(true, Ordering::SeqCst);
    let ran = folder.program().args(["resume", "last", "--redo", "sick"]).ran().exits(0);
    ran.shows("changed:\n  - sick").hides("may have been changed");
    // What was refused with the word that it was not done is not among them.
    let folder = playbook(&server, "steps:\n  - {id: busy, http: {method: POST, url: \"{{ api }}/busy\", json: {}}}\n");
    folder.run(&[]).exits(1).shows("nothing was changed").hides("may have been changed");
}
