// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The maps of two servers beside each other: exporters whose server leaves reach the other one, and
//! there the instance with the same number, or another.

use crate::anycast::timeline::{Timeline, Window};
use crate::claims::Claim;
use crate::error::Result;
use crate::outputs::{self, Read};
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

/// One short phase.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Maps {
    /// Name of the phase.
    pub name: String,
    /// Flows heard before a server left and while it was away.
    pub flows: u64,
    /// Of these: on another server while it was away.
    pub crossed: u64,
    /// Of these: on the instance with the same number.
    pub same_instance: u64,
    /// Who received each flow before, as `server * 100 + instance`.
    #[serde(skip)]
    pub map: BTreeMap<Flow, u64>,
}

/// Exporter, its port, the collectors' port.
pub type Flow = (IpAddr, u16, u16);

/// Reads the phase in `folder`.
pub fn account(name: &str, folder: &Path) -> Result<Maps> {
    let timeline = Timeline::read(&folder.join("timeline.jsonl"))?;
    let mut last: BTreeMap<Flow, [Option<(i64, u64)>; 3]> = BTreeMap::new();
    let mut read = Read::default();
    for file in outputs::files(&folder.join("out"))? {
        outputs::read(&file, &mut read, |line| {
            let ts = line.ts_us();
            if let (true, Some(exporter), Some(window)) =
                (line.kind == "datagram", line.exporter(), timeline.window(ts))
            {
                let flow = (exporter, line.port, line.local_port);
                let entry = &mut last.entry(flow).or_default()[window as usize];
                *entry = (*entry).max(Some((ts, line.instance)));
            }
        })?;
    }
    let mut maps = Maps { name: name.to_string(), ..Maps::default() };
    for (flow, windows) in last {
        let [before, without] = [Window::Before, Window::Without]
            .map(|window| windows[window as usize].map(|(_, member)| member));
        maps.map.extend(before.map(|member| (flow, member)));
        let (Some(before), Some(without)) = (before, without) else { continue };
        maps.flows += 1;
        if before / 100 != without / 100 {
            maps.crossed += 1;
            maps.same_instance += u64::from(before % 100 == without % 100);
        }
    }
    Ok(maps)
}

/// Flows of both phases whose instance differs, and those compared.
pub fn differ(one: &Maps, other: &Maps) -> (u64, u64) {
    // The same exporter has another port in another phase.
    let by_exporter = |maps: &Maps| -> BTreeMap<(IpAddr, u16), u64> {
        maps.map.iter().map(|((ip, _, to), member)| ((*ip, *to), member % 100)).collect()
    };
    let (one, other) = (by_exporter(one), by_exporter(other));
    let both = one.iter().filter_map(|(key, member)| Some((member, other.get(key)?)));
    both.fold((0, 0), |(differ, all), (a, b)| (differ + u64::from(a != b), all + 1))
}

/// What the two phases must show: that the map is one, and that the policy made it so.
pub fn judge(maps: &[Maps]) -> Vec<Claim> {
    let mut claims = Vec::new();
    let mut put = |phase: &str, claim: &str, met: bool, found: String| {
        claims.push(Claim { phase: phase.to_string(), claim: claim.to_string(), met, found });
    };
    let find = |name: &str| maps.iter().find(|one| one.name == name);
    let (with, without) = (find("one-map"), find("unloaded"));
    for (name, found) in [("one-map", with), ("unloaded", without)] {
        let ran = found.is_some_and(|maps| maps.crossed > 0);
        let crossed = found.map_or(0, |maps| maps.crossed);
        put(name, "exporters change servers", ran, crossed.to_string());
    }
    let same = |maps: &Maps| format!("{} of {}", maps.same_instance, maps.crossed);
    if let Some(maps) = with {
        let equal = maps.same_instance == maps.crossed;
        put("one-map", "both servers have the same exporter to instance map", equal, same(maps));
    }
    if let Some(maps) = without {
        let differ = maps.same_instance < maps.crossed;
        put("unloaded", "without the policy they do not", differ, same(maps));
    }
    if let (Some(with), Some(without)) = (with, without) {
        let (different, all) = differ(with, without);
        let found = format!("{different} of {all} elsewhere");
        put("unloaded", "the run without the policy differs", different > 0, found);
    }
    claims
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three exporters; the first two cross from server 1 to server 2.
    fn played(name: &str, heirs: [u64; 3]) -> Maps {
        let folder = tempfile::tempdir().unwrap();
        let events = ["steady", "withdraw_start", "withdrawn", "return_start", "returned", "stop"];
        let events: Vec<String> = (1..)
            .zip(events)
            .map(|(s, event)| format!(r#"{{"ts_us":{}0000000,"event":"{event}"}}"#, s))
            .collect();
        std::fs::write(folder.path().join("timeline.jsonl"), events.join("\n")).unwrap();
        for server in 1..=2u64 {
            std::fs::create_dir_all(folder.path().join(format!("out/s{server}"))).unwrap();
        }
        let line = |host: usize, ts: u64, member: u64| {
            let instance = member % 100;
            let text = format!(
                r#"{{"type":"datagram","instance":{instance},"ts":{ts}.5,"exporter":"10.8.0.{host}","port":5,"local_port":4739}}"#
            );
            let file = format!("out/s{}/journal-{instance}-{host}-{ts}.jsonl", member / 100);
            std::fs::write(folder.path().join(file), text + "\n").unwrap();
        };
        for (host, (owner, heir)) in (1..).zip([101, 102, 203].into_iter().zip(heirs)) {
            line(host, 15, owner);
            line(host, 35, heir);
        }
        account(name, folder.path()).unwrap()
    }

    fn failed(maps: &[Maps]) -> Vec<String> {
        judge(maps).into_iter().filter(|one| !one.met).map(|one| one.claim).collect()
    }

    #[test]
    fn the_number_of_the_instance_counts_not_the_server() {
        let maps = played("one-map", [201, 202, 203]);
        assert_eq!((maps.flows, maps.crossed, maps.same_instance), (3, 2, 2));
        assert_eq!(played("one-map", [201, 203, 203]).same_instance, 1);
    }

    #[test]
    fn each_claim_can_fail() {
        let (with, mut without) =
            (played("one-map", [201, 202, 203]), played("unloaded", [201, 203, 203]));
        let same = failed(&[with.clone(), without.clone()]);
        assert_eq!(same, ["the run without the policy differs"]);
        without.map.values_mut().for_each(|member| *member += 1);
        assert_eq!(failed(&[with.clone(), without.clone()]), Vec::<String>::new());
        let broken = played("one-map", [201, 203, 203]);
        let claim = "both servers have the same exporter to instance map";
        assert_eq!(failed(&[broken, without.clone()]), [claim]);
        let idle = Maps { name: "unloaded".into(), map: without.map, ..with.clone() };
        assert_eq!(failed(&[with.clone(), idle]), ["without the policy they do not"]);
        assert_eq!(failed(&[with]), ["exporters change servers"]);
    }
}
