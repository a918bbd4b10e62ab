// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is claimed of an alpha flow that is redirected, however it became known.

use super::account::{Counted, Moments, share};
use super::setting::Times;
use crate::report::Claim;
use std::collections::BTreeSet;

/// Percent of an alpha flow's bytes that the science path must have at least, detection and set-up of a
/// circuit included.
const SHARE: f64 = 25.0;
/// Microseconds that a packet may be seen after the rule that sent it was.
const UNDER_WAY_US: i64 = 100_000;
/// Seconds until a router is read and changed again, in an emulated guest.
const TURN_S: i64 = 5;

/// It is redirected.
pub(in crate::exp) fn onto(all: &Counted) -> Claim {
    let share = share(all);
    Claim::new(
        format!("the alpha flow takes the science path: {share:.0} % of its bytes"),
        all.first_labelled_us.is_some() && share >= SHARE,
    )
}

/// All of it from its first byte.
pub(in crate::exp) fn wholly(all: &Counted) -> Claim {
    Claim::new(
        format!(
            "every byte of it takes the science path: {} of {}, {} do not",
            all.alpha_labelled, all.alpha, all.alpha_plain
        ),
        all.alpha > 0 && all.alpha_labelled == all.alpha && all.alpha_plain == 0,
    )
}

/// Labels on the wire are those that the routers say.
pub(in crate::exp) fn labels(all: &Counted, moments: &Moments) -> Claim {
    let one = |said: &BTreeSet<u32>, seen: &BTreeSet<Option<u32>>| {
        said.len() == 1 && said.iter().map(|label| Some(*label)).eq(seen.iter().copied())
    };
    let (forth, back) = (&moments.near.labels, &moments.far.labels);
    Claim::new(
        format!(
            "all of that under the circuit's label, {forth:?} forth and {back:?} back: {} and {}",
            names(&all.labels),
            names(&all.back_labels)
        ),
        one(forth, &all.labels) && one(back, &all.back_labels),
    )
}

fn names(labels: &BTreeSet<Option<u32>>) -> String {
    let name = |label: &Option<u32>| label.map_or("none".to_owned(), |label| label.to_string());
    labels.iter().map(name).collect::<Vec<_>>().join(" ")
}

/// The circuit is there before the entry and after it, at both routers.
pub(in crate::exp) fn in_order(moments: &Moments) -> Claim {
    let says = |ends: &super::watch::Ends| {
        let word = |good: bool| if good { "seen" } else { "not seen" };
        let came = word(ends.entry.came_after(&ends.circuit));
        format!("{came} and {}", word(ends.entry.went_before(&ends.circuit)))
    };
    Claim::new(
        format!(
            "at both edge routers the circuit is listed before the entry, and still when that is gone: \
             {}; {}",
            says(&moments.near),
            says(&moments.far)
        ),
        moments.near.in_order() && moments.far.in_order(),
    )
}

/// Packets have the label while the router lists the entry, and at no other time.
pub(in crate::exp) fn while_entry(all: &Counted, moments: &Moments) -> Claim {
    let entry = &moments.near.entry;
    let begins = all.first_labelled_us.zip(entry.began);
    let ends = all.last_labelled_us.zip(entry.ended);
    Claim::new(
        "packets have the label only while the router lists the entry",
        begins.is_some_and(|(first, began)| first >= began.after_us)
            && ends.is_some_and(|(last, ended)| last <= ended.by_us + UNDER_WAY_US),
    )
}

/// No byte of the flow is lost, from the sender to the other site, by whichever way.
pub(in crate::exp) fn whole(all: &Counted, moments: &Moments) -> Claim {
    Claim::new(
        format!(
            "no byte of the alpha flow lost from site to site: {} of {}, {} of them sent by iperf3 and \
             {} arrived without headers",
            all.alpha_arrived, all.alpha, moments.alpha_sent, all.alpha_payload
        ),
        all.alpha > 0
            && all.alpha == all.alpha_labelled + all.alpha_plain
            && all.alpha == all.alpha_arrived
            // Beside what it says it sent there are a few bytes to connect.
            && moments.alpha_sent > 0
            && all.alpha_payload >= moments.alpha_sent,
    )
}

/// The other direction goes this way, and none of it is lost.
pub(in crate::exp) fn reverse(all: &Counted, runs: &[bool]) -> Claim {
    let way = |science: &bool| if *science { "science" } else { "IP-routed" };
    let ways: Vec<&str> = all.back.runs.iter().map(way).collect();
    Claim::new(
        format!(
            "of {} datagrams the other way none lost or doubled: {} and {}; their way: {}",
            all.back.sent,
            all.back_lost,
            all.back_doubled,
            ways.join(", ")
        ),
        all.back.sent > 0
            && all.back.whole()
            && all.back_lost + all.back_doubled == 0
            && all.back.runs == runs,
    )
}

/// Nothing else is on the path.
pub(in crate::exp) fn no_beta(all: &Counted) -> Claim {
    Claim::new(
        format!("no beta byte on the science path, either way: {}", all.beta_science),
        all.beta_science == 0,
    )
}

/// And nothing of it is lost.
pub(in crate::exp) fn beta_whole(all: &Counted) -> Claim {
    Claim::new(
        format!("no beta datagram lost or doubled: {} of {}", all.beta_lost, all.beta_sent),
        all.beta_sent > 0 && all.beta_lost == 0 && all.beta_doubled == 0,
    )
}

/// The entry ages as the loop is told to, from when it says the flow is over.
pub(in crate::exp) fn aged(moments: &Moments, over_us: Option<i64>) -> Claim {
    let Times { age_s, jitter_s, .. } = Times::default();
    let (age, jitter) = (i64::from(age_s), i64::from(jitter_s));
    let stays = |ends: &super::watch::Ends| {
        let (over_us, ended) = over_us.zip(ends.entry.ended)?;
        Some((ended.after_us - over_us, ended.by_us - over_us))
    };
    let seconds = |one: Option<(i64, i64)>| {
        one.map_or("-".to_owned(), |(_, by)| format!("{:.1}", by as f64 / 1e6))
    };
    let (near, far) = (stays(&moments.near), stays(&moments.far));
    // When it went is known between two listings.
    let good = |one: Option<(i64, i64)>| {
        one.is_some_and(|(after, by)| {
            by >= age * 1_000_000 && after <= (age + jitter + TURN_S) * 1_000_000
        })
    };
    Claim::new(
        format!(
            "`hntes run` ages the entries {age} to {} s after it says that the flow is over, and a turn of \
             the router of {TURN_S} s at most: {} and {} s",
            age + jitter,
            seconds(near),
            seconds(far)
        ),
        good(near) && good(far),
    )
}

/// What comes once all is over goes as if nothing had been.
pub(in crate::exp) fn after(all: &Counted) -> Claim {
    Claim::new(
        format!(
            "after that the same 5-tuple goes the IP-routed way: {} packets, {} not",
            all.after_plain, all.after_science
        ),
        all.after_plain > 0 && all.after_science == 0,
    )
}
