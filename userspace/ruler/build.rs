// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Says whether the arithmetic of the kernel module is there to be included.

use std::path::Path;

fn main() {
    println!("cargo::rustc-check-cfg=cfg(has_stable)");
    let steer = Path::new("../../rust-module/steer/mod.rs");
    println!("cargo::rerun-if-changed={}", steer.display());
    if steer.is_file() {
        println!("cargo::rustc-cfg=has_stable");
    }
}
