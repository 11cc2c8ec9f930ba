//! Owns strings that nobody can guess, for the tokens and ids that fakes hand out.

use crypto_box::aead::OsRng;
use crypto_box::aead::rand_core::RngCore;

/// 40 letters and digits, drawn anew each time.
pub fn fresh() -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    // Bytes from the last whole multiple of 62 on would make some letters likelier than others.
    let fair = 256 - 256 % LETTERS.len();
    let mut text = String::with_capacity(40);
    let mut bytes = [0u8; 64];
    while text.len() < 40 {
        OsRng.fill_bytes(&mut bytes);
        let drawn = bytes.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < fair);
        text.extend(drawn.take(40 - text.len()).map(|byte| LETTERS[byte % LETTERS.len()] as char));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_forty_letters_and_differ() {
        let (one, two) = (fresh(), fresh());
        assert!(one.len() == 40 && one.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{one}");
        assert_ne!(one, two);
    }
}
