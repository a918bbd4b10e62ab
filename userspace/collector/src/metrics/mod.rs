// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Counters of the collector. Cheap to add to from any task; read by [`server`].

pub mod render;
pub mod rows;
pub mod server;

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

pub use rows::{ExporterRow, Exporters, SocketRow};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Adds `n`.
    pub fn add(&self, n: u64) {
        if n != 0 {
            self.0.fetch_add(n, Relaxed);
        }
    }

    /// Takes `n` back: for the few numbers that go down too.
    pub fn sub(&self, n: u64) {
        self.0.fetch_sub(n, Relaxed);
    }

    /// Replaces the value: for times and for numbers somebody else counts.
    pub fn set(&self, n: u64) {
        self.0.store(n, Relaxed);
    }

    /// The value now.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Counters by a label whose values come from the input, at most [`Labelled::MAX`] of them.
#[derive(Debug, Default)]
pub struct Labelled(Mutex<BTreeMap<String, u64>>);

impl Labelled {
    /// Label values kept apart; the rest is counted as `other`.
    pub const MAX: usize = 128;

    /// Adds `n` under `label`.
    pub fn add(&self, label: &str, n: u64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(label) {
            *count += n;
        } else if counts.len() < Self::MAX {
            counts.insert(label.to_owned(), n);
        } else {
            *counts.entry("other".to_owned()).or_default() += n;
        }
    }

    /// All labels with their counts.
    pub fn snapshot(&self) -> Vec<(String, u64)> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|(label, n)| (label.clone(), *n)).collect()
    }
}

/// Declares [`Metrics`] with one documented field per number, so that help texts cannot be missing.
macro_rules! metrics {
    (counters { $($(#[doc = $help:literal])+ $name:ident,)+ }
     gauges { $($(#[doc = $ghelp:literal])+ $gname:ident,)+ }
     labelled { $($(#[doc = $lhelp:literal])+ $lname:ident by $label:literal,)+ }) => {
        /// Every number the collector keeps about itself.
        #[derive(Debug, Default)]
        pub struct Metrics {
            $($(#[doc = $help])+ pub $name: Counter,)+
            $($(#[doc = $ghelp])+ pub $gname: Counter,)+
            $($(#[doc = $lhelp])+ pub $lname: Labelled,)+
            /// Rows of single exporters.
            pub exporters: Exporters,
        }

        impl Metrics {
            /// Name, help and value of every plain counter.
            pub fn counters(&self) -> Vec<(&'static str, &'static str, u64)> {
                vec![$((stringify!($name), concat!($($help),+).trim_ascii(), self.$name.get()),)+]
            }

            /// Name, help and value of every number that also goes down.
            pub fn gauges(&self) -> Vec<(&'static str, &'static str, u64)> {
                vec![$((stringify!($gname), concat!($($ghelp),+).trim_ascii(), self.$gname.get()),)+]
            }

            /// Name, help, label and counts of every labelled counter.
            pub fn labelled(&self) -> Vec<(&'static str, &'static str, &'static str, Vec<(String, u64)>)> {
                vec![$((stringify!($lname), concat!($($lhelp),+).trim_ascii(), $label, self.$lname.snapshot()),)+]
            }
        }
    };
}

metrics! {
    counters {
        /// BMP sessions accepted, heirs included.
        sessions_accepted,
        /// Sessions inherited from a collector that ended.
        sessions_inherited,
        /// Inherited sessions whose check-point was missing though bytes had been consumed.
        sessions_without_checkpoint,
        /// Sessions closed by the peer.
        sessions_ended,
        /// Sessions refused because of the session limit.
        sessions_refused,
        /// Failed accepts.
        accept_errors,
        /// Bytes of BMP committed.
        bmp_bytes,
        /// BMP messages committed.
        bmp_messages,
        /// Bytes of BMP kept raw because a message was too long, broken or stalled.
        bmp_raw_bytes,
        /// Output batches whose BMP lines were written.
        bmp_commits,
        /// UDP datagrams received.
        datagrams,
        /// Bytes of UDP payload received.
        datagram_bytes,
        /// Wake-ups of the UDP readers.
        udp_wakes,
        /// Errors of receive calls on UDP sockets.
        udp_errors,
        /// Data records decoded from flow datagrams.
        flow_records,
        /// Flow sets put aside because their template is not known yet.
        flow_sets_waiting,
        /// Flow sets decoded late, when their template came.
        flow_sets_late,
        /// Waiting flow sets given up for want of room or time.
        flow_sets_expired,
        /// Records missing in the exporters' sequence numbers.
        flow_sequence_lost,
        /// Jumps in the exporters' sequence numbers.
        flow_sequence_gaps,
        /// Template states written to the store.
        templates_saved,
        /// Template states found in the store when needed.
        templates_restored,
        /// Searches for template states that found nothing.
        templates_not_found,
        /// Template states that were there and could not be used.
        templates_unusable,
        /// Exporters forgotten to make room for others.
        exporters_evicted,
        /// UDP-notif messages completed.
        notif_messages,
        /// UDP-notif segments dropped before their message was complete.
        notif_segments_dropped,
        /// Check-points written.
        checkpoints_written,
        /// Check-points that could not be written or read.
        checkpoint_errors,
        /// Check-points not written because they or their number were too large.
        checkpoints_over_limit,
        /// Lines written to the output files.
        lines_written,
        /// Lines given up because the disk did not take them.
        lines_lost,
        /// Lines given up because the output queue was full.
        lines_overrun,
        /// Failed writes to output files.
        output_errors,
        /// Flow rows stored as Parquet.
        parquet_rows_written,
        /// Parquet files stored.
        parquet_files_written,
        /// Failed tries to store a Parquet file.
        parquet_errors,
        /// Requests to the metrics address that were refused or broken.
        metrics_requests_refused,
    }
    gauges {
        /// BMP sessions open.
        sessions_open,
        /// Bytes of output waiting for the disk.
        output_queue_bytes,
        /// Flow rows taken for Parquet and not stored yet.
        parquet_rows_held,
        /// Parquet partitions open.
        parquet_partitions_open,
        /// 1 while the collector drains.
        draining,
    }
    labelled {
        /// BMP messages by kind.
        bmp_messages_by_kind by "kind",
        /// BMP messages that could not be decoded and are kept raw.
        bmp_undecodable by "reason",
        /// Datagrams or sets that could not be decoded and are kept raw.
        flow_undecodable by "reason",
        /// UDP-notif datagrams or payloads that could not be decoded and are kept raw.
        notif_undecodable by "reason",
        /// Datagrams by kind.
        datagrams_by_kind by "kind",
        /// Ends of sessions.
        sessions_closed by "reason",
        /// Flow records that make no Parquet row, by what they lack.
        parquet_records_left_out by "reason",
        /// Flow rows that were to be stored as Parquet and were not.
        parquet_rows_lost by "reason",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_bounded() {
        let labelled = Labelled::default();
        for n in 0..1000 {
            labelled.add(&format!("reason {n}"), 1);
        }
        let counts = labelled.snapshot();
        assert_eq!(counts.len(), Labelled::MAX + 1);
        let other = 1000 - Labelled::MAX as u64;
        assert!(counts.contains(&("other".into(), other)));
    }

    #[test]
    fn every_number_has_a_help_text() {
        let metrics = Metrics::default();
        assert!(metrics.counters().iter().all(|(_, help, _)| help.ends_with('.')));
        assert!(metrics.gauges().iter().all(|(_, help, _)| help.ends_with('.')));
    }
}
