//! The program at a terminal, as a person sees it: a pseudo terminal, a person that answers what is asked.

mod support;

use support::{Answer, AtTerminal, Folder, Server, until};

const SECRET: &str = "typed-s3cret-value";

fn playbook(server: &Server) -> Folder {
    Folder::with(&format!(
        r#"runbook: 1
name: test
title: Try the terminal
permissions: {{net: ["http://{0}/**"], run: [bash]}}
inputs:
  region: {{type: string, one_of: [north, south], prompt: Which region}}
  token: {{type: secret, prompt: The token}}
vars: {{api: "http://{0}"}}
steps:
  - id: look
    name: Look around
    http: {{url: "{{{{ api }}}}/look"}}
  - id: slow
    name: Take a while
    exec: [bash, -c, 'sleep 0.6; printf "\033]0;owned\007\033[2J\033[31mred"']
    capture: {{drawn: {{from: stdout}}}}
  - id: approve
    confirm: {{message: "Roll in {{{{ region }}}} with {{{{ token }}}}?", phrase: "{{{{ region }}}}"}}
  - id: by-hand
    manual:
      instructions: |
        1. Open the console.
        2. Copy the value.
      ask:
        value: {{type: secret, prompt: The new value}}
        count: {{type: integer, prompt: How many}}
    capture: {{value: {{jq: .answers.value, secret: true}}, count: .answers.count}}
  - id: send
    name: Send it
    http: {{method: POST, url: "{{{{ api }}}}/send", json: {{value: "{{{{ value }}}}", count: "{{{{ count }}}}", token: "{{{{ token }}}}"}}}}
"#,
        server.address()
    ))
}

fn server() -> Server {
    Server::start(|_, _| Answer::text(200, "fine"))
}

#[test]
fn a_person_is_asked_and_secrets_are_not_seen() {
    let server = server();
    let folder = playbook(&server);
    let mut run = AtTerminal::start(&folder, &[]);
    run.answers("Which region: ", "east");
    run.sees("`east` is none of `north`, `south`");
    run.answers("Which region: ", "north");
    run.answers_unseen("The token: ", "short");
    run.sees("shorter than 6");
    run.answers_unseen("The token: ", SECRET);
    run.sees("Look around");
    run.sees("Roll in north with ***?");
    run.sees("next:");
    run.answers("type `north` to approve", "north");
    run.sees("Open the console.");
    run.answers_unseen("The new value: ", "the-new-s3cret");
    run.answers("How many: ", "many");
    run.sees("not a whole number");
    run.answers("How many: ", "12");
    run.answers("done? [y/N]", "y");
    let (code, screen) = run.ends();
    if std::env::var_os("RUNBOOK_SHOW").is_some() {
        println!("{screen}\n=====\n{screen:?}");
    }
    assert_eq!(code, 0, "{screen}");
    assert!(screen.contains("passed"), "{screen}");
    for secret in [SECRET, "the-new-s3cret", "short\r"] {
        assert!(!screen.contains(secret), "{secret} is on the screen:\n{screen}");
    }
    // What a program writes cannot move the cursor or set the title.
    assert!(
        !screen.contains("\x1b]0;") && !screen.contains("\x1b[2J") && !screen.contains("\x1b[31mred"),
        "{screen:?}"
    );
    let sent = server.requests().pop().unwrap().json();
    assert_eq!(sent, serde_json::json!({"value": "the-new-s3cret", "count": 12, "token": SECRET}));
}

#[test]
fn what_is_asked_neither_steers_the_terminal_nor_passes_for_ours() {
    let folder = Folder::with(
        r#"runbook: 1
name: test
inputs: {who: {type: string, prompt: "who\e[2J\e[1;1H\u202Eis it"}}
steps:
  - id: sure
    confirm: {message: "Fine\n\nnext:\n  - {{ who }}\napproved by tester\n", phrase: "yes\e[2J"}
    continue_on_failure: true
  - id: by-hand
    manual: {instructions: See, ask: {value: {type: string, prompt: "value\e]0;owned\a", pattern: "^\e7"}}}
"#,
    );
    let mut run = AtTerminal::start(&folder, &[]);
    run.answers("is it: ", "me");
    run.sees("| Fine");
    run.sees("| next:");
    run.sees("|   - me");
    run.sees("| approved by tester");
    run.answers("to approve, anything else to decline: ", "no");
    run.answers("value\\u{1b}]0;owned\\u{7}: ", "x");
    run.answers("once more, please", "\x03");
    let (_, screen) = run.ends();
    let steers = ["\x1b[2J", "\x1b[1;1H", "\x1b]0;owned", "\x1b7", "\u{202e}"];
    assert!(!steers.iter().any(|text| screen.contains(text)), "{screen:?}");
}

