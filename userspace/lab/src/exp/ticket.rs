// SPDX-License-Identifier: Apache-2.0 OR MIT
//! End-host assisted: a transfer is announced by a ticket. Its circuit and its policy route are there
//! before its first byte, stay as the ticket is extended under way, and go when the ticket has expired.
//! No flow record is read.

use super::redirect::account::{Counted, Moments, count, is_alpha, series};
use super::redirect::setting::{self, Times};
use super::redirect::{ALPHA, PATIENCE, beside_beta, has_entry, label, lsp, unix_us};
use super::{Bench, say};
use crate::draw::{Axis, Line, plot};
use crate::error::{Result, odd};
use crate::iperf::{Iperf, Plan};
use crate::net::{Net, host};
use crate::process::{Process, run as program, until, write};
use crate::report::{Claim, Findings};
use rustix::process::Signal;
use serde_json::json;
use std::collections::BTreeSet;

/// The transfer: rate and seconds.
const MBPS: f64 = 3.0;
const LASTS_S: u32 = 15;
/// How long the ticket is at first, and how long from when it is extended.
const FIRST: &str = "45s";
const EXTENDED: &str = "60s";
/// The same 5-tuple once its ticket is over.
const AFTER_MBPS: f64 = 0.2;
const AFTER_S: u32 = 3;

/// What became of the ticket, beside [`Moments`].
#[derive(Clone, Copy, Debug, Default)]
struct Ticket {
    announced_us: i64,
    begun_us: i64,
    extended_us: i64,
}

/// Runs it. There is no shorter one.
pub(super) fn run(bench: &Bench) -> Result<Findings> {
    let net = Net::build()?;
    let ((ticket, moments), files, sent) = beside_beta(bench, &net, || play(bench, &net))?;
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
    ];
    let (x, y) = (
        Axis { label: "seconds after the announcement", log: false },
        Axis { label: "kb/s", log: false },
    );
    Ok(findings(&counted, ticket, &moments, plot("An announced transfer", x, y, &lines)))
}

/// The ticket's life.
fn play(bench: &Bench, net: &Net) -> Result<(Ticket, Moments)> {
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
    let argv = [hntes.as_str(), "run", "--config", &config.to_string_lossy()];
    let mut running = Process::start("hntes-run", None, &bench.work, &argv)?;
    let mut server = None;
    until("the loop to listen", PATIENCE, || {
        running.must_run()?;
        let said = running.said();
        server = said
            .lines()
            .find(|line| line.starts_with("http://") && line.ends_with('/'))
            .map(str::to_owned);
        Ok(server.is_some())
    })?;
    let server = server.unwrap_or_default();
    let server = server.trim_end_matches('/');
    moments.ready_us = unix_us();
    let ask = |words: &[&str]| {
        let common = ["--server", server, "--token-file", &token, "--json"];
        program(&[&[hntes.as_str(), "ticket"][..], words, &common].concat())
    };
    let mut wait = |what: &str, holds: &mut dyn FnMut() -> Result<bool>| -> Result<i64> {
        say(what);
        until(what, PATIENCE, || {
            running.must_run()?;
            holds()
        })?;
        Ok(unix_us())
    };
    let (from, to) = (host(1, 1, 1), host(2, 1, 1));
    let (near, far) = (ALPHA.0.to_string(), ALPHA.1.to_string());
    let create = ["create", "--from", &from, "--to", &to, "--protocol", "udp", "--for", FIRST];
    ticket.announced_us = unix_us();
    let told =
        ask(&[&create[..], &["--source-ports", &near, "--destination-ports", &far]].concat())?;
    let id = id_of(&told).ok_or_else(|| odd("hntes ticket create", told))?;
    moments.circuit_us = wait("the circuit to be up", &mut || Ok(!lsp(net)?.is_empty()))?;
    moments.label = label(&lsp(net)?);
    moments.entry_us = wait("the entry to be in force", &mut || has_entry(net))?;
    let plan = |seconds, mbps| Plan {
        from: &from,
        from_port: Some(ALPHA.0),
        to: &to,
        port: ALPHA.1,
        seconds,
        mbps: Some(mbps),
        udp: true,
    };
    ticket.begun_us = unix_us();
    let transfer = Iperf::start(&net.site1, &net.site2, &bench.work, &plan(LASTS_S, MBPS))?;
    ask(&["extend", &id, "--end", &format!("+{EXTENDED}")])?;
    ticket.extended_us = unix_us();
    moments.alpha_sent = transfer.finish()?.sent;
    moments.ended_us = unix_us();
    moments.gone_us = wait("the ticket to expire", &mut || Ok(!has_entry(net)?))?;
    moments.released_us = wait("the circuit to be released", &mut || Ok(lsp(net)?.is_empty()))?;
    Iperf::start(&net.site1, &net.site2, &bench.work, &plan(AFTER_S, AFTER_MBPS))?.finish()?;
    running.stop(Signal::TERM, PATIENCE);
    Ok((ticket, moments))
}

/// The name of the ticket that was made.
fn id_of(told: &str) -> Option<String> {
    let told: serde_json::Value = serde_json::from_str(told).ok()?;
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    text(&told["id"]).or_else(|| text(&told["ticket"]["id"]))
}

