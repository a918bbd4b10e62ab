// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `SO_REUSEPORT_POLICY` and `SO_REUSEPORT_MEMBER`.

use std::os::fd::AsFd;

pub use telesteer_uapi::reuseport::{
    KEY_PAYLOAD, KEY_SADDR, KEY_SPORT, MEMBER_DRAIN, ReuseportMember, ReuseportMemberStats,
    ReuseportPolicyReq,
};
use telesteer_uapi::reuseport::{POLICY_NAME_MAX, SO_REUSEPORT_MEMBER, SO_REUSEPORT_POLICY};

use crate::{Error, Result, sockopt};

/// A policy request for `name`.
///
/// # Errors
///
/// [`Error::Refused`] if the name does not fit with its NUL.
pub fn request(name: &str, key: u32, seed: [u8; 16]) -> Result<ReuseportPolicyReq> {
    let mut padded = [0; POLICY_NAME_MAX];
    match padded.get_mut(..name.len()) {
        Some(room) if name.len() < POLICY_NAME_MAX => room.copy_from_slice(name.as_bytes()),
        _ => {
            return Err(Error::Refused(
                "SO_REUSEPORT_POLICY",
                std::io::Error::new(
                    std::io::ErrorKind::InvalidInput,
                    format!("name {name:?} is longer than {} bytes", POLICY_NAME_MAX - 1),
                ),
            ));
        }
    }
    Ok(ReuseportPolicyReq { name: padded, key, seed, ..ReuseportPolicyReq::default() })
}

/// Asks for a policy. On a socket that is not bound yet the policy comes with it into the group.
///
/// # Errors
///
/// [`Error::Missing`] on a kernel without policies; `ENOENT` if it does not know this one.
pub fn set_policy(fd: impl AsFd, request: &ReuseportPolicyReq) -> Result<()> {
    sockopt::set(fd, "SO_REUSEPORT_POLICY", libc::SOL_SOCKET, SO_REUSEPORT_POLICY, request)
}

/// The policy in force in the socket's group; all zero if there is none.
///
/// # Errors
///
/// [`Error::Missing`] on a kernel without policies.
pub fn policy(fd: impl AsFd) -> Result<ReuseportPolicyReq> {
    sockopt::get(fd, "SO_REUSEPORT_POLICY", libc::SOL_SOCKET, SO_REUSEPORT_POLICY)
        .map(|(request, _)| request)
}

/// Sets what the group knows of this socket. With [`MEMBER_DRAIN`] it blocks for a grace period.
///
/// # Errors
///
/// [`Error::Missing`] on a kernel without members.
pub fn set_member(fd: impl AsFd, member: &ReuseportMember) -> Result<()> {
    sockopt::set(fd, "SO_REUSEPORT_MEMBER", libc::SOL_SOCKET, SO_REUSEPORT_MEMBER, member)
}

/// What the group knows of this socket, and how often it was chosen.
///
/// # Errors
///
/// [`Error::Missing`] on a kernel without members.
pub fn member(fd: impl AsFd) -> Result<ReuseportMemberStats> {
    sockopt::get(fd, "SO_REUSEPORT_MEMBER", libc::SOL_SOCKET, SO_REUSEPORT_MEMBER)
        .map(|(info, _)| info)
}
