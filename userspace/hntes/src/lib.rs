// SPDX-License-Identifier: Apache-2.0 OR MIT
//! HNTES offline and online: flow records in, alpha flows and what to do about them out.
//!
//! The calculations are [`telesteer_fam`]'s and [`telesteer_online`]'s. Here is what reads and writes:
//!
//! - [`schema`], [`input`]: flow records in files, ours and others'; [`lists`], [`capacities`]: what is
//!   given beside them.
//! - [`tables`], [`emit`]: results as text, JSON and CSV; the contract for the control side.
//! - [`report`]: results as a page with figures and a verdict.
//! - [`online`]: flows while they live, and what finding them late costs.
//! - [`state`]: days kept between runs.
//! - [`work`], [`exporters`], [`watch`]: who goes over the records, whose they are, and who watches that.
//! - [`generate`], [`rng`]: workloads whose truth is known.
//! - [`cryptopan`]: addresses made anonymous.
//! - [`cmd`]: the verbs of the program.

pub mod capacities;
pub mod cmd;
pub mod cryptopan;
pub mod emit;
pub mod exporters;
pub mod generate;
pub mod input;
pub mod lists;
pub mod online;
pub mod report;
pub mod rng;
pub mod schema;
pub mod state;
pub mod tables;
pub mod watch;
pub mod work;
