//! What programs may reach: real ones try, and what the kernel lets them do is read off what they say. Where the kernel
//! has no Landlock there is nothing to try, and the test says so.

mod support;

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use support::{Folder, Program, Ran};

/// Whether there is anything to be seen here.
fn has_landlock() -> bool {
    let shown = Folder::new().program().arg("config").ran().stdout;
    let has = shown.lines().any(|line| line.starts_with("confine") && line.contains("auto (Landlock, ABI"));
    if !has {
        println!("skipped: this kernel has no Landlock with rules for TCP\n{shown}");
    }
    has
}

/// A playbook of one script; it fails where the script does.
fn playbook(permissions: &str, script: &str) -> Folder {
    let folder = Folder::new();
    written(&folder, permissions, script);
    folder
}

fn written(folder: &Folder, permissions: &str, script: &str) {
    folder.file(
        "test.yaml",
        &format!(
            "runbook: 1\nname: test\npermissions: {{run: [bash], env: [\"*\"]{permissions}}}\nsteps:\n  - id: tries\n    shell: {}\n    \
             capture: {{said: {{from: stdout, trim: true}}}}\noutputs: {{said: \"{{{{ said }}}}\"}}\n",
            serde_json::Value::from(script)
        ),
    );
}

/// What the script said, in the output `said`.
#[track_caller]
fn said(ran: Ran) -> String {
    ran.exits(0).finished()["outputs"]["said"].as_str().unwrap_or_default().to_string()
}

#[track_caller]
fn tries(folder: &Folder) -> String {
    said(folder.run(&["--output", "json"]))
}

/// A script that tells which of these files it could read, and which it could write.
fn reaching(reads: &[&str], writes: &[&str]) -> String {
    let mut script = String::new();
    for path in reads {
        script += &format!(
            "if head -c1 {path} > /dev/null 2>&1 || ls {path}/ > /dev/null 2>&1; then echo 'read {path}'; fi\n"
        );
    }
    for path in writes {
        script += &format!("if (echo x > {path}) 2> /dev/null; then echo 'wrote {path}'; fi\n");
    }
    script
}

/// The program in a kernel that refuses to know Landlock: the system call is as if there were none.
fn without_landlock(mut program: Program) -> Program {
    const LOAD_NUMBER: libc::sock_filter = libc::sock_filter { code: 0x20, jt: 0, jf: 0, k: 0 };
    let is_create = libc::sock_filter { code: 0x15, jt: 0, jf: 1, k: libc::SYS_landlock_create_ruleset as u32 };
    let refuse = libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: 0x0005_0000 | libc::ENOSYS as u32 };
    let allow = libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: 0x7fff_0000 };
    let mut filter = [LOAD_NUMBER, is_create, refuse, allow];
    // SAFETY: only system calls; the filter lives in the closure, and is copied by the call.
    unsafe {
        program.0.pre_exec(move || {
            let all = libc::sock_fprog { len: 4, filter: filter.as_mut_ptr() };
            if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
                || libc::prctl(libc::PR_SET_SECCOMP, 2, &all as *const libc::sock_fprog) != 0
            {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        })
    };
    program
}

const OUTSIDE: [&str; 9] = [
    "$HOME/private",
    "$HOME/.config/runbook/key",
    "$HOME/.local/state/runbook",
    "test.yaml",
    ".",
    "/tmp",
    "/root",
    "/etc/shadow",
    "/var/log",
];

#[test]
fn a_program_reads_nothing_that_is_not_named() {
    if !has_landlock() {
        return;
    }
    let script = reaching(&OUTSIDE, &[]);
    let folder = playbook("", &format!("head -c1 /etc/passwd /usr/bin/env > /dev/null\n{script}"));
    folder.file("private", "mine");
    folder.file(".config/runbook/key", "k");
    assert_eq!(tries(&folder), "");
    // What is not confined can: so the script is good for something.
    let off = said(folder.run(&["--output", "json", "--confine", "off"]));
    assert!(off.contains("read $HOME/private") && off.contains("read /tmp") && off.contains("read test.yaml"), "{off}");
}

