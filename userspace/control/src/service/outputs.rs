// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the loop puts out, each turn: first onto the disk, then to those who act, then to those who look.

use super::{SHOW, Service, lock};
use crate::clock::ms;
use crate::panorama::Panorama;
use crate::provider::Orders;
use crate::view::{Input, LINES, Mode};
use telesteer_fam::Ns;

/// Without a report for so long, an input is called stale.
const STALE_MS: u64 = 120_000;

impl Service {
    pub(super) fn put_out(&mut self, at: Ns) {
        // What is not written down is not ordered. Routers are told all the same: what they would add is
        // refused as long as its intent cannot be written down either, see the guard, but what goes must
        // not wait until somebody makes room on the disk.
        if self.write_down(at) {
            self.order();
        }
        for (name, station) in &mut self.stations {
            if let Some(wish) = self.conductor.wish(name) {
                station.wish(wish);
            }
        }
        self.tell();
        if at >= self.show_at {
            self.show_at = at.saturating_add(SHOW);
            self.show(at);
        }
    }

    /// Whether all is written down.
    pub(super) fn write_down(&mut self, at: Ns) -> bool {
        let records = self.conductor.records();
        let Some(journal) = self.journal.clone() else { return true };
        let written = lock(&journal).append(&records).map_err(|bad| bad.to_string());
        match written {
            Ok(()) => {
                self.trouble("store", None, at);
                true
            }
            Err(said) => {
                self.conductor.unwritten(records);
                self.trouble("store", Some(said), at);
                false
            }
        }
    }

    /// Circuits that packets are sent into are told before packets are.
    fn order(&mut self) {
        let orders = Orders {
            asked: self.conductor.asked().clone(),
            steered: self.steered(),
            after: self.office_report.number,
        };
        if orders != self.orders || !self.ordered {
            self.ordered = true;
            self.orders = orders.clone();
            self.office.order(orders);
        }
    }

    pub(super) fn tell(&mut self) {
        let lines = self.conductor.lines();
        self.face.write(&lines);
    }

    fn mode(&self) -> Mode {
        match (self.dry_run, self.conductor.circuits()) {
            (true, _) => Mode::DryRun,
            (false, None) => Mode::Starting,
            (false, Some(_)) => Mode::Live,
        }
    }

    pub(super) fn inputs(&self) -> Vec<Input> {
        let mut inputs = Vec::new();
        if let Some(collector) = &self.settings.collector {
            let (reports, last) = self.feed.reports();
            let trouble = match (self.troubles.get("collector"), self.deaf) {
                (Some(said), _) => said.clone(),
                (None, true) => "nobody reads it any more".to_owned(),
                (None, false) => String::new(),
            };
            inputs.push(Input {
                name: collector.name(),
                last_ms: last.map(ms),
                stale_after_ms: Some(STALE_MS),
                trouble,
                note: format!("{reports} reports"),
            });
        }
        if let Some(offline) = &self.settings.offline {
            let table = self.conductor.table();
            let day = if table.day.is_empty() { "none yet" } else { &table.day };
            inputs.push(Input {
                name: format!("offline table {}", offline.tables.display()),
                last_ms: None,
                stale_after_ms: None,
                trouble: self.troubles.get("offline.tables").cloned().unwrap_or_default(),
                note: format!("{day}, {} entries", table.entries.len()),
            });
        }
        inputs
    }

    fn show(&mut self, at: Ns) {
        let face = self.face.clone();
        let (history, audit_failures) = {
            let audit = face.audit();
            let newest = audit.newest(LINES).map(|(_, value)| value.clone()).collect();
            (newest, audit.failures)
        };
        let routers: Vec<(String, String, &'static str)> = self
            .settings
            .routers
            .iter()
            .map(|(name, of)| {
                let address = of.addresses.first().map_or(String::new(), ToString::to_string);
                (name.clone(), address, of.device.name())
            })
            .collect();
        let book = face.tickets();
        let panorama = Panorama {
            now: at,
            started: self.started,
            mode: self.mode(),
            inputs: self.inputs(),
            routers: &routers,
            topology: self.topology.as_ref(),
            conductor: &self.conductor,
            office: &self.office_report,
            stations: &self.reports,
            book: &book,
            history,
            delays: vec![self.detection.clone(), self.installation.clone()],
            told: &self.told,
            promised: &self.promised,
            journal: self
                .journal
                .as_ref()
                .map(|journal| lock(journal).counters())
                .unwrap_or_default(),
            announced: self.announced,
            audit_failures,
            reports: self.feed.reports().0,
            tallies: self.feed.tallies(),
        };
        let (view, metrics) = panorama.show();
        drop(book);
        face.show(view, metrics);
    }
}
