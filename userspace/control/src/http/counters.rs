// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the server did, and what fell off.

use crate::view::Lost;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! counters {
    (
        did { $(#[doc = $did_doc:literal] $did:ident,)* }
        lost { $(#[doc = $lost_doc:literal] $lost:ident,)* }
    ) => {
        /// What happened so far.
        #[derive(Debug, Default)]
        pub struct Counters {
            $(#[doc = $did_doc] pub $did: AtomicU64,)*
            $(#[doc = $lost_doc] pub $lost: AtomicU64,)*
        }

        impl Counters {
            /// Name, meaning, value, and whether it counts what fell off.
            pub fn read(&self) -> Vec<(&'static str, &'static str, u64, bool)> {
                vec![
                    $((stringify!($did), $did_doc.trim_ascii(), self.$did.load(Relaxed), false),)*
                    $((stringify!($lost), $lost_doc.trim_ascii(), self.$lost.load(Relaxed), true),)*
                ]
            }
        }
    };
}

counters! {
    did {
        /// Connections taken.
        connections,
        /// Requests whose head was read.
        requests,
    }
    lost {
        /// Connections closed at once, too many being open.
        refused_connections,
        /// Connections closed at once, too many of their address being open.
        refused_of_peer,
        /// Connections that broke off: a head that was slow, too long or no HTTP, silence, a peer that went.
        broken_connections,
        /// Bodies that did not come in time.
        slow_bodies,
        /// Bodies that were too long.
        large_bodies,
        /// Requests without a token that is known.
        unauthorised,
        /// Requests that named another host, or none.
        misdirected,
        /// Requests of holders that made too many.
        paced,
        /// Requests for which the loop had no time.
        busy,
        /// Other requests that were not done: no such place, or nothing that can be.
        refused_requests,
        /// Readings of the token file that failed; nobody is let in then.
        token_file_faults,
    }
}

impl Counters {
    /// As lines for Prometheus, text format 0.0.4.
    pub fn metrics(&self) -> String {
        let mut text = String::new();
        for (name, meaning, value, _) in self.read() {
            // Writing into a String cannot fail.
            let _ = writeln!(
                text,
                "# HELP hntes_http_{name}_total {meaning}\n# TYPE hntes_http_{name}_total counter\n\
                 hntes_http_{name}_total {value}"
            );
        }
        text
    }

    /// As lines of the status page.
    pub fn lost(&self) -> impl Iterator<Item = Lost> {
        let lost = self.read().into_iter().filter(|(.., lost)| *lost);
        lost.map(|(name, meaning, count, _)| Lost {
            name: format!("http_{name}"),
            count,
            meaning: meaning.to_owned(),
        })
    }
}

/// Adds one.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_have_help_and_type() {
        let counters = Counters::default();
        count(&counters.paced);
        let text = counters.metrics();
        assert!(text.contains("\nhntes_http_paced_total 1\n"), "{text}");
        assert_eq!(text.lines().count(), 3 * counters.read().len());
        assert!(text.contains("# HELP hntes_http_busy_total Requests for which"), "{text}");
        assert!(counters.lost().all(|lost| lost.name.starts_with("http_")));
        assert_eq!(counters.lost().filter(|lost| lost.count == 1).count(), 1);
    }
}
