// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The provider of circuits, and the thread that drives it.
//!
//! - [`settings`]: who it is, and how routers reach circuits. [`ways`]: into which tables of which
//!   routers packets go.
//! - [`witness`]: every call in the journal. [`mod@file`]: a provider for rehearsals.
//! - `office`: the thread. `desk`: what it does, one look after another.

mod desk;
pub mod file;
mod office;
pub mod settings;
pub mod ways;
pub mod witness;

pub use desk::Steps;
pub use office::{Office, Orders, Report};
pub use settings::Settings;
