// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is said on standard error about the days of a run.

use crate::state::Kept;
use telesteer_fam::Reading;

/// Says what a run would be misread without.
pub(super) fn say(stayed: &[Kept], reading: &Reading) {
    for remark in of_stayed(stayed, reading) {
        eprintln!("hntes: {remark}");
    }
}

fn of_stayed(stayed: &[Kept], reading: &Reading) -> impl Iterator<Item = String> {
    stayed.iter().map(|Kept { day, kept, read }| {
        let day = reading.calendar.label(*day);
        format!("{day} stays as it is kept: it has {kept} records, {read} were read; see --replace")
    })
}
