// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the records of each day came to, and what is assumed of those that do not tell their rate.

use std::collections::BTreeMap;
use std::net::IpAddr;
use telesteer_fam::screen::Totals;
use telesteer_fam::{Day, Sampling};

/// Totals by day; a day without a record has no entry.
pub type Days = BTreeMap<Day, Totals>;

/// Adds the days of another part.
pub fn merge(into: &mut Days, other: Days) {
    for (day, totals) in other {
        into.entry(day).or_default().merge(&totals);
    }
}

/// Sampling of records that tell none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assumed {
    /// By exporter.
    pub of: BTreeMap<IpAddr, Sampling>,
    /// Of all others.
    pub rest: Option<Sampling>,
}

impl Assumed {
    /// The record's own rate, else its exporter's, else everyone's.
    pub fn sampling(&self, own: Option<Sampling>, exporter: IpAddr) -> Option<Sampling> {
        own.or_else(|| self.of.get(&exporter).copied()).or(self.rest)
    }

    /// The largest N it could give, rounded up; 0 if it gives none.
    pub fn highest(&self) -> u64 {
        let up = |rate: &Sampling| {
            let (observed, taken) = rate.ratio();
            u64::from(observed.div_ceil(taken))
        };
        self.of.values().chain(&self.rest).map(up).max().unwrap_or(0)
    }
}

/// The rate two columns tell: nothing or 0 is unknown. `Err` if they are no rate.
pub(crate) fn rate(observed: Option<u32>, taken: Option<u32>) -> Result<Option<Sampling>, ()> {
    match (observed, taken) {
        (None | Some(0), _) => Ok(None),
        (Some(observed), taken) => {
            Sampling::from_ratio(observed, taken.unwrap_or(1)).map(Some).ok_or(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_known_unknown_or_none() {
        assert_eq!(rate(Some(5), Some(2)), Ok(Sampling::from_ratio(5, 2)));
        assert_eq!(rate(Some(1000), None), Ok(Sampling::one_in(1000)));
        assert_eq!(rate(None, Some(3)), Ok(None));
        assert_eq!(rate(Some(0), Some(1)), Ok(None));
        assert_eq!(rate(Some(1), Some(2)), Err(()));
        assert_eq!(rate(Some(1), Some(0)), Err(()));
    }

    #[test]
    fn the_highest_rate_is_rounded_up() {
        let exporter: IpAddr = "192.0.2.1".parse().unwrap();
        let of = [(exporter, Sampling::from_ratio(5, 2).unwrap())].into();
        let assumed = Assumed { of, rest: Sampling::one_in(2) };
        assert_eq!(assumed.highest(), 3);
        assert_eq!(assumed.sampling(None, exporter), Sampling::from_ratio(5, 2));
        assert_eq!(assumed.sampling(None, "::1".parse().unwrap()), Sampling::one_in(2));
        assert_eq!(Assumed::default().highest(), 0);
    }
}
