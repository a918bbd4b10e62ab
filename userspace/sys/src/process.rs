// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Limits and signals of the process.

use std::io;

/// Raises the number of descriptors to the hard limit and says what it is now.
///
/// # Errors
///
/// If the kernel refuses either call.
pub fn raise_descriptor_limit() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel fills the struct it is given.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the kernel reads the struct.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(limit.rlim_cur)
}

/// Makes a write beyond `RLIMIT_FSIZE` an error like that of a full disk instead of the end of the
/// process.
///
/// # Errors
///
/// If the kernel refuses.
pub fn ignore_file_size_signal() -> io::Result<()> {
    // SAFETY: ignoring a signal installs no handler, so nothing of ours can run in its context.
    let before = unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    if before == libc::SIG_ERR { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptor_limit_reaches_the_hard_limit() {
        let now = raise_descriptor_limit().unwrap();
        assert_eq!(now, raise_descriptor_limit().unwrap());
        assert!(now > 0);
    }
}
