// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `xtask check`: every gate that needs no guest, each with a banner and its own words.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::cmd::bench::quote;
use crate::cmd::demo;
use crate::kernel::{self, Flavour, SRC};
use crate::krust;
use crate::licence;
use crate::lock::CacheLock;
use crate::run::{clock, cmd, which};
use crate::series;
use crate::source::{self, Source};
use crate::toolbox::{Binds, Toolbox};
use crate::workspace::Workspace;

/// Runs the gates: fmt, clippy, rustdoc, dependencies, headers, README, checkpatch, series, BPF,
/// kernel Rust.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Only these gates.
    #[arg(long, value_delimiter = ',', value_name = "GATE")]
    only: Vec<String>,
    #[command(flatten)]
    source: kernel::Options,
}

type Gate = fn(&Workspace, &Options) -> Result<()>;

/// Name, what a failure means, the gate. Cheap ones first.
const GATES: &[(&str, &str, Gate)] = &[
    ("headers", "a file without an SPDX line, or with a path of this machine", headers),
    ("readme", "the documents name a verb or a file that is not there", readme),
    ("shell", "a shell script does not parse", shell),
    ("fmt", "run cargo fmt", fmt),
    ("deny", "a dependency breaks deny.toml", deny),
    ("clippy", "clippy has warnings", clippy),
    ("doc", "rustdoc has warnings", doc),
    ("checkpatch", "checkpatch --strict complains", checkpatch),
    (
        "series",
        "linux-patches/ is not what its tree exports: run cargo xtask series export",
        in_step,
    ),
    ("bpf", "a BPF object in the tree is not what its source gives: run make in its folder", bpf),
    ("kernel-rust", "Rust for the kernel breaks the kernel's or our own rules", kernel_rust),
];

/// Runs the verb.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    for name in &options.only {
        if !GATES.iter().any(|(gate, ..)| gate == name) {
            let known: Vec<_> = GATES.iter().map(|(gate, ..)| *gate).collect();
            bail!("no gate {name:?}: one of {}", known.join(", "));
        }
    }
    let mut failed = Vec::new();
    let mut passed = 0;
    for (name, meaning, gate) in GATES {
        if !options.only.is_empty() && !options.only.iter().any(|only| only == name) {
            continue;
        }
        eprintln!("=== {name}");
        let start = Instant::now();
        match gate(workspace, options) {
            Ok(()) => {
                passed += 1;
                eprintln!("=== {name}: good ({})", clock(start.elapsed()));
            }
            Err(error) => {
                eprintln!("{error:#}");
                eprintln!("=== {name}: FAILED: {meaning}");
                failed.push(*name);
            }
        }
    }
    if failed.is_empty() {
        println!("check: {passed} gates good");
        return Ok(ExitCode::SUCCESS);
    }
    println!("check: {passed} gates good, failed: {}", failed.join(", "));
    Ok(ExitCode::FAILURE)
}

/// Files under version control, or about to be.
fn tracked(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let text = cmd("git")
        .arg("-C")
        .arg(&workspace.root)
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
        .output()?;
    Ok(text.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from).collect())
}

/// Kinds of files that carry an SPDX line.
fn carries_spdx(path: &Path) -> bool {
    let text = path.to_string_lossy();
    let code = ["rs", "c", "h", "sh", "config"]
        .iter()
        .any(|ext| path.extension().is_some_and(|e| e == *ext));
    let named = ["Kbuild", "Makefile", "guest-init"].iter().any(|name| path.ends_with(name));
    let record = text.starts_with("vm/tests/expected/");
    let script = !record && text.starts_with("vm/tests/") || text.starts_with(".ci/");
    code || named || script
}

fn headers(workspace: &Workspace, _: &Options) -> Result<()> {
    let mut bad = Vec::new();
    let home = std::env::var("HOME").unwrap_or_default();
    for path in tracked(workspace)? {
        let Ok(bytes) = fs::read(workspace.root.join(&path)) else { continue };
        let text = String::from_utf8_lossy(&bytes);
        if carries_spdx(&path)
            && !text.lines().take(3).any(|line| line.contains("SPDX-License-Identifier:"))
        {
            bad.push(format!("{}: no SPDX line on top", path.display()));
        }
        let root = workspace.root.to_string_lossy();
        if home.len() > 2 && text.contains(&format!("{home}/"))
            || root.len() > 2 && text.contains(&format!("{root}/"))
        {
            bad.push(format!("{}: holds a path of this machine", path.display()));
        }
    }
    verdict(bad)
}

