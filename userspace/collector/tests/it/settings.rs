// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a person at the command line sees.

use assert_cmd::Command;

use crate::collector::Collector;

fn telesteer() -> Command {
    Command::new(env!("CARGO_BIN_EXE_telesteer"))
}

fn refused(args: &[&str]) -> String {
    let output = telesteer().arg("collect").args(args).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_wrong_key_is_named_with_file_and_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("wrong.toml");
    std::fs::write(&path, "instance = 1\n\nbmp-prot = 1790\n").unwrap();
    let said = refused(&["--config", path.to_str().unwrap()]);
    for part in ["wrong.toml", "line 3", "bmp-prot", "bmp-port"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    std::fs::write(&path, "[limits]\nbmp-message = \"long\"\n").unwrap();
    let said = refused(&["--config", path.to_str().unwrap()]);
    assert!(said.contains("line 2") && said.contains("bmp-message"), "{said}");
    let said = refused(&["--config", "/does/not/exist.toml"]);
    assert!(said.contains("/does/not/exist.toml") && said.contains("No such file"), "{said}");
}

#[test]
fn values_that_do_not_go_together_are_named() {
    let said = refused(&["--ipfix-port", "2055"]);
    assert!(said.contains("ipfix-port: UDP port 2055 is also netflow-port"), "{said}");
    let said = refused(&["--steering", "bpf-modulo"]);
    assert!(said.contains("bpf-pin"), "{said}");
    let said = refused(&["--policy-key", "daddr"]);
    assert!(said.contains("daddr"), "{said}");
}

#[test]
fn an_address_that_is_not_ours_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().to_str().unwrap();
    let said = refused(&["--listen", "192.0.2.77", "--out", out]);
    assert!(said.contains("ipfix on 192.0.2.77:4739"), "{said}");
}

/// On a stock kernel: one line says what it lacks, and everything else works.
#[test]
fn a_stock_kernel_is_told_in_one_line() {
    let features = telesteer_sys::features::probe().unwrap();
    let mut collector = Collector::start(&[]);
    let said = collector.stderr();
    let lacks =
        said.lines().filter(|line| line.starts_with("telesteer: this kernel lacks ")).count();
    assert_eq!(lacks, usize::from(!features.missing().is_empty()), "{said}");
    if !features.policy {
        assert!(said.contains("SO_REUSEPORT_POLICY"), "{said}");
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().to_str().unwrap();
        let insisting = refused(&["--steering", "policy", "--out", out]);
        assert!(insisting.contains("this kernel has no SO_REUSEPORT_POLICY"), "{insisting}");
    }
    assert_eq!(collector.terminate(), Some(0));
}

#[test]
fn metrics_and_status_are_served_and_nothing_else() {
    let collector = Collector::start(&[]);
    let metrics = collector.get("/metrics");
    assert!(metrics.contains("# TYPE telesteer_datagrams_total counter\n"));
    assert!(metrics.contains("telesteer_socket_queue_bytes{service=\"ipfix\""));
    let status: serde_json::Value = serde_json::from_str(&collector.get("/status")).unwrap();
    assert_eq!(status["instance"], 1);
    assert_eq!(status["sockets"].as_array().unwrap().len(), 4);
}

#[test]
fn dedup_reports_and_tells_by_its_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let line = |offset: u64| {
        format!("{{\"type\":\"bmp\",\"session\":\"s\",\"offset\":{offset},\"len\":10}}\n")
    };
    let (whole, gap) = (dir.path().join("a"), dir.path().join("b"));
    std::fs::write(&whole, line(0) + &line(10) + &line(0)).unwrap();
    std::fs::write(&gap, line(30)).unwrap();
    let output = telesteer().arg("dedup").arg("--json").arg(&whole).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), line(0) + &line(10));
    let report: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!((&report["kept"], &report["dropped"]), (&2.into(), &1.into()));
    let output = telesteer().arg("dedup").args([&whole, &gap]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("gaps                 1, 10 bytes"));
    telesteer().args(["dedup", "/does/not/exist"]).assert().code(2);
}
