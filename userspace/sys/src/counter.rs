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

/// Nanoseconds that a process, which must not have ended, has been on a processor.
///
/// # Errors
///
/// If there is no such process.
pub fn process_time(pid: u32) -> io::Result<u64> {
    // As clock_getcpuclockid(3) makes it: the complement of the pid, and "all threads, scheduler".
    const ALL_THREADS: libc::clockid_t = 2;
    clock((!(pid as libc::clockid_t) << 3) | ALL_THREADS)
}

/// Nanoseconds, in whole microseconds, that the children which this process has waited for had been
/// on a processor.
///
/// # Errors
///
/// If the kernel refuses.
pub fn children_time() -> io::Result<u64> {
    // SAFETY: an all-zero rusage is a valid value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel fills the struct it is given.
    if unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let of = |time: libc::timeval| time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64;
    Ok((of(usage.ru_utime) + of(usage.ru_stime)) * 1000)
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
    fn what_a_child_used_is_known_before_and_after_its_end() {
        use std::io::{BufRead, BufReader};
        let mut child = std::process::Command::new("sh")
            .args(["-c", "i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done; echo; read -r _"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let before = process_time(child.id()).unwrap();
        assert!(before > 0);
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(children_time().unwrap() + 1000 >= before);
    }

    #[test]
    fn a_grace_period_comes_to_its_end() {
        grace_period().unwrap();
    }
}
