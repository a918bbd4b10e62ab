// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The points of the curve, and one played: flows are found and their entries set.

use super::watch::{BIN_S, Event, Watch};
use crate::error::{Result, odd};
use crate::exp::Bench;
use crate::lsp::Lsp;
use crate::net::Net;
use crate::router::{Router, flow};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use telesteer_redirect::{Aging, Match, Settings};

/// How flows become known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Packets mirrored at the ingress router.
    Mirror,
    /// Records of an exporter, with this active timeout in seconds.
    Reports(u32),
}

impl Kind {
    /// Seconds from one telling to the next.
    pub(super) fn period_s(self) -> f64 {
        match self {
            Self::Mirror => BIN_S,
            Self::Reports(seconds) => seconds.into(),
        }
    }
}

/// A point.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    /// Its name, with the real periods.
    pub(super) name: &'static str,
    /// How flows become known.
    pub(super) kind: Kind,
    /// As `hntes delay` writes that.
    pub(super) reporting: &'static str,
    /// What a commit takes besides.
    pub(super) commit: Duration,
}

impl Point {
    /// All, from the soonest to the latest.
    pub(super) const ALL: [Self; 4] = [
        Self {
            name: "1 s mirror",
            kind: Kind::Mirror,
            reporting: "mirror:0.2",
            commit: Duration::ZERO,
        },
        Self {
            name: "10 s reports",
            kind: Kind::Reports(2),
            reporting: "reports:2",
            commit: Duration::ZERO,
        },
        Self {
            name: "60 s reports",
            kind: Kind::Reports(12),
            reporting: "reports:12",
            commit: Duration::ZERO,
        },
        Self {
            name: "60 s reports, commit of 60 s",
            kind: Kind::Reports(12),
            reporting: "reports:12",
            commit: Duration::from_secs(12),
        },
    ];
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Played {
    /// When each flow was known, by its source port, in microseconds of Unix time.
    pub(super) found: BTreeMap<u16, i64>,
    /// From then until its entry was read back, commit included: the mean, in seconds.
    pub(super) install_s: f64,
}

/// Between two looks for events.
const LOOK: Duration = Duration::from_millis(10);

/// A router and what finds flows, ready before there are any.
pub(super) struct Stage<'a> {
    point: &'a Point,
    router: Router<'a>,
    watch: Watch<'a>,
}

impl<'a> Stage<'a> {
    /// Makes both ready.
    pub(super) fn set(bench: &'a Bench, net: &'a Net, lsp: &Lsp, point: &'a Point) -> Result<Self> {
        let mut router = Router::nft(&net.pe1, Settings::default())?;
        router.science_up(lsp)?;
        router.settle()?;
        Ok(Self { point, router, watch: Watch::start(bench, net, point.kind)? })
    }

    /// Finds flows for as long as they last, and sets an entry for each.
    pub(super) fn play(self, lasts: Duration) -> Result<Played> {
        let Self { point, mut router, mut watch } = self;
        let begin = Instant::now();
        let mut played = Played::default();
        // The router takes as many commits at a time as there are.
        let mut waiting: VecDeque<(Instant, Match)> = VecDeque::new();
        let mut took: Vec<f64> = Vec::new();
        while begin.elapsed() < lasts {
            for Event { from, to, proto } in watch.events()? {
                let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let now_us = i64::try_from(unix.as_micros()).unwrap_or(0);
                if played.found.insert(from.1, now_us).is_none() {
                    let matching = flow(proto, (&from.0, from.1), (&to.0, to.1))?;
                    waiting.push_back((Instant::now(), matching));
                }
            }
            let mut asked: Vec<Instant> = Vec::new();
            while let Some((at, matching)) = waiting.front().copied()
                && at.elapsed() >= point.commit
            {
                waiting.pop_front();
                router.want(matching, Aging::Kept)?;
                asked.push(at);
            }
            if !asked.is_empty() {
                router.settle()?;
                took.extend(asked.into_iter().map(|at| at.elapsed().as_secs_f64()));
            }
            std::thread::sleep(LOOK);
        }
        watch.end();
        if took.is_empty() {
            return Err(odd(point.name, "no flow was found"));
        }
        played.install_s = took.iter().sum::<f64>() / took.len() as f64;
        Ok(played)
    }
}
