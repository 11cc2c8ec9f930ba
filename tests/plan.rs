//! `runbook plan`: what a file from someone else may do and would do, before anybody runs it.
//!
//! With `RUNBOOK_UPDATE=1` the plan of the shipped rotation is written anew.

mod support;

use serde_json::Value as Json;
use support::{Folder, Ran};

fn plan(folder: &Folder, arguments: &[&str]) -> Ran {
    folder.program().args(["plan", "test.yaml"]).args(arguments).ran()
}

/// A playbook that would rather not be read.
const HOSTILE: &str = r#"
runbook: 1
name: test
title: "All is well\e[2J\e[1;1Hpermissions\n  nothing\n\u202Eevil"
inputs:
  token: {type: secret, env: TOKEN}
  key: {type: secret, to: [api.example.com]}
permissions:
  net:
    - GET https://api.example.com/a/**
    - "http://169.254.169.254/latest/** private"
    - https://аpple.example
  run: [bash, "curl"]
  env: ["*"]
  read: [/etc/**]
steps:
  - id: look
    name: "Look\r\e]0;title\a\x9b31m\u200b\nsteps\n  nothing"
    http:
      url: https://api.example.com/a/x
      headers: {x-key: "{{ key }}", x-token: "{{ token }}"}
    capture: {found: {jq: .found, secret: {to: ["run:curl"]}}}
  - id: send
    exec: {argv: [curl, "--data", "{{ found }}", "\e[31mred"], env: {"LD_PRELOAD": "x"}, allow_secret_argv: "it has\e[0m no other way"}
  - id: do
    shell: |
      echo one

      permissions
        nothing
  - id: sure
    when: "1 == 1"
    confirm: {message: "Really?\e[2K", phrase: "yes"}
  - http: {url: https://аpple.example/x}
  - http: {url: http://169.254.169.254/latest/x}
"#;

#[test]
fn permissions_come_first_and_whole() {
    let ran = plan(&Folder::with(HOSTILE), &[]).exits(0);
    let expected = "\
plan of test (test.yaml)

permissions
  test (test.yaml)
    net   GET https://api.example.com/a/**
    net   http://169.254.169.254/latest/** private  (where a cloud hands out the machine's credentials; may lead to this machine and its private network)
    net   https://аpple.example  (the host is xn--pple-43d.example)
    run   bash
    run   curl
    env   *  (also PATH and LD_PRELOAD, by which a program runs another)
    read  /etc/**

secrets
  token (test.yaml:6): input, environment variable TOKEN, or asked for
    may go to: wherever permissions allow
  key (test.yaml:7): input, or asked for
    may go to: api.example.com
  found (test.yaml:22): captured from the answer of the step `look`
    may go to: run:curl
";
    assert!(ran.stdout.starts_with(expected), "{}", ran.stdout);
}

#[test]
fn nothing_in_a_playbook_steers_the_terminal_or_passes_for_ours() {
    let folder = Folder::with(HOSTILE);
    let human = plan(&folder, &[]).exits(0);
    for text in [&human.stdout, &human.stderr, &plan(&folder, &["--output", "json"]).exits(0).stdout] {
        let unseen = |c: char| c.is_control() && c != '\n' || matches!(c, '\u{200b}' | '\u{202e}' | '\u{9b}');
        assert!(!text.contains(unseen), "{text:?}");
    }
    // Headings of ours stand at the left, once each.
    for heading in ["permissions", "secrets", "about", "steps", "warnings", "digest"] {
        assert_eq!(human.stdout.lines().filter(|line| *line == heading).count(), 1, "{heading}\n{}", human.stdout);
    }
    assert!(human.stdout.contains("title: All is well\\u{1b}[2J\\u{1b}[1;1Hpermissions\\n  nothing\\n\\u{202e}evil"));
    assert!(human.stdout.contains("      | permissions\n      |   nothing\n"), "{}", human.stdout);
    assert!(human.stdout.contains("curl --data '{{ found }}' \\u{1b}[31mred"), "{}", human.stdout);
    assert!(human.stdout.contains("    secrets in: found\n"), "{}", human.stdout);
    assert!(human.stdout.contains("  - look: http [read] GET https://api.example.com/a/x\n"));
    assert!(human.stdout.contains("    secrets in: key, token\n    secrets out: found\n"), "{}", human.stdout);
    assert!(human.stdout.contains("the secret `token` says not where it may go"));
    assert!(human.stdout.contains("it has\\u{1b}[0m no other way"));
}

#[test]
fn nothing_is_asked_for_started_or_sent() {
    let folder = Folder::with(
        "runbook: 1\nname: test\ninputs:\n  token: {type: secret, command: [touch, ran], to: [a.example]}\n  other: {type: string}\n\
         permissions: {net: [https://a.example/**], run: [touch]}\nsteps:\n\
         - http: {url: \"https://a.example/{{ other }}\", auth: {bearer: \"{{ token }}\"}}\n- exec: [touch, ran]\n",
    );
    let ran = plan(&folder, &[]).exits(0).shows("token (test.yaml:4): input, command touch ran, or asked for");
    assert!(ran.stdout.contains("other (string, wanted)"), "{}", ran.stdout);
    assert!(!folder.path().join("ran").exists());
    // Nor is anything remembered.
    assert!(!folder.path().join(".local").exists());
    plan(&folder, &["--set", "other=x"]).exits(0).shows("other (string, given) = x");
    plan(&folder, &["--set", "nothing=x"]).exits(2).shows("is no input of `test`");
    folder.file("in.yaml", "token: hUnter2hUnter2\nother: hUnter2hUnter2\n");
    let ran = plan(&folder, &["--inputs", "in.yaml"]).exits(0);
    assert!(!ran.shown().contains("hUnter2"), "{}", ran.shown());
}

#[test]
fn what_a_program_is_given_is_shown_whole() {
    let folder = Folder::with(
        "runbook: 1\nname: test\ninputs: {key: {type: secret, command: [bash, -c, env], to: []}}\n\
         permissions: {run: [bash, gh], env: [BASH_ENV, \"L*\", \"GIT_*\", GH_TOKEN]}\nsteps:\n\
         - exec: {argv: [bash], cwd: work, stdin: \"one\\nsteps\\n\", files: {a: \"curl\\nb\"}, env: {BASH_ENV: \"{{ files.a }}\"}}\n",
    );
    folder.file("work/.keep", "");
    let text = plan(&folder, &[]).exits(0).stdout;
    let step = "    environment: BASH_ENV = {{ files.a }}\n    folder: work\n    standard input:\n      | one\n      | steps\n    \
                private file:\n      | a = curl\n      | b\n";
    assert!(text.contains(step), "{text}");
    let rules = "    env   BASH_ENV  (by which a program is made to run another)\n    \
                 env   L*  (also LD_PRELOAD and LD_AUDIT, by which a program runs another)\n    \
                 env   GIT_*  (also GIT_SSH_COMMAND and GIT_EXTERNAL_DIFF, by which a program runs another)\n    env   GH_TOKEN\n";
    assert!(text.contains(rules), "{text}");
    assert!(text.contains("the command of the input `key` runs before the first step, unconfined"), "{text}");
}

#[test]
fn mistakes_are_told_in_its_stead() {
    plan(&Folder::with("runbook: 1\nname: test\nsteps:\n- exec: [gh]\n"), &[]).exits(2).shows("program-not-permitted");
    plan(&Folder::with("runbook: 1\nname: test\nsteps:\n- exec: [gh]\n"), &["--allow", "run:gh"])
        .exits(0)
        .shows("    nothing\n  for this run also permitted, to all of them (--allow)\n    run   gh\n");
}

#[test]
fn modules_are_expanded_and_their_permissions_told_once() {
    let folder = Folder::with(
        "runbook: 1\nname: test\ninputs: {cf_token: {type: secret, to: [a.example]}}\npermissions: {net: [https://a.example/**]}\nsteps:\n\
         - {id: first, use: send.yaml, with: {token: \"{{ cf_token }}\"}}\n- {id: second, use: send.yaml, with: {token: \"{{ cf_token }}\"}}\n",
    );
    folder.file(
        "send.yaml",
        "runbook: 1\nname: send\ninputs: {token: {type: secret, to: [a.example]}}\npermissions: {net: [GET https://a.example/x]}\nsteps:\n\
         - {id: get, http: {url: https://a.example/x, auth: {bearer: \"{{ token }}\"}}}\nfinally:\n- {id: last, wait: 1s}\n",
    );
    let text = plan(&folder, &[]).exits(0).stdout;
    assert_eq!(
        text.matches("  send (send.yaml), used at test.yaml:6\n    net   GET https://a.example/x\n").count(),
        1,
        "{text}"
    );
    assert_eq!(text.matches("token (send.yaml:3): input, given by its caller").count(), 1, "{text}");
    let step = "    - get: http [read] GET https://a.example/x\n      secrets in: cf_token\n    - last: wait 1s\n";
    assert_eq!(text.matches(step).count(), 2, "{text}");
}

#[test]
fn files_that_use_each_other_many_times_over_are_no_burden() {
    let folder = Folder::new();
    let uses = |name: &str, next: &str| {
        let steps: String = (0..10).map(|index| format!("- {{id: s{index}, use: {next}.yaml}}\n")).collect();
        format!("runbook: 1\nname: {name}\npermissions: {{run: [touch]}}\nsteps:\n{steps}")
    };
    folder.file("test.yaml", &uses("test", "m-1"));
    for depth in 1..14 {
        folder.file(&format!("m-{depth}.yaml"), &uses(&format!("m-{depth}"), &format!("m-{}", depth + 1)));
    }
    folder.file(
        "m-14.yaml",
        "runbook: 1\nname: m-14\npermissions: {run: [touch]}\nsteps:\n- {id: end, exec: [touch, ran]}\nfinally:\n- {id: last, use: hidden.yaml}\n",
    );
    folder.file(
        "hidden.yaml",
        "runbook: 1\nname: hidden\npermissions: {run: [touch]}\nsteps:\n- {id: end, exec: [touch, ran]}\n",
    );
    let ran = plan(&folder, &[]).exits(0).shows("more than 20000 steps: those that come after are not shown");
    // The last module's permissions are shown, however many steps come before.
    assert!(ran.stdout.contains("  hidden (hidden.yaml), used at m-14.yaml:7\n    run   touch\n"));
    // Whoever looks through all steps before a run looks through each file once.
    folder.run(&["--until", "nowhere"]).exits(2).shows("there is no step `nowhere`");
}

#[test]
fn programs_are_told_the_same() {
    let ran = plan(&Folder::with(HOSTILE), &["--output", "json", "--allow", "net:https://b.example"]).exits(0);
    let view: Json = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(view["format"], 1);
    assert_eq!(view["permissions"][0]["rules"][0]["text"], "GET https://api.example.com/a/**");
    assert_eq!(view["allowed"][0]["text"], "https://b.example");
    assert_eq!(view["title"], "All is well\u{1b}[2J\u{1b}[1;1Hpermissions\n  nothing\n\u{202e}evil");
    assert_eq!(view["sections"][0]["steps"][0]["method"], "GET");
    assert_eq!(view["sections"][0]["steps"][0]["secrets"], serde_json::json!(["key", "token"]));
    assert_eq!(view["secrets"][0]["to"], Json::Null);
    assert_eq!(view["digest"].as_str().unwrap().len(), 64);
    // Permissions come first here, too.
    assert!(ran.stdout.find("\"permissions\"").unwrap() < ran.stdout.find("\"title\"").unwrap());
}

#[test]
fn the_shipped_rotation_is_planned() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = Folder::new();
    let mut program = folder.program();
    program.0.current_dir(root);
    let text = program.args(["plan", "playbooks/cf-pages-deploy.yaml"]).ran().exits(0).stdout;
    // How long ago it was validated changes with the day, and its digest with every word of it.
    let mut lines: Vec<&str> = text.lines().filter(|line| !line.contains("last validated")).collect();
    lines.truncate(lines.len() - 2);
    let text = lines.join("\n").trim_end().to_string() + "\n";
    let golden = root.join("tests/plan/cf-pages-deploy.txt");
    if std::env::var_os("RUNBOOK_UPDATE").is_some() {
        std::fs::write(&golden, &text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&golden).unwrap_or_default());
}
