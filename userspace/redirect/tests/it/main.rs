// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Decisions, and every device there is against the same suite.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the lint spares test functions, not the helpers between them"
)]

mod bed;
mod conformance;
mod controller;
mod flowspec;
mod frr;
mod junos;
mod labs;
mod liar;
mod matches;
mod ncclient;
mod net;
mod netconf;
mod nft;
mod ovs;
mod packets;
mod receiver;
mod reconcile;
mod refusals;
mod space;
mod traffic;