#[test]
fn nor_does_what_it_starts() {
    if !has_landlock() {
        return;
    }
    let script = reaching(&["$HOME/private", "test.yaml"], &["./new", "$HOME/new", "/tmp/runbook-test-confined"]);
    let folder = playbook("", &format!("export SCRIPT={}\nsetsid bash -c 'bash -c \"$SCRIPT\"'\n", quoted(&script)));
    folder.file("private", "mine");
    assert_eq!(tries(&folder), "");
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[test]
fn what_is_named_can_be_read() {
    if !has_landlock() {
        return;
    }
    let script = reaching(&["a/x", "a/b/y", "one.txt", "two.txt", "three.bin", "c/z", "private"], &["a/x", "one.txt"]);
    let folder = playbook(", read: [\"a/**\", one.txt, \"t*.txt\", c]", &script);
    for file in ["a/x", "a/b/y", "one.txt", "two.txt", "three.bin", "c/z", "private"] {
        folder.file(file, "some");
    }
    assert_eq!(tries(&folder).lines().collect::<Vec<_>>(), ["read a/x", "read a/b/y", "read one.txt", "read two.txt"]);
}

#[test]
fn a_home_is_named_by_its_short_form() {
    if !has_landlock() {
        return;
    }
    let folder = playbook(", read: [\"~/tool/**\"]", &reaching(&["$HOME/tool/config", "$HOME/other"], &[]));
    folder.file("home/tool/config", "some");
    folder.file("home/other", "some");
    let home = folder.path().join("home");
    let ran = folder.program().args(["run", "test.yaml", "--output", "json"]).env("HOME", home.to_str().unwrap()).ran();
    assert_eq!(said(ran), "read $HOME/tool/config");
}

#[test]
fn a_program_writes_nothing_that_is_not_named() {
    if !has_landlock() {
        return;
    }
    let outside = [
        "./new",
        "test.yaml",
        "$HOME/new",
        "/tmp/runbook-test-confined",
        "/var/tmp/new",
        "/dev/shm/new",
        "/etc/new",
        "/proc/sys/kernel/core_pattern",
    ];
    let folder = playbook("", &reaching(&[], &outside));
    assert_eq!(tries(&folder), "");
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name == "new"), "{names:?}");
}

#[test]
fn what_is_named_can_be_written_and_nothing_beside_it() {
    if !has_landlock() {
        return;
    }
    let writes = ["there", "absent", "beside", "old.log", "new.log", "made/in", "test.yaml"];
    let script = format!(
        "mkdir -p made/deep; {}\ntouch touched; mv made/in made/deep/moved; cat there; rm made/deep/moved; echo kept > made/kept; stat -c '%a %n' absent made/kept made/deep",
        reaching(&[], &writes)
    );
    let folder = playbook(
        ", write: [there, absent, untouched, touched, \"made/**\", \"*.log\", \"empty/of/all/**\", none/at/all]",
        &script,
    );
    folder.file("there", "before");
    folder.file("old.log", "before");
    let wanted = "wrote there\nwrote absent\nwrote old.log\nwrote made/in\nx\n600 absent\n600 made/kept\n700 made/deep";
    assert_eq!(tries(&folder), wanted);
    assert_eq!((folder.read("absent"), folder.read("made/kept")), ("x\n".into(), "kept\n".into()));
    for (name, is_there) in
        [("untouched", false), ("touched", true), ("empty", false), ("none", false), ("beside", false)]
    {
        assert_eq!(folder.path().join(name).exists(), is_there, "{name}");
    }
}

#[test]
fn links_lead_nowhere() {
    if !has_landlock() {
        return;
    }
    let script = format!(
        "ln -s \"$HOME/private\" in/link; ln -s \"$HOME\" in/home; {}",
        reaching(&["in/link", "in/home/private", "out/x", "in/own"], &["in/link", "in/home/new", "out/new", "in/own"])
    );
    let folder = playbook(", write: [\"in/**\", \"out/**\"]", &script);
    folder.file("private", "mine");
    folder.file("in/own", "own");
    folder.file("elsewhere/x", "x");
    std::os::unix::fs::symlink("elsewhere", folder.path().join("out")).unwrap();
    assert_eq!(tries(&folder), "read in/own\nwrote in/own");
    // Nor do they later: the folder that is named has become one itself.
    std::fs::remove_dir_all(folder.path().join("in")).unwrap();
    std::os::unix::fs::symlink("elsewhere", folder.path().join("in")).unwrap();
    written(&folder, ", write: [\"in/**\"]", &reaching(&["in/x"], &["in/new"]));
    assert_eq!(tries(&folder), "");
}

