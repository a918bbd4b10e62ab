// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `Junos` on a router of our own making, which lies, hangs and dies where it is told to.

use crate::bed::Bed;
use crate::labs::{Lab, PlainLab};
use crate::matches::{entry, flow, host, name, net, tuple};
use crate::netconf::{Element, Router, serve};
use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use telesteer_redirect::junos::{Junos, Link};
use telesteer_redirect::{Change, Device, Kind, Match, PathName, Rule};

/// Patience with a router that does answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// `Junos` on such a router.
pub(crate) struct JunosLab(pub(crate) Arc<Mutex<Router>>);

impl JunosLab {
    fn new(router: Router) -> Self {
        Self(Arc::new(Mutex::new(router)))
    }

    fn with_patience(&self, limit: usize, patience: Duration) -> Junos {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let router = Arc::clone(&self.0);
        thread::spawn(move || serve(&router, theirs));
        let link = Link::new(ours, patience, Arc::default());
        Junos::open("router", link, instances(), limit).unwrap()
    }
}

/// Where each path leads to.
pub(crate) fn instances() -> BTreeMap<PathName, String> {
    ["a", "b", "c"].map(|path| (name(path), format!("LSP-{path}"))).into()
}

impl Lab for JunosLab {
    fn open(&self, limit: usize) -> Box<dyn Device> {
        Box::new(self.with_patience(limit, PATIENCE))
    }

    fn plant(&self) {
        let term = "<term><name>theirs</name><from><source-prefix-list><name>theirs</name>\
                    </source-prefix-list></from><then><accept/></then></term>";
        let list = "<prefix-list><name>theirs</name><prefix-list-item>\
                    <name>203.0.113.0/24</name></prefix-list-item></prefix-list>";
        let mut router = self.0.lock().unwrap();
        let key = ("inet".to_owned(), "HNTES".to_owned());
        router.running.terms.entry(key).or_default().push(Element::read(term));
        router.running.lists.push(Element::read(list));
        router.candidate = router.running.clone();
    }

    fn planted(&self) -> bool {
        let router = self.0.lock().unwrap();
        let lists = &router.running.lists;
        // What takes all comes after what is ours.
        router.running.names().last() == Some(&"theirs")
            && lists.iter().any(|list| list.name() == "theirs")
    }

    fn spoil(&self) {
        let mut router = self.0.lock().unwrap();
        for terms in router.running.terms.values_mut() {
            terms.retain(|term| !term.name().starts_with("hntes-net-"));
        }
        router.candidate = router.running.clone();
    }
}

impl PlainLab for JunosLab {
    fn with(test: impl FnOnce(&dyn Lab) + Send) {
        test(&Self::new(Router::default()));
    }
}

#[test]
fn a_commit_that_does_not_hold_is_taken_back() {
    let lab = JunosLab::new(Router::default());
    let mut bed = Bed::new(lab.open(100));
    bed.controller.want(entry(net(tuple(1, 1, 1)), "a"), bed.now).unwrap();
    bed.settle();
    let before = lab.0.lock().unwrap().running.clone();
    lab.0.lock().unwrap().forgets = true;
    let late = Rule { matching: host(tuple(2, 1, 1)), path: name("a") };
    let change = Change { add: vec![late.clone()], ..Change::default() };
    let error = bed.device.apply(bed.controller.paths(), &change, bed.now).unwrap_err();
    assert_eq!((error.kind, error.entry), (Kind::Refused, Some(late.matching)));
    let mut router = lab.0.lock().unwrap();
    assert!(router.running == before && router.before.is_none() && router.locked.is_none());
    router.forgets = false;
    drop(router);
    bed.device.apply(bed.controller.paths(), &change, bed.now).unwrap();
    let heard = lab.0.lock().unwrap().heard.clone();
    let last: Vec<&str> = heard.iter().rev().take(7).rev().map(String::as_str).collect();
    let expected =
        ["lock", "get-config", "edit-config", "commit", "get-config", "commit", "unlock"];
    assert_eq!(last, expected);
}

