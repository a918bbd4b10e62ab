// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The passes over all flow records, for `hntes fam`.
//!
//! Alpha flows are few, records are many. So the passes do not hand every row to the analysis: they
//! count all ([`totals`]) and hand over those rows only that a [`Pick`] names, which
//! are a little more than what the analysis will use; it looks at each again and decides. That is why results do
//! not depend on which engine ran, how many threads it had, or the order rows came in.
//!
//! - [`stored`]: which files an engine may take, and how such files are made.
//! - [`pick`]: rows that matter, as columns tell it.
//! - [`notes`]: what is odd in a file.
//! - [`rows`]: rows as [`telesteer_fam::Record`]s.
//! - [`bare`]: an engine of Arrow's reader and nothing else, on the threads of this process.
//! - `sql` (feature `sql`): DataFusion in this process, or on a Ballista cluster.

pub mod bare;
mod networks;
pub mod notes;
mod pages;
pub mod pick;
pub mod rows;
mod source;
#[cfg(feature = "sql")]
pub mod sql;
pub mod stored;
mod tally;
#[cfg(test)]
mod testing;
pub mod totals;

pub use pick::Pick;
pub use rows::Fields;
pub use totals::Assumed;

use std::path::PathBuf;

/// How a pass goes over its files.
pub struct Run<'r> {
    /// The files.
    pub files: &'r [stored::Stored],
    /// What they do not say.
    pub assumed: &'r Assumed,
    /// Workers, at least one.
    pub threads: usize,
    /// What the pass looks at.
    pub fields: Fields,
    /// Told how many more rows are done, between two batches; an error of its ends the pass.
    pub tick: &'r (dyn Fn(u64) -> Result<(), String> + Sync),
}

/// Why a pass came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that was whole when it was looked at is not.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        reason: String,
    },
    /// A rate that is none, in some row.
    #[error("{0} rows have a sampling rate that is none")]
    Sampling(u64),
    /// Whoever watches the pass ended it.
    #[error("{0}")]
    Stopped(String),
    /// The query failed; the text names the engine.
    #[error("{0}")]
    Query(String),
}