#[test]
fn another_phrase_declines() {
    let server = server();
    let folder = playbook(&server);
    let mut run = AtTerminal::start(&folder, &["--set", "region=south"]);
    run.answers_unseen("The token: ", SECRET);
    run.answers("type `south` to approve", "yes");
    let (code, screen) = run.ends();
    assert_eq!(code, 1, "{screen}");
    assert!(screen.contains("tester said no"), "{screen}");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn nobody_is_asked_while_another_input_is_wrong() {
    let server = server();
    let folder = playbook(&server);
    let run = AtTerminal::start(&folder, &["--set", "region=east"]);
    let (code, screen) = run.ends();
    assert_eq!(code, 2, "{screen}");
    assert!(!screen.contains("The token:"), "{screen}");
}

#[test]
fn an_interruption_at_a_question_ends_the_run_and_leaves_the_terminal_as_it_was() {
    let server = server();
    let signals = [None, Some(libc::SIGINT), Some(libc::SIGTERM), Some(libc::SIGHUP), Some(libc::SIGQUIT)];
    let questions = [
        ("Which region: ", false),
        ("The token: ", true),
        ("type `south` to approve", false),
        ("The new value: ", true),
    ];
    for ((question, secret), signal) in questions.into_iter().flat_map(|one| signals.map(|signal| (one, signal))) {
        if signal == Some(libc::SIGQUIT) && !secret {
            continue;
        }
        let folder = playbook(&server);
        let mut run = AtTerminal::start(
            &folder,
            if secret || question.starts_with("type") { &["--set", "region=south"] } else { &[] },
        );
        if !question.starts_with("The token") && !question.starts_with("Which") {
            run.answers_unseen("The token: ", SECRET);
        }
        if question.starts_with("The new") {
            run.answers("type `south` to approve", "south");
        }
        run.sees(question);
        if secret {
            until("the echo is off", || !run.echoes());
        }
        match signal {
            None => run.types("\x03"),
            Some(signal) => run.signal(signal),
        }
        until("its end", || run.child.try_wait().unwrap().is_some());
        let echoes = run.echoes();
        let (code, screen) = run.ends();
        assert_eq!(code, 130, "{question} {signal:?}\n{screen}");
        assert!(echoes, "the terminal does not echo any more after `{question}` {signal:?}");
    }
}

#[test]
fn an_interruption_at_the_question_about_a_role_ends_the_run() {
    for signal in [None, Some(libc::SIGTERM), Some(libc::SIGHUP)] {
        let folder = Folder::with(
            "runbook: 1\nname: test\nsop: {required_role: superadmin}\nsteps:\n  - id: ok\n    wait: 1ms\n",
        );
        let mut run = AtTerminal::start(&folder, &[]);
        run.sees("Do you hold it?");
        match signal {
            None => run.types("\x03"),
            Some(signal) => run.signal(signal),
        }
        assert_eq!(run.ends().0, 130);
    }
}

/// What was sent and not answered stays unknown, whoever interrupts the question about it: that is what the code tells.
#[test]
fn an_interruption_at_the_question_what_became_of_a_step_leaves_it_unknown() {
    let signals = [None, Some(libc::SIGINT), Some(libc::SIGTERM), Some(libc::SIGHUP)];
    for (signal, hangs_up) in signals.map(|signal| (signal, false)).into_iter().chain([(None, true)]) {
        let server = Server::start(|request, _| match request.path.as_str() {
            "/once" => Answer::Drop,
            _ => Answer::text(200, "fine"),
        });
        let folder = Folder::with(&format!(
            r#"runbook: 1
name: test
permissions: {{net: ["http://{0}/**"]}}
steps:
  - id: once
    http: {{method: POST, url: "http://{0}/once"}}
  - id: never
    http: {{url: "http://{0}/never"}}
finally:
  - id: last
    http: {{url: "http://{0}/last"}}
"#,
            server.address()
        ));
        let mut run = AtTerminal::start(&folder, &[]);
        run.sees("r, h or a: ");
        match signal {
            _ if hangs_up => run.hangs_up(),
            None => run.types("\x03"),
            Some(signal) => run.signal(signal),
        }
        until("its end", || run.child.try_wait().unwrap().is_some());
        assert!(hangs_up || run.echoes(), "{signal:?}");
        let (code, screen) = run.ends();
        assert_eq!(code, 4, "{signal:?}\n{screen}");
        assert!(hangs_up || screen.contains("unknown"), "{signal:?}\n{screen}");
        let paths: Vec<String> = server.requests().into_iter().map(|request| request.path).collect();
        assert_eq!(paths, ["/once", "/last"], "{signal:?}\n{screen}");
    }
}

#[test]
fn a_terminal_that_goes_away_interrupts_at_any_question() {
    for question in ["Which region: ", "The token: ", "type `south` to approve", "The new value: "] {
        let server = server();
        let folder = playbook(&server);
        let mut run = AtTerminal::start(&folder, &[]);
        run.sees("Which region: ");
        if question != "Which region: " {
            run.types("south\n");
            run.sees("The token: ");
            until("the echo is off", || !run.echoes());
        }
        if question.starts_with("t") || question.starts_with("The new") {
            run.types(&format!("{SECRET}\n"));
            run.sees("type `south` to approve");
        }
        if question.starts_with("The new") {
            run.types("south\n");
            run.sees("The new value: ");
            until("the echo is off", || !run.echoes());
        }
        run.hangs_up();
        assert_eq!(run.ends().0, 130, "{question}");
        assert!(server.requests().iter().all(|request| request.path == "/look"));
    }
}

#[test]
fn a_terminal_that_goes_away_interrupts_and_finally_runs() {
    let server = server();
    let folder = Folder::with(&format!(
        r#"runbook: 1
name: test
permissions: {{net: ["http://{0}/**"], run: [bash]}}
steps:
  - id: slow
    name: Take a while
    wait: 1h
  - id: never
    http: {{url: "http://{0}/never"}}
finally:
  - id: program
    exec: [bash, -c, 'exit 0']
  - id: last
    http: {{url: "http://{0}/last"}}
"#,
        server.address()
    ));
    let mut run = AtTerminal::start(&folder, &[]);
    // The spinner is drawn all the while, at last on what is no terminal any more.
    run.sees("Take a while");
    run.hangs_up();
    let (code, screen) = run.ends();
    assert_eq!(code, 130, "{screen}");
    let paths: Vec<String> = server.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(paths, ["/last"], "{screen}");
}

#[test]
fn a_passphrase_is_asked_for_twice_unseen_and_one_that_was_mistyped_again() {
    let folder = Folder::new();
    folder.file(".config/runbook/config.yaml", "key_passphrase: true\n");
    let start = || AtTerminal::start_program(folder.program().args(["config", "--try-key"]));
    let mut terminal = start();
    terminal.answers_unseen("passphrase for what run", "short");
    terminal.sees("cannot be the passphrase");
    terminal.answers_unseen("passphrase for what run", SECRET);
    terminal.answers_unseen("once more", "typed-s3cret-valeu");
    terminal.sees("not the same");
    terminal.answers_unseen("passphrase for what run", SECRET);
    terminal.answers_unseen("once more", SECRET);
    terminal.answers_unseen("passphrase of run", SECRET);
    let (code, screen) = terminal.ends();
    assert_eq!(code, 0, "{screen}");
    assert!(screen.contains("the key works") && !screen.contains(SECRET), "{screen}");
    let mut terminal = start();
    terminal.answers_unseen("passphrase for what run", SECRET);
    terminal.answers_unseen("once more", SECRET);
    terminal.answers_unseen("passphrase of run", "another-passphrase");
    let (code, screen) = terminal.ends();
    assert_eq!(code, 5, "{screen}");
    assert!(screen.contains("this is not the passphrase"), "{screen}");
    let mut terminal = start();
    terminal.sees("passphrase for what run");
    until("the echo is off", || !terminal.echoes());
    terminal.types("\u{3}");
    assert_eq!(terminal.ends().0, 130);
}

/// What wraps keys may ask for a PIN itself: it has the terminal while it runs, and we have it again thereafter.
#[test]
fn a_key_command_may_ask_at_the_terminal() {
    let folder = Folder::new();
    // Written so that the question is not in what the program shows of its configuration.
    let script =
        r#"printf 'PIN%s ' : >/dev/tty; read pin </dev/tty; [ "$pin" = 1234 ] || exit 7; tr A-Za-z N-ZA-Mn-za-m"#;
    let argv = serde_json::json!(["sh", "-c", script]);
    folder.file(".config/runbook/config.yaml", &format!("key_command: {{wrap: {argv}, unwrap: {argv}}}\n"));
    let start = || AtTerminal::start_program(folder.program().args(["config", "--try-key"]));
    let mut terminal = start();
    // Wrapped, shown to unwrap, and unwrapped as a resume would.
    (0..3).for_each(|_| terminal.answers("PIN: ", "1234"));
    let (code, screen) = terminal.ends();
    assert_eq!(code, 0, "{screen}");
    let mut terminal = start();
    terminal.answers("PIN: ", "1235");
    terminal.sees("failed (exit code 7)");
    assert_eq!(terminal.ends().0, 2);
    let mut terminal = start();
    terminal.sees("PIN: ");
    terminal.types("\u{3}");
    assert_eq!(terminal.ends().0, 130);
}
