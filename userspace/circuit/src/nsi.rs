// SPDX-License-Identifier: Apache-2.0 OR MIT
//! NSI Connection Service 2.1 (GFD.237), requester side: SOAP 1.1, answers to an endpoint of ours.
//!
//! - [`names`]: namespaces and actions.
//! - [`message`]: what is sent.
//! - [`reply`]: what comes: acknowledgements, answers, notifications, query results.
//! - [`mailbox`]: who waits for which answer, and notifications not taken yet.
//! - `wire`, `soap`: send it. `desk`: our endpoint. `grpc`, `proto`: the same by gRPC, a feature.
//! - [`client`]: the provider of circuits.

pub mod client;
mod desk;
#[cfg(feature = "grpc")]
mod grpc;
pub mod mailbox;
pub mod message;
pub mod names;
#[cfg(feature = "grpc")]
pub mod proto;
pub mod reply;
mod soap;
mod wire;
