// SPDX-License-Identifier: GPL-2.0

//! Reuseport policy `stable`: a map of slots that moves as little as it can, and no sooner than it
//! should.
//!
//! `source`, the policy in the kernel tree, asks all members for each packet and has no state. This
//! one hashes the exporter to a slot and looks up who serves the slot: the price of a packet does
//! not depend on the number of members, and there is a place to remember who knows the exporters
//! of the slot. `steer` has the arithmetic, `policy` the part that meets the kernel.

#![deny(unsafe_code)]

mod cell;
mod exporter;
mod policy;
mod steer;
mod tests;

kernel::module_reuseport_policy! {
    type: policy::Stable,
    name: "reuseport_stable",
    authors: ["telesteer maintainers"],
    description: "Reuseport policy: weighted rendezvous on slots, with lazy moves",
    license: "GPL",
    alias: ["reuseport-policy-stable"],
}
