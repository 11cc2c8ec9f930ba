//! Two rules for the network, a method and a URL, a line each.
//! Oracle: a matcher that reads the rule's text anew and tries every way; a rule that covers another allows all that the
//! other does; the line that a refusal proposes permits; nothing of a query or a password is shown.

/// What the tests of the library compare its matcher with.
#[allow(dead_code)]
#[path = "../../src/plan/permissions/tests/reference.rs"]
mod reference;

use reference::net_allows;
use runbook::plan::permissions::{Grant, NetRule, Permissions};
use std::sync::Arc;
use url::Url;

pub fn run(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    // Trying every way takes long where there are many.
    if text.matches("**").count() > 6 {
        return;
    }
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (first, second, method, url) = (line(), line(), line(), line());
    let rules = [NetRule::parse(first), NetRule::parse(second)];
    for told in rules.iter().filter_map(|rule| rule.as_ref().err()) {
        assert!(!told.is_empty());
    }
    let Ok(url) = Url::parse(url) else { return };
    for rule in rules.iter().flatten() {
        let simple = net_allows(&rule.text, method, &url);
        assert_eq!(rule.allows(method, &url), simple, "`{}` for {method} {url}", rule.text);
        assert!(rule.covers(rule), "`{}` does not cover itself", rule.text);
        if let (true, Some(host), Some(port)) = (simple, url.host_str(), url.port_or_known_default()) {
            assert!(rule.may_allow(method, url.scheme(), host, port), "`{}` for {method} {url}", rule.text);
        }
        granted(rule, method, &url);
    }
    if let [Ok(one), Ok(other)] = &rules {
        for (wide, narrow) in [(one, other), (other, one)] {
            if wide.covers(narrow) {
                let holds = !narrow.allows(method, &url) || wide.allows(method, &url);
                assert!(holds, "`{}` covers `{}` but for {method} {url}", wide.text, narrow.text);
                assert!(wide.private() || !narrow.private());
            }
        }
        // Of a module and its caller each has to agree.
        let both = grant(vec![vec![one.clone()], vec![other.clone()]]);
        let each = one.allows(method, &url) && other.allows(method, &url);
        let private = one.private() && other.private();
        assert_eq!(both.net(method, &url).ok(), each.then_some(private));
        let either = grant(vec![vec![one.clone(), other.clone()]]);
        assert_eq!(either.net(method, &url).is_ok(), one.allows(method, &url) || other.allows(method, &url));
    }
}

fn grant(callers: Vec<Vec<NetRule>>) -> Grant {
    Grant(callers.into_iter().map(|net| Arc::new(Permissions { net, ..Permissions::default() })).collect())
}

fn granted(rule: &NetRule, method: &str, url: &Url) {
    match grant(vec![vec![rule.clone()]]).net(method, url) {
        Ok(private) => {
            assert!(rule.allows(method, url));
            assert_eq!(private, rule.private());
        }
        Err(refusal) => {
            assert!(!rule.allows(method, url));
            let told = format!("{}\n{}", refusal.message, refusal.help);
            // The same of another query and another password.
            let mut other = url.clone();
            other.set_query(url.query().map(|_| "other"));
            if url.password().is_some() {
                let _ = other.set_password(Some("other"));
            }
            let same = grant(vec![vec![rule.clone()]]).net(method, &other);
            assert!(same.is_err_and(|other| format!("{}\n{}", other.message, other.help) == told), "{told}");
            let line =
                refusal.help.strip_prefix("add `").and_then(|rest| rest.strip_suffix("` under `permissions.net`"));
            // A name that ends in two dots is no name; without one of them it may be an address.
            let is_one = !url.host_str().is_some_and(|host| host.ends_with(".."))
                && !method.is_empty()
                && method.bytes().all(|byte| byte.is_ascii_uppercase());
            if let (true, Some(Ok(proposed))) = (is_one, line.map(NetRule::parse)) {
                assert!(proposed.allows(method, url), "`{}` was proposed for {method} {url}", proposed.text);
            }
        }
    }
}
