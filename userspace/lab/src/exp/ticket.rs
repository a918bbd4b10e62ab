// SPDX-License-Identifier: Apache-2.0 OR MIT
//! End-host assisted: a transfer is announced by a ticket. Its circuit and its policy route are there
//! before its first byte, stay as the ticket is extended under way, and go when the ticket has expired.
//! No flow record is read.

use super::redirect::account::{Counted, Moments, count, is_alpha, is_reverse, rows, series};
use super::redirect::setting::{self, Times};
use super::redirect::watch::{Ends, Watch, watching};
use super::redirect::{ALPHA, PATIENCE, beside_beta, big, claims, is_entry, once_more, start};
use super::redirect::{server, unix_us, with_reverse};
use super::{Bench, say};
use crate::draw::{Axis, Line, plot};
use crate::error::{Result, odd};
use crate::net::{Net, host};
use crate::process::{run as program, until, write};
use crate::report::{Claim, Findings};
use rustix::process::Signal;
use serde_json::json;

/// The transfer: rate and seconds.
const MBPS: f64 = 3.0;
const LASTS_S: u32 = 15;
/// How long the ticket is at first, and how long from when it is extended.
const FIRST: &str = "45s";
const EXTENDED: &str = "60s";
const EXTENDED_S: i64 = 60;
/// Seconds between the ticket's end and that of the entry at most: a turn of the router, emulated.
const LATE_S: f64 = 10.0;

/// What became of the ticket, beside [`Moments`].
#[derive(Clone, Copy, Debug, Default)]
struct Ticket {
    announced_us: i64,
    begun_us: i64,
    extended_us: i64,
    /// When it is over.
    until_us: i64,
}

