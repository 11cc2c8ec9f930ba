//! What a program is given: permission, arguments, environment, input, and nothing besides.

use super::*;
use std::os::fd::AsRawFd;

#[tokio::test]
async fn what_is_not_permitted_is_not_started() {
    let bench = Bench::new(&["bash", "/bin/ls"], &["GH_TOKEN"]);
    let (message, help) = refusal(bench.perform(&command(&["gh", "auth"])).await);
    assert_eq!(message, "running `gh` is not permitted by `permissions.run`");
    assert_eq!(help, "add `gh` under `permissions.run`");
    for argv0 in ["/bin/bash", "./bash", "ls", "/bin/../bin/ls", ""] {
        refusal(bench.perform(&command(&[argv0])).await);
    }
    let (message, help) =
        refusal(bench.perform(&Command { env: vec![("OTHER".into(), text("x"))], ..script("true") }).await);
    assert_eq!(message, "giving a program the environment variable `OTHER` is not permitted by `permissions.env`");
    assert_eq!(help, "add `OTHER` under `permissions.env`");
}

#[tokio::test]
async fn a_secret_goes_only_to_programs_of_its_list() {
    let bench = Bench::bash();
    let elsewhere = || secret(Some(&["api.example.com", "run:gh"]));
    let mut in_argv = script("true");
    in_argv.argv.push(elsewhere());
    in_argv.secret_argv = true;
    for command in [
        in_argv,
        Command { env: vec![("T".into(), elsewhere())], ..script("true") },
        Command { stdin: Some(elsewhere()), ..script("true") },
        Command { also_given: vec![text("x"), elsewhere()], ..script("true") },
    ] {
        let (message, help) = refusal(bench.perform(&command).await);
        assert_eq!(message, "the secret `token` may not go to the program `bash`");
        assert_eq!(help, "add `run:bash` to the `to:` of `token`, if it is meant to go there");
    }
    for to in [None, Some(&["run:bash"][..])] {
        let command = Command { env: vec![("T".into(), secret(to))], ..script("echo ${#T}") };
        assert_eq!(bench.told_by(&command).await, HIDDEN.len().to_string());
    }
}

#[tokio::test]
async fn a_secret_argument_needs_a_reason() {
    let bench = Bench::bash();
    let mut command = script("echo ${#1}");
    command.argv.extend([text("bash"), secret(None)]);
    let (message, help) = refusal(bench.perform(&command).await);
    assert_eq!(message, "an argument of `bash` is secret, and arguments are seen by all on this machine");
    assert!(help.contains("allow_secret_argv"));
    command.secret_argv = true;
    assert_eq!(bench.told_by(&command).await, HIDDEN.len().to_string());
    command.argv[0] = secret(None);
    refusal(bench.perform(&command).await);
}

