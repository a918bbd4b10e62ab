// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Single things that happen, and what is wanted then.

use super::*;
use telesteer_circuit::request::Excess;

/// A loop that has just begun does not know what is up: it wants a circuit for what it remembers, and
/// says nothing to routers, which would take away what they hold.
#[test]
fn before_circuits_are_listed_nothing_is_wanted_of_routers() {
    let mut state = State::default();
    state.apply(&Record::Flow(flow(1, 7), Live { exporter: None, since: 3, rate: 0 }));
    let mut conductor = Conductor::new(Settings::default(), network(), &ROUTERS, &state, 0);
    conductor.settle(0);
    assert_eq!((conductor.wish("r1"), conductor.asked().online.len()), (None, 1));
    conductor.take_circuits(circuits(&[(1, true)]));
    conductor.settle(0);
    assert_eq!(conductor.wish("r1").unwrap().entries.len(), 1);
}

/// A detector that lost sight of a flow, or has stopped, or is gone, does not say that the flow is over.
#[test]
fn a_flow_that_nobody_looks_at_may_live_on() {
    let lost: [fn(&mut Conductor); 3] = [
        |all| all.hear(&event(Heard::Ended(End::Displaced), flow(1, 7)), SECOND),
        |all| all.hear(&event(Heard::Ended(End::Stop), flow(1, 7)), SECOND),
        |all| all.doubt_all(SECOND),
    ];
    for lose in lost {
        let settings = Settings { doubt: 150 * SECOND, ..Settings::default() };
        let mut conductor = conductor(settings);
        conductor.take_circuits(circuits(&[(1, true)]));
        conductor.hear(&event(Heard::Alpha, flow(1, 7)), 0);
        lose(&mut conductor);
        for at in [1, 150] {
            conductor.settle(at * SECOND);
            conductor.tick(at * SECOND);
            assert_eq!((conductor.flows().count(), conductor.idle.len()), (1, 0), "{at}");
            assert_eq!(conductor.wish("r1").unwrap().entries.len(), 1, "{at}");
        }
        // Seen again in time it is in no doubt; the next time nobody comes.
        conductor.hear(&event(Heard::Alpha, flow(1, 7)), 150 * SECOND);
        conductor.settle(150 * SECOND);
        conductor.tick(1000 * SECOND);
        assert_eq!((conductor.flows().count(), conductor.counters().given_up), (1, 0));
        lose(&mut conductor);
        conductor.settle(1000 * SECOND);
        conductor.tick(1000 * SECOND);
        assert_eq!((conductor.flows().count(), conductor.counters().given_up), (0, 1));
    }
}

#[test]
fn entries_that_end_together_do_not_go_together() {
    let settings = Settings { jitter: 100 * SECOND, seed: 5, ..Settings::default() };
    let mut conductor = conductor(settings);
    for n in 0..100 {
        conductor.hear(&event(Heard::Alpha, flow(n, 7)), 0);
        conductor.hear(&event(Heard::Ended(End::Fin), flow(n, 7)), 0);
    }
    let mut left = Vec::new();
    for quarter in 0..=4 {
        let now = (60 + 25 * quarter) * SECOND;
        conductor.settle(now - 1);
        assert!(conductor.next_due().is_none_or(|due| due >= 60 * SECOND));
        conductor.tick(now);
        left.push(conductor.idle.len());
    }
    assert!(left.is_sorted_by(|a, b| a > b), "{left:?}");
    assert!(left[0] > 95 && left[4] == 0, "{left:?}");
    assert_eq!(conductor.counters().aged, 100);
}

/// Entries of r1 and of r2.
fn sides(conductor: &mut Conductor) -> [Vec<Match>; 2] {
    conductor.settle(0);
    let of = |router| conductor.wish(router).unwrap().entries.keys().copied().collect();
    [of("r1"), of("r2")]
}

#[test]
fn the_other_direction_is_redirected_where_it_is_said() {
    let [one, pair] = [Match::flow(flow(1, 7)).unwrap(), net(2)];
    for (online, offline) in [(false, false), (true, false), (false, true)] {
        let mut conductor = conductor(Settings { both: online, ..Settings::default() });
        conductor.take_circuits(circuits(&[(1, true)]));
        conductor.hear(&event(Heard::Alpha, flow(1, 7)), 0);
        conductor.take_table(Table { both: offline, ..table(&[2]) }, 0);
        let back = [(online, one.reverse()), (offline, pair.reverse())];
        let back = back.into_iter().filter_map(|(both, one)| both.then_some(one)).collect();
        assert_eq!(sides(&mut conductor), [vec![one, pair], back]);
    }
}

