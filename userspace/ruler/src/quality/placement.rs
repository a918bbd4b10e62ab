// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Ways to map exporters to members.

use super::hash::{mix, pair};

/// A member, by the number of its collector, from 1.
pub(crate) type Member = u64;

/// A map that follows its members.
pub(crate) trait Placement {
    /// A member comes, or comes back.
    fn join(&mut self, member: Member, weight: u32);

    /// A member goes.
    fn leave(&mut self, member: Member);

    /// Who gets a packet of this exporter; `None`: it is refused.
    fn home(&mut self, exporter: u64) -> Option<Member>;

    /// Steps of its clock pass; a map that has none does not care.
    fn pass(&mut self, _ticks: u32) {}

    /// Whether the map depends on the packets it has seen.
    fn learns(&self) -> bool {
        false
    }
}

/// Makes a map from a seed.
pub(crate) type Make = fn(u64) -> Box<dyn Placement>;

/// A method with what the tables need to know of it.
#[derive(Clone, Copy)]
pub(crate) struct Method {
    pub(crate) name: &'static str,
    pub(crate) weights: bool,
    pub(crate) make: Make,
}

/// Today's methods and the policy `source`.
pub(crate) const METHODS: &[Method] = &[
    Method {
        name: "modulo",
        weights: false,
        make: |seed| Box::new(Modulo { seed, slots: vec![] }),
    },
    Method {
        name: "range scaling",
        weights: false,
        make: |seed| Box::new(Range { seed, members: vec![] }),
    },
    Method { name: "maglev", weights: true, make: |seed| Box::new(Maglev::new(seed)) },
    Method { name: "source", weights: true, make: |seed| Box::new(Hrw { seed, members: vec![] }) },
];

/// The BPF program of operators: hash modulo the number of collectors; each has its slot, and an
/// empty slot refuses.
struct Modulo {
    seed: u64,
    slots: Vec<Option<Member>>,
}

impl Placement for Modulo {
    fn join(&mut self, member: Member, _weight: u32) {
        let at = member as usize - 1;
        if at >= self.slots.len() {
            self.slots.resize(at + 1, None);
        }
        self.slots[at] = Some(member);
    }

    fn leave(&mut self, member: Member) {
        self.slots[member as usize - 1] = None;
    }

    fn home(&mut self, exporter: u64) -> Option<Member> {
        self.slots[(pair(self.seed, exporter) % self.slots.len() as u64) as usize]
    }
}

/// The kernel's: the hash range is cut into as many pieces as there are sockets, and the last one
/// takes the place of one that leaves. (The kernel hashes the ports too; an exporter here has one
/// flow.)
struct Range {
    seed: u64,
    members: Vec<Member>,
}

impl Placement for Range {
    fn join(&mut self, member: Member, _weight: u32) {
        self.members.push(member);
    }

    fn leave(&mut self, member: Member) {
        if let Some(at) = self.members.iter().position(|other| *other == member) {
            self.members.swap_remove(at);
        }
    }

    fn home(&mut self, exporter: u64) -> Option<Member> {
        let hash = pair(self.seed, exporter) >> 32;
        let at = (hash * self.members.len() as u64) >> 32;
        self.members.get(at as usize).copied()
    }
}

/// A prime beyond 100 times the members, as the paper advises for a deviation of 1 %.
const MAGLEV: usize = 65_537;

/// Maglev: members take turns in claiming entries of a table, each in an order of its own. A member
/// of weight w claims w entries in its turn.
struct Maglev {
    seed: u64,
    members: Vec<(Member, u32)>,
    table: Vec<Member>,
}

impl Maglev {
    fn new(seed: u64) -> Self {
        Self { seed, members: Vec::new(), table: Vec::new() }
    }

