// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Captures: pcap and pcapng files held in memory, and the way from a frame to its transport
//! payload, or, where only headers were captured, to what they say.

mod begin;
mod dissect;
mod headers;
mod reader;
#[cfg(test)]
mod tests;

pub use dissect::{Dissector, Transport, dissect};
pub use headers::{Headers, headers};
pub use reader::{Error, Packet, Reader};
