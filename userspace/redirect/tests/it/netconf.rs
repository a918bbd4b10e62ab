// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A router that speaks NETCONF with a candidate and confirmed commits, as far as filters and prefix
//! lists go. It reads XML by itself, not with the code that wrote the requests.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// An element; prefixes of names are dropped.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Element {
    pub(crate) tag: String,
    attributes: BTreeMap<String, String>,
    pub(crate) text: String,
    pub(crate) inside: Vec<Element>,
}

fn bare(name: &str) -> &str {
    name.rsplit(':').next().unwrap()
}

impl Element {
    /// Reads a document of elements, attributes and text.
    pub(crate) fn read(text: &str) -> Self {
        let mut open = vec![Self::default()];
        let mut rest = text;
        while let Some(at) = rest.find('<') {
            open.last_mut().unwrap().text.push_str(rest[..at].trim());
            let (tag, after) = rest[at + 1..].split_once('>').unwrap();
            rest = after;
            if tag.starts_with('?') {
                continue;
            }
            if let Some(tag) = tag.strip_prefix('/') {
                let done = open.pop().unwrap();
                assert_eq!(done.tag, bare(tag), "{text}");
                open.last_mut().unwrap().inside.push(done);
                continue;
            }
            let words = tag.trim_end_matches('/');
            let (name, mut words) = words.split_once(char::is_whitespace).unwrap_or((words, ""));
            let mut one = Self { tag: bare(name).to_owned(), ..Self::default() };
            while let Some((key, after)) = words.split_once('=') {
                let mark = after.chars().next().unwrap();
                let (value, after) = after[1..].split_once(mark).unwrap();
                one.attributes.insert(bare(key.trim()).to_owned(), value.to_owned());
                words = after;
            }
            if tag.ends_with('/') {
                open.last_mut().unwrap().inside.push(one);
            } else {
                open.push(one);
            }
        }
        let [root] = &mut open[..] else { panic!("it ends in the middle: {text}") };
        root.inside.pop().unwrap()
    }

    fn at(&self, tag: &str) -> Option<&Self> {
        self.inside.iter().find(|one| one.tag == tag)
    }

    fn all<'a>(&'a self, tag: &'a str) -> impl Iterator<Item = &'a Self> {
        self.inside.iter().filter(move |one| one.tag == tag)
    }

    pub(crate) fn name(&self) -> &str {
        &self.at("name").unwrap().text
    }

    fn written(&self) -> String {
        let inside: String = self.inside.iter().map(Self::written).collect();
        format!("<{0}>{1}{inside}</{0}>", self.tag, self.text)
    }
}

/// Elements with names, in their order.
type Named = Vec<Element>;

/// Prefix lists, and terms by family and filter.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Config {
    pub(crate) lists: Named,
    pub(crate) terms: BTreeMap<(String, String), Named>,
}

impl Config {
    /// Names of all terms.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.terms.values().flatten().map(Element::name).collect()
    }

    fn written(&self) -> String {
        let lists: String = self.lists.iter().map(Element::written).collect();
        let mut families = BTreeMap::from([("inet", String::new()), ("inet6", String::new())]);
        for ((family, filter), terms) in &self.terms {
            let terms: String = terms.iter().map(Element::written).collect();
            let family = families.get_mut(family.as_str()).unwrap();
            write!(family, "\n  <filter><name>{filter}</name>{terms}</filter>").unwrap();
        }
        let families: String =
            families.iter().map(|(family, text)| format!("<{family}>{text}</{family}>")).collect();
        format!(
            "<data><configuration xmlns=\"http://xml.juniper.net/xnm/1.1/xnm\"><policy-options>\
             {lists}</policy-options><firewall><family>{families}</family></firewall>\
             </configuration></data>"
        )
    }

    /// A commit's check: a term may name only lists that are there.
    fn check(&self) -> Result<(), Refusal> {
        let terms = self.terms.values().flatten().filter_map(|term| term.at("from"));
        let used =
            terms.flat_map(|from| &from.inside).filter(|one| one.tag.ends_with("prefix-list"));
        for list in used {
            if !self.lists.iter().any(|one| one.name() == list.name()) {
                return Err(("operation-failed", format!("no prefix-list {}", list.name())));
            }
        }
        Ok(())
    }
}

