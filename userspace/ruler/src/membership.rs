// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a change of the members costs: instructions of the calls by which one joins, leaves or
//! drains, in a group of a given size.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use telesteer_sys::counter::{cycles, thread_time};

use crate::group::Group;
use crate::guest;
use crate::packet::Traffic;
use crate::sample::Sample;
use crate::select::{Args, Asked, skip};
use crate::steering::Steering;

/// Port of the group.
const PORT: u16 = 4739;
/// The kernel gives a handle again after a grace period; idle time costs no instruction.
const GRACE: Duration = Duration::from_millis(100);

/// One row of the table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// How the group is steered.
    pub steering: Steering,
    /// Members, the one that comes and goes included.
    pub members: usize,
    /// bind and, for BPF, the updates of the maps.
    pub join: Sample,
    /// close.
    pub leave: Sample,
    /// The call that takes the member out while its socket stays open; the wait is not counted.
    pub drain: Option<Sample>,
}

/// All rows of a kernel.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    /// The kernel's name.
    pub kernel: String,
    /// The rows.
    pub rows: Vec<Row>,
    /// What could not be measured, and why.
    pub skipped: Vec<String>,
}

/// Measures every row.
///
/// # Errors
///
/// If a group cannot be made.
pub fn run(args: &Args) -> Result<Run> {
    guest::own_namespace()?;
    let mut run = Run { kernel: guest::kernel()?, rows: Vec::new(), skipped: Vec::new() };
    let mut asked = Asked::default();
    for steering in args.list() {
        if matches!(steering, Steering::Single | Steering::HashBeside) {
            continue;
        }
        if let Some(why) = asked.why_not(&steering, args)? {
            skip(&mut run.skipped, &steering, &why);
            continue;
        }
        for members in &args.members {
            let row = row(&steering, *members, args.readings)
                .with_context(|| format!("{steering}, {members}"))?;
            eprintln!(
                "{steering:18} {members:4} join {:8.0} leave {:8.0} drain {:8.0}",
                row.join.least,
                row.leave.least,
                row.drain.map_or(f64::NAN, |drain| drain.least)
            );
            run.rows.push(row);
        }
    }
    Ok(run)
}

fn row(steering: &Steering, members: usize, readings: usize) -> Result<Row> {
    let addr = (Traffic::Udp4.loopback(), PORT).into();
    let mut group = Group::new(steering, false, addr, members)?;
    let last = members.saturating_sub(1);
    for at in 0..last {
        group.join(at)?;
    }
    let (mut join, mut leave, mut drain) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..readings {
        sleep(GRACE);
        let unbound = group.prepare(last)?;
        let before = cycles();
        group.enter(last, unbound)?;
        join.push(cycles() - before);
        let before = cycles();
        group.kill(last)?;
        leave.push(cycles() - before);
        if group.can_drain() {
            sleep(GRACE);
            group.join(last)?;
            let before = thread_time()?;
            group.drain(last)?;
            drain.push(thread_time()? - before);
            group.kill(last)?;
        }
    }
    Ok(Row {
        steering: steering.clone(),
        members,
        join: Sample::of(&join, 1),
        leave: Sample::of(&leave, 1),
        drain: (!drain.is_empty()).then(|| Sample::of(&drain, 1)),
    })
}
