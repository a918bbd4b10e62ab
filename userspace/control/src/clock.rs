// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Clocks, for the parts that do I/O.

use std::time::{Instant, SystemTime};
use telesteer_fam::Ns;

/// Nanoseconds since 1970, UTC.
pub fn now() -> Ns {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = Ns::try_from(since.as_nanos()).unwrap_or(Ns::MAX);
    #[cfg(test)]
    let now = now.saturating_add(testing::STEP.get());
    now
}

/// The same in milliseconds; 0 before 1970.
pub fn ms(at: Ns) -> u64 {
    u64::try_from(at / 1_000_000).unwrap_or(0)
}

/// Begins at the hour of the clock and goes on evenly, whatever is done to the clock: for waits.
#[derive(Clone, Copy, Debug)]
pub struct Steady {
    begun: Instant,
    at: Ns,
}

impl Steady {
    /// Begins now.
    pub fn begin() -> Self {
        Self { begun: Instant::now(), at: now() }
    }

    /// Nanoseconds since 1970, if nobody has set the clock meanwhile.
    pub fn now(&self) -> Ns {
        let since = Ns::try_from(self.begun.elapsed().as_nanos()).unwrap_or(Ns::MAX);
        self.at.saturating_add(since)
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! A clock that can be set.

    use std::cell::Cell;
    use telesteer_fam::Ns;

    thread_local! {
        /// How far the clock was set forward, for the thread that set it.
        pub(crate) static STEP: Cell<Ns> = const { Cell::new(0) };
    }
}
