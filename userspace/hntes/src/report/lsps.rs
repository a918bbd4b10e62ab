// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What LSPs carry: how full they are, how many alpha flows meet, what beta traffic comes along.

use super::figure::{Drawing, Figure};
use super::plot::{Panel, Places, Plot, Series, Style};
use super::rows::{Kind, ROWS_MOST, Row, Rows};
use super::unit::{Unit, number, percent};
use super::view::{Line, Sheet, View, part};
use super::{Left, Outcome};
use crate::tables::{Cell, Table};

/// The table the slides choose.
const CHOICE: (&str, &str) = ("/24", "30");

/// The slides' choice of width and aging if it was analysed, else the first that was.
fn choice(sheet: &Sheet<'_>) -> (String, String) {
    if !sheet.with(&[("width", CHOICE.0), ("aging", CHOICE.1)]).is_empty() {
        return (CHOICE.0.to_owned(), CHOICE.1.to_owned());
    }
    sheet.lines().next().map(|line| (line.text("width"), line.text("aging"))).unwrap_or_default()
}

/// Where an LSP ends, and where it begins if that is not the same for all.
fn lsp_name(line: &Line<'_>, one_ingress: bool) -> String {
    match one_ingress {
        true => line.text("egress"),
        false => format!("{} → {}", line.text("ingress"), line.text("egress")),
    }
}

fn of_ingress(sheet: &Sheet<'_>) -> (bool, String) {
    match sheet.texts("ingress").as_slice() {
        [one] => (true, format!("LSPs by egress router, all from {one}")),
        _ => (false, "LSPs by ingress and egress router".to_owned()),
    }
}

/// How full each LSP is.
pub fn utilisation(view: View<'_>) -> Outcome {
    let title = "LSP utilisation";
    let sheet = view.sheet("lsp_utilisation").ok_or_else(|| {
        Left::new(title, "the third pass was left out, or no table redirected anything")
    })?;
    let (width, aging) = choice(&sheet);
    let mut lines = sheet.with(&[("width", &width), ("aging", &aging)]);
    lines.sort_by(|a, b| {
        b.number("mean_bps").unwrap_or(0.0).total_cmp(&a.number("mean_bps").unwrap_or(0.0))
    });
    let (one, of) = of_ingress(&sheet);
    let columns = ["mean_bps", "p95_bps", "p99_bps", "max_bps"];
    let row = |line: &Line<'_>| Row {
        label: lsp_name(line, one),
        values: columns.map(|name| line.number(name)).to_vec(),
        note: line.number("capacity_bps").map_or_else(String::new, |capacity| {
            format!("of {}", Unit::BitsPerSecond.amount(capacity))
        }),
    };
    let word = |line: &Line<'_>| {
        let rate = |name| Unit::BitsPerSecond.amount(line.number(name).unwrap_or(0.0));
        let share = |name| Unit::Percent.amount(line.number(name).unwrap_or(0.0));
        let against = line.number("capacity_bps").map_or_else(String::new, |_| {
            let (of, above) = (rate("capacity_bps"), line.text("above_80_s"));
            let (mean, most) = (share("mean_percent"), share("max_percent"));
            format!(", which is {mean} and {most} of {of}, above 80 % for {above} s")
        });
        let (mean, most) = (rate("mean_bps"), rate("max_bps"));
        format!("{}: mean {mean}, most {most}{against}.", lsp_name(line, one))
    };
    let rest = lines.len().saturating_sub(ROWS_MOST);
    let more = if rest > 0 { format!(" {rest} more are in the table.") } else { String::new() };
    let told = match lines.iter().any(|line| line.number("capacity_bps").is_some()) {
        true => " At the right the capacity, where it is known.",
        false => "",
    };
    Ok(Figure {
        name: "lsp-utilisation",
        title: title.to_owned(),
        description: lines.iter().take(ROWS_MOST).map(word).collect::<Vec<_>>().join(" "),
        note: format!(
            "{of}. Rate over all bins of the period, under the {width} table with aging {aging}. A \
             percentile of 0 is not drawn: the LSP is idle most of the time.{told}{more}"
        ),
        drawing: Drawing::Rows(Rows {
            title: "rate".to_owned(),
            unit: Unit::BitsPerSecond,
            logarithmic: true,
            at_least: 0.0,
            kind: Kind::Marks,
            series: ["mean", "95th percentile", "99th percentile", "most"]
                .map(str::to_owned)
                .to_vec(),
            rows: lines.iter().take(ROWS_MOST).map(row).collect(),
        }),
        data: part(
            ("lsp_utilisation_figure", title),
            &[
                "ingress",
                "egress",
                "mean_bps",
                "p50_bps",
                "p95_bps",
                "p99_bps",
                "max_bps",
                "capacity_bps",
                "mean_percent",
                "p95_percent",
                "max_percent",
                "above_50_s",
                "above_80_s",
                "above_100_s",
            ],
            &lines,
        ),
    })
}

