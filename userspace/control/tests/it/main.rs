// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The interface of the loop, from outside.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the lint spares test functions, not the helpers between them"
)]

mod client;
mod guard;
mod openapi;
mod raw;
mod schema;
mod shelf;
mod status;
mod tickets;
