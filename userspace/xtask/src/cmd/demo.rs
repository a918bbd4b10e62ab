// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `xtask demo`: the whole scene in one guest, then the ledger's verdict.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};

use crate::cmd::vm::{Shape, in_guest};
use crate::kernel::Flavour;
use crate::run::{clock, say, step};
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
    // Six phases; the usual hour is for one test.
    shape.timeout = shape.timeout.max(TIMEOUT_S);
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

/// Seconds after which a guest that plays the demo is stopped.
const TIMEOUT_S: u64 = 3 * 3600;

/// Where the README shows the last blessed run.
const BEGIN: &str = "<!-- demo:begin -->\n";
const END: &str = "<!-- demo:end -->";

/// The rows of the ledger's table that the README has room for.
const ROWS: &[&str] = &[
    "BMP sessions at the kill",
    "BMP sessions reset",
    "RST / FIN from the collectors",
    "BMP messages sent",
    "lost",
    "streams byte-identical after dedup",
    "exporters",
    "of the dead collector",
    "moved by the crash",
    "that were not the dead one's",
    "flows elsewhere once it is back",
    "refused",
    "lost by the crash",
    "lost by the drain",
    "policy, by getsockopt",
];

/// The README with rows of `table` between its markers; `None` without markers.
pub(crate) fn with_table(readme: &str, table: &str) -> Option<String> {
    let (head, rest) = readme.split_once(BEGIN)?;
    let (_, tail) = rest.split_once(END)?;
    Some(format!("{head}{BEGIN}```text\n{}```\n{END}{tail}", shortened(table)))
}

/// Heading and chosen rows, in columns as narrow as they can be.
fn shortened(table: &str) -> String {
    let mut lines = table.lines().take_while(|line| !line.trim().is_empty());
    let heading = lines.next().unwrap_or_default();
    let mut rows = vec![("", heading.split_whitespace().collect())];
    rows.extend(lines.map(cells).filter(|(label, _)| ROWS.contains(&label.trim())));
    let label = rows.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
    let value = rows
        .iter()
        .flat_map(|(_, values)| values.iter().map(|value| value.chars().count()))
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for (name, values) in rows {
        text.push_str(&format!("{name:label$}"));
        for cell in values {
            text.push_str(&format!("  {cell:>value$}"));
        }
        text.push('\n');
    }
    text
}

/// A row's label, indented as it is, and its values: columns are two blanks apart or
/// more.
fn cells(row: &str) -> (&str, Vec<&str>) {
    let start = row.len() - row.trim_start().len();
    let end = row[start..].find("  ").map_or(row.len(), |at| start + at);
    (&row[..end], row[end..].split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
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
    workspace
        .cargo()
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
        .args(["-p", "telesteer-ledger", "-p", "telesteer-ruler"])
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
        let table = "              stock      ours\nexporters        206      20\nother  1  2\n  \
                     refused        7      none\n\nok a claim\n";
        let new = with_table(&readme, table).unwrap();
        let rows = "           stock   ours\nexporters    206     20\n  refused      7   none\n";
        assert_eq!(new, format!("above\n{BEGIN}```text\n{rows}```\n{END}\nbelow\n"));
        assert_eq!(with_table(&new, table).unwrap(), new);
        assert_eq!(with_table("no markers", "a"), None);
    }
}
