// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Requests a second of each holder: a bucket that fills evenly. The caller reads the clock.

use crate::ticket::Holder;
use std::collections::BTreeMap;
use std::time::Duration;

/// What a request takes out of a bucket, so that filling is whole numbers: nanoseconds a second.
const REQUEST: u128 = 1_000_000_000;

/// Buckets of holders. Only whoever has a token gets one, so there are few.
#[derive(Debug)]
pub(crate) struct Pace {
    rate: u128,
    burst: u128,
    buckets: BTreeMap<Holder, (u128, Duration)>,
}

impl Pace {
    /// So many requests a second, and so many at once. At least one of each.
    pub(crate) fn new(rate: u32, burst: u32) -> Self {
        let (rate, burst) = (u128::from(rate.max(1)), u128::from(burst.max(1)) * REQUEST);
        Self { rate, burst, buckets: BTreeMap::new() }
    }

    /// Takes a request at `now`, a time since any beginning. If it is one too many: after how long one
    /// will not be.
    pub(crate) fn take(&mut self, holder: &Holder, now: Duration) -> Result<(), Duration> {
        let (level, last) = self.buckets.get(holder).copied().unwrap_or((self.burst, now));
        let since = now.saturating_sub(last).as_nanos();
        let level = level.saturating_add(since.saturating_mul(self.rate)).min(self.burst);
        let left = level.checked_sub(REQUEST);
        self.buckets.insert(holder.clone(), (left.unwrap_or(level), now.max(last)));
        match left {
            Some(_) => Ok(()),
            None => {
                let ns = (REQUEST - level).div_ceil(self.rate);
                Err(Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX)))
            }
        }
    }

    /// How many buckets there are.
    pub(crate) fn len(&self) -> usize {
        self.buckets.len()
    }

    /// Drops the buckets of those who have no token any more.
    pub(crate) fn keep(&mut self, known: impl Fn(&Holder) -> bool) {
        self.buckets.retain(|holder, _| known(holder));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_fills_evenly_up_to_its_brim() {
        let (mut pace, a, b): (_, Holder, Holder) =
            (Pace::new(2, 3), "a".parse().unwrap(), "b".parse().unwrap());
        let ms = Duration::from_millis;
        for _ in 0..3 {
            assert_eq!(pace.take(&a, ms(0)), Ok(()));
        }
        assert_eq!(pace.take(&a, ms(0)), Err(ms(500)));
        assert_eq!(pace.take(&a, ms(400)), Err(ms(100)), "asking does not put it off");
        assert_eq!(pace.take(&a, ms(500)), Ok(()));
        assert_eq!(pace.take(&b, ms(500)), Ok(()), "others are not held up");
        // A clock that went back gives nothing.
        assert_eq!(pace.take(&a, ms(0)), Err(ms(500)));
        assert_eq!((0..9).filter(|_| pace.take(&a, ms(100_000)).is_ok()).count(), 3);
        pace.keep(|holder| *holder == b);
        assert_eq!(pace.len(), 1);
    }
}
