//! What goes wrong in the world `raxx`: where the rotation stops, that nothing was changed before the roll, that all of
//! it is in the audit log, and what the person is told. Numbers are those of the points in `playbooks/README.md`.

use crate::rehearsal::{ACCESS, DEPLOY, READ, Rehearsal, Token, places_of, raxx};
use crate::support::Ran;
use serde_json::{Value as Json, json};

/// A rehearsal that is to fail, with what is expected of it.
pub struct Case {
    token: &'static Token,
    rehearsal: Rehearsal,
}

/// The run of a case, for more claims about it.
pub struct Failed {
    pub token: &'static Token,
    pub rehearsal: Rehearsal,
    pub ran: Ran,
    pub after: Json,
}

impl Case {
    pub fn of(token: &'static Token) -> Case {
        Case { token, rehearsal: Rehearsal::new() }
    }

    /// In a world whose file was changed: `from` is replaced.
    pub fn where_(token: &'static Token, from: &str, to: &str) -> Case {
        let world = raxx();
        assert_eq!(world.matches(from).count(), 1, "the world has `{from}` once");
        Case { token, rehearsal: Rehearsal::in_world(&world.replace(from, to)) }
    }

    pub fn patch(self, change: impl FnOnce(&mut Json)) -> Case {
        Case { rehearsal: self.rehearsal.patch(change), ..self }
    }

    pub fn input(self, name: &str, value: impl Into<Json>) -> Case {
        Case { rehearsal: self.rehearsal.input(name, value), ..self }
    }

    /// Fails at this step, before anything was rolled: every consumer goes on with the value it has.
    #[track_caller]
    pub fn stops_at(self, step: &str) -> Failed {
        self.fails_at(step).touched_nothing().shows("**Not rolled yet?**").audits("no")
    }

    /// Fails at this step, after the roll: the new value is live and in the hands of the run.
    #[track_caller]
    pub fn fails_after_the_roll_at(self, step: &str) -> Failed {
        let failed = self.fails_at(step);
        assert_eq!(failed.after["cloudflare"]["rolls"].as_array().unwrap().len(), 1, "{}", failed.ran.shown());
        failed.shows("this run keeps, sealed: `rolled_value`").shows("to go on, when that is mended").audits("yes")
    }

    #[track_caller]
    pub fn fails_at(self, step: &str) -> Failed {
        let ran = self.rehearsal.run(self.token.playbook);
        assert_eq!(ran.code, 1, "{}", ran.shown());
        assert!(ran.stdout.contains(&format!("\n  - {step}: ")), "does not fail at {step}:\n{}", ran.shown());
        Failed { token: self.token, after: self.rehearsal.after(), rehearsal: self.rehearsal, ran }
    }

    #[track_caller]
    fn passes(self) -> Failed {
        let ran = self.rehearsal.run(self.token.playbook);
        assert_eq!(ran.code, 0, "{}", ran.shown());
        let after = self.rehearsal.after();
        assert_eq!(places_of(&after, &self.token.value(&after)), self.token.places());
        Failed { token: self.token, after, rehearsal: self.rehearsal, ran }
    }
}

impl Failed {
    #[track_caller]
    pub fn shows(self, text: &str) -> Failed {
        assert!(self.ran.shown().contains(text), "does not show `{text}`:\n{}", self.ran.shown());
        self
    }

    /// The audit log has the start, and the failure with whether it was rolled.
    #[track_caller]
    fn audits(self, rolled: &str) -> Failed {
        let audit = self.after["audit"].as_array().unwrap();
        let actions: Vec<_> = audit.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
        assert_eq!(actions, ["secret.rotate.started", "secret.rotate.failed"]);
        let context = &audit[1]["context"];
        assert_eq!((&context["rolled"], &context["secret_name"]), (&json!(rolled), &json!(self.token.name)));
        self
    }

    /// Nothing was rolled, and every consumer has what it had.
    #[track_caller]
    fn touched_nothing(self) -> Failed {
        let (before, after) = (&self.rehearsal.before, &self.after);
        assert_eq!(after["cloudflare"]["rolls"], json!([]), "{}", self.ran.shown());
        for part in ["/infisical/projects", "/heroku/apps", "/github/repos", "/slack/messages"] {
            assert_eq!(before.pointer(part), after.pointer(part), "{part} was changed");
        }
        self
    }

