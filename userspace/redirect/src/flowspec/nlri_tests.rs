// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Routes as the standards show them, as real speakers write them, and any other.

use super::*;
use proptest::prelude::*;

fn decode(family: Family, hex: &str) -> Result<String, BadNlri> {
    let octets = hex.split_whitespace().map(|one| u8::from_str_radix(one, 16).unwrap());
    let bytes: Vec<u8> = octets.collect();
    let all = split(&bytes).unwrap();
    assert_eq!(all.len(), 1);
    let nlri = Nlri::decode(family, all[0])?;
    // All of these are written in the shortest way.
    assert_eq!(nlri.encode().unwrap(), bytes, "{nlri}");
    Ok(nlri.to_string())
}

/// Two examples of RFC 8955, section 4.3.
#[test]
fn examples_of_ipv4_are_read() {
    let v4 = |hex| decode(Family::Ipv4, hex).unwrap();
    assert_eq!(
        v4("0b 01 18 c0 00 02 03 81 06 04 81 19"),
        "to 192.0.2.0/24, component 3 0x1:6, component 4 0x1:25"
    );
    assert_eq!(
        v4("12 01 18 c0 00 02 02 18 cb 00 71 04 03 89 45 8b 91 1f 90"),
        "to 192.0.2.0/24, from 203.0.113.0/24, component 4 0x3:137 0x45:139 0x1:8080"
    );
}

/// The examples of RFC 8956, section 3.8, and a pair as it is written without an offset.
#[test]
fn examples_of_ipv6_are_read() {
    let v6 = |hex| decode(Family::Ipv6, hex).unwrap();
    assert_eq!(
        v6("0f 01 20 00 20 01 0d b8 02 68 40 12 34 56 78 9a"),
        "to 2001:db8::/32, from ::1234:5678:9a00:0/104 from bit 64"
    );
    assert_eq!(
        v6("0f 01 20 00 20 01 0d b8 02 68 41 24 68 ac f1 34"),
        "to 2001:db8::/32, from ::1234:5678:9a00:0/104 from bit 65"
    );
    assert_eq!(
        v6("16 01 40 00 20 01 0d b8 00 02 00 00 02 40 00 20 01 0d b8 00 01 00 00"),
        "to 2001:db8:2::/64, from 2001:db8:1::/64"
    );
    assert_eq!(v6("06 0d a0 12 34 56 78"), "component 13 0x0:305419896");
}

#[test]
fn slips_are_told_apart() {
    let v4 = |hex| decode(Family::Ipv4, hex).unwrap_err();
    assert_eq!(v4("00"), BadNlri::Empty);
    assert_eq!(v4("05 01 21 c0 00 02"), BadNlri::Prefix(1));
    assert_eq!(v4("04 01 18 c0 00"), BadNlri::Short(1));
    assert_eq!(v4("06 03 81 06 03 81 06"), BadNlri::Order(3));
    assert_eq!(v4("03 03 01 06"), BadNlri::Short(3));
    assert_eq!(v4("02 0e 00"), BadNlri::Unknown(14));
    assert_eq!(v4("03 0d 81 00"), BadNlri::Unknown(13), "a flow label in IPv4");
    let v6 = |hex| decode(Family::Ipv6, hex).unwrap_err();
    assert_eq!(v6("04 01 08 08 00"), BadNlri::Prefix(1));
    assert_eq!(v6("04 01 81 00 00"), BadNlri::Prefix(1));
    assert_eq!(split(&[3, 1, 2]), None);
    assert_eq!(split(&[0xf0]), None);
}

#[test]
fn what_does_not_count_is_passed_over() {
    // "And" before the first, bits without a meaning, and a number in more octets than it needs.
    let wide = Nlri::decode(Family::Ipv4, &[3, 0xc1 | 0x08 | 0x20, 0, 0, 0, 6]).unwrap();
    assert_eq!(wide, Nlri::decode(Family::Ipv4, &[3, 0x81, 6]).unwrap());
    // Bits after the prefix.
    let loose = Nlri::decode(Family::Ipv4, &[1, 9, 10, 0xff]).unwrap();
    assert_eq!(loose.to_string(), "to 10.128.0.0/9");
}

