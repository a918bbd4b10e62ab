// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The members of a phase as their kernels know them: what getsockopt gave back at its end.

use crate::claims::Claim;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// A collector's sockets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Member {
    /// The server it runs on, from 1.
    pub server: u64,
    /// Its number there.
    pub instance: u64,
    /// The policies of its sockets' groups, each once; `none` for a group without one. Empty where
    /// the kernel knows no policies.
    pub policies: Vec<String>,
    /// Its id in the kernel.
    pub id: Option<u64>,
    /// Its weight there.
    pub weight: Option<u64>,
    /// How often the kernel has chosen it, over all its sockets.
    pub selections: Option<u64>,
}

/// The one policy of all members, as a word for people.
pub fn policy(members: &[Member]) -> String {
    let all: BTreeSet<&str> =
        members.iter().flat_map(|one| &one.policies).map(String::as_str).collect();
    if all.is_empty() { "-".to_string() } else { all.into_iter().collect::<Vec<_>>().join(",") }
}

/// What must be read back from a phase that asked for the policy `asked`, or for none.
///
/// `tells` is whether this kernel says so where there is none; one without policies says nothing.
pub fn judge(phase: &str, members: &[Member], asked: Option<&str>, tells: bool) -> Vec<Claim> {
    let mut claims = Vec::new();
    let mut put = |claim: &str, met: bool, found: String| {
        claims.push(Claim { phase: phase.to_string(), claim: claim.to_string(), met, found });
    };
    let found = policy(members);
    let Some(asked) = asked else {
        let none = |one: &Member| one.policies == ["none"] || !tells && one.policies.is_empty();
        let none = !members.is_empty() && members.iter().all(none);
        put("no policy is in force, by getsockopt", none, found);
        return claims;
    };
    let one = |member: &Member| member.policies == [asked];
    let all = !members.is_empty() && members.iter().all(one);
    put("the policy in force is the one asked for, by getsockopt", all, found);
    let known = members.iter().filter(|one| one.id == Some(one.instance)).count();
    let all = known == members.len() && known > 0;
    put("every member has its instance as id", all, format!("{known} of {}", members.len()));
    let chosen = members.iter().filter(|one| one.selections > Some(0)).count();
    let all = chosen == members.len() && chosen > 0;
    put("every member was chosen", all, format!("{chosen} of {}", members.len()));
    claims
}

/// Lines for people: a server's members and how often each was chosen.
pub fn text(phase: &str, members: &[Member]) -> String {
    let mut servers: BTreeMap<u64, Vec<&Member>> = BTreeMap::new();
    for member in members {
        servers.entry(member.server).or_default().push(member);
    }
    let mut out = String::new();
    for (server, mut list) in servers {
        list.sort_by_key(|one| one.instance);
        let own: Vec<Member> = list.iter().map(|one| (*one).clone()).collect();
        let _ = write!(out, "{phase:10}  s{server}  policy {:8}", policy(&own));
        for one in list {
            let number = |value: Option<u64>| value.map_or("-".to_string(), |one| one.to_string());
            let (weight, chosen) = (number(one.weight), number(one.selections));
            let _ = write!(out, "  {}: weight {weight}, chosen {chosen:>6}", one.instance);
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(instance: u64) -> Member {
        Member {
            server: 1,
            instance,
            policies: vec!["stable".into()],
            id: Some(instance),
            weight: Some(1),
            selections: Some(7),
        }
    }

    fn failed(members: &[Member], asked: Option<&str>) -> Vec<String> {
        let claims = judge("x", members, asked, true);
        claims.into_iter().filter(|one| !one.met).map(|one| one.claim).collect()
    }

    #[test]
    fn each_claim_can_fail() {
        let good = [member(1), member(2)];
        assert_eq!(failed(&good, Some("stable")), Vec::<String>::new());
        let policy = "the policy in force is the one asked for, by getsockopt";
        assert_eq!(failed(&good, Some("source")), [policy]);
        let two = Member { policies: vec!["none".into(), "stable".into()], ..member(2) };
        assert_eq!(failed(&[member(1), two], Some("stable")), [policy]);
        let id = Member { id: Some(9), ..member(2) };
        assert_eq!(failed(&[id], Some("stable")), ["every member has its instance as id"]);
        let idle = Member { selections: Some(0), ..member(2) };
        assert_eq!(failed(&[idle], Some("stable")), ["every member was chosen"]);
        assert_eq!(failed(&[], Some("stable")).len(), 3);
        assert_eq!(failed(&good, None), ["no policy is in force, by getsockopt"]);
        let none = Member { policies: vec!["none".into()], ..member(1) };
        assert_eq!(failed(&[none], None), Vec::<String>::new());
        // Nobody answered: that is no answer, unless the kernel has none to give.
        assert_eq!(failed(&[Member::default()], None).len(), 1);
        assert!(judge("x", &[Member::default()], None, false).iter().all(|one| one.met));
    }

    #[test]
    fn a_line_a_server() {
        let text = text("telesteer", &[member(2), member(1)]);
        let line = "telesteer   s1  policy stable    1: weight 1, chosen      7";
        assert!(text.starts_with(line) && text.lines().count() == 1, "{text}");
    }
}