/// Every `cargo xtask VERB` in the documents exists, and every relative link leads somewhere.
fn readme(workspace: &Workspace, _: &Options) -> Result<()> {
    let mut bad = Vec::new();
    for path in tracked(workspace)?
        .into_iter()
        .filter(|path| path.extension().is_some_and(|ext| ext == "md"))
    {
        let file = workspace.root.join(&path);
        let Ok(text) = fs::read_to_string(&file) else { continue };
        for verb in verbs_named(&text) {
            if !crate::is_verb(verb) {
                bad.push(format!("{}: there is no cargo xtask {verb}", path.display()));
            }
        }
        for link in links(&text) {
            let target = file.parent().unwrap_or(&workspace.root).join(link);
            if !target.exists() {
                bad.push(format!("{}: {link} is not there", path.display()));
            }
        }
    }
    let text = fs::read_to_string(workspace.root.join("README.md")).context("reading README.md")?;
    match fs::read_to_string(workspace.root.join("docs/demo/table.txt")) {
        Ok(table) if demo::with_table(&text, &table).as_deref() == Some(&text) => {}
        Ok(_) => bad.push("README.md: its table is not docs/demo/table.txt".to_owned()),
        Err(error) => bad.push(format!("docs/demo/table.txt: {error}")),
    }
    bad.extend(quote::stale(workspace));
    verdict(bad)
}

fn verbs_named(text: &str) -> impl Iterator<Item = &str> {
    text.split("cargo xtask ").skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '-').unwrap_or(rest.len());
        let verb = rest[..end].trim_end_matches('-');
        (!verb.is_empty()).then_some(verb)
    })
}

/// Targets of inline links that are paths.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| {
        let target = rest.split(')').next()?.split('#').next()?;
        let path =
            !target.is_empty() && !target.contains("://") && !target.contains(char::is_whitespace);
        path.then_some(target)
    })
}

fn shell(workspace: &Workspace, _: &Options) -> Result<()> {
    let mut bad = Vec::new();
    for path in tracked(workspace)? {
        let Ok(text) = fs::read_to_string(workspace.root.join(&path)) else { continue };
        let first = text.lines().next().unwrap_or_default();
        let shell = match first.strip_prefix("#!") {
            Some(line) if line.contains("bash") => "bash",
            Some(line) if line.ends_with("sh") => "sh",
            _ => continue,
        };
        let (status, said) = cmd(shell).arg("-n").arg(workspace.root.join(&path)).verdict()?;
        if !status.success() {
            bad.push(said);
        }
    }
    verdict(bad)
}

fn verdict(bad: Vec<String>) -> Result<()> {
    if bad.is_empty() { Ok(()) } else { bail!("{}", bad.join("\n")) }
}

fn fmt(workspace: &Workspace, _: &Options) -> Result<()> {
    workspace.cargo().args(["fmt", "--all", "--check"]).run()
}

fn clippy(workspace: &Workspace, _: &Options) -> Result<()> {
    workspace
        .cargo()
        .args([
            "clippy",
            "--release",
            "--workspace",
            "--all-targets",
            "--locked",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ])
        .run()
}

fn doc(workspace: &Workspace, _: &Options) -> Result<()> {
    workspace
        .cargo()
        .args([
            "doc",
            "--release",
            "--workspace",
            "--no-deps",
            "--document-private-items",
            "--locked",
            "--quiet",
        ])
        .env("RUSTDOCFLAGS", "-D warnings")
        .run()
}

/// cargo-deny where it is installed, else our own look at the same file.
fn deny(workspace: &Workspace, _: &Options) -> Result<()> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from).unwrap_or_default();
    if which("cargo-deny").is_some() || home.join("bin/cargo-deny").is_file() {
        return workspace
            .cargo()
            .args(["deny", "--offline", "check", "licenses", "bans", "sources"])
            .run();
    }
    verdict(licence::complaints(&workspace.root)?)
}

/// checkpatch over the patches, and over the C files that live outside a patch.
fn checkpatch(workspace: &Workspace, options: &Options) -> Result<()> {
    let toolbox = Toolbox::ensure(workspace)?;
    // Any tree of the base will do, so a running build need not be waited for.
    let tree = match Source::current(workspace) {
        Some(source) if source.repo.join("Makefile").is_file() => source.repo,
        _ => {
            let _lock = CacheLock::take(&workspace.cache, "the kernel tree")?;
            let source = Source::ensure(workspace, &toolbox, options.source.kernel_src.as_deref())?;
            kernel::tree(workspace, &source, Flavour::Unpatched)?
        }
    };
    let mut bad = Vec::new();
    let mut look = |files: bool, path: &Path| -> Result<()> {
        let mut words: Vec<String> = [
            "scripts/checkpatch.pl",
            "--strict",
            "--no-signoff",
            "--quiet",
            "--show-types",
            "--no-summary",
        ]
        .map(str::to_owned)
        .to_vec();
        // A posting adds its files to MAINTAINERS itself.
        words.push("--ignore=FILE_PATH_CHANGES".to_owned());
        if files {
            words.push("--file".to_owned());
        }
        words.push(path.to_string_lossy().into_owned());
        // Without a git tree checkpatch does not call spdxcheck, which wants more of Python.
        let (status, said) = source::script(&toolbox, &tree, Path::new(SRC), &words)?
            .env("GIT_DIR", "/nonexistent")
            .verdict()?;
        let left = complaints(&said);
        if !status.success() && !left.is_empty() {
            bad.push(format!("{}:\n{}", path.display(), left.join("\n\n")));
        }
        Ok(())
    };
    for patch in series::patches(&workspace.root.join("linux-patches"))? {
        look(false, &patch.path)?;
    }
    for path in tracked(workspace)? {
        let kernel_side = ["selftests", "vm/canary"].iter().any(|dir| path.starts_with(dir));
        if kernel_side && path.extension().is_some_and(|ext| ext == "c" || ext == "h") {
            look(true, &workspace.root.join(&path))?;
        }
    }
    verdict(bad)
}

