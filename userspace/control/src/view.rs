// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the status page shows, and `/status.json` says. Version 1: fields may be added within it.
//!
//! Instants are milliseconds since 1970 UTC: nanoseconds are more than a browser's numbers hold. Lists
//! are bounded by who makes the view; what is left off is counted in [`View::left_off`].

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of what is served.
pub const VERSION: u32 = 1;

/// Most lines of each list.
pub const LINES: usize = 500;

/// The loop at one instant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct View {
    /// [`VERSION`].
    pub version: u32,
    /// When it was made.
    pub now_ms: u64,
    /// When the loop started.
    pub started_ms: u64,
    /// Whether anything is touched.
    pub mode: Mode,
    /// What the loop reads.
    pub inputs: Vec<Input>,
    /// Routers of the topology, and those that policy routes are set on.
    pub routers: Vec<Router>,
    /// Links between them.
    pub links: Vec<Link>,
    /// Paths that traffic may be put on.
    pub lsps: Vec<Lsp>,
    /// Circuits by state: the states of `telesteer_circuit::life`.
    pub circuits: BTreeMap<String, u64>,
    /// Policy routes by router, then by state: the states of `telesteer_redirect::life`.
    pub routes: BTreeMap<String, BTreeMap<String, u64>>,
    /// Alpha flows that live.
    pub flows: Vec<Flow>,
    /// Tickets by state.
    pub tickets: BTreeMap<String, u64>,
    /// The latest changes, the newest first.
    pub history: Vec<Event>,
    /// Delays, each as a histogram: by name, such as `detection` or `installation`.
    pub delays: Vec<Delay>,
    /// What fell off, was refused or was late.
    pub lost: Vec<Lost>,
    /// Lines that a bound kept out of a list, by the list's name.
    pub left_off: BTreeMap<String, u64>,
}

/// Whether the loop acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It reads back what there is before it acts.
    #[default]
    Starting,
    /// It sets circuits and routes.
    Live,
    /// It says what it would do and touches nothing.
    DryRun,
    /// It ends.
    Stopping,
}

/// Something that is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Input {
    /// Such as `records`, `mirror eth1`, `offline table`.
    pub name: String,
    /// When something last came; `None`: nothing yet.
    pub last_ms: Option<u64>,
    /// After so long without anything it is stale; `None`: it may be silent.
    pub stale_after_ms: Option<u64>,
    /// Why it is not read now, or not as it should be; empty if it is.
    pub trouble: String,
    /// In words, such as the day of a table; may be empty.
    pub note: String,
}

/// A router.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Router {
    /// Its name in the topology or in the configuration.
    pub name: String,
    /// What flow records call it; may be empty.
    pub address: String,
    /// The device that sets policy routes on it; empty if none.
    pub device: String,
    /// Why it could not be read or set; empty if it could.
    pub trouble: String,
}

/// A link between two routers, each way the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Link {
    /// One router.
    pub a: String,
    /// The other.
    pub b: String,
    /// Capacity each way, Mb/s.
    pub mbps: u64,
    /// Of it, what circuits have reserved, Mb/s, of the direction that has more.
    pub reserved_mbps: u64,
    /// Of it, what circuits may reserve, Mb/s.
    pub reservable_mbps: u64,
}

/// A path, and the circuit it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lsp {
    /// Its name.
    pub name: String,
    /// Where traffic comes in.
    pub ingress: String,
    /// Where it leaves.
    pub egress: String,
    /// Routers from the first to the last; its ends if the way between is not known.
    pub hops: Vec<String>,
    /// State of its circuit, as in [`View::circuits`].
    pub state: String,
    /// What it is for: `offline`, `online`, `ticket`; the strongest of these.
    pub wanted_by: String,
    /// Reserved, Mb/s; `None`: rate-unlimited.
    pub rate_mbps: Option<u64>,
    /// What its live flows send, Mb/s, as far as their rate is known.
    pub used_mbps: f64,
    /// When it ends; `None`: it does not.
    pub until_ms: Option<u64>,
}

