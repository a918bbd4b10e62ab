// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Captures of real routers against what pmacct logged for them.
//!
//! The captures are nobody's to pass on, so these tests run only where `TELESTEER_CAPTURES` names
//! a folder with them (one folder a case: `traffic-NN.pcap`, `output-KIND-NN.json`) and say so
//! otherwise. Lines are compared as sets. Left out on both sides: sequence numbers, writer ids,
//! the daemon's own clock, and the address and port the test bed replayed the traffic from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use telesteer_wire::pmacct::{AtEnd, Custom, Key, Line, Lists, Origin, RdKey, Settings, Shaper};

/// Members that tell about the daemon or the test bed, not about the traffic.
const DAEMON: [&str; 4] = ["seq", "writer_id", "bmp_router_port", "telemetry_port"];

struct Case {
    folder: &'static str,
    captures: &'static [(&'static str, Option<&'static str>)],
    output: &'static str,
    keys: &'static str,
    settings: fn(&mut Settings),
    /// Members that come from maps in pmacct's configuration.
    without: &'static [&'static str],
}

const CUSTOM: &[&str] = &[
    "vrf_id_ingress=234:4:u_int",
    "vrf_id_egress=235:4:u_int",
    "mpls_tl_ipv4_address=47:4:ip",
    "mpls_tl_prefix_length=91:1:u_int",
    "mpls_tl_type=46:1:u_int",
];

/// The folder, or a reason on stderr.
fn captures() -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("TELESTEER_CAPTURES") else {
        eprintln!("skipped: TELESTEER_CAPTURES names no folder with router captures");
        return None;
    };
    Some(PathBuf::from(folder))
}

fn expected(path: &Path) -> Vec<Line> {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// How often each line occurs, reduced to what is compared.
fn reduced(lines: Vec<Line>, without: &[&str]) -> BTreeMap<String, usize> {
    let mut counted = BTreeMap::new();
    for mut line in lines {
        let daemons_clock = match line.get("event_type").and_then(Value::as_str) {
            Some("log_init" | "dump_init" | "dump_close" | "dump") => true,
            _ => {
                line.contains_key("telemetry_node")
                    || line.get("bmp_msg_type").is_some_and(|kind| kind == "internal")
            }
        };
        for name in DAEMON.iter().chain(without) {
            line.remove(*name);
        }
        if daemons_clock {
            line.remove("timestamp");
        }
        line.remove("dump_period");
        line.remove("telemetry_node_port");
        *counted.entry(Value::Object(line).to_string()).or_default() += 1;
    }
    counted
}

fn check(case: &Case) {
    let Some(root) = captures() else { return };
    let folder = root.join(case.folder);
    let customs: Vec<Custom> = CUSTOM.iter().map(|text| text.parse().unwrap()).collect();
    let mut settings =
        Settings { keys: Key::list(case.keys, &customs).unwrap(), ..Settings::default() };
    (case.settings)(&mut settings);
    let mut shaper = Shaper::new(settings);
    let mut lines = Vec::new();
    for (file, address) in case.captures {
        let origin = Origin {
            address: address.map(|address| address.parse().unwrap()),
            ..Origin::default()
        };
        let bytes = std::fs::read(folder.join(file)).unwrap();
        shaper.capture(&bytes, &origin, &mut |line| lines.push(line)).unwrap();
    }
    let counters = shaper.finish(&mut |line| lines.push(line));
    let without: Vec<&str> = case.without.iter().copied().chain(["label", "tag"]).collect();
    let ours = reduced(lines, &without);
    let theirs = reduced(expected(&folder.join(case.output)), &without);
    let missing: Vec<_> = theirs.iter().filter(|(line, _)| !ours.contains_key(*line)).collect();
    let extra: Vec<_> = ours.iter().filter(|(line, _)| !theirs.contains_key(*line)).collect();
    for (line, count) in missing.iter().take(3) {
        eprintln!("missing {count} x {line}");
    }
    for (line, count) in extra.iter().take(3) {
        eprintln!("extra   {count} x {line}");
    }
    eprintln!("{}: {} lines, {counters:?}", case.folder, ours.len());
    assert!(
        missing.is_empty() && extra.is_empty(),
        "{}: {} lines missing, {} too many",
        case.folder,
        missing.len(),
        extra.len()
    );
}

const V4: Option<&str> = Some("172.21.1.101");
const V6: Option<&str> = Some("fd25::101");

macro_rules! cases {
    ($($name:ident: $folder:literal, $captures:expr, $output:literal, $keys:expr, $settings:expr, $without:expr;)*) => {
        $(#[test]
        fn $name() {
            check(&Case {
                folder: $folder,
                captures: $captures,
                output: $output,
                keys: $keys,
                settings: $settings,
                without: $without,
            });
        })*
    };
}

const BASE: &str = "peer_src_ip,in_iface,out_iface,mpls_vpn_rd,src_host,dst_host,src_port,dst_port,\
tcpflags,fwd_status,mpls_label_stack,proto,tos";

fn joined(more: &str) -> &'static str {
    Box::leak(format!("{BASE},{more}").into_boxed_str())
}

