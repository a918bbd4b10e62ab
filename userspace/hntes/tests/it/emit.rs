// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is emitted for the control side.

use crate::brute::brute;
use crate::program::{fresh_seed, generate, hntes, said, stdout};
use crate::workload;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Emits a day's table and returns it.
fn emit(files: &[PathBuf], day: &str, args: &[&str], out: &Path) -> Value {
    let head = ["fam", "--alpha-only", "--emit-day", day];
    let args = head
        .iter()
        .chain(args)
        .map(Into::into)
        .chain(["--emit".into(), out.as_os_str().to_owned()]);
    let files = files.iter().map(|path| path.as_os_str().to_owned());
    stdout(hntes(args.chain(files)));
    serde_json::from_slice(&fs::read(file_of(out, day)).unwrap()).unwrap()
}

fn file_of(out: &Path, day: &str) -> PathBuf {
    out.join(format!("pbr-{day}.json"))
}

/// Entries, or LSPs, by what names them.
fn keys(list: &Value, names: [&str; 2]) -> BTreeSet<String> {
    let key = |entry: &Value| format!("{} {}", entry[names[0]], entry[names[1]]);
    list.as_array().unwrap().iter().map(key).collect()
}

const ENTRY: [&str; 2] = ["src", "dst"];
const LSP: [&str; 2] = ["ingress", "egress"];

/// Entries whole, in no order.
fn whole(entries: &Value) -> BTreeSet<String> {
    let text = |entry: &Value| {
        let lsps = keys(&entry["lsps"], LSP);
        format!("{} {} {} {lsps:?}", entry["src"], entry["dst"], entry["last_alpha"])
    };
    entries.as_array().unwrap().iter().map(text).collect()
}

/// Checks that the difference leads from one table to the other; returns how much is added and
/// removed, of entries and of LSPs.
fn leads(before: &Value, after: &Value) -> [usize; 4] {
    let mut counts = Vec::new();
    for (list, names) in [("entries", ENTRY), ("lsps", LSP)] {
        let (old, new) = (keys(&before[list], names), keys(&after[list], names));
        let change = &after["diff"][list];
        let (added, removed) = (keys(&change["added"], names), keys(&change["removed"], names));
        assert!(added.is_disjoint(&old) && removed.is_subset(&old), "{list}");
        let applied: BTreeSet<_> = old.difference(&removed).chain(&added).cloned().collect();
        assert_eq!(applied, new, "{list}");
        counts.extend([added.len(), removed.len()]);
    }
    counts.try_into().unwrap()
}

fn digest(path: &Path) -> String {
    let output = Command::new("sha256sum").arg(path).output().unwrap();
    stdout(output).split(' ').next().unwrap().to_owned()
}

/// The records of a file that begin before a day of May 2011.
fn before(file: &Path, day: i64, to: &Path) {
    let text = fs::read_to_string(file).unwrap();
    let end = (1_304_208_000 + (day - 1) * 86_400) * 1_000_000_000;
    let (head, lines) = text.split_once('\n').unwrap();
    let first = |line: &&str| line.split(',').nth(1).unwrap().parse::<i64>().unwrap() < end;
    let kept: String = lines.lines().filter(first).flat_map(|line| [line, "\n"]).collect();
    fs::write(to, format!("{head}\n{kept}")).unwrap();
}

