// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The verbs.

pub mod anonymise;
mod assume;
mod beta;
pub mod delay;
mod dimension;
mod each;
pub mod fam;
pub mod generate;
mod known;
pub mod online;
mod output;
mod remarks;
pub mod report;
pub mod run;
pub mod switches;
pub mod ticket;
