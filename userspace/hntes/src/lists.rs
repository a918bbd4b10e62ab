// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Lists by prefix that are given beside records: egress routers and data doors. A line each; what
//! follows a `#` is a comment.

use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::str::SplitWhitespace;
use telesteer_fam::Prefix;
use telesteer_fam::doors::Door;

/// Hands the words of every line with any to `each`, the first as a prefix.
fn lines(
    path: &Path,
    mut each: impl FnMut(Prefix, SplitWhitespace<'_>) -> Result<()>,
) -> Result<()> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    for (number, line) in text.lines().enumerate() {
        let at = || format!("{}, line {}", path.display(), number + 1);
        let mut words = line.split('#').next().unwrap_or("").split_whitespace();
        let Some(prefix) = words.next() else { continue };
        each(prefix.parse().with_context(at)?, words).with_context(at)?;
    }
    Ok(())
}

/// Reads egress routers by destination: `PREFIX ROUTER`.
pub fn egress(path: &Path) -> Result<BTreeMap<Prefix, IpAddr>> {
    let mut routers = BTreeMap::new();
    lines(path, |prefix, mut words| {
        let router: IpAddr = words.next().context("no router")?.parse()?;
        routers.insert(prefix, router.to_canonical());
        Ok(())
    })?;
    Ok(routers)
}

/// Reads data doors: `PREFIX NAME [PORT,PORT...]`.
pub fn doors(path: &Path) -> Result<Vec<Door>> {
    let mut doors = Vec::new();
    lines(path, |prefix, mut words| {
        let name = words.next().context("no name")?.to_owned();
        let ports = words.next().map_or(Ok(Default::default()), |ports| {
            ports.split(',').map(str::parse).collect::<Result<_, _>>()
        })?;
        doors.push(Door { prefix, name, ports });
        Ok(())
    })?;
    Ok(doors)
}

/// Writes what [`egress`] reads.
pub fn egress_text(routers: &BTreeMap<Prefix, IpAddr>) -> String {
    routers.iter().map(|(prefix, router)| format!("{prefix} {router}\n")).collect()
}

/// Writes what [`doors`] reads.
pub fn doors_text(doors: &[Door]) -> String {
    let line = |door: &Door| {
        let ports: Vec<String> = door.ports.iter().map(u16::to_string).collect();
        format!("{} {} {}", door.prefix, door.name, ports.join(",")).trim_end().to_owned() + "\n"
    };
    doors.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_they_are_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list");
        let text = "# of ours\n\n192.0.2.0/24 10.0.0.1 # and more\n2001:db8::/32 ::ffff:10.0.0.2\n";
        fs::write(&path, text).unwrap();
        let routers = egress(&path).unwrap();
        assert_eq!(egress_text(&routers), "192.0.2.0/24 10.0.0.1\n2001:db8::/32 10.0.0.2\n");
        fs::write(&path, "192.0.2.1 dtn 2811,443\n198.51.100.0/24 lab\n").unwrap();
        let found = doors(&path).unwrap();
        assert_eq!(doors_text(&found), "192.0.2.1/32 dtn 443,2811\n198.51.100.0/24 lab\n");
        for (text, what) in [
            ("192.0.2.0/24 x\n", "line 1"),
            ("\n192.0.2.0/24\n", "line 2: no router"),
            ("192.0.2.1/24 10.0.0.1\n", "192.0.2.1/24"),
        ] {
            fs::write(&path, text).unwrap();
            let error = format!("{:#}", egress(&path).unwrap_err());
            assert!(error.contains(what) && error.contains("list"), "{error}");
        }
        fs::write(&path, "192.0.2.1 dtn x\n").unwrap();
        assert!(doors(&path).is_err());
    }
}
