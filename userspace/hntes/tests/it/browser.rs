// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The report in a real browser. Without one on the path the test says so and does nothing, unless
//! `HNTES_BROWSER=required`: so it is run in the toolbox.

use crate::devtools::{Browser, find};
use crate::program::{generate, hntes, stdout};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// All figures of a report about a workload with beta traffic and a list of data doors.
const FIGURES: [&str; 15] = [
    "prefix-flow-lives",
    "alpha-bytes-per-day",
    "alpha-time-per-day",
    "raw-flows-per-day",
    "new-prefix-flows-per-day",
    "effectiveness-by-aging",
    "table-size-by-aging",
    "lsp-months",
    "dimensions",
    "lsp-utilisation",
    "simultaneous-most",
    "simultaneous-time",
    "beta-exposure",
    "data-doors",
    "undeclared-hosts",
];

/// Least size of text in pixels.
pub(crate) const TEXT_LEAST: f64 = 11.0;

/// Least contrast of text.
pub(crate) const CONTRAST_LEAST: f64 = 4.5;

/// What is measured in the page: overflow, figures, the smallest text, the weakest contrast, text
/// that leaves its drawing, and texts of one drawing that lie over each other.
pub(crate) const MEASURE: &str = r#"(() => {
  const box = e => e.getBoundingClientRect();
  const shown = e => e.checkVisibility() && box(e).width > 0;
  const svgs = [...document.querySelectorAll('svg.plot')].filter(shown);
  const texts = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const at = walk.currentNode.parentElement;
    if (walk.currentNode.data.trim() && at.tagName !== 'title' && at.tagName !== 'desc' && shown(at)) texts.push(at);
  }
  const size = e => {
    const svg = e.closest('svg');
    const scale = svg ? box(svg).width / svg.viewBox.baseVal.width : 1;
    return parseFloat(getComputedStyle(e).fontSize) * scale;
  };
  const rgb = c => (c.match(/[\d.]+/g) || []).map(Number);
  const light = c => c.slice(0, 3).map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const under = e => {
    for (let at = e; at; at = at.parentElement) {
      const c = rgb(getComputedStyle(at).backgroundColor);
      if (c.length === 3 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const contrast = e => {
    const style = getComputedStyle(e);
    const text = rgb(e.closest('svg') ? style.fill : style.color), ground = under(e);
    const [a, b] = [light(text), light(ground)].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  };
  const outside = [], over = [];
  for (const svg of svgs) {
    const frame = box(svg), list = [...svg.querySelectorAll('text')].filter(e => e.textContent);
    for (const [i, text] of list.entries()) {
      const a = box(text);
      if (a.left < frame.left - 1 || a.right > frame.right + 1 || a.bottom > frame.bottom + 1 || a.top < frame.top - 1)
        outside.push(svg.closest('figure').id + ': ' + text.textContent);
      for (const other of list.slice(i + 1)) {
        const b = box(other);
        const w = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const h = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (w > 2 && h > 5) over.push(svg.closest('figure').id + ': ' + text.textContent + ' / ' + other.textContent);
      }
    }
  }
  const least = (of, list) => list.map(e => [of(e), e.tagName + '.' + (e.getAttribute('class') || '') + ' ' + e.textContent.slice(0, 40)])
    .sort((a, b) => a[0] - b[0])[0];
  return {
    width: document.documentElement.scrollWidth, inner: document.documentElement.clientWidth,
    figures: svgs.map(e => ({ id: e.closest('figure').id, w: box(e).width, h: box(e).height,
      inked: e.querySelectorAll('rect,path').length, title: e.querySelector(':scope > title').textContent,
      desc: e.querySelector(':scope > desc').textContent, role: e.getAttribute('role') })),
    text: least(size, texts), contrast: least(contrast, texts.filter(e => !e.classList.contains('onbar'))), outside, over,
    scripts: document.scripts.length, unnamed: [...document.querySelectorAll('[aria-labelledby]')]
      .flatMap(e => e.getAttribute('aria-labelledby').split(' ')).filter(id => !document.getElementById(id)),
    ground: getComputedStyle(document.documentElement).backgroundColor,
  };
})()"#;

/// A report with every figure.
fn report(dir: &Path) -> PathBuf {
    let (files, _) = generate("beta", 7003, &dir.join("w"));
    let doors = dir.join("doors");
    fs::write(&doors, "198.18.0.0/16 site\n100.64.1.0/24 lab 50000\n203.0.113.0/24 idle\n")
        .unwrap();
    let out = dir.join("report");
    let args = ["report", "--out", out.to_str().unwrap(), "--doors", doors.to_str().unwrap()];
    let files = files.iter().map(|path| path.to_str().unwrap());
    stdout(hntes(args.into_iter().chain(files)));
    out.join("report.html")
}

pub(crate) fn list(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect()
}

fn judge(found: &Value, width: u32, what: &str) {
    let number = |value: &Value| value.as_f64().unwrap();
    assert_eq!(found["inner"], width, "{what}");
    assert!(number(&found["width"]) <= number(&found["inner"]), "{what}: overflow: {found}");
    let figures = found["figures"].as_array().unwrap();
    for name in FIGURES {
        let own: Vec<_> = figures.iter().filter(|figure| figure["id"] == name).collect();
        assert_eq!(own.len(), 1, "{what}: {name} is there {} times", own.len());
        let figure = own[0];
        let (wide, high) = (number(&figure["w"]), number(&figure["h"]));
        assert!(wide > 250.0 && high > 60.0, "{what}: {name} is {wide} x {high}");
        assert!(number(&figure["inked"]) > 4.0, "{what}: {name} is empty");
        assert_eq!(figure["role"], "img");
        for text in ["title", "desc"] {
            assert!(figure[text].as_str().unwrap().len() > 10, "{what}: {name} has no {text}");
        }
    }
    assert_eq!(figures.len(), FIGURES.len(), "{what}");
    assert!(number(&found["text"][0]) >= TEXT_LEAST, "{what}: small text {}", found["text"]);
    assert!(number(&found["contrast"][0]) >= CONTRAST_LEAST, "{what}: pale {}", found["contrast"]);
    for name in ["outside", "over", "unnamed"] {
        assert!(list(&found[name]).is_empty(), "{what}: {name}: {:#?}", found[name]);
    }
    assert_eq!(found["scripts"], 0);
}

/// What went wrong in the page, and what it asked for beside itself.
fn complaints(events: &[Value], page: &Path) -> Vec<String> {
    let own = format!("file://{}", page.display());
    let bad = |event: &&Value| match event["method"].as_str().unwrap_or("") {
        "Runtime.exceptionThrown" | "Runtime.consoleAPICalled" | "Log.entryAdded" => true,
        "Network.requestWillBeSent" => {
            let url = event["params"]["request"]["url"].as_str().unwrap_or("");
            url != own && !url.starts_with("data:")
        }
        _ => false,
    };
    events.iter().filter(bad).map(Value::to_string).collect()
}

#[test]
fn the_report_is_readable_in_a_browser() {
    let Some(program) = find() else {
        let required = std::env::var_os("HNTES_BROWSER").is_some_and(|value| value == "required");
        assert!(!required, "no Chromium, though one is required");
        eprintln!("skipped: no Chromium on the path (HNTES_CHROMIUM names one)");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let page = report(dir.path());
    let mut browser = Browser::start(&program);
    let mut grounds = Vec::new();
    for (width, dark) in [(1280, false), (1280, true), (400, false), (400, true)] {
        let what = format!("{width} px, {}", if dark { "dark" } else { "light" });
        browser.open(&page, width, dark);
        if let Some(dir) = std::env::var_os("HNTES_SCREENSHOTS") {
            let scheme = if dark { "dark" } else { "light" };
            let name = PathBuf::from(dir).join(format!("report-{width}-{scheme}.png.base64"));
            fs::write(name, browser.screenshot()).unwrap();
        }
        let closed = browser.evaluate(MEASURE);
        judge(&closed, width, &what);
        // With everything opened, wide tables scroll in their own boxes.
        browser.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)");
        let opened = browser.evaluate(MEASURE);
        judge(&opened, width, &format!("{what}, opened"));
        grounds.push(closed["ground"].clone());
    }
    assert_ne!(grounds[0], grounds[1], "dark is not light");
    let bad = complaints(&browser.events, &page);
    assert!(bad.is_empty(), "{bad:#?}");
    drawings_stand_alone(&mut browser, page.parent().unwrap());
}

/// Each drawing is a file that shows itself.
fn drawings_stand_alone(browser: &mut Browser, dir: &Path) {
    for name in FIGURES {
        let path = dir.join(format!("{name}.svg"));
        let from = browser.events.len();
        browser.open(&path, 1280, false);
        let found = browser.evaluate(
            "({ root: document.documentElement.tagName, texts: document.querySelectorAll('text').length, \
             title: document.querySelector('title').textContent, \
             ground: getComputedStyle(document.querySelector('.paper')).fill })",
        );
        assert_eq!(found["root"], "svg", "{name}: {found}");
        assert!(found["texts"].as_u64().unwrap() > 3, "{name}: {found}");
        assert_eq!(found["ground"], "rgb(255, 255, 255)", "{name}: {found}");
        let bad = complaints(&browser.events[from..], &path);
        assert!(bad.is_empty(), "{bad:#?}");
    }
}

/// The measure finds what it is there for: a page with each fault in turn.
#[test]
fn the_measure_finds_faults() {
    let Some(program) = find() else {
        eprintln!("skipped: no Chromium on the path (HNTES_CHROMIUM names one)");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let page = dir.path().join("page.html");
    let figure = |inner: &str| {
        format!(
            "<figure id='f' style='width:300px'><svg class='plot' viewBox='0 0 300 200'>\
             <title>t</title><desc>d</desc><rect width='9' height='9'/>{inner}</svg></figure>"
        )
    };
    let mut browser = Browser::start(&program);
    let mut measure = |body: &str| {
        let html =
            format!("<!DOCTYPE html><meta name=viewport content='width=device-width'><body>{body}");
        fs::write(&page, html).unwrap();
        browser.open(&page, 400, false);
        browser.evaluate(MEASURE)
    };
    let wide = measure("<p style='width:700px'>wide</p>");
    assert!(wide["width"].as_f64() > wide["inner"].as_f64(), "{wide}");
    assert_eq!(measure("<p style='font-size:9px'>small</p>")["text"][0], 9.0);
    let pale = measure("<p style='color:#ccc'>pale</p>");
    assert!(pale["contrast"][0].as_f64().unwrap() < 2.0, "{pale}");
    let shrunk =
        figure("<text x='5' y='50' font-size='12'>text</text>").replace("300 200", "600 400");
    assert_eq!(measure(&shrunk)["text"][0], 6.0);
    let outside = measure(&figure("<text x='290' y='50'>too far to the right</text>"));
    assert_eq!(list(&outside["outside"]).len(), 1, "{outside}");
    let over = measure(&figure("<text x='5' y='50'>one</text><text x='9' y='52'>two</text>"));
    assert_eq!(list(&over["over"]).len(), 1, "{over}");
    assert!(measure(&figure("")).get("figures").unwrap()[0]["inked"] == 1);
    let from = browser.events.len();
    fs::write(&page, "<img src='missing.png'><script>console.log(1); nothing()</script>").unwrap();
    browser.open(&page, 400, false);
    let bad = complaints(&browser.events[from..], &page);
    assert!(bad.len() >= 3, "{bad:#?}");
}
