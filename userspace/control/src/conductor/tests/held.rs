// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Routes that wait until their flow is idle.

use super::*;

/// A circuit like [`circuit`], 10 ms sooner than IP routing.
fn sooner(n: u32) -> (Name, Circuit) {
    let (name, mut circuit) = circuit(n, true);
    circuit.ways.iter_mut().for_each(|way| way.sooner_us = Some(10_000));
    (name, circuit)
}

/// An alpha flow of 8 Gb/s: 10 000 000 bytes in 10 ms.
fn fast(key: FiveTuple) -> Event {
    Event { rate: 8_000_000_000, ..event(Heard::Alpha, key) }
}

/// One flow, found when its circuit was there, whose route waits.
fn held() -> Conductor {
    let mut conductor = conductor(Settings { overtake: Some(0), ..Settings::default() });
    conductor.take_circuits([sooner(1)].into());
    conductor.settle(0);
    conductor.hear(&fast(flow(1, 7)), 0);
    conductor.settle(0);
    assert!(conductor.is_held(&flow(1, 7)));
    conductor
}

/// 8 Gb/s onto a path that is 10 ms sooner: 10 000 000 bytes are under way on the old one.
#[test]
fn a_route_waits_until_the_flow_is_idle_if_too_much_would_overtake() {
    let (name, sooner) = sooner(1);
    let fast = fast(flow(1, 7));
    let of = |overtake| {
        let mut conductor = conductor(Settings { overtake, ..Settings::default() });
        conductor.take_circuits([(name.clone(), sooner.clone())].into());
        conductor.settle(0);
        conductor.hear(&fast, 0);
        conductor.settle(0);
        conductor
    };
    let matching = Match::flow(flow(1, 7)).unwrap();
    let wanted = |conductor: &Conductor| {
        let at = |router| conductor.wish(router).unwrap().entries.len();
        (at("r1"), at("r2"), conductor.counters().held)
    };
    for loose in [None, Some(10_000_000)] {
        let mut conductor = of(loose);
        assert_eq!(wanted(&conductor), (1, 1, 0), "{loose:?}");
        let lines = conductor.lines();
        let told = lines.iter().find(|line| line.what == What::RouteWanted).unwrap();
        assert_eq!(told.subject, matching.to_string());
        assert_eq!(told.reason, "alpha flow; 10000000 bytes may overtake others");
    }
    let mut conductor = of(Some(9_999_999));
    assert_eq!(wanted(&conductor), (0, 1, 1), "answers are few");
    assert!(conductor.is_held(&flow(1, 7)) && !conductor.is_held(&flow(1, 8)));
    // Another flow changes nothing, and nothing is told twice.
    conductor.hear(&event(Heard::Alpha, flow(1, 8)), 0);
    conductor.settle(0);
    assert_eq!(wanted(&conductor), (1, 2, 1));
    let lines = conductor.lines();
    let held: Vec<_> = lines.iter().filter(|line| line.what == What::RouteHeld).collect();
    let why = "alpha flow: 10000000 bytes may overtake others: it waits until the flow is idle";
    assert_eq!((held.len(), held[0].reason.as_str()), (1, why));
    // Its circuit is kept meanwhile.
    assert_eq!(conductor.asked().online.len(), 1);
    conductor.hear(&event(Heard::Ended(End::Idle), flow(1, 7)), 1);
    conductor.settle(1);
    assert_eq!(wanted(&conductor), (2, 2, 0));
    // It is there, so what comes anew goes by it from its first packet, and it stays.
    conductor.hear(&fast, 2);
    conductor.settle(2);
    assert_eq!(wanted(&conductor), (2, 2, 0));
}

#[test]
fn the_route_of_a_flow_from_before_a_restart_does_not_wait() {
    let mut state = State::default();
    let live = Live { exporter: None, since: 3, rate: u64::MAX };
    state.apply(&Record::Flow(flow(1, 7), live));
    let settings = Settings { overtake: Some(0), ..Settings::default() };
    let mut conductor = Conductor::new(settings, network(), &ROUTERS, &state, 5);
    let (name, sooner) = sooner(1);
    conductor.take_circuits([(name.clone(), sooner.clone())].into());
    conductor.settle(5);
    // It may be there: to take it away would move the flow under traffic.
    assert_eq!(conductor.wish("r1").unwrap().entries.len(), 1);
    // Its circuit went: from then on it is as any other.
    for usable in [false, true] {
        let circuit = Circuit { usable, ..sooner.clone() };
        conductor.take_circuits([(name.clone(), circuit)].into());
        conductor.settle(6);
    }
    assert_eq!((conductor.wish("r1").unwrap().entries.len(), conductor.counters().held), (0, 1));
}

