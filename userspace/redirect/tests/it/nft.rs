// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What only nftables can go wrong with.

use crate::bed::Bed;
use crate::matches::{entry, flow, host, name, net, tuple, tuple6};
use crate::space::{Space, may, run};
use std::collections::BTreeSet;
use telesteer_redirect::nft::{Nft, PRIORITY};
use telesteer_redirect::{Change, Device, DeviceError, Kind, Match, Paths, Rule, Target};

const TABLE: &str = "inet telesteer_hntes";

fn with(test: impl FnOnce(Bed) + Send) {
    if may(&["ip", "nft"]) {
        Space::new("nft").within(|| {
            let mut bed = Bed::new(Box::new(Nft::open("nft").unwrap()));
            for key in [tuple(1, 1, 40_000), tuple6(1, 1, 40_000)] {
                for one in [flow(key), host(key), net(key)] {
                    bed.controller.want(entry(one, "a"), bed.now).unwrap();
                }
            }
            bed.settle();
            bed.must_agree();
            test(bed);
        });
    }
}

fn nft(words: &str) {
    run(&["nft", words]);
}

/// Spoils something: then nothing is called installed, and all is mended.
fn spoilt(mut bed: Bed, words: &str, installed: usize) {
    nft(words);
    let back = bed.device.read_back(bed.controller.paths(), bed.now).unwrap();
    assert_eq!(back.rules.len(), installed, "after {words}");
    assert!(!back.amiss.is_empty(), "after {words}");
    bed.settle();
    bed.must_agree();
    assert!(bed.controller.amiss().is_empty());
}

#[test]
fn a_flushed_chain_redirects_nothing() {
    with(|bed| spoilt(bed, &format!("flush chain {TABLE} steer"), 0));
}

#[test]
fn a_rule_out_of_place_is_mended() {
    let rule = "meta mark set ip saddr . ip daddr map @host4 return";
    with(|bed| spoilt(bed, &format!("insert rule {TABLE} steer {rule}"), 0));
}

#[test]
fn an_element_with_an_unknown_mark_goes() {
    let element = "{ 203.0.113.1 . 203.0.113.2 : 0x99 }";
    with(|bed| spoilt(bed, &format!("add element {TABLE} host4 {element}"), 6));
}

#[test]
fn an_element_that_matches_no_packet_goes() {
    let element = "{ 203.0.113.1 . 203.0.113.0 : 0x65 }";
    with(|bed| spoilt(bed, &format!("add element {TABLE} net4 {element}"), 6));
}

#[test]
fn an_element_for_all_that_is_not_listed_goes() {
    with(|bed| spoilt(bed, &format!("add element {TABLE} host4 {{ * : 0x65 }}"), 6));
}

#[test]
fn an_entry_changed_behind_our_back_is_set_right() {
    with(|mut bed| {
        // To another path that is known: it is in force, only not as wanted.
        let pair = "10.16.1.1 . 10.32.1.1";
        nft(&format!("delete element {TABLE} host4 {{ {pair} }}"));
        nft(&format!("add element {TABLE} host4 {{ {pair} : 0x66 }}"));
        bed.settle();
        bed.must_agree();
        assert_eq!(bed.controller.counters().vanished, 1);
    });
}

#[test]
fn a_mark_without_its_rule_redirects_nothing() {
    with(|mut bed| {
        run(&["ip", "rule", "del", "priority", &PRIORITY.to_string()]);
        let back = bed.device.read_back(bed.controller.paths(), bed.now).unwrap();
        assert_eq!(back.rules.len(), 3, "IPv6 has its own rule");
        bed.settle();
        bed.must_agree();
        let rules = run(&["ip", "rule", "show"]);
        assert!(rules.contains("fwmark 0x65 lookup 101"), "{rules}");
    });
}

#[test]
fn a_deleted_table_is_made_again() {
    with(|mut bed| {
        nft(&format!("delete table {TABLE}"));
        bed.settle();
        bed.must_agree();
        assert_eq!(bed.controller.counters().vanished, 6);
    });
}

#[test]
fn rules_of_paths_nobody_knows_go() {
    with(|mut bed| {
        let (priority, protocol) = (PRIORITY.to_string(), "84");
        run(&[
            "ip", "rule", "add", "priority", &priority, "fwmark", "0x99", "table", "999",
            "protocol", protocol,
        ]);
        bed.settle();
        bed.must_agree();
        assert!(!run(&["ip", "rule", "show"]).contains("0x99"));
    });
}

