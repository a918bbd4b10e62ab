// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the short phases must show: that two servers have one map, that weights and domains count
//! where they should and nowhere else, and that it is the policy that makes it so.

use super::{Maps, differ, share};
use crate::claims::Claim;
use crate::members;
use std::collections::BTreeMap;

/// The phases in the order they are played.
pub const PHASES: [&str; 3] = ["one-map", "shares", "unloaded"];

/// Weights of the members of `shares`, by instance.
const WEIGHTS: [(u64, u64); 3] = [(1, 1), (2, 2), (3, 3)];

/// Judges the short phases of a scene whose policy is `policy`.
pub fn judge(maps: &[Maps], policy: &str) -> Vec<Claim> {
    let mut book = Book(Vec::new());
    for name in PHASES {
        let Some(found) = maps.iter().find(|one| one.name == name) else {
            book.put(name, "it ran", false, String::new());
            continue;
        };
        measured(&mut book, found);
        let asked = (name != "unloaded").then_some(policy);
        // Where one phase could read a policy back, every other can read that there is none.
        let tells = maps.iter().flat_map(|one| &one.members).any(|one| !one.policies.is_empty());
        book.0.extend(members::judge(name, &found.members, asked, tells));
        match name {
            "one-map" => one_map(&mut book, found),
            "shares" => shares(&mut book, found),
            _ => unloaded(&mut book, found, maps.iter().find(|one| one.name == "one-map")),
        }
    }
    book.0
}

struct Book(Vec<Claim>);

impl Book {
    fn put(&mut self, phase: &str, claim: &str, met: bool, found: String) {
        self.0.push(Claim { phase: phase.to_string(), claim: claim.to_string(), met, found });
    }
}

fn measured(book: &mut Book, maps: &Maps) {
    let name = &maps.name;
    book.put(name, "flows were heard", maps.flows > 0, maps.flows.to_string());
    let drops = maps.capture_drops;
    book.put(name, "the capture lost no packet", drops == 0, drops.to_string());
    book.put(name, "the capture is whole", maps.capture_cut == 0, maps.capture_cut.to_string());
    let phantom = maps.phantom;
    book.put(name, "every journalled datagram was sent", phantom == 0, phantom.to_string());
    let wandering = maps.wandering;
    let found = format!("{wandering} of {}", maps.flows);
    book.put(name, "a flow has one receiver while nothing happens", wandering == 0, found);
}

fn one_map(book: &mut Book, maps: &Maps) {
    let name = &maps.name;
    let (crossed, same) = (maps.crossed, maps.same_instance);
    book.put(name, "exporters change servers", crossed > 0, crossed.to_string());
    let claim = "both servers have the same exporter to instance map";
    book.put(name, claim, same == crossed, format!("{same} of {crossed}"));
    let split = format!("{} of {} split", maps.split, maps.exporters);
    let together = maps.exporters > 0 && maps.split == 0;
    book.put(name, "keyed by address, its domains stay together", together, split);
    // The broken twin of the shares: nobody asked for these weights here.
    let shares = share::of(&maps.by_instance, &WEIGHTS.into());
    let claim = "equal weights do not pass for 1, 2 and 3";
    book.put(name, claim, !share::met(&shares), share::text(&shares));
}

fn shares(book: &mut Book, maps: &Maps) {
    let name = &maps.name;
    let mut known: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for member in &maps.members {
        known.entry(member.instance).or_default().extend(member.weight);
    }
    let asked = WEIGHTS.iter().all(|(instance, weight)| {
        known
            .get(instance)
            .is_some_and(|all| !all.is_empty() && all.iter().all(|one| one == weight))
    });
    book.put(name, "members weigh 1, 2 and 3, by getsockopt", asked, format!("{known:?}"));
    let shares = share::of(&maps.by_instance, &WEIGHTS.into());
    let claim = "shares follow the weights within 4 standard deviations";
    book.put(name, claim, share::met(&shares), share::text(&shares));
    let split = format!("{} of {}", maps.split, maps.exporters);
    let claim = "keyed by payload, the domains of an address are split";
    book.put(name, claim, maps.split > 0, split);
}