/// The two maps of route distinguishers case 102 runs with.
fn rds_by_interface(settings: &mut Settings) {
    for (kind, interfaces) in [(0, [203, 188, 195, 196]), (2, [176, 177, 174, 179])] {
        for interface in interfaces {
            let rd = format!("{kind}:65000:{interface}");
            settings.rds.insert(RdKey::In(interface), rd.clone());
            settings.rds.insert(RdKey::Out(interface), rd);
        }
    }
}

fn rds_by_vrf(settings: &mut Settings) {
    let vrfs = [(41, 203), (48, 188), (46, 195), (39, 196), (42, 174)];
    for (vrf, number) in vrfs {
        settings.rds.insert(RdKey::Vrf(1_610_612_700 + vrf), format!("1:10.10.0.33:{number}"));
    }
}

cases! {
    ipfix_cisco: "100-IPFIXv10-CISCO", &[("traffic-00.pcap", V4)], "output-flow-00.json",
        joined("src_net,dst_net,src_mask,dst_mask"), |_| (), &[];
    v9_cisco_custom_primitives: "101-NFv9-CISCO-cust_primitives", &[("traffic-00.pcap", V4)],
        "output-flow-00.json",
        joined("mpls_tl_ipv4_address,mpls_tl_prefix_length,mpls_tl_type,timestamp_start,\
                timestamp_end,vrf_id_egress,vrf_id_ingress,vrf_name"),
        |s| s.whole_seconds = true, &[];
    v9_cisco_two_domains: "102-NFv9-CISCO-f2rd-pretag-sampling-reload",
        &[("traffic-00.pcap", V4)], "output-flow-00.json",
        joined("src_net,dst_net,src_mask,dst_mask,mpls_tl_ipv4_address,mpls_tl_prefix_length,\
                mpls_tl_type,timestamp_start,timestamp_end,vrf_id_egress,vrf_id_ingress,vrf_name"),
        |s| { s.whole_seconds = true; rds_by_interface(s); }, &[];
    v9_cisco_sampled_by_map: "102-NFv9-CISCO-f2rd-pretag-sampling-reload",
        &[("traffic-00.pcap", V4)], "output-flow-01.json",
        joined("src_net,dst_net,src_mask,dst_mask,mpls_tl_ipv4_address,mpls_tl_prefix_length,\
                mpls_tl_type,timestamp_start,timestamp_end,vrf_id_egress,vrf_id_ingress,vrf_name"),
        |s| {
            s.whole_seconds = true;
            s.renormalize = true;
            s.sampling = Some(1000);
            rds_by_vrf(s);
        }, &[];
    ipfix_sampling_option: "104-IPFIXv10-IPv6-CISCO-sampling_option",
        &[("traffic-00.pcap", V6)], "output-flow-00.json",
        joined("vrf_id_egress,vrf_id_ingress,vrf_name"), |s| s.renormalize = true, &[];
    several_exporters: "110-IPFIXv10-NFv9-multiple-sources",
        &[("traffic-00.pcap", V4), ("traffic-01.pcap", Some("172.21.1.102")),
          ("traffic-02.pcap", Some("172.21.1.103"))], "output-flow-00.json",
        joined("src_net,dst_net,src_mask,dst_mask,mpls_tl_ipv4_address,mpls_tl_prefix_length,\
                mpls_tl_type,vrf_id_egress,vrf_id_ingress,vrf_name"), |_| (), &[];
    both_address_families: "111-IPFIXv10-NFv9-IPv6-IPv4-mix_sources",
        &[("traffic-00.pcap", V4), ("traffic-01.pcap", V6)], "output-flow-00.json",
        joined("src_net,dst_net,src_mask,dst_mask,mpls_tl_ipv4_address,mpls_tl_prefix_length,\
                vrf_id_egress,vrf_id_ingress,vrf_name"), |_| (), &[];
    options_reassigned: "112-IPFIXv10-CISCO-options-map-reassignment",
        &[("traffic-00.pcap", V6)], "output-flow-00.json",
        joined("src_net,dst_net,src_mask,dst_mask,vrf_id_egress,vrf_id_ingress,ingress_vrf_name,\
                egress_vrf_name,in_iface_name,out_iface_name"), |_| (), &[];
    bmp_loc_rib: "200-BMP-HUAWEI-locrib_instance", &[("traffic-00.pcap", V4)],
        "output-bmp-00.json", "auto",
        |s| { s.at_end = AtEnd::Delete; s.pooled_next_hops = true; }, &[];
    bmp_rd_instance: "201-BMP-CISCO-rd_instance", &[("traffic-00.pcap", V4)],
        "output-bmp-00.json", "auto", |s| s.at_end = AtEnd::Delete, &[];
    bmp_several_routers: "202-BMP-CISCO-HUAWEI-multiple-sources",
        &[("traffic-00.pcap", V4), ("traffic-01.pcap", Some("172.21.1.102")),
          ("traffic-02.pcap", Some("172.21.1.103"))], "output-bmp-00.json", "auto",
        |s| s.lists = Lists::Text, &[];
    bmp_log: "203-BMP-HUAWEI-dump", &[("traffic-00.pcap", V4)], "output-bmp-00.json", "auto",
        |s| s.pooled_next_hops = true, &[];
    udp_notif: "800-YANG-telemetry-HUAWEI-udp-notif", &[("traffic-00.pcap", V4)],
        "output-device-00.json", "auto", |_| (), &[];
}

