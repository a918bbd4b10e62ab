// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Circuits and policy routes that are set offline: they are there before any flow, for every flow of the
//! table's networks, have no end, and go when another table has them no more. No flow record is read.

use super::redirect::account::{
    Captures, Counted, Moments, count, is_alpha, is_reverse, rows, series,
};
use super::redirect::setting::{self, Times};
use super::redirect::watch::{Ends, Side, Watch, watching};
use super::redirect::{
    ALPHA, ALPHA_MBPS, PATIENCE, beside_beta, big, claims, once_more, start, unix_us, with_reverse,
};
use super::{Bench, say};
use crate::count::way::{Way, numbers};
use crate::draw::{Axis, Line, plot};
use crate::error::Result;
use crate::net::Net;
use crate::process::until;
use crate::report::{Claim, Findings};
use rustix::process::Signal;
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

/// The pair of networks of the first table; the second has none.
const PAIR: (&str, &str) = ("10.1.1.0/24", "10.2.1.0/24");
const DAYS: [&str; 2] = ["2000-01-01", "2000-01-02"];
/// Seconds of the flow.
const LASTS_S: u32 = 15;
/// Beta flows within the pair: the first ones.
const WITHIN: u32 = 2;
/// Seconds after the flow until the second table: a circuit of an online flow would be long gone.
const IDLE: Duration = Duration::from_secs(20);

/// How numbered flows went, within the pair and not.
#[derive(Clone, Debug, Default, Serialize)]
struct Ways {
    within: Vec<Way>,
    without: Vec<Way>,
}

/// Runs it. There is no shorter one.
pub(super) fn run(bench: &Bench) -> Result<Findings> {
    let net = Net::build()?;
    // Of a run before.
    let _ = std::fs::remove_dir_all(setting::tables(bench));
    setting::table(bench, DAYS[0], &[PAIR])?;
    let play = |watch: &Watch| play(bench, &net, watch);
    let played = beside_beta(bench, &net, || watching(&net, play))?;
    let (((mut moments, changed_us), listed), files, sent) = played;
    moments.see(&listed, is_entry);
    let counted = count(&files, &moments, sent)?;
    let ways = ways(&files, sent)?;
    let from = moments.near.circuit.began.map_or(moments.ready_us, |began| began.by_us) - 5_000_000;
    let line = |name, points| Line { name, points, joined: true };
    let lines = [
        line("alpha, science path", series(&files.p2, from, is_alpha)?),
        line("alpha, IP-routed", series(&files.p1, from, is_alpha)?),
        line("beta, science path", series(&files.p2, from, |frame| frame.number.is_some())?),
        line("beta, IP-routed", series(&files.p1, from, |frame| frame.number.is_some())?),
        line("reverse, science path", series(&files.p2_back, from, is_reverse)?),
    ];
    let x = Axis { label: "seconds", log: false };
    let figure = plot("Set offline", x, Axis { label: "kb/s", log: false }, &lines);
    Ok(findings(&counted, &ways, &moments, changed_us, figure))
}

/// Whether nftables' listing of an edge router has the pair, as it goes there.
fn is_entry(side: Side, table: &str) -> bool {
    // Its map of networks has them by their first address.
    let first = |network: &'static str| network.trim_end_matches("/24");
    let (one, other) = (first(PAIR.0), first(PAIR.1));
    table.contains(&match side {
        Side::Near => format!("{one} . {other}"),
        Side::Far => format!("{other} . {one}"),
    })
}

