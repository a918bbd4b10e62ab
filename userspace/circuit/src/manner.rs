// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How circuits are asked for, kept and given up.

use crate::life::Waits;
use crate::request::Best;
use serde::{Deserialize, Serialize};

/// How circuits are asked for, kept and given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Manner {
    /// Bounds of waits for the provider.
    pub waits: Waits,
    /// How far ahead the end of an online circuit is.
    pub lease_ms: u64,
    /// How long an online circuit stays after its last flow.
    pub linger_ms: u64,
    /// How long a circuit waits for packets to be steered away before it is taken down all the same;
    /// so long before its end it is left, if it was not extended and no other one is up before.
    pub withdraw_ms: u64,
    /// Attempts to set one up, or to give one back.
    pub attempts: u32,
    /// From one attempt to the next; doubled each time.
    pub retry_ms: u64,
    /// Most circuits.
    pub circuits: usize,
    /// Most flows counted on one.
    pub flows: usize,
    /// Which paths are best.
    pub best: Best,
    /// Away from the path that IP routing takes.
    pub off_ip_path: bool,
}

impl Manner {
    /// How long before its end a circuit that was not extended is left. Less than the time in which
    /// extensions are tried, however short the lease is.
    pub fn margin_ms(&self) -> u64 {
        self.withdraw_ms.min(self.lease_ms / 4)
    }

    /// How long before its end another circuit is asked for in place of one that was not extended: half
    /// the time in which extensions are tried is left to set it up.
    pub fn replace_ms(&self) -> u64 {
        let margin = self.margin_ms();
        margin + (self.lease_ms / 2).saturating_sub(margin) / 2
    }
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            waits: Waits::default(),
            lease_ms: 600_000,
            linger_ms: 60_000,
            withdraw_ms: 30_000,
            attempts: 5,
            retry_ms: 10_000,
            circuits: 256,
            flows: 4096,
            best: Best::Hops,
            off_ip_path: false,
        }
    }
}
