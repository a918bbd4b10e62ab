// SPDX-License-Identifier: Apache-2.0 OR MIT

mod amiss;
mod cases;
mod circuits;
mod held;

use super::*;
use crate::network::Place;
use crate::record::testing::{flow, net};
use crate::table::TableEntry;
use proptest::prelude::*;
use std::collections::BTreeSet;
use telesteer_circuit::life::State as Far;
use telesteer_circuit::request::{Pair, Rate};
use telesteer_circuit::time::At;
use telesteer_fam::time::SECOND;
use telesteer_online::{End, Event, What as Heard};
use telesteer_redirect::path::Target;

const ROUTERS: [&str; 3] = ["r1", "r2", "r3"];

fn network() -> Network {
    let place = |n: u8| Place {
        addresses: vec![[10, 255, 0, n].into()],
        prefixes: [format!("10.{n}.0.0/16"), format!("2001:db8:{n}::/48")]
            .iter()
            .map(|prefix| prefix.parse().unwrap())
            .collect(),
    };
    let places = (1..=3).map(|n| (format!("r{n}"), place(n)));
    Network::new(&places.collect()).unwrap()
}

fn conductor(settings: Settings) -> Conductor {
    Conductor::new(settings, network(), &ROUTERS, &State::default(), 0)
}

fn event(what: Heard, key: FiveTuple) -> Event {
    Event {
        at: 0,
        what,
        key,
        exporter: [0, 0, 0, 0].into(),
        now: 0,
        begun: 0,
        bytes: 2,
        window: 1,
        rate: 1,
        approx: false,
        gated: true,
        missed: 0,
    }
}

/// Circuit number `n` between r1 and r2, one path for it at each end.
fn circuit(n: u32, usable: bool) -> (Name, Circuit) {
    let pair = Pair::new("r1", "r2");
    let name = Name::of(&pair, At(n.into())).unwrap();
    let way = |router: &str, toward: &str| Way {
        router: router.into(),
        toward: toward.into(),
        path: PathName::new(&format!("{router}-{n}")).unwrap(),
        target: Target { mark: 100 + n, table: 100 + n },
        ipv6: true,
        sooner_us: None,
    };
    let circuit = Circuit {
        pair,
        rate: Rate::Unlimited,
        state: if usable { Far::Up } else { Far::Provisioned },
        id: None,
        until: None,
        usable,
        leaving: !usable,
        ways: vec![way("r1", "r2"), way("r2", "r1")],
    };
    (name, circuit)
}

fn circuits(all: &[(u32, bool)]) -> BTreeMap<Name, Circuit> {
    all.iter().map(|(n, usable)| circuit(*n, *usable)).collect()
}

fn table(ns: &[u8]) -> Table {
    let pair = Pair::new("r1", "r2");
    let entries = ns.iter().map(|n| TableEntry { matching: net(*n), pair: pair.clone() });
    let entries: BTreeSet<_> = entries.collect();
    Table {
        day: format!("{ns:?}"),
        entries: entries.into_iter().collect(),
        both: true,
        left_out: 0,
    }
}

fn announced(ns: &[u8]) -> Vec<Announced> {
    let one = |n: &u8| Announced {
        matching: Match::flow(flow(*n, 99)).unwrap(),
        pair: Pair::new("r1", "r2"),
        from: 0,
        until: 1000 * SECOND,
        rate: Rate::Unlimited,
        reserved: false,
        ticket: format!("t{n}"),
    };
    ns.iter().map(one).collect()
}

