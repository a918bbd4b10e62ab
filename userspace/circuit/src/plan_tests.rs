// SPDX-License-Identifier: Apache-2.0 OR MIT
use super::*;
use crate::path::tests::{any_network, network};
use crate::request::{Best, Excess, Pair, Rate};
use proptest::prelude::*;

fn request(from: &str, to: &str, at: u64, mbps: u64, span: (u64, Option<u64>)) -> Request {
    let rate = match mbps {
        0 => Rate::Unlimited,
        mbps => Rate::Specified { mbps, excess: Excess::BestEffort },
    };
    Request {
        name: Name::of(&Pair::new(from, to), At(at)).unwrap(),
        rate,
        span: Span { from: At(span.0), until: span.1.map(At) },
        best: Best::Hops,
        off_ip_path: false,
        both: true,
    }
}

#[test]
fn over_booking_is_refused_and_another_path_is_taken() {
    let net = network(3, &[(0, 1, 100, 1, 1), (0, 2, 50, 1, 1), (2, 1, 50, 1, 1)]);
    let mut admission = Admission::new(net, Numbers::default());
    let first = admission.admit(&request("n0", "n1", 1, 80, (0, None))).unwrap();
    assert_eq!(first.lsps.iter().map(|lsp| lsp.hops.len()).collect::<Vec<_>>(), [1, 1]);
    let second = admission.admit(&request("n0", "n1", 2, 50, (0, Some(10)))).unwrap();
    assert_eq!(second.lsps[0].hops.len(), 2, "the straight link has no room");
    let third = admission.admit(&request("n0", "n1", 3, 50, (5, Some(20)))).unwrap_err();
    assert_eq!(third.to_string(), "no path from `n0` to `n1` with room for it");
    // In advance: after the second has ended.
    admission.admit(&request("n0", "n1", 4, 50, (10, Some(20)))).unwrap();
    assert_eq!(
        admission.extend(&second.request.name, Some(At(11))),
        Err(Refusal::NoRoom("n0".into(), "n2".into()))
    );
    admission.extend(&second.request.name, Some(At(9))).unwrap();
    // What promises nothing needs no room.
    admission.admit(&request("n0", "n1", 5, 0, (0, None))).unwrap();
}

