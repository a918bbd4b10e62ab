// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The gate for Rust that runs in the kernel: the abstraction in the series, and `rust-module/`.
//!
//! The kernel crate is checked with the command that built it, taken from Kbuild's own record, with
//! another program in the place of rustc and without output: nothing of the build is touched.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::kernel::{Kernel, OUT, SRC};
use crate::key::{stamp, stamped};
use crate::module;
use crate::run::step;
use crate::series::Patch;
use crate::toolbox::{Binds, Toolbox};
use crate::workspace::Workspace;

/// What the module must not say, and why.
const FORBIDDEN: [(&str, &str); 3] = [
    ("bindings::", "a module goes through the abstraction"),
    ("unsafe", "a module has no unsafe code"),
    ("extern \"C\"", "a module has no foreign functions"),
];

/// `unsafe` in these words is not code.
const PARDONED: &str = "#![deny(unsafe_code)]";

/// Runs `$2` on the crate that Kbuild's record `$1` tells how to build, with the words `$3` added.
const AGAIN: &str = r#"
    set -e
    words=$(sed -n 's/^savedcmd_[^ ]* := *//p' "$1" |
        sed 's/;.*//; s/ --emit=[^ ]*//g; s/ --out-dir  *[^ ]*//; s/ \(rustc\|clippy-driver\) / '"$2"' /')
    if [ "$2" = rustdoc ]; then
        words=$(echo "$words" | sed 's/ -Zbinary_dep_depinfo=y//; s/ --crate-type [a-z]*//')
    fi
    eval "$words $3"
"#;

/// Everything about kernel Rust; says what is wrong, one complaint a line or paragraph.
pub(crate) fn complaints(
    workspace: &Workspace,
    toolbox: &Toolbox,
    kernel: &Kernel,
    patches: &[Patch],
) -> Result<Vec<String>> {
    let mut bad = words(workspace)?;
    let files = files(patches)?;
    bad.extend(format(workspace, toolbox, kernel, &files)?);
    if !bad.is_empty() {
        return Ok(bad);
    }
    let scratch = workspace.target.join("krust");
    let build = scratch.join("module");
    fs::create_dir_all(&build).with_context(|| format!("making {}", build.display()))?;
    let key = module::copy(workspace, &build)?.file(&kernel.stamp())?;
    let done = scratch.join("done");
    if stamped(&done, &key) {
        return Ok(bad);
    }
    let lab = Lab { toolbox, kernel, binds: binds(kernel) };
    step("clippy and rustdoc on kernel Rust", || {
        let made = lab.module(&build)?;
        bad.extend(warnings(&made, |_| true));
        let ours = |path: &str| files.iter().any(|file| path.ends_with(&*file.to_string_lossy()));
        let (out, record) = (Path::new(OUT), "rust/.kernel.o.cmd");
        let said = lab.again(out, record, "clippy-driver", "--emit=metadata=/tmp/kernel.rmeta")?;
        bad.extend(warnings(&said, ours));
        bad.extend(warnings(&lab.again(out, record, "rustdoc", "--output /tmp/doc")?, ours));
        let record = format!(".{}.o.cmd", module::NAME);
        let more = "--document-private-items --output /tmp/doc";
        bad.extend(warnings(&lab.again(&build, &record, "rustdoc", more)?, |_| true));
        Ok(())
    })?;
    if bad.is_empty() {
        stamp(&done, &key)?;
    }
    Ok(bad)
}

struct Lab<'a> {
    toolbox: &'a Toolbox,
    kernel: &'a Kernel,
    binds: Binds,
}

impl Lab<'_> {
    /// Builds the module with clippy, from scratch.
    fn module(&self, build: &Path) -> Result<String> {
        fs::remove_file(build.join(format!("{}.o", module::NAME))).ok();
        let target = [
            format!("M={}", build.display()),
            "CLIPPY=1".to_owned(),
            "KBUILD_MODPOST_WARN=1".to_owned(),
            format!("{}.o", module::NAME),
        ];
        let (status, said) = self.kernel.make(self.toolbox, &target)?.verdict()?;
        if !status.success() {
            bail!("clippy does not build the module:\n{}", said.trim_end());
        }
        Ok(said)
    }

    /// Runs `program` in `dir` as the compiler was run there, see [`AGAIN`].
    fn again(&self, dir: &Path, record: &str, program: &str, more: &str) -> Result<String> {
        let argv = ["sh", "-c", AGAIN, "sh", record, program, more];
        let (status, said) = self
            .toolbox
            .command(&self.binds, dir, argv)?
            .env("OBJTREE", OUT)
            .env("RUST_MODFILE", module::NAME)
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CLIPPY_CONF_DIR", SRC)
            .verdict()?;
        if !status.success() {
            bail!("{program} as in {record} failed:\n{}", said.trim_end());
        }
        Ok(said)
    }
}

