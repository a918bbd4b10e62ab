// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The routes a session has announced, to log what goes when it ends.

use std::collections::BTreeMap;

use super::Line;
use crate::bmp::PeerKey;

/// Routes kept for one session; further ones are counted and not kept.
const ROUTES_MAX: usize = 8 << 20;

/// Peer, RIB (pre or post policy, in or out), family, route distinguisher, prefix, path id.
pub(super) type RouteKey = (PeerKey, u8, u16, u8, [u8; 8], String, u32);

/// Routes in the order of their keys.
#[derive(Default)]
pub(super) struct Rib {
    routes: BTreeMap<RouteKey, Line>,
    pub(super) dropped: u64,
}

impl Rib {
    pub(super) fn announce(&mut self, key: RouteKey, line: Line) {
        if self.routes.len() >= ROUTES_MAX && !self.routes.contains_key(&key) {
            self.dropped += 1;
            return;
        }
        self.routes.insert(key, line);
    }

    pub(super) fn withdraw(&mut self, key: &RouteKey) -> Option<Line> {
        self.routes.remove(key)
    }

    /// Takes out the routes of one peer, or all.
    pub(super) fn take(&mut self, peer: Option<&PeerKey>) -> Vec<Line> {
        match peer {
            None => std::mem::take(&mut self.routes).into_values().collect(),
            Some(peer) => {
                let first = (*peer, 0, 0, 0, [0; 8], String::new(), 0);
                let mut tail = self.routes.split_off(&first);
                let keep = tail.keys().find(|key| key.0 != *peer).cloned();
                let mut rest = keep.map(|key| tail.split_off(&key)).unwrap_or_default();
                self.routes.append(&mut rest);
                tail.into_values().collect()
            }
        }
    }

    pub(super) fn lines(&self) -> impl Iterator<Item = &Line> {
        self.routes.values()
    }
}