/// Two tables and a flow in between; gives when the second was there.
fn play(bench: &Bench, net: &Net, watch: &Watch) -> Result<(Moments, i64)> {
    let mut moments = Moments::default();
    let sections = setting::offline(bench, true, true);
    let config = setting::write(bench, net, &sections, Times::default())?;
    let mut running = start(bench, &config)?;
    let mut wait = |what: &str, holds: &mut dyn FnMut() -> Result<bool>| -> Result<()> {
        say(what);
        until(what, PATIENCE, || {
            running.must_run()?;
            holds()
        })
    };
    moments.ready_us = unix_us();
    wait("the circuit to be up", &mut || Ok(watch.circuit(true)))?;
    wait("the entries to be in force", &mut || {
        Ok(watch.both(|side, _, table| is_entry(side, table)))
    })?;
    let mut flow = big(bench, net, 1, ALPHA, (ALPHA_MBPS, LASTS_S))?;
    flow.connected()?;
    let (changed_us, back) = with_reverse(net, || {
        moments.alpha_sent = flow.finish()?.sent;
        moments.ended_us = unix_us();
        say("nothing for a while");
        std::thread::sleep(IDLE);
        let changed_us = unix_us();
        setting::table(bench, DAYS[1], &[])?;
        wait("the entries to go", &mut || Ok(watch.both(|side, _, table| !is_entry(side, table))))?;
        wait("the circuit to be released", &mut || Ok(watch.circuit(false)))?;
        Ok(changed_us)
    })?;
    (moments.back_sent, moments.after_us) = (back, unix_us());
    once_more(bench, net)?;
    running.stop(Signal::TERM, PATIENCE);
    Ok((moments, changed_us))
}

fn ways(files: &Captures, sent: u64) -> Result<Ways> {
    let (plain, science) = (numbers(&files.p1, None)?, numbers(&files.p2, None)?);
    let of = |all: &BTreeMap<u32, Vec<u64>>, flow: u32| all.get(&flow).cloned().unwrap_or_default();
    let way = |flow: u32| Way::of(&of(&plain, flow), &of(&science, flow), sent);
    // The last goes to the peer.
    Ok(Ways { within: (0..WITHIN).map(way).collect(), without: (WITHIN..4).map(way).collect() })
}

fn all_claims(all: &Counted, ways: &Ways, moments: &Moments, changed_us: i64) -> Vec<Claim> {
    let first = all.first_us.unwrap_or(i64::MIN);
    let there = |ends: &Ends| ends.entry.began.map(|began| began.by_us);
    let latest = there(&moments.near).zip(there(&moments.far)).map(|(near, far)| near.max(far));
    let all_go = |flows: &[Way], runs: &[bool]| {
        !flows.is_empty() && flows.iter().all(|way| way.whole() && way.runs == runs)
    };
    let gone = |ends: &Ends| ends.entry.ended.map(|ended| ended.after_us);
    let stay = |ends: &Ends| {
        // Taken away only after the second table was written, give or take the reading under way.
        ends.entry.times == 1 && gone(ends).is_some_and(|at| at + 1_000_000 >= changed_us)
    };
    let idle = (changed_us - moments.ended_us) as f64 / 1e6;
    vec![
        Claim::new(
            format!(
                "circuit and entries of the pair are there {} s before the first byte of its flow",
                latest.map_or("-".into(), |at| format!("{:.1}", (first - at) as f64 / 1e6))
            ),
            latest.is_some_and(|at| at < first),
        ),
        claims::wholly(all),
        claims::labels(all, moments),
        Claim::new(
            format!(
                "without an end: both stay {idle:.0} s after the flow is over, until the next table has \
                 them no more"
            ),
            idle >= IDLE.as_secs_f64() && stay(&moments.near) && stay(&moments.far),
        ),
        claims::in_order(moments),
        Claim::new(
            format!(
                "other flows of the pair's networks go with them and come back, {} flows, none lost",
                ways.within.len()
            ),
            all_go(&ways.within, &[false, true, false]),
        ),
        Claim::new(
            format!("flows of other networks never do: {}", ways.without.len()),
            all_go(&ways.without, &[false]),
        ),
        claims::while_entry(all, moments),
        claims::whole(all, moments),
        claims::reverse(all, &[true, false]),
        claims::beta_whole(all),
        claims::after(all),
    ]
}

