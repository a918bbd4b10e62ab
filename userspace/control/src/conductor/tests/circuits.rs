// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which circuit a route takes.

use super::*;
use telesteer_circuit::request::Excess;
use telesteer_circuit::word::Word;

/// A circuit like [`circuit`], of 50 Mb/s, for this service alone.
fn reserved(n: u32, service: &str, usable: bool) -> (Name, Circuit) {
    let (_, circuit) = circuit(n, usable);
    let service = Word::new(service).unwrap();
    let name = Name::made(&circuit.pair, At(n.into()), None, Some(&service)).unwrap();
    (name, Circuit { rate: FIFTY, ..circuit })
}

const FIFTY: Rate = Rate::Specified { mbps: 50, excess: Excess::BestEffort };

#[test]
fn a_reserved_rate_is_for_its_ticket_alone() {
    let mut conductor = conductor(Settings::default());
    let promised = announced(&[1, 2]);
    let promised: Vec<Announced> =
        promised.into_iter().map(|one| Announced { rate: FIFTY, reserved: true, ..one }).collect();
    let flows: Vec<Match> = promised.iter().map(|one| one.matching).collect();
    conductor.take_announced(promised);
    conductor.take_circuits([reserved(1, "t1", true), reserved(2, "t2", false)].into());
    // An alpha flow whose circuit is not up yet, and one that was announced.
    for port in [7, 99] {
        conductor.hear(&event(Heard::Alpha, flow(1, port)), SECOND);
    }
    conductor.settle(SECOND);
    let fifty: Vec<_> = conductor.asked().online.keys().filter(|key| key.rate == FIFTY).collect();
    assert_eq!(fifty.len(), 2, "each ticket asks for its own");
    let on = |conductor: &Conductor| -> Vec<(Match, String)> {
        let entries = &conductor.wish("r1").unwrap().entries;
        entries.iter().map(|(matching, path)| (*matching, path.to_string())).collect()
    };
    assert_eq!(on(&conductor), [(flows[0], "r1-1".to_owned())]);
    assert_eq!(conductor.counters().waiting, 4, "one ticket, one flow, both ways");
    // Of what is promised to nobody all may have some.
    let all = [reserved(1, "t1", true), reserved(2, "t2", false), circuit(3, true)];
    conductor.take_circuits(all.into());
    conductor.settle(SECOND);
    let alpha = Match::flow(flow(1, 7)).unwrap();
    let expected: BTreeMap<_, _> = [(flows[0], "r1-1"), (flows[1], "r1-3"), (alpha, "r1-3")].into();
    let found = on(&conductor);
    let found: BTreeMap<_, _> = found.iter().map(|(of, path)| (*of, path.as_str())).collect();
    assert_eq!(found, expected);
}

#[test]
fn ipv6_is_not_sent_where_only_ipv4_goes() {
    let six = |from: u8, to: u8, port| FiveTuple {
        src: format!("2001:db8:{from}::1").parse().unwrap(),
        dst: format!("2001:db8:{to}::1").parse().unwrap(),
        ..flow(1, port)
    };
    let (name, mut four) = circuit(1, true);
    four.ways.iter_mut().for_each(|way| way.ipv6 = false);
    let mut conductor = conductor(Settings::default());
    conductor.take_circuits([(name.clone(), four.clone())].into());
    conductor.hear(&event(Heard::Alpha, six(1, 2, 7)), 0);
    conductor.hear(&event(Heard::Alpha, flow(1, 7)), 0);
    let four_alone = [Match::flow(flow(1, 7)).unwrap()];
    for turn in 0..3 {
        conductor.take_table(table(&[turn]), 0);
        conductor.settle(0);
        let entries = &conductor.wish("r1").unwrap().entries;
        let found: Vec<_> = entries.keys().filter(|one| one.ports().is_some()).copied().collect();
        assert_eq!(found, four_alone);
    }
    assert_eq!((conductor.counters().unfit, conductor.counters().waiting), (2, 2));
    let unfit = |line: &Line| line.what == What::RouteUnwanted && line.reason.contains("IPv6");
    let lines: Vec<Line> = conductor.lines().into_iter().filter(unfit).collect();
    assert_eq!(lines.len(), 2, "once at each end: {lines:?}");
    assert_eq!(lines[0].reason, "alpha flow: the path carries no IPv6");
    // One that carries both is up.
    conductor.take_circuits([(name, four), circuit(2, true)].into());
    conductor.settle(0);
    let matching = Match::flow(six(1, 2, 7)).unwrap();
    assert_eq!(conductor.wish("r1").unwrap().entries[&matching].as_str(), "r1-2");
    assert_eq!((conductor.counters().unfit, conductor.counters().waiting), (0, 0));
}

#[test]
fn a_path_that_another_circuit_took_over_is_free_of_the_first() {
    let mut world = World::new();
    world.happen(&Op::Alpha(1));
    let (old, mut first) = circuit(1, true);
    let (new, mut second) = circuit(2, true);
    second.ways = first.ways.clone();
    world.conductor.take_circuits([(old.clone(), first.clone())].into());
    world.happen(&Op::Act(0));
    world.happen(&Op::Act(1));
    (first.usable, first.leaving) = (false, true);
    world.conductor.take_circuits([(old.clone(), first), (new.clone(), second)].into());
    world.happen(&Op::Pass(1));
    assert_eq!(world.conductor.steered(), BTreeSet::from([new]));
}

#[test]
fn a_ticket_asks_for_its_circuit_before_it_begins_and_ends_by_itself() {
    let settings = Settings { lead: 60 * SECOND, ..Settings::default() };
    let mut conductor = conductor(settings);
    conductor.take_circuits(circuits(&[(1, true)]));
    let mut promised = announced(&[1]);
    (promised[0].from, promised[0].until) = (100 * SECOND, 200 * SECOND);
    conductor.take_announced(promised);
    let entries = |conductor: &mut Conductor, at: Ns| {
        conductor.tick(at * SECOND);
        conductor.settle(at * SECOND);
        let asked = conductor.asked().online.len();
        (asked, conductor.wish("r1").unwrap().entries.len())
    };
    assert_eq!(entries(&mut conductor, 39), (0, 0));
    assert_eq!(entries(&mut conductor, 40), (1, 1));
    assert_eq!(entries(&mut conductor, 199), (1, 1));
    assert_eq!(entries(&mut conductor, 200), (0, 0));
}

/// 8 Gb/s onto a path that is 10 ms sooner: 10 000 000 bytes are under way on the old one.
#[test]
fn a_route_waits_until_the_flow_is_idle_if_too_much_would_overtake() {
    let (name, mut sooner) = circuit(1, true);
    sooner.ways[0].sooner_us = Some(10_000);
    sooner.ways[1].sooner_us = Some(10_000);
    let fast = Event { rate: 8_000_000_000, ..event(Heard::Alpha, flow(1, 7)) };
    let of = |overtake| {
        let mut conductor = conductor(Settings { overtake, ..Settings::default() });
        conductor.take_circuits([(name.clone(), sooner.clone())].into());
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
    let (name, mut sooner) = circuit(1, true);
    sooner.ways.iter_mut().for_each(|way| way.sooner_us = Some(1_000_000));
    conductor.take_circuits([(name, sooner)].into());
    conductor.settle(5);
    // It may be there: to take it away would move the flow under traffic.
    assert_eq!(conductor.wish("r1").unwrap().entries.len(), 1);
}
