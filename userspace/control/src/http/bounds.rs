// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Bounds of the server.

use std::time::Duration;

/// How much clients may take. What is refused is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Connections at a time; more are closed at once.
    pub connections: usize,
    /// Connections at a time of one IPv4 address or IPv6 /64.
    pub connections_per_peer: usize,
    /// From the first to the last byte of a request's head, and between two requests.
    pub head_wait: Duration,
    /// Bytes of a request's head; at least 8192.
    pub head_bytes: usize,
    /// Lines of a request's head.
    pub head_lines: usize,
    /// From the head to the last byte of a body.
    pub body_wait: Duration,
    /// Bytes of a body.
    pub body_bytes: usize,
    /// The life of a connection; a request under way may end, within `head_wait` more.
    pub life: Duration,
    /// Requests that wait for the loop at a time.
    pub calls: usize,
    /// Requests a second of one holder, in the long run.
    pub pace: u32,
    /// Requests of one holder at once.
    pub burst: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 64,
            connections_per_peer: 32,
            head_wait: Duration::from_secs(5),
            head_bytes: 16 << 10,
            head_lines: 64,
            body_wait: Duration::from_secs(5),
            body_bytes: 64 << 10,
            life: Duration::from_secs(120),
            calls: 16,
            pace: 10,
            burst: 30,
        }
    }
}
