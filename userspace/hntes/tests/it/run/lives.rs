// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the loop does of itself, and what its switches do.

use super::bed::Bed;
use serde_json::Value;
use std::fs;
use std::process::Output;
use std::thread::sleep;
use std::time::Duration;

fn run(bed: &Bed, args: &[&str]) -> Output {
    bed.command(args).stdout(std::process::Stdio::piped()).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// 1. A flow is found, gets a circuit and two rules, and they are there as long as it sends.
/// 2. It ends; the rules go before the circuit does; everything is told, with its reason.
#[test]
fn a_flow_from_its_first_bytes_to_its_last() {
    let bed = Bed::new();
    let child = bed.start(&[]);
    bed.send(true);
    bed.until("redirection", || bed.is_redirected());
    bed.until("an extension", || {
        let said = fs::read_to_string(bed.dir.path().join("store/journal")).unwrap();
        said.contains("extend") || bed.told("circuit-step") > 8
    });
    assert!(bed.is_redirected());
    bed.send(false);
    bed.until("the end", || bed.is_empty());
    bed.end(child);
    assert_eq!(bed.violations(), Vec::<String>::new());
    let audit = bed.audit();
    let place = |what: &str, reason: &str| {
        let is = |line: &&Value| {
            line["what"] == what && line["reason"].as_str().unwrap().starts_with(reason)
        };
        let found = audit.iter().find(is);
        found.unwrap_or_else(|| panic!("{what} {reason}: {}", bed.all()))["seq"].as_u64().unwrap()
    };
    let order = [
        place("started", ""),
        place("flow-began", "alpha: "),
        place("circuit-step", "Requested to Held"),
        place("circuit-step", "Held to Committed"),
        place("circuit-step", "Committed to Provisioned"),
        place("circuit-step", "Provisioned to Up"),
        place("route-wanted", "alpha flow"),
        place("route-step", "pending to installed"),
        place("flow-ended", "idle"),
        place("aged", "no alpha flow"),
        place("route-unwanted", "alpha flow: over"),
        place("circuit-step", "Up to Released"),
        place("stopped", ""),
    ];
    assert!(order.is_sorted(), "{order:?} {}", bed.all());
}

/// Told to end it leaves all as it is, the next one goes on, and only --release gives back.
#[test]
fn it_leaves_all_as_it_is_until_it_is_told_to_give_back() {
    let bed = Bed::new();
    let child = bed.start(&[]);
    bed.send(true);
    bed.until("redirection", || bed.is_redirected());
    bed.end(child);
    assert!(bed.is_redirected());
    let child = bed.start(&[]);
    bed.until("the second loop", || bed.told("flow-began") == 1 && bed.told("started") == 2);
    bed.end(child);
    assert!(bed.is_redirected(), "{}", bed.all());
    let output = run(&bed, &["--release", "--for", "60"]);
    assert_eq!(output.status.code(), Some(0), "{}", bed.all());
    assert!(bed.is_empty(), "{}", bed.all());
    assert_eq!(bed.violations(), Vec::<String>::new());
}

/// The loop was killed with a reservation under way, and the provider takes it up only after a list.
/// What it has then is given back too; what never shows is not waited for longer than it may take.
#[test]
fn what_was_asked_for_and_shows_late_is_given_back() {
    let bed = Bed::new();
    let config = bed.dir.path().join("hntes.toml");
    let right = fs::read_to_string(&config).unwrap();
    bed.send(true);
    let mut child = bed.start(&["--die-at", "circuit-reserve:after"]);
    bed.death(&mut child);
    bed.send(false);
    let [there, away] = ["circuits.json", "elsewhere"].map(|name| bed.dir.path().join(name));
    fs::rename(&there, &away).unwrap();

    let mut child = bed.start(&["--release", "--for", "200"]);
    bed.until("the second loop", || bed.told("started") == 2);
    sleep(Duration::from_secs(2));
    assert!(child.try_wait().unwrap().is_none(), "it did not wait: {}", bed.all());
    fs::rename(&away, &there).unwrap();
    assert_eq!(bed.death(&mut child).code(), Some(0), "{}", bed.all());
    assert!(bed.is_empty(), "{}", bed.all());

    bed.rotate();
    bed.send(true);
    let mut child = bed.start(&["--die-at", "circuit-reserve:before"]);
    bed.death(&mut child);
    bed.send(false);
    fs::write(&config, right.replace("lease-ms", "waits = { reserve-ms = 500 }, lease-ms"))
        .unwrap();
    let output = run(&bed, &["--release", "--for", "200"]);
    assert_eq!(output.status.code(), Some(0), "{}", bed.all());
    assert!(bed.is_empty(), "{}", bed.all());
}

/// Another hand changes rules: what is missing comes again, what is nobody's goes.
#[test]
fn it_reads_back_what_there_is() {
    let bed = Bed::new();
    let child = bed.start(&[]);
    bed.send(true);
    bed.until("redirection", || bed.is_redirected());
    fs::write(bed.dir.path().join("r1.rules"), "").unwrap();
    bed.until("the rule again", || bed.is_redirected());
    let file = bed.dir.path().join("r1.rules");
    let more = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{more}{}", more.replace("4001", "4002"))).unwrap();
    bed.until("one rule again", || bed.is_redirected());
    bed.end(child);
}

/// A router that cannot be read is in the audit log, with what it said; so is a collector that ends.
#[test]
fn what_is_wrong_outside_is_told() {
    let bed = Bed::new();
    let path = bed.dir.path().join("hntes.toml");
    let config = fs::read_to_string(&path).unwrap();
    fs::write(&path, config.replace("h = 1000", "h = 1000\nfollow = false")).unwrap();
    fs::create_dir(bed.dir.path().join("r1.rules")).unwrap();
    bed.send(true);
    bed.until("records", || fs::metadata(bed.dir.path().join("flow.jsonl")).unwrap().len() > 0);
    let child = bed.start(&[]);
    let told = |subject: &str, words: &str| {
        bed.audit().iter().any(|line| {
            let reason = line["reason"].as_str().unwrap();
            line["what"] == "trouble" && line["subject"] == subject && reason.contains(words)
        })
    };
    bed.until("the end of the collector", || told("collector", "flow.jsonl: its end"));
    bed.until("the trouble of a router", || told("r1", "r1.rules"));
    bed.end(child);
}

/// Not all can be given back in time: the exit says so.
#[test]
fn a_release_that_does_not_finish_says_so() {
    let bed = Bed::new();
    let child = bed.start(&[]);
    bed.send(true);
    bed.until("redirection", || bed.is_redirected());
    bed.end(child);
    // Whoever would write a new file beside it finds a folder there.
    fs::create_dir(bed.dir.path().join("r1.rules.new")).unwrap();
    let output = run(&bed, &["--release", "--for", "3"]);
    assert_eq!(output.status.code(), Some(1), "{}", bed.all());
    assert_eq!((bed.rules("r1").len(), bed.circuits()), (1, vec!["up".to_owned()]));
}

#[test]
fn a_dry_run_says_what_would_be_and_touches_nothing() {
    let bed = Bed::new();
    bed.send(true);
    bed.until("records", || fs::metadata(bed.dir.path().join("flow.jsonl")).unwrap().len() > 0);
    let output = run(&bed, &["--dry-run", "--json", "--for", "5"]);
    assert_eq!(output.status.code(), Some(0));
    let said = text(&output.stdout);
    for what in ["route-wanted", "Provisioned to Up", "\"dry_run\""] {
        assert!(said.contains(what), "{what}: {said}");
    }
    assert!(bed.is_empty());
    for file in ["store", "r1.rules", "r2.rules", "circuits.json"] {
        assert!(!bed.dir.path().join(file).exists(), "{file}");
    }
}

#[test]
fn a_configuration_is_checked() {
    let bed = Bed::new();
    let output = run(&bed, &["--check"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let path = bed.dir.path().join("hntes.toml");
    let right = fs::read_to_string(&path).unwrap();
    fs::write(&path, right.replace("device = \"file\"", "device = \"fiel\"")).unwrap();
    let output = run(&bed, &["--check"]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("hntes.toml:") && said.contains("fiel"), "{said}");
    assert!(!bed.dir.path().join("store").exists());
    for seconds in ["--for=-1", "--for=nan", "--for=1e30"] {
        let output = run(&bed, &[seconds]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{seconds}: {said}");
        assert!(said.contains("not a number of seconds"), "{seconds}: {said}");
    }
    assert!(!bed.dir.path().join("store").exists());
    let output = run(&bed, &["--die-at", "nowhere:before"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("circuit-reserve"), "{}", text(&output.stderr));
}

#[test]
fn two_loops_do_not_share_a_store() {
    let bed = Bed::new();
    let child = bed.start(&[]);
    bed.until("the first", || bed.told("started") == 1);
    let output = run(&bed, &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("another loop has it open"));
    bed.end(child);
}
