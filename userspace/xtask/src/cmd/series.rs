// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `xtask series`: patches to a git tree and back.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::git::git;
use crate::kernel::{self, Flavour};
use crate::lock::CacheLock;
use crate::run::{cmd, say};
use crate::series;
use crate::source::Source;
use crate::steps;
use crate::toolbox::Toolbox;
use crate::workspace::Workspace;

/// Turns linux-patches/ into a git tree and back.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Make a git worktree with the series applied, to work in.
    Apply {
        /// Where; must not exist yet.
        dir: PathBuf,
        #[command(flatten)]
        source: kernel::Options,
    },
    /// Build the base and every step of the series, as somebody who bisects does. Takes long.
    Build {
        /// Begin with this patch, counted from 1; 0 is the base.
        #[arg(long, value_name = "N", default_value_t = 0)]
        from: usize,
        #[command(flatten)]
        source: kernel::Options,
    },
    /// Write the commits of a tree back as patches.
    Export {
        /// The tree (by default the one the kernels are built from).
        #[arg(long, value_name = "DIR")]
        tree: Option<PathBuf>,
        /// The commit the series goes onto, in that tree.
        #[arg(long, default_value = "base")]
        base: String,
        /// For posting: write to OUT instead, with the selftests as last patch.
        #[arg(long, value_name = "OUT")]
        selftests: Option<PathBuf>,
        #[command(flatten)]
        source: kernel::Options,
    },
}

/// Runs the verb.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let toolbox = Toolbox::ensure(workspace)?;
    let lock = || CacheLock::take(&workspace.cache, "the patch series");
    match &options.verb {
        Verb::Apply { dir, source } => {
            let _lock = lock()?;
            let source = Source::ensure(workspace, &toolbox, source.kernel_src.as_deref())?;
            apply(workspace, &source, dir)?;
        }
        Verb::Build { from, source } => {
            let source = {
                let _lock = lock()?;
                Source::ensure(workspace, &toolbox, source.kernel_src.as_deref())?
            };
            steps::build(workspace, &toolbox, &source, *from)?;
        }
        Verb::Export { tree, base, selftests, source } => {
            let _lock = if tree.is_none() { Some(lock()?) } else { None };
            let (tree, base) = match tree {
                Some(tree) => (tree.clone(), base.clone()),
                None => {
                    let source = Source::ensure(workspace, &toolbox, source.kernel_src.as_deref())?;
                    (kernel::tree(workspace, &source, Flavour::Plain)?, source.base)
                }
            };
            match selftests {
                Some(out) => posting(workspace, &tree, &base, out)?,
                None => export(workspace, &tree, &base)?,
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn apply(workspace: &Workspace, source: &Source, dir: &Path) -> Result<()> {
    if dir.exists() {
        bail!("{} exists already", dir.display());
    }
    let dir = std::path::absolute(dir).with_context(|| format!("resolving {}", dir.display()))?;
    series::apply(source, &dir, &series::patches(&workspace.root.join("linux-patches"))?)?;
    say(format!("work in {0}, then: cargo xtask series export --tree {0}", dir.display()));
    Ok(())
}

/// Replaces the patches in `linux-patches/`.
fn export(workspace: &Workspace, tree: &Path, base: &str) -> Result<()> {
    let home = workspace.root.join("linux-patches");
    let fresh = scratch(workspace, "export")?;
    let exported = series::export(tree, base, &fresh)?;
    for old in series::patches(&home)? {
        fs::remove_file(&old.path).with_context(|| format!("removing {}", old.path.display()))?;
    }
    for patch in &exported {
        let name = patch.file_name().context("a patch without a name")?;
        fs::copy(patch, home.join(name)).with_context(|| format!("copying {}", patch.display()))?;
    }
    say(format!("{} patches in {}", exported.len(), home.display()));
    Ok(())
}

/// An empty folder below target.
pub(crate) fn scratch(workspace: &Workspace, name: &str) -> Result<PathBuf> {
    let dir = workspace.target.join("series").join(name);
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| format!("removing {}", dir.display()))?;
    }
    fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
    Ok(dir)
}

/// Series plus one commit that adds `selftests/` where the kernel keeps them.
fn posting(workspace: &Workspace, tree: &Path, base: &str, out: &Path) -> Result<()> {
    let out = std::path::absolute(out).with_context(|| format!("resolving {}", out.display()))?;
    let copy = scratch(workspace, "posting")?;
    git(tree).args(["worktree", "add", "-q", "--detach", "-f"]).arg(&copy).arg("HEAD").output()?;
    let home = copy.join("tools/testing/selftests/net/telesteer");
    let result = (|| {
        fs::create_dir_all(&home).with_context(|| format!("making {}", home.display()))?;
        cmd("cp").arg("-r").arg(workspace.root.join("selftests/.")).arg(&home).output()?;
        git(&copy).args(["add", "-A", "tools/testing/selftests/net/telesteer"]).output()?;
        let message = "selftests: net: test takeover and reuseport policies\n\n\
                       Every rule of the two interfaces has a test and a broken twin: the same steps with\n\
                       the one thing missing that makes it work, which must then fail.";
        git(&copy).args(["commit", "-q", "-m", message]).output()?;
        series::export(&copy, base, &out)
    })();
    git(tree).args(["worktree", "remove", "-f"]).arg(&copy).output()?;
    say(format!("{} patches in {}", result?.len(), out.display()));
    Ok(())
}
