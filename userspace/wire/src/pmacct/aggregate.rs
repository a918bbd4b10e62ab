// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Flow records added up by their keys.

use std::collections::HashMap;

use serde_json::Value;

use super::primitive::Key;
use super::view::View;
use super::{Line, Settings, names};

/// Lines kept; records of further ones are counted and dropped.
const LINES_MAX: usize = 4 << 20;

struct Sum {
    line: Line,
    packets: u64,
    bytes: u64,
    flows: u64,
    tcp_flags: u16,
}

/// The sums of all records so far, in the order their first record came.
#[derive(Default)]
pub(super) struct Aggregate {
    sums: Vec<Sum>,
    by_key: HashMap<String, usize>,
    pub(super) dropped: u64,
}

impl Aggregate {
    pub(super) fn add(&mut self, view: &View<'_>, members: &Line) {
        let mut line = members.clone();
        for key in &view.settings.keys {
            key.write(view, &mut line);
        }
        let factor = view.factor();
        let key = Value::Object(line.clone()).to_string();
        let index = match self.by_key.get(&key) {
            Some(index) => *index,
            None if self.sums.len() >= LINES_MAX => {
                self.dropped += 1;
                return;
            }
            None => {
                self.by_key.insert(key, self.sums.len());
                self.sums.push(Sum { line, packets: 0, bytes: 0, flows: 0, tcp_flags: 0 });
                self.sums.len() - 1
            }
        };
        let Some(sum) = self.sums.get_mut(index) else { return };
        let packets = view.number(&[2, 24, 86]).saturating_mul(factor);
        let bytes = view.number(&[1, 23, 85]).saturating_mul(factor);
        sum.packets = sum.packets.saturating_add(packets);
        sum.bytes = sum.bytes.saturating_add(bytes);
        sum.flows += 1;
        sum.tcp_flags |= view.number(&[6]) as u16;
    }

    /// Hands out the lines.
    pub(super) fn finish(&mut self, settings: &Settings, sink: &mut dyn FnMut(Line)) {
        let wants = |name: &str| settings.keys.iter().any(|key: &Key| key.is(name));
        let (flags, flows) = (wants("tcpflags"), wants("flows"));
        self.by_key.clear();
        for sum in self.sums.drain(..) {
            let mut line = sum.line;
            if flags {
                let flags: Value = if settings.plain {
                    sum.tcp_flags.to_string().into()
                } else {
                    names::tcp_flags(sum.tcp_flags).into()
                };
                line.insert("tcp_flags".to_owned(), flags);
            }
            if settings.plain {
                line.insert("event_type".to_owned(), "purge".into());
            }
            line.insert("packets".to_owned(), sum.packets.into());
            line.insert("bytes".to_owned(), sum.bytes.into());
            line.insert("flows".to_owned(), flows.then_some(sum.flows).into());
            sink(line);
        }
    }
}
