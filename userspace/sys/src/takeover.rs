// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `TCP_TAKEOVER` and `TCP_TAKEOVER_INFO`.

use std::os::fd::AsFd;

pub use telesteer_uapi::takeover::{BUDGET_MASK, CLOSE, EXIT, TcpTakeoverInfo, budget};
use telesteer_uapi::takeover::{TCP_TAKEOVER, TCP_TAKEOVER_INFO};

use crate::{Result, sockopt};

/// Sets when siblings may inherit the connection, or the future connections of a listener.
///
/// # Errors
///
/// [`crate::Error::Missing`] on a kernel without takeover.
pub fn set(fd: impl AsFd, flags: u32) -> Result<()> {
    sockopt::set(fd, "TCP_TAKEOVER", libc::IPPROTO_TCP, TCP_TAKEOVER, &flags)
}

/// The flags in force.
///
/// # Errors
///
/// [`crate::Error::Missing`] on a kernel without takeover.
pub fn get(fd: impl AsFd) -> Result<u32> {
    sockopt::get(fd, "TCP_TAKEOVER", libc::IPPROTO_TCP, TCP_TAKEOVER).map(|(flags, _)| flags)
}

/// What the kernel tells the owner of a connection about its earlier owners.
///
/// # Errors
///
/// [`crate::Error::Missing`] on a kernel without takeover.
pub fn info(fd: impl AsFd) -> Result<TcpTakeoverInfo> {
    sockopt::get(fd, "TCP_TAKEOVER_INFO", libc::IPPROTO_TCP, TCP_TAKEOVER_INFO)
        .map(|(info, _)| info)
}
