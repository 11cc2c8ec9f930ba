//! The program at a terminal, as a person sees it: a pseudo terminal, a person that answers what is asked.

mod support;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::{Answer, Folder, Program, Server, until};

/// A run at a pseudo terminal.
struct AtTerminal {
    child: Child,
    keyboard: File,
    screen: Arc<Mutex<Vec<u8>>>,
    reader: Option<std::thread::JoinHandle<()>>,
    /// How much of the screen was looked at.
    seen: usize,
}

fn pseudo_terminal() -> (File, OwnedFd) {
    let (mut ours, mut theirs) = (0, 0);
    // SAFETY: the call fills in two descriptors, which are owned from here on.
    unsafe {
        let size = libc::winsize { ws_row: 40, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
        let made = libc::openpty(&mut ours, &mut theirs, std::ptr::null_mut(), std::ptr::null_mut(), &size);
        assert_eq!(made, 0);
        // Held by the program too, our side would never be seen to close.
        assert_eq!(libc::fcntl(ours, libc::F_SETFD, libc::FD_CLOEXEC), 0);
        (File::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs))
    }
}

/// A test that fails leaves no run behind.
impl Drop for AtTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl AtTerminal {
    fn start(folder: &Folder, arguments: &[&str]) -> AtTerminal {
        AtTerminal::start_program(folder.program().args(["run", "test.yaml"]).args(arguments))
    }

    fn start_program(program: Program) -> AtTerminal {
        let (keyboard, theirs) = pseudo_terminal();
        let mut program = program.env("TERM", "xterm-256color");
        let clone = || Stdio::from(theirs.try_clone().unwrap());
        program.0.stdin(clone()).stdout(clone()).stderr(clone());
        // SAFETY: plain system calls between fork and exec.
        unsafe {
            program.0.pre_exec(|| {
                libc::setsid();
                libc::ioctl(0, libc::TIOCSCTTY, 0);
                Ok(())
            })
        };
        let child = program.0.spawn().unwrap();
        // The command has copies too.
        drop(program);
        drop(theirs);
        let screen = Arc::new(Mutex::new(Vec::new()));
        let (mut input, all) = (keyboard.try_clone().unwrap(), screen.clone());
        let reader = std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count) = input.read(&mut piece) {
                if count == 0 {
                    return;
                }
                all.lock().unwrap().extend_from_slice(&piece[..count]);
            }
        });
        AtTerminal { child, keyboard, screen, reader: Some(reader), seen: 0 }
    }

    fn screen(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap()).into_owned()
    }

    /// Waits until the text is on the screen, after what was waited for before.
    #[track_caller]
    fn sees(&mut self, text: &str) {
        let since = Instant::now();
        loop {
            let screen = self.screen.lock().unwrap().clone();
            if let Some(at) = screen[self.seen..].windows(text.len()).position(|window| window == text.as_bytes()) {
                self.seen += at + text.len();
                return;
            }
            assert!(since.elapsed() < Duration::from_secs(30), "never shows `{text}`:\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn types(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).unwrap();
    }

    /// As a person does who waits for the question.
    #[track_caller]
    fn answers(&mut self, question: &str, text: &str) {
        self.sees(question);
        self.types(&format!("{text}\n"));
    }

    /// As a person does who types a secret: only once the terminal does not show it.
    #[track_caller]
    fn answers_unseen(&mut self, question: &str, text: &str) {
        self.sees(question);
        until("the echo is off", || !echoes(&self.keyboard));
        self.types(&format!("{text}\n"));
    }

    #[track_caller]
    fn ends(mut self) -> (i32, String) {
        let status = self.child.wait().unwrap();
        // Nobody holds the other side any more, so that reading ends after what was written last.
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        (status.code().unwrap_or(-1), self.screen())
    }
}

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

/// Whether the terminal shows what is typed.
fn echoes(keyboard: &File) -> bool {
    let mut modes = std::mem::MaybeUninit::<libc::termios>::uninit();
    // SAFETY: the descriptor is open, and the call fills the structure in.
    unsafe {
        assert_eq!(libc::tcgetattr(keyboard.as_raw_fd(), modes.as_mut_ptr()), 0);
        modes.assume_init().c_lflag & libc::ECHO != 0
    }
}

#[test]
fn an_interruption_at_a_question_ends_the_run_and_leaves_the_terminal_as_it_was() {
    let server = server();
    for (question, secret, signal) in [
        ("The token: ", true, None),
        ("type `south` to approve", false, None),
        ("The new value: ", true, None),
        ("The new value: ", true, Some(libc::SIGTERM)),
    ] {
        let folder = playbook(&server);
        let mut run = AtTerminal::start(&folder, &["--set", "region=south"]);
        if !question.starts_with("The token") {
            run.answers_unseen("The token: ", SECRET);
        }
        if question.starts_with("The new") {
            run.answers("type `south` to approve", "south");
        }
        run.sees(question);
        if secret {
            until("the echo is off", || !echoes(&run.keyboard));
        }
        match signal {
            None => run.types("\x03"),
            // SAFETY: a plain system call; the child is not reaped yet.
            Some(signal) => drop(unsafe { libc::kill(i32::try_from(run.child.id()).unwrap(), signal) }),
        }
        until("its end", || run.child.try_wait().unwrap().is_some());
        let echoes = echoes(&run.keyboard);
        let (code, screen) = run.ends();
        assert_eq!(code, 130, "{question} {signal:?}\n{screen}");
        assert!(echoes, "the terminal does not echo any more after `{question}` {signal:?}");
    }
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
    until("the echo is off", || !echoes(&terminal.keyboard));
    terminal.types("\u{3}");
    assert_eq!(terminal.ends().0, 130);
}

/// What wraps keys may ask for a PIN itself: it has the terminal while it runs, and we have it again thereafter.
#[test]
fn a_key_command_may_ask_at_the_terminal() {
    let folder = Folder::new();
    let script = r#"printf 'PIN: ' >/dev/tty; read pin </dev/tty; [ "$pin" = 1234 ] || exit 7; tr A-Za-z N-ZA-Mn-za-m"#;
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