type Refusal = (&'static str, String);

/// Does to a list of named elements what one more element says.
fn change(all: &mut Named, one: &Element) -> Result<(), Refusal> {
    let name = one.name().to_owned();
    let at = all.iter().position(|other| other.name() == name);
    let mut plain = one.clone();
    plain.attributes.clear();
    match (one.attributes.get("operation").map(String::as_str), at) {
        (Some("create"), Some(_)) => return Err(("data-exists", name)),
        (Some("delete"), None) => return Err(("data-missing", name)),
        (Some("delete"), Some(at)) => drop(all.remove(at)),
        (Some("replace"), Some(at)) => all[at] = plain,
        (Some("create" | "replace"), None) => all.push(plain),
        (None | Some("merge"), None) => all.push(plain),
        (None | Some("merge"), Some(at)) => {
            let mut items = all[at].inside.split_off(1);
            for item in one.all("prefix-list-item") {
                change(&mut items, item)?;
            }
            all[at].inside.extend(items);
        }
        (Some(other), _) => return Err(("bad-attribute", other.to_owned())),
    }
    let Some(place) = one.attributes.get("insert") else { return Ok(()) };
    let moved = all.iter().position(|other| other.name() == name).map(|at| all.remove(at)).unwrap();
    let next = one.attributes.get("name").cloned().unwrap_or_default();
    let next = all.iter().position(|other| other.name() == next);
    match (place.as_str(), next) {
        ("first", _) => all.insert(0, moved),
        ("before", Some(at)) => all.insert(at, moved),
        ("after", Some(at)) => all.insert(at + 1, moved),
        _ => return Err(("bad-attribute", format!("insert {place} of nothing"))),
    }
    Ok(())
}

#[derive(Default)]
pub(crate) struct Router {
    pub(crate) running: Config,
    pub(crate) candidate: Config,
    /// What it goes back to if nobody confirms until then.
    pub(crate) before: Option<(Config, Instant)>,
    pub(crate) sessions: u32,
    /// The session that has the lock.
    pub(crate) locked: Option<u32>,
    /// It says that it committed and leaves one term out.
    pub(crate) forgets: bool,
    /// It hangs up after a commit that is to be confirmed.
    pub(crate) hangs_up: bool,
    /// It takes a commit and says nothing.
    pub(crate) hangs: bool,
    /// It answers what nobody asked.
    pub(crate) mixes_up: bool,
    /// It speaks NETCONF 1.0 only.
    pub(crate) old: bool,
    /// It has something to say to whatever it does.
    pub(crate) warns: bool,
    /// Every request, by its tag.
    pub(crate) heard: Vec<String>,
}

impl Router {
    /// The inside of the reply, or an error's tag and message.
    fn answer(&mut self, session: u32, request: &Element) -> Result<String, Refusal> {
        let ok = || Ok("<ok/>".to_owned());
        let [body] = &request.inside[..] else { panic!("{request:?}") };
        self.heard.push(body.tag.clone());
        if self.before.as_ref().is_some_and(|(_, until)| *until <= Instant::now()) {
            self.expire();
        }
        match body.tag.as_str() {
            "get-config" => {
                let source = &body.at("source").unwrap().inside[0];
                Ok(if source.tag == "candidate" { &self.candidate } else { &self.running }
                    .written())
            }
            "lock" if self.locked.is_some() => Err(("lock-denied", "somebody edits".to_owned())),
            "lock" | "unlock" => {
                self.locked = (body.tag == "lock").then_some(session);
                ok()
            }
            "edit-config" => {
                let config = body.at("config").and_then(|config| config.at("configuration"));
                // What was done before something is refused stays done.
                edit(&mut self.candidate, config.unwrap())?;
                ok()
            }
            "validate" => self.candidate.check().and_then(|()| ok()),
            "commit" if body.at("confirmed").is_some() => {
                self.candidate.check()?;
                let seconds = body.at("confirm-timeout").map_or("600", |one| &one.text);
                let until = Instant::now() + Duration::from_secs(seconds.parse().unwrap());
                let old = std::mem::replace(&mut self.running, self.candidate.clone());
                if self.forgets {
                    for (of, terms) in &mut self.running.terms {
                        let known = old.terms.get(of).cloned().unwrap_or_default();
                        let is_new = |one: &Element| !known.iter().any(|o| o.name() == one.name());
                        if let Some(at) = terms.iter().position(is_new) {
                            terms.remove(at);
                        }
                    }
                }
                self.before = Some((old, until));
                ok()
            }
            "commit" => {
                if self.before.take().is_none() {
                    self.candidate.check()?;
                    self.running = self.candidate.clone();
                }
                ok()
            }
            "cancel-commit" => {
                self.expire();
                ok()
            }
            "discard-changes" => {
                self.candidate = self.running.clone();
                ok()
            }
            "close-session" => ok(),
            other => Err(("operation-not-supported", other.to_owned())),
        }
    }

    /// Nobody confirmed.
    pub(crate) fn expire(&mut self) {
        if let Some((before, _)) = self.before.take() {
            self.candidate = before.clone();
            self.running = before;
        }
    }
}

fn edit(config: &mut Config, configuration: &Element) -> Result<(), Refusal> {
    for part in &configuration.inside {
        match part.tag.as_str() {
            "policy-options" => {
                for list in part.all("prefix-list") {
                    change(&mut config.lists, list)?;
                }
            }
            "firewall" => {
                for family in part.all("family").flat_map(|family| &family.inside) {
                    for filter in family.all("filter") {
                        let key = (family.tag.clone(), filter.name().to_owned());
                        let terms = config.terms.entry(key).or_default();
                        for term in filter.all("term") {
                            change(terms, term)?;
                        }
                    }
                }
            }
            other => return Err(("unknown-element", other.to_owned())),
        }
    }
    Ok(())
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

/// A session, to its end; its lock ends with it, and what it did not confirm waits for its time.
pub(crate) fn serve(router: &Mutex<Router>, stream: UnixStream) {
    let mut of = router.lock().unwrap();
    of.sessions += 1;
    let (session, old) = (of.sessions, of.old);
    drop(of);
    talk(router, stream, session, old);
    let mut router = router.lock().unwrap();
    if router.locked == Some(session) {
        router.locked = None;
    }
}

const WARNING: &str = "<rpc-error><error-severity>warning</error-severity><error-message>no effect\
                       </error-message></rpc-error>";

fn talk(router: &Mutex<Router>, mut stream: UnixStream, session: u32, old: bool) -> Option<()> {
    let newer = if old { "" } else { "<capability>urn:ietf:params:netconf:base:1.1</capability>" };
    let can = ["candidate:1.0", "confirmed-commit:1.1", "validate:1.1"]
        .map(|what| format!("<capability>urn:ietf:params:netconf:capability:{what}</capability>"));
    let hello = format!(
        "<?xml version=\"1.0\"?><hello xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\">\
         <capabilities><capability>urn:ietf:params:netconf:base:1.0</capability>{newer}{}\
         </capabilities><session-id>{session}</session-id></hello>]]>]]>",
        can.concat()
    );
    stream.write_all(hello.as_bytes()).ok()?;
    let mut buffer = Vec::new();
    assert!(until(&mut stream, &mut buffer, b"]]>]]>")?.contains("base:1.1"));
    loop {
        let end: &[u8] = if old { b"]]>]]>" } else { b"\n##\n" };
        let request = until(&mut stream, &mut buffer, end)?;
        let request = if old { request } else { request.splitn(3, '\n').nth(2)?.to_owned() };
        let request = Element::read(&request);
        let body = &request.inside[0];
        let (commits, closes) = (body.tag == "commit", body.tag == "close-session");
        let mut router = router.lock().unwrap();
        if router.hangs && commits {
            drop(router);
            // Until the other side has had enough.
            until(&mut stream, &mut buffer, b"]]>]]>");
            return None;
        }
        let answer = router.answer(session, &request);
        if router.hangs_up && body.at("confirmed").is_some() {
            return None;
        }
        let mixed = if router.mixes_up { "1" } else { "" };
        let warning = if router.warns { WARNING } else { "" };
        drop(router);
        let answer = answer.unwrap_or_else(|(tag, message)| {
            format!(
                "<rpc-error><error-type>protocol</error-type><error-tag>{tag}</error-tag>\
                 <error-severity>error</error-severity><error-message>{message}</error-message>\
                 </rpc-error>"
            )
        });
        let number = &request.attributes["message-id"];
        let reply = format!(
            "<rpc-reply xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\" \
             message-id=\"{number}{mixed}\">{warning}{answer}</rpc-reply>"
        );
        // In two chunks, as a router is free to.
        let (a, b) = reply.split_at(reply.len() / 2);
        let reply = if old {
            format!("{reply}]]>]]>")
        } else {
            format!("\n#{}\n{a}\n#{}\n{b}\n##\n", a.len(), b.len())
        };
        stream.write_all(reply.as_bytes()).ok()?;
        if closes {
            return None;
        }
    }
}
