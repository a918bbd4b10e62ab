// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One exporter: its sequence numbers, its templates again and again, and the message it is filling.

use crate::generate::message::Message;
use anyhow::{Context, Result};
use std::net::IpAddr;
use telesteer_engine::stored::export_s;
use telesteer_fam::{Ns, Record, Sampling};

/// Messages of flows after which templates and options are sent again. Over UDP nobody knows whether
/// they have come (RFC 7011 section 8.4).
pub const TEMPLATES_EVERY: u32 = 200;

/// A message on its way.
#[derive(Clone, Debug)]
pub struct Made {
    /// Its octets.
    pub octets: Vec<u8>,
    /// Data records, those of options included.
    pub records: u32,
    /// Its flow records by their numbers; none if it is of templates and options.
    pub flows: Vec<usize>,
}

/// An exporter with one observation domain.
#[derive(Clone, Debug)]
pub struct Exporter {
    address: IpAddr,
    domain: u32,
    /// Data records sent before (RFC 7011 section 3.1).
    sequence: u32,
    /// Sampling as the options say.
    told: Option<Sampling>,
    /// Messages of flows since templates were sent.
    since: u32,
    /// End of the latest record, which is when a message is exported.
    clock: Ns,
    open: Message,
    flows: Vec<usize>,
}

impl Exporter {
    /// One that has not sent anything.
    pub fn new(address: IpAddr, domain: u32) -> Self {
        Self {
            address,
            domain,
            sequence: 0,
            told: None,
            since: 0,
            clock: 0,
            open: Message::default(),
            flows: Vec::new(),
        }
    }

    /// Takes a flow record, which is known by `number`; messages that are complete go to `out`.
    ///
    /// # Errors
    ///
    /// If messages cannot say it, or those of `out`.
    pub fn add(
        &mut self,
        number: usize,
        record: &Record,
        out: &mut dyn FnMut(Made) -> Result<()>,
    ) -> Result<()> {
        let sampling = record.sampling.context("no options for a record of unknown sampling")?;
        if self.told != Some(sampling) {
            self.flush(out)?;
            self.clock = self.clock.max(record.first);
            self.told = Some(sampling);
            self.tell(out)?;
        }
        if !self.open.add(record)? {
            self.flush(out)?;
            self.open.add(record)?;
        }
        self.flows.push(number);
        self.clock = self.clock.max(record.last);
        Ok(())
    }

    /// Sends what is in the open message.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn flush(&mut self, out: &mut dyn FnMut(Made) -> Result<()>) -> Result<()> {
        if self.open.records() == 0 {
            return Ok(());
        }
        if self.since >= TEMPLATES_EVERY {
            self.tell(out)?;
        }
        self.since += 1;
        let (open, flows) = (std::mem::take(&mut self.open), std::mem::take(&mut self.flows));
        out(self.made(open, flows))
    }

    /// Sends templates and options once more, so that what was lost before shows in the sequence
    /// numbers.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn finish(&mut self, out: &mut dyn FnMut(Made) -> Result<()>) -> Result<()> {
        self.flush(out)?;
        self.tell(out)
    }

    fn tell(&mut self, out: &mut dyn FnMut(Made) -> Result<()>) -> Result<()> {
        let Some(sampling) = self.told else { return Ok(()) };
        self.since = 0;
        let message = Message::about(self.domain, self.address, sampling);
        out(self.made(message, Vec::new()))
    }

    fn made(&mut self, message: Message, flows: Vec<usize>) -> Made {
        let (records, sequence) = (message.records(), self.sequence);
        self.sequence = sequence.wrapping_add(records);
        // 2011 has a number of 32 bits.
        let export_s = u32::try_from(export_s(self.clock)).unwrap_or(0);
        Made { octets: message.close(self.domain, sequence, export_s), records, flows }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::profile::{Profile, Scale, Workload};
    use crate::generate::records;

    /// 1. A day of beta traffic as messages, with a change of sampling in its middle.
    /// 2. Templates come first, after every so many messages, when sampling changes, and at the end.
    /// 3. Sequence numbers count records and nothing else; all records are in some message.
    #[test]
    fn templates_come_again_and_numbers_count_records() {
        let scale = Scale { days: 1, beta_flows: 20_000, ..Scale::default() };
        let of = Workload::new(Profile::Beta, 5, scale).unwrap();
        let mut records = records::day(&of, 1);
        let half = records.len() / 2;
        records[half..].iter_mut().for_each(|record| record.sampling = Sampling::one_in(7));
        let mut exporter = Exporter::new(records::INGRESS, 9);
        let mut made = Vec::new();
        let mut out = |one: Made| {
            made.push(one);
            Ok(())
        };
        for (number, record) in records.iter().enumerate() {
            exporter.add(number, record, &mut out).unwrap();
        }
        exporter.finish(&mut out).unwrap();
        let mut next = 0;
        let mut flows = Vec::new();
        let mut told = Vec::new();
        for one in &made {
            let word = |at: usize| u32::from_be_bytes(one.octets[at..at + 4].try_into().unwrap());
            assert_eq!((word(8), word(12)), (next, 9));
            next += one.records;
            if one.flows.is_empty() {
                assert_eq!(one.records, 1);
                told.push(flows.len());
            }
            flows.extend_from_slice(&one.flows);
        }
        assert_eq!(flows, (0..records.len()).collect::<Vec<_>>());
        assert_eq!((told[0], told.last()), (0, Some(&records.len())));
        assert!(told.contains(&half), "{told:?}");
        let most = TEMPLATES_EVERY as usize * 23;
        assert!(told.windows(2).all(|two| two[1] - two[0] <= most), "{told:?}");
        assert!(told.len() >= records.len() / most + 2, "{told:?}");
    }
}
