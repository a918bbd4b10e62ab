// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The default device: maps of nftables from what is matched to a packet mark, and one rule for each
//! mark. Forwarding costs the same with one entry as with ten thousand, and a change of any size is one
//! transaction.
//!
//! Elements of the maps are changed, looked up and listed through netlink, where one more among ten
//! thousand costs what the second does. The program `nft` makes table, maps and chain and tells whether
//! they are as they should be: it checks what it is told, and takes tens of milliseconds to start. Marks
//! become routes by rules of the kernel. What packets carry as a mark before is overwritten where an entry
//! matches. A fragment that is not the first has no ports: of a 5-tuple's flow only first fragments are
//! redirected, so senders should not fragment.

mod attribute;
mod batch;
mod element;
mod key;
mod listing;
mod message;
mod schema;
mod socket;

use crate::device::{Capabilities, Commit, Counts, Device};
use crate::error::{DeviceError, Kind};
use crate::iprule::{MarkRules, Marks};
use crate::matching::Match;
use crate::path::{Paths, Target};
use crate::process::Program;
use crate::rule::{Change, ReadBack, Rule};
use batch::Batch;
use listing::Listing;
use schema::{FAMILY, TABLE};
use socket::ElementSocket;
use std::collections::BTreeSet;
use telesteer_fam::Ns;

/// Priority of the rules that turn marks into routes.
pub const PRIORITY: u32 = 20_010;
/// Entries unless said otherwise.
pub const LIMIT: usize = 65_536;

/// Listings begun again because something of nftables changed meanwhile.
const LISTINGS: usize = 8;

const LIST: [&str; 6] = ["-j", "-t", "list", "table", FAMILY, TABLE];
const SET_UP: [&str; 2] = ["-f", "-"];

/// nftables of a network namespace.
#[derive(Debug)]
pub struct Nft {
    name: String,
    program: Program,
    elements: ElementSocket,
    marks: MarkRules,
    limit: usize,
    /// As it was last read.
    last: Option<Listing>,
    /// Of the rules when all was as last read, but for changes of ours; none if others may have made
    /// some.
    generation: Option<u32>,
}

impl Nft {
    /// The namespace of the calling thread.
    ///
    /// # Errors
    ///
    /// If there is no `nft`, or no netlink socket.
    pub fn open(name: &str) -> Result<Self, DeviceError> {
        Self::with_limit(name, LIMIT)
    }

    /// The same for so many entries of each kind.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn with_limit(name: &str, limit: usize) -> Result<Self, DeviceError> {
        let program = Program::new(name, &["nft"]);
        program.run(&["--version"], "")?;
        let elements = ElementSocket::open(name)?;
        let marks = MarkRules::open(name, PRIORITY)?;
        Ok(Self {
            name: name.to_owned(),
            program,
            elements,
            marks,
            limit,
            last: None,
            generation: None,
        })
    }

    /// The table as it is; empty if there is none. All of it is of one generation of the rules.
    fn list(&mut self) -> Result<Listing, DeviceError> {
        for _ in 0..LISTINGS {
            let before = self.elements.generation()?;
            let listing = self.list_once()?;
            if let Some(listing) = listing
                && self.elements.generation()? == before
            {
                self.last = Some(listing.clone());
                self.generation = Some(before);
                return Ok(listing);
            }
        }
        let said = format!("nftables changed during each of {LISTINGS} listings");
        Err(self.program.error(&LIST, Kind::Late, said))
    }

    /// None if something changed meanwhile.
    fn list_once(&mut self) -> Result<Option<Listing>, DeviceError> {
        let output = self.program.output(&LIST, "")?;
        let said = String::from_utf8_lossy(&output.stderr);
        let mut listing = if output.status.success() {
            let text = String::from_utf8_lossy(&output.stdout);
            listing::parse(&text).map_err(|why| self.program.error(&LIST, Kind::Garbled, why))?
        } else if said.contains("No such file or directory") {
            Listing::default()
        } else {
            return Err(self.program.error(&LIST, Kind::Refused, said));
        };
        for map in listing.maps.clone() {
            match self.elements.list(map)? {
                Some(held) => listing.take(held),
                None => return Ok(None),
            }
        }
        Ok(Some(listing))
    }

    fn target(&self, paths: &Paths, rule: &Rule) -> Result<Target, DeviceError> {
        paths.get(&rule.path).ok_or_else(|| {
            let said = format!("unknown path {}", rule.path);
            DeviceError::new(&self.name, "change", Kind::Unsupported, said).about(rule.matching)
        })
    }

    /// Rules that packets with the marks of `change` need.
    fn ensure_marks(
        &mut self,
        marks: &Marks,
        paths: &Paths,
        change: &Change,
    ) -> Result<(), DeviceError> {
        let mut needed = BTreeSet::new();
        for rule in &change.add {
            let target = self.target(paths, rule)?;
            needed.insert((rule.matching.is_ipv4(), target.mark, target.table));
        }
        if change.purge {
            // Of elements that are there and whose rule is gone.
            for element in self.last.iter().flat_map(|last| &last.elements) {
                if let Some(target) = paths.with_mark(element.mark).and_then(|path| paths.get(path))
                {
                    needed.insert((element.matching.is_ipv4(), target.mark, target.table));
                }
            }
        }
        self.marks.ensure(marks, &needed)
    }

    /// The whole change as one transaction.
    fn transaction(&self, paths: &Paths, change: &Change) -> Result<Batch, DeviceError> {
        let mut batch = Batch::default();
        let mut removed = BTreeSet::new();
        for rule in &change.remove {
            removed.insert(rule.matching);
            batch.delete(&rule.matching);
        }
        if change.purge
            && let Some(last) = &self.last
        {
            last.odd.iter().for_each(|odd| batch.delete_odd(odd));
            let coming: BTreeSet<Match> = change.add.iter().map(|rule| rule.matching).collect();
            for element in &last.elements {
                let known = paths.with_mark(element.mark).is_some();
                let matching = element.matching;
                // One that is not in force was not read back, so it may be in the way.
                if (!known || coming.contains(&matching)) && removed.insert(matching) {
                    batch.delete(&matching);
                }
            }
        }
        for rule in &change.add {
            batch.add(&rule.matching, self.target(paths, rule)?.mark);
        }
        Ok(batch)
    }
}