fn unloaded(book: &mut Book, maps: &Maps, with: Option<&Maps>) {
    let name = &maps.name;
    let (crossed, same) = (maps.crossed, maps.same_instance);
    book.put(name, "exporters change servers", crossed > 0, crossed.to_string());
    let found = format!("{same} of {crossed} the same");
    book.put(name, "without the policy the servers' maps are not one", same < crossed, found);
    let (different, all) = with.map_or((0, 0), |with| differ(with, maps));
    let found = format!("{different} of {all} elsewhere");
    // By chance two maps of n members agree in 1/n; a few strays are no other map.
    let differs = all > 0 && 4 * different >= all;
    book.put(name, "the run without the policy differs", differs, found);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maps::tests::played;
    use crate::members::Member;

    fn members(policy: &str, weight: fn(u64) -> u64) -> Vec<Member> {
        let one = |instance| Member {
            server: 1,
            instance,
            policies: vec![policy.into()],
            id: Some(instance),
            weight: Some(weight(instance)),
            selections: Some(1),
        };
        (1..=3).map(one).collect()
    }

    /// A scene in which all is well: 120 exporters with two domains each.
    fn good() -> Vec<Maps> {
        let hosts = || (1..=120u8).flat_map(|host| [(host, 0u32), (host, 1)]);
        let place = |instance: u64| (100 + instance, 200 + instance);
        let all = |name: &str, of: &dyn Fn(u8, u32) -> u64| {
            let flows: Vec<_> = hosts()
                .map(|(host, domain)| {
                    let (owner, heir) = place(of(host, domain));
                    (host, domain, owner, heir)
                })
                .collect();
            played(name, &flows)
        };
        let equal = |host: u8, _: u32| u64::from(host % 3) + 1;
        let weighted =
            |host: u8, domain: u32| [1, 2, 2, 3, 3, 3][(usize::from(host) + domain as usize) % 6];
        let mut one = all("one-map", &equal);
        let mut shares = all("shares", &weighted);
        let mut unloaded =
            played("unloaded", &hosts().map(|(host, d)| (host, d, 103, 202)).collect::<Vec<_>>());
        one.members = members("stable", |_| 1);
        shares.members = members("stable", |instance| instance);
        unloaded.members = members("none", |_| 1);
        vec![one, shares, unloaded]
    }

    fn failed(good: &[Maps], change: impl FnOnce(&mut Vec<Maps>)) -> Vec<String> {
        let mut maps = good.to_vec();
        change(&mut maps);
        let claims = judge(&maps, "stable").into_iter().filter(|one| !one.met);
        claims.map(|one| format!("{}: {}", one.phase, one.claim)).collect()
    }

    #[test]
    fn a_good_scene() {
        assert_eq!(failed(&good(), |_| {}), Vec::<String>::new());
    }

    #[test]
    fn each_claim_can_fail() {
        type Change = fn(&mut Vec<Maps>);
        let good = good();
        let twins: [(&str, Change); 16] = [
            ("one-map: flows were heard", |m| m[0].flows = 0),
            ("one-map: the capture lost no packet", |m| m[0].capture_drops = 1),
            ("shares: the capture is whole", |m| m[1].capture_cut = 1),
            ("shares: every journalled datagram was sent", |m| m[1].phantom = 1),
            ("one-map: a flow has one receiver while nothing happens", |m| m[0].wandering = 1),
            ("one-map: both servers have the same exporter to instance map", |m| {
                m[0].same_instance -= 1;
            }),
            ("one-map: keyed by address, its domains stay together", |m| m[0].split = 1),
            ("one-map: equal weights do not pass for 1, 2 and 3", |m| {
                m[0].by_instance = m[1].by_instance.clone();
            }),
            ("shares: members weigh 1, 2 and 3, by getsockopt", |m| {
                m[1].members[2].weight = Some(2)
            }),
            ("shares: shares follow the weights within 4 standard deviations", |m| {
                m[1].by_instance = m[0].by_instance.clone();
            }),
            ("shares: keyed by payload, the domains of an address are split", |m| m[1].split = 0),
            ("unloaded: no policy is in force, by getsockopt", |m| {
                m[2].members = m[0].members.clone();
            }),
            ("unloaded: no policy is in force, by getsockopt", |m| {
                m[2].members[0].policies.clear();
            }),
            ("unloaded: without the policy the servers' maps are not one", |m| {
                m[2].same_instance = m[2].crossed;
            }),
            ("unloaded: the run without the policy differs", |m| m[2].map = m[0].map.clone()),
            ("unloaded: it ran", |m| m.truncate(2)),
        ];
        for (claim, change) in twins {
            assert_eq!(failed(&good, change), [claim]);
        }
        let idle = failed(&good, |m| (m[0].crossed, m[0].same_instance) = (0, 0));
        assert_eq!(idle, ["one-map: exporters change servers"]);
    }
}
