//! Owns words of other tools that authors bring along, with what is meant by them here.
//! Deliberately only a table: `shape` decides where a word is unknown and what may stand there.

/// Keys of Ansible, GitHub Actions, Terraform and the like, and the key of ours that does the same.
const KEYS: &[(&str, &str)] = &[
    ("tasks", "steps"),
    ("jobs", "steps"),
    ("actions", "steps"),
    ("version", "runbook"),
    ("variables", "vars"),
    ("parameters", "inputs"),
    ("params", "inputs"),
    ("arguments", "inputs"),
    ("handlers", "on_failure"),
    ("rescue", "on_failure"),
    ("on_error", "on_failure"),
    ("always", "finally"),
    ("ensure", "finally"),
    ("post", "finally"),
    ("concurrency", "lock"),
    ("register", "capture"),
    ("save", "capture"),
    ("extract", "capture"),
    ("loop", "for_each"),
    ("foreach", "for_each"),
    ("with_items", "for_each"),
    ("if", "when"),
    ("only_if", "when"),
    ("unless", "when"),
    ("uses", "use"),
    ("include", "use"),
    ("import", "use"),
    ("run", "shell"),
    ("script", "shell"),
    ("bash", "shell"),
    ("command", "exec"),
    ("cmd", "exec"),
    ("program", "exec"),
    ("args", "argv"),
    ("cmd", "argv"),
    ("command", "argv"),
    ("uri", "http"),
    ("request", "http"),
    ("get", "http"),
    ("pause", "wait"),
    ("sleep", "wait"),
    ("approve", "confirm"),
    ("block", "group"),
    ("set_fact", "set"),
    ("ignore_errors", "continue_on_failure"),
    ("continue-on-error", "continue_on_failure"),
    ("retries", "retry"),
    ("until", "expect"),
];

/// The key of ours that does what the word does elsewhere, if it may stand here.
pub fn meant<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let word = word.to_lowercase();
    let (_, ours) = KEYS.iter().find(|(theirs, ours)| *theirs == word && known.contains(ours))?;
    known.iter().find(|key| *key == ours).copied()
}

/// What to do about a key that is no key here, but means something.
pub fn advice(definition: &str, key: &str) -> Option<&'static str> {
    Some(match (definition, key) {
        ("Assertion", "duration") => "compare a duration as text: `- duration < 2s`",
        ("Http", "body" | "data") => "a body is `json`, `form`, `multipart`, `text` or `file`",
        ("Http", "params") => "query parameters go under `query`",
        ("Http", "token") => "write `auth: {bearer: …}`",
        ("Step", "environment") => "`env` belongs under `exec` or `shell`",
        ("Step", "become" | "sudo") => "write `exec: [sudo, …]`, and name `sudo` in `permissions.run`",
        ("Step", "debug" | "echo" | "print") => "what a step did is shown anyway; `description` says why",
        _ => return None,
    })
}
