// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Choices: what each adds to the way of a packet to a single socket.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{Claim, PATCHED, Report, UNPATCHED, cell};
use crate::packet::Traffic;
use crate::select::{Cell, Run};
use crate::steering::Steering;
use crate::svg::{self, Panel};

/// What the series may add to a packet that has nothing to do with it.
const IDLE: f64 = 3.0;
/// What `stable` may cost beside the BPF program that takes a modulo.
const STABLE: f64 = 0.7;
/// How much the dearest group may cost beside the cheapest where the size should not matter.
const FLAT: f64 = 1.05;
/// Half an instruction: readings are averages over packets.
const ROUNDING: f64 = 0.5;

/// Both kernels, either may be missing.
#[derive(Debug, Default)]
pub struct Runs {
    /// Without the series.
    pub unpatched: Option<Run>,
    /// With it.
    pub patched: Option<Run>,
}

impl Runs {
    fn run(&self, kernel: &str) -> Option<&Run> {
        if kernel == UNPATCHED { self.unpatched.as_ref() } else { self.patched.as_ref() }
    }

    fn cells(&self, kernel: &str) -> impl Iterator<Item = &Cell> {
        self.run(kernel).into_iter().flat_map(|run| &run.cells)
    }

    /// Instructions per packet, all of its way.
    fn whole(&self, kernel: &str, steering: &Steering, at: (Traffic, usize)) -> Option<f64> {
        self.cells(kernel)
            .find(|cell| cell.steering == *steering && (cell.traffic, cell.members) == at)
            .map(|cell| cell.cost.least)
    }

    /// Instructions of the choice.
    fn choice(&self, kernel: &str, steering: &Steering, at: (Traffic, usize)) -> Option<f64> {
        let single = self.whole(kernel, &Steering::Single, (at.0, 1))?;
        Some(self.whole(kernel, steering, at)? - single)
    }

    /// A BPF program's choice, on the kernel its users have, where that was measured.
    fn bpf(&self, steering: &Steering, at: (Traffic, usize)) -> Option<f64> {
        self.choice(UNPATCHED, steering, at).or_else(|| self.choice(PATCHED, steering, at))
    }

    fn sizes(&self) -> Vec<usize> {
        let cells = self.cells(UNPATCHED).chain(self.cells(PATCHED));
        let sizes: BTreeSet<usize> = cells
            .filter(|cell| cell.steering != Steering::Single)
            .map(|cell| cell.members)
            .collect();
        sizes.into_iter().collect()
    }

    /// Rows of the table: name, kernel, steering.
    fn rows(&self) -> Vec<(String, &'static str, Steering)> {
        let mut rows = Vec::new();
        for kernel in [UNPATCHED, PATCHED] {
            let mut seen = BTreeSet::new();
            for cell in self.cells(kernel).filter(|cell| cell.steering != Steering::Single) {
                if seen.insert(cell.steering.clone()) {
                    let name = match kernel {
                        UNPATCHED => format!("{}, unpatched", cell.steering),
                        _ => cell.steering.to_string(),
                    };
                    rows.push((name, kernel, cell.steering.clone()));
                }
            }
        }
        rows
    }

    /// Sets both side by side.
    pub fn report(&self) -> Report {
        Report { table: self.table(), svg: svg::draw(&self.panels()), claims: self.claims() }
    }

    fn table(&self) -> String {
        let (sizes, rows) = (self.sizes(), self.rows());
        let mut out = String::new();
        for traffic in Traffic::ALL {
            let _ = write!(out, "{:28}", traffic.name());
            for size in &sizes {
                let _ = write!(out, " {:>8}", format!("N={size}"));
            }
            let _ = writeln!(out, " {:>7}", "spread");
            for kernel in [UNPATCHED, PATCHED] {
                let whole = self.whole(kernel, &Steering::Single, (traffic, 1));
                if whole.is_some() {
                    let name = format!("(way to one socket, {kernel})");
                    let _ = writeln!(out, "  {name:26} {:>8}", cell(whole));
                }
            }
            for (name, kernel, steering) in &rows {
                let _ = write!(out, "  {name:26}");
                for size in &sizes {
                    let _ = write!(
                        out,
                        " {:>8}",
                        cell(self.choice(kernel, steering, (traffic, *size)))
                    );
                }
                let spread = self
                    .cells(kernel)
                    .filter(|cell| cell.steering == *steering && cell.traffic == traffic)
                    .map(|cell| cell.cost.spread())
                    .reduce(f64::max);
                let _ =
                    writeln!(out, " {:>7}", spread.map_or(String::new(), |s| format!("{s:.1}")));
            }
            out.push('\n');
        }
        out += "Instructions of a choice: of a packet's way from send to the filter that drops it at the\n\
                chosen socket, less those of the way to a single socket outside any group. Least of the\n\
                readings; spread: how far the middle one lies above it, at its worst.\n";
        for run in [&self.unpatched, &self.patched].into_iter().flatten() {
            for line in &run.skipped {
                let _ = writeln!(out, "skipped ({}): {line}", run.kernel);
            }
        }
        out
    }

