// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `xtask test`: host tests, then everything that needs a kernel of ours.

use std::collections::BTreeMap;
use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::accel::Accel;
use crate::browser;
use crate::canary;
use crate::guest::{Guest, Outcome, Report, check_paths};
use crate::kernel::{self, Flavour, Kernel};
use crate::ktap::{self, Tally};
use crate::run::{clock, say, step, tail};
use crate::suite::{self, Boot, Test};
use crate::toolbox::Toolbox;
use crate::workspace::Workspace;

/// Boots one batch may need: each must bring at least one more result.
const BOOTS_PER_BATCH: usize = 8;
/// Kernels unless told otherwise. What the unpatched one says is on record.
const DEFAULT: [Flavour; 2] = [Flavour::Plain, Flavour::Debug];
/// Whose output is on record in `vm/tests/expected/`.
const RECORD: &str = "the record of the unpatched kernel";
/// Lines shown of a failed test's output.
const SHOWN: usize = 30;

/// Runs the tests: on the host, and in guests with the plain and the debug kernel.
///
/// With `--kernel plain,debug,unpatched` on the kernel without the series too, a third build.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Host tests only.
    #[arg(long, conflicts_with = "vm")]
    host: bool,
    /// Guest tests only.
    #[arg(long)]
    vm: bool,
    /// Only the tests of the SQL engines, of a cluster of two executors and of circuits over gRPC. They
    /// are no part of the others: DataFusion and Ballista compile for long.
    #[arg(long, conflicts_with_all = ["host", "vm", "browser"])]
    engine: bool,
    /// The report of hntes in a real browser only, in the toolbox.
    #[arg(long, conflicts_with_all = ["host", "vm"])]
    browser: bool,
    /// Guest tests on these kernels only.
    #[arg(long, value_enum, value_delimiter = ',')]
    kernel: Vec<Flavour>,
    /// Guest tests whose name holds this only (`canary` for the canary).
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Print the guest tests and what they need, run nothing.
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    source: kernel::Options,
}

impl Options {
    fn wants(&self, name: &str) -> bool {
        self.filter.as_ref().is_none_or(|text| name.contains(text.as_str()))
    }

    fn flavours(&self) -> Vec<Flavour> {
        if self.kernel.is_empty() { DEFAULT.to_vec() } else { self.kernel.clone() }
    }
}

