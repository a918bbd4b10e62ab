// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Takes one circuit through its life at a real provider, and says what happened when:
//!
//! ```text
//! cargo run -p telesteer-circuit --example life -- SETTINGS.toml INGRESS EGRESS [MBPS [SECONDS]]
//! ```
//!
//! MBPS of 0: rate-unlimited. With SECONDS it stays up so long, with a lease of a third of that, so that it
//! is extended; in the middle of that a second driver takes it over, as after a restart.
//! The settings have one table: `[nsi]`, `[oscars]` or `[local]`.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use telesteer_circuit::book::{Book, Key, Manner};
use telesteer_circuit::circuits::Circuits;
use telesteer_circuit::counters::Counters;
use telesteer_circuit::driver::Driver;
use telesteer_circuit::local::client::Local;
use telesteer_circuit::nsi::client::Nsi;
use telesteer_circuit::oscars::client::Oscars;
use telesteer_circuit::request::{Excess, Pair, Rate};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    nsi: Option<telesteer_circuit::nsi::client::Settings>,
    oscars: Option<telesteer_circuit::oscars::client::Settings>,
    local: Option<telesteer_circuit::local::client::Settings>,
}

/// Until it is up, and until it is gone.
const WAIT: Duration = Duration::from_secs(300);

async fn drive(driver: &mut Driver, begun: Instant, done: impl Fn(&Driver) -> bool) -> Result<()> {
    let end = Instant::now() + WAIT;
    while !done(driver) {
        for (name, step) in driver.turn().await {
            println!(
                "{:9.3} s {name}: {:?} -> {:?}",
                begun.elapsed().as_secs_f64(),
                step.from,
                step.to
            );
        }
        for said in driver.said() {
            eprintln!("{:9.3} s {said}", begun.elapsed().as_secs_f64());
        }
        if Instant::now() > end {
            bail!("not done in {} s", WAIT.as_secs());
        }
        driver.rest(20).await;
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, ingress, egress, rest @ ..] = &arguments[..] else {
        bail!("life SETTINGS.toml INGRESS EGRESS [MBPS [SECONDS]]");
    };
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {path}"))?;
    let file: File = toml::from_str(&text).with_context(|| format!("reading {path}"))?;
    let counters = Arc::new(Counters::default());
    let circuits: Arc<dyn Circuits> = match (file.nsi, file.oscars, file.local) {
        (Some(nsi), None, None) => Arc::new(Nsi::start(nsi, counters.clone()).await?),
        (None, Some(oscars), None) => Arc::new(Oscars::new(oscars, counters.clone())),
        (None, None, Some(local)) => Arc::new(Local::start(local, counters.clone()).await?),
        _ => bail!("{path}: one of [nsi], [oscars] and [local]"),
    };
    let number = |at: usize, what: &str| {
        let text = rest.get(at).map_or("0", String::as_str);
        text.parse::<u64>().with_context(|| format!("{what}: `{text}`"))
    };
    let (mbps, seconds) = (number(0, "MBPS")?, number(1, "SECONDS")?);
    let rate = match mbps {
        0 => Rate::Unlimited,
        mbps => Rate::Specified { mbps, excess: Excess::BestEffort },
    };
    let key = Key::shared(Pair::new(ingress, egress), rate);
    let mut manner = Manner { linger_ms: 0, ..Manner::default() };
    if seconds > 0 {
        manner.lease_ms = seconds * 1000 / 3;
    }
    let mut driver = Driver::new(Book::new(manner), circuits.clone(), 5_000);
    let begun = Instant::now();
    driver.book.offline(&BTreeSet::new())?;
    driver.book.flow(key.clone(), 1)?;
    drive(&mut driver, begun, |driver| driver.book.usable(&key).is_some()).await?;
    println!("{:9.3} s up", begun.elapsed().as_secs_f64());
    let half = Duration::from_secs(seconds) / 2;
    if seconds > 0 {
        let stays = Instant::now() + half;
        drive(&mut driver, begun, |_| Instant::now() >= stays).await?;
        println!("{:9.3} s another driver", begun.elapsed().as_secs_f64());
        driver = Driver::new(Book::new(manner), circuits, 5_000);
        driver.book.offline(&BTreeSet::new())?;
        driver.book.flow(key.clone(), 1)?;
        let stays = Instant::now() + half;
        drive(&mut driver, begun, |_| Instant::now() >= stays).await?;
        if driver.book.usable(&key).is_none() {
            bail!("it is not up any more");
        }
        let kept = driver.book.entries().values().filter(|entry| !entry.is_leaving()).count();
        if kept != 1 {
            bail!("{kept} circuits are kept, not one");
        }
        println!("{:9.3} s still up", begun.elapsed().as_secs_f64());
        // It was taken up, and nobody has said yet that no packets are in it.
        let names: Vec<_> = driver.book.entries().keys().cloned().collect();
        names.iter().for_each(|name| driver.book.steer(name, false));
    }
    driver.book.flow_over(&key, 1, telesteer_circuit::clock::now());
    drive(&mut driver, begun, |driver| driver.book.entries().is_empty()).await?;
    println!("{:9.3} s gone", begun.elapsed().as_secs_f64());
    for (name, count) in counters.read().into_iter().filter(|(_, count)| *count > 0) {
        println!("{name} {count}");
    }
    Ok(())
}
