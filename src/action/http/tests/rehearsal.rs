//! Rehearsals: stand-ins on loopback, and nothing beyond them.

use super::*;

fn rehearsing(rules: &[&str], hosts: &[(&str, String)]) -> Bench {
    let mut bench = Bench::new(rules);
    let hosts = hosts.iter().map(|(host, url)| (host.to_string(), url.parse().unwrap())).collect();
    bench.hands.stand_ins = Some(StandIns { hosts, ..StandIns::default() });
    bench
}

#[tokio::test]
async fn a_stand_in_is_asked_as_the_host_would_be() {
    let server = Server::answering("200 OK\nset-cookie: id=7; Path=/; Secure; Domain=example.com", "{}");
    let bench = rehearsing(&["*.example.com", "*.example.com:8443"], &[("api.example.com", server.url(""))]);
    let mut request = get("https://api.example.com/v1/items?q=1");
    request.cookies = Some("run".into());
    request.auth = Some(Auth::Bearer(secret(Some(&["api.example.com"]))));
    let output = bench.perform(&request).await.unwrap();
    assert_eq!(output["url"], "https://api.example.com/v1/items?q=1");
    let received = server.received().pop().unwrap();
    assert_eq!(received.target, "/v1/items?q=1");
    assert_eq!(received.header("host"), "api.example.com");
    assert_eq!(received.header("authorization"), format!("Bearer {HIDDEN}"));
    // A host without a port covers every port; cookies are kept by the host that is played.
    request.url = text("https://api.example.com:8443/");
    bench.perform(&request).await.unwrap();
    let received = server.received().pop().unwrap();
    assert_eq!(
        (received.header("host").as_str(), received.header("cookie").as_str()),
        ("api.example.com:8443", "id=7")
    );
}

#[tokio::test]
async fn a_host_with_its_port_comes_first() {
    let (one, other) = (Server::answering("200 OK", "one"), Server::answering("200 OK", "other"));
    let hosts = [("internal", one.url("")), ("internal:8443", other.url("/base/"))];
    let bench = rehearsing(&["internal:*"], &hosts);
    assert_eq!(bench.perform(&get("https://internal/x")).await.unwrap()["body"], "one");
    assert_eq!(bench.perform(&get("https://internal:8443/x")).await.unwrap()["body"], "other");
    assert_eq!(other.received()[0].target, "/base/x");
}

#[tokio::test]
async fn what_the_world_does_not_name_refuses_connections() {
    let server = silent();
    let bench = rehearsing(&["api.example.com", "127.0.0.1:*"], &[("other.example.com", server.url(""))]);
    for url in ["https://api.example.com/x?token=hUnter2hUnter2", &server.url("/x")] {
        let (phase, message, sent) = broken(bench.perform(&get(url)).await);
        assert_eq!((phase, sent), ("connecting", Sent::No));
        assert!(message.ends_with(": connection refused (this world has no such host)"), "{message}");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn permission_and_flow_are_judged_by_what_is_played() {
    let server = silent();
    let bench = rehearsing(&["GET api.example.com/v1/**"], &[("api.example.com", server.url(""))]);
    refusal(bench.perform(&get("https://api.example.com/v2")).await);
    refusal(bench.perform(&get("http://api.example.com/v1")).await);
    refusal(bench.perform(&get(&server.url("/v1"))).await);
    let astray =
        Request { auth: Some(Auth::Bearer(secret(Some(&["127.0.0.1"])))), ..get("https://api.example.com/v1") };
    refusal(bench.perform(&astray).await);
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn redirects_lead_through_the_world() {
    let server = Server::start(|request, wire| match request.header("host").as_str() {
        "api.example.com" => answer(wire, "302 Found\nlocation: https://other.example.com/there", b""),
        host => answer(wire, "200 OK", host.as_bytes()),
    });
    let hosts = [("api.example.com", server.url("")), ("other.example.com", server.url(""))];
    let bench = rehearsing(&["*.example.com"], &hosts);
    let request = Request { redirects: 1, auth: Some(Auth::Bearer(secret(None))), ..get("https://api.example.com/") };
    let output = bench.perform(&request).await.unwrap();
    assert_eq!(
        (&output["body"], &output["url"]),
        (&json!("other.example.com"), &json!("https://other.example.com/there"))
    );
    assert_eq!(server.received()[1].header("authorization"), "");
}

#[tokio::test]
async fn files_of_tls_need_permission_but_need_not_exist() {
    let server = silent();
    let mut bench = rehearsing(&["api.example.com"], &[("api.example.com", server.url(""))]);
    let tls = Tls { ca: Some("/nowhere/ca.pem".into()), client_cert: None, client_key: None, min_version: None };
    let request = Request { tls: Some(tls), ..get("https://api.example.com/") };
    refusal(bench.perform(&request).await);
    bench.grant = Grant(vec![Arc::new(Permissions {
        net: vec![NetRule::parse("api.example.com").unwrap()],
        read: vec!["/nowhere/*".into()],
        ..Permissions::default()
    })]);
    bench.perform(&request).await.unwrap();
}
