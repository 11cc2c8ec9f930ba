//! What is refused before anything is sent: hosts, secrets that may not go there, values that make no request.

use super::*;
use proptest::prelude::*;

#[tokio::test]
async fn what_no_rule_names_is_not_sent() {
    let server = silent();
    let bench = Bench::new(&["GET 127.0.0.1:*/ok/**"]);
    for (method, path) in [("POST", "/ok/x"), ("GET", "/other"), ("GET", "/ok/..%2fother"), ("GET", "/ok/../other")] {
        let request = Request { method: method.into(), ..get(&server.url(path)) };
        let (message, help) = refusal(bench.perform(&request).await);
        assert!(message.contains("is not permitted by `permissions.net`"), "{message}");
        assert!(help.starts_with("add `"), "{help}");
    }
    assert_eq!(server.connections(), 0);
    bench.perform(&get(&server.url("/ok/x"))).await.unwrap();
}

#[tokio::test]
async fn the_query_takes_part_in_no_message() {
    let server = silent();
    let bench = Bench::new(&[]);
    let mut request = get(&server.url("/x?token=hUnter2hUnter2"));
    request.query = named(&[("again", HIDDEN)]);
    refusal(bench.perform(&request).await);
}

#[tokio::test]
async fn a_secret_is_in_no_url() {
    let server = silent();
    let bench = Bench::open();
    let mut in_query = get(&server.url("/"));
    in_query.query = vec![("key".into(), secret(None))];
    let (message, help) = refusal(bench.perform(&in_query).await);
    assert_eq!(
        message,
        "the query's `key` is secret, and URLs are kept in the logs of every server and proxy on the way"
    );
    assert_eq!(help, "send it in a header, by `auth` or in the body");
    let in_url = Request { url: text(&server.url("/")).tainted(&secret(None).taint()), ..get("") };
    assert!(refusal(bench.perform(&in_url).await).0.starts_with("the URL is secret"));
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_secret_goes_only_where_its_list_says() {
    let server = silent();
    let bench = Bench::open();
    let elsewhere = || secret(Some(&["api.example.com", "127.0.0.1:1", "run:gh"]));
    let url = server.url("/");
    let object = Value::object([("a".to_string(), Value::list([text("x"), elsewhere()]))]);
    for (place, request) in [
        ("the header `x-key`", Request { headers: vec![("x-key".into(), elsewhere())], ..get(&url) }),
        ("`auth`", Request { auth: Some(Auth::Bearer(elsewhere())), ..get(&url) }),
        ("`auth`", Request { auth: Some(Auth::Basic { user: text("u"), password: elsewhere() }), ..get(&url) }),
        ("`auth`", Request { auth: Some(Auth::Basic { user: elsewhere(), password: text("p") }), ..get(&url) }),
        ("the body", post(&url, Body::Json(object))),
        ("the body", post(&url, Body::Text(elsewhere()))),
        ("the field `f`", post(&url, Body::Form(vec![("f".into(), elsewhere())]))),
        ("the part `p`", post(&url, Body::Multipart(vec![("p".into(), PartSource::Text(elsewhere()))]))),
    ] {
        let (message, help) = refusal(bench.perform(&request).await);
        assert_eq!(message, format!("the secret `token` in {place} may not go to 127.0.0.1:{}", server.port));
        assert!(help.contains(&format!("add `127.0.0.1:{}`", server.port)), "{help}");
    }
    assert_eq!(server.connections(), 0);
    for to in [None, Some(&["127.0.0.1"][..]), Some(&[&*format!("127.0.0.1:{}", server.port)])] {
        bench.perform(&Request { auth: Some(Auth::Bearer(secret(to))), ..get(&url) }).await.unwrap();
    }
}

#[tokio::test]
async fn values_that_make_no_header_are_told_without_being_shown() {
    let server = silent();
    let bench = Bench::open();
    let tricky =
        |end: &str| Value::secret(json!(format!("{HIDDEN}{end}")), Arc::new(Origin { name: "t".into(), to: None }));
    let with = |name: &str, value: Value| Request { headers: vec![(name.into(), value)], ..get(&server.url("/")) };
    for (request, part) in [
        (with("x-key", tricky("\r\nhost: evil.example")), "the value of the header `x-key` has a line break in it"),
        (with("x-key", tricky("\n")), "the value of the header `x-key` has a line break in it"),
        (with("x-key", tricky("\0")), "the value of the header `x-key` has a control character in it"),
        (with("x key", text("v")), "\"x key\" is no name of a header"),
        (with("x\r\ny", text("v")), "is no name of a header"),
        (with("", text("v")), "is no name of a header"),
        (with("Host", text("evil.example")), "the header `Host` follows from the request"),
        (with("content-length", text("1")), "the header `content-length` follows from the request"),
        (with("Transfer-Encoding", text("chunked")), "follows from the request"),
        (
            Request { auth: Some(Auth::Bearer(tricky("\n"))), ..get(&server.url("/")) },
            "`authorization` has a line break",
        ),
        (
            Request { auth: Some(Auth::Bearer(secret(None))), ..with("Authorization", text("Basic x")) },
            "give one of them",
        ),
        (
            Request { auth: Some(Auth::Basic { user: text("a:b"), password: secret(None) }), ..get(&server.url("/")) },
            "no colon",
        ),
        (Request { method: "GE T".into(), ..get(&server.url("/")) }, "`GE T` is no HTTP method"),
        (Request { method: "CONNECT".into(), ..get(&server.url("/")) }, "for proxies"),
        (get("no url?token=hUnter2hUnter2"), "`no url` is no URL"),
        (get("https://"), "is no URL: empty host"),
        (get("http://127.0.0.1:99999/"), "is no URL: invalid port"),
        (
            Request {
                headers: (0..40_000).map(|index| (format!("x{index}"), text("v"))).collect(),
                ..get(&server.url("/"))
            },
            "too many",
        ),
        (get(&server.url(&format!("/{}", "x".repeat(70_000)))), "cannot be made"),
    ] {
        let (message, sent) = failure(bench.perform(&request).await);
        assert!(message.contains(part), "{message}");
        assert_eq!(sent, Sent::No);
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn credentials_in_the_url_are_refused() {
    let bench = Bench::open();
    let (message, help) = refusal(bench.perform(&get("http://user:hUnter2hUnter2@127.0.0.1:1/")).await);
    assert_eq!(message, "the URL of 127.0.0.1 has a user name or a password in it");
    assert!(help.contains("auth: {basic:"));
    failure(bench.perform(&get("http://user:hUnter2hUnter2@127.0.0.1:99999/")).await);
}

#[tokio::test]
async fn a_dot_at_the_hosts_end_changes_nothing() {
    let server = silent();
    let bench = Bench::new(&["localhost:*"]);
    let url = format!("http://LOCALHOST.:{}/", server.port);
    let output =
        bench.perform(&Request { auth: Some(Auth::Bearer(secret(Some(&["localhost"])))), ..get(&url) }).await.unwrap();
    assert_eq!(output["url"], format!("http://localhost:{}/", server.port));
    assert_eq!(server.received()[0].header("host"), format!("localhost:{}", server.port));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_value_makes_it_panic(
        path in "\\PC{0,20}",
        method in "[A-Z]{1,5}|\\PC{0,5}",
        name in "[a-z-]{1,8}|\\PC{0,8}",
        value in any::<String>(),
        whole in any::<String>(),
    ) {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let pairs = || vec![(name.clone(), text(&value))];
        let request = Request {
            method,
            query: pairs(),
            headers: pairs(),
            proxy: value.starts_with('a').then(|| whole.clone()),
            ..post(&format!("http://127.0.0.1:{port}/{path}"), Body::Multipart(vec![(name.clone(), PartSource::Text(text(&value)))]))
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let bench = Bench::open();
        prop_assert!(runtime.block_on(bench.perform(&request)).is_err());
        let elsewhere = Request { url: text(&whole), ..get("") };
        prop_assert!(runtime.block_on(bench.perform(&elsewhere)).is_err());
    }
}
