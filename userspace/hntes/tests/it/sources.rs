// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Pipes, which can be read once, and files with several names.

use crate::program::{fam, fresh_seed, hntes, said, stdout};
use crate::workload;
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use telesteer_engine::stored::Writer;

/// Runs `hntes` with something on its standard input.
fn piped<S: AsRef<OsStr>>(input: Vec<u8>, args: &[S]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_hntes"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut to = child.stdin.take().unwrap();
    // It may end without having read it all.
    let writer = thread::spawn(move || to.write_all(&input).ok());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

/// All tables but those about files, how many records were read, and under what name.
fn tables(output: Output) -> (Value, Value, String) {
    let all: Value = serde_json::from_str(&stdout(output)).unwrap();
    let mut tables = all["tables"].clone();
    let (files, _) = (tables["files"].take(), tables["notes"].take());
    let name = files[0]["path"].as_str().unwrap().to_owned();
    (tables, files[0]["records"].clone(), name)
}

const FAM: [&str; 3] = ["fam", "--h=1000", "--json"];

/// 1. The same records from a file, standard input, a FIFO and a shell's `<(…)`, as CSV and as Parquet.
/// 2. Every pass sees all of them: the tables are the same, and what was copied is said.
#[test]
fn pipes_are_read_more_than_once() {
    let (dir, seed) = (tempfile::tempdir().unwrap(), fresh_seed());
    let path = |name: &str| dir.path().join(name);
    workload::write(seed, 300, &path("w.csv"));
    let mut parquet = Writer::create(&path("w.parquet")).unwrap();
    let assume = hntes::input::Assume::default();
    hntes::input::read(&path("w.csv"), &assume, |record| parquet.write(record).unwrap()).unwrap();
    parquet.close().unwrap();
    let (expected, records, _) =
        tables(hntes([&FAM[..], &[path("w.csv").to_str().unwrap()]].concat()));
    assert!(!expected["raw_flows"].as_array().unwrap().is_empty());
    for file in ["w.csv", "w.parquet"] {
        let octets = fs::read(path(file)).unwrap();
        for name in ["-", "/dev/stdin"] {
            let output = piped(octets.clone(), &[&FAM[..], &[name]].concat());
            let told = format!("<stdin> is a pipe: {} octets are copied", octets.len());
            assert!(said(&output).contains(&told), "{}", said(&output));
            assert_eq!(
                tables(output),
                (expected.clone(), records.clone(), "<stdin>".to_owned()),
                "{file} {name} seed {seed}"
            );
        }
        let fifo = path(&format!("{file}.fifo"));
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let to = fifo.clone();
        let writer = thread::spawn(move || fs::write(to, octets).unwrap());
        let found = tables(hntes([&FAM[..], &[fifo.to_str().unwrap()]].concat()));
        writer.join().unwrap();
        let name = fifo.display().to_string();
        assert_eq!(found, (expected.clone(), records.clone(), name), "{file} seed {seed}");
    }
    let shell = format!(
        "{} fam --h=1000 --json <(cat {})",
        env!("CARGO_BIN_EXE_hntes"),
        path("w.csv").display()
    );
    let output = Command::new("bash").args(["-c", &shell]).output().unwrap();
    let (found, count, _) = tables(output);
    assert_eq!((found, count), (expected.clone(), records.clone()));
    // A file as standard input is read where it is.
    let stdin = File::open(path("w.csv")).unwrap();
    let mut direct = Command::new(env!("CARGO_BIN_EXE_hntes"));
    let output = direct.args(FAM).arg("-").stdin(stdin).output().unwrap();
    assert!(!said(&output).contains("is a pipe"));
    assert_eq!(tables(output), (expected, records, "<stdin>".to_owned()));
}

/// 1. A pipe with more than is allowed: an error with its name, the bound and what to do, and no tables.
/// 2. The bound is for all pipes together; just enough is enough.
#[test]
fn what_is_copied_has_a_bound() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("w.csv");
    workload::write(4, 100, &file);
    let octets = fs::read(&file).unwrap();
    let run = |most: usize| {
        piped(octets.clone(), &["fam", "--h=1000", &format!("--spool={most}"), "--json", "-"])
    };
    let output = run(octets.len() - 1);
    assert_eq!(output.status.code(), Some(2));
    let told = said(&output);
    assert!(output.stdout.is_empty(), "{told}");
    for what in ["<stdin>: ", &format!("the {} that --spool", octets.len() - 1), "name a file"] {
        assert!(told.contains(what), "{what}: {told}");
    }
    assert!(run(octets.len()).status.success());
    let fifo = dir.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let (to, more) = (fifo.clone(), octets.clone());
    let writer = thread::spawn(move || fs::write(to, more).ok());
    let spool = format!("--spool={}", octets.len() + 10);
    let output = piped(octets, &["fam", "--h=1000", &spool, "-", fifo.to_str().unwrap()]);
    writer.join().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("fifo: it is a pipe"), "{}", said(&output));
}