    fn panels(&self) -> Vec<Panel> {
        let sizes = self.sizes();
        let panel = |traffic: Traffic| Panel {
            title: format!("instructions of a choice, {}, by members", traffic.name()),
            places: sizes.iter().map(usize::to_string).collect(),
            lines: self
                .rows()
                .into_iter()
                .filter(|(_, kernel, steering)| {
                    // A program runs alike on both kernels: one line is enough.
                    *kernel == PATCHED || *steering == Steering::Hash
                })
                .map(|(name, kernel, steering)| {
                    let values = sizes
                        .iter()
                        .map(|size| self.choice(kernel, &steering, (traffic, *size)))
                        .collect();
                    (name, values)
                })
                .collect(),
        };
        Traffic::ALL.map(panel).to_vec()
    }

    fn claims(&self) -> Vec<Claim> {
        let mut claims = vec![self.idle()];
        let source = |name: &str| Steering::Policy(name.to_owned());
        let weighted = |name: &str| Steering::Weighted(name.to_owned());
        let at_most = |text, policy: Steering, peer, factor| {
            let cases = self.places().into_iter().filter_map(|at| {
                let (ours, theirs) = (self.choice(PATCHED, &policy, at)?, self.bpf(&peer, at)?);
                let case = format!("{} N={} {ours:.0} to {theirs:.0}", at.0.name(), at.1);
                Some((case, ours <= factor * theirs + ROUNDING))
            });
            Claim::about(text, cases.collect())
        };
        claims.push(at_most(
            "`source` costs at most what BPF rendezvous does, at every N",
            source("source"),
            Steering::BpfRendezvous,
            1.0,
        ));
        claims.push(at_most(
            "`source` with weights costs at most what weighted BPF rendezvous does, at every N",
            weighted("source"),
            Steering::BpfWeighted,
            1.0,
        ));
        claims.push(at_most(
            "`stable` costs at most 0.7 times what BPF modulo does",
            source("stable"),
            Steering::BpfModulo,
            STABLE,
        ));
        claims.push(self.flat(&source("stable")));
        claims
    }

    fn places(&self) -> Vec<(Traffic, usize)> {
        let sizes = self.sizes();
        Traffic::ALL.iter().flat_map(|traffic| sizes.iter().map(|size| (*traffic, *size))).collect()
    }

    fn idle(&self) -> Claim {
        let singles = Traffic::ALL.iter().map(|traffic| (Steering::Single, (*traffic, 1)));
        let hashes = self.places().into_iter().map(|at| (Steering::Hash, at));
        let cases = singles.chain(hashes).filter_map(|(steering, at)| {
            let more =
                self.whole(PATCHED, &steering, at)? - self.whole(UNPATCHED, &steering, at)?;
            let case = format!("{steering}, {}, N={}: {more:+.1}", at.0.name(), at.1);
            Some((case, more <= IDLE + ROUNDING))
        });
        Claim::about(
            "without a policy the series adds at most 3 instructions to a datagram and a SYN",
            cases.collect(),
        )
    }

    fn flat(&self, steering: &Steering) -> Claim {
        let cases = Traffic::ALL.iter().filter_map(|traffic| {
            let costs: Vec<f64> = self
                .sizes()
                .iter()
                .filter_map(|size| self.choice(PATCHED, steering, (*traffic, *size)))
                .collect();
            let least = costs.iter().copied().reduce(f64::min)?;
            let most = costs.iter().copied().reduce(f64::max)?;
            let case = format!("{} {least:.0} to {most:.0}", traffic.name());
            Some((case, most <= FLAT * least + ROUNDING))
        });
        Claim::about("what `stable` costs does not depend on N", cases.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;

    fn run(kernel: &str, cells: &[(&str, usize, f64)]) -> Run {
        let cells = cells
            .iter()
            .map(|(steering, members, cost)| Cell {
                steering: steering.parse().unwrap(),
                traffic: Traffic::Udp4,
                members: *members,
                cost: Sample { least: *cost, median: *cost, most: *cost, readings: 1 },
                reached: None,
                torn: None,
            })
            .collect();
        Run { kernel: kernel.to_owned(), cells, skipped: Vec::new() }
    }

    fn runs(patched_hash: f64, source: f64) -> Runs {
        let unpatched = run(
            UNPATCHED,
            &[("single", 1, 1000.0), ("hash", 2, 1090.0), ("bpf-rendezvous", 2, 1300.0)],
        );
        let patched = run(
            PATCHED,
            &[("single", 1, 1001.0), ("hash", 2, patched_hash), ("source", 2, source)],
        );
        Runs { unpatched: Some(unpatched), patched: Some(patched) }
    }

    #[test]
    fn three_instructions_are_met_and_four_are_not() {
        let met = |hash| runs(hash, 1200.0).claims()[0].met;
        assert_eq!(met(1093.0), Some(true));
        assert_eq!(met(1094.0), Some(false));
    }

    #[test]
    fn a_policy_is_held_against_the_program() {
        let met = |source| runs(1090.0, source).claims()[1].met;
        assert_eq!(met(1301.0), Some(true));
        assert_eq!(met(1302.0), Some(false));
    }

    #[test]
    fn what_was_not_measured_is_open() {
        let report = runs(1090.0, 1200.0).report();
        assert_eq!(report.claims[3].met, None);
        assert!(report.good() && report.table.contains("hash, unpatched"));
        assert!(!runs(1200.0, 1200.0).report().good());
    }
}
