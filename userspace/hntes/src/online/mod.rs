// SPDX-License-Identifier: Apache-2.0 OR MIT
//! HNTES online: flows as they are reported in, events out.
//!
//! The rules are [`telesteer_online`]'s. Here is what reads and writes:
//!
//! - [`source`]: records, packets or [`readings`] of meters, read beside what is done with them;
//!   [`tap`]: input that has not ended yet. [`nft`]: a router's meters, read by us.
//! - [`table`]: the offline table as a gate.
//! - [`run`]: from reports to events; [`mod@line`]: an event as JSON.
//! - [`point`], [`curve`], [`figure`]: the delay curve.

pub mod curve;
pub mod figure;
pub mod folder;
pub mod line;
pub mod nft;
pub mod point;
pub mod readings;
pub mod run;
pub mod source;
pub mod table;
pub mod tap;
