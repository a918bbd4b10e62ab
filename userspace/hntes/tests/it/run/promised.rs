// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Transfers that are announced to the loop, through its interface.

use super::bed::Bed;
use serde_json::Value;
use std::process::{Command, Output};

fn ticket(bed: &Bed, token: &str, args: &[&str]) -> Output {
    let server = bed.address().unwrap();
    Command::new(env!("CARGO_BIN_EXE_hntes"))
        .current_dir(bed.dir.path())
        .args(["ticket", "--json", "--server", &server])
        .args(args)
        .env("HNTES_TOKEN", token)
        .output()
        .unwrap()
}

fn told(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// 1. A ticket makes the routes and the circuit before a byte is sent.
/// 2. The loop is killed, and the next one still keeps what was promised.
/// 3. The ticket is cancelled: routes go, then the circuit.
#[test]
fn a_ticket_outlives_the_loop_that_took_it() {
    let bed = Bed::new();
    bed.configure("[http]\nlisten = '127.0.0.1:0'\ntokens = 'tokens'\n");
    let made = Command::new(env!("CARGO_BIN_EXE_hntes"))
        .current_dir(bed.dir.path())
        .args(["ticket", "token", "mover", "--file", "tokens"])
        .output()
        .unwrap();
    assert_eq!(made.status.code(), Some(0), "{}", String::from_utf8_lossy(&made.stderr));
    let token = String::from_utf8(made.stdout).unwrap();
    let token = token.trim();
    let mut child = bed.start(&[]);
    bed.until("the interface", || bed.address().is_some());
    let created = told(&ticket(
        &bed,
        token,
        &[
            "create",
            "--from",
            "10.1.0.1",
            "--to",
            "10.2.0.1",
            "--protocol",
            "tcp",
            "--source-ports",
            "4001",
            "--destination-ports",
            "5201",
            "--for",
            "1h",
        ],
    ));
    let id = created.to_string();
    assert!(id.contains("\"t1\""), "{id}");
    bed.until("redirection", || bed.is_redirected());
    child.kill().unwrap();
    child.wait().unwrap();

    bed.forget_address();
    let child = bed.start(&[]);
    bed.until("the interface", || bed.address().is_some());
    bed.until("the second loop", || bed.metric("hntes_dry_run") == Some(0) && bed.is_redirected());
    let cancelled = ticket(&bed, token, &["cancel", "t1"]);
    assert_eq!(cancelled.status.code(), Some(0));
    bed.until("the end", || bed.is_empty());
    bed.end(child);
    assert_eq!(bed.violations(), Vec::<String>::new());
    let audit = bed.audit();
    let told = audit.iter().filter(|line| line["what"] == "ticket" && line["subject"] == "t1");
    let told: Vec<&str> = told.filter_map(|line| line["reason"].as_str()).collect();
    assert_eq!(told, ["made by mover", "cancelled by mover"], "{}", bed.all());
}
