// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The loop of HNTES: what alpha flows, tickets and the offline table ask for becomes circuits and
//! policy routes, and stays so over restarts.
//!
//! - [`ticket`]: transfers that end hosts announce.
//! - [`http`], [`view`]: the interface for people and programs, and what it shows.

pub mod http;
pub mod ticket;
pub mod view;