/// Records of standard input are anonymised into a file of that name.
#[test]
fn standard_input_is_anonymised() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    workload::write(5, 100, &path("w.csv"));
    fs::write(path("key"), [7; 32]).unwrap();
    let hide = |out: &Path, from: &str, input: Vec<u8>| {
        let (key, out) = (path("key"), out.to_owned());
        let head = ["anonymise", "--key", key.to_str().unwrap(), "--out", out.to_str().unwrap()];
        stdout(piped(input, &[&head[..], &[from]].concat()));
    };
    hide(&path("one"), path("w.csv").to_str().unwrap(), Vec::new());
    hide(&path("two"), "-", fs::read(path("w.csv")).unwrap());
    let read = |name: &str| fs::read(path(name)).unwrap();
    assert_eq!(read("two/stdin.csv"), read("one/w.csv"));
}

/// 1. A file named again: as it is, by another way to write its path, through links, and in a folder.
/// 2. It is read once, and every other name is said, and is in the table.
#[test]
fn a_file_named_twice_counts_once() {
    let (dir, seed) = (tempfile::tempdir().unwrap(), fresh_seed());
    let path = |name: &str| dir.path().join(name);
    fs::create_dir(path("d")).unwrap();
    workload::write(seed, 200, &path("d/a.csv"));
    workload::write(seed + 1, 50, &path("d/b.csv"));
    symlink(path("d/a.csv"), path("link.csv")).unwrap();
    fs::hard_link(path("d/b.csv"), path("hard.csv")).unwrap();
    symlink(path("d"), path("folder")).unwrap();
    let clean = fam(&[path("d")], &["--h=1000".into()]);
    assert_eq!(clean["named_again"], json!([]));
    let dotted = PathBuf::from(format!("{}/./d/../d/b.csv", dir.path().display()));
    let named = [
        path("d/a.csv"),
        path("d"),
        path("link.csv"),
        dotted.clone(),
        path("hard.csv"),
        path("folder"),
    ];
    let args = FAM.map(OsStr::new).into_iter().chain(named.iter().map(|path| path.as_os_str()));
    let output = hntes(args);
    let told = said(&output);
    let mut found = serde_json::from_str::<Value>(&stdout(output)).unwrap()["tables"].take();
    let again = found["named_again"].take();
    let row = |name: PathBuf, first: &str| json!({"path": name, "first_named_as": path(first)});
    let expected = json!([
        row(path("d/a.csv"), "d/a.csv"),
        row(path("link.csv"), "d/a.csv"),
        row(dotted.clone(), "d/b.csv"),
        row(path("hard.csv"), "d/b.csv"),
        row(path("folder/a.csv"), "d/a.csv"),
        row(path("folder/b.csv"), "d/b.csv"),
    ]);
    assert_eq!(again, expected);
    for name in ["link.csv", "hard.csv", "./d/../d/b.csv", "folder/a.csv"] {
        let line = told.lines().find(|line| line.contains(&format!("{name} is ")));
        assert!(line.is_some_and(|line| line.ends_with("read once")), "{name}: {told}");
    }
    found["named_again"] = json!([]);
    assert_eq!(found, clean, "seed {seed}");
}
