// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A small stand-in for cargo-deny: reads the same `deny.toml`, looks at the same metadata.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::run::cmd;

/// What `deny.toml` asks for.
#[derive(Debug, Default)]
struct Rules {
    licences: BTreeSet<String>,
    banned: BTreeSet<String>,
}

impl Rules {
    fn parse(text: &str) -> Result<Self> {
        let table: toml::Table = text.parse().context("parsing deny.toml")?;
        let list = |section: &str, key: &str| {
            table
                .get(section)
                .and_then(|section| section.get(key))
                .and_then(toml::Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(|entry| {
                    let name = entry.get("crate").or_else(|| entry.get("name")).unwrap_or(entry);
                    name.as_str().map(str::to_owned)
                })
                .collect()
        };
        Ok(Rules { licences: list("licenses", "allow"), banned: list("bans", "deny") })
    }
}

/// Complaints about the dependencies of the workspace at `root`.
pub(crate) fn complaints(root: &Path) -> Result<Vec<String>> {
    let rules = std::fs::read_to_string(root.join("deny.toml")).context("reading deny.toml")?;
    let text = cmd("cargo")
        .args(["metadata", "--format-version", "1", "--locked", "--quiet"])
        .dir(root)
        .output()?;
    let metadata: Value = serde_json::from_str(&text).context("parsing cargo metadata")?;
    Ok(judge(&Rules::parse(&rules)?, &metadata))
}

fn judge(rules: &Rules, metadata: &Value) -> Vec<String> {
    let empty = Vec::new();
    let packages = metadata["packages"].as_array().unwrap_or(&empty);
    let ours = packages.iter().find(|package| package["source"].is_null());
    let floor = ours.and_then(|package| package["rust_version"].as_str()).map(numbers);
    let mut found = Vec::new();
    let mut registries: BTreeMap<&str, &str> = BTreeMap::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or("?");
        let label = format!("{name} {}", package["version"].as_str().unwrap_or("?"));
        match package["license"].as_str() {
            Some(licence) if allowed(licence, &rules.licences) => {}
            Some(licence) => found.push(format!("{label}: licence {licence} is not allowed")),
            None => found.push(format!("{label}: no licence")),
        }
        if rules.banned.contains(name) {
            found.push(format!("{label}: banned"));
        }
        match package["source"].as_str() {
            Some(source) if source.starts_with("registry+") => {
                registries.insert(source, name);
            }
            Some(source) => found.push(format!("{label}: not from the registry: {source}")),
            None => {}
        }
        if let (Some(floor), Some(needs)) = (&floor, package["rust_version"].as_str())
            && numbers(needs) > *floor
        {
            found.push(format!("{label}: needs Rust {needs}, newer than the workspace's"));
        }
    }
    if registries.len() > 1 {
        found.push(format!("more than one registry, for example for {:?}", registries.values()));
    }
    found
}

/// `1.90` as `[1, 90, 0]`.
fn numbers(version: &str) -> [u32; 3] {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}

/// Whether an SPDX expression can be met with allowed licences.
///
/// `AND` binds tighter than `OR`; `A/B` is the old form of `A OR B`; `X WITH Y` is one licence.
fn allowed(expression: &str, licences: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    any(&words, &mut at, licences) && at == words.len()
}

fn any(words: &[&str], at: &mut usize, licences: &BTreeSet<String>) -> bool {
    let mut good = all(words, at, licences);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        good |= all(words, at, licences);
    }
    good
}

fn all(words: &[&str], at: &mut usize, licences: &BTreeSet<String>) -> bool {
    let mut good = one(words, at, licences);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        good &= one(words, at, licences);
    }
    good
}

fn one(words: &[&str], at: &mut usize, licences: &BTreeSet<String>) -> bool {
    let Some(word) = words.get(*at) else { return false };
    *at += 1;
    if *word == "(" {
        let good = any(words, at, licences);
        *at += usize::from(words.get(*at) == Some(&")"));
        return good;
    }
    let mut name = (*word).to_owned();
    if words.get(*at) == Some(&"WITH") {
        name += &format!(" WITH {}", words.get(*at + 1).unwrap_or(&""));
        *at += 2;
    }
    licences.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn expressions() {
        let mit = set(&["MIT", "Apache-2.0 WITH LLVM-exception", "Unicode-3.0"]);
        assert!(allowed("MIT OR Apache-2.0", &mit));
        assert!(allowed("Apache-2.0/MIT", &mit));
        assert!(allowed("(GPL-2.0 OR MIT) AND Unicode-3.0", &mit));
        assert!(allowed("Apache-2.0 WITH LLVM-exception OR GPL-3.0", &mit));
        assert!(!allowed("GPL-2.0 AND MIT", &mit));
        assert!(!allowed("Apache-2.0", &mit));
        assert!(!allowed("MIT AND", &mit));
        assert!(!allowed("", &mit));
    }

    #[test]
    fn metadata_is_judged() {
        let rules =
            Rules::parse("[licenses]\nallow = [\"MIT\"]\n[bans]\ndeny = [{ crate = \"bad\" }]\n")
                .unwrap();
        let metadata = serde_json::json!({"packages": [
            {"name": "own", "version": "1.0.0", "license": "MIT", "rust_version": "1.90", "source": null},
            {"name": "bad", "version": "1.0.0", "license": "MIT", "source": "registry+x"},
            {"name": "new", "version": "1.0.0", "license": "MIT", "source": "registry+x", "rust_version": "1.91.0"},
            {"name": "gpl", "version": "1.0.0", "license": "GPL-3.0", "source": "git+x"},
        ]});
        let found = judge(&rules, &metadata).join("\n");
        for text in [
            "bad 1.0.0: banned",
            "new 1.0.0: needs Rust 1.91.0",
            "gpl 1.0.0: licence",
            "gpl 1.0.0: not from",
        ] {
            assert!(found.contains(text), "{text} not in {found}");
        }
        assert_eq!(found.lines().count(), 4);
    }
}
