// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The figures that the slides of April 2012 have.

use super::dates::short_date;
use super::figure::{Drawing, Figure};
use super::plot::{Panel, Places, Plot, Series, Style};
use super::unit::{Unit, number};
use super::view::{Line, Sheet, View, part};
use super::{Left, Outcome};
use crate::tables::{Cell, Table};

/// The ages and percentages that the slides give, by width.
pub const PUBLISHED: [(&str, [(&str, f64); 4]); 2] = [
    ("/24", [("7", 82.0), ("14", 87.0), ("30", 91.0), ("never", 92.0)]),
    ("/32", [("7", 67.0), ("14", 73.0), ("30", 82.0), ("never", 86.0)]),
];

/// All of them, in the order of the slides.
pub fn figures(view: View<'_>) -> Vec<Outcome> {
    vec![
        alpha_bytes(view),
        alpha_time(view),
        raw_flows(view),
        new_prefix_flows(view),
        effectiveness(view),
        table_size(view),
        lsp_months(view),
    ]
}

fn series(name: &str, look: usize, style: Style, values: Vec<Option<f64>>) -> Series {
    Series { name: name.to_owned(), look, style, values }
}

/// The values of a column over the days, in `one`; nothing for days without a record.
fn over_days(lines: &[Line<'_>], column: &str, one: f64) -> Vec<Option<f64>> {
    let there = |line: &Line<'_>| line.number("missing") == Some(0.0);
    let value = |line: &Line<'_>| line.number(column).filter(|_| there(line)).map(|v| v / one);
    lines.iter().map(value).collect()
}

/// What the whole has beside the part.
fn difference(whole: &[Option<f64>], part: &[Option<f64>]) -> Vec<Option<f64>> {
    let rest = |(whole, part): (&Option<f64>, &Option<f64>)| {
        whole.zip(*part).map(|(whole, part)| (whole - part).max(0.0))
    };
    whole.iter().zip(part).map(rest).collect()
}

fn days<'t>(view: View<'t>, title: &str) -> Result<(Sheet<'t>, Vec<Line<'t>>), Left> {
    let sheet = view.sheet("series").ok_or_else(|| Left::new(title, "no day was read"))?;
    Ok((sheet, sheet.lines().collect()))
}

/// The largest value with its day, the median, and days that are missing, in words.
fn in_words(what: &str, unit: Unit, names: &[String], values: &[Option<f64>]) -> String {
    let mut seen: Vec<f64> = values.iter().flatten().copied().collect();
    seen.sort_by(f64::total_cmp);
    let missing = values.len() - seen.len();
    let Some(largest) = seen.last() else { return format!("{what}: no value.") };
    let at = values.iter().position(|value| *value == Some(*largest)).unwrap_or(0);
    let day = names.get(at).map_or("", String::as_str);
    let median = seen.get(seen.len() / 2).copied().unwrap_or(0.0);
    let gaps = match missing {
        0 => String::new(),
        1 => " One day has no record.".to_owned(),
        n => format!(" {n} days have no record."),
    };
    format!(
        "{what} on {} days: at most {} ({day}), median {}.{gaps}",
        values.len(),
        unit.amount(*largest),
        unit.amount(median)
    )
}

fn alpha_bytes(view: View<'_>) -> Outcome {
    let title = format!("Alpha bytes per {}", view.interval());
    let (sheet, lines) = days(view, &title)?;
    let (names, values) = (sheet.texts("day"), over_days(&lines, "alpha_bytes", 1.0));
    let description = in_words("Alpha bytes", Unit::Bytes, &names, &values);
    let panel = Panel {
        peak: true,
        ..Panel::new(
            "bytes of alpha reports",
            Unit::Bytes,
            vec![series("", 0, Style::Bars, values)],
        )
    };
    Ok(Figure {
        name: "alpha-bytes-per-day",
        title,
        description,
        note: "Bytes of reports above H within T; a GB is 10⁹ bytes.".to_owned(),
        drawing: Drawing::Plot(Plot { places: Places::Time(names), panels: vec![panel] }),
        data: part(
            ("alpha_bytes_per_day", "alpha bytes by interval"),
            &["day", "alpha_bytes", "whole_bytes"],
            &lines,
        ),
    })
}

fn alpha_time(view: View<'_>) -> Outcome {
    let title = format!("Alpha time per {}", view.interval());
    let (sheet, lines) = days(view, &title)?;
    let names = sheet.texts("day");
    let sum = over_days(&lines, "alpha_time_sum_s", 3600.0);
    let union = over_days(&lines, "alpha_time_union_s", 3600.0);
    let description = in_words("Alpha time as a sum", Unit::Hours, &names, &sum);
    let overlap = difference(&sum, &union);
    let shown = vec![
        series("overlap counted once", 0, Style::Bars, union),
        series("overlap", 1, Style::Stacked, overlap),
    ];
    let panel = Panel { peak: true, ..Panel::new("time in alpha reports", Unit::Hours, shown) };
    Ok(Figure {
        name: "alpha-time-per-day",
        title,
        description,
        note: "Durations of alpha reports; the whole bar is their sum. The slides' figure fits either \
               way of adding them."
            .to_owned(),
        drawing: Drawing::Plot(Plot { places: Places::Time(names), panels: vec![panel] }),
        data: part(
            ("alpha_time_per_day", "alpha time by interval"),
            &["day", "alpha_time_sum_s", "alpha_time_union_s"],
            &lines,
        ),
    })
}

