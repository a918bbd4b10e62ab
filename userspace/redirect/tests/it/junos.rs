// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A router that speaks NETCONF with a candidate and confirmed commits, as far as filters go. It knows
//! XML by its tags only, so that it does not read requests with the code that wrote them.

use crate::bed::Bed;
use crate::labs::{Lab, PlainLab};
use crate::matches::{entry, flow, host, name, net, tuple};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::thread;
use telesteer_redirect::junos::Junos;
use telesteer_redirect::{Change, Device, Kind, Rule};

/// Family, filter and name of a term, and the term.
type Terms = BTreeMap<(String, String, String), String>;

#[derive(Default)]
struct Router {
    running: Terms,
    candidate: Terms,
    /// What it goes back to if nobody confirms.
    before: Option<Terms>,
    locked: bool,
    /// It says that it committed and leaves one term out.
    forgets: bool,
    /// It hangs up after a commit that is to be confirmed.
    hangs_up: bool,
    /// It speaks NETCONF 1.0 only.
    old: bool,
    /// Every request, by its tag.
    heard: Vec<String>,
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> Option<&'a str> {
    let text = &text[text.find(from)? + from.len()..];
    Some(&text[..text.find(to)?])
}

fn pieces<'a>(text: &'a str, from: &'a str, to: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(from).skip(1).map(move |rest| rest.split(to).next().unwrap())
}

impl Router {
    /// The inside of the reply, or an error's tag and message.
    fn answer(&mut self, request: &str) -> Result<String, (&'static str, String)> {
        let body = between(request, ">", "</rpc>").unwrap();
        let tag = between(body, "<", ">").unwrap().trim_end_matches('/').to_owned();
        self.heard.push(tag.clone());
        match tag.as_str() {
            "get-config" => Ok(self.config()),
            "lock" if self.locked => Err(("lock-denied", "somebody edits".to_owned())),
            "lock" | "unlock" => {
                self.locked = tag == "lock";
                Ok("<ok/>".to_owned())
            }
            "edit-config" => {
                for family in ["inet", "inet6"] {
                    let (open, close) = (format!("<{family}>"), format!("</{family}>"));
                    for filters in pieces(body, &open, &close) {
                        self.edit(family, filters)?;
                    }
                }
                Ok("<ok/>".to_owned())
            }
            "commit" if body.contains("<confirmed/>") => {
                self.before = Some(self.running.clone());
                self.running = self.candidate.clone();
                let before = self.before.as_ref().unwrap();
                let new = self.running.keys().find(|key| !before.contains_key(*key)).cloned();
                if let Some(new) = new.filter(|_| self.forgets) {
                    self.running.remove(&new);
                }
                Ok("<ok/>".to_owned())
            }
            "commit" => {
                self.before = None;
                Ok("<ok/>".to_owned())
            }
            "cancel-commit" => {
                self.expire();
                Ok("<ok/>".to_owned())
            }
            "discard-changes" => {
                self.candidate = self.running.clone();
                Ok("<ok/>".to_owned())
            }
            other => Err(("operation-not-supported", other.to_owned())),
        }
    }

    fn edit(&mut self, family: &str, filters: &str) -> Result<(), (&'static str, String)> {
        for filter in pieces(filters, "<filter>", "</filter>") {
            let filter_name = between(filter, "<name>", "</name>").unwrap();
            for term in pieces(filter, "<term nc:operation=\"", "</term>") {
                let (operation, inside) = term.split_once("\">").unwrap();
                let term_name = between(inside, "<name>", "</name>").unwrap();
                let key = (family.to_owned(), filter_name.to_owned(), term_name.to_owned());
                let is_there = self.candidate.contains_key(&key);
                match (operation, is_there) {
                    ("create", true) => return Err(("data-exists", term_name.to_owned())),
                    ("delete", false) => return Err(("data-missing", term_name.to_owned())),
                    ("delete", true) => drop(self.candidate.remove(&key)),
                    ("create" | "replace", _) => drop(self.candidate.insert(key, inside.into())),
                    _ => return Err(("bad-attribute", operation.to_owned())),
                }
            }
        }
        Ok(())
    }

    fn config(&self) -> String {
        let mut text = String::new();
        for family in ["inet", "inet6"] {
            let mut filters: BTreeMap<&str, String> = BTreeMap::new();
            for ((of, filter, _), term) in &self.running {
                if of == family {
                    let filter = filters.entry(filter).or_default();
                    write!(filter, "<term>{term}</term>").unwrap();
                }
            }
            write!(text, "<{family}>").unwrap();
            for (name, terms) in filters {
                write!(text, "\n  <filter><name>{name}</name>{terms}</filter>").unwrap();
            }
            write!(text, "</{family}>").unwrap();
        }
        format!(
            "<data><configuration xmlns=\"http://xml.juniper.net/xnm/1.1/xnm\"><firewall><family>\
             {text}</family></firewall></configuration></data>"
        )
    }

    /// Nobody confirmed.
    fn expire(&mut self) {
        if let Some(before) = self.before.take() {
            self.candidate = before.clone();
            self.running = before;
        }
    }
}

