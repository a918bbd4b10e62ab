// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What options records tell about an exporter: sampling, interface names, VRF names.
//!
//! Sampling is told in several dialects: v9's random and plain sampling (elements 34, 48-50), PSAMP
//! selectors (302-311), per interface or for the whole exporter. All become "packets observed for
//! each one sampled".

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::element::{Element, V9_SCOPE};
use super::record::{Record, Value};

/// Interface names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// `interfaceName` (82).
    pub name: Option<String>,
    /// `interfaceDescription` (83).
    pub description: Option<String>,
}

/// A VRF.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vrf {
    /// `VRFname` (236).
    pub name: Option<String>,
    /// `mplsVpnRouteDistinguisher` (90).
    pub rd: Option<[u8; 8]>,
}

/// The options of one observation domain, each table bounded by the session's limits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// Sampling interval by sampler (48) or selector (302) id.
    #[serde(default)]
    pub samplers: BTreeMap<u64, u32>,
    /// Sampling interval by ingress interface.
    #[serde(default)]
    pub interface_sampling: BTreeMap<u32, u32>,
    /// Sampling interval of the whole exporter.
    #[serde(default)]
    pub sampling: Option<u32>,
    /// When the exporter started, milliseconds since 1970.
    #[serde(default)]
    pub system_init_ms: Option<u64>,
    /// Names by interface index.
    #[serde(default)]
    pub interfaces: BTreeMap<u32, Interface>,
    /// VRFs by VRF id.
    #[serde(default)]
    pub vrfs: BTreeMap<u32, Vrf>,
}

/// What became of an options record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Learned {
    /// A table changed.
    pub(super) changed: bool,
    /// Entries refused because their table was full.
    pub(super) refused: u64,
}

impl Options {
    /// Takes in one options record; each table holds at most `limit` entries.
    pub(super) fn learn(&mut self, record: &Record<'_>, limit: usize) -> Learned {
        let mut learned = Learned::default();
        let interface = scope_interface(record);
        if let Some(interval) = interval(record) {
            let sampler = record.unsigned(302).or_else(|| record.unsigned(48));
            match (sampler, interface) {
                (Some(sampler), _) => {
                    put(&mut self.samplers, sampler, interval, limit, &mut learned)
                }
                (None, Some(interface)) => {
                    put(&mut self.interface_sampling, interface, interval, limit, &mut learned);
                }
                (None, None) => {
                    learned.changed |= self.sampling != Some(interval);
                    self.sampling = Some(interval);
                }
            }
        }
        if let Some(init) = record.unsigned(160).filter(|init| *init > 0) {
            learned.changed |= self.system_init_ms != Some(init);
            self.system_init_ms = Some(init);
        }
        if let Some(index) = interface {
            let name = string(record, 82);
            let description = string(record, 83);
            if name.is_some() || description.is_some() {
                let known = self.interfaces.get(&index).cloned().unwrap_or_default();
                let names = Interface {
                    name: name.or(known.name),
                    description: description.or(known.description),
                };
                put(&mut self.interfaces, index, names, limit, &mut learned);
            }
        }
        let vrf_id = record.unsigned(234).or_else(|| record.unsigned(235));
        if let Some(id) = vrf_id.and_then(|id| u32::try_from(id).ok()) {
            let name = string(record, 236);
            let rd = record.octets(Element::iana(90)).and_then(|bytes| bytes.try_into().ok());
            if name.is_some() || rd.is_some() {
                let known = self.vrfs.get(&id).cloned().unwrap_or_default();
                let vrf = Vrf { name: name.or(known.name), rd: rd.or(known.rd) };
                put(&mut self.vrfs, id, vrf, limit, &mut learned);
            }
        }
        learned
    }

    /// The interval for a sampler id, an ingress interface, or anything.
    pub(super) fn interval_for(&self, sampler: Option<u64>, ingress: Option<u64>) -> Option<u32> {
        sampler
            .and_then(|id| self.samplers.get(&id))
            .or_else(|| {
                let ingress = u32::try_from(ingress?).ok()?;
                self.interface_sampling.get(&ingress)
            })
            .copied()
            .or(self.sampling)
    }

    /// Whether any sampling is known, so that records need looking at.
    pub(super) fn knows_sampling(&self) -> bool {
        self.sampling.is_some() || !self.samplers.is_empty() || !self.interface_sampling.is_empty()
    }
}

fn put<K: Ord, V: PartialEq>(
    table: &mut BTreeMap<K, V>,
    key: K,
    value: V,
    limit: usize,
    learned: &mut Learned,
) {
    if let Some(known) = table.get_mut(&key) {
        learned.changed |= *known != value;
        *known = value;
    } else if table.len() < limit {
        table.insert(key, value);
        learned.changed = true;
    } else {
        learned.refused += 1;
    }
}

