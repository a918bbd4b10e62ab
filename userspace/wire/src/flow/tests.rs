// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A session fed with datagrams built here.

use proptest::prelude::*;

use super::*;

/// A set of any kind.
fn set(id: u16, body: &[u8]) -> Vec<u8> {
    let mut set = id.to_be_bytes().to_vec();
    set.extend_from_slice(&(body.len() as u16 + 4).to_be_bytes());
    set.extend_from_slice(body);
    set
}

fn words(words: &[u16]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// An IPFIX template set with one template of (element, length) pairs.
fn template(id: u16, fields: &[(u16, u16)]) -> Vec<u8> {
    let mut body = words(&[id, fields.len() as u16]);
    fields.iter().for_each(|(element, len)| body.extend(words(&[*element, *len])));
    set(2, &body)
}

/// An IPFIX options template set, its first `scopes` fields being scopes.
fn options_template(id: u16, scopes: u16, fields: &[(u16, u16)]) -> Vec<u8> {
    let mut body = words(&[id, fields.len() as u16, scopes]);
    fields.iter().for_each(|(element, len)| body.extend(words(&[*element, *len])));
    set(3, &body)
}

fn ipfix(domain: u32, sequence: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let body = sets.concat();
    let mut message = words(&[10, body.len() as u16 + 16]);
    for word in [1_700_000_000, sequence, domain] {
        message.extend_from_slice(&word.to_be_bytes());
    }
    message.extend(body);
    message
}

fn v9(source: u32, sequence: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let mut message = words(&[9, sets.len() as u16]);
    for word in [60_000u32, 1_700_000_000, sequence, source] {
        message.extend_from_slice(&word.to_be_bytes());
    }
    message.extend(sets.concat());
    message
}

/// Decodes and keeps each record as JSON, with its late mark and sampling interval.
fn decode(
    session: &mut Session,
    datagram: &[u8],
    now_s: u64,
) -> (DatagramReport, Vec<(String, bool, Option<u32>)>) {
    let mut records = Vec::new();
    let arrival = Arrival { now_s, tag: now_s };
    let report = session.decode(datagram, arrival, &mut |record| {
        let mut out = Vec::new();
        record.write_json(&mut out);
        let json = String::from_utf8(out).unwrap();
        assert!(serde_json::from_str::<serde_json::Value>(&json).unwrap().is_object());
        records.push((json, record.is_late(), record.sampling_interval()));
    });
    (report.unwrap(), records)
}

const SRC_AND_BYTES: [(u16, u16); 2] = [(8, 4), (1, 4)];
const RECORD: [u8; 8] = [192, 0, 2, 1, 0, 0, 1, 0];
const JSON: &str = r#"{"sourceIPv4Address":"192.0.2.1","octetDeltaCount":256}"#;

#[test]
fn template_and_data_in_one_datagram() {
    let mut session = Session::new(Limits::default());
    let datagram = ipfix(1, 0, &[template(256, &SRC_AND_BYTES), set(256, &RECORD.repeat(3))]);
    let (report, records) = decode(&mut session, &datagram, 0);
    assert_eq!(records.len(), 3);
    assert_eq!(records[0].0, JSON);
    assert_eq!((report.data_records, report.state_changed), (3, true));
    assert!(report.problems.is_empty() && report.missing.is_empty());
    // The same template again is a refresh, not a change.
    let (report, _) = decode(&mut session, &ipfix(1, 3, &[template(256, &SRC_AND_BYTES)]), 1);
    assert!(!report.state_changed);
    assert_eq!(report.sequence, Sequence::InOrder);
}

#[test]
fn domains_do_not_share_templates() {
    let mut session = Session::new(Limits::default());
    decode(&mut session, &ipfix(1, 0, &[template(256, &SRC_AND_BYTES)]), 0);
    decode(&mut session, &ipfix(2, 0, &[template(256, &[(7, 2), (11, 2), (4, 4)])]), 0);
    let (_, first) = decode(&mut session, &ipfix(1, 0, &[set(256, &RECORD)]), 0);
    let (_, second) = decode(&mut session, &ipfix(2, 0, &[set(256, &RECORD)]), 0);
    assert_eq!(first[0].0, JSON);
    assert!(second[0].0.starts_with(r#"{"sourceTransportPort":49152"#), "{}", second[0].0);
    let (report, _) = decode(&mut session, &ipfix(3, 0, &[set(256, &RECORD)]), 0);
    assert_eq!(report.missing, [256]);
    // A v9 source id is no IPFIX domain.
    let (report, _) = decode(&mut session, &v9(1, 0, &[set(256, &RECORD)]), 0);
    assert_eq!(report.missing, [256]);
}

#[test]
fn early_data_waits_and_comes_with_its_tag() {
    let mut session = Session::new(Limits::default());
    let (report, records) = decode(&mut session, &ipfix(1, 5, &[set(256, &RECORD)]), 77);
    assert_eq!((report.missing.as_slice(), records.len()), (&[256][..], 0));
    assert_eq!(session.waiting(), 1);
    let (report, records) =
        decode(&mut session, &ipfix(1, 6, &[template(256, &SRC_AND_BYTES)]), 78);
    assert_eq!(records, [(JSON.to_owned(), true, None)]);
    assert_eq!(
        report.late,
        [Late { tag: 77, domain: 1, set: 256, data_records: 1, options_records: 0 }]
    );
    assert_eq!(session.waiting(), 0);
}

#[test]
fn waiting_is_bounded_in_number_size_and_time() {
    let limits = Limits { waiting_sets: 2, waiting_bytes: 20, waiting_s: 10, ..Limits::default() };
    let mut session = Session::new(limits);
    for second in 0..3 {
        decode(&mut session, &ipfix(1, 0, &[set(256, &RECORD)]), second);
    }
    assert_eq!((session.waiting(), session.counters().sets_given_up), (2, 1));
    decode(&mut session, &ipfix(1, 0, &[set(257, &[0; 24])]), 3);
    assert_eq!((session.waiting(), session.counters().sets_given_up), (2, 2));
    decode(&mut session, &ipfix(1, 0, &[]), 12);
    assert_eq!((session.waiting(), session.counters().sets_given_up), (1, 3));
}

#[test]
fn variable_length_fields_are_walked() {
    let mut session = Session::new(Limits::default());
    let fields = [(82, 65535), (8, 4), (83, 65535)];
    let mut records = b"\x03abc\xc0\x00\x02\x01\x00".to_vec();
    records.extend_from_slice(b"\xff\x00\x02de\xc0\x00\x02\x02\x01f");
    let datagram = ipfix(1, 0, &[template(256, &fields), set(256, &records)]);
    let (report, records) = decode(&mut session, &datagram, 0);
    assert!(report.problems.is_empty());
    assert_eq!(
        records[1].0,
        r#"{"interfaceName":"de","sourceIPv4Address":"192.0.2.2","interfaceDescription":"f"}"#
    );
    let cut = ipfix(1, 2, &[set(256, b"\x03abc\xc0\x00\x02\x01\x09x")]);
    let (report, records) = decode(&mut session, &cut, 0);
    assert!(records.is_empty());
    assert_eq!(report.problems[0].problem, Problem::TruncatedRecord);
}

#[test]
fn unknown_and_repeated_elements_keep_their_octets() {
    let mut session = Session::new(Limits::default());
    // Enterprise 2011 element 45, then element 97, then two of element 7.
    let mut body = words(&[256, 4, 0x8000 | 45, 2, 0, 2011]);
    body.extend(words(&[97, 1, 7, 2, 7, 2]));
    let data = set(256, &[0xab, 0xcd, 9, 0, 1, 0, 2]);
    let (_, records) = decode(&mut session, &ipfix(1, 0, &[set(2, &body), data]), 0);
    assert_eq!(
        records[0].0,
        r#"{"enterprise2011/45":"abcd","ie97":"09","sourceTransportPort":1,"sourceTransportPort.2":2}"#
    );
}

#[test]
fn one_bad_set_costs_itself_only() {
    let mut session = Session::new(Limits::default());
    let bad = set(2, &words(&[300, 2, 8, 4])); // ends inside its second field
    let sets = [template(256, &SRC_AND_BYTES), bad, set(7, &[0; 4]), set(256, &RECORD)];
    let (report, records) = decode(&mut session, &ipfix(1, 0, &sets), 0);
    assert_eq!(records.len(), 1);
    let problems: Vec<Problem> = report.problems.iter().map(|at| at.problem).collect();
    assert_eq!(problems, [Problem::BadTemplate, Problem::ReservedSet]);
    assert_eq!(report.problems[1].set, 7);
}

#[test]
fn lengths_that_lie_are_told() {
    let mut session = Session::new(Limits::default());
    let mut datagram = ipfix(1, 0, &[template(256, &SRC_AND_BYTES), set(256, &RECORD)]);
    datagram[3] += 8;
    let (report, records) = decode(&mut session, &datagram, 0);
    assert_eq!((records.len(), report.problems[0].problem), (1, Problem::MessageTruncated));
    let mut datagram = ipfix(1, 1, &[set(256, &RECORD)]);
    datagram.extend_from_slice(&[1, 2, 3]);
    let (report, records) = decode(&mut session, &datagram, 0);
    assert_eq!((records.len(), report.problems[0].problem), (1, Problem::TrailingOctets));
    let mut datagram = ipfix(1, 2, &[set(256, &RECORD)]);
    datagram[18] = 0xff;
    let (report, records) = decode(&mut session, &datagram, 0);
    assert_eq!((records.len(), report.problems[0].problem), (0, Problem::BadSetLength));
}

#[test]
fn datagrams_of_other_protocols_are_refused() {
    let mut session = Session::new(Limits::default());
    let mut refused = |bytes: &[u8]| {
        session.decode(bytes, Arrival::default(), &mut |_| panic!("a record")).unwrap_err()
    };
    assert_eq!(refused(&[]), Error::TooShort(0));
    assert_eq!(refused(&[0, 5, 0, 1]), Error::UnknownVersion(5));
    assert_eq!(refused(&[0, 10, 0, 16, 1]), Error::TooShort(5));
    assert_eq!(session.counters().refused, 3);
}

#[test]
fn templates_are_withdrawn_and_redefined() {
    let mut session = Session::new(Limits::default());
    decode(&mut session, &ipfix(1, 0, &[template(256, &SRC_AND_BYTES)]), 0);
    let (report, _) = decode(&mut session, &ipfix(1, 0, &[template(256, &[(8, 4), (2, 4)])]), 0);
    assert!(report.state_changed);
    let (_, records) = decode(&mut session, &ipfix(1, 0, &[set(256, &RECORD)]), 0);
    assert!(records[0].0.contains("packetDeltaCount"));
    let (report, _) = decode(&mut session, &ipfix(1, 1, &[set(2, &words(&[256, 0]))]), 0);
    assert!(report.state_changed);
    let (report, _) = decode(&mut session, &ipfix(1, 1, &[set(256, &RECORD)]), 0);
    assert_eq!(report.missing, [256]);
    decode(&mut session, &ipfix(1, 2, &[template(300, &SRC_AND_BYTES)]), 0);
    decode(&mut session, &ipfix(1, 2, &[options_template(301, 1, &[(10, 4), (82, 8)])]), 0);
    decode(&mut session, &ipfix(1, 2, &[set(2, &words(&[2, 0]))]), 0);
    let left = session.snapshot(1).unwrap();
    let left: Vec<u16> = left.streams[0].templates.iter().map(|template| template.id).collect();
    assert_eq!(left, [301]);
}

#[test]
fn template_floods_stop_at_the_limit() {
    let limits = Limits { templates_per_domain: 4, template_stale_s: 100, ..Limits::default() };
    let mut session = Session::new(limits);
    for id in 256..300 {
        decode(&mut session, &ipfix(1, 0, &[template(id, &SRC_AND_BYTES)]), 0);
    }
    let refused = session.counters().problems[Problem::TooManyTemplates as usize];
    assert_eq!(refused, 40);
    // After a while new ids may take the place of silent ones.
    let (report, _) = decode(&mut session, &ipfix(1, 0, &[template(400, &SRC_AND_BYTES)]), 101);
    assert!(report.state_changed && report.problems.is_empty());
    assert_eq!(session.snapshot(1).unwrap().streams[0].templates.len(), 4);
    let wide: Vec<(u16, u16)> = (0..600).map(|_| (7, 2)).collect();
    let (report, _) = decode(&mut session, &ipfix(1, 0, &[template(500, &wide)]), 101);
    assert_eq!(report.problems[0].problem, Problem::TemplateTooLarge);
}

#[test]
fn domains_are_bounded() {
    let mut session = Session::new(Limits { domains: 2, ..Limits::default() });
    for (second, domain) in [(0, 1), (1, 2), (2, 1), (3, 3)] {
        decode(&mut session, &ipfix(domain, 0, &[template(256, &SRC_AND_BYTES)]), second);
    }
    assert_eq!(session.domains(), [1, 3]);
    assert_eq!(session.counters().domains_evicted, 1);
}

#[test]
fn sequence_gaps_are_counted_per_domain() {
    let mut session = Session::new(Limits::default());
    let data = [set(256, &RECORD.repeat(2))];
    decode(&mut session, &ipfix(1, 10, &[template(256, &SRC_AND_BYTES)]), 0);
    let follow =
        |session: &mut Session, sequence| decode(session, &ipfix(1, sequence, &data), 0).0.sequence;
    assert_eq!(follow(&mut session, 10), Sequence::InOrder);
    assert_eq!(follow(&mut session, 15), Sequence::Lost(3));
    assert_eq!(follow(&mut session, 12), Sequence::Back);
    assert_eq!(follow(&mut session, 17), Sequence::InOrder);
    // Far back is a restart, and it goes on from there, over the end of the numbers too.
    assert_eq!(follow(&mut session, u32::MAX - 5000), Sequence::Back);
    assert_eq!(follow(&mut session, u32::MAX - 4998), Sequence::InOrder);
    assert_eq!(follow(&mut session, u32::MAX - 1), Sequence::Lost(4995));
    assert_eq!(follow(&mut session, 0), Sequence::InOrder);
    assert_eq!(session.counters().sequence_lost, 3 + 4995);
    // v9 counts messages.
    assert_eq!(decode(&mut session, &v9(1, 7, &[]), 0).0.sequence, Sequence::Unknown);
    assert_eq!(decode(&mut session, &v9(1, 8, &[]), 0).0.sequence, Sequence::InOrder);
    assert_eq!(decode(&mut session, &v9(1, 10, &[]), 0).0.sequence, Sequence::Lost(1));
}

#[test]
fn sampling_comes_by_sampler_interface_and_exporter() {
    let mut session = Session::new(Limits::default());
    // PSAMP: selector 1, random 1 out of 256 (the interval field says 1, and does not count).
    let selector = options_template(257, 1, &[(302, 4), (305, 4), (304, 2), (309, 4), (310, 4)]);
    let mut told = 1u32.to_be_bytes().to_vec();
    told.extend_from_slice(&[0, 0, 0, 1, 0, 3, 0, 0, 0, 1, 0, 0, 1, 0]);
    let flow = template(256, &[(302, 4), (10, 4)]);
    decode(&mut session, &ipfix(1, 0, &[selector, set(257, &told), flow]), 0);
    let sampled = |session: &mut Session, sampler: u32, interface: u32| {
        let mut data = sampler.to_be_bytes().to_vec();
        data.extend_from_slice(&interface.to_be_bytes());
        decode(session, &ipfix(1, 1, &[set(256, &data)]), 0).1[0].2
    };
    assert_eq!(sampled(&mut session, 1, 9), Some(256));
    assert_eq!(sampled(&mut session, 2, 9), None);
    // One interface: systematic, 1 taken and 99 skipped.
    let interface = options_template(258, 1, &[(10, 4), (305, 4), (306, 4)]);
    let told = [0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 99];
    decode(&mut session, &ipfix(1, 2, &[interface, set(258, &told)]), 0);
    assert_eq!(sampled(&mut session, 2, 9), Some(100));
    assert_eq!(sampled(&mut session, 2, 8), None);
    // The whole exporter, told in domain 0.
    let exporter = options_template(259, 1, &[(149, 4), (34, 4)]);
    let told = [0, 0, 0, 0, 0, 0, 0, 10];
    decode(&mut session, &ipfix(0, 0, &[exporter, set(259, &told)]), 0);
    assert_eq!(sampled(&mut session, 2, 8), Some(10));
    assert_eq!(sampled(&mut session, 1, 8), Some(256));
}

#[test]
fn v9_options_have_scopes_of_their_own() {
    let mut session = Session::new(Limits::default());
    // One scope field (interface, 4 octets), then its name and a sampler with its interval.
    let mut body = words(&[300, 4, 12]);
    body.extend(words(&[2, 4, 82, 6, 48, 1, 50, 4]));
    let mut told = vec![0, 0, 0, 5];
    told.extend_from_slice(b"eth5\0\0");
    told.extend_from_slice(&[3, 0, 0, 0, 64]);
    let flow = set(0, &words(&[256, 2, 48, 1, 1, 4]));
    let datagram = v9(7, 0, &[set(1, &body), set(300, &told), flow, set(256, &[3, 0, 0, 0, 1])]);
    let (report, records) = decode(&mut session, &datagram, 0);
    assert_eq!((report.options_records, report.data_records), (1, 1));
    assert!(records[0].0.starts_with(r#"{"scopeInterface":5,"interfaceName":"eth5""#));
    assert_eq!(records[1].2, Some(64));
    let state = session.snapshot(7).unwrap();
    assert_eq!(state.streams[0].options.interfaces[&5].name.as_deref(), Some("eth5"));
}

#[test]
fn an_heir_decodes_from_the_first_datagram() {
    let mut donor = Session::new(Limits::default());
    let vrf = options_template(258, 1, &[(234, 4), (236, 65535), (90, 8)]);
    let mut told = vec![0, 0, 0, 3, 4];
    told.extend_from_slice(b"blue\x00\x01\x0a\x00\x00\x01\x00\x05");
    let sets = [template(256, &SRC_AND_BYTES), vrf, set(258, &told)];
    decode(&mut donor, &ipfix(1, 0, &sets), 0);
    let stored = serde_json::to_string(&donor.snapshot(1).unwrap()).unwrap();

    let mut heir = Session::new(Limits::default());
    let (report, records) = decode(&mut heir, &ipfix(1, 1, &[set(256, &RECORD)]), 5);
    assert_eq!((report.missing.as_slice(), records.len()), (&[256][..], 0));
    let state: DomainState = serde_json::from_str(&stored).unwrap();
    assert_eq!(heir.restore(&state, 5), 2);
    let mut found = 0;
    let late = heir.drain_waiting(&mut |record| {
        assert!(record.is_late());
        assert_eq!(record.options().vrfs[&3].name.as_deref(), Some("blue"));
        found += 1;
    });
    assert_eq!((found, late.len(), late[0].tag), (1, 1, 5));
    assert_eq!(
        heir.snapshot(1),
        donor.snapshot(1).map(|mut state| {
            // The heir has not counted the message it could not decode.
            state.streams[0].sequence_next = heir.snapshot(1).unwrap().streams[0].sequence_next;
            state
        })
    );
    // A state that was tampered with is refused where it does not fit, nothing else.
    let mut state = state;
    state.streams[0].templates[0].fields.clear();
    assert_eq!(Session::new(Limits::default()).restore(&state, 0), 1);
}

/// A list of fields of fixed length, as IPFIX and as v9 may have them.
fn fields() -> impl Strategy<Value = Vec<(u16, u16)>> {
    prop::collection::vec((1u16..500, 0u16..20), 1..30)
        .prop_filter("records have octets", |fields| fields.iter().any(|(_, len)| *len > 0))
}

proptest! {
    /// Nothing on the wire makes the decoder panic or run on.
    #[test]
    fn arbitrary_octets_are_survived(
        version in 9u16..11,
        datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..6),
    ) {
        let mut session = Session::new(Limits { waiting_sets: 4, ..Limits::default() });
        for mut datagram in datagrams {
            if let Some(head) = datagram.get_mut(..2) {
                head.copy_from_slice(&version.to_be_bytes());
            }
            let _ = session.decode(&datagram, Arrival::default(), &mut |record| {
                record.write_json(&mut Vec::new());
            });
        }
    }

    /// Sets that are well formed but say anything.
    #[test]
    fn arbitrary_sets_are_survived(
        v9_or_ipfix in any::<bool>(),
        sets in prop::collection::vec(
            (prop_oneof![0u16..4, 256u16..260], prop::collection::vec(any::<u8>(), 0..80)), 1..12),
    ) {
        let sets: Vec<Vec<u8>> = sets.iter().map(|(id, body)| set(*id, body)).collect();
        let datagram = if v9_or_ipfix { v9(1, 0, &sets) } else { ipfix(1, 0, &sets) };
        let mut session = Session::new(Limits::default());
        for _ in 0..2 {
            let report = session.decode(&datagram, Arrival::default(), &mut |record| {
                record.write_json(&mut Vec::new());
            });
            prop_assert!(report.is_ok());
        }
    }

    /// The precomputed offsets say the same as walking the fields one by one.
    #[test]
    fn fixed_plan_equals_the_walk(fields in fields(), octets in prop::collection::vec(any::<u8>(), 0..800)) {
        let parts: Vec<_> =
            fields.iter().map(|(id, len)| (Element::iana(*id), *len, false)).collect();
        let template = Template::compile(256, false, &parts, &Limits::default()).unwrap();
        let mut walked = Vec::new();
        match template.walk(&octets, &mut walked) {
            Some(len) => {
                prop_assert_eq!(len, template.record_len);
                prop_assert_eq!(Some(walked.as_slice()), template.spans.as_deref());
            }
            None => prop_assert!(octets.len() < template.record_len),
        }
    }

    /// A snapshot brings back the same templates.
    #[test]
    fn snapshots_are_complete(fields in fields(), options in any::<bool>()) {
        let mut session = Session::new(Limits::default());
        let announced = if options {
            options_template(256, 1, &fields)
        } else {
            template(256, &fields)
        };
        decode(&mut session, &ipfix(1, 0, &[announced]), 0);
        let state = session.snapshot(1).unwrap();
        let mut heir = Session::new(Limits::default());
        prop_assert_eq!(heir.restore(&state, 0), 1);
        prop_assert_eq!(heir.snapshot(1).unwrap(), state);
    }
}
