// SPDX-License-Identifier: Apache-2.0 OR MIT
//! NetFlow v9 (RFC 3954) and IPFIX (RFC 7011) by templates compiled to plans.
//!
//! One [`Session`] is one exporter's transport session: the caller keeps one for each (exporter
//! address, exporter port, local port). Inside it every observation domain has its own templates,
//! options and sequence accounting, so two domains may use one template id for different things.
//!
//! A set that comes before its template waits in a bounded buffer and is decoded when the template
//! comes, from the wire or from [`Session::restore`]. What is wrong with one set costs that set
//! only; the rest of the datagram is decoded.

mod domain;
mod element;
mod iana;
mod options;
mod record;
mod report;
mod row;
mod session;
mod state;
mod template;
#[cfg(test)]
mod tests;
mod times;
mod waiting;

pub use element::{Element, Kind, REVERSE_PEN, V9_SCOPE};
pub use options::{Interface, Options, Vrf};
pub use record::{MessageHeader, Record, Value};
pub use report::{Counters, DatagramReport, Error, Late, Problem, ProblemAt, Sequence};
pub use row::{LeftOut, Row};
pub use session::Session;
pub use state::{DomainState, FieldState, StreamState, TemplateState};
pub use template::{Field, Template};
pub use times::Times;

/// The bounds of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Observation domains; the one silent for longest makes room.
    pub domains: usize,
    /// Templates of one domain; a new one replaces the oldest stale one or is refused.
    pub templates_per_domain: usize,
    /// Fields of one template.
    pub fields_per_template: usize,
    /// Seconds without an announcement after which a template may be replaced by another id.
    pub template_stale_s: u64,
    /// Entries of each options table (samplers, interfaces, VRFs) of one domain.
    pub options_per_table: usize,
    /// Sets that may wait for their template, over all domains; the oldest falls out.
    pub waiting_sets: usize,
    /// Octets these may hold.
    pub waiting_bytes: usize,
    /// Seconds one of them may wait.
    pub waiting_s: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            domains: 256,
            templates_per_domain: 512,
            fields_per_template: 512,
            template_stale_s: 1800,
            options_per_table: 65_536,
            waiting_sets: 256,
            waiting_bytes: 1 << 20,
            waiting_s: 1800,
        }
    }
}

/// When a datagram came and what the caller calls it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrival {
    /// The caller's clock, seconds; only differences matter.
    pub now_s: u64,
    /// Comes back with every record and every late set of this datagram, for example its hash.
    pub tag: u64,
}

/// The version word that NetFlow v9 starts with.
pub const NETFLOW_V9: u16 = 9;
/// The version word that IPFIX starts with.
pub const IPFIX: u16 = 10;
