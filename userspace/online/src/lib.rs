// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Online flow analysis, the part of HNTES that finds alpha flows while they live.
//!
//! Reports of flows go in, in the order they come: flow records, or packets of a header mirror. Events
//! come out: a flow became alpha, it may become alpha, it ended. No I/O, no clock, no randomness: the
//! caller passes time in, and the same calls give the same events.
//!
//! - [`setting`], [`report`], [`event`]: what is asked, what goes in, what comes out.
//! - [`ring`]: the last T of one flow, and the rules that look at it.
//! - [`detector`] with its [`flow`]s: all flows within a bound of memory. Flows of the offline table
//!   ([`gate`]) are kept exactly, of all others those that weigh most ([`space_saving`]); [`idle`]
//!   says who has been silent.
//! - [`score`], [`counters`]: how often the early rule was wrong; what was left out and why.
//! - [`hold`], [`clock`]: reports in order, time that does not run away.
//! - [`meter`]: a router's own counters (Method 1).
//! - [`delay`]: the share of alpha bytes that is left to redirect when a flow is found.

pub mod clock;
pub mod counters;
pub mod delay;
pub mod detector;
pub mod event;
pub mod flow;
pub mod gate;
pub mod hold;
pub mod idle;
pub mod meter;
pub mod report;
pub mod ring;
pub mod score;
pub mod setting;
pub mod space_saving;
#[cfg(test)]
mod testing;

pub use detector::Detector;
pub use event::{End, Event, What};
pub use gate::Gate;
pub use report::Report;
pub use setting::Setting;
