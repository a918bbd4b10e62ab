// SPDX-License-Identifier: Apache-2.0 OR MIT
//! OSCARS 1.x as a provider of circuits, by its REST interface.
//!
//! - [`l2vpn`]: the JSON it takes and gives.
//! - `settings`: where it is. [`client`]: the provider of circuits.

pub mod client;
pub mod l2vpn;
mod settings;
