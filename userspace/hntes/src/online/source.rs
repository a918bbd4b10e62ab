// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Flow records or mirrored packets, read by a thread of their own, so that time goes on where nothing
//! comes.

use crate::input::{self, Assume, Bad, FileReport};
use crate::online::nft::{self, Counters};
use crate::online::readings::readings;
use crate::online::tap::Tap;
use anyhow::{Context, Error, Result, bail};
use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};
use telesteer_fam::screen::{self, Fault};
use telesteer_fam::{FiveTuple, Ns, Reading, Record};
use telesteer_online::Report;
use telesteer_sys::mirror::Mirror;
use telesteer_wire::pcap::{Headers, Packet, Reader, headers};

/// Items read ahead.
const AHEAD: usize = 4096;

/// Octets of a packet that its headers fit into.
const CUT: usize = 160;

/// Between two looks at what the kernel dropped.
const LOOK: Duration = Duration::from_secs(1);

/// LINKTYPE of packets without a link layer.
const RAW_IP: i32 = 101;

/// The name of standard input.
pub const STDIN: &str = "-";

/// What is read.
#[derive(Debug)]
pub enum Item {
    /// What is told of a flow.
    Report(Report),
    /// A meter was read: its name, its count, when.
    Metered(String, u64, Ns),
    /// A record that does not count, and why.
    LeftOut(Fault),
    /// That was all; or why nothing could be read.
    End(Result<FileReport>),
}

/// What records are, and what they do not say.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Flow records in any form that is known.
    Records(Assume),
    /// Packets of a header mirror.
    Packets,
    /// Readings of a router's meters.
    Readings,
}

/// What is odd about an input, counted while it is read.
#[derive(Debug, Default)]
pub struct Odd {
    /// Lines that are no record, packets of no flow.
    pub bad: Arc<AtomicU64>,
    /// Packets that the kernel dropped for want of room.
    pub dropped: AtomicU64,
}

/// An input.
#[derive(Debug)]
pub struct Source {
    /// What is read from it; ends with [`Item::End`].
    pub items: Receiver<Item>,
    /// Its name.
    pub name: String,
    /// What was odd about it so far.
    pub odd: Arc<Odd>,
    tap: Option<Tap>,
    live: bool,
}

impl Source {
    /// Begins to read `path`, or standard input if it is [`STDIN`].
    ///
    /// # Errors
    ///
    /// If it is not there.
    pub fn open(path: &Path, kind: Kind, follow: bool, stop: Arc<AtomicBool>) -> Result<Self> {
        let (send, items) = sync_channel(AHEAD);
        let from_stdin = path == Path::new(STDIN);
        let name = match from_stdin {
            true => "standard input".to_owned(),
            false => path.display().to_string(),
        };
        let live = from_stdin || follow;
        let tap = match live {
            true if from_stdin => Some(Tap::stdin(stop)?),
            true if path.is_dir() && matches!(kind, Kind::Records(_)) => {
                Some(Tap::folder(path, stop)?)
            }
            true => Some(Tap::follow(path, stop)?),
            false => None,
        };
        let read = tap.as_ref().map_or_else(|| path.to_owned(), Tap::path);
        let named = name.clone();
        let odd: Arc<Odd> = Arc::default();
        let bad = Arc::clone(&odd.bad);
        thread::spawn(move || {
            let outcome = match kind {
                Kind::Records(assume) => records(&read, &assume, &send, bad),
                Kind::Packets => packets(&read, &send, bad),
                Kind::Readings => readings(&read, &send),
            };
            let outcome = match outcome {
                Ok(report) => Ok(FileReport { path: PathBuf::from(&named), ..report }),
                Err(error) => Err(renamed(&error, &read, &named)),
            };
            // Nobody waits for it: then nobody need know.
            let _ = send.send(Item::End(outcome));
        });
        Ok(Self { items, name, odd, tap, live })
    }

    /// Begins to read the headers of the packets that come in at an interface.
    ///
    /// # Errors
    ///
    /// If there is none of this name, or it may not be read.
    pub fn interface(name: &str, stop: Arc<AtomicBool>) -> Result<Self> {
        let mirror = Mirror::open(name, CUT);
        let mirror = mirror.with_context(|| format!("--interface {name} (needs CAP_NET_RAW)"))?;
        let (send, items) = sync_channel(AHEAD);
        let path = PathBuf::from(name);
        let odd: Arc<Odd> = Arc::default();
        let counted = Arc::clone(&odd);
        thread::spawn(move || {
            let _ = send.send(Item::End(arriving(&path, mirror, &send, &stop, &counted)));
        });
        Ok(Self { items, name: name.to_owned(), odd, tap: None, live: true })
    }

