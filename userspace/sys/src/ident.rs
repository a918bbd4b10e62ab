// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Names that outlive a process: socket cookie, network namespace cookie, boot id.

use std::{fs, io, os::fd::AsFd};

use crate::{Result, sockopt};

/// `SO_COOKIE`: unique per boot and network namespace, unchanged by a takeover.
///
/// # Errors
///
/// Only for descriptors that are no sockets.
pub fn socket_cookie(fd: impl AsFd) -> Result<u64> {
    sockopt::get(fd, "SO_COOKIE", libc::SOL_SOCKET, libc::SO_COOKIE).map(|(cookie, _)| cookie)
}

/// `SO_NETNS_COOKIE`: the network namespace of the socket (Linux 5.14).
///
/// # Errors
///
/// [`crate::Error::Missing`] on older kernels.
pub fn netns_cookie(fd: impl AsFd) -> Result<u64> {
    const SO_NETNS_COOKIE: i32 = 71;
    sockopt::get(fd, "SO_NETNS_COOKIE", libc::SOL_SOCKET, SO_NETNS_COOKIE).map(|(cookie, _)| cookie)
}

/// The id the kernel drew at boot, 36 characters.
///
/// # Errors
///
/// If `/proc` is not mounted.
pub fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn cookies_name_sockets_and_namespace() {
        let (a, b) =
            (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        assert_ne!(socket_cookie(&a).unwrap(), socket_cookie(&b).unwrap());
        assert_eq!(socket_cookie(&a).unwrap(), socket_cookie(&a).unwrap());
        assert_eq!(netns_cookie(&a).unwrap(), netns_cookie(&b).unwrap());
        assert_eq!(boot_id().unwrap().len(), 36);
    }
}
