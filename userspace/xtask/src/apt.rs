// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The host's apt, read only: which mirror it uses, and packages fetched without touching it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::run::{cmd, say};

/// One `deb` source of the host.
#[derive(Debug, PartialEq, Eq)]
struct Source {
    uri: String,
    suite: String,
    main: bool,
}

/// The mirror to install the toolbox from: `$TELESTEER_MIRROR`, else the first plain Debian archive
/// in the host's own apt sources.
pub(crate) fn mirror() -> Result<String> {
    if let Ok(uri) = std::env::var("TELESTEER_MIRROR") {
        return Ok(uri);
    }
    let mut sources = Vec::new();
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(dir) = fs::read_dir("/etc/apt/sources.list.d") {
        let mut more: Vec<_> = dir.flatten().map(|entry| entry.path()).collect();
        more.sort();
        files.extend(more);
    }
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        match file.extension().and_then(|ext| ext.to_str()) {
            Some("list") => sources.extend(one_line(&text)),
            Some("sources") => sources.extend(deb822(&text)),
            _ => {}
        }
    }
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let debian = release.lines().any(|line| line.trim() == "ID=debian");
    match pick(&sources) {
        Some(uri) if debian => Ok(uri.to_owned()),
        _ => bail!(
            "this host's apt sources name no Debian archive to install the toolbox from: \
             set TELESTEER_MIRROR to the URI of a Debian mirror that has trixie"
        ),
    }
}

/// The first archive with `main` that is neither a security nor a backports one.
fn pick(sources: &[Source]) -> Option<&str> {
    sources
        .iter()
        .find(|source| {
            source.main && !source.suite.contains(['-', '/']) && is_fetchable(&source.uri)
        })
        .map(|source| source.uri.as_str())
}

fn is_fetchable(uri: &str) -> bool {
    ["http://", "https://", "file:", "ftp://"].iter().any(|scheme| uri.starts_with(scheme))
}

/// `deb [options] URI SUITE COMPONENT…`
fn one_line(text: &str) -> Vec<Source> {
    let mut found = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let Some(rest) = line.strip_prefix("deb ") else { continue };
        let rest = rest.trim_start();
        let rest = match rest.strip_prefix('[') {
            Some(options) => options.split_once(']').map_or("", |(_, rest)| rest),
            None => rest,
        };
        let mut words = rest.split_whitespace();
        if let (Some(uri), Some(suite)) = (words.next(), words.next()) {
            let main = words.any(|component| component == "main");
            found.push(Source { uri: uri.to_owned(), suite: suite.to_owned(), main });
        }
    }
    found
}

/// Stanzas of `Types:`, `URIs:`, `Suites:`, `Components:`; several values a field.
fn deb822(text: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let text: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    for stanza in text.split(|line| line.trim().is_empty()) {
        let field = |name: &str| {
            let at = stanza.iter().position(|line| {
                line.split_once(':').is_some_and(|(key, _)| key.eq_ignore_ascii_case(name))
            });
            let Some(at) = at else { return Vec::new() };
            let first = stanza[at].split_once(':').map_or("", |(_, value)| value);
            let more = stanza[at + 1..].iter().take_while(|line| line.starts_with([' ', '\t']));
            std::iter::once(&first).chain(more).flat_map(|line| line.split_whitespace()).collect()
        };
        if !field("Types").contains(&"deb") || field("Enabled").contains(&"no") {
            continue;
        }
        let main = field("Components").contains(&"main");
        for uri in field("URIs") {
            for suite in field("Suites") {
                found.push(Source { uri: uri.to_owned(), suite: suite.to_owned(), main });
            }
        }
    }
    found
}

/// The host's proxy and check settings, in `apt.conf` form, for the apt inside the toolbox.
pub(crate) fn host_settings() -> Result<String> {
    let dump = cmd("apt-config").arg("dump").output().context("the toolbox needs Debian's apt")?;
    Ok(carried(&dump))
}

fn carried(dump: &str) -> String {
    let kept = ["Acquire::http::", "Acquire::https::", "Acquire::Check-"];
    dump.lines()
        .filter(|line| {
            kept.iter().any(|prefix| line.starts_with(prefix)) && !line.contains(" \"\";")
        })
        .map(|line| format!("{line}\n"))
        .collect()
}

/// Fetches packages with the host's apt and unpacks them below `into`.
///
/// All state (lists, caches) lives below `cache`; the host's own is neither read nor written, apart
/// from its sources and keys.
pub(crate) fn unpack(cache: &Path, packages: &[&str], into: &Path) -> Result<()> {
    let state = cache.join("host-apt");
    for dir in ["state/lists/partial", "cache/archives/partial", "debs"] {
        let dir = state.join(dir);
        fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
    }
    fs::create_dir_all(into).with_context(|| format!("making {}", into.display()))?;
    let options = [
        format!("-oDir::State={}", state.join("state").display()),
        format!("-oDir::Cache={}", state.join("cache").display()),
        "-oDir::State::status=/var/lib/dpkg/status".to_owned(),
        "-oAPT::Sandbox::User=root".to_owned(),
        "-qq".to_owned(),
    ];
    say(format!("fetching {} with the host's apt (nothing is installed)", packages.join(", ")));
    cmd("apt-get").args(&options).arg("update").output()?;
    cmd("apt-get")
        .args(&options)
        .arg("download")
        .args(packages)
        .dir(state.join("debs"))
        .output()?;
    for package in packages {
        let prefix = format!("{package}_");
        let deb = fs::read_dir(state.join("debs"))
            .context("reading the fetched packages")?
            .flatten()
            .find(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
            .with_context(|| format!("apt-get download left no {package}_*.deb"))?;
        cmd("dpkg-deb").arg("-x").arg(deb.path()).arg(into).output()?;
    }
    fs::remove_dir_all(&state).with_context(|| format!("removing {}", state.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_sources() {
        let found = one_line(
            "# deb http://no.invalid/debian trixie main\n\
             deb-src http://no.invalid/debian trixie main\n\
             deb [arch=amd64 signed-by=/k.gpg] http://a.invalid/debian trixie main contrib # x\n\
             deb cdrom:[Debian]/ trixie main\n",
        );
        assert_eq!(found[0].uri, "http://a.invalid/debian");
        assert_eq!(pick(&found), Some("http://a.invalid/debian"));
    }

    #[test]
    fn deb822_sources() {
        let found = deb822(
            "Types: deb\n# Signed-By: x\nURIs: http://s.invalid/sec\nSuites: trixie-security\nComponents: main\n\n\
             Types: deb deb-src\nEnabled: no\nURIs: http://off.invalid\nSuites: trixie\nComponents: main\n\n\
             Types: deb\nURIs: mirror+file:/etc/apt/m.list\n http://b.invalid/debian\nSuites: trixie\n trixie-updates\nComponents: main\n",
        );
        assert_eq!(found.len(), 5);
        assert_eq!(pick(&found), Some("http://b.invalid/debian"));
        assert_eq!(pick(&found[..1]), None);
    }

    #[test]
    fn only_network_settings_are_carried_over() {
        let dump = "APT::Sandbox::User \"_apt\";\nAcquire \"\";\nAcquire::http::Proxy \"http://p.invalid:1\";\n\
                    Acquire::https::Proxy \"\";\nAcquire::Check-Valid-Until \"false\";\nAcquire::Languages \"\";\n";
        assert_eq!(
            carried(dump),
            "Acquire::http::Proxy \"http://p.invalid:1\";\nAcquire::Check-Valid-Until \"false\";\n"
        );
    }
}