#[tokio::test]
async fn arguments_arrive_as_they_are() {
    let mut command = script(r#"printf '<%s>' "$0" "$@""#);
    command.argv.extend(["bash", "a b", "", "'\"$HOME`", "é\nz", "-n"].map(text));
    assert_eq!(Bench::bash().told_by(&command).await, "<bash><a b><><'\"$HOME`><é\nz><-n>");
    let numbers = Command {
        argv: vec![text("bash"), text("-c"), text("echo $0 $1"), json!(1).into(), json!([2]).into()],
        ..script("")
    };
    assert_eq!(Bench::bash().told_by(&numbers).await, "1 [2]");
}

#[tokio::test]
async fn the_environment_is_small() {
    let bench = Bench::new(&["env"], &["GIVEN"]);
    let command = Command {
        env: vec![("GIVEN".into(), text("x=y"))],
        own_env: vec![("FILES_A".into(), "/a".into())],
        ..command(&["env"])
    };
    let told = bench.told_by(&command).await;
    for line in told.lines() {
        let (name, value) = line.split_once('=').unwrap();
        match name {
            "GIVEN" => assert_eq!(value, "x=y"),
            "FILES_A" => assert_eq!(value, "/a"),
            "PATH" | "HOME" | "LANG" | "TZ" => assert_eq!(Some(value.into()), std::env::var_os(name)),
            "TMPDIR" => assert!(!Path::new(value).exists(), "its own, and gone with it: {value}"),
            other => panic!("{other} was given too"),
        }
    }
    assert!(told.contains("GIVEN=") && told.contains("FILES_A=") && told.contains("PATH="));
}

#[tokio::test]
async fn input_is_what_is_given_or_nothing() {
    let bench = Bench::new(&["cat", "true"], &[]);
    assert_eq!(bench.told_by(&Command { stdin: Some(secret(None)), ..command(&["cat"]) }).await, HIDDEN);
    assert_eq!(bench.told_by(&command(&["cat"])).await, "");
    let long = text(&"x".repeat(1 << 20));
    let output = bench.perform(&Command { stdin: Some(long.clone()), ..command(&["cat"]) }).await.unwrap();
    assert_eq!(output["stdout"], *long.expose());
    // Not reading it is no mistake.
    assert_eq!(bench.told_by(&Command { stdin: Some(long), ..command(&["true"]) }).await, "");
}

#[tokio::test]
async fn a_program_is_alone_in_its_session_with_private_files() {
    let told = Bench::bash().told_by(&script("umask; cut -d' ' -f1,5,6 /proc/$$/stat; echo $$")).await;
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines[0], "0077");
    assert_eq!(lines[1], [lines[2]; 3].join(" "), "process, group and session");
    let output = Bench::bash().perform(&script("exec 3</dev/tty")).await.unwrap();
    assert_ne!(output["exit_code"], 0, "there is no terminal to wait at");
}

#[tokio::test]
async fn no_descriptor_is_inherited() {
    let file = tempfile::tempfile().unwrap();
    // `dup` leaves the mark off by which descriptors are closed at exec.
    let open = unsafe { libc::dup(file.as_raw_fd()) };
    assert!(open > 2);
    let told = Bench::new(&["ls"], &[]).told_by(&command(&["ls", "/proc/self/fd"])).await;
    unsafe { libc::close(open) };
    // The fourth is by which it reads the folder.
    assert_eq!(told, "0\n1\n2\n3");
}

#[tokio::test]
async fn it_runs_in_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let real = folder.path().canonicalize().unwrap();
    let command = |cwd: &Path| Command { cwd: cwd.into(), ..script("pwd -P") };
    assert_eq!(Bench::bash().told_by(&command(&real)).await, real.to_str().unwrap());
    let message = failure(Bench::bash().perform(&command(&real.join("none"))).await);
    assert!(message.ends_with("none` (`cwd`) is not there"), "{message}");
}

#[tokio::test]
async fn what_cannot_be_started_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    std::fs::write(path("plain"), "").unwrap();
    std::fs::create_dir(path("folder")).unwrap();
    program(Path::new(&path("lost")), "");
    std::fs::write(path("lost"), "#!/nowhere/interpreter\n").unwrap();
    let (plain, lost, inner, none) = (path("plain"), path("lost"), path("folder"), path("none"));
    let bench = Bench::new(&["no-such-program", "bash", &plain, &lost, &inner, &none], &["*"]);
    for (command, expected) in [
        (command(&["no-such-program"]), "there is no program `no-such-program` on PATH: install it".to_string()),
        (command(&[&none]), format!("there is no program `{none}`")),
        (command(&[&inner]), format!("there is no program `{inner}`")),
        (command(&[&plain]), format!("`{plain}` is not executable: `chmod +x {plain}`")),
        (command(&[&lost]), format!("`{lost}` could not be started: entity not found")),
        (command(&["bash", "a\0b"]), "has a NUL character in it".into()),
        (command(&["bash", "-c", &"x".repeat(1 << 20)]), "give long texts by `stdin` or `files`".into()),
        (command(&[]), "`argv` is empty".into()),
        (
            Command { env: vec![("A=B".into(), text("x"))], ..script("true") },
            "no name of an environment variable".into(),
        ),
        (Command { env: vec![("".into(), text("x"))], ..script("true") }, "no name of an environment variable".into()),
        (Command { env: vec![("A".into(), text("x\0"))], ..script("true") }, "has a NUL character in it".into()),
    ] {
        let message = failure(bench.perform(&command).await);
        assert!(message.contains(&expected), "{message}");
    }
}