/// A device of its own in a namespace, and a path with a mark whose octets all differ.
fn bare(limit: usize, test: impl FnOnce(Nft, &Paths) + Send) {
    if may(&["ip", "nft"]) {
        Space::new("nft").within(|| {
            let mut paths = Paths::default();
            paths.insert(name("a"), Target { mark: 0x0102_0304, table: 101 }).unwrap();
            paths.insert(name("b"), Target { mark: 0x0506_0708, table: 102 }).unwrap();
            test(Nft::with_limit("nft", limit).unwrap(), &paths);
        });
    }
}

fn on(path: &str, matching: Match) -> Rule {
    Rule { matching, path: name(path) }
}

fn add(rules: impl IntoIterator<Item = Rule>) -> Change {
    Change { add: rules.into_iter().collect(), ..Change::default() }
}

fn held(device: &mut Nft, paths: &Paths) -> BTreeSet<Rule> {
    let back = device.read_back(paths, 0).unwrap();
    assert!(back.amiss.is_empty() && back.foreign.is_empty(), "{back:?}");
    back.rules
}

#[test]
fn what_is_put_in_is_what_nft_lists() {
    bare(100, |mut device, paths| {
        let keys = [tuple(1, 1, 40_000), tuple6(1, 1, 40_000)];
        let all = keys.into_iter().flat_map(|key| [flow(key), host(key), net(key)]);
        let all: Vec<Rule> = all.map(|one| on("a", one)).collect();
        device.apply(paths, &add(all.clone()), 0).unwrap();
        assert_eq!(held(&mut device, paths), all.iter().cloned().collect());
        let found = device.find(paths, &all, 0).unwrap().unwrap();
        assert_eq!(found, all.into_iter().collect());
        for (map, key) in [
            ("flow4", "10.16.1.1 . 10.32.1.1 . tcp . 40000 . 5201"),
            ("host4", "10.16.1.1 . 10.32.1.1"),
            ("net4", "10.16.1.0 . 10.32.1.0"),
            ("flow6", "2001:db8:1:1::1 . 2001:db8:2:1::1 . udp . 40000 . 443"),
            ("host6", "2001:db8:1:1::1 . 2001:db8:2:1::1"),
            ("net6", "2001:db8:1:1:: . 2001:db8:2:1::"),
        ] {
            let listed = run(&["nft", "list", "map", "inet", "telesteer_hntes", map]);
            let element = format!("{{ {key} counter packets 0 bytes 0 : 0x01020304 }}");
            assert!(listed.contains(&element), "{element} in {listed}");
        }
    });
}

#[test]
fn what_nft_puts_in_is_found() {
    bare(100, |mut device, paths| {
        let (there, other) = (flow(tuple(1, 1, 40_000)), flow(tuple(1, 1, 40_001)));
        device.apply(paths, &add([on("a", host(tuple(9, 9, 1)))]), 0).unwrap();
        let key = "10.16.1.1 . 10.32.1.1 . tcp . 40000 . 5201";
        nft(&format!("add element {TABLE} flow4 {{ {key} : 0x01020304 }}"));
        let asked = [on("a", there), on("b", there), on("a", other)];
        device.read_back(paths, 0).unwrap();
        let found = device.find(paths, &asked, 0).unwrap().unwrap();
        assert_eq!(found, BTreeSet::from([on("a", there)]), "neither another path nor port");
        nft(&format!("delete table {TABLE}"));
        assert_eq!(device.find(paths, &asked, 0), Ok(None), "no table");
    });
}

#[test]
fn what_others_have_changed_meanwhile_is_read_as_a_whole() {
    bare(100, |mut device, paths| {
        let rules = |range: std::ops::Range<u16>| range.map(|n| on("a", net(tuple(n, 1, 1))));
        device.apply(paths, &add(rules(0..1)), 0).unwrap();
        assert_eq!(held(&mut device, paths).len(), 1);
        // Changes of our own are not others'.
        for n in 1..4 {
            device.apply(paths, &add(rules(n..n + 1)), 0).unwrap();
            let asked: Vec<Rule> = rules(n..n + 1).collect();
            let found = device.find(paths, &asked, 0).unwrap();
            assert_eq!(found, Some(asked.into_iter().collect()), "{n}");
        }
        // Nor is a refused one a change.
        assert!(device.apply(paths, &add([on("b", net(tuple(1, 1, 1)))]), 0).is_err());
        held(&mut device, paths);
        for when in ["before", "after"] {
            let new: Vec<Rule> = rules(if when == "before" { 4..5 } else { 5..6 }).collect();
            if when == "before" {
                nft(&format!("flush chain {TABLE} steer"));
            }
            device.apply(paths, &add(new.clone()), 0).unwrap();
            if when == "after" {
                nft(&format!("flush chain {TABLE} steer"));
            }
            assert_eq!(device.find(paths, &new, 0), Ok(None), "flushed {when} the change");
            let back = device.read_back(paths, 0).unwrap();
            assert!(back.rules.is_empty(), "no packet is looked up: {back:?}");
            let mend = Change { purge: true, ..Change::default() };
            device.apply(paths, &mend, 0).unwrap();
            assert!(!held(&mut device, paths).is_empty());
        }
    });
}

