// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Pacing: how many messages are due, from a rate and the time gone by.

use std::time::Duration;

use tokio::time::Instant;

/// At most this many messages are owed at once; what is beyond is given up, so that a sender
/// that was held up for long does not flood its target afterwards.
const BACKLOG_MAX: u64 = 256;

/// A steady rate in messages per second; `0` means that nothing is ever due.
#[derive(Debug)]
pub(crate) struct Pace {
    rate: f64,
    start: Instant,
    issued: u64,
}

impl Pace {
    /// Starts counting now, `phase` (0.0 to 1.0) of one message ahead.
    pub(crate) fn new(rate: f64, phase: f64) -> Self {
        let ahead = if rate > 0.0 {
            Duration::from_secs_f64((phase / rate).min(60.0))
        } else {
            Duration::ZERO
        };
        let now = Instant::now();
        Self { rate, start: now.checked_sub(ahead).unwrap_or(now), issued: 0 }
    }

    /// The number of messages due at `now`, counted as issued by this call.
    pub(crate) fn due(&mut self, now: Instant) -> u64 {
        let total = (now.duration_since(self.start).as_secs_f64() * self.rate) as u64;
        let due = total.saturating_sub(self.issued);
        self.issued = total.max(self.issued);
        due.min(BACKLOG_MAX)
    }

    /// A sensible time between two looks: one message, but 20 ms to 500 ms.
    pub(crate) fn tick(&self) -> Duration {
        if self.rate <= 0.0 {
            return Duration::from_millis(500);
        }
        Duration::from_secs_f64((1.0 / self.rate).clamp(0.02, 0.5))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_fall_due_with_time_once() {
        let mut pace = Pace::new(10.0, 0.0);
        let start = pace.start;
        assert_eq!(pace.due(start + Duration::from_millis(450)), 4);
        assert_eq!(pace.due(start + Duration::from_millis(460)), 0);
        assert_eq!(pace.due(start + Duration::from_millis(550)), 1);
    }

    #[test]
    fn a_long_pause_is_not_made_up_for() {
        let mut pace = Pace::new(1000.0, 0.0);
        let start = pace.start;
        assert_eq!(pace.due(start + Duration::from_secs(60)), BACKLOG_MAX);
        assert_eq!(pace.due(start + Duration::from_secs(60)), 0);
    }
}
