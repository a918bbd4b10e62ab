// SPDX-License-Identifier: Apache-2.0 OR MIT
//! All readings as a table and a drawing.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::Value;

use crate::child::Reading;
use crate::svg;
use crate::workload::FLOWS;

/// Records of the slides' 214 days at the order of a site's router, and the processors they are for.
const JOB: f64 = 4e9;
const JOB_CPUS: f64 = 4.0;

/// Times as many records per CPU-second as DuckDB and as nfdump, at least.
const TO_DUCKDB: f64 = 1.0;
const TO_NFDUMP: f64 = 7.0;
/// The analysis as it is used.
const HNTES: &str = "hntes fam";
/// Longest that the job may take.
const JOB_MINUTES: f64 = 2.0;
/// The most that memory may grow with the records alone.
const GROWTH: f64 = 1.25;
/// What two executors may cost of what one does, and the share of the rows that each has.
const TWO: f64 = 1.15;
const SHARE: std::ops::RangeInclusive<f64> = 0.4..=0.6;

/// All that was measured.
#[derive(Debug, Default, Serialize)]
struct Measured {
    /// Every engine on the records.
    readings: Vec<Reading>,
    /// The bare engine on fewer.
    fewer: Vec<Reading>,
}

/// Writes table.txt, report.json and plot.svg; false if a claim is not met.
pub(crate) fn run(out: &Path) -> Result<bool> {
    let of = |name: &str| -> Result<Vec<Reading>> {
        let path = out.join(format!("{name}.json"));
        if !path.exists() {
            return Ok(Vec::new());
        }
        let text = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("reading {}", path.display()))
    };
    let mut all = Measured { fewer: of("memory")?, ..Measured::default() };
    for name in ["ours", "whole", "cluster", "duckdb", "nfdump"] {
        all.readings.extend(of(name)?);
    }
    if all.readings.is_empty() {
        bail!("{}: no readings", out.display());
    }
    agree(&all.readings)?;
    let claims = claims(&all);
    let mut table = table(&all);
    for (met, claim) in &claims {
        let _ = writeln!(table, "{:<9}{claim}", if *met { "met" } else { "NOT MET" });
    }
    print!("{table}");
    let write = |name: &str, text: &str| {
        let path = out.join(name);
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
    };
    write("table.txt", &table)?;
    write("report.json", &(serde_json::to_string_pretty(&all)? + "\n"))?;
    write("plot.svg", &svg::draw(&all.readings))?;
    Ok(claims.iter().all(|(met, _)| *met))
}

impl Measured {
    fn of(&self, pass: &str, engine: &str) -> Option<&Reading> {
        self.readings.iter().find(|reading| reading.pass == pass && reading.engine == engine)
    }

    /// CPU-seconds of the job, by what the analysis took for the records.
    fn job(&self) -> Option<f64> {
        Some(JOB / self.of("whole", HNTES)?.rate())
    }

    /// Each pass on one executor and on two.
    fn clusters(&self) -> impl Iterator<Item = (&Reading, &Reading)> {
        ["alpha", "totals", "beta"]
            .iter()
            .filter_map(|pass| Some((self.of(pass, "ballista-1")?, self.of(pass, "ballista-2")?)))
    }

    /// Each pass of the bare engine on fewer records and on all.
    fn growths(&self) -> impl Iterator<Item = (&Reading, &Reading)> {
        self.fewer.iter().filter_map(|fewer| Some((fewer, self.of(&fewer.pass, "arrow")?)))
    }
}

/// CPU-seconds of all executors.
fn executors(reading: &Reading) -> f64 {
    reading.parts.iter().map(|part| part.cpu_s).sum()
}

/// The share of the rows that each executor went over.
fn shares(reading: &Reading) -> Vec<f64> {
    let all: u64 = reading.parts.iter().map(|part| part.rows).sum();
    reading.parts.iter().map(|part| part.rows as f64 / all.max(1) as f64).collect()
}

