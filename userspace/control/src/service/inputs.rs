// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the loop takes in, each turn.

use super::Service;
use crate::announce::announced;
use crate::conductor::{Announced, Line, What};
use crate::feed::{Gone, Heard};
use crate::nightly::{Night, command};
use crate::panorama::{Told, state_name};
use crate::provider::settings::Kind;
use crate::record::Record;
use crate::table;
use crate::ticket::What as OfTicket;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};
use telesteer_circuit::request::{Pair, Rate};
use telesteer_fam::Ns;
use telesteer_fam::time::SECOND;
use telesteer_online::{Event, What as Of};
use telesteer_redirect::audit::Transition;
use telesteer_redirect::life::State;

/// Events of one turn.
const EVENTS: usize = 4096;
/// An analysis that failed is tried again after so long.
const NIGHT_AGAIN: Ns = 600 * SECOND;

/// The file of the table in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TableFile {
    path: PathBuf,
    length: u64,
    changed: Option<SystemTime>,
}

impl Service {
    pub(super) fn take_in(&mut self, at: Ns) {
        if !self.release {
            self.take_events(at);
            self.take_table(at);
            self.take_night(at);
            self.take_tickets(at);
        }
        self.take_circuits(at);
        self.take_routers(at);
    }

    fn take_events(&mut self, at: Ns) {
        for _ in 0..EVENTS {
            match self.feed.next() {
                Ok(Some(Heard::Event(event))) => self.hear(&event, at),
                Ok(Some(Heard::Ended(why))) => {
                    self.conductor.doubt_all(at);
                    self.trouble("collector", Some(why), at);
                }
                Ok(Some(Heard::Again)) => self.trouble("collector", None, at),
                Ok(None) => return,
                Err(Gone) => {
                    if !std::mem::replace(&mut self.deaf, true) {
                        self.conductor.doubt_all(at);
                    }
                    return;
                }
            }
        }
        // There is more.
        self.bell.ring();
    }

    fn hear(&mut self, event: &Event, at: Ns) {
        let known = self.conductor.knows(&event.key);
        self.conductor.hear(event, at);
        if !self.conductor.knows(&event.key) {
            self.told.remove(&event.key);
            return;
        }
        if matches!(event.what, Of::Early | Of::Alpha) {
            let told = Told { begun: event.begun, bytes: event.bytes, rate: event.rate };
            self.told.insert(event.key, told);
            if !known {
                let waited = event.now.saturating_sub(event.begun).max(0) / 1_000_000;
                self.detection.add(waited.unsigned_abs());
            }
        }
    }

    fn take_table(&mut self, at: Ns) {
        let Some((offline, clock)) = self.settings.offline.as_ref().zip(self.clock.as_ref()) else {
            return;
        };
        if at < self.look_at {
            return;
        }
        self.look_at = at.saturating_add(SECOND.saturating_mul(offline.look_every_s.max(1) as Ns));
        let found = match table::newest(&offline.tables, &clock.day(at)) {
            Ok(found) => found,
            Err(bad) => return self.trouble("offline.tables", Some(bad.to_string()), at),
        };
        let Some((_, path)) = found else { return };
        let told = path.metadata().ok();
        let length = told.as_ref().map_or(0, std::fs::Metadata::len);
        let changed = told.and_then(|told| told.modified().ok());
        let file = TableFile { path, length, changed };
        if self.table.as_ref() == Some(&file) {
            return;
        }
        match table::read(&file.path, &self.network) {
            Ok(table) => {
                self.trouble("offline.tables", None, at);
                self.conductor.take_table(table, at);
                self.feed.set_gate(self.conductor.gate().clone());
            }
            // The table in force stays.
            Err(bad) => self.trouble("offline.tables", Some(bad.to_string()), at),
        }
        self.table = Some(file);
    }

    fn take_night(&mut self, at: Ns) {
        if let Some(night) = self.night.take_if(|night| night.is_over()) {
            match night.end() {
                Ok(day) => {
                    self.nights = Some(day.clone());
                    self.conductor.unwritten(vec![Record::Night(day)]);
                    self.look_at = Ns::MIN;
                    self.trouble("offline.flows", None, at);
                }
                Err(said) => {
                    self.night_not_before = at.saturating_add(NIGHT_AGAIN);
                    self.trouble("offline.flows", Some(said), at);
                }
            }
        }
        let Some((offline, clock)) = self.settings.offline.as_ref().zip(self.clock.as_ref()) else {
            return;
        };
        let (Some(flows), Some(program)) = (&offline.flows, &self.program) else { return };
        if self.dry_run || self.night.is_some() || at < self.night_not_before {
            return;
        }
        if let Some(day) = clock.due(at, self.nights.as_deref()) {
            let words = command(program, offline, flows, &day);
            let most = Duration::from_secs(offline.most_s);
            self.night = Some(Night::begin(day, words, most, self.bell.clone()));
        }
    }