#[test]
fn a_router_goes_back_by_itself_when_we_are_gone() {
    let lab = JunosLab::new(Router { hangs_up: true, ..Router::default() });
    let mut bed = Bed::new(lab.open(100));
    let rule = Rule { matching: flow(tuple(1, 1, 40_000)), path: name("a") };
    let change = Change { add: vec![rule], ..Change::default() };
    let error = bed.device.apply(bed.controller.paths(), &change, bed.now).unwrap_err();
    assert_eq!(error.kind, Kind::Unreachable);
    let mut router = lab.0.lock().unwrap();
    assert_eq!(router.running.names().len(), 1, "committed, not confirmed");
    router.expire();
    assert_eq!(router.running.names().len(), 0);
}

#[test]
fn an_old_router_without_chunks_is_understood() {
    let lab = JunosLab::new(Router { old: true, ..Router::default() });
    let mut bed = Bed::new(lab.open(100));
    for one in [flow(tuple(1, 1, 40_000)), net(tuple(1, 1, 1))] {
        bed.controller.want(entry(one, "a"), bed.now).unwrap();
    }
    bed.settle();
    bed.must_agree();
    // A lock that another holds is an error with the router's words.
    lab.0.lock().unwrap().locked = Some(99);
    let rule = Rule { matching: host(tuple(2, 1, 1)), path: name("a") };
    let change = Change { add: vec![rule], ..Change::default() };
    let error = bed.device.apply(bed.controller.paths(), &change, bed.now).unwrap_err();
    assert_eq!((error.command.as_str(), error.said.as_str()), ("lock", "somebody edits"));
}

fn add(matching: Match) -> Change {
    Change { add: vec![Rule { matching, path: name("a") }], ..Change::default() }
}

#[test]
fn a_router_that_hangs_in_a_commit_is_left() {
    let lab = JunosLab::new(Router { hangs: true, ..Router::default() });
    let mut bed = Bed::new(Box::new(lab.with_patience(100, Duration::from_millis(300))));
    let begin = Instant::now();
    let change = add(net(tuple(1, 1, 1)));
    let error = bed.device.apply(bed.controller.paths(), &change, bed.now).unwrap_err();
    assert_eq!((error.kind, error.command.as_str()), (Kind::Late, "commit confirmed"));
    // Its answer may still come, and would be taken for that to the next request.
    let error = bed.device.read_back(bed.controller.paths(), bed.now).unwrap_err();
    assert_eq!(error.kind, Kind::Unreachable);
    assert!(error.said.contains("commit confirmed"), "{error}");
    assert!(begin.elapsed() < PATIENCE);
}

#[test]
fn an_answer_to_something_else_is_refused() {
    let lab = JunosLab::new(Router { mixes_up: true, ..Router::default() });
    let mut bed = Bed::new(lab.open(100));
    let error = bed.device.read_back(bed.controller.paths(), bed.now).unwrap_err();
    assert_eq!(error.kind, Kind::Garbled);
    assert!(error.said.contains("message-id is 11, not 1"), "{error}");
}