/// Something that may happen.
#[derive(Clone, Debug)]
enum Op {
    Alpha(u8),
    Ended(u8),
    Table(Vec<u8>),
    Announced(Vec<u8>),
    Circuits(Vec<(u32, bool)>),
    Pass(i64),
    /// A router acts on its wish, and is read back.
    Act(usize),
    /// It is read back only.
    Read(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let some = || proptest::collection::vec(0..4_u8, 0..4);
    let all = proptest::collection::btree_map(0..4_u32, any::<bool>(), 0..4);
    prop_oneof![
        (0..4_u8).prop_map(Op::Alpha),
        (0..4_u8).prop_map(Op::Ended),
        some().prop_map(Op::Table),
        some().prop_map(Op::Announced),
        all.prop_map(|all| Op::Circuits(all.into_iter().collect())),
        (1..60_i64).prop_map(Op::Pass),
        (0..3_usize).prop_map(Op::Act),
        (0..3_usize).prop_map(Op::Read),
    ]
}

/// Routers that hold rules, some from an earlier life.
struct World {
    conductor: Conductor,
    now: Ns,
    rules: BTreeMap<&'static str, BTreeMap<Match, PathName>>,
    acted: BTreeMap<&'static str, u64>,
    /// By how much circuits are sooner than IP routing.
    sooner_us: Option<i64>,
}

impl World {
    fn new() -> Self {
        let settings = Settings { age: 60 * SECOND, jitter: 0, ..Settings::default() };
        let left = [(net(9), PathName::new("r1-0").unwrap())].into();
        let rules = [("r1", left), ("r2", BTreeMap::new()), ("r3", BTreeMap::new())].into();
        let acted = BTreeMap::new();
        Self { conductor: conductor(settings), now: 0, rules, acted, sooner_us: None }
    }

    fn seen(&mut self, router: &'static str) {
        let on = self.rules[router].values().cloned().collect();
        let generation = self.acted.get(router).copied().unwrap_or(0);
        self.conductor.take_router(router, Seen { generation, read: true, on });
    }

