//! Owns digests: SHA-256, in lower-case hexadecimal. The only file that names `sha2`.
//! Deliberately knows nothing of what is digested.

use sha2::Digest;

/// The SHA-256 of `bytes`: 64 lower-case hexadecimal digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_digest_is_what_others_make_of_it() {
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(super::sha256_hex(b"abc"), known);
    }
}
