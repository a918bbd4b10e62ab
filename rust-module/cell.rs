// SPDX-License-Identifier: GPL-2.0

//! The cells that `steer` keeps its state in: atomics of the kernel, without any order.
//!
//! Each word stands for itself. A reader that sees one before another places a packet as it would
//! have been placed a moment ago.

use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

/// 32 bits that several processors read and write.
pub(crate) struct Cell32(Atomic<u32>);

impl Cell32 {
    pub(crate) fn new(value: u32) -> Self {
        Cell32(Atomic::new(value))
    }

    #[inline(always)]
    pub(crate) fn get(&self) -> u32 {
        self.0.load(Relaxed)
    }

    #[inline(always)]
    pub(crate) fn set(&self, value: u32) {
        self.0.store(value, Relaxed);
    }
}

/// 64 bits that several processors read and write.
pub(crate) struct Cell64(Atomic<u64>);

impl Cell64 {
    pub(crate) fn new(value: u64) -> Self {
        Cell64(Atomic::new(value))
    }

    #[inline(always)]
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    #[inline(always)]
    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    #[inline(always)]
    pub(crate) fn add(&self, value: u64) {
        self.0.add(value, Relaxed);
    }

    /// Sets it to `new` if it is `old`; says whether it was.
    pub(crate) fn replace(&self, old: u64, new: u64) -> bool {
        self.0.cmpxchg(old, new, Relaxed).is_ok()
    }
}
