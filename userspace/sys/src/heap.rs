// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How the C library keeps memory that was freed.

/// Most that the allocator takes for the size of a piece that it gives back at once.
#[cfg(target_env = "gnu")]
const PIECE_MAX: i32 = 32 << 20;

/// Asks the allocator to keep up to so many freed octets for the next allocation, where it would give
/// them back to the kernel at once and get them again page by page: a loop that holds a few MiB a turn
/// pays for that in page faults. The most memory in use stays what it was. `false` if this C library has
/// no such setting; nothing depends on it.
pub fn keep_freed(octets: i32) -> bool {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: mallopt takes two integers and touches nothing of ours; it may be called at any time.
        let set = |what, value| unsafe { libc::mallopt(what, value) } == 1;
        set(libc::M_TRIM_THRESHOLD, octets) && set(libc::M_MMAP_THRESHOLD, octets.min(PIECE_MAX))
    }
    #[cfg(not(target_env = "gnu"))]
    {
        let _ = octets;
        false
    }
}

#[cfg(all(test, target_env = "gnu"))]
mod tests {
    #[test]
    fn the_allocator_takes_it() {
        assert!(super::keep_freed(256 << 20));
    }
}
