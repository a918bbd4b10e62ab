// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Telemetry decoders without I/O and without a clock.
//!
//! Bytes and the time come from the caller, records go to the caller's sink; nothing here opens a
//! file, reads a clock or panics on input. Every table, buffer and loop has a bound, and a counter
//! for what falls off it.
//!
//! | module | wire format | entry |
//! |---|---|---|
//! | [`flow`] | NetFlow v9 (RFC 3954), IPFIX (RFC 7011) | [`flow::Session::decode`] |
//! | [`bmp`] | BMP v3 (RFC 7854) and v4 | [`bmp::next_len`], [`bmp::Session::feed`] |
//! | [`notif`] | UDP-notif (draft-ietf-netconf-udp-notif) | [`notif::Reassembler::push`] |
//! | [`pcap`] | classic pcap and pcapng, link to transport layer | [`pcap::Reader`], [`pcap::dissect`] |
//! | [`tcp`] | TCP streams out of captured segments | [`tcp::Reassembler::push`] |
//! | [`capture`] | a whole capture file as datagrams and streams | [`capture::Source::read`] |
//! | [`pmacct`] | captures as the lines pmacct's daemons would log | [`pmacct::Shaper`] |

pub mod bmp;
pub mod capture;
mod cursor;
pub mod flow;
pub mod json;
pub mod notif;
pub mod pcap;
pub mod pmacct;
pub mod tcp;
