// SPDX-License-Identifier: Apache-2.0 OR MIT

use super::*;
use crate::notes::Oddity;
use crate::testing::{files, readings, record};
use crate::{Assumed, Fields};
use std::collections::BTreeMap;
use telesteer_fam::screen::{self, Totals};
use telesteer_fam::{Day, PrefixFlow, Width};

fn records() -> Vec<Record> {
    (0..3000).map(record).collect()
}

fn run<'r>(files: &'r [Stored], assumed: &'r Assumed, threads: usize) -> Run<'r> {
    Run { files, assumed, threads, fields: Fields::ALL, tick: &|_| Ok(()) }
}

/// What the records come to one by one.
fn expected(records: &[Record], reading: &Reading) -> BTreeMap<Day, Totals> {
    let mut days: BTreeMap<Day, Totals> = BTreeMap::new();
    for record in records {
        let of_day = days.entry(reading.calendar.day(record.first)).or_default();
        of_day.add(record.octets, screen::bytes(record, reading), reading);
    }
    days
}

fn assume(record: &Record, assumed: &Assumed) -> Record {
    let sampling = assumed.sampling(record.sampling, record.exporter);
    Record { sampling, ..record.clone() }
}

#[test]
fn totals_are_those_of_the_records_whatever_the_files_and_the_threads() {
    let (records, dir) = (records(), tempfile::tempdir().unwrap());
    for count in [1, 5] {
        let files = files(dir.path(), &records, count);
        for (reading, assumed) in &readings() {
            let assumed_records: Vec<_> = records.iter().map(|r| assume(r, assumed)).collect();
            let expected = expected(&assumed_records, reading);
            for threads in [1, 3, 16] {
                let (days, notes) = totals(&run(&files, assumed, threads), reading).unwrap();
                assert_eq!(days, expected, "{reading:?}");
                let negative = |record: &&Record| record.last < record.first;
                let seen = notes.values().flat_map(|notes| notes.seen());
                let seen: u64 = seen
                    .filter(|(what, _)| *what == Oddity::Negative)
                    .map(|(_, note)| note.records)
                    .sum();
                assert_eq!(seen, records.iter().filter(negative).count() as u64);
            }
        }
    }
}

/// Every row that matters is picked, and nearly no other.
#[test]
fn picks_miss_nothing() {
    let (records, dir) = (records(), tempfile::tempdir().unwrap());
    let files = files(dir.path(), &records, 3);
    for (reading, assumed) in &readings() {
        let run = run(&files, assumed, 2);
        let rows = |pick: &Pick| {
            let push = |rows: &mut Vec<Record>, record: &Record| rows.push(record.clone());
            let mut rows =
                rows(&run, pick, Vec::new, push, |ours, theirs| ours.extend(theirs)).unwrap();
            rows.sort_by_key(|r| (r.first, r.last, r.key, r.octets, r.exporter, r.out_if));
            rows
        };
        let mut all: Vec<Record> = records.iter().map(|r| assume(r, assumed)).collect();
        all.sort_by_key(|r| (r.first, r.last, r.key, r.octets, r.exporter, r.out_if));
        assert_eq!(rows(&Pick::All), all);

        let scaled =
            |record: &Record| record.sampling.map(|sampling| sampling.scale(record.octets));
        let above = rows(&Pick::above(reading, assumed.highest()));
        let must = |r: &&Record| scaled(r).is_some_and(|bytes| reading.above(bytes));
        assert!(all.iter().filter(must).all(|record| above.contains(record)));
        let may =
            |r: &Record| scaled(r).unwrap_or(0).max(r.octets * assumed.highest()) >= reading.h;
        assert!(above.iter().all(may) && above.len() < all.len());

        let keys: Vec<_> = all.iter().step_by(997).map(|record| record.key).collect();
        let of_keys = rows(&Pick::flows(keys.clone()));
        assert!(
            all.iter().filter(|r| keys.contains(&r.key)).all(|record| of_keys.contains(record))
        );
        let ends = |r: &Record| {
            keys.iter().any(|k| k.src == r.key.src) && keys.iter().any(|k| k.dst == r.key.dst)
        };
        assert!(of_keys.iter().all(ends));
        for width in [Width::NET, Width::HOST, Width { v4: 20, v6: 50 }] {
            let pairs: Vec<_> = keys.iter().take(2).map(|key| PrefixFlow::of(key, width)).collect();
            let of_pairs = rows(&Pick::prefixes(pairs.clone()));
            let is = |r: &&Record| pairs.contains(&PrefixFlow::of(&r.key, width));
            assert!(all.iter().filter(is).all(|record| of_pairs.contains(record)), "{width:?}");
            assert!(of_pairs.len() < all.len());
        }
    }
}

#[test]
fn rows_without_alpha_pages_are_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut small: Vec<Record> = (0..50_000).map(record).collect();
    small.iter_mut().for_each(|record| {
        (record.octets, record.sampling) =
            (record.octets % 100, telesteer_fam::Sampling::one_in(1));
    });
    small[30_000].octets = 5000;
    let stored = files(dir.path(), &small, 1);
    let footer = stored[0].footer().unwrap();
    let selected = pages::selection(&footer, 0, 1000).unwrap().unwrap();
    assert!(selected.row_count() < 10_000, "{} of 50 000 rows", selected.row_count());
    assert!(pages::selection(&footer, 0, 5001).unwrap().is_none());
    let assumed = Assumed::default();
    let pick = Pick::Above { bytes: 1000, assumed: 0 };
    let push = |rows: &mut Vec<Record>, record: &Record| rows.push(record.clone());
    let found =
        rows(&run(&stored, &assumed, 2), &pick, Vec::new, push, |ours, theirs| ours.extend(theirs));
    assert_eq!(found.unwrap(), [small[30_000].clone()]);
}

#[test]
fn damage_and_a_stop_end_a_pass_by_name() {
    let (records, dir) = (records(), tempfile::tempdir().unwrap());
    let stored = files(dir.path(), &records, 2);
    let assumed = Assumed::default();
    let stopped = Run { tick: &|_| Err("enough".to_owned()), ..run(&stored, &assumed, 2) };
    let error = totals(&stopped, &Reading::default()).unwrap_err();
    assert!(matches!(&error, Error::Stopped(why) if why == "enough"), "{error}");

    let path = &stored[1].path;
    let mut bytes = std::fs::read(path).unwrap();
    let half = bytes.len() / 2;
    bytes[4..half].fill(0xff);
    std::fs::write(path, bytes).unwrap();
    let push = |rows: &mut Vec<Record>, record: &Record| rows.push(record.clone());
    let outcome = rows(&run(&stored, &assumed, 1), &Pick::All, Vec::new, push, |ours, theirs| {
        ours.extend(theirs)
    });
    let error = outcome.unwrap_err();
    assert!(matches!(&error, Error::File { path: named, .. } if named == path), "{error}");
}
