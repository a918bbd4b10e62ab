// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What steering costs and what it is worth.
//!
//! `select`, `membership` and `takeover` run in a guest whose clock counts instructions, on an
//! unpatched and on a patched kernel, and write what they measured as JSON; `report` sets the two
//! side by side and checks the claims. `quality` needs no kernel: it plays the placements of
//! several methods and counts whom they move.

pub mod bpf;
pub mod group;
pub mod guest;
pub mod membership;
pub mod packet;
pub mod quality;
pub mod report;
pub mod sample;
pub mod select;
pub mod steering;
pub mod svg;
pub mod takeover;