    fn audits_nothing(self) -> Failed {
        assert_eq!(self.after["audit"], json!([]));
        self
    }

    /// Whether each of these places has the new value.
    #[track_caller]
    fn serves(self, contained: &str, served: bool) -> Failed {
        let places = places_of(&self.after, &self.token.value(&self.after));
        let wanted: Vec<_> = self.token.places().into_iter().filter(|place| place.contains(contained)).collect();
        assert!(!wanted.is_empty());
        for place in wanted {
            assert_eq!(places.contains(&place), served, "{place}\n{}", self.ran.shown());
        }
        self
    }

    #[track_caller]
    fn rolls(self, times: usize) -> Failed {
        assert_eq!(self.after["cloudflare"]["rolls"].as_array().unwrap().len(), times);
        self
    }
}

fn prod(state: &mut Json) -> &mut Json {
    &mut state["heroku"]["apps"]["raxx-api-prod"]
}

fn project<'a>(state: &'a mut Json, name: &str) -> &'a mut Json {
    &mut state["infisical"]["projects"][name]
}

fn in_days(days: i64) -> Json {
    let seconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
    let time = crate::providers::fresh::Time(seconds * 1_000_000).plus_days(days);
    json!(time.show(crate::providers::fresh::TimeStyle::Seconds))
}

// ------------------------------------------------------------------------------------------ which token, which value

#[test]
fn a_current_value_that_is_not_accepted_6() {
    Case::of(&DEPLOY)
        .input("current_token", "0123456789012345678901234567890123456789")
        .stops_at("preflight/verify-current-token")
        .shows("wrong or already rolled")
        // What a person does instead, without the value in argv.
        .shows("-H @<(printf 'authorization: Bearer %s' \"$CURRENT_TOKEN\")");
}

#[test]
fn a_mangled_current_value_6() {
    Case::of(&DEPLOY)
        .input("current_token", "\\\"8USjWEL6G4evUYotyW032sw204qZLV_m\\\"")
        .stops_at("preflight/verify-current-token")
        .shows("400 with code 6003: mangled");
}

#[test]
fn an_account_owned_token_14() {
    Case::of(&DEPLOY)
        .input("current_token", "cfat_0123456789012345678901234567890123456789abcdef01")
        .stops_at("preflight/verify-current-token")
        .shows("account-owned token (cfat_…), which this playbook does not rotate");
}

#[test]
fn a_current_value_of_another_token_7() {
    Case::of(&DEPLOY)
        .input("current_token", "CLM5ZgWQi9A0mnZO-zcNOiSzlzA2rfaTK97k6Y6b")
        .stops_at("preflight/look-up/found-is-target")
        .shows("belongs to token 343e7c3e3b009ab3346b2d7ece74d394, not to a02c4058cbfbc50099ee16842eff651d");
}

#[test]
fn an_id_of_another_token_7() {
    Case::of(&DEPLOY)
        .input("token_id", "343e7c3e3b009ab3346b2d7ece74d394")
        .stops_at("preflight/current-is-target")
        .shows("nothing could later be proven about the old value");
}

#[test]
fn two_tokens_of_one_name_4() {
    let twice = |state: &mut Json| state["tokens"][20]["name"] = json!("CF_PAGES_DEPLOY");
    Case::of(&DEPLOY).patch(twice).stops_at("preflight/look-up/find-token").shows("give its token_id");
    Case::of(&DEPLOY).patch(twice).input("token_id", "a02c4058cbfbc50099ee16842eff651d").passes();
}

#[test]
fn no_token_of_that_name_4() {
    Case::of(&DEPLOY)
        .patch(|state| state["tokens"][0]["name"] = json!("CF_PAGES_DEPLOY_2"))
        .input("current_token", "8USjWEL6G4evUYotyW032sw204qZLV_m-cIrkqPx")
        .stops_at("preflight/look-up/find-token")
        .shows("not exactly one token of this user is called CF_PAGES_DEPLOY");
}