/// Connects to each port, and says to which it could.
fn connecting(ports: &[u16]) -> String {
    let each =
        |port: &u16| format!("if (exec 3<>/dev/tcp/127.0.0.1/{port}) 2> /dev/null; then echo reached {port}; fi\n");
    ports.iter().map(each).collect()
}

#[test]
fn a_program_connects_to_ports_that_are_named() {
    if !has_landlock() {
        return;
    }
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [one, two] = listeners.each_ref().map(|listener| listener.local_addr().unwrap().port());
    let script = connecting(&[one, two]);
    let tries = |net: String| tries(&playbook(&net, &script));
    assert_eq!(tries(String::new()), "");
    assert_eq!(tries(", net: [\"https://example.com/**\"]".into()), "");
    assert_eq!(tries(format!(", net: [\"http://127.0.0.1:{one}/**\"]")), format!("reached {one}"));
    assert_eq!(tries(", net: [\"http://127.0.0.1:*/**\"]".into()), format!("reached {one}\nreached {two}"));
}

/// Ways of connecting that no `connect` or `bind` of plain TCP is: each tells where it got through.
const OTHER_WAYS: &str = r#"
use Socket;
my ($port, $path) = @ARGV;
my ($to, $wait) = (pack_sockaddr_in($port, inet_aton('127.0.0.1')), '');
print 'multipath ' if socket(ONE, AF_INET, SOCK_STREAM, 262) && connect(ONE, $to);
socket(TWO, AF_INET, SOCK_STREAM, 0);
send(TWO, 'x', 0x20000000, $to);
vec($wait, fileno(TWO), 1) = 1;
select(undef, $wait, undef, 2);
print 'fast ' if getpeername(TWO);
print 'raw ' if socket(THREE, AF_INET, SOCK_RAW, 6) || socket(THREE, 17, SOCK_RAW, 0x300);
print 'unix ' if socket(FOUR, AF_UNIX, SOCK_STREAM, 0) && connect(FOUR, pack_sockaddr_un($path));
"#;

#[test]
fn nor_by_ways_that_landlock_does_not_see() {
    if !has_landlock() {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let script =
        |folder: &Folder| format!("perl -e {} {port} {}", quoted(OTHER_WAYS), folder.path().join("at").display());
    let folder = Folder::new();
    let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("at")).unwrap();
    written(&folder, ", read: [\"**\"]", &script(&folder));
    assert_eq!(tries(&folder), "");
    // A socket is talked to where it may be written, and the operator's own programs go all the ways.
    written(&folder, ", write: [at]", &script(&folder));
    assert_eq!(tries(&folder), "unix");
    let off = said(folder.run(&["--output", "json", "--confine", "off"]));
    assert!(off.contains("fast") && off.contains("unix"), "{off}");
}

#[test]
fn a_program_listens_to_nobody() {
    if !has_landlock() {
        return;
    }
    let perl = "perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(LocalAddr => q(127.0.0.1), Listen => 1) ? q(listens) : qq(no: $!)'";
    let folder = playbook(", net: [\"http://127.0.0.1:*/**\"]", perl);
    assert_eq!(tries(&folder), "no: Permission denied");
}

