// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The ledger: what exporters put on the wire, set against what the collectors wrote down.
//!
//! Truth is the packet capture taken at the exporters' end. From it this crate rebuilds every
//! BMP stream and counts every datagram, then looks each of them up in the collectors' outputs.
//! It shares no code with the collector or its decoders: an error in one must show up against
//! the other, so capture reading, TCP reassembly, BMP framing, template counting and hashing are
//! written here a second time, as small as the counting allows.
//!
//! - [`pcap`], [`packet`], [`fragment`]: from a file to transport payloads.
//! - [`stream`], [`bmp`]: TCP connections and the BMP messages in them.
//! - [`records`], [`fnv`]: data records and identity of datagrams.
//! - [`scene`], [`outputs`]: the scene's own files and the collectors' lines.
//! - [`cover`]: which bytes of a stream were delivered; also used by the kill storm.
//! - [`sessions`], [`datagrams`], [`moves`]: the accounts; [`phase`] joins them into one row.
//! - [`anycast`]: a server that leaves and comes back, counted from captures alone.
//! - [`maps`]: whether two servers place exporters alike, by weight, by domain.
//! - [`members`]: what the kernels said of policy, weights and selections.
//! - [`claims`], [`table`], [`svg`]: the verdict and its faces.

pub mod anycast;
pub mod bmp;
pub mod claims;
pub mod cover;
pub mod datagrams;
pub mod error;
pub mod fnv;
pub mod fragment;
pub mod maps;
pub mod members;
pub mod moves;
pub mod outputs;
pub mod packet;
pub mod pcap;
pub mod phase;
pub mod records;
pub mod scene;
pub mod sessions;
pub mod stream;
pub mod svg;
pub mod table;
#[cfg(test)]
mod testing;

pub use error::{Error, Result};
