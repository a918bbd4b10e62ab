// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Every switch in each of its other positions, and some together.

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use telesteer_fam::{Prefix, Width};

/// What switches are about in a workload.
pub(crate) struct Setting {
    h: u64,
    edges: [String; 2],
    egress: PathBuf,
    doors: PathBuf,
    capacities: PathBuf,
}

impl Setting {
    /// Of CSV lines; lists of egress routers, data doors and capacities are made of their addresses.
    pub(crate) fn new(h: u64, edges: [&str; 2], lines: &[String], dir: &Path) -> Self {
        let addrs = |at: usize| -> BTreeSet<IpAddr> {
            lines.iter().map(|line| line.split(',').nth(at).unwrap().parse().unwrap()).collect()
        };
        // A third by host, a third by network, the rest not at all; hosts within networks too.
        let prefixes = |at: usize| -> BTreeSet<Prefix> {
            let width = |number: usize| [Some(Width::HOST), Some(Width::NET), None][number % 3];
            let all = addrs(at).into_iter().enumerate();
            all.filter_map(|(number, addr)| Some(Prefix::of(addr, width(number)?))).collect()
        };
        let (mut egress, mut doors) = (String::from("# by destination\n"), String::new());
        for (number, prefix) in prefixes(4).into_iter().enumerate() {
            writeln!(egress, "{prefix} 192.0.2.{} # {number}", number % 5).unwrap();
            let ports = ["", "2811", "443,50000", "50001,1"][number % 4];
            writeln!(doors, "{prefix} sink{number} {ports}").unwrap();
        }
        for (number, prefix) in prefixes(3).into_iter().enumerate().skip(1) {
            writeln!(doors, "{prefix} source{number}").unwrap();
        }
        doors.push_str("203.0.113.0/24 nobody\n");
        let setting = Self {
            h,
            edges: edges.map(str::to_owned),
            egress: dir.join("egress.list"),
            doors: dir.join("doors.list"),
            capacities: dir.join("capacities.list"),
        };
        fs::write(&setting.capacities, capacities(h, lines)).unwrap();
        fs::write(&setting.egress, egress).unwrap();
        fs::write(&setting.doors, doors).unwrap();
        setting
    }
}

/// Of every other LSP, and of one that nobody has.
fn capacities(h: u64, lines: &[String]) -> String {
    let lsp = |line: &String| {
        let field: Vec<&str> = line.split(',').collect();
        let egress = match (field[10], field[9]) {
            ("", "0") => "unknown".to_owned(),
            ("", interface) => format!("if{interface}"),
            (hop, _) => hop.to_owned(),
        };
        format!("{} {egress}", field[0])
    };
    let all: BTreeSet<String> = lines.iter().map(lsp).collect();
    let mut text = String::from("203.0.113.1 203.0.113.2 2.5M # idle\n");
    for (number, lsp) in all.into_iter().enumerate().filter(|(number, _)| number % 2 == 0) {
        let bps = [h / 100 + 1, h / 7 + 1, h * 3][number / 2 % 3];
        writeln!(text, "{lsp} {bps}").unwrap();
    }
    text
}

/// The sets. Whatever they say nothing of is as by default, but for H.
pub(crate) fn switches(of: &Setting) -> Vec<Value> {
    let Setting { h, edges, egress, doors, capacities } = of;
    let routers = edges.each_ref().map(|edge| edge.split('/').next().unwrap());
    let mut sets = vec![
        json!({}),
        json!({"h": h * 7 / 10}),
        json!({"t": 20}),
        json!({"t": 7.25, "detector": "window"}),
        json!({"grace": 30}),
        json!({"grace": 30, "detector": "window"}),
        json!({"detector": "window"}),
        json!({"detector": "window", "duplicates": "each"}),
        json!({"detector": "window", "suspect_buckets": 5, "suspect_reports": 9}),
        json!({"detector": "window", "long_report": "whole"}),
        json!({"threshold": "reaches"}),
        json!({"long_report": "whole"}),
        json!({"hourly": true}),
        json!({"zone": "+02:00"}),
        json!({"zone": "-05:30"}),
        // The clock is changed on 7 May 2011 at 02:00 UTC, an hour before its midnight.
        json!({"zone": "AAA3BBB,M5.1.5/23,M10.2.6"}),
        json!({"zone": "AAA3BBB,M5.1.5/23,M10.2.6", "hourly": true, "tables": ["lsp_months"]}),
        json!({"gap": "under"}),
        json!({"gap": "one-more"}),
        json!({"mean": "of-days"}),
        json!({"warm_up": 5}),
        json!({"warm_up": 5, "mean": "of-days"}),
        json!({"bytes": "whole-flows"}),
        json!({"refresh": "any-traffic"}),
        json!({"refresh": "any-traffic", "gap": "under"}),
        json!({"credit": "same-day"}),
        json!({"credit": "same-day", "bytes": "whole-flows"}),
        json!({"directions": "both"}),
        json!({"directions": "both", "gap": "under", "refresh": "any-traffic"}),
        json!({"directions": "both", "credit": "same-day", "detector": "window"}),
        json!({"directions": "both", "duplicates": "each", "egress": egress}),
        json!({"duplicates": "each"}),
        json!({"exporter": routers[0]}),
        json!({"exporter": "203.0.113.9"}),
        json!({"ingress": edges}),
        json!({"egress": egress}),
        json!({"egress": egress, "egress_from": "table"}),
        json!({"egress_from": "table"}),
        json!({"doors": doors}),
        json!({"doors": doors, "detector": "window", "duplicates": "each"}),
        json!({"assume_sampling": ["3"]}),
        json!({"assume_sampling": ["2", format!("{}=5", routers[0])], "detector": "window"}),
        json!({"assume_exporter": routers[1]}),
        json!({"assume_exporter": routers[1], "assume_sampling": [format!("{}=4", routers[1])]}),
        json!({"assume_exporter": "203.0.113.9", "exporter": "203.0.113.9"}),
        json!({"far": "0"}),
        json!({"far": "1"}),
        json!({"far": "never"}),
        json!({"all_flows": true}),
        json!({"all_flows": true, "duplicates": "each", "deviations": 1}),
        json!({"all_flows": true, "elephant": h, "cheetah": h / 7, "tortoise": 30, "porcupine": 2}),
        json!({"adjacent": 45}),
        json!({"utilisation_bin": 300, "capacity": h / 10}),
        json!({"utilisation_bin": 7.5, "capacity": h / 110}),
        json!({"capacities": capacities}),
        json!({"capacities": capacities, "capacity": h / 10, "directions": "both"}),
        json!({"aging": ["0", "1", "2", "3", "59"]}),
    ];
    // On 8 May 2011 at 03:00 UTC, which is its midnight, summer time ended there.
    if Path::new("/usr/share/zoneinfo/America/Santiago").exists() {
        sets.push(json!({"zone": "America/Santiago"}));
    } else {
        println!("the zone by name is left out: this system has no zone files");
    }
    for set in &mut sets {
        set.as_object_mut().unwrap().entry("h").or_insert((*h).into());
    }
    sets
}
