// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The same records as CSV and as Parquet: the same analysis. And Parquet that is not as it should
//! be. The files are written here from the text of the CSV; no code is shared with who reads them.

use crate::program::{fam, fresh_seed, hntes};
use crate::workload;
use arrow_array::{
    ArrayRef, FixedSizeBinaryArray, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray,
    UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Whose types the columns have.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Style {
    /// As `docs/parquet.md` has them.
    Collector,
    /// As a database may give them: addresses as octets, time stamps, wide integers, sampling as text,
    /// columns in another order, one more among them.
    Stranger,
}

/// A CSV file by columns.
struct Text(Vec<(String, Vec<String>)>);

impl Text {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned));
        let names = lines.next().unwrap();
        let mut columns: Vec<_> = names.map(|name| (name, Vec::new())).collect();
        for line in lines {
            columns.iter_mut().zip(line).for_each(|((_, column), value)| column.push(value));
        }
        Self(columns)
    }

    fn column(&self, name: &str) -> &[String] {
        &self.0.iter().find(|(have, _)| have == name).unwrap().1
    }

    /// The values of a column as numbers, none where there is no text.
    fn parsed<T: std::str::FromStr>(&self, name: &str) -> Vec<Option<T>> {
        self.column(name).iter().map(|value| value.parse().ok()).collect()
    }

    fn text(&self, name: &str) -> ArrayRef {
        let some = |value: &String| (!value.is_empty()).then(|| value.clone());
        Arc::new(self.column(name).iter().map(some).collect::<StringArray>())
    }

    fn octets(&self, name: &str) -> ArrayRef {
        let sixteen = |value: &String| match value.parse().ok()? {
            IpAddr::V4(addr) => Some(Ipv4Addr::to_ipv6_mapped(&addr).octets()),
            IpAddr::V6(addr) => Some(Ipv6Addr::octets(&addr)),
        };
        let values = self.column(name).iter().map(sixteen);
        Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(values, 16).unwrap())
    }

    /// Both halves of the sampling rate.
    fn rate(&self) -> [ArrayRef; 2] {
        let halves = self.column("sampling").iter().map(|value| match value.split_once('/') {
            Some((observed, taken)) => (observed.parse().ok(), taken.parse().ok()),
            None => (value.parse().ok(), value.parse().ok().map(|_: u32| 1)),
        });
        let (observed, taken): (Vec<Option<u32>>, Vec<Option<u32>>) = halves.unzip();
        [Arc::new(UInt32Array::from(observed)), Arc::new(UInt32Array::from(taken))]
    }

    fn batch(&self, style: Style) -> RecordBatch {
        let wide = |name: &str| Arc::new(Int64Array::from(self.parsed::<i64>(name))) as ArrayRef;
        let mut columns: Vec<(&str, ArrayRef)> = match style {
            Style::Collector => {
                let byte =
                    |name: &str| Arc::new(UInt8Array::from(self.parsed::<u8>(name))) as ArrayRef;
                let port =
                    |name: &str| Arc::new(UInt16Array::from(self.parsed::<u16>(name))) as ArrayRef;
                let face =
                    |name: &str| Arc::new(UInt32Array::from(self.parsed::<u32>(name))) as ArrayRef;
                let count =
                    |name: &str| Arc::new(UInt64Array::from(self.parsed::<u64>(name))) as ArrayRef;
                let [observed, taken] = self.rate();
                vec![
                    ("exporter", self.text("exporter")),
                    ("first_ns", wide("first_ns")),
                    ("last_ns", wide("last_ns")),
                    ("src", self.text("src")),
                    ("dst", self.text("dst")),
                    ("proto", byte("proto")),
                    ("src_port", port("src_port")),
                    ("dst_port", port("dst_port")),
                    ("in_if", face("in_if")),
                    ("out_if", face("out_if")),
                    ("bgp_next_hop", self.text("bgp_next_hop")),
                    ("tos", byte("tos")),
                    ("octets", count("octets")),
                    ("packets", count("packets")),
                    ("sampling", observed),
                    ("sampling_taken", taken),
                ]
            }
            Style::Stranger => {
                let stamp = |name: &str| {
                    let values = TimestampNanosecondArray::from(self.parsed::<i64>(name));
                    Arc::new(values.with_timezone("UTC")) as ArrayRef
                };
                let numbers = [
                    "octets", "packets", "tos", "proto", "src_port", "dst_port", "in_if", "out_if",
                ];
                let mut columns = vec![("sampling", self.text("sampling"))];
                columns.extend(numbers.map(|name| (name, wide(name))));
                columns.extend(["first_ns", "last_ns"].map(|name| (name, stamp(name))));
                columns.extend(["src", "dst"].map(|name| (name, self.octets(name))));
                columns.push(("comment", self.text("src")));
                columns.push(("exporter", self.text("exporter")));
                columns.push(("bgp_next_hop", self.text("bgp_next_hop")));
                columns
            }
        };
        // So that columns without a null can be told from those that have some.
        let columns = columns.drain(..).map(|(name, array)| (name, array, true));
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    }
}

