//! Unguessable identifiers, and times in any form that RFC 3339 allows. Knows no provider.

use std::io::Read;
use std::time::{SystemTime, UNIX_EPOCH};

pub const ALPHANUMERIC: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
pub const URL_SAFE: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
pub const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
pub const DIGITS: &str = "0123456789";

pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)).expect("random bytes");
    bytes
}

/// `length` characters out of `alphabet`.
pub fn text(length: usize, alphabet: &str) -> String {
    let alphabet = alphabet.as_bytes();
    let random = bytes::<128>();
    assert!(length <= random.len());
    random[..length].iter().map(|byte| alphabet[*byte as usize % alphabet.len()] as char).collect()
}

pub fn hex(length: usize) -> String {
    text(length, "0123456789abcdef")
}

pub fn uuid() -> String {
    let digits = hex(30);
    let variant = text(1, "89ab");
    format!("{}-{}-4{}-{variant}{}-{}", &digits[..8], &digits[8..12], &digits[12..15], &digits[15..18], &digits[18..])
}

/// Microseconds since 1970, UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Time(pub i64);

/// One of the forms that RFC 3339 gives a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimeStyle {
    /// `2026-05-01T12:00:00Z`
    Seconds,
    /// `2026-05-01T12:00:00.123Z`
    Millis,
    /// `2026-05-01T12:00:00.123456Z`
    Micros,
    /// `2026-05-01T17:30:00.5+05:30`: a day ahead of UTC in the evening.
    Ahead,
    /// `2026-05-01T04:00:00-08:00`: a day behind UTC in the morning.
    Behind,
}

impl Time {
    pub fn now() -> Self {
        Time(SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_micros() as i64)
    }

    pub fn plus_days(self, days: i64) -> Self {
        Time(self.0 + days * 86_400_000_000)
    }

    pub fn plus_seconds(self, seconds: i64) -> Self {
        Time(self.0 + seconds * 1_000_000)
    }

    pub fn show(self, style: TimeStyle) -> String {
        let (offset_minutes, suffix) = match style {
            TimeStyle::Ahead => (330, "+05:30"),
            TimeStyle::Behind => (-480, "-08:00"),
            _ => (0, "Z"),
        };
        let local = self.0 + offset_minutes * 60_000_000;
        let (seconds, micros) = (local.div_euclid(1_000_000), local.rem_euclid(1_000_000));
        let fraction = match style {
            TimeStyle::Millis => format!(".{:03}", micros / 1000),
            TimeStyle::Micros => format!(".{micros:06}"),
            TimeStyle::Ahead => format!(".{}", micros / 100_000),
            TimeStyle::Seconds | TimeStyle::Behind => String::new(),
        };
        let (year, month, day) = civil(seconds.div_euclid(86_400));
        let second = seconds.rem_euclid(86_400);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}{suffix}")
    }
}

/// Whether `text` is a date-time of RFC 3339 (section 5.6; ranges of the numbers are not judged beyond two digits).
pub fn is_rfc3339(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() < 20 || !shaped(&bytes[..19], b"0000-00-00T00:00:00") {
        return false;
    }
    let rest = &bytes[19..];
    let zone = match rest.strip_prefix(b".") {
        Some(fraction) => {
            let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits == 0 {
                return false;
            }
            &fraction[digits..]
        }
        None => rest,
    };
    matches!(zone, b"Z" | b"z") || shaped(zone, b"+00:00") || shaped(zone, b"-00:00")
}

fn shaped(bytes: &[u8], shape: &[u8]) -> bool {
    let fits = |(byte, shape): (&u8, &u8)| if *shape == b'0' { byte.is_ascii_digit() } else { byte == shape };
    bytes.len() == shape.len() && bytes.iter().zip(shape).all(fits)
}

/// Year, month, day of a number of days since 1970 (the proleptic Gregorian calendar, by eras of 400 years).
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}
