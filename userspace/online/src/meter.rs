// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Method 1: a router measures rates itself, by meters or policers, and nobody tells us. Somebody reads
//! their counters; here the readings become events, by the rule that flows are found by.

use crate::event::rate;
use crate::ring::Ring;
use crate::setting::{BadSetting, Setting};
use std::collections::BTreeMap;
use telesteer_fam::Ns;
use telesteer_fam::time::SECOND;

/// What a router's counters are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Bits of a counter, after which it begins at 0 again.
    pub bits: u32,
    /// The fastest that it can count, in bit/s: what is faster is no count.
    pub fastest: u64,
    /// Most meters.
    pub room: usize,
}

impl Default for Kind {
    fn default() -> Self {
        Self { bits: 64, fastest: 10_000_000_000_000, room: 65_536 }
    }
}

/// What a meter's rate did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// More than H in the last T.
    Above,
    /// No window of a whole T has had more than H since: at the threshold one falls now and then.
    Below,
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crossing {
    /// The meter.
    pub name: String,
    /// When it was read.
    pub at: Ns,
    /// What its rate did.
    pub change: Change,
    /// Bytes of the last T.
    pub bytes: u64,
    /// Bit/s since the reading before.
    pub rate: u64,
}

#[derive(Clone, Debug)]
struct Meter {
    bytes: u64,
    at: Ns,
    /// When the last T had more than H, lately.
    above: Option<Ns>,
    ring: Ring,
}

/// What was odd about readings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Odd {
    /// Counters that began at 0 again, being full.
    pub wraps: u64,
    /// Counters that were set back.
    pub resets: u64,
    /// Readings that say more than can have been; they are where counting goes on from.
    pub impossible: u64,
    /// Readings that are not later than the one before; left out.
    pub stale: u64,
    /// Readings of meters for which there was no room.
    pub no_room: u64,
}

/// All meters.
#[derive(Clone, Debug)]
pub struct Meters {
    setting: Setting,
    kind: Kind,
    meters: BTreeMap<String, Meter>,
    /// What was odd.
    pub odd: Odd,
}

/// Bytes since the reading before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grown {
    By(u64),
    Wrapped(u64),
    Reset(u64),
    Impossible,
}

fn grown(before: u64, now: u64, time: Ns, kind: &Kind) -> Grown {
    let can = |bytes: u64| {
        u128::from(bytes) * 8 * SECOND as u128 <= u128::from(kind.fastest) * time.max(0) as u128
    };
    let mask = 1u64.checked_shl(kind.bits).map_or(u64::MAX, |full| full.wrapping_sub(1));
    let wrapped = now.wrapping_sub(before) & mask;
    if now >= before {
        return if can(now - before) { Grown::By(now - before) } else { Grown::Impossible };
    }
    // A counter of 64 bits is never full.
    if kind.bits < 64 && before <= mask && can(wrapped) {
        Grown::Wrapped(wrapped)
    } else if can(now) {
        Grown::Reset(now)
    } else {
        Grown::Impossible
    }
}

impl Meters {
    /// No meter read yet. Of the setting H, T, slot and grace count; readings should be a slot apart.
    ///
    /// # Errors
    ///
    /// A setting that makes no sense.
    pub fn new(setting: Setting, kind: Kind) -> Result<Self, BadSetting> {
        setting.check()?;
        Ok(Self { setting, kind, meters: BTreeMap::new(), odd: Odd::default() })
    }