    /// Begins to read counters of nftables.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub fn counters(of: Counters, stop: Arc<AtomicBool>) -> Result<Self> {
        let (send, items) = sync_channel(AHEAD);
        let name = of.name();
        nft::begin(of, send, stop)?;
        Ok(Self { items, name, odd: Arc::default(), tap: None, live: true })
    }

    /// Whether more may come for as long as it likes.
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// Ends what is live; see [`Tap::close`].
    pub fn close(&self) {
        if let Some(tap) = &self.tap {
            tap.close();
        }
    }

    /// Why live input broke off, if it did.
    pub fn broke_off(&self) -> Option<String> {
        self.tap.as_ref()?.failed()
    }
}

/// The same with the name that the user knows.
fn renamed(error: &Error, read: &Path, name: &str) -> Error {
    Error::msg(format!("{error:#}").replace(&read.display().to_string(), name))
}

fn records(
    path: &Path,
    assume: &Assume,
    send: &SyncSender<Item>,
    bad: Arc<AtomicU64>,
) -> Result<FileReport> {
    let reading = Reading::default();
    input::read_source(&input::source::Source::watched(path, bad), assume, |record| {
        let item = match screen::bytes(record, &reading) {
            Ok(bytes) => Item::Report(report(record, bytes)),
            Err(fault) => Item::LeftOut(fault),
        };
        // Whoever took them is gone, and the program about to end.
        let _ = send.send(item);
    })
}

fn report(record: &Record, bytes: u64) -> Report {
    let Record { exporter, first, last, key, .. } = *record;
    Report { last, key, first, bytes, exporter, fin: false }
}

fn packets(path: &Path, send: &SyncSender<Item>, bad: Arc<AtomicU64>) -> Result<FileReport> {
    let at = || format!("reading {}", path.display());
    let mut report = FileReport::watched(path, Some(bad));
    report.format = Some(input::Format::Capture);
    let file: Box<dyn Read + Send> = Box::new(File::open(path).with_context(at)?);
    let mut reader = Reader::of(file).with_context(at)?;
    let mut number = 0;
    loop {
        let packet = match reader.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => break,
            Err(error) => {
                report.failed = Some(error.to_string());
                break;
            }
        };
        number += 1;
        match headers(&packet) {
            Some(headers) => {
                report.records += 1;
                let item = Item::Report(of_packet(&headers, packet.time_ns));
                if send.send(item).is_err() {
                    break;
                }
            }
            None => report.count_all(NO_IP, 1, number),
        }
    }
    Ok(report)
}

/// Hands on packets as they come in, until it is told to stop.
fn arriving(
    path: &Path,
    mut mirror: Mirror,
    send: &SyncSender<Item>,
    stop: &AtomicBool,
    odd: &Odd,
) -> Result<FileReport> {
    let mut report = FileReport::watched(path, Some(Arc::clone(&odd.bad)));
    let mut looked = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        if looked.elapsed() >= LOOK {
            looked = Instant::now();
            drops(&mut mirror, odd);
        }
        let packet = match mirror.receive() {
            Ok(Some(packet)) => packet,
            Ok(None) => continue,
            Err(error) => {
                report.failed = Some(format!("{}: {error}", path.display()));
                break;
            }
        };
        let Ok(now) = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) else {
            bail!("the host's clock is before 1970");
        };
        let time_ns = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let (data, wire_len) = (packet.data, packet.len);
        let Some(headers) = headers(&Packet { time_ns, link: RAW_IP, wire_len, data }) else {
            let number = report.records + 1;
            report.count_all(NO_IP, 1, number);
            continue;
        };
        report.records += 1;
        if send.send(Item::Report(of_packet(&headers, time_ns))).is_err() {
            break;
        }
    }
    let lines = drops(&mut mirror, odd);
    if lines > 0 {
        let first = report.records;
        report.bad.insert("packet dropped by the kernel".to_owned(), Bad { lines, first });
    }
    Ok(report)
}

/// Counts what the kernel dropped.
fn drops(mirror: &mut Mirror, odd: &Odd) -> u64 {
    if let Ok(drops) = mirror.drops() {
        odd.dropped.store(drops, Ordering::Relaxed);
    }
    odd.dropped.load(Ordering::Relaxed)
}

/// What is no packet of a flow.
const NO_IP: &str = "frame without an IP packet";

fn of_packet(told: &Headers, time_ns: u64) -> Report {
    let Headers { src, dst, proto, src_port, dst_port, octets, ends } = *told;
    let (src, dst) = (src.to_canonical(), dst.to_canonical());
    let at = i64::try_from(time_ns).unwrap_or(i64::MAX);
    Report {
        last: at,
        key: FiveTuple { src, dst, proto, src_port, dst_port },
        first: at,
        bytes: octets.into(),
        exporter: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        fin: ends,
    }
}
