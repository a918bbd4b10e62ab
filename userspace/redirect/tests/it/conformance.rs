// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What every device must do. A device joins by a [`Lab`] and one line at the end.

use crate::bed::{Bed, settings};
use crate::flowspec::FlowSpecLab;
use crate::frr::FrrLab;
use crate::junos::JunosLab;
use crate::labs::{IpRuleLab, Lab, MemoryLab, NftLab, PlainLab, SlowLab};
use crate::liar::{Liar, Lie};
use crate::matches::{both, entry, flow, host, name, net, target, tuple, tuple6};
use crate::ovs::{OvsLab, TimedOvsLab};
use std::collections::BTreeMap;
use telesteer_fam::time::SECOND;
use telesteer_redirect::life::{Reason, State};
use telesteer_redirect::{
    Aging, Change, Device, Entry, Match, Outcome, PathName, Rule, Settings, quick, round,
};

const MANY: usize = 10_000;

/// Every kind of match the device knows.
fn kinds(device: &dyn Device) -> Vec<Match> {
    let able = device.capabilities();
    let all = [tuple(1, 1, 40_000), tuple6(1, 1, 40_000)];
    all.into_iter()
        .flat_map(|key| [flow(key), host(key), net(key)])
        .filter(|one| able.ports || one.ports().is_none())
        .filter(|one| able.ipv6 || one.is_ipv4())
        .collect()
}

fn want(bed: &mut Bed, entry: Entry) {
    bed.controller.want(entry, bed.now).unwrap();
}

pub(crate) fn installs_and_reads_back(lab: &dyn Lab) {
    let mut bed = Bed::new(lab.open(MANY));
    for one in kinds(&*bed.device) {
        want(&mut bed, entry(one, "a"));
    }
    bed.settle();
    bed.must_agree();
    let counters = bed.controller.counters();
    assert_eq!((counters.lies, counters.vanished, counters.refused), (0, 0, 0));
    assert_eq!(counters.asked as usize, bed.wanted().len(), "each is asked for once");
    // Nothing more to do.
    assert_eq!(round(&mut bed.controller, &mut bed.device, bed.now), Ok(Outcome::Quiet));
}

pub(crate) fn both_directions(lab: &dyn Lab) {
    let mut bed = Bed::new(lab.open(MANY));
    let all = kinds(&*bed.device);
    for one in &all {
        want(&mut bed, both(*one, "a", "b"));
    }
    bed.settle();
    bed.must_agree();
    let rules = bed.rules();
    assert_eq!(rules.len(), 2 * all.len());
    for one in all {
        assert!(rules.contains(&Rule { matching: one, path: name("a") }));
        assert!(rules.contains(&Rule { matching: one.reverse(), path: name("b") }));
    }
}

fn table(nets: std::ops::Range<u16>, path: impl Fn(u16) -> &'static str) -> Vec<Entry> {
    nets.map(|n| both(net(tuple(n, 1, 1)), path(n), "b")).collect()
}

pub(crate) fn swaps_a_table(lab: &dyn Lab) {
    let mut bed = Bed::new(lab.open(MANY));
    bed.controller.swap(table(0..60, |_| "a"), bed.now).unwrap();
    bed.settle();
    bed.must_agree();
    // Some go, some come, some change their path, some stay.
    let path = |n: u16| if n.is_multiple_of(2) { "a" } else { "b" };
    bed.controller.swap(table(20..80, path), bed.now).unwrap();
    bed.settle();
    bed.must_agree();
    assert_eq!(bed.rules().len(), 120);
}

pub(crate) fn withdraws_before_a_path_is_released(lab: &dyn Lab) {
    let mut bed = Bed::new(lab.open(MANY));
    bed.controller.swap(table(0..10, |n| if n < 5 { "a" } else { "b" }), bed.now).unwrap();
    bed.settle();
    assert!(!bed.controller.release(&name("a")), "rules are on it");
    bed.settle();
    bed.must_agree();
    assert!(bed.rules().iter().all(|rule| rule.path == name("b")));
    assert!(bed.controller.release(&name("a")));
    assert!(bed.controller.paths().get(&name("a")).is_none());
    // It comes again, with what it should carry.
    bed.controller.path_up(name("a"), target(1)).unwrap();
    bed.settle();
    assert_eq!(bed.rules().len(), 20);
    bed.must_agree();
    bed.controller.swap(Vec::new(), bed.now).unwrap();
    bed.settle();
    assert_eq!(bed.rules().len(), 0);
    bed.must_agree();
}

