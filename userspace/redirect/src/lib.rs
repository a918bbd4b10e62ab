// SPDX-License-Identifier: Apache-2.0 OR MIT
//! RCIM, the router side of HNTES: policy routes (PBRs) that put alpha flows onto LSPs.
//!
//! What is wanted is a set of [`Entry`]s, what there is comes from reading a [`Device`] back, and one
//! loop makes the second equal to the first. Nothing is believed because a device said so: an entry
//! counts as installed when it has been read back. Rules of others are reported and left.
//!
//! - [`matching`], [`path`], [`rule`]: what is matched, where it is sent, one rule of a device.
//! - [`wanted`], [`live`], [`aging`], [`life`], [`controller`], [`audit`]: the decisions. No I/O and no
//!   clock: the caller passes time in, and the same events give the same rules in any order.
//! - [`device`]: what a router must be able to do; [`memory`], [`nft`], [`iprule`], [`openflow`],
//!   [`frr`], [`flowspec`], [`junos`], [`slow`]: those there are.
//! - [`bgp`], [`flowspec::receiver`]: a small router that does what FlowSpec routes tell it.
//! - [`round()`]: reads back, decides, applies, reads back; [`quick`] where it must be soon.

pub mod aging;
pub mod audit;
pub mod bgp;
pub mod controller;
pub mod device;
pub mod error;
pub mod flowspec;
pub mod frr;
pub mod iprule;
pub mod junos;
pub mod life;
pub mod live;
pub mod matching;
pub mod memory;
mod netlink;
pub mod nft;
pub mod openflow;
pub mod path;
mod process;
pub mod round;
pub mod rule;
pub mod settings;
pub mod slow;
pub mod wanted;

pub use controller::Controller;
pub use device::{Capabilities, Commit, Device};
pub use error::{DeviceError, Kind};
pub use matching::{Match, Rank};
pub use path::{PathName, Paths, Target};
pub use round::{Outcome, quick, round};
pub use rule::{Change, ReadBack, Rule};
pub use settings::Settings;
pub use wanted::{Aging, Entry};
