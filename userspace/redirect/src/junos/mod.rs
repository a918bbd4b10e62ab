// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A JunOS router by NETCONF: filter-based forwarding into one routing instance for each path.
//!
//! A change is made in the candidate, committed for a minute, read back from the running
//! configuration, and only then confirmed: if anything is amiss, or we die in between, the router goes
//! back by itself. The router must have the routing instances, with a route onto the LSP in each, and
//! must apply the filters `HNTES-FLOW`, `HNTES-HOST` and `HNTES-NET` as an `input-list` that ends with a
//! filter which accepts. A commit on a real router takes seconds: see [`crate::slow`].
//!
//! The stream is that of `ssh -s ROUTER netconf`, which also decides how long to wait for a router that
//! is gone.

mod session;
mod terms;
mod xml;

use crate::device::{Capabilities, Commit, Device};
use crate::error::{DeviceError, Kind};
use crate::matching::{Match, Rank};
use crate::path::{PathName, Paths};
use crate::rule::{Change, ReadBack, Rule};
use session::Session;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use telesteer_fam::Ns;
use terms::Listed;
use xml::Node;

/// Terms of all filters.
pub const LIMIT: usize = 8192;
/// Seconds after which the router goes back by itself.
const CONFIRM_S: u32 = 60;
const CHANGE: &str = "edit-config";
const NC: &str = "urn:ietf:params:xml:ns:netconf:base:1.0";

/// A router.
#[derive(Debug)]
pub struct Junos<S> {
    name: String,
    session: Session<S>,
    /// The routing instance of each path.
    instances: BTreeMap<PathName, String>,
    limit: usize,
}

/// Terms by family and filter, as text.
type Edit = BTreeMap<(&'static str, &'static str), String>;

impl<S: Read + Write> Junos<S> {
    /// Begins a session.
    ///
    /// # Errors
    ///
    /// If the router cannot do without a candidate or without confirmed commits, or does not answer.
    pub fn open(
        name: &str,
        stream: S,
        instances: BTreeMap<PathName, String>,
        limit: usize,
    ) -> Result<Self, DeviceError> {
        let session = Session::open(name, stream)?;
        Ok(Self { name: name.to_owned(), session, instances, limit })
    }

    fn sort(&mut self, paths: &Paths) -> Result<(ReadBack, Edit), DeviceError> {
        let ask = "<get-config><source><running/></source><filter type=\"subtree\"><configuration>\
                   <firewall/></configuration></filter></get-config>";
        let reply = self.session.rpc("get-config", ask)?;
        let (mut back, mut amiss) = (ReadBack::default(), Edit::new());
        for family in terms::FAMILIES {
            let filters = ["data", "configuration", "firewall", "family", family];
            let filters: Vec<&Node> =
                reply.find(&filters).into_iter().flat_map(|node| node.all("filter")).collect();
            for rank in Rank::ALL {
                let named = terms::filter(rank);
                let ours = filters.iter().filter(|one| one.text_at(&["name"]) == Some(named));
                for term in ours.flat_map(|filter| filter.all("term")) {
                    match terms::read(term, rank, family) {
                        Listed::Ours(matching, instance) => {
                            let is = |(_, one): &(&PathName, &String)| **one == instance;
                            let path = self.instances.iter().find(is).map(|(path, _)| path);
                            if let Some(path) = path.filter(|path| paths.get(path).is_some()) {
                                back.rules.insert(Rule { matching, path: path.clone() });
                                continue;
                            }
                            back.amiss.push(format!("{matching}: unknown instance {instance}"));
                            let gone = terms::no_term(&matching);
                            amiss.entry((family, named)).or_default().push_str(&gone);
                        }
                        Listed::Amiss(name) => {
                            back.amiss.push(format!("filter {named} term {name}: not as made"));
                            let gone = terms::no_term_named(&name);
                            amiss.entry((family, named)).or_default().push_str(&gone);
                        }
                        Listed::Foreign(name) => {
                            back.foreign.push(format!("filter {named} term {name}"));
                        }
                    }
                }
            }
        }
        Ok((back, amiss))
    }

