// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Every way to tell a time, in datagrams built here.

use super::Times;
use crate::flow::{Arrival, Limits, Session};

/// Export time of every datagram: 2023-11-14 22:13:20 UTC.
const EXPORTED_S: u64 = 1_700_000_000;
const EXPORTED_MS: u64 = EXPORTED_S * 1000;

/// A field: element and its octets.
type Field = (u16, Vec<u8>);

fn u32_of(id: u16, value: u32) -> Field {
    (id, value.to_be_bytes().to_vec())
}

fn u64_of(id: u16, value: u64) -> Field {
    (id, value.to_be_bytes().to_vec())
}

/// An NTP time stamp of so many seconds since 1970, and a half.
fn ntp(id: u16, seconds: u64) -> Field {
    u64_of(id, (seconds + 2_208_988_800) << 32 | 1 << 31)
}

fn set(id: u16, body: &[u8]) -> Vec<u8> {
    [&id.to_be_bytes()[..], &(body.len() as u16 + 4).to_be_bytes(), body].concat()
}

/// A template and one record of it; `scopes` makes it an options record.
fn sets(version: u16, id: u16, fields: &[Field], scopes: Option<u16>) -> Vec<u8> {
    let specifiers: Vec<u16> =
        fields.iter().flat_map(|(id, octets)| [*id, octets.len() as u16]).collect();
    let head = match (version, scopes) {
        (_, None) => vec![id, fields.len() as u16],
        (_, Some(scopes)) => vec![id, fields.len() as u16, scopes],
    };
    let words: Vec<u8> =
        head.iter().chain(&specifiers).flat_map(|word| word.to_be_bytes()).collect();
    let kind = match (version, scopes) {
        (9, _) => 0,
        (_, None) => 2,
        (_, Some(_)) => 3,
    };
    let record: Vec<u8> = fields.iter().flat_map(|(_, octets)| octets.clone()).collect();
    [set(kind, &words), set(id, &record)].concat()
}

fn ipfix(domain: u32, sets: &[u8]) -> Vec<u8> {
    let mut message = 10_u16.to_be_bytes().to_vec();
    message.extend_from_slice(&(sets.len() as u16 + 16).to_be_bytes());
    for word in [EXPORTED_S as u32, 0, domain] {
        message.extend_from_slice(&word.to_be_bytes());
    }
    [message, sets.to_vec()].concat()
}

fn v9(uptime_ms: u32, exported_s: u32, sets: &[u8]) -> Vec<u8> {
    let mut message = 9_u16.to_be_bytes().to_vec();
    message.extend_from_slice(&2_u16.to_be_bytes());
    for word in [uptime_ms, exported_s, 0, 1] {
        message.extend_from_slice(&word.to_be_bytes());
    }
    [message, sets.to_vec()].concat()
}

fn decode(session: &mut Session, datagram: &[u8]) -> Option<Times> {
    let mut times = None;
    let arrival = Arrival { now_s: 1, tag: 0 };
    session
        .decode(datagram, arrival, &mut |record| {
            if !record.is_options() {
                times = record.times();
            }
        })
        .unwrap();
    times
}

fn of_ipfix(fields: &[Field]) -> Option<Times> {
    decode(&mut Session::new(Limits::default()), &ipfix(1, &sets(10, 256, fields, None)))
}

fn of_v9(uptime_ms: u32, fields: &[Field]) -> Option<Times> {
    let datagram = v9(uptime_ms, EXPORTED_S as u32, &sets(9, 256, fields, None));
    decode(&mut Session::new(Limits::default()), &datagram)
}

fn ms(start: u64, end: u64) -> Option<Times> {
    Some(Times { start_ns: start * 1_000_000, end_ns: end * 1_000_000 })
}

#[test]
fn times_since_1970_in_every_unit() {
    let at = EXPORTED_S - 90;
    let seconds = of_ipfix(&[u32_of(150, at as u32), u32_of(151, at as u32 + 60)]);
    assert_eq!(seconds, ms(at * 1000, at * 1000 + 60_000));
    let millis = of_ipfix(&[u64_of(152, at * 1000 + 7), u64_of(153, at * 1000 + 8)]);
    assert_eq!(millis, ms(at * 1000 + 7, at * 1000 + 8));
    let half = ms(at * 1000 + 500, at * 1000 + 1500);
    assert_eq!(of_ipfix(&[ntp(154, at), ntp(155, at + 1)]), half);
    assert_eq!(of_ipfix(&[ntp(156, at), ntp(157, at + 1)]), half);
    // v9 exporters use them too.
    assert_eq!(
        of_v9(5, &[u64_of(152, at * 1000), u64_of(153, at * 1000)]),
        ms(at * 1000, at * 1000)
    );
}

#[test]
fn deltas_count_back_from_the_export_time() {
    let read = of_ipfix(&[u32_of(158, 2_500_000), u32_of(159, 500)]);
    let export_ns = EXPORTED_S * 1_000_000_000;
    let want = Times { start_ns: export_ns - 2_500_000_000, end_ns: export_ns - 500_000 };
    assert_eq!(read, Some(want));
}