/// The number of the generation after the next transaction; the kernel leaves out 0.
fn after(generation: u32) -> u32 {
    generation.wrapping_add(1).max(1)
}

impl Device for Nft {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { ports: true, ipv6: self.marks.ipv6(), atomic: true, limit: self.limit }
    }

    fn read_back(&mut self, paths: &Paths, _now: Ns) -> Result<ReadBack, DeviceError> {
        let listing = self.list()?;
        let marks = self.marks.read(paths)?;
        let mut back = ReadBack { amiss: marks.amiss.clone(), ..ReadBack::default() };
        back.foreign = marks.foreign.clone();
        listing.foreign.iter().for_each(|text| back.foreign.push(text));
        for odd in &listing.odd {
            back.amiss.push(format!("map {}: {}", odd.map.name, odd.text));
        }
        let empty = listing.elements.is_empty() && listing.handles.is_empty();
        if !listing.intact && !empty {
            back.amiss.push(format!("table {TABLE} is not as it should be: nothing is looked up"));
        }
        let mut unmarked = BTreeSet::new();
        for element in listing.elements {
            let path = paths.with_mark(element.mark).cloned();
            let Some((path, target)) =
                path.and_then(|path| Some((path.clone(), paths.get(&path)?)))
            else {
                back.amiss.push(format!("{}: unknown mark {:#x}", element.matching, element.mark));
                continue;
            };
            let matching = element.matching;
            if !marks.works(matching.is_ipv4(), target) {
                unmarked.insert((matching.is_ipv4(), path));
            } else if listing.intact {
                back.rules.insert(Rule { matching, path });
            }
        }
        for (ipv4, path) in unmarked {
            let family = if ipv4 { "IPv4" } else { "IPv6" };
            back.amiss.push(format!("path {path}: no rule for its mark in {family}"));
        }
        Ok(back)
    }

    fn apply(&mut self, paths: &Paths, change: &Change, _now: Ns) -> Result<Commit, DeviceError> {
        if self.last.is_none() || change.purge {
            self.list()?;
        }
        let marks = self.marks.read(paths)?;
        self.ensure_marks(&marks, paths, change)?;
        if let Some(last) = self.last.as_mut().filter(|last| !last.intact) {
            let text = schema::set_up(self.limit, &last.handles);
            self.generation = None;
            self.program.run(&SET_UP, &text)?;
            // Until it is read again, what is to be replaced is not known.
            last.intact = true;
        }
        let batch = self.transaction(paths, change)?;
        if !batch.is_empty() {
            let known = self.generation.take();
            self.elements.change(&batch)?;
            // Not what it is now: others may have come between.
            self.generation = known.map(after);
        }
        if change.purge {
            self.marks.purge(&marks)?;
        }
        Ok(Commit::Done)
    }

    fn find(
        &mut self,
        paths: &Paths,
        rules: &[Rule],
        _now: Ns,
    ) -> Result<Option<BTreeSet<Rule>>, DeviceError> {
        let matches: Vec<Match> = rules.iter().map(|rule| rule.matching).collect();
        let found = self.elements.find(&matches)?;
        // An element says nothing of whether packets are looked up: others may have taken away the
        // rule that does it.
        if self.generation != Some(self.elements.generation()?) {
            return Ok(None);
        }
        let marks = self.marks.read(paths)?;
        let held = rules.iter().filter(|rule| {
            paths.get(&rule.path).is_some_and(|target| {
                found.get(&rule.matching) == Some(&target.mark)
                    && marks.works(rule.matching.is_ipv4(), target)
            })
        });
        Ok(Some(held.cloned().collect()))
    }

    fn counts(&mut self, paths: &Paths) -> Result<Option<Counts>, DeviceError> {
        let mut counts = Counts::default();
        for element in self.list()?.elements {
            if let Some(path) = paths.with_mark(element.mark) {
                counts.add(element.matching, path, element.count);
            }
        }
        Ok(Some(counts))
    }
}