    fn edit(&mut self, paths: &Paths, change: &Change) -> Result<Edit, DeviceError> {
        let mut edit = if change.purge { self.sort(paths)?.1 } else { Edit::new() };
        let place = |one: &Match| (terms::family(one), terms::filter(one.rank()));
        let removed: BTreeSet<Match> = change.remove.iter().map(|rule| rule.matching).collect();
        let added: BTreeSet<Match> = change.add.iter().map(|rule| rule.matching).collect();
        for matching in removed.difference(&added) {
            edit.entry(place(matching)).or_default().push_str(&terms::no_term(matching));
        }
        for rule in &change.add {
            let known = paths.get(&rule.path).and_then(|_| self.instances.get(&rule.path));
            let Some(instance) = known else {
                let said = format!("path {} has no routing instance", rule.path);
                let error = self.session.error(CHANGE, Kind::Unsupported, said);
                return Err(error.about(rule.matching));
            };
            let operation = if removed.contains(&rule.matching) { "replace" } else { "create" };
            let term = terms::term(&rule.matching, instance, operation);
            edit.entry(place(&rule.matching)).or_default().push_str(&term);
        }
        Ok(edit)
    }

    /// Changes the candidate, tries it, looks, and confirms.
    fn transact(&mut self, paths: &Paths, change: &Change, edit: &Edit) -> Result<(), DeviceError> {
        let mut families: BTreeMap<&str, String> = BTreeMap::new();
        for ((family, filter), terms) in edit {
            let text = format!("<filter><name>{filter}</name>{terms}</filter>");
            families.entry(*family).or_default().push_str(&text);
        }
        let families: String = families
            .into_iter()
            .map(|(family, filters)| format!("<{family}>{filters}</{family}>"))
            .collect();
        let config = format!(
            "<edit-config><target><candidate/></target><default-operation>merge\
             </default-operation><config xmlns:nc=\"{NC}\"><configuration><firewall><family>\
             {families}</family></firewall></configuration></config></edit-config>"
        );
        self.session.rpc(CHANGE, &config)?;
        let confirmed =
            format!("<commit><confirmed/><confirm-timeout>{CONFIRM_S}</confirm-timeout></commit>");
        self.session.rpc("commit confirmed", &confirmed)?;
        let rules = self.sort(paths)?.0.rules;
        let missing = change.add.iter().find(|rule| !rules.contains(rule));
        let kept = change.remove.iter().find(|rule| rules.contains(rule));
        if let Some(rule) = missing.or(kept) {
            self.session.rpc("cancel-commit", "<cancel-commit/>")?;
            let said = format!("{rule}: not as committed, so the commit was taken back");
            return Err(self.session.error("commit", Kind::Refused, said).about(rule.matching));
        }
        self.session.rpc("commit", "<commit/>").map(drop)
    }
}

impl<S: Read + Write> Device for Junos<S> {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { ports: true, ipv6: true, atomic: true, limit: self.limit }
    }

    fn read_back(&mut self, paths: &Paths, _now: Ns) -> Result<ReadBack, DeviceError> {
        Ok(self.sort(paths)?.0)
    }

    fn apply(&mut self, paths: &Paths, change: &Change, _now: Ns) -> Result<Commit, DeviceError> {
        let edit = self.edit(paths, change)?;
        if edit.is_empty() {
            return Ok(Commit::Done);
        }
        self.session.rpc("lock", "<lock><target><candidate/></target></lock>")?;
        let result = self.transact(paths, change, &edit);
        if result.is_err() {
            // Whatever the candidate holds is not wanted; the first error is the one to tell.
            let _ = self.session.rpc("discard-changes", "<discard-changes/>");
        }
        let unlocked = self.session.rpc("unlock", "<unlock><target><candidate/></target></unlock>");
        result?;
        unlocked.map(|_| Commit::Done)
    }
}
