// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Several servers behind one anycast address: routers, an edge, a core that spreads by ECMP, and
//! servers that announce the address by BGP while their collectors are well.
//!
//! ```text
//! exporters --- edge (FRR) --- core (FRR, ECMP) --+-- s1: collectors, FRR,   telesteer announce
//!                                                 +-- s2: collectors, GoBGP, telesteer announce
//! ```

pub(crate) mod bench;
pub(crate) mod ecmp;
pub(crate) mod mirror;
pub(crate) mod net;
pub(crate) mod routes;
pub(crate) mod routing;
pub(crate) mod server;
