// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `hntes ticket` as it is run, against a server.

use crate::program::{said, stdout};
use crate::stage::{Stage, tokens, view};
use serde_json::Value;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

/// Runs it with these words; a token and a server come by the environment.
fn ticket(server: &str, token: &str, words: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hntes"));
    command.arg("ticket").args(words.split(' '));
    command.env("HNTES_SERVER", server).env("HNTES_TOKEN", token).output().unwrap()
}

const CREATE: &str = "create --from 192.0.2.10,192.0.2.11 --to 198.51.100.20 --protocol tcp --destination-ports 5001";

#[test]
fn a_ticket_from_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let (path, [alice, bob]) = tokens(dir.path());
    let (_stage, server) = Stage::serve(view(), Some(&path));
    let to = format!("http://{}", server.address());
    let json = |token: &str, words: &str| -> Value {
        serde_json::from_str(&stdout(ticket(&to, token, words))).unwrap()
    };
    let made =
        json(&alice, &format!("{CREATE} --start +10m --for 2h --rate 5 --note later --json"));
    assert_eq!((&made["id"], &made["state"]), (&"t1".into(), &"waiting".into()));
    assert_eq!((&made["rate_mbps"], &made["note"]), (&5.into(), &"later".into()));
    let at = |field: &str| made[field].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let length = at("end").duration_since(at("start")).as_millis();
    // The two were counted from two looks at the clock.
    assert!((7_199_000..=7_260_000).contains(&length), "{length}");
    let text = stdout(ticket(&to, &alice, &format!("{CREATE} --for 1h")));
    assert!(text.contains("192.0.2.10/32,192.0.2.11/32") && text.contains("t2"), "{text}");
    assert_eq!(json(&alice, "list --json")["tickets"].as_array().unwrap().len(), 2);
    assert_eq!(json(&bob, "list --json")["tickets"].as_array().unwrap().len(), 0);
    assert_eq!(json(&alice, "extend t1 --for 9h --json")["extended"], 1);
    assert_eq!(json(&alice, "show t1 --json")["extended"], 1);

    // One of the three is not there: the others are ended, and the exit says so.
    let output = ticket(&to, &alice, "cancel t1 t9 t2");
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("t9 is no ticket of yours"), "{}", said(&output));
    assert_eq!(json(&alice, "list --json")["tickets"].as_array().unwrap().len(), 0);
    let all = stdout(ticket(&to, &alice, "list --finished"));
    assert_eq!(all.matches("cancelled").count(), 2, "{all}");

    // A token from a file goes before the environment's.
    let file = dir.path().join("token");
    fs::write(&file, format!("{bob}\n")).unwrap();
    let words = format!("{CREATE} --for 1h --json --token-file {}", file.display());
    assert_eq!(json(&alice, &words)["holder"], "bob");
}

#[test]
fn exits_tell_a_refusal_from_no_answer() {
    let dir = tempfile::tempdir().unwrap();
    let (path, [alice, _]) = tokens(dir.path());
    let (_stage, server) = Stage::serve(view(), Some(&path));
    let to = format!("http://{}", server.address());
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gone = format!("http://{free}");
    for (server, token, words, code, text) in [
        (&to, "wrong", "list", 1, "401"),
        (&to, &alice, "show t9", 1, "unknown_ticket"),
        (
            &to,
            &alice,
            "create --from 192.0.0.0/16 --to 198.51.100.1 --for 1h",
            1,
            "/24 is the widest",
        ),
        (&to, &alice, "create --from 192.0.2.1 --to 198.51.100.1 --for 9999h", 1, "too_long"),
        (&to, &alice, "create --from 192.0.2.1 --to 198.51.100.1", 2, "--end"),
        (&to, &alice, "create --from 192.0.2.1 --to 198.51.100.1 --for -1h", 2, "--for"),
        (&to, &alice, "create --from 192.0.2.1 --to 198.51.100.1 --end tomorrow", 2, "tomorrow"),
        (&to, &alice, "show 9", 2, "`9` is not a ticket"),
        (&to, "", "list", 2, "HNTES_TOKEN"),
        (&to, "a b", "list", 2, "odd characters"),
        (&to, &alice, "list --token-file /nowhere/token", 2, "/nowhere/token"),
        (&gone, &alice, "list", 2, gone.as_str()),
        (&to, &alice, "list --server https://127.0.0.1", 2, "only http"),
    ] {
        let output = ticket(server, token, words);
        assert_eq!(output.status.code(), Some(code), "{words}: {}", said(&output));
        assert!(said(&output).contains(text), "{words}: {}", said(&output));
        assert!(output.stdout.is_empty(), "{words}");
    }
}

/// A token that was made lets its holder in, and the file has only its hash.
#[test]
fn a_token_is_made_for_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokens");
    let make = |words: &str| ticket("", "", &format!("token {words}"));
    let with_file = |name: &str| stdout(make(&format!("{name} --file {}", path.display())));
    let one = with_file("mover").trim_end().to_owned();
    let two = with_file("mover").trim_end().to_owned();
    assert!(one != two && one.starts_with("hntes_") && one.len() == 70, "{one}");
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 2);
    assert!(!text.contains(&one) && !text.contains("hntes_"), "{text}");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let (_stage, server) = Stage::serve(view(), Some(&path));
    let to = format!("http://{}", server.address());
    for token in [&one, &two] {
        assert!(ticket(&to, token, "list").status.success());
    }
    let alone = make("mover");
    let (token, line) = (String::from_utf8_lossy(&alone.stdout).into_owned(), said(&alone));
    assert!(token.starts_with("hntes_") && line.contains("\nmover "), "{line}");
    assert_eq!(make("a+b").status.code(), Some(2));
    fs::write(&path, "nonsense\n").unwrap();
    let output = make(&format!("mover --file {}", path.display()));
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("line 1"), "{}", said(&output));
}

/// Every example of the help is a command that the program takes.
#[test]
fn the_help_teaches() {
    let help = stdout(ticket("", "", "--help"));
    let (_, examples) = help.split_once("\nExamples:\n").unwrap_or_else(|| panic!("{help}"));
    let mut seen = 0;
    for line in examples.lines().take_while(|line| line.starts_with("  ")) {
        let Some(words) = line.trim().strip_prefix("hntes ticket ") else { continue };
        let words = words.split("   ").next().unwrap().trim();
        // Nobody listens there: what is not understood would be said before.
        let output = match words.split(' ').next() {
            Some("token") => ticket("", "", "token mover"),
            _ => ticket("http://127.0.0.1:1", "t", words),
        };
        let understood = !said(&output).contains("Usage:");
        assert!(understood, "{words}: {}", said(&output));
        seen += 1;
    }
    assert!(seen >= 5, "{help}");
    for code in ["0 done", "1 the server refused", "2 could not"] {
        assert!(help.contains(code), "{help}");
    }
}