#[test]
fn a_disabled_token_13() {
    Case::of(&ACCESS)
        .patch(|state| state["tokens"][1]["status"] = json!("disabled"))
        .stops_at("preflight/verify-current-token")
        .shows("the token is not active; a roll does not change that");
}

#[test]
fn an_expired_token_13() {
    Case::of(&ACCESS)
        .patch(|state| state["tokens"][1]["expires_on"] = in_days(-1))
        .stops_at("preflight/verify-current-token")
        .shows("the token is not active");
}

#[test]
fn a_token_that_expires_soon_13() {
    Case::of(&ACCESS)
        .patch(|state| state["tokens"][1]["expires_on"] = in_days(29))
        .stops_at("preflight/not-expiring")
        .shows("expires within 30 days")
        .shows("a roll keeps that: extend it in the dashboard first");
    let expires = in_days(31);
    let passed = Case::of(&ACCESS).patch(|state| state["tokens"][1]["expires_on"] = expires.clone()).passes();
    assert_eq!(passed.after["tokens"][1]["expires_on"], expires);
}

// ---------------------------------------------------------------------------------------------------- who may roll it

#[test]
fn a_rolling_token_that_is_the_token_itself_8() {
    Case::of(&DEPLOY)
        .patch(|state| state["cloudflare"]["rolls_with"] = json!("CF_PAGES_DEPLOY"))
        .stops_at("preflight/look-up/not-itself")
        .shows("a lost answer would lock everyone out");
}

#[test]
fn no_rolling_token_14() {
    Case::of(&DEPLOY)
        .input("rolling_token", Json::Null)
        .fails_at("check-inputs")
        .shows("without one, use mode: dashboard")
        .touched_nothing()
        .audits_nothing();
}

#[test]
fn a_rolling_token_that_may_not_even_look_14() {
    Case::of(&DEPLOY)
        .patch(|state| state["tokens"][3]["may"] = json!(["DNS Read"]))
        .stops_at("preflight/look-up/find-token")
        .shows("lacks API Tokens Read or Write (or use mode: dashboard)");
}

#[test]
fn a_rolling_token_that_may_only_look_14() {
    Case::of(&DEPLOY)
        .patch(|state| state["tokens"][3]["may"] = json!(["API Tokens Read"]))
        .fails_at("roll/roll-by-api")
        .shows("lacks API Tokens Write, and nothing was rolled: give it that and resume the run")
        .touched_nothing()
        .audits("unknown");
}

#[test]
fn a_token_that_may_not_roll_itself_8() {
    Case::of(&DEPLOY)
        .patch(|state| {
            state["cloudflare"]["rolls_with"] = json!("CF_PAGES_DEPLOY");
            state["tokens"][0]["may"] = json!(["API Tokens Read"]);
        })
        .input("allow_self_roll", true)
        .fails_at("roll/roll-itself")
        .shows("the token may not roll itself, and nothing was rolled")
        .touched_nothing();
}

// ------------------------------------------------------------------------------------------------------------ the roll

/// The SOP's `jq -r .result` would make the text `null` of each, and store it everywhere.
#[test]
fn a_roll_that_gives_no_value_1() {
    for answer in [
        "cf_yes(null)",
        "cf_yes(\"\")",
        "cf_yes({})",
        "cf(200; {success: false, errors: [{code: 1001, message: \"no\"}], messages: [], result: null})",
        "{status: 200, headers: {\"content-type\": \"text/html\"}, text: \"<html>try later</html>\", state: .state}",
    ] {
        Case::where_(
            &DEPLOY,
            "cf_roll($i; \"api\") | .rolled as $value | cf_yes($value) end)",
            &format!("{answer} end)"),
        )
        .fails_at("roll/roll-by-api")
        .touched_nothing()
        .audits("unknown");
    }
}

const ROLL: &str = "cf_roll($i; \"api\") | .rolled as $value | cf_yes($value) end)";
/// The first roll happens, and its answer is lost.
const LOST: &str = "cf_roll($i; \"api\") | .rolled as $value \
                    | if (.state.cloudflare.rolls | length) == 1 then {close: true, state: .state} else cf_yes($value) end end)";

#[test]
fn a_lost_answer_to_the_roll_is_mended_by_another_roll_9() {
    Case::where_(&DEPLOY, ROLL, LOST).passes().rolls(2);
}

