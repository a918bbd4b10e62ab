// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Aging of entries: one goes so long after its last alpha flow has ended, within the jitter, and never
//! while one lives. What counts is when packets of the flow last carried the label.

use super::{Bench, say};
use crate::capture::{Capture, finish};
use crate::count::frame::each;
use crate::count::order::Order;
use crate::count::way::numbers;
use crate::draw::{Axis, Line, plot};
use crate::error::{Result, odd};
use crate::lsp::Lsps;
use crate::net::{Net, host};
use crate::numbered::{Flow, LEAST, Pace, Sink, under};
use crate::report::{Claim, Findings};
use crate::router::{Router, flow, tuple};
use serde::Serialize;
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use telesteer_circuit::request::Rate;
use telesteer_fam::time::SECOND;
use telesteer_redirect::{Aging, Settings};

/// Seconds after its last alpha flow that an entry stays, and jitter.
const AGE_S: i64 = 6;
const JITTER_S: i64 = 3;
/// Seconds that a run goes on after the alpha flows that end have, and when they do.
const AFTER_S: f64 = 20.0;
const ENDS_S: f64 = 6.0;
const TURN: Duration = Duration::from_millis(200);
/// From one datagram of a flow to its next.
const EVERY: Duration = Duration::from_millis(20);
const PORTS: (u16, u16) = (4000, 7000);

/// What becomes of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Fate {
    /// An alpha flow that ends.
    Ends,
    /// An alpha flow that lives on.
    Lives,
    /// It has an entry and is never alpha.
    Never,
    /// It has no entry.
    Beta,
}

const FLOWS: [Fate; 6] =
    [Fate::Ends, Fate::Ends, Fate::Lives, Fate::Never, Fate::Never, Fate::Beta];

impl Fate {
    fn name(self) -> &'static str {
        match self {
            Self::Ends => "alpha, ends",
            Self::Lives => "alpha, lives on",
            Self::Never => "never alpha",
            Self::Beta => "no entry",
        }
    }
}

/// A flow and when its packets had the label, in seconds since its entry was asked for.
#[derive(Clone, Debug, Serialize)]
struct Seen {
    fate: Fate,
    /// Packets with the label.
    labelled: u64,
    /// The first and the last of them.
    first_s: Option<f64>,
    last_s: Option<f64>,
    /// From when the age counts: the end of its alpha flow, or 0.
    counts_from_s: f64,
    lost: u64,
}

impl Seen {
    /// Whether it went when it had to, by a router whose turns take up to `turn_s`: one that is under
    /// way when the entry is due, and the one after it.
    fn as_wanted(&self, end_s: f64, turn_s: f64) -> bool {
        let (age, jitter) = (AGE_S as f64, JITTER_S as f64);
        let turns = 2.0 * turn_s;
        match (self.fate, self.last_s) {
            (Fate::Beta, last) => last.is_none(),
            (Fate::Lives, Some(last)) => last >= end_s - turns,
            (_, Some(last)) => {
                let due = self.counts_from_s + age;
                (due..=due + jitter + turns).contains(&last)
            }
            (_, None) => false,
        }
    }
}

