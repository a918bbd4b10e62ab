// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The clock, for the parts that do I/O.

use std::time::SystemTime;
use telesteer_fam::Ns;

/// Nanoseconds since 1970, UTC.
pub fn now() -> Ns {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Ns::try_from(since.as_nanos()).unwrap_or(Ns::MAX)
}

/// The same in milliseconds; 0 before 1970.
pub fn ms(at: Ns) -> u64 {
    u64::try_from(at / 1_000_000).unwrap_or(0)
}
