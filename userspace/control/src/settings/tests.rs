// SPDX-License-Identifier: Apache-2.0 OR MIT

use super::*;

/// A configuration that makes sense.
pub(crate) const GOOD: &str = r#"[store]
dir = "/var/lib/hntes"

[collector]
source = "records"
path = "flow.jsonl"

[offline]
tables = "tables"

[circuits]
provider = "file"
file = "circuits.json"

[paths.forth]
from = "r1"
to = "r2"
mark = 101
table = 101

[paths.back]
from = "r2"
to = "r1"
mark = 101
table = 101

[routers.r1]
device = "nft"
addresses = ["10.255.0.1"]
prefixes = ["10.1.0.0/16"]

[routers.r2]
device = "file"
file = "r2.rules"
prefixes = ["10.2.0.0/16"]
"#;

#[test]
fn defaults_work() {
    let settings = Settings::parse("run.toml", GOOD).unwrap();
    let collector = settings.collector.as_ref().unwrap();
    assert_eq!(collector.setting(), telesteer_online::Setting::default());
    assert_eq!(collector.name(), "records flow.jsonl");
    assert_eq!(settings.rate(), Rate::Unlimited);
    let of = settings.conductor(7);
    assert_eq!((of.age, of.doubt, of.seed), (60 * SECOND, 150 * SECOND, 7));
    assert!(of.offline_routes && of.offline_circuits);
    assert_eq!(settings.network().unwrap().router("10.255.0.1"), Some("r1"));
}

#[test]
fn a_bad_file_says_where() {
    let said = |from: &str, to: &str| {
        let text = GOOD.replacen(from, to, 1);
        assert_ne!(text, GOOD);
        Settings::parse("run.toml", &text).unwrap_err().to_string()
    };
    let starts = |from: &str, to: &str, start: &str| {
        let said = said(from, to);
        assert!(said.starts_with(start), "{said}");
    };
    starts("[store]", "[stoer]", "run.toml:1: syntax: ");
    starts("mark = 101", "mark = 'x'", "run.toml:18: syntax: ");
    starts("device = \"nft\"", "device = \"nfs\"", "run.toml:28: syntax: unknown variant");
    starts("mark = 101", "mark = 0", "run.toml:15: paths.forth: ");
    starts("to = \"r2\"", "to = \"r9\"", "run.toml:17: paths.forth.to: no router `r9`");
    starts("device = \"nft\"", "device = \"frr\"", "run.toml:27: routers.r1.frr: missing");
    starts("file = \"circuits.json\"", "", "run.toml:11: circuits.file: missing");
    starts("path = \"flow.jsonl\"", "", "run.toml:4: collector.path: missing");
    starts("path = ", "t-s = -1\npath = ", "run.toml:6: collector.t-s: not a number");
    starts("tables = ", "at = '25:00'\ntables = ", "run.toml:9: offline.at: ");
    starts("tables = ", "zone = 'Nowhere/Land'\ntables = ", "run.toml:9: offline.zone: ");
    starts("10.2.0.0/16", "10.1.0.0/16", "run.toml:32: routers.r2: ");
    starts("[routers.r1]", "[routers.'r 1']", "run.toml:");
    let timed = "[routers.r1.openflow]\nbridge = 'br0'\negress = {}\nidle-timeout-s = 20\n\n";
    let net = "[online]\nreach = 'net'\n\n";
    let r1 = "[routers.r1]";
    starts(r1, &format!("{net}{timed}{r1}"), "run.toml:30: routers.r1.openflow: only 5-tuples");
    Settings::parse("run.toml", &GOOD.replacen(r1, &format!("{timed}{r1}"), 1)).unwrap();
    let junos = "[routers.r1.junos]\ncommand = ['x']\nanswer-s = 0.5\ninstances = {}\n\n";
    starts(r1, &format!("{junos}{r1}"), "run.toml:29: routers.r1.junos.answer-s: not between");
    let gated = said("[offline]\ntables = \"tables\"", "[online]\ngated = true");
    assert!(gated.starts_with("run.toml:9: online.gated: "), "{gated}");
    let online = |keys: &str| said("[offline]", &format!("[online]\n{keys}\n[offline]"));
    let doubt = online("doubt-s = 59");
    assert!(doubt.starts_with("run.toml:9: online.doubt-s: 59 is less than coll"), "{doubt}");
    let doubt = online("doubt-s = 65");
    assert!(doubt.contains("collector.idle-s, 70"), "{doubt}");
}

#[test]
fn doubt_lasts_as_long_as_a_new_detector_needs() {
    let of = |path: &str| {
        let text = GOOD.replacen("path = ", path, 1);
        Settings::parse("run.toml", &text).unwrap().conductor(0).doubt
    };
    assert_eq!(of("t-s = 300\npath = "), (300 + 310) * SECOND);
    assert_eq!(of("t-s = 30\npath = "), 150 * SECOND);
}

/// FRR forgets ports: what is found online would fail there, each for itself.
#[test]
fn flows_are_not_for_routers_without_ports() {
    let frr =
        "device = \"frr\"\nfrr = { map = 'm', interfaces = ['eth0'], vrfs = { forth = 'v' } }";
    let text = GOOD.replacen("device = \"nft\"", frr, 1);
    let said = Settings::parse("run.toml", &text).unwrap_err().to_string();
    assert!(said.contains("online.reach: flow, but r1 is of device frr"), "{said}");
    let wide = text.replacen("[offline]", "[online]\nreach = 'host'\n[offline]", 1);
    assert!(Settings::parse("run.toml", &wide).is_ok());
    let blind = text.replacen("source = \"records\"\npath = \"flow.jsonl\"", "", 1);
    let blind = blind.replacen("[collector]", "", 1);
    assert!(Settings::parse("run.toml", &blind).is_ok());
}
