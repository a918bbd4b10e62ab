// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is told of a flow.

use std::net::IpAddr;
use telesteer_fam::{FiveTuple, Ns};

/// A flow record, or a packet. Ordered by its last packet, then by everything else, so that equal
/// sets of reports become equal lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Report {
    /// Last packet.
    pub last: Ns,
    /// The transport flow.
    pub key: FiveTuple,
    /// First packet.
    pub first: Ns,
    /// Bytes, scaled by the sampling.
    pub bytes: u64,
    /// Who tells it; unspecified for a mirror.
    pub exporter: IpAddr,
    /// It ends the flow: a FIN or RST was seen.
    pub fin: bool,
}
