// SPDX-License-Identifier: Apache-2.0 OR MIT

use super::*;
use crate::testing::record;
use arrow_array::{ArrayRef, RecordBatch};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use telesteer_fam::Sampling;

fn write(path: &Path, records: &[Record]) {
    let mut file = Writer::create(path).unwrap();
    records.iter().for_each(|record| file.write(record).unwrap());
    file.close().unwrap();
}

#[test]
fn what_is_written_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    let mut records: Vec<Record> = (0..10_000).map(record).collect();
    records[7].sampling = Sampling::one_in(4096);
    write(&path, &records);
    let stored = look(&path).unwrap();
    assert_eq!((stored.rows, stored.highest), (10_000, 4096));
    records.iter_mut().for_each(|record| record.sampling = None);
    write(&path, &records);
    assert_eq!(look(&path).unwrap().highest, 0);
    write(&path, &[]);
    assert_eq!(look(&path).unwrap().rows, 0);
}

/// Another program's, a missing column, a column of another type, a null: each is read row by row.
#[test]
fn what_nobody_checked_is_not_taken() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    let field = |(name, kind, _)| Field::new(name, kind, NULLS.contains(&name));
    let fields = || COLUMNS.map(field).to_vec();
    let batch = |fields: Vec<Field>, nulls: bool| {
        let columns = fields.iter().map(|field| {
            let none = arrow_array::new_null_array(field.data_type(), 1);
            if nulls || field.is_nullable() {
                return none;
            }
            match field.data_type() {
                DataType::Utf8 => {
                    Arc::new(arrow_array::StringArray::from(vec!["192.0.2.1"])) as ArrayRef
                }
                DataType::Int64 => Arc::new(arrow_array::Int64Array::from(vec![1])),
                DataType::UInt8 => Arc::new(arrow_array::UInt8Array::from(vec![1])),
                DataType::UInt16 => Arc::new(arrow_array::UInt16Array::from(vec![1])),
                DataType::UInt32 => Arc::new(arrow_array::UInt32Array::from(vec![1])),
                _ => Arc::new(arrow_array::UInt64Array::from(vec![1])),
            }
        });
        let columns = columns.collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
    };
    let store = |batch: &RecordBatch, by: &str| {
        let properties = WriterProperties::builder().set_created_by(by.to_owned()).build();
        let file = File::create(&path).unwrap();
        let mut out = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
        out.write(batch).unwrap();
        out.close().unwrap();
        look(&path).map(|stored| stored.rows)
    };
    assert_eq!(store(&batch(fields(), false), "telesteer 0.1.0"), Ok(1));
    let error = store(&batch(fields(), false), "parquet-cpp").unwrap_err();
    assert!(error.contains("another program"), "{error}");
    let error = store(&batch(fields()[..15].to_vec(), false), "telesteer 0.1.0").unwrap_err();
    assert!(error.contains("sampling_taken"), "{error}");
    let mut other = fields();
    other[12] = Field::new("octets", DataType::UInt32, false);
    let error = store(&batch(other, false), "telesteer 0.1.0").unwrap_err();
    assert!(error.contains("octets"), "{error}");
    let mut nullable = fields();
    nullable[5] = Field::new("proto", DataType::UInt8, true);
    let error = store(&batch(nullable, false), "telesteer 0.1.0").unwrap_err();
    assert!(error.contains("proto has nulls"), "{error}");
    let without = fields().into_iter().filter(|field| field.name() != "dst_lo");
    let error = store(&batch(without.collect(), false), "telesteer 0.1.0").unwrap_err();
    assert!(error.contains("dst_lo"), "{error}");
    fs_truncate(&path);
    look(&path).unwrap_err();
    look(&dir.path().join("missing")).unwrap_err();
}

fn fs_truncate(path: &Path) {
    let length = path.metadata().unwrap().len();
    File::options().write(true).open(path).unwrap().set_len(length - 9).unwrap();
}

#[test]
fn export_is_never_before_the_last_packet() {
    assert_eq!([0, 1, SECOND, SECOND + 1].map(export_s), [0, 1, 1, 2]);
}
