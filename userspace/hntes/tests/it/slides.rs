// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The published figures, for seeds nobody has tuned anything on.

use crate::program::{fam, fresh_seed, generate};
use serde_json::{Value, json};

pub(crate) fn row<'a>(table: &'a Value, pairs: &[(&str, &str)]) -> &'a Value {
    let same = |row: &&Value| pairs.iter().all(|(name, value)| row[*name] == *value);
    table.as_array().unwrap().iter().find(same).unwrap()
}

pub(crate) fn figure<'a>(tables: &'a Value, name: &str) -> &'a Value {
    &row(&tables["summary"], &[("figure", name)])["value"]
}

fn check(seed: u64) {
    let dir = tempfile::tempdir().unwrap();
    let (files, truth) = generate("slides", seed, dir.path());
    assert_eq!(files.len(), 214);
    let tables = fam(&files, &["--alpha-only".into()]);
    published(&tables, &format!("seed {seed}"));
    as_true(&tables, &truth, &format!("seed {seed}"));
}

/// Holds tables against what was published.
pub(crate) fn published(tables: &Value, what: &str) {
    assert_eq!(figure(tables, "raw_flows"), 22_041, "{what}");
    let count = |width| &row(&tables["prefix_flows"], &[("width", width)])["prefix_flows"];
    assert_eq!((count("/24"), count("/32")), (&json!(125), &json!(1548)), "{what}");
    let published = [("/24", [82.0, 87.0, 91.0, 92.0]), ("/32", [67.0, 73.0, 82.0, 86.0])];
    for (width, percents) in published {
        for (aging, published) in ["7", "14", "30", "never"].into_iter().zip(percents) {
            let row = row(&tables["effectiveness"], &[("width", width), ("aging", aging)]);
            let found = row["effectiveness_percent"].as_f64().unwrap();
            assert!((found - published).abs() < 0.05, "{width} {aging}: {found}, {what}");
        }
    }
    let column = |name: &str| -> Vec<u64> {
        let months = tables["lsp_months"].as_array().unwrap();
        months.iter().map(|month| month[name].as_u64().unwrap()).collect()
    };
    assert_eq!(column("total"), [13, 15, 16, 16, 18, 18, 18], "{what}");
    assert_eq!(column("repeated"), [0, 13, 15, 16, 16, 18, 18]);
    assert_eq!(column("new"), [13, 2, 1, 0, 2, 0, 0]);
    assert_eq!(column("active"), column("total"));

    // Day 89 is 28 July, day 137 is 14 September.
    for name in ["day_of_most_alpha_bytes", "day_of_most_alpha_time"] {
        assert_eq!(figure(tables, name), "2011-07-28 (day 89)", "{what}");
    }
    assert_eq!(figure(tables, "most_alpha_bytes"), 2_650_000_000_000u64);
    assert_eq!(figure(tables, "most_alpha_time_h"), 9.3);
    let busiest = figure(tables, "day_of_most_flows_of_one_prefix_flow");
    assert_eq!(busiest, "2011-09-14 (day 137)", "{what}");
    assert_eq!(figure(tables, "most_of_one"), 1240);
}

/// Holds tables against the truth beside the workload.
pub(crate) fn as_true(tables: &Value, truth: &Value, what: &str) {
    assert_eq!(figure(tables, "raw_flows"), &truth["raw_flows"], "{what}");
    for width in ["/24", "/32"] {
        let prefix_flows = row(&tables["prefix_flows"], &[("width", width)]);
        assert_eq!(prefix_flows["prefix_flows"], truth["prefix_flows"][width], "{what}");
        for aging in ["7", "14", "30", "never"] {
            let row = row(&tables["effectiveness"], &[("width", width), ("aging", aging)]);
            let found = row["effectiveness_percent"].as_f64().unwrap();
            let truth = truth["effectiveness"][width][aging].as_f64().unwrap();
            assert!((found - truth).abs() < 1e-9, "{width} {aging}: {found} {truth}, {what}");
        }
    }
    let days = truth["days"].as_array().unwrap();
    let series = tables["series"].as_array().unwrap();
    assert_eq!((days.len(), series.len()), (214, 214), "{what}");
    for (day, row) in days.iter().zip(series) {
        for name in ["raw_flows", "alpha_bytes", "most_of_one"] {
            assert_eq!(day[name], row[name], "{name} of {}, {what}", row["day"]);
        }
        let milliseconds = row["alpha_time_sum_s"].as_f64().unwrap() * 1000.0;
        assert_eq!(day["alpha_time_ms"].as_u64().unwrap() as f64, milliseconds.round());
    }
    let months = tables["lsp_months"].as_array().unwrap();
    for (column, name) in [("total", "lsps"), ("active", "lsps_active")] {
        let found: Vec<_> = months.iter().map(|month| month[column].clone()).collect();
        assert_eq!(truth[name], json!(found), "{what}");
    }
    let lsps = tables["simultaneous"].as_array().unwrap();
    assert_eq!(lsps.len(), truth["most_at_once"].as_array().unwrap().len(), "{what}");
    assert!(!lsps.is_empty(), "{what}");
    for lsp in lsps {
        let egress = lsp["egress"].as_str().unwrap();
        let number: usize = egress.rsplit('.').next().unwrap().parse().unwrap();
        assert_eq!(lsp["most"], truth["most_at_once"][number - 1], "{egress}, {what}");
    }
}

#[test]
fn published_figures_for_fresh_seeds() {
    for _ in 0..5 {
        check(fresh_seed());
    }
}

#[test]
fn published_figures_for_odd_seeds() {
    for seed in [0, u64::MAX, 4_294_967_296] {
        check(seed);
    }
}

/// The same seed, the same bytes; another, others.
#[test]
fn a_seed_is_a_workload() {
    let read = |seed| {
        let dir = tempfile::tempdir().unwrap();
        let (files, _) = generate("slides", seed, dir.path());
        files.iter().map(|path| std::fs::read(path).unwrap()).collect::<Vec<_>>()
    };
    let seed = fresh_seed();
    let first = read(seed);
    assert!(first == read(seed) && first != read(seed + 1));
}
