//! Owns how a passphrase becomes a key: Argon2id. The only file that names `argon2`.
//! Deliberately knows nothing of who is asked for it.

use super::{Derivation, KeeperError};
use crate::journal::seal::{KEY, RunKey, chance};
use crate::secret::Secret;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::{Zeroize, Zeroizing};

/// A tenth of a second on today's machines, and more than a graphics card has for many guesses at once.
const MEMORY: u32 = 64 << 10;
const PASSES: u32 = 3;
const LANES: u32 = 1;
const SALT: usize = 16;

/// What a changed file may not ask for: 1 GiB, a minute.
const MOST_MEMORY: u32 = 1 << 20;
const MOST_PASSES: u32 = 64;
const MOST_LANES: u32 = 64;

/// How to derive a new key, with a salt of its own.
pub(super) fn derivation() -> Result<Derivation, KeeperError> {
    let mut salt = [0; SALT];
    chance(&mut salt)?;
    let salt = STANDARD.encode(salt);
    Ok(Derivation { kdf: "argon2id".into(), memory: MEMORY, passes: PASSES, lanes: LANES, salt })
}

/// Refuses what nobody would mean as a passphrase; one that is wrong later shuts everybody out.
pub(super) fn to_wrap(text: &Secret, derivation: &Derivation) -> Result<RunKey, KeeperError> {
    if let Some(fault) = text.fault() {
        return Err(KeeperError::Unfit(format!("this cannot be the passphrase: {fault}")));
    }
    let salt = judge(derivation).map_err(KeeperError::Unfit)?;
    derive(text, derivation, &salt)
}

/// The salt; or what is wrong with how a key is to be derived.
pub(super) fn judge(derivation: &Derivation) -> Result<Vec<u8>, String> {
    if derivation.kdf != "argon2id" {
        return Err(format!("names `{}` for its passphrase, which this runbook does not know", derivation.kdf));
    }
    let salt = STANDARD.decode(&derivation.salt).unwrap_or_default();
    let fits = salt.len() >= SALT
        && derivation.memory <= MOST_MEMORY
        && derivation.passes <= MOST_PASSES
        && derivation.lanes <= MOST_LANES;
    match fits && Params::new(derivation.memory, derivation.passes, derivation.lanes, Some(KEY)).is_ok() {
        true => Ok(salt),
        false => Err("was changed where it says how its passphrase is used".into()),
    }
}

pub(super) fn derive(text: &Secret, derivation: &Derivation, salt: &[u8]) -> Result<RunKey, KeeperError> {
    let failed = |why: String| KeeperError::Unfit(format!("the passphrase cannot be made into a key: {why}"));
    let params = Params::new(derivation.memory, derivation.passes, derivation.lanes, Some(KEY))
        .map_err(|error| failed(error.to_string()))?;
    let count = params.block_count();
    let mut blocks: Vec<Block> = Vec::new();
    blocks
        .try_reserve_exact(count)
        .map_err(|_| failed(format!("there are no {} MiB of memory", derivation.memory >> 10)))?;
    blocks.resize(count, Block::new());
    let mut key = Zeroizing::new([0; KEY]);
    let made = Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into_with_memory(
        text.expose().as_bytes(),
        salt,
        &mut *key,
        &mut blocks,
    );
    blocks.zeroize();
    made.map_err(|error| failed(error.to_string()))?;
    RunKey::of(&*key).ok_or_else(|| failed("it has the wrong length".into()))
}
