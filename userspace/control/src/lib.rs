// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The loop of HNTES: what alpha flows, tickets and the offline table ask for becomes circuits and
//! policy routes, and stays so over restarts.
//!
//! A pure core, without I/O and without a clock:
//! - [`network`], [`table`]: routers and what is behind them; the offline table.
//! - [`conductor`]: what is wanted of circuits and routers. [`record`]: what it must know again.
//! - [`ticket`]: transfers that end hosts announce.
//!
//! And what does I/O:
//! - [`journal`]: the store. [`crash`]: a hook to be killed at its worst moments.
//! - [`http`], [`view`]: the interface for people and programs, and what it shows.

pub mod conductor;
pub mod crash;
pub mod http;
pub mod journal;
pub mod network;
pub mod record;
pub mod table;
pub mod ticket;
pub mod view;
