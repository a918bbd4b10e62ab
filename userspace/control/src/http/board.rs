// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the interface shows and does: the loop, as this side sees it.

use crate::ticket::{Answer, Holder, Operation, Refused};
use crate::view::View;
use serde::Serialize;
use std::sync::Arc;

/// Most lines of the audit log in one answer.
pub const AUDIT: usize = 1000;

/// The loop. Calls come from threads of the server, several at a time; each may wait for the loop, for
/// a bounded time.
pub trait Board: Send + Sync + 'static {
    /// The loop as it is. Is asked for once a second by each open page, so it should be at hand.
    fn view(&self) -> Arc<View>;

    /// Metrics in the text format of Prometheus, version 0.0.4, each line ended. The server adds its
    /// own, `hntes_http_*`.
    fn metrics(&self) -> String;

    /// Lines of the audit log whose number is more than `after`, at most `most` and [`AUDIT`], the oldest first.
    fn audit(&self, after: u64, most: usize) -> AuditPage;

    /// Does what a holder asks of the tickets. What changed is stored before this returns.
    ///
    /// # Errors
    ///
    /// If it is refused, or the loop has no time for it.
    fn ticket(&self, holder: &Holder, operation: Operation) -> Result<Answer, Denied>;
}

/// Part of the audit log.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AuditPage {
    /// Number of the oldest line that is still kept; lines before it are gone.
    pub oldest: u64,
    /// Number of the last line in `lines`, to ask on after; what was asked for if there are none.
    pub last: u64,
    /// Lines as they are in the log.
    pub lines: Vec<serde_json::Value>,
}

/// Why an operation was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The book says no.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The loop did not take it in time: nothing was done, or it is not known.
    #[error("the loop is busy: try again")]
    Busy,
    /// The loop ends.
    #[error("the loop is ending")]
    Stopping,
    /// What changed could not be stored, so nothing was promised.
    #[error("could not be stored: {0}")]
    Store(String),
}
