//! Any rule, any URL: against a matcher that is simple rather than fast, and against each other.

use super::*;
use proptest::prelude::*;

/// A rule's path as a regular expression over a URL's path.
fn reference(glob: &str) -> regex::Regex {
    let mut pattern = String::from("^");
    for segment in glob.split('/').skip(1) {
        pattern.push_str(&match segment {
            "**" => "(/[^/]*)*".to_string(),
            "*" => "/[^/]+".to_string(),
            other => format!("/{}", other.split('*').map(regex::escape).collect::<Vec<_>>().join("[^/]*")),
        });
    }
    regex::Regex::new(&format!("{pattern}$")).unwrap()
}

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
    let host = prop::sample::select(vec!["a.example", "*.example", "*.a.example", "localhost", "127.0.0.1", "[::1]"]);
    let port = prop::sample::select(vec!["", ":*", ":8443", ":443", ":80"]);
    let private = prop::sample::select(vec!["", " private"]);
    (methods, scheme, host, port, prop::option::of(glob()), private).prop_map(
        |(methods, scheme, host, port, path, private)| {
            format!("{methods}{scheme}{host}{port}{}{private}", path.unwrap_or_default())
        },
    )
}

fn url() -> impl Strategy<Value = String> {
    let scheme = prop::sample::select(vec!["https", "http"]);
    let host = prop::sample::select(vec!["a.example", "b.a.example", "example", "localhost", "127.1", "[::1]"]);
    let port = prop::sample::select(vec!["", ":8443", ":443", ":80"]);
    (scheme, host, port, path()).prop_map(|(scheme, host, port, path)| format!("{scheme}://{host}{port}{path}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn paths_match_as_the_simple_matcher_says(glob in glob(), path in path()) {
        let rule = NetRule::parse(&format!("https://a.example{glob}")).unwrap();
        let url = Url::parse(&format!("https://a.example{path}")).unwrap();
        prop_assert_eq!(rule.allows("GET", &url), reference(&glob).is_match(url.path()), "{} {}", glob, url.path());
    }

    #[test]
    fn what_a_covered_rule_allows_is_allowed(wide in rule(), narrow in rule(), url in url()) {
        let (wide, narrow) = (NetRule::parse(&wide).unwrap(), NetRule::parse(&narrow).unwrap());
        let url = Url::parse(&url).unwrap();
        if wide.covers(&narrow) {
            for method in ["GET", "PUT", "POST"] {
                prop_assert!(!narrow.allows(method, &url) || wide.allows(method, &url), "{} {} {}", wide.text, narrow.text, url);
            }
            prop_assert!(wide.private() || !narrow.private());
        }
        prop_assert!(wide.covers(&wide));
    }

    #[test]
    fn what_is_allowed_could_be_told_before(rule in rule(), url in url()) {
        let (rule, url) = (NetRule::parse(&rule).unwrap(), Url::parse(&url).unwrap());
        if rule.allows("GET", &url) {
            let (host, port) = (url.host_str().unwrap(), url.port_or_known_default().unwrap());
            prop_assert!(rule.may_allow("GET", url.scheme(), host, port));
        }
    }

    #[test]
    fn the_line_that_a_refusal_proposes_permits(rule in rule(), url in url()) {
        let url = Url::parse(&url).unwrap();
        let narrow = grant(Permissions { net: vec![NetRule::parse(&rule).unwrap()], ..Permissions::default() });
        if let Err(refusal) = narrow.net("GET", &url) {
            let line = refusal.help.split('`').nth(1).unwrap();
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
        // Empty segments mean nothing in a file's path.
        let clean = |text: &str| -> String {
            text.split('/').filter(|segment| !segment.is_empty()).map(|segment| format!("/{segment}")).collect()
        };
        let rule = file_glob(Path::new("/book"), &glob).unwrap();
        prop_assert_eq!(
            super::super::files::fits(&rule, Path::new(&path)),
            reference(&clean(&glob)).is_match(&clean(&path)),
            "{} {}", glob, path
        );
    }
}
