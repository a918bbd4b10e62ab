// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is emitted for the control side.

use crate::program::{fam, fresh_seed, generate, hntes, stdout};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;

/// Tables of two days that follow each other: the second's diff leads from one to the other.
#[test]
fn emitted_tables_follow_from_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let (files, _) = generate("slides", fresh_seed(), dir.path());
    let out = dir.path().join("out");
    let emit = |day: &str| -> Value {
        let args = ["fam", "--alpha-only", "--emit-day", day, "--emit"];
        let args = args.map(std::ffi::OsStr::new).into_iter().chain([out.as_os_str()]);
        stdout(hntes(args.chain(files.iter().map(|path| path.as_os_str()))));
        serde_json::from_slice(&fs::read(out.join(format!("pbr-{day}.json"))).unwrap()).unwrap()
    };
    let keys = |table: &Value| -> BTreeSet<String> {
        let key = |entry: &Value| format!("{} {}", entry["src"], entry["dst"]);
        table.as_array().unwrap().iter().map(key).collect()
    };
    // Find a day with changes; in the first month hardly one is without.
    let (before, after) = (emit("2011-05-20"), emit("2011-05-21"));
    let mut table = keys(&before["entries"]);
    let change = &after["diff"]["entries"];
    table.retain(|key| !keys(&change["removed"]).contains(key));
    table.extend(keys(&change["added"]));
    assert_eq!(table, keys(&after["entries"]));
    assert!(keys(&change["added"]).is_disjoint(&keys(&before["entries"])));
    assert_eq!(after["diff"]["since"], "2011-05-20");
    assert_eq!((&after["version"], &after["both_directions"]), (&json!(1), &json!(true)));
    assert!(!table.is_empty());
    let entry = &after["entries"][0];
    assert!(entry["lsps"].as_array().unwrap().iter().all(|lsp| lsp["ingress"] == "10.0.0.1"));

    // The table that is in force after the last day, and its size.
    let last = emit("2011-12-01");
    let tables = fam(&files, &["--alpha-only".into()]);
    let sizes = tables["table_days"].as_array().unwrap();
    let of = |day: &str| {
        let same =
            |row: &&Value| row["width"] == "/24" && row["aging"] == "30" && row["day"] == day;
        sizes.iter().find(same).unwrap()["size"].as_u64().unwrap() as usize
    };
    assert_eq!(keys(&before["entries"]).len(), of("2011-05-20"));
    assert_eq!(keys(&after["entries"]).len(), of("2011-05-21"));
    assert!(keys(&last["entries"]).len() >= 40);
}
