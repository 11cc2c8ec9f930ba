//! Owns what is asked of the operator's own programs that wrap and unwrap, and how much they are believed.
//! Deliberately knows nothing of how a program is started and ended.

use super::KeeperError;
use super::child::{self, Ended, Trouble};
use crate::journal::seal::{RunKey, hex};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use zeroize::Zeroizing;

/// How many of the last lines that a program wrote to standard error are told, and how long each may be.
const LINES: usize = 5;
const LINE: usize = 300;

/// A program's name, for people: without its folder.
pub(super) fn name(program: &str) -> String {
    clean(program.rsplit('/').next().unwrap_or(program))
}

/// What `wrap` makes of the key. Where there is an `unwrap`, it must make the key of that again: a run that could not be
/// gone on with would be found out when it is too late.
pub(super) fn wrap(wrap: &[String], unwrap: Option<&[String]>, key: &RunKey) -> Result<Vec<u8>, KeeperError> {
    let shown = shown("wrap", wrap);
    let ended = run(&shown, wrap, key, Some(key))?;
    if ended.stdout.trim_ascii().is_empty() {
        return Err(KeeperError::Unfit(format!(
            "{shown} wrote nothing to standard output, where the wrapped key was wanted{}",
            told(&ended.stderr, Some(key))
        )));
    }
    if tells(&ended.stdout, key) {
        return Err(KeeperError::Unfit(format!(
            "{shown} gives the key back as it was: it does not encrypt, so whoever can read the run's folder could read its secrets\n\
             help: give a command that does, such as `[age, -r, RECIPIENT]`"
        )));
    }
    if let Some(argv) = unwrap {
        let back = parse(argv, &ended.stdout, Some(key))?;
        if back != *key {
            let shown = self::shown("unwrap", argv);
            return Err(KeeperError::Unfit(format!(
                "{shown} does not give back the key that `wrap` was given\n\
                 help: mend the commands; where only others can unwrap, leave `unwrap` away"
            )));
        }
    }
    Ok(ended.stdout.to_vec())
}

/// The key that `unwrap` makes of what was kept.
pub(super) fn unwrap(argv: &[String], run: &str, kept: &[u8]) -> Result<RunKey, KeeperError> {
    parse(argv, kept, None).map_err(|error| match error {
        KeeperError::Unfit(message) => {
            KeeperError::Locked(format!("the key of run {run} could not be unwrapped: {message}"))
        }
        other => other,
    })
}

fn parse(argv: &[String], kept: &[u8], key: Option<&RunKey>) -> Result<RunKey, KeeperError> {
    let shown = shown("unwrap", argv);
    let ended = run(&shown, argv, kept, key)?;
    RunKey::read(&ended.stdout).ok_or_else(|| {
        let what = if ended.stdout.trim_ascii().is_empty() { "nothing" } else { "something else" };
        KeeperError::Unfit(format!(
            "{shown} wrote {what} to standard output, where the key was wanted as `wrap` had it (base64 of 32 bytes){}",
            told(&ended.stderr, key)
        ))
    })
}

/// What a program may be given on standard input.
trait Input {
    fn bytes(&self) -> Zeroizing<Vec<u8>>;
}

impl Input for RunKey {
    /// With a line break, for programs that read lines.
    fn bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(format!("{}\n", self.text().as_str()).into_bytes())
    }
}

impl Input for [u8] {
    fn bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.to_vec())
    }
}

fn run<I: Input + ?Sized>(shown: &str, argv: &[String], input: &I, key: Option<&RunKey>) -> Result<Ended, KeeperError> {
    let unfit = |why: String| Err(KeeperError::Unfit(format!("{shown} {why}")));
    let ended = match child::run(argv, input.bytes()) {
        Ok(ended) => ended,
        Err(Trouble::NoProgram) => {
            return Err(KeeperError::Unfit(
                "a `key_command` names no program: give a list, such as `[age, -r, RECIPIENT]`".into(),
            ));
        }
        Err(Trouble::NotFound) => return unfit("is not there: is it installed, and on the PATH?".into()),
        Err(Trouble::NotStarted(why)) => return unfit(format!("could not be started: {why}")),
        Err(Trouble::TimedOut(stderr)) => {
            let seconds = child::LIMIT.as_secs();
            return unfit(format!("was ended: it took longer than {seconds} seconds{}", told(&stderr, key)));
        }
        Err(Trouble::TooMuch) => {
            return unfit(format!("was ended: it wrote more than {} KiB, which is no wrapped key", child::MOST >> 10));
        }
        Err(Trouble::Held) => return unfit("has ended, but something it left behind holds its output open".into()),
    };
    match ended.how {
        child::How::Exited(0) => Ok(ended),
        child::How::Interrupted => Err(KeeperError::Interrupted),
        child::How::Exited(code) => unfit(format!("failed (exit code {code}){}", told(&ended.stderr, key))),
        child::How::Signal(signal) => unfit(format!("was ended by signal {signal}{}", told(&ended.stderr, key))),
    }
}

