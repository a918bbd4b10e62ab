// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Parquet when something goes wrong: a kill, a full disk, a place that is none.

use std::{fs, process::Command};

use crate::{
    collector::{own_address, wait_for},
    parquet::{by_reason, load, start, stored},
};

/// 1. A collector is killed without a word while it stores one small file after the other.
/// 2. Every file that is there is whole, and nothing but files is.
/// 3. It comes back and stores what it gets; nothing of the old ones is replaced.
#[test]
fn a_kill_leaves_whole_files() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("flows");
    let mut collector = start(&place, 1, "parquet-rows = 40").run();
    let exporter = collector.exporter(4739);
    let mut sent = 0;
    wait_for("some files", || {
        load(&exporter, sent + 1, 400);
        sent += 400;
        (collector.counter("parquet_files_written") >= 20).then_some(())
    });
    load(&exporter, sent + 1, 4000);
    sent += 4000;
    collector.kill();
    let before = stored(&place);
    assert!(before.len() >= 800 && before.len().is_multiple_of(40), "{} rows", before.len());

    let mut collector = start(&place, 1, "").run();
    load(&collector.exporter(4739), sent + 1, 30);
    collector.wait_counter("flow_records", 30);
    assert_eq!(collector.terminate(), Some(0));
    let after = stored(&place);
    assert_eq!(after.len(), before.len() + 30);
    assert!(before.keys().all(|octets| after.contains_key(octets)));
}

/// A small file system of our own, gone with the value.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None`, with the reason on stderr, where it cannot be mounted.
    fn mount(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let options = format!("size={size}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "small"]).arg(dir.path());
        let output = mount.output().unwrap();
        if output.status.success() {
            return Some(Self(dir));
        }
        eprintln!("skipped: {}", String::from_utf8_lossy(&output.stderr).trim());
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

/// 1. A place with room for a few files gets more.
/// 2. Rows are lost and counted, the path is said once; JSON lines and new records go on.
/// 3. What is stored is whole, and it and what was lost make up what was sent.
/// 4. Broken twin: with room nothing is lost.
#[test]
fn a_full_disk_costs_rows_and_nothing_else() {
    for (size, full) in [("64k", true), ("16m", false)] {
        let Some(disk) = SmallDisk::mount(size) else { return };
        let dir = tempfile::tempdir().unwrap();
        let mut start = start(&dir.path().join("x"), 1, "parquet-rows = 100\nparquet-retry = 0");
        let place = disk.0.path().join("flows");
        start.args[1] = place.to_str().unwrap().to_owned();
        let mut collector = start.run();
        load(&collector.exporter(4739), 1, 3000);
        wait_for("everything is stored or lost", || {
            let lost = by_reason(&collector, "parquet_rows_lost", "storage");
            (collector.counter("parquet_rows_written") + lost == 3000).then_some(())
        });
        let lost = by_reason(&collector, "parquet_rows_lost", "storage");
        assert_eq!(lost > 0, full);
        assert_eq!(collector.counter("parquet_errors") > 0, full);
        let said = collector.stderr();
        let complaint = format!("telesteer: {}/date=2023-11-14/hour=22/1-", place.display());
        assert_eq!(said.matches(&complaint).count(), usize::from(full), "{said}");
        assert_eq!(said.contains("No space left on device"), full, "{said}");
        collector.wait_lines("flow", 3000);
        assert_eq!(collector.counter("lines_lost") + collector.counter("lines_overrun"), 0);
        load(&collector.exporter(4739), 5001, 10);
        collector.wait_lines("flow", 3010);
        assert_eq!(collector.terminate(), Some(0));
        let rows = stored(&place);
        let early = rows.keys().filter(|octets| **octets <= 3000).count() as u64;
        assert_eq!(early + lost, 3000);
    }
}

/// What cannot be a place is said before anything is opened.
#[test]
fn a_place_that_cannot_be_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let out = dir.path().join("out");
    let refused = |place: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_telesteer"))
            .args(["collect", "--listen", &own_address().to_string(), "--parquet", place, "--out"])
            .arg(&out)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    let place = file.to_str().unwrap();
    assert!(refused(place).contains(place));
    assert!(refused("ftp://host/flows").contains("parquet: ftp://host/flows: none of"));
    if !cfg!(feature = "cloud") {
        assert!(refused("s3://bucket/flows").contains("--features cloud"));
    }
}