/// The interface an options record is about: a v9 interface scope, or an interface element.
fn scope_interface(record: &Record<'_>) -> Option<u32> {
    let scope = Element { pen: V9_SCOPE, id: 2 };
    [scope, Element::iana(10), Element::iana(14), Element::iana(252), Element::iana(253)]
        .into_iter()
        .find_map(|element| record.get(element)?.as_u64())
        .and_then(|index| u32::try_from(index).ok())
}

fn string(record: &Record<'_>, id: u16) -> Option<String> {
    match record.get(Element::iana(id))? {
        Value::Text(bytes) => {
            Some(String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned())
        }
        _ => None,
    }
}

/// What a record says about its sampling.
enum Told {
    /// Packets observed, and how many of them were taken: at least one, at most all.
    Ratio(u64, u64),
    /// The share that was taken: above 0, at most 1.
    Share(f64),
}

/// The sampling of a record, in whichever dialect it says it.
fn told(record: &Record<'_>) -> Option<Told> {
    let packets = |id| record.unsigned(id).filter(|value| *value > 0);
    let ratio = |observed: u64, taken: u64| {
        let interval = observed / taken;
        (interval > 0 && interval <= u64::from(u32::MAX)).then_some(Told::Ratio(observed, taken))
    };
    // PSAMP systematic count-based: `interval` packets taken, then `space` packets skipped.
    // Exporters that send 305 alone mean "one in so many".
    let systematic = || {
        let taken = packets(305)?;
        match record.unsigned(306) {
            None | Some(0) => ratio(taken, 1),
            Some(skipped) => ratio(taken.saturating_add(skipped), taken),
        }
    };
    // PSAMP random n-out-of-N.
    let random = || ratio(packets(310)?, packets(309)?);
    let probabilistic = || match record.get(Element::iana(311))? {
        Value::Float(share) if share > 0.0 && share <= 1.0 => {
            ((1.0 / share).round() <= f64::from(u32::MAX)).then_some(Told::Share(share))
        }
        _ => None,
    };
    // A record may carry the parameters of all; selectorAlgorithm (304) says which one counts.
    let said = match record.unsigned(304) {
        Some(1) => systematic(),
        Some(4) => probabilistic(),
        _ => None,
    };
    let said = said.or_else(random).or_else(systematic).or_else(probabilistic);
    said.or_else(|| ratio([50, 34].into_iter().find_map(packets)?, 1))
}

/// Packets observed for each one sampled, as a whole number.
pub(super) fn interval(record: &Record<'_>) -> Option<u32> {
    match told(record)? {
        Told::Ratio(observed, taken) => u32::try_from(observed / taken).ok(),
        Told::Share(share) => Some((1.0 / share).round() as u32),
    }
}

/// Packets observed and how many of them were sampled, in lowest terms; a share is given to a
/// millionth.
pub(super) fn ratio(record: &Record<'_>) -> Option<(u32, u32)> {
    const MILLION: f64 = 1e6;
    let (observed, taken) = match told(record)? {
        Told::Ratio(observed, taken) => (observed, taken),
        Told::Share(share) if share * f64::from(u32::MAX) < MILLION => {
            ((1.0 / share).round() as u64, 1)
        }
        Told::Share(share) => ((MILLION / share).round() as u64, MILLION as u64),
    };
    let common = common_divisor(observed, taken);
    match (u32::try_from(observed / common), u32::try_from(taken / common)) {
        (Ok(observed), Ok(taken)) => Some((observed, taken)),
        _ => Some((u32::try_from(observed / taken).ok()?, 1)),
    }
}

/// The largest number that divides both; `b` is not 0.
fn common_divisor(a: u64, b: u64) -> u64 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

impl Options {
    /// Adds what `stored` knows and this does not, within `limit` entries a table.
    pub(super) fn fill_from(&mut self, stored: &Options, limit: usize) {
        fn fill<K: Ord + Copy, V: Clone>(
            own: &mut BTreeMap<K, V>,
            stored: &BTreeMap<K, V>,
            limit: usize,
        ) {
            for (key, value) in stored {
                if own.len() >= limit {
                    return;
                }
                own.entry(*key).or_insert_with(|| value.clone());
            }
        }
        fill(&mut self.samplers, &stored.samplers, limit);
        fill(&mut self.interface_sampling, &stored.interface_sampling, limit);
        fill(&mut self.interfaces, &stored.interfaces, limit);
        fill(&mut self.vrfs, &stored.vrfs, limit);
        self.sampling = self.sampling.or(stored.sampling);
        self.system_init_ms = self.system_init_ms.or(stored.system_init_ms);
    }
}
