//! Real programs: what they are given, what they give, and how they end.

use super::*;
use crate::action::{Cancel, StandIns, http};
use crate::plan::permissions::Permissions;
use crate::secret::{Masker, Origin, Target};
use std::sync::Arc;
use tokio::sync::watch;

struct Bench {
    hands: Hands,
    grant: Grant,
    stop: watch::Sender<bool>,
    cancel: Cancel,
}

impl Bench {
    fn new(run: &[&str], env: &[&str]) -> Bench {
        let names = |list: &[&str]| list.iter().map(|name| name.to_string()).collect();
        let permissions = Permissions { run: names(run), env: names(env), ..Permissions::default() };
        let (stop, signal) = watch::channel(false);
        Bench {
            hands: Hands { clients: http::Clients::default(), masker: Masker::default(), stand_ins: None },
            grant: Grant(vec![Arc::new(permissions)]),
            stop,
            cancel: Cancel(signal),
        }
    }

    fn bash() -> Bench {
        Bench::new(&["bash"], &["*"])
    }

    async fn perform(&self, command: &Command) -> Result<Json, ActionError> {
        let leave = Leave { grant: &self.grant, cancel: &self.cancel };
        perform(&self.hands, command, &leave).await.map(|output| output.expose().clone())
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

fn secret(text: &str, to: Option<&[&str]>) -> Value {
    let to = to.map(|to| to.iter().map(|target| Target::parse(target).unwrap()).collect());
    Value::secret(json!(text), Arc::new(Origin { name: "token".into(), to }))
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
