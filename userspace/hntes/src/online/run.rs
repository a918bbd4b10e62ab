// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From reports to events: held back if wanted, given to the detector, written.

use crate::online::line;
use crate::tables::{Cell, Table};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Write};
use std::time::{Duration, Instant};
use telesteer_fam::Ns;
use telesteer_fam::screen::Fault;
use telesteer_online::clock::Clock;
use telesteer_online::hold::Hold;
use telesteer_online::meter::{self, Meters};
use telesteer_online::score::Score;
use telesteer_online::{Detector, Event, Gate, Report, Setting};

/// Most reports held back.
const HELD_MAX: usize = 1 << 20;

/// Where events go.
struct Out<W> {
    to: W,
    lines: Vec<u8>,
    seq: u64,
    /// Events of flows outside the table, written or not.
    outside: bool,
    hidden: u64,
    /// Whoever read had enough.
    gone: bool,
}

impl<W: Write> Out<W> {
    fn write(&mut self, events: &mut Vec<Event>) -> Result<()> {
        for event in events.drain(..) {
            if !event.gated && !self.outside {
                self.hidden += 1;
                continue;
            }
            line::event(&mut self.lines, &event, self.seq)?;
            self.seq += 1;
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<()> {
        if self.lines.is_empty() || self.gone {
            self.lines.clear();
            return Ok(());
        }
        let written = self.to.write_all(&self.lines).and_then(|()| self.to.flush());
        self.lines.clear();
        match written {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.gone = true;
                Ok(())
            }
            other => other.context("writing to standard output"),
        }
    }
}

/// How a run is set up.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// The detector's.
    pub setting: Setting,
    /// Reports are held back for so long.
    pub hold: Ns,
    /// One report moves the clock by at most so much.
    pub jump: Ns,
    /// Write events of flows outside the table too.
    pub outside: bool,
    /// The router's meters.
    pub meters: meter::Kind,
}

/// A run.
pub struct Run<W> {
    detector: Detector,
    meters: Meters,
    hold: Hold,
    out: Out<W>,
    events: Vec<Event>,
    faults: BTreeMap<Fault, u64>,
    /// The clock of reports as the last one came, and when that was.
    heard: Option<(Ns, Instant)>,
    early: bool,
}

impl<W: Write> Run<W> {
    /// A run that writes to `to`.
    ///
    /// # Errors
    ///
    /// A setting that makes no sense.
    pub fn new(setup: Setup, gate: Option<Gate>, to: W) -> Result<Self> {
        let detector = Detector::new(setup.setting, gate)?;
        let meters = Meters::new(setup.setting, setup.meters)?;
        let hold = Hold::new(setup.hold, HELD_MAX, Clock::new(setup.jump));
        let (lines, seq, hidden) = (Vec::new(), 0, 0);
        let out = Out { to, lines, seq, outside: setup.outside, hidden, gone: false };
        let (events, faults, heard) = (Vec::new(), BTreeMap::new(), None);
        let early = setup.setting.early > 0;
        Ok(Self { detector, meters, hold, out, events, faults, heard, early })
    }

    /// Takes a report.
    ///
    /// # Errors
    ///
    /// If an event could not be written.
    pub fn take(&mut self, report: Report, live: bool) -> Result<()> {
        let Self { detector, hold, events, .. } = self;
        hold.push(report, |report, now| detector.observe(report, now, events));
        if live {
            self.heard = self.hold.clock.now().map(|at| (at, Instant::now()));
        }
        self.out.write(&mut self.events)
    }

    /// Takes a reading of a meter.
    ///
    /// # Errors
    ///
    /// If an event could not be written.
    pub fn meter(&mut self, name: &str, bytes: u64, at: Ns) -> Result<()> {
        if let Some(crossing) = self.meters.read(name, bytes, at) {
            line::crossing(&mut self.out.lines, &crossing, self.out.seq)?;
            self.out.seq += 1;
        }
        self.out.flush()
    }

    /// Counts a record that does not count.
    pub fn leave_out(&mut self, fault: Fault) {
        *self.faults.entry(fault).or_default() += 1;
    }