#[test]
fn a_lost_answer_to_a_self_roll_is_mended_in_the_dashboard_8() {
    let passed = Case::where_(&ACCESS, ROLL, LOST)
        .patch(|state| {
            state["cloudflare"]["rolls_with"] = json!("CF_ACCESS_MGMT");
            state["tokens"][1]["may"].as_array_mut().unwrap().push(json!("API Tokens Write"));
        })
        .input("allow_self_roll", true)
        .passes()
        .rolls(2);
    assert_eq!(passed.after["cloudflare"]["rolls"][1]["by"], "dashboard");
}

#[test]
fn a_new_value_that_is_slow_9() {
    Case::of(&READ).patch(|state| state["cloudflare"]["new_value_after_calls"] = json!(12)).passes().rolls(1);
}

#[test]
fn a_new_value_that_is_never_accepted_9() {
    Case::of(&READ)
        .patch(|state| state["cloudflare"]["new_value_after_calls"] = json!(10_000))
        .fails_after_the_roll_at("verify-new-value")
        .shows("it was not accepted within two minutes")
        .serves("infisical", false);
}

#[test]
fn an_old_value_that_goes_on_being_accepted_for_a_while_6() {
    Case::of(&READ).patch(|state| state["cloudflare"]["old_value_dies_after_calls"] = json!(12)).passes();
}

#[test]
fn an_old_value_that_is_accepted_for_ever_6() {
    Case::of(&READ)
        .patch(|state| state["cloudflare"]["old_value_dies_after_calls"] = json!(10_000))
        .fails_after_the_roll_at("old-value-dead")
        .shows("it may still be accepted")
        .shows("400 and 6003 prove nothing")
        .serves("infisical", true);
}

#[test]
fn a_paste_that_is_never_right_is_not_stored_7() {
    for mistake in ["pastes-old", "pastes-other", "pastes-newline"] {
        let failed = Case::of(&READ)
            .patch(|state| {
                state["cloudflare"]["dashboard"] = json!(mistake);
                state["cloudflare"]["dashboard_mistakes"] = json!(100);
            })
            .input("mode", "dashboard");
        let ran = failed.rehearsal.run("cf-pages-read");
        assert_eq!(ran.code, 1, "{}", ran.shown());
        let after = failed.rehearsal.after();
        let old = READ.value(&failed.rehearsal.before);
        let held = |place: &String| place.starts_with("/infisical/");
        let (before, after) = (places_of(&failed.rehearsal.before, &old), places_of(&after, &old));
        assert_eq!(
            before.iter().filter(|place| held(place)).collect::<Vec<_>>(),
            after.iter().filter(|place| held(place)).collect::<Vec<_>>(),
            "{mistake}"
        );
    }
}

// ---------------------------------------------------------------------------------------------------------- Infisical

#[test]
fn an_infisical_folder_that_is_missing_16() {
    Case::of(&DEPLOY)
        .patch(|state| {
            let folders = &mut project(state, "github-actions")["environments"]["prod"];
            folders.as_object_mut().unwrap().remove("/MooseQuest/cloudflare");
        })
        .stops_at("preflight/infisical-access[1]/read-values[0]")
        .shows("there is no folder /MooseQuest/cloudflare in prod of project github-actions");
}

#[test]
fn an_infisical_project_out_of_reach_16() {
    Case::of(&DEPLOY)
        .patch(|state| project(state, "raptor-backend")["role"] = json!("none"))
        .stops_at("preflight/infisical-access[0]/read-values[0]")
        .shows("does not let this token read CF_PAGES_DEPLOY");
}

#[test]
fn a_bad_infisical_token_16() {
    Case::of(&DEPLOY)
        .input("infisical_token", "eyJhbGciOi.expired-long-ago.0123456789")
        .stops_at("preflight/infisical-access[0]/read-values[0]")
        .shows("it is bad or expired");
}

#[test]
fn infisical_values_that_are_hidden_16() {
    Case::of(&DEPLOY)
        .patch(|state| project(state, "github-actions")["hide_values"] = json!(true))
        .stops_at("preflight/infisical-access[1]/read-values[1]")
        .shows("could not be read back and compared");
}

