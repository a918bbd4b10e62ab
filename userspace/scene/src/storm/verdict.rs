// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a storm showed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::Args;
use super::baseline::Amount;
use super::check::Checked;
use super::sender::Sent;

/// Sums of a storm.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Numbers {
    /// SIGKILLs.
    pub(crate) kills: u64,
    /// The exporters' side.
    pub(crate) sent: Sent,
    /// The outputs' side.
    pub(crate) checked: Checked,
    /// Bytes sent that are in no output.
    pub(crate) lost_bytes: u64,
    /// Collectors that ended without being asked to.
    pub(crate) died_on_their_own: u64,
    /// Cgroups of dead collectors that could not be removed.
    pub(crate) rmdir_failed: u64,
    /// The kernel's takeover counters, at the end of the kills.
    pub(crate) mibs: BTreeMap<String, u64>,
}

/// One claim.
#[derive(Clone, Debug, Serialize)]
struct Claim {
    claim: String,
    met: bool,
    found: String,
}

/// Numbers and claims.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Verdict {
    #[serde(flatten)]
    numbers: Numbers,
    /// Amounts held by the kernel.
    amounts: Vec<Amount>,
    claims: Vec<Claim>,
}

impl Verdict {
    /// Judges a storm. `mibs` are the counters before it.
    pub(crate) fn of(
        args: &Args,
        mut numbers: Numbers,
        mibs: BTreeMap<String, u64>,
        amounts: Vec<Amount>,
        removed: bool,
    ) -> Self {
        for (name, value) in &mut numbers.mibs {
            *value -= mibs.get(name).copied().unwrap_or(0).min(*value);
        }
        let mib = |name: &str| numbers.mibs.get(name).copied().unwrap_or(0);
        let (sent, checked) = (&numbers.sent, &numbers.checked);
        let mut claims = Vec::new();
        let mut put = |claim: &str, met: bool, found: String| {
            claims.push(Claim { claim: claim.to_string(), met, found });
        };
        put("kills were made", numbers.kills > 0, numbers.kills.to_string());
        put(
            "sessions were taken over",
            mib("TCPTakeoverExit") > 0,
            mib("TCPTakeoverExit").to_string(),
        );
        put("no byte is lost", numbers.lost_bytes == 0, numbers.lost_bytes.to_string());
        let wrong = checked.wrong + checked.unknown + checked.overlapping + checked.bad;
        put("every line holds the bytes that were sent", wrong == 0, wrong.to_string());
        let reason = checked.undecoded_reason.as_deref().unwrap_or("all decoded");
        let found = format!("{} not: {reason}", checked.undecoded);
        put("heirs decode every message", checked.undecoded == 0, found);
        let failed = mib("TCPTakeoverFail");
        if args.fail == 0 {
            put("no session is cut", sent.cut == 0, sent.cut.to_string());
            put("no takeover fails", failed == 0, failed.to_string());
        } else {
            put("allocations failed", failed > 0, failed.to_string());
            let found = format!("{} cut, {failed} failed", sent.cut);
            put("only failed allocations cut sessions", sent.cut <= failed, found);
        }
        let spent = mib("TCPTakeoverBudget");
        put("no budget is spent", spent == 0, spent.to_string());
        let unanswered = sent.unanswered;
        put("every ended session is closed", unanswered == 0, unanswered.to_string());
        let died = numbers.died_on_their_own;
        put("no collector dies on its own", died == 0, died.to_string());
        let stuck = numbers.rmdir_failed;
        put("every dead collector's cgroup can be removed", stuck == 0, stuck.to_string());
        put("the storm's cgroup can be removed", removed, String::new());
        for amount in &amounts {
            let found = format!("{} -> {}", amount.before, amount.after);
            put(&format!("{} is back", amount.name), amount.is_back(), found);
        }
        Self { numbers, amounts, claims }
    }

    /// Whether all claims are met.
    pub(crate) fn good(&self) -> bool {
        self.claims.iter().all(|claim| claim.met)
    }

    /// For people.
    pub(crate) fn table(&self) -> String {
        let (n, mut out) = (&self.numbers, String::new());
        let mib = |name: &str| n.mibs.get(name).copied().unwrap_or(0);
        for (name, value) in [
            ("kills", n.kills),
            ("sessions opened", n.sent.sessions),
            ("sessions ended by the exporter", n.sent.ended),
            ("sessions cut", n.sent.cut),
            ("bytes sent", n.sent.bytes),
            ("bytes lost", n.lost_bytes),
            ("lines proved", n.checked.lines),
            ("lines that repeat", n.checked.duplicates),
            ("takeovers at exit", mib("TCPTakeoverExit")),
            ("takeovers at close", mib("TCPTakeoverClose")),
            ("takeovers failed", mib("TCPTakeoverFail")),
            ("output files checked and removed", n.checked.files),
        ] {
            let _ = writeln!(out, "{name:34}{value:>14}");
        }
        out.push('\n');
        for claim in &self.claims {
            let verdict = if claim.met { "ok    " } else { "FAILED" };
            let found = if claim.found.is_empty() { "-" } else { &claim.found };
            let _ = writeln!(out, "{verdict}  {} ({found})", claim.claim);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn failed(fail: &str, change: impl FnOnce(&mut Numbers)) -> Vec<String> {
        let words = ["storm", "--fail", fail];
        let args = Cli::parse_from(words).args;
        let mut numbers = Numbers { kills: 3, ..Numbers::default() };
        numbers.mibs.insert("TCPTakeoverExit".into(), 9);
        numbers.mibs.insert("TCPTakeoverFail".into(), 5);
        change(&mut numbers);
        let before = [("TCPTakeoverFail".to_string(), 5)].into();
        let verdict = Verdict::of(&args, numbers, before, Vec::new(), true);
        verdict.claims.into_iter().filter(|claim| !claim.met).map(|claim| claim.claim).collect()
    }

    #[test]
    fn claims_can_fail() {
        assert!(failed("0", |_| {}).is_empty());
        assert_eq!(failed("0", |n| n.lost_bytes = 1), ["no byte is lost"]);
        assert_eq!(failed("0", |n| n.sent.cut = 1), ["no session is cut"]);
        assert_eq!(failed("0", |n| n.rmdir_failed = 1).len(), 1);
        assert_eq!(failed("5", |_| {}), ["allocations failed"]);
        let fail = |n: &mut Numbers| {
            n.mibs.insert("TCPTakeoverFail".into(), 7);
        };
        assert!(failed("5", fail).is_empty());
        let more = |n: &mut Numbers| {
            fail(n);
            n.sent.cut = 3;
        };
        assert_eq!(failed("5", more), ["only failed allocations cut sessions"]);
    }
}