    fn happen(&mut self, op: &Op) {
        let now = self.now;
        match op {
            Op::Alpha(n) => {
                let event = Event { rate: 1_000_000, ..event(Heard::Alpha, flow(*n, 7)) };
                self.conductor.hear(&event, now);
            }
            Op::Ended(n) => {
                self.conductor.hear(&event(Heard::Ended(End::Fin), flow(*n, 7)), now);
            }
            Op::Table(ns) => self.conductor.take_table(table(ns), now),
            Op::Announced(ns) => self.conductor.take_announced(announced(ns)),
            Op::Circuits(all) => {
                let mut all = circuits(all);
                let ways = all.values_mut().flat_map(|circuit| &mut circuit.ways);
                ways.for_each(|way| way.sooner_us = self.sooner_us);
                self.conductor.take_circuits(all);
            }
            Op::Pass(seconds) => {
                self.now += seconds * SECOND;
                self.conductor.tick(self.now);
            }
            Op::Act(router) => {
                let router = ROUTERS[*router];
                if let Some(wish) = self.conductor.wish(router) {
                    self.acted.insert(router, wish.generation);
                    self.rules.insert(router, wish.entries.clone());
                }
                self.seen(router);
            }
            Op::Read(router) => self.seen(ROUTERS[*router]),
        }
        self.conductor.settle(self.now);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn a_route_is_wanted_only_onto_what_is_up_and_as_long_as_its_flow_lives(
        ops in proptest::collection::vec(op(), 0..40),
    ) {
        let mut world = World::new();
        for op in &ops {
            world.happen(op);
            let conductor = &world.conductor;
            for router in ROUTERS {
                let Some(wish) = conductor.wish(router) else { continue };
                for path in wish.entries.values() {
                    prop_assert!(wish.paths[path].1, "{router} {path}");
                }
            }
            let up = conductor.circuits().is_some_and(|all| all.values().any(|one| one.usable));
            for (flow, ..) in conductor.flows() {
                let matching = Match::flow(*flow).unwrap();
                if up {
                    prop_assert!(conductor.wish("r1").unwrap().entries.contains_key(&matching));
                    let back = conductor.wish("r2").unwrap();
                    prop_assert!(back.entries.contains_key(&matching.reverse()));
                }
            }
            let idle = conductor.idle.len() + conductor.flows().count();
            let numbers: usize = conductor.asked().online.values().map(BTreeSet::len).sum();
            prop_assert!(numbers >= idle);
        }
    }

    /// What is told to be free of packets holds no rule of the router, whatever was acted on or read
    /// in whatever order.
    #[test]
    fn a_circuit_is_free_only_when_its_routes_were_read_back_as_gone(
        ops in proptest::collection::vec(op(), 0..60),
    ) {
        let mut world = World::new();
        for op in &ops {
            world.happen(op);
            let steered = world.conductor.steered();
            for (name, circuit) in world.conductor.circuits().into_iter().flatten() {
                if steered.contains(name) {
                    continue;
                }
                for way in &circuit.ways {
                    let rules = &world.rules[way.router.as_str()];
                    prop_assert!(rules.values().all(|path| *path != way.path), "{name} {op:?}");
                }
            }
        }
    }

    /// Routers that act and are read in the end free whatever is not to be used.
    #[test]
    fn what_is_not_used_becomes_free(ops in proptest::collection::vec(op(), 0..30)) {
        let mut world = World::new();
        ops.iter().for_each(|op| world.happen(op));
        world.happen(&Op::Circuits(vec![(0, false), (1, false), (2, true)]));
        (0..3).for_each(|router| world.happen(&Op::Act(router)));
        let free = |n, usable| !world.conductor.steered().contains(&circuit(n, usable).0);
        prop_assert!(free(0, false) && free(1, false) && !free(2, true));
    }

    #[test]
    fn the_order_of_what_becomes_known_does_not_matter(
        flows in proptest::collection::btree_set(0..6_u8, 0..5),
        ns in proptest::collection::vec(0..6_u8, 0..5),
        promised in proptest::collection::vec(0..6_u8, 0..5),
        up in proptest::collection::btree_map(0..3_u32, any::<bool>(), 0..3),
        keys in proptest::collection::vec(any::<u64>(), 16),
    ) {
        let mut ops: Vec<Op> = flows.into_iter().map(Op::Alpha).collect();
        ops.extend([Op::Table(ns), Op::Announced(promised)]);
        ops.push(Op::Circuits(up.into_iter().collect()));
        let run = |ops: &[Op]| {
            let mut world = World::new();
            ops.iter().for_each(|op| world.happen(op));
            let Conductor { asked, routers, .. } = world.conductor;
            let wishes: Vec<_> = routers
                .into_values()
                .map(|router| Wish { generation: 0, ..router.wish.unwrap() })
                .collect();
            (asked, wishes)
        };
        let mut other: Vec<(u64, Op)> = keys.into_iter().zip(ops.clone()).collect();
        other.sort_by_key(|(key, _)| *key);
        let other: Vec<Op> = other.into_iter().map(|(_, op)| op).collect();
        prop_assert_eq!(run(&ops), run(&other));
    }

    /// What was written down makes the same conductor again, but for the doubt.
    #[test]
    fn a_restart_knows_what_was_written_down(ops in proptest::collection::vec(op(), 0..40)) {
        let mut world = World::new();
        let mut state = State::default();
        for op in &ops {
            world.happen(op);
            world.conductor.records().iter().for_each(|record| state.apply(record));
        }
        let before = &world.conductor;
        let after = Conductor::new(before.settings, network(), &ROUTERS, &state, world.now);
        prop_assert_eq!(&after.table, &before.table);
        prop_assert_eq!(&after.idle, &before.idle);
        let flows = |conductor: &Conductor| -> Vec<_> {
            conductor.flows().map(|(flow, live, pair)| (*flow, *live, pair.clone())).collect()
        };
        prop_assert_eq!(flows(&after), flows(before));
    }
}

#[test]
fn an_entry_stays_for_its_age_after_its_flow_and_then_goes() {
    let mut world = World::new();
    world.happen(&Op::Circuits(vec![(1, true)]));
    world.happen(&Op::Alpha(1));
    let matching = Match::flow(flow(1, 7)).unwrap();
    let there = |world: &World| world.conductor.wish("r1").unwrap().entries.contains_key(&matching);
    for _ in 0..10 {
        world.happen(&Op::Pass(59));
        assert!(there(&world));
    }
    world.happen(&Op::Ended(1));
    world.happen(&Op::Pass(59));
    assert!(there(&world) && !world.conductor.asked().online.is_empty());
    world.happen(&Op::Pass(1));
    assert!(!there(&world) && world.conductor.asked().online.is_empty());
    let whats: Vec<What> = world.conductor.lines().iter().map(|line| line.what).collect();
    use What::{Aged, FlowBegan, FlowEnded, RouteUnwanted, RouteWanted};
    assert_eq!(
        whats,
        [FlowBegan, RouteWanted, RouteWanted, FlowEnded, Aged, RouteUnwanted, RouteUnwanted]
    );
}

#[test]
fn so_many_entries_wait_to_age_and_no_more() {
    let mut conductor = conductor(Settings { flows: 3, ..Settings::default() });
    conductor.take_circuits(circuits(&[(1, true)]));
    for port in 1..9 {
        conductor.hear(&event(Heard::Alpha, flow(1, port)), 0);
        conductor.hear(&event(Heard::Ended(End::Fin), flow(1, port)), 0);
    }
    conductor.settle(0);
    assert_eq!((conductor.idle.len(), conductor.counters().idle_full), (3, 5));
    assert_eq!(conductor.wish("r1").unwrap().entries.len(), 3);
}

#[test]
fn after_a_restart_a_flow_counts_as_alive_until_it_had_time_to_be_seen_again() {
    let mut state = State::default();
    for n in [1, 2] {
        state.apply(&Record::Flow(flow(n, 7), Live { exporter: None, since: 3, rate: 0 }));
    }
    let settings = Settings { doubt: 150 * SECOND, ..Settings::default() };
    let mut conductor = Conductor::new(settings, network(), &ROUTERS, &state, SECOND);
    conductor.take_circuits(circuits(&[(1, true)]));
    conductor.settle(SECOND);
    assert_eq!(conductor.wish("r1").unwrap().entries.len(), 2);
    conductor.hear(&event(Heard::Alpha, flow(2, 7)), 2 * SECOND);
    conductor.settle(2 * SECOND);
    conductor.tick(151 * SECOND);
    assert_eq!(conductor.flows().map(|(flow, ..)| *flow).collect::<Vec<_>>(), [flow(2, 7)]);
    assert_eq!(conductor.counters().given_up, 1);
}

#[test]
fn the_gate_is_the_offline_table() {
    let settings = Settings { gated: true, offline_routes: false, ..Settings::default() };
    let mut conductor = conductor(settings);
    conductor.take_circuits(circuits(&[(1, true)]));
    conductor.take_table(table(&[1]), 0);
    conductor.hear(&event(Heard::Alpha, flow(1, 7)), 0);
    conductor.hear(&event(Heard::Alpha, flow(2, 7)), 0);
    conductor.settle(0);
    let wish = conductor.wish("r1").unwrap();
    assert_eq!(
        wish.entries.keys().copied().collect::<Vec<_>>(),
        [Match::flow(flow(1, 7)).unwrap()]
    );
    assert_eq!(conductor.counters().outside, 1);
}

#[test]
fn flows_that_go_nowhere_are_counted() {
    let mut conductor = conductor(Settings { flows: 1, ..Settings::default() });
    let to = |dst: [u8; 4]| FiveTuple { dst: dst.into(), ..flow(1, 7) };
    conductor.hear(&event(Heard::Alpha, to([192, 0, 2, 1])), 0);
    conductor.hear(&event(Heard::Alpha, to([10, 1, 9, 9])), 0);
    conductor.hear(&event(Heard::Ended(End::Fin), flow(3, 7)), 0);
    let portless = FiveTuple { proto: 47, src_port: 0, dst_port: 0, ..flow(1, 7) };
    conductor.hear(&event(Heard::Alpha, portless), 0);
    conductor.hear(&event(Heard::Alpha, flow(2, 7)), 0);
    let counters = conductor.counters();
    let counts = (counters.nowhere, counters.local, counters.unknown_ends);
    assert_eq!((counts, counters.portless, counters.full), ((1, 1, 1), 1, 1));
}
