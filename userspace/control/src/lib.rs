// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The loop of HNTES: what alpha flows, tickets and the offline table ask for becomes circuits and
//! policy routes, and stays so over restarts.
//!
//! A pure core, without I/O and without a clock:
//! - [`network`], [`table`], [`schedule`]: routers and what is behind them; the offline table, and when
//!   it is made.
//! - [`conductor`]: what is wanted of circuits and routers. [`record`]: what it must know again.
//! - [`ticket`], [`announce`]: transfers that end hosts announce, and what they mean for it.
//! - [`panorama`], [`metrics`], [`view`]: the loop at one instant, for who looks.
//!
//! And what does I/O:
//! - [`service`]: the loop. [`settings`]: its configuration. [`feed`]: events come in.
//! - [`provider`], [`router`]: a thread for the provider of circuits, and one for each router.
//! - [`journal`]: the store. [`audit`]: the log of changes. [`nightly`]: the analysis of a day.
//! - [`http`], [`face`]: the interface for people and programs.
//! - [`crash`]: a hook to be killed at its worst moments. [`bell`], [`clock`]: waking, and time.

pub mod announce;
pub mod audit;
pub mod bell;
pub mod clock;
pub mod conductor;
pub mod crash;
pub mod face;
pub mod feed;
pub mod http;
pub mod journal;
pub mod metrics;
pub mod network;
pub mod nightly;
pub mod panorama;
pub mod provider;
pub mod record;
pub mod router;
pub mod schedule;
pub mod service;
pub mod settings;
pub mod table;
pub mod ticket;
pub mod view;
