//! Net rules: what each part of one matches, and what a refusal says.

use super::reference;
use super::*;

fn allows(rule: &str, method: &str, url: &str) -> bool {
    NetRule::parse(rule).unwrap().allows(method, &Url::parse(url).unwrap())
}

#[track_caller]
fn check(rule: &str, allowed: &[&str], refused: &[&str]) {
    for url in allowed {
        assert!(allows(rule, "GET", url), "`{rule}` should allow {url}");
    }
    for url in refused {
        assert!(!allows(rule, "GET", url), "`{rule}` should not allow {url}");
    }
}

#[test]
fn methods_are_listed_or_any() {
    for (rule, method, expected) in [
        ("GET,PUT https://a.example/x", "PUT", true),
        ("GET,PUT https://a.example/x", "DELETE", false),
        ("GET https://a.example/x", "HEAD", false),
        ("GET https://a.example/x", "get", false),
        ("https://a.example/x", "PURGE", true),
    ] {
        assert_eq!(allows(rule, method, "https://a.example/x"), expected, "{rule} {method}");
    }
}

#[test]
fn hosts_are_compared_in_one_spelling() {
    check(
        "https://API.Example.com.",
        &["https://api.example.com/", "https://API.EXAMPLE.COM./x", "https://api%2Eexample.com/"],
        &["https://example.com/", "https://api.example.com.evil.org/", "https://xapi.example.com/"],
    );
    check("https://bücher.example", &["https://xn--bcher-kva.example/", "https://BÜCHER.example/"], &[]);
    check("https://[::1]", &["https://[0:0:0:0:0:0:0:1]/"], &["https://[::2]/", "https://[::ffff:7f00:1]/"]);
    check(
        "https://127.0.0.1",
        &["https://127.1/", "https://0x7f000001/", "https://2130706433/", "https://0177.0.0.1/"],
        &["https://127.0.0.2/", "https://[::ffff:127.0.0.1]/"],
    );
}

#[test]
fn a_star_covers_every_depth_below_a_name() {
    check(
        "https://*.example.com",
        &["https://a.example.com/", "https://a.b.example.com/", "https://A.EXAMPLE.COM./"],
        &["https://example.com/", "https://aexample.com/", "https://.example.com/", "https://example.com.evil.org/"],
    );
    check("https://*.com", &[], &["https://127.0.0.1/", "https://[::1]/"]);
}

#[test]
fn the_port_is_the_schemes_own_unless_it_is_spelt() {
    check("https://a.example", &["https://a.example:443/"], &["https://a.example:8443/", "http://a.example:443/"]);
    check("https://a.example:8443", &["https://a.example:8443/"], &["https://a.example/"]);
    check("https://a.example:*", &["https://a.example/", "https://a.example:1/"], &["http://a.example/"]);
    check("https://[::1]:8443", &["https://[::1]:8443/"], &["https://[::1]/"]);
}

#[test]
fn plain_http_is_for_loopback_or_where_it_is_spelt() {
    check("a.example", &["https://a.example/"], &["http://a.example/", "http://a.example:443/"]);
    check("http://a.example", &["http://a.example/"], &["https://a.example/", "https://a.example:80/"]);
    for host in ["localhost", "127.0.0.1", "127.9.9.9", "[::1]"] {
        let (plain, safe) = (format!("http://{host}/"), format!("https://{host}/"));
        check(host, &[&plain, &safe], &[]);
        check(&safe, &[&safe], &[&plain]);
    }
    check("10.0.0.1", &["https://10.0.0.1/"], &["http://10.0.0.1/"]);
    check("localhost.example", &[], &["http://localhost.example/"]);
    check("*.localhost", &["https://a.localhost/"], &["http://a.localhost/"]);
}

#[test]
fn paths_are_globs() {
    let at = |path: &str| format!("https://a.example{path}");
    for (glob, allowed, refused) in [
        ("/health/**", vec!["/health", "/health/", "/health/a/b"], vec!["/healthy", "/", "/x/health"]),
        ("/items/*", vec!["/items/1", "/items/a.b"], vec!["/items", "/items/", "/items/1/x", "/ITEMS/1"]),
        ("/items/*/value", vec!["/items/1/value"], vec!["/items//value", "/items/1/2/value", "/items/value"]),
        ("/v*/x", vec!["/v1/x", "/v/x"], vec!["/1/x"]),
        ("/a/**/z", vec!["/a/z", "/a/b/z", "/a/b/c/z"], vec!["/a/b", "/az"]),
        ("/a%20b", vec!["/a%20b", "/a b"], vec!["/a%2520b", "/ab"]),
        ("/a%2Ab", vec!["/a*b"], vec!["/axb"]),
        ("/ü", vec!["/%C3%BC", "/%c3%bc", "/ü"], vec!["/u"]),
        ("/", vec!["", "/"], vec!["/a"]),
    ] {
        for path in allowed {
            check(&at(glob), &[&at(path)], &[]);
        }
        for path in refused {
            check(&at(glob), &[], &[&at(path)]);
        }
    }
}

