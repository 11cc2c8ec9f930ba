//! A rotation that broke off and is gone on with, in the world `raxx`: the value that the run holds goes to whoever has not
//! got it, the roll is sent once, and nothing of it is left when the run has passed.

use crate::failures::{Case, Failed};
use crate::rehearsal::{ACCESS, DEPLOY, READ, Rehearsal, Token, places_of, raxx, secrets};
use crate::support::until;
use serde_json::{Value as Json, json};
use std::process::Stdio;

impl Failed {
    /// What was wrong is mended, and the run goes on: with the value that it held, which was not rolled again.
    #[track_caller]
    fn goes_on(self, mend: impl FnOnce(&mut Json)) -> Failed {
        let (token, value, rolls) =
            (self.token, self.token.value(&self.after), self.after["cloudflare"]["rolls"].clone());
        assert!(record(&self.rehearsal).1, "the run keeps its key");
        let resumed = self.mend(mend).resume(&[]);
        assert_eq!(token.value(&resumed.after), value, "rolled again\n{}", resumed.ran.shown());
        assert_eq!(resumed.after["cloudflare"]["rolls"], rolls);
        resumed
    }

    #[track_caller]
    fn mend(self, mend: impl FnOnce(&mut Json)) -> Broken {
        Broken { token: self.token, rehearsal: self.rehearsal.patch_now(mend) }
    }
}

/// A run that broke off, in a world in which nothing is wrong any more.
struct Broken {
    token: &'static Token,
    rehearsal: Rehearsal,
}

impl Broken {
    /// It passes: everyone has the live value, the audit log its end, and what was sealed can be opened by nobody.
    #[track_caller]
    fn resume(self, arguments: &[&str]) -> Failed {
        let ran = self.rehearsal.resume(arguments).exits(0);
        let after = self.rehearsal.after();
        assert_eq!(places_of(&after, &self.token.value(&after)), self.token.places(), "{}", ran.shown());
        let entry = after["audit"].as_array().unwrap().last().unwrap().clone();
        assert_eq!(entry["action"], "secret.rotate.completed");
        assert_eq!(entry["context"]["run_id"], after["audit"][0]["context"]["run_id"]);
        let (text, has_key) = record(&self.rehearsal);
        assert!(!has_key, "the key is still there");
        for secret in secrets(&after).iter().chain(&secrets(&self.rehearsal.before)) {
            assert!(!text.contains(secret), "a secret is legible in the record: `{}…`", &secret[..4]);
        }
        Failed { token: self.token, after, rehearsal: self.rehearsal, ran }
    }
}

/// The last run's journal, and whether the key to it is there.
fn record(rehearsal: &Rehearsal) -> (String, bool) {
    let runs = rehearsal.folder.path().join(".local/state/runbook/runs");
    let mut folders: Vec<_> = std::fs::read_dir(runs).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    let last = folders.last().unwrap();
    (std::fs::read_to_string(last.join("journal.jsonl")).unwrap(), last.join("key").exists())
}

