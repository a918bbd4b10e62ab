// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One flow while it lives.

use crate::counters::Counters;
use crate::event::{Event, What, rate};
use crate::report::Report;
use crate::ring::{Ring, Slot};
use crate::setting::Setting;
use std::net::IpAddr;
use telesteer_fam::Ns;

/// What is known of a flow.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Who tells of it. Others see the same packets, so what they tell is left out.
    pub exporter: IpAddr,
    /// In the table, or there is none.
    pub gated: bool,
    /// First packet.
    pub begun: Ns,
    /// Last packet.
    pub last: Ns,
    /// Bytes.
    pub bytes: u64,
    /// When the detector heard of it last, by its own clock.
    pub touched: Ns,
    /// When it is entered to be looked at, if it is.
    pub due: Option<Ns>,
    /// When the early rule named it, by the clock of reports.
    pub early: Option<Ns>,
    /// When the window rule found it.
    pub alpha: Option<Ns>,
    /// Bytes that may have been missed before it was looked at.
    pub missed: u64,
    approx: bool,
    ring: Ring,
}

impl Flow {
    /// A flow that `report` begins.
    pub fn new(report: &Report, gated: bool, now: Ns) -> Self {
        Self {
            exporter: report.exporter,
            gated,
            begun: report.first,
            last: report.last,
            bytes: 0,
            touched: now,
            due: None,
            early: None,
            alpha: None,
            missed: 0,
            approx: false,
            ring: Ring::default(),
        }
    }

    /// Takes a report; says what follows from it.
    pub fn take(
        &mut self,
        report: &Report,
        now: Ns,
        setting: &Setting,
        counters: &mut Counters,
        out: &mut Vec<Event>,
    ) {
        if report.exporter != self.exporter {
            if now.saturating_sub(self.touched) <= setting.t.saturating_add(setting.slot) {
                counters.other_exporter += 1;
                return;
            }
            counters.exporter_changed += 1;
            self.exporter = report.exporter;
            self.ring.clear();
        }
        self.touched = now;
        self.begun = self.begun.min(report.first);
        self.last = self.last.max(report.last);
        self.bytes = self.bytes.saturating_add(report.bytes);
        let taken = self.ring.take((report.first, report.last), report.bytes, setting);
        counters.spread += u64::from(taken.spread);
        counters.out_of_order += u64::from(taken.earlier);
        counters.crowded += u64::from(taken.crowded);
        self.approx |= taken.spread;
        let Some(since) = taken.since else {
            counters.late += 1;
            return;
        };
        if self.early.is_none()
            && let Some(slot) = self.ring.running(setting)
        {
            self.early = Some(slot.last);
            counters.early += 1;
            // Of what is known nobody need be warned.
            if self.alpha.is_none() {
                let sent = slot.last.saturating_sub(slot.begun).max(setting.slot);
                let slot_rate = rate(slot.bytes, sent);
                out.push(self.event(report, What::Early, slot.last, slot.bytes, slot_rate, now));
            }
        }
        // No window has more than the flow.
        if self.alpha.is_none()
            && self.bytes > setting.h
            && let Some(Slot { begun, last, bytes, .. }) = self.ring.above(since, setting)
        {
            self.alpha = Some(last);
            counters.alpha += 1;
            counters.would_have_been_seen += u64::from(!self.gated);
            let window_rate = rate(bytes, last.saturating_sub(begun));
            out.push(self.event(report, What::Alpha, last, bytes, window_rate, now));
        }
    }

    fn event(&self, report: &Report, what: What, at: Ns, window: u64, rate: u64, now: Ns) -> Event {
        Event {
            at,
            what,
            key: report.key,
            exporter: self.exporter,
            now,
            begun: self.begun,
            bytes: self.bytes,
            window,
            rate,
            approx: self.approx,
            gated: self.gated,
            missed: self.missed,
        }
    }

    /// Whether it has been silent for long enough.
    pub fn silent(&self, now: Ns, setting: &Setting) -> bool {
        self.touched.saturating_add(setting.idle) <= now
    }
}
