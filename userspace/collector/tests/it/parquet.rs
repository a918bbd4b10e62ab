// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Flow records as Parquet, read back with the parquet crate and nothing of ours.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    net::UdpSocket,
    path::{Path, PathBuf},
};

use parquet::{
    file::{reader::FileReader, serialized_reader::SerializedFileReader},
    record::Field,
};
use serde_json::Value;

use crate::{
    collector::{Collector, Start, own_address},
    messages::{ipfix, netflow9, set, template_of},
};

/// Export time of all messages, 2023-11-14 22:13:20 UTC.
const EXPORT_S: u64 = 1_700_000_000;
const MS: u64 = 1_000_000;
const S: u64 = 1000 * MS;

/// Fields of every template here: 5-tuple, interfaces, octets, packets.
const COMMON: [(u16, u16); 9] =
    [(8, 4), (12, 4), (4, 1), (7, 2), (11, 2), (10, 4), (14, 4), (1, 8), (2, 4)];

fn common(octets: u64) -> Vec<u8> {
    let mut record = vec![192, 0, 2, 7, 198, 51, 100, 1, 6];
    record.extend_from_slice(&[0xc3, 0x50, 0x0a, 0xfb, 0, 0, 0, 3, 0, 0, 0, 4]);
    record.extend_from_slice(&octets.to_be_bytes());
    record.extend_from_slice(&9_u32.to_be_bytes());
    record
}

fn fields(more: &[(u16, u16)]) -> Vec<(u16, u16)> {
    COMMON.iter().chain(more).copied().collect()
}

/// Template 400 of flows with begin and end in milliseconds, and one set of them.
fn millis(octets: impl Iterator<Item = u64>, start_ms: impl Fn(u64) -> u64) -> [Vec<u8>; 2] {
    let record = |octets: u64| {
        let start = start_ms(octets);
        [common(octets), [start, start + 1500].map(u64::to_be_bytes).concat()].concat()
    };
    let records: Vec<u8> = octets.flat_map(record).collect();
    [template_of(2, 400, &fields(&[(152, 8), (153, 8)])), set(400, &records)]
}

/// A row by column name.
pub(crate) type Row = BTreeMap<String, Field>;

/// Whatever lies below a folder, but for what readers of partitioned files do not look into.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('_') {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

pub(crate) fn rows_of(path: &Path) -> Vec<Row> {
    let reader = SerializedFileReader::new(File::open(path).unwrap())
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let rows = reader.get_row_iter(None).unwrap().map(|row| {
        let row = row.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        row.get_column_iter().map(|(name, field)| (name.clone(), field.clone())).collect()
    });
    rows.collect()
}

/// All rows by their octets, which no two records here share. Each lies in the folder of its hour,
/// in a file whose name says who wrote it.
pub(crate) fn stored(dir: &Path) -> BTreeMap<u64, Row> {
    let mut all = BTreeMap::new();
    for path in files(dir) {
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(name.ends_with(".parquet"), "{name} lies among the files");
        for row in rows_of(&path) {
            let hour = long(&row, "first_ns") / (3600 * S as i64);
            let folder = path.parent().unwrap().strip_prefix(dir).unwrap().to_str().unwrap();
            assert_eq!(folder, format!("date={}/hour={:02}", date(hour / 24), hour % 24));
            assert!(name.starts_with(&format!("{}-", unsigned(&row, "instance"))), "{name}");
            let octets = unsigned(&row, "octets");
            assert!(all.insert(octets, row).is_none(), "{octets} is there twice");
        }
    }
    all
}

/// The few days of these tests.
fn date(day: i64) -> &'static str {
    match day {
        19_674 => "2023-11-13",
        19_675 => "2023-11-14",
        19_676 => "2023-11-15",
        _ => panic!("day {day}"),
    }
}

fn long(row: &Row, name: &str) -> i64 {
    match row[name] {
        Field::Long(value) => value,
        ref other => panic!("{name} is {other}"),
    }
}

pub(crate) fn unsigned(row: &Row, name: &str) -> u64 {
    match row[name] {
        Field::UByte(value) => value.into(),
        Field::UShort(value) => value.into(),
        Field::UInt(value) => value.into(),
        Field::ULong(value) => value,
        ref other => panic!("{name} is {other}"),
    }
}

pub(crate) fn text(row: &Row, name: &str) -> String {
    match &row[name] {
        Field::Str(value) => value.clone(),
        other => panic!("{name} is {other}"),
    }
}

fn times(rows: &BTreeMap<u64, Row>) -> Vec<(u64, i64, i64)> {
    rows.iter()
        .map(|(octets, row)| (*octets, long(row, "first_ns"), long(row, "last_ns")))
        .collect()
}

/// A labelled counter of `/status`.
pub(crate) fn by_reason(collector: &Collector, name: &str, reason: &str) -> u64 {
    let status: Value = serde_json::from_str(&collector.get("/status")).unwrap();
    status["labelled"][name][reason].as_u64().unwrap_or(0)
}

