// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How long until one more entry is installed and read back, in a table of 1, 125, 1548 and 10 000.
//!
//! `install_latency [ROUNDS]`, as root, in a network namespace of its own that it makes and removes.
//! One line of JSON a device and size: `apply` is the change alone, `whole` ends when the entry has
//! been read back. Times are in microseconds.

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::json;
use std::error::Error;
use std::fs::File;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::process::Command;
use std::time::{Duration, Instant};
use telesteer_fam::{Prefix, PrefixFlow, Width};
use telesteer_redirect::iprule::IpRule;
use telesteer_redirect::nft::Nft;
use telesteer_redirect::{Change, Device, DeviceError, Match, PathName, Paths, Rule, Target};

const SIZES: [u32; 4] = [1, 125, 1548, 10_000];
const ROUNDS: u32 = 200;

fn main() -> Result<(), Box<dyn Error>> {
    let rounds = std::env::args().nth(1).map_or(Ok(ROUNDS), |text| text.parse())?;
    let name = format!("install-latency-{}", std::process::id());
    ip(&["netns", "add", &name])?;
    let file = File::open(format!("/run/netns/{name}"))?;
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
    let result = all(rounds);
    ip(&["netns", "del", &name])?;
    result
}

fn ip(args: &[&str]) -> Result<(), Box<dyn Error>> {
    let status = Command::new("ip").args(args).status()?;
    if status.success() { Ok(()) } else { Err(format!("ip {args:?}: {status}").into()) }
}

fn all(rounds: u32) -> Result<(), Box<dyn Error>> {
    let path = PathName::new("lsp")?;
    let mut paths = Paths::default();
    paths.insert(path.clone(), Target { mark: 101, table: 101 })?;
    let mut devices: Vec<Box<dyn Device>> = vec![Box::new(IpRule::open("iprule")?)];
    match Nft::open("nft") {
        Ok(nft) => devices.push(Box::new(nft)),
        Err(error) => eprintln!("skipped: {error}"),
    }
    for mut device in devices {
        for size in SIZES {
            if size as usize > device.capabilities().limit {
                eprintln!("{} holds no {size} entries", device.name());
                continue;
            }
            measure(&mut *device, &paths, &path, size, rounds)?;
        }
    }
    Ok(())
}

fn measure(
    device: &mut dyn Device,
    paths: &Paths,
    path: &PathName,
    size: u32,
    rounds: u32,
) -> Result<(), Box<dyn Error>> {
    let rule = |matching| Rule { matching, path: path.clone() };
    let table: Vec<Rule> = (1..=size).map(|n| hosts(n).map(rule)).collect::<Result<_, _>>()?;
    let fill = Change { add: table.clone(), ..Change::default() };
    device.read_back(paths, 0)?;
    let filled = timed(|| device.apply(paths, &fill, 0))?;
    let (mut applied, mut whole) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let one = rule(hosts(size + 1 + round)?);
        let add = Change { add: vec![one.clone()], ..Change::default() };
        let begin = Instant::now();
        applied.push(timed(|| device.apply(paths, &add, 0))?);
        let asked = std::slice::from_ref(&one);
        let found = match device.find(paths, asked, 0)? {
            Some(found) => found,
            None => device.read_back(paths, 0)?.rules,
        };
        whole.push(begin.elapsed());
        if !found.contains(&one) {
            return Err(format!("{}: {one} was not read back", device.name()).into());
        }
        device.apply(paths, &Change { remove: vec![one], ..Change::default() }, 0)?;
    }
    let begin = Instant::now();
    device.read_back(paths, 0)?;
    let all = begin.elapsed();
    device.apply(paths, &Change { remove: table, ..Change::default() }, 0)?;
    let line = json!({
        "device": device.name(),
        "entries": size,
        "rounds": rounds,
        "fill_us": filled.as_micros(),
        "read_all_us": all.as_micros(),
        "apply_p50_us": quantile(&mut applied, 50),
        "apply_p99_us": quantile(&mut applied, 99),
        "whole_p50_us": quantile(&mut whole, 50),
        "whole_p99_us": quantile(&mut whole, 99),
    });
    println!("{line}");
    Ok(())
}

fn timed<T>(what: impl FnOnce() -> Result<T, DeviceError>) -> Result<Duration, DeviceError> {
    let begin = Instant::now();
    what().map(|_| begin.elapsed())
}

/// The smallest time that so many percent do not exceed.
fn quantile(times: &mut [Duration], percent: usize) -> u128 {
    times.sort_unstable();
    let at = (times.len() * percent).div_ceil(100).saturating_sub(1);
    times.get(at).map_or(0, Duration::as_micros)
}

fn address(site: u8, n: u32) -> IpAddr {
    let [_, high, middle, low] = n.to_be_bytes();
    [site, high, middle, low].into()
}

fn hosts(n: u32) -> Result<Match, Box<dyn Error>> {
    let of = |site| Prefix::of(address(site, n), Width::HOST);
    Ok(Match::pair(PrefixFlow { src: of(10), dst: of(11) })?)
}
