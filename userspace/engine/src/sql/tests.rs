// SPDX-License-Identifier: Apache-2.0 OR MIT

use super::*;
use crate::testing::{files, readings, record};
use crate::{Fields, bare};
use telesteer_fam::{FiveTuple, PrefixFlow, Width};

/// DataFusion finds what the bare engine finds, in a folder whose name is a pattern of another's too.
#[test]
fn datafusion_finds_what_the_bare_engine_finds() {
    let records: Vec<Record> = (0..3000).map(record).collect();
    let dir = tempfile::tempdir().unwrap();
    let (named, other) = (dir.path().join("day[1]"), dir.path().join("day1"));
    std::fs::create_dir(&named).unwrap();
    std::fs::create_dir(&other).unwrap();
    files(&other, &records[..40], 4);
    let files = files(&named, &records, 4);
    for threads in [1, 3] {
        let engine = Engine::new(Place::Here { memory: Some(64 << 20) }, threads).unwrap();
        for (reading, assumed) in &readings() {
            let run =
                Run { files: &files, assumed, threads, fields: Fields::ALL, tick: &|_| Ok(()) };
            let (expected, _) = bare::totals(&run, reading).unwrap();
            assert_eq!(engine.totals(&run, reading).unwrap(), expected, "{reading:?}");
            for pick in picks(&records, reading, assumed.highest()) {
                assert_same(&engine, &run, &pick);
            }
        }
    }
}

fn picks(records: &[Record], reading: &Reading, assumed: u64) -> Vec<Pick> {
    let keys: Vec<FiveTuple> = records.iter().step_by(601).map(|record| record.key).collect();
    let pairs = |width| -> Vec<PrefixFlow> {
        keys.iter().take(3).map(|key| PrefixFlow::of(key, width)).collect()
    };
    vec![
        Pick::above(reading, assumed),
        Pick::flows(keys.clone()),
        Pick::prefixes(pairs(Width::NET)),
        Pick::prefixes(pairs(Width { v4: 16, v6: 48 })),
        Pick::flows([]),
        Pick::All,
    ]
}

/// The bare engine is exact; SQL may take a little more.
fn assert_same(engine: &Engine, run: &Run<'_>, pick: &Pick) {
    let push = |rows: &mut Vec<Record>, record: &Record| rows.push(record.clone());
    let key = |r: &Record| (r.first, r.last, r.key, r.octets, r.exporter, r.in_if, r.out_if);
    let mut exact = bare::rows(run, pick, Vec::new, push, |a, b| a.extend(b)).unwrap();
    let mut found = Vec::new();
    engine.rows(run, pick, |record| found.push(record.clone())).unwrap();
    exact.sort_by_key(key);
    found.sort_by_key(key);
    if let Pick::Above { bytes, assumed } = pick {
        let rate = |record: &Record| match record.sampling {
            Some(sampling) => sampling.scale(record.octets),
            None => record.octets.saturating_mul(*assumed),
        };
        found.retain(|record| rate(record) >= *bytes);
        exact.retain(|record| rate(record) >= *bytes);
    }
    assert_eq!(found, exact, "{pick:?}");
}
