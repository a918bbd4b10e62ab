// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The clock, for the parts that do I/O.

use crate::time::At;
use std::time::SystemTime;

/// Now.
pub fn now() -> At {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    At(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
