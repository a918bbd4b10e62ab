// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Method 1: the router's own counters. Two nftables counters of the ingress router are read every
//! second; flows of 0.9 and of 1.1 times the threshold, and of both by turns, must be silence, one event,
//! and one event each time.

use super::{Bench, say};
use crate::capture::{Capture, finish};
use crate::count::load::loads;
use crate::draw::{Axis, Line, plot};
use crate::error::{Result, at, odd};
use crate::net::{Net, host};
use crate::numbered::Sink;
use crate::paced::{Paced, send};
use crate::process::{Process, until};
use crate::report::{Claim, Findings};
use rustix::process::Signal;
use serde::Serialize;
use serde_json::{Value, json};
use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// H in bytes, T in seconds, seconds between two readings.
const H: u64 = 600_000;
const T_S: u64 = 6;
const EVERY: Duration = Duration::from_secs(1);
/// Each flow: its meter, its port, its rate as a share of the threshold, when it begins and how long it
/// lasts, in seconds. The last two share
/// a meter.
const FLOWS: [(&str, u16, f64, u64, u64); 4] = [
    ("below", 20_001, 0.9, 1, 30),
    ("above", 20_002, 1.1, 1, 30),
    ("twice", 20_003, 1.3, 1, 12),
    ("twice", 20_004, 1.3, 24, 12),
];
const PORT: u16 = 7000;
/// Seconds that readings go on after the last flow.
const AFTER_S: u64 = 16;
const PATIENCE: Duration = Duration::from_secs(60);

/// An event of a meter.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Event {
    meter: String,
    above: bool,
    /// Seconds after the first reading.
    at_s: f64,
}

/// What came of it.
#[derive(Clone, Debug, Default, Serialize)]
struct Seen {
    events: Vec<Event>,
    /// Bytes of each reading after the one before, by meter: seconds and Mb/s.
    rates: Vec<(String, Vec<(f64, f64)>)>,
    /// By meter: what its counter said in the end, and what the capture says.
    bytes: Vec<(String, u64, u64)>,
}

