// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Git on kernel trees, independent of anybody's configuration.

use std::path::Path;

use crate::run::{Cmd, cmd};

/// Who commits in the trees xtask makes.
const NAME: &str = "telesteer maintainers";
const MAIL: &str = "maintainers@telesteer.invalid";
/// When: fixed, so that the same input gives the same commit.
const DATE: &str = "2026-01-01T00:00:00Z";

/// `git -C dir`, with no configuration but our own.
pub(crate) fn git(dir: &Path) -> Cmd {
    cmd("git")
        .arg("-C")
        .arg(dir)
        .args(["-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0", "-c", "core.autocrlf=false"])
        .args([
            "-c",
            "safe.directory=*",
            "-c",
            "commit.gpgSign=false",
            "-c",
            "advice.mergeConflict=false",
        ])
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_COMMITTER_NAME", NAME)
        .env("GIT_COMMITTER_EMAIL", MAIL)
        .env("GIT_COMMITTER_DATE", DATE)
        .env("GIT_AUTHOR_NAME", NAME)
        .env("GIT_AUTHOR_EMAIL", MAIL)
        .env("GIT_AUTHOR_DATE", DATE)
        .env("LC_ALL", "C")
}
