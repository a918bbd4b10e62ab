// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The real collector on loopback. Every test listens on a loopback address of its own, so that all
//! of them can run at once on the usual ports.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the lint spares test functions, not the helpers between them"
)]

mod bmp;
mod bpf;
mod collector;
mod decode;
mod disk;
mod flow;
mod hntes;
mod ls;
mod messages;
mod parquet;
mod parquet_faults;
mod replay;
mod settings;
mod takeover;
