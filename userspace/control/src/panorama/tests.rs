// SPDX-License-Identifier: Apache-2.0 OR MIT

use super::*;
use crate::conductor::{Reach, Settings, Way};
use crate::network::{Network, Place};
use crate::record;
use crate::ticket::Limits;
use std::sync::Arc;
use telesteer_circuit::life::State as Far;
use telesteer_circuit::request::{Name, Pair, Rate};
use telesteer_circuit::time::At;
use telesteer_fam::time::SECOND;
use telesteer_fam::{PrefixFlow, Width};
use telesteer_online::{Event as Alpha, What};
use telesteer_redirect::path::Target;

const NETWORK: &str = r#"
[[node]]
name = "r1"
[[node]]
name = "p"
[[node]]
name = "r2"
[[link]]
a = { node = "r1", interface = "eth0", address = "10.0.1.1" }
b = { node = "p", interface = "eth0", address = "10.0.1.2" }
mbps = 1000
[[link]]
a = { node = "p", interface = "eth1", address = "10.0.2.1" }
b = { node = "r2", interface = "eth0", address = "10.0.2.2" }
mbps = 1000
reservable-mbps = 800
"#;

fn key() -> FiveTuple {
    let (src, dst) = ([10, 1, 0, 7].into(), [10, 2, 0, 9].into());
    FiveTuple { src, dst, proto: 6, src_port: 4001, dst_port: 5201 }
}

fn circuit() -> (Name, Circuit) {
    let pair = Pair::new("r1", "r2");
    let way = |router: &str, toward: &str, table| Way {
        router: router.into(),
        toward: toward.into(),
        path: PathName::new(&format!("lsp-{table}")).unwrap(),
        target: Target { mark: table, table },
        ipv6: false,
        sooner_us: None,
    };
    let circuit = Circuit {
        pair: pair.clone(),
        rate: Rate::Unlimited,
        state: Far::Up,
        id: None,
        until: None,
        usable: true,
        leaving: false,
        ways: vec![way("r1", "r2", 101), way("r2", "r1", 102)],
    };
    (Name::of(&pair, At(1)).unwrap(), circuit)
}

/// What is shown of one live flow, with entries of such a reach.
fn shown(reach: Reach, promised: &Promised) -> (View, String) {
    shown_with(reach, promised, &State::Installed { since: 5 * SECOND }, true, |_, _| {})
}

/// The same with entries in such a state, a circuit that is up or is not, and whatever else befell.
fn shown_with(
    reach: Reach,
    promised: &Promised,
    state: &State,
    up: bool,
    befall: impl Fn(&mut provider::Report, &mut router::Report),
) -> (View, String) {
    let place = |n: u8| Place {
        prefixes: vec![format!("10.{n}.0.0/16").parse().unwrap()],
        ..Place::default()
    };
    let places = (1..=2).map(|n| (format!("r{n}"), place(n)));
    let network = Network::new(&places.collect()).unwrap();
    let settings = Settings { reach, ..Settings::default() };
    let known = record::State::default();
    let mut conductor = Conductor::new(settings, network, &["r1", "r2"], &known, 0);
    let event = Alpha {
        at: 0,
        what: What::Alpha,
        key: key(),
        exporter: [0, 0, 0, 0].into(),
        now: 0,
        begun: 0,
        bytes: 2,
        window: 1,
        rate: 80_000_000,
        approx: false,
        gated: true,
        missed: 0,
    };
    conductor.hear(&event, 5 * SECOND);
    let (name, mut circuit) = circuit();
    (circuit.usable, circuit.state) = (up, if up { Far::Up } else { Far::Held });
    conductor.take_circuits([(name.clone(), circuit)].into());
    assert!(conductor.settle(5 * SECOND));
    let mut report = router::Report::default();
    let entries = conductor.wish("r1").unwrap().entries.keys();
    report.states = Arc::new(entries.map(|one| (*one, state.clone())).collect());
    report.counters.live_full = 4;
    let mut office = provider::Report::default();
    let course = |hops: [&str; 3]| hops.map(str::to_owned).to_vec();
    office.courses = [(name, vec![course(["r1", "p", "r2"]), course(["r2", "p", "r1"])])].into();
    office.booked = vec![0, 50];
    office.lost.steps = 3;
    befall(&mut office, &mut report);
    let told = Told { begun: SECOND, bytes: 9, rate: 80_000_000 };
    let tally = Tally { name: "reports_late", count: 6, meaning: "late" };
    let topology = Topology::parse("t", NETWORK).unwrap();
    let panorama = Panorama {
        now: 10 * SECOND,
        started: 0,
        mode: Mode::Live,
        inputs: vec![Input { trouble: "it is gone".into(), ..Input::default() }],
        routers: &[],
        topology: Some(&topology),
        conductor: &conductor,
        office: &office,
        stations: &[("r1".to_owned(), report)].into(),
        book: &Book::new(Limits::default()),
        history: vec![serde_json::json!({
            "seq": 3, "at_ns": 5_000_000, "what": "route-step", "subject": "x", "router": "r1",
            "reason": "pending to installed",
        })],
        delays: Vec::new(),
        told: &[(key(), told)].into(),
        promised,
        journal: journal::Counters { failures: 4, ..journal::Counters::default() },
        announced: announce::Counters::default(),
        audit_failures: 5,
        reports: 7,
        tallies: vec![tally],
    };
    panorama.show()
}

