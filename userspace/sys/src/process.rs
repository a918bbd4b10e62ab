// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Limits and signals of the process.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

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

/// Has what `command` starts killed when the thread that starts it ends, however that comes about.
pub fn die_with_parent(command: &mut Command) {
    let parent = std::process::id();
    let prepare = move || {
        // SAFETY: a number and no pointers.
        if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // It may have ended before; then nobody sends the signal.
        // SAFETY: no arguments, and it cannot fail.
        match u32::try_from(unsafe { libc::getppid() }) {
            Ok(id) if id == parent => Ok(()),
            _ => Err(io::Error::from_raw_os_error(libc::ESRCH)),
        }
    };
    // SAFETY: between fork and exec it makes two system calls, and neither allocates nor locks.
    unsafe { command.pre_exec(prepare) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn what_is_started_ends_with_who_started_it() {
        let start = || {
            let mut command = Command::new("sleep");
            command.arg("600");
            die_with_parent(&mut command);
            command.spawn().unwrap()
        };
        let mut child = std::thread::spawn(start).join().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
    }

    #[test]
    fn descriptor_limit_reaches_the_hard_limit() {
        let now = raise_descriptor_limit().unwrap();
        assert_eq!(now, raise_descriptor_limit().unwrap());
        assert!(now > 0);
    }
}
