//! Owns doing one case: its folder, its servers, its process, and what is found to be wrong.
//! Deliberately knows nothing of how cases are written.

use super::case::{Case, Kind, Piece};
use super::judge;
use super::process::{self, Ended, LARGEST_OUTPUT};
use super::server::Server;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// In the environment as `SECRET`; may be shown nowhere and kept nowhere in the clear.
const SECRET: &str = "hOstile-S3cret/5f2e+x";
/// What no case may read: it lies outside of the playbook's folder.
const OUTSIDE: &str = "outside-content-7731";
/// No answer, playbook or program makes it take more.
const MOST_MEMORY: u64 = 1 << 30;
/// What a person would still scroll through, and more than any report needs.
const MOST_SHOWN: usize = 512 << 10;

/// What is wrong; nothing where it was refused as it says.
pub fn of(case: &Case, aloud: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    // The playbook as people see it, then as programs do, with the most told of what happens inside.
    once(case, &[], &mut wrong, aloud);
    if case.told.command.0.len() < 2 && case.told.command.0.first().is_none_or(|command| command == "run") {
        once(case, &["--output", "json", "-vvv"], &mut wrong, false);
    }
    wrong
}

fn once(case: &Case, more: &[&str], wrong: &mut Vec<String>, aloud: bool) {
    let place = tempfile::tempdir().unwrap();
    let root = place.path();
    for folder in ["work", "home", "tmp", "outside", "state"] {
        std::fs::create_dir(root.join(folder)).unwrap();
    }
    std::fs::write(root.join("outside/secret.txt"), OUTSIDE).unwrap();
    let other = Server::start(|_| Vec::new());
    let server = Server::start(|address| answers(case, address, &other.address(), root));
    let (address, other_address) = (server.address(), other.address());
    let folder = root.to_string_lossy();
    let places = [
        ("ADDRESS", address.as_str()),
        ("PORT", address.rsplit(':').next().unwrap()),
        ("OTHERPORT", other_address.rsplit(':').next().unwrap()),
        ("OTHER", other_address.as_str()),
        ("FOLDER", &folder),
        ("SECRETTEXT", SECRET),
    ];
    // `OTHERPORT` has `PORT` in it.
    let mut places = places.to_vec();
    places.sort_by_key(|(word, _)| std::cmp::Reverse(word.len()));
    lay_out(case, root, &places);
    let outside = judge::files(&root.join("outside"));
    let work = judge::files(&root.join("work"));

    let mut command = program(case, root);
    let fill = |text: &str| String::from_utf8_lossy(&case.filled(text.as_bytes(), &places)).into_owned();
    command.args(arguments(case, &fill)).args(more);
    for (name, value) in &case.told.env {
        command.env(name, fill(value));
    }
    for name in &case.told.without_env {
        command.env_remove(name);
    }
    let since = std::time::Instant::now();
    let ended = process::run(&mut command);
    if aloud {
        let shown = String::from_utf8_lossy(&ended.stdout).into_owned() + &String::from_utf8_lossy(&ended.stderr);
        println!(
            "### {} exit {:?}, {} MiB, {:?}, {:?}",
            case.path,
            ended.code,
            ended.memory >> 20,
            since.elapsed(),
            server.requests()
        );
        println!(
            "{}",
            shown.chars().take(6_000).map(|c| if c.is_control() && c != '\n' { '¿' } else { c }).collect::<String>()
        );
    }
    let how = if more.is_empty() { "" } else { "as JSON: " };
    let mut tell = |what: String| wrong.push(format!("{how}{what}"));
    shown(&ended, &mut tell);
    let all = [ended.stdout.as_slice(), b"\n", &ended.stderr].concat();
    let text = String::from_utf8_lossy(&all);
    match ended.code {
        Some(code) if code == case.told.exit => {}
        Some(code) => tell(format!("exit code {code} instead of {}\n{}", case.told.exit, cut(&text))),
        None => tell("it did not end".into()),
    }
    if more.is_empty() {
        for says in case.told.says.0.iter().map(|says| fill(says)) {
            if !text.contains(&says) {
                tell(format!("does not say `{says}`\n{}", cut(&text)));
            }
        }
    }
    for never in case.told.never.0.iter().map(|never| fill(never)).chain([OUTSIDE.to_string()]) {
        if text.contains(&never) {
            tell(format!("says `{never}`\n{}", cut(&text)));
        }
    }
    sent(case, &server, &other, &fill, &mut tell);
    for name in judge::made(&outside, &judge::files(&root.join("outside"))) {
        tell(format!("outside/{name} was made or changed"));
    }
    for name in judge::made(&work, &judge::files(&root.join("work"))) {
        if !case.told.makes.contains(&name) {
            tell(format!("work/{name} was made or changed"));
        }
    }
    for folder in ["tmp", "home", "state"] {
        for (name, content) in judge::files(&root.join(folder)) {
            if folder == "tmp" {
                tell(format!("tmp/{name} was left behind"));
            }
            if judge::contains(&content, SECRET.as_bytes()) {
                tell(format!("{folder}/{name} holds the secret"));
            }
        }
    }
    // A record that was made under fire is looked at by people too.
    let has_record = root.join("state/runs").is_dir();
    if has_record && more.is_empty() {
        let mut command = program(case, root);
        let looked = process::run(command.args(["show", "last"]));
        shown(&looked, &mut |what| tell(format!("show: {what}")));
    }
}

