// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Waiting for a descriptor in the event loop of tokio.

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
    sync::Arc,
};

use tokio::io::{Interest, unix::AsyncFd};

/// Owners of a descriptor that keep it open, and the same one, for as long as they live.
pub trait Owner: AsRawFd + sealed::Sealed {}

impl Owner for OwnedFd {}
impl Owner for Arc<OwnedFd> {}

mod sealed {
    use super::{Arc, OwnedFd};

    pub trait Sealed {}
    impl Sealed for OwnedFd {}
    impl Sealed for Arc<OwnedFd> {}
}

/// Registers a non-blocking descriptor for reading. Only inside a tokio runtime with I/O.
///
/// # Errors
///
/// If the event loop has no room for it.
pub fn readable<T: Owner>(fd: T) -> io::Result<AsyncFd<T>> {
    // SAFETY: the trait is sealed; both owners hold an open descriptor, never replace it, and close
    // it only when dropped, which the AsyncFd does after taking it out of the event loop.
    unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }.map_err(io::Error::from)
}
