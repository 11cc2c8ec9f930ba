//! Exchanges that break: in which phase, and whether anything was sent.

use super::*;
use std::net::TcpListener;

#[tokio::test]
async fn a_refused_connection_surely_sent_nothing() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let request = post(&format!("http://127.0.0.1:{port}/x?token={HIDDEN}"), Body::Text(secret(None)));
    let (phase, message, sent) = broken(Bench::open().perform(&request).await);
    assert_eq!((phase, sent), ("connecting", Sent::No));
    assert_eq!(message, format!("127.0.0.1:{port}: connection refused"));
}

#[tokio::test]
async fn a_server_that_does_not_shake_hands_was_sent_nothing() {
    let server = Server::wrapped(
        |mut stream| {
            let _ = hang(&mut stream);
            None::<std::net::TcpStream>
        },
        |_, _| Ok(Then::Close),
    );
    let request = Request {
        connect_timeout: Some(Duration::from_millis(100)),
        ..post(&format!("https://127.0.0.1:{}/", server.port), Body::Text(secret(None)))
    };
    let (phase, message, sent) = broken(Bench::open().perform(&request).await);
    assert_eq!((phase, sent), ("connecting", Sent::No));
    assert_eq!(message, format!("127.0.0.1:{}: no connection within 100 ms", server.port));
}

#[tokio::test]
async fn a_connection_that_ends_without_an_answer_may_have_been_heard() {
    let server = Server::start(|_, _| Ok(Then::Close));
    let request = post(&server.url("/?token=hUnter2hUnter2"), Body::Text(secret(None)));
    let (phase, message, sent) = broken(Bench::open().perform(&request).await);
    assert_eq!((phase, sent), ("reading", Sent::Perhaps));
    assert_eq!(message, format!("127.0.0.1:{}: the connection was closed before an answer came", server.port));
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn nothing_is_repeated_on_a_connection_that_was_used_before() {
    let server = Server::start(|request, wire| match request.target.as_str() {
        "/first" => answer(wire, "204 No Content", b""),
        _ => Ok(Then::Close),
    });
    let bench = Bench::open();
    bench.perform(&get(&server.url("/first"))).await.unwrap();
    for method in ["GET", "PUT", "POST"] {
        let before = server.received().len();
        let request = Request { method: method.into(), ..get(&server.url("/second")) };
        assert_eq!(broken(bench.perform(&request).await).2, Sent::Perhaps);
        assert_eq!(server.received().len(), before + 1, "{method}");
    }
}

#[tokio::test]
async fn a_body_that_is_cut_off_is_no_answer() {
    for (head, part) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf", "closed in the middle of the answer"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n10\r\nhalf", "closed in the middle of the answer"),
        ("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 5\r\n\r\nnozip", ""),
    ] {
        let server = Server::start(move |_, wire| {
            wire.write_all(head.as_bytes())?;
            Ok(Then::Close)
        });
        let (phase, message, sent) = broken(Bench::open().perform(&get(&server.url("/"))).await);
        assert_eq!((phase, sent), ("reading", Sent::Perhaps), "{message}");
        assert!(message.contains(part), "{message}");
    }
}

#[tokio::test]
async fn what_is_no_http_is_told() {
    for head in [
        "SSH-2.0-OpenSSH_9.9\r\n\r\n".to_string(),
        format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(1000)),
        format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(2 << 20)),
        "HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n".to_string(),
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n".to_string(),
    ] {
        let server = Server::start(move |_, wire| {
            wire.write_all(head.as_bytes())?;
            hang(wire)
        });
        let (_, message, sent) = broken(Bench::open().perform(&get(&server.url("/?hUnter2hUnter2"))).await);
        assert_eq!(sent, Sent::Perhaps, "{message}");
    }
}

#[tokio::test]
async fn time_runs_out_for_head_and_body_together() {
    let stuck = Server::start(|_, wire| hang(wire));
    let in_body = Server::start(|_, wire| {
        wire.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")?;
        hang(wire)
    });
    let trickling = Server::start(|_, wire| {
        wire.write_all(b"HTTP/1.1 200 OK\r\nx: ")?;
        loop {
            wire.write_all(b"y")?;
            wire.flush()?;
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    let after = Duration::from_millis(200);
    for server in [stuck, in_body, trickling] {
        let request = Request { timeout: Some(after), ..post(&server.url("/"), Body::Text(secret(None))) };
        match Bench::open().perform(&request).await {
            Err(ActionError::Timeout { after: told, sent: Sent::Perhaps }) => assert_eq!(told, after),
            other => panic!("{other:?}"),
        }
        assert_eq!(server.received().len(), 1);
    }
}

#[tokio::test]
async fn a_cancelled_exchange_ends_at_once() {
    let (heard, mut hears) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(move |_, wire| {
        let _ = heard.send(());
        hang(wire)
    });
    let bench = Bench::open();
    let request = get(&server.url("/"));
    let (result, ()) = tokio::join!(bench.perform(&request), async {
        hears.recv().await.unwrap();
        bench.stop.send(true).unwrap();
    });
    assert!(matches!(result, Err(ActionError::Interrupted { sent: Sent::Perhaps })), "{result:?}");
    let again = bench.perform(&request).await;
    assert!(matches!(again, Err(ActionError::Interrupted { sent: Sent::No })), "{again:?}");
    assert_eq!(server.received().len(), 1);
}
