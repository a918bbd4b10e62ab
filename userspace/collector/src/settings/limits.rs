// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The bounds of everything that could grow.

use serde::{Deserialize, Serialize};

/// Bounds of tables, queues and waits. What falls off each is counted.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// Longest BMP message handled as one, bytes; longer ones are kept raw in pieces. The receive
    /// buffer may lower it: four of them must fit.
    pub bmp_message: usize,
    /// BMP sessions open at a time.
    pub bmp_sessions: usize,
    /// Seconds an unfinished BMP message may stand still before its bytes are kept raw.
    pub bmp_stall: u64,
    /// Flow exporters known at a time, per socket; the longest idle makes room.
    pub exporters: usize,
    /// Bytes of output waiting for the disk, per kind of file.
    pub output_queue: usize,
    /// Milliseconds a failed write is retried before its lines are given up.
    pub output_retry: u64,
    /// Check-point files in the state folder; more are not written.
    pub checkpoints: usize,
    /// Bytes of one check-point file; a larger one is not written.
    pub checkpoint_size: usize,
    /// Days after which an untouched check-point is removed.
    pub checkpoint_days: u64,
    /// Rows of a Parquet file; a partition with so many is closed.
    pub parquet_rows: usize,
    /// Flow rows held in memory until they are stored as Parquet, encoded or not; more are lost.
    pub parquet_held: usize,
    /// Parquet partitions open at a time; the longest idle is closed for another.
    pub parquet_partitions: usize,
    /// Seconds a Parquet partition stays open after its hour, for flows that end late.
    pub parquet_grace: u64,
    /// Milliseconds a Parquet file that cannot be stored is tried again before its rows are lost.
    pub parquet_retry: u64,
    /// Seconds a planned drain may take, and as many more for Parquet to be stored.
    pub drain: u64,
    /// Milliseconds in a drain between the kernel leaving a collector out and its sockets closing: for
    /// what was on its way. Part of `drain`.
    pub drain_hold: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bmp_message: 1 << 20,
            bmp_sessions: 16_384,
            bmp_stall: 600,
            exporters: 65_536,
            output_queue: 64 << 20,
            output_retry: 2_000,
            checkpoints: 1 << 20,
            checkpoint_size: 16 << 20,
            checkpoint_days: 7,
            parquet_rows: 512 << 10,
            parquet_held: 2 << 20,
            parquet_partitions: 16,
            parquet_grace: 300,
            parquet_retry: 30_000,
            drain: 20,
            drain_hold: 0,
        }
    }
}
