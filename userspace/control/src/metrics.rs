// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Metrics of the loop in the text format of Prometheus, version 0.0.4.

use crate::view::{Delay, Lost};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Text that is being made.
#[derive(Debug, Default)]
pub struct Text(String);

/// A label's value, escaped.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

impl Text {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        // Writing into a String cannot fail.
        let _ = write!(self.0, "# HELP hntes_{name} {help}\n# TYPE hntes_{name} {kind}\n");
    }

    /// A number that goes up and down.
    pub fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, "gauge", help);
        let _ = writeln!(self.0, "hntes_{name} {value}");
    }

    /// A number for each value of a label, and of another if there is one.
    pub fn gauges(
        &mut self,
        name: &str,
        help: &str,
        labels: [&str; 2],
        values: impl IntoIterator<Item = (String, String, u64)>,
    ) {
        self.head(name, "gauge", help);
        for (first, second, value) in values {
            let _ = write!(self.0, "hntes_{name}{{{}=\"{}\"", labels[0], escaped(&first));
            if !labels[1].is_empty() {
                let _ = write!(self.0, ",{}=\"{}\"", labels[1], escaped(&second));
            }
            let _ = writeln!(self.0, "}} {value}");
        }
    }

    /// A number that only goes up.
    pub fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.head(&format!("{name}_total"), "counter", help);
        let _ = writeln!(self.0, "hntes_{name}_total {value}");
    }

    /// A number for each value of a label, which only goes up.
    pub fn counters(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (String, u64)>,
    ) {
        self.head(&format!("{name}_total"), "counter", help);
        for (value, count) in values {
            let value = escaped(&value);
            let _ = writeln!(self.0, "hntes_{name}_total{{{label}=\"{value}\"}} {count}");
        }
    }

    /// What fell off.
    pub fn lost(&mut self, lost: &[Lost]) {
        let mut seen = BTreeMap::new();
        for one in lost {
            // A name twice would make the whole text invalid.
            if seen.insert(&one.name, ()).is_none() {
                self.counter(&one.name, &one.meaning, one.count);
            }
        }
    }

    /// A histogram, in seconds.
    pub fn delay(&mut self, delay: &Delay) {
        let name = format!("{}_seconds", delay.name);
        self.head(&name, "histogram", &delay.meaning);
        let mut sum = 0_u64;
        for (bound, count) in delay.bounds_ms.iter().zip(&delay.counts) {
            sum = sum.saturating_add(*count);
            let bound = *bound as f64 / 1000.0;
            let _ = writeln!(self.0, "hntes_{name}_bucket{{le=\"{bound}\"}} {sum}");
        }
        let count = delay.count();
        let _ = writeln!(self.0, "hntes_{name}_bucket{{le=\"+Inf\"}} {count}");
        let _ = writeln!(self.0, "hntes_{name}_sum {}", delay.sum_ms as f64 / 1000.0);
        let _ = writeln!(self.0, "hntes_{name}_count {count}");
    }

    /// The text.
    pub fn into_string(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format() {
        let mut text = Text::default();
        text.gauge("flows", "alpha flows that live", 3);
        let values = [("r\"1".to_owned(), "installed".to_owned(), 2)];
        text.gauges("routes", "by state", ["router", "state"], values);
        text.gauges("circuits", "by state", ["state", ""], [("up".into(), String::new(), 1)]);
        text.counters("refused", "by code", "code", [("full".to_owned(), 4)]);
        let lost = |name: &str, count| Lost { name: name.into(), count, meaning: "x".into() };
        text.lost(&[lost("full", 1), lost("full", 2)]);
        let mut delay = Delay::new("detection", "first byte to event");
        delay.add(7);
        delay.add(1_000_000);
        text.delay(&delay);
        let text = text.into_string();
        for line in [
            "hntes_flows 3",
            "hntes_routes{router=\"r\\\"1\",state=\"installed\"} 2",
            "hntes_circuits{state=\"up\"} 1",
            "hntes_refused_total{code=\"full\"} 4",
            "hntes_full_total 1",
            "hntes_detection_seconds_bucket{le=\"0.005\"} 0",
            "hntes_detection_seconds_bucket{le=\"0.01\"} 1",
            "hntes_detection_seconds_bucket{le=\"+Inf\"} 2",
            "hntes_detection_seconds_sum 1000.007",
            "hntes_detection_seconds_count 2",
        ] {
            assert!(text.lines().any(|one| one == line), "{line}\n{text}");
        }
        assert_eq!(text.matches("# TYPE hntes_full_total counter").count(), 1);
    }
}
