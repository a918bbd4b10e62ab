// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The kernel source the series goes onto, as a git tree in the cache.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::git::git;
use crate::key::{Key, unstamp};
use crate::run::{cmd, say, step};
use crate::toolbox::{Binds, SUITE, Toolbox};
use crate::workspace::Workspace;

/// The Debian package whose newest point release is the base.
const PACKAGE: &str = "linux-source-7.3";

/// A git repository and the commit the series goes onto.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// The repository; never built in, worktrees hang off it.
    pub(crate) repo: PathBuf,
    /// The base commit.
    pub(crate) base: String,
    /// Short name for folders and talk.
    pub(crate) name: String,
}

impl Source {
    /// The source used last, without asking apt; none before the first use and after a refresh.
    pub(crate) fn current(workspace: &Workspace) -> Option<Self> {
        let home = workspace.cache.join("src");
        let text = fs::read_to_string(home.join("current")).ok()?;
        let (name, base) = text.trim().split_once(' ')?;
        let repo = home.join(name);
        repo.join(".git/telesteer-done").is_file().then(|| Source {
            repo,
            base: base.to_owned(),
            name: name.to_owned(),
        })
    }

    /// Makes the next [`Source::ensure`] ask apt again.
    pub(crate) fn forget_current(workspace: &Workspace) -> Result<()> {
        unstamp(&workspace.cache.join("src/current"))
    }

    /// Finds or fetches the source: `dir` if given, else the newest point release the toolbox's apt
    /// has, else the newest copy in the cache. Needs the cache lock.
    pub(crate) fn ensure(
        workspace: &Workspace,
        toolbox: &Toolbox,
        dir: Option<&Path>,
    ) -> Result<Self> {
        if let Some(dir) = dir {
            return Self::from_dir(workspace, dir);
        }
        if let Some(source) = Self::current(workspace) {
            return Ok(source);
        }
        let home = workspace.cache.join("src");
        let source = match toolbox.candidate(PACKAGE)? {
            Some(version) => {
                let name = format!("linux-{}", version.replace(['~', '+', ':'], "_"));
                let repo = home.join(&name);
                if !repo.join(".git/telesteer-done").is_file() {
                    step(&format!("kernel source {version}"), || {
                        fetch(workspace, toolbox, &version, &repo)
                    })?;
                }
                Self::at(repo, name)?
            }
            None => {
                let newest = copies(&home).pop().with_context(|| {
                    format!(
                        "{SUITE}-backports has no {PACKAGE} any more and {} holds no copy: \
                         give a kernel git tree with --kernel-src DIR",
                        home.display()
                    )
                })?;
                say(format!("apt has no {PACKAGE}; using the copy in the cache: {newest}"));
                Self::at(home.join(&newest), newest)?
            }
        };
        fs::write(home.join("current"), format!("{} {}\n", source.name, source.base))
            .context("remembering the source")?;
        Ok(source)
    }

    fn at(repo: PathBuf, name: String) -> Result<Self> {
        let base = git(&repo).args(["rev-parse", "base^{commit}"]).output()?.trim().to_owned();
        Ok(Source { repo, base, name })
    }

    /// Uses somebody's own tree at its HEAD, without writing into it.
    fn from_dir(workspace: &Workspace, dir: &Path) -> Result<Self> {
        let dir =
            fs::canonicalize(dir).with_context(|| format!("--kernel-src {}", dir.display()))?;
        if !dir.join("scripts/kconfig").is_dir() {
            bail!("--kernel-src {}: not a kernel tree", dir.display());
        }
        if !dir.join(".git").exists() {
            bail!(
                "--kernel-src {0}: not a git tree; make it one with `git -C {0} init && \
                 git -C {0} add -A -f && git -C {0} commit -m base`",
                dir.display()
            );
        }
        let name = format!("own-{}", Key::new().text(&dir.to_string_lossy()).short());
        let repo = workspace.cache.join("src").join(&name);
        if !repo.join(".git").exists() {
            git(&workspace.cache).args(["init", "-q"]).arg(&repo).run()?;
        }
        let common =
            git(&dir).args(["rev-parse", "--path-format=absolute", "--git-common-dir"]).output()?;
        let objects = Path::new(common.trim()).join("objects");
        fs::write(repo.join(".git/objects/info/alternates"), format!("{}\n", objects.display()))
            .context("pointing at the tree's objects")?;
        let base = git(&dir).args(["rev-parse", "HEAD"]).output()?.trim().to_owned();
        git(&repo).args(["tag", "-f", "base", &base]).output()?;
        say(format!("kernel source: {} at {}", dir.display(), &base[..12.min(base.len())]));
        Ok(Source { repo, base, name })
    }
}

