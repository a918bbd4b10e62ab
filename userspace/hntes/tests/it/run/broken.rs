// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Input that breaks off.

use super::bed::Bed;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::thread::sleep;
use std::time::Duration;

/// 1. A flow is found and redirected; what is no record is counted.
/// 2. The file cannot be read any more: that is said, and what was counted stays.
/// 3. It can be again: nobody has to start the loop anew, the flow is found and redirected again.
#[test]
fn input_that_broke_off_is_read_again() {
    let bed = Bed::new();
    bed.configure("[http]\nlisten = '127.0.0.1:0'\n");
    let path = bed.dir.path().join("flow.jsonl");
    OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{no record\n").unwrap();
    let child = bed.start(&[]);
    bed.until("the interface", || bed.address().is_some());
    bed.send(true);
    bed.until("redirection", || bed.is_redirected());
    bed.until("the bad line", || bed.metric("hntes_lines_unreadable_total") == Some(1));
    assert_eq!(bed.metric("hntes_inputs_in_trouble"), Some(0));
    bed.send(false);
    // Whoever writes has seen it.
    sleep(Duration::from_millis(500));
    let reports = bed.metric("hntes_reports_total").unwrap();

    fs::remove_file(&path).unwrap();
    symlink("flow.jsonl", &path).unwrap();
    bed.until("the break", || bed.metric("hntes_inputs_in_trouble") == Some(1));
    bed.until("its count", || bed.metric("hntes_input_breaks_total") >= Some(1));
    assert!(bed.metric("hntes_reports_total") >= Some(reports), "{}", bed.all());
    bed.until("the end of the flow", || bed.told("flow-ended") > 0 && bed.is_empty());

    fs::remove_file(&path).unwrap();
    bed.rotate();
    bed.send(true);
    bed.until("redirection again", || bed.is_redirected());
    bed.until("the end of trouble", || bed.metric("hntes_inputs_in_trouble") == Some(0));
    assert!(bed.metric("hntes_reports_total") > Some(reports), "{}", bed.all());
    assert_eq!(bed.metric("hntes_lines_unreadable_total"), Some(1));
    bed.send(false);
    bed.end(child);
    assert_eq!(bed.violations(), Vec::<String>::new());
}