#[test]
fn an_infisical_token_that_may_not_write_16() {
    Case::of(&DEPLOY)
        .patch(|state| project(state, "github-actions")["role"] = json!("read"))
        .fails_after_the_roll_at("distribute/store-in-infisical[2]/create")
        .shows("the token may not write")
        .shows("infisical secrets set --file")
        // One consumer that fails does not hold up the others.
        .serves("infisical/projects/raptor", true)
        .serves("heroku", true)
        .serves("github/", true);
}

#[test]
fn an_infisical_change_policy_16() {
    for via in ["api", "cli"] {
        Case::of(&ACCESS)
            .patch(|state| project(state, "console")["approval"] = json!(true))
            .input("infisical_via", via)
            .fails_after_the_roll_at(match via {
                "api" => "distribute/store-in-infisical[0]/read-back/compare",
                _ => "distribute/store-in-infisical-by-cli[0]/read-back[0]/compare",
            })
            .shows("approv")
            .serves("infisical", false)
            .serves("heroku", true);
    }
}

// -------------------------------------------------------------------------------------------------------------- Heroku

#[test]
fn a_heroku_app_out_of_reach_10() {
    Case::of(&DEPLOY)
        .patch(|state| state["heroku"]["apps"]["raxx-api-staging"]["access"] = json!("none"))
        .stops_at("preflight/heroku-access[1]/read-config")
        .shows("does not let this token read the config vars of raxx-api-staging");
}

#[test]
fn a_heroku_app_that_may_only_be_read_17() {
    Case::of(&DEPLOY)
        .patch(|state| prod(state)["access"] = json!("read"))
        .fails_after_the_roll_at("distribute/set-on-heroku[0]/config-set")
        .shows("Heroku did not take the config vars of raxx-api-prod")
        // One that fails does not hold up the others.
        .serves("apps/raxx-api-staging", true)
        .serves("infisical", true);
}

#[test]
fn a_dyno_that_crashes_with_the_new_config_20() {
    Case::of(&DEPLOY)
        .patch(|state| state["heroku"]["apps"]["raxx-api-staging"]["crash"] = json!(true))
        .fails_after_the_roll_at("distribute/set-on-heroku[1]/wait-for-dynos/dynos-up")
        .shows("look at `heroku logs -a raxx-api-staging`")
        .serves("apps/raxx-api-prod", true);
}

#[test]
fn a_release_that_fails_20() {
    Case::of(&DEPLOY)
        .patch(|state| prod(state)["release_fails"] = json!(true))
        .fails_after_the_roll_at("distribute/set-on-heroku[0]/wait-for-dynos/find-release")
        .shows("the newest release of raxx-api-prod has failed, so its dynos keep the old config");
}

#[test]
fn the_heroku_program_that_is_refused_3() {
    Case::of(&ACCESS)
        .patch(|state| state["heroku"]["apps"]["raxx-console-prod"]["access"] = json!("read"))
        .input("heroku_via", "cli")
        .fails_after_the_roll_at("distribute/set-on-heroku-by-cli[0]/set-both");
}

#[test]
fn an_app_without_dynos_20() {
    Case::of(&DEPLOY)
        .patch(|state| prod(state)["dynos"].as_array_mut().unwrap().retain(|dyno| dyno["type"] == "run"))
        .stops_at("preflight/heroku-access[0]/read-dynos")
        .shows("raxx-api-prod has no dyno");
}

// -------------------------------------------------------------------------------------------------------------- GitHub

#[test]
fn a_repository_out_of_reach_18() {
    Case::of(&DEPLOY)
        .patch(|state| state["github"]["repos"]["raxx-app/raxx"]["access"] = json!("none"))
        .stops_at("preflight/github-access/read-key")
        .shows("404 is also its answer to a want of access");
}

#[test]
fn a_repository_whose_secrets_may_only_be_seen_18() {
    Case::of(&DEPLOY)
        .patch(|state| state["github"]["repos"]["raxx-app/raxx"]["access"] = json!("read"))
        .fails_after_the_roll_at("distribute/set-on-github[0]/secret-set")
        .shows("HTTP 403: Resource not accessible by personal access token")
        .shows("gh secret set NAME --app actions --repo OWNER/REPO < FILE")
        .serves("heroku", true);
}