#[test]
fn long_routes_have_a_long_length() {
    let items = |count| vec![Item { operator: EQUAL, value: 0xffff }; count];
    let nlri = |count| Nlri {
        family: Family::Ipv4,
        components: vec![Component::Numbers { kind: 4, items: items(count) }],
    };
    assert_eq!(nlri(79).encode().unwrap()[..2], [238, 4]);
    assert_eq!(nlri(80).encode().unwrap()[..2], [0xf0, 241]);
    assert_eq!(nlri(1364).encode().unwrap().len(), 2 + 4093);
    assert_eq!(nlri(1365).encode(), None);
    let long = nlri(80).encode().unwrap();
    assert_eq!(Nlri::decode(Family::Ipv4, split(&long).unwrap()[0]), Ok(nlri(80)));
}

fn any_net(family: Family, kind: u8) -> impl Strategy<Value = Component> {
    (any::<u128>(), 0..=128_u8, 0..=127_u8).prop_map(move |(bits, len, offset)| match family {
        Family::Ipv4 => {
            let addr = Ipv4Addr::from_bits((bits >> 96) as u32);
            Component::Net { kind, prefix: Prefix::new(addr.into(), len.min(32)), offset: 0 }
        }
        Family::Ipv6 => {
            let offset = if len == 0 { 0 } else { offset.min(len - 1) };
            let addr = Ipv6Addr::from_bits(bits & (u128::MAX >> offset));
            Component::Net { kind, prefix: Prefix::new(addr.into(), len), offset }
        }
    })
}

fn any_numbers(kind: u8) -> impl Strategy<Value = Component> {
    let item = (any::<u8>(), any::<u64>(), 0..64_u32)
        .prop_map(|(op, value, shift)| Item { operator: op & MEANING, value: value >> shift });
    proptest::collection::vec(item, 1..6).prop_map(move |mut items| {
        items[0].operator &= !0x40;
        Component::Numbers { kind, items }
    })
}

fn any_nlri() -> impl Strategy<Value = Nlri> {
    prop_oneof![Just(Family::Ipv4), Just(Family::Ipv6)].prop_flat_map(|family| {
        let last = if family == Family::Ipv4 { 12 } else { 13 };
        let nets = [1, 2].map(|kind| proptest::option::of(any_net(family, kind)));
        let numbers: Vec<_> =
            (3..=last).map(|kind| proptest::option::of(any_numbers(kind))).collect();
        (nets, numbers)
            .prop_map(move |(nets, numbers)| {
                let components = nets.into_iter().flatten().chain(numbers.into_iter().flatten());
                Nlri { family, components: components.collect() }
            })
            .prop_filter("something in it", |nlri| !nlri.components.is_empty())
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(all in proptest::collection::vec(any_nlri(), 0..4)) {
        let bytes: Vec<u8> = all.iter().flat_map(|one| one.encode().unwrap()).collect();
        let parts = split(&bytes).unwrap();
        prop_assert_eq!(parts.len(), all.len());
        for (one, part) in all.iter().zip(parts) {
            prop_assert_eq!(&Nlri::decode(one.family, part), &Ok(one.clone()));
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for part in split(&bytes).unwrap_or_default() {
            for family in Family::ALL {
                if let Ok(nlri) = Nlri::decode(family, part) {
                    // What was understood is written so that it is understood again.
                    let again = nlri.encode().unwrap();
                    prop_assert_eq!(Nlri::decode(family, split(&again).unwrap()[0]), Ok(nlri));
                }
            }
        }
    }

    #[test]
    fn any_slip_is_survived(nlri in any_nlri(), at: prop::sample::Index, value: u8) {
        let mut bytes = nlri.encode().unwrap();
        let at = at.index(bytes.len());
        bytes[at] = value;
        for part in split(&bytes).unwrap_or_default() {
            let _ = Nlri::decode(nlri.family, part);
        }
    }
}
