// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `telesteer announce`: a server takes part in an anycast address while its collectors are well.
//!
//! | module | what it is |
//! |---|---|
//! | [`decision`] | when to announce and when to withdraw; no I/O, no clock |
//! | [`health`] | looks at the collectors and at the group of their sockets |
//! | [`speaker`] | FRR and GoBGP: what is announced, announce it, withdraw it |
//! | [`command`] | runs a program with a limit, and names it when it fails |
//! | [`prefix`] | an address with a length |
//! | [`watch`] | the loop that ties them together |

pub mod command;
pub mod decision;
pub mod health;
pub mod prefix;
pub mod speaker;
pub mod watch;
