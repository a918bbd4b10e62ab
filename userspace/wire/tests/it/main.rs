// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Integration tests of the decoders, one binary.

mod captures;
mod fixtures;