/// What is claimed, and whether it is so. Of what was not measured nothing is claimed.
fn claims(all: &Measured) -> Vec<(bool, String)> {
    let mut claims = Vec::new();
    for (engine, least) in [("duckdb", TO_DUCKDB), ("nfdump", TO_NFDUMP)] {
        for pass in ["alpha", "beta"] {
            if let (Some(ours), Some(theirs)) = (all.of(pass, "arrow"), all.of(pass, engine)) {
                claims.push((
                    ours.rate() >= least * theirs.rate(),
                    format!(
                        "{pass} pass: at least {least} times what {engine} does per CPU-second"
                    ),
                ));
            }
        }
    }
    if let Some(cpu_s) = all.job() {
        let minutes = cpu_s / JOB_CPUS / 60.0;
        claims.push((
            minutes <= JOB_MINUTES,
            format!(
                "4 G records in at most {JOB_MINUTES} minutes on {JOB_CPUS} processors, extrapolated"
            ),
        ));
    }
    let growth = |(fewer, more): (&Reading, &Reading)| more.peak as f64 / fewer.peak.max(1) as f64;
    if !all.fewer.is_empty() {
        let most = all.growths().map(growth).fold(0.0, f64::max);
        claims.push((
            most <= GROWTH,
            format!(
                "memory: the same alpha flows in more records take at most {GROWTH} times as much"
            ),
        ));
    }
    let ratio =
        |(one, two): (&Reading, &Reading)| executors(two) / executors(one).max(f64::EPSILON);
    if all.clusters().next().is_some() {
        let cheap = all.clusters().all(|pair| ratio(pair) <= TWO);
        claims.push((cheap, format!("two executors cost at most {TWO} times what one does")));
        let even = |(_, two): (&Reading, &Reading)| shares(two).iter().all(|s| SHARE.contains(s));
        let even = all.clusters().all(even);
        claims.push((even, "each of two executors goes over 40 to 60 % of the rows".to_owned()));
    }
    claims
}

/// Those that went over the same files found the same.
fn agree(readings: &[Reading]) -> Result<()> {
    // The analysis finds the flows that the first pass finds, and their bytes.
    let whole = |reading: &Reading| {
        [&reading.answer["groups"], &reading.answer["octets"]].map(Value::clone)
    };
    let of = |engine, pass| readings.iter().find(|r| r.engine == engine && r.pass == pass);
    if let (Some(fam), Some(alpha)) = (of(HNTES, "whole"), of("arrow", "alpha"))
        && whole(fam) != whole(alpha)
    {
        bail!("{HNTES} found {}, the alpha pass {}", fam.answer, alpha.answer);
    }
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

fn table(all: &Measured) -> String {
    let (readings, mut text) = (&all.readings, String::new());
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
            format!("{:.1}", millions(reading)),
            format!("{:.2}", reading.cpu_s),
            format!("{:.1}", reading.rate() / 1e6),
            of("duckdb"),
            of("nfdump"),
            format!("{:.0}", mebi(reading.peak)),
        ];
        let [a, b, c, d, e, f] = &cells;
        line([&reading.pass, &reading.engine, a, b, c, d, e, f]);
    }
    text.push('\n');
    for (one, two) in all.clusters() {
        let shares: Vec<String> =
            shares(two).iter().map(|s| format!("{:.0} %", s * 100.0)).collect();
        let (of_one, of_two) = (executors(one), executors(two));
        let _ = writeln!(
            text,
            "{} pass: one executor {of_one:.2} CPU-s, two {of_two:.2} ({:.2} times), rows {}",
            two.pass,
            of_two / of_one.max(f64::EPSILON),
            shares.join(" and ")
        );
    }
    for (fewer, more) in all.growths() {
        let _ = writeln!(
            text,
            "{} pass: peak {:.1} MiB for {:.1} M records, {:.1} MiB for {:.1} M, {FLOWS} alpha flows in both",
            more.pass,
            mebi(fewer.peak),
            millions(fewer),
            mebi(more.peak),
            millions(more)
        );
    }
    if let Some(cpu_s) = all.job() {
        let _ = writeln!(
            text,
            "extrapolated, not measured: 4 G records (214 days) are {cpu_s:.0} CPU-s of {HNTES} (alpha, \
             totals, flows, beta, tables), {:.1} min on {JOB_CPUS} processors if they share nothing; from \
             {:.1} M records",
            cpu_s / JOB_CPUS / 60.0,
            all.of("whole", HNTES).map_or(0.0, millions)
        );
    }
    text.push_str(
        "files: Parquet, zstd, addresses as text and as numbers, as the collector stores them; nfdump: its own files, \
         uncompressed, and for beta the sum over all pairs of /24; ballista-N: N executors of one \
         processor, CPU-s with scheduler and client, peak of an executor; best of the runs\n\n",
    );
    text
}

