// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The interface for people and programs: tickets, metrics, the audit log, the status page.
//!
//! HTTP/1.1 without TLS, by default on loopback. Reading needs no token, tickets do.
//!
//! - [`board`]: what the loop gives and takes.

pub mod board;

pub use board::{AuditPage, Board, Denied};
