// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `telesteer decode` on the captures of the lab.

use assert_cmd::Command;
use serde_json::Value;

fn fixture(name: &str) -> String {
    format!("{}/../wire/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn decode(args: &[&str]) -> (Vec<Value>, i32, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_telesteer")).arg("decode").args(args).output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (lines, output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn flows_are_printed_in_the_collectors_format() {
    let (lines, code, talk) = decode(&[&fixture("softflowd-v9.pcap")]);
    assert_eq!(code, 0, "{talk}");
    assert!(!lines.is_empty());
    for line in &lines {
        assert_eq!((&line["type"], &line["version"]), (&"flow".into(), &9.into()));
        assert!(line["fields"].is_object() && line["template"].is_u64());
    }
}

#[test]
fn bmp_is_printed_with_its_stream_offsets() {
    let (lines, code, talk) = decode(&["--raw", &fixture("frr-bmp.pcap")]);
    assert_eq!(code, 0, "{talk}");
    let mut offset = 0;
    for line in &lines {
        assert_eq!(line["offset"], offset);
        let len = line["len"].as_u64().unwrap();
        assert_eq!(line["raw"].as_str().unwrap().len() as u64, 2 * len);
        offset += len;
    }
    assert_eq!(lines[0]["kind"], "initiation");
}

#[test]
fn several_captures_are_one_aggregate() {
    let (v9, ipfix) = (fixture("softflowd-v9.pcap"), fixture("softflowd-ipfix.pcap"));
    let bytes = |files: &[&str]| {
        let mut args = vec!["--aggregate", "proto"];
        args.extend(files);
        let (lines, code, talk) = decode(&args);
        assert_eq!(code, 0, "{talk}");
        lines.iter().map(|line| line["bytes"].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!(bytes(&[&v9, &ipfix]), bytes(&[&v9]) + bytes(&[&ipfix]));
}

#[test]
fn custom_primitives_members_and_exporters_are_printed() {
    let (lines, code, talk) = decode(&[
        "--aggregate",
        "peer_src_ip,proto,index",
        "--primitive",
        "index=10:4:u_int",
        "--set",
        "{\"label\":{\"site\":\"lab\"}}",
        "--exporter",
        "192.0.2.7",
        &fixture("softflowd-v9.pcap"),
    ]);
    assert_eq!(code, 0, "{talk}");
    let line = &lines[0];
    assert_eq!(line["label"]["site"], "lab");
    assert_eq!(line["peer_ip_src"], "192.0.2.7");
    assert!(line["custom_primitives"]["index"].is_string());
}

#[test]
fn what_cannot_be_used_is_said() {
    let (_, code, talk) = decode(&["--aggregate", "nonsense", &fixture("softflowd-v9.pcap")]);
    assert_eq!(code, 2);
    assert!(talk.contains("`nonsense` is not a primitive"), "{talk}");
    let (lines, code, talk) = decode(&[&fixture("README.md")]);
    assert_eq!((lines.len(), code), (0, 2));
    assert!(talk.contains("neither pcap nor pcapng"), "{talk}");
    let (_, code, _) = decode(&["/nonexistent.pcap"]);
    assert_eq!(code, 2);
}
