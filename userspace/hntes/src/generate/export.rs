// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A workload as the messages of its exporters, and the count of them.

use crate::generate::carrier::Carrier;
use crate::generate::exporter::{Exporter, Made};
use crate::generate::records::domain;
use crate::generate::sink::Sink;
use crate::rng::Rng;
use anyhow::Result;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::IpAddr;
use telesteer_fam::Record;

/// One message of so many is lost in the profile `loss`.
const LOST_ONE_IN: u64 = 100;

/// What was exported.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Export {
    /// Messages sent, those of templates and options included.
    pub messages: u64,
    /// Messages of templates and options among them. None of these gets lost.
    pub template_messages: u64,
    /// Octets sent.
    pub octets: u64,
    /// Flow records sent.
    pub records: u64,
    /// Messages that were made and not sent.
    pub lost_messages: u64,
    /// Flow records in them: what sequence numbers show to be missing.
    pub lost_records: u64,
    /// The exporters, in the order of their first record.
    pub exporters: Vec<Exported>,
}

/// What one exporter has sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// Its address.
    pub address: IpAddr,
    /// Its observation domain.
    pub domain: u32,
    /// Messages sent.
    pub messages: u64,
    /// Flow records sent.
    pub records: u64,
    /// Flow records lost.
    pub lost_records: u64,
}

/// Makes messages of records. Each ends with its day at the latest.
#[derive(Debug)]
pub struct Messages {
    exporters: BTreeMap<IpAddr, (usize, Exporter)>,
    delivery: Delivery,
}

impl Messages {
    /// Lets `carrier` have the messages, but for those that `loss` chooses.
    pub fn new(carrier: Carrier, loss: Option<Rng>) -> Self {
        let delivery = Delivery { carrier, loss, export: Export::default(), lost: Vec::new() };
        Self { exporters: BTreeMap::new(), delivery }
    }
}

impl Sink for Messages {
    fn day(&mut self, records: &[Record]) -> Result<Vec<Record>> {
        let Self { exporters, delivery } = self;
        for (at, record) in records.iter().enumerate() {
            let address = record.exporter;
            let (number, exporter) = exporters.entry(address).or_insert_with(|| {
                let domain = domain(address);
                (delivery.enter(address, domain), Exporter::new(address, domain))
            });
            exporter.add(at, record, &mut |made| delivery.take(*number, &made))?;
        }
        for (number, exporter) in exporters.values_mut() {
            exporter.flush(&mut |made| delivery.take(*number, &made))?;
        }
        Ok(delivery.lost.drain(..).map(|at| records[at].clone()).collect())
    }

    fn finish(&mut self) -> Result<Option<Export>> {
        let Self { exporters, delivery } = self;
        for (number, exporter) in exporters.values_mut() {
            exporter.finish(&mut |made| delivery.take(*number, &made))?;
        }
        delivery.carrier.finish()?;
        Ok(Some(delivery.export.clone()))
    }
}

/// Hands messages on, or loses them, and counts.
#[derive(Debug)]
struct Delivery {
    carrier: Carrier,
    loss: Option<Rng>,
    export: Export,
    /// Numbers of the records that were lost today.
    lost: Vec<usize>,
}

impl Delivery {
    /// The number of a new exporter.
    fn enter(&mut self, address: IpAddr, domain: u32) -> usize {
        let new = Exported { address, domain, messages: 0, records: 0, lost_records: 0 };
        self.export.exporters.push(new);
        self.export.exporters.len() - 1
    }

    fn take(&mut self, number: usize, made: &Made) -> Result<()> {
        let flows = made.flows.len() as u64;
        let all = &mut self.export;
        let own = &mut all.exporters[number];
        if flows > 0 && self.loss.as_mut().is_some_and(|rng| rng.below(LOST_ONE_IN) == 0) {
            all.lost_messages += 1;
            all.lost_records += flows;
            own.lost_records += flows;
            self.lost.extend_from_slice(&made.flows);
            return Ok(());
        }
        self.carrier.send(number, &made.octets)?;
        all.messages += 1;
        all.template_messages += u64::from(flows == 0);
        all.octets += made.octets.len() as u64;
        all.records += flows;
        own.messages += 1;
        own.records += flows;
        Ok(())
    }
}
