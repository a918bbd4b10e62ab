// SPDX-License-Identifier: Apache-2.0 OR MIT

use super::*;
use crate::feed::Heard;
use telesteer_online::{End, Event, What as Of};

const CONFIG: &str = r#"
[store]
dir = "DIR/store"
[collector]
source = "records"
path = "flow.jsonl"
[circuits]
provider = "file"
file = "DIR/circuits.json"
[paths.forth]
from = "r1"
to = "r2"
mark = 101
table = 101
[routers.r1]
device = "file"
file = "DIR/r1.rules"
prefixes = ["10.1.0.0/16"]
[routers.r2]
device = "file"
file = "DIR/r2.rules"
prefixes = ["10.2.0.0/16"]
"#;

fn alpha(port: u16) -> Heard {
    event(port, Of::Alpha)
}

fn event(port: u16, what: Of) -> Heard {
    let (src, dst) = ([10, 1, 0, 7].into(), [10, 2, 0, 9].into());
    Heard::Event(Event {
        at: 0,
        what,
        key: FiveTuple { src, dst, proto: 6, src_port: port, dst_port: 5201 },
        exporter: [0, 0, 0, 0].into(),
        now: 0,
        begun: 0,
        bytes: 2,
        window: 1,
        rate: 1,
        approx: false,
        gated: true,
        missed: 0,
    })
}

fn start(dir: &tempfile::TempDir, dry_run: bool) -> (Service, Speaker) {
    let text = CONFIG.replace("DIR", &dir.path().display().to_string());
    let settings = Settings::parse("run.toml", &text).unwrap();
    Service::start(settings, Options { dry_run, ..Options::default() }).unwrap()
}

/// Turns until it is so.
fn until(service: &mut Service, what: &str, is: impl Fn(&Service) -> bool) {
    for _ in 0..6000 {
        service.turn(now());
        if is(service) {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{what} does not come");
}

/// Input that broke off stays in sight, with its count and why, until it is read again.
#[test]
fn input_in_trouble_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let (mut service, speaker) = start(&dir, true);
    let shown = |service: &mut Service| {
        service.take_in(now());
        let inputs = service.inputs();
        (inputs[0].note.clone(), inputs[0].trouble.clone())
    };
    speaker.read(3, 7);
    assert_eq!(shown(&mut service), ("3 reports".to_owned(), String::new()));
    assert!(speaker.say(Heard::Ended("flow.jsonl: it is gone".into())));
    let gone = ("3 reports".to_owned(), "flow.jsonl: it is gone".to_owned());
    assert_eq!(shown(&mut service), gone);
    assert!(speaker.say(Heard::Again));
    assert_eq!(shown(&mut service).1, "");
    drop(speaker);
    assert_eq!(shown(&mut service), ("3 reports".to_owned(), "nobody reads it any more".into()));
}

/// A flow that nobody has seen again is forgotten, whatever was told of it too.
#[test]
fn what_was_told_goes_with_its_flow() {
    let dir = tempfile::tempdir().unwrap();
    let (mut service, speaker) = start(&dir, true);
    let at = now();
    (1..=9).for_each(|port| assert!(speaker.say(alpha(port))));
    service.turn(at);
    assert_eq!((service.told.len(), service.conductor.flows().count()), (9, 9));
    assert!(speaker.say(Heard::Ended("it is gone".into())) && speaker.say(alpha(1)));
    service.turn(at);
    // One is seen again in time.
    service.turn(at + 3600 * SECOND);
    assert_eq!((service.told.len(), service.conductor.flows().count()), (1, 1));
}

/// When the disk is full routers still hear what is not wanted any more.
#[test]
fn a_full_disk_does_not_keep_routes() {
    let dir = tempfile::tempdir().unwrap();
    let (mut service, speaker) = start(&dir, false);
    assert!(speaker.say(alpha(4001)));
    let installed = |service: &Service| {
        let states = service.reports.get("r1").map(|report| report.states.clone());
        states.is_some_and(|states| states.values().any(|state| state.is_installed()))
    };
    until(&mut service, "the route", installed);
    lock(service.journal.as_ref().unwrap()).fill();
    let before = service.conductor.wish("r1").unwrap().generation;
    assert!(speaker.say(event(4001, Of::Ended(End::Idle))));
    service.turn(now());
    service.turn(now() + 3600 * SECOND);
    let told = |service: &Service| {
        let wish = service.conductor.wish("r1").unwrap();
        let seen = &service.reports["r1"].seen;
        wish.generation > before && seen.generation == wish.generation
    };
    until(&mut service, "the wish without it", told);
    assert!(service.troubles.contains_key("store"));
}
