// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Providers of circuits against mocks that share no code with them, and against the kernel.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the lint spares test functions, not the helpers between them"
)]

mod agent;
mod golden;
#[cfg(feature = "grpc")]
mod grpc;
mod local;
mod lsp_lab;
mod lying_agent;
mod nsi;
mod nsi_mock;
mod nsi_text;
mod oscars;
mod oscars_mock;
mod plain;
mod restart;
mod servers;