fn store(batch: &RecordBatch, path: &Path) {
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(50))
        .build();
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

/// Everything an analysis says, but for the names and formats of its files.
pub(crate) fn analysis(files: &[PathBuf], args: &[&str]) -> Value {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let mut tables = fam(files, &args);
    let rows = tables["files"].as_array().unwrap();
    let sum = |name: &str| rows.iter().map(|row| row[name].as_u64().unwrap()).sum::<u64>();
    tables["files"] = json!([sum("records"), sum("bad_lines")]);
    let mut notes = std::collections::BTreeMap::new();
    for note in tables["notes"].as_array().unwrap() {
        let what = note["records_that"].as_str().unwrap().to_owned();
        *notes.entry(what).or_insert(0) += note["records"].as_u64().unwrap();
    }
    tables["notes"] = json!(notes);
    tables
}

/// 1. A workload as CSV, and as Parquet in both styles, whole and half and half.
/// 2. Whatever the reading, the analysis is the same to the last table.
/// 3. Broken twin: with one octet more in one row it is not.
#[test]
fn csv_and_parquet_are_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let seed = fresh_seed();
    for round in 0..2 {
        workload::write(seed + round, 300, &path("all.csv"));
        let text = Text::read(&path("all.csv"));
        let ours = text.batch(Style::Collector);
        store(&ours, &path("ours.parquet"));
        store(&text.batch(Style::Stranger), &path("theirs.parquet"));
        let half = ours.num_rows() / 2;
        fs::create_dir_all(path("halves/hour=01")).unwrap();
        let rest = text.batch(Style::Stranger).slice(half, ours.num_rows() - half);
        store(&rest, &path("halves/hour=01/b.parquet"));
        store(&ours.slice(0, half), &path("halves/a.parquet"));
        // Known by how it begins.
        fs::copy(path("ours.parquet"), path("no-ending")).unwrap();
        for args in [
            &["--h=1000"][..],
            &["--h=1000", "--detector=window", "--duplicates=each", "--bytes=whole-flows"],
            &["--h=1000", "--hourly", "--threads=3", "--assume-sampling=2"],
            &["--h=1000", "--assume-sampling=192.0.2.2=4", "--gap=one-more"],
        ] {
            let csv = analysis(&[path("all.csv")], args);
            for other in ["ours.parquet", "theirs.parquet", "halves", "no-ending"] {
                assert_eq!(analysis(&[path(other)], args), csv, "{other} {args:?}");
            }
        }
    }
    let csv = fs::read_to_string(path("all.csv")).unwrap();
    // Of a record that counts, and whole: not of one that ends before it begins, or lasts too long.
    let short = |line: &&str| {
        let time = |at: usize| line.split(',').nth(at).unwrap().parse::<i64>().unwrap();
        (0..=60_000_000_000).contains(&(time(2) - time(1)))
    };
    let at = csv.lines().skip(1).find(short).unwrap();
    let mut fields: Vec<String> = at.split(',').map(str::to_owned).collect();
    fields[12] = (fields[12].parse::<u64>().unwrap() + 1).to_string();
    fs::write(path("twin.csv"), csv.replacen(at, &fields.join(","), 1)).unwrap();
    let args = ["--h=1000", "--assume-sampling=2", "--duplicates=each"];
    let twin = analysis(&[path("twin.csv")], &args);
    assert_ne!(analysis(&[path("ours.parquet")], &args), twin);
}

