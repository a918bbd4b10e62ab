// SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR Apache-2.0 OR MIT
//! The attribute of `NETLINK_SOCK_DIAG` that tells about a member of a `SO_REUSEPORT` group.
//!
//! It comes unasked with TCP listeners and unconnected UDP sockets of a group in which one of the
//! options of [`crate::reuseport`] has been used.

/// The attribute; it holds the ones below.
pub const INET_DIAG_REUSEPORT: u16 = 23;

/// u32: the group, unique in the system while it lasts.
pub const GROUP: u16 = 1;

/// u32: sockets in the group.
pub const MEMBERS: u16 = 2;

/// String: the policy; not there if the group has none.
pub const POLICY: u16 = 3;

/// u64: the member's id. This one and those below are not there if the socket has no handle.
pub const ID: u16 = 4;

/// u32: its weight.
pub const WEIGHT: u16 = 5;

/// u32: its flags, [`crate::reuseport::MEMBER_DRAIN`].
pub const FLAGS: u16 = 6;

/// u64: lookups that ended at the member.
pub const SELECTIONS: u16 = 7;
