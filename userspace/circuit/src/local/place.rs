// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Puts circuits on the routers, takes them away, and looks whether they are still there.

use crate::circuits::{Id, Notice};
use crate::clock::now;
use crate::counters::count;
use crate::error::{Error, Why};
use crate::local::client::{Inner, Local, due};
use crate::local::item::{Item, items};
use crate::local::store::Phase;
use crate::plan::{Numbers, Plan};
use crate::request::Name;
use crate::time::At;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering::Relaxed;

impl Local {
    fn wanted(&self, inner: &Inner, plan: &Plan) -> Result<Vec<(usize, Item)>, Error> {
        items(inner.admission.topology(), self.settings.numbers, plan).ok_or_else(|| {
            let said = "its labels do not fit the classes of an interface".to_owned();
            self.error("provision", &plan.request.name, Why::Refused(said))
        })
    }

    /// Removes what no circuit needs, and puts there what is missing.
    pub(super) async fn sweep(&self) -> Result<(), Error> {
        let mut inner = self.inner.lock().await;
        let inner = &mut *inner;
        let mut wanted: BTreeSet<(usize, Item)> = BTreeSet::new();
        for record in inner.records.values().filter(|record| due(record, now())) {
            wanted.extend(self.wanted(inner, &record.plan)?);
        }
        let Numbers { labels, tables } = self.settings.numbers;
        let topology = inner.admission.topology();
        let of = |at: usize| topology.nodes().get(at).map_or("?", |node| node.name.as_str());
        let fault = |at: usize| move |said| self.error("sweep", of(at), Why::Unreachable(said));
        let mut strays = Vec::new();
        for (at, node) in inner.nodes.iter_mut().enumerate() {
            let (there, foreign) = node.read(labels, tables).await.map_err(fault(at))?;
            self.counters.foreign.fetch_add(foreign.len() as u64, Relaxed);
            let there = there.into_iter().filter(|item| !matches!(item, Item::Input { .. }));
            strays.extend(there.map(|item| (at, item)).filter(|stray| !wanted.contains(stray)));
        }
        strays.sort_by(|(_, a), (_, b)| b.cmp(a));
        // All are read before any is touched, and every beginning goes before the rest of a path, on
        // whatever node: no packet comes to where its label is gone.
        for first in [true, false] {
            for (at, items) in
                by_node(&strays, |item| matches!(item, Item::Ingress { .. }) == first)
            {
                let Some(node) = inner.nodes.get_mut(at) else { continue };
                self.counters.strays_removed.fetch_add(items.len() as u64, Relaxed);
                node.remove(items).await.map_err(fault(at))?;
            }
        }
        let names: Vec<Name> = inner
            .records
            .iter()
            .filter(|(_, record)| due(record, now()))
            .map(|(name, _)| name.clone())
            .collect();
        for name in names {
            // One that cannot be put there is found by the next read-back, and told.
            if self.activate(inner, &name).await.is_ok() {
                inner.up.insert(name);
            }
        }
        Ok(())
    }

    /// Puts a circuit there and reads it back.
    pub(super) async fn activate(&self, inner: &mut Inner, name: &Name) -> Result<(), Error> {
        let Some(record) = inner.records.get(name) else { return Ok(()) };
        let wanted = self.wanted(inner, &record.plan)?;
        // All nodes but the beginning first, so that no packet comes to where no label is.
        for last in [false, true] {
            for (at, items) in by_node(&wanted, |item| matches!(item, Item::Ingress { .. }) == last)
            {
                let Some(node) = inner.nodes.get_mut(at) else { continue };
                node.add(items)
                    .await
                    .map_err(|said| self.error("provision", name, Why::Refused(said)))?;
            }
        }
        self.verify(inner, name, &wanted).await
    }

    async fn verify(
        &self,
        inner: &mut Inner,
        name: &Name,
        wanted: &[(usize, Item)],
    ) -> Result<(), Error> {
        let Numbers { labels, tables } = self.settings.numbers;
        for (at, items) in by_node(wanted, |_| true) {
            let Some(node) = inner.nodes.get_mut(at) else { continue };
            let fault = |said| self.error("reading back", name, Why::Unreachable(said));
            let (there, _) = node.read(labels, tables).await.map_err(fault)?;
            if let Some(missing) = items.iter().find(|item| !there.contains(item)) {
                count(&self.counters.read_back_failures);
                let node = inner
                    .admission
                    .topology()
                    .nodes()
                    .get(at)
                    .map_or("?", |node| node.name.as_str());
                return Err(self.error(
                    "reading back",
                    name,
                    Why::NotThere(format!("{missing:?} at {node}")),
                ));
            }
        }
        Ok(())
    }

    pub(super) async fn deactivate(
        &self,
        inner: &mut Inner,
        request: &'static str,
        name: &Name,
    ) -> Result<(), Error> {
        let Some(record) = inner.records.get(name) else { return Ok(()) };
        let wanted = self.wanted(inner, &record.plan)?;
        inner.up.remove(name);
        for first in [true, false] {
            for (at, items) in
                by_node(&wanted, |item| matches!(item, Item::Ingress { .. }) == first)
            {
                let Some(node) = inner.nodes.get_mut(at) else { continue };
                node.remove(items)
                    .await
                    .map_err(|said| self.error(request, name, Why::Unreachable(said)))?;
            }
        }
        Ok(())
    }

    /// Looks at every circuit, also behind one that cannot be looked at. Returns the first failure.
    pub(super) async fn poll(&self, inner: &mut Inner) -> Result<(), Error> {
        let at = now();
        let names: Vec<Name> = inner.records.keys().cloned().collect();
        let mut result = Ok(());
        for name in names {
            let one = self.poll_one(inner, name, at).await;
            result = result.and(one);
        }
        result
    }

    async fn poll_one(&self, inner: &mut Inner, name: Name, at: At) -> Result<(), Error> {
        let Some(record) = inner.records.get(&name) else { return Ok(()) };
        let (id, is_due, phase) = (Id(name.to_string()), due(record, at), record.phase);
        let over = record.plan.request.span.until.is_some_and(|until| until <= at);
        let expired = matches!(phase, Phase::Held(until) if until <= at);
        if expired || over {
            self.drop_one(inner, &name).await?;
            let said = || Notice::Ended("its end is reached".into());
            let notice = if expired { Notice::HoldExpired } else { said() };
            if expired {
                count(&self.counters.holds_expired);
            }
            inner.notices.push((id, notice));
            return Ok(());
        }
        if !is_due {
            return Ok(());
        }
        let wanted = self.wanted(inner, &record.plan)?;
        let was = inner.up.contains(&name);
        let there = was && self.verify(inner, &name, &wanted).await.is_ok();
        if there {
            return Ok(());
        }
        inner.up.remove(&name);
        let again = self.activate(inner, &name).await.is_ok();
        if again {
            inner.up.insert(name);
        }
        match (was, again) {
            (true, false) => inner.notices.push((id, Notice::Inactive)),
            (false, true) => inner.notices.push((id, Notice::Active)),
            // Somebody took it away; it was put back before anyone was told.
            (true, true) | (false, false) => {}
        }
        Ok(())
    }
}

/// Items by node, in order.
fn by_node(items: &[(usize, Item)], which: impl Fn(&Item) -> bool) -> BTreeMap<usize, Vec<Item>> {
    let mut nodes: BTreeMap<usize, Vec<Item>> = BTreeMap::new();
    for (at, item) in items.iter().filter(|(_, item)| which(item)) {
        nodes.entry(*at).or_default().push(item.clone());
    }
    nodes
}

#[cfg(test)]
#[path = "place_tests.rs"]
mod tests;
