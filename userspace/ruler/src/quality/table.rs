// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The outcome as tables, drawing and claims.

use std::fmt::Write as _;

use super::load::Loads;
use super::moves::Moves;
use super::{LOADED, Outcome};
use crate::report::{Claim, Report};
use crate::svg::{self, Panel};

/// What the largest load may be beside the mean, or beside the least possible where that is more.
const BOUND: f64 = 1.25;
/// Shares that differ by this are equal: a thousandth of an exporter.
const NOTHING: f64 = 1e-6;

pub(super) fn report(outcome: &Outcome) -> Report {
    Report { table: table(outcome), svg: svg::draw(&panels(outcome)), claims: claims(outcome) }
}

fn table(outcome: &Outcome) -> String {
    let percent = |share: f64| format!("{:.1}", share * 100.0);
    let mut out = format!(
        "{:16} {:>4} | {:>6} {:>8} {:>7} | {:>6} {:>6} | {:>6} {:>6} {:>8} | {:>6}\n",
        "% of exporters moved",
        "N",
        "leave",
        "innocent",
        "refused",
        "back",
        "late",
        "join",
        "late",
        "innocent",
        "double"
    );
    for m in &outcome.moves {
        let _ = writeln!(
            out,
            "{:20} {:>4} | {:>6} {:>8} {:>7} | {:>6} {:>6} | {:>6} {:>6} {:>8} | {:>6}",
            m.method,
            m.members,
            percent(m.leave),
            percent(m.leave_innocent),
            percent(m.leave_refused),
            percent(m.back),
            percent(m.back_late),
            percent(m.join),
            percent(m.join_late),
            percent(m.join_innocent),
            percent(m.double),
        );
    }
    let _ = writeln!(
        out,
        "{} exporters. leave: one of N goes; innocent: moved though not its own; back: not where\n\
         they were after it returned; join: a new one comes; double: N more come. late: after the\n\
         deadline of lazy slots. Least possible: leave 1/N, join 1/(N+1), double 1/2, the rest 0.\n",
        outcome.exporters
    );
    let _ = writeln!(
        out,
        "{:20} {:>4} {:>12} {:>10} {:>16}",
        "% off the due share", "N", "deviation", "largest", "weights 1:2:3"
    );
    for s in &outcome.shares {
        let _ = writeln!(
            out,
            "{:20} {:>4} {:>12} {:>10} {:>16}",
            s.method,
            s.members,
            percent(s.deviation),
            percent(s.most - 1.0),
            s.weights.map_or("no weights".to_owned(), percent),
        );
    }
    let _ = writeln!(
        out,
        "{} exporters, all alike.\n\n{:20} {:>8} {:>10} {:>10} {:>10}",
        super::MANY,
        "max/mean load, Zipf",
        "domains",
        "mean",
        "1 in 20",
        "least"
    );
    for l in &outcome.loads {
        let _ = writeln!(
            out,
            "{:20} {:>8} {:>10.2} {:>10.2} {:>10.2}",
            l.method, l.domains, l.most, l.most_of_20, l.floor
        );
    }
    let _ = writeln!(
        out,
        "{} exporters with rates of Zipf(1.1), {LOADED} members. domains: observation domains of an\n\
         exporter, each placed by itself (payload key); 1: by address. least: nobody can have less\n\
         than one domain of the largest exporter. 1 in 20: one seed in twenty is worse.",
        outcome.exporters
    );
    out
}

fn panels(outcome: &Outcome) -> Vec<Panel> {
    let mut sizes: Vec<u64> = outcome.moves.iter().map(|m| m.members).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let mut names: Vec<String> = Vec::new();
    for m in &outcome.moves {
        if !names.contains(&m.method) {
            names.push(m.method.clone());
        }
    }
    let panel = |title: &str, value: fn(&Moves) -> f64| Panel {
        title: format!("% of exporters moved, {title}, by members"),
        places: sizes.iter().map(u64::to_string).collect(),
        lines: names
            .iter()
            .map(|name| {
                let at = |size: &u64| {
                    let found =
                        outcome.moves.iter().find(|m| m.method == *name && m.members == *size);
                    found.map(|m| value(m) * 100.0)
                };
                (name.clone(), sizes.iter().map(at).collect())
            })
            .collect(),
    };
    vec![
        panel("one leaves", |m| m.leave),
        panel("one joins, at once", |m| m.join),
        panel("one joins, after the deadline", |m| m.join_late),
        panel("as many again join", |m| m.double),
    ]
}

fn claims(outcome: &Outcome) -> Vec<Claim> {
    let of = |names: &[&str]| -> Vec<&Moves> {
        outcome.moves.iter().filter(|m| names.contains(&m.method.as_str())).collect()
    };
    let ours = of(&["source", "stable"]);
    let case = |m: &Moves, share: f64| {
        (format!("{} N={} {:.2} %", m.method, m.members, share * 100.0), share < NOTHING)
    };
    let about = |text: &str, list: &[&Moves], share: fn(&Moves) -> f64| {
        Claim::about(text, list.iter().map(|m| case(m, share(m))).collect())
    };
    let stable = of(&["stable"]);
    let bounded: Vec<&Loads> =
        outcome.loads.iter().filter(|l| l.method == "stable, bounded").collect();
    let load = |domains: u64, text: &str| {
        let cases = bounded
            .iter()
            .filter(|l| l.domains == domains)
            .map(|l| (format!("{:.2}, least {:.2}", l.most, l.floor), l.most <= BOUND * l.floor));
        Claim::about(text, cases.collect())
    };
    vec![
        about("a leave moves nobody but the leaver's", &ours, |m| m.leave_innocent),
        about("nobody is refused", &ours, |m| m.leave_refused),
        about("a join moves nobody but to the new one", &ours, |m| m.join_innocent),
        about("who returns has its old exporters, after the deadline", &ours, |m| m.back_late),
        about("`stable`: a join moves no live exporter at once", &stable, |m| m.join),
        load(1, "bounded, by address: max/mean at most 1.25 times the least possible"),
        load(16, "bounded, by domain: max/mean at most 1.25 times the least possible"),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::placement::METHODS;
    use super::*;

    #[test]
    fn today_breaks_what_ours_keeps() {
        let play = |name: &str| {
            let mut method = *METHODS.iter().find(|method| method.name == name).unwrap();
            // The broken twin goes under our name.
            method.name = "source";
            let moves = vec![Moves::of(method, 8, 1000, 2)];
            let outcome = Outcome { exporters: 1000, moves, shares: vec![], loads: vec![] };
            claims(&outcome).into_iter().map(|claim| claim.met).collect::<Vec<_>>()
        };
        assert_eq!(play("source")[..4], [Some(true); 4]);
        assert_eq!(play("range scaling")[0], Some(false));
        assert_eq!(play("modulo")[1], Some(false));
        assert_eq!(play("maglev")[2], Some(false));
    }
}
