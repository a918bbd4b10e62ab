// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Days kept between runs.

use crate::program::{fam, fresh_seed, generate, hntes};
use std::fs;

/// 1. Days come one by one; the state has what a run over all of them finds.
/// 2. A day replayed changes nothing, to the byte.
/// 3. Another reading is refused.
#[test]
fn days_are_kept() {
    let (dir, seed) = (tempfile::tempdir().unwrap(), fresh_seed());
    let (files, _) = generate("slides", seed, dir.path());
    let state = dir.path().join("state");
    let kept = format!("--state={}", state.display());
    let args = |more: &[&str]| -> Vec<String> {
        let base = [kept.as_str(), "--alpha-only"];
        base.iter().chain(more).map(|text| (*text).to_owned()).collect()
    };
    fam(&files[..100], &args(&[]));
    let grown = fam(&files[100..140], &args(&[]));
    let mut all = fam(&files[..140], &["--alpha-only".into()]);
    all["files"] = grown["files"].clone();
    assert_eq!(grown, all);

    let day = state.join("2011-06-01.day.json");
    let before = fs::read(&day).unwrap();
    let mut replayed = fam(&files[31..32], &args(&[]));
    assert_eq!(fs::read(&day).unwrap(), before);
    replayed["files"] = grown["files"].clone();
    assert_eq!(replayed, grown);

    let other = hntes(["fam", &kept, "--h=5"]);
    assert_eq!(other.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&other.stderr).contains("another reading"));
}
