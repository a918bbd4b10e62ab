// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The passes over flow records: ours, DataFusion's and a Ballista cluster's, DuckDB's, nfdump's, on the
//! same records.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};

use super::Options;
use crate::cmd::demo::program;
use crate::run::{cmd, say, step};
use crate::toolbox::{Binds, Toolbox};
use crate::workspace::Workspace;

/// DuckDB's wheel, and nothing else, in an environment of its own in the cache.
const DUCKDB: &str = "duckdb";
/// What DuckDB is asked.
const DUCK: &str = include_str!("../../../../fam-bench/src/duck.py");
/// Records unless told otherwise; nfdump gets a quarter of them, over the wire.
const RECORDS: u64 = 40_000_000;

/// Makes the records, has every engine go over them, reports. Arguments: `--records N`,
/// `--threads N`, `--runs N`.
pub(super) fn run(workspace: &Workspace, options: &Options, out: &Path) -> Result<ExitCode> {
    let asked = Asked::of(&options.arguments)?;
    step("bench program", || {
        workspace
            .cargo()
            .args(["build", "--release", "--locked", "--quiet", "-p", "telesteer-fam-bench"])
            .args(["-p", "telesteer-engine", "-p", "hntes", "--bins"])
            .args(["--features", "telesteer-fam-bench/sql,telesteer-engine/node,hntes/sql"])
            .run()
    })?;
    let own = program(workspace, "telesteer-fam-bench");
    let node = program(workspace, "telesteer-engine-node");
    let hntes = program(workspace, "hntes");
    let (data, fewer) = (out.join("data"), out.join("fewer"));
    let (records, threads, runs) =
        (asked.records.to_string(), asked.threads.to_string(), asked.runs.to_string());
    let quarter = (asked.records / 4).max(1).to_string();
    step("records", || {
        cmd(&own).args(["make", "--records", &records, "--out"]).arg(&data).run()?;
        cmd(&own).args(["make", "--records", &quarter, "--out"]).arg(&fewer).run()
    })?;
    step("our engines", || {
        let ours = cmd(&own).arg("ours").arg("--data").arg(&data).arg("--out").arg(out);
        ours.args(["--threads", &threads, "--runs", &runs]).run()?;
        let memory = cmd(&own).arg("memory").arg("--data").arg(&fewer).arg("--out").arg(out);
        memory.args(["--threads", &threads]).run()?;
        let whole = cmd(&own).arg("whole").arg("--data").arg(&data).arg("--out").arg(out);
        whole.arg("--hntes").arg(&hntes).args(["--threads", &threads, "--runs", &runs]).run()
    })?;
    step("Ballista", || {
        let cluster = cmd(&own).arg("cluster").arg("--data").arg(&data).arg("--out").arg(out);
        cluster.arg("--node").arg(&node).args(["--runs", &runs]).run()
    })?;
    let python = environment(workspace)?;
    step("DuckDB", || {
        let script = out.join("duck.py");
        std::fs::write(&script, DUCK).with_context(|| format!("writing {}", script.display()))?;
        cmd(&python).arg(&script).arg(&data).arg(out).args([&threads, &runs]).run()
    })?;
    step("nfdump", || {
        let mut line = vec![own.clone(), "nfdump".to_owned(), "--records".to_owned(), quarter];
        line.extend(["--runs".to_owned(), runs.clone(), "--out".to_owned()]);
        line.push(out.to_string_lossy().into_owned());
        if options.host {
            return cmd(&line[0]).args(&line[1..]).run();
        }
        let toolbox = Toolbox::ensure(workspace)?;
        toolbox.command(&Binds::new(), &workspace.root, line)?.run()
    })?;
    let status = cmd(&own).arg("report").arg("--out").arg(out).status()?;
    say(format!("the records stay in {}", data.display()));
    Ok(crate::cmd::exit(status.code()))
}

/// What the arguments say.
struct Asked {
    records: u64,
    threads: usize,
    runs: usize,
}

impl Asked {
    fn of(arguments: &[String]) -> Result<Self> {
        let mut asked = Self { records: RECORDS, threads: 1, runs: 3 };
        let mut rest = arguments.iter();
        while let Some(name) = rest.next() {
            let value = rest.next().with_context(|| format!("{name}: no value"))?;
            let bad = || format!("{name} {value}: not a number");
            match name.as_str() {
                "--records" => asked.records = value.parse().with_context(bad)?,
                "--threads" => asked.threads = value.parse().with_context(bad)?,
                "--runs" => asked.runs = value.parse().with_context(bad)?,
                _ => anyhow::bail!("{name}: there are --records, --threads, --runs"),
            }
        }
        Ok(asked)
    }
}

/// The interpreter of an environment that has DuckDB; made if it is not there.
fn environment(workspace: &Workspace) -> Result<PathBuf> {
    let dir = workspace.cache.join("duckdb");
    let python = dir.join("bin/python");
    let has = |python: &Path| {
        let ask = cmd(python).args(["-c", "import duckdb"]);
        python.exists() && ask.verdict().is_ok_and(|(status, _)| status.success())
    };
    if !has(&python) {
        step("DuckDB's wheel", || {
            cmd("python3").args(["-m", "venv"]).arg(&dir).run()?;
            let pip =
                cmd(&python).args(["-m", "pip", "install", "--quiet", "--only-binary", ":all:"]);
            pip.arg(DUCKDB).run()
        })?;
    }
    Ok(python)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_checked() {
        let of =
            |words: &[&str]| Asked::of(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&[]).unwrap().records, RECORDS);
        let asked = of(&["--records", "1000", "--threads", "2"]).unwrap();
        assert_eq!((asked.records, asked.threads, asked.runs), (1000, 2, 3));
        assert!(
            of(&["--records"]).is_err()
                && of(&["--runs", "x"]).is_err()
                && of(&["--x", "1"]).is_err()
        );
    }
}
