// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Integration tests of the decoders, one binary.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod captures;
mod fixtures;
