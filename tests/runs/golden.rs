//! A journal of format 1 as it was once written: whatever the program becomes, it reads this.
//!
//! `tests/journal/format-1` is never made again. It was made so: `rotate-token.yaml`, which stands there as the run's own
//! copy, was run from `/opt/playbooks` with `--approve approve`, with HOME in an empty folder, USER `ops` and the variable
//! OLD_TOKEN `golden-old-9f8e7d6c`; it failed at `places/ready`, since there was no file `$HOME/ready`. From the state folder
//! come `runs/`, from the configuration folder the key file that wrapped the run's key. Then all times were moved to March
//! 2099 (`at` of every record, `started` of the attempts) and the host was called `ops-1`, and the records were chained anew
//! by `Chain::link`, so that what depends on a clock of today shows. What is sealed is as it was.

use crate::schema::assert_valid;
use crate::support::{Folder, Ran};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const RUN: &str = "01a20d6b-24e3-7251-b068-34b70e050952";
const TOKEN: &str = "golden-0a1b2c3d4e5f-token";

/// The run in a state folder of its own, and its key file where the program looks for it.
fn golden() -> Folder {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journal/format-1");
    let folder = Folder::new();
    copy(&from.join("runs"), &folder.state().join("runs"));
    let config = folder.path().join(".config/runbook");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::copy(from.join("key-file"), config.join("key")).unwrap();
    std::fs::set_permissions(config.join("key"), std::fs::Permissions::from_mode(0o600)).unwrap();
    folder
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), to).unwrap()),
        }
    }
}

#[test]
fn it_is_listed_and_shown_and_whole() {
    let folder = golden();
    let listed = folder.does(&["list"]).exits(0);
    assert_eq!(
        listed.stdout.lines().nth(1).unwrap().split_whitespace().collect::<Vec<_>>(),
        ["0e050952", "2099-03-14", "15:09", "failed", "rotate-token", "ops"]
    );
    listed.shows("lock rotate-token:pages · holds new_token");
    let told = folder.json(&["list"]);
    assert_eq!(
        (&told["runs"][0]["run"], &told["runs"][0]["begun"]),
        (&RUN.into(), &"2099-03-14T15:09:26.535897Z".into())
    );
    folder.does(&["verify", RUN]).exits(0).shows("26 records, chain whole, playbook copies unchanged");
    let all_hidden = |ran: Ran| ran.hides(TOKEN).hides("golden-old-9f8e7d6c");
    all_hidden(folder.does(&["show", RUN]).exits(0))
        .shows("rotate-token: Make a new token and put it where it is needed")
        .shows("begun 2099-03-14T15:09:26Z")
        .shows("approved by ops, 2099-03-14T15:09:26Z")
        .shows("– Tell the other region (skipped: when: service == \"other\")")
        .shows("token_id=t-77  new_token=***")
        .shows("2 attempts")
        // The run's own copy of its playbook is what a failure is drawn over.
        .shows("rotate-token.yaml:39:9")
        .shows("on failure:")
        .shows("failed in 56 ms: steps: 4 passed, 1 failed, 1 skipped")
        .shows("Make the old token valid again in the console.");
    let events = folder.does(&["show", RUN, "--output", "json"]).exits(0);
    let finished = events.finished();
    assert_eq!(finished["at"], "2099-03-14T15:09:26Z");
    let interval = &finished["intervals"][0];
    assert_eq!((&interval["name"], &interval["budget_ms"]), (&"exposed".into(), &300_000.into()));
    all_hidden(folder.does(&["status", RUN]).exits(0))
        .shows("new_token, of step make, 2099-03-14 15:09")
        .shows("process      ")
        .shows("on ops-1")
        .shows("old_token: ***");
    folder.does(&["status"]).exits(0).shows("holds new_token").shows("runbook resume 0e050952");
    assert_valid(&folder.records(RUN));
}

#[test]
fn what_it_holds_is_handed_out() {
    let folder = golden();
    folder.does(&["reveal", RUN, "new_token", "--to-file", "new", "--yes"]).exits(0);
    folder.does(&["reveal", RUN, "old_token", "--to-file", "old", "--yes"]).exits(0);
    assert_eq!((folder.read("new"), folder.read("old")), (TOKEN.into(), "golden-old-9f8e7d6c".into()));
    folder.does(&["verify", RUN]).exits(0).shows("28 records");
}

#[test]
fn it_is_gone_on_with_and_passes() {
    let folder = golden();
    folder.does(&["resume", RUN]).exits(1).shows("places/ready");
    folder.file("ready", "");
    // What was made is not made again; what was sealed is there, and so is the input that nobody gives any more.
    folder.does(&["resume", RUN]).exits(0).shows("Store it").shows("See that the old token is another").hides(TOKEN);
    folder.does(&["verify", RUN]).exits(0).shows("chain whole, playbook copies unchanged");
    let records = folder.records(RUN);
    assert_valid(&records);
    let made = |kind: &str| records.iter().filter(|record| record["type"] == kind && record["step"] == "make").count();
    assert_eq!((made("attempt-started"), made("attempt-finished")), (1, 1));
    assert_eq!(folder.json(&["list"])["runs"][0]["outcome"], "passed");
    assert!(!folder.state().join("runs").join(RUN).join("key").exists());
}
