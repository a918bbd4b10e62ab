// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Time from readings that may be wrong: it never goes back, and one reading moves it by a bounded step.

use telesteer_fam::Ns;

/// A clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    now: Option<Ns>,
    jump: Ns,
    /// Readings more than a step ahead; each moved the clock by a step.
    pub ahead: u64,
    /// Readings more than a step behind; they moved nothing.
    pub behind: u64,
}

impl Clock {
    /// A clock that one reading moves by at most `jump`.
    pub fn new(jump: Ns) -> Self {
        Self { now: None, jump: jump.max(0), ahead: 0, behind: 0 }
    }

    /// Takes a reading; the time is the latest, as far as it can be believed.
    pub fn read(&mut self, reading: Ns) -> Ns {
        let Some(now) = self.now else {
            self.now = Some(reading);
            return reading;
        };
        let step = now.saturating_add(self.jump);
        self.ahead += u64::from(reading > step);
        self.behind += u64::from(reading < now.saturating_sub(self.jump));
        let now = now.max(reading.min(step));
        self.now = Some(now);
        now
    }

    /// The time, once there was a reading.
    pub fn now(&self) -> Option<Ns> {
        self.now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_bounded_and_never_back() {
        let mut clock = Clock::new(10);
        assert_eq!(clock.now(), None);
        let read = [100, 105, 95, 1000, 1000, 50, i64::MAX, i64::MIN].map(|at| clock.read(at));
        assert_eq!(read, [100, 105, 105, 115, 125, 125, 135, 135]);
        assert_eq!((clock.ahead, clock.behind), (3, 2));
    }
}
