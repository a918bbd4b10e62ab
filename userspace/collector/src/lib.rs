// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The telesteer collector as a library: the service and one module per command-line verb.
//!
//! | module | what it is |
//! |---|---|
//! | [`service`] | the collector from start to planned end |
//! | [`settings`] | everything that can be set |
//! | [`listeners`], [`steer`] | sockets, and their place among those of the siblings |
//! | [`accept`], [`bmp`] | sessions: taken off the listener, read, committed, left to an heir |
//! | [`udp`] | flow and UDP-notif sockets |
//! | [`checkpoint`] | what a successor must know |
//! | [`output`], [`mod@line`], [`events`] | the files |
//! | [`sink`] | flow records as Parquet files |
//! | [`metrics`] | the counters |
//! | [`groups`] | the groups of this host, as the kernel tells of them |
//! | [`decode`] | captures as the lines the collector would have written |
//! | [`dedup`] | several outputs merged into one copy of each message |
//! | [`announce`] | the anycast address, announced by BGP while the collectors are well |
//! | [`replay`] | loads and captures sent from many addresses |

pub mod accept;
pub mod announce;
pub mod bmp;
pub mod checkpoint;
pub mod cmd;
pub mod decode;
pub mod dedup;
pub mod events;
pub mod groups;
pub mod line;
pub mod listeners;
pub mod metrics;
pub mod output;
pub mod replay;
pub mod service;
pub mod settings;
pub mod shared;
pub mod sink;
pub mod steer;
pub mod udp;
