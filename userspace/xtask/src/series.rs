// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The patch series: files in `linux-patches/`, a git worktree in the cache, and back.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

use crate::git::git;
use crate::key::Key;
use crate::run::say;
use crate::source::{Source, worktree};

/// One patch file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Patch {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Hash of its content.
    pub(crate) hash: String,
}

impl Patch {
    fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// The patches of a folder in order; the cover letter is not one.
pub(crate) fn patches(dir: &Path) -> Result<Vec<Patch>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir)
        .with_context(|| format!("reading {}", dir.display()))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "patch"))
        .filter(|path| {
            path.file_name().is_some_and(|name| !name.to_string_lossy().starts_with("0000-"))
        })
        .collect();
    paths.sort();
    paths.into_iter().map(|path| Ok(Patch { hash: Key::new().file(&path)?.hex(), path })).collect()
}

/// Brings the worktree at `tree` to base + `patches`.
///
/// Patches that are applied already are left alone, so only files of changed patches get new times
/// and an incremental build stays small.
pub(crate) fn apply(source: &Source, tree: &Path, patches: &[Patch]) -> Result<()> {
    worktree(source, tree, &source.base)?;
    let git_dir = git(tree).args(["rev-parse", "--absolute-git-dir"]).output()?;
    let record = Path::new(git_dir.trim()).join("telesteer-series");
    let mut applied = Record::read(&record);
    let head = git(tree).args(["rev-parse", "HEAD"]).output()?;
    let clean = git(tree).args(["status", "--porcelain", "-uno"]).output()?.trim().is_empty();
    let keep = applied.common(&source.base, patches);
    if keep == patches.len()
        && keep == applied.steps.len()
        && head.trim() == applied.tip(&source.base)
        && clean
    {
        return Ok(());
    }
    let times = if clean { Times::of(tree, &source.base, head.trim()) } else { Times::default() };
    applied.base.clone_from(&source.base);
    applied.steps.truncate(keep);
    let _ = git(tree).args(["am", "--abort"]).verdict()?;
    git(tree).args(["reset", "-q", "--hard", applied.tip(&source.base)]).output()?;
    applied.write(&record)?;
    for patch in &patches[keep..] {
        let (status, said) = git(tree)
            .args(["am", "-q", "--committer-date-is-author-date", "--keep-non-patch"])
            .arg(&patch.path)
            .verdict()?;
        if !status.success() {
            let _ = git(tree).args(["am", "--abort"]).verdict()?;
            bail!("{} does not apply to {}:\n{}", patch.name(), source.name, rejection(&said));
        }
        let commit = git(tree).args(["rev-parse", "HEAD"]).output()?.trim().to_owned();
        applied.steps.push((patch.hash.clone(), commit));
        applied.write(&record)?;
    }
    times.restore(tree, head.trim())?;
    say(format!(
        "series: {} patches on {} ({} new)",
        patches.len(),
        source.name,
        patches.len() - keep
    ));
    Ok(())
}

/// When the files that patches touch were written.
///
/// Patches that were only reworded or reordered leave the same files behind; giving them their old
/// times back spares the build of everything that includes a header among them.
#[derive(Debug, Default)]
struct Times(Vec<(PathBuf, SystemTime)>);

impl Times {
    /// The times of the files that differ between `base` and `head`, which must be checked out.
    fn of(tree: &Path, base: &str, head: &str) -> Self {
        let names = changed(tree, base, head).unwrap_or_default();
        let time = |name: PathBuf| {
            let time = fs::metadata(tree.join(&name)).and_then(|data| data.modified()).ok()?;
            Some((name, time))
        };
        Times(names.into_iter().filter_map(time).collect())
    }

    /// Gives them back to the files that are now what they were at `head`.
    fn restore(&self, tree: &Path, head: &str) -> Result<()> {
        let differ = changed(tree, head, "HEAD")?;
        for (name, time) in self.0.iter().filter(|(name, _)| !differ.contains(name)) {
            let path = tree.join(name);
            File::options()
                .write(true)
                .open(&path)
                .and_then(|file| file.set_modified(*time))
                .with_context(|| format!("setting the time of {}", path.display()))?;
        }
        Ok(())
    }
}

/// Files that differ between two commits.
fn changed(tree: &Path, from: &str, to: &str) -> Result<Vec<PathBuf>> {
    let text = git(tree).args(["diff", "--name-only", "--no-renames", "-z", from, to]).output()?;
    Ok(text.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from).collect())
}

