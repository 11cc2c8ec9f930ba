//! What is sent and what is read: kinds of bodies, authorization, cookies, charsets, JSON, limits.

use super::*;
use std::io::Write;

#[tokio::test]
async fn each_kind_of_body_is_sent_with_its_type() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("data.bin"), b"\x00\x01binary").unwrap();
    let server = silent();
    let bench = Bench::reading(folder.path());
    let url = server.url("/");
    for (body, kind, content) in [
        (
            Body::Json(Value::plain(json!({"a": 1, "b": [null, true]}))),
            "application/json",
            "{\"a\":1,\"b\":[null,true]}",
        ),
        (Body::Form(named(&[("a", "x y"), ("b&", "ü")])), "application/x-www-form-urlencoded", "a=x+y&b%26=%C3%BC"),
        (Body::Text(text("hällo")), "text/plain; charset=utf-8", "hällo"),
        (Body::File("data.bin".into()), "application/octet-stream", "\u{0}\u{1}binary"),
        (Body::None, "", ""),
    ] {
        let request = Request { folder: folder.path().into(), ..post(&url, body) };
        bench.perform(&request).await.unwrap();
        let received = server.received().pop().unwrap();
        assert_eq!((received.header("content-type").as_str(), received.text().as_str()), (kind, content));
        assert_eq!(received.header("content-length"), content.len().to_string());
        assert_eq!(received.header("transfer-encoding"), "");
    }
}

#[tokio::test]
async fn a_given_content_type_and_user_agent_count() {
    let server = silent();
    let mut request = post(&server.url("/"), Body::Json(Value::plain(json!({}))));
    request.headers =
        named(&[("Content-Type", "application/merge-patch+json"), ("user-agent", "other/1"), ("X-A", "ü")]);
    Bench::open().perform(&request).await.unwrap();
    let received = &server.received()[0];
    assert_eq!(received.header("content-type"), "application/merge-patch+json");
    assert_eq!(received.header("user-agent"), "other/1");
    assert_eq!(received.header("x-a"), "ü");
}

#[tokio::test]
async fn a_multipart_body_has_texts_and_files() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.txt"), "content").unwrap();
    let server = silent();
    let file = |filename: Option<&str>, content_type: Option<&str>| PartSource::File {
        path: "a.txt".into(),
        filename: filename.map(str::to_string),
        content_type: content_type.map(str::to_string),
    };
    let body = Body::Multipart(vec![
        ("note".into(), PartSource::Text(text("hi"))),
        ("one".into(), file(None, None)),
        ("two".into(), file(Some("b\".csv"), Some("text/csv"))),
    ]);
    let request = Request { folder: folder.path().into(), ..post(&server.url("/"), body) };
    Bench::reading(folder.path()).perform(&request).await.unwrap();
    let received = &server.received()[0];
    let boundary = received.header("content-type").strip_prefix("multipart/form-data; boundary=").unwrap().to_string();
    let expected = [
        "Content-Disposition: form-data; name=\"note\"\r\n\r\nhi\r\n",
        "Content-Disposition: form-data; name=\"one\"; filename=\"a.txt\"\r\nContent-Type: application/octet-stream\r\n\r\ncontent\r\n",
        "Content-Disposition: form-data; name=\"two\"; filename=\"b\\\".csv\"\r\nContent-Type: text/csv\r\n\r\ncontent\r\n",
    ];
    let parts: String = expected.iter().map(|part| format!("--{boundary}\r\n{part}")).collect();
    assert_eq!(received.text(), format!("{parts}--{boundary}--\r\n"));
    assert_eq!(received.header("content-length"), received.body.len().to_string());
    for (name, filename, content_type, part) in [
        ("a", "b\r\nContent-Type: text/html", "text/csv", "the file name of the part `a` has control characters"),
        ("a\nb", "b.csv", "text/csv", "is no name of a part"),
        ("a", "b.csv", "text\r\n", "is no content type"),
        ("a", "b.csv", "", "is no content type"),
    ] {
        let body = Body::Multipart(vec![(name.into(), file(Some(filename), Some(content_type)))]);
        let request = Request { folder: folder.path().into(), ..post(&server.url("/"), body) };
        let (message, sent) = failure(Bench::reading(folder.path()).perform(&request).await);
        assert!(message.contains(part), "{message}");
        assert_eq!(sent, Sent::No);
    }
}