/// 1. Good files among: a truncated one, one of text, one without octets, one whose octets are
///    fractions, an empty one, one with rows that are no records.
/// 2. Each fault is told with its file, rows with their number; the rest is as without.
#[test]
fn what_is_wrong_is_named_and_the_rest_analysed() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    workload::write(5, 200, &path("all.csv"));
    let text = Text::read(&path("all.csv"));
    let batch = text.batch(Style::Collector);
    store(&batch, &path("good.parquet"));
    let clean = analysis(&[path("good.parquet")], &["--h=1000"]);

    let whole = fs::read(path("good.parquet")).unwrap();
    fs::write(path("cut.parquet"), &whole[..whole.len() / 2]).unwrap();
    fs::write(path("text.parquet"), "exporter,first_ns\n1,2\n").unwrap();
    fs::write(path("empty.parquet"), "").unwrap();
    let index = |name: &str| batch.schema().index_of(name).unwrap();
    let mut without = batch.clone();
    without.remove_column(index("octets"));
    store(&without, &path("without.parquet"));
    let mut columns: Vec<(String, ArrayRef)> = batch
        .schema()
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, column)| (field.name().clone(), Arc::clone(column)))
        .collect();
    let floats = text.parsed::<f64>("octets").into_iter().collect::<arrow_array::Float64Array>();
    columns[index("octets")].1 = Arc::new(floats);
    store(&RecordBatch::try_from_iter(columns.clone()).unwrap(), &path("floats.parquet"));
    // Rows 2 and 3 have no protocol, row 5 was sampled 2 of 1.
    columns[index("octets")].1 = Arc::clone(batch.column(index("octets")));
    let mut protos = text.parsed::<u8>("proto");
    protos[1..3].fill(None);
    columns[index("proto")].1 = Arc::new(UInt8Array::from(protos));
    let count = batch.num_rows();
    let (mut observed, mut taken) = (vec![Some(1); count], vec![None; count]);
    (observed[4], taken[4]) = (Some(1), Some(2));
    columns[index("sampling")].1 = Arc::new(UInt32Array::from(observed));
    columns[index("sampling_taken")].1 = Arc::new(UInt32Array::from(taken));
    let rows = RecordBatch::try_from_iter(columns).unwrap().slice(0, 5);
    store(&rows, &path("rows.parquet"));

    let faulty = ["cut", "text", "empty", "without", "floats", "rows"];
    let files: Vec<PathBuf> = faulty.iter().map(|name| path(&format!("{name}.parquet"))).collect();
    let tables = fam(&[&files[..], &[path("good.parquet")]].concat(), &["--h=1000".into()]);
    let faults = tables["bad_lines"].as_array().unwrap();
    let of = |name: &str, reason: &str| -> Value {
        let same = |row: &&Value| {
            row["path"].as_str().unwrap().ends_with(&format!("/{name}.parquet"))
                && row["reason"].as_str().unwrap().contains(reason)
        };
        faults.iter().find(same).unwrap_or_else(|| panic!("{name} {reason}: {faults:?}")).clone()
    };
    for name in ["cut", "text", "empty"] {
        of(name, &format!("{name}.parquet: "));
    }
    of("without", "no column octets");
    of("floats", "column octets is Float64, which is not a whole number");
    let proto = of("rows", "bad proto");
    assert_eq!((&proto["lines"], &proto["first_line"]), (&json!(2), &json!(2)));
    let sampling = of("rows", "bad sampling");
    assert_eq!((&sampling["lines"], &sampling["first_line"]), (&json!(1), &json!(5)));
    assert_eq!(faults.len(), 7);

    // Without the file that has good rows too, nothing else is different.
    let mut rest = fam(&[&files[..5], &[path("good.parquet")]].concat(), &["--h=1000".into()]);
    for table in ["files", "bad_lines", "notes"] {
        rest[table] = clean[table].clone();
    }
    assert_eq!(rest, clean);
    let only = hntes(["fam".as_ref(), files[0].as_os_str()]);
    assert_eq!(only.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&only.stderr).contains("cut.parquet"));
}

/// A file in which any octet is wrong is read or refused; the program does not fall over.
#[test]
fn no_octet_brings_it_down() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    workload::write(7, 40, &path("all.csv"));
    store(&Text::read(&path("all.csv")).batch(Style::Collector), &path("good.parquet"));
    let whole = fs::read(path("good.parquet")).unwrap();
    let mut rng = hntes::rng::Rng::new(fresh_seed(), 3);
    let mut files = vec![path("good.parquet")];
    for number in 0..200 {
        let mut bytes = whole.clone();
        let at = rng.below(bytes.len() as u64) as usize;
        bytes[at] ^= 1 << rng.below(8);
        files.push(path(&format!("{number}.parquet")));
        fs::write(files.last().unwrap(), bytes).unwrap();
    }
    let args = ["fam", "--h=1000", "--alpha-only", "--json"].map(std::ffi::OsStr::new);
    let output = hntes(args.into_iter().chain(files.iter().map(|file| file.as_os_str())));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let tables: Value = serde_json::from_slice(&output.stdout).unwrap();
    let faults = tables["tables"]["bad_lines"].as_array().unwrap().len();
    assert!(faults > 20, "{faults} of 200 were found");
}
