// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The status page of the loop in a real browser: readable, live, and honest about old data. Without a
//! browser it is skipped as [`crate::browser`] says.

use crate::browser::{CONTRAST_LEAST, MEASURE, TEXT_LEAST, list};
use crate::devtools::{Browser, find};
use crate::loop_view::of_a_loop;
use crate::stage::{Stage, view};
use serde_json::Value;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;
use telesteer_control::view::Mode;

const FIGURES: [&str; 3] = ["topology", "delay-0", "delay-1"];

/// Waits until an expression is true in the page.
fn until(browser: &mut Browser, what: &str, expression: &str) {
    for _ in 0..600 {
        if browser.evaluate(&format!("Boolean({expression})")) == true {
            return;
        }
        sleep(Duration::from_millis(100));
    }
    let shown = browser.evaluate("document.body.innerText.slice(0, 2000)");
    panic!("{what} has not come: {expression}\n{shown}");
}

fn banner(browser: &mut Browser, look: &str, words: &str) {
    let look = format!(
        "(b => b.classList.contains('{look}') && b.textContent.includes('{words}'))\
         (document.getElementById('banner'))"
    );
    until(browser, words, &look);
}

fn judge(found: &Value, width: u32, what: &str) {
    let number = |value: &Value| value.as_f64().unwrap();
    assert_eq!(found["inner"], width, "{what}");
    assert!(number(&found["width"]) <= number(&found["inner"]), "{what}: overflow: {found}");
    let figures = found["figures"].as_array().unwrap();
    let names: Vec<&str> = figures.iter().map(|figure| figure["id"].as_str().unwrap()).collect();
    assert_eq!(names, FIGURES, "{what}");
    for figure in figures {
        let (wide, high) = (number(&figure["w"]), number(&figure["h"]));
        assert!(wide > 250.0 && high > 60.0, "{what}: {figure}");
        assert!(number(&figure["inked"]) > 4.0, "{what}: empty: {figure}");
        assert_eq!(figure["role"], "img", "{what}");
        for text in ["title", "desc"] {
            assert!(figure[text].as_str().unwrap().len() > 10, "{what}: no {text}: {figure}");
        }
    }
    assert!(number(&found["text"][0]) >= TEXT_LEAST, "{what}: small text {}", found["text"]);
    assert!(number(&found["contrast"][0]) >= CONTRAST_LEAST, "{what}: pale {}", found["contrast"]);
    for name in ["outside", "over", "unnamed"] {
        assert!(list(&found[name]).is_empty(), "{what}: {name}: {:#?}", found[name]);
    }
    assert_eq!(found["scripts"], 1, "{what}");
}

/// What went wrong in the page, and what it asked for beside its own server.
fn complaints(events: &[Value], base: &str) -> Vec<String> {
    let own = [format!("{base}/"), format!("{base}/status.json")];
    let bad = |event: &&Value| match event["method"].as_str().unwrap_or("") {
        "Runtime.exceptionThrown" | "Runtime.consoleAPICalled" | "Log.entryAdded" => true,
        "Network.requestWillBeSent" => {
            let url = event["params"]["request"]["url"].as_str().unwrap_or("");
            !own.iter().any(|own| own == url) && !url.starts_with("data:")
        }
        _ => false,
    };
    events.iter().filter(bad).map(Value::to_string).collect()
}

fn start() -> Option<Browser> {
    let program = find();
    if program.is_none() {
        let required = std::env::var_os("HNTES_BROWSER").is_some_and(|value| value == "required");
        assert!(!required, "no Chromium, though one is required");
        eprintln!("skipped: no Chromium on the path (HNTES_CHROMIUM names one)");
    }
    program.map(|program| Browser::start(&program))
}

