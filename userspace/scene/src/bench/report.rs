// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The measurement as a table, as JSON and as a drawing.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Serialize;

use super::{bmp, search};

/// All that was measured.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Report {
    /// Flow receivers, by input.
    pub(crate) flows: Vec<search::Found>,
    /// BMP receivers.
    pub(crate) bmp: Vec<bmp::Found>,
    /// Receivers that are not installed.
    absent: BTreeSet<&'static str>,
}

/// A bar of the drawing.
struct Bar {
    input: String,
    receiver: String,
    value: f64,
}

impl Report {
    /// Notes a receiver that is not installed.
    pub(crate) fn absent(&mut self, name: &'static str) {
        self.absent.insert(name);
    }

    /// Whether our own receiver wrote down all it was given.
    pub(crate) fn good(&self) -> bool {
        let flows = self.flows.iter().filter(|found| found.receiver == "telesteer");
        let bmp = self.bmp.iter().filter(|found| found.receiver == "telesteer");
        flows
            .map(|found| (found.given, found.kept))
            .chain(bmp.map(|f| (f.given, f.kept)))
            .all(|(given, kept)| given == kept)
    }

    /// For people. The ratio is to nfcapd for flows and to pmbmpd for BMP.
    pub(crate) fn table(&self) -> String {
        let mut out = format!(
            "{:12} {:>12} {:>14} {:>16} {:>16} {:>9} {:>10}\n",
            "flows",
            "records each",
            "datagrams/s",
            "datagrams/CPU-s",
            "records/CPU-s",
            "ratio",
            "kept"
        );
        for found in &self.flows {
            let bar = self
                .flows
                .iter()
                .find(|other| other.receiver == "nfcapd" && other.records == found.records);
            let ratio = bar.map_or(f64::NAN, |bar| found.per_cpu() / bar.per_cpu());
            let rate =
                format!("{:.0}{}", found.best.rate, if found.sender_bound { "+" } else { "" });
            let _ = writeln!(
                out,
                "{:12} {:>12} {rate:>14} {:>16.0} {:>16.0} {ratio:>9.2} {:>10}",
                found.receiver,
                found.records,
                found.datagrams(),
                found.per_cpu(),
                share(found.kept, found.given),
            );
        }
        let _ = writeln!(
            out,
            "\n{:12} {:>12} {:>14} {:>16} {:>9} {:>10}",
            "BMP", "messages", "messages/s", "messages/CPU-s", "ratio", "kept"
        );
        for found in &self.bmp {
            let bar = self.bmp.iter().find(|other| other.receiver == "pmbmpd");
            let ratio = bar.map_or(f64::NAN, |bar| found.per_cpu() / bar.per_cpu());
            let _ = writeln!(
                out,
                "{:12} {:>12} {:>14.0} {:>16.0} {ratio:>9.2} {:>10}",
                found.receiver,
                found.messages,
                found.messages as f64 / found.seconds,
                found.per_cpu(),
                share(found.kept, found.given),
            );
        }
        for name in &self.absent {
            let _ = writeln!(out, "{name} is not installed");
        }
        out.push_str("+: the sender could not send faster\n");
        out
    }

    /// Bars of records and messages per CPU-second, each input with its own scale.
    pub(crate) fn svg(&self) -> String {
        let flows = self.flows.iter().map(|found| Bar {
            input: format!("flow records per CPU-second, {} per datagram", found.records),
            receiver: found.receiver.clone(),
            value: found.per_cpu(),
        });
        let bmp = self.bmp.iter().map(|found| Bar {
            input: "BMP messages per CPU-second".to_string(),
            receiver: found.receiver.clone(),
            value: found.per_cpu(),
        });
        let bars: Vec<Bar> = flows.chain(bmp).collect();
        let (mut body, mut y, mut input) = (String::new(), 10.0, String::new());
        for bar in &bars {
            if bar.input != input {
                input.clone_from(&bar.input);
                y += 26.0;
                let _ =
                    writeln!(body, "<text x=\"10\" y=\"{y}\" font-weight=\"bold\">{input}</text>");
                y += 8.0;
            }
            let same = bars.iter().filter(|other| other.input == bar.input);
            let most = same.map(|other| other.value).fold(1.0, f64::max);
            let width = bar.value / most * 480.0;
            let colour = if bar.receiver == "telesteer" { "#0072b2" } else { "#999999" };
            let _ = writeln!(
                body,
                "<text x=\"10\" y=\"{}\">{}</text>\n\
                 <rect x=\"90\" y=\"{y}\" width=\"{width:.1}\" height=\"16\" fill=\"{colour}\"/>\n\
                 <text x=\"{:.1}\" y=\"{}\">{:.0}</text>",
                y + 12.0,
                bar.receiver,
                width + 96.0,
                y + 12.0,
                bar.value,
            );
            y += 20.0;
        }
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 680 {}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{body}</svg>\n",
            y + 10.0
        )
    }
}

fn share(kept: u64, given: u64) -> String {
    if kept == given {
        "all".to_string()
    } else {
        format!("{:.3} %", kept as f64 / given.max(1) as f64 * 100.0)
    }
}
