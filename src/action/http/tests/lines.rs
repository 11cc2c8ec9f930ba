//! Ways of connecting: TLS with its files, proxies.

use super::*;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

const CA: &str = include_str!("../../../../tests/tls/ca.pem");
const SERVER: (&str, &str) =
    (include_str!("../../../../tests/tls/server.pem"), include_str!("../../../../tests/tls/server.key"));

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls")
}

/// A server's side of TLS, which may ask for a certificate of our CA.
fn tls_config(asks: bool, versions: &[&'static rustls::SupportedProtocolVersion]) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions).unwrap();
    let builder = if asks {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(CA.as_bytes()).unwrap()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let chain = vec![CertificateDer::from_pem_slice(SERVER.0.as_bytes()).unwrap()];
    Arc::new(builder.with_single_cert(chain, PrivateKeyDer::from_pem_slice(SERVER.1.as_bytes()).unwrap()).unwrap())
}

fn secured(config: Arc<ServerConfig>, stream: TcpStream) -> Option<StreamOwned<ServerConnection, TcpStream>> {
    Some(StreamOwned::new(ServerConnection::new(config).ok()?, stream))
}

fn tls_server(asks: bool, versions: &[&'static rustls::SupportedProtocolVersion]) -> Server {
    let config = tls_config(asks, versions);
    Server::wrapped(move |stream| secured(config.clone(), stream), |_, wire| answer(wire, "200 OK", b"{}"))
}

fn tls(ca: bool, client: bool) -> Tls {
    let file = |name: &str| Some(std::path::PathBuf::from(name));
    Tls {
        ca: if ca { file("ca.pem") } else { None },
        client_cert: if client { file("client.pem") } else { None },
        client_key: if client { file("client.key") } else { None },
        min_version: None,
    }
}

fn over_tls(port: u16, tls: Tls) -> Request {
    let url = format!("https://localhost:{port}/x?token={HIDDEN}");
    Request { tls: Some(tls), folder: folder(), ..get(&url) }
}

#[tokio::test]
async fn only_the_given_ca_is_trusted() {
    let server = tls_server(false, rustls::ALL_VERSIONS);
    let bench = Bench::reading(&folder());
    let output = bench.perform(&over_tls(server.port, tls(true, false))).await.unwrap();
    assert_eq!(output["status"], 200);
    let (phase, message, sent) = broken(bench.perform(&over_tls(server.port, tls(false, false))).await);
    assert_eq!((phase, sent), ("TLS", Sent::No));
    assert!(message.contains("give its CA as `tls: {ca: FILE}`"), "{message}");
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let server = tls_server(false, rustls::ALL_VERSIONS);
    let mut bench = Bench::reading(&folder());
    let answers: Answers = Arc::new(|_: &str| Some(vec!["127.0.0.1".parse().unwrap()]));
    bench.hands.clients = Clients::with_names(answers);
    let net = vec![NetRule::parse("*.test:* private").unwrap()];
    bench.grant = Grant(vec![Arc::new(Permissions { net, ..Permissions::clone(&bench.grant.0[0]) })]);
    let to = |host: &str| Request {
        url: text(&format!("https://{host}:{}/", server.port)),
        ..over_tls(server.port, tls(true, false))
    };
    bench.perform(&to("api.example.test")).await.unwrap();
    let (phase, _, sent) = broken(bench.perform(&to("api.other.test")).await);
    assert_eq!((phase, sent), ("TLS", Sent::No));
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_it_is_asked_for() {
    let server = tls_server(true, rustls::ALL_VERSIONS);
    let bench = Bench::reading(&folder());
    bench.perform(&over_tls(server.port, tls(true, true))).await.unwrap();
    let (phase, message, _) = broken(bench.perform(&over_tls(server.port, tls(true, false))).await);
    assert_eq!(phase, "TLS", "{message}");
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn old_versions_are_refused_where_a_newer_is_asked_for() {
    let server = tls_server(false, &[&rustls::version::TLS12]);
    let bench = Bench::reading(&folder());
    let with = |version: &str| Tls { min_version: Some(version.into()), ..tls(true, false) };
    bench.perform(&over_tls(server.port, with("1.2"))).await.unwrap();
    let (phase, _, sent) = broken(bench.perform(&over_tls(server.port, with("1.3"))).await);
    assert_eq!((phase, sent), ("TLS", Sent::No));
    assert!(failure(bench.perform(&over_tls(server.port, with("1.1"))).await).0.contains("give `1.2` or `1.3`"));
}

#[tokio::test]
async fn files_of_tls_are_judged_and_have_to_fit() {
    let other = tempfile::tempdir().unwrap();
    std::fs::write(other.path().join("no.pem"), "nothing").unwrap();
    let bench = Bench::reading(&folder());
    let (message, help) = refusal(
        bench
            .perform(&Request {
                folder: other.path().into(),
                ..over_tls(1, Tls { ca: Some("no.pem".into()), ..tls(false, false) })
            })
            .await,
    );
    assert!(message.contains("is not permitted by `permissions.read`") && help.contains("no.pem"), "{message}");
    let bench = Bench::reading(other.path());
    for (tls, part) in [
        (Tls { ca: Some("no.pem".into()), ..tls(false, false) }, "the file of `tls.ca` holds no PEM certificate"),
        (Tls { client_cert: Some("no.pem".into()), ..tls(false, false) }, "hold no PEM certificate and key"),
        (Tls { client_key: Some("no.pem".into()), ..tls(false, false) }, "no `client_cert`"),
        (Tls { ca: Some("missing.pem".into()), ..tls(false, false) }, "cannot be read: entity not found"),
    ] {
        let request = Request { folder: other.path().into(), ..over_tls(1, tls) };
        let (message, sent) = failure(bench.perform(&request).await);
        assert!(message.contains(part), "{message}");
        assert_eq!(sent, Sent::No);
    }
}

#[tokio::test]
async fn a_proxy_is_used_where_the_step_names_it() {
    let proxy = Server::answering("200 OK", "by proxy");
    let bench = Bench::new(&["GET http://api.example.test", "CONNECT http://127.0.0.1:*"]);
    let request = Request { proxy: Some(proxy.url("")), ..get("http://api.example.test/x") };
    assert_eq!(bench.perform(&request).await.unwrap()["body"], "by proxy");
    assert_eq!(proxy.received()[0].target, "http://api.example.test/x");
    let bench = Bench::new(&["GET http://api.example.test"]);
    let (message, help) = refusal(bench.perform(&request).await);
    assert!(message.starts_with(&format!("`CONNECT {}`", proxy.url("/"))), "{message}");
    assert_eq!(help, format!("add `CONNECT {}` under `permissions.net`", proxy.url("/")));
    for wrong in ["", "proxy", "ftp://127.0.0.1", "http://"] {
        let request = Request { proxy: Some(wrong.into()), ..get("http://api.example.test/x") };
        assert!(failure(bench.perform(&request).await).0.contains("no URL of a proxy"));
    }
}

/// After the proxy's own words the connection is TLS to the far end.
fn behind_a_tunnel(mut stream: TcpStream) -> Option<StreamOwned<ServerConnection, TcpStream>> {
    let mut head = String::new();
    let mut lines = BufReader::new(stream.try_clone().ok()?);
    while !head.ends_with("\r\n\r\n") {
        lines.read_line(&mut head).ok()?;
    }
    assert!(head.starts_with("CONNECT api.example.test:443 HTTP/1.1\r\n"), "{head}");
    assert!(!head.contains(HIDDEN));
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
    secured(tls_config(false, rustls::ALL_VERSIONS), stream)
}

#[tokio::test]
async fn https_goes_through_a_proxy_unseen() {
    let proxy = Server::wrapped(behind_a_tunnel, |_, wire| answer(wire, "200 OK", b"far end"));
    let mut bench = Bench::reading(&folder());
    let net = ["GET https://api.example.test", "CONNECT 127.0.0.1:*"].map(|rule| NetRule::parse(rule).unwrap());
    bench.grant = Grant(vec![Arc::new(Permissions { net: net.into(), ..Permissions::clone(&bench.grant.0[0]) })]);
    let request = Request {
        url: text("https://api.example.test/"),
        proxy: Some(proxy.url("")),
        auth: Some(Auth::Bearer(secret(None))),
        ..over_tls(443, tls(true, false))
    };
    assert_eq!(bench.perform(&request).await.unwrap()["body"], "far end");
    assert_eq!(proxy.received()[0].header("authorization"), format!("Bearer {HIDDEN}"));
}

/// A SOCKS5 server that plays the far end itself. Gives up where it is asked for an address instead of a name.
fn socks(mut stream: TcpStream) -> Option<TcpStream> {
    let mut greeting = [0; 2];
    stream.read_exact(&mut greeting).ok()?;
    stream.read_exact(&mut vec![0; greeting[1].into()]).ok()?;
    stream.write_all(&[5, 0]).ok()?;
    let mut head = [0; 5];
    stream.read_exact(&mut head).ok()?;
    (head[3] == 3).then_some(())?;
    let mut name = vec![0; usize::from(head[4]) + 2];
    stream.read_exact(&mut name).ok()?;
    assert!(name.starts_with(b"api.example.test"));
    stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).ok()?;
    Some(stream)
}

#[tokio::test]
async fn socks_proxies_are_asked_for_names_or_addresses() {
    let proxy = Server::wrapped(socks, |_, wire| answer(wire, "200 OK", b"far end"));
    let mut bench = Bench::new(&["http://api.example.test", "CONNECT http://127.0.0.1:*"]);
    bench.hands.clients = Clients::with_names(Arc::new(|_: &str| Some(vec!["127.0.0.1".parse().unwrap()])));
    let by = |scheme: &str| Request {
        proxy: Some(format!("{scheme}://127.0.0.1:{}", proxy.port)),
        ..get("http://api.example.test/x")
    };
    assert_eq!(bench.perform(&by("socks5h")).await.unwrap()["body"], "far end");
    // Where this side resolves the name, its address is judged as ever.
    assert!(refusal(bench.perform(&by("socks5")).await).0.contains("a loopback address"));
}

#[test]
fn proxies_of_the_environment_are_ignored() {
    let test = "action::http::tests::an_answer_becomes_an_output";
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        child.env(name, "http://127.0.0.1:1");
    }
    let output = child.env("no_proxy", "").args(["--exact", test]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
}
