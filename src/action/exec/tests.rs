//! Real programs: what they are given, what they give, and how they end.

mod ending;
mod given;
mod rehearsal;

use super::*;
use crate::action::Births;
use crate::action::{Cancel, StandIns, http};
use crate::plan::permissions::Permissions;
use crate::secret::Taint;
use crate::secret::{Masker, Origin, Target};
use serde_json::Value as Json;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::watch;

/// Stands in every secret of these tests, so that no message may hold it.
const HIDDEN: &str = "hUnter2hUnter2";

struct Bench {
    hands: Hands,
    grant: Grant,
    stop: watch::Sender<bool>,
    cancel: Cancel,
}

impl Bench {
    fn new(run: &[&str], env: &[&str]) -> Bench {
        let names = |list: &[&str]| list.iter().map(|name| name.to_string()).collect();
        // Files are the affair of `tests/confined.rs`.
        let write = vec!["/**".into()];
        let permissions = Permissions { run: names(run), env: names(env), write, ..Permissions::default() };
        let (stop, signal) = watch::channel(false);
        Bench {
            hands: Hands {
                clients: http::Clients::default(),
                masker: Masker::default(),
                births: Births::default(),
                stand_ins: None,
                life: None,
                confinement: Confine::Auto.here(),
            },
            grant: Grant(vec![Arc::new(permissions)]),
            stop,
            cancel: Cancel(signal),
        }
    }

    fn bash() -> Bench {
        Bench::new(&["bash"], &["*"])
    }

    async fn perform(&self, command: &Command) -> Result<Json, ActionError> {
        let leave = Leave { grant: &self.grant, cancel: &self.cancel, veil: Taint::default() };
        let result = perform(&self.hands, command, &leave).await;
        if let Err(error) = &result {
            assert!(!format!("{error} {error:?}").contains(HIDDEN), "{error:?}");
        }
        result.map(|output| output.expose().clone())
    }

    /// What a script writes, its last line break taken off.
    async fn told_by(&self, command: &Command) -> String {
        let output = self.perform(command).await.unwrap();
        assert_eq!((&output["exit_code"], &output["stderr"]), (&json!(0), &json!("")));
        output["stdout"].as_str().unwrap().trim_end_matches('\n').to_string()
    }
}

fn command(argv: &[&str]) -> Command {
    Command {
        argv: argv.iter().map(|argument| text(argument)).collect(),
        secret_argv: false,
        env: Vec::new(),
        stdin: None,
        own_env: Vec::new(),
        also_given: Vec::new(),
        files: None,
        cwd: std::env::temp_dir(),
        timeout: Some(Duration::from_secs(60)),
        max_output: 1 << 20,
    }
}

fn script(text: &str) -> Command {
    command(&["bash", "-euo", "pipefail", "-c", text])
}

fn text(text: &str) -> Value {
    Value::plain(json!(text))
}

/// The hidden text, as a secret that may go to these places.
fn secret(to: Option<&[&str]>) -> Value {
    let to = to.map(|to| to.iter().map(|target| Target::parse(target).unwrap()).collect());
    Value::secret(json!(HIDDEN), Arc::new(Origin { name: "token".into(), to }))
}

#[track_caller]
fn refusal(result: Result<Json, ActionError>) -> (String, String) {
    match result {
        Err(ActionError::Refused { message, help }) => (message, help.unwrap_or_default()),
        other => panic!("expected a refusal: {other:?}"),
    }
}

/// The message of a failure before anything was started.
#[track_caller]
fn failure(result: Result<Json, ActionError>) -> String {
    match result {
        Err(ActionError::Failed { message, sent: Sent::No }) => message,
        other => panic!("expected a failure: {other:?}"),
    }
}

/// A program that writes what it was given.
fn program(file: &Path, script: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(file, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn what_a_program_does_becomes_an_output() {
    let mut output = Bench::bash().perform(&script("echo '{\"a\": 1}'; echo oh >&2; exit 3")).await.unwrap();
    assert!(output["duration_ms"].take().is_u64());
    assert_eq!(
        output,
        json!({
            "exit_code": 3,
            "signal": null,
            "json": {"a": 1},
            "stdout": "{\"a\": 1}\n",
            "stderr": "oh\n",
            "duration_ms": null,
        })
    );
}

#[tokio::test]
async fn a_signal_has_a_name_and_no_exit_code() {
    let output = Bench::bash().perform(&script("kill -KILL $$")).await.unwrap();
    assert_eq!((&output["exit_code"], &output["signal"]), (&Json::Null, &json!("SIGKILL")));
}

#[tokio::test]
async fn what_is_no_text_or_no_json_is_shown_as_well_as_can_be() {
    let output = Bench::bash().perform(&script(r"printf 'a\xffb'")).await.unwrap();
    assert_eq!((&output["stdout"], &output["json"]), (&json!("a\u{fffd}b"), &Json::Null));
}

#[test]
fn an_effect_may_run_in_a_task_of_its_own() {
    fn sendable<T: Send>(_: T) {}
    let (bench, command) = (Bench::bash(), script("true"));
    let leave = Leave { grant: &bench.grant, cancel: &bench.cancel, veil: Taint::default() };
    sendable(perform(&bench.hands, &command, &leave));
}
