// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The alpha/beta decomposition of a day.

use super::{Cell, Table};
use telesteer_fam::burst::{BIN, Connections, decompose};

/// Standard deviations above the mean from which on a bin is a burst.
const DEVIATIONS: f64 = 1.0;

/// Decomposes the traffic of a day in bins of half a second.
pub fn decomposition(connections: &Connections) -> Table {
    let title = "alpha (dominant connections of bursts) and beta (the rest), by half seconds";
    let mut table = Table::new("burst", title, &["figure", "value"]);
    let Some(found) = decompose(connections, BIN, DEVIATIONS) else { return table };
    let rows: [(&str, Cell); 9] = [
        ("bins", found.bins.into()),
        ("bursts", found.bursts.into()),
        ("limit_bytes", Cell::real(found.limit, 0)),
        ("connections", connections.len().into()),
        ("alpha_connections", found.alpha.len().into()),
        ("alpha_bytes", found.alpha_bytes.into()),
        ("beta_bytes", found.beta_bytes.into()),
        ("kurtosis", Cell::real(found.kurtosis, 2)),
        ("kurtosis_of_beta", Cell::real(found.beta_kurtosis, 2)),
    ];
    for (name, value) in rows {
        table.push([name.into(), value]);
    }
    table
}