#[test]
fn a_program_sees_nothing_of_the_run_and_cannot_signal_it() {
    if !has_landlock() {
        return;
    }
    let script = format!(
        "{}\nfor pid in $PPID $OTHER; do kill -0 $pid 2> /dev/null && echo signals; done\nkill -0 $$ && echo itself",
        reaching(
            &[
                "/proc/$PPID/environ",
                "/proc/$PPID/mem",
                "/proc/$PPID/maps",
                "/proc/$PPID/fd/1",
                "/proc/$PPID/cwd",
                "/proc/$OTHER/environ",
                "/proc/$OTHER/root"
            ],
            &[]
        )
    );
    let folder = Folder::new();
    folder.file(
        "test.yaml",
        &format!(
            "runbook: 1\nname: test\npermissions: {{run: [bash], env: [OTHER]}}\nsteps:\n  - id: tries\n    shell: {{script: {}, env: {{OTHER: \"{}\"}}}}\n    \
             capture: {{said: {{from: stdout, trim: true}}}}\noutputs: {{said: \"{{{{ said }}}}\"}}\n",
            serde_json::Value::from(script),
            std::process::id()
        ),
    );
    assert_eq!(tries(&folder), "itself");
}

#[test]
fn its_temporary_folder_is_its_own_and_goes() {
    if !has_landlock() {
        return;
    }
    let folder = playbook(
        "",
        "cd \"$TMPDIR\"; echo x > x; mktemp > /dev/null; mkdir -p a/b; chmod 500 a; cp /bin/true t; ./t; stat -c %a .; echo \"$TMPDIR\"",
    );
    let place = folder.path().join("place");
    std::fs::create_dir(&place).unwrap();
    let run =
        || folder.program().args(["run", "test.yaml", "--output", "json"]).env("TMPDIR", place.to_str().unwrap()).ran();
    let (one, two) = (said(run()), said(run()));
    assert!(one.starts_with(&format!("700\n{}/", place.display())), "{one}");
    assert_ne!(one, two);
    assert_eq!(std::fs::read_dir(&place).unwrap().count(), 0, "nothing is left of them");
}

#[test]
fn a_module_gets_what_all_agree_on() {
    if !has_landlock() {
        return;
    }
    let script = serde_json::Value::from(reaching(&["a/x", "a/b/y", "private"], &["a/x", "a/b/y"]));
    let module = format!(
        "runbook: 1\nname: module\npermissions: {{run: [bash], read: [\"a/b/**\"]}}\nsteps:\n  - id: tries\n    shell: {script}\n    \
         capture: {{said: {{from: stdout, trim: true}}}}\noutputs: {{said: \"{{{{ said }}}}\"}}\n"
    );
    let folder = Folder::with(
        "runbook: 1\nname: test\npermissions: {run: [bash], write: [\"a/**\"], read: [\"a/**\"]}\nsteps:\n  - id: uses\n    use: module.yaml\n    \
         capture: {said: .said}\noutputs: {said: \"{{ said }}\"}\n",
    );
    folder.file("module.yaml", &module);
    for file in ["a/x", "a/b/y", "private"] {
        folder.file(file, "some");
    }
    assert_eq!(tries(&folder), "read a/b/y");
}

const IN_FORCE: &str = "programs were confined by Landlock (files and TCP ports)";

#[test]
fn the_summary_says_what_was_in_force() {
    if !has_landlock() {
        return;
    }
    let folder = playbook("", "true");
    folder.run(&[]).exits(0).shows(IN_FORCE);
    let ran = folder.run(&["--output", "json"]).exits(0);
    assert_eq!(ran.finished()["confined"]["files"], true);
    assert_eq!(ran.finished()["confined"]["ports"], true);
    folder.program().args(["show", "last"]).ran().exits(0).shows(IN_FORCE);
    folder
        .run(&["--output", "plain", "--confine", "off"])
        .exits(0)
        .shows("programs were not confined: `confine` is off");
    let ran = folder.run(&["--output", "json", "--confine", "off"]).exits(0);
    assert_eq!(ran.finished()["confined"]["files"], false);
    // Where no program was started there is nothing to say.
    let ran = Folder::with("runbook: 1\nname: test\nsteps: [{wait: 1ms}]\n").run(&[]).exits(0);
    assert!(!ran.stdout.contains("confined"), "{}", ran.stdout);
}

