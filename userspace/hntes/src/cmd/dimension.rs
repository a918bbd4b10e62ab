// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which flows are looked at in four dimensions, and what makes them heavy.

use crate::cmd::switches::nanoseconds;
use crate::tables::{Table, dimension};
use crate::work::Work;
use anyhow::{Result, bail};
use telesteer_fam::Reading;
use telesteer_fam::dimension::Heavy;
use telesteer_fam::sample::REPORTS_MOST;
use telesteer_fam::series::Days;

/// Dimensions of flows.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Dimensions")]
pub(super) struct Dimensions {
    /// Heavy is a flow above the mean plus so many standard deviations.
    #[arg(long, default_value_t = 3.0, value_name = "N")]
    deviations: f64,
    /// An elephant is a flow of more bytes than this.
    #[arg(long, value_name = "BYTES")]
    elephant: Option<u64>,
    /// A cheetah is one with a higher mean rate.
    #[arg(long, value_name = "BPS")]
    cheetah: Option<u64>,
    /// A tortoise is one that lasts longer.
    #[arg(long, value_name = "SECONDS")]
    tortoise: Option<f64>,
    /// A porcupine is one whose fullest second is more times its mean rate.
    #[arg(long, value_name = "TIMES")]
    porcupine: Option<f64>,
    /// Look at all flows too, alpha or not, in another pass over every record.
    #[arg(long)]
    all_flows: bool,
    /// Most reports of these flows to hold, some 150 octets each. Where there are more, flows are
    /// sampled.
    #[arg(long, default_value_t = REPORTS_MOST, value_name = "N")]
    flow_reports: u64,
}

impl Dimensions {
    fn heavy(&self) -> Result<Heavy> {
        if !(0.0..=1e6).contains(&self.deviations) {
            bail!("--deviations {}: not a number of deviations", self.deviations);
        }
        let tortoise = self.tortoise.map(|seconds| nanoseconds(seconds, "tortoise")).transpose()?;
        let times = |times: f64| match (0.0..=1e12).contains(&times) {
            true => Ok((times * 1000.0).round() as u64),
            false => bail!("--porcupine {times}: not a number of times"),
        };
        let porcupine = self.porcupine.map(times).transpose()?;
        let fixed = [self.elephant, self.cheetah, tortoise.map(|ns| ns.max(0) as u64), porcupine];
        Ok(Heavy { deviations: self.deviations, fixed })
    }

    /// The tables.
    pub(super) fn tables(
        &self,
        work: &Work<'_>,
        days: &Days,
        kept: bool,
        reading: &Reading,
    ) -> Result<Vec<Table>> {
        let heavy = self.heavy()?;
        let mut all: Vec<Table> = dimension::alpha(days, &heavy).into();
        if self.all_flows {
            if kept {
                bail!("--all-flows needs all records at hand; leave out --state");
            }
            let sample = work.sample(days, self.flow_reports, reading)?;
            all.extend(dimension::all(&sample, &heavy));
        }
        Ok(all)
    }
}
