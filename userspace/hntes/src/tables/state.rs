// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Days that stayed as they were kept.

use super::Table;
use crate::state::Kept;
use telesteer_fam::Reading;

/// A row for each.
pub fn stayed(stayed: &[Kept], reading: &Reading) -> Table {
    let title = "days of which fewer records were read than are kept; they stay as they are";
    let mut table = Table::new("kept_days", title, &["day", "records_kept", "records_read"]);
    for Kept { day, kept, read } in stayed {
        table.push([reading.calendar.label(*day).into(), (*kept).into(), (*read).into()]);
    }
    table
}