fn raw_flows(view: View<'_>) -> Outcome {
    let title = format!("Alpha raw flows per {}", view.interval());
    let (sheet, lines) = days(view, &title)?;
    let names = sheet.texts("day");
    let (all, most) = (over_days(&lines, "raw_flows", 1.0), over_days(&lines, "most_of_one", 1.0));
    let description = format!(
        "{} {}",
        in_words("Raw flows", Unit::Count, &names, &all),
        in_words("Most of one prefix flow", Unit::Count, &names, &most)
    );
    let others = difference(&all, &most);
    let shown = vec![
        series("of the busiest /24 prefix flow", 1, Style::Bars, most),
        series("of all others", 0, Style::Stacked, others),
    ];
    let panel = Panel { peak: true, ..Panel::new("raw flows", Unit::Count, shown) };
    Ok(Figure {
        name: "raw-flows-per-day",
        title,
        description,
        note: "A raw flow is a 5-tuple with at least one alpha report on the day.".to_owned(),
        drawing: Drawing::Plot(Plot { places: Places::Time(names), panels: vec![panel] }),
        data: part(
            ("raw_flows_per_day", "alpha raw flows by interval"),
            &["day", "raw_flows", "most_of_one"],
            &lines,
        ),
    })
}

fn new_prefix_flows(view: View<'_>) -> Outcome {
    let title = format!("New prefix flows per {}", view.interval());
    let (_, lines) = days(view, &title)?;
    let left = || Left::new(&title, "no table was aged");
    let sheet = view.sheet("table_days").ok_or_else(left)?;
    let aging = sheet.texts("aging").into_iter().next().ok_or_else(left)?;
    let mut panels = Vec::new();
    let mut words = Vec::new();
    let names = sheet.texts("day");
    let mut data = Table::new(
        "new_prefix_flows_per_day",
        "new prefix flows by interval",
        &["width", "day", "new_ever"],
    );
    for (look, width) in sheet.texts("width").iter().enumerate() {
        let of_width = sheet.with(&[("width", width), ("aging", &aging)]);
        let values: Vec<Option<f64>> = of_width
            .iter()
            .zip(&lines)
            .map(|(line, day)| {
                line.number("new_ever").filter(|_| day.number("missing") != Some(1.0))
            })
            .collect();
        let days = |of: fn(f64) -> bool| values.iter().flatten().filter(|v| of(**v)).count();
        words.push(format!(
            "{width}: {} in all; none on {} days, one on {}, more on {}.",
            number(values.iter().flatten().sum()),
            days(|v| v == 0.0),
            days(|v| v == 1.0),
            days(|v| v > 1.0)
        ));
        let name = format!("{width} prefix flows");
        let shown = series(&name, look, Style::Bars, values);
        panels.push(Panel::new(&format!("new {width} prefix flows"), Unit::Count, vec![shown]));
        for line in of_width {
            let cell = |name: &str| line.cell(name).cloned().unwrap_or(Cell::None);
            data.push(["width", "day", "new_ever"].map(cell));
        }
    }
    Ok(Figure {
        name: "new-prefix-flows-per-day",
        title,
        description: format!("Prefix flows never seen before. {}", words.join(" ")),
        note:
            "Prefix flows with an alpha flow for the first time in the period. On the first days \
               nearly all are new."
                .to_owned(),
        drawing: Drawing::Plot(Plot { places: Places::Time(names), panels }),
        data,
    })
}

