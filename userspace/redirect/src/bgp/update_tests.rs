// SPDX-License-Identifier: Apache-2.0 OR MIT
//! UPDATE messages that GoBGP 3.36 sends, and what is left of them once something is wrong.

use super::*;
use crate::flowspec::action::{Redirect, RouteTarget};
use crate::matching::Match;
use proptest::prelude::*;

/// Announces 10.1.0.1:40000 to 10.2.0.1:5201, TCP, redirected to 64512:101.
pub(crate) const FLOW: &str = "000000404001010240020040050400000064c00804fc000054800e1d00018500001701\
    200a02000102200a0100010381060591145106919c40c010088008fc0000000065";
/// Announces 2001:db8:1::/64 to 2001:db8:2::/64, redirected to 64512:102.
const NET6: &str = "0000003f4001010240020040050400000064c00804fc000054800e1c000285000016014000\
    20010db80002000002400020010db800010000c010088008fc0000000066";
/// Withdraws FLOW.
const GONE: &str = "0000001e800f1b0001851701200a02000102200a0100010381060591145106919c40";
/// Announces all to 10.3.0.0/24, discarded.
const DISCARD: &str = "000000274001010240020040050400000064800e0b00018500000501180a0300c0100880060000\
    00000000";

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn read(hex: &str) -> Update {
    Update::parse(&bytes(hex), true).unwrap()
}

fn matches(found: &[Found]) -> Vec<String> {
    let meaning =
        |one: &Found| one.nlri.as_ref().unwrap().meaning().map(|one: Match| one.to_string());
    found.iter().map(|one| meaning(one).unwrap_or_else(|why| why.to_string())).collect()
}

fn to(number: u32) -> Vec<Action> {
    vec![Action::Redirect(Redirect::Target(RouteTarget::As2 { asn: 64_512, number }))]
}

#[test]
fn announcements_are_read() {
    let update = read(FLOW);
    assert_eq!(matches(&update.announced), ["10.1.0.1:40000 10.2.0.1:5201 protocol 6"]);
    assert_eq!((&update.actions, update.spoilt, update.others), (&to(101), None, false));
    let update = read(NET6);
    assert_eq!(matches(&update.announced), ["2001:db8:1::/64 2001:db8:2::/64"]);
    assert_eq!(update.actions, to(102));
    let update = read(DISCARD);
    assert_eq!(matches(&update.announced), ["no source prefix"]);
    assert_eq!(update.actions, [Action::Other]);
}

#[test]
fn withdrawals_are_read() {
    let update = read(GONE);
    assert_eq!(matches(&update.withdrawn), ["10.1.0.1:40000 10.2.0.1:5201 protocol 6"]);
    assert!(update.announced.is_empty());
    // The end of the first telling (RFC 4724), for the old kind of routes and for one of FlowSpec.
    assert_eq!(read("00000000"), Update::default());
    assert_eq!(read("00000006800f03000185"), Update::default());
}

#[test]
fn other_families_are_passed_over() {
    // 192.0.2.0/24 withdrawn in the old way, and IPv6 unicast.
    let update = read("000418c000020000");
    assert!(update.others && update.withdrawn.is_empty());
    let update = read("00000006800f03000201");
    assert!(update.others && update.withdrawn.is_empty());
}

#[test]
fn lists_that_do_not_add_up_end_the_session() {
    let error = |hex: &str| Update::parse(&bytes(hex), true).unwrap_err().to_string();
    assert_eq!(error("0000"), "malformed attribute list (3/1)");
    assert_eq!(error("0005000000"), "malformed attribute list (3/1)");
    assert_eq!(error("00000003800f09"), "malformed attribute list (3/1)");
    // A route longer than what is left; MP_UNREACH too short for a family; MP_REACH twice.
    assert_eq!(
        error(&GONE.replace("0001851701", "0001851801")),
        "malformed optional attribute (3/9)"
    );
    assert_eq!(error("00000005800f020001"), "malformed optional attribute (3/9)");
    let twice = "0000000c800f03000185800f03000285";
    assert_eq!(error(twice), "malformed attribute list (3/1)");
}

#[test]
fn what_is_wrong_inside_costs_the_routes_only() {
    // Communities of nine octets; the message and its list grow by one.
    let longer = FLOW.replace("000000404001", "000000414001").replace("c010088008", "c010098008");
    let update = read(&(longer + "00"));
    assert_eq!(update.spoilt, Some(Spoilt::Communities));
    assert_eq!(update.announced.len(), 1);
    // An AS path whose segment is cut: 02 01 and no AS. Two octets more.
    let path = FLOW.replace("000000404001", "000000424001").replace("400200", "4002020201");
    assert_eq!(read(&path).spoilt, Some(Spoilt::AsPath));
    // Components out of order: the port before the protocol.
    let order = FLOW.replace("038106", "058106");
    let update = read(&order);
    assert_eq!(update.announced[0].nlri, Err(BadNlri::Order(5)));
}

#[test]
fn the_path_is_read_in_either_width() {
    let path = FLOW.replace("000000404001", "0000004a4001");
    let path = path.replace("400200", "40020a02020000fde90000fde8");
    assert_eq!(read(&path).as_path, [65_001, 65_000]);
    let path = FLOW.replace("000000404001", "000000464001").replace("400200", "4002060202fde9fde8");
    assert_eq!(Update::parse(&bytes(&path), false).unwrap().as_path, [65_001, 65_000]);
}

#[test]
fn a_redirect_to_the_next_hop_needs_one() {
    let simpson = FLOW.replace("8008fc0000000065", "0800000000000000");
    assert_eq!(read(&simpson).actions, [Action::Other]);
    let hop = simpson.replace("000000404001", "000000444001");
    let hop = hop.replace("800e1d0001850000", "800e2100018504c000020700");
    let expected = Redirect::Address("192.0.2.7".parse().unwrap());
    assert_eq!(read(&hop).actions, [Action::Redirect(expected)]);
}

proptest! {
    #[test]
    fn any_bytes_are_survived(body in proptest::collection::vec(any::<u8>(), 0..600), four: bool) {
        let _ = Update::parse(&body, four);
    }

    /// Slips in a message that was good: never a panic, never more routes than octets.
    #[test]
    fn any_slips_are_survived(
        slips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        which in 0..4_usize,
    ) {
        let mut body = bytes([FLOW, NET6, GONE, DISCARD][which]);
        for (at, value) in slips {
            let at = at.index(body.len());
            body[at] = value;
        }
        if let Ok(update) = Update::parse(&body, true) {
            prop_assert!(update.announced.len() + update.withdrawn.len() <= body.len());
        }
    }
}
