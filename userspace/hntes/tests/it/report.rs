// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The numbers of the report, read back out of its files by code that shares nothing with it.

use crate::program::{fresh_seed, generate, hntes, stdout};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Five alpha raw flows above H = 1000 bytes on three of four days, and a beta record. Worked out by
/// hand below.
const RECORDS: &str = "\
exporter,first_ns,last_ns,src,dst,proto,src_port,dst_port,in_if,out_if,bgp_next_hop,tos,octets,packets,sampling
10.0.0.1,1304208000000000000,1304208030000000000,192.0.2.1,198.51.100.1,6,1,2,1,5,10.0.1.1,0,1500,1,1
10.0.0.1,1304208010000000000,1304208060000000000,192.0.2.2,198.51.101.1,6,1,2,1,6,10.0.1.2,0,2000,1,1
10.0.0.1,1304294400000000000,1304294460000000000,192.0.2.1,198.51.100.1,6,1,2,1,5,10.0.1.1,0,3000,1,1
10.0.0.1,1304294400000000000,1304294500000000000,192.0.2.9,198.51.100.9,6,1,2,1,5,10.0.1.1,0,400,1,1
10.0.0.1,1304467200000000000,1304467250000000000,192.0.2.1,198.51.100.2,6,1,2,1,5,10.0.1.1,0,5000,1,1
10.0.0.1,1304467220000000000,1304467240000000000,192.0.2.1,203.0.113.1,6,1,2,1,5,10.0.1.1,0,1200,1,1
";

const DOORS: &str = "192.0.2.1 sender\n203.0.113.0/24 far 2\n198.18.0.0/16 idle\n";

/// Runs `hntes report` and returns what it prints.
fn report(out: &Path, files: &[PathBuf], args: &[&str]) -> String {
    let args = ["report", "--out", out.to_str().unwrap()].into_iter().chain(args.iter().copied());
    stdout(hntes(args.chain(files.iter().map(|path| path.to_str().unwrap()))))
}

/// The rows of a table of the page, or of a CSV file: names of columns to texts.
type Rows = Vec<BTreeMap<String, String>>;

fn between<'a>(text: &'a str, from: &str, to: &str) -> Option<(&'a str, &'a str)> {
    let (_, rest) = text.split_once(from)?;
    rest.split_once(to)
}

/// The texts of the elements of this name.
fn elements(html: &str, name: &str) -> Vec<String> {
    let (mut found, mut rest) = (Vec::new(), html);
    while let Some((_, after)) = rest.split_once(&format!("<{name}")) {
        rest = after;
        // `<th` is also how `<thead` begins.
        let Some((attributes, after)) = after.split_once('>') else { break };
        if attributes.is_empty() || attributes.starts_with(' ') {
            let Some((text, after)) = after.split_once(&format!("</{name}>")) else { break };
            found.push(text.to_owned());
            rest = after;
        }
    }
    found
}

fn from_page(html: &str, name: &str) -> Rows {
    let marker = format!("<table data-name=\"{name}\">");
    let (table, _) = between(html, &marker, "</table>").unwrap_or_else(|| panic!("no {name}"));
    let (head, body) = table.split_once("</thead>").unwrap();
    let names: Vec<_> = elements(head, "th").iter().map(|name| name.replace(' ', "_")).collect();
    let row = |row: &String| names.iter().cloned().zip(elements(row, "td")).collect();
    elements(body, "tr").iter().map(row).collect()
}

/// The cells of a line of CSV.
fn split(line: &str) -> Vec<String> {
    let (mut cells, mut quoted) = (vec![String::new()], false);
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            c => cells.last_mut().unwrap().push(c),
        }
    }
    cells
}

fn from_csv(dir: &Path, name: &str) -> Rows {
    let text = fs::read_to_string(dir.join(format!("{name}.csv"))).unwrap();
    let mut lines = text.lines().map(split);
    let names = lines.next().unwrap();
    lines.map(|line| names.iter().cloned().zip(line).collect()).collect()
}

fn column(rows: &Rows, name: &str) -> Vec<String> {
    rows.iter().map(|row| row[name].clone()).collect()
}

/// The value of a column in the row whose other columns are these.
fn value(rows: &Rows, keys: &[(&str, &str)], name: &str) -> String {
    let same = |row: &&BTreeMap<String, String>| keys.iter().all(|(key, text)| row[*key] == *text);
    let row = rows.iter().find(same).unwrap_or_else(|| panic!("no row {keys:?} in {rows:?}"));
    row[name].clone()
}

