// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Running the program.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::SystemTime;

/// Runs `hntes` with `args`.
pub(crate) fn hntes<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hntes")).args(args).output().unwrap()
}

/// Standard output of a run that succeeds.
pub(crate) fn stdout(output: Output) -> String {
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{talk}");
    String::from_utf8(output.stdout).unwrap()
}

/// What a run said on standard error.
pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The tables `hntes fam --json` prints.
pub(crate) fn fam(files: &[PathBuf], args: &[String]) -> Value {
    let files = files.iter().map(|path| path.as_os_str().to_owned());
    let args = ["fam", "--json"].into_iter().chain(args.iter().map(String::as_str));
    let output = hntes(args.map(Into::into).chain(files));
    serde_json::from_str::<Value>(&stdout(output)).unwrap()["tables"].take()
}

/// The CSV files in a folder, in order.
pub(crate) fn csv_files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension() == Some("csv".as_ref())).collect();
    files.sort();
    files
}

/// A seed nobody has seen; it is printed, and shown when the test fails.
pub(crate) fn fresh_seed() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let seed = now.as_nanos() as u64 % 1_000_000_007;
    println!("seed {seed}");
    seed
}

/// Generates a workload and returns its files and its truth.
pub(crate) fn generate(profile: &str, seed: u64, dir: &Path) -> (Vec<PathBuf>, Value) {
    let seed = seed.to_string();
    let args = ["generate", "--profile", profile, "--seed", &seed, "--out"];
    stdout(hntes(args.map(std::ffi::OsStr::new).into_iter().chain([dir.as_os_str()])));
    let truth = std::fs::read(dir.join("truth.json")).unwrap();
    (csv_files(dir), serde_json::from_slice(&truth).unwrap())
}
