// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One module and one `Options` for each verb.

pub(crate) mod bench;
pub(crate) mod check;
pub(crate) mod demo;
pub(crate) mod kernel;
pub(crate) mod lab;
pub(crate) mod series;
pub(crate) mod test;
pub(crate) mod toolbox;
pub(crate) mod vm;

use std::process::ExitCode;

/// Our exit code for a child's; 1 if it has none (killed).
pub(crate) fn exit(status: Option<i32>) -> ExitCode {
    ExitCode::from(status.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