/// An alpha flow that lives, or an announced one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Flow {
    /// `192.0.2.1:40000 198.51.100.2:5001 tcp`.
    pub key: String,
    /// Where it came in and where it leaves, if known.
    pub ingress: String,
    /// See there.
    pub egress: String,
    /// The path it is on by what was read back; `None`: it goes where IP routing sends it.
    pub lsp: Option<String>,
    /// State of its policy route, as in [`View::routes`]; `held`: it is to wait until the flow is idle;
    /// empty: none is wanted.
    pub route: String,
    /// First packet.
    pub begun_ms: u64,
    /// When it was known; for an announced one, its start.
    pub detected_ms: u64,
    /// Bits a second; 0: not known.
    pub rate_bps: u64,
    /// So far.
    pub bytes: u64,
    /// Announced by this ticket.
    pub ticket: Option<String>,
}

/// A line of the history, as in the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Event {
    /// Number in the audit log.
    pub seq: u64,
    /// When.
    pub at_ms: u64,
    /// Such as `route installed`.
    pub what: String,
    /// Of which flow, circuit, ticket or router.
    pub subject: String,
    /// Why.
    pub reason: String,
}

/// A histogram of delays in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delay {
    /// What is measured.
    pub name: String,
    /// In words: from what to what.
    pub meaning: String,
    /// Upper bounds of the first bins, in ms, inclusive, ascending.
    pub bounds_ms: Vec<u64>,
    /// A count a bin, and one more for all beyond the last bound.
    pub counts: Vec<u64>,
    /// Sum of all, in ms.
    pub sum_ms: u64,
}

/// Bounds that suit from a netlink call to a commit of minutes, in ms.
pub const BOUNDS_MS: [u64; 14] =
    [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 120_000];

impl Delay {
    /// An empty one with [`BOUNDS_MS`].
    pub fn new(name: &str, meaning: &str) -> Self {
        Self {
            name: name.to_owned(),
            meaning: meaning.to_owned(),
            bounds_ms: BOUNDS_MS.to_vec(),
            counts: vec![0; BOUNDS_MS.len() + 1],
            sum_ms: 0,
        }
    }

    /// Counts one.
    pub fn add(&mut self, ms: u64) {
        let bin = self.bounds_ms.partition_point(|bound| *bound < ms);
        if let Some(count) = self.counts.get_mut(bin) {
            *count = count.saturating_add(1);
            self.sum_ms = self.sum_ms.saturating_add(ms);
        }
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }
}

/// A counter of what fell off.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lost {
    /// Its name in the metrics, without their prefix.
    pub name: String,
    /// So many.
    pub count: u64,
    /// What it counts, in words.
    pub meaning: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_inclusive() {
        let mut delay = Delay::new("detection", "first byte to event");
        for ms in [0, 5, 6, 120_000, 120_001, u64::MAX] {
            delay.add(ms);
        }
        let with = |bin: usize| delay.counts[bin];
        assert_eq!((with(0), with(1), with(13), with(14)), (2, 1, 1, 2));
        assert_eq!((delay.count(), delay.sum_ms), (6, u64::MAX));
        assert!(delay.bounds_ms.is_sorted() && delay.counts.len() == delay.bounds_ms.len() + 1);
    }

    #[test]
    fn a_reader_of_an_older_view_fills_in() {
        let view: View = serde_json::from_str(r#"{"version":1,"lsps":[{"name":"a"}]}"#).unwrap();
        assert_eq!((view.mode, view.lsps[0].rate_mbps), (Mode::Starting, None));
        let text = serde_json::to_string(&view).unwrap();
        assert_eq!(serde_json::from_str::<View>(&text).unwrap(), view);
        assert!(text.contains(r#""mode":"starting""#), "{text}");
    }
}
