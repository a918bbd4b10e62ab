// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The telesteer collector as a library: the service and one module per command-line verb.

pub mod cmd;
