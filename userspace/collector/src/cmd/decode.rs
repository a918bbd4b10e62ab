// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `telesteer decode`: what the decoders make of a capture.

use std::collections::HashMap;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use serde_json::Value;
use telesteer_wire::pmacct::{AtEnd, Custom, Key, Line, Lists, Origin, RdKey, Settings, Shaper};

use crate::decode::{Decoder, Error};

/// Arguments of `telesteer decode`.
#[derive(clap::Args)]
pub struct Args {
    /// Captures (pcap or pcapng), read one after the other as one collector would receive them.
    #[arg(required = true)]
    files: Vec<PathBuf>,

    /// Print the lines pmacct's daemons would log, flows aggregated by these primitives.
    ///
    /// A list of pmacct's names separated by commas (src_host,dst_host,in_iface,…), or `auto`.
    /// BMP and UDP-notif in the captures are printed as pmbmpd and pmtelemetryd log them.
    #[arg(long, value_name = "KEYS")]
    aggregate: Option<String>,

    /// Define a primitive for --aggregate: NAME=[PEN/]FIELD:LEN[:u_int|hex|ip|mac|str].
    #[arg(long, value_name = "DEFINITION", requires = "aggregate")]
    primitive: Vec<Custom>,

    /// Multiply packets and bytes by the sampling interval.
    #[arg(long, requires = "aggregate")]
    renormalize: bool,

    /// Sampling interval used instead of what exporters tell.
    #[arg(long, value_name = "N", requires = "renormalize")]
    sampling: Option<u32>,

    /// Print flow times in whole seconds.
    #[arg(long, requires = "aggregate")]
    timestamps_secs: bool,

    /// Count records that came before their template too; pmacct drops them.
    #[arg(long, requires = "aggregate")]
    late: bool,

    /// Route distinguisher by VRF id or by interface: [vrf:|in:|out:]N=RD.
    #[arg(long, value_name = "KEY=RD", requires = "aggregate", value_parser = rd)]
    rd: Vec<(RdKey, String)>,

    /// How AS paths and communities are printed.
    #[arg(long, value_enum, default_value = "array", requires = "aggregate")]
    bgp_lists: BgpLists,

    /// What is printed for the routes of a BMP session when its capture ends.
    #[arg(long, value_enum, default_value = "nothing", requires = "aggregate")]
    at_end: End,

    /// Print pmacct's JSON output with its default encodings: no nulls, numbers for flags and status.
    #[arg(long, requires = "aggregate")]
    plain: bool,

    /// Print next hops as nfacctd does, which keeps equal attributes once and takes an IPv4 next hop
    /// and its v4-mapped form for equal.
    #[arg(long, requires = "aggregate")]
    pooled_next_hops: bool,

    /// Print this exporter address (and port) instead of the captured one, for each file in order.
    #[arg(long, value_name = "ADDR[:PORT]", requires = "aggregate", value_parser = exporter)]
    exporter: Vec<(IpAddr, Option<u16>)>,

    /// Members added to every line, a JSON object for each file in order, the last for the rest.
    #[arg(long, value_name = "OBJECT", requires = "aggregate", value_parser = object)]
    set: Vec<Line>,

    /// Add the octets of BMP messages to their lines.
    #[arg(long, conflicts_with = "aggregate")]
    raw: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum BgpLists {
    /// JSON arrays.
    Array,
    /// One string, values separated by blanks.
    Text,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum End {
    /// Nothing.
    Nothing,
    /// A `delete` line each, as when the connection closes.
    Delete,
    /// A table dump.
    Dump,
}

fn rd(text: &str) -> Result<(RdKey, String), String> {
    let (key, rd) = text.split_once('=').ok_or("not [vrf:|in:|out:]N=RD")?;
    let (kind, number) = key.split_once(':').unwrap_or(("vrf", key));
    let number = number.parse().map_err(|_| format!("`{number}` is no number"))?;
    let key = match kind {
        "vrf" => RdKey::Vrf(number),
        "in" => RdKey::In(number),
        "out" => RdKey::Out(number),
        _ => return Err(format!("`{kind}` is none of vrf, in and out")),
    };
    Ok((key, rd.to_owned()))
}

fn exporter(text: &str) -> Result<(IpAddr, Option<u16>), String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok((address, None));
    }
    let socket: SocketAddr = text.parse().map_err(|_| format!("`{text}` is no address"))?;
    Ok((socket.ip(), Some(socket.port())))
}

