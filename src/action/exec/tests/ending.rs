//! How programs end: by themselves, at a limit, cancelled; and what they leave behind.

use super::*;
use std::time::Instant;

/// Whether the process is there and no corpse that nobody has buried yet.
fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.trim().is_empty() && !rest.trim().starts_with(['Z', 'X']))
}

/// Waits until a condition holds; far longer than it should take.
async fn until(holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(60), "waited in vain");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The process ids that a script has written to `pids` in its folder, when the file is complete.
async fn pids(folder: &Path) -> Vec<i32> {
    let file = folder.join("pids");
    let read = || std::fs::read_to_string(&file).unwrap_or_default();
    until(|| read().ends_with("end\n")).await;
    read().split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

fn within(folder: &tempfile::TempDir, text: &str) -> Command {
    Command { cwd: folder.path().into(), ..script(text) }
}

#[tokio::test]
async fn both_streams_are_read_at_once() {
    let text = "for i in {1..200}; do printf '%01000d' 1; printf '%01000d' 2 >&2; done";
    let output = Bench::bash().perform(&script(text)).await.unwrap();
    assert_eq!(output["stdout"].as_str().unwrap().len(), 200_000);
    assert_eq!(output["stderr"].as_str().unwrap().len(), 200_000);
}

#[tokio::test]
async fn who_writes_too_much_is_ended() {
    for (text, what) in [("yes", "standard output"), ("yes >&2", "standard error")] {
        let folder = tempfile::tempdir().unwrap();
        let command = Command { max_output: 1000, ..within(&folder, &format!("echo $$ end > pids; {text}")) };
        match Bench::bash().perform(&command).await {
            Err(ActionError::Failed { message, sent: Sent::Perhaps }) => {
                assert_eq!(
                    message,
                    format!("the program was ended: it wrote more than `max_output` (1000 bytes) to {what}")
                );
            }
            other => panic!("{other:?}"),
        }
        for pid in pids(folder.path()).await {
            until(|| !is_alive(pid)).await;
        }
    }
    let exact = Command { max_output: 10, ..script("printf 0123456789") };
    assert_eq!(Bench::bash().told_by(&exact).await, "0123456789");
}

#[tokio::test]
async fn time_runs_out() {
    let after = Duration::from_millis(50);
    for after in [after, Duration::ZERO] {
        match Bench::bash().perform(&Command { timeout: Some(after), ..script("sleep 1000") }).await {
            Err(ActionError::Timeout { after: told, sent: Sent::Perhaps }) => assert_eq!(told, after),
            other => panic!("{other:?}"),
        }
    }
    for timeout in [None, Some(Duration::MAX)] {
        assert_eq!(Bench::bash().told_by(&Command { timeout, ..script("echo a") }).await, "a");
    }
}

#[tokio::test]
async fn a_cancelled_program_is_asked_to_end_with_all_its_children() {
    let folder = tempfile::tempdir().unwrap();
    // Says goodbye in more than a pipe holds, which must not hold it up.
    let text = "trap 'head -c 200000 /dev/zero; echo bye > bye; exit 0' TERM; sleep 1000 & echo $$ $! end > pids; wait";
    let (bench, command) = (Bench::bash(), within(&folder, text));
    let (result, ()) = tokio::join!(bench.perform(&command), async {
        pids(folder.path()).await;
        bench.stop.send(true).unwrap();
    });
    assert!(matches!(result, Err(ActionError::Interrupted { sent: Sent::Perhaps })), "{result:?}");
    assert_eq!(std::fs::read_to_string(folder.path().join("bye")).unwrap(), "bye\n");
    for pid in pids(folder.path()).await {
        until(|| !is_alive(pid)).await;
    }
    let again = bench.perform(&command).await;
    assert!(matches!(again, Err(ActionError::Interrupted { sent: Sent::No })), "{again:?}");
}

#[tokio::test]
async fn who_does_not_listen_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let text = "trap '' TERM; sleep 1000 & echo $$ $! end > pids; while true; do sleep 1000; done";
    let (bench, command) = (Bench::bash(), within(&folder, text));
    let (result, ()) = tokio::join!(bench.perform(&command), async {
        pids(folder.path()).await;
        bench.stop.send(true).unwrap();
    });
    assert!(matches!(result, Err(ActionError::Interrupted { .. })), "{result:?}");
    for pid in pids(folder.path()).await {
        until(|| !is_alive(pid)).await;
    }
}

#[tokio::test]
async fn what_is_left_behind_on_the_pipes_holds_nothing_up() {
    let folder = tempfile::tempdir().unwrap();
    let output =
        Bench::bash().perform(&within(&folder, "sleep 1000 & echo $! end > pids; echo done; exit 4")).await.unwrap();
    assert_eq!((&output["exit_code"], &output["stdout"]), (&json!(4), &json!("done\n")));
    for pid in pids(folder.path()).await {
        until(|| !is_alive(pid)).await;
    }
}

#[tokio::test]
async fn nor_does_what_has_left_the_group() {
    let folder = tempfile::tempdir().unwrap();
    let output =
        Bench::bash().perform(&within(&folder, "setsid sleep 1000 & echo $! end > pids; echo done")).await.unwrap();
    assert_eq!(output["stdout"], "done\n");
    for pid in pids(folder.path()).await {
        unsafe { libc::kill(pid, libc::SIGKILL) };
    }
}

#[tokio::test]
async fn a_daemon_off_the_pipes_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let text = "sleep 1000 > /dev/null 2>&1 & echo $! end > pids; echo done";
    assert_eq!(Bench::bash().told_by(&within(&folder, text)).await, "done");
    for pid in pids(folder.path()).await {
        assert!(is_alive(pid));
        unsafe { libc::kill(pid, libc::SIGKILL) };
    }
}

#[tokio::test]
async fn a_performance_that_is_given_up_ends_its_program() {
    let folder = tempfile::tempdir().unwrap();
    let (bench, command) = (Bench::bash(), within(&folder, "sleep 1000 & echo $$ $! end > pids; wait"));
    tokio::select! {
        result = bench.perform(&command) => panic!("{result:?}"),
        _ = pids(folder.path()) => {}
    }
    for pid in pids(folder.path()).await {
        until(|| !is_alive(pid)).await;
    }
}

/// Not a test: the process that `a_run_that_is_killed_takes_its_program_along` kills.
#[tokio::test]
#[ignore = "started by another test"]
async fn a_run_that_waits() {
    let Some(folder) = std::env::var_os("RUNBOOK_TEST_FOLDER") else { return };
    let command = Command { cwd: folder.into(), ..script("echo $$ end > pids; exec sleep 1000") };
    let _ = Bench::bash().perform(&command).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_run_that_is_killed_takes_its_program_along() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "action::exec::tests::ending::a_run_that_waits"])
        .env("RUNBOOK_TEST_FOLDER", folder.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let pids = pids(folder.path()).await;
    assert!(is_alive(pids[0]));
    run.kill().unwrap();
    run.wait().unwrap();
    until(|| !is_alive(pids[0])).await;
}
