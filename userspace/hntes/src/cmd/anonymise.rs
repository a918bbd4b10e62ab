// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `hntes anonymise`: the same records under other addresses.

use crate::cmd::{assume, remarks};
use crate::cryptopan::{CryptoPan, KEY_LEN};
use crate::input::source::{Source, Sources};
use crate::input::{Assume, read_source};
use crate::watch::octets;
use crate::{lists, schema};
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Read, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use telesteer_fam::doors::Door;
use telesteer_fam::{FiveTuple, Prefix, Record};

/// Replace addresses so that prefixes stay prefixes, under a key. Every result but the addresses
/// stays the same. Exits with 1 if some file could not be read or written whole; the others are done.
#[derive(clap::Args, Debug)]
#[command(after_help = HELP)]
pub struct Args {
    /// Files of flow records in any form that `fam` reads, folders of them, or - for standard input.
    #[arg(required = true, value_name = "FILE|DIR|-")]
    files: Vec<PathBuf>,
    /// Most octets of pipes that are copied to TMPDIR first, such as 512M or 20G.
    #[arg(long, value_name = "SIZE", default_value = "8G", value_parser = octets)]
    spool: u64,
    /// Egress routers by destination too, as `fam --egress` takes them.
    #[arg(long, value_name = "FILE")]
    egress: Option<PathBuf>,
    /// Data doors too, as `fam --doors` takes them. Their names stay.
    #[arg(long, value_name = "FILE")]
    doors: Option<PathBuf>,
    /// The key: 32 bytes, or 64 hexadecimal digits.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Make the key first; refuses to overwrite one.
    #[arg(long)]
    make_key: bool,
    /// Routers too: exporters and BGP next hops. Where equal views of a flow are decided by the
    /// lower exporter address, another view may then count.
    #[arg(long)]
    routers: bool,
    /// Folder for the files, under their names, as CSV. A name that comes again gets a number.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Exporter of records that name none.
    #[arg(long, value_name = "ADDR")]
    assume_exporter: Option<IpAddr>,
    /// Sampling where records tell none: N, or EXPORTER=N; may be given more than once.
    #[arg(long, value_name = "[ADDR=]N")]
    assume_sampling: Vec<String>,
}

const HELP: &str = "\
Examples:
  hntes anonymise --make-key --key site.key --out hidden flows       the first time
  hntes anonymise --key site.key --routers --doors doors.list --out hidden2 flows
  hntes fam hidden                                                   the same figures, other addresses

Keep the key: with it, and only with it, the same addresses come out again. The output is CSV.
Exit: 0 all written; 1 some file could not be read or written whole, the others are there; 2 could not run,
nothing is written.";

/// Who hides what.
struct Hider<'a> {
    pan: CryptoPan,
    routers: bool,
    assume: Assume,
    out: &'a Path,
    /// Names of this run.
    names: BTreeSet<OsString>,
}

/// Writes the files. `false` if not all of them could be.
pub fn run(args: &Args) -> Result<bool> {
    let assume = assume::assume(args.assume_exporter, &args.assume_sampling)?;
    if args.make_key {
        make_key(&args.key)?;
    }
    let pan = CryptoPan::new(&read_key(&args.key)?);
    fs::create_dir_all(&args.out).with_context(|| format!("making {}", args.out.display()))?;
    let (routers, out) = (args.routers, args.out.as_path());
    let mut hider = Hider { pan, routers, assume, out, names: BTreeSet::new() };
    let mut outcomes = Vec::new();
    let sources = Sources::new(&args.files, args.spool)?;
    remarks::of_sources(&sources);
    outcomes.extend(sources.files.iter().map(|source| hider.records(source)));
    outcomes.extend(args.egress.iter().map(|path| hider.egress(path)));
    outcomes.extend(args.doors.iter().map(|path| hider.doors(path)));
    let all = outcomes.len();
    let failed: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    for Failed { error, .. } in &failed {
        eprintln!("hntes: {error:#}");
    }
    match failed.len() {
        0 => return Ok(true),
        count if count < all || failed.iter().any(|failed| failed.partly) => {
            eprintln!("hntes: {count} of {all} files could not be done whole");
        }
        _ => bail!("nothing was written"),
    }
    Ok(false)
}

/// Why a file is not there, or only a part of it.
struct Failed {
    error: anyhow::Error,
    partly: bool,
}

impl From<anyhow::Error> for Failed {
    fn from(error: anyhow::Error) -> Self {
        Self { error, partly: false }
    }
}