    fn fill(&mut self) {
        const FREE: Member = 0;
        // Turns go by name, not by age, so that equal members make equal tables.
        self.members.sort_unstable();
        self.table = vec![FREE; if self.members.is_empty() { 0 } else { MAGLEV }];
        let mut turns: Vec<(Member, u32, usize, usize)> = self
            .members
            .iter()
            .map(|(member, weight)| {
                let (a, b) = (pair(self.seed ^ 1, *member), pair(self.seed ^ 2, *member));
                let skip = 1 + (b % (MAGLEV as u64 - 1)) as usize;
                (*member, *weight, (a % MAGLEV as u64) as usize, skip)
            })
            .collect();
        let mut left = self.table.len();
        while left > 0 {
            for (member, weight, next, skip) in &mut turns {
                for _ in 0..*weight {
                    if left == 0 {
                        break;
                    }
                    while self.table[*next] != FREE {
                        *next = (*next + *skip) % MAGLEV;
                    }
                    self.table[*next] = *member;
                    left -= 1;
                }
            }
        }
    }
}

impl Placement for Maglev {
    fn join(&mut self, member: Member, weight: u32) {
        self.members.push((member, weight.max(1)));
        self.table.clear();
    }

    fn leave(&mut self, member: Member) {
        self.members.retain(|(other, _)| *other != member);
        self.table.clear();
    }

    fn home(&mut self, exporter: u64) -> Option<Member> {
        if self.table.is_empty() {
            self.fill();
        }
        self.table.get((pair(self.seed, exporter) % MAGLEV as u64) as usize).copied()
    }
}

/// Weighted rendezvous, as the policy `source` draws.
struct Hrw {
    seed: u64,
    members: Vec<(Member, u32)>,
}

impl Placement for Hrw {
    fn join(&mut self, member: Member, weight: u32) {
        self.members.push((member, weight));
    }

    fn leave(&mut self, member: Member) {
        self.members.retain(|(other, _)| *other != member);
    }

    fn home(&mut self, exporter: u64) -> Option<Member> {
        let digest = pair(self.seed, exporter);
        let price = |(member, weight): &(Member, u32)| {
            let draw = mix(digest ^ pair(self.seed ^ 3, *member)) >> 11;
            let unit = (draw as f64 + 1.0) / (1_u64 << 53) as f64;
            -unit.ln() / f64::from(*weight)
        };
        let bids = self.members.iter().map(|entry| (price(entry), entry.0));
        bids.reduce(|a, b| if b.0 < a.0 { b } else { a }).map(|(_, member)| member)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(make: Make, members: u64) -> Box<dyn Placement> {
        let mut map = make(7);
        for member in 1..=members {
            map.join(member, 1);
        }
        map
    }

    #[test]
    fn every_member_of_every_method_gets_something() {
        for method in METHODS {
            let mut map = of(method.make, 8);
            let homes: std::collections::BTreeSet<_> =
                (0..1000).filter_map(|exporter| map.home(exporter)).collect();
            assert_eq!(homes.into_iter().collect::<Vec<_>>(), (1..=8).collect::<Vec<_>>());
        }
    }

    #[test]
    fn rendezvous_moves_only_those_of_the_one_that_left_and_range_scaling_does_not() {
        let innocents = |name: &str| {
            let method = METHODS.iter().find(|method| method.name == name).unwrap();
            let mut map = of(method.make, 8);
            let before: Vec<_> = (0..1000).map(|exporter| map.home(exporter)).collect();
            map.leave(3);
            (0..1000)
                .filter(|n| before[*n as usize] != Some(3) && map.home(*n) != before[*n as usize])
                .count()
        };
        assert_eq!(innocents("source"), 0);
        assert_eq!(innocents("modulo"), 0);
        assert!(innocents("range scaling") > 300);
        assert!((1..200).contains(&innocents("maglev")));
    }

    #[test]
    fn modulo_refuses_and_the_others_do_not() {
        for method in METHODS {
            let mut map = of(method.make, 8);
            map.leave(3);
            let refused = (0..1000).filter(|exporter| map.home(*exporter).is_none()).count();
            assert_eq!(refused > 0, method.name == "modulo", "{}", method.name);
        }
    }
}
