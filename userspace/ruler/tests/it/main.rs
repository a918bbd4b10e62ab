// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Groups on the running kernel: every way of steering plays the same scenarios, so that what the
//! documents say of them compares like with like. Each test makes sockets on a loopback address of
//! its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the lint spares test functions, not the helpers between them"
)]

mod exporters;
mod precedence;
mod scenarios;
