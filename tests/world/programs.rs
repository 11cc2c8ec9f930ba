//! Programs: found on PATH, called with real arguments, real input and real files.

use crate::support::{RUNBOOK, Up, up};
use serde_json::json;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const TOOLS: &str = r#"
world: 1
state: {secrets: {}}
programs:
  vault: |
    if .argv[1] == "set" then
      .stdin as $value | .argv[2] as $name | .state | .secrets[$name] = $value
      | {exit_code: 0, stdout: "set \($name)\n", state: .}
    elif .argv[1] == "echo" then {exit_code: 0, stdout: (del(.state) | tojson)}
    elif .argv[1] == "bad" then {exit_code: 0, stdout: 5}
    else {exit_code: 3, stdout: "out\n", stderr: "no such \(.argv[1])\n"} end
  odd 'name' $(id): '{exit_code: 0, stdout: .argv[0]}'
  slow: '{exit_code: 0, delay: "50ms"}'
  /opt/tool/bin/tool: '{exit_code: 0, stdout: .argv[0]}'
"#;

/// Calls a program as a step does: found on the world's PATH, with this environment alone.
fn call(up: &Up, program: &str, arguments: &[&str], stdin: &str) -> Output {
    let path = up.world.stand_ins().programs.join(program);
    let mut child = Command::new(path)
        .args(arguments)
        .env_clear()
        .env("TOKEN", "t=1 '\n")
        .current_dir(up.folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text_of(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_program_answers_from_the_shared_state() {
    let up = up(TOOLS);
    let out = call(&up, "vault", &["set", "A"], "s3cret\n");
    assert_eq!((out.status.code(), text_of(&out.stdout), text_of(&out.stderr)), (Some(0), "set A\n", ""));
    assert_eq!(up.world.state().unwrap(), json!({"secrets": {"A": "s3cret\n"}}));
    let out = call(&up, "vault", &["lose"], "");
    assert_eq!((out.status.code(), text_of(&out.stdout), text_of(&out.stderr)), (Some(3), "out\n", "no such lose\n"));
    let call = up.last_call();
    let kept = ["program", "argv", "stdin", "exit_code", "n"].map(|name| call[name].clone());
    assert_eq!(json!(kept), json!(["vault", ["vault", "lose"], "", 3, 2]));
}

#[test]
fn a_fake_sees_the_call_as_it_was_made() {
    let up = up(TOOLS);
    std::fs::write(up.folder.path().join("body.json"), "{\"a\": 1}").unwrap();
    let arguments =
        ["echo", "--at", "-x", "--", "", "a 'b' \"c\" $d \\ `e`\n", "--data=@body.json", "--file=body.json"];
    let out = call(&up, "vault", &arguments, "in");
    let seen: serde_json::Value = serde_json::from_str(text_of(&out.stdout)).unwrap();
    let mut argv = vec!["vault"];
    argv.extend(arguments);
    assert_eq!(seen["argv"], json!(argv));
    assert_eq!(seen["env"], json!({"TOKEN": "t=1 '\n"}));
    assert_eq!(seen["stdin"], "in");
    assert_eq!(seen["files"], json!({"body.json": "{\"a\": 1}"}));
    let out = call(&up, "odd 'name' $(id)", &[], "");
    assert_eq!(text_of(&out.stdout), "odd 'name' $(id)");
    assert_eq!(call(&up, "slow", &[], "").status.code(), Some(0));
    assert_eq!(text_of(&call(&up, "opt/tool/bin/tool", &[], "").stdout), "/opt/tool/bin/tool");
}

#[test]
fn the_folder_of_programs_is_private_and_has_nothing_else() {
    use std::os::unix::fs::PermissionsExt;
    let up = up(TOOLS);
    let programs = up.world.stand_ins().programs;
    let mut names: Vec<_> = std::fs::read_dir(&programs).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["odd 'name' $(id)", "opt", "slow", "vault"]);
    for folder in [programs.as_path(), programs.parent().unwrap()] {
        assert_eq!(std::fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700);
    }
}

#[test]
fn a_fake_that_fails_is_not_taken_for_the_program() {
    let up = up(TOOLS);
    let out = call(&up, "vault", &["bad"], "");
    let wanted = "runbook world: vault: the fake of `vault` failed: `stdout` is 5, not a text: `tojson` makes one\n";
    assert_eq!((out.status.code(), text_of(&out.stdout), text_of(&out.stderr)), (Some(70), "", wanted));
    assert_eq!(up.last_call()["exit_code"], json!(null));
}

#[test]
fn without_a_world_its_programs_are_not_there() {
    let address = up(TOOLS).world.address().to_owned();
    let out = Command::new(RUNBOOK)
        .args(["world-program", "--at", &address, "--name=vault", "--"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let wanted = format!("runbook world: vault: there is no world at {address}: Connection refused (os error 111)\n");
    assert_eq!((out.status.code(), text_of(&out.stderr)), (Some(127), wanted.as_str()));
}

#[test]
fn a_real_program_gets_its_environment_and_all_arguments() {
    let up = up(r#"
world: 1
files:
  gh/config.yml: "socket: {{ world.socket }}\n"
  top: "{{ other }}"
hosts: {a.test: {GET /: '{status: 200, text: "fake"}'}}
programs:
  sh:
    program: /bin/sh
    env:
      ODD: "it's $HOME `x` \"y\"\n\\ "
      CONFIG: "{{ world.folder }}/gh"
      AT: "{{world.address}}"
"#);
    let script = "printf '%s|' \"$ODD\" \"$AT\" \"$@\"; cat \"$CONFIG/config.yml\" \"$CONFIG/../top\"; cat; exit 4";
    let script = script.replace("cat", "/bin/cat");
    let out = call(&up, "sh", &["-c", &script, "name", "a b", "'", ""], "in");
    let address = up.world.address();
    let own = address.strip_prefix("http://").unwrap();
    let socket = up.get(own, "/info").json()["socket"].as_str().unwrap().to_owned();
    let wanted = format!("it's $HOME `x` \"y\"\n\\ |{address}|a b|'||socket: {socket}\n{{{{ other }}}}in");
    assert_eq!((out.status.code(), text_of(&out.stdout), text_of(&out.stderr)), (Some(4), wanted.as_str(), ""));
}

/// The real thing where it is installed: it seals the secret itself, and the world's fake opens it.
#[test]
fn a_real_gh_talks_to_the_worlds_github() {
    if !Path::new("/usr/bin/gh").exists() {
        return eprintln!("no /usr/bin/gh here: nothing tested");
    }
    let key = crypto_box::SecretKey::generate(&mut crypto_box::aead::OsRng);
    let base64 = |bytes: &[u8]| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes);
    let text = r#"
world: 1
state: {public: "PUBLIC", private: "PRIVATE", secrets: {}}
files:
  gh/config.yml: "http_unix_socket: {{ world.socket }}\n"
hosts:
  api.github.com:
    - GET /repos/{owner}/{repo}/actions/secrets/public-key: '{status: 200, json: {key_id: "1", key: .state.public}}'
    - PUT /repos/{owner}/{repo}/actions/secrets/{name}: |
        .params.name as $name | .state.private as $key | .request.json.encrypted_value as $box
        | {status: 201, json: {}, state: (.state | .secrets[$name] = ($box | sealed_open($key)))}
programs:
  gh: {program: /usr/bin/gh, env: {GH_CONFIG_DIR: "{{ world.folder }}/gh", HOME: "{{ world.folder }}", GH_TOKEN: t}}
"#;
    let text =
        text.replace("PUBLIC", &base64(key.public_key().as_bytes())).replace("PRIVATE", &base64(&key.to_bytes()));
    let up = up(&text);
    let out = call(&up, "gh", &["secret", "set", "NAME", "--app", "actions", "--repo", "o/r"], "cfut_value\n");
    assert_eq!((out.status.code(), text_of(&out.stderr)), (Some(0), ""));
    assert_eq!(up.world.state().unwrap()["secrets"], json!({"NAME": "cfut_value"}));
    let call = up.last_call();
    assert_eq!((&call["headers"]["authorization"], &call["host"]), (&json!("token t"), &json!("api.github.com")));
}
