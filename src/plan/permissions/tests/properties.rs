//! Any rule, any URL: against a matcher that is simple rather than fast, and against each other.

use super::super::{files, glob};
use super::reference::{env_fits, file_fits, net_allows};
use super::*;
use proptest::prelude::*;

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["", "a", "b", "ab", "ba", "aab"]), 0..5)
        .prop_map(|segments| format!("/{}", segments.join("/")))
}

fn glob() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["", "a", "b", "ab", "*", "**", "a*", "*b", "a*b", "*a*"]), 0..5)
        .prop_map(|segments| format!("/{}", segments.join("/")))
}

fn rule() -> impl Strategy<Value = String> {
    let methods = prop::sample::select(vec!["", "GET ", "GET,PUT ", "PUT "]);
    let scheme = prop::sample::select(vec!["", "https://", "http://"]);
    let host = prop::sample::select(vec![
        "a.example",
        "*.example",
        "*.a.example",
        "A.Example.",
        "localhost",
        "127.0.0.1",
        "[::1]",
        "*.internal",
        "metadata.google.internal",
        "169.254.169.254",
        "bücher.example",
        "*.xn--bcher-kva.example",
    ]);
    let port = prop::sample::select(vec!["", ":*", ":8443", ":443", ":80"]);
    let private = prop::sample::select(vec!["", " private"]);
    (methods, scheme, host, port, prop::option::of(glob()), private).prop_map(
        |(methods, scheme, host, port, path, private)| {
            format!("{methods}{scheme}{host}{port}{}{private}", path.unwrap_or_default())
        },
    )
}

/// URLs, among them such as are meant to deceive.
fn url() -> impl Strategy<Value = String> {
    let scheme = prop::sample::select(vec!["https", "http", "HTTPS", "ws", "ftp"]);
    let user = prop::sample::select(vec!["", "", "", "", "a.example@", "u:p@"]);
    let host = prop::sample::select(vec![
        "a.example",
        "b.a.example",
        "example",
        "A.EXAMPLE.",
        "a.example..",
        "localhost",
        "127.1",
        "0x7f.1",
        "0177.0.0.1",
        "2130706433",
        "[::1]",
        "[::ffff:7f00:1]",
        "metadata.google.internal",
        "x.internal",
        "2852039166",
        "169.254.169.254",
        "BÜCHER.example",
        "b.xn--bcher-kva.example",
        ".a.example",
        "a%2eexample",
    ]);
    let port = prop::sample::select(vec!["", ":8443", ":443", ":80", ":0"]);
    let hostile = prop::sample::select(vec![
        "",
        "/..%2fa",
        "/a/..;/b",
        "/;x",
        "/%2e%2e/a",
        "/%252e",
        "/%25252525252e",
        "/a\\b",
        "/..",
        "/%00",
        "/%c0%ae",
        "/%u002e",
        "/%ef%bc%8f",
        "/a;b",
        "/%62",
        "//",
        "/%zz",
        "?x=/a",
        "#/a",
    ]);
    (scheme, user, host, port, path(), hostile)
        .prop_map(|(scheme, user, host, port, path, hostile)| format!("{scheme}://{user}{host}{port}{path}{hostile}"))
}

