// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The page: one file, nothing from elsewhere, no script.

use super::figure::{Figure, STYLE};
use super::ink::{Size, escaped};
use super::unit::number;
use super::view::View;
use super::{Left, Outcome, Report};
use crate::tables::{Cell, Table};
use std::fmt::Write as _;

/// The page's own look.
const PAGE_STYLE: &str = include_str!("page.css");

/// Rows that a table in the page has at most; the file beside has all.
const ROWS_MOST: usize = 500;

/// Writes the page.
pub fn page(report: &Report<'_>) -> String {
    let view = View::new(report.tables);
    let mut out = String::new();
    // Writing into a String cannot fail.
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>HNTES report</title>\n<style>\n{STYLE}{PAGE_STYLE}</style>\n</head>\n<body>\n"
    );
    header(&mut out, report, view);
    out.push_str("<main>\n");
    verdict(&mut out, report, view);
    group(&mut out, "slides", "The slides' figures", &report.slides);
    group(&mut out, "ours", "What the slides announce, and what they lack", &report.ours);
    standing(&mut out, report);
    faults(&mut out, view);
    tables(&mut out, report);
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn put(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

fn header(out: &mut String, report: &Report<'_>, view: View<'_>) {
    put(out, "<header>\n<h1>HNTES report</h1>");
    let text = |name: &str| view.figure(name).map_or_else(String::new, Cell::text);
    let days = view.sheet("series").map(|sheet| sheet.texts("day")).unwrap_or_default();
    if let (Some(first), Some(last)) = (days.first(), days.last()) {
        put(
            out,
            &format!(
                "<p class=\"lead\">{first} to {last}: {} {}s, {} records, {} alpha raw flows.</p>",
                days.len(),
                view.interval(),
                thousands(&text("records")),
                thousands(&text("raw_flows"))
            ),
        );
    }
    put(out, &format!("<p>{}</p>", escaped(&report.origin.words())));
    put(out, &format!("<p class=\"small\">Reading: {}.</p>", escaped(&report.reading)));
    put(
        out,
        "<nav aria-label=\"Parts\"><a href=\"#verdict\">Verdict</a> <a href=\"#slides\">The slides' \
         figures</a> <a href=\"#ours\">More figures</a> <a href=\"#standing\">What the numbers are \
         worth</a> <a href=\"#tables\">Tables</a></nav>\n</header>",
    );
}

fn thousands(text: &str) -> String {
    text.parse::<f64>().map_or_else(|_| text.to_owned(), number)
}

/// The verdict in a sentence, for the page and for the terminal.
pub fn verdict_line(view: View<'_>) -> Option<(String, String)> {
    let sheet = view.sheet("hypothesis")?;
    let line = sheet.lines().next()?;
    let verdict = line.text("verdict");
    let sentence = match verdict.as_str() {
        "holds" => "The hypothesis holds: alpha flows come from addresses that stay.",
        "false" => "The hypothesis is false: alpha flows do not come from addresses that stay.",
        _ => "The hypothesis cannot be judged: too few days, or no alpha flows.",
    };
    Some((verdict, sentence.to_owned()))
}

fn verdict(out: &mut String, report: &Report<'_>, view: View<'_>) {
    put(out, "<section id=\"verdict\">\n<h2>Verdict on the slides' hypothesis</h2>");
    let Some((verdict, sentence)) = verdict_line(view) else {
        put(out, "<p>There is nothing to judge.</p>\n</section>");
        return;
    };
    put(out, &format!("<div class=\"verdict v-{verdict}\" data-verdict=\"{verdict}\">"));
    put(out, &format!("<p class=\"says\">{}</p>", escaped(&sentence)));
    if let Some(why) = report.origin.about_verdict() {
        put(out, &format!("<p>{why}</p>"));
    }
    put(out, "</div>");
    put(out, "<div class=\"beside\">\n<div>");
    put(
        out,
        "<p>A table learnt from the past works if the hosts that send and receive alpha flows keep \
         their addresses, and few new ones turn up. Two figures decide; their limits are ours, set \
         before any data was held against them.</p>",
    );
    if let Some(sheet) = view.sheet("hypothesis") {
        let horizon = sheet.lines().next().map_or_else(String::new, |line| line.text("horizon"));
        let interval = view.interval();
        put(out, "<dl class=\"tiles\">");
        for line in sheet.lines() {
            let width = line.text("width");
            let tile = |name: &str, least: &str, limit: &str, words: String| {
                let value = line.number(name).map_or("–".to_owned(), |v| format!("{v:.1} %"));
                let limit = line.text(limit);
                format!(
                    "<div><dt>{words}</dt><dd><b>{value}</b> <span>{least} {limit} % to \
                     hold</span></dd></div>"
                )
            };
            put(
                out,
                &tile(
                    "stable_percent",
                    "at least",
                    "stable_percent_least",
                    format!(
                        "Address stability, {width}: alpha bytes of prefix flows that come again \
                         {horizon} {interval}s after their first"
                    ),
                ),
            );
            put(
                out,
                &tile(
                    "new_percent",
                    "at most",
                    "new_percent_most",
                    format!(
                        "New prefix flows, {width}: of those of a {interval}, never seen before, \
                         after the first {horizon} {interval}s"
                    ),
                ),
            );
        }
        put(out, "</dl>");
        put(out, "<p class=\"small\">The first width decides; the other is there to compare.</p>");
    }
    if let Some(sheet) = view.sheet("effectiveness")
        && let Some(line) = sheet.with(&[("width", "/24"), ("aging", "30")]).first()
        && let Some(percent) = line.number("effectiveness_percent")
    {
        put(
            out,
            &format!(
                "<p>What follows from it: the table the slides choose, /24 with aging 30, redirects \
                 <b>{percent:.1} %</b> of the alpha bytes.</p>"
            ),
        );
    }
    put(out, "</div>");
    figure(out, &report.lives);
    put(out, "</div>\n</section>");
}

fn group(out: &mut String, id: &str, title: &str, figures: &[Outcome]) {
    put(out, &format!("<section id=\"{id}\">\n<h2>{title}</h2>\n<div class=\"figures\">"));
    figures.iter().for_each(|outcome| figure(out, outcome));
    put(out, "</div>\n</section>");
}

fn figure(out: &mut String, outcome: &Outcome) {
    match outcome {
        Err(Left { title, reason }) => {
            put(
                out,
                &format!(
                    "<div class=\"figure left\"><h3>{}</h3><p>Left out: {}.</p></div>",
                    escaped(title),
                    escaped(reason)
                ),
            );
        }
        Ok(figure) => drawn(out, figure),
    }
}

fn drawn(out: &mut String, figure: &Figure) {
    let name = figure.name;
    put(out, &format!("<figure class=\"figure\" id=\"{name}\" aria-labelledby=\"{name}-h\">"));
    put(out, &format!("<h3 id=\"{name}-h\">{}</h3>", escaped(&figure.title)));
    out.push_str(&figure.inline(Size::Wide));
    out.push_str(&figure.inline(Size::Narrow));
    put(out, &format!("<figcaption>{}</figcaption>", escaped(&figure.note)));
    put(out, "<details><summary>In words and numbers</summary>");
    put(out, &format!("<p>{}</p>", escaped(&figure.description)));
    table(out, &figure.data, &figure.title);
    put(
        out,
        &format!(
            "<p class=\"small\">Beside this page: <a href=\"{name}.svg\">{name}.svg</a>, \
             <a href=\"{0}.csv\">{0}.csv</a></p>\n</details>\n</figure>",
            figure.data.name
        ),
    );
}

fn standing(out: &mut String, report: &Report<'_>) {
    put(
        out,
        "<section id=\"standing\">\n<h2>What the numbers are worth</h2>\n<dl class=\"words\">\
         <div><dt>by construction</dt><dd>The workload is made to have it. Getting it back shows \
         that the arithmetic is right, and nothing else.</dd></div>\
         <div><dt>outcome of the process</dt><dd>It follows from how the workload is made, though \
         nothing was aimed at it.</dd></div>\
         <div><dt>finding</dt><dd>The records of a network say so.</dd></div></dl>",
    );
    table(out, &report.standing, "Figures, and what they are worth");
    put(out, "</section>");
}

fn faults(out: &mut String, view: View<'_>) {
    let sheets = ["bad_lines", "far_records", "left_out"];
    let sheets: Vec<_> = sheets.iter().filter_map(|name| view.sheet(name)).collect();
    if sheets.is_empty() {
        return;
    }
    put(out, "<section id=\"faults\">\n<h2>What could not be read</h2>");
    for sheet in sheets {
        put(out, &format!("<h3>{}</h3>", escaped(sheet.table.title)));
        table(out, sheet.table, sheet.table.title);
    }
    put(out, "</section>");
}

fn tables(out: &mut String, report: &Report<'_>) {
    put(
        out,
        "<section id=\"tables\">\n<h2>Tables</h2>\n<p>All of them are beside this page as CSV, and in \
         <a href=\"report.json\">report.json</a>.</p>",
    );
    let (short, long): (Vec<_>, Vec<_>) =
        report.tables.iter().filter(|table| !table.rows.is_empty()).partition(|table| !table.long);
    for shown in short {
        let (name, title) = (shown.name, escaped(shown.title));
        put(out, &format!("<details><summary><code>{name}</code>: {title}</summary>"));
        table(out, shown, shown.title);
        put(
            out,
            &format!("<p class=\"small\"><a href=\"{name}.csv\">{name}.csv</a></p></details>"),
        );
    }
    put(out, "<h3>Too long for a page</h3>\n<ul>");
    for Table { name, title, rows, .. } in long {
        let title = escaped(title);
        put(
            out,
            &format!(
                "<li><a href=\"{name}.csv\">{name}.csv</a>: {title}, {} rows</li>",
                number(rows.len() as f64)
            ),
        );
    }
    put(out, "</ul>\n</section>");
}

/// A table in a box that scrolls by itself.
fn table(out: &mut String, table: &Table, label: &str) {
    let numeric = |column: usize| {
        let cells = || table.rows.iter().filter_map(|row| row.get(column));
        cells().any(|cell| cell.number().is_some())
            && cells().all(|cell| !matches!(cell, Cell::Text(_)))
    };
    let classes: Vec<&str> =
        (0..table.columns.len()).map(|at| if numeric(at) { " class=\"n\"" } else { "" }).collect();
    let label = escaped(label);
    let name = table.name;
    put(
        out,
        &format!("<div class=\"scroll\" role=\"region\" aria-label=\"{label}\" tabindex=\"0\">"),
    );
    put(out, &format!("<table data-name=\"{name}\">\n<thead><tr>"));
    for (column, class) in table.columns.iter().zip(&classes) {
        let _ = write!(out, "<th scope=\"col\"{class}>{}</th>", column.replace('_', " "));
    }
    put(out, "</tr></thead>\n<tbody>");
    for row in table.rows.iter().take(ROWS_MOST) {
        out.push_str("<tr>");
        for (cell, class) in row.iter().zip(&classes) {
            let _ = write!(out, "<td{class}>{}</td>", escaped(&cell.text()));
        }
        put(out, "</tr>");
    }
    put(out, "</tbody></table></div>");
    if table.rows.len() > ROWS_MOST {
        let rest = table.rows.len() - ROWS_MOST;
        put(out, &format!("<p class=\"small\">{rest} more rows are in {name}.csv.</p>"));
    }
}
