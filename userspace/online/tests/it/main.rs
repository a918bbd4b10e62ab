// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Laws that hold for any reports.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the lint spares test functions, not the helpers between them"
)]

mod brute;
mod flood;
mod heavy;
mod order;
mod reports;