fn env_rule() -> impl Strategy<Value = String> {
    "[AB*_]{1,5}"
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn paths_match_as_the_simple_matcher_says(glob in glob(), path in path()) {
        let rule = format!("https://a.example{glob}");
        let url = Url::parse(&format!("https://a.example{path}")).unwrap();
        let real = NetRule::parse(&rule).unwrap().allows("GET", &url);
        prop_assert_eq!(real, net_allows(&rule, "GET", &url), "{} {}", glob, url.path());
    }

    #[test]
    fn rules_match_as_the_simple_matcher_says(rule in rule(), url in url()) {
        // What is no URL is sent nowhere.
        let Ok(url) = Url::parse(&url) else { return Ok(()) };
        let parsed = NetRule::parse(&rule).unwrap();
        for method in ["GET", "PUT", "get", ""] {
            prop_assert_eq!(parsed.allows(method, &url), net_allows(&rule, method, &url), "{} {} {}", rule, method, url);
        }
    }

    #[test]
    fn any_rule_that_can_be_parsed_matches_as_the_simple_matcher_says(
        rule in "(GET )?(https?://)?[a-b.*]{1,6}(:[0-9*]{1,4})?(/[a-b*%2fF;.]{0,6}){0,3}( private)?",
        url in "https?://[a-b.]{1,6}(:[0-9]{1,4})?(/[a-b%2efF5;.\\\\]{0,6}){0,3}",
    ) {
        let (Ok(parsed), Ok(url)) = (NetRule::parse(&rule), Url::parse(&url)) else { return Ok(()) };
        prop_assert_eq!(parsed.allows("GET", &url), net_allows(&rule, "GET", &url), "{} {}", rule, url);
    }

    #[test]
    fn names_match_as_the_simple_matcher_says(rule in env_rule(), other in env_rule(), name in "[AB_]{0,5}") {
        let grant = grant(Permissions { env: vec![rule.clone()], ..Permissions::default() });
        prop_assert_eq!(grant.env(&name).is_ok(), env_fits(&rule, &name), "{} {}", rule, name);
        prop_assert!(name_covers(&rule, &rule));
        if name_covers(&rule, &other) {
            prop_assert!(!env_fits(&other, &name) || env_fits(&rule, &name), "{} {} {}", rule, other, name);
        }
        // For what has no star, to cover it is to fit it.
        prop_assert_eq!(name_covers(&rule, &name), glob::name_fits(&rule, &name));
    }

    #[test]
    fn what_a_covered_glob_fits_is_fitted(wide in glob(), narrow in glob(), path in path()) {
        let (wide, narrow) = (file_glob(Path::new("/b"), &wide).unwrap(), file_glob(Path::new("/b"), &narrow).unwrap());
        prop_assert!(file_covers(&wide, &wide));
        if file_covers(&wide, &narrow) {
            let path = Path::new(&path);
            prop_assert!(!files::fits(&narrow, path) || files::fits(&wide, path), "{:?} {:?} {:?}", wide, narrow, path);
        }
    }

    #[test]
    fn what_is_recorded_of_a_permitted_path_means_the_same(folder in "/[a-b*?\\\\]{1,4}", rule in "[a-b*?/]{1,6}", path in path()) {
        let texts = [format!("read:{rule}")];
        if let Ok(first) = Allowed::parse(&texts, Path::new(&folder)) {
            let again = Allowed::parse(&first.texts, Path::new("/elsewhere")).unwrap();
            prop_assert_eq!(&first.permissions.read, &again.permissions.read);
            prop_assert_eq!(&first.texts, &again.texts);
            let _ = path;
        }
    }

    #[test]
    fn what_a_covered_rule_allows_is_allowed(wide in rule(), narrow in rule(), url in url()) {
        let (wide, narrow) = (NetRule::parse(&wide).unwrap(), NetRule::parse(&narrow).unwrap());
        prop_assert!(wide.covers(&wide));
        let Ok(url) = Url::parse(&url) else { return Ok(()) };
        if wide.covers(&narrow) {
            for method in ["GET", "PUT", "POST"] {
                prop_assert!(!narrow.allows(method, &url) || wide.allows(method, &url), "{} {} {}", wide.text, narrow.text, url);
            }
            prop_assert!(wide.private() || !narrow.private());
        }
    }

    #[test]
    fn what_is_allowed_could_be_told_before(rule in rule(), url in url()) {
        let rule = NetRule::parse(&rule).unwrap();
        let Ok(url) = Url::parse(&url) else { return Ok(()) };
        if rule.allows("GET", &url) {
            let (host, port) = (url.host_str().unwrap(), url.port_or_known_default().unwrap());
            prop_assert!(rule.may_allow("GET", url.scheme(), host, port));
        }
    }

    #[test]
    fn the_line_that_a_refusal_proposes_permits(rule in rule(), url in url()) {
        let Ok(url) = Url::parse(&url) else { return Ok(()) };
        let narrow = grant(Permissions { net: vec![NetRule::parse(&rule).unwrap()], ..Permissions::default() });
        // Some URLs no rule permits.
        if let Err(refusal) = narrow.net("GET", &url)
            && let Some(line) = refusal.help.strip_prefix("add `").and_then(|rest| rest.split('`').next())
        {
            prop_assert!(NetRule::parse(line).unwrap().allows("GET", &url), "{}", line);
        }
    }

    #[test]
    fn nothing_panics(rule in "\\PC*", method in "\\PC{0,8}", url in "https?://\\PC*", path in "\\PC*") {
        let parsed = NetRule::parse(&rule).ok();
        if let Ok(url) = Url::parse(&url) {
            let net = parsed.into_iter().collect();
            let _ = grant(Permissions { net, ..Permissions::default() }).net(&method, &url);
        }
        if let Ok(glob) = file_glob(Path::new("/book"), &path) {
            let _ = grant(Permissions { read: vec![glob], ..Permissions::default() }).read(Path::new(&path));
        }
    }

    #[test]
    fn files_match_as_the_simple_matcher_says(glob in glob(), path in path()) {
        let rule = file_glob(Path::new("/book"), &glob).unwrap();
        prop_assert_eq!(
            files::fits(&rule, Path::new(&path)),
            file_fits(rule.to_str().unwrap(), &path),
            "{} {}", glob, path
        );
    }
}