#[test]
fn uptimes_of_v9_count_from_the_headers() {
    // Up for ten minutes; the flow from 61 to 1 seconds ago.
    let read = of_v9(600_000, &[u32_of(22, 539_000), u32_of(21, 599_000)]);
    assert_eq!(read, ms(EXPORTED_MS - 61_000, EXPORTED_MS - 1000));
    // A packet that came while the header was written.
    let read = of_v9(600_000, &[u32_of(22, 599_000), u32_of(21, 600_020)]);
    assert_eq!(read, ms(EXPORTED_MS - 1000, EXPORTED_MS + 20));
    // The counter went over its end between begin and end.
    let read = of_v9(3000, &[u32_of(22, u32::MAX - 1999), u32_of(21, 1000)]);
    assert_eq!(read, ms(EXPORTED_MS - 5000, EXPORTED_MS - 2000));
    // An exporter without a clock tells no time at all.
    let fields = [u32_of(22, 1), u32_of(21, 2)];
    let mut session = Session::new(Limits::default());
    assert_eq!(decode(&mut session, &v9(10, 0, &sets(9, 256, &fields, None))), None);
}

#[test]
fn uptimes_of_ipfix_need_the_exporters_start() {
    let flow = [u32_of(22, 1000), u32_of(21, 4000)];
    assert_eq!(of_ipfix(&flow), None, "never guessed");
    let init = EXPORTED_MS - 60_000;
    let own = [&flow[..], &[u64_of(160, init)]].concat();
    assert_eq!(of_ipfix(&own), ms(init + 1000, init + 4000));

    // Told by an options record: for the domain, and by domain 0 for all.
    for (told_in, known_in) in [(7, 7), (0, 7)] {
        let mut session = Session::new(Limits::default());
        let options = sets(10, 300, &[u32_of(149, told_in), u64_of(160, init)], Some(1));
        assert_eq!(decode(&mut session, &ipfix(told_in, &options)), None);
        let data = ipfix(known_in, &sets(10, 256, &flow, None));
        assert_eq!(decode(&mut session, &data), ms(init + 1000, init + 4000));
        // And a heir of the state knows it.
        let state = session.snapshot(told_in).unwrap();
        let mut heir = Session::new(Limits::default());
        heir.restore(&state, 1);
        assert_eq!(decode(&mut heir, &data), ms(init + 1000, init + 4000));
    }

    // Up for 60 days: the counter has gone over its end once.
    let day = 86_400_000;
    let init = EXPORTED_MS - 60 * day;
    let wrapped = (60 * day - 5000) % (1 << 32);
    let fields = [u32_of(22, wrapped as u32), u32_of(21, wrapped as u32 + 10), u64_of(160, init)];
    assert_eq!(of_ipfix(&fields), ms(EXPORTED_MS - 5000, EXPORTED_MS - 4990));
}

#[test]
fn a_duration_stands_for_the_end_that_is_missing() {
    let at = EXPORTED_MS - 5000;
    assert_eq!(of_ipfix(&[u64_of(152, at), u32_of(161, 250)]), ms(at, at + 250));
    assert_eq!(of_ipfix(&[u64_of(153, at), u32_of(162, 250_000)]), ms(at - 250, at));
    assert_eq!(of_ipfix(&[u64_of(152, at)]), None);
    assert_eq!(of_ipfix(&[u32_of(161, 250)]), None);
}

#[test]
fn the_finest_usable_one_wins() {
    let at = EXPORTED_MS - 5000;
    let coarse = [u32_of(150, 1), u32_of(151, 2)];
    let fine = [u64_of(152, at), u64_of(153, at + 1)];
    let both = [&coarse[..], &fine].concat();
    assert_eq!(of_ipfix(&both), ms(at, at + 1));
    // A zero, and octets that are no NTP time after 1970, count as not told.
    let useless = [u64_of(152, 0), u64_of(153, 0), u64_of(154, 5), u64_of(155, 5)];
    assert_eq!(of_ipfix(&[&coarse[..], &useless].concat()), ms(1000, 2000));
    assert_eq!(of_ipfix(&useless), None);
    // Beyond the year 2262.
    assert_eq!(of_ipfix(&[u64_of(152, 1 << 62), u64_of(153, 1 << 62)]), None);
}

#[test]
fn sampling_is_exact_where_the_record_tells_it() {
    let ratio = |fields: &[Field]| {
        let mut found = None;
        let datagram = ipfix(1, &sets(10, 256, fields, None));
        Session::new(Limits::default())
            .decode(&datagram, Arrival::default(), &mut |record| {
                found = record.sampling_ratio().zip(record.sampling_interval());
            })
            .unwrap();
        found
    };
    assert_eq!(ratio(&[u32_of(305, 2), u32_of(306, 3)]), Some(((5, 2), 2)));
    assert_eq!(ratio(&[u32_of(305, 10), u32_of(306, 990)]), Some(((100, 1), 100)));
    assert_eq!(ratio(&[u32_of(309, 2), u32_of(310, 7)]), Some(((7, 2), 3)));
    assert_eq!(ratio(&[u32_of(34, 512)]), Some(((512, 1), 512)));
    assert_eq!(ratio(&[u32_of(50, 0), u32_of(34, 512)]), Some(((512, 1), 512)));
    let share = |share: f64| (311, share.to_be_bytes().to_vec());
    assert_eq!(ratio(&[share(0.001)]), Some(((1000, 1), 1000)));
    assert_eq!(ratio(&[share(0.4)]), Some(((5, 2), 3)));
    assert_eq!(ratio(&[share(1e-4)]), Some(((10_000, 1), 10_000)));
    assert_eq!(ratio(&[u32_of(34, 0)]), None);
}
