//! The shipped rotation in all the ways that it can go: nothing is found.

use crate::evidence::{Channel, Evidence};
use crate::forms::{forms, seed};
use crate::rehearsal::{ACCESS, DEPLOY, READ};
use crate::stage::{Shown, Stage};
use serde_json::{Value as Json, json};

/// It passes: in each way of telling, by API and by program, with a roll by API and by hand.
fn passing() -> Evidence {
    let mut evidence = Evidence::default();
    let ways = [
        (&DEPLOY, Shown::PlainAndLogs, &[][..]),
        (&DEPLOY, Shown::JsonAndLogs, &["--set", "infisical_via=cli", "--set", "heroku_via=cli"]),
        (&ACCESS, Shown::Terminal, &["--set", "mode=dashboard"]),
        (&READ, Shown::Human, &["--set", "mode=dashboard"]),
    ];
    for (number, (token, shown, more)) in ways.into_iter().enumerate() {
        let mut stage = Stage::new(number as u64 + 1, token);
        stage.heroku_by_argument = more.contains(&"heroku_via=cli");
        let dry = stage.run(token.playbook, shown, &[more, &["--dry-run"]].concat());
        assert_eq!(dry.code, 0, "{}", dry.shown());
        let ran = stage.run(token.playbook, shown, more);
        assert_eq!(ran.code, 0, "{}", ran.shown());
        stage.serves(token);
        stage.collect();
        stage.ask();
        evidence.merge(stage.leaks_nothing());
    }
    evidence
}

#[test]
fn nothing_of_the_rotation_leaks() {
    let evidence = passing();
    println!("{}", evidence.table());
    let _ = (Channel::ALL, seed(), json!({}), Json::Null, forms("a"));
}