#[test]
fn what_servers_read_in_different_ways_is_refused_where_the_rule_has_a_path() {
    for path in [
        "/public/..%2fadmin",
        "/public/%2e%2e%2fadmin",
        "/public/..%5Cadmin",
        "/public/%252e%252e/admin",
        "/public/..%252fadmin",
        "/public/%25252fadmin",
        "/public/..;/admin",
        "/public/..;a=1/admin",
        "/public/a%2Eb",
        "/public/a%00",
    ] {
        let url = format!("https://a.example{path}");
        check("https://a.example/public/**", &[], &[&url]);
        check("https://a.example", &[&url], &[]);
        check("https://a.example/**", &[&url], &[]);
    }
    check(
        "https://a.example/public/**",
        &["https://a.example/public/a.b;c=1/d"],
        &[
            "https://a.example/public/../admin",
            "https://a.example/public/%2e%2E/admin",
            "https://a.example/public/..\\admin",
            "https://a.example/public/./../admin",
        ],
    );
}

#[test]
fn credentials_in_a_url_are_refused() {
    let grant = grant(Permissions { net: vec![NetRule::parse("a.example").unwrap()], ..Permissions::default() });
    for url in ["https://user@a.example/", "https://user:word@a.example/", "https://:word@a.example/"] {
        check("a.example", &[], &[url]);
        let refusal = grant.net("GET", &Url::parse(url).unwrap()).unwrap_err();
        assert_eq!(refusal.message, "the URL of a.example has a user name or a password in it");
    }
}

#[test]
fn a_refusal_says_what_was_wanted_and_the_line_that_permits_it() {
    let net =
        ["GET https://a.example/v1/**", "http://b.example", "c.example:8443"].map(|rule| NetRule::parse(rule).unwrap());
    let grant = grant(Permissions { net: net.to_vec(), ..Permissions::default() });
    for (method, url, message, help) in [
        (
            "PUT",
            "https://a.example/v1/x?token=hidden",
            "`PUT https://a.example/v1/x` is not permitted by `permissions.net`, where the host stands with other methods",
            "add `PUT https://a.example/v1/x` under `permissions.net`",
        ),
        (
            "GET",
            "https://new.example:99/y",
            "`GET https://new.example:99/y` is not permitted by `permissions.net`, which names no such host",
            "add `GET https://new.example:99/y` under `permissions.net`",
        ),
        (
            "GET",
            "https://a.example/v2",
            "`GET https://a.example/v2` is not permitted by `permissions.net`, where the host stands with other methods, \
             ports or paths",
            "add `GET https://a.example/v2` under `permissions.net`",
        ),
        (
            "GET",
            "https://b.example/",
            "`GET https://b.example/` is not permitted by `permissions.net`, where the host stands with another scheme",
            "add `GET https://b.example/` under `permissions.net`",
        ),
        (
            "GET",
            "https://a.example/v1/..%2fadmin",
            "`GET https://a.example/v1/..%2fadmin` is not permitted by `permissions.net`, since a slash, a backslash or a \
             dot is hidden in its path (such as `%2F`), which servers read in different ways",
            "add `GET https://a.example` under `permissions.net`",
        ),
        (
            "GET",
            "ftp://a.example/",
            "`ftp:` is not permitted: only https, and http where it is spelt",
            "give an `https://` URL",
        ),
    ] {
        let refusal = grant.net(method, &Url::parse(url).unwrap()).unwrap_err();
        assert_eq!((refusal.message.as_str(), refusal.help.as_str()), (message, help));
    }
}

#[test]
fn private_holds_where_every_playbook_says_so() {
    let one = |rules: &[&str]| {
        let net = rules.iter().map(|rule| NetRule::parse(rule).unwrap()).collect();
        Arc::new(Permissions { net, ..Permissions::default() })
    };
    let url = Url::parse("https://a.example/x").unwrap();
    let (plain, private) = (one(&["a.example"]), one(&["a.example/y private", "a.example/x private", "a.example"]));
    for (grant, expected) in [
        (Grant(vec![plain.clone()]), false),
        (Grant(vec![private.clone()]), true),
        (Grant(vec![private.clone(), plain.clone()]), false),
        (Grant(vec![one(&["a.example", "a.example/y private"])]), false),
    ] {
        assert_eq!(grant.net("GET", &url).unwrap(), expected);
    }
}