#[test]
fn an_element_changes_its_path_in_one_transaction() {
    bare(100, |mut device, paths| {
        let one = flow(tuple(1, 1, 40_000));
        device.apply(paths, &add([on("a", one)]), 0).unwrap();
        let change = Change { remove: vec![on("a", one)], ..add([on("b", one)]) };
        device.apply(paths, &change, 0).unwrap();
        assert_eq!(held(&mut device, paths), BTreeSet::from([on("b", one)]));
    });
}

#[test]
fn a_refused_transaction_changes_nothing() {
    bare(100, |mut device, paths| {
        let port = |port| flow(tuple(1, 1, port));
        device.apply(paths, &add((1..=50).map(|n| on("a", port(n)))), 0).unwrap();
        let before = held(&mut device, paths);
        // One that is not there is to go.
        let gone = (1..=40).chain([999]).chain(41..=50).map(|n| on("a", port(n))).collect();
        let change = Change { remove: gone, ..add((100..200).map(|n| on("a", port(n)))) };
        let no = device.apply(paths, &change, 0).unwrap_err();
        assert_eq!((no.kind, no.entry), (Kind::Refused, Some(port(999))), "{no}");
        assert!(no.said.contains("No such file") && no.command.contains("flow4"), "{no}");
        assert_eq!(held(&mut device, paths), before);
        // One that is there is to come, with another mark, after others could have gone.
        let come = (100..150).map(|n| on("b", port(n))).chain([on("b", port(7))]);
        let gone = (11..=20).map(|n| on("a", port(n))).collect();
        let change = Change { remove: gone, ..add(come) };
        let no = device.apply(paths, &change, 0).unwrap_err();
        assert_eq!((no.kind, no.entry), (Kind::Refused, Some(port(7))), "{no}");
        assert!(no.said.contains("File exists"), "{no}");
        assert_eq!(held(&mut device, paths), before);
        // It is none the worse for it.
        device.apply(paths, &add([on("b", port(300))]), 0).unwrap();
        assert_eq!(held(&mut device, paths).len(), 51);
        // And without a table nothing is there to be changed.
        nft(&format!("delete table {TABLE}"));
        let DeviceError { kind, said, .. } =
            device.apply(paths, &add([on("a", port(1))]), 0).unwrap_err();
        assert!(kind == Kind::Refused && said.contains("No such file"), "{said}");
    });
}

#[test]
fn a_full_map_says_so_and_is_left_as_it_was() {
    bare(1, |mut device, paths| {
        let nets = |range: std::ops::Range<u16>| range.map(|n| on("a", net(tuple(n, 1, 1))));
        device.apply(paths, &add(nets(0..2)), 0).unwrap();
        let no = device.apply(paths, &add(nets(2..3)), 0).unwrap_err();
        assert_eq!((no.kind, no.entry), (Kind::Full, Some(net(tuple(2, 1, 1)))), "{no}");
        assert_eq!(held(&mut device, paths), nets(0..2).collect());
    });
}

#[test]
fn a_change_longer_than_a_send_buffer_is_one_transaction() {
    bare(30_000, |mut device, paths| {
        let flows = |path: &'static str| {
            (1..=30_000).map(move |port| on(path, flow(tuple6(1, 1, port)))).collect::<Vec<_>>()
        };
        device.apply(paths, &add(flows("a")), 0).unwrap();
        let change = Change { remove: flows("a"), ..add(flows("b")) };
        device.apply(paths, &change, 0).unwrap();
        assert_eq!(held(&mut device, paths), flows("b").into_iter().collect());
        // All of it is refused for one at its end.
        let mut gone = flows("b");
        gone.push(on("b", flow(tuple6(2, 1, 1))));
        let change = Change { remove: gone, ..Change::default() };
        let no = device.apply(paths, &change, 0).unwrap_err();
        assert_eq!(no.entry, Some(flow(tuple6(2, 1, 1))), "{no}");
        assert_eq!(held(&mut device, paths).len(), 30_000);
        // Every message of it is refused.
        let change = Change { remove: flows("a"), ..add(flows("a")) };
        nft(&format!("flush map {TABLE} flow6"));
        let no = device.apply(paths, &change, 0).unwrap_err();
        assert_eq!(no.entry, Some(flow(tuple6(1, 1, 1))), "{no}");
        assert_eq!(held(&mut device, paths).len(), 0);
    });
}
