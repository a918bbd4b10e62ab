// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The verbs.

pub mod anonymise;
pub mod fam;
pub mod generate;
pub mod report;
pub mod switches;