/// Height, and what the tip says, of each bar of a drawing.
fn bars(svg: &str) -> Vec<(f64, String)> {
    let bar = |rest: &str| {
        let (height, _) = between(rest, "height=\"", "\"")?;
        let (head, _) = rest.split_once('>')?;
        let (tip, _) = between(rest, "<title>", "</title></rect>")?;
        head.contains("class=\"bar").then(|| (height.parse().unwrap(), tip.to_owned()))
    };
    svg.split("<rect ").skip(1).filter_map(bar).collect()
}

#[test]
fn numbers_by_hand() {
    let dir = tempfile::tempdir().unwrap();
    let (file, doors, out) =
        (dir.path().join("records.csv"), dir.path().join("doors"), dir.path().join("out"));
    fs::write(&file, RECORDS).unwrap();
    fs::write(&doors, DOORS).unwrap();
    let args = ["--h=1000", "--aging=1,never", "--doors", doors.to_str().unwrap()];
    let said = report(&out, &[file], &args);
    assert!(said.contains("cannot be judged"), "{said}");
    let html = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(html.contains("data-verdict=\"open\""));
    assert!(html.contains("The records come from a network."));
    assert!(html.contains("Reading: H = 0.000001 GB, T = 60 s, else the reference reading."));

    let both = |name: &str, check: &dyn Fn(&Rows)| {
        check(&from_page(&html, name));
        check(&from_csv(&out, name));
    };
    both("alpha_bytes_per_day", &|rows| {
        let days = ["2011-05-01", "2011-05-02", "2011-05-03", "2011-05-04"];
        assert_eq!(column(rows, "day"), days);
        assert_eq!(column(rows, "alpha_bytes"), ["3500", "3000", "0", "6200"]);
    });
    // 30 s and 50 s that overlap by 20 s; 60 s; 50 s and 20 s within them.
    let times = from_csv(&out, "alpha_time_per_day");
    assert_eq!(column(&times, "alpha_time_sum_s"), ["80", "60", "0", "70"]);
    assert_eq!(column(&times, "alpha_time_union_s"), ["60", "60", "0", "50"]);
    both("raw_flows_per_day", &|rows| {
        assert_eq!(column(rows, "raw_flows"), ["2", "1", "0", "2"]);
    });
    both("new_prefix_flows_per_day", &|rows| {
        assert_eq!(column(rows, "new_ever"), ["2", "0", "0", "1", "2", "0", "0", "2"]);
    });
    // Of 12 700 bytes: 3000 on the second day, and 5000 on the fourth in the same networks between
    // other hosts, two days after.
    both("effectiveness_by_aging", &|rows| {
        let matched = |width, aging| {
            let keys = [("width", width), ("aging", aging)];
            (value(rows, &keys, "matched_bytes"), value(rows, &keys, "total_bytes"))
        };
        let of = |bytes: &str| (bytes.to_owned(), "12700".to_owned());
        assert_eq!(matched("/24", "1"), of("3000"));
        assert_eq!(matched("/24", "never"), of("8000"));
        assert_eq!(matched("/32", "1"), of("3000"));
        assert_eq!(matched("/32", "never"), of("3000"));
    });
    assert!(html.contains(">62.99<") && html.contains(">23.62<"));
    both("table_size_by_aging", &|rows| {
        // 0 2 2 2 entries that never go; 0 2 1 0 that go after a day, one of them seen again.
        let keys = |aging| [("width", "/24"), ("aging", aging)];
        assert_eq!(value(rows, &keys("never"), "largest"), "2");
        assert_eq!(value(rows, &keys("never"), "last"), "2");
        assert_eq!(value(rows, &keys("1"), "last"), "0");
        assert_eq!(value(rows, &keys("1"), "largest_both_ways"), "4");
    });
    both("lsp_months", &|rows| {
        let row = |name| value(rows, &[("month", "2011-05")], name);
        assert_eq!(["total", "repeated", "new", "active"].map(row), ["2", "0", "2", "2"]);
    });
    both("super_prefix_flows", &|rows| {
        assert_eq!(column(rows, "egress"), ["10.0.1.1", "10.0.1.2"]);
        assert_eq!(column(rows, "prefix_flows"), ["2", "1"]);
        assert_eq!(column(rows, "raw_flows"), ["4", "1"]);
        assert_eq!(column(rows, "alpha_bytes"), ["10700", "2000"]);
        assert_eq!(column(rows, "last"), ["2011-05-04", "2011-05-01"]);
    });
    let pairs = from_csv(&out, "prefix_flow_list");
    let keys = [("src", "192.0.2.0/24"), ("dst", "198.51.100.0/24")];
    let of = |name| value(&pairs, &keys, name);
    let names = ["first", "last", "active_days", "raw_flows", "alpha_bytes"];
    assert_eq!(names.map(of), ["2011-05-01", "2011-05-04", "3", "3", "9500"]);
    assert_eq!(pairs.iter().filter(|row| row["width"] == "/32").count(), 4);
    // 400 bytes in 100 s, an alpha report on the LSP for the first 60.
    both("beta_exposure", &|rows| {
        for aging in ["1", "never"] {
            let row = |name| value(rows, &[("width", "/24"), ("aging", aging)], name);
            assert_eq!([row("beta1_bytes"), row("beta1_exposed_bytes")], ["400", "240"]);
        }
        let keys = [("width", "/32"), ("aging", "never")];
        assert_eq!(value(rows, &keys, "beta1_bytes"), "0");
    });
    // On the first LSP 30 s, 60 s and 50 s with a flow, 20 s of them with two; on the other 50 s.
    let shares = from_csv(&out, "simultaneous_share");
    assert_eq!(column(&shares, "time_s"), ["190", "20"]);
    assert!(from_page(&html, "simultaneous_share")[1]["share_percent"].starts_with("10.52"));
    both("simultaneous", &|rows| assert_eq!(column(rows, "most"), ["2", "1"]));
    both("dimensions", &|rows| {
        assert_eq!(column(rows, "cell"), ["mouse snail dragonfly stingray"]);
        assert_eq!(column(rows, "flows"), ["5"]);
        assert_eq!(column(rows, "bytes"), ["12700"]);
    });
    both("doors", &|rows| {
        let bytes = |class| value(rows, &[("class", class)], "alpha_bytes");
        assert_eq!(["both", "src", "none"].map(bytes), ["1200", "9500", "2000"]);
    });
    both("undeclared", &|rows| {
        let hosts = ["198.51.100.2", "198.51.100.1", "192.0.2.2", "198.51.101.1"];
        assert_eq!(column(rows, "host"), hosts);
        assert_eq!(column(rows, "alpha_bytes"), ["5000", "4500", "2000", "2000"]);
    });
    both("unused_doors", &|rows| assert_eq!(column(rows, "door"), ["idle"]));
    both("standing", &|rows| {
        assert!(column(rows, "standing").iter().all(|standing| standing == "finding"));
        assert_eq!(value(rows, &[("figure", "alpha raw flows")], "found"), "5");
    });

    // What is drawn is as high as it is said to be.
    let svg = fs::read_to_string(out.join("alpha-bytes-per-day.svg")).unwrap();
    let bars = bars(&svg);
    let tips: Vec<_> = bars.iter().map(|(_, tip)| tip.as_str()).collect();
    assert_eq!(tips, ["2011-05-01: 3.5 kB", "2011-05-02: 3 kB", "2011-05-04: 6.2 kB"]);
    for ((height, _), bytes) in bars.iter().zip([3500.0, 3000.0, 6200.0]) {
        assert!((height / bars[2].0 - bytes / 6200.0).abs() < 0.005, "{bars:?}");
    }
    assert_eq!(svg.matches("2011-05-03: no record").count(), 1);
}

