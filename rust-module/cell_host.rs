// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 OR MIT

//! The cells for programs in user space that include `steer/`; the module has its own in `cell.rs`.

use core::sync::atomic::{
    AtomicU32,
    AtomicU64,
    Ordering::Relaxed, //
};

/// 32 bits that several threads read and write.
pub(crate) struct Cell32(AtomicU32);

impl Cell32 {
    pub(crate) fn new(value: u32) -> Self {
        Cell32(AtomicU32::new(value))
    }

    pub(crate) fn get(&self) -> u32 {
        self.0.load(Relaxed)
    }

    pub(crate) fn set(&self, value: u32) {
        self.0.store(value, Relaxed);
    }
}

/// 64 bits that several threads read and write.
pub(crate) struct Cell64(AtomicU64);

impl Cell64 {
    pub(crate) fn new(value: u64) -> Self {
        Cell64(AtomicU64::new(value))
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    pub(crate) fn add(&self, value: u64) {
        self.0.fetch_add(value, Relaxed);
    }

    pub(crate) fn replace(&self, old: u64, new: u64) -> bool {
        self.0.compare_exchange(old, new, Relaxed, Relaxed).is_ok()
    }
}
