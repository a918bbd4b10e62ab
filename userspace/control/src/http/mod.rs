// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The interface for people and programs: tickets, metrics, the audit log, the status page.
//!
//! HTTP/1.1 without TLS, by default on loopback: put a proxy before it where tokens would cross a
//! network. Reading needs no token, tickets do. What is served is in [`route::ROUTES`] and, for
//! programs, in `docs/openapi/tickets.json`, which is served too.
//!
//! - [`board`]: what the loop gives and takes.
//! - [`server`]: connections within [`bounds`]. [`route`]: what is served. `desk`: answers; `query`,
//!   `body`: what they are to; [`problem`]: those that say no (RFC 9457).
//! - [`host`]: which names it answers to.
//! - [`keys`]: the file of tokens, read again when it changes. `pace`: requests a second.
//! - `page`: the status page. [`counters`]: what happened and what fell off.
//! - [`client`]: the other side, for `hntes ticket`.

pub mod board;
mod body;
pub mod bounds;
pub mod client;
pub mod counters;
mod desk;
pub mod host;
pub mod keys;
mod pace;
mod page;
pub mod problem;
mod query;
pub mod route;
pub mod server;

pub use board::{AuditPage, Board, Denied};
pub use bounds::Bounds;
pub use host::Hosts;
pub use keys::Keys;
pub use server::{Server, serve, serve_hosts};

/// The description of the interface, OpenAPI 3.1.
pub const OPENAPI: &str = include_str!("../../../../docs/openapi/tickets.json");