/// What holds of everything that is shown.
fn shown(ended: &Ended, tell: &mut dyn FnMut(String)) {
    for (name, bytes) in [("standard output", &ended.stdout), ("standard error", &ended.stderr)] {
        if let Some(found) = judge::steering(bytes) {
            tell(format!("{name} steers the terminal: {found}"));
        }
        if bytes.len() > MOST_SHOWN.min(LARGEST_OUTPUT) {
            tell(format!("{name} has {} bytes", bytes.len()));
        }
        for word in [SECRET, "panicked", "a fault of runbook"] {
            if judge::contains(bytes, word.as_bytes()) {
                tell(format!("{name} has `{word}` in it: {}", cut(&String::from_utf8_lossy(bytes))));
            }
        }
    }
    if ended.memory > MOST_MEMORY {
        tell(format!("it took {} MiB", ended.memory >> 20));
    }
}

fn sent(case: &Case, server: &Server, other: &Server, fill: &dyn Fn(&str) -> String, tell: &mut dyn FnMut(String)) {
    let requests = server.requests();
    let expected = match (&case.told.sent, case.kind) {
        (Some(sent), _) => Some(sent.0.iter().map(|sent| fill(sent)).collect()),
        (None, Kind::Answer) => None,
        (None, _) => Some(Vec::new()),
    };
    if expected.is_some_and(|expected: Vec<String>| expected != requests) {
        tell(format!("sent {requests:?}"));
    }
    if !other.requests().is_empty() {
        tell(format!("the other server was reached: {:?}", other.requests()));
    }
    let received = server.received().concat();
    for text in case.told.receives.0.iter().map(|text| fill(text)) {
        if !judge::contains(&received, text.as_bytes()) {
            tell(format!("`{text}` is not in what was sent:\n{}", cut(&String::from_utf8_lossy(&received))));
        }
    }
    for text in case.told.never_receives.0.iter().map(|text| fill(text)) {
        if judge::contains(&received, text.as_bytes()) {
            tell(format!("`{text}` was sent:\n{}", cut(&String::from_utf8_lossy(&received))));
        }
    }
}

fn answers(case: &Case, address: &str, other: &str, root: &Path) -> Vec<Vec<Piece>> {
    let fill = |text: &String| {
        text.replace("ADDRESS", address)
            .replace("OTHER", other)
            .replace("FOLDER", &root.to_string_lossy())
            .replace("SECRETTEXT", SECRET)
    };
    case.told
        .answers
        .iter()
        .map(|pieces| {
            pieces
                .iter()
                .map(|piece| match piece {
                    Piece::Text(text) => Piece::Text(fill(text)),
                    other => other.clone(),
                })
                .collect()
        })
        .collect()
}

fn lay_out(case: &Case, root: &Path, places: &[(&str, &str)]) {
    let work = root.join("work");
    for folder in &case.told.folder {
        std::fs::create_dir_all(work.join(folder)).unwrap();
    }
    for (name, content) in judge::files(&case.files) {
        match name.strip_suffix('/') {
            Some(folder) => std::fs::create_dir_all(work.join(folder)).unwrap(),
            None => {
                std::fs::create_dir_all(work.join(&name).parent().unwrap()).unwrap();
                std::fs::write(work.join(&name), case.filled(&content, places)).unwrap();
            }
        }
    }
    let mut text = case.filled(case.playbook().as_bytes(), places);
    if case.told.encoding.as_deref() == Some("utf-16") {
        text = String::from_utf8_lossy(&text).encode_utf16().flat_map(u16::to_le_bytes).collect();
    }
    if !text.is_empty() {
        std::fs::write(work.join(stored_as(case)), text).unwrap();
    }
    if case.kind == Kind::Program {
        std::fs::write(work.join("script.sh"), case.filled(case.text.as_bytes(), places)).unwrap();
    }
    for (name, target) in &case.told.link {
        let target = String::from_utf8_lossy(&case.filled(target.as_bytes(), places)).into_owned();
        std::os::unix::fs::symlink(target, work.join(name)).unwrap();
    }
    for name in &case.told.fifo {
        let path = std::ffi::CString::new(work.join(name).to_string_lossy().as_bytes()).unwrap();
        // SAFETY: a plain system call with a text that ends.
        assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
    }
    for (name, mode) in &case.told.mode {
        let mode = u32::from_str_radix(mode, 8).unwrap();
        std::fs::set_permissions(work.join(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }
}

fn stored_as(case: &Case) -> String {
    case.told.stored_as.clone().unwrap_or_else(|| format!("{}.yaml", case.name()))
}

fn arguments(case: &Case, fill: &dyn Fn(&str) -> String) -> Vec<String> {
    let mut all = match case.told.command.0.as_slice() {
        [] => vec!["run".to_string(), stored_as(case)],
        [command] => vec![command.clone(), stored_as(case)],
        whole => whole.iter().map(|word| fill(word)).collect(),
    };
    all.extend(case.told.arguments.iter().map(|argument| fill(argument)));
    all
}

fn program(case: &Case, root: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_runbook"));
    command
        .current_dir(root.join("work"))
        .env_clear()
        .env("PATH", std::env::var("PATH").unwrap_or_default())
        .env("HOME", root.join("home"))
        .env("TMPDIR", root.join("tmp"))
        .env("USER", "tester")
        .env("SECRET", SECRET);
    if !case.told.env.contains_key("RUNBOOK_STATE_DIR") {
        command.env("RUNBOOK_STATE_DIR", root.join("state"));
    }
    command
}

fn cut(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_control() || *c == '\n').collect();
    let count = text.chars().count();
    if count < 3_000 {
        return text;
    }
    let end: String = text.chars().skip(count - 1_000).collect();
    format!("{}\n[…]\n{end}", text.chars().take(2_000).collect::<String>())
}
