// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The loop with an offline table, its own or somebody's.

use super::bed::{Bed, Rule};
use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, SystemTime};

/// The table of a day, with one pair of networks or none.
fn table(day: &str, full: bool) -> String {
    let entry = r#"{"src":"10.1.7.0/24","dst":"10.2.7.0/24","last_alpha":"x","lsps":[]}"#;
    let entries = if full { entry } else { "" };
    format!(
        r#"{{"version":1,"day":"{day}","width":"/24","aging":"30","both_directions":true,
        "entries":[{entries}],"lsps":[],"diff":{{}}}}"#
    )
}

/// Rules of networks have no ports.
fn of_networks(path: &str) -> BTreeSet<Rule> {
    [(0, 0, path.to_owned())].into()
}

fn is_offline(bed: &Bed) -> bool {
    bed.rules("r1") == of_networks("forth")
        && bed.rules("r2") == of_networks("back")
        && bed.circuits() == ["up"]
}

/// 1. A table is there: its entries are put onto routers, its pair has a circuit, over a restart too.
/// 2. A newer one without them: they go, and the circuit after them. One of a later day is not taken.
#[test]
fn a_table_is_taken_over_and_given_up() {
    let bed = Bed::new();
    bed.configure("[offline]\ntables = 'tables'\nlook-every-s = 1\n");
    let tables = bed.dir.path().join("tables");
    fs::create_dir(&tables).unwrap();
    fs::write(tables.join("pbr-2011-05-02.json"), table("2011-05-02", true)).unwrap();
    fs::write(tables.join("pbr-9999-01-01.json"), table("9999-01-01", false)).unwrap();
    let mut child = bed.start(&[]);
    bed.until("the table", || is_offline(&bed));
    child.kill().unwrap();
    child.wait().unwrap();
    // What is in force is remembered even if the file is gone.
    fs::remove_file(tables.join("pbr-2011-05-02.json")).unwrap();
    let child = bed.start(&[]);
    bed.until("another look", || bed.told("started") == 2 && is_offline(&bed));
    bed.end(child);
    assert!(is_offline(&bed), "{}", bed.all());
    let child = bed.start(&[]);
    fs::write(tables.join("pbr-2011-05-03.json"), table("2011-05-03", false)).unwrap();
    bed.until("an empty table", || bed.is_empty());
    fs::write(tables.join("pbr-2011-05-04.json"), "rubbish").unwrap();
    bed.until("a complaint", || {
        bed.audit().iter().any(|line| {
            line["what"] == "trouble" && line["reason"].as_str().unwrap().contains("pbr-2011-05-04")
        })
    });
    bed.end(child);
    assert_eq!(bed.violations(), Vec::<String>::new());
}

/// 1. The loop analyses the records of the day before, and what it finds comes into force.
/// 2. The hybrid: the table puts nothing onto routers, and only its flows are redirected online.
#[test]
fn it_analyses_the_day_and_lets_the_table_say_which_flows() {
    let bed = Bed::new();
    let gate = "[offline]\ntables = 'tables'\nflows = 'flows'\nat = '00:00'\nroutes = false\n\
                circuits = false\nlook-every-s = 1\n";
    bed.configure(gate);
    let path = bed.dir.path().join("hntes.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("[online]\n", "[online]\ngated = true\n")).unwrap();
    let flows = bed.dir.path().join("flows");
    fs::create_dir(&flows).unwrap();
    let day = Duration::from_secs(86_400);
    let yesterday = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap() - day;
    let first = yesterday.as_nanos();
    let last = first + 50_000_000_000;
    let csv = format!(
        "exporter,first_ns,last_ns,src,dst,proto,src_port,dst_port,octets,sampling\n\
         10.255.0.1,{first},{last},10.1.0.1,10.2.0.1,6,4000,5201,2000000000,1\n"
    );
    fs::write(flows.join("yesterday.csv"), csv).unwrap();
    let child = bed.start(&[]);
    bed.until("the table", || bed.told("table-taken") == 1);
    bed.send(true);
    bed.until("redirection of a flow of the table", || bed.is_redirected());
    assert_eq!(fs::read_dir(bed.dir.path().join("tables")).unwrap().count(), 1);
    bed.send(false);
    bed.until("the end", || bed.is_empty());
    bed.end(child);

    // A dry run analyses nothing: that would leave a table.
    for left in ["tables", "store"] {
        fs::remove_dir_all(bed.dir.path().join(left)).unwrap();
    }
    let output = bed.command(&["--dry-run", "--for", "5"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(!bed.dir.path().join("tables").exists() && !bed.dir.path().join("store").exists());

    // Not in the table, not redirected.
    let bed = Bed::of(&fs::read_to_string(&path).unwrap(), ["10.1.9.1", "10.2.9.1"]);
    fs::create_dir(bed.dir.path().join("flows")).unwrap();
    fs::create_dir(bed.dir.path().join("tables")).unwrap();
    fs::write(bed.dir.path().join("tables/pbr-2011-05-02.json"), table("2011-05-02", true))
        .unwrap();
    bed.configure("[http]\nlisten = '127.0.0.1:0'\n");
    bed.send(true);
    let child = bed.start(&["--print"]);
    bed.until("the table", || bed.told("table-taken") == 1);
    let seen = || bed.metric("hntes_flows_outside_the_table_total");
    bed.until("a flow that is not in it", || seen().is_some_and(|count| count > 0));
    assert!(bed.is_empty());
    bed.end(child);
}