pub(crate) fn leaves_foreign_rules(lab: &dyn Lab) {
    lab.plant();
    let mut bed = Bed::new(lab.open(MANY));
    bed.controller.swap(table(0..20, |_| "a"), bed.now).unwrap();
    bed.settle();
    bed.must_agree();
    assert!(bed.controller.foreign().total >= 1, "it is reported");
    bed.controller.swap(table(10..30, |_| "b"), bed.now).unwrap();
    bed.settle();
    bed.controller.swap(Vec::new(), bed.now).unwrap();
    bed.settle();
    assert!(lab.planted(), "it is left");
    assert!(bed.controller.foreign().total >= 1);
}

pub(crate) fn widths_live_side_by_side(lab: &dyn Lab) {
    // Which of them a packet follows is shown by packets, in `traffic`.
    let mut bed = Bed::new(lab.open(MANY));
    for (one, path) in kinds(&*bed.device).into_iter().zip(["a", "b"].into_iter().cycle()) {
        want(&mut bed, entry(one, path));
    }
    bed.settle();
    bed.must_agree();
    let strongest = bed.wanted().into_keys().min_by_key(|one| (one.rank(), *one)).unwrap();
    bed.controller.unwant(&strongest);
    bed.settle();
    bed.must_agree();
}

pub(crate) fn a_new_controller_finds_its_entries(lab: &dyn Lab) {
    let mut first = Bed::new(lab.open(MANY));
    first.controller.swap(table(0..30, |_| "a"), first.now).unwrap();
    first.settle();
    drop(first);
    let mut second = Bed::new(lab.open(MANY));
    second.controller.swap(table(0..30, |_| "a"), second.now).unwrap();
    second.settle();
    second.must_agree();
    assert_eq!(second.controller.counters().asked, 0, "nothing was to be done");
    assert_eq!(second.controller.counters().withdrawn, 0);
    // One that knows neither the paths nor the entries clears up.
    let device = lab.open(MANY);
    let mut third = Bed::new(device);
    third.controller = telesteer_redirect::Controller::new(settings(), third.device.capabilities());
    third.controller.path_up(name("c"), target(3)).unwrap();
    third.controller.want(entry(net(tuple(200, 1, 1)), "c"), third.now).unwrap();
    third.settle();
    third.must_agree();
    assert_eq!(third.rules().len(), 1);
}

pub(crate) fn bad_input_is_refused_by_name(lab: &dyn Lab) {
    let mut bed = Bed::new(lab.open(MANY));
    want(&mut bed, entry(net(tuple(1, 1, 1)), "a"));
    want(&mut bed, entry(net(tuple(2, 1, 1)), "nowhere"));
    bed.settle();
    bed.must_agree();
    assert_eq!(bed.controller.state(&net(tuple(2, 1, 1))), State::Absent, "its path is not up");
    let before = bed.rules();
    let lost = Rule { matching: net(tuple(3, 1, 1)), path: name("nowhere") };
    let change = Change { add: vec![lost.clone()], ..Change::default() };
    let error = bed.device.apply(bed.controller.paths(), &change, bed.now);
    // A slow device says so when it commits.
    let error = match error {
        Err(error) => error,
        Ok(_) => {
            bed.now += 1000 * SECOND;
            bed.device.read_back(bed.controller.paths(), bed.now).unwrap_err()
        }
    };
    assert_eq!(error.entry, Some(lost.matching));
    assert!(error.to_string().contains("nowhere"), "{error}");
    assert_eq!(bed.rules(), before);
}

pub(crate) fn strong_entries_go_first_when_room_is_short(lab: &dyn Lab) {
    let mut bed = Bed::new(lab.open(4));
    let limit = bed.device.capabilities().limit;
    if limit > 4 {
        // Its limit is its own; what a controller does with one is shown by the others.
        return;
    }
    for n in 0..6 {
        want(&mut bed, entry(net(tuple(n, 1, 1)), "a"));
    }
    let strong = host(tuple(7, 1, 1));
    want(&mut bed, entry(strong, "a"));
    bed.settle();
    assert_eq!(bed.rules().len(), 4);
    assert!(bed.controller.state(&strong).is_installed());
    assert_eq!(bed.count(|state| *state == State::Failed(Reason::NoRoom)), 3);
    bed.controller.unwant(&net(tuple(0, 1, 1)));
    bed.settle();
    assert_eq!(bed.rules().len(), 4);
    assert_eq!(bed.count(|state| *state == State::Failed(Reason::NoRoom)), 2);
}

