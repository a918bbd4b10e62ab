// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Documents quote blessed tables between `<!-- bench:NAME:begin -->` and `<!-- bench:NAME:end -->`,
//! where NAME is a file below docs/bench/ without its suffix. The quotes are generated, and checked.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::workspace::Workspace;

const OPEN: &str = "<!-- bench:";
const BEGIN: &str = ":begin -->\n";
const END: &str = ":end -->";

/// The documents that may quote.
fn documents(workspace: &Workspace) -> Vec<PathBuf> {
    ["README.md", "ARCHITECTURE.md", "linux-patches/README.md", "docs/bench/README.md"]
        .iter()
        .map(|name| workspace.root.join(name))
        .filter(|path| path.exists())
        .collect()
}

/// Puts the blessed tables into the documents that quote them.
pub(crate) fn renew(workspace: &Workspace) -> Result<()> {
    for path in documents(workspace) {
        let old =
            fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let new = quoted(&old, |name| table(workspace, name)).with_context(|| document(&path))?;
        if new != old {
            fs::write(&path, new).with_context(|| format!("writing {}", path.display()))?;
        }
    }
    Ok(())
}

/// Documents whose quotes are not what was blessed.
pub(crate) fn stale(workspace: &Workspace) -> Vec<String> {
    let mut bad = Vec::new();
    for path in documents(workspace) {
        let Ok(old) = fs::read_to_string(&path) else { continue };
        match quoted(&old, |name| table(workspace, name)) {
            Ok(new) if new == old => {}
            Ok(_) => bad.push(format!("{}: a quote is not docs/bench/", document(&path))),
            Err(error) => bad.push(format!("{}: {error:#}", document(&path))),
        }
    }
    bad
}

fn document(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn table(workspace: &Workspace, name: &str) -> Result<String> {
    let path = workspace.root.join("docs/bench").join(format!("{name}.txt"));
    fs::read_to_string(&path).with_context(|| format!("docs/bench/{name}.txt"))
}

/// `text` with every quote replaced by what `table` says.
fn quoted(text: &str, table: impl Fn(&str) -> Result<String>) -> Result<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPEN) {
        let (name, after) = after.split_once(BEGIN).context("a quote without :begin -->")?;
        let end = format!("{OPEN}{name}{END}");
        let (_, after) = after.split_once(&end).with_context(|| format!("{name} does not end"))?;
        let table = table(name)?;
        out += &format!("{before}{OPEN}{name}{BEGIN}```text\n{}\n```\n{end}", table.trim_end());
        rest = after;
    }
    Ok(out + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_is_replaced_and_the_rest_stays() {
        let text =
            "a\n<!-- bench:select/table:begin -->\nold\n<!-- bench:select/table:end -->\nb\n";
        let new = quoted(text, |name| Ok(format!("{name}!\n"))).unwrap();
        assert_eq!(
            new,
            "a\n<!-- bench:select/table:begin -->\n```text\nselect/table!\n```\n<!-- bench:select/table:end -->\nb\n"
        );
        assert_eq!(quoted(&new, |name| Ok(format!("{name}!\n"))).unwrap(), new);
        assert_eq!(quoted("none", |_| Ok(String::new())).unwrap(), "none");
        assert!(quoted("<!-- bench:x:begin -->\n", |_| Ok(String::new())).is_err());
    }
}
