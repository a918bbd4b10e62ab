// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The program as it is run.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the lint spares test functions, not the helpers between them"
)]

mod anonymise;
mod browser;
mod brute;
mod days;
mod delay;
mod devtools;
mod emit;
mod engines;
mod faults;
mod forms;
mod help;
mod loop_view;
mod mirror;
mod online;
mod parquet;
mod plans;
mod profiles;
mod program;
mod report;
mod routers;
mod run;
mod sampling;
mod slides;
mod sources;
mod stage;
mod status_browser;
mod switches;
mod ticket;
mod tools;
mod workload;
