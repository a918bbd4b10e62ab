// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The delay curve as a figure.

use crate::report::figure::{Drawing, Figure};
use crate::report::plot::{Panel, Places, Plot, Series, Style};
use crate::report::unit::Unit;
use crate::tables::{Cell, Table};

/// What is drawn of each rule.
const SHARES: [(&str, &str); 3] = [
    ("online_percent", "no table"),
    ("gated_percent", "only flows of the table"),
    ("with_table_percent", "the table, and the others"),
];

/// Values of a column where another one is `of`.
fn values(table: &Table, column: &str, of: (&str, &str)) -> Vec<Option<f64>> {
    let at = |name: &str| table.columns.iter().position(|column| *column == name);
    let (Some(value), Some(filter)) = (at(column), at(of.0)) else { return Vec::new() };
    let rows = table.rows.iter();
    rows.filter(|row| row.get(filter).map(Cell::text).as_deref() == Some(of.1))
        .map(|row| row.get(value).and_then(Cell::number))
        .collect()
}

/// The different texts of a column, in order.
fn texts(table: &Table, column: &str) -> Vec<String> {
    let Some(at) = table.columns.iter().position(|name| *name == column) else {
        return Vec::new();
    };
    let mut texts = Vec::new();
    for text in table.rows.iter().filter_map(|row| row.get(at)).map(Cell::text) {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    texts
}

/// The figure of what [`super::curve::curve`] made: a panel for each rule.
pub fn figure(table: &Table) -> Figure {
    let points = texts(table, "point");
    let mut panels = Vec::new();
    let mut words = Vec::new();
    for rule in texts(table, "rule") {
        let series = SHARES.iter().enumerate().map(|(look, (column, name))| {
            let values = values(table, column, ("rule", &rule));
            Series { name: (*name).to_owned(), look, style: Style::Line, values }
        });
        let series: Vec<Series> = series.collect();
        for shown in &series {
            let pairs = points.iter().zip(&shown.values);
            let list: Vec<String> = pairs
                .filter_map(|(point, value)| Some((point, (*value)?)))
                .map(|(point, value)| format!("{point}: {}", Unit::Percent.amount(value)))
                .collect();
            words.push(format!("Rule {rule}, {}: {}.", shown.name, list.join(", ")));
        }
        let title = format!("redirected by rule {rule}");
        let panel = Panel::new(&title, Unit::Percent, series);
        panels.push(Panel { at_least: 100.0, labels: true, ..panel });
    }
    Figure {
        name: "delay-curve",
        title: "Alpha bytes redirected, by detection and installation delay".to_owned(),
        description: words.join(" "),
        note: "What a flow sends after it is known and its route is set, over all it sends."
            .to_owned(),
        drawing: Drawing::Plot(Plot {
            places: Places::Few(points, "reports + installation".to_owned()),
            panels,
        }),
        data: table.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panel_for_each_rule() {
        let columns = ["point", "rule", "online_percent", "gated_percent", "with_table_percent"];
        let mut table = Table::new("delay_curve", "x", &columns);
        for (point, rule, percent) in [
            ("a", "window", 10.0),
            ("a", "early 1", 20.0),
            ("b", "window", 30.0),
            ("b", "early 1", 40.0),
        ] {
            let percent = Cell::Real(percent, 1);
            table.push([point.into(), rule.into(), percent.clone(), percent, Cell::None]);
        }
        let figure = figure(&table);
        assert!(figure.description.contains("Rule early 1, no table: a: 20 %, b: 40 %."));
        let drawn = figure.file();
        assert!(drawn.starts_with("<svg") && drawn.contains("redirected by rule window"));
        let Drawing::Plot(plot) = figure.drawing else { panic!("a plot") };
        assert_eq!(plot.panels.len(), 2);
        assert_eq!(plot.panels[1].series[1].values, [Some(20.0), Some(40.0)]);
    }
}