/// A flow is on the path that packets of it take, by whatever entry that is.
#[test]
fn a_flow_is_where_the_strongest_entry_sends_it() {
    for reach in [Reach::Flow, Reach::Host, Reach::Net] {
        let (view, _) = shown(reach, &Promised::new());
        let flow = &view.flows[0];
        assert_eq!(flow.lsp.as_deref(), Some("lsp-101"), "{reach:?}");
        assert_eq!((flow.route.as_str(), &flow.ticket), ("installed", &None), "{reach:?}");
        let forth = view.lsps.iter().find(|lsp| lsp.name == "lsp-101").unwrap();
        assert!((forth.used_mbps - 80.0).abs() < 1e-9, "{reach:?}: {forth:?}");
    }
}

#[test]
fn paths_and_links_are_those_of_the_provider() {
    let (view, _) = shown(Reach::Flow, &Promised::new());
    let hops = |name: &str| view.lsps.iter().find(|lsp| lsp.name == name).unwrap().hops.join(" ");
    assert_eq!((hops("lsp-101"), hops("lsp-102")), ("r1 p r2".into(), "r2 p r1".into()));
    let links: Vec<_> =
        view.links.iter().map(|link| (link.reserved_mbps, link.reservable_mbps)).collect();
    assert_eq!(links, [(0, 1000), (50, 800)]);
}

#[test]
fn a_flow_names_the_ticket_that_announced_it() {
    let host = Match::pair(PrefixFlow::of(&key(), Width::HOST)).unwrap();
    let of = |matching: Match, from: Ns, until: Ns| {
        let promised = [(matching, vec![(0, SECOND, "t1".to_owned()), (from, until, "t2".into())])];
        shown(Reach::Flow, &promised.into()).0.flows[0].ticket.clone()
    };
    assert_eq!(of(host, 0, 60 * SECOND).as_deref(), Some("t2"));
    assert_eq!(of(host.reverse(), 0, 60 * SECOND).as_deref(), Some("t2"));
    assert_eq!(of(host, 11 * SECOND, 60 * SECOND), None);
}

#[test]
fn what_fell_off_is_told() {
    let (view, metrics) = shown(Reach::Flow, &Promised::new());
    let lost = |name: &str| view.lost.iter().find(|one| one.name == name).map(|one| one.count);
    assert_eq!(lost("reports_late"), Some(6));
    assert_eq!(lost("route_flows_without_room"), Some(4));
    assert_eq!((lost("route_steps_dropped"), lost("circuit_steps_dropped")), (Some(0), Some(3)));
    for line in ["hntes_reports_late_total 6", "hntes_reports_total 7", "hntes_inputs_in_trouble 1"]
    {
        assert!(metrics.lines().any(|one| one == line), "{line}\n{metrics}");
    }
}