#[test]
fn the_page_is_readable_in_a_browser() {
    let Some(mut browser) = start() else { return };
    let (_stage, server) = Stage::serve(view(), None);
    let base = format!("http://{}", server.address());
    let mut grounds = Vec::new();
    for (width, dark) in [(1280, false), (1280, true), (400, false), (400, true)] {
        let what = format!("{width} px, {}", if dark { "dark" } else { "light" });
        browser.navigate(&format!("{base}/"), width, dark);
        banner(&mut browser, "live", "Live");
        let found = browser.evaluate(MEASURE);
        if let Some(dir) = std::env::var_os("HNTES_SCREENSHOTS") {
            let scheme = if dark { "dark" } else { "light" };
            let name = PathBuf::from(dir).join(format!("status-{width}-{scheme}.png.base64"));
            std::fs::write(name, browser.screenshot()).unwrap();
        }
        judge(&found, width, &what);
        grounds.push(found["ground"].clone());
    }
    assert_ne!(grounds[0], grounds[1], "dark is not light");
    let bad = complaints(&browser.events, &base);
    assert!(bad.is_empty(), "{bad:#?}");
}

/// What is shown is what the view says: each table has its rows, the drawing its routers, paths and
/// flows, the histograms their counts. What comes from the network is text and nothing else.
#[test]
fn the_page_shows_the_view() {
    let Some(mut browser) = start() else { return };
    let (_stage, server) = Stage::serve(view(), None);
    browser.navigate(&format!("http://{}/", server.address()), 1280, false);
    banner(&mut browser, "live", "Live");
    let found = browser.evaluate(
        r"({
            rows: Object.fromEntries([...document.querySelectorAll('table')]
                .map(t => [t.dataset.name, [...t.tBodies[0].rows].map(r => [...r.cells].map(c => c.innerText.trim()))])),
            tiles: [...document.querySelectorAll('#tiles dd')].map(e => e.textContent.replace(/\s/g, '')),
            routers: document.querySelectorAll('#topology [data-router]').length,
            paths: [...document.querySelectorAll('#topology path.lsp')].map(p => p.dataset.lsp + (p.classList.contains('down') ? ' down' : '')),
            badges: Object.fromEntries([...document.querySelectorAll('#topology [data-flows]')]
                .map(b => [b.dataset.flows, b.nextSibling.textContent])),
            bars: [...document.querySelectorAll('#delay-0 .bar')].map(b => Number(b.dataset.count)),
            images: document.images.length, title: document.title,
        })",
    );
    let rows = |name: &str| found["rows"][name].as_array().unwrap().clone();
    assert_eq!(rows("flows").len(), 4);
    assert_eq!(rows("flows")[3][0], "<img src=x onerror=alert(1)>");
    assert_eq!(rows("flows")[0][6], "1.5 s", "known after");
    assert_eq!((rows("flows")[3][1].as_str(), &found["images"]), (Some("IP routing"), &0.into()));
    assert_eq!(rows("lsps").len(), 4);
    assert_eq!(rows("lsps")[2][5], "120 Mb/s, 180 Mb/s free");
    assert_eq!(rows("lsps")[0][6], "2");
    assert_eq!(rows("routes")[1][0], "pe2");
    assert!(rows("routes")[1].as_array().unwrap().contains(&"3".into()), "{:?}", rows("routes"));
    assert_eq!(rows("states").len(), 4);
    let history = rows("history");
    assert_eq!((history.len(), &history[0][0]), (61, &"399".into()));
    assert!(history[60][0].as_str().unwrap().contains("339 more"), "{}", history[60]);
    assert_eq!((rows("lost").len(), rows("inputs").len()), (1, 2));
    let tiles: Vec<&str> = list(&found["tiles"]);
    assert_eq!(tiles, ["4", "3", "3of4", "3060of3065", "3", "2", "7"]);
    assert_eq!(found["routers"], 5);
    assert_eq!(list(&found["paths"]), ["pe1-pe2", "pe2-pe1", "pe1-pe2-rate", "pe1-peer down"]);
    assert_eq!(found["badges"], serde_json::json!({"pe1-pe2": "2", "pe1-pe2-rate": "1"}));
    let bars: u64 = found["bars"].as_array().unwrap().iter().map(|bar| bar.as_u64().unwrap()).sum();
    assert_eq!((bars, found["title"].as_str()), (8, Some("HNTES: 4 alpha flows")));
}

