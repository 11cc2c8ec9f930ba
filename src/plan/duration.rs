//! Owns durations as text: `30s`, `5m`, `1h 30m`, `180d`. The only file that names `jiff` for them.

use std::time::Duration;

/// Parses a duration; a number without a unit, a negative or an empty text is an error that says so.
pub fn parse(text: &str) -> Result<Duration, String> {
    let wanted = "a duration such as `500ms`, `30s`, `5m`, `1h 30m` or `180d`";
    let trimmed = text.trim();
    if trimmed.parse::<f64>().is_ok() {
        return Err(format!("`{trimmed}` has no unit: write {wanted}"));
    }
    let span: jiff::Span = trimmed.parse().map_err(|_| format!("`{trimmed}` is not {wanted}"))?;
    let signed = span
        .to_duration(jiff::SpanRelativeTo::days_are_24_hours())
        .map_err(|_| format!("`{trimmed}` is not {wanted} (months and years have no fixed length)"))?;
    Duration::try_from(signed).map_err(|_| format!("`{trimmed}` is negative: write {wanted}"))
}

/// A duration for people: `340 ms`, `2.5 s`, `3m 20s`.
pub fn show(duration: Duration) -> String {
    let millis = duration.as_millis();
    match millis {
        0..=999 => format!("{millis} ms"),
        1_000..=59_999 => {
            let tenths = (millis + 50) / 100;
            if tenths.is_multiple_of(10) {
                format!("{} s", tenths / 10)
            } else {
                format!("{}.{} s", tenths / 10, tenths % 10)
            }
        }
        _ => {
            let seconds = duration.as_secs();
            let (hours, minutes, rest) = (seconds / 3600, seconds % 3600 / 60, seconds % 60);
            let mut parts = Vec::new();
            if hours > 0 {
                parts.push(format!("{hours}h"));
            }
            if minutes > 0 {
                parts.push(format!("{minutes}m"));
            }
            if rest > 0 {
                parts.push(format!("{rest}s"));
            }
            parts.join(" ")
        }
    }
}

/// How long ago a date (`YYYY-MM-DD`, UTC) was; zero for one to come.
pub fn age_of_date(text: &str) -> Result<Duration, String> {
    let date: jiff::civil::Date =
        text.trim().parse().map_err(|_| format!("`{text}` is no date: write `YYYY-MM-DD`"))?;
    let then = date
        .at(0, 0, 0, 0)
        .to_zoned_datetime(jiff::tz::TimeZone::UTC)
        .map_err(|_| format!("`{text}` is no date: write `YYYY-MM-DD`"))?;
    Ok(Duration::try_from(jiff::Timestamp::now().duration_since(then.timestamp())).unwrap_or_default())
}

/// Now, as RFC 3339 in UTC, to the second.
pub fn now() -> String {
    show_time(std::time::SystemTime::now())
}

/// A moment as RFC 3339 in UTC, to the second.
pub fn show_time(time: std::time::SystemTime) -> String {
    match jiff::Timestamp::try_from(time) {
        Ok(timestamp) => timestamp.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        Err(_) => "1970-01-01T00:00:00Z".into(),
    }
}

/// A moment as RFC 3339 in UTC, to the microsecond.
pub fn show_moment(time: std::time::SystemTime) -> String {
    match jiff::Timestamp::try_from(time) {
        Ok(timestamp) => timestamp.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string(),
        Err(_) => "1970-01-01T00:00:00.000000Z".into(),
    }
}

/// The moment that an RFC 3339 text tells.
pub fn parse_moment(text: &str) -> Option<std::time::SystemTime> {
    let micros = text.parse::<jiff::Timestamp>().ok()?.as_microsecond();
    std::time::SystemTime::UNIX_EPOCH.checked_add(Duration::from_micros(u64::try_from(micros).ok()?))
}