/// Nobody is told that packets of a flow are on a path before its entry was read back, or when it goes.
#[test]
fn a_flow_is_on_a_path_while_its_entry_is_there() {
    for (state, route, lsp) in [
        (State::Pending, "pending", None),
        (State::Idle { since: 1 }, "idle", Some("lsp-101")),
        (State::Withdrawing, "withdrawing", None),
    ] {
        let (view, text) = shown_with(Reach::Host, &Promised::new(), &state, true, |_, _| {});
        let [flow] = view.flows.as_slice() else { panic!("{:?}", view.flows) };
        assert_eq!((flow.route.as_str(), flow.lsp.as_deref()), (route, lsp));
        assert_eq!((flow.ingress.as_str(), flow.egress.as_str()), ("r1", "r2"));
        assert_eq!((flow.begun_ms, flow.detected_ms), (1000, 5000));
        assert_eq!((flow.bytes, flow.rate_bps), (9, 80_000_000));
        assert_eq!(view.routes["r1"], [(route.to_owned(), 1)].into());
        let line = format!("hntes_routes{{router=\"r1\",state=\"{route}\"}} 1");
        assert!(text.lines().any(|one| one == line), "{text}");
    }
}

#[test]
fn both_directions_of_a_circuit_are_paths() {
    for (up, state, used) in [(true, "up", 80.0), (false, "held", 0.0)] {
        let (view, text) =
            shown_with(Reach::Host, &Promised::new(), &State::Pending, up, |_, _| {});
        let lines = view.lsps.iter().map(|lsp| {
            let names = (lsp.name.as_str(), lsp.ingress.as_str(), lsp.egress.as_str());
            (names, lsp.state.as_str(), lsp.wanted_by.as_str(), lsp.used_mbps)
        });
        let line = |name, from, to, used| ((name, from, to), state, "online", used);
        let expected = [line("lsp-101", "r1", "r2", used), line("lsp-102", "r2", "r1", 0.0)];
        assert_eq!(lines.collect::<Vec<_>>(), expected);
        assert_eq!(view.circuits, [(state.to_owned(), 1)].into());
        let line = format!("hntes_circuits{{state=\"{state}\"}} 1");
        assert!(text.lines().any(|one| one == line), "{text}");
    }
}

/// Each by its own name, in the view and in the metrics.
#[test]
fn no_loss_is_told_as_another() {
    let befall = |office: &mut provider::Report, report: &mut router::Report| {
        office.foreign = 2;
        (office.lost.stuck, office.lost.under_traffic, office.dropped) = (10, 11, 12);
        report.odd = (20, 21);
        (report.counters.refused, report.counters.lies, report.counters.vanished) = (22, 23, 24);
        (report.counters.failed, report.counters.full, report.counters.unread) = (25, 26, 27);
        report.dropped = 28;
    };
    let (view, text) = shown_with(Reach::Flow, &Promised::new(), &State::Pending, true, befall);
    for (name, count) in [
        ("audit_failures", 5),
        ("store_failures", 4),
        ("circuits_stuck", 10),
        ("circuits_under_traffic", 11),
        ("circuit_news_dropped", 12),
        ("routes_refused", 22),
        ("route_lies", 23),
        ("routes_vanished", 24),
        ("routes_failed", 25),
        ("routes_without_room", 26),
        ("routers_unread", 27),
        ("route_news_dropped", 28),
    ] {
        let lost = view.lost.iter().find(|lost| lost.name == name).unwrap();
        assert_eq!(lost.count, count, "{name}");
        assert!(text.contains(&format!("\nhntes_{name}_total {count}\n")), "{name}: {text}");
    }
    for line in [
        "hntes_rules_foreign{router=\"r1\"} 20",
        "hntes_rules_amiss{router=\"r1\"} 21",
        "hntes_circuits_foreign 2",
        "hntes_flows 1",
        "hntes_events_total 1",
        "hntes_aged_total 0",
    ] {
        assert!(text.lines().any(|one| one == line), "{line}: {text}");
    }
    let [event] = view.history.as_slice() else { panic!("{:?}", view.history) };
    assert_eq!((event.seq, event.at_ms, event.what.as_str()), (3, 5, "route step"));
    let said = (event.subject.as_str(), event.reason.as_str());
    assert_eq!(said, ("x at r1", "pending to installed"));
}