#[tokio::test]
async fn files_need_permission_and_have_to_be_files() {
    let folder = tempfile::tempdir().unwrap();
    let outside = tempfile::NamedTempFile::new().unwrap();
    std::os::unix::fs::symlink(outside.path(), folder.path().join("link")).unwrap();
    let pipe = std::ffi::CString::new(folder.path().join("pipe").to_str().unwrap()).unwrap();
    assert_eq!(unsafe { libc::mkfifo(pipe.as_ptr(), 0o600) }, 0);
    let server = silent();
    let bench = Bench::reading(folder.path());
    let send =
        |path: &Path| Request { folder: folder.path().into(), ..post(&server.url("/"), Body::File(path.into())) };
    for path in [outside.path(), Path::new("link"), Path::new("/etc/hostname")] {
        refusal(bench.perform(&send(path)).await);
    }
    for (path, part) in [("pipe", "is no file"), ("", "is no file"), ("missing", "cannot be read: entity not found")] {
        let (message, sent) = failure(bench.perform(&send(Path::new(path))).await);
        assert!(message.contains(part), "{message}");
        assert_eq!(sent, Sent::No);
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn authorization_is_bearer_or_basic() {
    let server = silent();
    let bench = Bench::open();
    for (auth, expected) in [
        (Auth::Bearer(secret(None)), format!("Bearer {HIDDEN}")),
        (
            Auth::Basic { user: text("Aladdin"), password: text("open sesame") },
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==".into(),
        ),
    ] {
        bench.perform(&Request { auth: Some(auth), ..get(&server.url("/")) }).await.unwrap();
        assert_eq!(server.received().pop().unwrap().header("authorization"), expected);
    }
}

#[tokio::test]
async fn cookies_are_kept_in_jars_by_name() {
    let server = Server::start(|request, wire| match request.target.as_str() {
        "/login" => answer(wire, "204 No Content\nset-cookie: id=7; Path=/\nset-cookie: deep=1; Path=/deep", b""),
        _ => answer(wire, "204 No Content", b""),
    });
    let bench = Bench::open();
    let with = |path: &str, jar: Option<&str>| Request { cookies: jar.map(str::to_string), ..get(&server.url(path)) };
    bench.perform(&with("/login", Some("a"))).await.unwrap();
    for (path, jar, expected) in
        [("/x", Some("a"), "id=7"), ("/deep", Some("a"), "deep=1; id=7"), ("/x", Some("b"), ""), ("/x", None, "")]
    {
        bench.perform(&with(path, jar)).await.unwrap();
        assert_eq!(server.received().pop().unwrap().header("cookie"), expected);
    }
    let given = Request { headers: named(&[("Cookie", "own=1")]), ..with("/x", Some("a")) };
    bench.perform(&given).await.unwrap();
    assert_eq!(server.received().pop().unwrap().header("cookie"), "own=1; id=7");
}

#[tokio::test]
async fn json_is_known_by_its_looks() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (head, body, expected) in [
        ("200 OK\ncontent-type: text/html", "  {\"a\": 1}\n", json!({"a": 1})),
        ("200 OK", "[1, 2.5, \"x\"]", json!([1, 2.5, "x"])),
        ("200 OK\ncontent-type: application/json", "{\"a\": 1", Json::Null),
        ("200 OK\ncontent-type: application/json", "", Json::Null),
        ("200 OK\ncontent-type: application/json", deep.leak(), Json::Null),
        ("500 Internal Server Error\ncontent-type: application/json", "{}", json!({})),
    ] {
        let server = Server::start(move |_, wire| answer(wire, head, body.as_bytes()));
        assert_eq!(Bench::open().perform(&get(&server.url("/"))).await.unwrap()["json"], expected);
    }
}

#[tokio::test]
async fn bodies_are_text_in_their_charset() {
    for (kind, body, expected) in [
        ("text/plain; charset=iso-8859-1", &b"caf\xe9"[..], "café"),
        ("text/plain; Charset=\"UTF-8\"", "café".as_bytes(), "café"),
        ("text/plain; charset=nonsense", "café".as_bytes(), "café"),
        ("text/plain", b"\xef\xbb\xbfx", "x"),
        ("text/plain", b"\xff\xfex\x00", "x"),
        ("application/octet-stream", b"a\xffb", "a\u{fffd}b"),
    ] {
        let head = format!("200 OK\ncontent-type: {kind}");
        let server = Server::start(move |_, wire| answer(wire, &head, body));
        assert_eq!(Bench::open().perform(&get(&server.url("/"))).await.unwrap()["body"], expected, "{kind}");
    }
}

fn zipped(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn the_limit_counts_what_is_unpacked() {
    let packed = zipped(&vec![b'x'; 8 << 20]);
    assert!(packed.len() < 10_000);
    let server = Server::start(move |_, wire| answer(wire, "200 OK\ncontent-encoding: gzip", &packed));
    let (message, sent) = failure(Bench::open().perform(&get(&server.url("/"))).await);
    assert_eq!(message, "the answer's body is larger than `max_body` (1 MiB); give a larger one, or ask for less");
    assert_eq!(sent, Sent::Perhaps);
    let request = Request { max_body: 8 << 20, ..get(&server.url("/")) };
    let output = Bench::open().perform(&request).await.unwrap();
    assert_eq!(output["body"].as_str().unwrap().len(), 8 << 20);
}

#[tokio::test]
async fn an_endless_body_ends_at_the_limit() {
    let server = Server::start(|_, wire| {
        wire.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
        loop {
            wire.write_all(b"4\r\nxxxx\r\n")?;
        }
    });
    let request = Request { max_body: 10, ..get(&server.url("/")) };
    assert!(failure(Bench::open().perform(&request).await).0.contains("larger than `max_body` (10 bytes)"));
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_read() {
    let server = Server::answering("200 OK", "0123456789");
    let with = |max_body| Request { max_body, ..get(&server.url("/")) };
    assert_eq!(Bench::open().perform(&with(10)).await.unwrap()["body"], "0123456789");
    failure(Bench::open().perform(&with(9)).await);
}

#[tokio::test]
async fn head_has_no_body_whatever_the_headers_say() {
    let server = Server::start(|_, wire| {
        wire.write_all(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 1000\r\n\r\n")?;
        Ok(Then::Keep)
    });
    let output = Bench::open().perform(&Request { method: "HEAD".into(), ..get(&server.url("/")) }).await.unwrap();
    assert_eq!((&output["status"], &output["body"]), (&json!(200), &json!("")));
}