fn mebi(octets: u64) -> f64 {
    octets as f64 / f64::from(1 << 20)
}

fn millions(reading: &Reading) -> f64 {
    reading.records as f64 / 1e6
}

/// By pass, then as engines were read.
fn readings_in_order(readings: &[Reading]) -> Vec<&Reading> {
    let place = |pass: &str| {
        ["alpha", "totals", "flows", "beta", "whole"].iter().position(|name| *name == pass)
    };
    let mut all: Vec<&Reading> = readings.iter().collect();
    all.sort_by_key(|reading| place(&reading.pass));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::Part;
    use serde_json::json;

    fn reading(engine: &str, pass: &str, cpu_s: f64) -> Reading {
        let (engine, pass) = (engine.to_owned(), pass.to_owned());
        let answer = json!({ "groups": 1 });
        let (records, threads, wall_s, peak) = (40_000_000, 1, cpu_s, 64 << 20);
        let parts = Vec::new();
        Reading { engine, pass, records, threads, cpu_s, wall_s, peak, answer, parts }
    }

    fn part(cpu_s: f64, rows: u64) -> Part {
        Part { cpu_s, rows }
    }

    fn measured() -> Measured {
        let mut readings = vec![
            reading("arrow", "alpha", 0.5),
            reading("arrow", "totals", 1.0),
            reading("arrow", "beta", 1.0),
            reading("duckdb", "alpha", 1.0),
            reading("nfdump", "alpha", 5.0),
            reading(HNTES, "whole", 3.5),
            reading("ballista-1", "beta", 9.0),
            reading("ballista-2", "beta", 9.0),
        ];
        readings[6].parts = vec![part(8.0, 100)];
        readings[7].parts = vec![part(4.4, 55), part(4.4, 45)];
        let mut fewer = vec![reading("arrow", "alpha", 0.1)];
        fewer[0].peak = 60 << 20;
        Measured { readings, fewer }
    }

    #[test]
    fn ratios_are_ours_to_theirs() {
        let all = measured();
        let table = table(&all);
        let row = table.lines().find(|line| line.starts_with("alpha   arrow")).unwrap();
        let cells: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(cells, ["alpha", "arrow", "40.0", "0.50", "80.0", "2.00", "10.00", "64"]);
        assert!(table.contains("350 CPU-s of hntes fam"), "{table}");
        assert!(table.contains("two 8.80 (1.10 times), rows 55 % and 45 %"), "{table}");
        agree(&all.readings).unwrap();
        let mut wrong = all.readings.clone();
        wrong[3].answer = json!({ "groups": 2 });
        assert!(agree(&wrong).unwrap_err().to_string().contains("duckdb"));
        let drawing = svg::draw(&all.readings);
        assert!(drawing.starts_with("<svg") && drawing.contains("nfdump"));
    }

    #[test]
    fn a_claim_that_is_not_met_is_seen() {
        let met = |all: &Measured| claims(all).iter().filter(|(met, _)| *met).count();
        let all = measured();
        assert_eq!((claims(&all).len(), met(&all)), (6, 6), "{:?}", claims(&all));
        let spoil: [fn(&mut Measured); 6] = [
            |all| all.readings[3].cpu_s = 0.4,
            |all| all.readings[4].cpu_s = 3.0,
            |all| all.readings[5].cpu_s = 5.0,
            |all| all.fewer[0].peak = 20 << 20,
            |all| all.readings[7].parts[0].cpu_s = 9.0,
            |all| all.readings[7].parts[0].rows = 95,
        ];
        for (which, spoil) in spoil.iter().enumerate() {
            let mut all = measured();
            spoil(&mut all);
            let missed: Vec<bool> = claims(&all).iter().map(|(met, _)| !met).collect();
            let expected: Vec<bool> = (0..6).map(|claim| claim == which).collect();
            assert_eq!(missed, expected, "{which}: {:?}", claims(&all));
        }
    }
}