pub(crate) fn what_vanishes_comes_again(lab: &dyn Lab) {
    let mut bed = Bed::new(lab.open(MANY));
    bed.controller.swap(table(0..10, |_| "a"), bed.now).unwrap();
    bed.settle();
    lab.spoil();
    bed.settle();
    // A slow device needs a turn to be read again.
    round(&mut bed.controller, &mut bed.device, bed.now).unwrap();
    bed.settle();
    bed.must_agree();
    assert!(bed.controller.counters().vanished > 0);
}

pub(crate) fn idle_entries_go_and_busy_ones_stay(lab: &dyn Lab) {
    let quick = Settings { idle: SECOND, ..settings() };
    let mut bed = Bed::with(lab.open(MANY), quick);
    let aging = Aging::After(1_000_000 * SECOND);
    let (quiet, busy) = (tuple(1, 1, 1), tuple(2, 1, 1));
    for key in [quiet, busy] {
        want(&mut bed, Entry { aging, ..both(net(key), "a", "b") });
    }
    bed.controller.alpha_begins(&busy, bed.now);
    bed.settle();
    bed.now += 10 * SECOND;
    bed.settle();
    round(&mut bed.controller, &mut bed.device, bed.now).unwrap();
    assert!(matches!(bed.controller.state(&net(quiet)), State::Idle { .. }));
    assert!(matches!(bed.controller.state(&net(busy)), State::Installed { .. }));
    bed.now += 2_000_000 * SECOND;
    round(&mut bed.controller, &mut bed.device, bed.now).unwrap();
    bed.settle();
    bed.must_agree();
    assert_eq!(bed.rules().len(), 2, "the busy one, both ways");
    assert_eq!(bed.controller.counters().aged, 1);
    bed.controller.alpha_ends(&busy, bed.now);
    bed.now += 2_000_000 * SECOND;
    round(&mut bed.controller, &mut bed.device, bed.now).unwrap();
    bed.settle();
    assert_eq!(bed.rules().len(), 0);
}

pub(crate) fn a_device_that_does_nothing_is_caught(lab: &dyn Lab) {
    let mut bed = Bed::new(Box::new(Liar::new(lab.open(MANY), Lie::Nothing)));
    for one in kinds(&*bed.device) {
        want(&mut bed, entry(one, "a"));
    }
    bed.settle();
    bed.must_not_lie();
    let wanted = bed.wanted().len();
    assert_eq!(bed.count(|state| *state == State::Failed(Reason::NotThere)), wanted);
    let tries = u64::from(settings().tries);
    assert_eq!(bed.controller.counters().lies, tries * wanted as u64, "tries have a bound");
}

pub(crate) fn a_device_that_drops_some_is_caught(lab: &dyn Lab) {
    let mut bed = Bed::new(Box::new(Liar::new(lab.open(MANY), Lie::Every(3))));
    bed.controller.swap(table(0..20, |_| "a"), bed.now).unwrap();
    bed.settle();
    bed.must_not_lie();
    let counters = bed.controller.counters();
    assert!(counters.lies >= 13, "{counters:?}");
    let rules = bed.rules().len();
    let failed = bed.count(|state| *state == State::Failed(Reason::NotThere));
    assert_eq!(rules + failed, 40, "what it says no to by silence is asked for again");
    assert!(rules > 30, "{rules}");
}

pub(crate) fn a_device_that_forgets_ports_is_caught(lab: &dyn Lab) {
    let mut bed = Bed::new(Box::new(Liar::new(lab.open(MANY), Lie::WithoutPorts)));
    if !bed.device.capabilities().ports {
        return;
    }
    let one = flow(tuple(1, 1, 40_000));
    want(&mut bed, entry(one, "a"));
    bed.settle();
    assert_eq!(bed.controller.state(&one), State::Failed(Reason::NotThere));
    assert_eq!(bed.rules().len(), 0, "the pair that nobody wanted is gone");
}