/// A collector with Parquet in `dir` and these limits.
pub(crate) fn start(dir: &Path, instance: u64, limits: &str) -> Start {
    let config = dir.with_extension(format!("{instance}.toml"));
    fs::write(&config, format!("[limits]\n{limits}\n")).unwrap();
    let args = ["--parquet", dir.to_str().unwrap(), "--config", config.to_str().unwrap()];
    Start { instance, ..Start::new(&args) }
}

/// 1. IPFIX with every clock, v9 with uptimes, one record at a midnight, some without what it takes.
/// 2. SIGTERM: every record is there once, with absolute times, in the folder of its hour.
/// 3. The JSON lines tell the same times.
#[test]
fn every_record_once_with_absolute_times() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("flows");
    let mut collector = start(&place, 3, "parquet-grace = 86400").run();
    let exporter = collector.exporter(4739);
    let send = |sets: &[Vec<u8>]| exporter.send(&ipfix(5, 0, sets)).map(drop).unwrap();
    let (early, late) = (EXPORT_S - 90, EXPORT_S - 30);

    // 1, 2: milliseconds. 3: seconds. 4: microseconds, 5: nanoseconds, both NTP. 6: before export.
    send(&millis(1..3, |octets| early * 1000 + octets));
    let pair = |a: u32, b: u32| [a, b].map(u32::to_be_bytes).concat();
    let ntp = |seconds: u64| ((seconds + 2_208_988_800) << 32 | 1 << 31).to_be_bytes();
    let kinds: [(u16, [u16; 2], u16, Vec<u8>); 4] = [
        (3, [150, 151], 4, pair(early as u32, late as u32)),
        (4, [154, 155], 8, [ntp(early), ntp(late)].concat()),
        (5, [156, 157], 8, [ntp(early), ntp(late)].concat()),
        (6, [158, 159], 4, pair(2_000_000, 1_000_000)),
    ];
    for (octets, [start, end], len, clock) in kinds {
        let id = 400 + octets;
        let told = template_of(2, id, &fields(&[(start, len), (end, len)]));
        send(&[told, set(id, &[common(octets.into()), clock].concat())]);
    }
    // 7: uptime with the exporter's start in the record; sampled 2 of 5.
    let init_ms = EXPORT_S * 1000 - 500_000;
    let told = template_of(2, 407, &fields(&[(22, 4), (21, 4), (160, 8), (305, 4), (306, 4)]));
    let clock = [pair(100_000, 160_000), init_ms.to_be_bytes().to_vec(), pair(2, 3)].concat();
    send(&[told, set(407, &[common(7), clock].concat())]);
    // 8: the last millisecond of a day. 9: the first of the next.
    let midnight_ms = 19_675 * 86_400_000;
    send(&millis(8..10, |octets| midnight_ms + octets - 9));
    // Left out: uptime without the start, no destination, no octets.
    let told = template_of(2, 410, &fields(&[(22, 4), (21, 4)]));
    send(&[told, set(410, &[common(10), pair(1, 2)].concat())]);
    let told = template_of(2, 411, &[(8, 4), (1, 8), (150, 4), (151, 4)]);
    let record = [vec![192, 0, 2, 7], 11_u64.to_be_bytes().to_vec(), pair(1, 2)].concat();
    send(&[told, set(411, &record)]);
    let told = template_of(2, 412, &[(8, 4), (12, 4), (150, 4), (151, 4)]);
    send(&[told, set(412, &[[192, 0, 2, 7].repeat(2), pair(1, 2)].concat())]);
    // 20, 21: NetFlow v9, up for 700 s; sampled 1 in 100, as an options record says.
    let router = collector.exporter(2055);
    let options = set(1, &[300_u16, 4, 4, 1, 4, 34, 4].map(u16::to_be_bytes).concat());
    let said = set(300, &pair(0, 100));
    let flows = template_of(0, 420, &fields(&[(22, 4), (21, 4)]));
    let records = [common(20), pair(600_000, 660_000), common(21), pair(699_000, 700_000)].concat();
    router.send(&netflow9(700_000, 0, &[options, said, flows, set(420, &records)])).unwrap();

    collector.wait_counter("flow_records", 14);
    for reason in ["no_time", "no_address", "no_octets"] {
        assert_eq!(by_reason(&collector, "parquet_records_left_out", reason), 1, "{reason}");
    }
    assert_eq!(collector.counter("parquet_rows_held"), 11);
    assert!(files(&place).is_empty(), "no hour was closed yet");
    assert_eq!(collector.terminate(), Some(0));

    let rows = stored(&place);
    let at = |ms: u64| (ms * MS) as i64;
    let (early_ms, late_ms, export_ms) = (early * 1000, late * 1000, EXPORT_S * 1000);
    let want = [
        (1, at(early_ms + 1), at(early_ms + 1501)),
        (2, at(early_ms + 2), at(early_ms + 1502)),
        (3, at(early_ms), at(late_ms)),
        (4, at(early_ms + 500), at(late_ms + 500)),
        (5, at(early_ms + 500), at(late_ms + 500)),
        (6, at(export_ms - 2000), at(export_ms - 1000)),
        (7, at(init_ms + 100_000), at(init_ms + 160_000)),
        (8, at(midnight_ms - 1), at(midnight_ms + 1499)),
        (9, at(midnight_ms), at(midnight_ms + 1500)),
        (20, at(export_ms - 100_000), at(export_ms - 40_000)),
        (21, at(export_ms - 1000), at(export_ms)),
    ];
    assert_eq!(times(&rows), want);
    let row = &rows[&1];
    assert_eq!(text(row, "exporter"), "127.0.0.1");
    assert_eq!((text(row, "src"), text(row, "dst")), ("192.0.2.7".into(), "198.51.100.1".into()));
    let numbers = [
        ("proto", 6),
        ("src_port", 50_000),
        ("dst_port", 2811),
        ("in_if", 3),
        ("out_if", 4),
        ("tos", 0),
        ("packets", 9),
        ("domain", 5),
        ("version", 10),
        ("instance", 3),
    ];
    for (name, value) in numbers {
        assert_eq!(unsigned(row, name), value, "{name}");
    }
    assert_eq!(long(row, "export_s"), EXPORT_S as i64);
    let sampling = |octets: u64| {
        let row: &Row = &rows[&octets];
        (row["sampling"].clone(), row["sampling_taken"].clone())
    };
    assert_eq!(sampling(1), (Field::Null, Field::Null), "unknown is not 1");
    assert_eq!(sampling(7), (Field::UInt(5), Field::UInt(2)));
    assert_eq!(sampling(20), (Field::UInt(100), Field::UInt(1)));
    assert_eq!((unsigned(&rows[&20], "domain"), unsigned(&rows[&20], "version")), (33, 9));

    let lines = collector.lines("flow");
    assert_eq!(lines.len(), 14);
    for line in &lines {
        let octets = line["fields"]["octetDeltaCount"].as_u64().unwrap_or(0);
        if let Some(row) = rows.get(&octets) {
            let told = (line["start_ns"].as_i64().unwrap(), line["end_ns"].as_i64().unwrap());
            assert_eq!(told, (long(row, "first_ns"), long(row, "last_ns")));
        } else if octets == 10 {
            assert!(line.get("start_ns").is_none(), "never guessed");
        }
    }
}

