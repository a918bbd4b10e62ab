// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is said of the kills.

use super::{CALLS, Kill, Place};
use crate::draw::bars;
use crate::report::{Claim, Findings};
use serde_json::json;

/// The kills of a place, in two words of the table.
type Of<'a> = Vec<&'a (Place, Kill)>;

fn sum(kills: &Of<'_>, what: impl Fn(&Kill) -> u64) -> u64 {
    kills.iter().map(|(_, kill)| what(kill)).sum()
}

fn longest(kills: &Of<'_>) -> f64 {
    kills.iter().map(|(_, kill)| kill.restored_s).fold(0.0, f64::max)
}

fn row(call: &str, side: &str, kills: &Of<'_>) -> Vec<String> {
    let count = |is: &dyn Fn(&Kill) -> bool| kills.iter().filter(|(_, kill)| is(kill)).count();
    vec![
        format!("{call}, {side}"),
        count(&|kill| kill.killed).to_string(),
        count(&|kill| kill.interrupted).to_string(),
        sum(kills, |kill| kill.sent).to_string(),
        sum(kills, |kill| kill.lost).to_string(),
        sum(kills, |kill| kill.forth + kill.back).to_string(),
        sum(kills, |kill| kill.beta).to_string(),
        format!("{:.1}", longest(kills)),
    ]
}

fn claims(done: &[(Place, Kill)], wanted: usize) -> Vec<Claim> {
    let count =
        |is: &dyn Fn(&Place, &Kill) -> bool| done.iter().filter(|(at, kill)| is(at, kill)).count();
    let sum = |what: fn(&Kill) -> u64| done.iter().map(|(_, kill)| what(kill)).sum::<u64>();
    let killed = count(&|_, kill| kill.killed);
    let ended = count(&|_, kill| kill.failed.is_none());
    let clean = count(&|_, kill| kill.failed.is_none() && kill.left == 0);
    let (asked, told) = (
        count(&|place, _| place.interrupts),
        count(&|place, kill| place.interrupts && kill.interrupted),
    );
    let (sent, lost, again) =
        (sum(|kill| kill.sent), sum(|kill| kill.lost), sum(|kill| kill.again));
    let onto = count(&|_, kill| kill.forth > 0 && kill.back > 0);
    let (bare, beta) = (sum(|kill| kill.bare), sum(|kill| kill.beta));
    vec![
        Claim::new(
            format!("dead by SIGKILL at the place: {killed} of {wanted}"),
            killed == wanted && wanted > 0,
        ),
        Claim::new(
            format!("then rules, tables and labels are the wanted ones: {ended} of {wanted}"),
            ended == wanted && wanted > 0,
        ),
        Claim::new(
            format!(
                "nothing is left when the flow is over, no circuit leaked: {clean} of {wanted}"
            ),
            clean == wanted && wanted > 0,
        ),
        Claim::new(
            format!("the next loop knows which call was interrupted: {told} of {asked}"),
            told == asked && asked > 0,
        ),
        Claim::new(
            format!("no datagram lost or doubled: {lost} and {again} of {sent}"),
            lost + again == 0 && sent > 0,
        ),
        Claim::new(
            format!(
                "the flow takes the path under a label both ways: in {onto} of {wanted}, {bare} without"
            ),
            onto == wanted && bare == 0 && wanted > 0,
        ),
        Claim::new(format!("no datagram of another flow on the path: {beta}"), beta == 0),
    ]
}

/// Table, claims and drawing of `done`, of `wanted` kills.
pub(super) fn findings(done: &[(Place, Kill)], wanted: usize) -> Findings {
    let mut rows = Vec::new();
    let mut groups = Vec::new();
    for call in &CALLS {
        let of = |side: &str| -> Of<'_> {
            done.iter().filter(|(place, _)| place.call == call.0 && place.side == side).collect()
        };
        let sides = ["before", "after"].map(|side| (side, of(side)));
        rows.extend(sides.iter().map(|(side, kills)| row(call.0, side, kills)));
        groups.push((
            call.0.to_owned(),
            sides.iter().map(|(_, kills)| Some(longest(kills))).collect(),
        ));
    }
    Findings {
        title: "The loop is killed",
        paragraph: format!(
            "`hntes run --die-at` kills itself by SIGKILL before and after each of its {} calls to the \
             outside, with nftables at both edge routers, MPLS paths between them and packets all the \
             time: the flow that is redirected and another of the same hosts, both ways, 50 datagrams a \
             second each. Flow records are written by the lab, as the collector would; they end, the \
             datagrams do not. The next loop must bring the routers to what is wanted, and to nothing \
             when the flow is over: by `nft` and `ip` on the routers and the provider's book, not by the \
             loop's own word. Datagrams are numbered and counted from captures at both sites and on the \
             path.",
            CALLS.len()
        ),
        columns: vec![
            "call",
            "kills",
            "known as interrupted",
            "datagrams",
            "lost",
            "of the flow on the path",
            "others on it",
            "longest seconds until as wanted",
        ],
        rows,
        claims: claims(done, wanted),
        figure: bars(
            "From a kill until all is as wanted, longest",
            "s",
            &["before the call", "after it"],
            &groups,
        ),
        data: json!({"kills": done.iter().map(|(place, kill)| json!({"place": place, "kill": kill}))
                     .collect::<Vec<_>>()}),
    }
}

#[cfg(test)]
mod tests {
    use super::super::places;
    use super::*;

    #[test]
    fn each_claim_can_fail() {
        let good = || -> Vec<(Place, Kill)> {
            let kill = |place: Place| {
                let kill = Kill {
                    killed: true,
                    interrupted: place.interrupts,
                    sent: 100,
                    forth: 9,
                    back: 9,
                    ..Kill::default()
                };
                (place, kill)
            };
            places(1).into_iter().map(kill).collect()
        };
        let failed = |change: fn(&mut Kill)| -> Vec<usize> {
            let mut done = good();
            change(&mut done[3].1);
            let all = findings(&done, done.len()).claims;
            (0..all.len()).filter(|at| !all[*at].met).collect()
        };
        assert_eq!(failed(|_| {}), [] as [usize; 0]);
        assert_eq!(failed(|kill| kill.killed = false), [0]);
        assert_eq!(failed(|kill| kill.failed = Some("late".into())), [1, 2]);
        assert_eq!(failed(|kill| kill.left = 1), [2]);
        assert_eq!(failed(|kill| kill.interrupted = false), [3]);
        assert_eq!(failed(|kill| kill.lost = 1), [4]);
        assert_eq!(failed(|kill| kill.again = 1), [4]);
        assert_eq!(failed(|kill| kill.back = 0), [5]);
        assert_eq!(failed(|kill| kill.bare = 1), [5]);
        assert_eq!(failed(|kill| kill.beta = 1), [6]);
        // A run that was given up says so.
        assert!(!findings(&good(), 25).claims[0].met);
    }

    #[test]
    fn a_row_for_each_side_of_each_call() {
        let found = findings(&[], 0);
        assert_eq!(found.rows.len(), 24);
        assert!(found.rows.iter().all(|row| row.len() == found.columns.len()) && !found.good());
    }
}