fn claims(all: &Counted, ticket: Ticket, moments: &Moments) -> Vec<Claim> {
    let first = all.first_us.unwrap_or(i64::MIN);
    vec![
        Claim::new(
            format!(
                "circuit and entry are there {:.1} s before the transfer's first byte",
                (first - moments.entry_us) as f64 / 1e6
            ),
            moments.circuit_us <= moments.entry_us && moments.entry_us < first,
        ),
        Claim::new(
            format!(
                "every byte of it takes the science path: {} of {}, {} do not",
                all.alpha_labelled, all.alpha, all.alpha_plain
            ),
            all.alpha > 0 && all.alpha_labelled == all.alpha && all.alpha_plain == 0,
        ),
        Claim::new(
            format!("under one label, extended or not: {:?} of {:?}", all.labels, moments.label),
            moments.label.is_some() && all.labels == BTreeSet::from([moments.label]),
        ),
        Claim::new(
            "the entry outlives the transfer, goes with the ticket, and before the circuit",
            moments.ended_us < moments.gone_us
                && ticket.extended_us < moments.gone_us
                && moments.gone_us <= moments.released_us,
        ),
        Claim::new(
            format!(
                "after that the same 5-tuple goes the IP-routed way: {} packets, {} not",
                all.after_plain, all.after_science
            ),
            all.after_plain > 0 && all.after_science == 0,
        ),
        Claim::new(
            format!("no beta byte on the science path: {}", all.beta_science),
            all.beta_science == 0,
        ),
        Claim::new(
            format!("no beta datagram lost or doubled: {} of {}", all.beta_lost, all.beta_sent),
            all.beta_sent > 0 && all.beta_lost == 0 && all.beta_doubled == 0,
        ),
    ]
}

fn findings(all: &Counted, ticket: Ticket, moments: &Moments, figure: String) -> Findings {
    let since = |us: i64| format!("{:.1}", (us - ticket.announced_us) as f64 / 1e6);
    let row = |what: &str, us: i64| vec![what.to_owned(), since(us)];
    Findings {
        title: "A transfer that was announced",
        paragraph: format!(
            "`hntes ticket create` announces a UDP flow of iperf3, {MBPS} Mb/s for {LASTS_S} s, to \
             `hntes run`, which reads no flow record. The flow begins when `nft` and `ip` of the ingress \
             router list its entry and its circuit; under way the ticket is extended. {} of {} bytes took \
             the science path, and {} bytes of anything else did. Bytes are from captures on both paths; \
             beta flows of the same hosts, of their networks, of other networks and to a peer go all the \
             time.",
            all.alpha_labelled, all.alpha, all.beta_science
        ),
        columns: vec!["moment", "seconds after the announcement"],
        rows: vec![
            row("announced", ticket.announced_us),
            row("circuit there", moments.circuit_us),
            row("entry there", moments.entry_us),
            row("transfer's first packet", all.first_us.unwrap_or(ticket.begun_us)),
            row("ticket extended", ticket.extended_us),
            row("transfer over", moments.ended_us),
            row("entry gone", moments.gone_us),
            row("circuit gone", moments.released_us),
        ],
        claims: claims(all, ticket, moments),
        figure,
        data: json!({"counted": all, "moments": moments, "announced_us": ticket.announced_us,
                     "extended_us": ticket.extended_us}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_claim_can_fail() {
        let ticket = Ticket { announced_us: 1, begun_us: 25, extended_us: 40 };
        let moments = || Moments {
            ready_us: 1,
            circuit_us: 10,
            label: Some(7),
            entry_us: 20,
            ended_us: 50,
            gone_us: 60,
            released_us: 70,
            ..Moments::default()
        };
        let good = || Counted {
            alpha: 100,
            alpha_labelled: 100,
            first_us: Some(30),
            labels: BTreeSet::from([Some(7)]),
            after_plain: 9,
            beta_sent: 9,
            ..Counted::default()
        };
        let failed = |counted: Counted, moments: Moments| -> Vec<usize> {
            let all = claims(&counted, ticket, &moments);
            (0..all.len()).filter(|at| !all[*at].met).collect()
        };
        assert_eq!(failed(good(), moments()), [] as [usize; 0]);
        assert_eq!(failed(Counted { first_us: Some(19), ..good() }, moments()), [0]);
        let plain = Counted { alpha_labelled: 99, alpha_plain: 1, ..good() };
        assert_eq!(failed(plain, moments()), [1]);
        let two = BTreeSet::from([Some(7), Some(8)]);
        assert_eq!(failed(Counted { labels: two, ..good() }, moments()), [2]);
        assert_eq!(failed(good(), Moments { gone_us: 45, ..moments() }), [3]);
        assert_eq!(failed(Counted { after_science: 1, ..good() }, moments()), [4]);
        assert_eq!(failed(Counted { beta_science: 1, ..good() }, moments()), [5]);
        assert_eq!(failed(Counted { beta_lost: 1, ..good() }, moments()), [6]);
    }

    #[test]
    fn the_name_of_a_ticket() {
        assert_eq!(id_of(r#"{"id":"t17"}"#), Some("t17".to_owned()));
        assert_eq!(id_of(r#"{"code":"full"}"#), None);
    }
}