#[test]
fn mistakes_in_rules_are_told() {
    for (rule, part) in [
        ("", "a rule is empty"),
        ("GET", "has no URL"),
        ("get https://a.example", "in upper case: `GET`"),
        ("GET, PUT https://a.example", "without spaces"),
        ("GET https://a.example privat", "without spaces"),
        ("ftp://a.example", "no scheme of a rule"),
        ("https://", "no host"),
        ("https://a.example?x=1", "query"),
        ("https://a.example/x#y", "fragment"),
        ("https://user@a.example/", "no user name"),
        ("https://a.example:0", "no port"),
        ("https://a.example:99999", "no port"),
        ("https://a.example:+1", "no port"),
        ("https://*", "may only stand first"),
        ("https://a.*.example", "may only stand first"),
        ("https://*.127.0.0.1", "not with an address"),
        ("https://*.1", "not with an address"),
        ("https://a.example/a**", "stand alone"),
        ("https://a.example/a/../b", "neither backslashes nor"),
        ("https://a.example/a%2fb", "no encoded slashes"),
        ("https://a b.example/", "is no method"),
        ("https://a<b/", "no host"),
        ("*", "may only stand first"),
        ("http://*", "may only stand first"),
        ("**.example", "may only stand first"),
        ("*.*.example", "may only stand first"),
        ("*.", "no host"),
        ("ws://a.example", "no scheme of a rule"),
        ("https:a.example", "no port"),
        ("HTTPS://a.example", "no scheme of a rule"),
        ("http://0x7f.1", "another spelling of 127.0.0.1"),
        ("http://2852039166/", "another spelling of 169.254.169.254"),
        ("http://0251.254.169.254", "another spelling of 169.254.169.254"),
        ("http://１６９.254.169.254", "another spelling of 169.254.169.254"),
        ("http://[::ffff:169.254.169.254]", "another spelling of 169.254.169.254"),
        ("http://[64:ff9b::a9fe:a9fe]", "another spelling of 169.254.169.254"),
        ("http://[fe80::1%25eth0]", "without `%`"),
        ("http://a..example", "no host"),
        ("http://*..example", "no host"),
        ("http://a.example..", "no host"),
        ("https://ex%61mple.com", "without `%`"),
        ("https://a.example/\u{1b}[2K", "control character"),
        ("https://a.example\\@b.example", "no"),
        ("https://a.example/..;/b", "no encoded"),
        ("https://a.example/%c0%ae", "no encoded"),
    ] {
        let message = NetRule::parse(rule).unwrap_err();
        assert!(message.contains(part), "{rule}: {message}");
    }
}

#[test]
fn a_wider_rule_covers_a_narrower_one() {
    let covers = |wide: &str, narrow: &str| NetRule::parse(wide).unwrap().covers(&NetRule::parse(narrow).unwrap());
    for (wide, narrow) in [
        ("https://a.example", "GET https://a.example/x"),
        ("a.example", "https://a.example"),
        ("GET,PUT a.example", "PUT a.example/v1/*/value"),
        ("*.example.com", "a.example.com"),
        ("*.example.com", "*.a.example.com"),
        ("a.example/v1/**", "a.example/v1/items/*/value"),
        ("a.example/v1/**", "a.example/v1"),
        ("a.example/**/x", "a.example/a/*/x"),
        ("a.example/v*", "a.example/v1"),
        ("a.example:*", "a.example:8443"),
        ("a.example private", "a.example"),
        ("localhost", "http://localhost"),
        ("localhost:8080", "http://localhost:8080/x"),
    ] {
        assert!(covers(wide, narrow), "`{wide}` should cover `{narrow}`");
        assert!(covers(wide, wide) && covers(narrow, narrow));
        assert!(!covers(narrow, wide) || (wide, narrow) == ("a.example", "https://a.example"), "{wide} {narrow}");
    }
    for (wide, narrow) in [
        ("a.example", "a.example private"),
        ("a.example", "http://a.example"),
        ("https://localhost", "localhost"),
        ("*.example.com", "example.com"),
        ("a.example", "a.example:8443"),
        ("a.example/items/*", "a.example/items/"),
        ("a.example/items/*", "a.example/items/**"),
    ] {
        assert!(!covers(wide, narrow), "`{wide}` should not cover `{narrow}`");
    }
}