/// Runs it. There is no shorter one.
pub(super) fn run(bench: &Bench) -> Result<Findings> {
    let net = Net::build()?;
    let lsps = Lsps::start(&net, bench, 100)?;
    let lsp = lsps.up(Rate::Unlimited, true)?;
    let settings = Settings { idle: SECOND, jitter: JITTER_S * SECOND, ..Settings::default() };
    let mut router = Router::nft(&net.pe1, settings)?;
    router.science_up(&lsp)?;
    let (from, to) =
        (|at: u8| host(1, 1 + at / 4, 1 + at % 4), |at: u8| host(2, 1 + at / 4, 1 + at % 4));
    let flows: Vec<Flow> =
        (0..6).map(|at| Flow::new(&from(at), PORTS.0 + u16::from(at), &to(at), PORTS.1)).collect();
    let _sink = Sink::open(&net.site2, &[PORTS.1])?;
    let captures = [
        Capture::start(&net.p2, "to-pe1", &bench.work, "p2")?,
        Capture::start(&net.site2, "to-pe2", &bench.work, "site2")?,
    ];
    let pace = Pace { every: EVERY, octets: LEAST };
    let (times, sent) = under(&net.site1, &flows, pace, |_| {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let begin = Instant::now();
        let (mut ended_s, mut longest_s): (Option<f64>, f64) = (None, 0.0);
        for (fate, one) in FLOWS.iter().zip(&flows).filter(|(fate, _)| **fate != Fate::Beta) {
            let (from, to) = (&one.from, &one.to);
            let matching = flow(17, (&from.0, from.1), (&to.0, to.1))?;
            router.want(matching, Aging::After(AGE_S * SECOND))?;
            if *fate != Fate::Never {
                let now = router.now();
                let tuple = tuple(17, (&from.0, from.1), (&to.0, to.1))?;
                router.controller.alpha_begins(&tuple, now);
            }
        }
        longest_s = longest_s.max(router.settle()?.as_secs_f64());
        say(format!("{} entries are in force", router.held()?));
        while ended_s.is_none_or(|ended| begin.elapsed().as_secs_f64() < ended + AFTER_S) {
            if ended_s.is_none() && begin.elapsed().as_secs_f64() >= ENDS_S {
                for (_, flow) in FLOWS.iter().zip(&flows).filter(|(fate, _)| **fate == Fate::Ends) {
                    let (from, to) = (&flow.from, &flow.to);
                    let now = router.now();
                    let tuple = tuple(17, (&from.0, from.1), (&to.0, to.1))?;
                    router.controller.alpha_ends(&tuple, now);
                }
                ended_s = Some(begin.elapsed().as_secs_f64());
                say("two alpha flows have ended");
            }
            let turn = Instant::now();
            router.turn()?;
            std::thread::sleep(TURN);
            longest_s = longest_s.max(turn.elapsed().as_secs_f64());
        }
        let begin_us = i64::try_from(unix.as_micros()).unwrap_or(0);
        Ok((begin_us, ended_s.unwrap_or(ENDS_S), begin.elapsed().as_secs_f64(), longest_s))
    })?;
    let aged = router.controller.counters().aged;
    let [p2, site2] = finish(captures)?;
    lsps.down(&lsp)?;
    let (begin_us, ended_s, end_s, turn_s) = times;
    let seen = seen(&p2, &site2, begin_us, ended_s, sent)?;
    Ok(findings(&seen, end_s, turn_s, aged))
}

fn seen(p2: &Path, site2: &Path, begin_us: i64, ended_s: f64, sent: u64) -> Result<Vec<Seen>> {
    let mut all: Vec<Seen> = FLOWS
        .iter()
        .map(|fate| Seen {
            fate: *fate,
            labelled: 0,
            first_s: None,
            last_s: None,
            counts_from_s: if *fate == Fate::Ends { ended_s } else { 0.0 },
            lost: 0,
        })
        .collect();
    let mut strangers = 0;
    each(p2, |frame| {
        let Some((flow, _)) = frame.number.filter(|_| frame.label.is_some()) else { return };
        let Some(one) = usize::try_from(flow).ok().and_then(|at| all.get_mut(at)) else {
            strangers += 1;
            return;
        };
        let at_s = (frame.at_us - begin_us) as f64 / 1e6;
        one.labelled += 1;
        one.first_s.get_or_insert(at_s);
        one.last_s = Some(at_s);
    })?;
    if strangers > 0 {
        return Err(odd("the science path", format!("{strangers} packets of no flow of ours")));
    }
    let came = numbers(site2, None)?;
    for (flow, one) in (0..).zip(&mut all) {
        one.lost = Order::of(came.get(&flow).map_or(&[], Vec::as_slice), sent).lost();
    }
    Ok(all)
}

