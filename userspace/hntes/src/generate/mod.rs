// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Workloads: seven months of alpha flows whose figures are known.
//!
//! What is made: [`plan`] and what it is laid out from, [`profile`], [`records`], [`truth`]. Where it
//! goes: [`sink`], by way of [`csv`], [`parquet`], or [`export`] with its [`exporter`]s, their
//! [`message`]s and what takes these away ([`carrier`]).

pub mod beta;
pub mod carrier;
pub mod cells;
pub mod csv;
pub mod export;
pub mod exporter;
pub mod flow;
pub mod message;
pub mod pairs;
pub mod parquet;
pub mod plan;
pub mod profile;
pub mod rake;
pub mod records;
pub mod sink;
pub mod truth;
