// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is said of the whole loop.

use super::account::{
    Captures, Counted, Moments, count, is_alpha, is_reverse, rows, series, share,
};
use super::{ALPHA_MBPS, ALPHA_S, claims};
use crate::draw::{Axis, Line, plot};
use crate::error::Result;
use crate::report::{Claim, Findings};
use serde_json::json;

/// Counts, draws, judges.
pub(super) fn account(files: &Captures, moments: &Moments, sent: u64) -> Result<Findings> {
    let counted = count(files, moments, sent)?;
    let from = counted.first_us.unwrap_or(moments.ready_us) - 5_000_000;
    let lines = [
        Line {
            name: "alpha, science path",
            points: series(&files.p2, from, is_alpha)?,
            joined: true,
        },
        Line { name: "alpha, IP-routed", points: series(&files.p1, from, is_alpha)?, joined: true },
        Line {
            name: "beta, IP-routed",
            points: series(&files.p1, from, |frame| frame.number.is_some())?,
            joined: true,
        },
        Line {
            name: "beta, science path",
            points: series(&files.p2, from, |frame| !is_alpha(frame))?,
            joined: true,
        },
        Line {
            name: "reverse, science path",
            points: series(&files.p2_back, from, is_reverse)?,
            joined: true,
        },
    ];
    let x = Axis { label: "seconds", log: false };
    let figure = plot("The two paths", x, Axis { label: "kb/s", log: false }, &lines);
    Ok(findings(&counted, moments, figure))
}

fn all_claims(all: &Counted, moments: &Moments) -> Vec<Claim> {
    vec![
        claims::onto(all),
        claims::labels(all, moments),
        claims::in_order(moments),
        claims::while_entry(all, moments),
        claims::whole(all, moments),
        claims::reverse(all, &[false, true, false]),
        claims::no_beta(all),
        claims::beta_whole(all),
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
    let [far, no_far] = rows("entry at the other router", &moments.far.entry, since);
    Findings {
        title: "Redirection end to end",
        paragraph: format!(
            "A UDP flow of iperf3, {ALPHA_MBPS} Mb/s for {ALPHA_S} s, goes from site to site beside \
             beta flows of the same hosts, of their networks, of other networks and to a peer; numbered \
             datagrams go the other way by its 5-tuple reversed. softflowd at the ingress and pmacctd at \
             the egress router export IPFIX to one address, where our kernel steers them to three \
             collectors; `hntes run` reads what these write, finds the flow, has a circuit of static MPLS \
             set up, sets policy routes for the 5-tuple at both edge routers with nftables, and takes all \
             of it away when the flow is over. {:.0} % of the flow's bytes took the science path; {} \
             bytes of anything else did, and {} of {} beta datagrams were lost. Moments are those of \
             captures, and the latest at which `nft` and `ip` on the routers, asked all the time by \
             threads that set nothing, can have listed what is said.",
            share(all),
            all.beta_science,
            all.beta_lost,
            all.beta_sent
        ),
        columns: vec!["moment", "seconds after the flow's first packet"],
        rows: vec![
            row("the flow's first packet", all.first_us),
            row("the loop says it knows of it", moments.found_us),
            circuit,
            entry,
            far,
            row("first packet with the label", all.first_labelled_us),
            row("flow over", Some(moments.ended_us)),
            row("last packet with the label", all.last_labelled_us),
            row("the loop says it is over", moments.over_us),
            no_entry,
            no_far,
            no_circuit,
        ],
        claims: all_claims(all, moments),
        figure,
        data: json!({"counted": all, "moments": moments}),
    }
}

#[cfg(test)]
mod tests {
    use super::super::account::tests::{S, ends, good, moments};
    use super::*;
    use crate::count::way::Way;
    use std::collections::BTreeSet;

    #[test]
    fn each_claim_can_fail() {
        let failed = |counted: Counted, moments: Moments| -> Vec<usize> {
            let all = all_claims(&counted, &moments);
            (0..all.len()).filter(|at| !all[*at].met).collect()
        };
        assert_eq!(failed(good(), moments()), [] as [usize; 0]);
        let little = Counted { alpha_labelled: 20, alpha_plain: 80, ..good() };
        assert_eq!(failed(little, moments()), [0]);
        assert_eq!(failed(Counted { labels: BTreeSet::from([None]), ..good() }, moments()), [1]);
        let back = Counted { back_labels: BTreeSet::from([Some(7)]), ..good() };
        assert_eq!(failed(back, moments()), [1]);
        // Circuit after the entry, and gone before it, at either router.
        let near = |circuit, entry| Moments { near: ends(7, circuit, entry), ..moments() };
        assert_eq!(failed(good(), near((20, 70), (20, 65))), [2]);
        assert_eq!(failed(good(), near((10, 65), (20, 65))), [2]);
        let far = Moments { far: ends(8, (11, 64), (21, 64)), ..moments() };
        assert_eq!(failed(good(), far), [2]);
        let early = Counted { first_labelled_us: Some(18 * S), ..good() };
        assert_eq!(failed(early, moments()), [3]);
        assert_eq!(failed(Counted { last_labelled_us: Some(66 * S), ..good() }, moments()), [3]);
        // Lost on the path, or before it.
        assert_eq!(failed(Counted { alpha_arrived: 99, ..good() }, moments()), [4]);
        assert_eq!(failed(Counted { alpha_payload: 89, ..good() }, moments()), [4]);
        assert_eq!(failed(Counted { back_lost: 1, ..good() }, moments()), [5]);
        let plain = Way { runs: vec![false], ..good().back };
        assert_eq!(failed(Counted { back: plain, ..good() }, moments()), [5]);
        assert_eq!(failed(Counted { beta_science: 1, ..good() }, moments()), [6]);
        assert_eq!(failed(Counted { beta_lost: 1, ..good() }, moments()), [7]);
        assert_eq!(failed(good(), Moments { over_us: Some(61 * S), ..moments() }), [8]);
        assert_eq!(failed(Counted { after_science: 1, ..good() }, moments()), [9]);
    }

    #[test]
    fn a_flow_without_any_path_meets_little() {
        let met = all_claims(&Counted::default(), &Moments::default());
        assert!(met.iter().filter(|claim| claim.met).count() <= 1, "{met:?}");
    }
}
