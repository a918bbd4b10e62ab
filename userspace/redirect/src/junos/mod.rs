// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A JunOS router by NETCONF: filter-based forwarding into one routing instance for each path.
//!
//! A change is made in the candidate, committed for a minute, read back from the running
//! configuration, and only then confirmed: if anything is amiss, or we die in between, the router goes
//! back by itself. The router must have the routing instances, with a route onto the LSP in each. It
//! must apply the filter `HNTES` of either family to what comes in; our terms are the first in it. What
//! no term takes is discarded by a filter's end, so another filter, or a last term of the operator's,
//! must accept. A commit on a real router takes seconds: see [`crate::slow`].
//!
//! Terms and prefix lists follow from the wanted rules alone, and an edit from them and from what was
//! read, so it does not matter who made what is there.

mod edit;
mod groups;
mod held;
mod link;
mod session;
mod terms;
mod xml;

pub use link::{ANSWER, Link};

use crate::device::{Capabilities, Commit, Device};
use crate::error::{DeviceError, Kind};
use crate::path::{PathName, Paths};
use crate::rule::{Change, ReadBack, Rule};
use held::Held;
use session::Session;
use std::collections::{BTreeMap, BTreeSet};
use telesteer_fam::Ns;
use terms::{FILTER, Layout};

/// Rules of both families.
pub const LIMIT: usize = 8192;
/// Seconds after which the router goes back by itself.
const CONFIRM_S: u32 = 60;
const CHANGE: &str = "edit-config";
const NC: &str = "urn:ietf:params:xml:ns:netconf:base:1.0";

/// A router.
#[derive(Debug)]
pub struct Junos {
    name: String,
    session: Session,
    /// The routing instance of each path.
    instances: BTreeMap<PathName, String>,
    limit: usize,
}

impl Junos {
    /// Begins a session.
    ///
    /// # Errors
    ///
    /// If the router cannot do without a candidate or without confirmed commits, or does not answer.
    pub fn open(
        name: &str,
        link: Link,
        instances: BTreeMap<PathName, String>,
        limit: usize,
    ) -> Result<Self, DeviceError> {
        let session = Session::open(name, link)?;
        Ok(Self { name: name.to_owned(), session, instances, limit })
    }

    fn held(&mut self, paths: &Paths) -> Result<Held, DeviceError> {
        // Only our filters, and all lists: which of them are ours is known by their names.
        let filter = format!("<filter><name>{FILTER}</name></filter>");
        let ask = format!(
            "<get-config><source><running/></source><filter type=\"subtree\"><configuration>\
             <policy-options><prefix-list/></policy-options><firewall><family><inet>{filter}</inet>\
             <inet6>{filter}</inet6></family></firewall></configuration></filter></get-config>"
        );
        let reply = self.session.rpc("get-config", &ask)?;
        Ok(Held::read(&reply, &held::known(&self.instances, paths)))
    }

    /// Every rule of a change must have a way; known before the router is asked anything.
    fn check(&self, paths: &Paths, change: &Change) -> Result<(), DeviceError> {
        let lost = |rule: &&Rule| {
            paths.get(&rule.path).is_none() || !self.instances.contains_key(&rule.path)
        };
        change.add.iter().find(lost).map_or(Ok(()), |rule| {
            let said = format!("path {} has no routing instance", rule.path);
            Err(self.session.error(CHANGE, Kind::Unsupported, said).about(rule.matching))
        })
    }

    /// Changes the candidate, tries it, looks, and confirms.
    fn transact(&mut self, paths: &Paths, change: &Change) -> Result<(), DeviceError> {
        let held = self.held(paths)?;
        let gone: BTreeSet<&Rule> = change.remove.iter().collect();
        let stay = held.back.rules.iter().filter(|rule| !gone.contains(rule));
        let mut rules: BTreeSet<Rule> = stay.cloned().collect();
        rules.extend(change.add.iter().cloned());
        let inside = edit::edit(&held, &Layout::of(&rules, &self.instances), change.purge);
        if inside.is_empty() {
            return Ok(());
        }
        let config = format!(
            "<edit-config><target><candidate/></target><default-operation>merge\
             </default-operation><config xmlns:nc=\"{NC}\"><configuration>{inside}\
             </configuration></config></edit-config>"
        );
        self.session.rpc(CHANGE, &config)?;
        let confirmed =
            format!("<commit><confirmed/><confirm-timeout>{CONFIRM_S}</confirm-timeout></commit>");
        self.session.rpc("commit confirmed", &confirmed)?;
        let found = self.held(paths)?.back.rules;
        // One that is wanted and missing tells more than what came instead.
        let odd = rules.difference(&found).next().or_else(|| found.difference(&rules).next());
        if let Some(rule) = odd {
            self.session.rpc("cancel-commit", "<cancel-commit/>")?;
            let said = format!("{rule}: not as committed, so the commit was taken back");
            return Err(self.session.error("commit", Kind::Refused, said).about(rule.matching));
        }
        self.session.rpc("commit", "<commit/>").map(drop)
    }
}

impl Device for Junos {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { ports: true, ipv6: true, atomic: true, limit: self.limit }
    }

    fn read_back(&mut self, paths: &Paths, _now: Ns) -> Result<ReadBack, DeviceError> {
        Ok(self.held(paths)?.back)
    }

    fn apply(&mut self, paths: &Paths, change: &Change, _now: Ns) -> Result<Commit, DeviceError> {
        self.check(paths, change)?;
        self.session.rpc("lock", "<lock><target><candidate/></target></lock>")?;
        let result = self.transact(paths, change);
        if result.is_err() {
            // Whatever the candidate holds is not wanted; the first error is the one to tell.
            let _ = self.session.rpc("discard-changes", "<discard-changes/>");
        }
        let unlocked = self.session.rpc("unlock", "<unlock><target><candidate/></target></unlock>");
        result?;
        unlocked.map(|_| Commit::Done)
    }
}
