//! Owns the key of a run, and what is sealed under it. The only file that names `chacha20poly1305`.
//! Deliberately knows nothing of where sealed texts are kept, nor of who wraps the key.

use crate::digest::sha256_hex;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

/// Length of every key, in bytes.
pub(super) const KEY: usize = 32;

const NONCE: usize = 24;
const TAG: usize = 16;

/// The first byte of what is sealed: the way in which it is.
const VERSION: u8 = 1;

/// What sealed bytes are for: those of one purpose do not open for another.
const VALUE: &str = "runbook value";

/// A key of 32 bytes, wiped when dropped. Has no `Display`; `Debug` shows three stars.
#[derive(Clone, PartialEq, Eq)]
pub struct RunKey(Zeroizing<[u8; KEY]>);

impl RunKey {
    /// A new one, from the system's source of chance.
    pub fn new() -> Result<RunKey, SealError> {
        let mut key = Zeroizing::new([0; KEY]);
        chance(&mut *key)?;
        Ok(RunKey(key))
    }

    /// `None` where these are not 32 bytes.
    pub(super) fn of(bytes: &[u8]) -> Option<RunKey> {
        let mut key = Zeroizing::new([0; KEY]);
        (bytes.len() == KEY).then(|| key.copy_from_slice(bytes))?;
        Some(RunKey(key))
    }

    /// Reads what `text` wrote; white space around it does not matter. `None` where it is something else.
    pub(super) fn read(text: &[u8]) -> Option<RunKey> {
        RunKey::of(&Zeroizing::new(STANDARD.decode(text.trim_ascii()).ok()?))
    }

    /// The key itself, as base64.
    pub(super) fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(&self.0[..]))
    }

    pub(super) fn expose(&self) -> &[u8; KEY] {
        &self.0
    }

    /// Names the key without telling it: the first 8 hex digits of its SHA-256.
    pub(super) fn id(&self) -> String {
        sha256_hex(&self.0[..])[..8].to_string()
    }

    /// Seals a value of a run: base64 of version ‖ nonce ‖ ciphertext and tag. `key` names the step, as a `StepKey` is
    /// written. It opens only with the same key, run, step and name.
    pub fn seal(&self, run: &str, key: &str, name: &str, plain: &[u8]) -> Result<String, SealError> {
        Ok(STANDARD.encode(self.seal_bytes(&[VALUE, run, key, name], plain)?))
    }

    /// Opens what `seal` gave. The error names the record; why it does not open, nobody can tell.
    pub fn open(&self, run: &str, key: &str, name: &str, sealed: &str) -> Result<Zeroizing<Vec<u8>>, SealError> {
        STANDARD
            .decode(sealed)
            .ok()
            .and_then(|sealed| self.open_bytes(&[VALUE, run, key, name], &sealed))
            .ok_or_else(|| SealError::Closed { run: run.to_string(), key: key.to_string(), name: name.to_string() })
    }

    /// Seals bytes that open only under the same labels.
    pub(super) fn seal_bytes(&self, labels: &[&str], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE];
        chance(&mut nonce)?;
        let payload = Payload { msg: plain, aad: &data(labels) };
        let cipher = XChaCha20Poly1305::new((&*self.0).into());
        let sealed = cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| SealError::TooLong)?;
        Ok([&[VERSION][..], &nonce, &sealed].concat())
    }

    pub(super) fn open_bytes(&self, labels: &[&str], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (version, rest) = sealed.split_first()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE>()?;
        if *version != VERSION || sealed.len() < TAG {
            return None;
        }
        let payload = Payload { msg: sealed, aad: &data(labels) };
        let cipher = XChaCha20Poly1305::new((&*self.0).into());
        cipher.decrypt(&XNonce::from(*nonce), payload).ok().map(Zeroizing::new)
    }
}

impl std::fmt::Debug for RunKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error(
        "`{name}` of `{key}` in run {run} cannot be opened: what is sealed was changed, or belongs to another run, step, name or key"
    )]
    Closed { run: String, key: String, name: String },
    #[error("the system gives no random numbers: {0}")]
    NoChance(String),
    #[error("it is too long to be sealed")]
    TooLong,
}

/// Fills with random bytes.
pub(super) fn chance(into: &mut [u8]) -> Result<(), SealError> {
    getrandom::fill(into).map_err(|error| SealError::NoChance(error.to_string()))
}

/// Associated data that no other labels give: each goes with its length.
fn data(labels: &[&str]) -> Vec<u8> {
    let mut data = vec![VERSION];
    for label in labels {
        data.extend_from_slice(&(label.len() as u64).to_le_bytes());
        data.extend_from_slice(label.as_bytes());
    }
    data
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_what_was_sealed_and_seals_the_same_differently_each_time() {
        let key = RunKey::new().unwrap();
        for plain in [&b""[..], b"hunter2hunter2", &[0xff; 70_000]] {
            let one = key.seal("run", "deploy", "token", plain).unwrap();
            let other = key.seal("run", "deploy", "token", plain).unwrap();
            assert_ne!(one, other);
            assert_eq!(**key.open("run", "deploy", "token", &one).unwrap(), *plain);
            assert_eq!(**key.open("run", "deploy", "token", &other).unwrap(), *plain);
        }
    }

    #[test]
    fn opens_for_no_other_run_step_name_or_key() {
        let key = RunKey::new().unwrap();
        let sealed = key.seal("run", "deploy", "token", b"value").unwrap();
        let elsewhere = [
            ("run2", "deploy", "token"),
            ("run", "deploy#2", "token"),
            ("run", "deploy", "old"),
            ("deploy", "run", "token"),
        ];
        for (run, step, name) in elsewhere {
            let error = key.open(run, step, name, &sealed).unwrap_err().to_string();
            assert!(error.contains(run) && error.contains(&format!("`{name}` of `{step}`")), "{error}");
        }
        // The same characters, split elsewhere.
        assert!(key.open("run", "deployt", "oken", &sealed).is_err());
        assert!(key.open("rundeploy", "", "token", &sealed).is_err());
        assert!(RunKey::new().unwrap().open("run", "deploy", "token", &sealed).is_err());
    }

    #[test]
    fn opens_nothing_that_was_changed() {
        let key = RunKey::new().unwrap();
        let sealed = key.seal("run", "deploy", "token", b"value").unwrap();
        let bytes = STANDARD.decode(&sealed).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(key.open("run", "deploy", "token", &STANDARD.encode(&changed)).is_err(), "byte {at}");
            assert!(key.open("run", "deploy", "token", &STANDARD.encode(&bytes[..at])).is_err(), "{at} bytes");
        }
        for foreign in ["", "no base64 !", "é", "AAAA", &sealed[1..], &format!("{sealed}\n")] {
            assert!(key.open("run", "deploy", "token", foreign).is_err(), "{foreign:?}");
        }
    }

    #[test]
    fn shows_no_key() {
        let key = RunKey::of(&[7; KEY]).unwrap();
        assert_eq!(format!("{key:?}"), "***");
        assert_eq!(key.id().len(), 8);
        assert_eq!(RunKey::read(format!(" {}\r\n", key.text().as_str()).as_bytes()), Some(key));
        assert_eq!(RunKey::read(b"AAAA"), None);
        assert_eq!(RunKey::read(b"\xff\xfe"), None);
    }
}
