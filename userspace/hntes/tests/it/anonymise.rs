// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Results under other addresses.

use crate::program::{csv_files, fam, fresh_seed, generate, hntes, said, stdout};
use crate::workload;
use serde_json::Value;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

/// Columns that hold addresses, or rows that are sorted by them.
fn without_addresses(mut tables: Value) -> Value {
    for name in ["files", "notes", "raw_flows", "prefix_flow_list", "super_prefix_flows"] {
        tables[name] = Value::Null;
    }
    tables
}

#[test]
fn every_result_but_the_addresses_stays() {
    for (profile, more) in [("slides", ""), ("ipv6", "--routers")] {
        let (seed, dir) = (fresh_seed(), tempfile::tempdir().unwrap());
        let (files, _) = generate(profile, seed, &dir.path().join("clear"));
        let (key, out) = (dir.path().join("key"), dir.path().join("hidden"));
        let mut args = vec!["anonymise".into(), "--make-key".into(), "--key".into()];
        args.extend([key.clone().into_os_string(), "--out".into(), out.clone().into_os_string()]);
        args.extend((!more.is_empty()).then(|| more.into()));
        args.extend(files.iter().map(|path| path.clone().into_os_string()));
        stdout(hntes(&args));

        let hidden = csv_files(&out);
        assert_eq!(hidden.len(), files.len());
        let run = |files: &[PathBuf]| fam(files, &["--alpha-only".into()]);
        let (before, after) = (run(&files), run(&hidden));
        let sources = |tables: &Value| -> BTreeSet<String> {
            let rows = tables["raw_flows"].as_array().unwrap().iter();
            rows.map(|row| row["src"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(sources(&before).len(), sources(&after).len());
        assert!(sources(&before).is_disjoint(&sources(&after)), "seed {seed}");
        let (mut before, mut after) = (without_addresses(before), without_addresses(after));
        if !more.is_empty() {
            // Egress routers have other names and another order.
            for tables in [&mut before, &mut after] {
                tables["simultaneous"] = Value::Null;
                tables["simultaneous_time"] = Value::Null;
            }
        }
        assert_eq!(before, after, "{profile}, seed {seed}");

        // A key is not overwritten, nor is a file.
        assert_eq!(hntes(&args).status.code(), Some(2));
        args.remove(1);
        assert_eq!(hntes(&args).status.code(), Some(2));
    }
}

fn anonymise(dir: &Path, out: &Path, args: &[OsString]) -> Output {
    fs::write(dir.join("key"), [7; 32]).unwrap();
    let [key, to] = [dir.join("key"), out.to_owned()].map(PathBuf::into_os_string);
    let head = ["anonymise".into(), "--key".into(), key, "--out".into(), to];
    hntes(head.into_iter().chain(args.iter().cloned()))
}

/// 1. Two good files of one name, a stranger and a missing one, a torn one: what can be read is done,
///    what cannot is said, and it exits with 1.
/// 2. The good ones' analysis is as before, and nothing else is left lying about.
#[test]
fn what_cannot_be_read_does_not_keep_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    for folder in ["a", "b"] {
        fs::create_dir(path(folder)).unwrap();
    }
    workload::write(fresh_seed(), 60, &path("a/2011.05.01.csv"));
    workload::write(fresh_seed(), 60, &path("b/2011.05.01.csv"));
    workload::write(fresh_seed(), 20, &path("2011.05.02.csv"));
    fs::write(path("stranger.csv"), "a,b\n1,2\n").unwrap();
    let good = ["a/2011.05.01.csv", "b/2011.05.01.csv", "2011.05.02.csv"].map(&path);
    let [one, same, other] = &good;
    let files = [one, &path("stranger.csv"), &path("missing.csv"), same, other];
    let args = files.map(|path| path.clone().into_os_string());
    let output = anonymise(dir.path(), &path("out"), &args);
    let told = said(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    for what in ["stranger.csv", "missing.csv", "2 of 5 files"] {
        assert!(told.contains(what), "{what}: {told}");
    }
    let names = fs::read_dir(path("out")).unwrap().map(|entry| entry.unwrap().file_name());
    let names: BTreeSet<String> = names.map(|name| name.into_string().unwrap()).collect();
    let expected = ["2011.05.01-2.csv", "2011.05.01.csv", "2011.05.02.csv"];
    assert_eq!(names, BTreeSet::from(expected.map(str::to_owned)));
    let run = |files: &[PathBuf]| {
        without_addresses(fam(files, &["--h=1000".into(), "--alpha-only".into()]))
    };
    assert_eq!(run(&csv_files(&path("out"))), run(&good));

    // Nothing at all is not a part of it.
    let output = anonymise(dir.path(), &path("none"), &[path("missing.csv").into_os_string()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(csv_files(&path("none")).is_empty());
}

/// Lists of egress routers and data doors fit to the records that are hidden with them, and what is
/// assumed is in the files then.
#[test]
fn lists_and_assumptions_go_with_the_records() {
    let (dir, seed) = (tempfile::tempdir().unwrap(), fresh_seed());
    println!("seed {seed}");
    let path = |name: &str| dir.path().join(name);
    workload::write(seed, 300, &path("w.csv"));
    let list =
        "10.0.5.0/24 192.0.2.77 # a site\n10.0.6.1 192.0.2.78\n2001:db8:0:5::/64 192.0.2.79\n";
    fs::write(path("egress.list"), list).unwrap();
    fs::write(path("doors"), "10.0.1.0/24 lab\n10.0.7.2 dtn 2811\n2001:db8::/48 six 1\n").unwrap();
    let option = |name: &str, dir: &str| format!("{name}={}", path(dir).display());
    let args = |dir: &str| {
        ["egress.list", "doors"].map(|name| {
            option(if name == "doors" { "--doors" } else { "--egress" }, &format!("{dir}{name}"))
        })
    };
    let [egress, doors] = args("");
    let assumed = ["--assume-sampling=192.0.2.2=3", "--assume-sampling=2"];
    let hide = assumed.iter().map(|arg| (*arg).into()).chain([egress.into(), doors.into()]);
    let hide: Vec<OsString> = hide.chain([path("w.csv").into_os_string()]).collect();
    let output = anonymise(dir.path(), &path("out"), &hide);
    assert!(output.status.success(), "{}", said(&output));

    let run = |file: &str, dir: &str, more: &[&str]| {
        let mut options: Vec<String> =
            vec!["--h=1000".into(), "--alpha-only".into(), "--egress-from=table".into()];
        options.extend(args(dir));
        options.extend(more.iter().map(|arg| (*arg).to_owned()));
        let mut tables = without_addresses(fam(&[path(file)], &options));
        // Hosts by their bytes; those of equal bytes by their addresses.
        for row in tables["undeclared_hosts"].as_array_mut().unwrap() {
            row["host"] = Value::Null;
        }
        tables
    };
    let before = run("w.csv", "", &assumed);
    assert_eq!(run("out/w.csv", "out/", &[]), before);
    // Broken twin: the lists as they were do not fit.
    assert_ne!(run("out/w.csv", "", &[]), before);
    let hidden = fs::read_to_string(path("out/egress.list")).unwrap();
    assert!(hidden.contains("/24 192.0.2.77\n") && !hidden.contains("site"), "{hidden}");
    assert!(!hidden.contains("10.0.5.0") && hidden.lines().count() == 3, "{hidden}");
}

#[test]
fn keys_are_bytes_or_digits() {
    let (dir, seed) = (tempfile::tempdir().unwrap(), fresh_seed());
    let (files, _) = generate("slides", seed, &dir.path().join("clear"));
    let hide = |name: &str, key: &[u8]| {
        let (path, out) = (dir.path().join(name), dir.path().join(format!("{name}.out")));
        fs::write(&path, key).unwrap();
        let output = hntes([
            "anonymise".as_ref(),
            "--key".as_ref(),
            path.as_os_str(),
            "--out".as_ref(),
            out.as_os_str(),
            files[40].as_os_str(),
        ]);
        (output.status.code(), csv_files(&out).first().map(|path| fs::read(path).unwrap()))
    };
    fs::create_dir_all(dir.path().join("short.out")).unwrap();
    let key: [u8; 32] = std::array::from_fn(|index| index as u8 * 8);
    let digits: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let bytes = hide("bytes", &key);
    assert_eq!(bytes.0, Some(0));
    assert_eq!(bytes, hide("digits", format!("{digits}\n").as_bytes()));
    assert_eq!(hide("short", b"abc").0, Some(2));
}
