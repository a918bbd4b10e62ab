// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a newcomer reads first.

use crate::program::{hntes, stdout};
use std::collections::BTreeSet;

const VERBS: [&str; 7] = ["generate", "fam", "report", "online", "run", "ticket", "anonymise"];
/// Verbs of `ticket`.
const OF_TICKET: [&str; 6] = ["create", "show", "list", "extend", "cancel", "token"];

fn help(verb: Option<&str>) -> String {
    stdout(hntes(verb.into_iter().chain(["--help"])))
}

/// Names of options that begin lines, as a verb's help lists them.
fn listed(help: &str) -> BTreeSet<String> {
    let lines = help.lines().map(str::trim_start);
    let lines = lines.map(|line| line.strip_prefix("-h, ").unwrap_or(line));
    let names = lines.filter(|line| line.starts_with("--"));
    names.map(|line| line.split([' ', '=', ',']).next().unwrap().to_owned()).collect()
}

/// Options of a verb, and of its own verbs.
fn options(verb: &str) -> BTreeSet<String> {
    let of = OF_TICKET.iter().filter(|_| verb == "ticket");
    let of = of.flat_map(|one| listed(&stdout(hntes([verb, *one, "--help"]))));
    listed(&help(Some(verb))).into_iter().chain(of).collect()
}

/// 1. Every help has examples and says what exit codes mean; the program's names every verb.
/// 2. An example has no option that its verb does not have.
/// 3. What takes a value says of what kind, in more than the option's own name.
#[test]
fn help_helps() {
    let top = help(None);
    for verb in VERBS {
        assert!(top.contains(&format!("\n  {verb} ")), "{verb}: {top}");
    }
    for text in VERBS.iter().map(|verb| help(Some(*verb))).chain([top]) {
        let (_, rest) = text.split_once("\nExamples:\n").unwrap_or_else(|| panic!("{text}"));
        let (lines, exit) = rest.split_once("Exit: ").unwrap_or_else(|| panic!("{text}"));
        for code in ["0 ", "1 ", "2 could not"] {
            assert!(exit.contains(code), "{code}: {text}");
        }
        let mut examples = 0;
        for line in lines.lines().filter(|line| line.starts_with("  ")) {
            // What follows after some blanks is said about it.
            let line = line.trim().split("   ").next().unwrap();
            for command in line.split(['&', '|']) {
                let Some(command) = command.trim().strip_prefix("hntes ") else { continue };
                let verb = VERBS.iter().find(|verb| command.starts_with(**verb));
                let verb = verb.unwrap_or_else(|| panic!("{line}"));
                examples += 1;
                let known = options(verb);
                let named = command.split_whitespace().filter(|word| word.starts_with("--"));
                for option in named {
                    assert!(known.contains(option), "{verb} has no {option}: {line}");
                }
            }
        }
        assert!(examples >= 3, "{text}");
    }
    let fam = help(Some("fam"));
    for (option, value) in [
        ("--h", "<BYTES>"),
        ("--t", "<SECONDS>"),
        ("--grace", "<SECONDS>"),
        ("--adjacent", "<SECONDS>"),
        ("--utilisation-bin", "<SECONDS>"),
        ("--warm-up", "<INTERVALS>"),
        ("--aging", "<AGE>"),
        ("--capacity", "<BPS>"),
        ("--memory", "<SIZE>"),
        ("--exporter", "<ADDR>"),
    ] {
        assert!(fam.contains(&format!("{option} {value}")), "{option}: {fam}");
    }
    for word in
        ["Units:", "10^9", "docs/inputs.md", "telesteer collect --parquet", "standard input"]
    {
        assert!(fam.contains(word), "{word}: {fam}");
    }
}
