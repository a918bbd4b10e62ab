// SPDX-License-Identifier: Apache-2.0 OR MIT
//! FAM, the flow analysis module of HNTES: which flows are alpha, which prefix flows and LSPs a
//! table learnt from them would hold, and how many of their bytes it would have redirected.
//!
//! Everything here is a function of records and of a [`Reading`]: no I/O, no clock, no randomness.
//! Results are the same for any order of records and any way to split them between workers:
//! sums are of integers, states merge, and what is listed is sorted.
//!
//! - [`time`], [`key`], [`record`], [`lsp`]: instants and days, 5-tuples and prefix flows, records,
//!   super-prefix flows.
//! - [`reading`]: every ambiguity of the definitions as a switch.
//! - [`screen`], [`suspects`], [`detect`], [`day`]: from records to the alpha raw flows of a day, in
//!   two passes.
//! - [`period`], [`series`], [`aging`], [`traffic`]: which days count; the day series; PBR tables,
//!   effectiveness, new flows.
//! - [`plan`], [`gaps`], [`busy`], [`beta`], [`redirected`]: what else the LSPs carry, in a third pass.
//! - [`utilisation`], [`simultaneous`], [`doors`]: how full LSPs are, how many flows meet on them, and
//!   whose flows they are.
//! - [`hypothesis`]: whether alpha flows come from addresses that stay, which may be false.
//! - [`dimension`], [`sample`], [`rank`], [`burst`]: the four flow dimensions, of all flows too; the
//!   alpha/beta decomposition.

pub mod aging;
pub mod beta;
pub mod burst;
pub mod busy;
pub mod day;
pub mod detect;
pub mod dimension;
pub mod doors;
pub mod gaps;
pub mod hypothesis;
pub mod key;
pub mod lsp;
pub mod period;
pub mod plan;
pub mod rank;
pub mod reading;
pub mod record;
pub mod redirected;
pub mod sample;
pub mod screen;
pub mod series;
pub mod simultaneous;
pub mod span;
pub mod suspects;
#[cfg(test)]
mod testing;
pub mod time;
pub mod traffic;
pub mod utilisation;

pub use key::{FiveTuple, Prefix, PrefixFlow, Width};
pub use reading::Reading;
pub use record::{Record, Sampling};
pub use time::{Calendar, Day, Ns};