/// Every table is beside the page as CSV and in the JSON, with as many rows.
#[test]
fn tables_are_beside_the_page() {
    let dir = tempfile::tempdir().unwrap();
    let (file, out) = (dir.path().join("records.csv"), dir.path().join("out"));
    fs::write(&file, RECORDS).unwrap();
    let said = report(&out, &[file], &["--h=1000", "--json", "--table=summary"]);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert!(said["tables"]["summary"].is_array());
    let json = fs::read(out.join("report.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let tables = json["tables"].as_object().unwrap();
    assert!(tables.len() > 25);
    for (name, rows) in tables {
        let rows = rows.as_array().unwrap().len();
        let text = fs::read_to_string(out.join(format!("{name}.csv"))).unwrap();
        assert_eq!(text.lines().count(), rows + 1, "{name}");
    }
    // What there is no list for is said, not drawn.
    let html = fs::read_to_string(out.join("report.html")).unwrap();
    assert_eq!(html.matches("no list of data doors was given").count(), 2);
    assert!(!out.join("data-doors.svg").exists());
    for outside in ["http:", "https:", "<script", "@import", "url("] {
        assert!(!html.contains(outside), "{outside}");
    }
}

/// 1. Capacities of a list are in the table, the figure's numbers, its drawing and its words.
/// 2. One of an LSP that no alpha flow asks for is named, and so is an LSP that the list leaves out.
#[test]
fn capacities_are_held_against_what_lsps_carry() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::write(path("records.csv"), RECORDS).unwrap();
    fs::write(path("lsps"), "10.0.0.1 10.0.1.1 1k # leased\n10.0.0.1 10.0.9.9 1G\n").unwrap();
    let args = ["report", "--h=1000", "--aging=never", "--out"].map(std::ffi::OsString::from);
    let more = ["--capacities".into(), path("lsps").into_os_string()];
    let files = [path("out").into_os_string()].into_iter().chain(more);
    let output = hntes(args.into_iter().chain(files).chain([path("records.csv").into()]));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    stdout(output);
    assert!(said.contains("no alpha flow asks for LSP 10.0.0.1 10.0.9.9"), "{said}");
    assert!(said.contains("none is listed of LSP 10.0.0.1 10.0.1.2"), "{said}");
    let unused = from_csv(&path("out"), "unused_capacities");
    assert_eq!(column(&unused, "egress"), ["10.0.9.9"]);
    assert_eq!(column(&unused, "capacity_bps"), ["1000000000"]);
    let keys = [("width", "/24"), ("egress", "10.0.1.1")];
    let table = from_csv(&path("out"), "lsp_utilisation");
    assert_eq!(value(&table, &keys, "capacity_bps"), "1000");
    // 5000 bytes in 50 s on the last day; 400 and 32 bit/s on the second.
    assert_eq!(value(&table, &keys, "max_bps"), "800");
    assert_eq!(value(&table, &keys, "max_percent"), "80");
    assert_eq!(value(&table, &keys, "above_50_s"), "50");
    assert_eq!(value(&table, &keys, "above_80_s"), "0", "80 % are not above 80 %");
    let figure = from_csv(&path("out"), "lsp_utilisation_figure");
    assert_eq!(value(&figure, &[("egress", "10.0.1.1")], "max_percent"), "80");
    let svg = fs::read_to_string(path("out/lsp-utilisation.svg")).unwrap();
    assert!(svg.contains("of 1 kbit/s"), "{svg}");
    let html = fs::read_to_string(path("out/report.html")).unwrap();
    assert!(html.contains("80 % of 1 kbit/s"));
}

/// Reverses are in the sizes, and in the figure that shows them, if entries stand for both directions.
#[test]
fn sizes_are_told_both_ways() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("records.csv");
    fs::write(&file, RECORDS).unwrap();
    for (directions, size, said) in
        [("one-way", "2", "One way, as the slides count"), ("both", "4", "with their reverses")]
    {
        let out = dir.path().join(directions);
        let switch = format!("--directions={directions}");
        report(&out, std::slice::from_ref(&file), &["--h=1000", "--aging=never", &switch]);
        let sizes = from_csv(&out, "table_sizes");
        let of = |name: &str| value(&sizes, &[("width", "/24")], name);
        for (name, expected) in [
            ("largest", size),
            ("last", size),
            ("last_one_way", "2"),
            ("largest_one_way", "2"),
            ("last_both_ways", "4"),
            ("largest_both_ways", "4"),
            // Of four days the first has none.
            ("mean_one_way", "1.5"),
            ("mean_both_ways", "3"),
        ] {
            assert_eq!(of(name), expected, "{name}, {directions}");
        }
        let flows = from_csv(&out, "prefix_flows");
        let of = |name: &str| value(&flows, &[("width", "/24")], name);
        assert_eq!((of("prefix_flows"), of("both_ways")), ("3".to_owned(), "6".to_owned()));
        let html = fs::read_to_string(out.join("report.html")).unwrap();
        let (_, figure) = html.split_once("id=\"table-size-by-aging\"").unwrap();
        let (figure, _) = figure.split_once("</figure>").unwrap();
        assert!(figure.contains(said), "{directions}");
        assert!(figure.contains(&format!("aging never: {size} at the end")), "{directions}");
    }
}