    /// Nothing has come: the time of reports goes on as ours does.
    ///
    /// # Errors
    ///
    /// If an event could not be written.
    pub fn quiet(&mut self) -> Result<()> {
        let Some((at, since)) = self.heard else { return Ok(()) };
        let now = at.saturating_add(nanoseconds(since.elapsed()));
        let Self { detector, hold, events, .. } = self;
        let until = hold.tick(now, |report, now| detector.observe(report, now, events));
        detector.tick(until, events);
        self.out.write(&mut self.events)
    }

    /// Ends all flows.
    ///
    /// # Errors
    ///
    /// If an event could not be written.
    pub fn finish(&mut self) -> Result<()> {
        let Self { detector, hold, events, .. } = self;
        hold.finish(|report, now| detector.observe(report, now, events));
        detector.finish(events);
        self.out.write(&mut self.events)
    }

    /// Whether nobody reads events any more.
    pub fn is_gone(&self) -> bool {
        self.out.gone
    }

    /// What there is to say in the end.
    pub fn tables(&self) -> Vec<Table> {
        let mut tables = vec![self.counters()];
        if !self.meters.is_empty() {
            tables.push(self.meters());
        }
        if self.early {
            tables.push(early_rule(&self.detector.score()));
        }
        tables
    }

    fn meters(&self) -> Table {
        let title = "meters, and what was odd about their readings";
        let mut table = Table::new("meters", title, &["counter", "value"]);
        let odd = self.meters.odd;
        let counts = [
            ("meters", self.meters.len() as u64),
            ("wraps", odd.wraps),
            ("resets", odd.resets),
            ("impossible", odd.impossible),
            ("stale", odd.stale),
            ("no_room", odd.no_room),
        ];
        for (name, count) in counts {
            table.push([name.into(), count.into()]);
        }
        table
    }

    fn counters(&self) -> Table {
        let mut table = Table::new("online", "what was read and found", &["counter", "value"]);
        let fault = |of: Fault| self.faults.get(&of).copied().unwrap_or(0);
        let Clock { ahead, behind, .. } = self.hold.clock;
        let more = [
            ("unknown_sampling", fault(Fault::UnknownSampling)),
            ("negative_duration", fault(Fault::NegativeDuration)),
            ("too_long", fault(Fault::TooLong)),
            ("clock_ahead", ahead),
            ("clock_behind", behind),
            ("held_too_short", self.hold.late),
            ("held_without_room", self.hold.crowded),
            ("events", self.out.seq),
            ("events_outside_not_written", self.out.hidden),
            ("rest_bound_bytes", self.detector.rest_bound()),
        ];
        for (name, value) in self.detector.counters().named().into_iter().chain(more) {
            table.push([name.into(), value.into()]);
        }
        table
    }
}

/// The early rule's outcomes and its error rates.
fn early_rule(score: &Score) -> Table {
    let title = "the early rule against what flows turned out to be";
    let mut table = Table::new("early_rule", title, &["figure", "value"]);
    let counts = [
        ("alpha_named_before", score.before),
        ("alpha_named_with_the_same_report", score.same),
        ("alpha_named_later", score.later),
        ("alpha_missed", score.missed),
        ("false_alarms", score.false_alarms),
        ("rightly_silent", score.rightly_silent),
        ("unknown", score.unknown),
    ];
    for (name, count) in counts {
        table.push([name.into(), count.into()]);
    }
    let percent = |share: Option<f64>| Cell::real(share.map(|share| share * 100.0), 2);
    let rates = [
        ("false_alarms_percent_of_named", percent(score.false_share())),
        ("false_alarms_percent_of_not_alpha", percent(score.false_rate())),
        ("missed_or_later_percent_of_alpha", percent(score.miss_rate())),
        ("mean_lead_s", Cell::real(score.mean_lead().map(|lead| lead / 1e9), 2)),
    ];
    for (name, rate) in rates {
        table.push([name.into(), rate]);
    }
    table
}

fn nanoseconds(time: Duration) -> Ns {
    Ns::try_from(time.as_nanos()).unwrap_or(Ns::MAX)
}