/// Runs it. There is no shorter one.
pub(super) fn run(bench: &Bench) -> Result<Findings> {
    let net = Net::build()?;
    let play = |watch: &Watch| play(bench, &net, watch);
    let (played, files, sent) = beside_beta(bench, &net, || watching(&net, play))?;
    let ((ticket, mut moments), listed) = played;
    moments.see(&listed, is_entry);
    let counted = count(&files, &moments, sent)?;
    let from = ticket.announced_us;
    let lines = [
        Line {
            name: "announced, science path",
            points: series(&files.p2, from, is_alpha)?,
            joined: true,
        },
        Line {
            name: "announced, IP-routed",
            points: series(&files.p1, from, is_alpha)?,
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
    let (x, y) = (
        Axis { label: "seconds after the announcement", log: false },
        Axis { label: "kb/s", log: false },
    );
    Ok(findings(&counted, ticket, &moments, plot("An announced transfer", x, y, &lines)))
}

/// The ticket's life.
fn play(bench: &Bench, net: &Net, watch: &Watch) -> Result<(Ticket, Moments)> {
    let (mut ticket, mut moments) = (Ticket::default(), Moments::default());
    let hntes = bench.programs.join("hntes").to_string_lossy().into_owned();
    let path = |name: &str| bench.work.join(name).to_string_lossy().into_owned();
    let (tokens, token) = (path("tokens"), path("token"));
    // Of a run before.
    let _ = std::fs::remove_file(&tokens);
    let secret = program(&[&hntes, "ticket", "token", "mover", "--file", &tokens])?;
    write(token.as_ref(), secret.trim())?;
    let inputs = format!("[http]\nlisten = \"127.0.0.1:0\"\ntokens = \"{tokens}\"\n");
    let config = setting::write(bench, net, &inputs, Times::default())?;
    let mut running = start(bench, &config)?;
    let mut listens = None;
    until("the loop to listen", PATIENCE, || {
        running.must_run()?;
        listens = server(&running);
        Ok(listens.is_some())
    })?;
    let server = listens.unwrap_or_default();
    moments.ready_us = unix_us();
    let ask = |words: &[&str]| {
        let common = ["--server", &server, "--token-file", &token, "--json"];
        program(&[&[hntes.as_str(), "ticket"][..], words, &common].concat())
    };
    let mut wait = |what: &str, holds: &mut dyn FnMut() -> Result<bool>| -> Result<()> {
        say(what);
        until(what, PATIENCE, || {
            running.must_run()?;
            holds()
        })
    };
    let (from, to) = (host(1, 1, 1), host(2, 1, 1));
    let (near, far) = (ALPHA.0.to_string(), ALPHA.1.to_string());
    let create = ["create", "--from", &from, "--to", &to, "--protocol", "udp", "--for", FIRST];
    ticket.announced_us = unix_us();
    let told =
        ask(&[&create[..], &["--source-ports", &near, "--destination-ports", &far]].concat())?;
    let id = id_of(&told).ok_or_else(|| odd("hntes ticket create", told))?;
    wait("the circuit to be up", &mut || Ok(watch.circuit(true)))?;
    wait("the entries to be in force", &mut || {
        Ok(watch.both(|side, _, table| is_entry(side, table)))
    })?;
    ticket.begun_us = unix_us();
    let mut transfer = big(bench, net, 1, ALPHA, (MBPS, LASTS_S))?;
    transfer.connected()?;
    let ((), back) = with_reverse(net, || {
        ask(&["extend", &id, "--end", &format!("+{EXTENDED}")])?;
        ticket.extended_us = unix_us();
        ticket.until_us = ticket.extended_us + EXTENDED_S * 1_000_000;
        moments.alpha_sent = transfer.finish()?.sent;
        moments.ended_us = unix_us();
        wait("the ticket to expire", &mut || {
            Ok(watch.both(|side, _, table| !is_entry(side, table)))
        })?;
        wait("the circuit to be released", &mut || Ok(watch.circuit(false)))
    })?;
    (moments.back_sent, moments.after_us) = (back, unix_us());
    once_more(bench, net)?;
    running.stop(Signal::TERM, PATIENCE);
    Ok((ticket, moments))
}

/// The name of the ticket that was made.
fn id_of(told: &str) -> Option<String> {
    let told: serde_json::Value = serde_json::from_str(told).ok()?;
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    text(&told["id"]).or_else(|| text(&told["ticket"]["id"]))
}

fn all_claims(all: &Counted, ticket: Ticket, moments: &Moments) -> Vec<Claim> {
    let first = all.first_us.unwrap_or(i64::MIN);
    let there = |ends: &Ends| ends.entry.began.map(|began| began.by_us);
    let latest = there(&moments.near).zip(there(&moments.far)).map(|(near, far)| near.max(far));
    // A ticket's end has whole seconds.
    let after = |ends: &Ends| {
        let ended = ends.entry.ended?;
        let late = |us: i64| (us - ticket.until_us) as f64 / 1e6;
        Some((late(ended.after_us), late(ended.by_us)))
    };
    let (near, far) = (after(&moments.near), after(&moments.far));
    let in_time =
        |one: Option<(f64, f64)>| one.is_some_and(|(after, by)| by >= -1.0 && after <= LATE_S);
    let said = |one: Option<(f64, f64)>| one.map_or("-".into(), |(_, by)| format!("{by:.1}"));
    vec![
        Claim::new(
            format!(
                "circuit and entries are there {} s before the transfer's first byte",
                latest.map_or("-".into(), |at| format!("{:.1}", (first - at) as f64 / 1e6))
            ),
            latest.is_some_and(|at| at < first),
        ),
        claims::wholly(all),
        claims::labels(all, moments),
        claims::in_order(moments),
        Claim::new(
            format!(
                "the entries outlive the transfer and go with the ticket as extended, {LATE_S:.0} s late at \
                 most: {} and {} s",
                said(near),
                said(far)
            ),
            in_time(near) && in_time(far) && moments.ended_us < ticket.until_us,
        ),
        claims::while_entry(all, moments),
        claims::whole(all, moments),
        claims::reverse(all, &[true, false]),
        claims::after(all),
        claims::no_beta(all),
        claims::beta_whole(all),
    ]
}

fn findings(all: &Counted, ticket: Ticket, moments: &Moments, figure: String) -> Findings {
    let since = |us: i64| format!("{:.1}", (us - ticket.announced_us) as f64 / 1e6);
    let row = |what: &str, us: i64| vec![what.to_owned(), since(us)];
    let [circuit, no_circuit] = rows("circuit", &moments.near.circuit, since);
    let [entry, no_entry] = rows("entry", &moments.near.entry, since);
    let [far, no_far] = rows("entry at the other router", &moments.far.entry, since);
    Findings {
        title: "A transfer that was announced",
        paragraph: format!(
            "`hntes ticket create` announces a UDP flow of iperf3, {MBPS} Mb/s for {LASTS_S} s, to \
             `hntes run`, which reads no flow record. The flow begins when `nft` and `ip` of both edge \
             routers list its entries and its circuit; numbered datagrams go the other way by its 5-tuple \
             reversed; under way the ticket is extended. {} of {} bytes took \
             the science path, and {} bytes of anything else did. Bytes are from captures on both paths; \
             beta flows of the same hosts, of their networks, of other networks and to a peer go all the \
             time.",
            all.alpha_labelled, all.alpha, all.beta_science
        ),
        columns: vec!["moment", "seconds after the announcement"],
        rows: vec![
            row("announced", ticket.announced_us),
            circuit,
            entry,
            far,
            row("transfer's first packet", all.first_us.unwrap_or(ticket.begun_us)),
            row("ticket extended", ticket.extended_us),
            row("transfer over", moments.ended_us),
            no_entry,
            no_far,
            no_circuit,
        ],
        claims: all_claims(all, ticket, moments),
        figure,
        data: json!({"counted": all, "moments": moments, "announced_us": ticket.announced_us,
                     "extended_us": ticket.extended_us}),
    }
}

#[cfg(test)]
mod tests {
    use super::super::redirect::account::tests::{self, ends, moments};
    use super::*;
    use crate::count::way::Way;
    use std::collections::BTreeSet;

    #[test]
    fn each_claim_can_fail() {
        const S: i64 = 1_000_000;
        let ticket =
            Ticket { announced_us: S, begun_us: 25 * S, extended_us: 40 * S, until_us: 62 * S };
        let good = || Counted {
            alpha_labelled: 100,
            alpha_plain: 0,
            first_us: Some(30 * S),
            first_labelled_us: Some(30 * S),
            back: Way { runs: vec![true, false], ..tests::good().back },
            ..tests::good()
        };
        let failed = |counted: Counted, moments: Moments| -> Vec<usize> {
            let all = all_claims(&counted, ticket, &moments);
            (0..all.len()).filter(|at| !all[*at].met).collect()
        };
        assert_eq!(failed(good(), moments()), [] as [usize; 0]);
        assert_eq!(failed(Counted { first_us: Some(20 * S), ..good() }, moments()), [0]);
        let plain = Counted { alpha_labelled: 99, alpha_plain: 1, ..good() };
        assert_eq!(failed(plain, moments()), [1]);
        let two = BTreeSet::from([Some(7), Some(9)]);
        assert_eq!(failed(Counted { labels: two, ..good() }, moments()), [2]);
        let far = Moments { far: ends(8, (11, 64), (21, 64)), ..moments() };
        assert_eq!(failed(good(), far), [3]);
        // It goes before the ticket, or long after it.
        let at = |gone| Moments { near: ends(7, (10, 99), (20, gone)), ..moments() };
        assert_eq!((failed(good(), at(60)), failed(good(), at(74))), (vec![4], vec![4]));
        assert_eq!(failed(Counted { last_labelled_us: Some(66 * S), ..good() }, moments()), [5]);
        assert_eq!(failed(Counted { alpha_arrived: 99, ..good() }, moments()), [6]);
        let back = Way { runs: vec![false, true, false], ..good().back };
        assert_eq!(failed(Counted { back, ..good() }, moments()), [7]);
        assert_eq!(failed(Counted { after_science: 1, ..good() }, moments()), [8]);
        assert_eq!(failed(Counted { beta_science: 1, ..good() }, moments()), [9]);
        assert_eq!(failed(Counted { beta_lost: 1, ..good() }, moments()), [10]);
    }

    #[test]
    fn the_name_of_a_ticket() {
        assert_eq!(id_of(r#"{"id":"t17"}"#), Some("t17".to_owned()));
        assert_eq!(id_of(r#"{"code":"full"}"#), None);
    }
}
