// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Raw `getsockopt` and `setsockopt` on plain old data.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, AsRawFd},
};

use libc::{c_int, socklen_t};

use crate::{Error, Result};

/// Data whose every byte pattern is a value and that holds no padding.
///
/// # Safety
///
/// The kernel writes any bytes into it and reads all of its bytes.
pub(crate) unsafe trait Plain: Copy + Default {}

// SAFETY: integers have neither padding nor invalid patterns.
unsafe impl Plain for u32 {}
// SAFETY: as above.
unsafe impl Plain for u64 {}
// SAFETY: as above.
unsafe impl Plain for c_int {}
// SAFETY: repr(C), integers only, 48 bytes without a gap (asserted in the contract crate).
unsafe impl Plain for telesteer_uapi::takeover::TcpTakeoverInfo {}
// SAFETY: repr(C), integers and byte arrays only, 40 bytes without a gap.
unsafe impl Plain for telesteer_uapi::reuseport::ReuseportPolicyReq {}
// SAFETY: repr(C), integers only, 16 bytes without a gap.
unsafe impl Plain for telesteer_uapi::reuseport::ReuseportMember {}
// SAFETY: repr(C), integers only, 24 bytes without a gap.
unsafe impl Plain for telesteer_uapi::reuseport::ReuseportMemberStats {}

/// Sets an option from raw bytes.
pub(crate) fn set_bytes(
    fd: impl AsFd,
    name: &'static str,
    level: c_int,
    option: c_int,
    value: &[u8],
) -> Result<()> {
    // SAFETY: the descriptor is open for the call (borrowed); pointer and length are of one slice,
    // which the kernel only reads.
    let done = unsafe {
        libc::setsockopt(
            fd.as_fd().as_raw_fd(),
            level,
            option,
            value.as_ptr().cast(),
            value.len() as socklen_t,
        )
    };
    if done == 0 { Ok(()) } else { Err(Error::of(name, io::Error::last_os_error())) }
}

/// Sets an option from a struct.
pub(crate) fn set<T: Plain>(
    fd: impl AsFd,
    name: &'static str,
    level: c_int,
    option: c_int,
    value: &T,
) -> Result<()> {
    // SAFETY: T is plain data without padding, so all its bytes are initialised.
    let bytes = unsafe {
        std::slice::from_raw_parts(std::ptr::from_ref(value).cast::<u8>(), size_of::<T>())
    };
    set_bytes(fd, name, level, option, bytes)
}

/// Reads an option; what the kernel does not fill stays zero. Also says how much it filled.
pub(crate) fn get<T: Plain>(
    fd: impl AsFd,
    name: &'static str,
    level: c_int,
    option: c_int,
) -> Result<(T, usize)> {
    let mut value = MaybeUninit::<T>::zeroed();
    let mut len = size_of::<T>() as socklen_t;
    // SAFETY: the descriptor is borrowed; the kernel writes at most `len` bytes into a buffer of
    // that size.
    let done = unsafe {
        libc::getsockopt(
            fd.as_fd().as_raw_fd(),
            level,
            option,
            value.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    if done != 0 {
        return Err(Error::of(name, io::Error::last_os_error()));
    }
    // SAFETY: zeroed at first, then written by the kernel; every pattern is a value of plain data.
    Ok((unsafe { value.assume_init() }, len as usize))
}