impl Hider<'_> {
    /// Where to write what comes from `source`.
    fn place(&mut self, source: &Source, extension: Option<&str>) -> Result<PathBuf> {
        let path = source.name.as_path();
        let stem = source.stem().with_context(|| format!("{} is no file", path.display()))?;
        let own = path.extension().and_then(|own| own.to_str());
        let ending = extension.or(own).map_or(String::new(), |ending| format!(".{ending}"));
        // One of so many names is free.
        let numbers = (2..=self.names.len() + 2).map(|number| format!("-{number}"));
        for number in std::iter::once(String::new()).chain(numbers) {
            let mut name = stem.clone().into_os_string();
            name.push(number);
            name.push(&ending);
            if self.names.insert(name.clone()) {
                let to = self.out.join(name);
                if to.exists() {
                    bail!("{} exists already", to.display());
                }
                return Ok(to);
            }
        }
        bail!("{}: too many of this name", path.display())
    }

    fn records(&mut self, source: &Source) -> Result<(), Failed> {
        let path = source.name.as_path();
        let to = self.place(source, Some("csv"))?;
        let at = || format!("writing {}", to.display());
        let Self { pan, routers, assume, .. } = self;
        let report = write_whole(&to, |out| {
            schema::write_header(out).with_context(at)?;
            let mut outcome = Ok(());
            let report = read_source(source, assume, |record| {
                if outcome.is_ok() {
                    outcome = schema::write_record(out, &hidden(record, pan, *routers));
                }
            })?;
            outcome.with_context(at)?;
            Ok(report)
        })?;
        let bad: u64 = report.bad.values().map(|bad| bad.lines).sum();
        if bad > 0 {
            eprintln!("hntes: {}: {bad} lines are no record, left out", path.display());
        }
        match report.failed {
            Some(failed) => Err(Failed { error: anyhow::Error::msg(failed), partly: true }),
            None => Ok(()),
        }
    }

    fn egress(&mut self, path: &Path) -> Result<(), Failed> {
        let mut routers = lists::egress(path)?.into_iter().collect::<Vec<_>>();
        for (net, router) in &mut routers {
            *net = prefix(*net, &mut self.pan);
            if self.routers && !router.is_unspecified() {
                *router = self.pan.anonymise(*router);
            }
        }
        self.list(path, &lists::egress_text(&routers.into_iter().collect()))
    }

    fn doors(&mut self, path: &Path) -> Result<(), Failed> {
        let doors = lists::doors(path)?.into_iter();
        let doors: Vec<Door> =
            doors.map(|door| Door { prefix: prefix(door.prefix, &mut self.pan), ..door }).collect();
        self.list(path, &lists::doors_text(&doors))
    }

    fn list(&mut self, path: &Path, text: &str) -> Result<(), Failed> {
        let to = self.place(&Source::of(path), None)?;
        let at = || format!("writing {}", to.display());
        Ok(write_whole(&to, |out| out.write_all(text.as_bytes()).with_context(at))?)
    }
}

/// Writes a file whole or not at all.
fn write_whole<T>(to: &Path, fill: impl FnOnce(&mut BufWriter<File>) -> Result<T>) -> Result<T> {
    let at = || format!("writing {}", to.display());
    let mut name = to.as_os_str().to_owned();
    name.push(".partial");
    let partial = PathBuf::from(name);
    let mut out = BufWriter::new(File::create(&partial).with_context(at)?);
    let filled = fill(&mut out).and_then(|filled| {
        out.flush().with_context(at)?;
        fs::rename(&partial, to).with_context(at)?;
        Ok(filled)
    });
    if filled.is_err() {
        // What is said is why it is not whole.
        let _ = fs::remove_file(&partial);
    }
    filled
}

/// A prefix of as many bits: they depend on each other alone.
fn prefix(prefix: Prefix, pan: &mut CryptoPan) -> Prefix {
    Prefix::new(pan.anonymise(prefix.addr()), prefix.len())
}

fn hidden(record: &Record, pan: &mut CryptoPan, routers: bool) -> Record {
    let key = FiveTuple {
        src: pan.anonymise(record.key.src),
        dst: pan.anonymise(record.key.dst),
        ..record.key
    };
    let mut router = |addr: IpAddr| match routers && !addr.is_unspecified() {
        true => pan.anonymise(addr),
        false => addr,
    };
    Record {
        exporter: router(record.exporter),
        next_hop: record.next_hop.map(&mut router),
        key,
        ..record.clone()
    }
}

fn make_key(path: &Path) -> Result<()> {
    let at = || format!("making {}", path.display());
    let mut key = [0; KEY_LEN];
    File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut key))
        .with_context(at)?;
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path).with_context(at)?;
    file.write_all(&key).with_context(at)
}

fn read_key(path: &Path) -> Result<[u8; KEY_LEN]> {
    let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    if let Ok(key) = bytes.as_slice().try_into() {
        return Ok(key);
    }
    let digits = bytes.trim_ascii();
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let mut key = [0; KEY_LEN];
    if digits.len() == 2 * KEY_LEN {
        let pairs = digits.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?));
        if let Some(read) = pairs.collect::<Option<Vec<u8>>>() {
            key.copy_from_slice(&read);
            return Ok(key);
        }
    }
    bail!("{}: neither {KEY_LEN} bytes nor {} hexadecimal digits", path.display(), 2 * KEY_LEN)
}