/// The two figures of the verdict, from the raw flows: percent of alpha bytes of networks that come
/// again after 30 days, and percent of late networks that are new.
fn stability(out: &Path) -> (f64, f64) {
    let net = |address: &str| address.rsplit_once('.').unwrap().0.to_owned();
    let rows = from_csv(out, "raw_flows");
    let days: BTreeMap<String, usize> =
        column(&from_csv(out, "series"), "day").into_iter().zip(0..).collect();
    let mut bytes: BTreeMap<(String, String), f64> = BTreeMap::new();
    let mut seen: BTreeMap<(String, String), BTreeSet<usize>> = BTreeMap::new();
    for row in &rows {
        let pair = (net(&row["src"]), net(&row["dst"]));
        *bytes.entry(pair.clone()).or_default() += row["alpha_bytes"].parse::<f64>().unwrap();
        seen.entry(pair).or_default().insert(days[&row["day"]]);
    }
    let last_day = days.len() - 1;
    let sum = |long: usize| -> f64 {
        let kept = seen.iter().filter(|(_, days)| {
            let (first, last) = (days.first().unwrap(), days.last().unwrap());
            last_day - first >= 30 && last - first >= long
        });
        kept.map(|(pair, _)| bytes[pair]).sum()
    };
    let late = |day: &&usize| **day >= 30;
    let all: usize = seen.values().map(|days| days.iter().filter(late).count()).sum();
    let new = seen.values().filter(|days| late(&days.first().unwrap())).count();
    (sum(30) * 100.0 / sum(0), new as f64 * 100.0 / all as f64)
}

