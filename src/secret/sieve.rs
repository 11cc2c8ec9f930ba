//! Owns passing quickly over what holds no secret: of every form some short sequence of bytes would have to be there.
//! Deliberately finds nothing itself; what it stops at may be nothing.

use super::forms::Form;

/// Beyond, looking at fewer places gains little.
const LONGEST_HEAD: usize = 24;
/// As many bytes are compared at once.
const WORD: usize = 8;
/// So many of the table's bits to each sequence, or every tenth place would be a false stop.
const ROOM: usize = 32;
const FEWEST_BITS: u32 = 12;
/// 256 KiB: a larger table would be slower to look things up in than the false stops that it saves.
const MOST_BITS: u32 = 21;

/// Every form is at least `head` bytes long, so each time that it occurs, one of any `step` places in a row is where one
/// of its first `step` sequences of `sequence` bytes begins. Only every `step`th place is looked at.
#[derive(Clone)]
pub struct Sieve {
    pub sequence: usize,
    step: usize,
    mask: u64,
    /// Bits, by a hash of the sequence.
    table: Vec<u64>,
    bits: u32,
    count: usize,
}

/// What there is to look at.
pub enum Stop {
    /// A sequence of some form begins here.
    At(usize),
    /// None does; only from here on a form may have begun that the end cuts off.
    End(usize),
}

impl Sieve {
    /// For forms of at least `shortest` bytes, `count` of them.
    pub fn new(shortest: usize, count: usize) -> Sieve {
        let head = shortest.min(LONGEST_HEAD);
        let sequence = (head / 2).clamp(4, WORD).min(head);
        let step = head - sequence + 1;
        let wanted = (count * step * ROOM).next_power_of_two().trailing_zeros();
        let bits = wanted.clamp(FEWEST_BITS, MOST_BITS);
        let mask = if sequence == WORD { u64::MAX } else { (1 << (8 * sequence)) - 1 };
        Sieve { sequence, step, mask, table: vec![0; 1 << (bits - 6)], bits, count: 0 }
    }

    /// Whether another `count` forms of at least `shortest` bytes find room.
    pub fn has_room(&self, shortest: usize, count: usize) -> bool {
        let full = self.bits < MOST_BITS && (self.count + count) * self.step * ROOM / 2 > 1 << self.bits;
        shortest.min(LONGEST_HEAD) >= self.head() && !full
    }

    pub fn add(&mut self, form: &Form) {
        self.count += 1;
        for place in 0..self.step {
            if let Some(word) = self.word(form, place) {
                let (index, bit) = self.place(word);
                self.table[index] |= bit;
            }
        }
    }

    fn head(&self) -> usize {
        self.sequence + self.step - 1
    }

    fn word(&self, text: &[u8], at: usize) -> Option<u64> {
        if let Some(eight) = text.get(at..at + WORD).and_then(|bytes| bytes.first_chunk()) {
            return Some(u64::from_le_bytes(*eight) & self.mask);
        }
        let bytes = text.get(at..at + self.sequence)?;
        let mut eight = [0; WORD];
        eight[..bytes.len()].copy_from_slice(bytes);
        Some(u64::from_le_bytes(eight))
    }

    #[inline]
    fn place(&self, word: u64) -> (usize, u64) {
        let hash = word.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - self.bits);
        ((hash >> 6) as usize, 1 << (hash & 63))
    }

    /// The next stop for forms that begin at `from` or later.
    pub fn next(&self, text: &[u8], from: usize) -> Stop {
        let mut at = from;
        while let Some(word) = self.word(text, at) {
            let (index, bit) = self.place(word);
            if self.table[index] & bit != 0 {
                return Stop::At(at);
            }
            at += self.step;
        }
        // The place before was looked at, if any.
        Stop::End(if at == from { from } else { at - self.step + 1 })
    }

    /// Where a form may begin that has one of its sequences at `stop`.
    pub fn earliest(&self, stop: usize) -> usize {
        stop.saturating_sub(self.step - 1)
    }

    /// As many bytes before a line break may hold the start of a form without a stop.
    pub fn blind(&self) -> usize {
        self.head() - 1
    }
}
