// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Circuits as static MPLS paths of Linux routers, each in a network namespace: paths and room from a
//! topology file, routes by netlink, queues by `tc`.
//!
//! - [`item`]: what a plan puts on which node.
//! - [`kernel`], [`shape`]: puts it there, takes it away, reads it back.
//! - [`agent`]: does that in the namespace it was started in, as asked on its standard input.
//! - `node`: the other end of an agent. `store`: what must be known after a restart.
//! - `place`: puts whole circuits there. [`client`]: the provider of circuits.
//!
//! Packets get into a path by a rule that sends them to the routing table of its plan. Only IPv4 is
//! sent into it; what comes out at its end is routed by its own header, whatever it is.

pub mod agent;
pub mod client;
pub mod item;
pub mod kernel;
mod node;
mod place;
pub mod shape;
mod store;
