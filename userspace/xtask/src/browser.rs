// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The report of `hntes` in the toolbox's Chromium.

use anyhow::Result;

use crate::ktap::{self, Tally};
use crate::run::say;
use crate::suite::RustTest;
use crate::toolbox::{Binds, Toolbox};

/// Runs the browser tests among `built`. The toolbox has a browser, so a skip is a failure.
pub(crate) fn run(toolbox: &Toolbox, built: &[RustTest]) -> Result<Tally> {
    let mut tally = Tally::default();
    for test in built.iter().filter(|test| test.name.starts_with("hntes/")) {
        let program = test.program.to_string_lossy().into_owned();
        let argv = [program, "browser::".to_owned(), "--nocapture".to_owned()];
        let (status, said) = toolbox
            .command(&Binds::new(), &test.dir, argv)?
            .env("HNTES_BROWSER", "required")
            .verdict()?;
        let counted = ktap::cargo(&said).unwrap_or_default();
        let good = status.success() && counted.failed == 0 && counted.passed > 0;
        if !good {
            say(format!("{} in the browser:\n{}", test.name, said.trim_end()));
        }
        tally.add(if good { counted } else { Tally::FAIL });
    }
    Ok(tally)
}