/// Sends flows of one hour, `count` of them, 20 a datagram, numbered from `from` by their octets.
pub(crate) fn load(exporter: &UdpSocket, from: u64, count: u64) {
    for first in (from..from + count).step_by(20) {
        let some = first..(first + 20).min(from + count);
        exporter
            .send(&ipfix(5, 0, &millis(some, |octets| (EXPORT_S - 9) * 1000 + octets)))
            .unwrap();
    }
}

/// A partition is closed by its rows, and a file has no more of them.
#[test]
fn files_are_closed_by_their_rows() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("flows");
    let mut collector = start(&place, 1, "parquet-rows = 100").run();
    load(&collector.exporter(4739), 1, 250);
    collector.wait_counter("parquet_files_written", 2);
    let sizes = |place: &Path| -> Vec<usize> {
        let mut sizes: Vec<usize> = files(place).iter().map(|file| rows_of(file).len()).collect();
        sizes.sort_unstable();
        sizes
    };
    assert_eq!(sizes(&place), [100, 100], "seen while the collector runs");
    assert_eq!(collector.counter("parquet_rows_written"), 200);
    assert_eq!(collector.terminate(), Some(0));
    assert_eq!(sizes(&place), [50, 100, 100]);
    assert_eq!(stored(&place).into_keys().collect::<Vec<_>>(), (1..251).collect::<Vec<_>>());
}

/// Several collectors share a place: all rows are there, each file says whose it is.
#[test]
fn collectors_share_a_place() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("flows");
    let run = |instance| {
        let limits = "parquet-rows = 50";
        Start { addr: own_address(), ..start(&place, instance, limits) }.run()
    };
    let mut all = [run(1), run(2)];
    for (collector, from) in all.iter().zip([1, 1001]) {
        load(&collector.exporter(4739), from, 330);
    }
    for collector in &mut all {
        collector.wait_counter("flow_records", 330);
        assert_eq!(collector.terminate(), Some(0));
    }
    let rows = stored(&place);
    assert_eq!(rows.len(), 660);
    assert!(rows.iter().all(|(octets, row)| unsigned(row, "instance") == 1 + octets / 1000));
    assert_eq!(files(&place).len(), 14);
}
