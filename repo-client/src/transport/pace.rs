//! How fast a file must come: a floor over a minute, a faster server's pace over seconds, and a limit for all together.

use super::Stop;
use crate::clock::Clock;
use crate::options::ClientOptions;
use crate::servers::Bandwidth;
use std::time::Duration;

/// The longest stretch of a wait in which an interruption goes unseen.
const SLICE: Duration = Duration::from_millis(100);

/// How fast a body must come, and how fast it may.
#[derive(Debug)]
pub(crate) struct Pace<'a> {
    clock: &'a dyn Clock,
    bandwidth: Option<&'a Bandwidth>,
    windows: Vec<Window>,
}

/// Over each span so many bytes per second must arrive.
#[derive(Debug)]
struct Window {
    span: Duration,
    floor: u64,
    began: Duration,
    bytes: u64,
}

/// Over which span a server is compared with a faster one.
const COMPARED: Duration = Duration::from_secs(2);

impl<'a> Pace<'a> {
    pub(crate) fn new(options: &'a ClientOptions) -> Self {
        let mut pace = Self {
            clock: options.clock.as_ref(),
            bandwidth: options.bandwidth.as_deref(),
            windows: Vec::new(),
        };
        let timeouts = options.timeouts;
        pace.demand(timeouts.floor_window, timeouts.floor);
        pace
    }

    /// Also so many bytes per second, for there is a server that sends more.
    pub(crate) fn compared_with(mut self, floor: Option<u64>) -> Self {
        // With a limit no server can show what it could do.
        if let (Some(floor), None) = (floor, self.bandwidth) {
            self.demand(COMPARED, floor);
        }
        self
    }

    fn demand(&mut self, span: Duration, floor: u64) {
        self.windows.push(Window {
            span,
            floor,
            began: self.clock.elapsed(),
            bytes: 0,
        });
    }

    /// Notes `bytes` more; says whether the last full windows were fast enough.
    pub(super) fn keeps_up(&mut self, bytes: u64) -> bool {
        let now = self.clock.elapsed();
        let windows = self.windows.iter_mut();
        windows.fold(true, |all, window| all & window.keeps_up(bytes, now))
    }

    /// Waits until these bytes may have come. Time that is waited is not the server's.
    pub(super) fn wait(&mut self, bytes: u64, stop: &Stop) {
        let Some(bandwidth) = self.bandwidth else {
            return;
        };
        let mut left = bandwidth.take(bytes, self.clock);
        for window in &mut self.windows {
            window.began = window.began.saturating_add(left);
        }
        while !left.is_zero() && !stop.is_set() {
            let slice = left.min(SLICE);
            self.clock.sleep(slice);
            left = left.saturating_sub(slice);
        }
    }
}

impl Window {
    fn keeps_up(&mut self, bytes: u64, now: Duration) -> bool {
        self.bytes = self.bytes.saturating_add(bytes);
        let took = now.saturating_sub(self.began);
        if took < self.span {
            return true;
        }
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let needed = self.floor.saturating_mul(milliseconds).div_euclid(1000);
        let enough = self.bytes >= needed;
        self.began = now;
        self.bytes = 0;
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;
    use std::sync::{Arc, Mutex};

    /// A clock that stands still until it is moved.
    #[derive(Debug, Default)]
    struct Moved(Mutex<Duration>);

    impl Clock for Moved {
        fn elapsed(&self) -> Duration {
            *self.0.lock().unwrap()
        }

        fn sleep(&self, duration: Duration) {
            *self.0.lock().unwrap() += duration;
        }
    }

    fn options() -> ClientOptions {
        let mut options = ClientOptions::new(PathBuf::new(), PathBuf::new(), 0);
        options.clock = Arc::new(Moved::default());
        options
    }

    #[test]
    fn a_server_keeps_up_with_the_floor_and_with_a_faster_one() {
        let options = options();
        let second = Duration::from_secs(1);
        for (floor, bytes, keeps_up) in [
            (None, 5_000, true),
            (Some(10_000), 12_000, true),
            (Some(10_000), 5_000, false),
        ] {
            let mut pace = Pace::new(&options).compared_with(floor);
            options.clock.sleep(second);
            assert!(pace.keeps_up(bytes), "the window is not full");
            options.clock.sleep(second);
            assert_eq!(pace.keeps_up(bytes), keeps_up, "{floor:?} {bytes}");
        }
    }

    #[test]
    fn time_that_a_limit_costs_is_not_the_servers() {
        let mut options = options();
        options.bandwidth = Some(Arc::new(Bandwidth::new(100)));
        let stop = Stop::new(&options.cancel);
        let mut pace = Pace::new(&options).compared_with(Some(1 << 30));
        for _ in 0..10 {
            pace.wait(6000, &stop);
            assert!(pace.keeps_up(6000), "a minute of waiting each");
        }
        assert!(options.clock.elapsed() >= Duration::from_mins(10));
    }
}
