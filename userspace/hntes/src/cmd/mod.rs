// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The verbs.

pub mod anonymise;
mod assume;
pub mod fam;
pub mod generate;
mod remarks;
pub mod report;
pub mod switches;