#[test]
fn off_the_ip_path() {
    let net = network(3, &[(0, 1, 100, 1, 1), (0, 2, 50, 1, 10), (2, 1, 50, 1, 10)]);
    let mut admission = Admission::new(net, Numbers::default());
    let mut asked = request("n0", "n1", 1, 0, (0, None));
    asked.off_ip_path = true;
    let plan = admission.admit(&asked).unwrap();
    assert_eq!(plan.lsps[0].hops.iter().map(|(hop, _)| hop.link).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn refusals_leave_nothing() {
    let net = network(3, &[(0, 1, 100, 1, 1), (1, 2, 100, 1, 1)]);
    let numbers =
        Numbers { labels: Range { first: 16, last: 17 }, tables: Range { first: 300, last: 400 } };
    let mut admission = Admission::new(net, numbers);
    for (from, to) in [("n0", "n9"), ("n0", "n0")] {
        assert!(admission.admit(&request(from, to, 1, 10, (0, None))).is_err());
    }
    assert_eq!(admission.admit(&request("n0", "n1", 1, 10, (5, Some(5)))), Err(Refusal::Empty));
    assert_eq!(admission.numbers_taken(), 0);
    let one = admission.admit(&request("n0", "n2", 1, 10, (0, None))).unwrap();
    assert_eq!(admission.admit(&one.request), Err(Refusal::Twice));
    // Node 1 has no label left: two of the first circuit's.
    let refused = admission.admit(&request("n0", "n2", 2, 10, (0, None))).unwrap_err();
    assert_eq!(refused.to_string(), "no label is left at `n1`");
    let taken = admission.numbers_taken();
    assert_eq!(taken, 6);
    admission.remove(&one.request.name).unwrap();
    assert_eq!(admission.numbers_taken(), 0);
}

#[test]
fn a_stored_plan_is_taken_as_it_was_or_not_at_all() {
    let net = network(3, &[(0, 1, 100, 1, 1), (1, 2, 100, 1, 1)]);
    let mut admission = Admission::new(net.clone(), Numbers::default());
    let plan = admission.admit(&request("n0", "n2", 1, 60, (0, None))).unwrap();
    let mut again = Admission::new(net, Numbers::default());
    again.restore(plan.clone()).unwrap();
    assert_eq!(again.restore(plan.clone()), Err(Refusal::Twice));
    assert_eq!(again.plans(), admission.plans());
    assert!(again.admit(&request("n0", "n2", 2, 60, (0, None))).is_err());

    let smaller = network(3, &[(0, 1, 50, 1, 1), (1, 2, 50, 1, 1)]);
    let mut misfit = Admission::new(smaller, Numbers::default());
    assert!(matches!(misfit.restore(plan.clone()), Err(Refusal::NoRoom(..))));
    let other = network(3, &[(0, 2, 100, 1, 1)]);
    let mut misfit2 = Admission::new(other, Numbers::default());
    assert!(matches!(misfit2.restore(plan), Err(Refusal::Misfit(_))));
    assert_eq!((misfit.numbers_taken(), misfit2.numbers_taken()), (0, 0));
}

#[derive(Clone, Debug)]
enum Deed {
    Admit { from: usize, to: usize, mbps: u64, begin: u64, length: Option<u64>, off: bool },
    Extend(usize, Option<u64>),
    Remove(usize),
}

fn deed() -> impl Strategy<Value = Deed> {
    let admit = (
        0..8_usize,
        0..8_usize,
        0..80_u64,
        0..50_u64,
        proptest::option::of(1..50_u64),
        any::<bool>(),
    )
        .prop_map(|(from, to, mbps, begin, length, off)| Deed::Admit {
            from,
            to,
            mbps,
            begin,
            length,
            off,
        });
    prop_oneof![
        4 => admit,
        1 => (any::<usize>(), proptest::option::of(0..120_u64)).prop_map(|(which, until)| Deed::Extend(which, until)),
        2 => any::<usize>().prop_map(Deed::Remove),
    ]
}

proptest! {
    /// At no instant is a link over its budget, counted here again from the plans; no label or table
    /// is given out twice at a node; and when all is removed nothing is left.
    #[test]
    fn links_keep_to_their_budget(net in any_network(), deeds in proptest::collection::vec(deed(), 1..40)) {
        let mut admission = Admission::new(net, Numbers::default());
        let mut serial = 0;
        for deed in deeds {
            let names: Vec<Name> = admission.plans().keys().cloned().collect();
            match deed {
                Deed::Admit { from, to, mbps, begin, length, off } => {
                    serial += 1;
                    let span = (begin, length.map(|length| begin + length));
                    let mut asked = request(&format!("n{from}"), &format!("n{to}"), serial, mbps, span);
                    asked.off_ip_path = off;
                    let before = admission.numbers_taken();
                    if admission.admit(&asked).is_err() {
                        prop_assert_eq!(admission.numbers_taken(), before);
                    }
                }
                Deed::Extend(which, until) if !names.is_empty() => {
                    let _ = admission.extend(&names[which % names.len()], until.map(At));
                }
                Deed::Remove(which) if !names.is_empty() => {
                    admission.remove(&names[which % names.len()]);
                }
                _ => {}
            }
            let topology = admission.topology();
            let plans: Vec<&Plan> = admission.plans().values().collect();
            for (link, of) in topology.links().iter().enumerate() {
                for forth in [true, false] {
                    let hop = Hop { link, forth };
                    for at in (0..=200).map(At) {
                        let used: u64 = plans
                            .iter()
                            .filter(|plan| plan.request.span.holds(at))
                            .map(|plan| {
                                let times = plan.lsps.iter().flat_map(|lsp| &lsp.hops).filter(|(used, _)| *used == hop).count();
                                plan.request.rate.mbps() * times as u64
                            })
                            .sum();
                        prop_assert!(used <= of.reservable(), "{used} of {} on {hop:?} at {at:?}", of.reservable());
                    }
                }
            }
            let mut labels = BTreeSet::new();
            let mut tables = BTreeSet::new();
            for lsp in plans.iter().flat_map(|plan| &plan.lsps) {
                prop_assert!(tables.insert((lsp.from, lsp.table)));
                for (hop, label) in &lsp.hops {
                    let far = topology.ends(*hop).unwrap().1.node.clone();
                    prop_assert!(labels.insert((far, *label)));
                }
            }
        }
        for name in admission.plans().keys().cloned().collect::<Vec<_>>() {
            admission.remove(&name);
        }
        prop_assert_eq!(admission.numbers_taken(), 0);
        let all = Span { from: At(0), until: None };
        for link in 0..admission.topology().links().len() {
            for forth in [true, false] {
                prop_assert_eq!(admission.budget().peak(Hop { link, forth }, all), 0);
            }
        }
    }
}