#[test]
fn an_environment_secret_that_hides_the_new_one_18() {
    Case::of(&DEPLOY)
        .patch(|state| {
            let secret =
                json!({"value": "x", "created_at": "2024-01-01T00:00:00Z", "updated_at": "2024-01-01T00:00:00Z"});
            state["github"]["repos"]["raxx-app/raxx"]["environments"] =
                json!({"staging": {}, "production": {"CF_PAGES_DEPLOY": secret}});
        })
        .stops_at("preflight/github-access/no-shadow[0]")
        .shows("environment production has its own CF_PAGES_DEPLOY, which hides the repository's: remove it first");
}

/// They go on with the dead value: not a failure, but people are told.
#[test]
fn workflow_runs_that_are_queued_18() {
    let passed =
        Case::of(&DEPLOY).patch(|state| state["github"]["repos"]["raxx-app/raxx"]["queued_runs"] = json!(3)).passes();
    let text = passed.after["slack"]["messages"][0]["text"].as_str().unwrap();
    assert!(text.contains("Workflow runs of raxx-app/raxx queued before then fail"), "{text}");
}

// --------------------------------------------------------------------------------------------------------------- Slack

#[test]
fn somebody_elses_im_channel_19() {
    Case::of(&READ)
        .input("slack_channel", "D0AJ7K184TV")
        .fails_at("check-inputs")
        .shows("where a bot cannot post: give the person's id (U…)")
        .touched_nothing()
        .audits_nothing();
}

#[test]
fn a_message_that_slack_does_not_take_19() {
    let failed = Case::of(&READ)
        .input("slack_channel", "C0GENERAL01")
        .fails_after_the_roll_at("tell-operators/post")
        .shows("Slack did not take the message for C0GENERAL01")
        .shows("not_in_channel")
        .serves("infisical", true);
    assert_eq!(failed.after["slack"]["messages"], json!([]));
}

// ------------------------------------------------------------------------------------------------------ the way back

/// Where what a rotation held is given up, consumers are red; a new run mends it, as the text says.
#[test]
fn a_rotation_that_broke_off_and_is_given_up_is_mended_by_another_11() {
    let failed = Case::of(&READ)
        .patch(|state| project(state, "console")["role"] = json!("read"))
        .fails_after_the_roll_at("distribute/store-in-infisical[0]/update")
        .shows("--set allow_red=true");
    let mended = failed.rehearsal.patch_now(|state| project(state, "console")["role"] = json!("write"));
    // The value that the first run holds would be lost: its lock keeps the second one away.
    let refused = mended.run("cf-pages-read").exits(5).shows("may hold the only copy of `rolled_value`");
    refused.hides("to go on");
    let mended = mended.with(&["--take-over"]);
    let refused =
        Case { token: &READ, rehearsal: mended }.fails_at("preflight/console-green").shows("allow_red").rolls(1);
    Case { token: &READ, rehearsal: refused.rehearsal.set("allow_red=true") }.passes().rolls(2);
}

// ------------------------------------------------------------------------------------------- health, console, Pages

#[test]
fn a_consumer_that_is_red_before_the_roll_20() {
    Case::of(&DEPLOY)
        .patch(|state| prod(state)["config"]["CF_PAGES_DEPLOY"] = json!("some-other-value-of-the-right-sort"))
        .stops_at("preflight/raptor-green[0]")
        .shows("https://api.raxx.app/health/dependencies is red before anything was changed");
}

#[test]
fn a_health_page_that_is_down_20() {
    for down in [json!(503), json!("close")] {
        Case::of(&DEPLOY)
            .patch(|state| state["down"]["api-staging.raxx.app"] = down)
            .stops_at("preflight/raptor-green[1]");
    }
}

#[test]
fn a_site_that_is_down_before_the_roll_20() {
    Case::of(&ACCESS)
        .patch(|state| state["console"]["sites"][1]["up"] = json!(false))
        .stops_at("preflight/console-green")
        .shows("probes fail before anything was changed")
        .shows("docs");
}