/// A view as the loop makes it, not one that was made to be looked at: a path over a router that is
/// neither of its ends is drawn over it, and a flow under an entry wider than itself is on its path.
#[test]
fn the_page_shows_what_the_loop_makes() {
    let Some(mut browser) = start() else { return };
    let (_stage, server) = Stage::serve(of_a_loop(), None);
    browser.navigate(&format!("http://{}/", server.address()), 1280, false);
    banner(&mut browser, "live", "Live");
    let found = browser.evaluate(
        r"({
            rows: Object.fromEntries([...document.querySelectorAll('table')]
                .map(t => [t.dataset.name, [...t.tBodies[0].rows].map(r => [...r.cells].map(c => c.innerText.trim()))])),
            routers: [...document.querySelectorAll('#topology [data-router]')].map(e => e.dataset.router),
            paths: [...document.querySelectorAll('#topology path.lsp')].map(p => [p.dataset.lsp, p.getAttribute('d').length]),
            badges: Object.fromEntries([...document.querySelectorAll('#topology [data-flows]')]
                .map(b => [b.dataset.flows, b.nextSibling.textContent])),
        })",
    );
    let flow: Vec<&str> = list(&found["rows"]["flows"][0]);
    assert_eq!((flow[1], flow[2], flow[7]), ("lsp-101", "installed", "t2"), "{flow:?}");
    assert_eq!(list(&found["routers"]).len(), 3, "{found}");
    assert_eq!(found["paths"].as_array().unwrap().len(), 2, "{found}");
    assert_eq!(found["badges"], serde_json::json!({"lsp-101": "1"}));
    let bad = complaints(&browser.events, &format!("http://{}", server.address()));
    assert!(bad.is_empty(), "{bad:#?}");
}

/// What changes is shown without loading the page again; a dry run is said; so are an input that is
/// silent, a loop that stands still, and a server that is gone, and what is shown stays.
#[test]
fn the_page_is_live_and_says_when_it_is_not() {
    let Some(mut browser) = start() else { return };
    let (stage, server) = Stage::serve(view(), None);
    let base = format!("http://{}", server.address());
    browser.navigate(&format!("{base}/"), 1280, false);
    banner(&mut browser, "live", "Live");
    browser.evaluate("window.same = 1");
    stage.change(|view| {
        view.lsps[1].state = "failed".to_owned();
        view.flows.truncate(1);
        view.history[0].what = "something new".to_owned();
        view.delays[0].add(1);
    });
    until(&mut browser, "the flows", "document.title === 'HNTES: 1 alpha flow'");
    until(
        &mut browser,
        "the path",
        "document.querySelector('#topology path[data-lsp=\"pe2-pe1\"].down')",
    );
    until(
        &mut browser,
        "the history",
        "document.querySelector('table[data-name=history]').innerText.includes('something new')",
    );
    until(
        &mut browser,
        "the delay",
        "document.querySelector('#delay-0 .bar').dataset.count === '1'",
    );
    assert_eq!(browser.evaluate("window.same"), 1, "it was loaded again");

    stage.change(|view| view.mode = Mode::DryRun);
    banner(&mut browser, "dry", "Dry run: nothing is touched");
    stage.change(|view| view.inputs[0].last_ms = Some(view.now_ms - 100_000_000));
    banner(&mut browser, "stale", "records of the collector");
    banner(&mut browser, "stale", "Dry run");
    stage.change(|view| view.inputs[0].last_ms = Some(view.now_ms));
    banner(&mut browser, "dry", "Dry run");
    stage.change(|view| view.inputs[0].trouble = "eth1: it is down".to_owned());
    banner(&mut browser, "stale", "records of the collector (eth1: it is down)");
    stage.change(|view| view.inputs[0].trouble.clear());
    banner(&mut browser, "dry", "Dry run");
    stage.goes(false);
    banner(&mut browser, "stale", "the loop last said something");
    stage.goes(true);
    banner(&mut browser, "dry", "Dry run");
    let bad = complaints(&browser.events, &base);
    assert!(bad.is_empty(), "{bad:#?}");

    drop(server);
    banner(&mut browser, "stale", "no answer for");
    let shown = "document.querySelectorAll('table[data-name=flows] tbody tr').length === 1";
    assert_eq!(browser.evaluate(shown), true);
}
