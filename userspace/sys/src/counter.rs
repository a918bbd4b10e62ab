// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Clocks for measuring code: the cycle counter, and the time this thread has run.
//!
//! In a guest that QEMU runs with `-icount shift=0` both count executed instructions.

use std::io;

/// The counter of the processor, from an arbitrary start.
#[cfg(target_arch = "x86_64")]
pub fn cycles() -> u64 {
    // SAFETY: the instruction has no operands; Linux lets every process use it unless the process
    // has forbidden it to itself.
    unsafe { std::arch::x86_64::_rdtsc() }
}

/// Nanoseconds from an arbitrary start, where the processor's counter is not read directly.
#[cfg(not(target_arch = "x86_64"))]
pub fn cycles() -> u64 {
    clock(libc::CLOCK_MONOTONIC).unwrap_or(0)
}

/// Nanoseconds that the calling thread has been on a processor, in user space and in the kernel.
///
/// # Errors
///
/// Only if the kernel lacks the clock.
pub fn thread_time() -> io::Result<u64> {
    clock(libc::CLOCK_THREAD_CPUTIME_ID)
}

fn clock(id: libc::clockid_t) -> io::Result<u64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel fills the struct it is given.
    if unsafe { libc::clock_gettime(id, &raw mut time) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

/// Waits until every packet that was on its way through the kernel when this was called has
/// arrived where it was going (a grace period of RCU, by `membarrier`). May take some milliseconds.
///
/// # Errors
///
/// If the kernel was built without `membarrier`.
pub fn grace_period() -> io::Result<()> {
    const MEMBARRIER_CMD_GLOBAL: libc::c_int = 1;
    // SAFETY: the call takes three integers.
    let done = unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_move_with_work() {
        let (cycle, time) = (cycles(), thread_time().unwrap());
        let sum: u64 = (0..1_000_000_u64).map(std::hint::black_box).sum();
        assert!(sum > 0 && cycles() > cycle && thread_time().unwrap() > time);
    }

    #[test]
    fn a_grace_period_comes_to_its_end() {
        grace_period().unwrap();
    }
}