    /// Takes a reading.
    pub fn read(&mut self, name: &str, bytes: u64, at: Ns) -> Option<Crossing> {
        let Some(meter) = self.meters.get_mut(name) else {
            // The first says from where to count.
            if self.meters.len() < self.kind.room {
                let meter = Meter { bytes, at, above: None, ring: Ring::default() };
                self.meters.insert(name.to_owned(), meter);
            } else {
                self.odd.no_room += 1;
            }
            return None;
        };
        if at <= meter.at {
            self.odd.stale += 1;
            return None;
        }
        let time = at.saturating_sub(meter.at);
        let more = match grown(meter.bytes, bytes, time, &self.kind) {
            Grown::By(more) => more,
            Grown::Wrapped(more) => {
                self.odd.wraps += 1;
                more
            }
            Grown::Reset(more) => {
                self.odd.resets += 1;
                more
            }
            Grown::Impossible => {
                self.odd.impossible += 1;
                0
            }
        };
        meter.ring.take((meter.at, at), more, &self.setting);
        (meter.bytes, meter.at) = (bytes, at);
        let bytes = meter.ring.newest(&self.setting).map_or(0, |window| window.bytes);
        let over = bytes > self.setting.h;
        let change = match meter.above {
            None if over => Change::Above,
            Some(last) if !over && at.saturating_sub(last) >= self.setting.t => Change::Below,
            Some(last) => {
                meter.above = Some(if over { at } else { last });
                return None;
            }
            None => return None,
        };
        meter.above = over.then_some(at);
        Some(Crossing { name: name.to_owned(), at, change, bytes, rate: rate(more, time) })
    }

    /// How many meters there are.
    pub fn len(&self) -> usize {
        self.meters.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.meters.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind = Kind { bits: 32, fastest: 80_000_000_000, room: 2 };

    /// Crossings of a meter whose counter goes up by `rates` bytes in each 10 s, from `from` on.
    fn crossings(meters: &mut Meters, from: u64, rates: &[u64]) -> Vec<(i64, Change)> {
        let (mut bytes, mut found) = (from, Vec::new());
        for (n, rate) in [0].iter().chain(rates).enumerate() {
            bytes = (bytes + rate) % (1 << 32);
            let crossing = meters.read("lsp", bytes, n as i64 * 10 * SECOND);
            found.extend(crossing.map(|crossing| (crossing.at / SECOND, crossing.change)));
        }
        found
    }

    #[test]
    fn nine_tenths_are_silent_and_eleven_tenths_are_one_event() {
        let setting = Setting { h: 600_000_000, ..Setting::default() };
        let meters = || Meters::new(setting, KIND).unwrap();
        assert_eq!(crossings(&mut meters(), 0, &[90_000_000; 30]), []);
        let above = [(60, Change::Above)];
        assert_eq!(crossings(&mut meters(), 0, &[110_000_000; 30]), above);
        let mut falls = [110_000_000; 30];
        falls[20..].fill(0);
        // A T after the last one that had more.
        let both = [(60, Change::Above), (260, Change::Below)];
        assert_eq!(crossings(&mut meters(), 0, &falls), both);
        // What goes up and down around the threshold is one event too.
        let around: Vec<u64> =
            [8, 13, 9, 9, 13, 9].repeat(5).iter().map(|n| n * 10_000_000).collect();
        let found = crossings(&mut meters(), 0, &around);
        assert_eq!(found.len(), 1, "{found:?}");
        // Counters wrap on the way: every 390 s, and at once.
        let mut wrapped = meters();
        assert_eq!(crossings(&mut wrapped, u32::MAX.into(), &[110_000_000; 60]), above);
        assert_eq!(wrapped.odd.wraps, 2);
    }

    #[test]
    fn counters_are_set_back_and_lie() {
        assert_eq!(grown(7, 9, SECOND, &KIND), Grown::By(2));
        assert_eq!(grown((1 << 32) - 1, 9, SECOND, &KIND), Grown::Wrapped(10));
        // 4 GB in a second are no wrap of 80 Gb/s over 0.1 s.
        assert_eq!(grown(500_000_000, 9, SECOND / 10, &KIND), Grown::Reset(9));
        assert_eq!(grown(0, u64::MAX, SECOND, &KIND), Grown::Impossible);
        assert_eq!(grown(1 << 40, 1 << 39, SECOND, &KIND), Grown::Impossible);
        let wide = Kind { bits: 64, ..KIND };
        assert_eq!(grown(u64::MAX, 9, SECOND, &wide), Grown::Reset(9));
        let mut meters = Meters::new(Setting::default(), KIND).unwrap();
        for (name, at) in [("a", 1), ("a", 1), ("b", 1), ("c", 1)] {
            assert_eq!(meters.read(name, 0, at), None);
        }
        assert_eq!((meters.odd.stale, meters.odd.no_room, meters.len()), (1, 1, 2));
        assert_eq!(meters.read("a", u64::MAX, 2), None);
        assert_eq!(meters.odd.impossible, 1);
    }
}