/// A router that warns has done what it was asked; one that refuses half-way through keeps nothing of it.
#[test]
fn a_warning_is_no_refusal_and_a_refusal_leaves_nothing() {
    let lab = JunosLab::new(Router { warns: true, ..Router::default() });
    let mut bed = Bed::new(lab.open(100));
    for one in [net(tuple(1, 1, 1)), host(tuple(2, 1, 1))] {
        bed.controller.want(entry(one, "a"), bed.now).unwrap();
    }
    bed.settle();
    bed.must_agree();
    assert_eq!(bed.controller.counters().refused, 0);
    let before = lab.0.lock().unwrap().running.clone();
    bed.controller.unwant(&host(tuple(2, 1, 1)));
    bed.settle();
    // The last list that has to come is in the candidate already.
    let mut router = lab.0.lock().unwrap();
    let is_gone = |list: &&Element| !router.running.lists.contains(list);
    let gone: Vec<Element> = before.lists.iter().filter(is_gone).cloned().collect();
    assert!(gone.len() > 1, "others come first");
    router.candidate.lists.extend(gone.last().cloned());
    drop(router);
    let change = add(host(tuple(2, 1, 1)));
    let error = bed.device.apply(bed.controller.paths(), &change, bed.now).unwrap_err();
    assert_eq!((error.kind, error.command.as_str()), (Kind::Refused, "edit-config"));
    let router = lab.0.lock().unwrap();
    assert!(router.candidate == router.running && router.locked.is_none(), "as it was");
}

#[test]
fn one_filter_holds_all_with_narrow_terms_first() {
    let lab = JunosLab::new(Router::default());
    lab.plant();
    let mut bed = Bed::new(lab.open(100));
    // The widest first, and two pairs with the same source.
    let (one, other) = (tuple(1, 1, 40_000), tuple(2, 1, 1));
    let shared = telesteer_fam::PrefixFlow { src: net(one).src(), dst: net(other).dst() };
    for matching in [net(one), Match::pair(shared).unwrap(), host(one), flow(one)] {
        bed.controller.want(entry(matching, "a"), bed.now).unwrap();
        bed.settle();
    }
    bed.must_agree();
    let router = lab.0.lock().unwrap();
    let kinds: Vec<String> = router
        .running
        .names()
        .iter()
        .map(|name| name.split_inclusive('-').take(2).collect())
        .collect();
    assert_eq!(kinds, ["hntes-flow-", "hntes-host-", "hntes-net-", "theirs"]);
    assert_eq!(router.running.terms.len(), 1, "one filter");
    // The pairs' sources and destinations, and their hosts'; and the list that is not ours.
    assert_eq!(router.running.lists.len(), 2 + 2 + 1);
}

#[test]
fn a_pair_that_is_not_wanted_is_never_matched() {
    let lab = JunosLab::new(Router::default());
    let mut bed = Bed::new(lab.open(1000));
    // All of a mesh but its diagonal, which comes and goes.
    let pair = |src: u16, dst: u16| {
        let (src, dst) = (net(tuple(src, 1, 1)).src(), net(tuple(dst, 1, 1)).dst());
        Match::pair(telesteer_fam::PrefixFlow { src, dst }).unwrap()
    };
    for (src, dst) in (0..6).flat_map(|src| (0..6).map(move |dst| (src, dst))) {
        if src != dst {
            bed.controller.want(entry(pair(src, dst), "a"), bed.now).unwrap();
        }
    }
    bed.settle();
    bed.must_agree();
    for n in 0..6 {
        bed.controller.want(entry(pair(n, n), if n < 3 { "a" } else { "b" }), bed.now).unwrap();
        bed.settle();
        bed.must_agree();
    }
    for n in 0..6 {
        bed.controller.unwant(&pair(n, n));
        bed.settle();
        bed.must_agree();
    }
    assert_eq!(bed.rules().len(), 30);
    // What somebody puts into a list makes pairs that nobody wants: they go, and the list is ours again.
    {
        let mut router = lab.0.lock().unwrap();
        let item = "<prefix-list-item><name>10.99.0.0/24</name></prefix-list-item>";
        let list = router.running.lists.iter_mut().find(|list| list.name().ends_with("-dst"));
        list.unwrap().inside.push(Element::read(item));
        router.candidate = router.running.clone();
    }
    assert!(bed.rules().len() > 30);
    bed.settle();
    telesteer_redirect::round(&mut bed.controller, &mut bed.device, bed.now).unwrap();
    bed.settle();
    bed.must_agree();
    assert_eq!(bed.rules().len(), 30);
}