/// An entry may stand for several flows: it is there as long as one of them lives.
#[test]
fn an_entry_is_as_wide_as_is_said_and_lives_as_long_as_its_last_flow() {
    for (reach, len) in [(Reach::Host, 32), (Reach::Net, 24)] {
        let mut conductor = conductor(Settings { reach, ..Settings::default() });
        conductor.take_circuits(circuits(&[(1, true)]));
        for port in [7, 8] {
            conductor.hear(&event(Heard::Alpha, flow(1, port)), 0);
        }
        let [forth, back] = sides(&mut conductor);
        let [one] = forth.as_slice() else { panic!("{forth:?}") };
        assert_eq!((one.src().len(), one.dst().len(), one.ports()), (len, len, None));
        assert_eq!(back, [one.reverse()]);
        conductor.hear(&event(Heard::Ended(End::Fin), flow(1, 7)), 0);
        assert_eq!(conductor.idle.len(), 0);
        conductor.hear(&event(Heard::Ended(End::Fin), flow(1, 8)), 0);
        assert_eq!(conductor.idle.len(), 1);
    }
}

#[test]
fn what_may_become_alpha_is_redirected_only_if_that_is_said() {
    for early in [false, true] {
        let mut conductor = conductor(Settings { early, ..Settings::default() });
        conductor.hear(&event(Heard::Early, flow(1, 7)), 0);
        assert_eq!(conductor.flows().count(), usize::from(early));
    }
}

/// A transfer goes onto the circuit of its rate; without one, onto whatever is up and promised to nobody.
#[test]
fn a_rate_has_its_own_circuit() {
    let rate = Rate::Specified { mbps: 50, excess: Excess::BestEffort };
    let mut conductor = conductor(Settings::default());
    conductor.hear(&event(Heard::Alpha, flow(1, 7)), 0);
    let mut promised = announced(&[2]);
    promised[0].rate = rate;
    conductor.take_announced(promised);
    let [online, ticket] = [flow(1, 7), flow(2, 99)].map(|one| Match::flow(one).unwrap());
    let mut onto = |up: [bool; 2]| {
        let mut all = circuits(&[(1, up[0]), (2, up[1])]);
        all.get_mut(&circuit(2, true).0).unwrap().rate = rate;
        conductor.take_circuits(all);
        conductor.settle(0);
        let entries = &conductor.wish("r1").unwrap().entries;
        [online, ticket].map(|one| entries.get(&one).map(ToString::to_string))
    };
    let path = |path: &str| Some(path.to_owned());
    assert_eq!(onto([true, true]), [path("r1-1"), path("r1-2")]);
    assert_eq!(onto([true, false]), [path("r1-1"), path("r1-1")]);
    assert_eq!(onto([false, true]), [None, path("r1-2")]);
    assert_eq!(onto([false, false]), [None, None]);
    let rates: BTreeSet<Rate> = conductor.asked().online.keys().map(|key| key.rate).collect();
    assert_eq!(rates, [Rate::Unlimited, rate].into());
}

/// The hybrid: the table says which flows may be redirected, and nothing else.
#[test]
fn a_table_asks_for_circuits_and_routes_only_if_that_is_said() {
    for (routes, kept) in [(true, true), (true, false), (false, true), (false, false)] {
        let settings =
            Settings { offline_routes: routes, offline_circuits: kept, ..Settings::default() };
        let mut conductor = conductor(settings);
        conductor.take_circuits(circuits(&[(1, true)]));
        conductor.take_table(table(&[1]), 0);
        let [forth, _] = sides(&mut conductor);
        let asked = conductor.asked();
        assert_eq!((forth.len(), asked.offline.len()), (routes.into(), kept.into()));
        assert!(asked.online.is_empty());
    }
}

/// Flows of one pair of networks, whose source nobody knows, come in where their exporters are.
#[test]
fn flows_that_match_the_same_have_a_route_at_each_router_they_come_in() {
    let mut conductor = conductor(Settings { reach: Reach::Net, ..Settings::default() });
    let (name, first) = circuit(1, true);
    let pair = Pair::new("r3", "r2");
    let mut second = Circuit { pair: pair.clone(), ..first.clone() };
    (second.ways[0].router, second.ways[1].toward) = ("r3".into(), "r3".into());
    let both = [(name, first), (Name::of(&pair, At(2)).unwrap(), second)];
    conductor.take_circuits(both.into());
    for (n, port) in [(1, 7), (3, 8)] {
        let key = FiveTuple { src: [192, 0, 2, 1].into(), ..flow(1, port) };
        let exporter = [10, 255, 0, n].into();
        conductor.hear(&Event { exporter, ..event(Heard::Alpha, key) }, 0);
    }
    conductor.settle(0);
    let entries = |router| conductor.wish(router).unwrap().entries.len();
    assert_eq!((entries("r1"), entries("r3")), (1, 1));
}