/// The dump's lines, without the log's.
#[test]
fn bmp_dump() {
    let Some(root) = captures() else { return };
    let folder = root.join("203-BMP-HUAWEI-dump");
    let settings = Settings { at_end: AtEnd::Dump, pooled_next_hops: true, ..Settings::default() };
    let mut shaper = Shaper::new(settings);
    let mut lines = Vec::new();
    let bytes = std::fs::read(folder.join("traffic-00.pcap")).unwrap();
    let origin = Origin { address: Some("172.21.1.101".parse().unwrap()), ..Origin::default() };
    shaper.capture(&bytes, &origin, &mut |line| lines.push(line)).unwrap();
    let is_dump = |line: &Line| line["event_type"].as_str().unwrap().starts_with("dump");
    let ours = reduced(lines.into_iter().filter(is_dump).collect(), &[]);
    let theirs = reduced(expected(&folder.join("output-bmp-dump-00.json")), &[]);
    for line in theirs.keys().filter(|line| !ours.contains_key(*line)).take(3) {
        eprintln!("missing {line}");
    }
    for line in ours.keys().filter(|line| !theirs.contains_key(*line)).take(3) {
        eprintln!("extra   {line}");
    }
    assert!(ours == theirs, "{} lines, expected {}", ours.len(), theirs.len());
}
