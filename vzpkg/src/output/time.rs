//! Times for people. The only module that asks the clock.

use std::time::{Duration, Instant, SystemTime};

/// The clock, asked once when the command starts, so that one command has one time.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// Seconds since 1970-01-01 UTC.
    pub now: i64,
    /// For durations.
    pub started: Instant,
}

impl Clock {
    /// Asks the system.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that asks the clock"
    )]
    pub fn system() -> Self {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            now: i64::try_from(now.as_secs()).unwrap_or(i64::MAX),
            started: Instant::now(),
        }
    }
}

/// `2026-11-21 14:03` in the local time zone.
pub fn local_time(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(
        |_| seconds.to_string(),
        |time| {
            time.to_zoned(jiff::tz::TimeZone::system())
                .strftime("%Y-%m-%d %H:%M")
                .to_string()
        },
    )
}

/// `2026-11-21` in the local time zone.
pub fn day_of(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(
        |_| seconds.to_string(),
        |time| {
            time.to_zoned(jiff::tz::TimeZone::system())
                .date()
                .to_string()
        },
    )
}

/// The first second after the day `2026-11-21` in the local time zone; `None` for another text.
pub fn end_of_day(text: &str) -> Option<i64> {
    let day: jiff::civil::Date = text.parse().ok()?;
    let next = day.tomorrow().ok()?;
    let end = next.to_zoned(jiff::tz::TimeZone::system()).ok()?;
    (text == day.to_string()).then(|| end.timestamp().as_second())
}

/// `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 if time.as_millis() < 100 => format!("{} ms", time.as_millis()),
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// The time that `90`, `90s`, `10m` or `1h30m` says; `None` for another text.
pub fn span(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let span: jiff::SignedDuration = text.parse().ok()?;
    span.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_seconds_or_has_units() {
        for (text, seconds) in [
            ("0", 0),
            ("90", 90),
            ("90s", 90),
            ("10m", 600),
            ("1h30m", 5400),
        ] {
            assert_eq!(span(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "soon", "-5", "-5s", "1x", "10 parsecs", "s"] {
            assert_eq!(span(text), None, "{text}");
        }
    }

    #[test]
    fn a_day_ends_one_second_before_the_next_begins() {
        let end = end_of_day("2026-12-31").unwrap();
        assert_eq!(day_of(end - 1), "2026-12-31");
        assert_eq!(day_of(end), "2027-01-01");
        for text in [
            "",
            "tomorrow",
            "2026-13-01",
            "2026-12-31T10:00",
            "31.12.2026",
        ] {
            assert_eq!(end_of_day(text), None, "{text}");
        }
    }
}