fn object(text: &str) -> Result<Line, String> {
    match serde_json::from_str(text) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err("not a JSON object".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Runs the verb: lines to stdout, what was counted as JSON to stderr. Exit code 1 when something
/// recognised could not be decoded.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut out = BufWriter::new(io::stdout().lock());
    let done = match &args.aggregate {
        Some(keys) => shaped(&args, keys, &mut out),
        None => plain(&args, &mut out),
    };
    let flushed = done.and_then(|code| {
        out.flush().context("failed to write")?;
        Ok(code)
    });
    match flushed {
        // The reader has seen enough.
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        other => other,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let of = |error: &io::Error| error.kind() == ErrorKind::BrokenPipe;
        cause.downcast_ref::<io::Error>().is_some_and(of)
            || matches!(cause.downcast_ref::<Error>(), Some(Error::Write(error)) if of(error))
    })
}

fn plain(args: &Args, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let mut decoder = Decoder::new(args.raw);
    let mut cut_short = false;
    for file in &args.files {
        let bytes =
            std::fs::read(file).with_context(|| format!("failed to read {}", file.display()))?;
        let summary = decoder
            .capture(&bytes, out)
            .with_context(|| format!("failed to decode {}", file.display()))?;
        cut_short |= summary.cut_short;
        if summary.cut_short {
            eprintln!("telesteer: {} ends inside a packet", file.display());
        }
    }
    let totals = decoder.totals();
    eprintln!("{}", serde_json::to_string(&totals)?);
    Ok(if totals.whole() && !cut_short { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn shaped(args: &Args, keys: &str, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let settings = Settings {
        keys: Key::list(keys, &args.primitive)?,
        renormalize: args.renormalize,
        sampling: args.sampling,
        whole_seconds: args.timestamps_secs,
        late: args.late,
        rds: args.rd.iter().cloned().collect::<HashMap<_, _>>(),
        lists: match args.bgp_lists {
            BgpLists::Array => Lists::Array,
            BgpLists::Text => Lists::Text,
        },
        at_end: match args.at_end {
            End::Nothing => AtEnd::Nothing,
            End::Delete => AtEnd::Delete,
            End::Dump => AtEnd::Dump,
        },
        plain: args.plain,
        pooled_next_hops: args.pooled_next_hops,
    };
    let mut shaper = Shaper::new(settings);
    let mut failed = None;
    let mut print = |line: Line| {
        if failed.is_none() {
            failed = writeln!(out, "{}", Value::Object(line)).err();
        }
    };
    for (index, file) in args.files.iter().enumerate() {
        let stand_in = args.exporter.get(index);
        let origin = Origin {
            address: stand_in.map(|(address, _)| *address),
            port: stand_in.and_then(|(_, port)| *port),
            members: args.set.get(index).or(args.set.last()).cloned().unwrap_or_default(),
        };
        let bytes =
            std::fs::read(file).with_context(|| format!("failed to read {}", file.display()))?;
        let summary = shaper
            .capture(&bytes, &origin, &mut print)
            .with_context(|| format!("failed to decode {}", file.display()))?;
        if summary.cut_short {
            eprintln!("telesteer: {} ends inside a packet", file.display());
        }
    }
    let counters = shaper.finish(&mut print);
    if let Some(error) = failed {
        return Err(error).context("failed to write");
    }
    eprintln!("{}", serde_json::to_string(&counters)?);
    let whole = counters.flow_problems == 0 && counters.bmp_undecoded == 0;
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