/// Reads until `end`.
fn until(stream: &mut UnixStream, buffer: &mut Vec<u8>, end: &[u8]) -> Option<String> {
    loop {
        if let Some(at) = buffer.windows(end.len()).position(|part| part == end) {
            let rest = buffer.split_off(at + end.len());
            let mut message = std::mem::replace(buffer, rest);
            message.truncate(at);
            return Some(String::from_utf8(message).unwrap());
        }
        let mut part = [0; 4096];
        match stream.read(&mut part) {
            Ok(0) | Err(_) => return None,
            Ok(read) => buffer.extend(&part[..read]),
        }
    }
}

fn serve(router: &Mutex<Router>, mut stream: UnixStream) -> Option<()> {
    let old = router.lock().unwrap().old;
    let newer = if old { "" } else { "<capability>urn:ietf:params:netconf:base:1.1</capability>" };
    let hello = format!(
        "<?xml version=\"1.0\"?><hello xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\">\
         <capabilities><capability>urn:ietf:params:netconf:base:1.0</capability>{newer}\
         <capability>urn:ietf:params:netconf:capability:candidate:1.0</capability>\
         <capability>urn:ietf:params:netconf:capability:confirmed-commit:1.1</capability>\
         </capabilities><session-id>4</session-id></hello>]]>]]>"
    );
    stream.write_all(hello.as_bytes()).ok()?;
    let mut buffer = Vec::new();
    assert!(until(&mut stream, &mut buffer, b"]]>]]>")?.contains("base:1.1"));
    loop {
        let end: &[u8] = if old { b"]]>]]>" } else { b"\n##\n" };
        let request = until(&mut stream, &mut buffer, end)?;
        let number = between(&request, "message-id=\"", "\"").unwrap();
        let inside = between(&request, "<rpc ", "</rpc>").unwrap();
        let mut router = router.lock().unwrap();
        let answer = router.answer(&format!("<rpc {inside}</rpc>"));
        if router.hangs_up && inside.contains("<confirmed/>") {
            router.locked = false;
            return None;
        }
        drop(router);
        let answer = answer.unwrap_or_else(|(tag, message)| {
            format!(
                "<rpc-error><error-tag>{tag}</error-tag><error-severity>error</error-severity>\
                 <error-message>{message}</error-message></rpc-error>"
            )
        });
        let reply = format!(
            "<rpc-reply xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\" message-id=\"{number}\">\
             {answer}</rpc-reply>"
        );
        // In two chunks, as a router is free to.
        let (a, b) = reply.split_at(reply.len() / 2);
        let reply = if old {
            format!("{reply}]]>]]>")
        } else {
            format!("\n#{}\n{a}\n#{}\n{b}\n##\n", a.len(), b.len())
        };
        stream.write_all(reply.as_bytes()).ok()?;
    }
}

/// `Junos` on such a router.
pub(crate) struct JunosLab(Arc<Mutex<Router>>);

impl JunosLab {
    fn new(router: Router) -> Self {
        Self(Arc::new(Mutex::new(router)))
    }
}

impl Lab for JunosLab {
    fn open(&self, limit: usize) -> Box<dyn Device> {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let router = Arc::clone(&self.0);
        thread::spawn(move || serve(&router, theirs));
        let instances = ["a", "b", "c"].map(|path| (name(path), format!("LSP-{path}")));
        Box::new(Junos::open("router", ours, BTreeMap::from(instances), limit).unwrap())
    }

    fn plant(&self) {
        let mut router = self.0.lock().unwrap();
        let key = ["inet", "HNTES-NET", "theirs"].map(str::to_owned);
        let [family, filter, term] = key;
        let inside = "<name>theirs</name><then><accept/></then>".to_owned();
        router.running.insert((family, filter, term), inside);
        router.candidate = router.running.clone();
    }

    fn planted(&self) -> bool {
        self.0.lock().unwrap().running.keys().any(|(_, _, term)| term == "theirs")
    }

    fn spoil(&self) {
        let mut router = self.0.lock().unwrap();
        router.running.retain(|(_, _, term), _| !term.starts_with("hntes-"));
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
    assert!(router.running == before && router.before.is_none() && !router.locked);
    router.forgets = false;
    drop(router);
    bed.device.apply(bed.controller.paths(), &change, bed.now).unwrap();
    let heard = lab.0.lock().unwrap().heard.clone();
    let last: Vec<&str> = heard.iter().rev().take(6).rev().map(String::as_str).collect();
    let expected = ["lock", "edit-config", "commit", "get-config", "commit", "unlock"];
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
    assert_eq!(router.running.len(), 1, "committed, not confirmed");
    router.expire();
    assert_eq!(router.running.len(), 0);
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
    lab.0.lock().unwrap().locked = true;
    let rule = Rule { matching: host(tuple(2, 1, 1)), path: name("a") };
    let change = Change { add: vec![rule], ..Change::default() };
    let error = bed.device.apply(bed.controller.paths(), &change, bed.now).unwrap_err();
    assert_eq!((error.command.as_str(), error.said.as_str()), ("lock", "somebody edits"));
}
