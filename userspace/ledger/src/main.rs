// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `telesteer-ledger report DIR`: the demo scene's verdict.

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use telesteer_ledger::anycast::{self, plot, rows};
use telesteer_ledger::claims::{self, Claim, Least};
use telesteer_ledger::maps::{self, Maps};
use telesteer_ledger::phase::{self, Phase};
use telesteer_ledger::{members, scene, svg, table};

/// Counts what was sent and what arrived.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Account for a scene; exit 0 if every claim is met, 1 if one FAILED, 2 if it cannot be read.
    Report(Report),
    /// Account for a server that left an anycast address and came back; exit status as above.
    Anycast(Anycast),
}

#[derive(clap::Args)]
struct Anycast {
    /// Folder the bench wrote.
    dir: PathBuf,
    /// Exporters each row must have to count.
    #[arg(long, default_value_t = 200)]
    min_exporters: u64,
    /// BMP sessions each row must have to count.
    #[arg(long, default_value_t = 64)]
    min_sessions: u64,
}

#[derive(clap::Args)]
struct Report {
    /// Folder the scene wrote.
    dir: PathBuf,
    /// Where report.json and report.svg go; default: DIR.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Print report.json instead of the table.
    #[arg(long)]
    json: bool,
    /// Exporter addresses a scene must have to count.
    #[arg(long, default_value_t = 200)]
    min_exporters: u64,
    /// BMP sessions a scene must have at the kill to count.
    #[arg(long, default_value_t = 64)]
    min_sessions: u64,
    /// Stream bytes held in memory per phase, at most.
    #[arg(long, default_value_t = 2 << 30)]
    max_bytes: u64,
}

/// report.json.
#[derive(Serialize)]
struct Document<'a> {
    kernel: &'a str,
    accel: &'a str,
    policy: &'a str,
    phases: Vec<&'a Phase>,
    maps: &'a [Maps],
    claims: &'a [Claim],
}

fn main() -> ExitCode {
    let done = match Cli::parse().verb {
        Verb::Report(args) => report(&args),
        Verb::Anycast(args) => anycast(&args),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("telesteer-ledger: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn report(args: &Report) -> Result<bool> {
    let info: scene::Scene = scene::read_json(&args.dir.join("scene.json"))?;
    let mut phases = Vec::new();
    for (name, folder) in scene::phases(&args.dir, &info)? {
        eprintln!("telesteer-ledger: accounting for {name}");
        phases.push(phase::account(&name, &folder, info.ports, args.max_bytes)?);
    }
    let rows: Vec<Phase> = phases.iter().map(|(phase, _)| phase.clone()).collect();
    let least = Least { exporters: args.min_exporters, sessions: args.min_sessions };
    let mut verdict = claims::judge(&rows, info.complete, least);
    let tells = rows.iter().flat_map(|row| &row.members).any(|one| !one.policies.is_empty());
    for row in &rows {
        let asked = (row.name == "telesteer").then_some(info.policy.as_str());
        verdict.extend(members::judge(&row.name, &row.members, asked, tells));
    }
    let mut maps = Vec::new();
    for name in info.maps.iter().map(|phase| &phase.name) {
        let folder = args.dir.join(name);
        if folder.join("timeline.jsonl").is_file() {
            maps.push(maps::account(name, &folder, info.ports)?);
        }
    }
    verdict.extend(maps::claims::judge(&maps, &info.policy));
    let steered = rows.iter().find(|row| row.name == "telesteer");
    let policy = steered.map_or_else(String::new, |row| members::policy(&row.members));
    let document = Document {
        kernel: &info.kernel,
        accel: &info.accel,
        policy: &policy,
        phases: rows.iter().collect(),
        maps: &maps,
        claims: &verdict,
    };
    let json = serde_json::to_string_pretty(&document)? + "\n";
    let out = args.out.as_deref().unwrap_or(&args.dir);
    std::fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    write(&out.join("report.json"), &json)?;
    write(&out.join("report.svg"), &svg::draw(&phases))?;
    if args.json {
        print!("{json}");
    } else {
        let phases = rows.iter().map(|row| members::text(&row.name, &row.members));
        let phases = phases.chain(maps.iter().map(|one| members::text(&one.name, &one.members)));
        let members = phases.collect::<String>();
        print!("{}\n{members}\n{}", table::phases(&rows), table::claims(&verdict));
    }
    let failed = verdict.iter().filter(|claim| !claim.met).count();
    eprintln!("telesteer-ledger: {} of {} claims met", verdict.len() - failed, verdict.len());
    Ok(failed == 0)
}

/// Writes report.json, table.txt, table.md and report.svg beside what the bench wrote.
fn anycast(args: &Anycast) -> Result<bool> {
    let scene: anycast::Scene = scene::read_json(&args.dir.join("anycast.json"))?;
    let found = anycast::account(&args.dir, &scene)?;
    let verdict = rows::judge(&scene, &found, args.min_exporters, args.min_sessions);
    let document = serde_json::json!({
        "kernel": scene.kernel, "accel": scene.accel, "servers": scene.servers,
        "leaves": scene.leaves, "rows": found, "claims": verdict,
    });
    let (table, claims) = (rows::text(&found), table::claims(&verdict));
    let json = serde_json::to_string_pretty(&document)? + "\n";
    write(&args.dir.join("report.json"), &json)?;
    write(&args.dir.join("table.txt"), &table)?;
    write(&args.dir.join("table.md"), &rows::markdown(&scene, &found))?;
    write(&args.dir.join("report.svg"), &plot::draw(&found))?;
    let failed: Vec<_> = verdict.iter().filter(|claim| !claim.met).collect();
    print!("{table}");
    for line in claims.lines().filter(|line| line.starts_with("FAILED")) {
        println!("{line}");
    }
    let met = verdict.len() - failed.len();
    eprintln!("telesteer-ledger: {met} of {} claims met", verdict.len());
    Ok(failed.is_empty())
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| path.display().to_string())
}