fn binds(kernel: &Kernel) -> Binds {
    let mut binds = Binds::new();
    binds.bind(&kernel.tree, SRC);
    binds.bind(&kernel.out, OUT);
    binds
}

/// Words that must not be in the module.
fn words(workspace: &Workspace) -> Result<Vec<String>> {
    let home = workspace.root.join("rust-module");
    let mut bad = Vec::new();
    for name in module::sources(workspace)? {
        let path = home.join(&name);
        let text =
            fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        for (line, word, why) in forbidden(&text) {
            bad.push(format!("rust-module/{}:{line}: {word:?}: {why}", name.display()));
        }
    }
    Ok(bad)
}

fn forbidden(text: &str) -> Vec<(usize, &'static str, &'static str)> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default().replace(PARDONED, "");
        for (word, why) in FORBIDDEN {
            if code.contains(word) {
                found.push((number + 1, word, why));
            }
        }
    }
    found
}

/// Rust files of the kernel tree that the series adds.
fn files(patches: &[Patch]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for patch in patches {
        let text =
            fs::read(&patch.path).with_context(|| format!("reading {}", patch.path.display()))?;
        found.extend(added(&String::from_utf8_lossy(&text)));
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// Rust files that a patch adds or changes.
fn added(patch: &str) -> impl Iterator<Item = PathBuf> + '_ {
    patch
        .lines()
        .filter_map(|line| line.strip_prefix("+++ b/"))
        .filter(|name| name.ends_with(".rs"))
        .map(PathBuf::from)
}

/// The kernel's rustfmt on both.
fn format(
    workspace: &Workspace,
    toolbox: &Toolbox,
    kernel: &Kernel,
    files: &[PathBuf],
) -> Result<Vec<String>> {
    let home = workspace.root.join("rust-module");
    let ours = module::sources(workspace)?.into_iter().filter(|name| name.extension().is_some());
    let list: Vec<String> = files
        .iter()
        .map(|name| Path::new(SRC).join(name))
        .chain(ours.map(|name| home.join(name)))
        .map(|path| path.to_string_lossy().into_owned())
        .collect();
    let config = format!("{SRC}/.rustfmt.toml");
    let fixed = ["rustfmt", "--check", "--edition", "2021", "--config-path", &config];
    let argv = fixed.into_iter().map(str::to_owned).chain(list);
    let (status, said) = toolbox.command(&binds(kernel), Path::new(SRC), argv)?.verdict()?;
    Ok(if status.success() { Vec::new() } else { vec![said.trim_end().to_owned()] })
}

/// Warnings of rustc's kind about files that are ours; a paragraph each.
fn warnings(said: &str, ours: impl Fn(&str) -> bool) -> Vec<String> {
    said.split("\n\n")
        .filter(|text| {
            let mut lines = text
                .lines()
                .skip_while(|line| !line.starts_with("warning") && !line.starts_with("error"));
            let Some(first) = lines.next() else { return false };
            let place = lines.find_map(|line| line.trim_start().strip_prefix("--> "));
            let path = place.and_then(|place| place.split(':').next());
            // Without a place it is the sum of the others.
            path.is_some_and(&ours) && !first.is_empty()
        })
        .map(|text| text.trim().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_in_code_only() {
        let text =
            "#![deny(unsafe_code)]\n// unsafe is not said\nunsafe { kernel::bindings::x() }\n";
        let lines: Vec<_> = forbidden(text).iter().map(|found| (found.0, found.1)).collect();
        assert_eq!(lines, [(3, "bindings::"), (3, "unsafe")]);
    }

    #[test]
    fn warnings_about_others_files_are_not_ours() {
        let said = "  RUSTC [M] x.o\nwarning: bad\n  --> /s/rust/kernel/net/reuseport.rs:1:2\n   |\n\n\
                    warning: old\n  --> /s/rust/kernel/cpufreq.rs:7:26\n\nwarning: 2 warnings emitted\n\n";
        let found = warnings(said, |path| path.ends_with("rust/kernel/net/reuseport.rs"));
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("warning: bad"));
        assert_eq!(warnings(said, |_| true).len(), 2);
        assert!(warnings("  RUSTC [M] x.o\n", |_| true).is_empty());
    }

    #[test]
    fn rust_files_of_a_patch() {
        let patch = "--- a/x.c\n+++ b/x.c\n--- /dev/null\n+++ b/rust/kernel/siphash.rs\n";
        assert_eq!(added(patch).collect::<Vec<_>>(), [Path::new("rust/kernel/siphash.rs")]);
    }
}