/// 1. A week's tables, by every width and some ages: entry for entry, with its last alpha day and its
///    LSPs, what brute force has of the days before.
/// 2. Each table's difference leads to it from the file before, and says which file that is. Things
///    come and go in them.
#[test]
fn tables_are_right_and_follow_from_each_other() {
    let (dir, seed) = (tempfile::tempdir().unwrap(), fresh_seed());
    let path = |name: &str| dir.path().join(name);
    workload::write(seed, 900, &path("all.csv"));
    let ages = ["0", "1", "2", "30", "never"];
    let mut changes = [0; 4];
    let mut previous: Vec<Value> = Vec::new();
    for day in 3..10 {
        let label = format!("2011-05-{day:02}");
        before(&path("all.csv"), day, &path("past.csv"));
        let set = json!({"h": 1000, "aging": ages, "tables": ["next"]});
        let theirs = brute(&[path("past.csv")], &[set])[0]["next"].take();
        let mut tables = Vec::new();
        for (index, table) in theirs.as_array().unwrap().iter().enumerate() {
            let [width, aging] = ["width", "aging"].map(|name| table[name].as_str().unwrap());
            let out = path(&format!("{width}-{aging}"));
            let args = ["--h=1000", "--emit-width", width, "--emit-aging", aging];
            let ours = emit(&[path("all.csv")], &label, &args, &out);
            assert_eq!(
                whole(&ours["entries"]),
                whole(&table["entries"]),
                "{label} {args:?} {seed}"
            );
            let named: BTreeSet<String> = ours["entries"]
                .as_array()
                .unwrap()
                .iter()
                .flat_map(|entry| keys(&entry["lsps"], LSP))
                .collect();
            assert_eq!(keys(&ours["lsps"], LSP), named);
            let head = ["version", "day", "width", "aging", "both_directions"];
            assert_eq!(
                json!(head.map(|name| &ours[name])),
                json!([1, label, format!("/{width}"), aging, true])
            );
            let since = format!("2011-05-{:02}", day - 1);
            assert_eq!(ours["diff"]["since"], since);
            match previous.get(index) {
                Some(before) => {
                    assert_eq!(ours["diff"]["base"], digest(&file_of(&out, &since)));
                    let more = leads(before, &ours);
                    changes = std::array::from_fn(|at| changes[at] + more[at]);
                }
                None => assert_eq!(ours["diff"]["base"], Value::Null),
            }
            tables.push(ours);
        }
        assert_eq!(tables.len(), 2 * ages.len());
        previous = tables;
    }
    assert!(changes.iter().all(|count| *count > 0), "{changes:?}, seed {seed}");
}

/// Who applies differences has the table that was emitted, and not what is known by now of its day.
///
/// 1. A table without what came late, and the next with it: the difference leads on from the file.
/// 2. Likewise to a table of another width and age.
/// 3. Without the file it is to the table as it would have been.
/// 4. A file of another version, or a damaged one, is no base: it is said, and nothing is written.
#[test]
fn a_difference_is_to_what_was_emitted() {
    let (dir, seed) = (tempfile::tempdir().unwrap(), fresh_seed());
    let path = |name: &str| dir.path().join(name);
    workload::write(seed, 900, &path("all.csv"));
    before(&path("all.csv"), 4, &path("past.csv"));
    let (all, past, out) = ([path("all.csv")], [path("past.csv")], path("out"));
    let narrow = ["--h=1000", "--emit-aging=7"];
    let first = emit(&past, "2011-05-04", &narrow, &out);
    // Half of what there was of the day before comes late.
    let text = fs::read_to_string(&past[0]).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.truncate(lines.len() / 2);
    let half = [path("half.csv")];
    fs::write(&half[0], lines.join("\n") + "\n").unwrap();
    let early = emit(&half, "2011-05-04", &narrow, &out);
    assert_ne!(early["entries"], first["entries"], "seed {seed}");
    let late = emit(&all, "2011-05-05", &narrow, &out);
    assert!(leads(&early, &late).iter().sum::<usize>() > 0);
    assert_eq!(late["diff"]["base"], digest(&file_of(&out, "2011-05-04")));

    let wide = ["--h=1000", "--emit-width=32", "--emit-aging=never"];
    let other = emit(&all, "2011-05-05", &wide, &out);
    let counts = leads(&early, &other);
    assert_eq!(counts[1], early["entries"].as_array().unwrap().len(), "all of /24 go");

    let alone = emit(&all, "2011-05-05", &narrow, &path("empty"));
    assert_eq!(alone["diff"]["base"], Value::Null);
    leads(&first, &alone);
    assert_eq!(alone["entries"], late["entries"]);

    for (text, what) in [("{\"version\":2}", "version 2"), ("{", "pbr-2011-05-04.json")] {
        fs::write(file_of(&out, "2011-05-04"), text).unwrap();
        fs::remove_file(file_of(&out, "2011-05-05")).ok();
        let args = ["fam", "--h=1000", "--alpha-only", "--emit-day=2011-05-05", "--emit"];
        let args = args.map(std::ffi::OsStr::new).into_iter();
        let output = hntes(args.chain([out.as_os_str(), all[0].as_os_str()]));
        assert_eq!(output.status.code(), Some(2));
        assert!(said(&output).contains(what), "{}", said(&output));
        assert!(!file_of(&out, "2011-05-05").exists());
    }
}