/// What checkpatch says, one paragraph a complaint, without what it cannot get right.
fn complaints(said: &str) -> Vec<&str> {
    said.split("\n\n")
        .map(str::trim)
        .filter(|text| !text.is_empty())
        // A tracepoint is a table written as a macro call; checkpatch reads it as code.
        .filter(|text| {
            let layout =
                text.contains("PARENTHESIS_ALIGNMENT:") || text.contains("OPEN_ENDED_LINE:");
            !(layout && text.contains("FILE: include/trace/events/"))
        })
        .collect()
}

/// Compiles the steering programs again: the bytes must be those in the tree.
fn bpf(workspace: &Workspace, _: &Options) -> Result<()> {
    let toolbox = Toolbox::ensure(workspace)?;
    let home = workspace.root.join("userspace/collector/bpf");
    let (status, said) = toolbox
        .command(&Binds::new(), &home, ["make", "--no-print-directory", "check"])?
        .verdict()?;
    if status.success() { Ok(()) } else { bail!("{}", said.trim_end()) }
}

/// Applies the series and exports it again: the bytes must be those in `linux-patches/`.
fn in_step(workspace: &Workspace, options: &Options) -> Result<()> {
    let toolbox = Toolbox::ensure(workspace)?;
    let _lock = CacheLock::take(&workspace.cache, "the patch series")?;
    let source = Source::ensure(workspace, &toolbox, options.source.kernel_src.as_deref())?;
    let tree = kernel::tree(workspace, &source, Flavour::Plain)?;
    let fresh = super::series::scratch(workspace, "check")?;
    series::export(&tree, &source.base, &fresh)?;
    let home = workspace.root.join("linux-patches");
    match series::difference(&home, &fresh).context("comparing the series")? {
        None => Ok(()),
        Some(text) => bail!("{text}"),
    }
}

/// The kernel's rustfmt, clippy and rustdoc on the abstraction and the module, and what the module
/// must not say. Needs the plain kernel: with its build the compiler knows what the crates are.
fn kernel_rust(workspace: &Workspace, options: &Options) -> Result<()> {
    let toolbox = Toolbox::ensure(workspace)?;
    let kernels = kernel::ensure(workspace, &toolbox, &options.source, &[Flavour::Plain])?;
    let kernel = kernels.first().context("no kernel was built")?;
    let patches = series::patches(&workspace.root.join("linux-patches"))?;
    verdict(krust::complaints(workspace, &toolbox, kernel, &patches)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_and_links_are_found() {
        let text = "Run `cargo xtask demo`, then cargo xtask vm -- ls, see [a](ARCHITECTURE.md#x) and [b](https://x.invalid).\ncargo xtask no-such.\n";
        assert_eq!(verbs_named(text).collect::<Vec<_>>(), ["demo", "vm", "no-such"]);
        assert_eq!(links(text).collect::<Vec<_>>(), ["ARCHITECTURE.md"]);
        assert!(crate::is_verb("demo") && !crate::is_verb("no-such"));
    }

    #[test]
    fn only_the_layout_of_tracepoints_is_forgiven() {
        let trace =
            "CHECK:OPEN_ENDED_LINE: x\n#1: FILE: include/trace/events/tcp.h:7:\n+\tTP_fast_assign(";
        let other = "CHECK:OPEN_ENDED_LINE: x\n#1: FILE: net/ipv4/tcp.c:7:\n+\tf(";
        let wrong = "WARNING:LONG_LINE: x\n#1: FILE: include/trace/events/tcp.h:7:\n+x";
        let said = format!("{trace}\n\n{other}\n\n{wrong}\n");
        assert_eq!(complaints(&said), [other, wrong]);
        assert!(complaints(&format!("{trace}\n\n")).is_empty());
    }

    #[test]
    fn code_needs_an_spdx_line() {
        assert!(carries_spdx(Path::new("userspace/x/src/main.rs")));
        assert!(carries_spdx(Path::new("vm/tests/equality")));
        assert!(!carries_spdx(Path::new("README.md")));
    }
}