pub(crate) fn a_device_that_keeps_is_caught(lab: &dyn Lab) {
    let mut honest = Bed::new(lab.open(MANY));
    honest.controller.swap(table(0..3, |_| "a"), honest.now).unwrap();
    honest.settle();
    drop(honest);
    let mut bed = Bed::new(Box::new(Liar::new(lab.open(MANY), Lie::Keeps)));
    assert!(!bed.controller.release(&name("a")));
    // Half of the turns read a slow device only.
    let tries = 2 * settings().tries;
    bed.turns(2 * tries as usize);
    assert!(bed.controller.counters().lies >= 6 * u64::from(tries), "tries go on");
    assert_eq!(bed.count(|state| *state == State::Withdrawing), 6);
    assert!(!bed.controller.settled());
    assert!(!bed.controller.release(&name("a")), "rules are still on it");
}

pub(crate) fn what_must_be_soon_is_confirmed(lab: &dyn Lab) {
    let mut bed = Bed::new(lab.open(MANY));
    bed.controller.swap(table(0..5, |_| "a"), bed.now).unwrap();
    bed.settle();
    let soon = kinds(&*bed.device);
    for one in &soon {
        want(&mut bed, entry(*one, "b"));
    }
    let outcome = quick(&mut bed.controller, &mut bed.device, bed.now).unwrap();
    if let Outcome::Due(due) = outcome {
        bed.now = due;
        round(&mut bed.controller, &mut bed.device, bed.now).unwrap();
    }
    assert!(soon.iter().all(|one| bed.controller.state(one).is_installed()));
    bed.must_agree();
    // Of a liar it is as quickly known that it is one.
    let mut bed = Bed::new(Box::new(Liar::new(lab.open(MANY), Lie::Nothing)));
    bed.controller.swap(table(0..5, |_| "a"), bed.now).unwrap();
    for one in &soon {
        want(&mut bed, entry(*one, "b"));
    }
    bed.settle();
    let late = net(tuple(100, 1, 1));
    want(&mut bed, entry(late, "a"));
    let outcome = quick(&mut bed.controller, &mut bed.device, bed.now).unwrap();
    if let Outcome::Due(due) = outcome {
        bed.now = due;
        round(&mut bed.controller, &mut bed.device, bed.now).unwrap();
    }
    assert_eq!(bed.controller.state(&late), State::Pending);
    assert!(bed.controller.counters().lies > 0);
}

pub(crate) fn counts_by_entry_and_path(lab: &dyn Lab) {
    let mut bed = Bed::new(lab.open(MANY));
    bed.controller.swap(table(0..3, |_| "a"), bed.now).unwrap();
    bed.settle();
    let counts = bed.device.counts(bed.controller.paths()).unwrap();
    let Some(counts) = counts else { return };
    assert_eq!(counts.by_match.len(), 6);
    let paths: BTreeMap<PathName, u64> =
        counts.by_path.into_iter().map(|(path, count)| (path, count.packets)).collect();
    assert_eq!(paths, BTreeMap::from([(name("a"), 0), (name("b"), 0)]));
}

macro_rules! suite {
    ($($case:ident)*) => {
        macro_rules! conforms {
            ($device:ident, $lab:ty) => {
                mod $device {
                    $(#[test]
                    fn $case() {
                        <$lab as super::PlainLab>::with(super::$case);
                    })*
                }
            };
        }
    };
}

suite!(
    installs_and_reads_back
    both_directions
    swaps_a_table
    withdraws_before_a_path_is_released
    leaves_foreign_rules
    widths_live_side_by_side
    a_new_controller_finds_its_entries
    bad_input_is_refused_by_name
    strong_entries_go_first_when_room_is_short
    what_vanishes_comes_again
    idle_entries_go_and_busy_ones_stay
    a_device_that_does_nothing_is_caught
    a_device_that_drops_some_is_caught
    a_device_that_forgets_ports_is_caught
    a_device_that_keeps_is_caught
    what_must_be_soon_is_confirmed
    counts_by_entry_and_path
);

conforms!(memory, super::MemoryLab);
conforms!(iprule, super::IpRuleLab);
conforms!(nft, super::NftLab);
conforms!(slow, super::SlowLab);
conforms!(openflow, super::OvsLab);
conforms!(openflow_timed, super::TimedOvsLab);
conforms!(frr, super::FrrLab);
conforms!(flowspec, super::FlowSpecLab);
conforms!(junos, super::JunosLab);
