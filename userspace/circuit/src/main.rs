// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The agent of a node: see `telesteer_circuit::local::agent`.

use anyhow::Context;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    telesteer_circuit::local::agent::run().await.context("the agent of a node")
}