/// Nobody knows whether it sends: a route that waits for idle does not come by that.
#[test]
fn a_held_route_is_set_by_idle_alone() {
    for (what, there) in [(Some(End::Idle), 1), (Some(End::Fin), 0), (None, 0)] {
        let mut conductor = held();
        match what {
            Some(end) => conductor.hear(&event(Heard::Ended(end), flow(1, 7)), 1),
            None => conductor.doubt_all(1),
        }
        conductor.settle(2);
        if what.is_none() {
            let late = conductor.settings.doubt + 1;
            conductor.tick(late);
            conductor.settle(late);
        }
        assert_eq!(conductor.flows().count(), 0);
        let entries = &conductor.wish("r1").unwrap().entries;
        let idle = usize::from(!conductor.idle.is_empty());
        assert_eq!((entries.len(), idle), (there, there), "{what:?}");
    }
}

/// What is on the path already overtakes nobody: an entry of its networks carries it.
#[test]
fn a_flow_that_its_networks_carry_does_not_wait() {
    let settings = Settings { overtake: Some(0), ..Settings::default() };
    let mut conductor = conductor(settings);
    conductor.take_table(table(&[1]), 0);
    conductor.take_circuits([sooner(1)].into());
    conductor.settle(0);
    conductor.hear(&fast(flow(1, 7)), 0);
    conductor.hear(&fast(flow(2, 7)), 0);
    conductor.settle(0);
    let entries = &conductor.wish("r1").unwrap().entries;
    assert!(entries.contains_key(&Match::flow(flow(1, 7)).unwrap()));
    assert!(conductor.is_held(&flow(2, 7)) && conductor.counters().held == 1);
    let why = conductor.why("r1", &Match::flow(flow(1, 7)).unwrap());
    assert_eq!(why, Some(&Why::Online(Some(0))));
}

/// It was slow when it was found, and its circuit came later.
#[test]
fn the_rate_that_was_told_last_counts() {
    let mut conductor = conductor(Settings { overtake: Some(1000), ..Settings::default() });
    conductor.take_circuits(BTreeMap::new());
    conductor.settle(0);
    conductor.hear(&event(Heard::Alpha, flow(1, 7)), 0);
    conductor.hear(&fast(flow(1, 7)), 0);
    conductor.take_circuits([sooner(1)].into());
    conductor.settle(0);
    assert!(conductor.is_held(&flow(1, 7)));
    assert!(
        conductor
            .records()
            .iter()
            .any(|record| matches!(record, Record::Flow(_, Live { rate: 8_000_000_000, .. })))
    );
}

proptest! {
    /// With a bound a flow is on its way, or held with its circuit asked for; and what is on its way stays
    /// so while its circuit is up.
    #[test]
    fn a_flow_is_redirected_or_held(ops in proptest::collection::vec(op(), 0..40)) {
        let mut world = World::new();
        world.conductor = conductor(Settings { overtake: Some(0), ..world.conductor.settings });
        world.sooner_us = Some(10_000);
        let mut before = BTreeSet::new();
        for op in &ops {
            world.happen(op);
            let conductor = &world.conductor;
            let up = conductor.circuits().is_some_and(|all| all.values().any(|one| one.usable));
            let mut now = BTreeSet::new();
            for (flow, ..) in conductor.flows().filter(|_| up) {
                let matching = Match::flow(*flow).unwrap();
                let there = conductor.wish("r1").unwrap().entries.contains_key(&matching);
                prop_assert!(there != conductor.is_held(flow), "{op:?}");
                prop_assert!(there || !before.contains(flow), "{op:?}");
                prop_assert!(!conductor.asked().online.is_empty());
                now.extend(there.then_some(*flow));
            }
            before = now;
        }
    }
}