/// The lines of `git am`'s complaint that name file and hunk.
fn rejection(said: &str) -> String {
    let lines: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("error:") || line.starts_with("fatal:"))
        .map(|line| line.trim_start_matches("error: ").trim_start_matches("patch failed: "))
        .collect();
    let text = if lines.is_empty() { said.trim().to_owned() } else { lines.join("\n") };
    text.lines()
        .map(|line| match line.rsplit_once(':') {
            Some((file, at)) if at.parse::<u32>().is_ok() => {
                format!("  {file}: the hunk at line {at}")
            }
            _ => format!("  {line}"),
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// Which patches a worktree holds, as (patch hash, commit).
#[derive(Debug, Default)]
struct Record {
    base: String,
    steps: Vec<(String, String)>,
}

impl Record {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_default();
        let mut lines = text.lines();
        let base = lines.next().unwrap_or_default().to_owned();
        let steps = lines
            .map_while(|line| line.split_once(' '))
            .map(|(hash, commit)| (hash.to_owned(), commit.to_owned()))
            .collect();
        Record { base, steps }
    }

    fn write(&self, path: &Path) -> Result<()> {
        let mut text = self.base.clone() + "\n";
        for (hash, commit) in &self.steps {
            text += &format!("{hash} {commit}\n");
        }
        fs::write(path, text).with_context(|| format!("writing {}", path.display()))
    }

    /// How many leading patches are applied as they are.
    fn common(&self, base: &str, patches: &[Patch]) -> usize {
        if self.base != base {
            return 0;
        }
        self.steps.iter().zip(patches).take_while(|((hash, _), patch)| *hash == patch.hash).count()
    }

    /// The commit of the last step.
    fn tip<'a>(&'a self, base: &'a str) -> &'a str {
        self.steps.last().map_or(base, |(_, commit)| commit)
    }
}

/// Writes `base..HEAD` of `tree` as patch files into `out`; the same tree gives the same bytes.
pub(crate) fn export(tree: &Path, base: &str, out: &Path) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(out).with_context(|| format!("making {}", out.display()))?;
    let said = git(tree)
        .args(["-c", "diff.algorithm=myers", "-c", "diff.renames=true", "-c", "core.abbrev=40"])
        .args([
            "-c",
            "diff.indentHeuristic=true",
            "format-patch",
            "-q",
            "--zero-commit",
            "--no-signature",
        ])
        .args([
            "--no-numbered",
            "--full-index",
            "--no-base",
            "--stat=72",
            "--no-cover-letter",
            "-o",
        ])
        .arg(out)
        .arg(format!("{base}..HEAD"))
        .output();
    said?;
    Ok(patches(out)?.into_iter().map(|patch| patch.path).collect())
}

/// Names the first difference between two folders of patches, if there is one.
pub(crate) fn difference(ours: &Path, exported: &Path) -> Result<Option<String>> {
    let (ours, exported) = (patches(ours)?, patches(exported)?);
    for index in 0..ours.len().max(exported.len()) {
        let text = match (ours.get(index), exported.get(index)) {
            (Some(a), Some(b)) if a.name() != b.name() => {
                format!("{} would be exported as {}", a.name(), b.name())
            }
            (Some(a), Some(b)) if a.hash != b.hash => format!(
                "{} is not what the applied tree exports: {}",
                a.name(),
                first_line_that_differs(&a.path, &b.path)?
            ),
            (Some(a), None) => format!("{} is in linux-patches/ only", a.name()),
            (None, Some(b)) => format!("{} is missing in linux-patches/", b.name()),
            _ => continue,
        };
        return Ok(Some(text));
    }
    Ok(None)
}