/// Finished copies in the cache, oldest version first.
fn copies(home: &Path) -> Vec<String> {
    let Ok(dir) = fs::read_dir(home) else { return Vec::new() };
    let mut names: Vec<String> = dir
        .flatten()
        .filter(|entry| entry.path().join(".git/telesteer-done").is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort_by_key(|name| numbers(name));
    names
}

/// The numbers in a name, so that 7.3.10 sorts after 7.3.9.
fn numbers(name: &str) -> Vec<u64> {
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

/// Fetches the source package, unpacks its archive and commits it as `base`.
fn fetch(workspace: &Workspace, toolbox: &Toolbox, version: &str, repo: &Path) -> Result<()> {
    if repo.exists() {
        fs::remove_dir_all(repo).with_context(|| format!("removing torn {}", repo.display()))?;
    }
    fs::create_dir_all(repo).with_context(|| format!("making {}", repo.display()))?;
    let log = workspace.logs().join("kernel-source.log");
    let script = "set -e
        cd /var/cache/apt/archives
        apt-get download \"$1=$2\"
        mkdir /tmp/x
        dpkg-deb -x \"$1\"_*.deb /tmp/x
        tar -C \"$3\" --strip-components=1 --no-same-owner -xf /tmp/x/usr/src/\"$1\".tar.xz";
    let repo_text = repo.to_string_lossy();
    toolbox
        .apt_command(["sh", "-c", script, "sh", PACKAGE, version, &repo_text])?
        .shown(format!("fetch and unpack {PACKAGE}"))
        .logged(&log, "kernel source", |_, note| "unpacking".clone_into(note))?;
    let commit = |args: &[&str]| git(repo).args(args).output().map(drop);
    commit(&["init", "-q", "-b", "base"])?;
    commit(&["add", "-A", "-f", "."])?;
    commit(&["commit", "-q", "-m", &format!("{PACKAGE} {version}")])?;
    commit(&["tag", "base"])?;
    fs::write(repo.join(".git/telesteer-done"), version).context("stamping the source")
}

/// A worktree of `source` at `path`, checked out at `commit`.
pub(crate) fn worktree(source: &Source, path: &Path, commit: &str) -> Result<()> {
    if path.join(".git").exists() && git(path).args(["rev-parse", "HEAD"]).output().is_ok() {
        return Ok(());
    }
    if path.exists() {
        fs::remove_dir_all(path).with_context(|| format!("removing torn {}", path.display()))?;
    }
    git(&source.repo).args(["worktree", "prune"]).output()?;
    let what = format!("checking out {}", source.name);
    step(&what, || {
        git(&source.repo).args(["worktree", "add", "-q", "--detach"]).arg(path).arg(commit).output()
    })?;
    Ok(())
}

/// The kernel's own version, as `make kernelversion` would say.
pub(crate) fn version(tree: &Path) -> Result<String> {
    let makefile = tree.join("Makefile");
    let text =
        fs::read_to_string(&makefile).with_context(|| format!("reading {}", makefile.display()))?;
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix('='))
            .map_or("", str::trim)
            .to_owned()
    };
    Ok(format!(
        "{}.{}.{}{}",
        field("VERSION"),
        field("PATCHLEVEL"),
        field("SUBLEVEL"),
        field("EXTRAVERSION")
    ))
}

/// Runs a script of the kernel tree (checkpatch and the like) in the toolbox.
pub(crate) fn script(
    toolbox: &Toolbox,
    tree: &Path,
    dir: &Path,
    words: &[String],
) -> Result<crate::run::Cmd> {
    let mut binds = Binds::new();
    binds.bind(tree, crate::kernel::SRC);
    toolbox.command(&binds, dir, words.iter().map(String::as_str))
}

/// Free space check: a build needs room, and running out of it midway reads badly.
pub(crate) fn room(cache: &Path, gib: u64) -> Result<()> {
    let text = cmd("df").args(["-Pk"]).arg(cache).output()?;
    let free =
        text.lines().nth(1).and_then(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok());
    match free {
        Some(kib) if kib / (1024 * 1024) < gib => {
            bail!(
                "{} has {} GiB left; the toolbox and three kernels need {gib}",
                cache.display(),
                kib / (1024 * 1024)
            )
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn point_releases_sort_by_number() {
        let mut names =
            ["linux-7.3.10-1_bpo13_1", "linux-7.3.4-1_bpo13_1", "linux-7.3.9-2_bpo13_1"];
        names.sort_by_key(|name| numbers(name));
        assert_eq!(names[2], "linux-7.3.10-1_bpo13_1");
        assert_eq!(names[0], "linux-7.3.4-1_bpo13_1");
    }

    #[test]
    fn version_is_read_from_the_makefile() {
        let dir = std::env::temp_dir().join(format!("xtask-version-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        fs::write(
            dir.join("Makefile"),
            "VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 4\nEXTRAVERSION =\n",
        )
        .unwrap();
        assert_eq!(version(&dir).unwrap(), "7.3.4");
        fs::remove_dir_all(&dir).unwrap();
    }
}