fn shown(role: &str, argv: &[String]) -> String {
    format!("`{}` (`{role}` of `key_command`)", argv.first().map(|program| name(program)).unwrap_or_default())
}

/// The last lines of what a program wrote to standard error; without what shows the key, or could be one.
fn told(stderr: &[u8], key: Option<&RunKey>) -> String {
    if key.is_some_and(|key| tells(stderr, key)) {
        return "; what it wrote to standard error has the key in it, and is not shown".into();
    }
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<String> =
        text.lines().map(str::trim_end).filter(|line| !line.is_empty()).map(without_keys).collect();
    match lines.as_slice() {
        [] => String::new(),
        lines => format!(":\n    {}", lines[lines.len().saturating_sub(LINES)..].join("\n    ")),
    }
}

fn without_keys(line: &str) -> String {
    let words = line.split(' ').map(|word| if RunKey::read(word.as_bytes()).is_some() { "***" } else { word });
    let line = clean(&words.collect::<Vec<_>>().join(" "));
    match line.char_indices().nth(LINE) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

/// Without characters that steer a terminal.
fn clean(text: &str) -> String {
    let steers = |c: char| crate::source::steers(c) && c != '\t';
    text.chars().map(|c| if steers(c) { '?' } else { c }).collect()
}

/// Whether what was written has the key in it, in a form that anyone can undo: as it was given, as bytes, in base64 or hex,
/// with white space anywhere.
fn tells(written: &[u8], key: &RunKey) -> bool {
    let text = key.text();
    // Three bytes make four characters, whatever follows; half a key is told as well.
    let whole = |bytes: &[u8]| bytes[..bytes.len() - bytes.len() % 3].to_vec();
    let mut forms: Vec<Zeroizing<Vec<u8>>> = Vec::new();
    for plain in [&key.expose()[..], text.trim_end_matches('=').as_bytes()] {
        let plain_whole = Zeroizing::new(whole(plain));
        forms.push(Zeroizing::new(plain.to_vec()));
        forms.push(Zeroizing::new(STANDARD.encode(&*plain_whole).into_bytes()));
        forms.push(Zeroizing::new(URL_SAFE.encode(&*plain_whole).into_bytes()));
        forms.push(Zeroizing::new(hex(plain).into_bytes()));
        forms.push(Zeroizing::new(hex(plain).to_uppercase().into_bytes()));
    }
    let has = |text: &[u8]| forms.iter().any(|form| text.windows(form.len()).any(|window| window == &form[..]));
    let packed =
        Zeroizing::new(written.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect::<Vec<u8>>());
    has(written) || has(&packed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_the_key_in_every_plain_form_and_in_nothing_else() {
        let key = RunKey::new().unwrap();
        let text = key.text();
        let line = format!("{}\n", text.as_str());
        let wrapped_lines =
            STANDARD.encode(&line).as_bytes().chunks(20).map(<[u8]>::to_vec).collect::<Vec<_>>().join(&b'\n');
        let telling: Vec<Vec<u8>> = vec![
            line.clone().into_bytes(),
            format!("key={}", text.trim_end_matches('=')).into_bytes(),
            key.expose().to_vec(),
            [b"head", &key.expose()[..], b"tail"].concat(),
            wrapped_lines,
            STANDARD.encode(text.as_bytes()).into_bytes(),
            URL_SAFE.encode(key.expose()).into_bytes(),
            hex(key.expose()).into_bytes(),
            hex(line.as_bytes()).to_uppercase().into_bytes(),
        ];
        for (index, written) in telling.iter().enumerate() {
            assert!(tells(written, &key), "form {index}");
        }
        for written in [&b""[..], b"age-encryption.org/v1", RunKey::new().unwrap().text().as_bytes()] {
            assert!(!tells(written, &key));
        }
    }

    #[test]
    fn tells_the_last_lines_without_keys_or_what_steers() {
        let key = RunKey::new().unwrap();
        let some = RunKey::new().unwrap();
        let stderr =
            format!("one\ntwo\nthree\n\nfour \x1b[2Jx\nfive\ngot {} here\n{}", some.text().as_str(), "y".repeat(400));
        let shown = told(stderr.as_bytes(), Some(&key));
        assert!(!shown.contains("two") && !shown.contains(some.text().as_str()) && !shown.contains('\x1b'), "{shown}");
        assert!(shown.contains("    three\n    four ?[2Jx\n    five\n    got *** here\n    yyy"), "{shown}");
        assert!(shown.len() < 500, "{shown}");
        let shown = told(format!("+ echo {}", key.text().as_str()).as_bytes(), Some(&key));
        assert!(!shown.contains(key.text().as_str()) && shown.contains("not shown"), "{shown}");
        assert_eq!(told(b" \n", None), "");
    }
}