fn first_line_that_differs(a: &Path, b: &Path) -> Result<String> {
    let read = |path: &Path| {
        fs::read(path)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .with_context(|| format!("reading {}", path.display()))
    };
    let (a, b) = (read(a)?, read(b)?);
    let (mut left, mut right) = (a.lines(), b.lines());
    let mut number = 0;
    loop {
        number += 1;
        match (left.next(), right.next()) {
            (None, None) => return Ok("line ends".to_owned()),
            (l, r) if l != r => {
                return Ok(format!(
                    "line {number}: {:?} against {:?}",
                    l.unwrap_or(""),
                    r.unwrap_or("")
                ));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of our own, removed at the end.
    struct Dir(PathBuf);

    impl Dir {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(&path).unwrap();
            Dir(path)
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// A repository with a base and two commits on top, exported to `patches/`.
    fn repository(dir: &Path) -> (Source, PathBuf) {
        let repo = dir.join("repo");
        fs::create_dir_all(&repo).unwrap();
        let run = |args: &[&str]| git(&repo).args(args).output().unwrap();
        run(&["init", "-q", "-b", "base"]);
        let write = |text: &str| fs::write(repo.join("file.c"), text).unwrap();
        write("one\ntwo\nthree\n");
        run(&["add", "-A"]);
        run(&["commit", "-q", "-m", "base"]);
        run(&["tag", "base"]);
        write("one\n2\nthree\n");
        run(&["commit", "-q", "-a", "-m", "net: second\n\nBecause."]);
        write("one\n2\n3\n");
        run(&["commit", "-q", "-a", "-m", "net: third"]);
        let out = dir.join("patches");
        assert_eq!(export(&repo, "base", &out).unwrap().len(), 2);
        let base = run(&["rev-parse", "base"]).trim().to_owned();
        (Source { repo, base, name: "linux-test".into() }, out)
    }

    #[test]
    fn applying_and_exporting_gives_the_same_bytes() {
        let dir = Dir::new("series-roundtrip");
        let (source, out) = repository(&dir.0);
        let tree = dir.0.join("tree");
        apply(&source, &tree, &patches(&out).unwrap()).unwrap();
        assert_eq!(fs::read_to_string(tree.join("file.c")).unwrap(), "one\n2\n3\n");
        let again = dir.0.join("again");
        export(&tree, &source.base, &again).unwrap();
        assert_eq!(difference(&out, &again).unwrap(), None);
    }

    #[test]
    fn a_hand_edited_patch_is_not_in_step() {
        let dir = Dir::new("series-edited");
        let (source, out) = repository(&dir.0);
        let second = patches(&out).unwrap()[1].path.clone();
        let text = fs::read_to_string(&second)
            .unwrap()
            .replace("-three", "-three ")
            .replace("-three ", "-three");
        fs::write(&second, text + "trailing words\n").unwrap();
        let tree = dir.0.join("tree");
        apply(&source, &tree, &patches(&out).unwrap()).unwrap();
        let again = dir.0.join("again");
        export(&tree, &source.base, &again).unwrap();
        let text = difference(&out, &again).unwrap().unwrap();
        assert!(text.starts_with("0002-net-third.patch"), "{text}");
    }

    #[test]
    fn only_changed_patches_are_applied_again() {
        let dir = Dir::new("series-incremental");
        let (source, out) = repository(&dir.0);
        let tree = dir.0.join("tree");
        let both = patches(&out).unwrap();
        apply(&source, &tree, &both).unwrap();
        let tip = git(&tree).args(["rev-parse", "HEAD~1"]).output().unwrap();
        apply(&source, &tree, &both[..1]).unwrap();
        assert_eq!(git(&tree).args(["rev-parse", "HEAD"]).output().unwrap(), tip);
        assert_eq!(fs::read_to_string(tree.join("file.c")).unwrap(), "one\n2\nthree\n");
        // A change by hand in the worktree never survives.
        fs::write(tree.join("file.c"), "edited\n").unwrap();
        apply(&source, &tree, &both[..1]).unwrap();
        assert_eq!(fs::read_to_string(tree.join("file.c")).unwrap(), "one\n2\nthree\n");
    }

    #[test]
    fn a_reworded_patch_leaves_file_times_alone() {
        let dir = Dir::new("series-times");
        let (source, out) = repository(&dir.0);
        let tree = dir.0.join("tree");
        apply(&source, &tree, &patches(&out).unwrap()).unwrap();
        let file = tree.join("file.c");
        let old = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        File::options().write(true).open(&file).unwrap().set_modified(old).unwrap();
        let modified = || fs::metadata(&file).unwrap().modified().unwrap();
        let edit = |from: &str, to: &str| {
            let path = &patches(&out).unwrap()[0].path;
            fs::write(path, fs::read_to_string(path).unwrap().replace(from, to)).unwrap();
            apply(&source, &tree, &patches(&out).unwrap()).unwrap();
        };
        edit("Because.", "For a reason.");
        assert!(git(&tree).args(["log", "-2"]).output().unwrap().contains("For a reason."));
        assert_eq!(modified(), old);
        // The twin: another content is another time.
        apply(&source, &tree, &patches(&out).unwrap()[..1]).unwrap();
        assert_ne!(modified(), old);
    }

    #[test]
    fn a_patch_that_does_not_apply_is_named_with_file_and_hunk() {
        let dir = Dir::new("series-reject");
        let (source, out) = repository(&dir.0);
        let all = patches(&out).unwrap();
        let text = fs::read_to_string(&all[1].path).unwrap().replace("-three", "-four");
        fs::write(&all[1].path, text).unwrap();
        let error = apply(&source, &dir.0.join("tree"), &patches(&out).unwrap()).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("0002-net-third.patch does not apply to linux-test"), "{text}");
        assert!(text.contains("file.c: the hunk at line 1"), "{text}");
    }
}
