//! Each playbook in both modes, and each of the other ways: the new value is where it belongs and nowhere else.

use crate::rehearsal::{ACCESS, DEPLOY, READ, Rehearsal, Token, places_of};
use crate::support::Ran;
use serde_json::{Value as Json, json};

/// What must hold after every rotation that passed.
#[track_caller]
fn proves(token: &Token, rehearsal: &Rehearsal, ran: &Ran, mode: &str) {
    assert_eq!(ran.code, 0, "{}", ran.shown());
    let (before, after) = (&rehearsal.before, rehearsal.after());
    let (old, new) = (token.value(before), token.value(&after));
    assert_ne!(old, new);
    assert_eq!(places_of(&after, &new), token.places());
    assert_eq!(places_of(&after, &old), Vec::<String>::new());
    assert_eq!(after["tokens"][token.index]["retired"][0]["accepted_for"], 0, "the old value is dead");
    let rolls = after["cloudflare"]["rolls"].as_array().unwrap();
    assert_eq!(rolls.len(), 1);
    assert_eq!(rolls[0]["name"], token.name);
    assert_eq!(rolls[0]["by"], if mode == "dashboard" { "dashboard" } else { "api" });
    for app in token.apps {
        let releases = |state: &Json| state["heroku"]["apps"][app]["releases"].as_array().unwrap().len();
        assert_eq!(releases(&after), releases(before) + 1, "both names are one restart of {app}");
    }
    let others =
        |state: &Json| state["tokens"].as_array().unwrap().iter().map(|t| t["value"].clone()).collect::<Vec<_>>();
    let (mut before, mut now) = (others(before), others(&after));
    before.remove(token.index);
    now.remove(token.index);
    assert_eq!(before, now, "no other token was touched");
}

/// The audit log's entries: started and completed, with the SOP's context.
fn audited(token: &Token, after: &Json, mode: &str) {
    let audit = after["audit"].as_array().unwrap();
    let actions: Vec<_> = audit.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["secret.rotate.started", "secret.rotate.completed"]);
    for (entry, rolled) in audit.iter().zip(["no", "yes"]) {
        assert_eq!(entry["actor"], "tester");
        let context = &entry["context"];
        assert_eq!(context["secret_name"], token.name);
        assert_eq!(context["method"], mode);
        assert_eq!(context["rolled"], rolled);
        assert_eq!(context["run_id"], audit[0]["context"]["run_id"]);
    }
    // The world has judged the form of the times; the end's is the roll's.
    let rolled_at = after["cloudflare"]["rolls"][0]["at"].as_str().unwrap();
    assert!(audit[1]["context"]["rotated_at"].as_str().unwrap() >= rolled_at);
}

