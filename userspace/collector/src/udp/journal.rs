// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One line per datagram: where it came from, what it was, what became of it.

use std::time::Duration;

use super::{Arrived, Lines};
use crate::line::Line;

/// What became of a datagram.
#[derive(Debug, Clone, Copy)]
pub(super) enum Outcome<'a> {
    /// Everything in it was decoded.
    Ok,
    /// A set of it waits for its template.
    Waiting,
    /// Something in it could not be decoded.
    Undecodable(&'a str),
}

impl Lines {
    /// Adds the line of a datagram that has just come.
    pub(super) fn datagram(
        &mut self,
        instance: u64,
        of: &Arrived<'_>,
        kind: &str,
        records: u64,
        outcome: Outcome<'_>,
    ) {
        let line = Line::begin(&mut self.journal, "datagram", instance, of.ts)
            .ip("exporter", of.from.ip())
            .number("port", u64::from(of.from.port()))
            .number("local_port", u64::from(of.local_port))
            .number("len", of.payload.len() as u64)
            .hex64("fnv", of.fnv)
            .string("kind", kind)
            .number("records", records);
        match outcome {
            Outcome::Ok => line.string("outcome", "ok"),
            Outcome::Waiting => line.string("outcome", "waiting_template"),
            Outcome::Undecodable(reason) => {
                line.string("outcome", &format!("undecodable:{reason}"))
            }
        }
        .end();
        self.journal_count += 1;
    }

    /// Adds the line of a set that waited and has been decoded.
    pub(super) fn late(
        &mut self,
        instance: u64,
        ts: Duration,
        from: std::net::SocketAddr,
        local_port: u16,
        fnv: u64,
        records: u64,
    ) {
        Line::begin(&mut self.journal, "late", instance, ts)
            .ip("exporter", from.ip())
            .number("port", u64::from(from.port()))
            .number("local_port", u64::from(local_port))
            .hex64("fnv", fnv)
            .number("records", records)
            .end();
        self.journal_count += 1;
    }
}
