// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Finds what a kernel's detectors say in its log.

/// One complaint of the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Splat {
    /// The step that was running, if one was.
    pub(crate) step: Option<usize>,
    /// The line that gave it away and what follows it.
    pub(crate) text: String,
}

/// Words that open a complaint. Each is proved by the canary module or is a panic.
const OPENERS: &[&str] = &[
    "WARNING: ",
    "BUG: ",
    "kernel BUG at",
    "KASAN: ",
    "UBSAN: ",
    "INFO: possible circular locking",
    "possible circular locking dependency",
    "possible recursive locking",
    "inconsistent lock state",
    "suspicious RCU usage",
    "bad unlock balance",
    "held lock freed",
    "lock held when returning to user space",
    "DEBUG_LOCKS_WARN_ON",
    "ODEBUG: ",
    "refcount_t: ",
    "ref_tracker: ",
    "rcu_preempt detected stalls",
    "rcu: INFO: ",
    "detected expedited stalls",
    "self-detected stall",
    "soft lockup",
    "hard LOCKUP",
    "blocked for more than",
    "kmemleak: ",
    "Kernel panic",
    "Oops: ",
    "general protection fault",
    "unable to handle",
    "unregister_netdevice: waiting for",
    "scheduling while atomic",
    "sleeping function called from invalid context",
    "list_add corruption",
    "list_del corruption",
    "Call Trace:",
    "Out of memory: ",
];

/// Lines that look like a complaint and are none.
const HARMLESS: &[&str] = &[
    "kmemleak: Kernel memory leak detector initialized",
    "kmemleak: Automatic memory scanning thread",
    "kmemleak: Early log buffer",
    "kmemleak: Kmemleak testing",
    // Failslab prints a trace for every allocation it fails, as asked.
    "FAULT_INJECTION: forcing a failure",
];

/// Lines of a complaint that are shown.
const SHOWN: usize = 60;
/// A complaint ends after this many lines without a mark of its own.
const QUIET: usize = 8;

/// All complaints in a kernel log, neighbours merged.
pub(crate) fn scan(log: &str) -> Vec<Splat> {
    let mut found: Vec<Splat> = Vec::new();
    let mut step = None;
    // Lines left until the current complaint counts as over, and lines of it kept.
    let (mut left, mut kept) = (0, 0);
    let mut injected = 0;
    for raw in log.lines() {
        let line = raw.trim_end();
        let message = strip_time(line);
        if let Some(marker) = message.strip_prefix("telesteer: step ") {
            let mut words = marker.split(' ');
            let number = words.next().and_then(|word| word.parse().ok());
            step = if words.next() == Some("begins") { number } else { None };
            left = 0;
            continue;
        }
        if message.starts_with("FAULT_INJECTION: forcing a failure") {
            injected = QUIET;
        }
        let harmless = HARMLESS.iter().any(|text| message.contains(text))
            || (injected > 0 && message.contains("Call Trace:"));
        injected = usize::saturating_sub(injected, 1);
        let opens = !harmless && OPENERS.iter().any(|word| message.contains(word));
        if opens && left == 0 {
            found.push(Splat { step, text: line.to_owned() });
            (left, kept) = (QUIET, 1);
        } else if left > 0 {
            let part = opens || is_detail(message);
            left = if part { QUIET } else { left - 1 };
            if kept < SHOWN
                && let Some(last) = found.last_mut()
            {
                last.text.push('\n');
                last.text.push_str(line);
                kept += 1;
            }
        }
    }
    found
}

/// Stack frames, register dumps and rulers belong to the complaint before them.
fn is_detail(message: &str) -> bool {
    message.starts_with(' ')
        || message.starts_with("==")
        || message.starts_with("--")
        || message.contains("+0x")
        || message.starts_with("RIP:")
        || message.starts_with("CPU:")
        || message.starts_with("R1")
        || message.starts_with("RA")
        || message.starts_with("RD")
}

/// The message without `[    1.234567]` and a caller field.
fn strip_time(line: &str) -> &str {
    let rest = match line.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(line, |(_, rest)| rest),
        None => line,
    };
    rest.strip_prefix(' ').unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_log_has_none() {
        let log = "[    0.0] Linux version 7.3.4\n[    0.1] kmemleak: Kernel memory leak detector initialized (mem pool available: 1)\n\
                   [    1.0] telesteer: step 0 begins\n[    1.1] telesteer: step 0 ends with 0\n";
        assert_eq!(scan(log), []);
    }

    #[test]
    fn a_warning_is_found_with_its_trace_and_step() {
        let log = "[    1.0] telesteer: step 3 begins\n[    1.1] ------------[ cut here ]------------\n\
                   [    1.1] WARNING: CPU: 0 PID: 1 at net/core/sock.c:1 f+0x1/0x2\n[    1.1] Call Trace:\n\
                   [    1.1]  <TASK>\n[    1.1]  g+0x1/0x2\n[    1.1] telesteer: step 3 ends with 0\n[    1.2] quiet\n";
        let found = scan(log);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].step, Some(3));
        assert!(found[0].text.contains("net/core/sock.c") && found[0].text.contains("g+0x1"));
    }

    #[test]
    fn two_steps_two_splats() {
        let log = "telesteer: step 0 begins\nBUG: KASAN: slab-use-after-free in f+0x1\ntelesteer: step 0 ends with 0\n\
                   telesteer: step 1 begins\nWARNING: possible circular locking dependency detected\n";
        let steps: Vec<_> = scan(log).into_iter().map(|splat| splat.step).collect();
        assert_eq!(steps, [Some(0), Some(1)]);
    }

    #[test]
    fn injected_failures_are_not_complaints_but_what_follows_is() {
        let log = "FAULT_INJECTION: forcing a failure.\nname failslab, interval 1, probability 10, space 0, times -1\n\
                   CPU: 0 PID: 9 Comm: x\nCall Trace:\n <TASK>\n dump_stack+0x1\nquiet\nquiet\n";
        assert_eq!(scan(log), []);
        let log = log.to_owned() + "quiet\nquiet\nquiet\nquiet\nWARNING: CPU: 0 PID: 9 at x.c:1\n";
        assert_eq!(scan(&log).len(), 1);
    }

    #[test]
    fn a_panic_before_any_step_is_found() {
        let found = scan("[    0.5] Kernel panic - not syncing: VFS: Unable to mount root fs\n");
        assert_eq!(found[0].step, None);
    }
}