/// Rule, URL, whether it is allowed; `None`: it is no URL at all.
const HOSTILE: &[(&str, &str, Option<bool>)] = &[
    // Spellings of one host.
    ("https://api.example.com", "https://API.EXAMPLE.COM/", Some(true)),
    ("https://api.example.com", "HTTPS://api.example.com./", Some(true)),
    ("https://api.example.com.", "https://api.example.com/", Some(true)),
    ("https://api.example.com", "https://api.example.com../", Some(false)),
    ("https://api.example.com", "https://api.example.com.evil.org/", Some(false)),
    ("https://api.example.com", "https://api%2eexample%2ecom/", Some(true)),
    ("https://api.example.com", "https://api.example。com/", Some(true)),
    ("https://bücher.example", "https://xn--bcher-kva.example/", Some(true)),
    ("https://apple.example", "https://\u{430}pple.example/", Some(false)),
    ("https://example.com", "https://ex\u{ad}ample.com/", Some(true)),
    ("https://example.com", "https://example.com\t/", Some(true)),
    ("https://example.com", "https:example.com/", Some(true)),
    ("https://example.com", "https:////example.com/", Some(true)),
    ("https://example.com", "https:///evil.org/", Some(false)),
    ("https://example.com", "https://", None),
    ("https://example.com", "https://:443/", None),
    ("https://example.com", "https://example.com:99999/", None),
    ("https://example.com", "https://exa mple.com/", None),
    ("https://example.com", "https://example.com%00.evil.org/", None),
    ("https://example.com", "https://example.com%2f.evil.org/", None),
    // IPv4 as numbers of other bases and widths is the address that it is.
    ("http://127.0.0.1", "http://0x7f.1/", Some(true)),
    ("http://127.0.0.1", "http://0177.0.0.01/", Some(true)),
    ("http://127.0.0.1", "http://2130706433/", Some(true)),
    ("http://127.0.0.1", "http://127.0.0.1./", Some(true)),
    ("http://127.0.0.1", "http://127.0.0.2/", Some(false)),
    ("http://127.0.0.1", "http://[::ffff:127.0.0.1]/", Some(false)),
    ("http://127.0.0.1", "http://[64:ff9b::127.0.0.1]/", Some(false)),
    ("http://127.0.0.1", "http://127.0.0.256/", None),
    ("http://[::1]", "http://[0:0::1]/", Some(true)),
    ("http://[fe80::1]", "http://[fe80::1%25eth0]/", None),
    ("http://[fe80::1]", "http://[fe80::1%eth0]/", None),
    ("http://*.com", "http://2130706433/", Some(false)),
    ("http://*.1", "http://127.0.0.1/", None),
    // Cloud metadata, whichever way it is spelt, is where its own rule leads and no other.
    ("http://169.254.169.254", "http://169.254.169.254/latest/", Some(true)),
    ("http://169.254.169.254", "http://0xa9fea9fe/latest/", Some(true)),
    ("http://169.254.169.254", "http://[::ffff:a9fe:a9fe]/", Some(false)),
    ("http://*.254", "http://169.254.169.254/", None),
    ("http://*.internal", "http://metadata.google.internal/", Some(false)),
    ("http://*.internal private", "http://METADATA.google.internal./", Some(false)),
    ("http://*.google.internal", "http://metadata.google.internal../", Some(false)),
    ("http://*.ec2.internal", "http://instance-data.ec2.internal/", Some(false)),
    ("http://*.internal", "http://ip-10-0-0-1.ec2.internal/", Some(true)),
    ("http://metadata.google.internal", "http://metadata.google.internal/computeMetadata/", Some(true)),
    // Who seems to be the host and is not.
    ("https://example.com", "https://example.com@evil.org/", Some(false)),
    ("https://example.com", "https://example.com:443@evil.org/", Some(false)),
    ("https://example.com", "https://evil.org@example.com/", Some(false)),
    ("https://example.com", "https://:@example.com/", Some(true)),
    ("https://example.com", "https://evil.org\\@example.com/", Some(false)),
    ("https://example.com", "https://example.com\\@evil.org/", Some(true)),
    ("https://example.com", "https://example.com#@evil.org/", Some(true)),
    ("https://example.com", "https://evil.org#@example.com/", Some(false)),
    ("https://example.com", "https://evil.org?@example.com/", Some(false)),
    ("https://example.com", "https://evil.org;example.com/", Some(false)),
    ("https://*.example.com", "https://.example.com/", Some(false)),
    ("https://*.example.com", "https://x..example.com/", Some(false)),
    ("https://*.example.com", "https://evilexample.com/", Some(false)),
    // Ports.
    ("https://example.com", "https://example.com:443/", Some(true)),
    ("https://example.com:443", "https://example.com/", Some(true)),
    ("example.com:443", "http://example.com:443/", Some(false)),
    ("http://example.com:443", "https://example.com/", Some(false)),
    ("https://example.com", "https://example.com:/", Some(true)),
    ("https://example.com", "https://example.com:0/", Some(false)),
    ("https://example.com", "https://example.com:0443/", Some(true)),
    ("https://example.com", "https://example.com:8443/", Some(false)),
    // Other protocols.
    ("https://example.com", "wss://example.com/", Some(false)),
    ("http://example.com", "ws://example.com/", Some(false)),
    ("https://example.com", "ftp://example.com/", Some(false)),
    ("https://example.com", "file://example.com/etc/passwd", Some(false)),
    ("https://example.com", "javascript:alert(1)", Some(false)),
    ("https://example.com", "data:text/plain,x", Some(false)),
    ("https://example.com", "unix:/run/docker.sock", Some(false)),
    ("https://example.com", "https+x://example.com/", Some(false)),
    // Ways out of a path.
    ("https://example.com/a/**", "https://example.com/a/../b", Some(false)),
    ("https://example.com/a/**", "https://example.com/a/%2e%2e/b", Some(false)),
    ("https://example.com/a/**", "https://example.com/a/.%2E/b", Some(false)),
    ("https://example.com/a/**", "https://example.com/a/..%2fb", Some(false)),
    ("https://example.com/a/**", "https://example.com/a/..%5cb", Some(false)),
    ("https://example.com/a/**", "https://example.com/a\\..\\b", Some(false)),
    ("https://example.com/a/**", "https://example.com/a/..;/b", Some(false)),
    ("https://example.com/a/**", "https://example.com/a/;/../b", Some(true)),
    ("https://example.com/a/**", "https://example.com/a/;x/b", Some(false)),
    ("https://example.com/a/**", "https://example.com/a/x;y/b", Some(true)),
    ("https://example.com/a/**", "https://example.com/a/%252e%252e%252fb", Some(false)),
    ("https://example.com/a/**", "https://example.com/a/%00", Some(false)),
    ("https://example.com/a/**", "https://example.com/a/%c0%ae%c0%ae/b", Some(false)),
    ("https://example.com/a/**", "https://example.com/a/%e0%80%ae/b", Some(false)),
    ("https://example.com/a/**", "https://example.com/a/%u002e%u002e/b", Some(false)),
    ("https://example.com/a/**", "https://example.com/a/%ef%bc%8e%ef%bc%8e/b", Some(false)),
    ("https://example.com/a/**", "https://example.com/a/\u{2025}/b", Some(false)),
    ("https://example.com/a/**", "https://example.com/a/%c3%bc", Some(true)),
    ("https://example.com/a/**", "https://example.com/a//b", Some(true)),
    ("https://example.com/a/**", "https://example.com//a/b", Some(false)),
    ("https://example.com/a/*", "https://example.com/a//", Some(false)),
    ("https://example.com/a/*", "https://example.com/a/b/", Some(false)),
    ("https://example.com/a", "https://example.com/a?x=/../b", Some(true)),
    ("https://example.com/a", "https://example.com/a#/b", Some(true)),
    ("https://example.com/a", "https://example.com/A", Some(false)),
    ("https://example.com/a", "https://example.com/%61", Some(true)),
    ("https://example.com/a", "https://example.com/a/", Some(false)),
];

#[test]
fn hostile_urls_are_judged_by_where_they_lead() {
    for (rule, url, expected) in HOSTILE {
        let judged = Url::parse(url).ok().zip(NetRule::parse(rule).ok()).map(|(url, rule)| rule.allows("GET", &url));
        assert_eq!(judged, *expected, "`{rule}` {url:?}");
        // The simple matcher agrees.
        if let (Some(judged), Ok(url)) = (judged, Url::parse(url)) {
            assert_eq!(reference::net_allows(rule, "GET", &url), judged, "`{rule}` {url}");
        }
    }
}

#[test]
fn a_place_can_be_judged_before_the_path_is_known() {
    let rule = NetRule::parse("GET https://*.example.com/v1/**").unwrap();
    assert!(rule.may_allow("GET", "https", "a.EXAMPLE.com", 443));
    assert!(!rule.may_allow("PUT", "https", "a.example.com", 443));
    assert!(!rule.may_allow("GET", "http", "a.example.com", 80));
    assert!(!rule.may_allow("GET", "https", "a.example.com", 8443));
    assert!(!rule.may_allow("GET", "https", "a b", 443));
    assert!(!rule.may_allow("GET", "https", "", 443));
}
