// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Pairs as full cross products.
//!
//! A term with a list of sources and a list of destinations matches each of the one with each of the
//! other. So pairs share a term only where that is what is wanted: destinations with the very same
//! sources are one group. Every pair is in one group, and no group holds a pair that was not given.

use std::collections::{BTreeMap, BTreeSet};
use telesteer_fam::Prefix;

/// Every source with every destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) sources: BTreeSet<Prefix>,
    pub(crate) destinations: BTreeSet<Prefix>,
}

/// The groups of some pairs of source and destination.
pub(crate) fn groups(pairs: impl IntoIterator<Item = (Prefix, Prefix)>) -> Vec<Group> {
    let mut by_destination: BTreeMap<Prefix, BTreeSet<Prefix>> = BTreeMap::new();
    for (src, dst) in pairs {
        by_destination.entry(dst).or_default().insert(src);
    }
    let mut by_sources: BTreeMap<BTreeSet<Prefix>, BTreeSet<Prefix>> = BTreeMap::new();
    for (dst, sources) in by_destination {
        by_sources.entry(sources).or_default().insert(dst);
    }
    let group = |(sources, destinations)| Group { sources, destinations };
    by_sources.into_iter().map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn prefix(site: u8, n: u8) -> Prefix {
        format!("10.{site}.{n}.0/24").parse().unwrap()
    }

    fn products(groups: &[Group]) -> Vec<(Prefix, Prefix)> {
        let of = |group: &Group| {
            let (from, to) = (group.sources.clone(), group.destinations.clone());
            from.into_iter().flat_map(move |src| to.clone().into_iter().map(move |dst| (src, dst)))
        };
        groups.iter().flat_map(of).collect()
    }

    fn pairs(numbers: &[(u8, u8)]) -> BTreeSet<(Prefix, Prefix)> {
        numbers.iter().map(|(src, dst)| (prefix(1, *src), prefix(2, *dst))).collect()
    }

    #[test]
    fn a_full_mesh_is_one_group_and_a_chain_is_many() {
        let mesh: Vec<_> = (0..5).flat_map(|src| (0..7).map(move |dst| (src, dst))).collect();
        assert_eq!(groups(pairs(&mesh)).len(), 1);
        let star: Vec<_> = (0..9).map(|dst| (1, dst)).collect();
        assert_eq!(groups(pairs(&star)).len(), 1);
        let chain: Vec<_> = (0..9).map(|n| (n, n)).collect();
        assert_eq!(groups(pairs(&chain)).len(), 9);
        // All but one of a mesh: the cross product of all sources and destinations has that one too.
        let but_one: Vec<_> = mesh.iter().copied().filter(|pair| *pair != (2, 3)).collect();
        let groups = groups(pairs(&but_one));
        assert_eq!(groups.len(), 2);
        assert_eq!(products(&groups).into_iter().collect::<BTreeSet<_>>(), pairs(&but_one));
    }

    proptest! {
        #[test]
        fn no_pair_is_lost_doubled_or_made_up(
            numbers in prop::collection::vec((0_u8..6, 0_u8..6), 0..40)
        ) {
            let pairs = pairs(&numbers);
            let all = products(&groups(pairs.iter().copied()));
            prop_assert_eq!(all.len(), pairs.len());
            prop_assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), pairs);
        }
    }
}
