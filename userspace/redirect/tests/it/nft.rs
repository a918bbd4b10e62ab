// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What only nftables can go wrong with.

use crate::bed::Bed;
use crate::matches::{entry, flow, host, net, tuple, tuple6};
use crate::space::{Space, may, run};
use telesteer_redirect::nft::{Nft, PRIORITY};

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
