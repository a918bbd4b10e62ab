// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Whose addresses stay: lives of prefix flows, data doors, hosts in none.

use super::figure::{Drawing, Figure};
use super::plot::{Panel, Places, Plot, Series, Style};
use super::rows::{Kind, ROWS_MOST, Row, Rows};
use super::unit::{Unit, percent};
use super::view::{Line, View, part};
use super::{Left, Outcome};
use crate::tables::{Cell, Table};

/// How long prefix flows live: the figure of the verdict.
pub fn lifetimes(view: View<'_>) -> Outcome {
    let title = "Lives of prefix flows";
    let sheet = view
        .sheet("lifetimes")
        .filter(|sheet| sheet.lines().any(|line| line.number("prefix_flows") > Some(0.0)))
        .ok_or_else(|| Left::new(title, "no alpha flow was found"))?;
    let interval = view.interval();
    let span = |line: &Line<'_>| match (line.number("span_from"), line.number("span_to")) {
        (Some(0.0), Some(0.0)) => format!("one {interval}"),
        (Some(from), Some(to)) => format!("{from:.0}-{to:.0}"),
        (Some(from), None) => format!("{from:.0} and more"),
        _ => String::new(),
    };
    let mut panels = Vec::new();
    let mut words = Vec::new();
    let mut spans = Vec::new();
    let mut data = Table::new(
        "lives",
        title,
        &["width", "span", "prefix_flows_percent", "alpha_bytes_percent"],
    );
    for width in &sheet.texts("width") {
        let lines = sheet.with(&[("width", width)]);
        let sum = |name| lines.iter().filter_map(|line| line.number(name)).sum::<f64>();
        let all = [sum("prefix_flows"), sum("alpha_bytes")];
        let share = |name: &str, all: f64| -> Vec<Option<f64>> {
            lines.iter().map(|l| l.number(name).map(|value| percent(value, all))).collect()
        };
        let (flows, bytes) = (share("prefix_flows", all[0]), share("alpha_bytes", all[1]));
        spans = lines.iter().map(span).collect();
        for ((span, flows), bytes) in spans.iter().zip(&flows).zip(&bytes) {
            words.push(format!(
                "{width}, {span}: {} of prefix flows, {} of alpha bytes.",
                Unit::Percent.amount(flows.unwrap_or(0.0)),
                Unit::Percent.amount(bytes.unwrap_or(0.0))
            ));
            data.push([
                width.as_str().into(),
                span.as_str().into(),
                Cell::real(*flows, 2),
                Cell::real(*bytes, 2),
            ]);
        }
        let of =
            |name: &str, look, style, values| Series { name: name.into(), look, style, values };
        panels.push(Panel {
            at_least: 100.0,
            ..Panel::new(
                &format!("{width}: share"),
                Unit::Percent,
                vec![
                    of("alpha bytes", 0, Style::Bars, bytes),
                    of("prefix flows", 1, Style::Marks, flows),
                ],
            )
        });
    }
    Ok(Figure {
        name: "prefix-flow-lives",
        title: title.to_owned(),
        description: words.join(" "),
        note: format!(
            "From the first alpha flow of a prefix flow to its last, in {interval}s. Addresses that \
             stay put the bytes to the right."
        ),
        drawing: Drawing::Plot(Plot {
            places: Places::Few(spans, format!("{interval}s from first to last alpha flow")),
            panels,
        }),
        data,
    })
}

fn no_doors(title: &str) -> Left {
    Left::new(title, "no list of data doors was given (--doors), or no alpha flow was found")
}

/// Which ends of alpha flows are data doors.
pub fn doors(view: View<'_>) -> Outcome {
    let title = "Match with data doors";
    let sheet = view.sheet("doors").ok_or_else(|| no_doors(title))?;
    let lines: Vec<_> = sheet.lines().collect();
    let all: f64 = lines.iter().filter_map(|line| line.number("alpha_bytes")).sum();
    let name = |line: &Line<'_>| match line.text("class").as_str() {
        "both" => "both ends".to_owned(),
        "src" => "source only".to_owned(),
        "dst" => "destination only".to_owned(),
        _ => "neither end".to_owned(),
    };
    let row = |line: &Line<'_>| Row {
        label: name(line),
        values: vec![line.number("alpha_bytes").map(|bytes| percent(bytes, all))],
        note: match line.text("prefix_flows").as_str() {
            "1" => "1 prefix flow".to_owned(),
            n => format!("{n} prefix flows"),
        },
    };
    let word = |line: &Line<'_>| {
        let bytes = line.number("alpha_bytes").unwrap_or(0.0);
        format!("{}: {}.", name(line), Unit::Percent.amount(percent(bytes, all)))
    };
    let unused = view.sheet("unused_doors").map_or(0, |sheet| sheet.lines().count());
    let unused = match unused {
        0 => "Every door had alpha flows.".to_owned(),
        1 => "One door had no alpha flow.".to_owned(),
        n => format!("{n} doors had no alpha flow."),
    };
    Ok(Figure {
        name: "data-doors",
        title: title.to_owned(),
        description: lines.iter().map(word).collect::<Vec<_>>().join(" "),
        note: format!("Which ends of alpha flows are declared hosts. {unused}"),
        drawing: Drawing::Rows(Rows {
            title: "share of alpha bytes".to_owned(),
            unit: Unit::Percent,
            logarithmic: false,
            at_least: 100.0,
            kind: Kind::Stacked,
            series: vec![String::new()],
            rows: lines.iter().map(row).collect(),
        }),
        data: sheet.table.clone(),
    })
}

/// Hosts in no data door.
pub fn undeclared(view: View<'_>) -> Outcome {
    let title = "Undeclared hosts";
    let Some(sheet) = view.sheet("undeclared_hosts") else {
        return Err(match view.sheet("doors") {
            Some(_) => Left::new(title, "every host of alpha flows is declared"),
            None => no_doors(title),
        });
    };
    let all: Vec<_> = sheet.lines().collect();
    let lines = &all[..all.len().min(ROWS_MOST)];
    let row = |line: &Line<'_>| Row {
        label: line.text("host"),
        values: vec![line.number("alpha_bytes")],
        note: Unit::Bytes.amount(line.number("alpha_bytes").unwrap_or(0.0)),
    };
    let word = |line: &Line<'_>| {
        let bytes = Unit::Bytes.amount(line.number("alpha_bytes").unwrap_or(0.0));
        format!("{}: {bytes}.", line.text("host"))
    };
    Ok(Figure {
        name: "undeclared-hosts",
        title: title.to_owned(),
        description: lines.iter().map(word).collect::<Vec<_>>().join(" "),
        note: format!(
            "Hosts in no data door, by bytes of their alpha flows: the first {} of {}. Each end of a \
             flow counts.",
            lines.len(),
            all.len()
        ),
        drawing: Drawing::Rows(Rows {
            title: "alpha bytes".to_owned(),
            unit: Unit::Bytes,
            logarithmic: false,
            at_least: 0.0,
            kind: Kind::Stacked,
            series: vec![String::new()],
            rows: lines.iter().map(row).collect(),
        }),
        data: part(("undeclared", title), &["host", "alpha_bytes"], lines),
    })
}
