// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A disk that takes no more.

use std::io::Write;

use crate::{
    collector::{Start, wait_for},
    messages::{initiation, route},
};

/// 1. A collector whose files may have 64 KiB gets more than that.
/// 2. It counts the lines it lost, says so once, goes on committing and serving new sessions.
/// 3. Its files hold whole lines only.
/// 4. Broken twin: without the limit nothing is lost.
#[test]
fn a_full_disk_costs_lines_and_nothing_else() {
    for limited in [true, false] {
        let mut start = Start::new(&["--raw"]);
        if limited {
            let script = "ulimit -f 128 && exec \"$@\"";
            start.wrapper = ["sh", "-c", script, "sh"].map(str::to_owned).to_vec();
        }
        let mut collector = start.run();
        let mut session = collector.connect();
        let routes: Vec<u8> = (0..1000).flat_map(|n| route(1, n)).collect();
        session.write_all(&[initiation("r"), routes].concat()).unwrap();
        collector.wait_counter("bmp_messages", 1001);
        wait_for("everything is written or lost", || {
            let done = collector.counter("lines_written") + collector.counter("lines_lost");
            // The events `start` and `accept` are lines too.
            (done >= 1003).then_some(())
        });
        assert_eq!(collector.counter("lines_lost") > 0, limited);
        let mut next = collector.connect();
        next.write_all(&route(1, 1)).unwrap();
        collector.wait_counter("bmp_messages", 1002);
        let said = collector.stderr();
        assert_eq!(
            said.matches("output lines lost so far").count(),
            usize::from(limited),
            "{said}"
        );
        assert_eq!(collector.terminate(), Some(0));
        // `lines` panics on a line that is not JSON.
        assert_eq!(collector.lines("bmp").len() < 1002, limited);
    }
}
