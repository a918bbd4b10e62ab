// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A view of a loop, made as the loop makes it: a flow, a circuit over three routers, a ticket.

use crate::stage::now_ms;
use std::sync::Arc;
use telesteer_circuit::life::State as Far;
use telesteer_circuit::request::{Name, Pair, Rate};
use telesteer_circuit::time::At;
use telesteer_circuit::topology::Topology;
use telesteer_control::conductor::{Circuit, Conductor, Reach, Settings, Way};
use telesteer_control::network::{Network, Place};
use telesteer_control::panorama::{Panorama, Told};
use telesteer_control::ticket::{Book, Limits};
use telesteer_control::view::{Delay, Input, Mode, View};
use telesteer_control::{announce, journal, provider, record, router};
use telesteer_fam::FiveTuple;
use telesteer_online::{Event, What};
use telesteer_redirect::PathName;
use telesteer_redirect::life::State;
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
"#;

fn circuit(pair: &Pair) -> Circuit {
    let way = |router: &str, toward: &str, table| Way {
        router: router.into(),
        toward: toward.into(),
        path: PathName::new(&format!("lsp-{table}")).unwrap(),
        target: Target { mark: table, table },
        ipv6: false,
        sooner_us: None,
    };
    Circuit {
        pair: pair.clone(),
        rate: Rate::Unlimited,
        state: Far::Up,
        id: None,
        until: None,
        usable: true,
        leaving: false,
        ways: vec![way("r1", "r2", 101), way("r2", "r1", 102)],
    }
}

/// The view.
pub(crate) fn of_a_loop() -> View {
    let now = i64::try_from(now_ms()).unwrap() * 1_000_000;
    let place = |n: u8| Place {
        prefixes: vec![format!("10.{n}.0.0/16").parse().unwrap()],
        ..Place::default()
    };
    let places = (1..=2).map(|n| (format!("r{n}"), place(n)));
    let network = Network::new(&places.collect()).unwrap();
    let settings = Settings { reach: Reach::Net, ..Settings::default() };
    let state = record::State::default();
    let mut conductor = Conductor::new(settings, network, &["r1", "r2"], &state, now);
    let (src, dst) = ([10, 1, 0, 7].into(), [10, 2, 0, 9].into());
    let key = FiveTuple { src, dst, proto: 6, src_port: 4001, dst_port: 5201 };
    let event = Event {
        at: now,
        what: What::Alpha,
        key,
        exporter: [0, 0, 0, 0].into(),
        now,
        begun: now,
        bytes: 2,
        window: 1,
        rate: 80_000_000,
        approx: false,
        gated: true,
        missed: 0,
    };
    conductor.hear(&event, now);
    let pair = Pair::new("r1", "r2");
    let name = Name::of(&pair, At(1)).unwrap();
    conductor.take_circuits([(name.clone(), circuit(&pair))].into());
    conductor.settle(now);
    let entries: Vec<_> = conductor.wish("r1").unwrap().entries.keys().copied().collect();
    let mut report = router::Report::default();
    let installed = State::Installed { since: now };
    report.states = Arc::new(entries.iter().map(|one| (*one, installed.clone())).collect());
    let mut office = provider::Report::default();
    let course = |hops: [&str; 3]| hops.map(str::to_owned).to_vec();
    office.courses = [(name, vec![course(["r1", "p", "r2"]), course(["r2", "p", "r1"])])].into();
    office.booked = vec![0, 50];
    let promise = (now - 1, now + 3_600_000_000_000, "t2".to_owned());
    let told = Told { begun: now - 2_000_000_000, bytes: 9_000_000, rate: 80_000_000 };
    let (topology, names) = (Topology::parse("t", NETWORK).unwrap(), ["r1", "r2"]);
    let routers = names.map(|name| (name.to_owned(), String::new(), "nft"));
    let delay = |name: &str| {
        let mut delay = Delay::new(name, "from one to the other");
        delay.add(40);
        delay
    };
    let panorama = Panorama {
        now,
        started: now - 60_000_000_000,
        mode: Mode::Live,
        inputs: vec![Input { name: "records".into(), ..Input::default() }],
        routers: &routers,
        topology: Some(&topology),
        conductor: &conductor,
        office: &office,
        stations: &[("r1".to_owned(), report)].into(),
        book: &Book::new(Limits::default()),
        history: Vec::new(),
        delays: vec![delay("detection"), delay("installation")],
        told: &[(key, told)].into(),
        promised: &[(entries[0], vec![promise])].into(),
        journal: journal::Counters::default(),
        announced: announce::Counters::default(),
        audit_failures: 0,
        reports: 7,
        tallies: Vec::new(),
    };
    panorama.show().0
}

/// Where there is no browser, the view is what it should be all the same.
#[test]
fn a_wide_entry_and_a_long_path_are_in_the_view() {
    let view = of_a_loop();
    let (flow, lsp) = (&view.flows[0], &view.lsps[0]);
    assert_eq!((flow.lsp.as_deref(), flow.ticket.as_deref()), (Some("lsp-101"), Some("t2")));
    assert_eq!((lsp.hops.join(" "), view.links[1].reserved_mbps), ("r1 p r2".to_owned(), 50));
}
