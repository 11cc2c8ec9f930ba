//! Redirects: where they lead, what goes along, what does not.

use super::*;

/// Redirects `/go` with this status to `to` (`PORT` is its own), and answers all else.
fn redirecting(status: &'static str, to: &'static str) -> Server {
    redirecting_by(move |port| (status, to.replace("PORT", &port)))
}

fn redirecting_by(to: impl Fn(String) -> (&'static str, String) + Send + Sync + 'static) -> Server {
    Server::start(move |request, wire| {
        let port = request.header("host").rsplit(':').next().unwrap_or_default().to_string();
        if request.target.starts_with("/go") {
            let (status, to) = to(port);
            return answer(wire, &format!("{status}\nlocation: {to}"), b"moved");
        }
        answer(wire, "200 OK", request.target.as_bytes())
    })
}

fn summary(received: &[Received]) -> Vec<String> {
    received.iter().map(|request| format!("{} {} {}", request.method, request.target, request.text())).collect()
}

#[tokio::test]
async fn without_leave_a_redirect_is_an_answer() {
    let server = redirecting("302 Found", "/there");
    let output = Bench::open().perform(&get(&server.url("/go"))).await.unwrap();
    assert_eq!((&output["status"], &output["headers"]["location"]), (&json!(302), &json!("/there")));
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn methods_and_bodies_follow_as_in_browsers() {
    for (status, method, expected) in [
        ("301 Moved", "POST", "GET /there "),
        ("302 Found", "POST", "GET /there "),
        ("303 See Other", "POST", "GET /there "),
        ("307 Temporary", "POST", "POST /there body"),
        ("308 Permanent", "POST", "POST /there body"),
        ("301 Moved", "PUT", "PUT /there body"),
        ("302 Found", "DELETE", "DELETE /there body"),
        ("303 See Other", "PUT", "GET /there "),
        ("302 Found", "GET", "GET /there body"),
    ] {
        let server = redirecting(status, "/there");
        let mut request = post(&server.url("/go"), Body::Text(text("body")));
        request.method = method.into();
        request.redirects = 1;
        request.headers = named(&[("content-language", "en"), ("x-other", "stays")]);
        let output = Bench::open().perform(&request).await.unwrap();
        assert_eq!(output["url"], server.url("/there"));
        let received = server.received();
        assert_eq!(summary(&received)[1], expected, "{status} {method}");
        let has_body = expected.ends_with("body");
        assert_eq!(received[1].header("content-language"), if has_body { "en" } else { "" });
        assert_eq!(received[1].header("content-type").is_empty(), !has_body);
        assert_eq!(received[1].header("x-other"), "stays");
    }
}

#[tokio::test]
async fn statuses_that_are_no_redirects_are_answers() {
    for status in ["300 Multiple Choices", "304 Not Modified", "305 Use Proxy", "201 Created"] {
        let server = redirecting(status, "/there");
        let output = Bench::open().perform(&Request { redirects: 5, ..get(&server.url("/go")) }).await.unwrap();
        assert_eq!(output["status"].to_string(), status[..3]);
    }
    let server = Server::answering("302 Found", "nowhere");
    let output = Bench::open().perform(&Request { redirects: 5, ..get(&server.url("/")) }).await.unwrap();
    assert_eq!(output["body"], "nowhere");
}

#[tokio::test]
async fn a_loop_ends_at_the_number_of_redirects() {
    let server = redirecting("302 Found", "/go?token=hUnter2hUnter2");
    let (message, sent) = failure(Bench::open().perform(&Request { redirects: 3, ..get(&server.url("/go")) }).await);
    assert_eq!(message, format!("redirected more than 3 times; the last pointed at {}", server.url("/go")));
    assert_eq!((sent, server.received().len()), (Sent::Perhaps, 4));
}

#[tokio::test]
async fn each_hop_needs_permission() {
    let server = redirecting("302 Found", "/admin?token=hUnter2hUnter2");
    let bench = Bench::new(&["127.0.0.1:*/go"]);
    let (message, help) =
        refusal(bench.perform(&Request { redirects: 5, ..get(&server.url("/go?a=hUnter2hUnter2")) }).await);
    assert_eq!(
        message,
        format!(
            "{} redirected to a place that is not permitted: `GET {}` is not permitted by `permissions.net`, where the \
             host stands with other methods, ports or paths",
            server.url("/go"),
            server.url("/admin"),
        )
    );
    assert_eq!(help, format!("add `GET {}` under `permissions.net`", server.url("/admin")));
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn a_redirect_with_credentials_or_another_scheme_is_refused() {
    for to in ["http://user:hUnter2hUnter2@127.0.0.1:PORT/x", "file:///etc/passwd", "gopher://127.0.0.1/"] {
        let server = redirecting("302 Found", to);
        refusal(Bench::open().perform(&Request { redirects: 5, ..get(&server.url("/go")) }).await);
        assert_eq!(server.received().len(), 1);
    }
}

/// All that must not go to another place, and one thing that may.
fn laden(url: &str) -> Request {
    Request {
        redirects: 5,
        auth: Some(Auth::Bearer(secret(None))),
        headers: vec![
            ("x-secret".into(), secret(None)),
            ("Cookie".into(), text("own=1")),
            ("Proxy-Authorization".into(), text("Basic x")),
            ("x-plain".into(), text("goes")),
        ],
        ..get(url)
    }
}

#[tokio::test]
async fn credentials_stay_at_the_place_they_are_for() {
    for (to, stays) in [
        ("/there", true),
        ("http://127.0.0.1:PORT/there", true),
        ("http://localhost:PORT/there", false),
        ("//localhost:PORT/there", false),
    ] {
        let server = redirecting("302 Found", to);
        let bench = Bench::new(&["127.0.0.1:*", "localhost:*"]);
        bench.perform(&laden(&server.url("/go"))).await.unwrap();
        let there = &server.received()[1];
        for name in ["authorization", "x-secret", "cookie", "proxy-authorization"] {
            assert_eq!(!there.header(name).is_empty(), stays, "{name} to {to}");
        }
        assert_eq!(there.header("x-plain"), "goes");
        assert_eq!(there.header("referer"), "");
    }
}

#[tokio::test]
async fn credentials_do_not_follow_to_another_port_and_do_not_come_back() {
    let home = Arc::new(std::sync::Mutex::new(String::new()));
    let back = home.clone();
    let other = redirecting_by(move |_| ("302 Found", back.lock().unwrap().clone()));
    let away = other.url("/go");
    let server = Server::start(move |request, wire| match request.target.as_str() {
        "/start" => answer(wire, &format!("302 Found\nlocation: {away}"), b""),
        "/back" => answer(wire, "302 Found\nlocation: /again", b""),
        _ => answer(wire, "200 OK", b""),
    });
    *home.lock().unwrap() = server.url("/back");
    Bench::open().perform(&laden(&server.url("/start"))).await.unwrap();
    assert_eq!(server.received()[0].header("authorization"), format!("Bearer {HIDDEN}"));
    assert_eq!(other.received()[0].header("authorization"), "");
    for (index, target) in [(1, "/back"), (2, "/again")] {
        let received = &server.received()[index];
        assert_eq!((received.target.as_str(), received.header("authorization").as_str()), (target, ""));
    }
}

#[tokio::test]
async fn a_body_is_not_sent_on_to_another_place() {
    let server = redirecting("307 Temporary", "http://localhost:PORT/there?token=hUnter2hUnter2");
    let bench = Bench::new(&["127.0.0.1:*", "localhost:*"]);
    let request = Request { redirects: 5, ..post(&server.url("/go"), Body::Json(secret(None))) };
    let (message, sent) = failure(bench.perform(&request).await);
    assert_eq!(
        message,
        format!(
            "{} redirected to http://localhost:{}/there, and the body of a request is not sent on to another place",
            server.url("/go"),
            server.port
        )
    );
    assert_eq!((sent, server.received().len()), (Sent::Perhaps, 1));
    // Where it turns to GET there is no body left to send.
    let server = redirecting("303 See Other", "http://localhost:PORT/there");
    let request = Request { redirects: 5, ..post(&server.url("/go"), Body::Json(secret(None))) };
    bench.perform(&request).await.unwrap();
    assert_eq!(summary(&server.received())[1], "GET /there ");
}

#[tokio::test]
async fn what_breaks_after_the_first_hop_was_not_without_effect() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = redirecting_by(move |_| ("303 See Other", format!("http://127.0.0.1:{gone}/")));
    let request = Request { redirects: 5, ..post(&server.url("/go"), Body::Text(text("x"))) };
    let (phase, _, sent) = broken(Bench::open().perform(&request).await);
    assert_eq!((phase, sent), ("connecting", Sent::Perhaps));
}

#[tokio::test]
async fn cookies_of_a_redirect_count_at_the_next_hop() {
    let server = Server::start(|request, wire| match request.target.as_str() {
        "/go" => answer(wire, "302 Found\nlocation: /there\nset-cookie: id=7", b""),
        _ => answer(wire, "200 OK", b""),
    });
    let request = Request { redirects: 1, cookies: Some("run".into()), ..get(&server.url("/go")) };
    Bench::open().perform(&request).await.unwrap();
    assert_eq!(server.received()[1].header("cookie"), "id=7");
}
