// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sets that came before their template, in a buffer bounded by count, octets and age.

use std::collections::VecDeque;

use super::Limits;
use super::record::MessageHeader;

/// A set put aside.
#[derive(Debug)]
pub(super) struct Set {
    pub(super) header: MessageHeader,
    pub(super) id: u16,
    pub(super) bytes: Box<[u8]>,
    /// Octet of its datagram at which its first record starts.
    pub(super) offset: u32,
    arrived_s: u64,
}

/// The buffer; the oldest set falls out first.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    sets: VecDeque<Set>,
    bytes: usize,
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.sets.len()
    }

    /// Drops what is too old; says how many.
    pub(super) fn expire(&mut self, now_s: u64, limits: &Limits) -> u64 {
        let mut dropped = 0;
        while let Some(oldest) = self.sets.front() {
            if now_s.saturating_sub(oldest.arrived_s) <= limits.waiting_s {
                break;
            }
            dropped += u64::from(self.drop_oldest());
        }
        dropped
    }

    /// Puts a set aside; says how many were given up for it, itself included if it never fits.
    pub(super) fn push(
        &mut self,
        header: MessageHeader,
        id: u16,
        bytes: &[u8],
        offset: u32,
        now_s: u64,
        limits: &Limits,
    ) -> u64 {
        if limits.waiting_sets == 0 || bytes.len() > limits.waiting_bytes {
            return 1;
        }
        let mut dropped = 0;
        while self.sets.len() >= limits.waiting_sets
            || self.bytes + bytes.len() > limits.waiting_bytes
        {
            dropped += u64::from(self.drop_oldest());
        }
        self.bytes += bytes.len();
        self.sets.push_back(Set { header, id, bytes: bytes.into(), offset, arrived_s: now_s });
        dropped
    }

    fn drop_oldest(&mut self) -> bool {
        match self.sets.pop_front() {
            Some(set) => {
                self.bytes -= set.bytes.len();
                true
            }
            None => false,
        }
    }

    /// Takes out, oldest first, the sets `wanted` says yes to.
    pub(super) fn take(&mut self, mut wanted: impl FnMut(&Set) -> bool) -> Vec<Set> {
        if !self.sets.iter().any(&mut wanted) {
            return Vec::new();
        }
        let (taken, kept): (Vec<Set>, Vec<Set>) =
            std::mem::take(&mut self.sets).into_iter().partition(|set| wanted(set));
        self.sets = kept.into();
        self.bytes = self.sets.iter().map(|set| set.bytes.len()).sum();
        taken
    }
}
