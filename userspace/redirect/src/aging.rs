// SPDX-License-Identifier: Apache-2.0 OR MIT
//! When an entry without alpha flows goes.

use crate::matching::Match;
use crate::settings::Settings;
use crate::wanted::{Aging, Wish};
use telesteer_fam::Ns;

/// A time in `0..range` that depends on nothing but `seed` and the entry.
pub fn jitter(seed: u64, matching: &Match, range: Ns) -> Ns {
    let Some(range) = u64::try_from(range).ok().filter(|range| *range > 0) else { return 0 };
    // FNV-1a, then the finish of SplitMix64: the same on every machine and in every release.
    let start = 0xcbf2_9ce4_8422_2325 ^ seed;
    let hash = matching
        .to_string()
        .bytes()
        .fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    Ns::try_from((hash ^ (hash >> 31)) % range).unwrap_or(0)
}

/// When the entry goes if no alpha flow comes before; never while one is `alive`.
pub fn due(wish: &Wish, alive: bool, settings: &Settings) -> Option<Ns> {
    let Aging::After(silence) = wish.entry.aging else { return None };
    if alive {
        return None;
    }
    let jitter = jitter(settings.seed, &wish.entry.matching, settings.jitter);
    Some(wish.last_alpha.saturating_add(silence).saturating_add(jitter))
}

/// Since when the entry is idle, if it is at `now`.
pub fn idle_since(wish: &Wish, alive: bool, now: Ns, settings: &Settings) -> Option<Ns> {
    let since = wish.last_alpha.saturating_add(settings.idle);
    (!alive && now >= since).then_some(since)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::testing::{name, net};
    use crate::wanted::Entry;
    use std::collections::BTreeSet;

    fn wish(n: u8, aging: Aging) -> Wish {
        let entry = Entry { matching: net(n), path: name("a"), back: None, aging };
        Wish { entry, last_alpha: 1000 }
    }

    #[test]
    fn jitter_is_the_same_again_and_spread() {
        let all: BTreeSet<_> = (1..=200).map(|n| jitter(7, &net(n), 1_000_000)).collect();
        assert!(all.len() > 190, "{}", all.len());
        assert!(all.iter().all(|one| (0..1_000_000).contains(one)));
        let below_half = all.iter().filter(|one| **one < 500_000).count();
        assert!((70..=130).contains(&below_half), "{below_half}");
        assert_eq!(jitter(7, &net(3), 1_000_000), jitter(7, &net(3), 1_000_000));
        assert_ne!(jitter(7, &net(3), 1_000_000), jitter(8, &net(3), 1_000_000));
        assert_eq!((jitter(7, &net(3), 0), jitter(7, &net(3), -5)), (0, 0));
    }

    #[test]
    fn it_goes_after_its_silence_and_not_while_alive() {
        let settings = Settings { jitter: 100, idle: 50, ..Settings::default() };
        let at = due(&wish(1, Aging::After(500)), false, &settings).unwrap();
        assert!((1500..1600).contains(&at));
        assert_eq!(due(&wish(1, Aging::Kept), false, &settings), None);
        assert_eq!(due(&wish(1, Aging::After(500)), true, &settings), None);
        assert_eq!(idle_since(&wish(1, Aging::Kept), false, 1049, &settings), None);
        assert_eq!(idle_since(&wish(1, Aging::Kept), false, 1050, &settings), Some(1050));
        assert_eq!(idle_since(&wish(1, Aging::Kept), true, 1050, &settings), None);
    }
}
