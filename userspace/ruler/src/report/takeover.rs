// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Takeovers, beside closing and accepting on the unpatched kernel.

use std::fmt::Write as _;

use super::{Claim, Report, cell};
use crate::svg::{self, Panel};
use crate::takeover::{Row, Run};

/// What a takeover may cost beside a close and an accept.
const RATIO: f64 = 1.5;
/// What a session among many may cost beside one among `FEW`.
const LINEAR: f64 = 1.1;
const FEW: usize = 1000;

/// Instructions per session of one row, without those of a process that dies with none.
#[derive(Debug, Clone, Copy)]
struct Each {
    sessions: usize,
    death: f64,
    accept: f64,
    fresh: f64,
}

fn each(run: &Run, cut: bool) -> Vec<Each> {
    let rows = || run.rows.iter().filter(move |row| row.cut == cut);
    let none = rows().find(|row| row.sessions == 0).copied().unwrap_or_default();
    let per = |row: &Row, sum: u64, less: u64| {
        sum.saturating_sub(less) as f64 / row.sessions.max(1) as f64
    };
    rows()
        .filter(|row| row.sessions > 0)
        .map(|row| Each {
            sessions: row.sessions,
            death: per(row, row.death, none.death),
            accept: if run.takeover {
                per(row, row.inherit, none.inherit)
            } else {
                per(row, row.accept, none.accept)
            },
            fresh: per(row, row.accept, none.accept),
        })
        .collect()
}

/// Sets both kernels side by side; either may be missing.
pub fn report(unpatched: Option<&Run>, patched: Option<&Run>) -> Report {
    let mut table = String::new();
    let mut claims = Vec::new();
    let mut panels = Vec::new();
    for cut in [true, false] {
        let ours = patched.map(|run| each(run, cut)).unwrap_or_default();
        let stock = unpatched.map(|run| each(run, cut)).unwrap_or_default();
        let wire = if cut { "wire cut" } else { "FIN received on the same machine" };
        let _ = writeln!(
            table,
            "{wire:34} {:>9} {:>9} {:>9} {:>9} {:>7}",
            "death", "accept", "sum", "fresh", "ratio"
        );
        let mut sizes: Vec<usize> = ours.iter().chain(&stock).map(|each| each.sessions).collect();
        sizes.sort_unstable();
        sizes.dedup();
        let at = |list: &[Each], size: usize| list.iter().copied().find(|e| e.sessions == size);
        let mut cases = Vec::new();
        for size in &sizes {
            let (a, b) = (at(&stock, *size), at(&ours, *size));
            let sum = |each: Option<Each>| each.map(|each| each.death + each.accept);
            let ratio = sum(b).zip(sum(a)).map(|(b, a)| b / a);
            if let Some(ratio) = ratio {
                cases.push((format!("{size} sessions: {ratio:.2}"), ratio <= RATIO));
            }
            for (name, each) in [("unpatched: close, accept", a), ("patched: takeover", b)] {
                let Some(one) = each else { continue };
                let ratio = ratio.filter(|_| name.starts_with("patched"));
                let _ = writeln!(
                    table,
                    "  {size:>6} {name:25} {:>9} {:>9} {:>9} {:>9} {:>7}",
                    cell(Some(one.death)),
                    cell(Some(one.accept)),
                    cell(sum(each)),
                    cell(Some(one.fresh)),
                    ratio.map_or(String::new(), |ratio| format!("{ratio:.2}")),
                );
            }
        }
        table.push('\n');
        if cut {
            claims.push(Claim::about(
                "a takeover costs at most 1.5 times the unpatched close plus accept",
                cases,
            ));
            claims.push(linear(&ours));
        }
        let line = |list: &[Each]| -> Vec<Option<f64>> {
            sizes.iter().map(|size| at(list, *size).map(|e| e.death + e.accept)).collect()
        };
        panels.push(Panel {
            title: format!(
                "instructions per session, by sessions of the process that dies; {wire}"
            ),
            places: sizes.iter().map(usize::to_string).collect(),
            lines: vec![
                ("unpatched: close, accept".to_owned(), line(&stock)),
                ("patched: takeover, accept".to_owned(), line(&ours)),
            ],
        });
    }
    table += "Instructions per session. death: from SIGKILL to the end of the process, less those of a\n\
              process without sessions; accept: by the heir, or of a new session on the unpatched\n\
              kernel; fresh: accept of a new session. Owner and heir are in different cgroups.\n";
    Report { table, svg: svg::draw(&panels), claims }
}

fn linear(ours: &[Each]) -> Claim {
    let base = ours.iter().find(|each| each.sessions >= FEW);
    let cases = base.into_iter().flat_map(|base| {
        ours.iter().filter(|each| each.sessions > base.sessions).map(|each| {
            let growth = (each.death + each.accept) / (base.death + base.accept);
            let case = format!("{} beside {}: {growth:.2}", each.sessions, base.sessions);
            (case, growth <= LINEAR)
        })
    });
    Claim::about("a session costs the same among 1 000 and among 10 000", cases.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(takeover: bool, per_session: u64, many: u64) -> Run {
        let row = |sessions: usize, each: u64| Row {
            sessions,
            cut: true,
            death: 1_000_000 + sessions as u64 * each,
            inherit: if takeover { sessions as u64 * 1000 } else { 0 },
            accept: sessions as u64 * 1000,
            moved: if takeover { sessions } else { 0 },
        };
        let rows = vec![row(0, 0), row(1000, per_session), row(10_000, many)];
        Run { kernel: String::new(), takeover, rows }
    }

    #[test]
    fn the_ratio_leaves_the_bare_process_out() {
        let stock = run(false, 3000, 3000);
        let met = |each| report(Some(&stock), Some(&run(true, each, each))).claims[0].met;
        assert_eq!(met(5000), Some(true));
        assert_eq!(met(5001), Some(false));
    }

    #[test]
    fn growth_is_not_linear() {
        let met = |many| report(None, Some(&run(true, 3000, many))).claims[1].met;
        assert_eq!(met(3300), Some(true));
        assert_eq!(met(3600), Some(false));
        assert_eq!(report(None, None).claims[1].met, None);
    }
}
