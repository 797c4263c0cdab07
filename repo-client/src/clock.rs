//! Waiting and measuring how long something takes: the part of time that a test wants to control.
//!
//! Not the calendar: dates are compared with `now` of [`crate::ClientOptions`].

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

/// How the client waits and how it knows that a mirror is slow.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Time since some fixed point in the past; never goes back.
    fn elapsed(&self) -> Duration;

    /// Waits. A test's clock only moves itself forward.
    fn sleep(&self, duration: Duration);
}

/// The machine's monotonic clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock that starts now.
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep(&self, duration: Duration) {
        thread::sleep(duration);
    }
}
