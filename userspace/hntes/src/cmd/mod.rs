// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The verbs.

pub mod anonymise;
mod assume;
pub mod delay;
pub mod fam;
pub mod generate;
pub mod online;
mod remarks;
pub mod report;
pub mod switches;
