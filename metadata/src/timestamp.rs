//! A point in time as file systems store it. Not a calendar: only `vzpkg` prints dates and asks the clock.

/// Seconds since 1970-01-01 UTC (negative before) and nanoseconds `0..1_000_000_000` after that second.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct Timestamp {
    /// Whole seconds since the epoch.
    pub seconds: i64,
    /// Nanoseconds after `seconds`, below 1,000,000,000.
    pub nanoseconds: u32,
}

impl Timestamp {
    /// A time of whole seconds.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self {
            seconds,
            nanoseconds: 0,
        }
    }

    /// This time, or `epoch` where it is later: what a reproducible tree carries.
    #[must_use]
    pub fn clamped(self, epoch: i64) -> Self {
        self.min(Self::from_seconds(epoch))
    }
}
