// SPDX-License-Identifier: Apache-2.0 OR MIT
//! nfcapd and nfdump: the records as NetFlow v5 datagrams, and two passes over the files they become.

use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;
use telesteer_fam::Record;
use telesteer_fam::time::SECOND;

use crate::Done;
use crate::child::{self, Reading};
use crate::passes::write;
use crate::workload::{H, record};

/// Records of a datagram.
const EACH: u64 = 30;
/// Longest that nfcapd may take to begin, and to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// What to do.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// How many records.
    #[arg(long, default_value_t = 10_000_000)]
    records: u64,
    /// Records per second on the wire; nfcapd must keep up.
    #[arg(long, default_value_t = 500_000)]
    rate: u64,
    /// Folder for its files and for the readings.
    #[arg(long)]
    out: PathBuf,
    /// Runs of each pass; the best counts.
    #[arg(long, default_value_t = 3)]
    runs: usize,
}

/// Sends, then measures.
pub(crate) fn run(args: &Args) -> Done {
    let files = args.out.join("nfcapd");
    let _ = fs::remove_dir_all(&files);
    fs::create_dir_all(&files).with_context(|| format!("making {}", files.display()))?;
    collect(args, &files)?;
    let kept = kept(&files)?;
    if kept < args.records {
        eprintln!("nfcapd kept {kept} of {} records", args.records);
    }
    let above = format!("bytes > {H}");
    let alpha = ["-A", "srcip,dstip,proto,srcport,dstport", above.as_str()];
    let passes: [(&str, &[&str]); 2] =
        [("alpha", &alpha), ("beta", &["-A", "srcip4/24,dstip4/24"])];
    let mut readings: Vec<Reading> = Vec::new();
    for (pass, arguments) in passes {
        let mut best: Option<Reading> = None;
        for _ in 0..args.runs.max(1) {
            let mut command = Command::new("nfdump");
            command.arg("-R").arg(&files).args(["-q", "-o", "csv"]).args(arguments);
            let ran = child::run(&mut command, &args.out)?;
            let answer = json!({ "lines": ran.said.lines().count() });
            let (engine, pass) = ("nfdump".to_owned(), pass.to_owned());
            let (cpu_s, wall_s, peak, threads) = (ran.cpu_s, ran.wall_s, ran.peak, 0);
            let (records, parts) = (kept, Vec::new());
            let reading =
                Reading { engine, pass, records, threads, cpu_s, wall_s, peak, answer, parts };
            if best.as_ref().is_none_or(|best| reading.cpu_s < best.cpu_s) {
                best = Some(reading);
            }
        }
        readings.extend(best);
    }
    write(&args.out, "nfdump", &readings)
}

/// nfcapd from its start to its end.
fn collect(args: &Args, files: &Path) -> Done {
    let port = UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port();
    let mut child = Command::new("nfcapd")
        .arg("-w")
        .arg(files)
        .args(["-b", "127.0.0.1", "-p", &port.to_string(), "-t", "3600", "-B", "16777216"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("starting nfcapd")?;
    let outcome = wait_for(port).and_then(|()| send(args, port));
    // Ends it as an operator would: it writes what it has.
    let asked = Command::new("kill").arg(child.id().to_string()).status();
    let began = Instant::now();
    while child.try_wait().context("waiting for nfcapd")?.is_none() {
        if began.elapsed() > PATIENCE || asked.is_err() {
            child.kill().context("ending nfcapd")?;
        }
        thread::sleep(Duration::from_millis(20));
    }
    outcome
}

/// Until somebody listens: a datagram to nobody is answered with an error on loopback.
fn wait_for(port: u16) -> Done {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(("127.0.0.1", port))?;
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let _ = socket.send(&[]);
        thread::sleep(Duration::from_millis(50));
        match socket.send(&[]) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
            other => return other.map(|_| ()).context("sending to nfcapd"),
        }
    }
    bail!("nfcapd does not listen on port {port}")
}

fn send(args: &Args, port: u16) -> Done {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(("127.0.0.1", port))?;
    let began = Instant::now();
    let mut number = 0;
    while number < args.records {
        let until = (number + EACH).min(args.records);
        let records: Vec<Record> = (number..until).map(|n| record(n, args.records)).collect();
        socket.send(&datagram(&records, number as u32)).context("sending a datagram")?;
        number = until;
        let due = Duration::from_secs_f64(number as f64 / args.rate.max(1) as f64);
        if let Some(early) = due.checked_sub(began.elapsed()).filter(|early| early.as_millis() > 0)
        {
            thread::sleep(early);
        }
    }
    // What is in its buffer is read before it is asked to end.
    thread::sleep(Duration::from_secs(2));
    Ok(())
}

/// A NetFlow v5 datagram. Its exporter started at the second of the first record.
fn datagram(records: &[Record], sequence: u32) -> Vec<u8> {
    let base = records.first().map_or(0, |record| record.first.div_euclid(SECOND) - 1);
    let uptime_ms = |at: i64| ((at - base * SECOND) / 1_000_000) as u32;
    let now_ms = records.iter().map(|record| uptime_ms(record.last)).max().unwrap_or(0);
    let mut out = Vec::with_capacity(24 + records.len() * 48);
    out.extend([0, 5]);
    out.extend((records.len() as u16).to_be_bytes());
    out.extend(now_ms.to_be_bytes());
    out.extend(((base + i64::from(now_ms / 1000)) as u32).to_be_bytes());
    out.extend((now_ms % 1000 * 1_000_000).to_be_bytes());
    out.extend(sequence.to_be_bytes());
    out.extend([0; 4]);
    for record in records {
        for addr in [record.key.src, record.key.dst] {
            match addr {
                IpAddr::V4(addr) => out.extend(addr.octets()),
                IpAddr::V6(_) => out.extend([0; 4]),
            }
        }
        out.extend([0; 4]);
        out.extend((record.in_if as u16).to_be_bytes());
        out.extend((record.out_if as u16).to_be_bytes());
        out.extend((record.packets as u32).to_be_bytes());
        out.extend((record.octets as u32).to_be_bytes());
        out.extend(uptime_ms(record.first).to_be_bytes());
        out.extend(uptime_ms(record.last).to_be_bytes());
        out.extend(record.key.src_port.to_be_bytes());
        out.extend(record.key.dst_port.to_be_bytes());
        out.extend([0, 0x18, record.key.proto, record.tos]);
        out.extend([0; 8]);
    }
    out
}

/// Records in its files, as nfdump counts them.
fn kept(files: &Path) -> Result<u64> {
    let output = Command::new("nfdump").arg("-R").arg(files).arg("-I").output();
    let output = output.context("starting nfdump")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let line = said.lines().find_map(|line| line.strip_prefix("Flows:"));
    line.and_then(|count| count.trim().parse().ok())
        .with_context(|| format!("nfdump -I counts no flows: {said}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_is_as_long_as_it_says() {
        let records: Vec<Record> = (0..30).map(|number| record(number, 1_000_000)).collect();
        let datagram = datagram(&records, 60);
        assert_eq!(datagram.len(), 24 + 30 * 48);
        assert_eq!(datagram[..4], [0, 5, 0, 30]);
        assert_eq!(datagram[16..20], [0, 0, 0, 60]);
        let IpAddr::V4(src) = records[1].key.src else { panic!("IPv6 in v5") };
        assert_eq!(datagram[24 + 48..24 + 52], src.octets());
        let octets = records[1].octets as u32;
        assert_eq!(datagram[24 + 48 + 20..24 + 48 + 24], octets.to_be_bytes());
    }
}
