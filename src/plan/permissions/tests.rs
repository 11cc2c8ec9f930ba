//! Rules against URLs, names and files; properties against a simple matcher.

mod files;
mod net;
mod properties;
mod reference;

use super::*;

fn grant(permissions: Permissions) -> Grant {
    Grant(vec![Arc::new(permissions)])
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| name.to_string()).collect()
}

#[test]
fn a_grant_of_nobody_permits_nothing() {
    let nobody = Grant::default();
    assert!(nobody.net("GET", &Url::parse("https://example.com/").unwrap()).is_err());
    assert!(nobody.run("gh").is_err());
    assert!(nobody.env("HOME").is_err());
    assert!(nobody.read(Path::new("/etc/hostname")).is_err());
}

#[test]
fn programs_are_matched_as_they_are_written() {
    let grant = grant(Permissions { run: names(&["gh", "/usr/bin/curl"]), ..Permissions::default() });
    assert!(grant.run("gh").is_ok());
    assert!(grant.run("/usr/bin/curl").is_ok());
    for other in ["curl", "/usr/bin/gh", "/bin/gh", "GH", "gh ", "", "/usr/bin/../bin/curl", "/usr/bin/curl/"] {
        assert!(grant.run(other).is_err(), "{other:?}");
    }
    let refusal = grant.run("jq").unwrap_err();
    assert_eq!(refusal.message, "running `jq` is not permitted by `permissions.run`");
    assert_eq!(refusal.help, "add `jq` under `permissions.run`");
    assert!(grant.run("./gh").unwrap_err().message.contains("relative path"));
}

#[test]
fn environment_names_may_be_globs() {
    let grant = grant(Permissions { env: names(&["GH_TOKEN", "AWS_*"]), ..Permissions::default() });
    for name in ["GH_TOKEN", "AWS_REGION", "AWS_"] {
        assert!(grant.env(name).is_ok(), "{name}");
    }
    for name in ["gh_token", "GH_TOKEN2", "XAWS_REGION", "AWS", ""] {
        assert!(grant.env(name).is_err(), "{name}");
    }
    assert_eq!(grant.env("HOME").unwrap_err().help, "add `HOME` under `permissions.env`");
}

#[test]
fn a_module_needs_the_leave_of_every_caller() {
    let own = Arc::new(Permissions { run: names(&["gh", "jq"]), ..Permissions::default() });
    let caller = Arc::new(Permissions { run: names(&["gh"]), ..Permissions::default() });
    let both = Grant(vec![own, caller]);
    assert!(both.run("gh").is_ok());
    assert_eq!(
        both.run("jq").unwrap_err().message,
        "running `jq` is not permitted by `permissions.run` of this module and of each playbook that calls it"
    );
}