/// Runs it. There is no shorter one.
pub(super) fn run(bench: &Bench) -> Result<Findings> {
    let net = Net::build()?;
    net.pe1.run(&["sh", "-c", &format!("nft -f - <<'END'\n{}END\n", rules())])?;
    let _sink = Sink::open(&net.site2, &[PORT])?;
    let capture = Capture::start(&net.pe1, "to-site1", &bench.work, "pe1")?;
    let file = bench.work.join("readings.jsonl");
    let mut readings = File::create(&file).map_err(at(&file))?;
    let hntes = bench.programs.join("hntes").to_string_lossy().into_owned();
    let (h, t) = (H.to_string(), T_S.to_string());
    let argv = [
        hntes.as_str(),
        "online",
        "--meters",
        "--follow",
        &file.to_string_lossy(),
        "--h",
        &h,
        "--t",
        &t,
        "--slot",
        "1",
        "--grace",
        "0.5",
        "--json",
    ];
    let mut online = Process::start("online", None, &bench.work, &argv)?;
    let flows: Vec<Paced> = FLOWS
        .iter()
        .map(|(_, port, share, begins, lasts)| Paced {
            from: (host(1, 1, 1), *port),
            to: (host(2, 1, 1), PORT),
            begins: Duration::from_secs(*begins),
            lasts: Duration::from_secs(*lasts),
            mbps: H as f64 * 8.0 / T_S as f64 / 1e6 * share,
        })
        .collect();
    let longest = FLOWS.iter().map(|flow| flow.3 + flow.4).max().unwrap_or(0) + AFTER_S;
    let read = std::thread::scope(|scope| {
        let sending = scope.spawn(|| send(&net.site1, &flows));
        let read = read(&net, &mut online, &mut readings, Duration::from_secs(longest));
        match sending.join() {
            Ok(sent) => sent.and(read),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    });
    let read = read?;
    let begin_ns = read.first().map_or(0, |(at_ns, _, _)| *at_ns);
    // The last reading is told as the first was: at the latest when the next would come.
    let told =
        |text: &str| text.lines().filter_map(|line| event(line, begin_ns)).collect::<Vec<_>>();
    let _ = until("the last event", 3 * EVERY, || {
        Ok(told(&online.printed()).iter().filter(|event| !event.above).count() >= 3)
    });
    let events = told(&online.printed());
    online.stop(Signal::TERM, PATIENCE);
    let [pe1] = finish([capture])?;
    let captured = loads(&pe1, |frame| frame.ports.map(|ports| ports.0))?;
    let mut seen = Seen { events, ..Seen::default() };
    for meter in ["below", "above", "twice"] {
        let own: Vec<_> = read.iter().filter(|(_, name, _)| name == meter).collect();
        let rate = own.windows(2).map(|two| {
            let ns = (two[1].0 - two[0].0).max(1) as f64;
            let at = (two[1].0 - begin_ns) as f64 / 1e9;
            (at, two[1].2.saturating_sub(two[0].2) as f64 * 8.0 * 1e3 / ns)
        });
        seen.rates.push((meter.to_owned(), rate.collect()));
        let ports = FLOWS.iter().filter(|flow| flow.0 == meter).map(|flow| flow.1);
        let on_wire = ports.filter_map(|port| captured.get(&port)).map(|load| load.octets).sum();
        seen.bytes.push((meter.to_owned(), own.last().map_or(0, |one| one.2), on_wire));
    }
    Ok(findings(&seen))
}

/// A counter for each port, before any routing.
fn rules() -> String {
    let mut text = "table inet lab_meter {\n".to_owned();
    let (mut counters, mut rules) = (String::new(), String::new());
    for (at, (name, port, ..)) in FLOWS.iter().enumerate() {
        if FLOWS[..at].iter().all(|flow| flow.0 != *name) {
            counters += &format!("counter {name} {{ }}\n");
        }
        rules += &format!("udp sport {port} counter name {name}\n");
    }
    text += &counters;
    text += "chain in { type filter hook prerouting priority -300; policy accept;\n";
    text + &rules + "}\n}\n"
}

/// Reads all counters every second, as an agent on the router would, and tells `hntes online`.
fn read(
    net: &Net,
    online: &mut Process,
    into: &mut impl Write,
    lasts: Duration,
) -> Result<Vec<(i64, String, u64)>> {
    let (begin, mut all) = (Instant::now(), Vec::new());
    let mut due = begin;
    while begin.elapsed() < lasts {
        online.must_run()?;
        let text = net.pe1.run(&["nft", "-j", "list", "counters", "table", "inet", "lab_meter"])?;
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let at_ns = i64::try_from(unix.as_nanos()).unwrap_or(0);
        let mut lines = String::new();
        for (meter, bytes) in counters(&text)? {
            lines += &json!({"meter": meter, "bytes": bytes, "time_ns": at_ns}).to_string();
            lines.push('\n');
            all.push((at_ns, meter, bytes));
        }
        into.write_all(lines.as_bytes()).map_err(|error| odd("readings.jsonl", error))?;
        due += EVERY;
        match due.checked_duration_since(Instant::now()) {
            Some(rest) => std::thread::sleep(rest),
            None => due = Instant::now(),
        }
    }
    say(format!("{} readings", all.len()));
    Ok(all)
}

/// Names and bytes of `nft -j list counters`.
fn counters(text: &str) -> Result<Vec<(String, u64)>> {
    let value: Value = serde_json::from_str(text).map_err(|error| odd("nft -j", error))?;
    let all = value["nftables"].as_array().into_iter().flatten();
    let one = |item: &Value| {
        let counter = &item["counter"];
        Some((counter["name"].as_str()?.to_owned(), counter["bytes"].as_u64()?))
    };
    Ok(all.filter_map(one).collect())
}

/// A line of `hntes online --meters`.
fn event(line: &str, begin_ns: i64) -> Option<Event> {
    let value: Value = serde_json::from_str(line).ok()?;
    let above = match value["event"].as_str()? {
        "above" => true,
        "below" => false,
        _ => return None,
    };
    let at_s = (value["at_ns"].as_i64()? - begin_ns) as f64 / 1e9;
    Some(Event { meter: value["meter"].as_str()?.to_owned(), above, at_s })
}

fn findings(seen: &Seen) -> Findings {
    let count = |meter: &str, above: bool| {
        seen.events.iter().filter(|event| event.meter == meter && event.above == above).count()
    };
    let told = |meter: &str| (count(meter, true), count(meter, false));
    let lines: Vec<Line<'_>> = seen
        .rates
        .iter()
        .map(|(name, points)| Line { name, points: points.clone(), joined: true })
        .collect();
    let threshold = H as f64 * 8.0 / T_S as f64 / 1e6;
    let exact = seen.bytes.iter().filter(|(_, counted, wire)| counted == wire && *wire > 0).count();
    Findings {
        title: "A router's own counters",
        paragraph: format!(
            "Counters of nftables at the ingress router are read every {} s and handed to `hntes online \
             --meters` (Method 1). The threshold is {H} bytes in {T_S} s, {threshold:.1} Mb/s. A flow of 0.9 \
             times that must be silence, one of 1.1 times one event until it ends, one of 1.3 times that \
             comes twice an event each time. What counters say is held against a capture.",
            EVERY.as_secs()
        ),
        columns: vec!["meter", "event", "seconds"],
        rows: seen
            .events
            .iter()
            .map(|event| {
                let what = if event.above { "above" } else { "below" };
                vec![event.meter.clone(), what.to_owned(), format!("{:.1}", event.at_s)]
            })
            .collect(),
        claims: vec![
            Claim::new(
                format!("0.9 times the threshold: silence, {} events", told("below").0),
                told("below") == (0, 0),
            ),
            Claim::new(
                format!("1.1 times: one event, and one when it is over: {:?}", told("above")),
                told("above") == (1, 1),
            ),
            Claim::new(
                format!("twice above it: an event each time: {:?}", told("twice")),
                told("twice") == (2, 2),
            ),
            Claim::new(
                format!("counters say what the capture says: {exact} of {}", seen.bytes.len()),
                exact == seen.bytes.len() && exact > 0,
            ),
        ],
        figure: plot(
            "Rates as counters tell them",
            Axis { label: "seconds", log: false },
            Axis { label: "Mb/s", log: false },
            &lines,
        ),
        data: json!({"seen": seen, "h_bytes": H, "t_s": T_S}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_claim_can_fail() {
        let event = |meter: &str, above| Event { meter: meter.to_owned(), above, at_s: 1.0 };
        let good = || Seen {
            events: [("above", true), ("above", false), ("twice", true), ("twice", false)]
                .into_iter()
                .chain([("twice", true), ("twice", false)])
                .map(|(meter, above)| event(meter, above))
                .collect(),
            rates: Vec::new(),
            bytes: vec![("above".to_owned(), 5, 5)],
        };
        let failed = |change: &dyn Fn(&mut Seen)| -> Vec<usize> {
            let mut seen = good();
            change(&mut seen);
            let claims = findings(&seen).claims;
            (0..claims.len()).filter(|at| !claims[*at].met).collect()
        };
        assert_eq!(failed(&|_| {}), [] as [usize; 0]);
        assert_eq!(failed(&|seen| seen.events.push(event("below", true))), [0]);
        assert_eq!(failed(&|seen| seen.events.push(event("above", true))), [1]);
        assert_eq!(failed(&|seen| drop(seen.events.pop())), [2]);
        assert_eq!(failed(&|seen| seen.bytes[0].1 = 4), [3]);
    }

    #[test]
    fn what_programs_print_is_read() {
        let text = r#"{"nftables":[{"metainfo":{}},{"counter":{"name":"above","bytes":9}}]}"#;
        assert_eq!(counters(text).unwrap(), [("above".to_owned(), 9)]);
        let line = r#"{"version":1,"event":"above","seq":1,"at_ns":3000000000,"meter":"above"}"#;
        let told = event(line, 1_000_000_000).unwrap();
        assert!(told.above && (told.at_s - 2.0).abs() < 1e-9 && event("x", 0).is_none());
    }
}