/// Runs the verb; the last line of stdout is the tally.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    if options.list {
        for test in suite::scripts(workspace)? {
            let kernels: Vec<_> = test.kernels.iter().map(|kernel| kernel.name()).collect();
            println!("{}: {} s, {}, {}", test.name, test.timeout, test.boot, kernels.join(" "));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut tally = Tally::default();
    if options.browser {
        tally.add(report(workspace)?);
    } else if options.engine {
        tally.add(cargo_tests(workspace, "engine tests", "test-engine.log", ENGINE)?);
    } else if !options.vm {
        tally.add(cargo_tests(workspace, "host tests", "test-host.log", HOST)?);
    }
    if !options.host && !options.engine && !options.browser {
        // A broken build is one failure, not the end: the last line must come in any case.
        match guests(workspace, options) {
            Ok(found) => tally.add(found),
            Err(error) => {
                say(format!("{error:#}"));
                tally.add(Tally::FAIL);
            }
        }
    }
    println!("{tally}");
    Ok(if tally.failed == 0 && tally.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Which crates the host tests are of.
const HOST: &[&str] = &["--workspace"];
/// Which crates have more to test with SQL, and with gRPC.
const ENGINE: &[&str] = &[
    "-p",
    "telesteer-engine",
    "-p",
    "telesteer-circuit",
    "-p",
    "hntes",
    "--features",
    "telesteer-engine/node,hntes/sql,telesteer-circuit/grpc,hntes/grpc",
];

/// `cargo test` over some crates.
fn cargo_tests(workspace: &Workspace, what: &str, log: &str, which: &[&str]) -> Result<Tally> {
    let log = workspace.logs().join(log);
    let mut tally = Tally::default();
    let run = step(what, || {
        let tested = workspace
            .cargo()
            .args(["test", "--release", "--no-fail-fast"])
            .args(which)
            .logged(&log, what, |line, note| {
                if let Some(found) = ktap::cargo_line(line) {
                    tally.add(found);
                } else if line.trim_start().starts_with(['C', 'R', 'D']) {
                    line.trim().clone_into(note);
                }
                if line.starts_with("test ") && line.ends_with("FAILED") {
                    eprintln!("{line}");
                }
            });
        if let Err(error) = tested {
            say(format!("{error:#}"));
            if tally.failed == 0 {
                tally.add(Tally::FAIL); // it did not even build
            }
        }
        Ok(())
    });
    run?;
    say(format!("{what}: {tally}"));
    Ok(tally)
}

/// The browser tests of hntes. A first run makes a toolbox that has a browser.
fn report(workspace: &Workspace) -> Result<Tally> {
    let toolbox = Toolbox::ensure(workspace)?;
    let built = step("tests of hntes", || suite::rust_tests(workspace, &["--package", "hntes"]))?;
    let tally = step("the report in a browser", || browser::run(&toolbox, &built))?;
    say(format!("browser tests: {tally}"));
    Ok(tally)
}

fn guests(workspace: &Workspace, options: &Options) -> Result<Tally> {
    check_paths(workspace)?;
    let toolbox = Toolbox::ensure(workspace)?;
    let mut flavours = options.flavours();
    // Selftests are built against the patched headers, whatever they run on.
    if !flavours.contains(&Flavour::Plain) && !flavours.contains(&Flavour::Debug) {
        flavours.push(Flavour::Plain);
    }
    let kernels = kernel::ensure(workspace, &toolbox, &options.source, &flavours)?;
    let patched = kernels
        .iter()
        .find(|kernel| kernel.flavour != Flavour::Unpatched)
        .context("no patched kernel among those built")?;
    step("userspace programs", || {
        workspace.cargo().args(["build", "--release", "--workspace", "--quiet"]).run()
    })?;
    let built = step("userspace tests", || suite::rust_tests(workspace, &["--workspace"]))?;
    let mut tests = suite::selftests(workspace, &toolbox, patched)?;
    tests.extend(suite::guest_tests(&built));
    tests.extend(suite::scripts(workspace)?);
    tests.retain(|test| options.wants(&test.name));
    let accel = Accel::choose(workspace, &toolbox, patched)?;
    say(format!("guests run on {}", accel.name()));
    let lab = Lab { workspace, toolbox: &toolbox, accel };
    let mut tally = Tally::default();
    if options.wants("contract") {
        let found = suite::contract(&toolbox, patched, &built)?;
        say(format!("contract against the patched headers: {found}"));
        tally.add(found);
    }
    if options.wants("browser") {
        let found = step("the report in a browser", || browser::run(&toolbox, &built))?;
        say(format!("browser tests: {found}"));
        tally.add(found);
    }
    let mut outputs = BTreeMap::new();
    for kernel in &kernels {
        if !options.flavours().contains(&kernel.flavour) {
            continue;
        }
        if kernel.flavour == Flavour::Debug && options.wants("canary") {
            tally.add(lab.canary(kernel)?);
        }
        let mut boots: Vec<&Boot> = tests.iter().map(|test| &test.boot).collect();
        boots.sort_unstable();
        boots.dedup();
        for boot in boots {
            let batch: Vec<&Test> = tests
                .iter()
                .filter(|test| test.boot == *boot && test.kernels.contains(&kernel.flavour))
                .collect();
            tally.add(lab.batch(kernel, boot, &batch, &mut outputs)?);
        }
    }
    for test in tests.iter().filter(|test| test.same_output) {
        if let Ok(text) = fs::read_to_string(workspace.vm("tests/expected").join(&test.name)) {
            outputs.insert((test.name.clone(), RECORD), text);
        }
        tally.add(compare(test, &outputs));
    }
    Ok(tally)
}

/// What tests with `same-output` printed, by test and kernel.
type Outputs = BTreeMap<(String, &'static str), String>;

/// One result for a test whose output must not depend on the kernel.
fn compare(test: &Test, outputs: &Outputs) -> Tally {
    let got: Vec<(&str, &String)> = [RECORD]
        .into_iter()
        .chain(test.kernels.iter().map(|kernel| kernel.name()))
        .filter_map(|kernel| Some((kernel, outputs.get(&(test.name.clone(), kernel))?)))
        .collect();
    let [(first, reference), rest @ ..] = got.as_slice() else { return Tally::default() };
    if rest.is_empty() {
        return Tally::default();
    }
    for (kernel, output) in rest {
        if output != reference {
            let line = reference.lines().zip(output.lines()).find(|(a, b)| a != b);
            let (a, b) = line.unwrap_or(("(its end)", "(its end)"));
            say(format!("{}: {first} says {a:?}, {kernel} says {b:?}", test.name));
            return Tally::FAIL;
        }
    }
    let names: Vec<_> = got.iter().map(|(kernel, _)| *kernel).collect();
    say(format!("{}: the same output: {}", test.name, names.join(", ")));
    Tally::PASS
}

struct Lab<'a> {
    workspace: &'a Workspace,
    toolbox: &'a Toolbox,
    accel: Accel,
}

impl Lab<'_> {
    fn guest<'g>(&'g self, kernel: &'g Kernel, boot: &Boot) -> Guest<'g> {
        Guest {
            workspace: self.workspace,
            toolbox: self.toolbox,
            kernel,
            accel: self.accel,
            cpus: boot.cpus,
            memory: Guest::default_memory(kernel.flavour),
            icount: false,
            stream: false,
            append: boot.append.clone(),
        }
    }

    /// Trips every detector of the debug kernel.
    fn canary(&self, kernel: &Kernel) -> Result<Tally> {
        let module = suite::canary(self.workspace, self.toolbox, kernel)?;
        let report = step("canary on the debug kernel", || {
            self.guest(kernel, &Boot::default()).run("canary", &canary::steps(&module))
        })?;
        if let Some(died) = &report.died {
            say(format!("{died}; kernel log: {}", report.console.display()));
        }
        let tally = canary::judge(&report);
        say(format!("canary: {tally}, kernel log {}", report.console.display()));
        Ok(tally)
    }

    /// Runs tests in as few boots as they allow: a guest that dies takes only one test along.
    fn batch(
        &self,
        kernel: &Kernel,
        boot: &Boot,
        tests: &[&Test],
        outputs: &mut Outputs,
    ) -> Result<Tally> {
        let flavour = kernel.flavour;
        let mut tally = Tally::default();
        let mut left = tests.to_vec();
        for _ in 0..BOOTS_PER_BATCH {
            if left.is_empty() {
                return Ok(tally);
            }
            let steps: Vec<_> =
                left.iter().map(|test| test.step(self.workspace, flavour)).collect();
            let names: Vec<_> = left.iter().map(|test| test.name.as_str()).collect();
            say(format!("{} kernel, {boot}: {}", flavour.name(), names.join(" ")));
            let report =
                self.guest(kernel, boot).run(&format!("test-{}", flavour.name()), &steps)?;
            say(format!(
                "booted in {:.1} s, ran {}",
                report.boot.as_secs_f32(),
                clock(report.took)
            ));
            if !report.booted {
                say(format!(
                    "{}; end of the kernel log:\n{}",
                    report.died.as_deref().unwrap_or("no boot"),
                    tail(&report.console, SHOWN)
                ));
                tally.failed += left.len();
                return Ok(tally);
            }
            let mut done = 0;
            for (index, (test, outcome)) in left.iter().zip(&report.steps).enumerate() {
                let first_without = outcome.status.is_none();
                let result = judge(test, flavour, outcome, &report, index);
                tally.add(result);
                done += 1;
                if test.same_output {
                    let text = fs::read_to_string(&outcome.out).unwrap_or_default();
                    outputs.insert((test.name.clone(), flavour.name()), text);
                }
                if first_without {
                    break;
                }
            }
            tally.add(loose_ends(&report));
            left.drain(..done);
        }
        say(format!("giving up on {} tests: the guest died {BOOTS_PER_BATCH} times", left.len()));
        tally.failed += left.len();
        Ok(tally)
    }
}

/// Complaints that belong to no test, and a death after the last one.
fn loose_ends(report: &Report) -> Tally {
    let mut tally = Tally::default();
    for splat in report.splats.iter().filter(|splat| splat.step.is_none()) {
        eprintln!("{}", splat.text);
        tally.add(Tally::FAIL);
    }
    if let Some(died) = &report.died
        && report.steps.iter().all(|outcome| outcome.status.is_some())
    {
        say(format!("{died}; end of the kernel log:\n{}", tail(&report.console, SHOWN)));
        tally.add(Tally::FAIL);
    }
    tally
}

/// One test's results, printed.
fn judge(test: &Test, flavour: Flavour, outcome: &Outcome, report: &Report, index: usize) -> Tally {
    let label = format!("{} [{}]", test.name, flavour.name());
    let output = fs::read(&outcome.out).unwrap_or_default();
    let output = String::from_utf8_lossy(&output);
    let counted = ktap::ktap(&output).or_else(|| ktap::cargo(&output)).map(Tally::no_skips);
    let good = outcome.status == Some(0);
    let mut tally = match (counted, good) {
        (Some(tally), true) => tally,
        (Some(tally), false) if tally.failed > 0 => tally,
        (Some(mut tally), false) => {
            tally.add(Tally::FAIL);
            tally
        }
        (None, true) => Tally::PASS,
        (None, false) => Tally::FAIL,
    };
    let splats: Vec<_> = report.splats.iter().filter(|splat| splat.step == Some(index)).collect();
    if !splats.is_empty() {
        tally.add(Tally::FAIL);
    }
    println!("{} {label}: {tally}", if tally.failed == 0 { "ok    " } else { "FAILED" });
    if tally.failed > 0 {
        match outcome.status {
            Some(124 | 137) => println!("  stopped by its time limit"),
            Some(code) => println!("  exit status {code}"),
            None => println!(
                "  {}; end of the kernel log:\n{}",
                report.died.as_deref().unwrap_or("it did not run"),
                tail(&report.console, SHOWN)
            ),
        }
        for line in ktap::complaints(&output).into_iter().chain(ktap::cargo_complaints(&output)) {
            println!("  {line}");
        }
        for splat in splats {
            println!("{}", splat.text);
        }
        for path in [&outcome.out, &outcome.err] {
            println!("  end of {}:\n{}", path.display(), tail(path, SHOWN));
        }
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(name: &str) -> Test {
        Test {
            name: name.into(),
            kernels: vec![Flavour::Plain, Flavour::Unpatched],
            timeout: 1,
            boot: Boot::default(),
            same_output: true,
            program: "/bin/true".into(),
            arguments: Vec::new(),
            dir: None,
        }
    }

    #[test]
    fn outputs_that_differ_fail() {
        let mut outputs = Outputs::new();
        assert_eq!(compare(&test("x"), &outputs), Tally::default());
        outputs.insert(("x".into(), "plain"), "a\nb\n".into());
        outputs.insert(("x".into(), "unpatched"), "a\nb\n".into());
        assert_eq!(compare(&test("x"), &outputs), Tally::PASS);
        outputs.insert(("x".into(), "unpatched"), "a\nc\n".into());
        assert_eq!(compare(&test("x"), &outputs), Tally::FAIL);
        outputs.insert(("x".into(), "unpatched"), "a\nb\nc\n".into());
        assert_eq!(compare(&test("x"), &outputs), Tally::FAIL);
        // The record is enough to fail.
        outputs.remove(&("x".to_owned(), "unpatched"));
        assert_eq!(compare(&test("x"), &outputs), Tally::default());
        outputs.insert(("x".into(), RECORD), "a\n".into());
        assert_eq!(compare(&test("x"), &outputs), Tally::FAIL);
    }
}