const BOTH_WAYS: &str = "\
exporter,first_ns,last_ns,src,dst,proto,src_port,dst_port,in_if,out_if,bgp_next_hop,tos,octets,packets,sampling
10.0.0.1,1304208000000000000,1304208030000000000,192.0.2.1,198.51.100.1,6,1,2,1,5,10.0.1.1,0,1500,1,1
10.0.0.1,1304208000000000000,1304208030000000000,192.0.2.1,203.0.113.1,6,1,2,1,7,,0,1500,1,1
10.0.1.1,1304294400000000000,1304294430000000000,198.51.100.9,192.0.2.9,6,1,2,1,5,10.0.0.1,0,1500,1,1
";

/// A flow out on the first of May and back on the second; another that goes out through an interface.
///
/// 1. One way: what was learnt, and every entry stands for its reverse.
/// 2. `--directions both`: reverses are listed, with the LSPs of the way back where the router there is
///    known, and no entry stands for more than itself. The difference leads from one to the other.
#[test]
fn reverses_are_listed_if_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let (file, out) = (dir.path().join("w.csv"), dir.path().join("out"));
    fs::write(&file, BOTH_WAYS).unwrap();
    let emit = |day: &str, args: &[&str]| {
        emit(std::slice::from_ref(&file), day, &[&["--h=1000"][..], args].concat(), &out)
    };
    let (a, b, c) = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24");
    let lsp = |ingress: &str, egress: &str| json!({"ingress": ingress, "egress": egress});
    let there = json!([lsp("10.0.0.1", "10.0.1.1")]);
    let back = json!([lsp("10.0.1.1", "10.0.0.1")]);
    let aside = json!([lsp("10.0.0.1", "if7")]);
    let entry = |src: &str, dst: &str, last: &str, lsps: &Value| json!({"src": src, "dst": dst, "last_alpha": last, "lsps": lsps});
    let reverse = |src: &str, dst: &str, lsps: &Value| {
        let mut entry = entry(src, dst, "2011-05-01", lsps);
        entry["reverse"] = true.into();
        entry
    };
    let first = emit("2011-05-02", &[]);
    let learnt = [entry(a, b, "2011-05-01", &there), entry(a, c, "2011-05-01", &aside)];
    assert_eq!(first["entries"], json!(learnt));
    assert_eq!(first["both_directions"], true);

    let both = emit("2011-05-02", &["--directions=both"]);
    let [one, other] = learnt.clone();
    let all = [one, other, reverse(b, a, &back), reverse(c, a, &json!([]))];
    assert_eq!(both["entries"], json!(all));
    assert_eq!(both["both_directions"], false);
    let lsps = json!([lsp("10.0.0.1", "10.0.1.1"), lsp("10.0.0.1", "if7"), back[0]]);
    assert_eq!(both["lsps"], lsps);

    // On the day after, the way back has been seen itself.
    let next = emit("2011-05-03", &["--directions=both"]);
    let seen = entry(b, a, "2011-05-02", &back);
    let [one, other] = learnt;
    assert_eq!(next["entries"], json!([one, other, seen, reverse(c, a, &json!([]))]));
    assert_eq!(leads(&both, &next), [0; 4]);
    let one_way = emit("2011-05-03", &[]);
    assert_eq!(leads(&both, &one_way), [0, 1, 0, 0], "the reverse of the second goes");
}

/// By default: the day after the last, networks, 30 days.
#[test]
fn the_table_to_install_now() {
    let (dir, seed) = (tempfile::tempdir().unwrap(), fresh_seed());
    let (files, _) = generate("slides", seed, &dir.path().join("w"));
    let (files, out) = (&files[170..], dir.path().join("out"));
    let args = ["fam".into(), "--alpha-only".into(), "--emit".into(), out.clone().into_os_string()];
    let paths = files.iter().map(|path| path.as_os_str().to_owned());
    stdout(hntes(args.into_iter().chain(paths)));
    let ours: Value =
        serde_json::from_slice(&fs::read(file_of(&out, "2011-12-01")).unwrap()).unwrap();
    let theirs = &brute(files, &[json!({"aging": ["30"], "tables": ["next"]})])[0]["next"][0];
    assert_eq!(whole(&ours["entries"]), whole(&theirs["entries"]), "seed {seed}");
    assert!(!ours["entries"].as_array().unwrap().is_empty(), "seed {seed}");
    assert_eq!((&ours["width"], &ours["aging"]), (&json!("/24"), &json!("30")));
}
