// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Counters. Each says what fell off, was late, or was not as it should be.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! counters {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// What happened so far.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[doc = $doc])* pub $name: AtomicU64,)*
        }

        impl Counters {
            /// Names and values.
            pub fn read(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name.load(Relaxed)),)*]
            }
        }
    };
}

counters! {
    /// Requests sent to a provider.
    requests,
    /// Requests it refused.
    refused,
    /// Requests without an answer in time.
    silent,
    /// Replies lost on the way whose effect a query found.
    recovered,
    /// Replies nobody waits for: late or sent twice.
    unmatched_replies,
    /// Notifications taken.
    notifications,
    /// Notifications that had been seen before.
    repeated_notifications,
    /// Notifications dropped because nobody took them.
    dropped_notifications,
    /// Messages to our endpoint that are no message we know.
    bad_messages,
    /// Connections to our endpoint refused, too many being open.
    refused_connections,
    /// Requests not sent, too many being under way.
    crowded,
    /// Holds that ran out before they were committed.
    holds_expired,
    /// Read-backs that did not find what was installed.
    read_back_failures,
    /// Rules found in our ranges that are not ours; they are left.
    foreign,
    /// Rules of ours that no circuit needs, removed.
    strays_removed,
}

/// Adds one.
pub fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}