fn actions(after: &Json) -> Vec<&str> {
    after["audit"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect()
}

const BROKE_OFF_ONCE: [&str; 3] = ["secret.rotate.started", "secret.rotate.failed", "secret.rotate.completed"];

// ------------------------------------------------------------------------------------------------------ after the roll

#[test]
fn heroku_refuses_and_then_takes_it() {
    let resumed = Case::of(&DEPLOY)
        .patch(|state| state["heroku"]["apps"]["raxx-api-prod"]["access"] = json!("read"))
        .fails_after_the_roll_at("distribute/set-on-heroku[0]/config-set")
        .shows("Mend that, then resume the run")
        .goes_on(|state| state["heroku"]["apps"]["raxx-api-prod"]["access"] = json!("write"));
    assert_eq!(actions(&resumed.after), BROKE_OFF_ONCE);
    // Whoever was served is not served twice.
    let releases = resumed.after["heroku"]["apps"]["raxx-api-staging"]["releases"].as_array().unwrap().len();
    let before = resumed.rehearsal.before["heroku"]["apps"]["raxx-api-staging"]["releases"].as_array().unwrap().len();
    assert_eq!(releases, before);
    // What was done before is a number; what is done now stands under its headings.
    let shown =
        resumed.ran.shows("steps were done before").hides("✔ The inputs go together").hides("▸ Audit log: started");
    shown.shows(
        "▸ Give the new value to every consumer\n  ▸ Set on Heroku\n    ▸ Set on Heroku: raxx-api-prod\n      ✔ Set ",
    );
}

/// A `once` step that was refused: that it did not happen is looked up, so nobody is asked.
#[test]
fn infisical_refuses_to_create_and_then_takes_it() {
    Case::of(&ACCESS)
        .patch(|state| state["infisical"]["projects"]["console"]["role"] = json!("read"))
        .fails_after_the_roll_at("distribute/store-in-infisical[0]/create")
        .goes_on(|state| state["infisical"]["projects"]["console"]["role"] = json!("write"));
}

#[test]
fn the_new_value_is_not_accepted_at_first() {
    Case::of(&READ)
        .patch(|state| state["cloudflare"]["new_value_after_calls"] = json!(10_000))
        .fails_after_the_roll_at("verify-new-value")
        .shows("resume it later, which tries it again and rolls nothing")
        .goes_on(|state| state["tokens"][READ.index]["refused_for"] = json!(0));
}

#[test]
fn the_old_value_goes_on_being_accepted() {
    Case::of(&READ)
        .patch(|state| state["cloudflare"]["old_value_dies_after_calls"] = json!(10_000))
        .fails_after_the_roll_at("old-value-dead")
        .shows("Resume the run later, which looks again")
        .goes_on(|state| state["tokens"][READ.index]["retired"][0]["accepted_for"] = json!(0));
}

#[test]
fn slack_takes_the_message_once_the_bot_is_a_member() {
    let resumed = Case::of(&READ)
        .input("slack_channel", "C0GENERAL01")
        .fails_after_the_roll_at("tell-operators/post")
        .shows("resume the run, which posts it")
        .goes_on(|state| state["slack"]["channels"]["C0GENERAL01"]["member"] = json!(true));
    assert_eq!(resumed.after["slack"]["messages"].as_array().unwrap().len(), 1);
}

/// The end alone is missing; the failure is in the log, and the end follows it.
#[test]
fn the_audit_log_takes_the_end_at_last() {
    let resumed = Case::where_(
        &READ,
        "              | if $wrong != [] then reply(422;",
        "              | if $entry.action == \"secret.rotate.completed\" and .state.console.takes_the_end != true \
         then reply(503; {error: \"later\"}) elif $wrong != [] then reply(422;",
    )
    .fails_after_the_roll_at("audit-completed/callback")
    .goes_on(|state| state["console"]["takes_the_end"] = json!(true));
    assert_eq!(actions(&resumed.after), BROKE_OFF_ONCE);
    assert_eq!(resumed.after["slack"]["messages"].as_array().unwrap().len(), 1, "told once");
}

/// What a person has pasted is held like what an API has answered: nobody is asked for it again.
#[test]
fn a_pasted_value_is_held_too() {
    let case = Case::of(&ACCESS)
        .patch(|state| state["heroku"]["apps"]["raxx-console-prod"]["access"] = json!("read"))
        .input("mode", "dashboard");
    let failed = case.fails_at("distribute/set-on-heroku[0]/config-set").shows("this run keeps, sealed: `new_value`");
    let resumed = failed.goes_on(|state| state["heroku"]["apps"]["raxx-console-prod"]["access"] = json!("write"));
    let rolls = resumed.after["cloudflare"]["rolls"].as_array().unwrap();
    assert_eq!((rolls.len(), &rolls[0]["by"]), (1, &json!("dashboard")));
}

/// Breaking off twice is no worse than once.
#[test]
fn it_can_be_resumed_as_often_as_it_takes() {
    let failed = Case::of(&ACCESS)
        .patch(|state| {
            state["infisical"]["projects"]["console"]["role"] = json!("read");
            state["heroku"]["apps"]["raxx-console-prod"]["access"] = json!("read");
        })
        .fails_after_the_roll_at("distribute/set-on-heroku[0]/config-set");
    let value = ACCESS.value(&failed.after);
    let half = failed.mend(|state| state["infisical"]["projects"]["console"]["role"] = json!("write"));
    let again =
        half.rehearsal.resume(&[]).exits(1).shows("resumed, round 2").shows("this run keeps, sealed: `rolled_value`");
    assert!(again.stdout.contains("\n  - distribute/set-on-heroku[0]/config-set: "), "{}", again.shown());
    let rehearsal =
        half.rehearsal.patch_now(|state| state["heroku"]["apps"]["raxx-console-prod"]["access"] = json!("write"));
    let resumed = Broken { token: &ACCESS, rehearsal }.resume(&[]).shows("resumed, round 3");
    assert_eq!(ACCESS.value(&resumed.after), value);
    assert_eq!(resumed.after["cloudflare"]["rolls"].as_array().unwrap().len(), 1);
}

// --------------------------------------------------------------------------------------------------------- at the roll

/// Refused, so nothing was rolled: asked once more, nobody has to say so.
#[test]
fn a_rolling_token_that_is_given_the_permission_rolls_once() {
    let failed = Case::of(&DEPLOY)
        .patch(|state| state["tokens"][3]["may"] = json!(["API Tokens Read"]))
        .fails_at("roll/roll-by-api")
        .shows("give it that and resume the run");
    let resumed =
        failed.mend(|state| state["tokens"][3]["may"] = json!(["API Tokens Write", "API Tokens Read"])).resume(&[]);
    assert_eq!(resumed.after["cloudflare"]["rolls"].as_array().unwrap().len(), 1);
    assert_eq!(actions(&resumed.after), BROKE_OFF_ONCE);
}

/// A token that was to roll itself may be dead by a roll whose answer nobody has: that takes a person's word.
#[test]
fn a_self_roll_that_was_refused_takes_a_word() {
    let failed = Case::of(&ACCESS)
        .patch(|state| {
            state["cloudflare"]["rolls_with"] = json!("CF_ACCESS_MGMT");
            state["tokens"][1]["may"].as_array_mut().unwrap().push(json!("API Tokens Read"));
        })
        .input("allow_self_roll", true)
        .fails_at("roll/roll-itself")
        .shows("resume the run with `--redo roll-itself`");
    let mended = failed.mend(|state| state["tokens"][1]["may"].as_array_mut().unwrap().push(json!("API Tokens Write")));
    mended.rehearsal.resume(&[]).exits(4).shows("--redo roll/roll-itself` does it again");
    assert_eq!(mended.rehearsal.after()["cloudflare"]["rolls"], json!([]));
    let resumed = mended.resume(&["--redo", "roll-itself"]);
    assert_eq!(resumed.after["cloudflare"]["rolls"].as_array().unwrap().len(), 1);
}

/// Cloudflare failed after it had rolled: the token that could roll is dead, so a person rolls in the dashboard.
#[test]
fn a_self_roll_that_happened_is_followed_by_the_dashboard() {
    let failing = "cf_roll($i; \"api\") | reply(502; {}) end)";
    let failed = Case::where_(&ACCESS, ROLL, failing)
        .patch(|state| {
            state["cloudflare"]["rolls_with"] = json!("CF_ACCESS_MGMT");
            state["tokens"][1]["may"].as_array_mut().unwrap().push(json!("API Tokens Write"));
        })
        .input("allow_self_roll", true)
        .fails_at("roll/roll-itself")
        .shows("if not, with `--done roll-itself`");
    let resumed = failed.mend(|_| {}).resume(&["--done", "roll-itself"]);
    let rolls = resumed.after["cloudflare"]["rolls"].as_array().unwrap();
    assert_eq!(rolls.iter().map(|roll| &roll["by"]).collect::<Vec<_>>(), ["api", "dashboard"]);
}

const ROLL: &str = "cf_roll($i; \"api\") | .rolled as $value | cf_yes($value) end)";

/// Every answer is lost, until the run gives up asking; then the world mends. Each of those values was given to nobody.
#[test]
fn answers_of_the_roll_that_are_lost_are_rolled_over() {
    let world = raxx();
    assert_eq!(world.matches(ROLL).count(), 1);
    let lost = "cf_roll($i; \"api\") | .rolled as $value \
                | if .state.cloudflare.answers then cf_yes($value) else {close: true, state: .state} end end)";
    let rehearsal = Rehearsal::in_world(&world.replace(ROLL, lost));
    let unknown = rehearsal.run("cf-pages-read").exits(4).shows("nobody knows whether it took effect");
    // What is said of it is how to go on; nothing is said twice.
    unknown.shows("--redo roll/roll-by-api` does it again").hides("to go on");
    let rolls = rehearsal.after()["cloudflare"]["rolls"].as_array().unwrap().len();
    assert!(rolls > 1, "it was asked again by itself");
    let rehearsal = rehearsal.patch_now(|state| state["cloudflare"]["answers"] = json!(true));
    let resumed = Broken { token: &READ, rehearsal }.resume(&[]);
    assert_eq!(resumed.after["cloudflare"]["rolls"].as_array().unwrap().len(), rolls + 1);
}

// -------------------------------------------------------------------------------------------------------------- killed

/// Kills the run once the world is so far.
fn killed(rehearsal: Rehearsal, token: &'static Token, when: &str, is_so_far: impl Fn(&Json) -> bool) -> Broken {
    let mut child = rehearsal.program(token.playbook).0.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until(when, || is_so_far(&rehearsal.after()));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!record(&rehearsal).0.contains("\"run-finished\""), "it was not killed in time");
    Broken { token, rehearsal }
}

