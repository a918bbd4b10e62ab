// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Each addition to the workload, against its own truth.

use crate::program::{fam, fresh_seed, generate};
use crate::slides::{as_true, figure, published, row};
use serde_json::Value;

fn workload(profile: &str, args: &[&str]) -> (Value, Value, String) {
    let (seed, dir) = (fresh_seed(), tempfile::tempdir().unwrap());
    let (files, truth) = generate(profile, seed, dir.path());
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    (fam(&files, &args), truth, format!("{profile}, seed {seed}"))
}

fn effect(tables: &Value, width: &str, aging: &str) -> f64 {
    let row = row(&tables["effectiveness"], &[("width", width), ("aging", aging)]);
    row["effectiveness_percent"].as_f64().unwrap()
}

/// Other addresses, and many flows at once, change no published figure.
#[test]
fn figures_survive_ipv6_and_parallel_streams() {
    let (tables, truth, what) = workload("ipv6", &["--alpha-only"]);
    published(&tables, &what);
    as_true(&tables, &truth, &what);
    let (tables, truth, what) = workload("parallel", &["--alpha-only"]);
    published(&tables, &what);
    as_true(&tables, &truth, &what);
    let most = |name: &str| {
        let values = truth[name].as_array().unwrap().iter().map(|v| v.as_u64().unwrap());
        values.max().unwrap()
    };
    assert!(most("most_at_once") >= 16, "{what}");
}

/// What two routers saw counts once, as any one way to say so has it; each view alone is whole.
#[test]
fn duplicates_count_once() {
    let (seed, dir) = (fresh_seed(), tempfile::tempdir().unwrap());
    let (files, truth) = generate("duplicates", seed, dir.path());
    let run = |args: &[&str]| {
        let args: Vec<String> =
            ["--alpha-only"].iter().chain(args).map(|arg| (*arg).to_owned()).collect();
        fam(&files, &args)
    };
    for args in [&[][..], &["--exporter=10.0.0.1"], &["--ingress=10.0.0.1/1"]] {
        let tables = run(args);
        published(&tables, &format!("seed {seed}, {args:?}"));
        as_true(&tables, &truth, &format!("seed {seed}, {args:?}"));
    }
    let once = run(&[]);
    assert_eq!(figure(&once, "raw_flows_of_several_exporters"), 22_041);
    let each = run(&["--duplicates=each"]);
    assert_eq!(figure(&each, "raw_flows"), 2 * 22_041);
}

/// Lost records and flows across midnight change the figures as the plan says they must.
#[test]
fn loss_and_midnight_are_as_true() {
    for profile in ["loss", "midnight"] {
        let (tables, truth, what) = workload(profile, &["--alpha-only"]);
        as_true(&tables, &truth, &what);
        assert_ne!(figure(&tables, "raw_flows"), 22_041, "{what}");
    }
}

/// When hosts get other addresses every three days, history is worth little.
#[test]
fn renumbered_hosts_break_the_hypothesis() {
    let (tables, truth, what) = workload("renumbered", &["--alpha-only"]);
    as_true(&tables, &truth, &what);
    for width in ["/24", "/32"] {
        assert!(effect(&tables, width, "never") < 60.0, "{what}");
    }
    assert!(effect(&tables, "/24", "never") < effect(&tables, "/24", "7") + 1.0, "{what}");
}

/// No alpha raw flow is lost to 1:1000 sampling, none is made by it; bytes are estimates.
#[test]
fn sampling_keeps_the_flows() {
    let (tables, truth, what) = workload("sampled", &["--alpha-only"]);
    assert_eq!(figure(&tables, "raw_flows"), &truth["raw_flows"], "{what}");
    assert_eq!(figure(&tables, "raw_flows"), 22_041, "{what}");
    let days = truth["days"].as_array().unwrap().iter();
    let sent: u64 = days.map(|day| day["alpha_bytes"].as_u64().unwrap()).sum();
    let seen = figure(&tables, "alpha_bytes").as_u64().unwrap();
    // sd(b)/b is √(s(N−1)/b), 1.3e-4 for 90 TB.
    assert!((seen as f64 / sent as f64 - 1.0).abs() < 7e-4, "{what}");
    for width in ["/24", "/32"] {
        for aging in ["7", "14", "30", "never"] {
            let truth = truth["effectiveness"][width][aging].as_f64().unwrap();
            assert!((effect(&tables, width, aging) - truth).abs() < 0.1, "{what}");
        }
    }
}

/// Beta traffic changes nothing about alpha flows; what tables redirect of it is known.
#[test]
fn redirected_beta_is_as_true() {
    let (tables, truth, what) = workload("beta", &["--aging=7,14,30,never"]);
    published(&tables, &what);
    as_true(&tables, &truth, &what);
    for width in ["/24", "/32"] {
        let found = row(&tables["beta"], &[("width", width), ("aging", "never")]);
        for name in ["beta1_bytes", "beta2_bytes", "beta2_records"] {
            assert_eq!(found[name], truth["beta"][width][name], "{name}, {what}");
        }
        assert!(found["beta2_bytes"].as_u64().unwrap() > 0);
    }
}
