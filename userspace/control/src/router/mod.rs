// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Routers: a thread for each, which keeps its device to the conductor's latest wish.
//!
//! - [`keeper`]: from wish to controller, without I/O. [`settings`], [`open()`]: the device.
//! - [`guard`]: every change in the journal. [`dry`]: none made. [`mod@file`]: a router for rehearsals.
//! - `station`: the thread.

pub mod dry;
pub mod file;
pub mod guard;
pub mod keeper;
pub mod open;
pub mod settings;
mod station;

pub use open::open;
pub use settings::Settings;
pub use station::{Report, Station};