#[test]
fn a_site_that_is_no_pages_site_may_be_down_20() {
    Case::of(&ACCESS).patch(|state| state["console"]["sites"][3]["up"] = json!(false)).passes();
}

#[test]
fn a_console_without_pages_sites_20() {
    Case::of(&ACCESS)
        .patch(|state| state["console"]["sites"].as_array_mut().unwrap().retain(|site| site["provider"] == "heroku"))
        .stops_at("preflight/console-green")
        .shows("the console shows no Cloudflare Pages site");
}

#[test]
fn a_console_session_that_has_ended_20() {
    Case::of(&READ)
        .input("ops_session", "s%3Aended-long-ago-and-for-good")
        .stops_at("preflight/console-green")
        .shows("the console does not accept the session (OPS_SESSION)");
}

/// In the middle of the run: it is not polled for minutes, and a person is told what to do.
#[test]
fn a_console_session_that_ends_during_the_run_20() {
    let from = "    - GET /api/status/sites: |\n        gate(true;";
    let to = "    - GET /api/status/sites: |\n        gate(true; (if .state.cloudflare.rolls != [] then .state.console.sessions = [\"gone-and-never-to-be-seen-again\"] else . end) |";
    Case::where_(&READ, from, to)
        .fails_after_the_roll_at("consumers-healthy/console-healthy/still-green")
        .shows("the console does not accept the session any more");
}

#[test]
fn an_account_without_pages_projects_5() {
    Case::of(&READ)
        .patch(|state| state["cloudflare"]["pages_projects"] = json!([]))
        .stops_at("preflight/pages-listed-before/list")
        .shows("the token sees no Pages project in account");
}

#[test]
fn another_account_5() {
    Case::of(&READ)
        .input("cf_account_id", "00000000000000000000000000000000")
        .stops_at("preflight/pages-listed-before/list")
        .shows("may not list the Pages projects of account 00000000000000000000000000000000");
}

#[test]
fn no_account_21() {
    Case::of(&READ).input("cf_account_id", Json::Null).fails_at("check-inputs").shows("CF_ACCOUNT_ID").audits_nothing();
}

// ----------------------------------------------------------------------------------------------------------- audit log

/// A rotation that cannot be recorded is not begun.
#[test]
fn an_audit_log_that_is_down_23() {
    Case::of(&DEPLOY)
        .patch(|state| state["down"]["console.raxx.app"] = json!(503))
        .fails_at("audit-started/callback")
        .shows("the audit log did not accept secret.rotate.started")
        .touched_nothing()
        .audits_nothing();
}

#[test]
fn an_audit_log_that_does_not_know_us_23() {
    Case::of(&DEPLOY)
        .input("audit_token", "not-the-token-of-the-callback")
        .fails_at("audit-started/callback")
        .touched_nothing()
        .audits_nothing();
}

/// The end is not recorded: that is said, and that it failed is.
#[test]
fn an_audit_log_that_does_not_take_the_end_23() {
    Case::where_(
        &READ,
        "              | if $wrong != [] then reply(422;",
        "              | if $entry.action == \"secret.rotate.completed\" then reply(503; {error: \"later\"}) elif $wrong != [] then reply(422;",
    )
    .fails_after_the_roll_at("audit-completed/callback")
    .shows("the audit log did not accept secret.rotate.completed")
    .serves("infisical", true);
}

// ---------------------------------------------------------------------------------------------------- being too quick

#[test]
fn limits_of_rate_are_waited_out() {
    Case::of(&DEPLOY)
        .patch(|state| {
            for provider in ["cloudflare", "infisical", "heroku", "github", "slack"] {
                state[provider]["rate_limited"] = json!(2);
            }
        })
        .passes()
        .rolls(1);
}

/// A provider that cannot be reached at all: nothing is rolled.
#[test]
fn a_provider_that_is_down_10() {
    for (host, step) in [
        ("app.infisical.com", "preflight/infisical-access[0]/read-values[0]"),
        ("api.heroku.com", "preflight/heroku-access[0]/read-config"),
        ("api.github.com", "preflight/github-access/read-key"),
    ] {
        Case::of(&DEPLOY).patch(|state| state["down"][host] = json!("close")).stops_at(step);
    }
}
