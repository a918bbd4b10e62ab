// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Results under other addresses.

use crate::program::{csv_files, fam, fresh_seed, generate, hntes, stdout};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;

/// Columns that hold addresses, or rows that are sorted by them.
fn without_addresses(mut tables: Value) -> Value {
    for name in ["files", "raw_flows"] {
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
        let run = |files: &[std::path::PathBuf]| fam(files, &["--alpha-only".into()]);
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
