//! What wraps the keys of runs, tried through real programs: key files, passphrases, `age`, and commands that do not do
//! what they should. What is configured, and where it comes from.

mod support;

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use support::{Folder, Program, Ran};

/// A folder with a configuration.
fn configured(config: &str) -> Folder {
    let folder = Folder::new();
    folder.file(".config/runbook/config.yaml", config);
    folder
}

fn try_key(folder: &Folder) -> Ran {
    trying(folder).ran()
}

fn trying(folder: &Folder) -> Program {
    folder.program().args(["config", "--try-key"])
}

/// A configuration whose commands are scripts of a shell.
fn scripts(wrap: &str, unwrap: &str) -> Folder {
    let argv = |script: &str| serde_json::json!(["sh", "-c", script]).to_string();
    configured(&format!("key_command:\n  wrap: {}\n  unwrap: {}\n", argv(wrap), argv(unwrap)))
}

/// What passes for encryption here.
const TURN: &str = "tr A-Za-z N-ZA-Mn-za-m";

#[test]
fn shows_what_is_in_force_and_where_it_comes_from() {
    let folder = configured("actor: ana\nstate: ~/runs\n");
    let ran = folder.program().env("RUNBOOK_OUTPUT", "json").args(["config", "--key-file", "my.key"]).ran().exits(0);
    let home = std::fs::canonicalize(folder.path()).unwrap().display().to_string();
    let rows: Vec<Vec<&str>> = ran.stdout.lines().map(|line| line.split("  ").collect()).collect();
    let row = |name: &str| {
        let row = rows.iter().find(|row| row[0].trim() == name).unwrap_or_else(|| panic!("no {name}: {}", ran.stdout));
        let said: Vec<&str> = row.iter().skip(1).map(|part| part.trim()).filter(|part| !part.is_empty()).collect();
        said.join(" | ")
    };
    let rest = |name: &str| ran.stdout.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_string();
    assert!(
        rest("file").contains(".config/runbook/config.yaml") && rest("file").contains("by default"),
        "{}",
        ran.stdout
    );
    assert!(rest("actor").contains("ana") && rest("actor").contains("line 1 of the file"), "{}", ran.stdout);
    assert!(rest("state").contains("/runs") && rest("state").contains("line 2 of the file"), "{}", ran.stdout);
    assert!(rest("output").contains("json") && rest("output").contains("RUNBOOK_OUTPUT"), "{}", ran.stdout);
    assert!(row("key").contains(&format!("{home}/my.key (made at first use) | --key-file")), "{}", ran.stdout);
    // Looking makes nothing.
    assert!(!folder.path().join("my.key").exists() && !folder.path().join("runs").exists());
}

#[test]
fn a_mistake_in_the_configuration_ends_what_needs_it_before_anything_is_done() {
    let folder = configured("actr: ana\n");
    folder.file(
        "test.yaml",
        "runbook: 1\nname: test\npermissions: {run: [touch], write: [done]}\nsteps:\n- exec: [touch, done]\n",
    );
    folder.run(&[]).exits(2).shows("did you mean `actor`?").shows("1 | actr");
    folder.program().arg("config").ran().exits(2).shows("did you mean `actor`?");
    folder.run(&["--config", "none.yaml"]).exits(2).shows("there is no file");
    assert!(!folder.path().join("done").exists());
    folder.check().exits(0);
}

#[test]
fn a_run_is_that_of_who_is_configured_and_is_shown_as_configured() {
    let folder = configured("actor: ana\noutput: json\n");
    folder.file(
        "test.yaml",
        "runbook: 1\nname: test\ninputs:\n  expected: {type: string}\nsteps:\n- assert: [run.actor == expected]\n",
    );
    let ran = folder.run(&["--set", "expected=ana"]).exits(0);
    assert!(ran.events().len() > 2, "{}", ran.stdout);
    folder.run(&["--set", "expected=bo", "--actor", "bo", "--output", "plain"]).exits(0);
    folder.run(&["--set", "expected=tester"]).exits(1);
    folder.program().env("RUNBOOK_ACTOR", "cy").args(["run", "test.yaml", "--set", "expected=cy"]).ran().exits(0);
}

#[test]
fn a_key_file_is_made_once_and_refused_when_others_can_read_it() {
    let folder = Folder::new();
    try_key(&folder).exits(0).shows("made at first use").shows("the key works");
    let path = folder.path().join(".config/runbook/key");
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    try_key(&folder).exits(0).hides("made at first use").hides(text.lines().nth(1).unwrap());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    try_key(&folder).exits(2).shows("is open to others (mode 0644)").shows("chmod 600");
}

