// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `xtask demo`: the whole scene in one guest, then the ledger's verdict.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};

use crate::cmd::vm::{Shape, in_guest};
use crate::kernel::Flavour;
use crate::run::{clock, cmd, say, step};
use crate::workspace::Workspace;

/// Builds everything, runs the scene in a guest, prints the ledger's table.
///
/// Exits 1 if a claim of the table is not met. Files: target/demo/.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    shape: Shape,
    /// Which kernel.
    #[arg(long, value_enum, default_value = "plain")]
    kernel: Flavour,
    /// Put this run's table into README.md and its figures into docs/demo/.
    #[arg(long)]
    bless: bool,
    /// Arguments for the scene.
    #[arg(last = true, value_name = "ARGS")]
    scene: Vec<String>,
}

/// Runs the verb.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let start = Instant::now();
    step("userspace programs", || build(workspace))?;
    let out = workspace.target.join("demo");
    if out.exists() {
        fs::remove_dir_all(&out).with_context(|| format!("removing {}", out.display()))?;
    }
    fs::create_dir_all(&out).with_context(|| format!("making {}", out.display()))?;
    let mut shape = options.shape.clone();
    shape.cpus = shape.cpus.max(std::thread::available_parallelism().map_or(1, usize::from).min(4));
    let mut command =
        vec![program(workspace, "telesteer-scene"), "demo".to_owned(), "--out".to_owned()];
    command.push(out.to_string_lossy().into_owned());
    command.extend(options.scene.iter().cloned());
    let scene = in_guest(workspace, options.kernel, &shape, &command)?;
    if scene != ExitCode::SUCCESS {
        say("the scene did not come to its end, so there is no table");
        return Ok(scene);
    }
    let ledger = program(workspace, "telesteer-ledger");
    let report = Command::new(&ledger)
        .arg("report")
        .arg(&out)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("starting {ledger}"))?;
    let table = String::from_utf8_lossy(&report.stdout);
    print!("{table}");
    fs::write(out.join("table.txt"), table.as_bytes()).context("writing table.txt")?;
    if options.bless {
        bless(workspace, &out, &table)?;
    }
    say(format!("demo: {} in all; files in {}", clock(start.elapsed()), out.display()));
    Ok(super::exit(report.status.code()))
}

/// Where the README shows the last blessed run.
const BEGIN: &str = "<!-- demo:begin -->\n";
const END: &str = "<!-- demo:end -->";

/// The README with `table` between its markers; `None` without markers.
pub(crate) fn with_table(readme: &str, table: &str) -> Option<String> {
    let (head, rest) = readme.split_once(BEGIN)?;
    let (_, tail) = rest.split_once(END)?;
    Some(format!("{head}{BEGIN}```text\n{}\n```\n{END}{tail}", table.trim_end()))
}

fn bless(workspace: &Workspace, out: &Path, table: &str) -> Result<()> {
    let docs = workspace.root.join("docs/demo");
    fs::create_dir_all(&docs).with_context(|| format!("making {}", docs.display()))?;
    for name in ["table.txt", "report.json", "report.svg"] {
        let from = out.join(name);
        fs::copy(&from, docs.join(name)).with_context(|| format!("copying {}", from.display()))?;
    }
    let path = workspace.root.join("README.md");
    let readme = fs::read_to_string(&path).context("reading README.md")?;
    let readme = with_table(&readme, table).context("README.md has no demo markers")?;
    fs::write(&path, readme).context("writing README.md")
}

/// Builds the programs the guests run.
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    cmd("cargo")
        .args([
            "build",
            "--release",
            "--locked",
            "--quiet",
            "-p",
            "telesteer",
            "-p",
            "telesteer-scene",
        ])
        .args(["-p", "telesteer-ledger"])
        .dir(&workspace.root)
        .run()
}

/// Path of one of our programs.
pub(crate) fn program(workspace: &Workspace, name: &str) -> String {
    workspace.target.join("release").join(name).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_goes_between_the_markers_and_nowhere_else() {
        let readme = format!("above\n{BEGIN}old\n{END}\nbelow\n");
        let new = with_table(&readme, "a  b\n1  2\n").unwrap();
        assert_eq!(new, format!("above\n{BEGIN}```text\na  b\n1  2\n```\n{END}\nbelow\n"));
        assert_eq!(with_table(&new, "a  b\n1  2\n").unwrap(), new);
        assert_eq!(with_table("no markers", "a"), None);
    }
}
