// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `hntes anonymise`: the same records under other addresses.

use crate::cryptopan::{CryptoPan, KEY_LEN};
use crate::input::{Assume, folder, read};
use crate::schema;
use anyhow::{Context, Result, bail};
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Read, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use telesteer_fam::{FiveTuple, Record};

/// Replace addresses so that prefixes stay prefixes, under a key. Every result but the addresses
/// stays the same.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Files of flow records, or folders of Parquet and CSV files.
    #[arg(required = true, value_name = "FILE|DIR")]
    files: Vec<PathBuf>,
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
    /// Folder for the files, under their names, as CSV.
    #[arg(long)]
    out: PathBuf,
}

/// Writes the files.
pub fn run(args: &Args) -> Result<()> {
    if args.make_key {
        make_key(&args.key)?;
    }
    let mut pan = CryptoPan::new(&read_key(&args.key)?);
    fs::create_dir_all(&args.out).with_context(|| format!("making {}", args.out.display()))?;
    for path in &folder::expand(&args.files)? {
        let name = path.file_stem().with_context(|| format!("{} is no file", path.display()))?;
        let to = args.out.join(name).with_extension("csv");
        let at = || format!("writing {}", to.display());
        if to.exists() {
            bail!("{} exists already", to.display());
        }
        let mut out = BufWriter::new(File::create(&to).with_context(at)?);
        schema::write_header(&mut out).with_context(at)?;
        let mut outcome = Ok(());
        let report = read(path, &Assume::default(), |record| {
            if outcome.is_ok() {
                let record = hidden(record, &mut pan, args.routers);
                outcome = schema::write_record(&mut out, &record);
            }
        })?;
        outcome.and_then(|()| out.flush()).with_context(at)?;
        if let Some(failed) = &report.failed {
            eprintln!("hntes: {failed}");
        }
        let bad: u64 = report.bad.values().map(|bad| bad.lines).sum();
        if bad > 0 {
            eprintln!("hntes: {}: {bad} lines are no record, left out", path.display());
        }
    }
    Ok(())
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