/// In flight when it was killed: whether it was rolled nobody knows, and it is rolled once more.
#[test]
fn killed_in_the_roll() {
    let world = raxx();
    assert_eq!(world.matches(ROLL).count(), 1);
    // The first answer comes when nobody waits for it any more.
    let slow = "cf_roll($i; \"api\") | .rolled as $value | cf_yes($value) \
                | if (.state.cloudflare.rolls | length) == 1 then .delay = \"1h\" else . end end)";
    let rehearsal = Rehearsal::in_world(&world.replace(ROLL, slow));
    let broken = killed(rehearsal, &READ, "the roll", |state| state["cloudflare"]["rolls"] != json!([]));
    let resumed = broken.resume(&[]);
    assert_eq!(resumed.after["cloudflare"]["rolls"].as_array().unwrap().len(), 2);
    assert_eq!(actions(&resumed.after), ["secret.rotate.started", "secret.rotate.completed"]);
}

/// Killed between two consumers: the value is not lost with the process.
#[test]
fn killed_between_two_consumers() {
    let name = format!("/infisical/projects/console/environments/prod/~1MooseQuest~1cloudflare/{}/value", READ.name);
    let first = |state: &Json| state.pointer(&name).is_some_and(|held| *held == READ.value(state));
    let is_rolled = |state: &Json| state["cloudflare"]["rolls"] != json!([]);
    let broken = killed(Rehearsal::new(), &READ, "the first consumer", |state| is_rolled(state) && first(state));
    let value = READ.value(&broken.rehearsal.after());
    let resumed = broken.resume(&[]);
    assert_eq!(READ.value(&resumed.after), value);
    assert_eq!(resumed.after["cloudflare"]["rolls"].as_array().unwrap().len(), 1);
}