#[test]
fn a_passphrase_comes_from_its_variable_or_says_who_would_give_it() {
    let folder = configured("key_passphrase: true\n");
    let given = trying(&folder).env("RUNBOOK_PASSPHRASE", "correct horse battery").ran();
    given.exits(0).shows("the key works").hides("horse");
    try_key(&folder).exits(2).shows("nobody gives the passphrase").shows("set RUNBOOK_PASSPHRASE");
    trying(&folder).env("RUNBOOK_PASSPHRASE", "short").ran().exits(2).shows("cannot be the passphrase");
    trying(&folder).env("RUNBOOK_PASSPHRASE", "pasted along\n").ran().exits(2).shows("white space at its ends");
}

#[test]
fn age_wraps_and_unwraps() {
    if Command::new("age").arg("--version").output().is_err() {
        eprintln!("skipped: `age` is not installed (apt-get install age)");
        return;
    }
    let folder = Folder::new();
    let identity = |name: &str| {
        let path = folder.path().join(name);
        let made = Command::new("age-keygen").arg("-o").arg(&path).output().unwrap();
        assert!(made.status.success());
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap().to_string()
    };
    let mine = identity("mine.txt");
    identity("theirs.txt");
    let config = |identity: &str| {
        let unwrap = format!(", unwrap: [age, -d, -i, ~/{identity}]");
        let unwrap = if identity.is_empty() { "" } else { &unwrap };
        folder.file(".config/runbook/config.yaml", &format!("key_command: {{wrap: [age, -r, {mine}]{unwrap}}}\n"));
    };
    config("mine.txt");
    try_key(&folder).exits(0).shows("the key works");
    config("");
    try_key(&folder).exits(0).shows("only others can go on");
    config("theirs.txt");
    try_key(&folder).exits(2).shows("`age` (`unwrap` of `key_command`) failed").shows("no identity matched");
}

#[test]
fn commands_have_the_environment_and_nothing_else_of_ours() {
    let folder = scripts(&format!("[ $AGENT = there ] || exit 9; {TURN}"), TURN);
    trying(&folder).env("AGENT", "there").ran().exits(0).shows("the key works");
    trying(&folder).env("AGENT", "gone").ran().exits(2).shows("failed (exit code 9)");
    // One that we inherited ourselves is not passed on.
    let folder = scripts("ls -m /proc/$$/fd >&2; exit 1", TURN);
    let mut program = trying(&folder);
    // SAFETY: a plain system call between fork and exec.
    unsafe { program.0.pre_exec(|| if libc::dup2(2, 9) == 9 { Ok(()) } else { Err(std::io::Error::last_os_error()) }) };
    let ran = program.ran().exits(2);
    let descriptors = ran.stderr.lines().last().unwrap().trim();
    // The shell opens some of its own, but never that one.
    assert!(descriptors.split(", ").all(|number| number != "9"), "{}", ran.stderr);
    assert!(descriptors.starts_with("0, 1"), "{}", ran.stderr);
}

#[test]
fn commands_that_do_not_do_what_they_should_are_told() {
    let wrap = |wrap: &str| try_key(&scripts(wrap, TURN)).exits(2);
    wrap("cat").shows("does not encrypt");
    wrap("base64").shows("does not encrypt");
    wrap("echo wrapped:; cat").shows("does not encrypt");
    wrap("base64 -d").shows("does not encrypt");
    wrap("base64 -d | od -An -tx1 -v").shows("does not encrypt");
    wrap("true").shows("wrote nothing to standard output");
    wrap("echo one >&2; echo two >&2; exit 3")
        .shows("`sh` (`wrap` of `key_command`) failed (exit code 3):\n    one\n    two");
    wrap("kill -9 $$").shows("was ended by signal 9");
    wrap("yes").shows("more than 64 KiB");
    let told = wrap("read key; echo \"the key is $key\" >&2; exit 1").shows("has the key in it, and is not shown");
    assert!(!told.stderr.contains("the key is"), "{}", told.stderr);
    try_key(&configured("key_command: {wrap: [no-such-program-of-anyones]}\n"))
        .exits(2)
        .shows("is it installed, and on the PATH?");
    try_key(&configured("key_command: {wrap: [/etc/passwd]}\n")).exits(2).shows("could not be started");
    let unwrap = |unwrap: &str| try_key(&scripts(TURN, unwrap)).exits(2);
    unwrap("true").shows("wrote nothing to standard output, where the key was wanted");
    unwrap("echo hello").shows("wrote something else to standard output");
    unwrap("head -c 32 /dev/urandom | base64").shows("does not give back the key");
    unwrap("echo 'no card' >&2; exit 2").shows("`sh` (`unwrap` of `key_command`) failed (exit code 2):\n    no card");
}