fn verdict(profile: &str) -> (String, PathBuf, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let (files, _) = generate(profile, fresh_seed(), &dir.path().join("w"));
    let out = dir.path().join("out");
    let said = report(&out, &files, &["--alpha-only"]);
    let html = fs::read_to_string(out.join("report.html")).unwrap();
    let (verdict, _) = between(&html, "data-verdict=\"", "\"").unwrap();
    let rows = from_csv(&out, "hypothesis");
    assert_eq!(value(&rows, &[("width", "/24")], "verdict"), verdict);
    let (stable, new) = stability(&out);
    for (name, expected) in [("stable_percent", stable), ("new_percent", new)] {
        let found: f64 = value(&rows, &[("width", "/24")], name).parse().unwrap();
        assert!((found - expected).abs() < 1e-9, "{profile}, {name}: {found}, not {expected}");
    }
    assert!(said.contains(if verdict == "false" { "is false" } else { "holds" }), "{said}");
    assert!(html.contains(&format!("hntes generate, profile {profile}, seed ")));
    (verdict.to_owned(), out, dir)
}

#[test]
fn the_hypothesis_holds_where_addresses_stay() {
    let (verdict, out, _dir) = verdict("slides");
    assert_eq!(verdict, "holds");
    let standing = from_page(&fs::read_to_string(out.join("report.html")).unwrap(), "standing");
    let of = |figure: &str, name: &str| value(&standing, &[("figure", figure)], name);
    for figure in
        ["alpha raw flows", "/24 prefix flows", "LSPs by month", "most alpha bytes in a day"]
    {
        assert_eq!(of(figure, "standing"), "by construction", "{figure}");
        assert_eq!(of(figure, "found"), of(figure, "published"), "{figure}");
        assert_eq!(of(figure, "found"), of(figure, "planned"), "{figure}");
    }
    assert_eq!(of("effectiveness /24, aging 30", "found"), "91.00 %");
    assert_eq!(of("effectiveness /24, aging 30", "standing"), "by construction");
    assert_eq!(of("size of the /24 table, aging 30", "standing"), "outcome of the process");
    assert!(column(&standing, "standing").iter().all(|standing| standing != "finding"));
}

#[test]
fn the_hypothesis_is_false_where_hosts_are_renumbered() {
    let (verdict, out, _dir) = verdict("renumbered");
    assert_eq!(verdict, "false");
    let standing = from_page(&fs::read_to_string(out.join("report.html")).unwrap(), "standing");
    let of = |figure: &str, name: &str| value(&standing, &[("figure", figure)], name);
    assert_eq!(of("/24 prefix flows", "found"), of("/24 prefix flows", "planned"));
    assert_eq!(of("/24 prefix flows", "standing"), "outcome of the process");
    assert_eq!(of("hypothesis that addresses stay", "standing"), "by construction");
}
