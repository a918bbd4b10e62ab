// SPDX-License-Identifier: Apache-2.0 OR MIT
//! All readings as a table and a drawing.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::Done;
use crate::child::Reading;
use crate::svg;

/// Records of the slides' 214 days at the order of a site's router, and the processors they are for.
const JOB: f64 = 4e9;
const JOB_CPUS: f64 = 4.0;

/// Writes table.txt, report.json and plot.svg.
pub(crate) fn run(out: &Path) -> Done {
    let mut readings: Vec<Reading> = Vec::new();
    for name in ["ours", "duckdb", "nfdump"] {
        let path = out.join(format!("{name}.json"));
        if path.exists() {
            let text = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
            let more: Vec<Reading> = serde_json::from_slice(&text)
                .with_context(|| format!("reading {}", path.display()))?;
            readings.extend(more);
        }
    }
    if readings.is_empty() {
        bail!("{}: no readings", out.display());
    }
    agree(&readings)?;
    let table = table(&readings);
    print!("{table}");
    let write = |name: &str, text: &str| {
        let path = out.join(name);
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
    };
    write("table.txt", &table)?;
    write("report.json", &(serde_json::to_string_pretty(&readings)? + "\n"))?;
    write("plot.svg", &svg::draw(&readings))
}

/// Those that went over the same files found the same.
fn agree(readings: &[Reading]) -> Result<()> {
    for reading in readings.iter().filter(|reading| reading.engine != "nfdump") {
        let same = |other: &&Reading| other.pass == reading.pass && other.engine == "arrow";
        let Some(ours) = readings.iter().find(same) else { continue };
        if ours.answer != reading.answer {
            bail!(
                "{} pass: {} found {}, we {}",
                reading.pass,
                reading.engine,
                reading.answer,
                ours.answer
            );
        }
    }
    Ok(())
}

fn table(readings: &[Reading]) -> String {
    let mut text = String::new();
    let mut line = |cells: [&str; 8]| {
        let [pass, engine, rest @ ..] = cells;
        let _ = write!(text, "{pass:<8}{engine:<12}");
        for cell in rest {
            let _ = write!(text, "{cell:>12}");
        }
        text.push('\n');
    };
    line([
        "pass",
        "engine",
        "M records",
        "CPU-s",
        "M rec/CPU-s",
        "to DuckDB",
        "to nfdump",
        "peak MiB",
    ]);
    for reading in readings_in_order(readings) {
        let of = |engine: &str| {
            let same = |other: &&Reading| other.pass == reading.pass && other.engine == engine;
            readings.iter().find(same).map_or_else(
                || "-".to_owned(),
                |other| format!("{:.2}", reading.rate() / other.rate()),
            )
        };
        let cells = [
            format!("{:.1}", reading.records as f64 / 1e6),
            format!("{:.2}", reading.cpu_s),
            format!("{:.1}", reading.rate() / 1e6),
            of("duckdb"),
            of("nfdump"),
            format!("{:.0}", reading.peak as f64 / f64::from(1 << 20)),
        ];
        let [a, b, c, d, e, f] = &cells;
        line([&reading.pass, &reading.engine, a, b, c, d, e, f]);
    }
    let ours = |pass: &str| {
        readings.iter().find(|reading| reading.pass == pass && reading.engine == "arrow")
    };
    // The analysis reads sums by day, what is above, its flows, and what is in the table.
    let passes = ["alpha", "totals", "beta", "beta"];
    let cost: Option<f64> = passes.iter().map(|pass| ours(pass).map(|r| 1.0 / r.rate())).sum();
    if let Some(cost) = cost {
        let (cpu_s, minutes) = (cost * JOB, cost * JOB / JOB_CPUS / 60.0);
        let measured = ours("alpha").map_or(0.0, |reading| reading.records as f64 / 1e6);
        let _ = writeln!(
            text,
            "\nextrapolated, not measured: 4 G records (214 days) are {cpu_s:.0} CPU-s in four passes \
             (totals, alpha, their flows as beta, beta), {minutes:.1} min on 4 processors if they share \
             nothing; from {measured:.1} M records"
        );
    }
    text.push_str(
        "files: Parquet, zstd, addresses as text, as the collector stores them; nfdump: its own files, \
         uncompressed, and for beta the sum over all pairs of /24; best of the runs\n",
    );
    text
}

/// By pass, then as engines were read.
fn readings_in_order(readings: &[Reading]) -> Vec<&Reading> {
    let place = |pass: &str| ["alpha", "totals", "beta"].iter().position(|name| *name == pass);
    let mut all: Vec<&Reading> = readings.iter().collect();
    all.sort_by_key(|reading| place(&reading.pass));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn reading(engine: &str, pass: &str, cpu_s: f64) -> Reading {
        let (engine, pass) = (engine.to_owned(), pass.to_owned());
        let answer = json!({ "groups": 1 });
        let (records, threads, wall_s, peak) = (40_000_000, 1, cpu_s, 64 << 20);
        Reading { engine, pass, records, threads, cpu_s, wall_s, peak, answer }
    }

    #[test]
    fn ratios_are_ours_to_theirs() {
        let all = [
            reading("arrow", "alpha", 0.5),
            reading("arrow", "totals", 1.0),
            reading("arrow", "beta", 1.0),
            reading("duckdb", "alpha", 1.0),
            reading("nfdump", "alpha", 5.0),
        ];
        let table = table(&all);
        let row = table.lines().find(|line| line.starts_with("alpha   arrow")).unwrap();
        let cells: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(cells, ["alpha", "arrow", "40.0", "0.50", "80.0", "2.00", "10.00", "64"]);
        assert!(table.contains("350 CPU-s in four passes"), "{table}");
        agree(&all).unwrap();
        let mut wrong = all.to_vec();
        wrong[3].answer = json!({ "groups": 2 });
        assert!(agree(&wrong).unwrap_err().to_string().contains("duckdb"));
        let drawing = svg::draw(&all);
        assert!(drawing.starts_with("<svg") && drawing.contains("nfdump"));
    }
}
