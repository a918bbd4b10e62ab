// SPDX-License-Identifier: Apache-2.0 OR MIT
//! IDCIM, the circuit side of HNTES: asks providers for the circuits that alpha flows are to take.
//!
//! A pure core, without I/O and without a clock:
//! - [`time`], [`request`]: instants and spans; what is asked for. [`word`]: in names of circuits.
//! - [`life`]: the life of one circuit. [`book`]: all circuits, and what to ask next, in which
//!   [`manner`]. [`lsps`]: FAM's set of pairs.
//! - [`topology`], [`path`], [`budget`], [`pool`], [`plan`]: the network, paths through it, room on
//!   its links, labels; admission.
//!
//! And what does I/O:
//! - [`circuits`]: the trait of all providers. [`driver`]: drives a book with one.
//! - [`local`]: static MPLS paths of Linux routers. [`nsi`]: NSI CS 2.1. [`oscars`]: OSCARS 1.x.
//! - [`http`], [`xml`], [`clock`], [`counters`], [`error`]: what they share.

pub mod book;
pub mod budget;
pub mod circuits;
pub mod clock;
pub mod counters;
pub mod driver;
pub mod error;
pub mod http;
pub mod life;
pub mod local;
pub mod lsps;
pub mod manner;
pub mod nsi;
pub mod oscars;
pub mod path;
pub mod plan;
pub mod pool;
mod reconcile;
pub mod request;
pub mod time;
pub mod topology;
pub mod word;
pub mod xml;