fn findings(seen: &[Seen], end_s: f64, turn_s: f64, aged: u64) -> Findings {
    let claim = |fate: Fate, said: &str| {
        let all = seen.iter().filter(|one| one.fate == fate);
        let good = all.clone().filter(|one| one.as_wanted(end_s, turn_s)).count();
        Claim::new(format!("{said}: {good} of {}", all.clone().count()), good == all.count())
    };
    let lost: u64 = seen.iter().map(|one| one.lost).sum();
    let claims = vec![
        claim(
            Fate::Ends,
            &format!(
                "an entry goes {AGE_S} to {} s after its alpha flow, and not before; two turns of the \
                 router later at most, {turn_s:.1} s each",
                AGE_S + JITTER_S
            ),
        ),
        claim(Fate::Lives, "one whose alpha flow lives stays"),
        claim(Fate::Never, "one that never had an alpha flow goes as long after it was wanted"),
        claim(Fate::Beta, "what has no entry never takes the science path"),
        Claim::new(format!("no datagram is lost as entries come and go: {lost}"), lost == 0),
    ];
    let lines: Vec<(String, Vec<(f64, f64)>)> = seen
        .iter()
        .enumerate()
        .map(|(at, one)| {
            let height = (seen.len() - at) as f64;
            let ends = one.first_s.zip(one.last_s);
            let points = ends.map(|(first, last)| vec![(first, height), (last, height)]);
            (format!("{}: {}", at + 1, one.fate.name()), points.unwrap_or_default())
        })
        .collect();
    let drawn: Vec<Line<'_>> = lines
        .iter()
        .map(|(name, points)| Line { name, points: points.clone(), joined: true })
        .collect();
    let x = Axis { label: "seconds since the entries were asked for", log: false };
    let y = Axis { label: "flow", log: false };
    let cell = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.1}"));
    Findings {
        title: "Entries age",
        paragraph: format!(
            "Six flows send numbered datagrams for {end_s:.0} s; five have an entry that stays \
             {AGE_S} s after its last alpha flow, and up to {JITTER_S} s of jitter. Two alpha flows \
             end {ENDS_S:.0} s on, one lives, two entries never see one. The last packet of each flow \
             with the circuit's label, as captured on the science path, says when its entry was gone; \
             {aged} entries aged out, and {lost} datagrams were lost on the way back to the IP-routed \
             path. Ages of days are seconds here: nothing in the rules knows the difference. What ages here is an \
             entry of crate redirect for whoever uses it as a library; `hntes run` keeps its entries and ages \
             them itself, which the experiments redirect and hybrid measure."
        ),
        columns: vec!["flow", "labelled", "first s", "last s", "age counts from s", "lost"],
        rows: seen
            .iter()
            .map(|one| {
                vec![
                    one.fate.name().to_owned(),
                    one.labelled.to_string(),
                    cell(one.first_s),
                    cell(one.last_s),
                    format!("{:.1}", one.counts_from_s),
                    one.lost.to_string(),
                ]
            })
            .collect(),
        claims,
        figure: plot("When packets of each flow carried the label", x, y, &drawn),
        data: json!({"flows": seen, "run_s": end_s, "turn_s": turn_s, "aged": aged}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(fate: Fate, last_s: Option<f64>) -> Seen {
        let counts_from_s = if fate == Fate::Ends { 6.0 } else { 0.0 };
        Seen { fate, labelled: 1, first_s: last_s, last_s, counts_from_s, lost: 0 }
    }

    #[test]
    fn too_soon_and_too_late_are_seen() {
        let good = |fate, last| one(fate, last).as_wanted(26.0, 1.0);
        assert!(good(Fate::Ends, Some(13.0)) && good(Fate::Never, Some(7.0)));
        assert!(!good(Fate::Ends, Some(11.9)) && !good(Fate::Ends, Some(17.1)));
        assert!(good(Fate::Lives, Some(25.9)) && !good(Fate::Lives, Some(20.0)));
        assert!(good(Fate::Beta, None) && !good(Fate::Beta, Some(1.0)));
        assert!(!good(Fate::Never, None));
        assert!(!findings(&[one(Fate::Beta, Some(1.0))], 26.0, 1.0, 0).good());
    }
}
