// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a detector says.

use std::net::IpAddr;
use telesteer_fam::time::SECOND;
use telesteer_fam::{FiveTuple, Ns};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// At this rate the flow will be alpha. Not said of what is alpha.
    Early,
    /// The flow is alpha: more than H in T.
    Alpha,
    /// The flow has ended. Said of flows that were [`What::Early`] or [`What::Alpha`] before.
    Ended(End),
}

/// Why a flow ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// It was silent.
    Idle,
    /// Its sender ended it.
    Fin,
    /// Heavier flows took its place, so nobody looks at it any more.
    Displaced,
    /// The detector stopped; the flow may live on.
    Stop,
}

impl What {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Early => "early",
            Self::Alpha => "alpha",
            Self::Ended(_) => "ended",
        }
    }
}

impl End {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Fin => "fin",
            Self::Displaced => "displaced",
            Self::Stop => "stop",
        }
    }
}

/// An event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Event {
    /// By the clock of reports: the end of the window, of the slot, or the flow's last packet.
    pub at: Ns,
    /// What happened.
    pub what: What,
    /// The flow.
    pub key: FiveTuple,
    /// Who tells of it.
    pub exporter: IpAddr,
    /// By the detector's clock.
    pub now: Ns,
    /// The flow's first packet.
    pub begun: Ns,
    /// Bytes of the flow so far.
    pub bytes: u64,
    /// Bytes that decided: of the window, or of the slot. 0 for an end.
    pub window: u64,
    /// Bit/s of these; for an end, of the whole flow.
    pub rate: u64,
    /// Reports longer than a slot were spread evenly.
    pub approx: bool,
    /// In the offline table, or there is none.
    pub gated: bool,
    /// Bytes of the last T that may have been missed before the flow was looked at.
    pub missed: u64,
}

/// Bit/s of bytes over a time; of a time less than a millisecond, over that.
pub fn rate(bytes: u64, time: Ns) -> u64 {
    let time = time.max(SECOND / 1000) as u128;
    u64::try_from(u128::from(bytes) * 8 * SECOND as u128 / time).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        assert_eq!(rate(1_000_000_000, 60 * SECOND), 133_333_333);
        assert_eq!(rate(1, 0), 8000);
        assert_eq!(rate(u64::MAX, 1), u64::MAX);
        assert_eq!(rate(125, SECOND), 1000);
    }
}