fn findings(
    all: &Counted,
    ways: &Ways,
    moments: &Moments,
    changed_us: i64,
    figure: String,
) -> Findings {
    let since = |us: i64| format!("{:.1}", (us - moments.ready_us) as f64 / 1e6);
    let row = |what: &str, us: i64| vec![what.to_owned(), since(us)];
    let [circuit, no_circuit] = rows("circuit", &moments.near.circuit, since);
    let [entry, no_entry] = rows("entry", &moments.near.entry, since);
    let [far, no_far] = rows("entry at the other router", &moments.far.entry, since);
    Findings {
        title: "Circuits and routes set offline",
        paragraph: format!(
            "`hntes run` reads no flow record and gets a table of one pair of networks, {} and {}: a \
             circuit without an end and an entry at both edge routers, before there is an alpha flow. \
             One of iperf3 follows, {ALPHA_MBPS} Mb/s for {LASTS_S} s; {} s after it, the table of \
             another day comes that has no entry. {} of {} bytes of the flow took the science path. \
             So did two beta flows of the same networks, which an entry of networks cannot tell from it, \
             and none of others.",
            PAIR.0,
            PAIR.1,
            IDLE.as_secs(),
            all.alpha_labelled,
            all.alpha
        ),
        columns: vec!["moment", "seconds after the start"],
        rows: vec![
            circuit,
            entry,
            far,
            row("the flow's first packet", all.first_us.unwrap_or(moments.ready_us)),
            row("flow over", moments.ended_us),
            row("the other table", changed_us),
            no_entry,
            no_far,
            no_circuit,
        ],
        claims: all_claims(all, ways, moments, changed_us),
        figure,
        data: json!({"counted": all, "moments": moments, "ways": ways, "changed_us": changed_us}),
    }
}

#[cfg(test)]
mod tests {
    use super::super::redirect::account::tests::{self, ends};
    use super::*;

    const S: i64 = 1_000_000;

    #[test]
    fn each_claim_can_fail() {
        let moments = || Moments { ended_us: 40 * S, ..tests::moments() };
        let good = || Counted {
            alpha_labelled: 100,
            alpha_plain: 0,
            first_us: Some(30 * S),
            first_labelled_us: Some(30 * S),
            back: Way { runs: vec![true, false], ..tests::good().back },
            beta_science: 5,
            ..tests::good()
        };
        let way = |runs: &[bool]| Way { sent: 9, neither: 0, doubled: 0, runs: runs.to_vec() };
        let ways =
            || Ways { within: vec![way(&[false, true, false])], without: vec![way(&[false])] };
        let failed = |counted: Counted, ways: Ways, moments: Moments| -> Vec<usize> {
            let all = all_claims(&counted, &ways, &moments, 62 * S);
            (0..all.len()).filter(|at| !all[*at].met).collect()
        };
        assert_eq!(failed(good(), ways(), moments()), [] as [usize; 0]);
        let late = Counted { first_us: Some(20 * S), ..good() };
        assert_eq!(failed(late, ways(), moments()), [0]);
        let plain = Counted { alpha_labelled: 99, alpha_plain: 1, ..good() };
        assert_eq!(failed(plain, ways(), moments()), [1]);
        let near = |circuit, entry| Moments { near: ends(7, circuit, entry), ..moments() };
        assert_eq!(failed(good(), ways(), near((10, 70), (20, 60))), [3]);
        assert_eq!(failed(good(), ways(), near((10, 65), (20, 65))), [4]);
        let never = Ways { within: vec![way(&[false])], ..ways() };
        assert_eq!(failed(good(), never, moments()), [5]);
        let too = Ways { without: vec![way(&[false, true])], ..ways() };
        assert_eq!(failed(good(), too, moments()), [6]);
        assert_eq!(failed(Counted { alpha_arrived: 99, ..good() }, ways(), moments()), [8]);
    }

    #[test]
    fn an_entry_of_networks_is_told_by_its_direction() {
        let near = "elements = { 10.1.1.0 . 10.2.1.0 : 0x1 }";
        assert!(is_entry(Side::Near, near) && !is_entry(Side::Far, near));
    }
}
