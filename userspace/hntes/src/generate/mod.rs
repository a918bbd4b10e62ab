// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Workloads: seven months of alpha flows whose figures are known.

pub mod beta;
pub mod cells;
pub mod flow;
pub mod pairs;
pub mod plan;
pub mod profile;
pub mod rake;
pub mod records;
pub mod truth;
