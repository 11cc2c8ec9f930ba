//! Whether records are those that were written.

use crate::{failed, short};

#[test]
fn a_whole_run_is_whole_and_stays_untouched() {
    let folder = failed();
    let id = folder.ids().remove(0);
    let before = (std::fs::read(folder.journal(&id)).unwrap(), folder.records(&id).len());
    let text = format!("{}  {} records, chain whole, playbook copies unchanged\n", short(&id), before.1);
    folder.does(&["verify", "last"]).exits(0).shows(&text);
    folder.does(&["verify", "--all"]).exits(0).shows(&text);
    assert_eq!(folder.json(&["verify", &id])["runs"][0]["whole"], true);
    // By its path, as somebody would who was sent it.
    let path = folder.state().join("runs").join(&id);
    folder.does(&["verify", &path.display().to_string()]).exits(0).shows(&text);
    // A last record that was being written is no damage, and is left as it is.
    let mut torn = before.0.clone();
    torn.extend_from_slice(b"{\"n\":99,\"prev\":");
    std::fs::write(folder.journal(&id), &torn).unwrap();
    folder.does(&["verify", "last"]).exits(0).shows("last record torn (15 bytes)");
    assert_eq!(std::fs::read(folder.journal(&id)).unwrap(), torn);
}

#[test]
fn every_damage_is_named_with_its_record() {
    let folder = failed();
    let id = folder.ids().remove(0);
    let path = folder.journal(&id);
    let whole = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let broken = |text: String, record: &str, what: &str| {
        std::fs::write(&path, text).unwrap();
        folder.does(&["verify", "last"]).exits(1).shows(record).shows(what);
        folder.does(&["show", "last"]).exits(1).shows("is damaged").shows("runbook verify");
    };
    let changed = lines[3].replacen("\"type\":\"", "\"type\":\"x", 1);
    broken(format!("{}{changed}{}", lines[..3].concat(), lines[4..].concat()), "record 4: ", "changed or cut");
    broken(format!("{}{}", lines[..3].concat(), lines[4..].concat()), "record 4: ", "its number is 5");
    broken(lines[1..].concat(), "record 1: ", "its number is 2");
    broken(format!("{}x{}", lines[..2].concat(), lines[2..].concat()), "record 3: ", "changed or cut");
    let told = folder.program().args(["verify", "last", "--output", "json"]).ran().exits(1);
    let told: serde_json::Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!(told["runs"][0]["faults"][0]["record"], 3);
    assert_eq!(told["runs"][0]["records"], 2);
}

#[test]
fn an_impossible_order_is_damage_though_the_chain_is_whole() {
    use runbook::journal::chain::{Chain, read};
    let folder = failed();
    let id = folder.ids().remove(0);
    let path = folder.journal(&id);
    let mut records = read(&std::fs::read(&path).unwrap()).unwrap().records;
    let last = records.last().unwrap().clone();
    records.push(last);
    let mut chain = Chain::default();
    let bytes: Vec<u8> = records.iter().flat_map(|(at, record)| chain.link(*at, record, str::to_string)).collect();
    std::fs::write(&path, bytes).unwrap();
    let text = format!("record {}: something happened after the run had ended", records.len());
    folder.does(&["verify", "last"]).exits(1).shows(&text).shows("no run can have written them in this order");
}

#[test]
fn a_changed_or_missing_copy_of_the_playbook_is_told() {
    let folder = failed();
    let id = folder.ids().remove(0);
    let copies = folder.state().join("runs").join(&id).join("playbook");
    let copy = std::fs::read_dir(&copies).unwrap().next().unwrap().unwrap().path();
    let text = std::fs::read_to_string(&copy).unwrap();
    std::fs::write(&copy, text + "\n").unwrap();
    folder.does(&["verify", "last"]).exits(1).shows("was changed: its SHA-256 is another").shows("test.yaml");
    std::fs::remove_file(&copy).unwrap();
    folder.does(&["verify", "--all"]).exits(1).shows("cannot be read").shows("✖");
    // What happened can still be shown, but for the excerpts.
    folder.does(&["show", "last"]).exits(0).shows("expected exit code 0, got exit 1").shows("failed in");
}
