// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Makes the slab allocator fail under the takeover (Documentation/fault-injection).
//!
//! The stack trace filter lets only allocations fail that are made somewhere below
//! `tcp_takeover_requeue`, so a failure can end a session and can do nothing else.

use std::path::Path;

use anyhow::{Context, Result, bail};

const FOLDER: &str = "/sys/kernel/debug/failslab";
/// The function the filter is about, and what follows it in the kernel's text.
const FUNCTION: &str = "tcp_takeover_requeue";

/// Fault injection while it is armed.
#[derive(Debug)]
pub(crate) struct Fault(());

impl Fault {
    /// Lets `percent` of the allocations fail until dropped.
    pub(crate) fn arm(percent: u32) -> Result<Self> {
        if !Path::new(FOLDER).is_dir() {
            bail!("{FOLDER} is missing: this kernel has no FAILSLAB, or debugfs is not mounted");
        }
        let symbols = std::fs::read_to_string("/proc/kallsyms").context("/proc/kallsyms")?;
        let (start, end) = range(&symbols, FUNCTION)
            .with_context(|| format!("no {FUNCTION} in /proc/kallsyms"))?;
        let armed = Self(());
        for (name, value) in [
            ("task-filter", "N".to_string()),
            ("cache-filter", "N".into()),
            ("ignore-gfp-wait", "N".into()),
            ("verbose", "0".into()),
            ("interval", "1".into()),
            ("space", "0".into()),
            ("times", "-1".into()),
            ("stacktrace-depth", "32".into()),
            ("require-start", format!("{start:#x}")),
            ("require-end", format!("{end:#x}")),
            ("probability", percent.to_string()),
        ] {
            set(name, &value)?;
        }
        Ok(armed)
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        for (name, value) in [("probability", "0"), ("require-start", "0"), ("require-end", "0")] {
            let _ = set(name, value);
        }
    }
}

fn set(name: &str, value: &str) -> Result<()> {
    let path = Path::new(FOLDER).join(name);
    std::fs::write(&path, value).with_context(|| path.display().to_string())
}

/// Addresses of a function and of the symbol behind it.
fn range(symbols: &str, function: &str) -> Option<(u64, u64)> {
    let parse = |line: &str| -> Option<(u64, String)> {
        let mut words = line.split_whitespace();
        let address = u64::from_str_radix(words.next()?, 16).ok()?;
        Some((address, words.nth(1)?.to_string()))
    };
    let all: Vec<_> = symbols.lines().filter_map(parse).collect();
    let start = all.iter().find(|(_, name)| name == function)?.0;
    let end = all.iter().map(|(address, _)| *address).filter(|address| *address > start).min()?;
    Some((start, end))
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn the_next_symbol_ends_the_range() {
        let symbols = "ffff30 t z\nffff10 t tcp_takeover_requeue\nffff20 T b\nffff00 T a\n";
        assert_eq!(range(symbols, "tcp_takeover_requeue"), Some((0xff_ff10, 0xff_ff20)));
        assert_eq!(range(symbols, "absent"), None);
    }
}
