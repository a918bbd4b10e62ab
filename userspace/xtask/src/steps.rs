// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Every patch on the way must build, not only the last: whoever bisects stops anywhere.

use std::collections::BTreeSet;
use std::fs;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::kernel::{Flavour, Inputs, Kernel};
use crate::lock::CacheLock;
use crate::run::{clock, say};
use crate::series;
use crate::source::{Source, version};
use crate::toolbox::Toolbox;
use crate::workspace::Workspace;

/// Builds the base and each step of the series from patch `from` on, in a tree and a build folder of
/// their own. An error names the patch; a warning that no step before it gave is one.
pub(crate) fn build(
    workspace: &Workspace,
    toolbox: &Toolbox,
    source: &Source,
    from: usize,
) -> Result<()> {
    let patches = series::patches(&workspace.root.join("linux-patches"))?;
    if from > patches.len() {
        bail!("--from {from}: the series has {} patches", patches.len());
    }
    let home = workspace.cache.join("steps");
    let _lock = CacheLock::take(&home, "the steps of the series")?;
    let inputs = Inputs { workspace, toolbox, patches: &patches };
    let (tree, out) = (home.join(format!("{}-tree", source.name)), home.join(&source.name));
    fs::create_dir_all(&out).with_context(|| format!("making {}", out.display()))?;
    // What the step before `from` warns of is nothing new.
    let mut known = BTreeSet::new();
    for step in from.saturating_sub(1)..=patches.len() {
        let name = match step.checked_sub(1).and_then(|last| patches[last].path.file_stem()) {
            Some(name) => name.to_string_lossy().into_owned(),
            None => "the base".to_owned(),
        };
        series::apply(source, &tree, &patches[..step])?;
        let kernel = Kernel {
            flavour: Flavour::Plain,
            release: version(&tree)?,
            out: out.clone(),
            tree: tree.clone(),
            base: source.name.clone(),
            image: out.join("vmlinux"),
        };
        let start = Instant::now();
        inputs.configure_step(&kernel)?;
        let (objects, warnings) = make(workspace, toolbox, &kernel, step)
            .with_context(|| format!("{name} does not build"))?;
        let new = |line: &&String| !known.contains(told(line));
        let new: Vec<&str> = warnings.iter().filter(new).map(String::as_str).collect();
        if step >= from && step > 0 && !new.is_empty() {
            bail!("{name} builds with a warning: {}", new.join("; "));
        }
        known.extend(warnings.iter().map(|line| told(line).to_owned()));
        let time = clock(start.elapsed());
        say(format!("{step} of {}: {name}: {objects} objects in {time}", patches.len()));
    }
    Ok(())
}

/// Objects compiled, and the first lines of warnings.
fn make(
    workspace: &Workspace,
    toolbox: &Toolbox,
    kernel: &Kernel,
    step: usize,
) -> Result<(usize, Vec<String>)> {
    let log = workspace.logs().join(format!("series-step-{step:02}.log"));
    let (mut objects, mut warnings) = (0, Vec::new());
    let targets = ["vmlinux", "modules"].map(str::to_owned);
    kernel.make(toolbox, &targets)?.logged(&log, &format!("step {step}"), |line, note| {
        let line = line.trim_start();
        objects += usize::from(line.starts_with("CC ") || line.starts_with("RUSTC "));
        if is_warning(line) && warnings.len() < WARNINGS {
            warnings.push(line.to_owned());
        }
        *note = format!("{objects} objects compiled");
    })?;
    Ok((objects, warnings))
}

/// Warnings of a step that are looked at.
const WARNINGS: usize = 100;

/// A warning without its place, which moves as lines come in before it.
fn told(line: &str) -> &str {
    line.find("warning:").map_or(line, |at| &line[at..])
}

/// A compiler's, linker's or modpost's warning.
fn is_warning(line: &str) -> bool {
    line.starts_with("warning:") || line.contains(": warning:") || line.starts_with("WARNING:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_told_from_names() {
        assert!(is_warning("net/core/a.c:1:2: warning: unused variable 'x' [-Wunused]"));
        assert!(is_warning("warning: unused import"));
        assert!(is_warning("WARNING: modpost: missing MODULE_DESCRIPTION()"));
        assert!(!is_warning("  CC      lib/warning.o"));
        assert_eq!(told("a.c:1:2: warning: unused"), told("a.c:9:2: warning: unused"));
        assert_ne!(told("a.c:1:2: warning: unused"), told("a.c:1:2: warning: shadowed"));
    }
}
