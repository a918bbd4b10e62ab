// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The hybrid: the offline table says which pairs of networks are looked at, and what is redirected is a
//! 5-tuple. Of two alpha flows as big as one another, one is of a pair in the table and one is not.

use super::Bench;
use super::redirect::account::{Counted, Moments, count, is_alpha, is_other, rows, series, share};
use super::redirect::{ALPHA_MBPS, ALPHA_S, Scene, claims, found, setting};
use crate::draw::{Axis, Line, plot};
use crate::error::Result;
use crate::net::Net;
use crate::report::{Claim, Findings};
use serde_json::json;

/// The pair of networks that the table has.
const PAIR: (&str, &str) = ("10.1.1.0/24", "10.2.1.0/24");
const DAY: &str = "2000-01-01";
/// Bytes of the other flow for each hundred of the first, at least: else it shows nothing.
const AS_BIG: u64 = 95;

/// Runs it. There is no shorter one.
pub(super) fn run(bench: &Bench) -> Result<Findings> {
    let net = Net::build()?;
    setting::table(bench, DAY, &[PAIR])?;
    let sections =
        format!("{}\n[http]\nlisten = \"127.0.0.1:0\"\n", setting::offline(bench, false, false));
    let scene = Scene { sections: &sections, online: "gated = true", other: true };
    let (moments, files, sent) = found(bench, &net, scene)?;
    let counted = count(&files, &moments, sent)?;
    let from = counted.first_us.unwrap_or(moments.ready_us) - 5_000_000;
    let line = |name, points| Line { name, points, joined: true };
    let lines = [
        line("in the table, science path", series(&files.p2, from, is_alpha)?),
        line("in the table, IP-routed", series(&files.p1, from, is_alpha)?),
        line("not in the table, IP-routed", series(&files.p1, from, is_other)?),
        line("all else, science path", series(&files.p2, from, |frame| !is_alpha(frame))?),
    ];
    let x = Axis { label: "seconds", log: false };
    let figure = plot("Two alpha flows", x, Axis { label: "kb/s", log: false }, &lines);
    Ok(findings(&counted, &moments, figure))
}

fn all_claims(all: &Counted, moments: &Moments) -> Vec<Claim> {
    vec![
        claims::onto(all),
        claims::labels(all, moments),
        Claim::new(
            format!(
                "one as big of a pair that the table has not is left alone: {} bytes, that one {}; alpha \
                 flows that the loop says it left alone: {}",
                all.other,
                all.alpha,
                moments.outside.map_or("not said".to_owned(), |count| count.to_string())
            ),
            all.alpha > 0 && all.other * 100 >= all.alpha * AS_BIG && moments.outside == Some(1),
        ),
        Claim::new(
            format!(
                "no router ever has more than the one 5-tuple: {} and {}",
                moments.near.most, moments.far.most
            ),
            (moments.near.most, moments.far.most) == (1, 1),
        ),
        claims::no_beta(all),
        claims::beta_whole(all),
        claims::whole(all, moments),
        Claim::new(
            format!("no byte of the other lost: {} of {}", all.other_arrived, all.other),
            all.other > 0 && all.other_arrived == all.other,
        ),
        claims::reverse(all, &[false, true, false]),
        claims::in_order(moments),
        claims::aged(moments, moments.over_us),
        claims::after(all),
    ]
}

fn findings(all: &Counted, moments: &Moments, figure: String) -> Findings {
    let begin = all.first_us.unwrap_or(moments.ready_us);
    let since = |us: i64| format!("{:.1}", (us - begin) as f64 / 1e6);
    let row = |what: &str, us: Option<i64>| vec![what.to_owned(), us.map_or("-".to_owned(), since)];
    let [circuit, no_circuit] = rows("circuit", &moments.near.circuit, since);
    let [entry, no_entry] = rows("entry", &moments.near.entry, since);
    Findings {
        title: "Only flows of the offline table",
        paragraph: format!(
            "`hntes run` with `gated = true` has an offline table of one pair of networks, {} and {}, \
             and puts no entry of it onto routers. Two UDP flows of iperf3, {ALPHA_MBPS} Mb/s for \
             {ALPHA_S} s each, go from site to site: one within that pair, one not. Beta flows of the \
             first one's hosts and of its networks go all the time, among others. Of the first, {:.0} % \
             of its bytes took the science path, by an entry of its 5-tuple; of the other, of beta flows \
             and of anything else {} bytes did.",
            PAIR.0,
            PAIR.1,
            share(all),
            all.beta_science
        ),
        columns: vec!["moment", "seconds after the first flow's first packet"],
        rows: vec![
            row("the loop says it knows of the flow", moments.found_us),
            circuit,
            entry,
            row("first packet with the label", all.first_labelled_us),
            row("flows over", Some(moments.ended_us)),
            row("the loop says it is over", moments.over_us),
            no_entry,
            no_circuit,
        ],
        claims: all_claims(all, moments),
        figure,
        data: json!({"counted": all, "moments": moments, "table": [PAIR]}),
    }
}

#[cfg(test)]
mod tests {
    use super::super::redirect::account::tests;
    use super::super::redirect::watch::Ends;
    use super::*;

    #[test]
    fn each_claim_of_the_gate_can_fail() {
        let moments = || Moments { outside: Some(1), ..tests::moments() };
        let good = || Counted { other: 99, other_arrived: 99, ..tests::good() };
        let failed = |counted: Counted, moments: Moments| -> Vec<usize> {
            let all = all_claims(&counted, &moments);
            (0..all.len()).filter(|at| !all[*at].met).collect()
        };
        assert_eq!(failed(good(), moments()), [] as [usize; 0]);
        assert_eq!(failed(good(), Moments { outside: None, ..moments() }), [2]);
        assert_eq!(failed(good(), Moments { outside: Some(0), ..moments() }), [2]);
        let little = Counted { other: 90, other_arrived: 90, ..good() };
        assert_eq!(failed(little, moments()), [2]);
        let two = || Ends { most: 2, ..moments().near };
        assert_eq!(failed(good(), Moments { near: two(), ..moments() }), [3]);
        assert_eq!(failed(Counted { beta_science: 1, ..good() }, moments()), [4]);
        assert_eq!(failed(Counted { other_arrived: 98, ..good() }, moments()), [7]);
    }
}
