//! Names: which addresses they may resolve to, and that what was judged is what is connected.

use super::*;
use crate::action::http::names::{Answers, Names};
use reqwest::dns::Resolve;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Names that all resolve to these addresses; and how often they were asked for.
fn all_to(addresses: &'static [&'static str]) -> (Answers, Arc<AtomicUsize>) {
    let asked: Arc<AtomicUsize> = Arc::default();
    let count = asked.clone();
    let answers: Answers = Arc::new(move |_: &str| {
        count.fetch_add(1, Ordering::SeqCst);
        Some(addresses.iter().map(|address| address.parse().unwrap()).collect())
    });
    (answers, asked)
}

fn bench(rules: &[&str], answers: Answers) -> Bench {
    let mut bench = Bench::new(rules);
    bench.hands.clients = Clients::with_names(answers);
    bench
}

#[tokio::test]
async fn a_name_that_leads_to_loopback_is_refused() {
    let server = silent();
    let bench = bench(&["http://*.example.test:*"], all_to(&["127.0.0.1"]).0);
    let request = get(&format!("http://api.example.test:{}/?{HIDDEN}", server.port));
    let (message, help) = refusal(bench.perform(&request).await);
    assert_eq!(
        message,
        "`api.example.test` resolves to 127.0.0.1, a loopback address, and the rule of `permissions.net` does not allow that"
    );
    assert_eq!(help, "add ` private` at the end of the rule for `api.example.test`, if it is meant to be there");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_private_rule_lets_it() {
    let server = silent();
    let (answers, asked) = all_to(&["127.0.0.1"]);
    let bench = bench(&["http://*.example.test:* private"], answers);
    let url = format!("http://api.example.test:{}/", server.port);
    bench.perform(&get(&url)).await.unwrap();
    assert_eq!(server.received()[0].header("host"), format!("api.example.test:{}", server.port));
    assert_eq!(asked.load(Ordering::SeqCst), 1, "the address that was judged is the one that is connected");
}

#[tokio::test]
async fn a_name_that_moves_after_it_was_judged_is_judged_again() {
    let server = Server::start(|_, wire| {
        answer(wire, "204 No Content", b"")?;
        Ok(Then::Close)
    });
    let turns = AtomicUsize::new(0);
    let answers: Answers = Arc::new(move |_: &str| {
        let address = if turns.fetch_add(1, Ordering::SeqCst) == 0 { "127.0.0.1" } else { "169.254.169.254" };
        Some(vec![address.parse().unwrap()])
    });
    let mut bench = bench(&["http://api.example.test:* private"], answers);
    let request = get(&format!("http://api.example.test:{}/", server.port));
    bench.perform(&request).await.unwrap();
    bench.grant = granting(&["http://api.example.test:*"]);
    assert!(refusal(bench.perform(&request).await).0.contains("169.254.169.254, a link-local address"));
}

#[tokio::test]
async fn a_connection_that_is_open_bypasses_nothing() {
    let server = silent();
    let mut bench = bench(&["http://api.example.test:* private"], all_to(&["127.0.0.1"]).0);
    let request = get(&format!("http://api.example.test:{}/", server.port));
    bench.perform(&request).await.unwrap();
    bench.grant = granting(&["http://api.example.test:*"]);
    refusal(bench.perform(&request).await);
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn localhost_is_never_asked_of_anyone() {
    let server = silent();
    let (answers, asked) = all_to(&["203.0.113.1"]);
    let bench = bench(&["localhost:*"], answers);
    bench.perform(&get(&format!("http://localhost:{}/", server.port))).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_name_without_addresses_is_not_resolved() {
    let bench = bench(&["http://api.example.test"], all_to(&[]).0);
    let (phase, message, sent) = broken(bench.perform(&get("http://api.example.test/")).await);
    assert_eq!(sent, Sent::No, "{phase}: {message}");
    assert_eq!(phase, "resolving");
}

async fn resolved(addresses: &[&str], private: bool) -> Result<Vec<String>, String> {
    resolved_as("api.example.test", addresses, private).await
}

async fn resolved_as(name: &str, addresses: &[&str], private: bool) -> Result<Vec<String>, String> {
    let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
    let answers: Answers = Arc::new(move |_: &str| Some(addresses.clone()));
    let names = Names { private, proxy: None, answers: Some(answers) };
    let found = names.resolve(name.parse().unwrap()).await;
    found.map(|found| found.map(|address| address.ip().to_string()).collect()).map_err(|error| error.to_string())
}

#[tokio::test]
async fn only_addresses_of_the_public_internet_are_for_everyone() {
    for address in ["1.1.1.1", "8.8.8.8", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "192.167.1.1"] {
        assert_eq!(resolved(&[address], false).await.unwrap(), [address]);
    }
    for address in ["2606:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1", "2002:101:101::1"] {
        assert!(resolved(&[address], false).await.is_ok(), "{address}");
    }
    for address in [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "0.1.2.3",
        "10.1.2.3",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.100.100.200",
        "192.0.0.192",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fc00::1",
        "fd00:ec2::254",
        "fec0::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "2002:7f00:1::1",
        "2001:0:1::1",
        "2001:db8::1",
    ] {
        let told = resolved(&[address], false).await.unwrap_err();
        assert!(told.contains("resolves to"), "{told}");
        if !WALLED.contains(&address) {
            assert_eq!(resolved(&[address], true).await.unwrap(), [address.parse::<IpAddr>().unwrap().to_string()]);
        }
    }
}

/// Where clouds hand out credentials, and their neighbours.
const WALLED: &[&str] = &[
    "169.254.169.254",
    "169.254.170.2",
    "169.254.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "fe80::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "::ffff:169.254.169.254",
    "::ffff:0:169.254.169.254",
    "::169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "::ffff:168.63.129.16",
];

#[tokio::test]
async fn no_name_leads_to_cloud_metadata_but_its_own() {
    for address in WALLED {
        for private in [false, true] {
            let told = resolved(&[address], private).await.unwrap_err();
            assert!(told.contains("resolves to"), "{told}");
        }
        let shown = address.parse::<IpAddr>().unwrap().to_string();
        for name in ["metadata.google.internal", "metadata", "instance-data.ec2.internal"] {
            assert_eq!(resolved_as(name, &[address], false).await.unwrap(), [&*shown], "{name}");
        }
        // Of a mixed answer only what is allowed is left.
        assert_eq!(resolved(&["10.1.2.3", address], true).await.unwrap(), ["10.1.2.3"]);
        assert_eq!(resolved(&[address, "10.1.2.3", "1.1.1.1"], false).await.unwrap(), ["1.1.1.1"]);
    }
    // What else is private it may not lead to.
    assert!(resolved_as("metadata.google.internal", &["10.1.2.3"], false).await.is_err());
}

#[tokio::test]
async fn neither_a_redirect_nor_private_leads_to_metadata() {
    let there = "http://rebound.example.test/latest/meta-data/";
    let server = Server::start(move |_, wire| {
        write!(wire, "HTTP/1.1 302 Found\r\nlocation: {there}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")?;
        Ok(Then::Close)
    });
    let answers: Answers = Arc::new(|name: &str| {
        let address = if name == "rebound.example.test" { "169.254.169.254" } else { "127.0.0.1" };
        Some(vec![address.parse().unwrap()])
    });
    let bench = bench(&["http://*.example.test:* private"], answers);
    let mut request = get(&format!("http://api.example.test:{}/", server.port));
    request.redirects = 3;
    let (message, help) = refusal(bench.perform(&request).await);
    assert!(message.contains("`rebound.example.test` resolves to 169.254.169.254, a link-local address"), "{message}");
    assert!(help.contains("no rule for a name leads there"), "{help}");
}

#[tokio::test]
async fn a_redirect_to_the_address_itself_needs_a_rule_that_spells_it() {
    for there in [
        "http://169.254.169.254/",
        "http://2852039166/",
        "http://[::ffff:a9fe:a9fe]/",
        "http://metadata.google.internal/",
    ] {
        let server = Server::start(move |_, wire| {
            write!(wire, "HTTP/1.1 302 Found\r\nlocation: {there}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")?;
            Ok(Then::Close)
        });
        let bench = bench(&["http://*.example.test:* private", "http://*.internal private"], all_to(&["127.0.0.1"]).0);
        let mut request = get(&format!("http://api.example.test:{}/", server.port));
        request.redirects = 3;
        let (message, _) = refusal(bench.perform(&request).await);
        assert!(message.contains("redirected to a place that is not permitted"), "{message}");
    }
}

#[tokio::test]
async fn of_a_mixed_answer_only_the_public_part_counts() {
    assert_eq!(resolved(&["127.0.0.1", "1.1.1.1", "::1"], false).await.unwrap(), ["1.1.1.1"]);
}
