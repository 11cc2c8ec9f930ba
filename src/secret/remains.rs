//! Owns what is left of a declared secret beside another that stands in it: of `user:password` with a known `user`.
//! Deliberately learns nothing itself.

use super::SHORTEST_SECRET;
use serde_json::Value as Json;
use zeroize::Zeroizing;

/// What stands around secrets without being one.
const WRAPPING: [&str; 21] = [
    "access_token",
    "apikey",
    "api_key",
    "authorization",
    "basic",
    "bearer",
    "client_id",
    "client_secret",
    "credentials",
    "digest",
    "id_token",
    "negotiate",
    "passwd",
    "password",
    "private_key",
    "refresh_token",
    "secret",
    "secret_key",
    "ssh-ed25519",
    "ssh-rsa",
    "username",
];

fn parts(c: char) -> bool {
    c.is_whitespace() || "\"'`:=,;&?()[]{}<>|@\\".contains(c)
}

/// Whether `secret` stands in `text` as a word of its own, or as all of it.
pub fn stands_apart(secret: &str, text: &str) -> bool {
    secret.len() < text.len() && places(secret, text).next().is_some() || secret == text
}

fn places<'t>(secret: &'t str, text: &'t str) -> impl Iterator<Item = (usize, usize)> + 't {
    text.match_indices(secret).map(|(start, found)| (start, start + found.len())).filter(|(start, end)| {
        text[..*start].chars().next_back().is_none_or(parts) && text[*end..].chars().next().is_none_or(parts)
    })
}

/// Texts of `whole` beside those of `known` that stand in it, each as long as a secret and no wrapping. Of a JSON document
/// only strings count, and no keys; of a URL only user and password; of `name=value` only the value.
pub fn remains(whole: &str, known: &[&str]) -> Vec<Zeroizing<String>> {
    let mut found = Vec::new();
    match serde_json::from_str::<Json>(whole) {
        Ok(document @ (Json::Object(_) | Json::Array(_))) if known.iter().any(|secret| stands_apart(secret, whole)) => {
            strings(&document, &mut |text| beside(text, known, true, &mut found));
        }
        _ => beside(whole, known, false, &mut found),
    }
    found
}

fn strings(json: &Json, each: &mut impl FnMut(&str)) {
    match json {
        Json::String(text) => each(text),
        Json::Array(items) => items.iter().for_each(|item| strings(item, each)),
        Json::Object(map) => map.values().for_each(|value| strings(value, each)),
        _ => {}
    }
}

/// `also` says that a text counts though nothing known stands in it.
fn beside(text: &str, known: &[&str], also: bool, found: &mut Vec<Zeroizing<String>>) {
    let mut cuts: Vec<(usize, usize)> = known.iter().flat_map(|secret| places(secret, text)).collect();
    if cuts.is_empty() && !also {
        return;
    }
    cuts.sort_unstable();
    let credentials = credentials(text);
    let mut at = 0;
    for (start, end) in cuts.into_iter().chain([(text.len(), text.len())]) {
        let upto = start.min(credentials.1);
        if let Some(piece) = text.get(at.max(credentials.0)..upto) {
            for part in piece.split(['&', ';', '\n']) {
                let value = part.split_once('=').map_or(part, |(_, value)| value).trim_matches(parts);
                if value.chars().count() >= SHORTEST_SECRET && !WRAPPING.contains(&value.to_ascii_lowercase().as_str())
                {
                    found.push(Zeroizing::new(value.to_string()));
                }
            }
        }
        at = at.max(end);
    }
}

/// Where in a URL user and password stand; of what is no URL, all of it.
fn credentials(text: &str) -> (usize, usize) {
    let Some(scheme) = text.find("://") else { return (0, text.len()) };
    let from = scheme + 3;
    let host = text[from..].find(['/', '?', '#']).map_or(text.len(), |offset| from + offset);
    text[from..host].rfind('@').map_or((from, from), |offset| (from, from + offset))
}