    fn take_tickets(&mut self, at: Ns) {
        let face = self.face.clone();
        let mut book = face.tickets();
        let changes = book.due(at);
        if changes.is_empty() && !face.take_changed() {
            return;
        }
        let fixed: Vec<(Pair, Rate)> = self
            .settings
            .paths
            .values()
            .map(|path| (path.pair().canonical(), path.rate()))
            .collect();
        let any = self.settings.circuits.provider == Kind::Local && !self.dry_run;
        let has = |pair: &Pair, rate| {
            let of_pair = fixed.iter().filter(|(one, _)| *one == pair.canonical());
            let mut rates = of_pair.map(|(_, rate)| *rate).peekable();
            if rates.peek().is_none() { any } else { rates.any(|one| one == rate) }
        };
        let (all, counters) = announced(&book, &self.network, self.settings.rate(), has);
        drop(book);
        self.announced = counters;
        self.promised.clear();
        for Announced { matching, from, until, ticket, .. } in &all {
            let of_entry = self.promised.entry(*matching).or_default();
            of_entry.push((*from, *until, ticket.clone()));
        }
        self.conductor.take_announced(all);
        let lines = changes.iter().map(|change| Line {
            at,
            what: What::Ticket,
            subject: change.id.to_string(),
            router: None,
            path: None,
            reason: match change.what {
                OfTicket::Began => "its start has come".to_owned(),
                OfTicket::Expired => "its end has come".to_owned(),
                OfTicket::Forgotten => "forgotten, newer ones being enough".to_owned(),
            },
        });
        self.face.write(&lines.collect::<Vec<_>>());
        let gone = changes.iter().filter(|change| change.what == OfTicket::Forgotten);
        self.conductor.unwritten(gone.map(|change| Record::NoTicket(change.id)).collect());
    }

    fn take_circuits(&mut self, at: Ns) {
        let (report, steps, troubles) = self.office.report();
        let mut lines = Vec::new();
        for (name, step, why) in steps {
            let (subject, reason) = (name.to_string(), format!("{:?} to {:?}", step.from, step.to));
            let reason = if why.is_empty() { reason } else { format!("{reason}: {why}") };
            lines.push((What::CircuitStep, subject, reason));
        }
        for said in troubles {
            lines.push((What::Trouble, "circuits".to_owned(), said));
        }
        let line =
            |(what, subject, reason)| Line { at, what, subject, router: None, path: None, reason };
        self.face.write(&lines.into_iter().map(line).collect::<Vec<_>>());
        let waited = at.saturating_sub(self.started);
        let patience = crate::settings::ns(self.settings.online.start_wait_s);
        match &report.circuits {
            Some(circuits) => {
                self.trouble("circuits", None, at);
                self.conductor.take_circuits(circuits.clone());
            }
            // Nobody knows what is up. Without routes, packets go where IP routing sends them.
            None if waited > patience && self.conductor.circuits().is_none() => {
                let said =
                    "the provider does not tell which circuits there are: no route is wanted";
                self.trouble("circuits", Some(said.to_owned()), at);
                self.conductor.take_circuits(Default::default());
            }
            None => {}
        }
        self.office_report = report;
        self.settle_unsure();
    }

    fn take_routers(&mut self, at: Ns) {
        let mut lines = Vec::new();
        let mut delays = Vec::new();
        for (name, station) in &self.stations {
            let report = station.report();
            self.conductor.take_router(name, report.seen.clone());
            self.reports.insert(name.clone(), report);
            let (steps, troubles) = station.news();
            for step in steps {
                let first =
                    matches!((&step.from, &step.to), (State::Pending, State::Installed { .. }));
                if first && let Some(since) = self.conductor.since(&step.matching) {
                    delays.push(at.saturating_sub(since).max(0) / 1_000_000);
                }
                lines.push(step_line(name, &step, at));
            }
            for said in troubles {
                let (what, subject, reason) = (What::Trouble, name.clone(), said);
                let router = Some(name.clone());
                lines.push(Line { at, what, subject, router, path: None, reason });
            }
        }
        delays.into_iter().for_each(|ms| self.installation.add(ms.unsigned_abs()));
        self.face.write(&lines);
    }
}

fn step_line(router: &str, step: &Transition, at: Ns) -> Line {
    let reason = match &step.to {
        State::Failed(why) => format!("{} to failed: {why}", state_name(&step.from)),
        to => format!("{} to {}", state_name(&step.from), state_name(to)),
    };
    Line {
        at,
        what: What::RouteStep,
        subject: step.matching.to_string(),
        router: Some(router.to_owned()),
        path: step.goal.as_ref().map(ToString::to_string),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::testing::net;
    use telesteer_redirect::PathName;
    use telesteer_redirect::life::Reason;

    #[test]
    fn a_step_of_a_route_says_why() {
        let told = |from: State, to: State| {
            let goal = PathName::new("a").ok();
            let step = Transition { at: 1, matching: net(1), goal, from, to };
            let line = step_line("r1", &step, 7);
            assert_eq!((line.at, line.what, line.path.as_deref()), (7, What::RouteStep, Some("a")));
            (line.subject, line.router.unwrap(), line.reason)
        };
        let step = |reason: &str| {
            ("10.1.1.0/24 10.2.1.0/24".to_owned(), "r1".to_owned(), reason.to_owned())
        };
        let installed = State::Installed { since: 1 };
        assert_eq!(told(State::Pending, installed), step("pending to installed"));
        let lied = State::Failed(Reason::NotThere);
        let reason = "pending to failed: said to be installed and not there";
        assert_eq!(told(State::Pending, lied), step(reason));
    }
}
