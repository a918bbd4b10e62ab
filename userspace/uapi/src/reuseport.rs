// SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR Apache-2.0 OR MIT
//! Selection inside a `SO_REUSEPORT` group by policy and member, level `SOL_SOCKET`.

/// Option: the policy of the socket's group, by name or by [`ReuseportPolicyReq`].
///
/// At most [`POLICY_NAME_MAX`] bytes are a name (an empty one removes the policy), more are the
/// struct. On a socket that is not yet bound it makes the group the socket will bring along; a group
/// that already has a policy keeps it.
pub const SO_REUSEPORT_POLICY: i32 = 86;

/// Option: what the group knows of this socket, [`ReuseportMember`].
///
/// May be set before `bind`, so that the socket joins with its final weight.
pub const SO_REUSEPORT_MEMBER: i32 = 87;

/// Room for a policy name, its NUL included.
pub const POLICY_NAME_MAX: usize = 16;

/// Bytes of a policy seed.
pub const POLICY_SEED_LEN: usize = 16;

/// Key on the source address; always in force.
pub const KEY_SADDR: u32 = 1 << 0;

/// Key on the source port too.
pub const KEY_SPORT: u32 = 1 << 1;

/// Key on the id in the payload too: IPFIX observation domain, NetFlow v9 source id, UDP-notif
/// publisher id.
pub const KEY_PAYLOAD: u32 = 1 << 2;

/// The member gets nothing new. Setting it returns after a grace period: what was on its way to the
/// socket has then arrived, so reading until `EAGAIN` loses nothing.
pub const MEMBER_DRAIN: u32 = 1 << 0;

/// `struct reuseport_policy_req`: a policy and how it is to choose.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReuseportPolicyReq {
    /// Name, padded with NUL.
    pub name: [u8; POLICY_NAME_MAX],
    /// What of a flow names its exporter: [`KEY_SADDR`], [`KEY_SPORT`], [`KEY_PAYLOAD`].
    pub key: u32,
    /// Must be zero.
    pub flags: u32,
    /// Seed of the hash; zero stands for one made at boot. Hosts with equal seeds and member ids
    /// share one map.
    pub seed: [u8; POLICY_SEED_LEN],
    /// An exporter that was silent for so many milliseconds is idle and may move at any time; 0
    /// stands for the policy's default.
    pub idle_ms: u32,
    /// An exporter that is not idle stays at most so many milliseconds where it does not belong
    /// after a member has joined; 0 stands for the policy's default, 1 is at once.
    pub deadline_ms: u32,
    /// By how many thousandths a member may exceed its share of the load and still get idle
    /// exporters; 0 is no bound.
    pub bound: u32,
}

/// `struct reuseport_member`: one socket of the group.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReuseportMember {
    /// Stable name of the member; 0 stands for the socket cookie.
    pub id: u64,
    /// Share relative to the other members, 1 by default. 0 gets nothing new unless all are 0.
    pub weight: u32,
    /// [`MEMBER_DRAIN`].
    pub flags: u32,
}

/// `struct reuseport_member_stats`: what `getsockopt` fills if there is room.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReuseportMemberStats {
    /// The member as set.
    pub member: ReuseportMember,
    /// How often the policy has chosen it.
    pub selections: u64,
}

const _: () = assert!(size_of::<ReuseportPolicyReq>() == 52);
const _: () = assert!(size_of::<ReuseportMember>() == 16);
const _: () = assert!(size_of::<ReuseportMemberStats>() == 24);