fn effectiveness(view: View<'_>) -> Outcome {
    let title = "Effectiveness by aging";
    let left = || Left::new(title, "no table was aged");
    let sheet = view.sheet("effectiveness").ok_or_else(left)?;
    let ages = sheet.texts("aging");
    let mut shown = Vec::new();
    let mut words = Vec::new();
    for (look, width) in sheet.texts("width").iter().enumerate() {
        let lines = sheet.with(&[("width", width)]);
        let values: Vec<_> = lines.iter().map(|l| l.number("effectiveness_percent")).collect();
        let text = |(age, value): (&String, &Option<f64>)| {
            format!("{age}: {}", value.map_or("none".to_owned(), |v| Unit::Percent.amount(v)))
        };
        let list: Vec<_> = ages.iter().zip(&values).map(text).collect();
        words.push(format!("{width} by age in intervals: {}.", list.join(", ")));
        shown.push(series(width, look, Style::Line, values));
    }
    for (look, width) in sheet.texts("width").iter().enumerate() {
        let Some((_, of_width)) = PUBLISHED.iter().find(|(name, _)| name == width) else {
            continue;
        };
        let value = |age: &String| of_width.iter().find(|(name, _)| name == age).map(|(_, v)| *v);
        let values: Vec<_> = ages.iter().map(value).collect();
        if values.iter().any(Option::is_some) {
            shown.push(series(&format!("{width} in the slides"), look, Style::Marks, values));
        }
    }
    let panel = Panel {
        at_least: 100.0,
        labels: true,
        ..Panel::new("alpha bytes redirected", Unit::Percent, shown)
    };
    let places = Places::Few(ages, "intervals without alpha flow until an entry goes".to_owned());
    let lines: Vec<_> = sheet.lines().collect();
    Ok(Figure {
        name: "effectiveness-by-aging",
        title: title.to_owned(),
        description: words.join(" "),
        note:
            "Share of alpha bytes whose prefix flow was in the table, learnt on the days before. \
               Hollow marks are the published figures."
                .to_owned(),
        drawing: Drawing::Plot(Plot { places, panels: vec![panel] }),
        data: part(
            ("effectiveness_by_aging", title),
            &["width", "aging", "matched_bytes", "total_bytes", "effectiveness_percent"],
            &lines,
        ),
    })
}

fn table_size(view: View<'_>) -> Outcome {
    let title = "Table size by aging";
    let left = || Left::new(title, "no table was aged");
    let sheet = view.sheet("table_days").ok_or_else(left)?;
    let sizes = view.sheet("table_sizes").ok_or_else(left)?;
    let names = sheet.texts("day");
    let mut panels = Vec::new();
    let mut words = Vec::new();
    let one_way = sheet.lines().all(|line| line.number("size") == line.number("one_way"));
    for width in &sheet.texts("width") {
        let mut shown = Vec::new();
        for (look, aging) in sheet.texts("aging").iter().enumerate() {
            let lines = sheet.with(&[("width", width), ("aging", aging)]);
            let values: Vec<_> = lines.iter().map(|line| line.number("size")).collect();
            let last = values.last().copied().flatten().unwrap_or(0.0);
            words.push(format!("{width}, aging {aging}: {} at the end.", number(last)));
            let name = if aging == "never" { "never".to_owned() } else { format!("A = {aging}") };
            shown.push(series(&name, look, Style::Line, values));
        }
        panels.push(Panel::new(&format!("{width} entries in force"), Unit::Count, shown));
    }
    let lines: Vec<_> = sizes.lines().collect();
    Ok(Figure {
        name: "table-size-by-aging",
        title: title.to_owned(),
        description: words.join(" "),
        note: match one_way {
            true => "One way, as the slides count. Routers hold the reverse of each entry too.",
            false => "Entries with their reverses. The slides count one way.",
        }
        .to_owned(),
        drawing: Drawing::Plot(Plot { places: Places::Time(names), panels }),
        data: part(
            ("table_size_by_aging", title),
            &[
                "width",
                "aging",
                "mean",
                "largest",
                "last",
                "mean_both_ways",
                "largest_both_ways",
                "last_both_ways",
            ],
            &lines,
        ),
    })
}

fn lsp_months(view: View<'_>) -> Outcome {
    let title = "LSPs by month";
    let sheet =
        view.sheet("lsp_months").ok_or_else(|| Left::new(title, "no alpha flow was found"))?;
    let lines: Vec<_> = sheet.lines().collect();
    let column =
        |name| -> Vec<Option<f64>> { lines.iter().map(|line| line.number(name)).collect() };
    let months = sheet.texts("month");
    let word = |line: &Line<'_>| {
        let number = |name| line.text(name);
        format!(
            "{}: total {}, repeated {}, new {}, active {}.",
            line.text("month"),
            number("total"),
            number("repeated"),
            number("new"),
            number("active")
        )
    };
    let description = lines.iter().map(word).collect::<Vec<_>>().join(" ");
    let shown = vec![
        series("known before (repeated)", 0, Style::Bars, column("repeated")),
        series("new in the month", 1, Style::Stacked, column("new")),
        series("with alpha flows in the month", 2, Style::Marks, column("active")),
    ];
    let panel = Panel::new("LSPs", Unit::Count, shown);
    // The year is the same for all, or said where it changes.
    let short = |label: &String| {
        let date = short_date(&format!("{label}-01"));
        let month = date.trim_start_matches("1 ").to_owned();
        if months.len() > 8 { month.chars().take(1).collect() } else { month }
    };
    let what = match (months.first(), months.last()) {
        (Some(first), Some(last)) if first != last => format!("month, {first} to {last}"),
        _ => "month".to_owned(),
    };
    let places = Places::Few(months.iter().map(short).collect(), what);
    Ok(Figure {
        name: "lsp-months",
        title: title.to_owned(),
        description,
        note:
            "An LSP is a pair of ingress and egress router that alpha flows have used. The bar is \
               the slides' total; they do not tell whether it is what was known or what was active."
                .to_owned(),
        drawing: Drawing::Plot(Plot { places, panels: vec![panel] }),
        data: sheet.table.clone(),
    })
}
