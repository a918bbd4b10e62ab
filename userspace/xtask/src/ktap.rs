// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Reads test results: KTAP of kernel selftests, and cargo's summary lines.

use std::fmt;

/// Counted results.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Good.
    pub(crate) passed: usize,
    /// Bad.
    pub(crate) failed: usize,
    /// Not run.
    pub(crate) skipped: usize,
}

impl Tally {
    /// One good result.
    pub(crate) const PASS: Tally = Tally { passed: 1, failed: 0, skipped: 0 };
    /// One bad result.
    pub(crate) const FAIL: Tally = Tally { passed: 0, failed: 1, skipped: 0 };

    /// Adds another count.
    pub(crate) fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }

    /// In our own guest a skip is a failure: it holds all that a test may need.
    pub(crate) fn no_skips(self) -> Self {
        Tally { failed: self.failed + self.skipped, skipped: 0, ..self }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// Counts the top-level results of a KTAP text; none if it has no plan and no result lines.
///
/// Fewer results than planned count as failures: the program died midway.
pub(crate) fn ktap(text: &str) -> Option<Tally> {
    let mut tally = Tally::default();
    let mut planned = None;
    for line in text.lines() {
        if let Some(plan) = line.strip_prefix("1..") {
            let number: String = plan.chars().take_while(char::is_ascii_digit).collect();
            planned = planned.or(number.parse::<usize>().ok());
        } else if line.starts_with("not ok ") {
            tally.failed += 1;
        } else if line.starts_with("ok ") {
            if line.to_ascii_uppercase().contains("# SKIP") {
                tally.skipped += 1;
            } else {
                tally.passed += 1;
            }
        }
    }
    let seen = tally.passed + tally.failed + tally.skipped;
    let planned = planned?.max(seen);
    tally.failed += planned - seen;
    Some(tally)
}

/// The lines of a KTAP text that are not good, for showing.
pub(crate) fn complaints(text: &str) -> Vec<&str> {
    text.lines()
        .filter(|line| {
            line.starts_with("not ok ")
                || (line.starts_with("ok ") && line.to_ascii_uppercase().contains("# SKIP"))
        })
        .collect()
}

/// Adds up the `test result:` lines of Rust tests; none if there is no such line.
pub(crate) fn cargo(text: &str) -> Option<Tally> {
    let mut lines = text.lines().filter_map(cargo_line).peekable();
    lines.peek()?;
    Some(lines.fold(Tally::default(), |mut sum, one| {
        sum.add(one);
        sum
    }))
}

/// The lines that name failed Rust tests.
pub(crate) fn cargo_complaints(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| line.starts_with("test ") && line.ends_with("FAILED"))
}

/// Reads one `test result:` line.
pub(crate) fn cargo_line(line: &str) -> Option<Tally> {
    let rest = line.strip_prefix("test result: ")?;
    let number = |word: &str| {
        rest.split([';', '.'])
            .find_map(|part| part.trim().strip_suffix(word)?.trim().parse().ok())
            .unwrap_or(0)
    };
    Some(Tally { passed: number("passed"), failed: number("failed"), skipped: number("ignored") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harness_output_is_counted() {
        let text = "TAP version 13\n1..3\n# Starting 3 tests\n#  RUN  x ...\nok 1 x\nnot ok 2 y\nok 3 z # SKIP no z\n# Totals: pass:1\n";
        assert_eq!(ktap(text), Some(Tally { passed: 1, failed: 1, skipped: 1 }));
        assert_eq!(ktap(text).unwrap().no_skips(), Tally { passed: 1, failed: 2, skipped: 0 });
        assert_eq!(complaints(text).len(), 2);
    }

    #[test]
    fn results_that_never_came_are_failures() {
        assert_eq!(ktap("1..4\nok 1 x\n"), Some(Tally { passed: 1, failed: 3, skipped: 0 }));
        assert_eq!(ktap("no tap here\n"), None);
    }

    #[test]
    fn cargo_results_are_added_up() {
        let line = "test result: FAILED. 3 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        assert_eq!(cargo_line(line), Some(Tally { passed: 3, failed: 1, skipped: 2 }));
        assert_eq!(cargo_line("running 3 tests"), None);
        assert_eq!(cargo(&format!("x\n{line}\n{line}\n")).unwrap().passed, 6);
        assert_eq!(cargo("running 3 tests\n"), None);
        assert_eq!(cargo_complaints("test a ... ok\ntest b ... FAILED\n").count(), 1);
    }

    #[test]
    fn the_last_line_reads_as_promised() {
        assert_eq!(
            Tally { passed: 3, failed: 0, skipped: 1 }.to_string(),
            "3 passed, 0 failed, 1 skipped"
        );
    }
}
