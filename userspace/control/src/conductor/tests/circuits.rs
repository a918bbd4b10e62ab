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