fn told(token: &Token, after: &Json) {
    let messages = after["slack"]["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0]["asked"], "U0OPERATOR1");
    assert!(messages[0]["text"].as_str().unwrap().starts_with(&format!("{} was rotated at", token.name)));
}

/// One rotation as a user starts it, with everything that must be true of it.
fn rotates(token: &Token, playbook: &str, mode: &str, output: &[&str]) {
    let rehearsal = Rehearsal::new().set(&format!("mode={mode}")).with(output);
    let ran = rehearsal.run(playbook);
    proves(token, &rehearsal, &ran, mode);
    audited(token, &rehearsal.after(), mode);
    told(token, &rehearsal.after());
    let deprecated = playbook != token.playbook;
    assert_eq!(ran.stderr.contains("is deprecated"), deprecated, "{}", ran.stderr);
    if deprecated {
        assert!(ran.stderr.contains(&format!("run {}", token.playbook)), "{}", ran.stderr);
    }
    if output.contains(&"json") {
        let finished = ran.finished();
        assert_eq!(finished["outputs"]["secret_name"], token.name);
        assert_eq!(finished["outputs"]["method"], mode);
        for interval in finished["intervals"].as_array().unwrap() {
            assert!(interval["took_ms"].is_u64(), "{interval}");
        }
    }
}

macro_rules! rotations {
    ($($test:ident: $token:ident, $playbook:literal, $mode:literal, $output:expr;)*) => {$(
        #[test]
        fn $test() {
            rotates(&$token, $playbook, $mode, &$output);
        }
    )*};
}

rotations! {
    pages_deploy: DEPLOY, "cf-pages-deploy", "programmatic", ["--output", "json", "-vvv"];
    pages_deploy_by_dashboard: DEPLOY, "cf-pages-deploy", "dashboard", ["-vvv"];
    access_mgmt: ACCESS, "cf-access-mgmt", "programmatic", ["--output", "json", "-vvv"];
    access_mgmt_by_dashboard: ACCESS, "cf-access-mgmt", "dashboard", ["--output", "plain"];
    pages_read: READ, "cf-pages-read", "programmatic", ["--output", "plain", "-vvv"];
    pages_read_by_dashboard: READ, "cf-pages-read", "dashboard", ["--output", "json"];
    legacy_pages_deploy: DEPLOY, "cloudflare-raxx-automation-api-token", "programmatic", ["-v"];
    legacy_pages_deploy_by_dashboard: DEPLOY, "cloudflare-raxx-automation-api-token", "dashboard", ["--output", "json"];
    legacy_access_mgmt: ACCESS, "cloudflare-access-mgmt-token", "programmatic", ["--output", "plain"];
    legacy_access_mgmt_by_dashboard: ACCESS, "cloudflare-access-mgmt-token", "dashboard", ["--output", "json"];
    legacy_pages_read: READ, "cloudflare-pages-read-token", "programmatic", ["--output", "json"];
    legacy_pages_read_by_dashboard: READ, "cloudflare-pages-read-token", "dashboard", ["-vv"];
}

#[test]
fn the_base_rotates_by_inputs() {
    let rehearsal = Rehearsal::new().set("secret_name=CF_PAGES_READ").with(&["--output", "json"]);
    let rehearsal = rehearsal.input("console_url", "https://console.raxx.app/api/status/sites");
    let ran = rehearsal.run("cloudflare-user-token");
    proves(&READ, &rehearsal, &ran, "programmatic");
    audited(&READ, &rehearsal.after(), "programmatic");
}

#[test]
fn the_base_rotates_by_dashboard() {
    let rehearsal = Rehearsal::new().set("mode=dashboard").with(&["--output", "json"]);
    let ran = rehearsal.run("cloudflare-user-token");
    proves(&DEPLOY, &rehearsal, &ran, "dashboard");
    audited(&DEPLOY, &rehearsal.after(), "dashboard");
}

#[test]
fn infisical_is_served_by_its_program() {
    let rehearsal = Rehearsal::new().set("infisical_via=cli").with(&["-vvv"]);
    let ran = rehearsal.run("cf-pages-deploy");
    proves(&DEPLOY, &rehearsal, &ran, "programmatic");
    let calls = rehearsal.world.calls().unwrap().to_string();
    assert!(calls.contains("\"infisical\""), "the program was called");
}

#[test]
fn heroku_is_served_by_its_program_and_nothing_of_its_output_is_shown() {
    let rehearsal = Rehearsal::new().set("heroku_via=cli").with(&["-vvv"]);
    let ran = rehearsal.run("cf-pages-deploy");
    proves(&DEPLOY, &rehearsal, &ran, "programmatic");
    // Its argv is the one place that cannot be helped; the playbook says why.
    assert!(!rehearsal.after()["exposed"].as_array().unwrap().is_empty());
}

#[test]
fn without_callback_and_channel_a_person_writes_the_entries_and_tells() {
    let rehearsal = Rehearsal::new().input("audit_url", Json::Null).input("slack_channel", Json::Null);
    let ran = rehearsal.with(&["--output", "json"]);
    let shown = ran.run("cf-pages-deploy");
    proves(&DEPLOY, &ran, &shown, "programmatic");
    assert_eq!((&ran.after()["audit"], &ran.after()["slack"]["messages"]), (&json!([]), &json!([])));
    let decided: Vec<_> =
        shown.events().iter().filter(|event| event["event"] == "decided").map(|event| event["step"].clone()).collect();
    assert_eq!(
        decided,
        ["audit-started/record-by-hand", "approve", "tell-operators-by-hand", "audit-completed/record-by-hand"]
    );
}

#[test]
fn a_token_that_may_rolls_itself_when_that_is_wanted() {
    let rehearsal = Rehearsal::new().set("allow_self_roll=true").patch(|state| {
        state["cloudflare"]["rolls_with"] = json!("CF_ACCESS_MGMT");
        state["tokens"][1]["may"].as_array_mut().unwrap().push(json!("API Tokens Write"));
    });
    let ran = rehearsal.run("cf-access-mgmt");
    proves(&ACCESS, &rehearsal, &ran, "programmatic");
}

#[test]
fn a_legacy_name_that_is_gone_is_left_out() {
    // Both names are fixed by the variants, so the base is run as it will be after the cleanup card.
    let rehearsal =
        Rehearsal::new().set("secret_name=CF_ACCESS_MGMT").input("legacy_name", Json::Null).patch(|state| {
            state["infisical"]["projects"]["console"]["environments"]["prod"]["/MooseQuest/cloudflare"]
                .as_object_mut()
                .unwrap()
                .remove("CLOUDFLARE_ACCESS_MGMT_TOKEN");
            let value = state["tokens"][1]["value"].clone();
            let config = state["heroku"]["apps"]["raxx-console-prod"]["config"].as_object_mut().unwrap();
            config.remove("CLOUDFLARE_ACCESS_MGMT_TOKEN");
            config.insert("CF_ACCESS_MGMT".into(), value);
        });
    let rehearsal = rehearsal.input("console_url", "https://console.raxx.app/api/status/sites");
    let ran = rehearsal.run("cloudflare-user-token");
    assert_eq!(ran.code, 0, "{}", ran.shown());
    let places: Vec<_> = ACCESS.places().into_iter().filter(|place| !place.contains("CLOUDFLARE_")).collect();
    let after = rehearsal.after();
    assert_eq!(places_of(&after, &ACCESS.value(&after)), places);
}

/// A wrong paste is asked for again; the value is taken once it is the right one.
#[test]
fn a_wrong_paste_is_asked_for_again() {
    for mistake in ["pastes-old", "pastes-other"] {
        let rehearsal =
            Rehearsal::new().set("mode=dashboard").patch(|state| state["cloudflare"]["dashboard"] = json!(mistake));
        let ran = rehearsal.run("cf-pages-read");
        proves(&READ, &rehearsal, &ran, "dashboard");
    }
}

/// All that reads is done, and nothing is changed anywhere.
#[test]
fn a_dry_run_changes_nothing() {
    for (token, mode) in [(&DEPLOY, "programmatic"), (&ACCESS, "dashboard"), (&READ, "programmatic")] {
        let rehearsal = Rehearsal::new().set(&format!("mode={mode}")).with(&["--dry-run"]);
        let ran = rehearsal.run(token.playbook);
        assert_eq!(ran.code, 0, "{}", ran.shown());
        let after = rehearsal.after();
        for part in [
            "/cloudflare/rolls",
            "/infisical/projects",
            "/heroku/apps",
            "/github/repos",
            "/github/elsewhere",
            "/slack/messages",
            "/audit",
        ] {
            assert_eq!(rehearsal.before.pointer(part), after.pointer(part), "{part} was changed");
        }
    }
}
