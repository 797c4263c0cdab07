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
