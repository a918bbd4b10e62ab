// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The verbs.

pub mod anonymise;
mod assume;
mod each;
pub mod fam;
pub mod generate;
mod output;
mod remarks;
pub mod report;
pub mod switches;
