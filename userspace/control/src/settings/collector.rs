// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `[collector]`: where flows are seen while they live, and what is looked for.

use super::ns;
use serde::Deserialize;
use std::net::IpAddr;
use std::path::PathBuf;
use telesteer_fam::Ns;
use telesteer_fam::time::SECOND;
use telesteer_online::Setting;

/// What is read. Times are in seconds.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Collector {
    /// What it is.
    pub source: Source,
    /// A file, for `records` and `packets`; `-` is standard input.
    #[serde(default)]
    pub path: Option<PathBuf>,
    /// An interface, for `mirror`.
    #[serde(default)]
    pub interface: Option<String>,
    /// The file is read on as it grows.
    #[serde(default = "yes")]
    pub follow: bool,
    /// H in bytes: a flow with more in T is alpha.
    #[serde(default = "gigabyte")]
    pub h: u64,
    /// T.
    #[serde(default = "minute")]
    pub t_s: f64,
    /// Length of a report, or of the bins that packets fall into; 10, or 1 for packets, if left out.
    #[serde(default)]
    pub slot_s: Option<f64>,
    /// A report of so much more counts as one of that length.
    #[serde(default)]
    pub grace_s: f64,
    /// A report that is so much behind the newest of its flow still counts; a slot if left out.
    #[serde(default)]
    pub lateness_s: Option<f64>,
    /// A flow silent for so long has ended; T and a slot if left out.
    #[serde(default)]
    pub idle_s: Option<f64>,
    /// So many slots running whose rate would make it alpha tell it early; 0: never.
    #[serde(default)]
    pub early: u32,
    /// Reports are held back for so long, to be put in order.
    #[serde(default)]
    pub hold_s: f64,
    /// One report moves the clock by at most so much.
    #[serde(default = "five_minutes")]
    pub jump_s: f64,
    /// Flows kept exactly.
    #[serde(default = "flows")]
    pub max_flows: usize,
    /// Counters for the heaviest of all others.
    #[serde(default = "rest")]
    pub rest: usize,
    /// Exporter of records that name none.
    #[serde(default)]
    pub assume_exporter: Option<IpAddr>,
    /// Sampling where records tell none: N, or EXPORTER=N.
    #[serde(default)]
    pub assume_sampling: Vec<String>,
}

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Flow records, in any form that `hntes online` reads.
    Records,
    /// Packets of a capture.
    Packets,
    /// Packets that come in at an interface.
    Mirror,
}

fn yes() -> bool {
    true
}

fn gigabyte() -> u64 {
    1_000_000_000
}

fn minute() -> f64 {
    60.0
}

fn five_minutes() -> f64 {
    300.0
}

fn flows() -> usize {
    65_536
}

fn rest() -> usize {
    4096
}

impl Collector {
    /// What a detector looks for.
    pub fn setting(&self) -> Setting {
        let packets = self.source != Source::Records;
        let slot = ns(self.slot_s.unwrap_or(if packets { 1.0 } else { 10.0 }));
        let t = ns(self.t_s);
        Setting {
            h: self.h,
            t,
            slot,
            grace: ns(self.grace_s),
            lateness: self.lateness_s.map_or(slot, ns),
            idle: self.idle_s.map_or(t.saturating_add(slot), ns),
            early: self.early,
            flows: self.max_flows,
            rest: self.rest,
        }
    }

    /// A flow silent for so long has ended.
    pub fn idle_s(&self) -> f64 {
        self.setting().idle as f64 / SECOND as f64
    }

    /// How long reports are held back, and how far one moves the clock.
    pub fn hold_and_jump(&self) -> (Ns, Ns) {
        (ns(self.hold_s), ns(self.jump_s))
    }

    /// What is said of it.
    pub fn name(&self) -> String {
        let of = match (&self.path, &self.interface) {
            (Some(path), _) => path.display().to_string(),
            (_, Some(interface)) => interface.clone(),
            _ => String::new(),
        };
        let kind = match self.source {
            Source::Records => "records",
            Source::Packets => "packets",
            Source::Mirror => "mirror",
        };
        format!("{kind} {of}")
    }

    /// What of it makes no sense: the key and why.
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        let bad = |key: &str, why: &str| Err((format!("collector.{key}"), why.to_owned()));
        match self.source {
            Source::Mirror if self.interface.is_none() => {
                return bad("interface", "missing: a mirror is read from an interface");
            }
            Source::Records | Source::Packets if self.path.is_none() => {
                return bad("path", "missing: records and packets are read from a file");
            }
            _ => {}
        }
        let times = [
            ("t-s", Some(self.t_s)),
            ("slot-s", self.slot_s),
            ("grace-s", Some(self.grace_s)),
            ("lateness-s", self.lateness_s),
            ("idle-s", self.idle_s),
            ("hold-s", Some(self.hold_s)),
            ("jump-s", Some(self.jump_s)),
        ];
        for (key, value) in times {
            if value.is_some_and(|value| !(0.0..=1e9).contains(&value)) {
                return bad(key, "not a number of seconds");
            }
        }
        if self.setting().slot < SECOND / 1000 {
            return bad("slot-s", "less than a millisecond");
        }
        match self.setting().check() {
            Ok(()) => Ok(()),
            Err(error) => bad("t-s, slot-s, and others", &error.to_string()),
        }
    }
}