#[test]
fn without_landlock_it_is_said_or_refused() {
    let program = |folder: &Folder, arguments: &[&str]| {
        without_landlock(folder.program().args(["run", "test.yaml"]).args(arguments)).ran()
    };
    let folder = playbook(", write: [ran]", "touch ran");
    let ran = program(&folder, &["--confine", "required"]).exits(5).shows("this kernel has no Landlock");
    assert!(!folder.path().join("ran").exists(), "{}", ran.shown());
    program(&folder, &[]).exits(0).shows("programs were not confined: this kernel has no Landlock");
    assert!(folder.path().join("ran").exists());
    // Nothing is started, so nothing is to be confined.
    let folder = Folder::with("runbook: 1\nname: test\nsteps: [{wait: 1ms}]\n");
    program(&folder, &["--confine", "required"]).exits(0);
}

#[test]
fn the_operator_says_whether_and_no_playbook() {
    if !has_landlock() {
        return;
    }
    let folder = playbook("", "true");
    folder.run(&["--confine", "required"]).exits(0).shows(IN_FORCE);
    let with = |variable: &str| folder.program().args(["run", "test.yaml"]).env("RUNBOOK_CONFINE", variable).ran();
    with("off").exits(0).shows("not confined");
    with("no").exits(2).shows("`auto`, `off` or `required`");
    folder.file(".config/runbook/config.yaml", "confine: off\n");
    folder.run(&[]).exits(0).shows("not confined");
    folder.program().arg("config").ran().exits(0).shows("line 1 of the file");
    with("required").exits(0).shows(IN_FORCE);
    folder.file("test.yaml", "runbook: 1\nname: test\nconfine: off\nsteps: [{wait: 1ms}]\n");
    folder.run(&[]).exits(2);
}

#[test]
fn who_is_refused_is_told_what_to_do() {
    if !has_landlock() {
        return;
    }
    let folder = playbook("", "cat test.yaml");
    folder.run(&[]).exits(1).shows("it was confined").shows("`permissions.read`");
    let ran = playbook("", "exit 3").run(&[]).exits(1);
    assert!(!ran.stdout.contains("it was confined"), "{}", ran.stdout);
    let ran = folder.run(&["--confine", "off"]).exits(0);
    assert!(!ran.stdout.contains("it was confined"), "{}", ran.stdout);
}

#[test]
fn in_a_rehearsal_programs_reach_the_world_and_nothing_real() {
    if !has_landlock() {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = format!(
        "tool a | head -n 1; real \"$0\"; {}{}",
        connecting(&[port]),
        reaching(&["$OPERATOR/private", "test.yaml", "named", "$OPERATOR/tool/x"], &["$HOME/own", "$OPERATOR/new"])
    );
    let folder = Folder::new();
    let rules = format!("net: [\"http://127.0.0.1:{port}/**\"], read: [named, \"~/tool/**\"]");
    folder.file(
        "test.yaml",
        &format!(
            "runbook: 1\nname: test\npermissions: {{run: [bash], env: [OPERATOR], {rules}}}\nsteps:\n  - id: tries\n    \
             shell: {{script: {}, env: {{OPERATOR: \"{}\"}}}}\n    \
             capture: {{said: {{from: stdout, trim: true}}}}\noutputs: {{said: \"{{{{ said }}}}\"}}\n",
            serde_json::Value::from(script),
            folder.path().display()
        ),
    );
    let real = folder.file("elsewhere/real", "#!/bin/sh\n. \"$CONFIG\"; cat \"$OWN/in\"\n");
    std::fs::set_permissions(&real, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let config = folder.file("config", "echo configured\n");
    let world = format!(
        "world: 1\nfiles: {{in: \"from the world\\n\"}}\nprograms:\n  tool: '{{exit_code: 0, stdout: \"played \\(.argv[1])\\n\"}}'\n  \
         real: {{program: {}, env: {{CONFIG: {}, OWN: \"{{{{ world.folder }}}}\"}}}}\n",
        real.display(),
        config.display()
    );
    folder.file("world.yaml", &world);
    for file in ["private", "named", "tool/x"] {
        folder.file(file, "some");
    }
    let ran = folder.run(&["--output", "json", "--world", "world.yaml"]);
    assert_eq!(said(ran), "played a\nconfigured\nfrom the world\nread named\nwrote $HOME/own");
}