/// Most alpha flows at once, by LSP.
pub fn simultaneous_most(view: View<'_>) -> Outcome {
    let title = "Most simultaneous alpha flows of an LSP";
    let sheet =
        view.sheet("simultaneous").ok_or_else(|| Left::new(title, "no alpha flow was found"))?;
    let (one, of) = of_ingress(&sheet);
    let mut lines: Vec<_> = sheet.lines().collect();
    let most = |line: &Line<'_>| line.number("most").unwrap_or(0.0);
    lines.sort_by(|a, b| most(b).total_cmp(&most(a)));
    let row = |line: &Line<'_>| Row {
        label: lsp_name(line, one),
        values: vec![line.number("most")],
        note: format!(
            "peak {}",
            Unit::BitsPerSecond.amount(line.number("peak_bps").unwrap_or(0.0))
        ),
    };
    let word = |line: &Line<'_>| format!("{}: {}.", lsp_name(line, one), number(most(line)));
    let rest = lines.len().saturating_sub(ROWS_MOST);
    let more = if rest > 0 { format!(" {rest} more are in the table.") } else { String::new() };
    Ok(Figure {
        name: "simultaneous-most",
        title: title.to_owned(),
        description: lines.iter().take(ROWS_MOST).map(word).collect::<Vec<_>>().join(" "),
        note: format!("{of}. At the right the largest rate of their reports together.{more}"),
        drawing: Drawing::Rows(Rows {
            title: "alpha flows at once".to_owned(),
            unit: Unit::Count,
            logarithmic: false,
            at_least: 0.0,
            kind: Kind::Stacked,
            series: vec![String::new()],
            rows: lines.iter().take(ROWS_MOST).map(row).collect(),
        }),
        data: sheet.table.clone(),
    })
}

/// For how long so many at once.
pub fn simultaneous_time(view: View<'_>) -> Outcome {
    let title = "Time with several alpha flows on an LSP";
    let sheet = view
        .sheet("simultaneous_time")
        .ok_or_else(|| Left::new(title, "no alpha flow was found"))?;
    let mut time: Vec<f64> = Vec::new();
    for line in sheet.lines() {
        let (Some(k), Some(seconds)) = (line.number("at_least"), line.number("time_s")) else {
            continue;
        };
        let at = k as usize - 1;
        if time.len() <= at {
            time.resize(at + 1, 0.0);
        }
        time[at] += seconds;
    }
    let busy = time.first().copied().unwrap_or(0.0);
    let shares: Vec<f64> = time.iter().map(|seconds| percent(*seconds, busy)).collect();
    let mut data =
        Table::new("simultaneous_share", title, &["at_least", "time_s", "share_percent"]);
    for (at, (seconds, share)) in time.iter().zip(&shares).enumerate() {
        data.push([(at + 1).into(), Cell::real(*seconds, 3), Cell::real(*share, 4)]);
    }
    let words: Vec<_> = shares
        .iter()
        .enumerate()
        .map(|(at, share)| format!("at least {}: {}", at + 1, Unit::Percent.amount(*share)))
        .collect();
    let places = (1..=shares.len()).map(|k| k.to_string()).collect();
    let values = shares.iter().copied().map(Some).collect();
    let shown = Series { name: String::new(), look: 0, style: Style::Bars, values };
    let panel =
        Panel { logarithmic: true, ..Panel::new("share of busy time", Unit::Percent, vec![shown]) };
    Ok(Figure {
        name: "simultaneous-time",
        title: title.to_owned(),
        description: format!(
            "Of the time with any alpha flow, all LSPs added: {}.",
            words.join(", ")
        ),
        note: "Of the time in which an LSP has any alpha flow; all LSPs added up.".to_owned(),
        drawing: Drawing::Plot(Plot {
            places: Places::Few(places, "alpha flows at once, at least".to_owned()),
            panels: vec![panel],
        }),
        data,
    })
}

/// Beta traffic that takes the LSPs too.
pub fn beta_exposure(view: View<'_>) -> Outcome {
    let title = "Beta traffic redirected and exposed";
    let sheet = view
        .sheet("beta")
        .ok_or_else(|| Left::new(title, "the third pass was left out, or there were no files"))?;
    let lines: Vec<_> = sheet.lines().collect();
    let row = |line: &Line<'_>| {
        let (all, met) = (line.number("beta1_bytes"), line.number("beta1_exposed_bytes"));
        let aging = line.text("aging");
        let aging = if aging == "never" { aging } else { format!("A = {aging}") };
        Row {
            label: format!("{}, {aging}", line.text("width")),
            values: vec![met, all.zip(met).map(|(all, met)| (all - met).max(0.0))],
            note: all
                .zip(met)
                .filter(|(all, _)| *all > 0.0)
                .map_or_else(String::new, |(all, met)| {
                    format!("{} exposed", Unit::Percent.amount(percent(met, all)))
                }),
        }
    };
    let word = |line: &Line<'_>| {
        let bytes = |name| Unit::Bytes.amount(line.number(name).unwrap_or(0.0));
        format!(
            "{} aging {}: {} beta bytes redirected, {} of them while alpha flows were on the LSP; \
             {} if alpha flows' own other reports are left out.",
            line.text("width"),
            line.text("aging"),
            bytes("beta1_bytes"),
            bytes("beta1_exposed_bytes"),
            bytes("beta2_bytes")
        )
    };
    Ok(Figure {
        name: "beta-exposure",
        title: title.to_owned(),
        description: lines.iter().map(word).collect::<Vec<_>>().join(" "),
        note: "Bytes that are no alpha report (β1) but match a table entry and so take the LSP; \
               exposed are those sent while redirected alpha reports were on it."
            .to_owned(),
        drawing: Drawing::Rows(Rows {
            title: "β1 bytes by table".to_owned(),
            unit: Unit::Bytes,
            logarithmic: false,
            at_least: 0.0,
            kind: Kind::Stacked,
            series: ["exposed to alpha flows", "alone"].map(str::to_owned).to_vec(),
            rows: lines.iter().map(row).collect(),
        }),
        data: part(
            ("beta_exposure", title),
            &[
                "width",
                "aging",
                "alpha_bytes",
                "beta1_bytes",
                "beta1_exposed_bytes",
                "beta1_share_of_lsp_percent",
                "beta2_bytes",
                "beta2_exposed_bytes",
            ],
            &lines,
        ),
    })
}
